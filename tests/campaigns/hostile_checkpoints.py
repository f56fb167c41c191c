"""Damaged and hostile checkpoints, without end: what ``--resume`` may find beside an output."""

import copy
import json
import struct
import tempfile
from pathlib import Path

import nnstyle
from tests.support.command import make_pictures

from .hostile_weights import damaged

NAME = "out.png.nnstyle"
# The run that the checkpoint belongs to, after half of its iterations.
SETTINGS = {"size": 48, "border": 0, "iterations": 4, "scales": 1, "optimizer": "lbfgs-nnstyle"}
ARGUMENTS = [word for name, value in SETTINGS.items() for word in (f"--{name}", str(value))]
ARGUMENTS = ["content.png", "style.png", *ARGUMENTS, "--checkpoint", "0", "--resume", "-o", "out.png"]
# What may stand in place of anything in its header.
VALUES = [None, True, -1, 0, 1, 3, 10**30, float("nan"), float("inf"), -1.5, "", "F64", "x" * 100_000]
VALUES += [
    [],
    {},
    [0] * 10_000,
    [2**40, 2**40, 3],
    [0, 2**60],
    {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
]


def mutants(rng):
    """(name, bytes) without end: `rng` is a NumPy generator."""
    whole = a_checkpoint()
    yield NAME, whole
    made = [whole[:8] + b"[" * len(whole), struct.pack("<Q", 1 << 60) + whole[8:], b"", bytes(1 << 20)]
    for data in made:
        yield NAME, data
    while True:
        yield NAME, damaged(whole, whole, rng)
        yield NAME, with_another_header(whole, rng)


def a_checkpoint():
    """The checkpoint of a run of which half is done."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_pictures(place)
        job = nnstyle.prepare(place / "content.png", place / "style.png", **SETTINGS)
        states = []
        nnstyle.run(job, callback=lambda event: states.append(event.state()) or len(states) == 2)
        nnstyle.save_checkpoint(place / NAME, job, states[-1])
        return (place / NAME).read_bytes()


def with_another_header(data, rng):
    """A checkpoint in whose header up to three values are others, and its length is right."""
    length = int.from_bytes(data[:8], "little")
    header = opened(json.loads(data[8 : 8 + length]))
    for _ in range(rng.integers(1, 4)):
        change(header, rng)
    text = json.dumps(closed(header)).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def opened(header):
    """A header whose metadata, which are JSON in texts, are values."""
    return header | {"__metadata__": {key: json.loads(text) for key, text in header["__metadata__"].items()}}


def closed(header):
    """And back."""
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict):
        return header
    return header | {"__metadata__": {key: json.dumps(value) for key, value in metadata.items()}}


def change(node, rng):
    """Change, remove or add a value, at any depth."""
    places = list(node) if isinstance(node, dict) else list(range(len(node)))
    if not places:
        return
    place = places[rng.integers(len(places))]
    value = node[place]
    if isinstance(value, dict | list) and rng.random() < 0.9:
        change(value, rng)
    elif rng.random() < 0.1:
        del node[place]
    else:
        node[place] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])

"""The state of a run, from which another run can go on, and the file that keeps it."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from .errors import InputError
from .files import LONGEST_NAME, is_regular, whole_file
from .job import Job

# What distinguishes our files: the key of their metadata.
KEY = "nnstyle checkpoint"
MOST_HEADER = 1 << 24  # bytes: some 50,000 records


@dataclass(frozen=True)
class Record:
    """The losses after one iteration.

    Attributes
    ----------
    iteration : int
        Counted from 1, over all scales.
    size : int
        Long edge of the picture at this scale, px. Losses of different scales cannot be compared.
    total : float
        Equation (7): ``alpha content + beta style + tv_weight total variation``, with beta as it is
        at this scale, and your own terms.
    losses : dict of str to float
        By the terms' names, not weighted: "content" is equation (1), "style" equation (5).
    seconds : float
        Since the optimization began.
    """

    iteration: int
    size: int
    total: float
    losses: dict[str, float]
    seconds: float


@dataclass(frozen=True, eq=False)
class State:
    """Where a run stood after an iteration: what `nnstyle.run` takes as ``resume``.

    Attributes
    ----------
    job : str
        Digest of the job that it belongs to (`nnstyle.Job.digest`).
    scale : int
        Index of the scale, 0 for the smallest.
    image : float32 array, shape (h, w, 3)
        The canvas, border and all, as the network sees it at that scale.
    history : list of (array, array), or None
        The steps that our own L-BFGS remembers. With them the resumed run computes what the
        uninterrupted one would have, bit for bit. SciPy's L-BFGS-B does not hand its steps out:
        it starts anew from the image.
    records : tuple of Record
        Of all iterations so far.
    """

    job: str
    scale: int
    image: np.ndarray
    history: list | None = None
    records: tuple[Record, ...] = field(default=())


@dataclass(frozen=True)
class Summary:
    """What a checkpoint says of itself: everything but the arrays.

    Attributes
    ----------
    job : dict
        What `nnstyle.Job.describe` told of the job.
    scale : int
    records : tuple of Record
    """

    job: dict[str, Any]
    scale: int
    records: tuple[Record, ...]


def save_checkpoint(path: str | os.PathLike, job: Job, state: State) -> None:
    """Write the state of a run to a file, whole or not at all.

    Parameters
    ----------
    path : path
        A safetensors file is written there: numbers and text, nothing that could be run.
    job : Job
        The one that is being painted.
    state : State
        From `nnstyle.Event.state`.

    Raises
    ------
    OSError
        If the file cannot be written. An earlier file of this name is then still there.
    """
    arrays = {"image": state.image}
    for number, (s, y) in enumerate(state.history or ()):
        arrays |= {f"s{number}": s, f"y{number}": y}
    summary = {
        "job": job.describe(),
        "scale": state.scale,
        "records": [astuple(record) for record in state.records],
        "steps": None if state.history is None else len(state.history),
    }
    header: dict[str, dict] = {"__metadata__": {KEY: json.dumps(summary)}}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    # The library's own writer would copy all arrays twice, in memory that may be short.
    with whole_file(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array, "<f4").data)


def summarize_checkpoint(path: str | os.PathLike) -> Summary:
    """What a checkpoint says of itself.

    Raises
    ------
    InputError
        If there is no such file, or it is no checkpoint, or a damaged one.
    """
    with open_checkpoint(path) as (_, stored):
        return summary_of(stored)


def load_checkpoint(path: str | os.PathLike, job: Job) -> State:
    """Read the state of a run of a job, for `nnstyle.run` to go on from.

    Parameters
    ----------
    path : path
        Written by `save_checkpoint`.
    job : Job
        Prepared from the same pictures, settings and network.

    Returns
    -------
    State

    Raises
    ------
    InputError
        If there is no such file, it is no checkpoint or a damaged one, or it belongs to another job;
        the message says what differs.
    """
    with open_checkpoint(path) as (file, stored):
        summary = summary_of(stored)
        differences = differences_of(summary, job)
        if differences:
            raise InputError(f"it belongs to another job: {'; '.join(differences)}")
        image = read(file, "image", shape_of(file, job))
        history = None
        if stored["steps"] is not None:
            numbers = range(stored["steps"])
            history = [tuple(read(file, f"{kind}{i}", image.shape) for kind in "sy") for i in numbers]
        return State(job.digest, summary.scale, image, history, summary.records)


@contextlib.contextmanager
def open_checkpoint(path: str | os.PathLike) -> Iterator[tuple[Any, dict]]:
    """A checkpoint's file, open, and what its header says; every complaint names the file."""
    try:
        if not is_regular(path):
            raise InputError("it is not a file")
        with open(path, "rb") as start:
            if int.from_bytes(start.read(8), "little") > MOST_HEADER:
                raise InputError("it is no checkpoint of nnstyle")
        with safetensors.safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise InputError("it is no checkpoint of nnstyle")
            yield file, json.loads(text)
    except InputError as error:
        raise InputError(f"the checkpoint {path} cannot be used: {error}") from None
    except OSError as error:
        raise InputError(f"the checkpoint {path} cannot be read: {error.strerror or error}") from None
    except (safetensors.SafetensorError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        raise InputError(f"the checkpoint {path} is damaged, or none: delete it") from None


def summary_of(stored: dict) -> Summary:
    """The summary in a checkpoint's header."""
    records = tuple(Record(*record) for record in stored["records"])
    for number, record in enumerate(records, start=1):
        numbers = record.total, record.seconds, *record.losses.values()
        if record.iteration != number or not np.isfinite(numbers).all():
            raise ValueError
    return Summary(dict(stored["job"]), int(stored["scale"]), records)


def differences_of(summary: Summary, job: Job) -> list[str]:
    """In what a checkpoint's job differs from another, in words; empty if it is the same."""
    theirs, ours = summary.job, json.loads(json.dumps(job.describe()))
    names = [name for name in [*ours, *(theirs.keys() - ours.keys())] if theirs.get(name) != ours.get(name)]
    return [
        f"another {name.removesuffix('_sha256')}"
        if name.endswith("_sha256")
        else f"{name} was {theirs.get(name)}, is {ours.get(name)}"
        for name in names
    ]


def shape_of(file: Any, job: Job) -> tuple[int, ...]:
    """The shape of a checkpoint's canvas, which is not larger than the job's."""
    shape = tuple(file.get_slice("image").get_shape())
    if len(shape) != 3 or shape[0] * shape[1] > job.settings.canvas_pixels(*job.content.shape[:2]):
        raise ValueError
    return shape


def read(file: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An array of a checkpoint, if it is what it should be."""
    part = file.get_slice(name)
    if part.get_dtype() != "F32" or tuple(part.get_shape()) != shape:
        raise ValueError
    array = file.get_tensor(name)
    if not np.isfinite(array).all():
        raise ValueError
    return array


def checkpoint_path(output: str | os.PathLike) -> Path:
    """Where the checkpoint of an output lies: beside it, with ``.nnstyle`` behind its name."""
    path = Path(output)
    name = f"{path.name}.nnstyle"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f"{hashlib.sha256(os.fsencode(name)).hexdigest()}.nnstyle"
    return path.with_name(name)

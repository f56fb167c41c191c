"""The state of a run, from which another run can go on, and the file that keeps it."""

import contextlib
import errno
import hashlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from .errors import InputError
from .files import LONGEST_NAME, is_regular, whole_file
from .job import Job, what_decides

# What distinguishes our files: the key of their metadata.
KEY = "nnstyle checkpoint"
VERSION = 1  # of what is in them
MOST_HEADER = 1 << 20  # bytes: a job without terms of one's own takes about 2000
MOST_NUMBERS = 1 << 24  # in the records: a million of them take five million
NO_CHECKPOINT = "it is no checkpoint of nnstyle"
REMEDY = "use the same pictures and settings, or another output"
COLUMNS = "size", "total", "seconds"  # of the records, before the losses by their names


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
        at this scale, and your own terms. Of Adam's latest iterate, while the picture is an average of them.
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
    history : dict of str to float32 array, or None
        What the optimizer remembers: arrays like `image`, or of shape () for a number. With it the
        resumed run computes what the uninterrupted one would have, bit for bit, if its tile is the
        same. SciPy's L-BFGS-B does not hand its steps out: it starts anew from the image.
    records : tuple of Record
        Of all iterations so far.
    """

    job: str
    scale: int
    image: np.ndarray
    history: dict[str, np.ndarray] | None = None
    records: tuple[Record, ...] = field(default=())


@dataclass(frozen=True)
class Summary:
    """The job and the progress that a checkpoint tells of, without the state itself.

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
        If the file cannot be written, or the job has thousands of terms. An earlier file of this name is
        then still there.
    """
    arrays = {"image": state.image} | (state.history or {})
    arrays = {name: np.asarray(array, "<f4", order="C") for name, array in arrays.items()}
    names, arrays["records"] = table_of(state.records)
    about = {
        "version": VERSION,
        "job": job.describe(),
        "scale": state.scale,
        "losses": names,
    }
    header: dict[str, dict] = {"__metadata__": {KEY: json.dumps(about)}}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        dtype = f"F{8 * array.itemsize}"
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    if len(text) > MOST_HEADER or arrays["records"].size > MOST_NUMBERS:  # it could not be read
        raise OSError(errno.EFBIG, "the job has too many terms")
    # The library's own writer would copy all arrays twice, in memory that may be short.
    with whole_file(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays.values():
            file.write(array.data)


def table_of(records: tuple[Record, ...]) -> tuple[list[str], np.ndarray]:
    """The names of all losses, and a row of float64 for each record: `COLUMNS`, and the losses by these names.

    Where a record lacks a loss, there is NaN.
    """
    names = list(dict.fromkeys(name for record in records for name in record.losses))
    table = np.empty((len(records), len(COLUMNS) + len(names)), "<f8")
    for row, record in zip(table, records, strict=True):
        losses = (record.losses.get(name, np.nan) for name in names)
        row[:] = record.size, record.total, record.seconds, *losses
    return names, table


def records_of(names: list[str], table: np.ndarray) -> tuple[Record, ...]:
    """The records that `table_of` has made a table of."""
    count = len(COLUMNS)
    if table.ndim != 2 or table.shape[1] != count + len(names):
        raise ValueError
    if np.isinf(table).any() or np.isnan(table[:, :count]).any():
        raise ValueError
    records = []
    for iteration, (size, total, seconds, *values) in enumerate(table.tolist(), start=1):
        losses = {name: value for name, value in zip(names, values, strict=True) if not np.isnan(value)}
        records.append(Record(iteration, int(size), total, losses, seconds))
    return tuple(records)


def summarize_checkpoint(path: str | os.PathLike) -> Summary:
    """Read what a checkpoint tells of its job, and how far it is.

    Raises
    ------
    InputError
        If there is no such file, or it is no checkpoint, or a damaged one.
    """
    with open_checkpoint(path) as file, complaints_name(path):
        return read_summary(file)


def load_checkpoint(path: str | os.PathLike, job: Job) -> State:
    """Read the state of a run of a job, for `nnstyle.run` to go on from.

    Parameters
    ----------
    path : path
        Written by `save_checkpoint`.
    job : Job
        Prepared from the same pictures, settings and network. Their files may have other names.

    Returns
    -------
    State

    Raises
    ------
    InputError
        If there is no such file, it is no checkpoint or a damaged one, or it belongs to another job;
        the message says what differs.
    """
    with open_checkpoint(path) as file:
        with complaints_name(path):
            summary = read_summary(file)
        differences = differences_of(summary, job)
        if differences:
            raise unusable(path, f"it belongs to another job: {'; '.join(differences)}; {REMEDY}")
        most_pixels = job.settings.canvas_pixels(*job.content.shape[:2])
        with complaints_name(path):
            image, history = read_arrays(file, most_pixels)
    return State(job.digest, summary.scale, image, history, summary.records)


def open_checkpoint(path: str | os.PathLike) -> Any:
    """Open a checkpoint, for a ``with`` block."""
    with complaints_name(path):
        if not is_regular(path):
            raise InputError("it is not a file")
        with open(path, "rb") as start:
            if int.from_bytes(start.read(8), "little") > MOST_HEADER:
                raise InputError(NO_CHECKPOINT)
        return safetensors.safe_open(path, "numpy")


@contextlib.contextmanager
def complaints_name(path: str | os.PathLike) -> Iterator[None]:
    """Within the block, which reads a checkpoint and does nothing else, every complaint names the file."""
    try:
        yield
    except InputError as error:
        raise unusable(path, error) from None
    except OSError as error:
        raise InputError(f"the checkpoint {path} cannot be read: {error.strerror or error}") from None
    except (safetensors.SafetensorError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        raise InputError(f"the checkpoint {path} is damaged, or is no checkpoint: delete it") from None


def unusable(path: str | os.PathLike, reason: object) -> InputError:
    """The error for a checkpoint that cannot be used."""
    return InputError(f"the checkpoint {path} cannot be used: {reason}")


def read_summary(file: Any) -> Summary:
    """What an open checkpoint tells of its job, and how far it is."""
    text = (file.metadata() or {}).get(KEY)
    if text is None:
        raise InputError(NO_CHECKPOINT)
    about = dict(json.loads(text))
    if about.get("version") != VERSION:
        raise InputError("another version of nnstyle has written it")
    scale = int(about["scale"])
    if scale < 0:
        raise ValueError
    names = [str(name) for name in about["losses"]]
    if math.prod(file.get_slice("records").get_shape()) > MOST_NUMBERS:
        raise ValueError
    records = records_of(names, read(file, "records", "F64"))
    return Summary(dict(about["job"]), scale, records)


def read_arrays(file: Any, most_pixels: int) -> tuple[np.ndarray, dict[str, np.ndarray] | None]:
    """The canvas of an open checkpoint, and what the optimizer remembered."""
    shape = tuple(file.get_slice("image").get_shape())
    if len(shape) != 3 or math.prod(shape) > 3 * most_pixels:
        raise ValueError
    names = set(file.keys()) - {"image", "records"}
    history = {name: read_finite(file, name, shape, ()) for name in sorted(names)}
    return read_finite(file, "image", shape), history or None


def read_finite(file: Any, name: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """An array of float32, if it has one of these shapes and all its numbers are finite."""
    if tuple(file.get_slice(name).get_shape()) not in shapes:
        raise ValueError
    array = read(file, name, "F32")
    if not np.isfinite(array).all():
        raise ValueError
    return array


def read(file: Any, name: str, dtype: str) -> np.ndarray:
    """An array, if it has this type."""
    if file.get_slice(name).get_dtype() != dtype:
        raise ValueError
    return file.get_tensor(name)


def differences_of(summary: Summary, job: Job) -> list[str]:
    """In what a checkpoint's job differs from another, in words; empty if it is the same."""
    theirs = what_decides(summary.job)
    ours = what_decides(json.loads(json.dumps(job.describe())))  # a tuple becomes a list, as in the file
    names = [name for name in {**ours, **theirs} if theirs.get(name) != ours.get(name)]
    differences = []
    for name in names:
        is_of_pictures = name.endswith("_sha256") and name != "weights_sha256"
        if "size" in names and (is_of_pictures or name == "beta"):
            continue  # at another size they differ in any case
        if name.endswith("_sha256"):
            differences.append(f"another {name.removesuffix('_sha256')}")
        else:
            differences.append(f"{name} was {theirs.get(name)}, is {ours.get(name)}")
    return differences


def checkpoint_path(output: str | os.PathLike) -> Path:
    """Where the checkpoint of an output lies: beside it, with ``.nnstyle`` behind its name."""
    path = Path(output)
    name = f"{path.name}.nnstyle"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f"{hashlib.sha256(os.fsencode(name)).hexdigest()}.nnstyle"
    return path.with_name(name)

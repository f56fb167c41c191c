"""Reading a file in another process: a damaged HDF5 file can make its library crash, or never return.

The other process has little time and memory. It hands over what it has read as an archive in NumPy's format,
so that this one never opens the file with the library.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError
from ..pictures.memory import is_lack_of_memory
from ..pictures.preprocessing import Preprocessing
from .formats.contents import Contents, text
from .formats.named_arrays import stored_member
from .weights import Layer

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# A large VGG takes a second or two. Processor time counts, where it can be limited: a busy machine is no damage.
MOST_SECONDS = 20
MOST_WAITING = 600 if resource else 60  # seconds
MOST_MEMORY = 4 << 30  # bytes of address space, and four times the file
MOST_FILE = 1 << 30  # bytes of the file that count for this

BEGUN = b"nnstyle reads\n"  # what the other process says first
# Its exit status: 0, or one of these; the first is Python's for an error.
NOT_HANDED_OVER, REFUSED, NO_MEMORY = 1, 2, 3
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "MKL", "OMP")}  # each takes memory
ABOUT, PARTS, BEFORE = "contents.json", ("kernel", "bias"), "before"
LARGEST_BEFORE = 100  # numbers of what stands before conv1_1: 9 and 3


def try_to_read(path: Path) -> BinaryIO | None:
    """Have a weights file read by another process.

    Returns
    -------
    file, open for reading
        For `open_handed_over`; None where no process can be started.

    Raises
    ------
    InputError
        If that process refuses the file, dies, or does not end.
    """
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # there is no folder for it
            return None
        status = run(path, file)
        file.seek(0)
        if status is None or file.read(len(BEGUN)) != BEGUN:  # it was no Python, or has no nnstyle
            return None
        if status == 0:
            stack.pop_all()  # it stays open
            return file
        if status == REFUSED:
            raise InputError(file.read().decode(errors="replace"))
    if status == NOT_HANDED_OVER:
        raise InputError(f"what is in it cannot be kept in {tempfile.gettempdir()}: is the disk full?")
    if status == NO_MEMORY:
        raise InputError("it is damaged: reading it takes far more memory than there is in it")
    raise InputError("it is damaged: the HDF5 library fails to read it, or does not end")


def run(path: Path, output: BinaryIO) -> int | None:
    """Read a file in another process, and return its exit status; None if there is no Python to start."""
    if getattr(sys, "frozen", False):  # what could be started is no Python, but a program with Python in it
        return None
    command = [sys.executable, "-m", __name__, os.fspath(path.absolute()), str(MOST_SECONDS)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],  # Python looks for modules there, and not where the user is
            env=os.environ | ONE_THREAD,
            timeout=MOST_WAITING,
        )
    except subprocess.TimeoutExpired:
        raise InputError("it is damaged: reading it does not end") from None
    except (OSError, TypeError, ValueError):  # there is no Python to start, or no memory for it
        return None
    return done.returncode


@contextlib.contextmanager
def open_handed_over(file: BinaryIO) -> Iterator[Contents]:
    """The `Contents` that another process has written with `hand_over`."""
    with file, zipfile.ZipFile(file) as archive:
        about = json.loads(archive.read(ABOUT))
        pairs = {}
        for name in about["pairs"]:
            members = [archive.getinfo(f"{name} {part}.npy") for part in PARTS]
            kernel, bias = (stored_member(archive, member.filename, member) for member in members)
            pairs[name] = kernel, bias
        said = about["said"]
        said["implied"] = Preprocessing(**said["implied"])
        if said["style_layer_weights"]:
            said["style_layer_weights"] = tuple(said["style_layer_weights"])
        before = pairs.pop(BEFORE, None)
        yield Contents(**said | {"layers": pairs, "before": before})


def hand_over(output: BinaryIO, contents: Contents, pairs: Mapping[str, Layer]) -> None:
    """Write what a file says, and the arrays that were read of it."""
    said = dataclasses.asdict(dataclasses.replace(contents, layers={}, before=None))
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr(ABOUT, json.dumps({"said": said, "pairs": list(pairs)}, default=plain))
        for name, pair in pairs.items():
            for part, array in zip(PARTS, pair, strict=True):
                with archive.open(f"{name} {part}.npy", "w") as member:
                    np.save(member, array)


def plain(value: Any) -> Any:
    """What JSON has no word for: NumPy's numbers, and texts in bytes."""
    array = np.asarray(value)
    return array.astype(float).tolist() if array.dtype.kind in "fiu" else text(value)


def limit_this_process(size: int, seconds: int) -> None:
    """Let this process take so many seconds, and memory for a file of so many bytes, where there are limits."""
    if not resource:
        return
    limits = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, MOST_MEMORY + 4 * min(size, MOST_FILE)),
    )
    for kind, most in limits:
        with contextlib.suppress(OSError, ValueError):  # it is lower already
            resource.setrlimit(kind, (most, most))


def read_all(contents: Contents) -> dict[str, Layer]:
    """Every pair of arrays that a network's `Contents` have, read."""
    from .loading import check_shapes, read_layer

    check_shapes(contents.layers)
    pairs = {name: read_layer(name, *pair) for name, pair in contents.layers.items()}
    if contents.before:
        kernel, bias = contents.before
        if prod(kernel.shape) > LARGEST_BEFORE or prod(bias.shape) > LARGEST_BEFORE:
            raise InputError("before conv1_1 it has a convolution that does more than prepare a picture")
        pairs[BEFORE] = kernel.read(), bias.read()
    return pairs


def main(path: str, seconds: str) -> int:
    """Read a file, and write to standard output what is in it, or what is wrong with it."""
    from .loading import format_of

    output = sys.stdout.buffer
    output.write(BEGUN)
    output.flush()
    limit_this_process(os.path.getsize(path), int(seconds))
    try:
        with format_of(Path(path))(path) as contents:
            pairs = read_all(contents)
    except Exception as error:  # noqa: BLE001  # the library raises many kinds for what is damaged
        if is_lack_of_memory(error):
            return NO_MEMORY
        why = error if isinstance(error, InputError) else f"it cannot be read, it may be damaged: {error}"
        output.write(str(why).encode(errors="replace"))
        return REFUSED
    hand_over(output, contents, pairs)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Reading a file in another process: a damaged HDF5 file can make its library crash, or never return.

The other process has little time and memory. It hands over what it has read through a pipe, layer by layer,
so that this one does not read the file with the library.
"""

import contextlib
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from ..errors import InputError
from ..notes import note
from ..pictures.memory import is_lack_of_memory
from ..pictures.preprocessing import Preprocessing
from .formats.contents import Contents, StoredArray, text

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# A large VGG takes a second or two. Processor time counts, where it can be limited: a busy machine is no damage.
MOST_SECONDS = 20
MOST_WAITING = 600 if resource else 60  # seconds
MOST_MEMORY = 4 << 30  # bytes of address space, and four times the file
MOST_FILE = 1 << 30  # bytes of the file that count for this
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "MKL", "OMP")}  # each takes memory

BEGUN = b"nnstyle reads\n"  # what the other process says first
# Then it sends parts: what the file says, and the arrays; or what is wrong with the file. Before each part
# stand its kind and its length.
PART, COMPLAINT = b"+", b"-"
LENGTH = 8  # bytes
MOST_SAID = 1 << 20  # bytes of a part that is no array
MOST_NUMBERS = 1 << 29  # of all arrays
LARGEST_BEFORE = 100  # numbers of what stands before conv1_1: 9 and 3
# The exit status where memory is lacking: because of the limits that are set here, or lower ones.
NO_MEMORY, NO_MEMORY_HERE = 3, 4


def try_to_read(path: Path) -> Contents | None:
    """Have a weights file read by another process.

    Returns
    -------
    Contents
        With all arrays in memory; None where no process can be started, and a note says so.

    Raises
    ------
    InputError
        If that process refuses the file, dies, or does not end.
    """
    process = start(path)
    if process is None:
        note_the_danger(path)
        return None
    with process, ended_after(process, MOST_WAITING) as is_late:
        source = cast(BinaryIO, process.stdout)
        if source.read(len(BEGUN)) != BEGUN:  # it is no Python, or has no nnstyle
            note_the_danger(path)
            return None
        try:
            return receive_contents(source)
        except EOFError:
            raise InputError(why_it_ended(process.wait(), is_late.is_set())) from None


def note_the_danger(path: Path) -> None:
    """Say that a file is read without the protection that this module gives."""
    note(
        f"{path} is read in this process, as no other can be started for it: if it is damaged, this one may die"
    )


def start(path: Path) -> subprocess.Popen | None:
    """Begin to read a file in another process; None if there is no Python to start."""
    if getattr(sys, "frozen", False):  # what could be started is no Python, but a program with Python in it
        return None
    try:
        return subprocess.Popen(
            [sys.executable, "-m", __name__, os.fspath(path.absolute()), str(MOST_SECONDS)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],  # Python looks for modules there, and not where the user is
            env=os.environ | ONE_THREAD,
        )
    except (OSError, TypeError, ValueError):  # there is no Python to start, or no memory for it
        return None


@contextlib.contextmanager
def ended_after(process: subprocess.Popen, seconds: float) -> Iterator[threading.Event]:
    """End a process after so many seconds, which sets the event, or at the end of the block."""
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    try:
        with contextlib.suppress(RuntimeError):  # no thread can be started: the limit of its time remains
            timer.start()
        yield is_late
    finally:
        timer.cancel()
        process.kill()


def why_it_ended(status: int, is_late: bool) -> str:
    """What to say of a file whose reader ended with this exit status, before it had handed all over."""
    if is_late:
        return "it is damaged: reading it does not end"
    if status == NO_MEMORY:
        return "it is damaged: reading it takes far more memory than there is in it"
    if status == NO_MEMORY_HERE:
        return "there is not enough memory to read it"
    if resource and status == -signal.SIGKILL:
        return "the process that reads it was killed: there may be too little memory"
    return "it is damaged: the HDF5 library fails to read it, or does not end"


def receive_contents(source: BinaryIO) -> Contents:
    """The `Contents` that another process sends with `hand_over`.

    Raises
    ------
    InputError
        If it sends a complaint.
    EOFError
        If it ends before, or sends what it should not.
    """
    about = json.loads(receive(source))
    if sum(prod(shape) for pair in about["shapes"].values() for shape in pair) > MOST_NUMBERS:
        raise EOFError
    layers = {}
    for name, shapes in about["shapes"].items():
        kernel, bias = (receive_array(source, tuple(shape)) for shape in shapes)
        layers[name] = stored(kernel), stored(bias)
    said = about["said"]
    said["implied"] = Preprocessing(**said["implied"])
    if said["style_layer_weights"]:
        said["style_layer_weights"] = tuple(said["style_layer_weights"])
    if about["before"]:
        kernel, bias = (np.array(numbers) for numbers in about["before"])
        said["before"] = stored(kernel), stored(bias)
    return Contents(**said | {"layers": layers})


def stored(array: np.ndarray) -> StoredArray:
    """An array in memory, as if it were still in its file."""
    return StoredArray(array.shape, lambda: array)


def receive(source: BinaryIO) -> bytes:
    """The next part, which is no array."""
    size = receive_length(source)
    if size > MOST_SAID:
        raise EOFError
    return read_whole(source, size)


def receive_array(source: BinaryIO, shape: tuple[int, ...]) -> np.ndarray:
    """The next part: a float32 array of this shape."""
    array = np.empty(shape, np.float32)
    if receive_length(source) != array.nbytes or source.readinto(as_bytes(array)) != array.nbytes:  # type: ignore[attr-defined]
        raise EOFError
    return array


def receive_length(source: BinaryIO) -> int:
    """The length of the next part, bytes. A complaint is raised."""
    kind, size = read_whole(source, 1), int.from_bytes(read_whole(source, LENGTH))
    if kind == COMPLAINT:
        raise InputError(read_whole(source, min(size, MOST_SAID)).decode(errors="replace"))
    if kind != PART:
        raise EOFError
    return size


def read_whole(source: BinaryIO, size: int) -> bytes:
    """So many bytes; EOFError if there are fewer."""
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def as_bytes(array: np.ndarray) -> np.ndarray:
    """The bytes of an array in C order, in the same memory."""
    return array.reshape(-1).view(np.uint8)


def main(path: str, seconds: str) -> int:
    """Read a file, and write to standard output what is in it, or what is wrong with it."""
    from .loading import format_of

    output = sys.stdout.buffer
    output.write(BEGUN)
    output.flush()
    is_limit_ours = limit_this_process(os.path.getsize(path), int(seconds))
    try:
        with format_of(Path(path))(path) as contents:
            hand_over(output, contents)
    except Exception as error:  # noqa: BLE001  # the library raises many kinds for what is damaged
        if is_lack_of_memory(error):
            return NO_MEMORY if is_limit_ours else NO_MEMORY_HERE
        why = error if isinstance(error, InputError) else f"it cannot be read, it may be damaged: {error}"
        send(output, str(why).encode(errors="replace")[:MOST_SAID], COMPLAINT)
    output.flush()
    return 0


def limit_this_process(size: int, seconds: int) -> bool:
    """Let this process take so many seconds, and memory for a file of so many bytes, where there are limits.

    Returns
    -------
    bool
        Whether no lower limit of memory was set before.
    """
    if not resource:
        return False
    lower_limit(resource.RLIMIT_CORE, 0)
    # At the end of its time comes a signal of its own, and only later the one that a lack of memory brings as well.
    lower_limit(resource.RLIMIT_CPU, seconds, spare=5)
    return lower_limit(resource.RLIMIT_AS, MOST_MEMORY + 4 * min(size, MOST_FILE))


def lower_limit(kind: int, most: int, spare: int = 0) -> bool:
    """Set a limit of this process, and the hard limit to so much more; return False if it is lower already."""
    soft, hard = (
        math.inf if limit == resource.RLIM_INFINITY else limit for limit in resource.getrlimit(kind)
    )
    if soft < most:
        return False
    with contextlib.suppress(OSError, ValueError):  # some systems do not have all limits
        resource.setrlimit(kind, (most, int(min(most + spare, hard))))
    return True


def hand_over(output: BinaryIO, contents: Contents) -> None:
    """Send what a file says, and then its arrays, of which one layer is in memory at a time."""
    from .loading import check_shapes, read_layer

    check_shapes(contents.layers)
    said = dataclasses.asdict(dataclasses.replace(contents, layers={}, before=None))
    shapes = {name: [array.shape for array in pair] for name, pair in contents.layers.items()}
    about = {"said": said, "shapes": shapes, "before": read_before(contents)}
    message = json.dumps(about, default=plain).encode()
    if len(message) > MOST_SAID:
        raise InputError("it says far more of itself than a network needs")
    send(output, message)
    for name, pair in contents.layers.items():
        for array in read_layer(name, *pair):
            send(output, as_bytes(array))


def read_before(contents: Contents) -> list | None:
    """The numbers of the convolution that stands before conv1_1, where there is one: kernel and bias."""
    if not contents.before:
        return None
    if any(prod(array.shape) > LARGEST_BEFORE for array in contents.before):
        raise InputError("before conv1_1 it has a convolution that does more than prepare a picture")
    return [array.read().astype(float).tolist() for array in contents.before]


def send(output: BinaryIO, data: Any, kind: bytes = PART) -> None:
    """Send a part: bytes, or an array of them."""
    output.write(kind + len(data).to_bytes(LENGTH))
    output.write(data)


def plain(value: Any) -> Any:
    """Turn what JSON cannot express, NumPy's numbers and texts in bytes, into what it can."""
    array = np.asarray(value)
    return array.astype(float).tolist() if array.dtype.kind in "fiu" else text(value)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

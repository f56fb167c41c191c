"""Reading a file in another process first: a damaged HDF5 file can make its library crash, or never return."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from ..errors import InputError
from ..pictures.memory import is_lack_of_memory

# A large VGG takes a second or two. Processor time counts: a busy machine is no damage.
MOST_SECONDS, MOST_WAITING = 20, 600
NO_MEMORY = 3  # the exit status for that
MOST_MEMORY = 4 << 30  # bytes of address space, and four times the file


def try_to_read(path: Path) -> None:
    """Raise InputError if a process that reads a weights file dies, or does not end.

    Where no process can be started, nothing is tried.
    """
    if getattr(sys, "frozen", False):  # what could be started is no Python, but a program with Python in it
        return
    command = [sys.executable, "-m", __name__, os.fspath(path.absolute()), str(MOST_SECONDS)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],  # Python looks for modules there, and not where the user is
            timeout=MOST_WAITING,
        )
    except subprocess.TimeoutExpired:
        raise InputError("it is damaged: reading it does not end") from None
    except (OSError, TypeError, ValueError):  # there is no Python to start, or no memory for it
        return
    if done.returncode == NO_MEMORY:
        raise InputError("it is damaged: reading it takes far more memory than there is in it")
    if done.returncode < 0:  # a signal ended it
        raise InputError("it is damaged: the HDF5 library fails to read it, or does not end")


def limit_this_process(size: int, seconds: int) -> None:
    """Let this process take so many seconds, and memory for a file of so many bytes, where there are limits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, MOST_MEMORY + 4 * size),
    )
    for kind, most in limits:
        with contextlib.suppress(OSError, ValueError):  # it is lower already
            resource.setrlimit(kind, (most, most))


def main(path: str, seconds: str) -> None:
    """Read a file, and tell nobody: what is wrong with it, the process that asks finds out by itself."""
    from .loading import format_of, read_weights

    limit_this_process(os.path.getsize(path), int(seconds))
    try:
        with format_of(Path(path))(path) as contents:
            read_weights(contents, Path(path))
    except Exception as error:  # noqa: BLE001  # any other: the file is not what it should be
        if is_lack_of_memory(error):
            sys.exit(NO_MEMORY)


if __name__ == "__main__":
    main(*sys.argv[1:])

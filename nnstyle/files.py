"""Writing a file whole or not at all, and never over somebody else's."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import InputError

try:
    import fcntl
except ImportError:  # not on Windows: there, what a killed run leaves is not cleaned up
    fcntl = None  # type: ignore[assignment]

PREFIX, SUFFIX = ".nnstyle-", ".part"  # of files that are being written
LONGEST_NAME = 255  # bytes, in all usual file systems
NO_LINKS = errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Yield a new file, open for writing and reading, that takes the place of `path` at the end.

    If the block raises, or the file cannot be written to the end, `path` stays as it was.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    with new_part(path.parent, permissions(path)) as (part, file):
        yield file
        written(file)
        os.replace(part, path)
        sync_folder(path.parent)


def write_beside(path: str | os.PathLike, data: bytes) -> Path:
    """Write a file that replaces no other: where `path` is taken, under a name near it.

    However many processes do so at once, each gets a name of its own.

    Returns
    -------
    Path
        The name that it has got.
    """
    path = Path(path)
    with new_part(path.parent) as (part, file):
        file.write(data)
        written(file)
        for name in names_near(path):
            with contextlib.suppress(FileExistsError):
                take_name(part, name)
                sync_folder(path.parent)
                return name
    raise AssertionError("there is always another name")


def check_writable(path: str | os.PathLike) -> None:
    """Raise InputError unless a file can be written to `path`; to be called before the work."""
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder: name a file in it")
        if not path.parent.is_dir():
            raise InputError(f"the folder {path.parent} does not exist: create it first")
        path = Path(os.path.realpath(path))
        path.exists()  # fails if the name is too long
        permissions(path)
        with new_part(path.parent):
            pass
    except InputError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte in it
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path} cannot be written: {reason}") from None


def is_regular(path: str | os.PathLike) -> bool:
    """Whether what `path` leads to is a file: to read a pipe or a device may never end.

    Raises
    ------
    OSError
        If there is nothing of this name.
    """
    return stat.S_ISREG(os.stat(path).st_mode)


@contextlib.contextmanager
def new_part(folder: Path, mode: int | None = None) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield path and file of a new, empty file of a random name, which is gone at the end unless it was moved.

    Parameters
    ----------
    folder : Path
    mode : int, optional
        Its permissions, by default those of any new file.
    """
    remove_leftovers(folder)
    part, descriptor = create_part(folder)
    lock = os.dup(descriptor)  # of the same lock: it lasts until the file has its name
    try:
        with open(descriptor, "w+b") as file:
            if mode is not None:
                os.chmod(part, mode)
            yield part, file
    finally:
        with contextlib.suppress(OSError):  # moved, or the folder is gone
            part.unlink()
        os.close(lock)


def create_part(folder: Path) -> tuple[Path, int]:
    """Create a file of a name that nobody can foresee, locked: path and descriptor."""
    while True:
        part = folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
        try:  # O_EXCL follows no link
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        if not fcntl:
            return part, descriptor
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(part), os.fstat(descriptor)):
                return part, descriptor
        os.close(descriptor)  # another process has taken it for a leftover, before it was locked


def remove_leftovers(folder: Path) -> None:
    """Remove what runs that were killed have left in a folder: files of ours that nobody has locked."""
    if not fcntl:
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX):
                with contextlib.suppress(OSError):
                    remove_if_left(entry.path)


def remove_if_left(part: str) -> None:
    """Remove a file that was being written, unless it is still locked, or no file of this user's."""
    descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        kind = os.fstat(descriptor)
        if stat.S_ISREG(kind.st_mode) and kind.st_uid == os.geteuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: it is in use
            os.unlink(part)
    finally:
        os.close(descriptor)


def permissions(path: Path) -> int | None:
    """Those of a file that is to be replaced, or None if there is none.

    Raises
    ------
    OSError
        If it is a pipe or a device, such as ``/dev/null``: root could replace even that.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "there is something that is not a file")
    return stat.S_IMODE(mode)


def written(file: BinaryIO) -> None:
    """Make sure that all of a file is on the disk, and close it: any of this may tell that the disk is full."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot
            raise
    file.close()


def sync_folder(folder: Path) -> None:
    """Make sure that a new name is on the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def take_name(part: Path, name: Path) -> None:
    """Give a file a name that no file has yet, in one step; FileExistsError if one has."""
    try:
        os.link(part, name)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.replace(part, name)


def names_near(path: Path) -> Iterator[Path]:
    """The name itself, then with ``-unfinished``, ``-unfinished-2`` and so on behind its stem."""
    yield path
    number = 1
    while True:
        ending = ("-unfinished" if number == 1 else f"-unfinished-{number}") + path.suffix
        stem = path.stem
        while len(os.fsencode(stem + ending)) > LONGEST_NAME:
            stem = stem[:-1]
        yield path.with_name(stem + ending)
        number += 1

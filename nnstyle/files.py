"""Writing a file whole or not at all, and never over somebody else's."""

import contextlib
import errno
import functools
import hashlib
import itertools
import os
import platform
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import InputError

try:
    import fcntl
except ImportError:  # not on Windows: there, what a killed run leaves is not cleaned up
    fcntl = None  # type: ignore[assignment]

PREFIX, SUFFIX = ".nnstyle-", ".part"  # of files that are being written
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # all containers of a machine have the same
LEFT_AFTER = 24 * 3600.0  # seconds without a change: no file takes so long to write
UNFINISHED = "-unfinished"  # in the name of a picture
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
    check_replaceable(path)
    mode = permissions(path)
    with new_part(path.parent, is_private=mode is not None) as (part, file):
        yield file
        complete(part, file, mode)
        os.replace(part, path)
        sync_folder(path.parent)


def write_over(path: str | os.PathLike, data: bytes) -> Path:
    """Write a file whole or not at all, in place of an earlier one; return its path."""
    with whole_file(path) as file:
        file.write(data)
    return Path(path)


def write_beside(
    path: str | os.PathLike, data: bytes, mode: int | None = None, mark: str = UNFINISHED
) -> Path:
    """Write a file without replacing any other: if `path` is taken, the file gets a similar name.

    However many processes do so at once, each gets a name of its own.

    Parameters
    ----------
    path : path
    data : bytes
    mode : int, optional
        The permissions of the file: by default those of the file that has taken `path`, or of any new file.
    mark : str
        What distinguishes a similar name: "" is a number alone.

    Returns
    -------
    Path
        The name that the file has got.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    if mode is None:
        mode = permissions(path)
    with new_part(path.parent, is_private=mode is not None) as (part, file):
        file.write(data)
        complete(part, file, mode)
        for name in names_near(path, mark):
            with contextlib.suppress(FileExistsError):
                take_name(part, name)
                sync_folder(path.parent)
                return name
    raise AssertionError("there is always another name")


def check_writable(*paths: str | os.PathLike) -> None:
    """Raise InputError unless a file can be written to each path; to be called before the work.

    Each folder is tried once, however many of the files are in it.
    """
    tried = set()
    for path in map(Path, paths):
        try:
            if path.is_dir():
                raise InputError(f"{path} is a folder: name a file in it")
            if not path.parent.is_dir():
                raise InputError(f"the folder {path.parent} does not exist: create it first")
            path = Path(os.path.realpath(path))
            check_replaceable(path)
            if path.parent not in tried:
                with new_part(path.parent):
                    tried.add(path.parent)
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
def new_part(folder: Path, is_private: bool = False) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield path and file of a new, empty file of a random name, which is gone at the end unless it was moved.

    Parameters
    ----------
    folder : Path
    is_private : bool
        Let only its owner read and write it. By default it has the permissions of any new file.
    """
    remove_leftovers(folder)
    part, descriptor = create_part(folder, 0o600 if is_private else 0o666)
    try:
        # Of the same lock, which lasts until the file has its name.
        with open(os.dup(descriptor), "w+b") as file:
            yield part, file
    finally:
        remove(part)  # unless it was moved
        os.close(descriptor)


def create_part(folder: Path, mode: int = 0o666) -> tuple[Path, int]:
    """Create a file of a name that nobody can foresee, locked: path and descriptor."""
    while True:
        part = folder / f"{PREFIX}{this_system()}-{secrets.token_hex(8)}{SUFFIX}"
        try:  # O_EXCL follows no link
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            continue
        with contextlib.ExitStack() as undo:
            undo.callback(os.close, descriptor)
            undo.callback(remove, part)
            if not fcntl or lock(part, descriptor):
                undo.pop_all()
                return part, descriptor


def lock(part: Path, descriptor: int) -> bool:
    """Lock a new file; return whether it is still there: another process may have taken it for a leftover."""
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        return os.path.samestat(os.stat(part), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@functools.cache
def this_system() -> str:
    """Eight hexadecimal digits that tell this system, since it was started, from others that share a folder."""
    try:
        name = BOOT_ID.read_text()
    except OSError:  # not Linux
        name = platform.node()
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def remove(part: Path) -> None:
    """Remove a file if it is there."""
    with contextlib.suppress(OSError):
        part.unlink()


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
    """Remove a file that was being written, unless it is still locked, or no file of this user's.

    On shared disks another system's lock may not be seen from here: then the file must be old as well.
    """
    # To be written: NFS refuses a lock to those who only read.
    descriptor = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        about = os.fstat(descriptor)
        is_own = stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid()
        is_of_this_system = os.path.basename(part).startswith(f"{PREFIX}{this_system()}-")
        if is_own and (is_of_this_system or time.time() - about.st_mtime > LEFT_AFTER):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: it is in use
            os.unlink(part)
    finally:
        os.close(descriptor)


def permissions(path: Path) -> int | None:
    """The permissions of the file at `path`, or None if there is no file.

    Raises
    ------
    OSError
        If there can be no such file: its name is too long, for example.
    """
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def check_replaceable(path: Path) -> None:
    """Raise OSError if at `path` there is a pipe or a device, such as ``/dev/null``: root could replace even that.

    It is raised, too, if there can be no file of this name.
    """
    with contextlib.suppress(FileNotFoundError):
        if not is_regular(path):
            raise OSError(errno.EINVAL, "there is something that is not a file")


def complete(part: Path, file: BinaryIO, mode: int | None) -> None:
    """Give a file its permissions, make sure that all of it is on the disk, and close it.

    Any of this may tell that the disk is full.
    """
    file.flush()
    if mode is not None:
        os.chmod(part, mode)
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


def names_near(path: Path, mark: str = UNFINISHED) -> Iterator[Path]:
    """The name itself, then with a mark, ``-2``, ``-3`` and so on behind its stem."""
    yield path
    for number in itertools.count(1 if mark else 2):
        yield with_mark(path, mark if number == 1 else f"{mark}-{number}")


def with_mark(path: Path, mark: str) -> Path:
    """A path with a few letters more behind its stem, which is cut where the name would be too long."""
    ending = mark + path.suffix
    return path.with_name(cut(path.stem, LONGEST_NAME - len(os.fsencode(ending))) + ending)


def cut(text: str, most: int) -> str:
    """The start of a text that takes at most so many bytes in a file's name."""
    while len(os.fsencode(text)) > most:
        text = text[:-1]
    return text

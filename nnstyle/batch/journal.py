"""What is finished, noted in the folder of a batch as it comes, so that another run need not do it again."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError, why_not_written
from ..files import write_over

try:
    import fcntl
except ImportError:  # not on Windows: there, two batches in one folder are not told apart
    fcntl = None  # type: ignore[assignment]

NAME = "batch.jsonl"
MOST_BYTES = 1 << 28


class Journal:
    """A line of JSON for each finished picture.

    Parameters
    ----------
    folder : Path
        It is there.
    keep : bool
        Whether pictures of an earlier run count as finished. In any case its lines stay until new ones replace
        them: they are true as long as their files are there.

    Raises
    ------
    InputError
        If it cannot be written to, or another batch does so.
    """

    def __init__(self, folder: Path, keep: bool):
        self.folder, self.path = folder, folder / NAME
        self.lines = dict(lines_of(self.path))
        self.found = len(self.lines)
        self.keep = keep
        self.file: BinaryIO | None = None

    def __enter__(self) -> "Journal":
        self.lock = locked(self.folder)
        try:
            # Anew: the last line of a run that was killed may be half a line.
            write_over(self.path, b"".join(map(as_line, self.lines.values())))
            self.file = open(self.path, "ab")
        except BaseException as error:
            os.close(self.lock)
            if isinstance(error, OSError):
                raise InputError(f"{self.path} cannot be written: {why_not_written(error)}") from None
            raise
        return self

    def __exit__(self, *error: object) -> None:
        assert self.file is not None
        self.file.close()
        os.close(self.lock)

    def finished(self, output: str, checksum: str) -> tuple[dict[str, Any], bytes] | None:
        """What is noted of a picture, and its file, if it is there, unchanged, and this very picture.

        Parameters
        ----------
        output : str
            Its name.
        checksum : str
            From `Order.checksum`.
        """
        line = self.lines.get(output)
        if not self.keep or line is None or line.get("checksum") != checksum:
            return None
        try:
            data = (self.folder / output).read_bytes()
        except OSError:
            return None
        return (line, data) if hashlib.sha256(data).hexdigest() == line.get("sha256") else None

    def note(self, line: dict[str, Any], data: bytes) -> None:
        """Note a picture that is in its place.

        Parameters
        ----------
        line : dict
            With its name as ``output`` and its ``checksum``.
        data : bytes
            Its file.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        assert self.file is not None
        line = line | {"sha256": hashlib.sha256(data).hexdigest()}
        self.lines[line["output"]] = line
        self.file.write(as_line(line))
        self.file.flush()


def as_line(line: dict[str, Any]) -> bytes:
    """A line of the file."""
    return json.dumps(line).encode() + b"\n"


def lines_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines that can be read, by the names of their pictures. Anybody may have written them."""
    try:
        if path.stat().st_size > MOST_BYTES:
            return
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for part in text.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            line = json.loads(part)
            if isinstance(line, dict) and isinstance(line.get("output"), str):
                yield line["output"], line


def locked(folder: Path) -> int:
    """The descriptor of a folder that only one batch can have.

    Raises
    ------
    InputError
        If another has it, or it cannot be read.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read: {error.strerror}") from None
    try:
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InputError(f"another batch is writing to {folder}") from None
    except OSError:  # a file system without locks
        pass
    return descriptor

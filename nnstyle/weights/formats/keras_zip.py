"""Keras 3's ``.keras``: a zip archive of ``config.json``, ``metadata.json`` and ``model.weights.h5``.

Only the last is read, where it lies: the archive stores it uncompressed, so it is a part of the file.
The model that ``config.json`` describes is never built.
"""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import BinaryIO

from ...errors import InputError
from .contents import Contents
from .hdf5 import contents_of, open_file
from .torch_zip import find_members

WEIGHTS = "model.weights.h5"


@contextlib.contextmanager
def open_keras_zip(path: str | os.PathLike) -> Iterator[Contents]:
    """The `Contents` of a ``.keras``."""
    with open(path, "rb") as file:
        members = find_members(file, writer="Keras")
        if WEIGHTS not in members:
            raise InputError(f"it has no {WEIGHTS}, as a whole model of Keras 3 has")
        with open_file(Part(file, *members[WEIGHTS])) as weights:
            yield contents_of(weights, "Keras's layout in HDF5, in a zip archive")


class Part(io.RawIOBase):
    """Some of a file's bytes, as a file of its own.

    Parameters
    ----------
    file : binary file
    start, size : int
    """

    def __init__(self, file: BinaryIO, start: int, size: int):
        self.file, self.start, self.size, self.position = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.size}[whence]
        self.position = max(0, base + offset)
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer) -> int:
        wanted = max(0, min(len(buffer), self.size - self.position))
        self.file.seek(self.start + self.position)
        data = self.file.read(wanted)
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)

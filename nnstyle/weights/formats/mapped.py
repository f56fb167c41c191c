"""A file as bytes that are read from the disk only when they are looked at."""

import mmap
import os


def mapped(path: str | os.PathLike) -> memoryview:
    """The bytes of a file that is not empty. The file stays open as long as anything refers to them."""
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

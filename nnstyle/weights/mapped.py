"""A file as bytes that are read when they are looked at."""

import mmap


def mapped(path):
    """The bytes of a file that is not empty, as a memoryview; it lasts as long as anything refers to it."""
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

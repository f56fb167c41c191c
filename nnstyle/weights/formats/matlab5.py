"""MATLAB's files of version 5 to 7: structs, cells, texts and numbers, in the order of the file.

The format is that of "MAT-File Format" (The MathWorks), chapter "Level 5 MAT-Files".

This reader is our own because SciPy's, scipy.io.loadmat, holds every array in memory, inflates
whatever a file asks for, and dies of a hostile file of 1.4 MB with nested cells. Ours executes
nothing.
"""

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...errors import InputError
from .contents import StoredArray
from .mapped import mapped
from .streams import MOST_INFLATED, Inflated, Stored

HEADER_SIZE = 128
# Types of data elements.
INT32, MATRIX, COMPRESSED = 5, 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le"}
# Classes of arrays; others (sparse arrays, objects, function handles) are passed over.
CELL, STRUCT, TEXT, FLOATS, INTEGERS = 1, 2, 4, (6, 7), range(8, 16)
COMPLEX = 8  # in the second byte of the flags

# Limits that the file of a network stays far below.
DEEPEST, MOST_ARRAYS, MOST_AXES, LONGEST_TEXT = 16, 100_000, 32, 1000
MOST_VARIABLES = 10_000
LARGEST_ELEMENT = 1 << 20  # bytes of a text, of names or of a shape
SMALL = 2**18  # numbers: an array that is larger, and no 3x3 kernel, is passed over as well

DAMAGED = "it is damaged: it does not follow MATLAB's format"


@dataclass(frozen=True)
class Numbers(StoredArray):
    """A numeric array, its axes in MATLAB's order; at least two, and no 1 at the end of more."""

    is_floating: bool


def read_variables(path: str | os.PathLike, names: Sequence[str]) -> dict[str, Any]:
    """The variables of these names, as far as a file has them.

    Parameters
    ----------
    path : path
    names : tuple of str

    Returns
    -------
    dict of str to value
        A struct is a dict, a cell array or an array of structs a list in MATLAB's order, a text a
        str, and a numeric array `Numbers`. What is passed over is None.

    Raises
    ------
    InputError
        For a file that does not follow the format, or that holds much more than any network.
    """
    data = Stored(mapped(path))
    found: dict[str, Any] = {}
    if bytes(data.take(HEADER_SIZE)[-2:]) != b"IM":
        raise InputError("it is a big-endian file, which is not read here: load and save it in MATLAB")
    with open(path, "rb") as file:
        count = inflated = 0
        while data.position < len(data.data):
            count += 1
            if count > MOST_VARIABLES:
                raise InputError("it is damaged: it has more variables than a network's file")
            kind, size = struct.unpack("<II", data.take(8))
            source: Stored | Inflated = Stored(data.take(size))
            if kind == COMPRESSED:
                file.seek(data.position - size)
                source = Inflated(file, size, MOST_INFLATED - inflated)
                kind, size = struct.unpack("<II", source.take(8))
            if kind != MATRIX:
                raise InputError(DAMAGED)
            wanted = set(names) - found.keys()  # a name counts once, so that there is an end to inflating
            name, value = Variable(source).matrix(size, names=wanted)
            if name in wanted:
                source.finish()
                found[name] = value
            if isinstance(source, Inflated):
                inflated += source.position
    return found


class Variable:
    """One variable and everything that is nested in it, read from a source of bytes in order."""

    def __init__(self, source: Stored | Inflated):
        self.source, self.count = source, 0

    def matrix(self, size: int, depth: int = 0, names: set[str] | None = None) -> tuple[str, Any]:
        """Name and value of an array of any class, whose data have `size` bytes.

        If its name is not among `names`, where these are given, nothing is read after it.
        """
        end = self.source.position + size
        flags = self.element(end)[2]
        if len(flags) != 8:
            raise InputError(DAMAGED)
        if flags[0] not in (CELL, STRUCT, TEXT, *FLOATS, *INTEGERS) or flags[1] & COMPLEX:
            self.source.skip(end - self.source.position)
            return "", None
        shape = self.shape(end)
        name = bytes(self.element(end)[2][:LONGEST_TEXT]).decode("latin-1")
        if names is not None and name not in names:
            return name, None
        value = self.value(flags[0], shape, end, depth)
        self.source.skip(end - self.source.position)
        return name, value

    def value(self, array_class: int, shape: tuple[int, ...], end: int, depth: int) -> Any:
        """What follows an array's name, by its class."""
        if array_class == CELL:
            return [self.nested(end, depth) for _ in range(prod(shape))]
        if array_class == STRUCT:
            return self.structs(shape, end, depth)
        if array_class == TEXT:
            return self.text(end)
        return self.numbers(shape, array_class in FLOATS, end)

    def nested(self, end: int, depth: int) -> Any:
        """The value of an array inside another; what is empty may be a tag and nothing more."""
        self.count += 1
        if depth == DEEPEST or self.count > MOST_ARRAYS:
            raise InputError("it is damaged: it nests more arrays, or deeper, than a network's file")
        kind, size = struct.unpack("<II", self.take(8, end))
        if kind != MATRIX or self.source.position + size > end:
            raise InputError(DAMAGED)
        return self.matrix(size, depth + 1)[1] if size else None

    def structs(self, shape: tuple[int, ...], end: int, depth: int) -> Any:
        """One struct as a dict, several as a list."""
        length = int.from_bytes(self.element(end)[2], "little")
        names = self.element(end)[2]
        if not 0 < length <= LONGEST_TEXT or not names or not prod(shape):
            return None  # no fields, or no structs
        if len(names) // length > MOST_ARRAYS:
            raise InputError("it is damaged: a struct has more fields than a network's file")
        starts = range(0, len(names), length)
        fields = [bytes(names[i : i + length]).split(b"\0")[0].decode("latin-1") for i in starts]
        found = [{field: self.nested(end, depth) for field in fields} for _ in range(prod(shape))]
        return found[0] if len(found) == 1 else found

    def text(self, end: int) -> str:
        """A text; of several rows, column by column."""
        kind, _, letters = self.element(end)
        if kind not in TEXTS:
            raise InputError(DAMAGED)
        return bytes(letters[:LONGEST_TEXT]).decode(TEXTS[kind], errors="replace")

    def numbers(self, shape: tuple[int, ...], is_floating: bool, end: int) -> Numbers:
        """A numeric array. MATLAB stores whole numbers in the smallest type that holds them."""
        kind, size, data = self.element(end, is_kept=prod(shape) <= SMALL or shape[:2] == (3, 3), most=end)
        if kind not in NUMBERS or size != prod(shape) * np.dtype(NUMBERS[kind]).itemsize:
            raise InputError(DAMAGED)

        def read():
            if data is None:
                raise InputError(f"it has an array of shape {shape} that was not expected to be so large")
            return np.frombuffer(data, NUMBERS[kind]).reshape(shape, order="F")

        return Numbers(shape, read, is_floating)

    def shape(self, end: int) -> tuple[int, ...]:
        """The axes of an array."""
        kind, size, data = self.element(end)
        shape = struct.unpack(f"<{size // 4}i", data[: size // 4 * 4]) if size <= 4 * MOST_AXES else ()
        if kind != INT32 or len(shape) < 2 or min(shape) < 0:
            raise InputError(DAMAGED)
        return shape

    def element(self, end, is_kept=True, most=LARGEST_ELEMENT):
        """The next data element: its type, its size in bytes (at most `most`), and these, if they are to be kept."""
        tag = self.take(8, end)
        kind, size = struct.unpack("<II", tag)
        if kind >> 16:  # a small one, inside its own tag
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise InputError(DAMAGED)
            return kind, size, tag[4 : 4 + size]
        if is_kept and most < size <= end - self.source.position:
            raise InputError("it is damaged: it has a text, or names, of more than 1 MB")
        data = self.take(size, end, is_kept)
        self.source.skip(min(-size % 8, end - self.source.position))
        return kind, size, data

    def take(self, size, end, is_kept=True):
        """So many bytes, or None if they are only passed over; at most up to `end`."""
        if self.source.position + size > end:
            raise InputError(DAMAGED)
        return self.source.take(size) if is_kept else self.source.skip(size)

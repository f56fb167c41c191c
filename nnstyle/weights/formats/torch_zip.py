"""PyTorch files since version 1.6: a zip archive of a pickle and one member for each storage.

``NAME/data.pkl`` is the pickle, ``NAME/data/KEY`` the numbers of a storage, as they are in memory, and
``NAME/byteorder`` says how their bytes are ordered. All are stored uncompressed (`_save` in
``torch/serialization.py``). Checksums are not compared: PyTorch can be told to write none.

This reader is our own because no light library reads the format: it would take PyTorch, of hundreds
of megabytes. It executes nothing.
"""

import contextlib
import io
import os
import struct
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

from ...errors import InputError
from .contents import Arrays, Contents
from .naming import contents_from_names
from .torch_pickle import LARGEST_PICKLE, read_pickle
from .torch_tensor import BYTES_PER_NUMBER, Storage, arrays_of

LOCAL_HEADER = 30  # bytes, followed by a name and an extra field (section 4.3.7 of PKWARE's APPNOTE.TXT)
ENCRYPTED = 0x1
BYTE_ORDERS = {b"little": "<", b"big": ">"}


@contextlib.contextmanager
def open_torch_zip(path: str | os.PathLike) -> Iterator[Contents]:
    """The `Contents` of a file in PyTorch's zip form."""
    with open_arrays(path) as arrays:
        yield contents_from_names("PyTorch's zip form", arrays)


@contextlib.contextmanager
def open_arrays(path: str | os.PathLike) -> Iterator[Arrays]:
    """All arrays of a file in PyTorch's zip form, by their names, of whatever network."""
    with open(path, "rb") as file:
        members = find_members(file)
        pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise InputError("it is a zip archive, but not PyTorch's: it should have one NAME/data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        top, _ = read_pickle(io.BytesIO(read_member(file, *members[pickles[0]])))
        order = b"little"
        if folder + "byteorder" in members:
            order = read_member(file, *members[folder + "byteorder"])
        if order not in BYTE_ORDERS:
            raise InputError("its member byteorder says neither little nor big")

        def find_storage(storage):
            return start_of_storage(storage, *members.get(f"{folder}data/{storage.key}", (None, 0)))

        yield arrays_of(top, file, find_storage, BYTE_ORDERS[order])


def find_members(file: BinaryIO, writer: str = "PyTorch") -> dict[str, tuple[int, int]]:
    """``{name: (start, size)}`` of a zip archive's members, which lie in the file one after the other."""
    with zipfile.ZipFile(file) as archive:
        entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    length = file.seek(0, os.SEEK_END)
    members: dict[str, tuple[int, int]] = {}
    end = 0
    for entry in entries:
        sizes = entry.compress_size, entry.file_size
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & ENCRYPTED or sizes[0] != sizes[1]:
            raise InputError(f"it has compressed or encrypted members, which {writer} does not write")
        if entry.header_offset < end or entry.filename in members:
            raise InputError("its members overlap, or two have one name")
        start = start_of_member(file, entry.header_offset, length)
        end = start + entry.file_size
        if end > length:
            raise InputError("it is cut off")
        members[entry.filename] = start, entry.file_size
    return members


def start_of_member(file: BinaryIO, offset: int, length: int) -> int:
    """Where a member's bytes begin, behind the header at `offset`."""
    if offset + LOCAL_HEADER > length:
        raise InputError("it is cut off")
    file.seek(offset)
    header = file.read(LOCAL_HEADER)
    if header[:4] != b"PK\3\4":
        raise InputError("it is a damaged zip archive")
    return offset + LOCAL_HEADER + sum(struct.unpack("<2H", header[26:]))


def read_member(file: BinaryIO, start: int, size: int) -> bytes:
    """The bytes of a small member."""
    if size > LARGEST_PICKLE:
        raise InputError("it has more than 1 MB beside its tensors, which a state dict does not need")
    file.seek(start)
    return file.read(size)


def start_of_storage(storage: Storage, start: int | None, size: int) -> int:
    """Where a storage begins, if its member is as large as it should be."""
    if start is None:
        raise InputError(f"its storage {storage.key[:30]!r} is missing")
    # Of a type that is not known here nothing is read, so its size does not matter.
    if storage.kind in BYTES_PER_NUMBER and size != storage.count * BYTES_PER_NUMBER[storage.kind]:
        raise InputError(f"its storage {storage.key[:30]!r} is not as long as the pickle says")
    return start

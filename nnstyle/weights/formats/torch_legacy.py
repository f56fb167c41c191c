"""PyTorch files before version 1.6, and with ``_use_new_zipfile_serialization=False`` since.

Five pickles (a magic number, a version, the machine that wrote it, the object, the keys of its
storages), then for each key its count of numbers in eight bytes, and the numbers (`_legacy_save` in
``torch/serialization.py``).

This reader is our own because no light library reads the format: it would take PyTorch, of hundreds
of megabytes. It executes nothing.
"""

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from ...errors import InputError
from .contents import Arrays, Contents
from .naming import contents_from_names
from .torch_pickle import LARGEST_PICKLE, read_pickle
from .torch_tensor import BYTES_PER_NUMBER, Storage, arrays_of

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle
VERSION = 1001


@contextlib.contextmanager
def open_torch_legacy(path: str | os.PathLike) -> Iterator[Contents]:
    """The `Contents` of a file in PyTorch's older form."""
    with open_arrays(path) as arrays:
        yield contents_from_names("PyTorch's older form", arrays)


@contextlib.contextmanager
def open_arrays(path: str | os.PathLike) -> Iterator[Arrays]:
    """All arrays of a file in PyTorch's older form, by their names, of whatever network."""
    with open(path, "rb") as file:
        pickles = io.BytesIO(file.read(LARGEST_PICKLE))
        pickles.seek(len(MAGIC))
        version, _ = read_pickle(pickles)
        system, _ = read_pickle(pickles)
        top, storages = read_pickle(pickles)
        keys, _ = read_pickle(pickles)
        if version != VERSION:
            raise InputError("it is of a version of PyTorch's older form that is not known here")
        if type(system) is not dict or system.get("little_endian") is not True:
            raise InputError("it was written on a big-endian machine: save it in PyTorch's zip form")
        starts = find_storages(file, pickles.tell(), keys, storages)

        def find_storage(storage):
            if storage.key not in starts:
                raise InputError(f"its storage {storage.key[:30]!r} is missing")
            return starts[storage.key]

        yield arrays_of(top, file, find_storage)


def find_storages(file: BinaryIO, position: int, keys: Any, storages: dict[str, Storage]) -> dict[str, int]:
    """``{key: start}``, from the first storage at `position` on; the numbers are skipped."""
    length = file.seek(0, os.SEEK_END)
    starts: dict[str, int] = {}
    for key in keys if type(keys) is list else [None]:
        if type(key) is not str or key not in storages or storages[key].kind not in BYTES_PER_NUMBER:
            raise InputError("its list of storages is damaged, or has a type that is not known here")
        storage = storages[key]
        file.seek(position)
        if file.read(8) != struct.pack("<q", storage.count):
            raise InputError(f"its storage {key[:30]!r} is missing, or not as long as the pickle says")
        starts[key] = position + 8
        position += 8 + storage.count * BYTES_PER_NUMBER[storage.kind]
        if position > length:
            raise InputError("it is cut off")
    return starts

"""NumPy's ``.npz`` and ``.safetensors``: arrays named as in torchvision, Keras or the author's file."""

import contextlib
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from math import prod
from typing import IO, Any

import numpy as np
import safetensors

from ...errors import InputError
from .contents import PREPROCESSING, Contents, StoredArray, check_claim
from .naming import contents_from_names

LONGEST_STATEMENT = 4096  # bytes of one of these, where a text or 3 numbers would do
# Bytes of a .npy's header, where a hundred would do. Python parses it, and of more nesting its parser runs out of memory.
LONGEST_HEADER = 1 << 11
LONGEST_NAMES = 1 << 22  # bytes of all names and shapes of a .safetensors: some hundred for each array
TENSOR_TYPES = ("F16", "F32", "F64")  # safetensors' names; NumPy has no bfloat16


@contextlib.contextmanager
def open_npz(path: str | os.PathLike) -> Iterator[Contents]:
    """The `Contents` of an ``.npz``; of its arrays, only the headers are read yet.

    Arrays called channel_order, mean and scale state the preprocessing, if there are any.
    """
    with complaints_about_archives(), zipfile.ZipFile(path) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        arrays = {name: stored_member(archive, name, member) for name, member in members.items()}
        stated = {name: arrays[name].read()[()] for name in PREPROCESSING if name in arrays}
        yield contents_from_names("names and arrays in NumPy's .npz", arrays, stated)


@contextlib.contextmanager
def complaints_about_archives() -> Iterator[None]:
    """What zipfile raises for a damaged archive, in our words."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"it is damaged: {error}") from None


def stored_member(archive: zipfile.ZipFile, name: str, member: zipfile.ZipInfo) -> StoredArray:
    """An array of the archive. Reading it asks for no more memory than the archive says it takes."""
    if member.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):  # others inflate without a bound
        raise InputError(f"{name} is compressed in a way that NumPy does not write")
    with archive.open(member) as file:
        shape, dtype = read_header(name, file)
        size = file.tell() + prod(shape) * dtype.itemsize
    if size != member.file_size and not dtype.hasobject:
        raise InputError(f"{name} has {member.file_size} bytes where its header tells of {size}")

    def read():
        if name in PREPROCESSING and member.file_size > LONGEST_STATEMENT:
            raise InputError(f"its {name} has {member.file_size} bytes, far more than it needs")
        if dtype.kind != "f" and name not in PREPROCESSING or dtype.hasobject:
            raise InputError(f"{name} holds {dtype}, not floating-point numbers")
        check_claim(name, member.file_size, member.compress_size)
        with archive.open(member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    return StoredArray(shape, read)


def read_header(name: str, file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of a ``.npy`` (numpy.lib.format)."""
    try:
        version = np.lib.format.read_magic(file)
        check_header_length(version[0], file)
        readers = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        with warnings.catch_warnings(action="ignore"):  # of headers that Python 2 wrote
            shape, _, dtype = readers[version[0]](file)
        return shape, dtype
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (the header is a Python literal, whose parser raises many kinds)
        raise InputError(f"{name} is damaged or no array: no header can be read, {error!r:.100}") from None


def check_header_length(version: int, file: IO[bytes]) -> None:
    """Raise ValueError for a long header: NumPy reads all of it before it looks at its length."""
    start = file.tell()
    length = int.from_bytes(file.read(2 if version == 1 else 4), "little")
    if length > LONGEST_HEADER:
        raise ValueError(f"it is said to have {length} bytes")
    file.seek(start)


@contextlib.contextmanager
def open_safetensors(path: str | os.PathLike) -> Iterator[Contents]:
    """The `Contents` of a ``.safetensors``: shapes from its header.

    Texts called channel_order, mean and scale in its metadata state the preprocessing, if
    there are any: numbers with commas between them, in brackets or not.
    """
    with open(path, "rb") as start:
        length = int.from_bytes(start.read(8), "little")
    if length > LONGEST_NAMES:
        raise InputError(f"it is damaged: its header is said to have {length} bytes")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            arrays = {name: stored_tensor(file, name) for name in file.keys()}
            stated = parse_metadata(file.metadata() or {})
            yield contents_from_names("names and arrays in safetensors", arrays, stated)
    except safetensors.SafetensorError as error:
        raise InputError(f"it is no valid safetensors file: {error}") from None


def stored_tensor(file: Any, name: str) -> StoredArray:
    """A tensor as a stored array."""
    header = file.get_slice(name)
    dtype = header.get_dtype()

    def read():
        if dtype not in TENSOR_TYPES:
            raise InputError(
                f"{name} holds {dtype}: only {', '.join(TENSOR_TYPES)} are read here, save it as F32"
            )
        return file.get_tensor(name)

    return StoredArray(tuple(header.get_shape()), read)


def parse_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a file's texts state about the preprocessing."""
    stated: dict[str, Any] = {name: metadata[name] for name in PREPROCESSING if name in metadata}
    for name in stated.keys() - {"channel_order"}:
        try:
            numbers = [float(number) for number in stated[name][:LONGEST_STATEMENT].strip("[] ").split(",")]
        except ValueError:
            raise InputError(
                f"its {name} is {stated[name]!r:.100}, not numbers with commas between"
            ) from None
        stated[name] = numbers if len(numbers) > 1 else numbers[0]
    return stated

"""Caffe's ``.caffemodel``: a NetParameter message, in Protocol Buffers' wire format.

The field numbers are those of src/caffe/proto/caffe.proto in github.com/BVLC/caffe.

This reader is our own because no light library reads the format: it would take Caffe, or its schema
compiled for the protobuf package. It executes nothing.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

import numpy as np

from ...errors import InputError
from .contents import CAFFE, CONVOLUTIONS, Contents, StoredArray
from .mapped import mapped
from .protobuf import Budget, fields, varints

# NetParameter: name 1, layers 2 (V1LayerParameter, until 2014), layer 100 (LayerParameter, since).
NETWORK_NAME, NETWORK_FIELDS = 1, {*range(1, 9), 100}
# Where a layer of either kind has its name and its blobs.
LAYER_FIELDS = {2: (4, 6), 100: (1, 7)}
# BlobProto: num, channels, height, width; or a shape with dim 1. The numbers; or those in double precision.
OLD_SHAPE, SHAPE, DIMENSIONS = (1, 2, 3, 4), 7, 1
NUMBERS: dict[int, np.dtype] = {5: np.dtype("<f4"), 8: np.dtype("<f8")}

MOST_AXES = 32  # Caffe's own limit
LONGEST_SHAPE = 10 * MOST_AXES  # bytes


def is_caffe(path: str | os.PathLike) -> bool:
    """Whether a file begins like a NetParameter, up to its first layer: the format has no magic number."""
    budget = Budget()
    try:
        for number, value in fields(mapped(path), budget):
            if number not in NETWORK_FIELDS:
                return False
            if number in LAYER_FIELDS:
                name = (
                    layer_name(number, list(fields(value, budget))) if isinstance(value, memoryview) else ""
                )
                return name != "" and name.isprintable() and "\ufffd" not in name  # what is no text becomes
    except ValueError:  # not a message, or an empty file
        pass
    return False


@contextlib.contextmanager
def open_caffe(path: str | os.PathLike) -> Iterator[Contents]:
    """The `Contents` of a ``.caffemodel``. Its arrays are not read yet."""
    found: dict[str, tuple[StoredArray, StoredArray]] = {}
    network_name, budget = None, Budget()
    for number, value in messages(fields(mapped(path), budget)):
        if number == NETWORK_NAME:
            network_name = bytes(value[:200]).decode(errors="replace")
        if number in LAYER_FIELDS:
            parts = list(fields(value, budget))
            name = layer_name(number, parts)
            if name in CONVOLUTIONS:
                blobs = [blob for field, blob in messages(parts) if field == LAYER_FIELDS[number][1]]
                found[name] = kernel_and_bias(name, blobs, budget)
    layers = {name: found[name] for name in CONVOLUTIONS if name in found}
    if not layers:
        raise InputError("it has no layer called conv1_1, as VGG in Caffe's layout would")
    yield Contents("Caffe's layout in Protocol Buffers", layers, CAFFE, is_certain=True, name=network_name)


def messages(found: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, memoryview]]:
    """The fields that are texts, messages or packed arrays; those of another wire type are unknown here."""
    return ((number, value) for number, value in found if isinstance(value, memoryview))


def layer_name(number: int, parts: Iterable[tuple[int, Any]]) -> str:
    """A layer's name, from its fields; empty if it has none."""
    names = [text for field, text in messages(parts) if field == LAYER_FIELDS[number][0]]
    return bytes(names[-1][:200]).decode(errors="replace") if names else ""


def kernel_and_bias(name: str, blobs: list[memoryview], budget: Budget) -> tuple[StoredArray, StoredArray]:
    """A layer's two blobs, kernel (out, in, h, w) and bias (1, 1, 1, out) or (out,), in our order."""
    if len(blobs) != 2:
        raise InputError(f"{name} should hold a kernel and a bias, not {len(blobs)} arrays")
    kernel, bias = (stored_blob(name, blob, budget) for blob in blobs)
    if len(kernel.shape) != 4:
        raise InputError(f"the kernel of {name} should have 4 axes, not {len(kernel.shape)}")
    size = prod(bias.shape)
    if size == max(bias.shape, default=1):  # all axes but one are 1
        read = bias.read
        bias = StoredArray((size,), lambda: read().reshape(size))
    return kernel.transposed(2, 3, 1, 0), bias


def stored_blob(name: str, blob: memoryview, budget: Budget) -> StoredArray:
    """A blob as a stored array; its numbers may come in several pieces."""
    old_shape: dict[int, int] = {}
    shape: list[int] = []
    found: dict[int, list[np.ndarray]] = {field: [] for field in NUMBERS}
    for number, value in fields(blob, budget):
        if number in NUMBERS:
            found[number].append(numbers(name, value, NUMBERS[number]))
        elif number == SHAPE and isinstance(value, memoryview):
            shape += dimensions(value, budget)
        elif number in OLD_SHAPE and isinstance(value, int):
            old_shape[number] = value
    if old_shape:  # where there are both, Caffe uses this one, too
        shape = [old_shape.get(number, 0) for number in OLD_SHAPE]
    pieces = found[8] or found[5]
    count = sum(piece.size for piece in pieces)
    if len(shape) > MOST_AXES or prod(shape) != count or not count:
        raise InputError(f"{name} has an array of {count} numbers, but of shape {tuple(shape[:MOST_AXES])}")
    return StoredArray(tuple(shape), lambda: np.concatenate(pieces).reshape(shape))


def numbers(name: str, value: Any, dtype: np.dtype) -> np.ndarray:
    """A piece of a blob's numbers, packed or not: a view of the file."""
    if isinstance(value, memoryview) and len(value) % dtype.itemsize == 0:
        return np.frombuffer(value, dtype)
    if isinstance(value, np.ndarray) and value.dtype == dtype:
        return value
    raise InputError(f"{name} is damaged: it has an array that holds no numbers of {dtype.itemsize} bytes")


def dimensions(shape: memoryview, budget: Budget) -> list[int]:
    """The axes of a BlobShape: packed, or one field each."""
    found: list[int] = []
    for number, value in fields(shape, budget):
        if number == DIMENSIONS and isinstance(value, int):
            found.append(value)
        elif number == DIMENSIONS and isinstance(value, memoryview):
            if len(value) > LONGEST_SHAPE:
                raise InputError("it is damaged: an array has far more axes than any of Caffe's")
            found += varints(value)
    return found

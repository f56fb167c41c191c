"""Tensors of PyTorch files: described when the pickle is read, checked, and read when needed.

A tensor is a view of a storage, which is a row of numbers of one type: an offset, a shape and strides,
all counted in numbers. Several tensors may share a storage. Terms and types as in ``torch/storage.py``.
"""

import functools
import math
import re
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ...errors import InputError
from .contents import StoredArray

# All types, not only those that are read: to find a storage, the older form needs the size of those before.
BYTES_PER_NUMBER = {
    **{"Byte": 1, "Char": 1, "Bool": 1, "Short": 2, "Int": 4, "Long": 8},
    **{"Half": 2, "BFloat16": 2, "Float": 4, "Double": 8, "ComplexFloat": 8, "ComplexDouble": 16},
}
MOST_AXES = 64  # of an array in NumPy
MOST_EXTENT = 1 << 28  # numbers, from a tensor's first to its last; all of VGG-19 has 144 million
FLOATING = {"Half": "f2", "BFloat16": "u2", "Float": "f4", "Double": "f8"}  # as NumPy calls them


class Storage(NamedTuple):
    """Numbers in a row: of what type ("Float" is float32), under which key, how many."""

    kind: str
    key: str
    count: int  # type: ignore[assignment]  # a tuple's method of this name is not needed


class Tensor(NamedTuple):
    """A view of a storage. A NamedTuple, as nothing can change it."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple
    extent: int  # how many numbers lie from its first to its last, both included


def describe_tensor(
    storage: Any,
    offset: Any,
    shape: Any,
    strides: Any,
    _gradient: Any = None,
    _hooks: Any = None,
    bits: Any = None,
) -> Tensor:
    """A `Tensor` that lies within its storage.

    The arguments are those of PyTorch's `_rebuild_tensor_v2`, and as a file gives them: of any type.

    Raises
    ------
    InputError
        If they make no tensor, or one that repeats numbers or reaches beyond its storage.
    """
    if type(storage) is not Storage or type(shape) is not tuple or type(strides) is not tuple:
        raise InputError("it has a tensor without a storage, a shape or strides")
    if len(shape) != len(strides) or len(shape) > MOST_AXES:
        raise InputError("it has a tensor whose shape and strides do not fit each other")
    if not all(type(number) is int and number >= 0 for number in (offset, *shape, *strides)):
        raise InputError("it has a tensor whose offset, shape or strides are not integers from 0 up")
    if bits:
        raise InputError("it has a tensor that is stored negated: save it after .resolve_neg()")
    count = math.prod(shape)
    # An axis of length 1 may have any stride, too large a one for NumPy as well.
    strides = tuple(stride if n > 1 and count else 0 for n, stride in zip(shape, strides, strict=True))
    extent = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True)) if count else 0
    if offset + extent > storage.count:
        raise InputError("it has a tensor that reaches beyond its storage")
    if count > extent:
        raise InputError(
            "it has a tensor that repeats its numbers (a stride of 0): save it after .contiguous()"
        )
    return Tensor(storage, offset, shape, strides, extent)


def read_tensor(tensor: Tensor, file: BinaryIO, start: int, order: str) -> np.ndarray:
    """The numbers of a tensor, floating point.

    Parameters
    ----------
    tensor : Tensor
    file : binary file
    start : int
        Where its storage begins.
    order : "<" or ">"
        Little- or big-endian.
    """
    kind = tensor.storage.kind
    if kind not in FLOATING:
        raise InputError(f"it has a kernel or bias of type {kind}, which is not a floating type")
    if tensor.extent > MOST_EXTENT:
        raise InputError("it has a tensor whose numbers lie far apart: save it after .contiguous()")
    dtype = np.dtype(order + FLOATING[kind])
    file.seek(start + tensor.offset * dtype.itemsize)
    stored = file.read(tensor.extent * dtype.itemsize)
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    numbers = np.ndarray(tensor.shape, dtype, stored, strides=strides)  # raises if it would leave the buffer
    if kind == "BFloat16":  # the upper half of a float32
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    return numbers


def arrays_of(
    top: Any, file: BinaryIO, find_storage: Callable[[Storage], int], order: str = "<"
) -> dict[str, StoredArray]:
    """The arrays of a file, by their names.

    Parameters
    ----------
    top : object
        What its pickle holds.
    file : binary file
    find_storage : callable
        From a `Storage` to where it begins in the file.
    order : "<" or ">"
    """
    arrays = {}
    for name, tensor in state_dict_in(top).items():
        start = find_storage(tensor.storage)
        arrays[name] = StoredArray(tensor.shape, functools.partial(read_tensor, tensor, file, start, order))
    return arrays


def state_dict_in(top: Any) -> dict[str, Tensor]:
    """``{name: Tensor}`` of a state dict, or of one in a checkpoint, without DataParallel's ``module.``"""
    for key in ("state_dict", "model_state_dict"):
        if type(top) is dict and type(top.get(key)) is dict:
            top = top[key]
    if type(top) is not dict:
        raise InputError("it holds no dict of tensors: save the network's state_dict()")
    return {
        re.sub(r"(?<![^.])module\.", "", name): value
        for name, value in top.items()
        if type(name) is str and type(value) is Tensor
    }

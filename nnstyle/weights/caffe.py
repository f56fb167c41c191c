"""Caffe's ``.caffemodel``: a NetParameter message, in Protocol Buffers' wire format.

The field numbers are those of src/caffe/proto/caffe.proto in github.com/BVLC/caffe.
"""

import contextlib
from math import prod

import numpy as np

from ..errors import InputError
from .contents import CAFFE, CONVOLUTIONS, Contents, StoredArray
from .mapped import mapped
from .protobuf import fields, varints

# NetParameter: name 1, layers 2 (V1LayerParameter, until 2014), layer 100 (LayerParameter, since).
NETWORK_NAME, NETWORK_FIELDS = 1, {*range(1, 9), 100}
# Where a layer of either kind has its name and its blobs.
LAYER_FIELDS = {2: (4, 6), 100: (1, 7)}
# BlobProto: num, channels, height, width; or a shape with dim 1. The numbers; or those in double precision.
OLD_SHAPE, SHAPE, DIMENSIONS = (1, 2, 3, 4), 7, 1
NUMBERS = {5: np.dtype("<f4"), 8: np.dtype("<f8")}

MOST_AXES = 32  # Caffe's own limit


def is_caffe(path):
    """Whether a file starts as a NetParameter does, up to its first layer: it has no magic number."""
    try:
        for number, value in fields(mapped(path)):
            if number not in NETWORK_FIELDS:
                return False
            if number in LAYER_FIELDS:
                name = layer_name(number, list(fields(value))) if isinstance(value, memoryview) else ""
                return name != "" and name.isprintable() and "\ufffd" not in name  # what is no text becomes
    except ValueError:  # not a message, or an empty file
        pass
    return False


@contextlib.contextmanager
def open_caffe(path):
    """The `Contents` of a ``.caffemodel``. Only what is between the arrays is read here."""
    found, network_name = {}, None
    for number, value in messages(fields(mapped(path))):
        if number == NETWORK_NAME:
            network_name = bytes(value[:200]).decode(errors="replace")
        if number in LAYER_FIELDS:
            parts = list(fields(value))
            name = layer_name(number, parts)
            if name in CONVOLUTIONS:
                blobs = [blob for field, blob in messages(parts) if field == LAYER_FIELDS[number][1]]
                found[name] = kernel_and_bias(name, blobs)
    layers = {name: found[name] for name in CONVOLUTIONS if name in found}
    if not layers:
        raise InputError("it has no layer called conv1_1, as VGG in Caffe's layout would")
    yield Contents("Caffe's layout in Protocol Buffers", layers, CAFFE, network_name)


def messages(found):
    """The fields that are texts, messages or packed; of any other wire type they are unknown fields."""
    return ((number, value) for number, value in found if isinstance(value, memoryview))


def layer_name(number, parts):
    """A layer's name, from its fields; empty if it has none."""
    names = [text for field, text in messages(parts) if field == LAYER_FIELDS[number][0]]
    return bytes(names[-1][:200]).decode(errors="replace") if names else ""


def kernel_and_bias(name, blobs):
    """A layer's two blobs, kernel (out, in, h, w) and bias (1, 1, 1, out) or (out,), in our order."""
    if len(blobs) != 2:
        raise InputError(f"{name} should hold a kernel and a bias, not {len(blobs)} arrays")
    kernel, bias = (stored_blob(name, blob) for blob in blobs)
    if len(kernel.shape) != 4:
        raise InputError(f"the kernel of {name} should have 4 axes, not {len(kernel.shape)}")
    size = prod(bias.shape)
    if size == max(bias.shape, default=1):  # all axes but one are 1
        bias = StoredArray((size,), lambda read=bias.read: read().reshape(size))
    return kernel.transposed(2, 3, 1, 0), bias


def stored_blob(name, blob):
    """A blob as a stored array; its numbers may come in several pieces."""
    old_shape, shape, pieces = {}, [], {field: [] for field in NUMBERS}
    for number, value in fields(blob):
        if number in NUMBERS:
            pieces[number].append(numbers(name, value, NUMBERS[number]))
        elif number == SHAPE and isinstance(value, memoryview):
            shape += dimensions(value)
        elif number in OLD_SHAPE and isinstance(value, int):
            old_shape[number] = value
    if old_shape:  # Caffe, too, goes by it where there are both
        shape = [old_shape.get(number, 0) for number in OLD_SHAPE]
    pieces = pieces[8] or pieces[5]
    count = sum(piece.size for piece in pieces)
    if len(shape) > MOST_AXES or prod(shape) != count or not count:
        raise InputError(f"{name} has an array of {count} numbers, but of shape {tuple(shape[:MOST_AXES])}")
    return StoredArray(tuple(shape), lambda: np.concatenate(pieces).reshape(shape))


def numbers(name, value, dtype):
    """A piece of a blob's numbers, packed or not: a view of the file."""
    if isinstance(value, memoryview) and len(value) % dtype.itemsize == 0:
        return np.frombuffer(value, dtype)
    if isinstance(value, np.ndarray) and value.dtype == dtype:
        return value
    raise InputError(f"{name} is damaged: it has an array that holds no numbers of {dtype.itemsize} bytes")


def dimensions(shape):
    """The axes of a BlobShape: packed, or one field each."""
    found = []
    for number, value in fields(shape):
        if number == DIMENSIONS and isinstance(value, int):
            found.append(value)
        elif number == DIMENSIONS and isinstance(value, memoryview):
            found += varints(value)
    return found

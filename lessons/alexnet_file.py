"""AlexNet's weights from a file: torchvision's (PyTorch) or Caffe's (lesson 14).

The readers are the package's, which execute nothing. Here arrays are given their places in the network, and its
table follows from their shapes. It has no dropout: both programs double what is kept in training, so nothing
is to be halved in a test.
"""

import os
from collections import namedtuple

import numpy as np

from nnstyle import InputError
from nnstyle.weights.formats import caffe, torch_legacy, torch_zip
from nnstyle.weights.formats.mapped import mapped
from nnstyle.weights.formats.protobuf import Budget, fields
from nnstyle.weights.loading import UNREADABLE, format_of

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
TORCHVISION = dict(
    zip(
        LAYERS, [f"features.{i}" for i in (0, 3, 6, 8, 10)] + ["classifier.1", "classifier.4", "classifier.6"]
    )
)
SIZES = dict(zip(LAYERS, (11, 5, 3, 3, 3)))  # of the windows
PADDINGS = {"conv2": 2, "conv3": 1, "conv4": 1, "conv5": 1}
POOL = ("pool", {"size": 3, "stride": 2})
LAST_MAPS = 6 * 6  # positions after the last pooling
MOST_FILTERS = 1 << 14  # AlexNet has 4096 at most

# A table of layers as in lesson 14; {name: (kernel, bias)}; the side of its pictures; what it expects of a pixel.
AlexNet = namedtuple("AlexNet", "source table layers side channel_order mean scale")
COLOURS = {
    "torchvision": (224, "RGB", np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])),
    "Caffe": (227, "BGR", np.array([104.0, 117.0, 123.0]), 1.0),
}


def read(path):
    """The `AlexNet` in a file of torchvision's or Caffe's, or InputError."""
    if not os.path.isfile(path):
        raise InputError(f"there is no file {path}")
    try:
        return _read(path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read, it may be damaged: {error}") from None


def _read(path):
    kind = format_of(path)
    if kind is caffe.open_caffe:
        return assemble("Caffe", caffe_arrays(path))
    for module, reader in (
        (torch_zip, torch_zip.open_torch_zip),
        (torch_legacy, torch_legacy.open_torch_legacy),
    ):
        if kind is reader:
            with module.open_arrays(path) as arrays:
                return assemble("torchvision", torchvision_arrays(arrays))
    raise InputError("give torchvision's alexnet (.pth) or Caffe's bvlc_alexnet (.caffemodel)")


def torchvision_arrays(arrays):
    """{layer: (kernel, bias)}, still stored, with torchvision's axes."""
    found = {}
    for layer, name in TORCHVISION.items():
        pair = [arrays.get(f"{name}.{kind}") for kind in ("weight", "bias")]
        if None in pair:
            raise InputError(f"it has no {name}.weight and {name}.bias, as torchvision's AlexNet would")
        found[layer] = pair
    return found


def caffe_arrays(path):
    """The same from Caffe, whose axes are the same."""
    found, budget = {}, Budget()
    for number, value in caffe.messages(fields(mapped(path), budget)):
        if number not in caffe.LAYER_FIELDS:
            continue
        parts = list(fields(value, budget))
        name = caffe.layer_name(number, parts)
        if name in LAYERS:
            blobs = [blob for field, blob in caffe.messages(parts) if field == caffe.LAYER_FIELDS[number][1]]
            found[name] = [caffe.stored_blob(name, blob, budget) for blob in blobs]
    for name in LAYERS:
        if len(found.get(name, ())) != 2:
            raise InputError(f"it has no {name} with a kernel and a bias, as Caffe's AlexNet would")
    return found


def assemble(source, stored):
    """Check all shapes, then read; make the table that they imply."""
    table, layers, channels = [], {}, 3
    has_towers = source == "Caffe"
    norm = [("norm", {"kappa": 1.0, "alpha": 1e-4 / 5})] if has_towers else []  # Caffe divides alpha by n
    for name, (kernel, bias) in stored.items():
        filters, inputs = kernel.shape[-2 if name.startswith("fc") else 0 :][:2]
        groups = 2 if has_towers and name in ("conv2", "conv4", "conv5") else 1
        if name.startswith("conv"):
            size = SIZES[name]
            expected = filters, channels // groups, size, size
            options = {"size": size, "filters": filters, "padding": PADDINGS.get(name, 0), "groups": groups}
            if name == "conv1":
                options |= {"stride": 4, "padding": 0 if has_towers else 2}
            table += [(name, options), ("relu", {})]
            table += norm if name in ("conv1", "conv2") else []
            table += [POOL] if name in ("conv1", "conv2", "conv5") else []
        else:
            expected = filters, channels * (LAST_MAPS if name == "fc6" else 1)
            table += [(name, {"filters": filters})]
            table += [("relu", {})] if name != "fc8" else []
        if without_ones(kernel.shape) != without_ones(expected) or np.prod(bias.shape) != filters:
            raise InputError(f"{name} has {kernel.shape} and {bias.shape} where an AlexNet has {expected}")
        if not 0 < filters <= MOST_FILTERS or filters % groups:
            raise InputError(f"{name} has {filters} filters")
        channels = filters
    for name, (kernel, bias) in stored.items():
        layers[name] = with_our_axes(name, kernel.read(), layers), bias.read().ravel().astype(np.float32)
    if not all(np.isfinite(array).all() for pair in layers.values() for array in pair):
        raise InputError("it has values that are not finite")
    return AlexNet(source, table, layers, *COLOURS[source])


def without_ones(shape):
    """Caffe's older files write a matrix as (1, 1, out, in)."""
    return tuple(length for length in shape if length != 1)


def with_our_axes(name, kernel, layers):
    """Kernels (h, w, in, out), matrices (in, out); the inputs of fc6 in the order of our maps (h, w, channel)."""
    kernel = kernel.astype(np.float32)
    if name.startswith("conv"):
        return np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))
    matrix = kernel.reshape(kernel.shape[-2:])
    if name == "fc6":
        maps = matrix.reshape(len(matrix), -1, 6, 6)
        matrix = maps.transpose(0, 2, 3, 1).reshape(len(matrix), -1)
    return np.ascontiguousarray(matrix.T)

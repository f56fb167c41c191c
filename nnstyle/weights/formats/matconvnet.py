"""MatConvNet's ``.mat``: a MATLAB file of version 5, of one of two generations.

Fields as vl_simplenn_tidy.m and utils/import-caffe.py in github.com/vlfeat/matconvnet have them.
The importer brings Caffe's kernels to (h, w, in, out) as MATLAB indexes them, h being down the
picture: the two spatial axes are NOT to be swapped, although several tools do so.
"""

import contextlib
import os
from collections.abc import Iterator
from math import prod
from typing import Any

from ...errors import InputError
from .contents import CONVOLUTIONS, MATCONVNET, Contents, StoredArray
from .matlab5 import Numbers, read_variables


@contextlib.contextmanager
def open_matconvnet(path: str | os.PathLike) -> Iterator[Contents]:
    """The `Contents` of a ``.mat``; of compressed ones, kernels are inflated here."""
    variables = read_variables(path, ("layers", "meta", "normalization", "net"))
    network = as_struct(variables.get("net", variables))  # the fields may be variables or one struct
    stored = network.get("layers")
    found = {}
    for layer in map(as_struct, stored if isinstance(stored, list) else [stored]):
        if layer.get("name") in CONVOLUTIONS:
            found[layer["name"]] = kernel_and_bias(layer)
    layers = {name: found[name] for name in CONVOLUTIONS if name in found}
    if not layers:
        raise InputError("it has no layer called conv1_1, as VGG in MatConvNet's layout would")
    stated = stated_mean(network)
    yield Contents("MatConvNet's layout in MATLAB 5", layers, MATCONVNET, stated, is_certain=True)


def as_struct(value: Any) -> dict[str, Any]:
    """A struct's fields; none if it is not a struct."""
    return value if isinstance(value, dict) else {}


def kernel_and_bias(layer: dict[str, Any]) -> tuple[StoredArray, StoredArray]:
    """Of a layer: ``weights``, a cell array, in the new generation; ``filters``, ``biases`` in the old."""
    arrays = layer.get("weights", [layer.get("filters"), layer.get("biases")])
    is_pair = isinstance(arrays, list) and len(arrays) == 2
    if not is_pair or not all(isinstance(array, Numbers) and array.is_floating for array in arrays):
        raise InputError(f"{layer['name']} should hold a kernel and a bias, floating-point arrays")
    kernel, bias = arrays
    shape = (kernel.shape + (1, 1))[: max(4, len(kernel.shape))]  # MATLAB drops 1 at the end
    size = prod(bias.shape)
    if size == max(bias.shape):  # a row or a column
        bias = StoredArray((size,), lambda: arrays[1].read().reshape(size))
    return StoredArray(shape, lambda: kernel.read().reshape(shape, order="F")), bias


def stated_mean(network: dict[str, Any]) -> dict[str, Any]:
    """The file's ``averageImage``, of RGB: 3 numbers, or a picture (h, w, 3) that is averaged."""
    normalization = as_struct(network.get("meta")).get("normalization", network.get("normalization"))
    mean = as_struct(normalization).get("averageImage")
    if mean is None or isinstance(mean, Numbers) and prod(mean.shape) == 0:
        return {}
    if (
        not isinstance(mean, Numbers)
        or prod(mean.shape) != 3
        and (len(mean.shape) != 3 or mean.shape[2] != 3)
    ):
        raise InputError("its averageImage should be 3 numbers or a picture of 3 channels")
    return {"mean": mean.read().reshape(-1, 3, order="F").mean(axis=0)}

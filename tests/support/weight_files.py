"""Weights files in the layouts of Caffe, MatConvNet, NumPy and safetensors, small, for tests."""

import re
import struct

import numpy as np
import pytest
import safetensors.numpy
import scipy.io

from nnstyle import InputError, load_weights
from nnstyle.network import LAYERS
from tests.support.vgg_files import group_of

# The number before ".weight" in torchvision's VGG-19.
TORCHVISION = dict(
    zip(
        "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv3_4 "
        "conv4_1 conv4_2 conv4_3 conv4_4 conv5_1 conv5_2 conv5_3 conv5_4".split(),
        (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
        strict=True,
    )
)
NAMINGS = {
    "torchvision": lambda layer: f"features.{TORCHVISION[layer]}.weight features.{TORCHVISION[layer]}.bias",
    "author": lambda layer: f"{layer}.weight {layer}.bias",
    "Keras 3": lambda layer: f"{group_of(layer)}/kernel {group_of(layer)}/bias",
    "Keras 2": lambda layer: f"{group_of(layer)}/kernel:0 {group_of(layer)}/bias:0",
    "Keras 1": lambda layer: f"{group_of(layer)}_W:0 {group_of(layer)}_b:0",
    "Keras 1, again": lambda layer: f"{group_of(layer)}_W_1:0 {group_of(layer)}_b_1:0",
}


CONVOLUTIONS = {
    name: [layer for layer in layers if layer.startswith("conv")] for name, layers in LAYERS.items()
}


def assert_refused(path, words):
    """One line, with the file's name and these words."""
    with pytest.raises(InputError, match=f"{re.escape(str(path))}.*{words}") as refusal:
        load_weights(path)
    assert "\n" not in str(refusal.value)


def assert_same(loaded, expected, dtype=np.float32):
    """The same layers with the same numbers, as far as `dtype` tells them apart."""
    assert list(loaded) == list(expected)
    for name, arrays in expected.items():
        for found, array in zip(loaded[name], arrays, strict=True):
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, array.astype(dtype).astype(np.float32))


def named(weights, naming, dtype=np.float32):
    """{name: array}, kernels in the order of axes that belongs to such names."""
    arrays = {}
    for layer, (kernel, bias) in weights.items():
        kernel_name, bias_name = NAMINGS[naming](layer).split()
        kernel = kernel if naming.startswith("Keras") else kernel.transpose(3, 2, 0, 1)
        arrays[kernel_name] = np.ascontiguousarray(kernel, dtype)
        arrays[bias_name] = np.ascontiguousarray(bias, dtype)
    return arrays


def damage(path, times=100):
    """Change bytes at random: they are read or refused, and nothing else may happen."""
    whole, rng, refused = np.frombuffer(path.read_bytes(), np.uint8), np.random.default_rng(0), 0
    for attempt in range(times):
        damaged, count = whole.copy(), (1, 10, 100)[attempt % 3]
        damaged[rng.integers(0, whole.size, size=count)] = rng.integers(0, 256, size=count)
        path.write_bytes(damaged.tobytes())
        try:
            load_weights(path)
        except InputError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > times // 10


def write_npz(path, weights, naming="torchvision", dtype=np.float32, extra=None, **stated):
    """As ``np.savez`` writes it; `extra` are further arrays, `stated` as well."""
    np.savez(path, **named(weights, naming, dtype) | (extra or {}) | stated)
    return path


def write_safetensors(path, weights, naming="torchvision", dtype=np.float32, extra=None, **stated):
    """As its library writes it; `extra` are further arrays, `stated` the texts of its metadata."""
    arrays = named(weights, naming, dtype) | (extra or {})
    safetensors.numpy.save_file(arrays, path, stated or None)
    return path


def write_matconvnet(
    path, weights, generation="new", compressed=False, mean=None, dtype=np.float32, **others
):
    """A ``.mat`` of the "new" or the "old" generation."""
    layers = []
    for name, (kernel, bias) in weights.items():
        arrays = np.asarray(kernel, dtype), np.asarray(bias, dtype).reshape(1, -1)
        layer = {"name": name, "type": "conv", "pad": np.ones((1, 4)), "stride": np.ones((1, 2))}
        if generation == "new":
            layer["weights"] = cells(*arrays)
        else:
            layer["filters"], layer["biases"] = arrays
        layers += [layer, {"name": name.replace("conv", "relu"), "type": "relu"}]
    normalization = {"imageSize": np.array([[224.0, 224.0, 3.0]]), "keepAspect": True}
    if mean is not None:
        normalization["averageImage"] = np.asarray(mean)
    meta = {"meta": {"normalization": normalization, "classes": {"description": cells("cat", "dog")}}}
    variables = meta if generation == "new" else {"normalization": normalization, "classes": {}}
    variables = {"layers": cells(*layers)} | variables
    scipy.io.savemat(path, variables, do_compression=compressed, oned_as="row")
    return path


def cells(*values):
    """A cell array of one row."""
    row = np.empty((1, len(values)), object)
    row[0, :] = values if len(values) != 1 else None
    if len(values) == 1:
        row[0, 0] = values[0]
    return row


def write_caffe(path, weights, generation="old", name="VGG", **options):
    """A ``.caffemodel`` with layers of the "old" or "new" message; `options` as `blob` has them."""
    layers = [caffe_layer(generation, "data", [])]
    for layer, (kernel, bias) in weights.items():
        bias = bias.reshape(1, 1, 1, -1) if generation == "old" else bias
        blobs = [blob(array, generation, **options) for array in (kernel.transpose(3, 2, 0, 1), bias)]
        layers += [caffe_layer(generation, layer, blobs), caffe_layer(generation, f"relu{layer[4:]}", [])]
    path.write_bytes(field(1, name.encode()) + b"".join(layers))
    return path


def caffe_layer(generation, name, blobs):
    """A field of NetParameter: ``layers`` with V1LayerParameter, or ``layer`` with LayerParameter."""
    if generation == "old":
        blobs = b"".join(field(6, blob) for blob in blobs)
        return field(
            2, field(2, b"bottom") + field(3, b"top") + field(4, name.encode()) + field(5, 4) + blobs
        )
    blobs = b"".join(field(7, blob) for blob in blobs)
    return field(100, field(1, name.encode()) + field(2, b"Convolution") + field(3, b"bottom") + blobs)


def blob(array, generation="new", packed=True, dtype="<f4", with_diff=False):
    """A BlobProto: num, channels, height and width, or a shape, before the numbers."""
    if generation == "old":
        shape = b"".join(field(number, size) for number, size in enumerate(array.shape, start=1))
    else:
        dimensions = b"".join(map(varint, array.shape))
        shape = field(7, field(1, dimensions) if packed else b"".join(field(1, n) for n in array.shape))
    numbers, number = np.ascontiguousarray(array, dtype), 5 if dtype == "<f4" else 8
    diff = field(6, np.zeros(array.size, "<f4").tobytes()) if with_diff else b""
    if packed:
        return shape + field(number, numbers.tobytes()) + diff
    key = varint(number << 3 | (5 if dtype == "<f4" else 1))
    return shape + b"".join(key + value.tobytes() for value in numbers.ravel()) + diff


def field(number, value):
    """A field of Protocol Buffers: an integer, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value):
    """Seven bits a byte, lowest first; the eighth says that more follow."""
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def data_element(kind, data):
    """A data element of MATLAB's format, for files that savemat would not write."""
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matlab_array(array_class, shape, data, name=""):
    """An array of a class, as a data element; `data` are the elements that follow its name."""
    start = data_element(6, struct.pack("<II", array_class, 0))
    start += data_element(5, struct.pack(f"<{len(shape)}i", *shape)) + data_element(1, name.encode())
    return data_element(14, start + data)


def matlab_file(*elements):
    """A file of these variables."""
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x100) + b"IM" + b"".join(elements)

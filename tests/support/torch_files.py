"""PyTorch files: by PyTorch itself, and instruction by instruction, true ones and hostile ones.

A piece is the part of a pickle that leaves one object on the stack; pieces are put together as text is.
"""

import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nnstyle.weights.formats.torch_legacy import MAGIC
from tests.support.tiny import tiny_weights

KINDS = {"e": "Half", "f": "Float", "d": "Double"}  # by NumPy's character
FORMS = ("zip", "legacy")
# Made by `save_fixture` in test_torch_files.py with PyTorch 2.13, from SHORT.
FIXTURES = Path(__file__).parents[1] / "fixtures"
SHORT = tiny_weights(last="conv2_1")

forms = pytest.mark.parametrize("form", FORMS)
# Where torchvision's convolutions are in its list `features`.
NUMBERS = {
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
}


def plain(value, protocol=2):
    """A piece: numbers, texts, and what Python has of containers."""
    return pickle.dumps(value, protocol)[2:-1]  # without PROTO and STOP


def name(text):
    """A piece: something to import, as in ``name("os system")``."""
    return b"c" + text.replace(" ", "\n").encode() + b"\n"


def pieces_tuple(*pieces):
    """A piece: a tuple."""
    return b"(" + b"".join(pieces) + b"t"


def call(function, *pieces):
    """A piece: what a function returns."""
    return name(function) + pieces_tuple(*pieces) + b"R"


def dictionary(items):
    """A piece: an OrderedDict with texts as keys and pieces as values."""
    body = b"".join(plain(key) + piece for key, piece in items.items())
    return call("collections OrderedDict") + b"(" + body + b"u"


def storage(key, count, kind="torch FloatStorage", view=b""):
    """A piece: a storage; `view` is None in the older form."""
    return pieces_tuple(plain("storage"), name(kind), plain(key), plain("cpu"), plain(count), view) + b"Q"


def tensor(storage, offset, shape, strides, function="torch._utils _rebuild_tensor_v2"):
    """A piece: a tensor."""
    arguments = storage, *map(plain, (offset, shape, strides))
    if function.endswith("v2"):
        arguments += b"\x89", call("collections OrderedDict")
    return call(function, *arguments)


def pieces_of(arrays, form, **options):
    """``{name: piece}`` and ``{key: array}`` of named arrays, a storage for each."""
    view = b"N" if form == "legacy" else b""
    pieces, storages = {}, {}
    for key, (label, array) in enumerate(arrays.items()):
        array = storages[str(key)] = np.ascontiguousarray(array)
        strides = tuple(stride // array.itemsize for stride in array.strides)
        kind = f"torch {KINDS[array.dtype.char]}Storage"
        pieces[label] = tensor(storage(str(key), array.size, kind, view), 0, array.shape, strides, **options)
    return pieces, storages


def write(path, form, piece, storages, **options):
    """Write a pickle of one piece and its storages ``{key: array}``; return the path."""
    pickled = b"\x80\x02" + piece + b"."
    (write_zip if form == "zip" else write_legacy)(path, pickled, storages, **options)
    return path


def write_zip(path, pickled, storages, byteorder=b"little", compression=zipfile.ZIP_STORED):
    """The form since PyTorch 1.6."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("vgg/data.pkl", pickled)
        archive.writestr("vgg/version", "3\n")
        if byteorder:
            archive.writestr("vgg/byteorder", byteorder)
        for key, array in storages.items():
            archive.writestr(f"vgg/data/{key}", array.tobytes())


def write_legacy(path, pickled, storages, version=1001, little_endian=True):
    """The older form."""
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"int": 4}}
    parts = [MAGIC, pickle.dumps(version, 2), pickle.dumps(system, 2), pickled]
    parts.append(pickle.dumps(list(storages), 2))
    for array in storages.values():
        parts += [struct.pack("<q", array.size), array.tobytes()]
    path.write_bytes(b"".join(parts))


def torchvision_arrays(weights, architecture="vgg19", dtype=np.float32):
    """The arrays of a VGG as torchvision names and lays them out."""
    arrays = {}
    for number, (kernel, bias) in zip(NUMBERS[architecture], weights.values(), strict=False):
        arrays[f"features.{number}.weight"] = kernel.transpose(3, 2, 0, 1).astype(dtype)
        arrays[f"features.{number}.bias"] = bias.astype(dtype)
    return arrays


def write_torchvision(path, form, weights, architecture="vgg19", **options):
    """A state dict as torchvision has it."""
    pieces, storages = pieces_of(torchvision_arrays(weights, architecture), form)
    return write(path, form, dictionary(pieces), storages, **options)


def write_one(path, form, piece):
    """A file whose state dict is one piece, with a storage of 144 numbers."""
    pieces = dictionary({"features.0.weight": piece})
    return write(path, form, pieces, {"0": np.zeros(144, np.float32)})


def torch_state(torch, weights, dtype="float32"):
    """The state dict of a module of `weights`, named as torchvision's."""
    features = torch.nn.Sequential()
    for number, (kernel, bias) in zip(NUMBERS["vgg19"], weights.values(), strict=False):
        convolution = torch.nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
        convolution.weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
        convolution.bias.data = torch.tensor(bias)
        features.add_module(str(number), convolution)
    return torch.nn.ModuleDict({"features": features}).to(getattr(torch, dtype)).state_dict(keep_vars=True)


def torch_save(torch, path, state, form):
    """PyTorch's own writer, in either form."""
    torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    return path

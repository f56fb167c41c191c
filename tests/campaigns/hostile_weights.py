"""Weights files that nobody should meet: small ones of every format, damaged, and some made to do harm."""

import io
import itertools
import struct
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

from tests.support import weight_files
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg

NUMBERS = 0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
FIXTURES = Path(__file__).parents[1] / "fixtures"


def mutants(rng):
    """(file name, bytes) without end, in turn of each format: `rng` is a NumPy generator."""
    with tempfile.TemporaryDirectory() as folder:
        whole = whole_files(Path(folder))
        made = made_to_harm(Path(folder))
    for number in itertools.count():
        for name, data in whole:
            yield name, damaged(data, rng)
        name, data = made[number % len(made)]
        yield name, data


def whole_files(folder):
    """A small file of each format."""
    weights = tiny_weights(last="conv2_1")
    files = [("keras.h5", write_vgg(folder / "keras.h5", weights).read_bytes())]
    with (
        h5py.File(folder / "latest.h5", "w", libver="latest") as latest,
        h5py.File(folder / "keras.h5") as old,
    ):
        for item in old:
            old.copy(item, latest)
        latest.attrs["backend"] = "tensorflow"
    files.append(("latest.h5", (folder / "latest.h5").read_bytes()))
    names = weight_files.NAMINGS["author"]
    arrays = {}
    for layer, (kernel, bias) in weights.items():
        arrays |= dict(zip(names(layer).split(), (np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), bias)))
    np.savez(folder / "author.npz", **arrays)
    files.append(("author.npz", (folder / "author.npz").read_bytes()))
    files.append(("author.safetensors", weight_files.safetensors.numpy.save(arrays)))
    for path in sorted(FIXTURES.glob("*")):
        if path.suffix in (".pth", ".keras"):
            files.append((path.name, path.read_bytes()))
    return files


def damaged(data, rng):
    """A file with bytes changed, numbers made huge, a piece cut out, or its end missing."""
    data = bytearray(data)
    kind = rng.integers(4)
    for _ in range(rng.integers(1, 9)):
        place = int(rng.integers(len(data)))
        if kind == 0:
            data[place] = rng.integers(256)
        elif kind == 1:
            number = NUMBERS[rng.integers(len(NUMBERS))]
            data[place : place + 8] = struct.pack("<Q", number)[: len(data[place : place + 8])]
        elif kind == 2:
            del data[place : place + int(rng.integers(1, 64))]
        else:
            del data[place:]
        if not data:
            return b"\0"
    return bytes(data)


def made_to_harm(folder):
    """Files that would read others, or fill the memory."""
    makers = external, virtual, linked, many_texts, chunk_bomb
    files = [(f"{maker.__name__}.h5", hdf5(folder, maker)) for maker in makers]
    return [*files, ("header.npz", npz_bomb())]


def hdf5(folder, maker):
    """The bytes of an HDF5 file whose first layer a function writes."""
    path = folder / f"{maker.__name__}.h5"
    write_vgg(path, tiny_weights(last="conv2_1"))
    with h5py.File(path, "a") as file:
        group = file["block1_conv1"]
        (bias,) = [name for name in group if "b_1" in name or "bias" in name]
        maker(file, group, bias)
    return path.read_bytes()


def external(file, group, bias):
    """The bias is in a file of the system."""
    shape = group[bias].shape
    del group[bias]
    group.create_dataset(bias, shape, "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual(file, group, bias):
    """The bias is made of itself."""
    shape = group[bias].shape
    layout = h5py.VirtualLayout(shape, "f4")
    layout[:] = h5py.VirtualSource(".", f"{group.name}/{bias}", shape)
    del group[bias]
    group.create_virtual_dataset(bias, layout)


def linked(file, group, bias):
    """The bias is in another file."""
    del group[bias]
    group[bias] = h5py.ExternalLink("/etc/passwd", "x")


def many_texts(file, group, bias):
    """The name is one text, thousands of times."""
    file.attrs["name"] = np.array(["x" * 2000] * 500, dtype=h5py.string_dtype())


def chunk_bomb(file, group, bias):
    """Of the bias, nothing is in the file but its size."""
    shape = group[bias].shape
    del group[bias]
    group.create_dataset(bias, shape, "f4", maxshape=(None,), chunks=(1 << 28,), compression="gzip")


def npz_bomb():
    """A header that is said to have 4 GB, and would compress to nothing."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "conv1_1.weight.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 0xFFFFFFF0) + b" " * 100_000
        )
    return memory.getvalue()

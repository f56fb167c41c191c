"""Weights files that nobody should meet: small ones of every format, damaged, and some made to do harm."""

import io
import itertools
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np

from tests.support import torch_files, vgg_files, weight_files
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
            _, other = whole[rng.integers(len(whole))]
            yield name, damaged(data, other, rng)
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
    with h5py.File(folder / "gzip.h5", "w") as compressed, h5py.File(folder / "keras.h5") as old:
        old.visititems(lambda name, item: copy_compressed(compressed, name, item))
    vgg_files.zip_as_keras(folder / "zip.keras", vgg_files.write_keras_3(folder / "keras3.h5", weights))
    weight_files.write_caffe(folder / "old.caffemodel", weights)
    weight_files.write_caffe(folder / "new.caffemodel", weights, "new", packed=False)
    weight_files.write_matconvnet(folder / "new.mat", weights, mean=[1.0, 2.0, 3.0])
    weight_files.write_matconvnet(folder / "old.mat", weights, "old", compressed=True)
    torch_files.write_torchvision(folder / "torchvision.pth", "zip", weights)
    torch_files.write_torchvision(folder / "legacy.pth", "legacy", weights)
    names = "latest.h5", "gzip.h5", "zip.keras", "keras3.h5", "old.caffemodel", "new.caffemodel"
    names += "new.mat", "old.mat", "torchvision.pth", "legacy.pth"
    files += [(name, (folder / name).read_bytes()) for name in names]
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


def copy_compressed(file, name, item):
    """Copy a dataset, compressed."""
    if isinstance(item, h5py.Dataset):
        file.create_dataset(name, data=item[()], chunks=item.shape, compression="gzip", shuffle=True)


def damaged(data, other, rng):
    """A file with bytes changed, numbers made huge, a piece cut out or taken from another, or its end missing."""
    data = bytearray(data)
    kind = rng.integers(5)
    for _ in range(rng.integers(1, 9)):
        place = int(rng.integers(len(data)))
        if kind == 0:
            data[place] = rng.integers(256)
        elif kind == 1:
            number = NUMBERS[rng.integers(len(NUMBERS))]
            data[place : place + 8] = struct.pack("<Q", number)[: len(data[place : place + 8])]
        elif kind == 2:
            del data[place : place + int(rng.integers(1, 64))]
        elif kind == 3:
            start, size = int(rng.integers(len(other))), int(rng.integers(1, 2000))
            data[place : place + int(rng.integers(64))] = other[start : start + size]
        else:
            del data[place:]
        if not data:
            return b"\0"
    return bytes(data)


def made_to_harm(folder):
    """Files that would read others, or fill the memory."""
    makers = external, virtual, linked, many_texts, chunk_bomb, deflate_bomb, large_chunk, long_names
    files = [(f"{maker.__name__}.h5", hdf5(folder, maker)) for maker in makers]
    return [
        *files,
        ("hang.h5", (FIXTURES / "h5_hang.h5").read_bytes()),
        ("header.npz", npz_bomb()),
        ("bzip2.npz", archive(1, zipfile.ZIP_BZIP2)),
        ("members.npz", archive(20_000)),
        ("header.safetensors", struct.pack("<Q", 1 << 25) + b"{" + b" " * (1 << 25)),
        ("names.mat", mat_of_many_names()),
        (
            "variables.mat",
            weight_files.matlab_file(*[weight_files.matlab_array(1, (0, 0), b"", "x")] * 50_000),
        ),
        ("fields.caffemodel", weight_files.caffe_layer("new", "dropout", []) * 200_000),
        ("axes.caffemodel", caffe_of_many_axes()),
        ("pickle.pth", pickle_of_many_instructions()),
    ]


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


def deflate_bomb(file, group, bias):
    """Of the bias's few numbers, 32 KB are in the file, compressed to some bytes."""
    keep_compressed(group, bias, zlib.compress(bytes(1 << 15), 9))


def large_chunk(file, group, bias):
    """Of the bias's few numbers, 60 kB are in the file."""
    keep_compressed(group, bias, bytes(60_000))


def long_names(file, group, bias):
    """Names of 100 KB, before a thousand of one array."""
    array = group[bias]
    for _ in range(3):
        group = group.create_group("x" * 30_000)
    for number in range(1000):
        group[str(number)] = array


def keep_compressed(group, bias, data):
    """Put these bytes where the bias's compressed numbers belong."""
    shape = group[bias].shape
    del group[bias]
    group.create_dataset(bias, shape, "f4", chunks=shape, compression="gzip")
    group[bias].id.write_direct_chunk((0,), data)


def npz_bomb():
    """A header that is said to have 4 GB, and would compress to nothing."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "conv1_1.weight.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 0xFFFFFFF0) + b" " * 100_000
        )
    return memory.getvalue()


def archive(members, compression=zipfile.ZIP_STORED):
    """A .npz of so many arrays that are none."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", compression) as file:
        for number in range(members):
            file.writestr(f"{number}.npy", b" " * 8)
    return memory.getvalue()


def mat_of_many_names():
    """A struct of 20 million fields, in 20 KB."""
    length, names = struct.pack("<i", 1), bytes(20_000_000)
    names = weight_files.data_element(5, length) + weight_files.data_element(1, names)
    data = zlib.compress(weight_files.matlab_array(2, (1, 1), names, "net"), 9)
    return weight_files.matlab_file(struct.pack("<II", 15, len(data)) + data)


def caffe_of_many_axes():
    """A kernel of a million axes."""
    blob = weight_files.field(7, weight_files.field(1, b"\1" * 1_000_000))
    return weight_files.caffe_layer("new", "conv1_1", [blob, blob])


def pickle_of_many_instructions():
    """Lists within lists, in one pickle of almost 1 MB."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as file:
        file.writestr("x/data.pkl", b"\x80\x02" + b"]" * 500_000 + b"a" * 499_999 + b".")
    return memory.getvalue()

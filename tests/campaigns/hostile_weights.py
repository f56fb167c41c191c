"""Weights files that nobody should meet: small ones of every format, damaged, and some made to do harm."""

import functools
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
# Of the parts of a new HDF5 file that have a checksum at their end.
SIGNATURES = b"\x89HDF", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"BTHD", b"BTLF", b"FAHD", b"FADB"
LONGEST_SECTION, MASK = 600, 0xFFFFFFFF  # bytes, 32 bits
FIXTURES = Path(__file__).parents[1] / "fixtures"


def mutants(rng):
    """(file name, bytes) without end, in turn of each format: `rng` is a NumPy generator."""
    with tempfile.TemporaryDirectory() as folder:
        whole = whole_files(Path(folder))
        made = made_to_harm(Path(folder))
    for number in itertools.count():
        for name, data in whole:
            _, other = whole[rng.integers(len(whole))]
            yield (
                name,
                damaged_inside(data, other, rng)
                if zipfile.is_zipfile(io.BytesIO(data))
                else damaged(data, other, rng),
            )
        name, data = made[number % len(made)]
        yield name, data


def whole_files(folder):
    """A small file of each format."""
    weights = tiny_weights(last="conv2_1")
    files = [("keras.h5", write_vgg(folder / "keras.h5", weights).read_bytes())]
    for name, options in (("gzip.h5", {}), ("latest.h5", {"libver": "latest"})):
        with h5py.File(folder / "keras.h5") as old, h5py.File(folder / name, "w", **options) as file:
            old.visititems(lambda name, item: copy_compressed(file, name, item))
            file.attrs["backend"] = "tensorflow"
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
    """Copy a group, or a dataset and compress it."""
    if isinstance(item, h5py.Dataset):
        chunks = (*item.shape[:-1], 2)
        file.create_dataset(name, data=item[()], chunks=chunks, compression="gzip", shuffle=True)
    else:
        file.require_group(name)


def damaged_inside(data, other, rng):
    """An archive of which a member is damaged, with the checksum that belongs to it; or one damaged as a whole."""
    if rng.integers(4) == 0:
        return damaged(data, other, rng)
    memory = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as whole, zipfile.ZipFile(memory, "w") as archive:
        members = whole.infolist()
        damaged_one = members[rng.integers(len(members))]
        for member in members:
            content = whole.read(member)
            archive.writestr(member, damaged(content, other, rng) if member is damaged_one else content)
    return memory.getvalue()


def damaged(data, other, rng):
    """A file with bytes changed, numbers made huge, a piece cut out or taken from another, or its end missing."""
    sections, data = sections_of(bytes(data)), bytearray(data)
    kind = rng.integers(7)
    for _ in range(rng.integers(1, 9)):
        place = int(rng.integers(len(data)))
        if sections and kind < 4 and rng.integers(4):
            place = int(rng.integers(*sections[rng.integers(len(sections))]))
        if kind == 0:
            data[place] = rng.integers(256)
        elif kind == 1:
            number, size = NUMBERS[rng.integers(len(NUMBERS))], 1 << int(rng.integers(4))
            size = min(size, len(data) - place)
            data[place : place + size] = struct.pack("<Q", number)[:size]
        elif kind == 2:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 3:
            data[place] = (data[place] + int(rng.choice([-1, 1]))) % 256
        elif kind == 4:
            del data[place : place + int(rng.integers(1, 64))]
        elif kind == 5:
            start, size = int(rng.integers(len(other))), int(rng.integers(1, 2000))
            data[place : place + int(rng.integers(64))] = other[start : start + size]
        else:
            del data[place:]
        if not data:
            return b"\0"
    if kind < 4:  # nothing has moved
        for start, end in sections:
            data[end : end + 4] = struct.pack("<I", lookup3(data[start:end]))
    return bytes(data)


@functools.cache
def sections_of(data):
    """Where a new HDF5 file describes itself, with a checksum after each part: (start, end) of all."""
    found = []
    for signature in SIGNATURES if data.startswith(SIGNATURES[0]) else ():
        start = data.find(signature)
        while start >= 0:
            ends = range(start + 8, min(start + LONGEST_SECTION, len(data) - 4))
            found += [(start, end) for end in ends if is_checksum(data, start, end)][:1]
            start = data.find(signature, start + 1)
    return found


def is_checksum(data, start, end):
    """Whether a checksum stands there; 0 is taken for none."""
    stored = bytes(data[end : end + 4])
    return stored != bytes(4) and struct.unpack("<I", stored)[0] == lookup3(data[start:end])


def lookup3(data):
    """HDF5's checksum: lookup3 by Bob Jenkins (public domain), with seed 0."""
    a = b = c = 0xDEADBEEF + len(data) & MASK
    count = -(-len(data) // 12)
    words = struct.unpack(f"<{3 * count}I", bytes(data).ljust(12 * count, b"\0"))
    for number in range(count):
        a, b, c = (sum(pair) & MASK for pair in zip((a, b, c), words[3 * number :]))
        if number < count - 1:
            for shift in (4, 6, 8, 16, 19, 4):
                a, c = (a - c ^ turned(c, shift)) & MASK, c + b & MASK
                a, b, c = b, c, a
    for shift in (14, 11, 25, 16, 4, 14, 24):
        c = (c ^ b) - turned(b, shift) & MASK
        a, b, c = b, c, a
    return b


def turned(word, shift):
    """32 bits, moved around."""
    return word << shift & MASK | word >> 32 - shift


def made_to_harm(folder):
    """Files that would read others, or fill the memory."""
    makers = (
        external,
        virtual,
        linked,
        many_texts,
        chunk_bomb,
        deflate_bomb,
        large_chunk,
        long_names,
        many_chunks,
    )
    files = [(f"{maker.__name__}.h5", hdf5(folder, maker)) for maker in makers]
    return [
        *files,
        ("hang.h5", (FIXTURES / "h5_hang.h5").read_bytes()),
        ("header.npz", npz_bomb()),
        ("zeros.npz", npz_of_zeros()),
        ("python2.npz", npz_of_header("{'descr': '<f4', 'fortran_order': False, 'shape': (4L,)}")),
        ("parser.npz", npz_of_header("-" * 60_000 + "1")),
        ("name.npz", npz_of_header("{}", "\x1b[2J" + "x" * 60_000 + ".conv1_1.weight")),
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
        ("inflates.mat", mat_that_inflates()),
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


def many_chunks(file, group, bias):
    """A network of one layer, whose kernel is in 54,000 pieces."""
    file.clear()
    file.create_dataset("block1_conv1/W", (3, 3, 3, 2000), "f4", chunks=(1, 1, 1, 1), compression="gzip")
    file.create_dataset("block1_conv1/b", (2000,), "f4")


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


def npz_of_header(header, name="conv1_1.weight"):
    """A .npz of an array that is nothing but a header."""
    memory, data = io.BytesIO(), header.encode()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", len(data)) + data)
    return memory.getvalue()


def npz_of_zeros():
    """A network of 29 MB in 29 KB."""
    memory = io.BytesIO()
    arrays = {"conv1_1.weight": np.zeros((900, 3, 3, 3), np.float32)}
    arrays["conv1_2.weight"] = np.zeros((900, 900, 3, 3), np.float32)
    np.savez_compressed(memory, **arrays | {f"conv1_{n}.bias": np.zeros(900, np.float32) for n in (1, 2)})
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


def mat_that_inflates():
    """Sixty arrays of a kind that is passed over, of 64 MB each, in 4 MB."""
    size = 1 << 26
    array = weight_files.matlab_array(5, (1, 1), weight_files.data_element(9, bytes(size)))
    data = zlib.compress(array, 1)
    return weight_files.matlab_file(*[struct.pack("<II", 15, len(data)) + data] * 60)


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

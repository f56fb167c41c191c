"""A weights file reads nothing else, and takes no memory that is not in it."""

import os
import pickle
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib

import numpy as np
import pytest

from nnstyle import InputError, load_weights
from nnstyle.weights import download, loading, trial
from nnstyle.weights.formats import matlab5
from nnstyle.weights.formats.contents import StoredArray
from nnstyle.weights.known import KNOWN
from tests.campaigns import hostile_weights
from tests.support import torch_files
from tests.support.command import ENVIRONMENT
from tests.support.patience import PATIENCE
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg
from tests.support.weight_files import (
    CONVOLUTIONS,
    assert_refused,
    caffe_layer,
    data_element,
    field,
    matlab_array,
    matlab_file,
)

HARMFUL_HDF5 = [
    (hostile_weights.external, "is kept in other files, which are not read"),
    (hostile_weights.virtual, "is kept in other files, which are not read"),
    (hostile_weights.linked, "conv1_1 lacks its /block1_conv1/block1_conv1_b_1:0"),
    (hostile_weights.many_texts, "its name should be a text or a few numbers"),
    (hostile_weights.chunk_bomb, "claims 1073 MB, and far less is in the file"),
    (hostile_weights.deflate_bomb, "a compressed part of it holds more than it should"),
    (hostile_weights.large_chunk, "holds more than it should"),
    (hostile_weights.long_names, "or longer names"),
    (hostile_weights.many_chunks, "in far more pieces than are read here"),
]


@pytest.mark.parametrize(("maker", "words"), HARMFUL_HDF5)
def test_an_hdf5_file_that_would_do_harm_is_refused(tmp_path, maker, words):
    path = tmp_path / "x.h5"
    path.write_bytes(hostile_weights.hdf5(tmp_path, maker))
    with pytest.raises(InputError, match=words):
        load_weights(path)


# Does what the other process does for each file, and prints the most memory that it had meanwhile.
READ_AND_MEASURE = """
import sys
from nnstyle.benchmark.peak import peak_so_far
from nnstyle.weights import trial
from tests.campaigns.worker import reset_peak
for path in sys.argv[1:]:
    reset_peak()
    trial.main(path, "60")
    print(peak_so_far(), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a peak can be forgotten only there")
def test_no_hdf5_file_takes_much_memory_of_the_process_that_reads_it(tmp_path):
    """The HDF5 library has memory of its own, of which Python knows nothing."""
    weights = tiny_weights(last="conv2_1")
    paths = [write_vgg(tmp_path / f"intact{number}.h5", weights) for number in range(2)]
    for number, (maker, _) in enumerate(HARMFUL_HDF5):
        paths.append(tmp_path / f"{number}.h5")
        paths[-1].write_bytes(hostile_weights.hdf5(tmp_path, maker))
    command = [sys.executable, "-c", READ_AND_MEASURE, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, timeout=PATIENCE, check=True)
    _, intact, *harmful = map(int, done.stderr.split())
    assert done.stdout.count(trial.BEGUN) == len(paths)
    for (maker, words), peak in zip(HARMFUL_HDF5, harmful, strict=True):
        assert words.encode() in done.stdout
        assert peak < intact + 30_000_000, maker.__name__


def test_arrays_of_which_nothing_is_in_the_file_are_refused(tmp_path):
    """Sixteen kernels of 60 MB each, in 27 KB, took 1 GB."""
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("block1_conv1/W", (3, 3, 3, 1300), "f4")
        file.create_dataset("block1_conv2/W", (3, 3, 1300, 1300), "f4")
        for number in (1, 2):
            file.create_dataset(f"block1_conv{number}/b", (1300,), "f4")
    with pytest.raises(InputError, match="claims 60 MB, and far less is in the file"):
        load_weights(tmp_path / "x.h5")


def test_a_network_of_more_than_a_gigabyte_is_refused():
    layers, channels = {}, 3
    for name in CONVOLUTIONS["vgg19"]:
        layers[name] = StoredArray((3, 3, channels, 2048), np.zeros), StoredArray((2048,), np.zeros)
        channels = 2048
    with pytest.raises(InputError, match="far more than a VGG's"):
        loading.check_shapes(layers)


def test_filters_that_are_not_known_are_refused(tmp_path):
    import h5py

    path = write_vgg(tmp_path / "x.h5", tiny_weights())
    with h5py.File(path, "a") as file:
        del file["block1_conv1/block1_conv1_b_1:0"]
        file["block1_conv1"].create_dataset(
            "b", data=np.zeros(4, "f4"), chunks=(4,), scaleoffset=3, compression="gzip"
        )
    with pytest.raises(InputError, match="compressed in a way that is not read here"):
        load_weights(path)


def test_an_npz_is_not_inflated_in_ways_that_know_no_bound(tmp_path):
    import zipfile

    for kind in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "x.npz", "w", kind) as archive:
            archive.writestr("conv1_1.weight.npy", b"")
        with pytest.raises(InputError, match="compressed in a way that NumPy does not write"):
            load_weights(tmp_path / "x.npz")


def test_an_archive_of_very_many_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "MOST_MEMBERS", 10)
    names = [f"{number}" for number in range(11)]
    np.savez(tmp_path / "x.npz", **dict.fromkeys(names, np.zeros(1)))
    with pytest.raises(InputError, match="far more members than a network needs"):
        load_weights(tmp_path / "x.npz")


def test_a_safetensors_file_of_long_names_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes((1 << 23).to_bytes(8, "little") + b"{" + b" " * (1 << 23))
    with pytest.raises(InputError, match="its header is said to have 8388608 bytes"):
        load_weights(tmp_path / "x.safetensors")


def test_a_caffemodel_of_many_axes_is_refused(tmp_path):
    shape = field(7, field(1, b"\1" * 1000))
    (tmp_path / "x.caffemodel").write_bytes(caffe_layer("new", "conv1_1", [shape, shape]))
    with pytest.raises(InputError, match="far more axes"):
        load_weights(tmp_path / "x.caffemodel")


def test_a_mat_of_many_variables_is_refused(tmp_path):
    variable = matlab_array(1, (0, 0), b"", "x")
    (tmp_path / "x.mat").write_bytes(matlab_file(*[variable] * 10_001))
    with pytest.raises(InputError, match="more variables"):
        load_weights(tmp_path / "x.mat")


def test_long_names_are_refused(tmp_path):
    import h5py

    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("x" * 2000)
    with pytest.raises(InputError, match="or longer names"):
        load_weights(tmp_path / "x.h5")


def test_a_header_is_not_read_before_its_length_is_looked_at(tmp_path):
    (tmp_path / "x.npz").write_bytes(hostile_weights.npz_bomb())
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="no header can be read.*4294967280 bytes"):
            load_weights(tmp_path / "x.npz")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"compression": "lzf", "shuffle": True},
    ],
)
def test_chunks_and_compression_as_keras_writes_them_are_read(tmp_path, options):
    import h5py

    path = write_vgg(tmp_path / "x.h5", tiny_weights())
    expected = load_weights(path)
    with h5py.File(path, "a") as file:
        group = file["block1_conv1"]
        for name in list(group):
            values = group[name][()]
            del group[name]
            group.create_dataset(name, data=values, chunks=values.shape, **options)
    np.testing.assert_array_equal(load_weights(path)["conv1_1"][0], expected["conv1_1"][0])


def test_a_pipe_in_the_cache_or_as_a_path_is_not_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("NNSTYLE_CACHE", str(tmp_path))
    os.mkfifo(tmp_path / KNOWN["vgg16"].file)
    began = time.monotonic()
    with pytest.raises(InputError, match="cannot be downloaded"):
        load_weights("vgg16")
    with pytest.raises(InputError, match="there is no weights file"):
        load_weights(tmp_path / KNOWN["vgg16"].file)
    assert time.monotonic() - began < 30


def test_a_download_ends_as_soon_as_it_is_too_large():
    for disable in (True, None):
        with download.Bar(total=1000, disable=disable) as bar:
            bar.most = 1000
            bar.update(download.CHUNK)
            bar.update(1000)
            with pytest.raises(ValueError):
                bar.update(1)


def test_a_caffemodel_has_one_budget_of_fields(tmp_path):
    """60 MB of layers, each within the limit, took 24 s."""
    layer = b"\x0a\x07dropout" + b"\x10\x00" * 60_000  # its name, and then an unknown number
    size = bytes([len(layer) & 127 | 128, len(layer) >> 7 & 127 | 128, len(layer) >> 14])
    (tmp_path / "x.caffemodel").write_bytes((b"\xa2\x06" + size + layer) * 3)
    with pytest.raises(InputError, match="more than 100000 fields"):
        load_weights(tmp_path / "x.caffemodel")


def test_a_mat_of_millions_of_field_names_is_refused(tmp_path):
    def element(kind, data):
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    for names in (1_000_000, 20_000_000):
        struct_array = (
            element(6, struct.pack("<II", 2, 0))  # the flags of a struct
            + element(5, struct.pack("<ii", 1, 1))
            + element(1, b"net")
            + element(5, struct.pack("<i", 1))  # the length of a field's name
            + element(1, b"\0" * names)
        )
        variable = element(15, zlib.compress(element(14, struct_array), 9))
        variable = struct.pack("<II", 15, len(variable) - 8) + variable[8:]
        header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
        (tmp_path / "x.mat").write_bytes(header + variable)
        tracemalloc.start()
        try:
            with pytest.raises(InputError, match="more than 1 MB|more fields than a network's file"):
                load_weights(tmp_path / "x.mat")
            assert tracemalloc.get_traced_memory()[1] < 20_000_000
        finally:
            tracemalloc.stop()


def test_a_pickle_of_a_million_instructions_is_refused(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02" + b")0" * 500_000 + b").")
    with pytest.raises(InputError, match="far more instructions|pickle"):
        load_weights(tmp_path / "x.pth")


def test_an_npz_of_zeros_is_refused(tmp_path):
    """A network of 1 GB in 1 MB."""
    (tmp_path / "x.npz").write_bytes(hostile_weights.npz_of_zeros())
    tracemalloc.start()
    try:
        assert_refused(tmp_path / "x.npz", "claims 29 MB, and far less is in the file")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_a_header_that_python_2_wrote_is_no_warning(tmp_path):
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (4L,)}"
    (tmp_path / "x.npz").write_bytes(hostile_weights.npz_of_header(header))
    assert_refused(tmp_path / "x.npz", "its header tells of")  # a warning would be an error


def test_a_header_that_nests_deep_is_damage_and_no_lack_of_memory(tmp_path):
    for header in ("-" * 9000 + "1", "-" * 2000 + "1", "(" * 2000, "1" + "+1j" * 600):
        (tmp_path / "x.npz").write_bytes(hostile_weights.npz_of_header(header))
        assert_refused(tmp_path / "x.npz", "no header can be read")


def test_the_names_in_a_file_do_not_reach_the_terminal_as_they_are(tmp_path):
    """Nor does a name of 60,000 letters; a .safetensors had one of 3 MB."""
    for name in ("\x1b[2J\n.conv1_1.weight", "x" * 60_000 + ".conv1_1.weight"):
        (tmp_path / "x.npz").write_bytes(hostile_weights.npz_of_header(KERNEL, name))
        with pytest.raises(InputError) as refusal:
            load_weights(tmp_path / "x.npz")
        assert str(refusal.value).isprintable()
        assert len(str(refusal.value)) < 700 + len(str(tmp_path))


KERNEL = "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3, 3, 3)}"


def test_what_a_mat_inflates_has_one_budget(tmp_path, monkeypatch):
    """A file of 16 MB took 43 s: every array that is passed over is inflated."""
    monkeypatch.setattr(matlab5, "MOST_INFLATED", 1 << 22)
    array = matlab_array(5, (1, 1), data_element(9, bytes(1 << 20)))
    data = zlib.compress(array)
    (tmp_path / "x.mat").write_bytes(matlab_file(*[struct.pack("<II", 15, len(data)) + data] * 3))
    assert_refused(tmp_path / "x.mat", "no layer called conv1_1")
    (tmp_path / "x.mat").write_bytes(matlab_file(*[struct.pack("<II", 15, len(data)) + data] * 5))
    assert_refused(tmp_path / "x.mat", "become far more than a network")


def test_numbers_that_lie_far_apart_are_not_read(tmp_path):
    """In a file of holes; one of 12 GB took 5 GB."""
    far = 1 << 27
    storage = torch_files.storage("0", 4 * far, view=b"N")
    pieces = {
        "features.0.weight": torch_files.tensor(storage, 0, (4, 3, 3, 3), (far, 9, 3, 1)),
        "features.0.bias": torch_files.tensor(storage, 0, (4,), (1,)),
    }
    path = torch_files.write(tmp_path / "x", "legacy", torch_files.dictionary(pieces), {})
    data = path.read_bytes().replace(pickle.dumps([], 2), pickle.dumps(["0"], 2))
    path.write_bytes(data + struct.pack("<q", 4 * far))
    os.truncate(path, path.stat().st_size + 4 * 4 * far)
    assert_refused(path, "numbers lie far apart")

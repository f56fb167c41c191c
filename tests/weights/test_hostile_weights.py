"""A weights file reads nothing else, and takes no memory that is not in it."""

import os
import time
import tracemalloc

import numpy as np
import pytest

from nnstyle import InputError, load_weights
from nnstyle.weights import download
from nnstyle.weights.known import KNOWN
from tests.campaigns import hostile_weights
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg


@pytest.mark.parametrize(
    ("maker", "words"),
    [
        (hostile_weights.external, "is kept in other files, which are not read"),
        (hostile_weights.virtual, "is kept in other files, which are not read"),
        (hostile_weights.linked, "conv1_1 lacks its /block1_conv1/block1_conv1_b_1:0"),
        (hostile_weights.many_texts, "its name should be a text or a few numbers"),
        (hostile_weights.chunk_bomb, "claims 1073 MB, and far less is in the file"),
    ],
)
def test_an_hdf5_file_that_would_do_harm_is_refused(tmp_path, maker, words):
    path = tmp_path / "x.h5"
    path.write_bytes(hostile_weights.hdf5(tmp_path, maker))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=words):
            load_weights(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


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


def test_chunks_and_compression_as_keras_writes_them_are_read(tmp_path):
    import h5py

    path = write_vgg(tmp_path / "x.h5", tiny_weights())
    expected = load_weights(path)
    with h5py.File(path, "a") as file:
        group = file["block1_conv1"]
        for name in list(group):
            values = group[name][()]
            del group[name]
            group.create_dataset(name, data=values, chunks=values.shape, compression="gzip")
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
    import struct
    import zlib

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

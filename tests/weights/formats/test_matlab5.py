"""What is not in MATLAB's format, or asks for more than any network, is refused."""

import struct
import zlib

import numpy as np
import pytest
import scipy.io

from nnstyle import InputError, load_weights
from nnstyle.weights.formats import streams
from nnstyle.weights.formats.matlab5 import read_variables
from tests.support.tiny import tiny_weights
from tests.support.weight_files import (
    assert_refused,
    assert_same,
    damage,
    data_element,
    matlab_array,
    matlab_file,
    write_matconvnet,
)

WEIGHTS = tiny_weights(last="conv1_2")
CELL, STRUCT, TEXT, DOUBLE, SPARSE, FUNCTION = 1, 2, 4, 6, 5, 16


def read(path, *elements):
    """What a file of these elements has as ``net``."""
    path.write_bytes(matlab_file(*elements))
    return read_variables(path, ("net",)).get("net")


def packed(element):
    """An element, compressed."""
    data = zlib.compress(element)
    return struct.pack("<II", 15, len(data)) + data


@pytest.mark.parametrize("wrap", [bytes, packed], ids=["plain", "compressed"])
def test_values_of_every_kind(tmp_path, wrap):
    numbers = matlab_array(DOUBLE, (1, 2), data_element(9, np.float64([1, 2]).tobytes()))
    short = struct.pack("<HH4s", 4, 4, "hi".encode("utf-16-le"))  # a small element, inside its tag
    texts = matlab_array(TEXT, (1, 2), short) + matlab_array(TEXT, (1, 1), data_element(16, "é".encode()))
    nothing = (
        data_element(14, b"") + matlab_array(SPARSE, (1, 1), b"?" * 8) + matlab_array(FUNCTION, (1, 1), b"")
    )
    value = read(tmp_path / "x", wrap(matlab_array(CELL, (1, 6), numbers + texts + nothing, "net")))
    assert value[0].read().tolist() == [[1, 2]] and value[1:] == ["hi", "é", None, None, None]


def test_whole_numbers_may_be_stored_as_bytes(tmp_path):
    found = read(tmp_path / "x", matlab_array(DOUBLE, (1, 4), data_element(2, b"\1\2\3\4"), "net"))
    assert found.is_floating and found.read().tolist() == [[1, 2, 3, 4]]


def test_other_variables_are_passed_over(tmp_path):
    other = data_element(14, data_element(6, struct.pack("<II", FUNCTION, 0)) + b"whatever")
    text = matlab_array(TEXT, (1, 1), data_element(16, b"a"), "net")
    again = matlab_array(TEXT, (1, 1), data_element(16, b"b"), "net")
    assert (
        read(tmp_path / "x", other, matlab_array(TEXT, (1, 1), b"?" * 8, "x"), text, packed(other), again)
        == "a"
    )


def test_a_struct_without_fields_or_elements(tmp_path):
    for shape, names in (((1, 1), b""), ((0, 0), b"name\0\0\0\0"), ((2**30, 2**30), b"")):
        fields = data_element(5, struct.pack("<i", 8)) + data_element(1, names)
        assert read(tmp_path / "x", matlab_array(STRUCT, shape, fields, "net")) is None


FIELDS = data_element(5, struct.pack("<i", 2)) + data_element(1, b"a\0")
DAMAGED = "does not follow MATLAB's format"


@pytest.mark.parametrize(
    ("element", "words"),
    [
        (data_element(9, bytes(8)), DAMAGED),
        (packed(data_element(9, bytes(8))), DAMAGED),
        (data_element(14, b""), DAMAGED),
        (data_element(14, data_element(6, bytes(4))), DAMAGED),
        (matlab_array(DOUBLE, (1, 2), data_element(9, bytes(8)), "net"), DAMAGED),
        (matlab_array(DOUBLE, (1, 2), data_element(99, bytes(16)), "net"), DAMAGED),
        (matlab_array(DOUBLE, (-1, -1), data_element(9, bytes(8)), "net"), DAMAGED),
        (matlab_array(DOUBLE, (1,), data_element(9, bytes(8)), "net"), DAMAGED),
        (matlab_array(DOUBLE, (1,) * 33, data_element(9, bytes(8)), "net"), DAMAGED),
        (matlab_array(DOUBLE, (2**31 - 1,) * 9, data_element(9, bytes(8)), "net"), DAMAGED),
        (matlab_array(DOUBLE, (1, 1), struct.pack("<II", 9, 2**32 - 1), "net"), DAMAGED),
        (matlab_array(DOUBLE, (1, 1), struct.pack("<HHI", 9, 8, 0), "net"), DAMAGED),
        (matlab_array(TEXT, (1, 1), data_element(9, bytes(8)), "net"), DAMAGED),
        (matlab_array(CELL, (1, 1), data_element(9, bytes(8)), "net"), DAMAGED),
        (matlab_array(CELL, (1, 1), struct.pack("<II", 14, 2**32 - 1), "net"), DAMAGED),
        (matlab_array(CELL, (2**31 - 1,) * 3, b"", "net"), DAMAGED),
        (matlab_array(STRUCT, (2**31 - 1,) * 3, FIELDS, "net"), DAMAGED),
        (matlab_array(STRUCT, (1, 1), FIELDS, "net"), DAMAGED),
        (matlab_array(CELL, (1, 200_000), data_element(14, b"") * 200_000, "net"), "nests more arrays"),
        (struct.pack("<II", 15, 2) + b"ab", "cannot be inflated"),
        (struct.pack("<II", 15, 0), "in the middle of a variable"),
        (struct.pack("<II", 14, 100), "in the middle of a variable"),
        (b"abc", "in the middle of a variable"),
    ],
    ids=range(23),
)
def test_what_does_not_follow_the_format(tmp_path, element, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path / "x", element)


def test_deep_nesting(tmp_path):
    """100,000 cells in one another end a process that uses scipy.io.loadmat."""
    starts, size = [], 0
    for name in [b""] * 100_000 + [b"net"]:
        start = data_element(6, struct.pack("<II", CELL, 0)) + data_element(5, struct.pack("<ii", 1, 1))
        start += data_element(1, name)
        size += len(start)
        starts.append(struct.pack("<II", 14, size) + start)
        size += 8
    with pytest.raises(InputError, match="nests more arrays, or deeper"):
        read(tmp_path / "x", b"".join(reversed(starts)))


def test_more_than_a_network_needs_is_not_inflated(tmp_path, monkeypatch):
    path = tmp_path / "x.mat"
    write_matconvnet(path, {"conv1_1": (np.zeros((3, 3, 3, 2000)), np.zeros(2000))}, compressed=True)
    assert not load_weights(path)["conv1_1"][0].any()
    monkeypatch.setattr(streams, "MOST_KEPT", 200_000)
    assert_refused(path, "far larger kernels than a VGG")


def test_a_checksum_that_is_wrong(tmp_path):
    text = matlab_array(TEXT, (1, 1), data_element(16, b"a"), "net")
    assert read(tmp_path / "x", packed(text)) == "a"
    wrong = packed(text)[:-1] + bytes([packed(text)[-1] ^ 1])
    with pytest.raises(InputError, match="cannot be inflated"):
        read(tmp_path / "x", wrong)


def test_a_stream_that_lacks_its_end(tmp_path):
    data = zlib.compress(matlab_array(TEXT, (1, 1), data_element(16, b"a"), "net"))[:-4]
    with pytest.raises(InputError, match="in the middle of a variable"):
        read(tmp_path / "x", struct.pack("<II", 15, len(data)) + data)


def test_a_big_endian_file(tmp_path):
    (tmp_path / "x").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\1\0MI")
    assert_refused(tmp_path / "x", "it is a big-endian file")


def test_version_7_3_is_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x", "w", userblock_size=512) as file:
        file["layers"] = np.zeros(3)
    with open(tmp_path / "x", "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    assert_refused(tmp_path / "x", "no group block1_conv1")


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_truncated_anywhere(tmp_path, compressed):
    path = write_matconvnet(tmp_path / "x", WEIGHTS, compressed=compressed)
    whole = path.read_bytes()
    for size in range(10, len(whole), 97):
        path.write_bytes(whole[:size])
        try:
            assert_same(load_weights(path), WEIGHTS)  # what follows the layers may be missing
        except InputError as error:
            assert str(path) in str(error)
    path.write_bytes(whole[: len(whole) // 2])
    assert_refused(path, "")


@pytest.mark.parametrize("generation", ["new", "old"])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_damaged_anywhere(tmp_path, generation, compressed):
    damage(write_matconvnet(tmp_path / "x", WEIGHTS, generation, compressed, mean=np.ones((2, 2, 3))))


def test_the_same_as_scipy_reads(tmp_path):
    path = write_matconvnet(tmp_path / "x.mat", WEIGHTS)
    for layer in scipy.io.loadmat(path)["layers"][0, ::2]:
        kernel, bias = layer["weights"][0, 0][0]
        name = layer["name"][0, 0][0]
        assert_same({name: load_weights(path)[name]}, {name: (kernel, bias[0])})

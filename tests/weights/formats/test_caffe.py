"""Reading and refusing Caffe's files: Protocol Buffers' wire format, parsed by hand."""

import tracemalloc

import numpy as np
import pytest

from nnstyle import InputError, load_weights
from nnstyle.weights.formats.caffe import is_caffe, open_caffe
from nnstyle.weights.formats.contents import CAFFE
from tests.support.tiny import tiny_weights
from tests.support.weight_files import (
    assert_refused,
    assert_same,
    blob,
    caffe_layer,
    damage,
    field,
    varint,
    write_caffe,
)

WEIGHTS = tiny_weights(last="conv1_2")
KERNEL, BIAS = (blob(array) for array in (WEIGHTS["conv1_1"][0].transpose(3, 2, 0, 1), WEIGHTS["conv1_1"][1]))


def write_layer(path, *blobs, generation="new", name="conv1_1"):
    """A file with one layer of these blobs."""
    path.write_bytes(caffe_layer(generation, name, blobs))
    return path


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("generation", ["old", "new"])
def test_both_kinds_of_layers_are_read(tmp_path, generation, packed, dtype):
    weights = tiny_weights()
    loaded = load_weights(write_caffe(tmp_path / "x", weights, generation, packed=packed, dtype=dtype))
    assert_same(loaded, weights)
    assert loaded.preprocessing == CAFFE


def test_a_network_is_called_what_its_file_says_else_after_the_file(tmp_path):
    path = write_caffe(tmp_path / "vgg.caffemodel", WEIGHTS, name="VGG_ILSVRC_19_layers")
    assert load_weights(path).name == "VGG_ILSVRC_19_layers"
    assert load_weights(write_layer(path, KERNEL, BIAS)).name == "vgg"


def test_the_gradients_of_a_snapshot_are_left_alone(tmp_path):
    assert_same(load_weights(write_caffe(tmp_path / "x", WEIGHTS, with_diff=True)), WEIGHTS)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 1, 1, 4), (4, 1)])
def test_a_bias_of_any_rank(tmp_path, shape):
    bias = WEIGHTS["conv1_1"][1]
    loaded = load_weights(write_layer(tmp_path / "x", KERNEL, blob(bias.reshape(shape))))
    np.testing.assert_array_equal(loaded["conv1_1"][1], bias.astype(np.float32))


def test_numbers_in_several_pieces_are_put_together(tmp_path):
    values = np.arange(4, dtype="<f4")
    pieces = field(5, values[:1].tobytes()) + b"\x2d" + values[1:2].tobytes() + field(5, values[2:].tobytes())
    loaded = load_weights(write_layer(tmp_path / "x", KERNEL, field(7, field(1, b"\x04")) + pieces))
    np.testing.assert_array_equal(loaded["conv1_1"][1], values)


@pytest.mark.parametrize("count", [1, 63, 64, 65, 66, 191, 192, 193, 194, 1000])
def test_unpacked_numbers_of_any_count(tmp_path, count):
    """They are searched in blocks of 64, 128 and so on."""
    values = np.arange(count) - 0.5
    kernel = blob(np.zeros((count, 3, 3, 3)))
    for after in (b"", field(6, b"")):
        bias = blob(values, packed=False) + after
        loaded = load_weights(write_layer(tmp_path / "x", kernel, bias))
        np.testing.assert_array_equal(loaded["conv1_1"][1], values)


def test_other_layers_are_left_alone_whatever_is_in_them(tmp_path):
    path = write_caffe(tmp_path / "x", WEIGHTS)
    with open(path, "ab") as file:
        file.write(caffe_layer("old", "fc6", [field(7, field(1, b"\x05")), b"\x0f", b""]))
        file.write(field(5, 1) + field(6, b"") + b"\x3d" + bytes(4))
    assert_same(load_weights(path), WEIGHTS)


def test_a_large_fully_connected_layer_costs_no_memory(tmp_path):
    path, size = write_caffe(tmp_path / "x", WEIGHTS), 400_000_000
    start = field(4, b"fc6") + varint(6 << 3 | 2) + varint(size)
    with open(path, "ab") as file:
        file.write(varint(2 << 3 | 2) + varint(len(start) + size) + start)
        file.truncate(file.tell() + size)  # a hole, which takes no disk either
    tracemalloc.start()
    assert_same(load_weights(path), WEIGHTS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_no_number_is_read_before_it_is_asked_for(tmp_path):
    path = write_caffe(tmp_path / "x", WEIGHTS)
    with open_caffe(path) as contents:
        kernel, _ = contents.layers["conv1_1"]
        before = path.read_bytes()
        values = np.float32(WEIGHTS["conv1_1"][0].transpose(3, 2, 0, 1)).tobytes()
        with open(path, "r+b") as file:
            file.seek(before.index(values))
            file.write(bytes(len(values)))
        assert not kernel.read().any()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"hello",
        b"\n\n weights, in a text file\n\n",
        b"\x08\x07\x12\x07pytorch",  # as ONNX starts: number 1 is a varint there
        field(1, b"VGG"),
        field(1, b"VGG") + field(9, b""),
        field(2, 5),
        field(2, b""),
        caffe_layer("old", "", []),
        caffe_layer("old", "\n", []),
        field(100, field(1, b"\xff\xfe")),
        caffe_layer("new", "conv1_1", [])[:-1],
    ],
    ids=range(13),
)
def test_what_is_not_taken_for_a_network_of_caffe(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert not is_caffe(tmp_path / "x")
    assert_refused(tmp_path / "x", "not a weights file in any format known here")


def test_random_bytes_are_not_taken_for_a_network_of_caffe(tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(100):
        (tmp_path / "x").write_bytes(rng.bytes(200))
        assert not is_caffe(tmp_path / "x")


@pytest.mark.parametrize(
    ("blobs", "words"),
    [
        ([], "conv1_1 should hold a kernel and a bias, not 0 arrays"),
        ([KERNEL], "not 1 arrays"),
        ([KERNEL, BIAS, BIAS], "not 3 arrays"),
        ([KERNEL, b""], "array of 0 numbers"),
        ([KERNEL, KERNEL], "conv1_1 has kernel"),
        ([BIAS, BIAS], "the kernel of conv1_1 should have 4 axes, not 1"),
        ([KERNEL, BIAS + BIAS], "array of 8 numbers, but of shape"),
        ([KERNEL, BIAS + field(5, bytes(4))], "array of 5 numbers, but of shape"),
        ([KERNEL, BIAS + field(7, field(1, b"\x01" * 40))], "array of 4 numbers, but of shape"),
        ([KERNEL, field(4, 5) + field(5, bytes(16))], "array of 4 numbers, but of shape"),
        ([KERNEL, field(7, field(1, 2**64 - 1)) + field(5, bytes(4))], "array of 1 numbers, but of shape"),
        ([KERNEL, field(7, field(1, 2**62)) + field(5, bytes(4))], "array of 1 numbers, but of shape"),
        ([KERNEL, BIAS + field(5, b"abc")], "conv1_1 is damaged"),
        ([KERNEL, BIAS + field(5, 1)], "conv1_1 is damaged"),
        ([KERNEL, BIAS + b"\x29" + bytes(8)], "conv1_1 is damaged"),
        ([KERNEL, BIAS + b"\x2d" + bytes(3)], "truncated or damaged"),
        ([KERNEL, BIAS + varint(5 << 3 | 2) + varint(2**60)], "truncated or damaged"),
        ([KERNEL, BIAS + b"\x80"], "truncated or damaged"),
        ([KERNEL, BIAS + b"\x08" + b"\xff" * 11], "more than ten bytes"),
        ([KERNEL, BIAS + b"\x0b"], "no wire type 3"),
        ([KERNEL, field(8, b"abc") + BIAS], "conv1_1 is damaged"),
        ([KERNEL, BIAS + field(1, 1) * 100_001], "more than 100000 fields"),
    ],
)
def test_a_layer_that_is_no_convolution(tmp_path, blobs, words):
    assert_refused(write_layer(tmp_path / "x", *blobs), words)


def test_no_vgg_at_all(tmp_path):
    assert_refused(write_layer(tmp_path / "x", KERNEL, BIAS, name="conv1"), "no layer called conv1_1")


def test_deep_nesting_is_not_followed(tmp_path):
    nested = b""
    for _ in range(2000):
        nested = field(7, nested)
    assert_refused(write_layer(tmp_path / "x", KERNEL, nested), "array of 0 numbers")


@pytest.mark.parametrize("generation", ["old", "new"])
def test_truncated_anywhere(tmp_path, generation):
    path = write_caffe(tmp_path / "x", WEIGHTS, generation)
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        try:
            loaded = load_weights(path)
        except InputError as error:
            assert str(path) in str(error)
        else:  # cut between two layers, which is as good as a file of fewer layers
            assert_same(loaded, {"conv1_1": WEIGHTS["conv1_1"]})


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("generation", ["old", "new"])
def test_damaged_anywhere(tmp_path, generation, packed):
    damage(write_caffe(tmp_path / "x", WEIGHTS, generation, packed=packed))

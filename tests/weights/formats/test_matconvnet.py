"""Reading and refusing MatConvNet's files: MATLAB's format of version 5, parsed by hand."""

import struct
import tracemalloc

import numpy as np
import pytest
import scipy.io

from nnstyle import load_weights
from nnstyle.pictures import Preprocessing
from nnstyle.weights.formats.contents import MATCONVNET
from tests.support.tiny import tiny_weights
from tests.support.weight_files import (
    assert_refused,
    assert_same,
    cells,
    data_element,
    matlab_array,
    matlab_file,
    write_matconvnet,
)

WEIGHTS = tiny_weights(last="conv1_2")
KERNEL, BIAS = (np.float32(array) for array in WEIGHTS["conv1_1"])
CELL, STRUCT, TEXT, SINGLE = 1, 2, 4, 7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("generation", ["new", "old"])
def test_both_generations_are_read(tmp_path, generation, compressed, dtype):
    weights = tiny_weights()
    loaded = load_weights(write_matconvnet(tmp_path / "x", weights, generation, compressed, dtype=dtype))
    assert_same(loaded, weights)
    assert loaded.preprocessing == MATCONVNET


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
@pytest.mark.parametrize("generation", ["new", "old"])
@pytest.mark.parametrize(
    "mean",
    [
        np.array([1.5, 2.5, 3.5]),
        np.array([1.5, 2.5, 3.5]).reshape(1, 1, 3),
        np.float32([[[1, 2, 3], [2, 3, 4]], [[0, 1, 2], [3, 4, 5]]]),
        np.uint8([[[1, 2, 3], [2, 3, 4]]]),
    ],
    ids=["row", "one pixel", "picture", "picture of bytes"],
)
def test_the_mean_is_the_files_own(tmp_path, generation, compressed, mean):
    path = write_matconvnet(tmp_path / "x", WEIGHTS, generation, compressed, mean)
    assert load_weights(path).preprocessing == Preprocessing("RGB", (1.5, 2.5, 3.5), 1.0)


def test_a_file_without_a_mean_has_the_one_of_imagenet(tmp_path):
    for mean in (None, np.zeros((0, 0))):
        path = write_matconvnet(tmp_path / "x", WEIGHTS, mean=mean)
        assert load_weights(path).preprocessing == MATCONVNET
    path = write_layers(tmp_path / "x", layers_of(KERNEL, BIAS))
    assert load_weights(path).preprocessing == MATCONVNET


def test_the_spatial_axes_are_not_swapped(tmp_path):
    """In the file the first index runs fastest, and it is the row: an edge stays where it was."""
    numbers = np.arange(108, dtype="<f4")
    weights = matlab_array(SINGLE, (3, 3, 3, 4), data_element(7, numbers.tobytes()))
    weights += matlab_array(SINGLE, (1, 4), data_element(7, bytes(16)))
    fields = data_element(5, struct.pack("<i", 8)) + data_element(1, b"name\0\0\0\0weights\0")
    name = matlab_array(TEXT, (1, 7), data_element(4, "conv1_1".encode("utf-16-le")))
    layer = matlab_array(STRUCT, (1, 1), fields + name + matlab_array(CELL, (1, 2), weights))
    path = tmp_path / "x.mat"
    path.write_bytes(matlab_file(matlab_array(CELL, (1, 1), layer, "layers")))
    kernel = load_weights(path)["conv1_1"][0]
    for row, column, channel, filter_ in [
        (1, 0, 0, 0),
        (0, 1, 0, 0),
        (2, 1, 0, 0),
        (0, 0, 2, 0),
        (1, 2, 0, 3),
    ]:
        place = row + 3 * (column + 3 * (channel + 3 * filter_))
        assert kernel[row, column, channel, filter_] == place
    seen_by_scipy = scipy.io.loadmat(path)["layers"][0, 0]["weights"][0, 0][0, 0]
    np.testing.assert_array_equal(kernel, seen_by_scipy)


def layers_of(*arrays, name="conv1_1", **others):
    """A cell array of one layer with these weights."""
    return cells({"name": name, "type": "conv", "weights": cells(*arrays), **others})


def write_layers(path, layers, compressed=False, **others):
    """A file of these layers and other variables."""
    scipy.io.savemat(path, {"layers": layers, **others}, do_compression=compressed, appendmat=False)
    return path


def test_a_network_saved_as_one_variable(tmp_path):
    mean = {"normalization": {"averageImage": np.array([1.0, 2.0, 3.0])}}
    scipy.io.savemat(tmp_path / "x.mat", {"net": {"layers": layers_of(KERNEL, BIAS), "meta": mean}})
    loaded = load_weights(tmp_path / "x.mat")
    assert_same(loaded, {"conv1_1": (KERNEL, BIAS)})
    assert loaded.preprocessing.mean == (1.0, 2.0, 3.0)


def test_layers_as_an_array_of_structs(tmp_path):
    layers = np.empty((1, 2), [("name", object), ("weights", object)])
    for i, (name, arrays) in enumerate(WEIGHTS.items()):
        layers[0, i] = name, cells(*map(np.float32, arrays))
    assert_same(load_weights(write_layers(tmp_path / "x", layers)), WEIGHTS)
    assert_same(load_weights(write_layers(tmp_path / "x", layers[:, :1])), {"conv1_1": WEIGHTS["conv1_1"]})


def test_a_bias_may_be_a_column_and_a_kernel_may_have_lost_its_last_axis(tmp_path):
    path = write_layers(tmp_path / "x", layers_of(KERNEL[..., 0], BIAS[:1].reshape(1, 1)))
    assert_same(load_weights(path), {"conv1_1": (KERNEL[..., :1], BIAS[:1])})
    path = write_layers(tmp_path / "x", layers_of(KERNEL, BIAS.reshape(4, 1)))
    assert_same(load_weights(path), {"conv1_1": (KERNEL, BIAS)})


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_fully_connected_layers_and_other_variables_cost_no_memory(tmp_path, compressed):
    fully_connected = {"name": "fc6", "weights": cells(np.zeros((7, 7, 32, 4096), np.float32), BIAS)}
    layers = cells(*layers_of(KERNEL, BIAS)[0], fully_connected)
    path = write_layers(tmp_path / "x", layers, compressed, other=np.zeros((1000, 1000)))
    tracemalloc.start()
    assert_same(load_weights(path), {"conv1_1": (KERNEL, BIAS)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


@pytest.mark.parametrize(
    "layers",
    [
        cells(),
        np.zeros((2, 2)),
        "conv1_1",
        cells("conv1_1", 3.0, cells({"name": "conv1_1"})),
        layers_of(KERNEL, BIAS, name="conv1"),
        layers_of(KERNEL, BIAS, name=cells("conv1_1")),
        cells({"type": "conv", "weights": cells(KERNEL, BIAS)}),
    ],
    ids=["empty", "numbers", "text", "no structs", "other names", "name is no text", "no name"],
)
def test_no_vgg_at_all(tmp_path, layers):
    assert_refused(write_layers(tmp_path / "x", layers), "no layer called conv1_1")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"weights": KERNEL},
        {"weights": cells(KERNEL)},
        {"weights": cells(KERNEL, BIAS, BIAS)},
        {"weights": cells(KERNEL, "bias")},
        {"weights": cells(KERNEL, cells(BIAS))},
        {"weights": cells(KERNEL.astype(np.int32), BIAS)},
        {"weights": cells(KERNEL > 0, BIAS)},
        {"weights": cells(KERNEL + 1j, BIAS)},
        {"filters": KERNEL},
        {"biases": BIAS},
    ],
    ids=str,
)
def test_a_layer_that_is_no_convolution(tmp_path, fields):
    path = write_layers(tmp_path / "x", cells({"name": "conv1_1"} | fields))
    assert_refused(path, "conv1_1 should hold a kernel and a bias, floating-point arrays")


@pytest.mark.parametrize(
    ("kernel", "bias"),
    [
        (KERNEL[:2], BIAS),
        (KERNEL, BIAS[:3]),
        (KERNEL, np.ones((2, 2), np.float32)),
        (KERNEL[:, :, :, :0], BIAS[:0]),
        (KERNEL[..., None] * np.ones(2, np.float32), BIAS),
        (np.ones((7, 7, 512, 20), np.float32), BIAS),
    ],
    ids=["2x3", "short bias", "square bias", "empty", "5 axes", "7x7"],
)
def test_a_wrong_shape(tmp_path, kernel, bias):
    assert_refused(write_layers(tmp_path / "x", layers_of(kernel, bias)), "conv1_1 has kernel")


@pytest.mark.parametrize("generation", ["new", "old"])
@pytest.mark.parametrize(
    ("mean", "words"),
    [
        (5.0, "its averageImage should be 3 numbers or a picture"),
        (np.ones((1, 2)), "its averageImage should be"),
        (np.ones((4, 4)), "its averageImage should be"),
        (np.ones((3, 4, 4)), "its averageImage should be"),
        ("grey", "its averageImage should be"),
        (np.array([1, 2, np.nan]), "should be finite"),
        (np.ones((400, 400, 3)), "not expected to be so large"),
    ],
    ids=lambda value: str(np.shape(value)),
)
def test_a_mean_that_makes_no_sense(tmp_path, generation, mean, words):
    assert_refused(write_matconvnet(tmp_path / "x", WEIGHTS, generation, mean=mean), words)

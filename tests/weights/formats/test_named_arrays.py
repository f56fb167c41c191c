"""Reading and refusing .npz and .safetensors files, whose arrays have names."""

import json
import tracemalloc

import numpy as np
import pytest

from nnstyle import load_weights
from nnstyle.pictures import Preprocessing
from nnstyle.weights.formats.contents import CAFFE, TORCHVISION
from tests.support.tiny import tiny_weights
from tests.support.weight_files import (
    NAMINGS,
    assert_refused,
    assert_same,
    named,
    write_npz,
    write_safetensors,
)

WEIGHTS = tiny_weights(last="conv1_2")
WRITERS = {"npz": write_npz, "safetensors": write_safetensors}
every_format = pytest.mark.parametrize("form", WRITERS)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("naming", NAMINGS)
@every_format
def test_every_naming_and_precision_is_read(tmp_path, form, naming, dtype):
    weights = tiny_weights()
    loaded = load_weights(WRITERS[form](tmp_path / "x.npz", weights, naming, dtype))
    assert_same(loaded, weights, dtype)
    assert loaded.preprocessing == (TORCHVISION if naming == "torchvision" else CAFFE)


def test_any_order_of_bytes_and_axes_in_npz_compressed_or_not(tmp_path):
    arrays = named(WEIGHTS, "Keras 3")
    for change in (np.asfortranarray, lambda array: array.astype(">f4"), lambda array: array[::-1][::-1]):
        np.savez_compressed(tmp_path / "x.npz", **{name: change(array) for name, array in arrays.items()})
        assert_same(load_weights(tmp_path / "x.npz"), WEIGHTS)


@pytest.mark.parametrize("order", ["RGB", np.bytes_(b"RGB")])
@pytest.mark.parametrize("scale", [2, 0.5, np.float32([0.25, 0.5, 4])])
def test_npz_states_its_own_preprocessing(tmp_path, order, scale):
    path = write_npz(tmp_path / "x.npz", WEIGHTS, channel_order=order, mean=(1.5, 2.5, 3.5), scale=scale)
    expected = tuple(scale) if np.ndim(scale) else scale
    assert load_weights(path).preprocessing == Preprocessing("RGB", (1.5, 2.5, 3.5), expected)


@pytest.mark.parametrize("mean", ["[1.5, 2.5, 3.5]", "1.5,2.5,3.5", json.dumps((1.5, 2.5, 3.5))])
@pytest.mark.parametrize(
    ("scale", "expected"), [("2", 2.0), ("[0.25, 0.5, 4]", (0.25, 0.5, 4)), ("[2e0]", 2.0)]
)
def test_safetensors_states_its_own_preprocessing(tmp_path, mean, scale, expected):
    path = write_safetensors(
        tmp_path / "x", WEIGHTS, channel_order="RGB", mean=mean, scale=scale, format="np"
    )
    assert load_weights(path).preprocessing == Preprocessing("RGB", (1.5, 2.5, 3.5), expected)


@every_format
def test_fully_connected_layers_and_other_arrays_cost_no_memory(tmp_path, form):
    weights = dict(WEIGHTS)
    path = tmp_path / "x.npz"
    large = {"classifier.0.weight": np.zeros((4096, 2048), np.float32), "classifier.0.bias": np.zeros(9, int)}
    if form == "npz":
        np.savez_compressed(path, **named(weights, "author"), **large, history=np.array([{}], object))
    else:
        WRITERS[form](path, weights, "author", extra=large)
    tracemalloc.start()
    assert_same(load_weights(path), WEIGHTS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@every_format
@pytest.mark.parametrize("naming", ["torchvision", "author", "Keras 1"])
def test_no_vgg_at_all(tmp_path, form, naming):
    assert_refused(
        WRITERS[form](tmp_path / "x.npz", {}, extra={"weight": np.zeros(3)}), "it has no layer called"
    )


def renamed(naming, old, new):
    """The arrays of a VGG, one of them under another name, or gone."""
    arrays = named(WEIGHTS, naming)
    array = arrays.pop(old)
    return arrays | ({new: array} if new else {})


@every_format
@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (renamed("torchvision", "features.2.bias", None), "conv1_2 lacks its features.2.bias"),
        (renamed("author", "conv1_1.bias", "bias"), "conv1_1 lacks its conv1_1.bias"),
        (renamed("Keras 2", "block1_conv1/bias:0", None), "conv1_1 lacks its block1_conv1/bias:0"),
        (renamed("Keras 1", "block1_conv1_b:0", None), "conv1_1 lacks its block1_conv1_b:0"),
        (renamed("author", "conv1_1.weight", None), "conv1_1 lacks its conv1_1.weight"),
        (named(WEIGHTS, "torchvision") | {"features.0.running_mean": np.zeros(4)}, "batch normalisation"),
        (named(WEIGHTS, "author") | {"conv1_1.weight": np.zeros((4, 3, 3))}, "should have 4 axes, not 3"),
        (named(WEIGHTS, "author") | {"conv1_1.weight": np.zeros((4, 3, 5, 5))}, "conv1_1 has kernel"),
        (named(WEIGHTS, "author") | {"conv1_1.bias": np.zeros((4, 1))}, "conv1_1 has kernel"),
        (named(WEIGHTS, "author") | {"conv1_1.bias": np.zeros(4, np.int32)}, "not floating-point|I32"),
        (named(WEIGHTS, "author") | {"conv1_1.bias": np.zeros(4, bool)}, "not floating-point|BOOL"),
        (named(WEIGHTS, "author") | {"conv1_1.bias": np.full(4, np.nan)}, "values that are not finite"),
    ],
)
def test_layers_that_are_no_convolutions(tmp_path, form, arrays, words):
    assert_refused(WRITERS[form](tmp_path / "x.npz", {}, extra=arrays), words)

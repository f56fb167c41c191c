"""Reading a VGG file: every layout that Keras wrote, and the network inside the package."""

import hashlib
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from nnstyle import Network, load_weights
from nnstyle.network import LAYERS
from nnstyle.pictures import Preprocessing
from nnstyle.weights import POCKET_PATHS
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import NAMINGS, write_vgg
from tests.support.weight_files import CONVOLUTIONS, assert_same

CARD = Path(__file__).parents[2] / "weights" / "README.md"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("naming", NAMINGS)
def test_every_layout_and_precision_is_read(tmp_path, naming, dtype):
    weights = tiny_weights()
    assert_same(load_weights(write_vgg(tmp_path / "vgg.h5", weights, naming, dtype)), weights, dtype)


@pytest.mark.parametrize(
    ("architecture", "last"), [(name, last) for name, layers in CONVOLUTIONS.items() for last in layers]
)
def test_a_network_may_end_after_any_convolution(tmp_path, architecture, last):
    weights = tiny_weights(architecture, last)
    loaded = load_weights(str(write_vgg(tmp_path / "vgg.h5", weights)))
    assert_same(loaded, weights)
    layers = Network(loaded).layers
    assert layers == LAYERS[architecture][: len(layers)] and layers[-1] == last


def test_kernel_and_bias_are_told_apart_by_rank_not_by_order_or_name(tmp_path):
    weights = tiny_weights(last="conv1_2")
    with h5py.File(tmp_path / "vgg.h5", "w") as file:
        for group, (kernel, bias) in zip(("block1_conv1", "block1_conv2"), weights.values()):
            file[f"{group}/a"], file[f"{group}/b"] = bias, kernel
    assert_same(load_weights(tmp_path / "vgg.h5"), weights)


def test_dense_layers_and_other_things_in_the_file_are_ignored(tmp_path):
    weights = tiny_weights("vgg16", "conv5_3")
    path = write_vgg(tmp_path / "vgg.h5", weights)
    with h5py.File(path, "a") as file:
        for name, width in (("fc1", 8), ("fc2", 8), ("predictions", 5)):
            file[f"{name}/{name}_W_1:0"], file[f"{name}/{name}_b_1:0"] = np.zeros((8, width)), np.zeros(width)
        file["top_level_model_weights/x"] = np.zeros(3)
    assert_same(load_weights(path), weights)


def test_a_whole_model_of_keras_has_its_layers_in_a_group(tmp_path):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    with h5py.File(path, "r+") as file:
        for name in list(file):
            file.move(name, f"model_weights/{name}")
        file.create_group("optimizer_weights")
    assert_same(load_weights(path), tiny_weights())


def test_a_file_without_attributes_has_the_preprocessing_of_keras(tmp_path):
    loaded = load_weights(write_vgg(tmp_path / "vgg.h5", tiny_weights()))
    assert loaded.preprocessing == Preprocessing("BGR", (103.939, 116.779, 123.68), 1.0)


@pytest.mark.parametrize("scale", [np.float32(0.5), 2, (0.25, 0.5, 4.0)])
@pytest.mark.parametrize("order", ["RGB", "BGR", np.bytes_(b"RGB")])
def test_a_file_states_its_own_preprocessing(tmp_path, order, scale):
    path = write_vgg(
        tmp_path / "vgg.h5", tiny_weights(), channel_order=order, mean=(1.5, 2.5, 3.5), scale=scale
    )
    expected = "BGR" if order == "BGR" else "RGB"
    assert load_weights(path).preprocessing == Preprocessing(expected, (1.5, 2.5, 3.5), scale)


def test_a_network_is_called_what_its_file_says_else_after_the_file(tmp_path):
    assert load_weights(write_vgg(tmp_path / "my vgg.h5", tiny_weights())).name == "my vgg"
    for name in ("painter", np.bytes_(b"painter")):
        assert load_weights(write_vgg(tmp_path / "x.h5", tiny_weights(), name=name)).name == "painter"


def test_the_file_may_be_moved_or_removed_once_it_is_read(tmp_path):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    loaded = load_weights(path)
    path.unlink()
    assert_same(loaded, tiny_weights())


def test_the_embedded_network_is_the_one_its_card_describes():
    promised = re.search(r"\b[0-9a-f]{64}\b", CARD.read_text()).group()
    path = next(path for path in POCKET_PATHS if path.exists())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == promised


def test_the_embedded_network_is_a_slim_vgg19_up_to_conv5_1():
    weights = load_weights("pocket")
    assert list(weights) == CONVOLUTIONS["vgg19"][:13] and list(weights)[-1] == "conv5_1"
    widths = {name: bias.size for name, (_, bias) in weights.items()}
    assert all(
        width == {1: 32, 2: 64, 3: 128, 4: 256, 5: 256}[int(name[4])] for name, width in widths.items()
    )
    assert weights.name == "pocket"
    assert weights.preprocessing == Preprocessing("RGB", (123.68, 116.779, 103.939), 1.0)


def test_the_embedded_network_comes_unasked():
    assert_same(load_weights(), load_weights("pocket"))


def test_what_a_file_leaves_unsaid_is_taken_in_its_own_order(tmp_path):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights(), channel_order="RGB")
    assert load_weights(path).preprocessing == Preprocessing("RGB", (123.68, 116.779, 103.939), 1.0)

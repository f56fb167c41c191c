"""Names and orders that people have: within a larger model, numbered, or in Theano's order of axes."""

import h5py
import numpy as np
import pytest

from nnstyle import load_weights
from nnstyle.weights.formats.contents import CAFFE, TORCHVISION
from tests.support.tiny import tiny_weights
from tests.support.torch_files import NUMBERS, torchvision_arrays
from tests.support.vgg_files import group_of
from tests.support.weight_files import assert_refused, assert_same, named, write_npz

WEIGHTS = tiny_weights()


def write(path, arrays):
    """A .npz of named arrays."""
    return write_npz(path, {}, extra=arrays)


def renumbered(weights, number_of, place=""):
    """The arrays of a torch.nn.Sequential with other numbers."""
    arrays = {}
    for count, (layer, (kernel, bias)) in enumerate(weights.items()):
        number = number_of(count, int(layer[4]))
        arrays[f"{place}{number}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        arrays[f"{place}{number}.bias"] = bias
    return arrays


@pytest.mark.parametrize("place", ["", "vgg.", "module.backbone.", "net.model.features.", "0."])
def test_a_sequential_at_any_place(tmp_path, place):
    arrays = {name.replace("features.", place): a for name, a in torchvision_arrays(WEIGHTS).items()}
    loaded = load_weights(write(tmp_path / "x.npz", arrays))
    assert_same(loaded, WEIGHTS)
    assert loaded.preprocessing == TORCHVISION


@pytest.mark.parametrize("naming", ["torchvision", "author", "Keras 3", "Keras 1"])
@pytest.mark.parametrize("place", ["vgg.", "losses.perceptual.net."])
def test_every_naming_at_any_place(tmp_path, place, naming):
    arrays = {place + name: array for name, array in named(WEIGHTS, naming).items()}
    other = {"decoder.0.weight": np.zeros((8, 6, 3, 3)), "decoder.conv.bias": np.zeros(3)}
    assert_same(load_weights(write(tmp_path / "x.npz", arrays | other)), WEIGHTS)


def test_a_sequential_that_was_cut_into_slices(tmp_path):
    arrays = {}
    for name, array in torchvision_arrays(WEIGHTS).items():
        number = int(name.split(".")[1])
        arrays[f"slice{1 + number // 7}.{name.removeprefix('features.')}"] = array
    assert len({name[:7] for name in arrays}) > 3
    assert_same(load_weights(write(tmp_path / "x.npz", arrays)), WEIGHTS)


@pytest.mark.parametrize("start", [0, 1, 2])
@pytest.mark.parametrize("step", [2, 3], ids=["ReLU", "padding and ReLU"])
def test_what_lies_between_may_be_more_and_begin_later(tmp_path, step, start):
    arrays = renumbered(WEIGHTS, lambda count, block: start + step * count + block - 1)
    assert_same(load_weights(write(tmp_path / "x.npz", arrays)), WEIGHTS)


def test_poolings_that_do_not_lie_where_vgg_s_do(tmp_path):
    arrays = renumbered(WEIGHTS, lambda count, block: 2 * count)
    assert_refused(write(tmp_path / "x.npz", arrays), "do not lie where those of VGG-16 or VGG-19 do")


def test_two_sequentials(tmp_path):
    arrays = torchvision_arrays(WEIGHTS)
    both = {f"{place}.{name}": array for name, array in arrays.items() for place in "ab"}
    assert_refused(write(tmp_path / "x.npz", both), "more than one VGG, at a.features. and b.features.:")


def test_a_decoder_with_the_same_names_is_not_meant(tmp_path):
    arrays = {f"encoder/{name}": array for name, array in named(WEIGHTS, "Keras 3").items()}
    arrays |= {"decoder/conv1_1/kernel": np.zeros((3, 3, 8, 8)), "decoder/conv1_1/bias": np.zeros(8)}
    assert_same(load_weights(write(tmp_path / "x.npz", arrays)), WEIGHTS)


def test_batch_normalisation_anywhere(tmp_path):
    arrays = {"net." + name: array for name, array in torchvision_arrays(WEIGHTS).items()}
    arrays["net.features.1.running_mean"] = np.zeros(4)
    assert_refused(write(tmp_path / "x.npz", arrays), "batch normalisation")


@pytest.mark.parametrize("suffixes", ["W b", "weights biases", "w b"])
def test_tensorflow_s_names_with_an_underscore(tmp_path, suffixes):
    kernel, bias = suffixes.split()
    arrays = {}
    for layer, pair in WEIGHTS.items():
        arrays[f"{layer}_{kernel}"], arrays[f"{layer}_{bias}"] = pair
    arrays["fc6_W"] = np.zeros((6, 5))
    loaded = load_weights(write(tmp_path / "x.npz", arrays))
    assert_same(loaded, WEIGHTS)
    assert loaded.preprocessing == CAFFE


def test_names_that_say_nothing_but_an_order(tmp_path):
    arrays = {}
    for number, (kernel, bias) in enumerate(WEIGHTS.values()):
        arrays[f"conv_{number}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        arrays[f"conv_{number}.bias"] = bias
    assert_same(load_weights(write(tmp_path / "x.npz", arrays)), WEIGHTS)


def write_theano(path, weights, turn, **attributes):
    """Keras 1's layout with Theano's order of axes, and its kernels turned or not."""
    with h5py.File(path, "w") as file:
        for layer, (kernel, bias) in weights.items():
            group = group_of(layer)
            file[f"{group}/{group}_W"] = kernel.transpose(3, 2, 0, 1)[:, :, ::turn, ::turn]
            file[f"{group}/{group}_b"] = bias
        file.attrs.update(attributes)
    return path


@pytest.mark.parametrize(("backend", "turn"), [("theano", -1), (np.bytes_(b"theano"), -1), ("tensorflow", 1)])
def test_theano_s_order_where_the_file_states_what_wrote_it(tmp_path, backend, turn):
    path = write_theano(tmp_path / "x.h5", WEIGHTS, turn, backend=backend)
    assert_same(load_weights(path), WEIGHTS)
    flipped_by_mistake = write_theano(tmp_path / "y.h5", WEIGHTS, -turn, backend=backend)
    assert load_weights(flipped_by_mistake) != load_weights(path)


@pytest.mark.parametrize("turn", [1, -1])
def test_theano_s_order_where_nothing_tells(tmp_path, turn):
    path = write_theano(tmp_path / "x.h5", WEIGHTS, turn)
    assert_refused(path, "Theano's order, .out, in, h, w., in which they may be flipped or not")


def test_keras_2_with_theano_states_it_with_kernels_in_keras_s_order(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for layer, (kernel, bias) in WEIGHTS.items():
            file[f"model_weights/vgg19/{group_of(layer)}/kernel:0"] = kernel[::-1, ::-1]
            file[f"model_weights/vgg19/{group_of(layer)}/bias:0"] = bias
        file["model_weights"].attrs["backend"] = "theano"
    assert_same(load_weights(tmp_path / "x.h5"), WEIGHTS)


def test_a_hostile_number_of_names_is_refused_soon(tmp_path):
    many = {f"n{i}.0.weight": np.zeros((1, 3, 3, 3), np.float32) for i in range(300)}
    assert_refused(write(tmp_path / "x.npz", many), "more than one VGG")


def test_groups_in_a_circle_end(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a/b"] = np.zeros(3)
        file["a/c"] = file["a"]
    assert_refused(tmp_path / "x.h5", "far more groups than a network needs")


def test_links_out_of_the_file_are_not_followed(tmp_path):
    write_theano(tmp_path / "other.h5", WEIGHTS, 1, backend="tensorflow")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["vgg"] = h5py.ExternalLink("other.h5", "/")
    assert_refused(tmp_path / "x.h5", "no group block1_conv1")


def test_numbers_of_torchvision_are_those_that_the_rule_gives():
    for numbers, blocks in zip(NUMBERS.values(), [(2, 2, 4, 4, 4), (2, 2, 3, 3, 3)]):
        counted = [block for block, count in enumerate(blocks) for _ in range(count)]
        assert list(numbers) == [2 * count + block for count, block in enumerate(counted)]

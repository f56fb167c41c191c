"""`Weights` cannot be changed, keep what they say of themselves, and have a fingerprint."""

import errno
import mmap
import pickle
import pickletools
from collections.abc import Mapping

import h5py
import numpy as np
import pytest

from nnstyle import InputError, Weights, load_weights
from nnstyle.pictures import Preprocessing
from nnstyle.weights.formats import torch_pickle
from nnstyle.weights.formats.hdf5 import write_hdf5
from tests.support.tiny import tiny_weights
from tests.support.torch_files import write_torchvision
from tests.support.vgg_files import write_vgg
from tests.support.weight_files import (
    assert_refused,
    write_caffe,
    write_matconvnet,
    write_npz,
    write_safetensors,
)

WRITERS = {
    "hdf5": write_vgg,
    "npz": write_npz,
    "safetensors": write_safetensors,
    "caffe": write_caffe,
    "matconvnet": write_matconvnet,
    "torch zip": lambda path, weights: write_torchvision(path, "zip", weights),
    "torch legacy": lambda path, weights: write_torchvision(path, "legacy", weights),
}


def stated(**changes):
    """Weights that say something of themselves."""
    values = {"name": "small", "preprocessing": Preprocessing("RGB", (1, 2, 3), 0.5), "rescaled": True}
    values |= {"style_layer_weights": (0.5, 0.5, 0.0, 0.0, 0.0), "path": None}
    return Weights(tiny_weights(), **values | changes)


def statements(weights):
    return weights.name, weights.preprocessing, weights.rescaled, weights.style_layer_weights, weights.path


@pytest.mark.parametrize("form", WRITERS)
def test_what_is_loaded_cannot_be_changed_and_was_not_copied_for_that(tmp_path, form, monkeypatch):
    WRITERS[form](tmp_path / "x.npz", tiny_weights())
    made = []
    original = np.array
    monkeypatch.setattr(np, "array", lambda *a, **how: made.append(original(*a, **how)) or made[-1])
    weights = load_weights(tmp_path / "x.npz")
    assert weights.path == tmp_path / "x.npz"
    for kernel, bias in weights.values():
        for array in (kernel, bias):
            assert any(array is one for one in made) and array.dtype == np.float32 and array.base is None
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_a_mapping_that_nobody_can_set():
    weights = tiny_weights()
    assert isinstance(weights, Mapping) and list(weights) == list(dict(weights)) and len(weights) == 13
    with pytest.raises(TypeError):
        weights["conv1_1"] = weights["conv1_2"]
    with pytest.raises(TypeError):
        weights.layers["conv1_1"] = weights["conv1_2"]
    with pytest.raises(TypeError):
        del weights["conv1_1"]
    with pytest.raises(AttributeError):
        weights.name = "other"


def test_nobody_can_change_them_from_outside():
    layers = {name: tuple(array.copy() for array in layer) for name, layer in tiny_weights().items()}
    weights = Weights(layers, "x", Preprocessing())
    layers["conv1_1"][0][...] = 7
    view = layers["conv1_2"][0][:]
    view.flags.writeable = False  # of memory that still can be written to
    other = Weights(layers | {"conv1_2": (view, layers["conv1_2"][1])}, "x", Preprocessing())
    layers["conv1_2"][0][...] = 7
    del layers["conv5_1"]
    assert weights == tiny_weights()
    assert np.array_equal(other["conv1_2"][0], tiny_weights()["conv1_2"][0])


def test_float64_stays_for_gradient_checks():
    for kernel, bias in tiny_weights().values():
        assert kernel.dtype == bias.dtype == np.float64
        assert not kernel.flags.writeable and not bias.flags.writeable


def test_a_layer_exchanged_leaves_weights_that_say_the_same():
    weights, kernel = stated(), np.zeros((3, 3, 4, 4))
    for changes in ({}, {"conv1_2": (kernel, np.ones(4))}, weights):
        changed = weights | changes
        assert isinstance(changed, Weights) and statements(changed) == statements(weights)
        assert list(changed) == list(weights)
    changed = weights | {"conv1_2": (kernel, np.ones(4))}
    assert not changed["conv1_2"][0].any() and weights["conv1_2"][0].any()
    assert changed != weights and changed.sha256 != weights.sha256
    with pytest.raises(TypeError):
        weights | [("conv1_2", (kernel, np.ones(4)))]


def test_what_a_mapping_lacks_is_taken_from_weights():
    weights, layer = stated(), (np.zeros((3, 3, 4, 4)), np.ones(4))
    extra = {"conv5_2": layer, "conv1_2": layer}
    changed = extra | weights
    assert isinstance(changed, Weights) and statements(changed) == statements(weights)
    assert list(changed) == [*weights, "conv5_2"]  # in the order of the network
    assert not changed["conv5_2"][0].any()
    assert {name: changed[name] for name in weights} == dict(weights)
    with pytest.raises(TypeError):
        [("conv1_2", layer)] | weights


def test_pickled_they_are_the_same_and_as_frozen(tmp_path):
    weights = load_weights(write_vgg(tmp_path / "vgg.h5", tiny_weights(), name="small"))
    digest = weights.sha256
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(weights, protocol))
        assert copy == weights and statements(copy) == statements(weights) and copy.sha256 == digest
        assert not any(array.flags.writeable for layer in copy.values() for array in layer)


def test_one_network_has_one_fingerprint_whatever_its_file(tmp_path):
    paths = []
    for form, write in WRITERS.items():
        paths.append(tmp_path / f"{form.replace(' ', '')}.npz")
        write(paths[-1], tiny_weights())
    digests = {load_weights(path).sha256 for path in paths}
    assert digests == {tiny_weights().sha256} and len(digests.pop()) == 64


def test_the_fingerprint_does_not_depend_on_order_of_layers_or_memory():
    weights = tiny_weights()
    turned = {
        name: (np.asfortranarray(kernel), bias) for name, (kernel, bias) in reversed(list(weights.items()))
    }
    assert Weights(turned, "other", Preprocessing()).sha256 == weights.sha256


def test_any_number_name_or_place_changes_the_fingerprint():
    weights, digests = tiny_weights(last="conv1_2"), set()
    digests.add(weights.sha256)
    for name, layer in weights.items():
        for which in (0, 1):
            arrays = [array.copy() for array in layer]
            arrays[which].flat[-1] += 1e-3
            digests.add((weights | {name: arrays}).sha256)
    layers = dict(weights)
    digests.add(Weights({"conv2_1": layers.pop("conv1_2")} | layers, "x", Preprocessing()).sha256)
    assert len(digests) == 6


def test_the_embedded_network_s_fingerprint():
    """Stored in pictures: what it is made of must not change."""
    assert load_weights().sha256 == "f64106212d2e1e1e55dc3fdaa5d5057bdc33a0430a43ff1bd9ee18f3cd727d90"


@pytest.mark.parametrize(
    "layer",
    [
        None,
        3,
        (np.zeros(3),),
        (np.zeros(3), None),
        ([[1.0], [1.0, 2.0]], np.zeros(3)),
        (np.zeros(3), np.zeros(3, int)),
    ],
    ids=repr,
)
def test_what_is_no_layer_is_refused(layer):
    with pytest.raises(InputError, match="conv1_1 should"):
        Weights({"conv1_1": layer}, "x", Preprocessing())


@pytest.mark.parametrize(
    "source", [None, 3, b"pocket", ["pocket"], tiny_weights()], ids=lambda s: type(s).__name__
)
def test_what_is_no_path_is_refused(source):
    with pytest.raises(InputError, match="weights are a name or a file's path"):
        load_weights(source)


def no_memory(*_, **__):
    raise MemoryError


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("place", ["nnstyle.weights.loading.read_layer", "nnstyle.weights.loading.format_of"])
def test_a_lack_of_memory_is_no_damage(tmp_path, monkeypatch, form, place):
    WRITERS[form](tmp_path / "x.npz", tiny_weights())
    monkeypatch.setattr(place, no_memory)
    assert_refused(tmp_path / "x.npz", "there is not enough memory to read it")


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ("torch zip", (torch_pickle.Machine, "step")),
        ("torch legacy", (pickletools, "genops")),
        ("npz", (np.lib.format, "read_array_header_1_0")),
        ("npz", (np.lib.format, "read_array")),
    ],
)
def test_nor_inside_a_reader(tmp_path, monkeypatch, form, place):
    WRITERS[form](tmp_path / "x.npz", tiny_weights())
    monkeypatch.setattr(*place, no_memory)
    assert_refused(tmp_path / "x.npz", "there is not enough memory to read it")


@pytest.mark.parametrize(
    ("form", "place"), [("caffe", (mmap, "mmap")), ("matconvnet", (mmap, "mmap")), ("hdf5", (h5py, "File"))]
)
def test_nor_is_what_the_system_says_of_it(tmp_path, monkeypatch, form, place):
    def fail(*_, **__):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    WRITERS[form](tmp_path / "x.npz", tiny_weights())
    monkeypatch.setattr(*place, fail)
    assert_refused(tmp_path / "x.npz", "there is not enough memory to read it")


def test_a_written_file_has_the_same_fingerprint(tmp_path):
    write_hdf5(tmp_path / "x.h5", stated())
    assert load_weights(tmp_path / "x.h5").sha256 == stated().sha256


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_float64_is_written_as_it_will_be_read(tmp_path, dtype):
    """As the documentation says: the first kernel and the biases are float32 in any case."""
    write_hdf5(tmp_path / "x.h5", tiny_weights(), dtype)
    types = {}
    with h5py.File(tmp_path / "x.h5") as file:
        file.visititems(lambda name, item: types.update({name: getattr(item, "dtype", None)}))
    stored = {name: found for name, found in types.items() if found is not None}
    assert len(stored) == 2 * len(tiny_weights())
    for name, found in stored.items():
        first_or_bias = name.startswith("block1_conv1/") or name.endswith("_b_1:0")
        assert found == (np.float32 if first_or_bias else dtype)


@pytest.mark.parametrize("which", [0, 1])
def test_what_float32_cannot_hold_is_not_written(tmp_path, which):
    layer = [array.copy() for array in tiny_weights()["conv1_1"]]
    layer[which].flat[0] = 1e300
    with pytest.raises(InputError, match="conv1_1 has weights too large for float32$"):
        write_hdf5(tmp_path / "x.h5", tiny_weights() | {"conv1_1": tuple(layer)})
    assert not (tmp_path / "x.h5").exists()

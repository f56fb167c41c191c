"""Keras 3's files: ``.weights.h5`` and ``.keras``, alone and within a larger model."""

import io
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from nnstyle import load_weights
from nnstyle.weights.formats.keras_zip import Part
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_keras_3, zip_as_keras
from tests.support.weight_files import assert_refused, assert_same, damage

FIXTURES = Path(__file__).parents[2] / "fixtures"
PLACES = ["layers/", "layers/functional/layers/", "encoder/vgg19/layers/", "block{block}/layers/"]


@pytest.mark.parametrize("name", ["keras3_numbered.weights.h5", "keras3_nested.keras"])
def test_what_keras_itself_wrote(name):
    """By Keras 3.15: a VGG whose layers have no names, and a named one in a Sequential."""
    loaded = load_weights(FIXTURES / name)
    assert_same(loaded, tiny_weights(last="conv2_1"))
    assert loaded.name == name.partition(".")[0]


@pytest.mark.parametrize("as_zip", [False, True], ids=["h5", "zip"])
@pytest.mark.parametrize("states_names", [True, False], ids=["named", "numbered"])
@pytest.mark.parametrize("place", PLACES)
def test_a_vgg_at_any_place(tmp_path, place, states_names, as_zip):
    weights = tiny_weights("vgg16", "conv5_3")  # conv2d_2 and conv2d_10: numbers, not texts, are sorted
    path = write_keras_3(tmp_path / "x.weights.h5", weights, place, states_names)
    path = zip_as_keras(tmp_path / "x.keras", path) if as_zip else path
    assert_same(load_weights(path), weights)


@pytest.mark.parametrize("states_names", [True, False], ids=["named", "numbered"])
def test_other_layers_of_the_model_are_ignored(tmp_path, states_names):
    weights = tiny_weights(last="conv4_1")
    path = write_keras_3(tmp_path / "x.weights.h5", weights, "layers/functional/layers/", states_names)
    with h5py.File(path, "a") as file:
        for number, shape in enumerate([(1, 1, 4, 1), (3, 3, 7, 9), (5, 5, 3, 8)]):
            file[f"layers/conv2d_{number}/vars/0"] = np.zeros(shape)
            file[f"layers/conv2d_{number}/vars/1"] = np.zeros(shape[-1])
        file["optimizer/vars/0"] = np.zeros((3, 3, 3, 4))
    assert_same(load_weights(path), weights)


@pytest.mark.parametrize("states_names", [True, False], ids=["named", "numbered"])
def test_two_networks_in_one_model(tmp_path, states_names):
    path = write_keras_3(tmp_path / "x.weights.h5", tiny_weights(), "a/layers/", states_names)
    with h5py.File(path, "a") as file:
        file.copy("a", "b")
    assert_refused(
        path, "it has more than one VGG, at /a/(layers/)? and /b/(layers/)?: save one of them by itself"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda kernels: kernels.pop(3),
        lambda kernels: kernels.insert(2, kernels[1]),
        lambda kernels: kernels.reverse(),
    ],
    ids=["one is missing", "one too many", "the other way round"],
)
def test_numbered_convolutions_that_are_no_vgg(tmp_path, change):
    pairs = list(tiny_weights().values())
    change(pairs)
    names = [f"conv{1 + i // 9}_{1 + i % 9}" for i in range(len(pairs))]  # any, in this order
    weights = dict(zip(names, pairs))
    path = write_keras_3(tmp_path / "x.weights.h5", weights, states_names=False)
    assert_refused(path, "it has no group block1_conv1")


def test_vgg_16_and_19_are_told_apart_by_their_widths(tmp_path):
    """Both may have 13 convolutions: VGG-19 up to conv5_1 has."""
    for architecture, last in (("vgg16", "conv5_3"), ("vgg19", "conv5_1")):
        weights = tiny_weights(architecture, last, widths=(4, 5, 6, 7, 7))
        path = write_keras_3(tmp_path / "x.weights.h5", weights, states_names=False)
        assert list(load_weights(path)) == list(weights) and len(weights) == 13


def test_a_compressed_archive_is_refused_whatever_it_would_become(tmp_path):
    path = write_keras_3(tmp_path / "x.weights.h5", tiny_weights())
    packed = zip_as_keras(tmp_path / "x.keras", path, zipfile.ZIP_DEFLATED)
    assert_refused(packed, "compressed or encrypted members, which Keras does not write")


def test_an_archive_that_promises_more_than_it_has(tmp_path):
    path = zip_as_keras(tmp_path / "x.keras", write_keras_3(tmp_path / "x.weights.h5", tiny_weights()))
    whole = path.read_bytes()
    size = (tmp_path / "x.weights.h5").stat().st_size.to_bytes(4, "little")
    path.write_bytes(whole.replace(size, (2**31 - 1).to_bytes(4, "little")))
    assert_refused(path, "cut off|overlap|damaged")


def test_what_is_not_hdf5_in_the_archive(tmp_path):
    (tmp_path / "x.weights.h5").write_bytes(b"no numbers" * 100)
    path = zip_as_keras(tmp_path / "x.keras", tmp_path / "x.weights.h5")
    assert_refused(path, "not a readable HDF5 file")


def test_damaged_anywhere(tmp_path):
    path = zip_as_keras(tmp_path / "x.keras", write_keras_3(tmp_path / "x.h5", tiny_weights(last="conv2_1")))
    damage(path, times=60)


def test_nothing_is_written_beside_the_file(tmp_path):
    path = tmp_path / "folder" / "x.keras"
    path.parent.mkdir()
    shutil.copy(FIXTURES / "keras3_nested.keras", path)
    path.parent.chmod(0o500)
    load_weights(path)
    assert list(path.parent.iterdir()) == [path]
    path.parent.chmod(0o700)


def test_a_part_of_a_file_is_a_file():
    part = Part(io.BytesIO(b"before|inside|after"), 7, 6)
    assert part.read() == b"inside" and part.read() == b"" and part.tell() == 6
    assert part.seek(-2, io.SEEK_END) == 4 and part.read(9) == b"de"
    assert part.seek(1) == 1 and part.seek(1, io.SEEK_CUR) == 2 and part.read(2) == b"si"
    assert part.seek(99) == 99 and part.read(1) == b"" and part.seek(-9, io.SEEK_SET) == 0

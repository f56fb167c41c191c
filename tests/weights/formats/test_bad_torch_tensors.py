"""Tensors in PyTorch files that cannot be, or that are not those of a VGG."""

import re

import numpy as np
import pytest

from tests.support import torch_files as made
from tests.support.tiny import tiny_weights
from tests.support.torch_files import SHORT, forms
from tests.support.weight_files import assert_refused

FLOATS = made.storage("0", 144)
SHAPE, STRIDES, ZERO = made.plain((12, 12)), made.plain((12, 1)), made.plain(0)


@forms
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((made.plain("0"), ZERO, SHAPE, STRIDES), "without a storage"),
        ((made.name("torch FloatStorage"), ZERO, SHAPE, STRIDES), "without a storage"),
        ((FLOATS, ZERO, made.plain([12, 12]), STRIDES), "without a storage, a shape"),
        ((FLOATS, ZERO, SHAPE, made.plain(1)), "without a storage, a shape or strides"),
        ((FLOATS, ZERO, SHAPE, made.plain((1,))), "do not fit each other"),
        ((FLOATS, ZERO, made.plain((1,) * 65), made.plain((1,) * 65)), "do not fit each other"),
        ((FLOATS, b"N", SHAPE, STRIDES), "integers from 0 up"),
        ((FLOATS, made.plain(False), SHAPE, STRIDES), "integers from 0 up"),
        ((FLOATS, made.plain(0.0), SHAPE, STRIDES), "integers from 0 up"),
        ((FLOATS, made.plain("0"), SHAPE, STRIDES), "integers from 0 up"),
        ((FLOATS, made.plain(-1), SHAPE, STRIDES), "integers from 0 up"),
        ((FLOATS, ZERO, made.plain((12.0, 12)), STRIDES), "integers from 0 up"),
        ((FLOATS, ZERO, made.plain((12, (12,))), STRIDES), "integers from 0 up"),
        ((FLOATS, ZERO, made.plain((-12, -12)), STRIDES), "integers from 0 up"),
        ((FLOATS, ZERO, SHAPE, made.plain((12, True))), "integers from 0 up"),
        ((FLOATS, made.plain(132), SHAPE, made.plain((-12, 1))), "integers from 0 up"),
        ((FLOATS, made.plain(1), SHAPE, STRIDES), "beyond its storage"),
        ((FLOATS, made.plain(145), made.plain((0,)), made.plain((1,))), "beyond its storage"),
        ((FLOATS, made.plain(2**62), SHAPE, STRIDES), "beyond its storage"),
        ((FLOATS, ZERO, SHAPE, made.plain((13, 1))), "beyond its storage"),
        ((FLOATS, ZERO, made.plain((13, 12)), STRIDES), "beyond its storage"),
        ((FLOATS, ZERO, made.plain((2**62,) * 4), made.plain((2**62,) * 4)), "beyond its storage"),
        ((FLOATS, ZERO, made.plain((2**62,) * 4), made.plain((0,) * 4)), "repeats its numbers"),
        ((FLOATS, ZERO, SHAPE, made.plain((0, 1))), "repeats its numbers"),
        ((FLOATS, ZERO, SHAPE, STRIDES, b"\x89", b"}", made.plain({"neg": True})), "stored negated"),
        ((FLOATS, made.plain(2**64), SHAPE, STRIDES), "its pickle is damaged"),
        ((FLOATS, ZERO, SHAPE), "its pickle is damaged"),
        ((FLOATS, ZERO, SHAPE, STRIDES, *[b"N"] * 4), "its pickle is damaged"),
    ],
)
def test_a_tensor_that_cannot_be(tmp_path, form, arguments, words):
    for function in ("torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor"):
        assert_refused(made.write_one(tmp_path / "vgg.pth", form, made.call(function, *arguments)), words)


def test_two_descriptions_of_a_storage_and_a_storage_in_another(tmp_path):
    twice = made.pieces_tuple(FLOATS, made.storage("0", 72, "torch DoubleStorage"))
    assert_refused(made.write_one(tmp_path / "vgg.pth", "zip", twice), "its storage '0' in two ways")
    view = made.storage("0", 144, view=made.plain(("1", 0, 72)))
    assert_refused(
        made.write_one(tmp_path / "vgg.pth", "zip", view), "a storage within another: load and save"
    )


@forms
def test_a_kernel_of_integers(tmp_path, form):
    arrays = made.torchvision_arrays(SHORT)
    pieces, storages = made.pieces_of(arrays, form)
    bias = storages["1"] = np.arange(4)
    pieces["features.0.bias"] = made.tensor(made.storage("1", bias.size, "torch LongStorage"), 0, (4,), (1,))
    path = made.write(tmp_path / "vgg.pth", form, made.dictionary(pieces), storages)
    assert_refused(path, "a kernel or bias of type Long, which is not a floating type")


@forms
@pytest.mark.parametrize("piece", [b"N", b"]", made.plain("vgg"), made.plain(5)], ids=repr)
def test_no_state_dict(tmp_path, form, piece):
    path = made.write(tmp_path / "vgg.pth", form, piece, {})
    assert_refused(path, re.escape("it holds no dict of tensors: save the network's state_dict()"))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "no layer called features.0.weight"),
        (["fc.weight"], "no layer called features.0.weight"),
        (["features.0.weight", "features.1.running_mean", "features.1.weight"], "batch normalisation"),
        (["features.0.weight", "features.2.weight", "features.3.weight"], "do not lie where"),
        (["features.0.weight", "features.3.squeeze.weight"], "do not lie where"),  # SqueezeNet
        (["features.0.0.weight"], "no layer called features.0.weight"),  # MobileNet
        (["features.0.weight"], "conv1_1 lacks its features.0.bias"),
        (["conv1_1.weight"], "conv1_1 lacks its conv1_1.bias"),
        (["features.0.weight", "features.0.bias"], "features.0.weight should have 4 axes"),
    ],
)
def test_not_a_vgg_that_is_known(tmp_path, names, words):
    pieces, storages = made.pieces_of({name: np.zeros(2, np.float32) for name in names}, "zip")
    assert_refused(made.write(tmp_path / "vgg.pth", "zip", made.dictionary(pieces), storages), words)


@pytest.mark.parametrize(
    ("number", "layer"), [(0, "conv1_1"), (5, "conv2_1"), (16, "conv3_4"), (28, "conv5_1")]
)
def test_a_convolution_missing_in_the_middle(tmp_path, number, layer):
    arrays = made.torchvision_arrays(tiny_weights("vgg19", "conv5_4"))
    del arrays[f"features.{number}.weight"], arrays[f"features.{number}.bias"]
    pieces, storages = made.pieces_of(arrays, "zip")
    path = made.write(tmp_path / "vgg.pth", "zip", made.dictionary(pieces), storages)
    assert_refused(path, f"{layer} is missing")

"""Settings: what they take, what they refuse, and that each is described in one place."""

import dataclasses
import importlib
import inspect
import json

import numpy as np
import pytest

from nnstyle import InputError, Settings, stylize
from nnstyle.pictures.preprocessing import TORCHVISION, parse_preprocessing
from nnstyle.settings import Options
from tests.support.tiny import tiny_weights


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"size": 31}, "size must be a whole number, at least 32"),
        ({"size": 64.5}, "size must be a whole number"),
        ({"size": "64"}, "size must be a whole number, at least 32, not '64'"),
        ({"size": True}, "size must be a whole number"),
        ({"iterations": 0}, "iterations must be a whole number, at least 1"),
        ({"iterations": 10**400}, "iterations must be at most 1000000"),
        ({"iterations": None}, "iterations must be a whole number"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 10**5000}, r"seed must be below 2\*\*128"),
        ({"alpha": 10**5000}, "alpha must be a finite number, not negative, not something of type int"),
        ({"scales": 10**5000}, "the smallest of something of type int scales"),
        ({"border": -1}, "border must be a whole number, at least 0"),
        ({"border": 513}, "border must be at most 512"),
        ({"style_scale": 0}, "style_scale must be above 0"),
        ({"style_scale": 1e306}, "style_scale must be above 0 and at most 100"),
        ({"size": 10**400}, "the size must be from 32 to 10000 pixels"),
        ({"style_scale": "2"}, "style_scale must be a finite number, not negative, not '2'"),
        ({"beta_per_pixel": -1.0}, "beta_per_pixel must be a finite number"),
        ({"beta": 1.0, "beta_per_pixel": 1.0}, "either beta or beta_per_pixel"),
        ({"alpha": -1.0}, "alpha must be a finite number, not negative"),
        ({"alpha": "1"}, "alpha must be a finite number, not negative, not '1'"),
        ({"alpha": None}, "alpha must be a finite number"),
        ({"alpha": 1j}, "alpha must be a finite number"),
        ({"alpha": 10**400}, "alpha must be a finite number"),
        ({"beta": float("nan")}, "beta must be a finite number"),
        ({"beta": "1000"}, "beta must be a finite number, not negative, not '1000'"),
        ({"tv_weight": float("inf")}, "tv_weight must be a finite number"),
        ({"tv_weight": [0]}, "tv_weight must be a finite number"),
        ({"layer_weights": (1, 2)}, "5 style layers need as many layer weights, not 2"),
        ({"layer_weights": (1, 1, -1, 1, 1)}, "layer weight of conv3_1 must be"),
        ({"layer_weights": (1, 1, float("nan"), 1, 1)}, "layer weight of conv3_1 must be"),
        ({"layer_weights": "12345"}, "layer_weights must be numbers"),
        ({"layer_weights": 5}, "layer_weights must be numbers"),
        ({"layer_weights": (10**400, 1, 1, 1, 1)}, "layer_weights must be numbers|conv1_1 must be"),
        ({"layer_weights": (1, 1, "one", 1, 1)}, "layer_weights must be numbers"),
        ({"pooling": "avg"}, "max, average"),
        ({"pooling": ["max"]}, "max, average"),
        ({"style_layers": ()}, "at least one layer"),
        ({"style_layers": [["conv1_1"]]}, "style_layers must be names of layers"),
        ({"style_layers": 5}, "style_layers must be names of layers"),
        ({"content_layers": ("conv4_2", "conv4_2")}, "each only once"),
        (
            {"init": 5},
            "init must be one of recoloured, content, noise, style, or the path of a picture, not 5",
        ),
        ({"colour": "grey"}, "colour must be one of style, content, luminance, match, not 'grey'"),
        ({"optimizer": "sgd"}, "lbfgs, lbfgs-nnstyle, adam, not 'sgd'"),
        ({"optimizer": "adam", "learning_rate": 0}, "learning_rate must be above 0 and at most 255"),
        ({"optimizer": "adam", "learning_rate": 256}, "learning_rate must be above 0 and at most 255"),
        ({"optimizer": "adam", "learning_rate": "1"}, "learning_rate must be a finite number"),
        ({"optimizer": "lbfgs", "learning_rate": 1}, "learning_rate is for the optimizer adam: choose it"),
        ({"learning_rate": 1}, "learning_rate is for the optimizer adam: choose it"),
        ({"bits": 12}, "bits must be 8 or 16, not 12"),
        ({"bits": "16"}, "bits must be a whole number"),
        ({"bounded": 1}, "bounded must be True or False"),
        ({"preprocessing": "rbg"}, "'rbg' is no preprocessing: give one of caffe"),
        ({"preprocessing": 5}, "5 is no preprocessing"),
        ({"rescale": "no"}, "rescale must be True or False"),
        ({"rescale": np.zeros((50, 50))}, r"rescale must be True or False, not array\(\[\[0\., 0\., [^\n]*$"),
        ({"rescale_over": 5}, "rescale_over must be the path of a folder"),
        ({"bounded": True, "optimizer": "lbfgs-nnstyle"}, "need the optimizer lbfgs or adam: "),
    ],
)
def test_settings_that_cannot_be_used(wrong, message):
    with pytest.raises(InputError, match=message):
        Settings(**wrong)


def test_an_unknown_setting_is_a_mistake_in_the_program():
    with pytest.raises(TypeError, match="itertions"):
        Settings(itertions=3)
    with pytest.raises(TypeError, match="itertions"):
        stylize("content.png", "style.png", itertions=3)


def test_one_layer_may_be_given_by_its_name():
    assert Settings(content_layers="conv3_1").content_layers == ("conv3_1",)


@pytest.mark.parametrize("kind", [list, tuple, np.array, iter])
def test_any_kind_of_sequence_makes_the_same_settings(kind):
    expected = Settings(layer_weights=(1.0, 0.5, 0.0, 2.0, 1.0), content_layers=("conv3_1", "conv4_2"))
    layers = ["conv3_1", "conv4_2"] if kind is np.array else kind(["conv3_1", "conv4_2"])
    given = Settings(layer_weights=kind([1, 0.5, 0, 2, 1]), content_layers=layers)
    assert given == expected and hash(given) == hash(expected)
    assert given.layer_weights == (1, 0.5, 0, 2, 1) and type(given.layer_weights) is tuple
    assert all(type(weight) is float for weight in given.layer_weights)


def test_numpys_numbers_are_numbers_and_can_be_stored():
    given = Settings(
        size=np.int64(64),
        iterations=np.int32(7),
        scales=np.uint8(2),
        seed=np.int16(3),
        alpha=np.float32(0.5),
        beta=np.float64(100),
        tv_weight=np.float32(0.25),
        layer_weights=np.ones(5, np.float32),
    )
    expected = Settings(
        size=64, iterations=7, scales=2, seed=3, alpha=0.5, beta=100, tv_weight=0.25, layer_weights=(1,) * 5
    )
    assert given == expected and hash(given) == hash(expected)
    assert json.loads(json.dumps(dataclasses.asdict(given)))["size"] == 64


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().size = 100


def test_what_is_left_open_is_decided_by_the_network_and_the_picture():
    stated = dataclasses.replace(tiny_weights(), style_layer_weights=(0.5, 0.5, 0.0, 0.0, 0.0))
    decided = Settings(border=3).decided(stated, 40, 50)
    assert decided.beta == 4000 * 46 * 56 and decided.layer_weights == (0.5, 0.5, 0, 0, 0)
    assert Settings().decided(tiny_weights(), 40, 50).layer_weights == (0.2,) * 5
    assert Settings().decided(None, 40, 50).layer_weights == (0.2,) * 5
    assert Settings().decided(None, 40, 50).pooling == "max"
    assert Settings(style_layers=["conv1_1", "conv2_1"]).decided(stated, 40, 50).layer_weights == (0.5, 0.5)
    assert Settings(optimizer="adam").decided(None, 40, 50).learning_rate == 5
    assert Settings(optimizer="adam", learning_rate=2).decided(None, 40, 50).learning_rate == 2
    assert Settings().decided(None, 40, 50).learning_rate is None
    given = Settings(grain=5.0, beta=0.0, layer_weights=(1, 2, 3, 4, 5), pooling="average")
    assert given.decided(stated, 40, 50) == given
    by_pixel = Settings(border=0, beta_per_pixel=7.0).decided(None, 40, 50)
    assert (by_pixel.beta, by_pixel.beta_per_pixel) == (7 * 40 * 50, None)
    assert by_pixel.decided(None, 40, 50) == by_pixel
    with pytest.raises(InputError, match="beta_per_pixel x the number of pixels must be a finite number"):
        Settings(beta_per_pixel=1e308).decided(None, 40, 50)


def test_a_preprocessing_may_be_given_as_an_object():
    given = Settings(preprocessing=TORCHVISION)
    assert parse_preprocessing(given.preprocessing) == TORCHVISION


@pytest.mark.parametrize(
    "size, expected",
    [(64, [64]), (160, [160]), (200, [100, 200]), (384, [96, 192, 384]), (512, [128, 256, 512])]
    + [(1024, [128, 256, 512, 1024]), (3000, [93, 187, 375, 750, 1500, 3000])],
)
def test_the_smallest_scale_is_near_115_px(size, expected):
    settings = Settings(size=size).with_scales(size)
    assert [scale.size for scale in settings.each_scale()] == expected


def test_there_are_fewer_scales_for_narrow_pictures_and_few_iterations():
    assert Settings(size=512).with_scales(40).scales == 1
    assert Settings(size=512).with_scales(66).scales == 2
    assert Settings(size=512, iterations=2).with_scales(512).scales == 2
    assert Settings(size=512, scales=1).with_scales(512).scales == 1
    with pytest.raises(ValueError, match="undecided"):
        next(Settings().each_scale())


def test_every_setting_says_all_that_the_command_line_needs():
    for field in dataclasses.fields(Settings):
        assert set(field.metadata) >= {"group", "help", "options"}, field.name
        assert field.metadata["help"] in Settings.__doc__ and f"    {field.name} : " in Settings.__doc__


def test_stylize_has_every_setting_as_an_option_with_the_same_default_and_type():
    options = inspect.signature(stylize).parameters
    for field in dataclasses.fields(Settings):
        option = options[field.name]
        assert option.default == field.default and option.kind is inspect.Parameter.KEYWORD_ONLY
        assert option.annotation is not inspect.Parameter.empty


def test_stylize_hands_every_setting_on(monkeypatch):
    """Each has a value of its own here, so that none can be taken for another."""
    given = {
        "size": 64,
        "iterations": 7,
        "scales": 2,
        "style_scale": 1.5,
        "border": 16,
        "init": "noise",
        "grain": 12.5,
        "seed": 11,
        "colour": "match",
        "transparency": "white",
        "optimizer": "adam",
        "learning_rate": 4.5,
        "bounded": True,
        "bits": 16,
        "alpha": 0.5,
        "beta": 2.5,
        "beta_per_pixel": None,
        "tv_weight": 0.25,
        "content_layers": ("conv2_1",),
        "style_layers": ("conv1_1", "conv3_1"),
        "layer_weights": (0.75, 0.125),
        "rescale": False,
        "rescale_over": "a folder",
        "preprocessing": "torchvision",
        "pooling": "average",
    }
    assert given.keys() == {field.name for field in dataclasses.fields(Settings)}
    for field in dataclasses.fields(Settings):
        assert given[field.name] != field.default or field.name == "beta_per_pixel"  # it excludes beta
    received = []

    def prepare(content, style, weights, settings, terms, progress):
        received.append(settings)
        raise InputError("enough")

    monkeypatch.setattr(importlib.import_module("nnstyle.stylize"), "prepare", prepare)
    for betas in ({"beta": 2.5, "beta_per_pixel": None}, {"beta": None, "beta_per_pixel": 3.5}):
        with pytest.raises(InputError, match="enough"):
            stylize("a", "b", **given | betas)
        assert dataclasses.asdict(received[-1]) == given | betas


def test_the_options_of_prepare_are_the_settings():
    assert list(Options.__annotations__) == [field.name for field in dataclasses.fields(Settings)]


@pytest.mark.parametrize("name", ["optimizer", "colour", "transparency", "pooling"])
def test_a_choice_is_a_text(name):
    with pytest.raises(InputError, match=f"{name} must be one of"):
        Settings(**{name: np.zeros(2)})


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": np.zeros(2), "learning_rate": 1.0},
        {"content_layers": [10**5000]},
        {"style_layers": ["conv1_1", b"conv2_1"]},
    ],
)
def test_a_value_of_another_type_is_refused_whatever_else_is_given(wrong):
    with pytest.raises(InputError):
        Settings(**wrong)

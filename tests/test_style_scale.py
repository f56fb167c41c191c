"""The size of the painting relative to the picture."""

import importlib

import numpy as np
import pytest

from nnstyle import InputError, Style, prepare, stylize
from nnstyle.cli import main
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

CONTENT, STYLE = noise(64, 80), noise(70, 90, seed=1)


def prepared(style, **settings):
    return prepare(CONTENT, style, tiny_weights(), size=64, iterations=1, **settings)


def test_the_painting_is_scaled_to_it():
    assert prepared(STYLE, style_scale=1.5).styles[0].image.shape == (75, 96, 3)
    assert prepared(Style(STYLE, scale=1.5)).styles[0].image.shape == (75, 96, 3)
    assert prepared(Style(STYLE, scale=3.0), style_scale=0.5).styles[0].image.shape == (75, 96, 3)


def test_it_is_the_same_either_way_and_shows_in_the_picture():
    how = {"size": 64, "iterations": 3}
    by_setting = stylize(CONTENT, STYLE, tiny_weights(), style_scale=1.5, **how)
    by_style = stylize(CONTENT, Style(STYLE, scale=1.5), tiny_weights(), **how)
    np.testing.assert_array_equal(by_setting.image, by_style.image)
    assert (by_setting.image != stylize(CONTENT, STYLE, tiny_weights(), **how).image).any()


def test_both_are_stored_with_a_picture():
    described = prepared(Style(STYLE, scale=3.0), style_scale=0.5).describe()
    assert described["style_scale"] == 0.5 and described["style_scales"] == [3.0]


@pytest.mark.parametrize(
    "style_scale, expected",
    [(1.2, [(38, 48), (75, 96)]), (0.6, [(32, 42), (37, 48)])],  # its short edge keeps 32 px
)
def test_several_scales_scale_it_along(monkeypatch, style_scale, expected):
    seen = []

    def set_targets(terms, network, content, styles):
        styles = list(styles)
        seen.extend(style.shape[:2] for style in styles)
        original(terms, network, content, styles)

    module = importlib.import_module("nnstyle.stylize")
    original = module.set_targets
    monkeypatch.setattr(module, "set_targets", set_targets)
    how = {"size": 80, "iterations": 2, "scales": 2, "border": 0}
    stylize(CONTENT, STYLE, tiny_weights(), style_scale=style_scale, **how)
    assert seen == expected


def test_a_small_painting_does_not_change_the_scales():
    job = prepare(noise(120, 160), STYLE, tiny_weights(), size=240, style_scale=0.25)
    assert job.settings.scales == 2


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), 1e200, "1", None, True])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(InputError, match="scale of a style must be above 0 and at most 100"):
        Style(STYLE, scale=scale)


@pytest.mark.parametrize("scale", [1e-3, 50, 100])
def test_a_painting_too_small_or_too_large_is_refused(scale):
    with pytest.raises(
        InputError, match="the painting would be .* px long: choose a style scale nearer to 1"
    ):
        prepared(Style(STYLE, scale=max(scale, 1)), style_scale=scale)


def test_the_command_line_refuses_it_in_one_line(capsys, tmp_path):
    assert main(["--style-scale", "0", "-o", str(tmp_path / "out.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1

"""Oklab, and lightness and colours of two pictures put together."""

import numpy as np
import pytest

from nnstyle.pictures import grey, match_lightness, with_colours_of
from nnstyle.pictures.lightness import oklab, srgb
from tests.support.pictures import noise


@pytest.mark.parametrize(
    "pixel, expected",
    [
        # From Ottosson's page: what XYZ (0.950, 1.000, 1.089), white, becomes; and by his code, red and blue.
        ((255, 255, 255), (1.0, 0.0, 0.0)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
        ((255, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 0, 255), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_oklab_of_known_colours(pixel, expected):
    np.testing.assert_allclose(oklab(np.array(pixel)), expected, atol=1e-4)


def test_oklab_and_back():
    pixels = noise(40, 30).astype(float)
    np.testing.assert_allclose(srgb(oklab(pixels)), pixels, atol=1e-6)


@pytest.mark.parametrize("L", [0.02, 0.15, 0.5, 0.85, 0.98])
def test_a_colour_that_does_not_exist_keeps_lightness_and_hue(L):
    """Clipping each channel by itself, as one might, keeps neither."""
    angles = np.linspace(0, 2 * np.pi, 50)
    wanted = np.stack([np.full(50, L), 0.4 * np.cos(angles), 0.4 * np.sin(angles)], axis=-1)
    pixels = srgb(wanted)
    assert pixels.min() >= 0 and pixels.max() <= 255
    got = oklab(pixels)
    np.testing.assert_allclose(got[:, 0], L, atol=2e-3)
    chroma = np.hypot(got[:, 1], got[:, 2])
    assert (chroma > 0.05 * min(L, 1 - L)).all()  # as much of it as there is room for
    hues = np.arctan2(got[:, 2], got[:, 1])
    assert abs(np.angle(np.exp(1j * (hues - angles)))).max() < 0.05
    clipped = oklab(unlimited(wanted).clip(0, 255))
    assert abs(clipped[:, 0] - L).max() > 0.02


def unlimited(lab):
    """sRGB of any Oklab colour, far below 0 and above 255 where need be."""
    from nnstyle.pictures.lightness import linear_rgb

    linear = linear_rgb(lab)
    return (
        255
        * np.sign(linear)
        * np.where(abs(linear) <= 0.0031308, abs(linear) * 12.92, 1.055 * abs(linear) ** (1 / 2.4) - 0.055)
    )


def test_lightness_of_one_and_colours_of_the_other():
    content, painted = noise(150, 20), noise(150, 20, seed=1)
    both = oklab(with_colours_of(content, painted))
    np.testing.assert_allclose(both[..., 0], oklab(painted)[..., 0], atol=2e-3)
    fitting = abs(both - oklab(content))[..., 1:].max(-1) < 1e-3
    assert 0.2 < fitting.mean() < 1  # of many, the chroma had to shrink


def test_a_picture_with_its_own_colours_is_itself():
    image = noise(150, 20)
    np.testing.assert_allclose(with_colours_of(image, image), image, atol=1e-3)


def test_black_and_white_stay():
    """They have no room for colour: a red photograph painted white is white there."""
    red = np.full((1, 2, 3), (200, 0, 0), np.uint8)
    painted = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    np.testing.assert_allclose(with_colours_of(red, painted), painted, atol=0.6)


def test_grey_is_as_light():
    image = noise(30, 20)
    without = grey(image)
    assert (without == without[..., :1]).all()
    np.testing.assert_allclose(oklab(without)[..., 0], oklab(image)[..., 0], atol=0.01)


def test_lightness_is_matched_in_mean_and_deviation():
    image, reference = noise(60, 50) // 4 + 40, noise(40, 70, seed=1) // 2 + 90
    matched, wanted = oklab(match_lightness(image, reference))[..., 0], oklab(reference)[..., 0]
    assert matched.mean() == pytest.approx(wanted.mean(), abs=5e-3)
    assert matched.std() == pytest.approx(wanted.std(), abs=5e-3)
    assert oklab(image)[..., 0].mean() < wanted.mean() - 0.1


def test_a_flat_picture_stays_flat():
    flat = np.full((40, 40, 3), 77, np.uint8)
    assert np.ptp(match_lightness(flat, noise(40, 40))) == 0
    assert abs(match_lightness(noise(40, 40), flat).astype(int) - 77).max() <= 1

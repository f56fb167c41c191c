"""A photograph takes a painting's colours: their mean and covariance, and not more than that."""

import numpy as np
import pytest

from nnstyle.pictures import recolour
from nnstyle.pictures.recolouring import square_root


def coloured_noise(mean, mixing, seed, shape=(90, 80)):
    """Normal noise with this mean and the covariance ``mixing mixing^T``, well within 0..255."""
    values = np.random.default_rng(seed).normal(size=(*shape, 3)) @ np.transpose(mixing) + mean
    return np.rint(values.clip(0, 255)).astype(np.uint8)


PHOTO = coloured_noise((120, 130, 140), [[14, 0, 0], [3, 12, 0], [-2, 4, 11]], seed=0)
PAINTING = coloured_noise((150, 90, 100), [[20, 0, 5], [8, 10, 0], [-6, 2, 18]], seed=1, shape=(70, 100))


def statistics(picture):
    colours = picture.reshape(-1, 3).astype(float)
    return colours.mean(0), np.cov(colours.T)


def test_mean_and_covariance_become_the_painting_s(monkeypatch):
    monkeypatch.setattr("nnstyle.pictures.recolouring.ADDED_DEVIATION", 0.0)
    for found, expected in zip(statistics(recolour(PHOTO, PAINTING)), statistics(PAINTING), strict=True):
        np.testing.assert_allclose(found, expected, atol=1.5)  # pixels are rounded


def test_as_shipped_it_varies_a_little_less_than_the_painting():
    found, expected = (np.trace(statistics(picture)[1]) for picture in (recolour(PHOTO, PAINTING), PAINTING))
    assert 0.6 * expected < found < expected


def test_shifting_the_mean_alone_would_not_do():
    """The twin that must fail."""
    shifted = PHOTO + statistics(PAINTING)[0] - statistics(PHOTO)[0]
    assert np.abs(statistics(shifted)[1] - statistics(PAINTING)[1]).max() > 50


def test_a_picture_that_has_these_colours_already_hardly_changes():
    assert np.abs(recolour(PAINTING, PAINTING).astype(int) - PAINTING).mean() < 5


def test_colours_change_no_more_than_they_must(monkeypatch):
    """A rotation of the map gives the same covariance, and moves the pixels further."""
    monkeypatch.setattr("nnstyle.pictures.recolouring.ADDED_DEVIATION", 0.0)
    ours = recolour(PHOTO, PAINTING).astype(float)
    mean, covariance = statistics(PAINTING)
    angle = 1.0
    rotation = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    root = square_root(covariance)
    rotated = (ours - mean) @ (np.linalg.inv(root) @ rotation @ root) + mean
    np.testing.assert_allclose(statistics(rotated)[1], statistics(ours)[1], rtol=1e-2)  # of rounded pixels
    assert np.square(rotated - PHOTO).mean() > 1.02 * np.square(ours - PHOTO).mean()


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_flat_picture_gets_the_mean_colour_and_its_grain_is_not_blown_up(grey):
    flat = np.full((40, 50, 3), grey, np.uint8)
    flat[::2, ::2] ^= 1  # a grain of one level
    recoloured = recolour(flat, PAINTING)
    np.testing.assert_allclose(recoloured.mean((0, 1)), statistics(PAINTING)[0], atol=1.5)
    assert np.ptp(recoloured.astype(int), axis=(0, 1)).max() <= 6


def test_a_painting_of_one_colour_gives_that_colour():
    red = np.full((40, 40, 3), (200, 10, 20), np.uint8)
    np.testing.assert_array_equal(recolour(PHOTO, red), np.broadcast_to(red[0, 0], PHOTO.shape))


def test_with_a_mask_the_colours_inside_become_the_paintings():
    both = np.concatenate([PHOTO, 255 - PHOTO // 3])  # above the photograph, below something light
    mask = np.zeros((*both.shape[:2], 1))
    mask[: len(PHOTO)] = 1
    inside = recolour(both, PAINTING, mask)[: len(PHOTO)]
    np.testing.assert_allclose(inside.astype(int), recolour(PHOTO, PAINTING), atol=1)
    without = recolour(both, PAINTING)[: len(PHOTO)]
    assert np.abs(without.astype(int) - recolour(PHOTO, PAINTING)).mean() > 10  # the twin


def test_a_mask_of_which_nothing_is_left_does_not_count():
    assert np.array_equal(
        recolour(PHOTO, PAINTING, np.zeros((*PHOTO.shape[:2], 1))), recolour(PHOTO, PAINTING)
    )

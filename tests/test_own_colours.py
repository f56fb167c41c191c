"""Whose colours a picture has: the painting's or the photograph's."""

import numpy as np
import pytest

from nnstyle import prepare, run, stylize
from nnstyle.inputs import JobPictures
from nnstyle.pictures import grey
from nnstyle.pictures.lightness import oklab
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

# A blue photograph and a red painting.
CONTENT = noise(48, 56) // 4 + np.array([20, 60, 150], np.uint8)
STYLE = np.kron(noise(8, 7, seed=1), np.ones((8, 8, 1), np.uint8)) // 4 + np.array([170, 40, 30], np.uint8)
HOW = {"size": 56, "iterations": 4, "border": 0}


def picture(colour, **settings):
    return stylize(CONTENT, STYLE, tiny_weights(), colour=colour, **HOW | settings).image


def mean_colour(image):
    return image.reshape(-1, 3).mean(0)


@pytest.mark.parametrize("colour", ["content", "luminance"])
def test_the_photograph_s_colours_under_the_painted_lightness(colour):
    image = picture(colour, iterations=15, beta_per_pixel=1e6)
    lab, expected = oklab(image), oklab(CONTENT)
    assert np.median(abs(lab - expected)[..., 1:]) < 0.01
    unpainted = abs(oklab(grey(CONTENT)) - expected)[..., 0].mean()  # rounding
    assert abs(lab - expected)[..., 0].mean() > 3 * unpainted


def test_the_painted_lightness_is_that_of_the_painting_s_colours():
    """`content` changes the finished picture only, `luminance` what is compared."""
    usual, content, luminance = (
        oklab(picture(colour))[..., 0] for colour in ("style", "content", "luminance")
    )
    assert abs(usual - content).mean() < 0.01 < abs(usual - luminance).mean()


def test_luminance_compares_grey_pictures():
    job = prepare(CONTENT, STYLE, tiny_weights(), colour="luminance", **HOW)
    seen = JobPictures(job)
    for image in (seen.content, *seen.styles):
        assert (image == image[..., :1]).all()
    lightness = [oklab(image)[..., 0] for image in (seen.content, *seen.styles)]
    assert lightness[0].mean() == pytest.approx(lightness[1].mean(), abs=0.01)


def test_matched_paintings_have_the_photograph_s_mean_and_covariance():
    job = prepare(CONTENT, STYLE, tiny_weights(), colour="match", **HOW)
    seen = JobPictures(job)
    np.testing.assert_array_equal(seen.content, job.content)
    (painting,) = seen.styles
    np.testing.assert_allclose(mean_colour(painting), mean_colour(job.content), atol=1)
    assert abs(mean_colour(job.styles[0].image) - mean_colour(job.content)).max() > 50
    usual, matched = (abs(mean_colour(picture(c)) - mean_colour(CONTENT)).max() for c in ("style", "match"))
    assert matched < 15 < usual


def test_what_a_callback_sees_has_these_colours_too():
    seen = []
    job = prepare(CONTENT, STYLE, tiny_weights(), colour="content", **HOW)
    result = run(job, callback=lambda event: seen.append(event.image()))
    np.testing.assert_array_equal(seen[-1], result.image)
    assert seen[0][..., 2].mean() > seen[0][..., 0].mean() + 30  # blue from the beginning

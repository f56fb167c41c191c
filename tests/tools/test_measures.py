"""The measures tell what they should: the same from the other, more harm from less."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from weights.measures import gabor_filters, ms_ssim, texture_distance, texture_statistics

SIZE = 128


def texture(name, seed):
    """A stationary texture (128, 128, 3), another part of it for another seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] + rng.uniform(0, 50, 2)[:, None, None]
    if name == "stripes":
        grey = np.sin((x + 0.5 * y) / 2)
    elif name == "checks":
        grey = np.sign(np.sin(x / 3) * np.sin(y / 3))
    else:
        blobs = gaussian_filter(rng.normal(size=(SIZE, SIZE)), float(name.removeprefix("blobs")), mode="wrap")
        grey = blobs / blobs.std() / 2
    noise = 0.1 * rng.normal(size=(SIZE, SIZE, 3))
    return np.clip(128 + 60 * (grey[..., None] + noise), 0, 255).astype(np.uint8)


def photograph(seed=0):
    """Soft shapes of all sizes, (176, 192, 3)."""
    rng = np.random.default_rng(seed)
    sum_of_scales = sum(
        s * gaussian_filter(rng.normal(size=(176, 192, 3)), (s, s, 0.5), mode="wrap") for s in (1, 3, 9, 27)
    )
    return np.clip(128 + 40 * sum_of_scales / sum_of_scales.std(), 0, 255).astype(np.uint8)


TEXTURES = ("stripes", "checks", "blobs1", "blobs3")


def test_a_texture_is_at_distance_0_from_itself():
    assert texture_distance(texture("blobs1", 0), texture("blobs1", 0)) == (0, 0)


@pytest.mark.parametrize("name", TEXTURES)
def test_two_parts_of_a_texture_are_nearer_than_two_textures(name):
    here = texture(name, 0)
    same = texture_distance(texture(name, 1), here)
    for other in set(TEXTURES) - {name}:
        marginals, correlations = texture_distance(texture(other, 1), here)
        assert marginals > 1.5 * same[0] and correlations > 1.1 * same[1]


def test_a_change_of_palette_moves_the_marginals_and_not_the_correlations():
    here = texture("blobs3", 0)
    shifted = here.copy()
    shifted[..., 0] -= here[..., 0].min()
    marginals, correlations = texture_distance(shifted, here)
    assert marginals > 0.02 and correlations < 1e-6


def test_structure_that_marginals_miss_moves_the_correlations():
    """Every other band swapped in space: scrambled blocks keep the values, not what lies beside what."""
    here = texture("stripes", 0)
    blocks = [part for row in np.split(here, 16) for part in np.split(row, 16, axis=1)]
    order = np.random.default_rng(0).permutation(len(blocks))
    scrambled = np.vstack([np.hstack([blocks[i] for i in row]) for row in order.reshape(16, 16)])
    assert np.array_equal(np.sort(scrambled.ravel()), np.sort(here.ravel()))
    assert texture_distance(scrambled, here)[1] > 1.5 * texture_distance(texture("stripes", 1), here)[1]


def test_even_surfaces_have_no_structure():
    even = [np.full((SIZE, SIZE, 3), grey, np.uint8) for grey in (10, 200)]
    assert texture_distance(*even)[1] < 1e-6 and texture_distance(*even)[0] > 1
    assert all(abs(g.sum()) < 1e-12 and np.abs(g).sum() == pytest.approx(1) for g in gabor_filters())


def test_correlations_are_correlations():
    correlations = np.concatenate(texture_statistics(texture("checks", 0))[1])
    assert len(correlations) > 500 and np.abs(correlations).max() <= 1 + 1e-9


def test_ms_ssim_is_1_for_the_same_and_symmetric():
    here, there = photograph(), photograph(1)
    assert ms_ssim(here, here) == pytest.approx(1, abs=1e-12)
    assert (
        ms_ssim(here, there) == pytest.approx(ms_ssim(there, here), abs=1e-12) and ms_ssim(here, there) < 0.5
    )


@pytest.mark.parametrize("harm", ["blur", "noise"])
def test_ms_ssim_falls_with_harm(harm):
    here, rng = photograph(), np.random.default_rng(0)
    harmed = {
        "blur": lambda much: gaussian_filter(here, (much, much, 0)),
        "noise": lambda much: np.clip(here + 8 * much * rng.normal(size=here.shape), 0, 255),
    }[harm]
    scores = [ms_ssim(harmed(much), here) for much in (1, 3, 9)]
    assert 1 > scores[0] > scores[1] > scores[2] > 0


def test_a_constant_shift_of_brightness_harms_little():
    here = np.clip(photograph(), 20, 235)
    assert ms_ssim(here - 15, here) > 0.97

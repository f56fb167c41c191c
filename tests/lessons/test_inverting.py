"""HOG as lesson 15 writes it, against scikit-image's."""

import numpy as np
import pytest

from tests.support.lessons import parts_of

HOG = parts_of(
    "l15_inverting_representations",
    [
        *("DIRECTIONS", "CIRCLE", "CELL", "CLIP", "TINY"),
        *("slopes", "orientations", "shares", "blocks", "normalise", "clip", "hog"),
    ],
)


def largest_difference(soft, pooled):
    """Of all numbers of the two codes of a random picture, whose own are between 0 and 1."""
    feature = pytest.importorskip("skimage.feature")
    picture = np.random.default_rng(0).normal(0, 50, (32, 48))
    theirs = feature.hog(
        picture, 9, pixels_per_cell=(8, 8), cells_per_block=(2, 2), block_norm="L2-Hys", feature_vector=False
    )
    ours, _ = HOG.hog(picture, 9, np.pi, soft, pooled)
    return np.abs(ours.reshape(theirs.shape) - theirs).max()


def test_hard_assignment_in_separate_cells_is_what_scikit_image_computes():
    assert largest_difference(soft=False, pooled=False) < 1e-6


@pytest.mark.parametrize(("soft", "pooled"), [(True, False), (False, True), (True, True)])
def test_the_other_variants_are_not(soft, pooled):
    assert largest_difference(soft, pooled) > 0.01

"""Small scenes in many manners: what lesson 16 learns from."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lessons.scenes import manners, motifs


def scene(kind="trees", seed=0):
    return motifs.scene(np.random.default_rng(seed), kind, 48)


@pytest.mark.parametrize("kind", motifs.KINDS)
def test_a_scene_has_colours_planes_and_a_flow(kind):
    colours, planes, flow = scene(kind)
    assert colours.shape == (48, 48, 3) and colours.min() >= 0 and colours.max() <= 1 and colours.std() > 0.05
    assert planes.shape == flow.shape == (48, 48) and len(np.unique(planes)) >= 3
    assert np.abs(flow).max() <= np.pi / 2 + 1e-12
    assert np.array_equal(colours, scene(kind).colours)
    assert not np.array_equal(colours, scene(kind, seed=1).colours)


@pytest.mark.parametrize("manner", manners.MANNERS)
def test_a_manner_changes_the_picture_as_much_as_its_strength_says(manner):
    original = scene()
    plain = gaussian_filter(original.colours, (0.5, 0.5, 0))
    changes = []
    for strength in (0, 0.5, 1):
        drawn = manners.draw(original, manner, np.random.default_rng(0), strength)
        assert drawn.shape == (48, 48, 3) and drawn.min() >= 0 and drawn.max() <= 1
        changes.append(np.abs(drawn - plain).mean())
    assert changes[0] < 1e-12
    assert 0.3 < changes[1] / changes[2] < 0.7 and changes[2] > 0.01


@pytest.mark.parametrize("manner", manners.MANNERS)
def test_a_manner_leaves_the_scene_as_it_was_and_draws_the_same_again(manner):
    original, again = scene("fruit"), scene("fruit")
    first = manners.draw(original, manner, np.random.default_rng(3), 0.8, 1.2)
    assert np.array_equal(first, manners.draw(again, manner, np.random.default_rng(3), 0.8, 1.2))
    for ours, theirs in zip(original, again):
        assert np.array_equal(ours, theirs)


def test_no_two_manners_draw_the_same():
    drawn = [manners.draw(scene(), manner, np.random.default_rng(0)) for manner in manners.MANNERS]
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert np.abs(one - other).mean() > 0.02


def test_a_pavement_without_disorder_is_a_grid():
    stone, gap = manners.pavement(np.random.default_rng(0), 40, 7.3, 0.0)
    stone, gap = stone[1:, 1:], gap[1:, 1:]  # pixel 0 is as near to the stones beyond the border
    number = np.floor(np.arange(1, 40) / 7.3)
    assert len(np.unique(stone)) == 36
    assert np.array_equal(stone[:, 1:] == stone[:, :-1], np.broadcast_to(np.diff(number) == 0, (39, 38)))
    assert gap.min() >= 0
    assert gap[3, 3] > gap[3, 6]  # the middle of a stone, and its edge


def test_each_label_gets_the_mean_of_its_colours():
    labels = np.array([[0, 0], [1, 3]])
    colours = np.arange(12.0).reshape(2, 2, 3)
    means = manners.means_of(labels, colours)
    assert np.array_equal(means[0, 0], means[0, 1]) and np.array_equal(means[0, 0], [1.5, 2.5, 3.5])
    assert np.array_equal(means[1], colours[1])

"""Noise where each scale begins: what it is, when there is some, and that even areas are painted otherwise with it."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from nnstyle import InputError, Settings, prepare, run, stylize
from nnstyle.pictures import Preprocessing
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

GREY = np.full((64, 96, 3), 128, np.uint8)
PAINTING = noise(64, 64, seed=1)


def begun(**how):
    """A picture that no loss changes: where the work begins, in levels. At two scales, each adds its grain."""
    nothing = {
        "alpha": 1e-30,
        "beta": 0.0,
        "iterations": 2,
        "border": 0,
        "init": "content",
        "size": 96,
        "bits": 16,
    }
    return stylize(GREY, PAINTING, tiny_weights(), **nothing | how).image / 257


@pytest.mark.parametrize("level", [5, 30])
def test_grain_is_grey_noise_of_so_many_levels_around_the_initial_image(level):
    grain = begun(grain=level, scales=1) - 128
    assert np.array_equal(grain[..., 0], grain[..., 1]) and np.array_equal(grain[..., 0], grain[..., 2])
    assert np.isclose(grain.std(), level, rtol=0.03) and abs(grain.mean()) < level / 10
    neighbours = np.corrcoef(grain[:, 1:, 0].ravel(), grain[:, :-1, 0].ravel())[0, 1]
    assert abs(neighbours) < 0.05  # each pixel has its own


def test_each_scale_adds_its_own():
    one = begun(grain=20, scales=1)
    two = begun(grain=20, scales=2)
    enlarged = two - one  # the grain of the coarse scale: both end with that of the full size
    assert enlarged.std() > 10
    neighbours = np.corrcoef(enlarged[:, 1:, 0].ravel(), enlarged[:, :-1, 0].ravel())[0, 1]
    assert neighbours > 0.5


def test_the_seed_decides_which():
    assert np.array_equal(begun(grain=20), begun(grain=20))
    assert not np.array_equal(begun(grain=20), begun(grain=20, seed=1))


@pytest.mark.parametrize(
    "preprocessing", ["caffe", "torchvision", Preprocessing("BGR", (1, 2, 3), (0.1, 0.2, 0.3))]
)
def test_its_levels_are_the_picture_s_whatever_the_network_expects(preprocessing):
    found = begun(grain=20, scales=2, preprocessing=preprocessing)
    expected = begun(grain=20, scales=2, preprocessing="rgb,0,0,0,1")
    assert np.allclose(found, expected, atol=0.02)


def test_a_beta_is_too_small_only_for_a_rescaled_network():
    """One whose file says that it is rescaled is so without `rescale`, too."""
    how = {"size": 256, "pooling": "average", "beta_per_pixel": 399.0, "rescale": False}
    for rescaled, level in ((True, 0), (False, 10)):
        weights = dataclasses.replace(tiny_weights(), rescaled=rescaled)
        assert prepare(noise(200, 256), PAINTING, weights, **how).settings.grain == level


@pytest.mark.parametrize(
    ("how", "level"),
    [
        ({}, 10),
        ({"pooling": "max"}, 0),
        ({"pooling": "max", "grain": 5.0}, 5),
        ({"init": "content"}, 10),
        ({"scales": 1}, 0),  # the paper's way
        ({"size": 96}, 0),  # which has one scale
        ({"init": "noise"}, 0),
        ({"init": "style"}, 0),
        ({"grain": 7.5, "scales": 1, "init": "noise"}, 7.5),
        ({"grain": 0.0}, 0),
        ({"init": "first.png"}, 0),
        ({"beta_per_pixel": 399.0}, 0),  # of 4000: hardly anything is painted, and the grain would stay
        ({"beta_per_pixel": 401.0}, 10),
        ({"beta_per_pixel": 401.0, "alpha": 2.0}, 0),
    ],
)
def test_by_default_there_is_some_where_a_photograph_is_painted_coarse_to_fine(
    how, level, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PAINTING).save("first.png")
    how = {"size": 256, "pooling": "average"} | how
    assert prepare(noise(200, 256), PAINTING, tiny_weights(), **how).settings.grain == level


@pytest.mark.parametrize("level", [-1, 256, float("nan"), "3", True])
def test_no_other_grain_is_taken(level):
    with pytest.raises(InputError, match="^grain must be"):
        Settings(grain=level)


def repeats(image):
    """Whether the 4 px left of the middle equal the 4 px right of it: 4, because two poolings halve the picture twice."""
    middle = image.shape[1] // 2
    return abs(image[:, middle - 4 : middle].astype(int) - image[:, middle : middle + 4]).max() <= 1


def test_without_grain_what_is_alike_along_an_edge_is_painted_alike():
    """Far from its left and right edge, all columns of this picture are alike, and so are their gradients."""
    sky_and_ground = np.full((64, 640, 3), 180, np.uint8)
    sky_and_ground[40:] = 40
    how = {"size": 640, "scales": 1, "iterations": 3, "border": 0, "init": "content"}
    how |= {"content_layers": "conv2_1", "style_layers": ("conv1_1", "conv3_1")}  # which do not see far
    plain = stylize(sky_and_ground, PAINTING, tiny_weights(), grain=0, **how).image
    assert abs(plain.astype(int) - sky_and_ground).mean() > 1  # something was painted
    assert repeats(plain)
    grained = stylize(sky_and_ground, PAINTING, tiny_weights(), grain=5, **how).image
    nothing = how | {"alpha": 1e-30, "beta": 0.0}
    start = stylize(sky_and_ground, PAINTING, tiny_weights(), grain=5, **nothing).image
    assert not repeats(128 + grained.astype(int) - start)  # what was painted, apart from the grain itself


def test_a_run_that_is_resumed_ends_with_the_same_picture():
    states = []
    how = {"size": 96, "scales": 2, "grain": 30, "iterations": 8, "optimizer": "lbfgs-nnstyle"}
    job = prepare(noise(64, 96, seed=2), PAINTING, tiny_weights(), **how)
    whole = run(job, callback=lambda event: states.append(event.state()))
    resumed = states[1], states[4], states[6]
    assert [state.scale for state in resumed] == [0, 0, 1]  # one where the first scale ends
    for state in resumed:
        assert np.array_equal(run(job, resume=state).image, whole.image)


def test_it_is_written_into_the_picture():
    how = {"size": 96, "scales": 2, "iterations": 2, "pooling": "average"}
    result = stylize(noise(64, 96), PAINTING, tiny_weights(), **how)
    assert result.settings.grain == result.made_with["grain"] == 10


def test_without_grain_a_job_is_what_it_was_in_version_0_7():
    """So the checkpoints of that version can be resumed."""
    how = {"size": 96, "scales": 2, "pooling": "average"}
    jobs = [prepare(noise(64, 96), PAINTING, tiny_weights(), grain=grain, **how) for grain in (0, 10)]
    by_version_0_7 = "79ad856525b2f331bea2477c0038541cb53d3485bac5da7e7622926fd7348ead"
    assert jobs[0].digest == by_version_0_7 != jobs[1].digest

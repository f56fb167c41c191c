"""Coarse to fine, and what happens where memory is short."""

import numpy as np
import pytest
from PIL import Image

from nnstyle import InputError, Settings, stylize
from nnstyle.engine.cpu import Cpu
from nnstyle.optimizers import OPTIMIZERS
from nnstyle.pictures import enlarge
from nnstyle.stylize import next_start
from tests.support.pictures import noise


@pytest.fixture(scope="module")
def pictures():
    """Two smooth random pictures."""
    return [
        np.array(Image.fromarray(noise(*shape)).resize((120, 90), Image.Resampling.BICUBIC))
        for shape in ((5, 7), (9, 6))
    ]


@pytest.mark.parametrize(
    "scales, iterations, expected",
    [(1, 7, [7]), (2, 2, [1, 1]), (4, 4, [1, 1, 1, 1]), (2, 100, [60, 40]), (3, 200, [89, 66, 45])],
)
def test_smaller_scales_get_more_iterations_and_each_at_least_one(scales, iterations, expected):
    settings = Settings(size=512, iterations=iterations, scales=scales)
    assert [scale.iterations for scale in settings.each_scale()] == expected


def test_scales_double_and_share_the_iterations():
    settings = Settings(size=513, iterations=11, scales=3, tv_weight=2.0)
    scales = list(settings.each_scale())
    assert [scale.size for scale in scales] == [128, 256, 513]
    assert [scale.iterations for scale in scales] == [5, 3, 3]
    assert {(scale.scales, scale.tv_weight) for scale in scales} == {(1, 2.0)}
    assert list(Settings(scales=1).each_scale()) == [Settings(scales=1)]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"scales": 0}, "scales must be a whole number, at least 1"),
        ({"scales": 1.5}, "scales must be a whole number"),
        ({"scales": 3, "size": 127}, "smallest of 3 scales would have fewer than 32 pixels"),
        ({"scales": 10**9}, "smallest of 1000000000 scales"),
        ({"scales": 3, "iterations": 2}, "3 scales need at least 3 iterations, not 2"),
    ],
)
def test_scales_that_cannot_be_used(wrong, message):
    with pytest.raises(InputError, match=message):
        Settings(**wrong)


def test_every_scale_is_recorded_and_the_last_has_the_size_asked_for(pictures):
    seen = []

    def callback(event):
        seen.append(event.image().shape)

    result = stylize(*pictures, callback=callback, size=88, iterations=5, scales=2)
    assert result.image.shape == (66, 88, 3)
    assert [record.size for record in result.losses] == [44, 44, 44, 88, 88]
    assert [record.iteration for record in result.losses] == [1, 2, 3, 4, 5]
    assert seen == [(33, 44, 3)] * 3 + [(66, 88, 3)] * 2
    assert result.settings.scales == 2 and result.settings.beta == 1000 * (66 + 64) * (88 + 64)


@pytest.mark.slow
def test_a_scale_starts_from_the_one_before(pictures):
    how = {"size": 96, "border": 0, "init": "content"}
    single = stylize(*pictures, iterations=1, scales=1, **how).losses[0].total
    both = stylize(*pictures, iterations=40, scales=2, **how).losses
    fine = [record for record in both if record.size == 96]
    assert fine[0].total < single / 2


@pytest.mark.slow
@pytest.mark.parametrize("how", [{"init": "noise"}, {"init": "style"}, {"bounded": True}, {"tv_weight": 0.1}])
def test_scales_go_with_every_other_setting(pictures, how):
    first, second = (stylize(*pictures, size=88, iterations=4, scales=2, border=0, **how) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    assert first.image.std() > 5 and [record.size for record in first.losses] == [44, 44, 88, 88]


def test_what_a_scale_leaves_over_the_next_one_does(pictures, monkeypatch):
    original = OPTIMIZERS["lbfgs"]

    def minimize(objective, start, iterations, bounds, callback, memory):
        iterations = 1 if max(start.shape) == 44 + 64 else iterations  # as if no lower loss were found
        return original(objective, start, iterations, bounds, callback, memory)

    monkeypatch.setitem(OPTIMIZERS, "lbfgs", minimize)
    result = stylize(*pictures, size=88, iterations=6, scales=2)
    assert [record.size for record in result.losses] == [44] + 5 * [88]


def test_what_is_enlarged_is_the_change_of_the_initial_image():
    rng = np.random.default_rng(0)
    initial, larger_initial = (rng.normal(size=shape).astype(np.float32) for shape in ((4, 6, 3), (8, 12, 3)))
    settings = Settings()
    np.testing.assert_array_equal(next_start(initial, initial, larger_initial, settings), larger_initial)
    np.testing.assert_allclose(
        next_start(initial + 5, initial, larger_initial, settings), larger_initial + 5, atol=1e-5
    )
    noisy = next_start(initial, initial, larger_initial, Settings(init="noise"))
    np.testing.assert_array_equal(noisy, enlarge(initial, 8, 12))


def test_enlarging_keeps_channels_apart_and_values_as_they_are():
    values = np.full((3, 5, 3), (-200.0, 0.5, 1000.0), np.float32)
    larger = enlarge(values, 7, 9)
    assert larger.shape == (7, 9, 3) and larger.dtype == np.float32
    np.testing.assert_allclose(larger, np.broadcast_to(values[0, 0], larger.shape), rtol=1e-5)


def test_where_memory_is_short_less_is_used_and_the_picture_is_the_same(pictures, monkeypatch):
    expected = stylize(*pictures, size=64, iterations=3)
    monkeypatch.setattr(Cpu, "available", lambda self, swap=False, threads=None: 1e12 if swap else 1e8)
    with pytest.warns(UserWarning, match="little memory is free"):
        result = stylize(*pictures, size=64, iterations=3)
    np.testing.assert_array_equal(result.image, expected.image)
    stylize(*pictures, size=64, iterations=3, low_memory=False)  # asked for: no warning

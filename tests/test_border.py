"""The border: no frame is painted where the network's convolutions see zeros around the picture."""

import numpy as np
import pytest

from nnstyle import prepare, run, stylize
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights


def paint_flat(border):
    """A grey picture in the sample's style. Average pooling shows the frame most clearly."""
    grey = np.full((96, 128, 3), 128, np.uint8)
    how = {"size": 128, "iterations": 20, "scales": 1, "init": "content", "pooling": "average"}
    return stylize(grey, "nnstyle/samples/style.jpg", border=border, **how).image


def frame(picture, width=16):
    """How much more the strokes near an edge run along it than across it: 1 if there is no frame."""
    grey = picture.mean(2)
    across, down = np.diff(grey, axis=1)[:-1] ** 2, np.diff(grey, axis=0)[:, :-1] ** 2
    left_right, top_bottom = np.zeros((2, *across.shape), bool)
    left_right[width:-width, :width] = left_right[width:-width, -width:] = True
    top_bottom[:width, width:-width] = top_bottom[-width:, width:-width] = True
    by_edge = [across[edge].mean() / down[edge].mean() for edge in (left_right, top_bottom)]
    return by_edge[0] / by_edge[1]


@pytest.mark.slow
def test_without_a_border_a_flat_picture_gets_a_frame_and_with_it_none():
    assert frame(paint_flat(0)) > 2.2
    assert frame(paint_flat(32)) < 1.6


def test_the_state_is_the_canvas_and_the_picture_what_is_left_after_cropping():
    job = prepare(noise(40, 48), noise(44, 40, seed=1), tiny_weights(), size=48, iterations=2, border=7)
    events = []
    result = run(job, callback=events.append)
    canvas = events[-1].state().image
    assert canvas.shape == (40 + 14, 48 + 14, 3)
    inner = np.rint(canvas[7:-7, 7:-7].clip(0, 255))  # the tiny network takes pixels as they are
    np.testing.assert_array_equal(result.image, inner)
    np.testing.assert_array_equal(events[-1].image(), inner)
    assert result.losses[-1].size == 48


def test_a_border_may_be_wider_than_the_picture():
    how = {"size": 32, "iterations": 1, "border": 100}
    assert stylize(noise(32, 32), noise(32, 32, seed=1), tiny_weights(), **how).image.shape == (32, 32, 3)

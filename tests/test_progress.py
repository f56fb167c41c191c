"""The time left, on what real runs took."""

from itertools import accumulate

import pytest

from nnstyle import Engine, Record, Settings, prepare
from nnstyle.progress import FIRST, OVERHEAD, RECENT, TimeLeft
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

# Seconds of each iteration of a picture of 1024 x 768 px by L-BFGS-B, at 128, 256, 512 and 1024 px. It is the
# time of the processor, with one thread: what the clock would say if the machine had nothing else to do.
RUNS = {
    "pocket": [
        [0.371, 0.084, 0.08, 0.08, 0.08, 0.085, 0.087, 0.083, 0.083, 0.082],
        [0.606, 0.202, 0.188, 0.186, 0.197, 0.193, 0.201, 0.211, 0.195, 0.195],
        [1.82, 0.566, 0.556, 0.579, 0.563, 0.562, 0.587, 0.593, 0.572, 0.601],
        [6.17, 4.16, 2.32, 2.01, 1.97, 1.98, 2.11, 2.08, 2.11, 2.1],
    ],
    "VGG-16": [
        [0.867, 0.219, 0.218, 0.435, 0.445, 0.221],
        [1.63, 0.491, 0.497, 0.519, 0.546, 0.973],
        [4.51, 1.45, 2.88, 1.46, 1.48, 1.49],
        [16.5, 5.45, 10.7, 5.36, 5.32, 5.23],
    ],
}


def time_left_of(height, width, tile=None, **settings):
    """The estimates for a picture of this size."""
    picture = noise(height, width)
    return TimeLeft(prepare(picture, picture, tiny_weights(), **settings), Engine(tile=tile))


def records(scales, largest):
    """The records of a run, from the seconds of its iterations at each scale."""
    sizes = [largest >> halvings for halvings in reversed(range(len(scales)))]
    steps = [(size, seconds) for size, scale in zip(sizes, scales) for seconds in scale]
    times = accumulate(seconds for _, seconds in steps)
    return [Record(i, size, 0, {}, time) for i, ((size, _), time) in enumerate(zip(steps, times), start=1)]


def pixels_so_far(settings):
    """The estimate of version 0.2: an iteration costs the picture's pixels, and all so far tell the pace."""
    done = 0

    def after(record):
        nonlocal done
        done += record.size**2
        sizes = [scale.size for scale in settings.each_scale() for _ in range(scale.iterations)]
        return record.seconds / done * sum(size**2 for size in sizes[record.iteration :])

    return after


@pytest.mark.parametrize("network", RUNS)
def test_the_time_left_is_right_within_a_third_from_the_fifth_iteration_on(network):
    run = records(RUNS[network], 1024)
    settings = Settings(size=1024, scales=4, iterations=len(run))

    def is_right(estimate):
        estimates = [estimate(record) for record in run]
        left = [run[-1].seconds - record.seconds for record in run]
        return all(abs(e - s) <= s / 3 for e, s in zip(estimates[4:], left[4:]))

    assert is_right(time_left_of(768, 1024, size=1024, scales=4, iterations=len(run)).after)
    assert not is_right(pixels_so_far(settings))


def test_what_is_left_is_counted_in_pixels_of_the_canvas():
    time_left = time_left_of(66, 88, size=88, iterations=6, scales=2, border=5)
    small, large = time_left.cost(44), time_left.cost(88)
    assert large - small == 76 * 98 - 43 * 54
    at = lambda iteration, size: time_left.cost_ahead(Record(iteration, size, 0, {}, 1.0))
    assert at(1, 44) == 2 * small + (FIRST + 2) * large
    assert at(4, 88) == 2 * large and at(6, 88) == 0
    assert at(2, 88) == 4 * large  # the small scale ended after one iteration


def test_tiles_cost_more_and_only_at_the_scales_that_they_paint():
    whole, by_tiles = (
        time_left_of(384, 512, tile, size=512, scales=2, iterations=4, border=0) for tile in (None, 128)
    )
    assert by_tiles.cost(256) == whole.cost(256)
    # Columns of 128 px with a halo of 80 px: 208, 288, 288 and 208 px wide; rows likewise: 208, 288 and 208.
    pixels = (2 * 208 + 2 * 288) * (2 * 208 + 288)
    # Twice forward and once backward, but the last tile only once forward.
    assert by_tiles.cost(512) - OVERHEAD == pytest.approx(1.5 * pixels - 0.5 * 208 * 208)
    assert whole.cost(512) - OVERHEAD == 384 * 512


def test_an_iteration_that_was_held_up_does_not_count():
    time_left = time_left_of(64, 64, size=64, iterations=100, scales=1)
    for record in records([[FIRST, 1, 1, 1, 1, 600, 1]], 64):
        left = time_left.after(record)
    assert left == pytest.approx(93)


def test_the_pace_is_that_of_the_latest_iterations():
    """On a GPU a small picture takes nearly as long as a large one, and pixels say little."""
    time_left = time_left_of(128, 128, size=128, iterations=60, scales=2)
    for record in records([[1] * 30, [FIRST, *[1] * (RECENT - 1)]], 128):
        left = time_left.after(record)
    assert left == pytest.approx(30 - RECENT)


def test_a_resumed_run_waits_for_its_second_iteration():
    """The seconds of its first record are those of the earlier run as well."""
    time_left = time_left_of(64, 64, size=64, iterations=100, scales=1)
    assert time_left.after(Record(51, 64, 0, {}, 1000.0)) is None
    assert time_left.after(Record(52, 64, 0, {}, 1002.0)) == pytest.approx(2 * 48)

"""The limits that the benchmark of a GPU shows."""

import math

import numpy as np

from nnstyle.benchmark import floor, work
from tests.support.tiny import tiny_weights


def test_operations_of_the_direct_form_are_those_of_the_whole_network():
    weights = tiny_weights(last="conv2_1")
    steps = floor.steps(weights, 12, math.inf)
    assert sum(operations for operations, _ in steps) == work.operations(weights, 12)
    assert len(steps) == 2 * len(weights)


def test_winograd_s_steps_are_counted():
    """One tile, 2 channels in and 3 out: 64 products of (1, 2) @ (2, 3), and the transforms."""
    operations, moved = zip(*floor.winograd(6, 6, 2, 3), strict=True)
    assert operations == (0, 2 * 8 * 8 * 16, 2 * 8 * 8 * 16, 2 * 64 * 6, 2 * 6 * 8 * 24, 2 * 6 * 8 * 18, 0)
    assert [numbers // 4 for numbers in moved] == [
        36 * 2 + 64 * 2,  # lay out
        2 * 64 * 2,  # B^T on rows: as many written as read
        2 * 64 * 2,
        64 * (2 + 6 + 3),
        (64 + 48) * 3,
        (48 + 36) * 3,
        36 * 3 + 36 * 3,
    ]


def test_the_floor_is_the_larger_limit_of_each_step():
    layers = {"conv1_1": (np.empty((3, 3, 1, 1)), None)}
    (operations, moved), _ = floor.steps(layers, 2, math.inf)  # both ways cost the same here
    assert (operations, moved) == (18 * 4, 4 * (4 + 4 + 9))
    slow_products = floor.limits(layers, 2, math.inf, 1.0, rate=1.0, bandwidth=1e9)
    slow_memory = floor.limits(layers, 2, math.inf, 1.0, rate=1e9, bandwidth=1.0)
    assert slow_products["floor seconds"] == 2 * operations == slow_products["share of matmul rate"]
    assert slow_memory["floor seconds"] == 2 * moved == slow_memory["share of bandwidth"]

"""Examples of convolutions, and the comparison of fast ones with the loops."""

import numpy as np

from nnstyle import Engine
from tests.support import loops

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


def example(height, width, c_in, c_out, dtype=np.float64):
    """x, kernel, bias and dy of a convolution."""
    rng = np.random.default_rng([height, width, c_in, c_out])
    shapes = (height, width, c_in), (3, 3, c_in, c_out), (c_out,), (height, width, c_out)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def assert_close(actual, expected, dtype):
    """Equal up to rounding, relative to the largest value."""
    assert actual.dtype == dtype and actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= TOLERANCE[dtype] * np.abs(expected).max()


def compare_with_loops(conv, engine, height, width, c_in, c_out, dtype):
    """Compare a convolution of the engine with the loops, in both directions."""
    x, kernel, bias, dy = example(height, width, c_in, c_out, dtype)
    exact = [array.astype(np.float64) for array in (x, kernel, bias, dy)]
    assert_close(conv(x, kernel, engine, bias), loops.conv(*exact[:3]), dtype)
    assert_close(conv(dy, kernel, engine, gradient=True), loops.conv_backward(exact[3], exact[1]), dtype)


def assert_same_bits_for_any_number_of_threads(conv):
    x, kernel, bias, _ = example(61, 47, 16, 24, np.float32)
    results = []
    for threads in (1, 2, 3, 8, 11, 2):
        with Engine(threads=threads) as engine:
            results.append(conv(x, kernel, engine, bias))
    assert all(np.array_equal(results[0], other) for other in results[1:])

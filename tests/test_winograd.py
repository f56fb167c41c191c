"""The fast convolution against the loops it must equal, and the threads it runs on."""

import threading

import numpy as np
import pytest

from nnstyle import layers, winograd, workers
from nnstyle.winograd import winograd_conv
from nnstyle.workers import Workers

from . import loops

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


def compare(height, width, c_in, c_out, dtype, workers, conv=winograd_conv):
    """Both directions with the loops."""
    x, kernel, bias, dy = example(height, width, c_in, c_out, dtype)
    exact = [array.astype(np.float64) for array in (x, kernel, bias, dy)]
    assert_close(conv(x, kernel, workers, bias), loops.conv(*exact[:3]), dtype)
    assert_close(conv(dy, kernel, workers, gradient=True), loops.conv_backward(exact[3], exact[1]), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("height", range(1, 22, 2))
def test_every_odd_size(height, dtype):
    with Workers(2) as workers:
        for width in range(1, 22, 2):
            compare(height, width, 1 + width % 9, 1 + height % 9, dtype, workers)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("c_in", range(1, 10))
def test_every_pair_of_channels(c_in, dtype):
    with Workers(2) as workers:
        for c_out in range(1, 10):
            compare(7, 4, c_in, c_out, dtype, workers)


def test_the_door_chooses_by_the_number_of_channels(monkeypatch):
    calls = []
    monkeypatch.setattr(workers, "winograd_conv_narrow", lambda x, *_, **__: calls.append(x.shape[-1]))
    for inputs, outputs in ((3, 32), (16, 8)):
        x, kernel, bias, dy = example(5, 4, inputs, outputs)
        layers.conv(x, kernel, bias, Workers(1))
        layers.conv_backward(dy, kernel, Workers(1))
    assert calls == [16]  # forward from 16; not back to 3, nor from 8


def test_the_one_dimensional_identity():
    rng = np.random.default_rng(0)
    x, k = rng.standard_normal(8), rng.standard_normal(3)
    y = winograd.AT @ ((winograd.G @ k) * (winograd.BT @ x))
    np.testing.assert_allclose(y, [x[i : i + 3] @ k for i in range(6)], rtol=0, atol=1e-12)


def test_a_flipped_kernel_has_the_same_points_in_another_order():
    k = np.random.default_rng(0).standard_normal(3)
    np.testing.assert_allclose(winograd.G @ k[::-1], (winograd.G @ k)[winograd.RECIPROCAL], rtol=1e-14)


def test_points_in_the_wrong_order_are_caught(monkeypatch):
    """The twin that must fail: without the reordering, the gradient's kernel is not flipped."""
    monkeypatch.setattr(winograd, "RECIPROCAL", list(range(8)))
    with Workers(1) as workers, pytest.raises(AssertionError):
        compare(7, 5, 3, 4, np.float64, workers)


def test_a_map_without_width_or_height():
    with Workers(1) as workers:
        for size in ((0, 5), (5, 0)):
            assert winograd_conv(np.ones((*size, 3)), np.ones((3, 3, 3, 4)), workers).shape == (*size, 4)


def test_many_blocks_equal_one(monkeypatch):
    x, kernel, bias, _ = example(50, 33, 5, 4)
    with Workers(1) as workers:
        whole = winograd_conv(x, kernel, workers, bias)
        monkeypatch.setattr(winograd, "BLOCK_BYTES", 1)
        monkeypatch.setattr(winograd, "PIECE", 7)
        np.testing.assert_allclose(winograd_conv(x, kernel, workers, bias), whole, rtol=0, atol=1e-12)


def test_the_same_bits_for_any_number_of_threads():
    x, kernel, bias, _ = example(61, 47, 16, 24, np.float32)
    results = []
    for threads in (1, 2, 3, 8, 11, 2):
        with Workers(threads) as workers:
            results.append(winograd_conv(x, kernel, workers, bias))
    assert all(np.array_equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("shared", [True, False])
def test_several_callers_at_once(shared):
    examples = [example(20 + 3 * n, 31, 4 + n, 6, np.float32) for n in range(6)]
    with Workers(2) as common:
        expected = [winograd_conv(x, kernel, common, bias) for x, kernel, bias, _ in examples]
        wrong = []

        def caller(n):
            x, kernel, bias, _ = examples[n]
            with Workers(2) as own:
                for _ in range(10):
                    y = winograd_conv(x, kernel, common if shared else own, bias)
                    if not np.array_equal(y, expected[n]):
                        wrong.append(n)

        callers = [threading.Thread(target=caller, args=(n,)) for n in range(6)]
        for thread in callers:
            thread.start()
        for thread in callers:
            thread.join()
    assert not wrong

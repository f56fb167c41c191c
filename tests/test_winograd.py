"""The fast convolution against the loops it must equal, and the threads it runs on."""

import threading

import numpy as np
import pytest

from nnstyle import layers, winograd, workers
from nnstyle.winograd import winograd_conv
from nnstyle.winograd_1d import FOUR, SIX, cheaper
from nnstyle.workers import Workers

from . import loops

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


@pytest.fixture(params=[SIX, FOUR], ids=["six", "four"])
def identity(request, monkeypatch):
    """Each identity in turn, for maps of any size."""
    monkeypatch.setattr(winograd, "cheaper", lambda height, width: request.param)
    return request.param


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
def test_every_odd_size(height, dtype, identity):
    with Workers(2) as workers:
        for width in range(1, 22, 2):
            compare(height, width, 1 + width % 9, 1 + height % 9, dtype, workers)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("c_in", range(1, 10))
def test_every_pair_of_channels(c_in, dtype, identity):
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
    assert calls == [32, 16]  # back from 32, forward from 16; not from 3, nor back from 8


def test_the_one_dimensional_identity(identity):
    rng = np.random.default_rng(0)
    x, k = rng.standard_normal(identity.n), rng.standard_normal(3)
    y = identity.AT @ ((identity.G @ k) * (identity.BT @ x))
    plainly = [x[i : i + 3] @ k for i in range(identity.tile)]
    np.testing.assert_allclose(y, plainly, rtol=0, atol=1e-12)
    bt, at = identity.matrices(float, flipped=True)
    y = at @ ((identity.G @ k[::-1]) * (bt @ x))
    np.testing.assert_allclose(y, plainly, rtol=0, atol=1e-12)


def test_points_in_the_wrong_order_are_caught(identity, monkeypatch):
    """The twin that must fail: without the reordering, the gradient's kernel is not flipped."""
    monkeypatch.setattr(identity, "matrices", lambda dtype, flipped: (identity.BT, identity.AT))
    with Workers(1) as workers, pytest.raises(AssertionError):
        compare(7, 5, 3, 4, np.float64, workers)


def test_small_maps_are_cut_into_small_tiles():
    assert [cheaper(n, n) for n in (1, 16, 32, 64, 1000)] == [FOUR, FOUR, FOUR, SIX, SIX]


def test_a_map_without_width_or_height(identity):
    with Workers(1) as workers:
        for size in ((0, 5), (5, 0)):
            assert winograd_conv(np.ones((*size, 3)), np.ones((3, 3, 3, 4)), workers).shape == (*size, 4)


def test_many_blocks_equal_one(identity, monkeypatch):
    x, kernel, bias, _ = example(50, 33, 5, 4)
    with Workers(1) as workers:
        whole = winograd_conv(x, kernel, workers, bias)
        monkeypatch.setattr(winograd, "BLOCK_BYTES", 1)
        monkeypatch.setattr(winograd, "PIECE", 7)
        np.testing.assert_allclose(winograd_conv(x, kernel, workers, bias), whole, rtol=0, atol=1e-12)


def assert_same_bits_for_any_number_of_threads(conv):
    x, kernel, bias, _ = example(61, 47, 16, 24, np.float32)
    results = []
    for threads in (1, 2, 3, 8, 11, 2):
        with Workers(threads) as workers:
            results.append(conv(x, kernel, workers, bias))
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_the_same_bits_for_any_number_of_threads(identity):
    assert_same_bits_for_any_number_of_threads(winograd_conv)


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

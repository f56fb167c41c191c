"""The threads: who computes what must not show in the results."""

import threading
import time

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from nnstyle import Network, bands, im2row, layers, losses, winograd, winograd_narrow
from nnstyle.workers import Workers

from .tiny import tiny_weights


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture(params=[1, 1_000_000], ids=["bands of one row", "one band"])
def team(request, monkeypatch):
    monkeypatch.setattr(bands, "BAND_BYTES", request.param)
    with Workers(2) as team:
        yield team


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (8, 7)])
def test_layers_do_the_same_with_workers(rng, team, size):
    x = rng.normal(size=(*size, 3))
    for forward, backward in (
        (layers.relu, layers.relu_backward),
        (layers.max_pool, layers.max_pool_backward),
        (layers.average_pool, layers.average_pool_backward),
    ):
        y, cache = forward(x, team)
        expected, expected_cache = forward(x)
        np.testing.assert_array_equal(y, expected)
        dy = rng.normal(size=y.shape)
        np.testing.assert_array_equal(backward(dy, cache, team), backward(dy, expected_cache))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (8, 7)])
@pytest.mark.parametrize("channels", [(3, 5), (5, 3), (3, 20), (20, 4), (40, 36)])
@pytest.mark.parametrize("piece_bytes", [1, 1_000_000])
def test_the_convolution_does_the_same_with_workers(rng, size, channels, piece_bytes, monkeypatch):
    for module, name in (
        (im2row, "BLOCK_BYTES"),
        (winograd, "BLOCK_BYTES"),
        (winograd_narrow, "PIECE_BYTES"),
    ):
        monkeypatch.setattr(module, name, piece_bytes)
    c_in, c_out = channels
    x, kernel = rng.normal(size=(*size, c_in)), rng.normal(size=(3, 3, c_in, c_out))
    bias, dy = rng.normal(size=c_out), rng.normal(size=(*size, c_out))
    with Workers(2) as team:
        y, dx = layers.conv(x, kernel, bias, team)[0], layers.conv_backward(dy, kernel, team)
        wrong = layers.conv_backward(dy, kernel[::-1, ::-1], team)  # turned once too often
    expected = layers.conv_backward(dy, kernel)
    np.testing.assert_allclose(y, layers.conv(x, kernel, bias)[0], atol=1e-11)
    np.testing.assert_allclose(dx, expected, atol=1e-11)
    assert size == (1, 1) or np.abs(wrong - expected).max() > 1e-2  # the twin that must fail


def test_relu_may_write_over_its_input(rng, team):
    x = rng.normal(size=(4, 5, 3))
    expected = layers.relu(x)
    y, positive = layers.relu(x, team, out=x)
    assert y is x
    np.testing.assert_array_equal(y, expected[0])
    np.testing.assert_array_equal(positive, expected[1])


def test_losses_do_the_same_with_workers(rng, team):
    F, gram = rng.normal(size=(7, 6, 4)), rng.normal(size=(4, 4))
    np.testing.assert_allclose(losses.gram_matrix(F, team), losses.gram_matrix(F), rtol=1e-12)
    loss, gradient = losses.style_loss(F, gram, 30, team)
    expected = losses.style_loss(F, gram, 30)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-15)


def test_bands_cover_every_row_once_in_order(team):
    rows, double = np.arange(11), np.arange(22)
    pieces = bands.in_bands(team, lambda a, b: (list(a), list(b)), rows, double)
    assert sum((a for a, _ in pieces), []) == list(range(11))
    assert all(b == [n for row in a for n in (2 * row, 2 * row + 1)] for a, b in pieces)


@pytest.mark.parametrize("low_memory", [False, True])
def test_a_network_gives_the_same_bits_for_any_number_of_threads_and_any_memory(rng, low_memory, monkeypatch):
    monkeypatch.setattr(bands, "BAND_BYTES", 2000)
    weights, image = tiny_weights(widths=(16, 17, 18, 19, 20)), rng.normal(size=(37, 45, 3))
    names, results = ["conv1_1", "conv3_2", "conv5_1"], []
    for threads, low in ((1, False), (2, low_memory), (5, low_memory)):
        with Workers(threads, low) as team:
            network = Network(weights, workers=team)
            for _ in range(2):  # in memory that is used again, too
                features, cache = network.forward(image, names)
                results.append(network.backward(features, cache))
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_a_failure_waits_for_those_who_are_still_writing():
    started, finished = threading.Event(), threading.Event()

    def item(number):
        if threading.current_thread() is threading.main_thread():
            started.wait(5)
            raise ValueError("enough")
        started.set()
        time.sleep(0.2)
        finished.set()

    with Workers(2) as team:
        with pytest.raises(ValueError, match="enough"):
            team.each(item, range(2))
        assert finished.is_set()


def test_calls_within_calls_do_not_wait_for_each_other():
    with Workers(2) as team:
        assert team.each(lambda i: sum(team.each(lambda j: i * j, range(4))), range(6)) == [
            6 * i for i in range(6)
        ]


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_the_matrix_library_gets_its_threads_back():
    first, second = Workers(2), Workers(2)
    with threadpool_limits(2, user_api="blas"):
        assert set(blas_threads()) == {2}
        with first:
            with second:
                assert set(blas_threads()) == {1}
            assert set(blas_threads()) == {1}  # the first still needs it
        assert set(blas_threads()) == {2}


def test_errors_and_numpys_error_state_reach_the_threads():
    def divide(x):
        return np.float64(1) / np.float64(x)

    with Workers(2) as workers:
        with np.errstate(divide="ignore"):
            assert workers.each(divide, [1, 0]) == [1, np.inf]
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
            workers.each(divide, [1, 0])

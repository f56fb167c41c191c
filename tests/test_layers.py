"""Each layer against its slow twin, its backward pass against centred differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnstyle import im2row, layers

from . import loops
from .checks import adjoint_error, away_from_zero, distinct, gradient_error

SIZES = [(1, 1), (1, 4), (2, 2), (3, 2), (5, 4), (4, 7), (7, 7)]
POOLS = {
    "max": (layers.max_pool, layers.max_pool_backward),
    "average": (layers.average_pool, layers.average_pool_backward),
}


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def some_conv(rng, inputs=3, outputs=5):
    """A convolution with random weights as a function of x alone."""
    kernel, bias = rng.normal(size=(3, 3, inputs, outputs)), rng.normal(size=outputs)
    return lambda x: layers.conv(x, kernel, bias)


# Slow twins


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block_bytes", [1, 1500, 4_000_000])
def test_conv_equals_loops_whatever_the_block(rng, size, dtype, block_bytes, monkeypatch):
    monkeypatch.setattr(im2row, "BLOCK_BYTES", block_bytes)
    x, kernel = rng.normal(size=(*size, 3)).astype(dtype), rng.normal(size=(3, 3, 3, 4)).astype(dtype)
    bias, dy = rng.normal(size=4).astype(dtype), rng.normal(size=(*size, 4)).astype(dtype)
    y, cache = layers.conv(x, kernel, bias)
    dx = layers.conv_backward(dy, cache)
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, loops.conv(x, kernel, bias), rtol=0, atol=tolerance)
    np.testing.assert_allclose(dx, loops.conv_backward(dy, kernel), rtol=0, atol=tolerance)
    assert y.dtype == dx.dtype == dtype


@pytest.mark.parametrize("size", SIZES)
def test_relu_equals_loops(rng, size):
    x, dy = rng.normal(size=(*size, 3)), rng.normal(size=(*size, 3))
    x[0, 0, 0] = 0
    y, cache = layers.relu(x)
    np.testing.assert_array_equal(y, loops.relu(x))
    np.testing.assert_array_equal(layers.relu_backward(dy, cache), loops.relu_backward(dy, x))


@pytest.mark.parametrize("pooling", POOLS)
@pytest.mark.parametrize("size", SIZES)
def test_pooling_equals_loops(rng, pooling, size):
    forward, backward = POOLS[pooling]
    x = rng.integers(0, 3, size=(*size, 3)).astype(float)  # few values: many ties
    y, cache = forward(x)
    dy = rng.normal(size=y.shape)
    np.testing.assert_array_equal(y, getattr(loops, forward.__name__)(x))
    np.testing.assert_array_equal(backward(dy, cache), getattr(loops, backward.__name__)(dy, x))


# Decisions


def test_a_tie_in_max_pooling_goes_to_the_first_in_reading_order():
    y, cache = layers.max_pool(np.ones((2, 2, 1)))
    np.testing.assert_array_equal(
        layers.max_pool_backward(np.full_like(y, 5), cache)[..., 0], [[5, 0], [0, 0]]
    )


def test_the_derivative_of_relu_at_zero_is_zero():
    _, cache = layers.relu(np.array([[[-1.0, 0.0, -0.0, 1.0]]]))
    np.testing.assert_array_equal(layers.relu_backward(np.ones((1, 1, 4)), cache), [[[0, 0, 0, 1]]])


@pytest.mark.parametrize("pooling", POOLS)
def test_an_odd_edge_is_dropped_and_gets_no_gradient(rng, pooling):
    forward, backward = POOLS[pooling]
    x = rng.normal(size=(5, 7, 2))
    y, cache = forward(x)
    np.testing.assert_array_equal(y, forward(x[:4, :6])[0])
    dx = backward(np.ones_like(y), cache)
    assert not dx[4].any() and not dx[:, 6].any() and dx[:4, :6].any()


@given(height=st.integers(1, 9), width=st.integers(1, 9), inputs=st.integers(1, 4), outputs=st.integers(1, 4))
def test_shapes(height, width, inputs, outputs):
    x, kernel = np.ones((height, width, inputs), np.float32), np.ones((3, 3, inputs, outputs), np.float32)
    y, cache = layers.conv(x, kernel, np.zeros(outputs, np.float32))
    assert y.shape == (height, width, outputs)
    assert layers.conv_backward(y, cache).shape == x.shape
    for forward, backward in POOLS.values():
        y, cache = forward(x)
        assert y.shape == (height // 2, width // 2, inputs) and y.dtype == np.float32
        assert backward(y, cache).shape == x.shape


# Gradients


@pytest.mark.parametrize("size", [(4, 5), (3, 2), (1, 1)])
def test_gradient_of_conv(rng, size):
    assert gradient_error(some_conv(rng), layers.conv_backward, rng.normal(size=(*size, 3)), rng) <= 1e-6


def test_gradient_of_relu(rng):
    assert gradient_error(layers.relu, layers.relu_backward, away_from_zero(rng, (4, 5, 3)), rng) <= 1e-6


@pytest.mark.parametrize("pooling", POOLS)
@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_gradient_of_pooling(rng, pooling, size):
    assert gradient_error(*POOLS[pooling], distinct(rng, (*size, 3)), rng) <= 1e-6


@pytest.mark.parametrize("size", [(4, 5), (7, 3)])
def test_linear_layers_are_adjoint(rng, size):
    kernel = rng.normal(size=(3, 3, 3, 5))
    x = rng.normal(size=(*size, 3))
    assert adjoint_error(lambda x: layers.conv(x, kernel, 0), layers.conv_backward, x, rng) <= 1e-12
    assert adjoint_error(layers.average_pool, layers.average_pool_backward, x, rng) <= 1e-12


# Twins that must fail: a check that passes them would prove nothing


def unflipped(dy, kernel):
    return layers.conv(dy, kernel.transpose(0, 1, 3, 2), 0)[0]


def untransposed(dy, kernel):
    return layers.conv(dy, kernel[::-1, ::-1], 0)[0]


@pytest.mark.parametrize("wrong", [unflipped, untransposed])
def test_a_wrong_kernel_is_caught(rng, wrong):
    forward, x = some_conv(rng, 3, 3), rng.normal(size=(4, 5, 3))
    assert gradient_error(forward, wrong, x, rng) > 1e-2
    assert adjoint_error(lambda x: layers.conv(x, forward(x)[1], 0), wrong, x, rng) > 1e-3


def test_a_relu_that_lets_everything_pass_is_caught(rng):
    assert gradient_error(layers.relu, lambda dy, _: dy, away_from_zero(rng, (4, 5, 3)), rng) > 1e-2


def test_a_max_pool_that_gives_everyone_the_gradient_is_caught(rng):
    def wrong(dy, cache):
        return layers.average_pool_backward(4 * dy, cache[1])

    assert gradient_error(layers.max_pool, wrong, distinct(rng, (4, 6, 3)), rng) > 1e-2


def test_an_average_pool_without_the_quarter_is_caught(rng):
    def wrong(dy, shape):
        return layers.average_pool_backward(4 * dy, shape)

    x = rng.normal(size=(4, 6, 3))
    assert gradient_error(layers.average_pool, wrong, x, rng) > 1e-2
    assert adjoint_error(layers.average_pool, wrong, x, rng) > 1e-3

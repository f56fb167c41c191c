"""Each layer against its slow twin, its backward pass against centred differences; plain and fast."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnstyle import Engine, layers
from nnstyle.engine import im2row
from tests.support import loops
from tests.support.checks import adjoint_error, away_from_zero, distinct, gradient_error

SIZES = [(1, 1), (1, 4), (2, 2), (3, 2), (5, 4), (4, 7), (7, 7)]
FAST = Engine(threads=1)
POOLINGS = ["max", "average"]
# What has the functions of a layer: the module itself, and the engine.
both_engines = pytest.mark.parametrize("engine", [layers, FAST], ids=["plain", "fast"])


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def pool_functions(engine, pooling):
    return getattr(engine, f"{pooling}_pool"), getattr(engine, f"{pooling}_pool_backward")


def some_conv(engine, rng, inputs=3, outputs=5):
    """A convolution with random weights as a function of x alone."""
    kernel, bias = rng.normal(size=(3, 3, inputs, outputs)), rng.normal(size=outputs)
    return lambda x: engine.conv(x, kernel, bias)


# Slow twins


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "engine, block_bytes",
    [(layers, 1), (FAST, 1), (FAST, 1500), (FAST, 4_000_000)],
    ids=["plain", "1 byte", "1500", "all"],
)
def test_conv_equals_loops_whatever_the_block(rng, size, dtype, engine, block_bytes, monkeypatch):
    monkeypatch.setattr(im2row, "BLOCK_BYTES", block_bytes)
    x, kernel = rng.normal(size=(*size, 3)).astype(dtype), rng.normal(size=(3, 3, 3, 4)).astype(dtype)
    bias, dy = rng.normal(size=4).astype(dtype), rng.normal(size=(*size, 4)).astype(dtype)
    y, cache = engine.conv(x, kernel, bias)
    dx = engine.conv_backward(dy, cache)
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, loops.conv(x, kernel, bias), rtol=0, atol=tolerance)
    np.testing.assert_allclose(dx, loops.conv_backward(dy, kernel), rtol=0, atol=tolerance)
    assert y.dtype == dx.dtype == dtype


@both_engines
@pytest.mark.parametrize("size", SIZES)
def test_relu_equals_loops(engine, rng, size):
    x, dy = rng.normal(size=(*size, 3)), rng.normal(size=(*size, 3))
    x[0, 0, 0] = 0
    y, cache = engine.relu(x)
    np.testing.assert_array_equal(y, loops.relu(x))
    np.testing.assert_array_equal(engine.relu_backward(dy, cache), loops.relu_backward(dy, x))


@both_engines
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("size", SIZES)
def test_pooling_equals_loops(engine, rng, pooling, size):
    forward, backward = pool_functions(engine, pooling)
    x = rng.integers(0, 3, size=(*size, 3)).astype(float)  # few values: many ties
    y, cache = forward(x)
    dy = rng.normal(size=y.shape)
    np.testing.assert_array_equal(y, getattr(loops, forward.__name__)(x))
    np.testing.assert_array_equal(backward(dy, cache), getattr(loops, backward.__name__)(dy, x))


# Decisions


@both_engines
def test_a_tie_in_max_pooling_goes_to_the_first_in_reading_order(engine):
    y, cache = engine.max_pool(np.ones((2, 2, 1)))
    np.testing.assert_array_equal(
        engine.max_pool_backward(np.full_like(y, 5), cache)[..., 0], [[5, 0], [0, 0]]
    )


@both_engines
def test_the_derivative_of_relu_at_zero_is_zero(engine):
    _, cache = engine.relu(np.array([[[-1.0, 0.0, -0.0, 1.0]]]))
    np.testing.assert_array_equal(engine.relu_backward(np.ones((1, 1, 4)), cache), [[[0, 0, 0, 1]]])


@both_engines
@pytest.mark.parametrize("pooling", POOLINGS)
def test_an_odd_edge_is_dropped_and_gets_no_gradient(engine, rng, pooling):
    forward, backward = pool_functions(engine, pooling)
    x = rng.normal(size=(5, 7, 2))
    y, cache = forward(x)
    np.testing.assert_array_equal(y, forward(x[:4, :6])[0])
    dx = backward(np.ones_like(y), cache)
    assert not dx[4].any() and not dx[:, 6].any() and dx[:4, :6].any()


@both_engines
@given(height=st.integers(1, 9), width=st.integers(1, 9), inputs=st.integers(1, 4), outputs=st.integers(1, 4))
def test_shapes(engine, height, width, inputs, outputs):
    x, kernel = np.ones((height, width, inputs), np.float32), np.ones((3, 3, inputs, outputs), np.float32)
    y, cache = engine.conv(x, kernel, np.zeros(outputs, np.float32))
    assert y.shape == (height, width, outputs)
    assert engine.conv_backward(y, cache).shape == x.shape
    for forward, backward in (pool_functions(engine, pooling) for pooling in POOLINGS):
        y, cache = forward(x)
        assert y.shape == (height // 2, width // 2, inputs) and y.dtype == np.float32
        assert backward(y, cache).shape == x.shape


@both_engines
def test_nothing_is_written_over(engine, rng):
    x, kernel, bias = rng.normal(size=(6, 4, 3)), rng.normal(size=(3, 3, 3, 5)), rng.normal(size=5)
    functions = [
        (lambda x: engine.conv(x, kernel, bias), engine.conv_backward),
        (engine.relu, engine.relu_backward),
        *(pool_functions(engine, pooling) for pooling in POOLINGS),
    ]
    for forward, backward in functions:
        x_before = x.copy()
        y, cache = forward(x)
        dy = rng.normal(size=y.shape)
        dy_before = dy.copy()
        first, second = backward(dy, cache), backward(dy, cache)
        np.testing.assert_array_equal(first, second)  # the cache is as it was, too
        np.testing.assert_array_equal(x, x_before)
        np.testing.assert_array_equal(dy, dy_before)


# Gradients


@both_engines
@pytest.mark.parametrize("size", [(4, 5), (3, 2), (1, 1)])
def test_gradient_of_conv(engine, rng, size):
    assert (
        gradient_error(some_conv(engine, rng), engine.conv_backward, rng.normal(size=(*size, 3)), rng) <= 1e-6
    )


@both_engines
def test_gradient_of_relu(engine, rng):
    assert gradient_error(engine.relu, engine.relu_backward, away_from_zero(rng, (4, 5, 3)), rng) <= 1e-6


@both_engines
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("size", [(4, 6), (5, 7)])
def test_gradient_of_pooling(engine, rng, pooling, size):
    assert gradient_error(*pool_functions(engine, pooling), distinct(rng, (*size, 3)), rng) <= 1e-6


@both_engines
@pytest.mark.parametrize("size", [(4, 5), (7, 3)])
def test_linear_layers_are_adjoint(engine, rng, size):
    kernel = rng.normal(size=(3, 3, 3, 5))
    x = rng.normal(size=(*size, 3))
    assert adjoint_error(lambda x: engine.conv(x, kernel, 0), engine.conv_backward, x, rng) <= 1e-12
    assert adjoint_error(engine.average_pool, engine.average_pool_backward, x, rng) <= 1e-12


# Twins that must fail: a check that passes them would prove nothing


def unflipped(dy, kernel):
    return layers.conv(dy, kernel.transpose(0, 1, 3, 2), 0)[0]


def untransposed(dy, kernel):
    return layers.conv(dy, kernel[::-1, ::-1], 0)[0]


@both_engines
@pytest.mark.parametrize("wrong", [unflipped, untransposed])
def test_a_wrong_kernel_is_caught(engine, rng, wrong):
    forward, x = some_conv(engine, rng, 3, 3), rng.normal(size=(4, 5, 3))
    assert gradient_error(forward, wrong, x, rng) > 1e-2
    assert adjoint_error(lambda x: engine.conv(x, forward(x)[1], 0), wrong, x, rng) > 1e-3


@both_engines
def test_a_relu_that_lets_everything_pass_is_caught(engine, rng):
    assert gradient_error(engine.relu, lambda dy, _: dy, away_from_zero(rng, (4, 5, 3)), rng) > 1e-2


@both_engines
def test_a_max_pool_that_gives_everyone_the_gradient_is_caught(engine, rng):
    def wrong(dy, cache):
        return engine.average_pool_backward(4 * dy, cache[1])

    assert gradient_error(engine.max_pool, wrong, distinct(rng, (4, 6, 3)), rng) > 1e-2


@both_engines
def test_an_average_pool_without_the_quarter_is_caught(engine, rng):
    def wrong(dy, shape):
        return engine.average_pool_backward(4 * dy, shape)

    x = rng.normal(size=(4, 6, 3))
    assert gradient_error(engine.average_pool, wrong, x, rng) > 1e-2
    assert adjoint_error(engine.average_pool, wrong, x, rng) > 1e-3


def test_a_bias_of_another_type_leaves_the_type_of_x(rng):
    x, kernel = rng.normal(size=(4, 5, 2)).astype(np.float32), rng.normal(size=(3, 3, 2, 3))
    for engine in (layers, Engine()):
        assert engine.conv(x, kernel.astype(np.float32), rng.normal(size=3))[0].dtype == np.float32

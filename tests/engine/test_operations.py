"""Every operation of an engine against its plain twin, on every device; and the gradients of both."""

import inspect

import numpy as np
import pytest

from lessons.strict_arrays import StrictDevice
from nnstyle import Engine, InputError, layers, losses
from nnstyle.arrays import is_read_only, to_host
from nnstyle.engine import bands, devices, im2row, winograd, winograd_narrow
from tests.support.checks import adjoint_error, away_from_zero, distinct, gradient_error

ENGINES = ["threads", "low memory", "strict", pytest.param("gpu", marks=pytest.mark.gpu)]
DTYPES = [np.float32, np.float64]
SIZES = [(1, 1), (2, 3), (5, 4), (8, 7), (19, 26)]
PIECES = [
    (bands, "BAND_BYTES"),
    (im2row, "BLOCK_BYTES"),
    (winograd, "BLOCK_BYTES"),
    (winograd_narrow, "PIECE_BYTES"),
]


def make(name):
    """The engine of this name, or the plain layers."""
    if name == "plain":
        return layers
    if name == "strict":
        return Engine(StrictDevice())
    if name != "gpu":
        return Engine(threads=2, low_memory=name == "low memory")
    try:
        device = devices.find("cuda")
    except InputError as error:
        pytest.skip(str(error))
    if device.tf32:
        pytest.skip("CUPY_TF32 is set: these tests ask for more digits than it leaves")
    return Engine(device)


@pytest.fixture(params=[*ENGINES, "small pieces"])
def engine(request, monkeypatch):
    if request.param == "small pieces":  # bands of one row, and the like
        for module, name in PIECES:
            monkeypatch.setattr(module, name, 1)
    return make(request.param)


@pytest.fixture(params=["plain", *ENGINES])
def any_engine(request):
    return make(request.param)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def call(engine, name, *arguments):
    """Call an operation with NumPy's arrays carried to its device; its result comes back, its cache does not."""
    function = getattr(engine, name) if hasattr(engine, name) else getattr(losses, name)
    carried = [engine.asarray(a, a.dtype) if isinstance(a, np.ndarray) else a for a in arguments]
    result = function(*carried)
    return (to_host(result[0]), result[1]) if isinstance(result, tuple) else to_host(result)


def assert_close(actual, expected, dtype):
    """Equal up to rounding."""
    assert actual.dtype == dtype and actual.shape == expected.shape
    tolerance = 1e-11 if dtype == np.float64 else 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def host_cache(cache):
    return [to_host(part) for part in cache] if isinstance(cache, tuple) else to_host(cache)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["relu", "max_pool", "average_pool"])
def test_relu_and_pooling_are_the_plain_ones(engine, rng, name, size, dtype):
    x = rng.normal(size=(*size, 3)).astype(dtype)
    before = x.copy()
    y, cache = call(engine, name, x)
    expected, expected_cache = call(layers, name, x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(x, before)  # no operation works in place
    for part, its_twin in zip(host_cache(cache), host_cache(expected_cache), strict=True):
        np.testing.assert_array_equal(part, its_twin)
    dy = rng.normal(size=y.shape).astype(dtype)
    dx = call(engine, f"{name}_backward", dy, cache)
    np.testing.assert_array_equal(dx, call(layers, f"{name}_backward", dy, expected_cache))
    assert y.dtype == dx.dtype == dtype and dx.shape == x.shape


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [(3, 5), (5, 3), (3, 20), (20, 4), (40, 36)])
def test_the_convolution_is_the_plain_one(engine, rng, size, channels, dtype):
    c_in, c_out = channels
    x, kernel = rng.normal(size=(*size, c_in)), rng.normal(size=(3, 3, c_in, c_out))
    bias, dy = rng.normal(size=c_out), rng.normal(size=(*size, c_out))
    x, kernel, bias, dy = (array.astype(dtype) for array in (x, kernel, bias, dy))
    expected_y = call(layers, "conv", *(array.astype(float) for array in (x, kernel, bias)))[0]
    expected_dx = call(layers, "conv_backward", dy.astype(float), kernel.astype(float))
    constant = engine.constant(kernel, dtype)
    for its_kernel in (kernel, constant, constant):  # the third time from what was kept
        y, cache = call(engine, "conv", x, its_kernel, bias)
        dx = call(engine, "conv_backward", dy, cache)
        assert_close(y, expected_y, dtype)
        assert_close(dx, expected_dx, dtype)
    wrong = call(engine, "conv_backward", dy, np.ascontiguousarray(kernel[::-1, ::-1]))  # not flipped
    assert size == (1, 1) or np.abs(wrong - expected_dx).max() > 1e-2  # the twin that must fail


@pytest.mark.parametrize("size", SIZES)
def test_a_bias_may_be_a_number(engine, rng, size):
    for channels in (3, 20, 40):
        x, kernel = rng.normal(size=(*size, channels)), rng.normal(size=(3, 3, channels, channels))
        assert_close(call(engine, "conv", x, kernel, 2)[0], call(layers, "conv", x, kernel, 2)[0], np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(7, 6, 4), (1, 1, 1), (20, 33, 40)])
def test_gram_matrix_and_addition_are_the_plain_ones(engine, rng, shape, dtype):
    F, other = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    dG = rng.normal(size=(shape[2], shape[2])).astype(dtype)  # not symmetric
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    gram = losses.gram_matrix(F.astype(float))
    np.testing.assert_allclose(
        call(engine, "gram_matrix", F), gram, rtol=tolerance, atol=tolerance * np.abs(gram).max()
    )
    dF, expected = call(engine, "gram_matrix_backward", dG, F), losses.gram_matrix_backward(dG, F)
    assert dF.shape == shape
    assert_close(dF, expected, dtype)
    before = F.copy(), other.copy()
    np.testing.assert_array_equal(call(engine, "add", F, other), F + other)
    np.testing.assert_array_equal((F, other), before)


def test_a_gradient_of_half_the_size_is_caught(engine, rng):
    F, dG = rng.normal(size=(7, 6, 4)), rng.normal(size=(4, 4))
    halved = call(engine, "gram_matrix_backward", dG / 2, F)
    with pytest.raises(AssertionError):
        assert_close(halved, losses.gram_matrix_backward(dG, F), np.float64)


def test_arrays_and_constants(any_engine, rng):
    kernel = rng.normal(size=(3, 3, 4, 5))
    for dtype in DTYPES:
        array, constant = any_engine.asarray(kernel, dtype), any_engine.constant(kernel, dtype)
        assert array.dtype == constant.dtype == dtype
        np.testing.assert_array_equal(to_host(array), kernel.astype(dtype))
        np.testing.assert_array_equal(to_host(constant), kernel.astype(dtype))
        assert not isinstance(constant, np.ndarray) or is_read_only(constant)
    mine = kernel.copy()
    constant = any_engine.constant(mine, np.float64)
    mine[:] = 0
    np.testing.assert_array_equal(to_host(constant), kernel)


def test_signatures_are_the_plain_ones():
    functions = [value for value in vars(layers).values() if inspect.isfunction(value)]
    names = [f.__name__ for f in functions if f.__module__ == layers.__name__ and f is not layers.corners]
    assert len(names) == 11
    for module, its_names in ((layers, names), (losses, ["gram_matrix", "gram_matrix_backward"])):
        for name in its_names:
            plain = inspect.signature(getattr(module, name))
            _, *fast = inspect.signature(getattr(Engine, name)).parameters.values()
            assert [*plain.parameters.values()] == fast, name


def operation(engine, name):
    """(forward, backward) of an operation that takes one array."""
    return (
        lambda x: call(engine, name, x),
        lambda dy, cache: call(engine, f"{name}_backward", dy, cache),
    )


def some_conv(engine, rng, c_in, c_out):
    """(forward, backward) of a convolution with random weights."""
    kernel, bias = rng.normal(size=(3, 3, c_in, c_out)), rng.normal(size=c_out)
    constant = engine.constant(kernel, kernel.dtype)
    return (
        lambda x: call(engine, "conv", x, constant, bias),
        lambda dy, kernel: call(engine, "conv_backward", dy, kernel),
    )


def gram(engine):
    """(forward, backward) of the Gram matrix; its cache are the features."""
    return (
        lambda x: (call(engine, "gram_matrix", x), engine.asarray(x, x.dtype)),
        lambda dG, features: call(engine, "gram_matrix_backward", dG, features),
    )


@pytest.mark.parametrize("c_in, c_out", [(3, 5), (17, 3), (16, 17), (33, 34)])
def test_the_gradient_of_a_convolution(any_engine, rng, c_in, c_out):
    forward, backward = some_conv(any_engine, rng, c_in, c_out)
    x = rng.normal(size=(2, 2, c_in))
    assert gradient_error(forward, backward, x, rng) <= 1e-6
    unflipped = lambda dy, kernel: backward(dy, kernel[::-1, ::-1])
    assert gradient_error(forward, unflipped, x, rng) > 1e-2


@pytest.mark.parametrize("name", ["relu", "max_pool", "average_pool"])
def test_the_gradients_of_relu_and_pooling(any_engine, rng, name):
    forward, backward = operation(any_engine, name)
    x = (distinct if name == "max_pool" else away_from_zero)(rng, (5, 6, 3))
    assert gradient_error(forward, backward, x, rng) <= 1e-6
    twice = lambda dy, cache: 2 * backward(dy, cache)
    assert gradient_error(forward, twice, x, rng) > 1e-2


def test_the_gradient_of_the_gram_matrix(any_engine, rng):
    forward, backward = gram(any_engine)
    x = rng.normal(size=(4, 5, 3))
    assert gradient_error(forward, backward, x, rng) <= 1e-6
    transposed_once_too_often = lambda dG, F: backward(dG - dG.T, F)
    assert gradient_error(forward, transposed_once_too_often, x, rng) > 1e-2


def test_the_adjoint_of_average_pooling(any_engine, rng):
    forward, backward = operation(any_engine, "average_pool")
    x = rng.normal(size=(5, 6, 3))
    assert adjoint_error(forward, backward, x, rng) <= 1e-12
    assert adjoint_error(forward, lambda dy, cache: 4 * backward(dy, cache), x, rng) > 1e-3

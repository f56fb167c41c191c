"""The whole pipeline on a device: a stand-in that refuses NumPy everywhere, and a graphics card where there is one."""

import numpy as np
import pytest

import nnstyle
from lessons.elsewhere import Far
from nnstyle import Network, Settings, device_workers, devices, layers, losses
from nnstyle.backend import library_of, to_host
from nnstyle.device_workers import DeviceWorkers
from nnstyle.objective import Objective
from nnstyle.weights import rescale

from . import loops
from .checks import adjoint_error, away_from_zero, distinct, gradient_error
from .tiny import tiny_weights

PARITY = {np.float32: 1e-5, np.float64: 1e-10}  # NumPy against a device, relative


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def carried(device, function, workers):
    """A layer's function, its arrays carried to the device and back."""

    def call(x, cache=None):
        if cache is None:
            y, cache = function(device.put(x), workers=workers)
            return to_host(y), cache
        return to_host(function(device.put(x), cache, workers))

    return call


def pairs(device, rng, workers):
    """Every layer as (forward, backward, an input), on the device."""
    kernels = {
        n: (device.put(rng.normal(size=(3, 3, n, 17))), device.put(rng.normal(size=17))) for n in (3, 16)
    }
    on = lambda function: carried(device, function, workers)  # noqa: E731
    conv = lambda n: lambda x, workers: layers.conv(x, *kernels[n], workers)  # noqa: E731
    return {
        "conv of 3 channels": (on(conv(3)), on(layers.conv_backward), rng.normal(size=(4, 3, 3))),
        "conv of 16 channels": (on(conv(16)), on(layers.conv_backward), rng.normal(size=(3, 2, 16))),
        "relu": (on(layers.relu), on(layers.relu_backward), away_from_zero(rng, (4, 5, 3))),
        "max_pool": (on(layers.max_pool), on(layers.max_pool_backward), distinct(rng, (5, 6, 3))),
        "average_pool": (
            on(layers.average_pool),
            on(layers.average_pool_backward),
            rng.normal(size=(5, 6, 3)),
        ),
    }


def test_gradients_of_layers(device, rng):
    with device.workers() as workers:
        for name, (forward, backward, x) in pairs(device, rng, workers).items():
            assert gradient_error(forward, backward, x, rng) <= 1e-6, name


def test_a_wrong_gradient_on_a_device_is_caught(device, rng):
    with device.workers() as workers:
        forward, backward, x = pairs(device, rng, workers)["conv of 16 channels"]
        unflipped = lambda dy, kernel: backward(dy, kernel[::-1, ::-1])  # noqa: E731
        assert gradient_error(forward, unflipped, x, rng) > 1e-2
        forward, backward, x = pairs(device, rng, workers)["average_pool"]
        assert adjoint_error(forward, backward, x, rng) <= 1e-12
        assert adjoint_error(forward, lambda dy, cache: 4 * backward(dy, cache), x, rng) > 1e-3


@pytest.mark.parametrize("dtype", PARITY)
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_objective_and_gradient_are_those_of_numpy(device, rng, dtype, pooling):
    weights = tiny_weights(widths=(16, 17, 18, 19, 20))
    content, style, image = (rng.normal(size=(40, 37, 3)).astype(dtype) for _ in range(3))
    settings = Settings(beta=100.0, tv_weight=0.1)

    def evaluate(device, workers):
        network = Network(device.put_weights(weights), pooling, dtype, workers)
        pictures = map(device.put, (content, style))
        loss, gradient = Objective(network, *pictures, settings)(device.put(image))
        return loss, to_host(gradient)

    host = devices.find("cpu")
    with device.workers() as its_workers, host.workers(1) as workers:
        (loss, gradient), (expected, its_gradient) = evaluate(device, its_workers), evaluate(host, workers)
    assert gradient.dtype == dtype and loss == pytest.approx(expected, rel=PARITY[dtype])
    difference = np.linalg.norm(gradient - its_gradient) / np.linalg.norm(its_gradient)
    assert difference <= PARITY[dtype]


def test_a_style_loss_of_twice_the_size_is_caught(device, rng):
    F, gram = rng.normal(size=(4, 5, 3)), rng.normal(size=(3, 3))
    loss, gradient = losses.style_loss(device.put(F), device.put(gram))
    expected = losses.style_loss(F, gram)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(to_host(gradient), expected[1], rtol=1e-12)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(to_host(2 * gradient), expected[1], rtol=1e-12)


def test_with_tf32_the_plain_convolution_is_taken(rng, monkeypatch):
    monkeypatch.setattr(device_workers, "winograd_conv_whole", lambda *_, **__: pytest.fail("Winograd"))
    x, kernel, dy = rng.normal(size=(6, 5, 16)), rng.normal(size=(3, 3, 16, 17)), rng.normal(size=(6, 5, 17))
    with DeviceWorkers(np, tf32=True) as plain, DeviceWorkers(np) as fast:
        np.testing.assert_allclose(layers.conv(x, kernel, 0, plain)[0], loops.conv(x, kernel, 0), atol=1e-12)
        dx = layers.conv_backward(dy, kernel, plain)
        np.testing.assert_allclose(dx, loops.conv_backward(dy, kernel), atol=1e-12)
        with pytest.raises(pytest.fail.Exception, match="Winograd"):
            layers.conv(x, kernel, 0, fast)


@pytest.mark.parametrize("optimizer", ["lbfgs", "lbfgs-device"])
@pytest.mark.parametrize("scales", [1, 2])
def test_a_whole_stylization(device, rng, optimizer, scales):
    content, style = (rng.integers(0, 255, (48, 66, 3)).astype(np.uint8) for _ in range(2))
    seen = []
    how = {"size": 96, "iterations": 4, "scales": scales, "optimizer": optimizer, "rescale": True}
    weights = tiny_weights()  # not rescaled yet: that happens on the device, too
    callback = lambda record, image: seen.append(image)  # noqa: E731
    result = nnstyle.stylize(content, style, weights, callback, device=device, **how)
    assert all(type(image) is np.ndarray and image.dtype == np.uint8 for image in [*seen, result.image])
    on_host = nnstyle.stylize(content, style, weights, **how)
    # float32 losses differ in their last digits, which a line search then makes a little more of.
    assert [r.total for r in result.losses] == pytest.approx([r.total for r in on_host.losses], rel=1e-3)
    assert np.abs(result.image.astype(int) - on_host.image).mean() < 1


def test_the_device_decides_the_optimizer_unless_told_or_bounded(device):
    assert Settings().on_device(device).optimizer == "lbfgs-device"
    assert Settings(optimizer="lbfgs").on_device(device).optimizer == "lbfgs"
    assert Settings(bounded=True).on_device(device).optimizer == "lbfgs"
    assert Settings().on_device(devices.find("cpu")).optimizer == "lbfgs"


def test_rescaled_weights_come_back_to_the_host(device, rng):
    pictures = [rng.integers(0, 255, (40, 40, 3)).astype(np.uint8)]
    weights = rescale(tiny_weights(), pictures, device=device)
    expected = rescale(tiny_weights(), pictures)
    for name, (kernel, bias) in weights.items():
        np.testing.assert_allclose(kernel, expected[name][0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(bias, expected[name][1], rtol=1e-4, atol=1e-6)


def test_the_stand_in_refuses_the_host_s_arrays():
    """Else the tests above would prove nothing."""
    far = Far(np.ones((3, 3)))
    for mistake in (
        lambda: np.maximum(far, 0),
        lambda: np.asarray(far),
        lambda: far + np.ones((3, 3)),
        lambda: library_of(far).matmul(far, np.ones((3, 3))),
    ):
        with pytest.raises(TypeError):
            mistake()
    network = Network(tiny_weights())  # weights that were left on the host
    with pytest.raises(TypeError):
        network.forward(Far(np.ones((32, 32, 3), np.float32)), ["conv1_1"])

"""The whole pipeline on a GPU: on a stand-in that refuses NumPy everywhere, and on a GPU where there is one."""

import numpy as np
import pytest

import nnstyle
from lessons.strict_arrays import StrictArray, StrictDevice
from nnstyle import Engine, Network, Objective, Settings, losses
from nnstyle.arrays import array_module, to_host
from nnstyle.engine import gpu
from nnstyle.objective import paper_terms, set_targets
from nnstyle.weights import rescale
from tests.support import loops
from tests.support.tiny import tiny_weights

PARITY = {np.float32: 1e-5, np.float64: 1e-10}  # NumPy against a GPU, relative


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("dtype", PARITY)
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_objective_and_gradient_are_those_of_numpy(device, rng, dtype, pooling):
    weights = tiny_weights(widths=(16, 17, 18, 19, 20))
    content, style, image = (rng.normal(size=(40, 37, 3)).astype(dtype) for _ in range(3))
    settings = Settings(beta=100.0, layer_weights=(0.2,) * 5, tv_weight=0.1)

    def evaluate(engine):
        network = Network(weights, pooling, dtype, engine)
        terms = paper_terms(settings, engine)
        set_targets(terms, network, content, style)
        loss, gradient = Objective(network, terms)(engine.asarray(image, dtype))
        return loss, to_host(gradient)

    with Engine(device) as there, Engine(threads=1) as here:
        (loss, gradient), (expected, its_gradient) = evaluate(there), evaluate(here)
    assert gradient.dtype == dtype and loss == pytest.approx(expected, rel=PARITY[dtype])
    difference = np.linalg.norm(gradient - its_gradient) / np.linalg.norm(its_gradient)
    assert difference <= PARITY[dtype]


def test_a_style_loss_of_twice_the_size_is_caught(device, rng):
    F, gram = rng.normal(size=(4, 5, 3)), rng.normal(size=(3, 3))
    loss, gradient = losses.style_loss(device.to_device(F), device.to_device(gram))
    expected = losses.style_loss(F, gram)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(to_host(gradient), expected[1], rtol=1e-12)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(to_host(2 * gradient), expected[1], rtol=1e-12)


def test_with_tf32_the_direct_convolution_is_taken(rng, monkeypatch):
    monkeypatch.setattr(gpu, "winograd_conv_whole", lambda *_, **__: pytest.fail("Winograd"))
    x, kernel, dy = rng.normal(size=(6, 5, 16)), rng.normal(size=(3, 3, 16, 17)), rng.normal(size=(6, 5, 17))
    exact = StrictDevice()
    exact.winograd_channels = float("inf")  # as a GPU has it with TF32
    with Engine(exact) as direct, Engine(StrictDevice()) as fast:
        there = [direct.asarray(array, float) for array in (x, kernel, dy)]
        y, dx = direct.conv(*there[:2], 0)[0], direct.conv_backward(there[2], there[1])
        np.testing.assert_allclose(to_host(y), loops.conv(x, kernel, 0), atol=1e-12)
        np.testing.assert_allclose(to_host(dx), loops.conv_backward(dy, kernel), atol=1e-12)
        with pytest.raises(pytest.fail.Exception, match="Winograd"):
            fast.conv(*there[:2], 0)


@pytest.mark.parametrize("optimizer", ["lbfgs", "lbfgs-nnstyle"])
@pytest.mark.parametrize("scales", [1, 2])
def test_a_whole_stylization(device, rng, optimizer, scales):
    content, style = (rng.integers(0, 255, (48, 66, 3)).astype(np.uint8) for _ in range(2))
    seen = []
    how = {"size": 96, "iterations": 4, "scales": scales, "optimizer": optimizer, "rescale": True}
    weights = tiny_weights()  # not rescaled yet: that happens on the device, too
    callback = lambda event: seen.append(event.image())
    result = nnstyle.stylize(content, style, weights, callback, device=device, **how)
    assert all(type(image) is np.ndarray and image.dtype == np.uint8 for image in [*seen, result.image])
    on_host = nnstyle.stylize(content, style, weights, **how)
    # float32 losses differ in their last digits, which a line search then makes a little more of.
    assert [r.total for r in result.losses] == pytest.approx([r.total for r in on_host.losses], rel=1e-3)
    assert np.abs(result.image.astype(int) - on_host.image).mean() < 1


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("optimizer", [None, "lbfgs"])
def test_the_device_decides_the_optimizer_unless_told_or_bounded(device, rng, optimizer, bounded):
    pictures = [rng.integers(0, 255, (32, 32, 3)).astype(np.uint8) for _ in range(2)]

    def used(device):
        how = {"size": 32, "iterations": 1, "rescale": False, "optimizer": optimizer, "bounded": bounded}
        return nnstyle.stylize(*pictures, tiny_weights(), device=device, **how).settings.optimizer

    assert used(device) == ("lbfgs" if bounded or optimizer else "lbfgs-nnstyle")
    assert used("cpu") == "lbfgs"


def test_rescaled_weights_come_back_to_the_host(device, rng):
    pictures = [rng.integers(0, 255, (40, 40, 3)).astype(np.uint8)]
    weights = rescale(tiny_weights(), pictures, engine=Engine(device))
    expected = rescale(tiny_weights(), pictures)
    for name, (kernel, bias) in weights.items():
        np.testing.assert_allclose(kernel, expected[name][0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(bias, expected[name][1], rtol=1e-4, atol=1e-6)


def test_the_stand_in_refuses_the_hosts_arrays():
    """Else the tests above would prove nothing."""
    strict = StrictArray(np.ones((3, 3)))
    for mistake in (
        lambda: np.maximum(strict, 0),
        lambda: np.asarray(strict),
        lambda: strict + np.ones((3, 3)),
        lambda: array_module(strict).matmul(strict, np.ones((3, 3))),
    ):
        with pytest.raises(TypeError):
            mistake()
    network = Network(tiny_weights(), engine=nnstyle.layers)  # weights that were left on the host
    with pytest.raises(TypeError):
        network.forward(StrictArray(np.ones((32, 32, 3), np.float32)), ["conv1_1"])
    network = Network(tiny_weights())  # an engine on the host
    with pytest.raises(TypeError):
        network.forward(StrictArray(np.ones((32, 32, 3), np.float32)), ["conv1_1"])

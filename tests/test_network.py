"""The network forward and backward: names, shapes, and gradients at any set of layers."""

import numpy as np
import pytest

from nnstyle import InputError, Network, layers
from nnstyle.network import LAYERS

from .checks import relative_error
from .tiny import WIDTHS, tiny_weights


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def image(rng):
    return rng.normal(size=(19, 22, 3))


def test_the_tables_are_those_of_the_vgg_paper():
    assert len([name for name in LAYERS["vgg19"] if name.startswith("conv")]) == 16
    assert len([name for name in LAYERS["vgg16"] if name.startswith("conv")]) == 13
    assert LAYERS["vgg16"][:6] == ["conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2"]
    assert set(LAYERS["vgg19"]) - set(LAYERS["vgg16"]) == {"conv3_4", "conv4_4", "conv5_4"}


@pytest.mark.parametrize("architecture", LAYERS)
def test_every_layer_has_its_width_and_its_resolution(architecture, image):
    network = Network(tiny_weights(architecture, last="conv5_3"))
    features, _ = network.forward(image, network.layers)
    assert list(features) == LAYERS[architecture][: LAYERS[architecture].index("conv5_3") + 1]
    for name, feature in features.items():
        halvings = int(name[4]) - (name.startswith("conv"))
        assert feature.shape == (19 >> halvings, 22 >> halvings, WIDTHS[int(name[4]) - 1])
        assert feature.dtype == np.float32


def test_gradients_may_be_functions_called_when_their_layer_is_reached(image, rng):
    network = Network(tiny_weights(), dtype=np.float64)
    features, cache = network.forward(image, ["conv1_1", "conv2_2", "pool3"])
    gradients = {name: rng.normal(size=feature.shape) for name, feature in features.items()}
    expected, calls = network.backward(gradients, cache.copy()), []

    def gradient_at(name):
        calls.append(name)
        return gradients[name]

    functions = {name: lambda name=name: gradient_at(name) for name in gradients}
    np.testing.assert_array_equal(network.backward(functions, cache), expected)
    assert calls == ["pool3", "conv2_2", "conv1_1"]


def test_features_are_taken_after_the_relu(image):
    features, _ = Network(tiny_weights()).forward(image, ["conv1_1", "conv4_2"])
    assert all(feature.min() == 0 for feature in features.values())


def test_forward_stops_at_the_deepest_layer_asked_for(image):
    weights = tiny_weights()
    weights["conv3_1"] = tuple(np.full_like(array, np.nan) for array in weights["conv3_1"])
    features, cache = Network(weights).forward(image, ["conv2_2", "conv1_1"])
    assert set(features) == {"conv1_1", "conv2_2"} and len(cache) == 2 * 4 + 1  # conv and ReLU, one pool
    assert np.isfinite(features["conv2_2"]).all()


def test_backward_sums_what_each_layer_alone_would_give(image, rng):
    network = Network(tiny_weights(), dtype=np.float64)
    features, cache = network.forward(image, ["conv1_1", "pool2", "conv4_2"])
    gradients = {name: rng.normal(size=feature.shape) for name, feature in features.items()}
    together = network.backward(gradients, cache.copy())
    alone = [network.backward({name: gradient}, cache.copy()) for name, gradient in gradients.items()]
    assert together.shape == image.shape
    np.testing.assert_allclose(together, sum(alone), rtol=1e-12, atol=1e-12)


def test_backward_leaves_gradients_and_a_copy_of_the_cache_as_they_were(image, rng):
    network = Network(tiny_weights(), dtype=np.float64)
    features, cache = network.forward(image, ["conv1_2", "conv2_1"])
    gradients = {name: rng.normal(size=feature.shape) for name, feature in features.items()}
    copies = {name: gradient.copy() for name, gradient in gradients.items()}
    first, second = network.backward(gradients, cache.copy()), network.backward(gradients, cache)
    assert not cache  # emptied, so that what is done with does not fill memory
    np.testing.assert_array_equal(first, second)
    for name in gradients:
        np.testing.assert_array_equal(gradients[name], copies[name])


def directional_error(forward, backward, image, rng, step=1e-5):
    """|<gradient, d> - centred difference along d|, relative, for a unit direction d.

    The direction is drawn anew while a ReLU mask or a pooling winner changes within the
    step: there the function has a kink, and centred differences measure something else.
    """
    features, cache = forward(image)
    cotangent = {name: rng.normal(size=feature.shape) for name, feature in features.items()}
    value = lambda features: sum(np.vdot(cotangent[name], features[name]) for name in features)  # noqa: E731
    for _ in range(50):
        direction = rng.normal(size=image.shape)
        direction /= np.linalg.norm(direction)
        (ahead, cache_ahead), (behind, cache_behind) = (
            forward(image + step * direction),
            forward(image - step * direction),
        )
        if same_kinks(cache, cache_ahead) and same_kinks(cache, cache_behind):
            slope = (value(ahead) - value(behind)) / (2 * step)
            return relative_error(np.vdot(backward(cotangent, cache.copy()), direction), slope)
    raise AssertionError("every direction crossed a kink")


def same_kinks(cache, other):
    """Whether two caches hold the same ReLU masks and pooling winners."""
    for (_, operation, kept), (_, _, other_kept) in zip(cache, other, strict=True):
        if operation is layers.relu_backward and (kept != other_kept).any():
            return False
        if operation is layers.max_pool_backward and (kept[0] != other_kept[0]).any():
            return False
    return True


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("seed", range(5))
def test_gradient_of_the_network(image, pooling, seed):
    network = Network(tiny_weights(), pooling, np.float64)
    forward = lambda image: network.forward(image, ["conv1_1", "conv3_2", "conv5_1"])  # noqa: E731
    assert directional_error(forward, network.backward, image, np.random.default_rng(seed)) <= 1e-6


def test_a_dropped_layer_gradient_is_caught(image, rng):
    network = Network(tiny_weights(), dtype=np.float64)

    def forgetful(gradients, cache):
        return network.backward({name: gradients[name] for name in ("conv3_2", "conv5_1")}, cache)

    forward = lambda image: network.forward(image, ["conv1_1", "conv3_2", "conv5_1"])  # noqa: E731
    assert directional_error(forward, forgetful, image, rng) > 1e-3


def test_a_cache_that_was_used_up_is_refused(image):
    network = Network(tiny_weights())
    features, cache = network.forward(image, ["conv1_1"])
    network.backward(features, cache)
    with pytest.raises(ValueError, match="used it up"):
        network.backward(features, cache)


def test_gradients_of_another_type_become_those_of_the_network(image):
    network = Network(tiny_weights())
    features, cache = network.forward(image, ["conv1_1", "conv2_1"])
    expected = network.backward(features, cache.copy())
    wider = {name: feature.astype(np.float64) for name, feature in features.items()}
    np.testing.assert_array_equal(network.backward(wider, cache), expected)


def test_unknown_names_are_refused(image):
    network = Network(tiny_weights())
    with pytest.raises(InputError, match="conv9_9.*conv1_1, conv1_2, pool1"):
        network.forward(image, ["conv9_9"])
    with pytest.raises(InputError, match="max or average"):
        Network(tiny_weights(), pooling="median")
    _, cache = network.forward(image, ["conv1_1"])
    for gradients in ({}, {"conv1_2": image}):
        with pytest.raises(ValueError, match="layers that forward computed"):
            network.backward(gradients, cache)

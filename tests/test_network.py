"""The network forward and backward: names, shapes, and gradients at any set of layers."""

import numpy as np
import pytest

from nnstyle import InputError, Network, layers
from nnstyle.engine import Engine, shared_engine
from nnstyle.network import LAYERS
from tests.support.checks import directional_error
from tests.support.tiny import WIDTHS, tiny_weights


@pytest.fixture(params=["plain", "fast"])
def engine(request):
    """What a network may be given as its engine; None is the shared fast one."""
    return layers if request.param == "plain" else None


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
def test_every_layer_has_its_width_and_its_resolution(architecture, image, engine):
    network = Network(tiny_weights(architecture, last="conv5_3"), engine=engine)
    features, _ = network.forward(image, network.layers)
    assert list(features) == LAYERS[architecture][: LAYERS[architecture].index("conv5_3") + 1]
    for name, feature in features.items():
        halvings = int(name[4]) - (name.startswith("conv"))
        assert feature.shape == (19 >> halvings, 22 >> halvings, WIDTHS[int(name[4]) - 1])
        assert feature.dtype == np.float32


def test_gradients_may_be_functions_called_when_their_layer_is_reached(image, rng, engine):
    network = Network(tiny_weights(), dtype=np.float64, engine=engine)
    features, cache = network.forward(image, ["conv1_1", "conv2_2", "pool3"])
    gradients = {name: rng.normal(size=feature.shape) for name, feature in features.items()}
    expected, calls = network.backward(gradients, cache.copy()), []

    def gradient_at(name):
        calls.append(name)
        return gradients[name]

    functions = {name: lambda name=name: gradient_at(name) for name in gradients}
    np.testing.assert_array_equal(network.backward(functions, cache), expected)
    assert calls == ["pool3", "conv2_2", "conv1_1"]


def test_features_are_taken_after_the_relu(image, engine):
    features, _ = Network(tiny_weights(), engine=engine).forward(image, ["conv1_1", "conv4_2"])
    assert all(feature.min() == 0 for feature in features.values())


def test_forward_stops_at_the_deepest_layer_asked_for(image, engine):
    weights = tiny_weights()
    weights |= {"conv3_1": tuple(np.full_like(array, np.nan) for array in weights["conv3_1"])}
    features, cache = Network(weights, engine=engine).forward(image, ["conv2_2", "conv1_1"])
    assert set(features) == {"conv1_1", "conv2_2"} and len(cache) == 2 * 4 + 1  # conv and ReLU, one pool
    assert np.isfinite(features["conv2_2"]).all()


def test_backward_sums_what_each_layer_alone_would_give(image, rng, engine):
    network = Network(tiny_weights(), dtype=np.float64, engine=engine)
    features, cache = network.forward(image, ["conv1_1", "pool2", "conv4_2"])
    gradients = {name: rng.normal(size=feature.shape) for name, feature in features.items()}
    together = network.backward(gradients, cache.copy())
    alone = [network.backward({name: gradient}, cache.copy()) for name, gradient in gradients.items()]
    assert together.shape == image.shape
    np.testing.assert_allclose(together, sum(alone), rtol=1e-12, atol=1e-12)


def test_backward_leaves_gradients_and_a_copy_of_the_cache_as_they_were(image, rng, engine):
    network = Network(tiny_weights(), dtype=np.float64, engine=engine)
    features, cache = network.forward(image, ["conv1_2", "conv2_1"])
    gradients = {name: rng.normal(size=feature.shape) for name, feature in features.items()}
    copies = {name: gradient.copy() for name, gradient in gradients.items()}
    first, second = network.backward(gradients, cache.copy()), network.backward(gradients, cache)
    assert not cache  # emptied, so that what is done with does not fill memory
    np.testing.assert_array_equal(first, second)
    for name in gradients:
        np.testing.assert_array_equal(gradients[name], copies[name])


NAMES = ["conv1_1", "conv3_2", "conv5_1"]


def network_error(network, backward, image, rng):
    """Error of a backward pass along a random direction, for random derivatives at NAMES."""
    features, cache = network.forward(image, NAMES)
    cotangent = {name: rng.normal(size=feature.shape) for name, feature in features.items()}

    def value(image):
        features, _ = network.forward(image, NAMES)
        return sum(np.vdot(cotangent[name], features[name]) for name in features)

    return directional_error(
        value,
        lambda _: backward(cotangent, cache.copy()),
        lambda image: network.forward(image, NAMES)[1],
        image,
        rng,
    )


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("seed", range(5))
def test_gradient_of_the_network(image, pooling, seed, engine):
    network = Network(tiny_weights(), pooling, np.float64, engine)
    assert network_error(network, network.backward, image, np.random.default_rng(seed)) <= 1e-6


def test_a_dropped_layer_gradient_is_caught(image, rng, engine):
    network = Network(tiny_weights(), "max", np.float64, engine)

    def forgetful(gradients, cache):
        return network.backward({name: gradients[name] for name in ("conv3_2", "conv5_1")}, cache)

    assert network_error(network, forgetful, image, rng) > 1e-3


def test_a_cache_that_was_used_up_is_refused(image, engine):
    network = Network(tiny_weights(), engine=engine)
    features, cache = network.forward(image, ["conv1_1"])
    network.backward(features, cache)
    with pytest.raises(ValueError, match="has used it"):
        network.backward(features, cache)


def test_gradients_of_another_type_become_those_of_the_network(image, engine):
    network = Network(tiny_weights(), engine=engine)
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


# Engines


def test_by_default_a_network_is_fast_and_pools_as_stylize_does():
    first, second = Network(tiny_weights()), Network(tiny_weights(seed=1))
    assert isinstance(first.engine, Engine) and first.engine is second.engine is shared_engine()
    assert first.engine.device.name == "cpu" and not first.engine.low_memory
    assert first.pooling == "average"


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_the_plain_functions_give_the_same_features_and_gradient(image, rng, pooling, dtype, tolerance):
    weights = tiny_weights(widths=(16, 24, 32, 17, 20))  # wide enough for Winograd's algorithm
    plain, fast = Network(weights, pooling, dtype, layers), Network(weights, pooling, dtype)
    names = ["conv1_1", "conv2_2", "conv4_2", "conv5_1"]
    (expected, its_cache), (features, cache) = (net.forward(image, names) for net in (plain, fast))
    for name in names:
        size = np.abs(expected[name]).max()
        np.testing.assert_allclose(features[name], expected[name], rtol=0, atol=tolerance * size)
    gradients = {name: rng.normal(size=feature.shape).astype(dtype) for name, feature in expected.items()}
    its_gradient, gradient = plain.backward(gradients, its_cache), fast.backward(gradients, cache)
    difference = np.linalg.norm(gradient - its_gradient) / np.linalg.norm(its_gradient)
    assert difference <= tolerance and gradient.dtype == dtype


def test_nobody_can_change_the_weights_of_a_network(image, engine):
    """Else what the engine has computed from them would stay as it was."""
    weights = tiny_weights()
    network = Network(weights, engine=engine)
    for kernel, bias in (weights["conv1_2"], network.weights["conv1_2"]):
        with pytest.raises(ValueError, match="read-only"):
            kernel[...] = 0
        with pytest.raises(ValueError, match="read-only"):
            bias[...] = 0
    with pytest.raises(TypeError):
        weights["conv1_2"] = weights["conv1_1"]


def test_arrays_that_others_may_change_are_copied(image, engine):
    """A network of plain arrays keeps what they were; one made later has what they became."""
    arrays = {name: tuple(np.array(a) for a in layer) for name, layer in tiny_weights().items()}
    network = Network(arrays, dtype=np.float64, engine=engine)
    before = network.forward(image, ["conv1_2"])[0]["conv1_2"]
    arrays["conv1_2"][0][...] = 0
    arrays["conv1_2"][1][...] = 7
    np.testing.assert_array_equal(network.forward(image, ["conv1_2"])[0]["conv1_2"], before)
    changed = Network(arrays, dtype=np.float64, engine=engine).forward(image, ["conv1_2"])[0]["conv1_2"]
    np.testing.assert_allclose(changed, 7)


def test_a_network_with_another_layer_has_another_output(image, engine):
    weights = tiny_weights()
    louder = weights | {"conv1_2": tuple(2 * array for array in weights["conv1_2"])}
    quiet, loud = (
        Network(w, engine=engine).forward(image, ["conv1_2"])[0]["conv1_2"] for w in (weights, louder)
    )
    np.testing.assert_allclose(loud, 2 * quiet, rtol=1e-5)


def test_weights_that_do_not_make_a_vgg_are_refused():
    weights = dict(tiny_weights(last="conv2_2"))
    for wrong in ({}, weights | {"foo": weights["conv1_1"]}, weights | {"pool1": weights["conv1_1"]}):
        with pytest.raises(InputError, match="conv1_1, conv1_2 and so on"):
            Network(wrong)
    del weights["conv1_2"]
    with pytest.raises(InputError, match="conv1_2 are missing"):
        Network(weights)


def test_one_name_may_be_given_as_it_is(image):
    assert list(Network(tiny_weights()).forward(image, "conv1_2")[0]) == ["conv1_2"]

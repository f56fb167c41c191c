"""Equation (7) as a whole: its value from its parts, its gradient along random directions."""

import numpy as np
import pytest

from nnstyle import InputError, Network, Settings, losses
from nnstyle.objective import Objective
from nnstyle.transfer import first_image

from .checks import relative_error
from .test_network import same_kinks
from .tiny import tiny_weights


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def make_objective(rng, pooling="max", **settings):
    """An objective in float64, with style and content pictures of different sizes."""
    network = Network(tiny_weights(), pooling, np.float64)
    content, style = rng.normal(size=(19, 22, 3)), rng.normal(size=(25, 17, 3))
    return Objective(network, content, style, Settings(**settings).for_picture(19, 22)), content, style


def directional_error(objective, gradient_of, image, rng, step=1e-5):
    """As in test_network, for a scalar objective; directions that cross a kink are redrawn."""
    kinks = lambda image: objective.network.forward(image, objective.layers)[1]  # noqa: E731
    for _ in range(50):
        direction = rng.normal(size=image.shape)
        direction /= np.linalg.norm(direction)
        ahead, behind = image + step * direction, image - step * direction
        if same_kinks(kinks(image), kinks(ahead)) and same_kinks(kinks(image), kinks(behind)):
            slope = (objective(ahead)[0] - objective(behind)[0]) / (2 * step)
            return relative_error(np.vdot(gradient_of(image), direction), slope)
    raise AssertionError("every direction crossed a kink")


VARIANTS = {
    "both": {"alpha": 2.0, "beta": 300.0},
    "content": {"alpha": 1.0, "beta": 0.0},
    "style": {"alpha": 0.0, "beta": 300.0},
    "all terms": {"alpha": 2.0, "beta": 300.0, "tv_weight": 0.01, "layer_weights": (1, 0.5, 0, 2, 1)},
    "one layer for both": {"alpha": 2.0, "beta": 300.0, "content_layers": ["conv3_1", "conv4_2"]},
}


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_of_the_whole_objective(rng, variant, pooling):
    objective, _, _ = make_objective(rng, pooling, **VARIANTS[variant])
    image = rng.normal(size=(19, 22, 3))
    for _ in range(3):
        assert directional_error(objective, lambda image: objective(image)[1], image, rng) <= 1e-5


def test_a_dropped_content_gradient_is_caught(rng):
    objective, content, style = make_objective(rng, alpha=2.0, beta=300.0)
    without = Objective(objective.network, content, style, Settings(alpha=0.0, beta=300.0))
    image = rng.normal(size=(19, 22, 3))
    assert directional_error(objective, lambda image: without(image)[1], image, rng) > 1e-3


def test_equation_7_from_its_parts(rng):
    settings = {"alpha": 2.0, "beta": 300.0, "tv_weight": 0.5, "layer_weights": (0.1, 0.2, 0.3, 0.4, 0.5)}
    objective, content, style = make_objective(rng, **settings)
    image = rng.normal(size=(19, 22, 3))
    total, _ = objective(image)
    features, contents, styles = (
        objective.network.forward(picture, objective.layers)[0] for picture in (image, content, style)
    )
    L_content = losses.content_loss(features["conv4_2"], contents["conv4_2"])[0]
    E = [
        losses.style_loss(features[layer], losses.gram_matrix(styles[layer]), styles[layer][..., 0].size)[0]
        for layer in ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    ]
    L_style = np.dot(settings["layer_weights"], E)
    variation = losses.total_variation(image)[0]
    np.testing.assert_allclose(objective.parts, (L_content, L_style, variation), rtol=1e-12)
    assert total == pytest.approx(2 * L_content + 300 * L_style + 0.5 * variation, rel=1e-12)


def test_the_content_loss_is_zero_at_the_content_image_and_the_style_loss_at_the_style_image(rng):
    objective, content, _ = make_objective(rng)
    objective(content)
    assert objective.parts[0] == 0 < objective.parts[1]
    objective, _, style = make_objective(rng, alpha=0.0)
    objective(style)
    assert objective.parts[1] == pytest.approx(0, abs=1e-20)


def test_what_weighs_nothing_is_not_computed(rng):
    objective, _, _ = make_objective(rng, alpha=1.0, beta=0.0, content_layers=["conv2_1"])
    assert objective.layers == {"conv2_1"}


def test_first_images(rng):
    content, style = (
        rng.integers(0, 256, size=shape, dtype=np.uint8) for shape in ((40, 50, 3), (64, 33, 3))
    )
    make = lambda **settings: first_image(content, style, Settings(**settings))  # noqa: E731
    np.testing.assert_array_equal(make(first_image="content"), content)
    assert make(first_image="style").shape == content.shape
    noise = make(first_image="noise", seed=1)
    assert noise.shape == content.shape and 0 <= noise.min() < 5 and 250 < noise.max() <= 255
    np.testing.assert_array_equal(noise, make(first_image="noise", seed=1))
    assert (noise != make(first_image="noise", seed=2)).all()


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"size": 31}, "size must be a whole number, at least 32"),
        ({"size": 64.5}, "size must be a whole number"),
        ({"iterations": 0}, "iterations must be a whole number, at least 1"),
        ({"iterations": 10**400}, "iterations must be at most 1000000"),
        ({"seed": -1}, "seed must be"),
        ({"alpha": -1.0}, "alpha must be a finite number, not negative"),
        ({"beta": float("nan")}, "beta must be a finite number"),
        ({"tv_weight": float("inf")}, "tv_weight must be a finite number"),
        ({"layer_weights": (1, 2)}, "5 style layers need as many layer weights, not 2"),
        ({"layer_weights": (1, 1, -1, 1, 1)}, "layer weight of conv3_1 must be"),
        ({"alpha": 0.0, "beta": 0.0}, "nothing to optimize"),
        ({"alpha": 0.0, "layer_weights": (0, 0, 0, 0, 0)}, "nothing to optimize"),
        ({"pooling": "avg"}, "max, average"),
        ({"style_layers": ()}, "at least one layer"),
        ({"content_layers": ("conv4_2", "conv4_2")}, "each only once"),
        ({"first_image": "black"}, "content, noise, style"),
    ],
)
def test_settings_that_cannot_be_used(wrong, message):
    with pytest.raises(InputError, match=message):
        Settings(**wrong)


def test_one_layer_may_be_given_by_its_name():
    assert Settings(content_layers="conv3_1").content_layers == ("conv3_1",)

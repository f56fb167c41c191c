"""Equation (7) as a sum of terms: its value from its parts, its gradient along random directions."""

import numpy as np
import pytest

from nnstyle import (
    ContentTerm,
    Engine,
    InputError,
    Network,
    Objective,
    Settings,
    StyleTerm,
    Term,
    TotalVariationTerm,
    layers,
    losses,
    set_targets,
)
from nnstyle.objective import paper_terms
from tests.support.checks import directional_error
from tests.support.terms import MeanAndVariance
from tests.support.tiny import tiny_weights


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture(params=["plain", "fast"])
def engine(request):
    """What a network may be given as its engine; None is the shared fast one."""
    return layers if request.param == "plain" else None


def make_objective(rng, pooling="max", engine=None, own=(), **settings):
    """An objective in float64, with style and content pictures of different sizes."""
    network = Network(tiny_weights(), pooling, np.float64, engine)
    content, style = rng.normal(size=(19, 22, 3)), rng.normal(size=(25, 17, 3))
    settings = Settings(**settings).decided(tiny_weights(), 19, 22)
    terms = [*paper_terms(settings, *([network.engine] if engine is None else [])), *own]
    set_targets(terms, network, content, style)
    return Objective(network, terms), content, style


def objective_error(objective, gradient, image, rng):
    """Error of a gradient of the objective along a random direction."""
    return directional_error(
        lambda image: objective(image)[0],
        gradient,
        lambda image: objective.network.forward(image, objective.layers)[1],
        image,
        rng,
    )


VARIANTS = {
    "both": {"alpha": 2.0, "beta": 300.0},
    "content": {"alpha": 1.0, "beta": 0.0},
    "style": {"alpha": 0.0, "beta": 300.0},
    "all terms": {"alpha": 2.0, "beta": 300.0, "tv_weight": 0.01, "layer_weights": (1, 0.5, 0, 2, 1)},
    "one layer for both": {"alpha": 2.0, "beta": 300.0, "content_layers": ["conv3_1", "conv4_2"]},
}


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradient_of_the_whole_objective(rng, variant, pooling, engine):
    objective, _, _ = make_objective(rng, pooling, engine, **VARIANTS[variant])
    image = rng.normal(size=(19, 22, 3))
    for _ in range(3):
        assert objective_error(objective, lambda image: objective(image)[1], image, rng) <= 1e-5


def test_a_dropped_content_gradient_is_caught(rng):
    objective, content, style = make_objective(rng, alpha=2.0, beta=300.0)
    without = Objective(objective.network, [term for term in objective.terms if term.name != "content"])
    image = rng.normal(size=(19, 22, 3))
    assert objective_error(objective, lambda image: without(image)[1], image, rng) > 1e-3


def test_equation_7_from_its_parts(rng, engine):
    settings = {"alpha": 2.0, "beta": 300.0, "tv_weight": 0.5, "layer_weights": (0.1, 0.2, 0.3, 0.4, 0.5)}
    objective, content, style = make_objective(rng, "max", engine, **settings)
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
    assert list(objective.losses) == ["content", "style", "total variation"]
    np.testing.assert_allclose(list(objective.losses.values()), (L_content, L_style, variation), rtol=1e-12)
    assert total == pytest.approx(2 * L_content + 300 * L_style + 0.5 * variation, rel=1e-12)


def test_the_content_loss_is_zero_at_the_content_image_and_the_style_loss_at_the_style_image(rng):
    objective, content, _ = make_objective(rng)
    objective(content)
    assert objective.losses["content"] == 0 < objective.losses["style"]
    objective, _, style = make_objective(rng, alpha=0.0)
    objective(style)
    assert objective.losses["style"] == pytest.approx(0, abs=1e-20)


# What weighs nothing


class CountingEngine(Engine):
    """An engine that knows which convolutions were asked of it, by their kernels."""

    def __init__(self):
        super().__init__(threads=1)
        self.kernels, self.gram_matrices = [], 0

    def conv(self, x, kernel, bias):
        self.kernels.append(id(kernel))
        return super().conv(x, kernel, bias)

    def gram_matrix(self, features):
        self.gram_matrices += 1
        return super().gram_matrix(features)


def test_what_weighs_nothing_is_not_computed(rng):
    objective, _, _ = make_objective(rng, alpha=1.0, beta=0.0, content_layers=["conv2_1"])
    assert objective.layers == {"conv2_1"}


@pytest.mark.parametrize(
    "settings, deepest, gram_matrices",
    [
        ({}, "conv5_1", 5),
        ({"layer_weights": (1, 0, 0, 0, 0)}, "conv4_2", 1),  # as deep as the content
        ({"layer_weights": (1, 0, 0, 0, 0), "alpha": 0}, "conv1_1", 1),
        ({"layer_weights": (0, 1, 0, 0, 0), "alpha": 0.0}, "conv2_1", 1),
        ({"beta": 0}, "conv4_2", 0),
        ({"beta": 0.0, "content_layers": ("conv1_2",)}, "conv1_2", 0),
    ],
)
def test_nothing_is_computed_beyond_the_deepest_term(rng, settings, deepest, gram_matrices):
    engine = CountingEngine()
    weights = tiny_weights()
    network = Network(weights, engine=engine)
    own = {id(kernel): name for name, (kernel, _) in network.weights.items()}
    terms = paper_terms(Settings(**settings).decided(weights, 19, 22), engine)
    assert all(term.weight * term.layer_weight for term in terms)
    set_targets(terms, network, *(rng.normal(size=(19, 22, 3)) for _ in range(2)))
    for_targets = [own[kernel] for kernel in engine.kernels]
    engine.kernels.clear()
    assert engine.gram_matrices == gram_matrices  # of the style image
    Objective(network, terms)(rng.normal(size=(19, 22, 3)))
    up_to = list(own.values())[: 1 + list(own.values()).index(deepest)]
    assert [own[kernel] for kernel in engine.kernels] == up_to  # each once, and no other
    assert set(for_targets) == set(up_to)
    assert engine.gram_matrices == 2 * gram_matrices


def test_terms_of_weight_0_are_not_built():
    def built(**settings):
        terms = paper_terms(Settings(**settings).decided(tiny_weights(), 40, 50))
        return [(term.name, term.layer, term.weight, term.layer_weight) for term in terms]

    assert built(alpha=0.0, beta=5.0, layer_weights=(0, 0, 3, 0, 0)) == [("style", "conv3_1", 5.0, 3)]
    assert built(alpha=2.0, beta=0.0) == [("content", "conv4_2", 2.0, 1.0)]
    assert built(alpha=0.0, beta=0.0, tv_weight=0.5) == [("total variation", None, 0.5, 1.0)]
    assert len(built()) == 6  # and no total variation


def test_a_beta_left_open_is_decided_and_does_not_drop_the_style():
    terms = paper_terms(Settings(border=0).decided(tiny_weights(), 40, 50))
    assert {term.weight for term in terms if term.name == "style"} == {4000.0 * 40 * 50}


# Statistics, in two steps


@pytest.mark.parametrize("engine", [losses, Engine(threads=1)], ids=["plain", "fast"])
def test_a_style_loss_may_be_computed_in_pieces(rng, engine):
    """Statistics add up; with those of the whole, each piece gets its own part of the gradient."""
    term = StyleTerm("conv1_1", engine=engine)
    term.set_target(rng.normal(size=(6, 5, 4)))
    features = rng.normal(size=(8, 7, 4))
    top, bottom = features[:3], features[3:]
    whole = term.statistics(features)
    total = term.statistics(top) + term.statistics(bottom)
    assert total.positions == whole.positions == 56
    np.testing.assert_allclose(total.matrix, whole.matrix, rtol=1e-12, atol=1e-12)
    loss, gradient = term(features)
    pieces = [term.loss_and_gradient(piece, total) for piece in (top, bottom)]
    assert [piece_loss for piece_loss, _ in pieces] == pytest.approx([loss, loss], rel=1e-12)
    together = np.concatenate([gradient for _, gradient in pieces])
    np.testing.assert_allclose(together, gradient, rtol=1e-12, atol=1e-12 * np.abs(gradient).max())


@pytest.mark.parametrize("engine", [losses, Engine(threads=1)], ids=["plain", "fast"])
def test_a_style_term_is_the_style_loss(rng, engine):
    style, features = rng.normal(size=(6, 5, 4)), rng.normal(size=(8, 7, 4))
    term = StyleTerm("conv1_1", engine=engine)
    term.set_target(style)
    loss, gradient = term(features)
    expected = losses.style_loss(features, losses.gram_matrix(style), 30)
    assert loss == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-15)


# Terms of one's own


def test_a_term_of_ones_own_is_a_part_of_the_sum(rng, engine):
    own = MeanAndVariance("conv3_1", weight=7.0)
    objective, _, style = make_objective(rng, "average", engine, [own], beta=300.0)
    image = rng.normal(size=(19, 22, 3))
    total, gradient = objective(image)
    content, style_loss, mean_and_variance = (
        objective.losses[name] for name in ("content", "style", "mean and variance")
    )
    assert total == pytest.approx(content + 300 * style_loss + 7 * mean_and_variance, rel=1e-12)
    features = objective.network.forward(image, ["conv3_1"])[0]["conv3_1"]
    target = objective.network.forward(style, ["conv3_1"])[0]["conv3_1"]
    by_hand = ((features.mean((0, 1)) - target.mean((0, 1))) ** 2).sum()
    by_hand += ((features.var((0, 1)) - target.var((0, 1))) ** 2).sum()
    assert mean_and_variance == pytest.approx(by_hand, rel=1e-10)
    for _ in range(3):
        assert objective_error(objective, lambda image: objective(image)[1], image, rng) <= 1e-5


def test_a_wrong_gradient_of_ones_own_term_is_caught(rng):
    own = MeanAndVariance("conv3_1", factor_of_variance=2)  # should be 4
    objective, _, _ = make_objective(rng, "average", own=[own])
    alone = Objective(objective.network, [own])
    image = 3 * rng.normal(size=(19, 22, 3))
    assert objective_error(alone, lambda image: alone(image)[1], image, rng) > 1e-3


class Darkness(Term):
    """Half the sum of squares of what it sees; its gradient is that very thing."""

    name = "darkness"

    def __init__(self, layer=None, weight=1.0):
        self.layer, self.weight = layer, weight

    def __call__(self, features):
        return 0.5 * (features**2).sum(), features


@pytest.mark.parametrize("layer", [None, "conv1_1", "conv4_2"])
def test_a_term_may_return_what_it_was_given_as_its_gradient(rng, layer, engine):
    """Weights must not be multiplied into the picture, or into what the next term sees."""
    objective, _, _ = make_objective(rng, "average", engine, [Darkness(layer, 0.25)], beta=300.0)
    other_way_round = Objective(objective.network, objective.terms[::-1])
    image = rng.normal(size=(19, 22, 3))
    before = image.copy()
    total, gradient = objective(image)
    np.testing.assert_array_equal(image, before)
    total_again, gradient_again = other_way_round(image)
    assert total == pytest.approx(total_again, rel=1e-12)
    np.testing.assert_allclose(gradient, gradient_again, rtol=1e-10, atol=1e-12)
    assert objective_error(objective, lambda image: objective(image)[1], image, rng) <= 1e-5


class Wide(Term):
    """A term that computes in float64, and whose loss is a NumPy number."""

    name = "wide"

    def __init__(self, layer):
        self.layer = layer

    def __call__(self, features):
        wide = np.asarray(features, np.float64)
        return np.float32((wide**2).sum()), 2 * wide


@pytest.mark.parametrize("layer", [None, "conv1_1", "conv5_1"])
def test_the_type_stays_the_networks_whatever_a_term_returns(rng, layer):
    network = Network(tiny_weights())
    objective = Objective(network, [Wide(layer), TotalVariationTerm(0.5)])
    loss, gradient = objective(rng.normal(size=(19, 22, 3)).astype(np.float32))
    assert gradient.dtype == np.float32
    assert type(loss) is float and all(type(loss) is float for loss in objective.losses.values())


def test_a_term_that_sees_the_picture_alone_needs_no_network(rng):
    engine = CountingEngine()
    objective = Objective(Network(tiny_weights(), engine=engine), [TotalVariationTerm(0.5)])
    image = rng.normal(size=(9, 8, 3)).astype(np.float32)
    total, gradient = objective(image)
    expected = losses.total_variation(image)
    assert not engine.kernels and total == 0.5 * expected[0]
    np.testing.assert_array_equal(gradient, 0.5 * expected[1])


class Likeness(Term):
    """Squared distance to the style image's mean colour."""

    name, target = "likeness", "style"

    def set_target(self, features):
        self.mean = features.mean((0, 1))

    def __call__(self, image):
        difference = image - self.mean
        return float((difference**2).sum()), 2 * difference


def test_a_term_may_compare_pixels(rng):
    style = rng.normal(size=(12, 10, 3))
    network, term = Network(tiny_weights(), dtype=np.float64), Likeness()
    set_targets([term], network, rng.normal(size=(9, 8, 3)), style)
    image = rng.normal(size=(9, 8, 3))
    loss, gradient = Objective(network, [term])(image)
    assert loss == pytest.approx(((image - style.mean((0, 1))) ** 2).sum(), rel=1e-12)
    np.testing.assert_allclose(gradient, 2 * (image - style.mean((0, 1))), rtol=1e-12)


def test_losses_of_one_name_add_up(rng):
    content, image = (rng.normal(size=(19, 22, 3)) for _ in range(2))
    network = Network(tiny_weights(), dtype=np.float64)
    terms = [ContentTerm("conv1_1", 2.0), ContentTerm("conv2_1", 2.0)]
    set_targets(terms, network, content, content)
    together = Objective(network, terms)
    total, _ = together(image)
    each = []
    for term in terms:
        alone = Objective(network, [term])
        alone(image)
        each.append(alone.losses["content"])
    assert together.losses["content"] == pytest.approx(sum(each), rel=1e-12)
    assert total == pytest.approx(2 * sum(each), rel=1e-12)


def test_objectives_that_make_no_sense_are_refused():
    network = Network(tiny_weights())
    with pytest.raises(ValueError, match="at least one term"):
        Objective(network, [])
    with pytest.raises(ValueError, match="'style' must all have the same weight"):
        Objective(network, [StyleTerm("conv1_1", 1.0), StyleTerm("conv2_1", 2.0)])
    with pytest.raises(InputError, match="'conv9_9' is unknown: this network has conv1_1"):
        Objective(network, [ContentTerm("conv9_9")])
    with pytest.raises(InputError, match="'conv9_9' is unknown"):
        set_targets([ContentTerm("conv9_9")], network, *np.zeros((2, 16, 16, 3)))


def test_a_term_without_a_loss_says_so():
    with pytest.raises(NotImplementedError):
        Term()(np.zeros((2, 2, 3)))


class Half(Term):
    """Half the squared sum, whose gradient is a view of the features."""

    layer, target = "conv1_1", None

    def __init__(self, name, weight):
        self.name, self.weight = name, weight

    def __call__(self, features):
        return losses.squared_sum(features) / 2, features[:]


def test_a_gradient_that_is_a_view_is_not_scaled_in_place(rng):
    network = Network(tiny_weights(), dtype=np.float64)
    image = rng.normal(size=(12, 14, 3))
    one = Objective(network, [Half("one", 3.0)])(image)
    both = Objective(network, [Half("one", 3.0), Half("another", 3.0)])(image)
    np.testing.assert_allclose(both[0], 2 * one[0], rtol=1e-12)
    np.testing.assert_allclose(both[1], 2 * one[1], rtol=1e-12)


def test_targets_may_be_set_from_an_iterator(rng):
    network = Network(tiny_weights(), dtype=np.float64)
    terms = [ContentTerm("conv1_1"), StyleTerm("conv1_1")]
    image = rng.normal(size=(12, 14, 3))
    set_targets(iter(terms), network, image, image)
    assert Objective(network, terms)(image)[0] == 0

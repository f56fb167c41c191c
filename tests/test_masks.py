"""Styles by region: guided Gram matrices, their gradients, and what stays outside of all masks."""

import numpy as np
import pytest
from PIL import Image

from nnstyle import (
    InputError,
    Network,
    Objective,
    Settings,
    Style,
    StyleTerm,
    layers,
    losses,
    prepare,
    set_targets,
    stylize,
)
from nnstyle.objective import paper_terms
from nnstyle.regions import mask_at_layers, regions_of
from tests.support.checks import directional_error, numerical_gradient, relative_error
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

CONTENT, ONE, OTHER = noise(48, 56), noise(64, 50, seed=1), noise(52, 60, seed=2) // 3
HOW = {"size": 56, "iterations": 3, "border": 8}
LEFT = np.zeros((48, 56), np.uint8)
LEFT[:, :28] = 255
RIGHT = 255 - LEFT
SOFT = np.tile(np.linspace(0, 255, 56).astype(np.uint8), (48, 1))


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def masked_term(rng, height=6, width=5, channels=4):
    """A term with a mask and a target, and features for it."""
    term = StyleTerm("conv1_1", mask=rng.uniform(size=(height, width, 1)))
    term.set_target(rng.normal(size=(7, 9, channels)))
    return term, rng.normal(size=(height, width, channels))


class WithoutItsMask(StyleTerm):
    """A wrong term: the mask is forgotten on the way back."""

    def guided_loss_and_gradient(self, guided, whole):
        loss, gradient = super().guided_loss_and_gradient(guided, whole)
        return loss, gradient / self.root


# The equation


def test_a_guided_gram_matrix_is_a_sum_weighted_with_the_mask(rng):
    term, features = masked_term(rng)
    G, M = np.zeros((4, 4)), 0
    for y in range(6):
        for x in range(5):
            t, F = term.mask[y, x, 0], features[y, x]
            G += t * np.outer(F, F)
            M += t
    statistics = term.statistics(features)
    np.testing.assert_allclose(statistics.matrix, G, rtol=1e-12)
    assert statistics.positions == pytest.approx(M, rel=1e-12)
    A = losses.gram_matrix(rng.normal(size=(1, 1, 4)))  # any other target
    term.style = type(statistics)(A, 1.0)
    expected = ((G / M - A) ** 2).sum() / (4 * 4**2)
    assert term(features)[0] == pytest.approx(expected, rel=1e-12)


def test_the_gradient_of_a_guided_gram_matrix(rng):
    term, features = masked_term(rng)
    expected = numerical_gradient(lambda x: term(x)[0], features)
    assert relative_error(term(features)[1], expected) <= 1e-6
    wrong = WithoutItsMask("conv1_1", mask=term.mask)
    wrong.style = term.style
    assert relative_error(wrong(features)[1], expected) > 1e-2


def test_a_mask_of_ones_is_no_mask(rng):
    term, features = masked_term(rng)
    ones, none = StyleTerm("conv1_1", mask=np.ones((6, 5, 1))), StyleTerm("conv1_1")
    ones.style = none.style = term.style
    loss, gradient = ones(features)
    assert loss == pytest.approx(none(features)[0], rel=1e-14)
    np.testing.assert_allclose(gradient, none(features)[1], rtol=1e-12)


@pytest.mark.parametrize("engine", [layers, None], ids=["plain", "fast"])
@pytest.mark.parametrize("pooling", ["max", "average"])
def test_the_gradient_of_an_objective_of_two_regions(rng, pooling, engine):
    network = Network(tiny_weights(), pooling, np.float64, engine)
    content, one, other = (rng.normal(size=(height, 22, 3)) for height in (19, 25, 18))
    masks = [rng.uniform(size=(19, 22, 1)) for _ in range(2)]
    regions = regions_of([Style(ONE, 2.0), Style(OTHER)], masks)
    settings = Settings(beta=300.0).decided(tiny_weights(), 19, 22)
    terms = paper_terms(settings, network.engine if engine is None else None, regions)
    assert len([term for term in terms if term.name == "style"]) == 10
    set_targets(terms, network, content, [one, other])
    objective = Objective(network, terms)
    kinks = lambda image: network.forward(image, objective.layers)[1]
    value, gradient = lambda image: objective(image)[0], lambda image: objective(image)[1]
    image = rng.normal(size=(19, 22, 3))
    assert directional_error(value, gradient, kinks, image, rng) <= 1e-5
    first = Objective(network, [term for term in terms if term.name != "style" or 0 in term.shares])
    assert directional_error(value, lambda image: first(image)[1], kinks, image, rng) > 1e-3


# Masks at layers, regions


def test_a_mask_shrinks_as_the_image_does(rng):
    network, mask = Network(tiny_weights(), engine=layers), rng.uniform(size=(53, 45, 1))
    names = [name for name in network.layers if name != "pool5"]
    features, _ = network.forward(rng.normal(size=(53, 45, 3)), names)
    masks = mask_at_layers(mask, names)
    assert {name: m.shape[:2] for name, m in masks.items()} == {n: f.shape[:2] for n, f in features.items()}
    assert masks["conv1_2"] is mask
    assert masks["pool1"][3, 2, 0] == pytest.approx(mask[6:8, 4:6].mean())
    assert masks["conv4_1"][1, 2, 0] == pytest.approx(mask[8:16, 16:24].mean())


def test_a_region_is_as_strong_as_it_is_large():
    masks = [LEFT[..., np.newaxis] / 255, np.ones((48, 56, 1))]
    left, whole = regions_of([Style(ONE), Style(OTHER)], masks)
    assert (left.shares, whole.shares) == ({0: 1.0}, {1: 1.0})
    assert left.strength == pytest.approx(0.5) and whole.strength == pytest.approx(1.0)
    strong, weak = regions_of([Style(ONE, 3.0), Style(OTHER, 1.0)], masks)
    assert strong.strength == pytest.approx(1.5 * 0.5) and weak.strength == pytest.approx(0.5)


def test_styles_of_one_mask_share_its_region():
    mask = LEFT[..., np.newaxis] / 255
    regions = regions_of([Style(ONE, 3.0), Style(OTHER), Style(OTHER)], [mask, None, mask.copy()])
    assert [region.shares for region in regions] == [{0: 0.75, 2: 0.25}, {1: 1.0}]


def test_a_layer_at_which_nothing_is_left_of_a_mask_has_no_term():
    mask = np.zeros((33, 33, 1))
    mask[32, 32] = 1  # the odd last row and column are dropped by the first pooling
    regions = regions_of([Style(ONE)], [mask])
    settings = Settings(beta=1.0).decided(tiny_weights(), 33, 33)
    assert [term.layer for term in paper_terms(settings, None, regions) if term.name == "style"] == [
        "conv1_1"
    ]


# Pictures


def test_outside_of_all_masks_the_photograph_stays():
    image = stylize(CONTENT, Style(ONE, mask=LEFT), tiny_weights(), init="noise", **HOW).image
    np.testing.assert_array_equal(image[:, 28:], CONTENT[:, 28:])
    assert (image[:, :28] != CONTENT[:, :28]).mean() > 0.9


def test_soft_edges_are_mixed():
    plain = stylize(CONTENT, Style(ONE, mask=np.full((48, 56), 255, np.uint8)), tiny_weights(), **HOW).image
    half = stylize(CONTENT, Style(ONE, mask=SOFT), tiny_weights(), **HOW).image
    change = abs(half.astype(float) - CONTENT).mean((0, 2))
    assert change[0] == 0 and change[:10].mean() < change[-10:].mean() / 3
    assert abs(plain.astype(float) - CONTENT).mean((0, 2))[:10].mean() > 5


def test_each_region_gets_the_colours_of_its_painting():
    """The second painting is dark."""
    styles = [Style(ONE, mask=LEFT), Style(OTHER, mask=RIGHT)]
    image = stylize(CONTENT, styles, tiny_weights(), **HOW).image.astype(float)
    assert image[:, :20].mean() > 100 and image[:, -20:].mean() < 70
    swapped = stylize(CONTENT, [Style(ONE, mask=RIGHT), Style(OTHER, mask=LEFT)], tiny_weights(), **HOW).image
    assert swapped[:, :20].mean() < 70 and swapped[:, -20:].mean() > 100


def test_a_small_region_is_painted_as_strongly_as_a_large_one():
    """Its first steps change a pixel about as much, though there are far fewer of them."""
    small = np.zeros((48, 56), np.uint8)
    small[16:32, 20:36] = 255
    how = HOW | {"init": "content", "border": 0, "iterations": 1, "optimizer": "lbfgs-nnstyle", "scales": 1}
    gradients = []
    for mask in (small, np.full((48, 56), 255, np.uint8)):
        job = prepare(CONTENT, Style(ONE, mask=mask), tiny_weights(), **how)
        (region,) = regions_of(job.styles, [job.styles[0].mask[..., np.newaxis] / 255])
        terms = paper_terms(job.settings, None, [region])
        network = Network(tiny_weights(), dtype=np.float64, engine=layers)
        set_targets(terms, network, job.content * 1.0, [job.styles[0].image * 1.0])
        _, gradient = Objective(network, [t for t in terms if t.layer == "conv1_1"])(job.content * 1.0)
        gradients.append(abs(gradient[20:28, 24:32]).mean())
    assert 0.5 < gradients[0] / gradients[1] < 2


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_a_mask_may_have_another_resolution(scale):
    mask = np.array(Image.fromarray(LEFT).resize((int(56 * scale), int(48 * scale))))
    job = prepare(CONTENT, Style(ONE, mask=mask), tiny_weights(), **HOW)
    assert job.styles[0].mask.shape == (48, 56) and job.styles[0].mask.dtype == np.uint8
    assert abs(job.styles[0].mask[:, [0, -1]].mean(0) - (255, 0)).max() < 1


@pytest.mark.parametrize(
    "mask, message",
    [
        (
            np.full((56, 48), 255, np.uint8),
            "the mask has the shape 48 : 56, and the photograph 56 : 48: draw",
        ),
        (np.zeros((48, 56), np.uint8), "the mask is black everywhere: it is white where"),
        ("missing.png", "missing.png does not exist"),
        (5, "a picture is"),
    ],
)
def test_a_mask_that_cannot_be_used_is_refused(mask, message):
    with pytest.raises(InputError, match=message):
        prepare(CONTENT, Style(ONE, mask=mask), tiny_weights(), **HOW)


def test_what_is_stored_with_a_picture_names_the_mask(tmp_path):
    Image.fromarray(LEFT).save(tmp_path / "sky.png")
    job = prepare(CONTENT, [Style(ONE, mask=tmp_path / "sky.png"), OTHER], tiny_weights(), **HOW)
    described = job.describe()
    assert described["mask"] == ["sky.png", ""] and described["mask_sha256"][1] is None
    other = prepare(CONTENT, [Style(ONE, mask=RIGHT), OTHER], tiny_weights(), **HOW)
    assert other.describe()["mask_sha256"][0] != described["mask_sha256"][0] and other.digest != job.digest


def transparent_where(mask):
    """The photograph, transparent where a mask is white."""
    return np.dstack([CONTENT, 255 - mask])


def test_a_mask_on_what_is_transparent_is_refused():
    with pytest.raises(InputError, match="white only where the photograph is transparent"):
        prepare(transparent_where(LEFT), Style(ONE, mask=LEFT), tiny_weights(), **HOW)
    assert prepare(transparent_where(LEFT), Style(ONE, mask=SOFT), tiny_weights(), **HOW).alpha is not None


def test_a_mask_of_which_a_scale_leaves_nothing_costs_no_picture():
    """One faint pixel is gone at half the size; then only the photograph is painted there."""
    mask = np.zeros((96, 112), np.uint8)
    mask[11, 11] = 1
    how = HOW | {"size": 112, "scales": 2, "iterations": 2, "beta": 1e-3}
    content = np.array(Image.fromarray(CONTENT).resize((112, 96)))
    with pytest.warns(UserWarning, match="hardly anything was painted"):
        result = stylize(content, Style(ONE, mask=mask), tiny_weights(), **how)
    assert result.image.shape == (96, 112, 3)
    with pytest.raises(InputError, match="the masks leave nothing to paint at 56 px"):
        stylize(content, Style(ONE, mask=mask), tiny_weights(), alpha=0.0, **how | {"beta": 1.0})


def test_a_style_term_of_one_s_own_sees_its_target_through_its_statistics(rng):
    class OfSquares(StyleTerm):
        def statistics(self, features):
            return super().statistics(features**2)

    term, features = OfSquares("conv1_1"), rng.normal(size=(6, 5, 4))
    term.set_target(features)
    assert term(features)[0] == 0

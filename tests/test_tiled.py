"""Tile by tile, loss and gradient are those of the whole picture; and not if the halo is too narrow."""

import tracemalloc

import numpy as np
import pytest

import nnstyle
from nnstyle import TiledObjective, layers, tiled
from nnstyle.engine import tiles
from nnstyle.objective import ContentTerm, Objective, StyleTerm, Term, TotalVariationTerm, set_targets
from nnstyle.regions import mask_at_layers
from tests.support.tiny import tiny_weights

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
WEIGHTS = tiny_weights("vgg19", widths=(4, 6, 8, 8, 8))


def terms_for(mask=None, shares=None):
    """Content, style at five layers, total variation: each of them counts in the gradient."""
    masks = {} if mask is None else mask_at_layers(mask, STYLE_LAYERS)
    terms = [ContentTerm("conv4_2", 1.0), ContentTerm("conv2_2", 1.0), TotalVariationTerm(0.1)]
    return terms + [StyleTerm(name, 1e4, 0.2, None, shares, masks.get(name)) for name in STYLE_LAYERS]


def pictures(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 50, size=(*size, 3)) for size in sizes]


def whole_and_tiled(network, terms, content, styles, tile):
    """Both objectives; their terms are the same, so the first is evaluated before the second is made."""
    set_targets(terms, network, content, styles)
    image = content + np.random.default_rng(9).normal(0, 30, content.shape)
    objective = Objective(network, terms)
    whole = objective(image), objective.losses
    by_tiles = TiledObjective(network, terms, tile)
    by_tiles.set_targets(content, styles)
    return image, whole, by_tiles


def errors(found, expected):
    """Relative errors of loss and gradient."""
    (loss, gradient), (right_loss, right) = found, expected
    return abs(loss / right_loss - 1), np.abs(gradient - right).max() / np.abs(right).max()


def soft_mask(height, width):
    """From 0 at the left to 1 at the right, and a hole."""
    mask = np.linspace(0, 1, width) * np.ones((height, 1))
    mask[20:70, 30:90] = 0
    return mask[..., np.newaxis]


@pytest.mark.parametrize("pooling", ["average", "max"])
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
@pytest.mark.parametrize(("size", "tile"), [((160, 208), 48), ((171, 205), 64), ((90, 321), 80)])
def test_loss_and_gradient_are_those_of_the_whole_picture(pooling, masked, size, tile):
    network = nnstyle.Network(WEIGHTS, pooling, np.float64, engine=layers)
    content, *styles = pictures(size, (131, 190), (96, 77))
    terms = terms_for(soft_mask(*size) if masked else None, {0: 0.7, 1: 0.3})
    image, (whole, losses), by_tiles = whole_and_tiled(network, terms, content, styles, tile)
    assert len(by_tiles.tiles(image)) >= 4
    assert max(errors(by_tiles(image), whole)) < 1e-12
    assert by_tiles.losses == pytest.approx(losses, rel=1e-12)
    assert max(errors(by_tiles(image), whole)) < 1e-12  # again: nothing was left over


@pytest.mark.parametrize(("halo", "least", "most"), [(64, 1e-9, 1e-2), (0, 0.01, 10)])
def test_a_narrower_halo_would_not_do(monkeypatch, halo, least, most):
    """The twin that must fail."""
    network = nnstyle.Network(WEIGHTS, "average", np.float64, engine=layers)
    content, style = pictures((160, 208), (131, 190))
    monkeypatch.setattr(tiled, "halo_of", lambda layers: (halo, 16))
    image, (whole, _), by_tiles = whole_and_tiled(network, terms_for(), content, [style], 48)
    assert least < max(errors(by_tiles(image), whole)) < most


def test_overwriting_in_place_of_adding_would_not_do(monkeypatch):
    """The other twin: what a tile's positions see beyond it belongs to the gradient."""
    network = nnstyle.Network(WEIGHTS, "average", np.float64, engine=layers)
    content, style = pictures((160, 208), (131, 190))
    image, (whole, _), by_tiles = whole_and_tiled(network, terms_for(), content, [style], 48)
    backward = network.backward
    order = iter(reversed(by_tiles.tiles(image)))

    def cropped(gradients, cache):
        gradient, own = backward(gradients, cache), next(order).own()
        inside = np.zeros_like(gradient)
        inside[own] = gradient[own]
        return inside

    monkeypatch.setattr(network, "backward", cropped)
    assert errors(by_tiles(image), whole)[1] > 0.01


def test_the_fast_engine_computes_it_too():
    with nnstyle.Engine(threads=2) as engine:
        for dtype, error in ((np.float64, 1e-9), (np.float32, 1e-3)):
            network = nnstyle.Network(WEIGHTS, "average", dtype, engine)
            content, style = (picture.astype(dtype) for picture in pictures((160, 208), (131, 190)))
            terms = terms_for()
            for term in terms:
                if isinstance(term, StyleTerm):
                    term.engine = engine
            image, (whole, _), by_tiles = whole_and_tiled(network, terms, content, [style], 48)
            assert max(errors(by_tiles(image.astype(dtype)), whole)) < error


def test_a_picture_of_one_tile_goes_through_the_network_once(monkeypatch):
    network = nnstyle.Network(WEIGHTS, "average", np.float64, engine=layers)
    content, style = pictures((64, 80), (64, 80))
    image, (whole, _), by_tiles = whole_and_tiled(network, terms_for(), content, [style], 80)
    calls, forward = [], network.forward
    monkeypatch.setattr(network, "forward", lambda *given: calls.append(1) or forward(*given))
    assert max(errors(by_tiles(image), whole)) < 1e-12
    assert len(calls) == 1


class Absolute(ContentTerm):
    """A loss of its own under the name of one of the paper's."""

    def __call__(self, features):
        difference = features - self.features
        return float(np.abs(difference).sum()), np.sign(difference)


class Brightest(Term):
    """No sum over positions."""

    name, layer = "brightest", "conv1_1"

    def __call__(self, features):
        return features.max(), np.zeros_like(features)


@pytest.mark.parametrize("term", [Brightest(), Absolute("conv2_1")], ids=["own", "derived"])
def test_a_term_that_need_not_be_a_sum_over_positions_is_refused(term):
    network = nnstyle.Network(WEIGHTS, engine=layers)
    with pytest.raises(nnstyle.InputError, match=f"{term.name!r} cannot be computed by tiles"):
        TiledObjective(network, [term])


def test_a_content_term_that_compares_with_the_painting_is_refused():
    term = ContentTerm("conv2_1")
    term.target = "style"
    with pytest.raises(nnstyle.InputError, match="cannot be computed by tiles"):
        TiledObjective(nnstyle.Network(WEIGHTS, engine=layers), [term])


class Red(Term):
    """A term that sees the image itself, and the painting."""

    name, target = "red", "style"

    def set_target(self, image):
        self.mean = image[..., 0].mean()

    def __call__(self, image):
        gradient = np.zeros_like(image)
        difference = image[..., 0].mean() - self.mean
        gradient[..., 0] = 2 * difference / image[..., 0].size
        return difference**2, gradient


@pytest.mark.parametrize(
    "terms",
    [
        lambda: [ContentTerm("conv2_2")],
        lambda: [StyleTerm("conv3_1", 1e4)] * 2,
        lambda: [Red(), StyleTerm("conv1_1", 1e4)],
        lambda: [TotalVariationTerm(0.1)],
    ],
    ids=["content", "twice", "image", "no layer"],
)
def test_other_sums_of_terms(terms):
    network = nnstyle.Network(WEIGHTS, "average", np.float64, engine=layers)
    content, style = pictures((100, 120), (131, 90))
    image, (whole, losses), by_tiles = whole_and_tiled(network, terms(), content, [style], 48)
    assert max(errors(by_tiles(image), whole)) < 1e-12
    assert by_tiles.losses == pytest.approx(losses, rel=1e-12)


def test_one_painting_needs_no_list():
    network = nnstyle.Network(WEIGHTS, "average", np.float64, engine=layers)
    content, style = pictures((100, 120), (131, 90))
    image, (whole, _), by_tiles = whole_and_tiled(network, [StyleTerm("conv3_1")], content, [style], 48)
    by_tiles.set_targets(content, style)
    assert max(errors(by_tiles(image), whole)) < 1e-12


def test_targets_that_were_not_set_are_missed():
    network = nnstyle.Network(WEIGHTS, "average", np.float64, engine=layers)
    content, style = pictures((100, 120), (131, 90))
    terms = [ContentTerm("conv2_2")]
    set_targets(terms, network, content, style)
    with pytest.raises(ValueError, match="call set_targets of this objective"):
        TiledObjective(network, terms, 48)(content)


@pytest.mark.parametrize("tile", [15, 0, -5, True, 128.0, "128", None])
def test_a_tile_is_a_number_of_pixels(tile):
    network = nnstyle.Network(WEIGHTS, engine=layers)
    with pytest.raises(nnstyle.InputError, match="a tile must have at least 16 px"):
        TiledObjective(network, [ContentTerm("conv2_2")], tile)


def test_a_tile_of_any_length_may_be_asked_for():
    network = nnstyle.Network(WEIGHTS, "average", np.float64, engine=layers)
    content, style = pictures((100, 120), (131, 90))
    image, (whole, _), by_tiles = whole_and_tiled(network, terms_for(), content, [style], 10**400)
    assert max(errors(by_tiles(image), whole)) < 1e-12


def peak(function):
    """Bytes that a call takes at most."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_grows_with_the_tile_and_not_with_the_picture():
    with nnstyle.Engine(threads=1) as engine:
        network = nnstyle.Network(WEIGHTS, "average", np.float32, engine)

        def evaluate(side, tile):
            content, style = (picture.astype(np.float32) for picture in pictures((side, side), (96, 96)))
            by_tiles = TiledObjective(network, terms_for()[:1] + terms_for()[3:], tile)
            by_tiles.set_targets(content, [style])
            engine.clear()
            vectors = 3 * content.nbytes  # the image, its gradient, and a copy on the way
            return peak(lambda: by_tiles(content)) - vectors

        small, large, whole = evaluate(288, 96), evaluate(480, 96), evaluate(480, 480)
    assert large < 1.3 * small
    assert whole > 1.5 * large  # the twin


def receptive_field(network, layer, position, size):
    """Which rows of a picture one position of a layer sees: the first and the last."""
    image = np.random.default_rng(0).normal(0, 50, (size, 20, 3))
    features, cache = network.forward(image, [layer])
    gradient = np.zeros_like(features[layer])
    gradient[position] = 1
    rows = np.flatnonzero(np.abs(network.backward({layer: gradient}, cache)).sum(axis=(1, 2)))
    return rows[0], rows[-1]


@pytest.mark.parametrize("layer", ["conv1_2", "conv2_1", "conv3_4", "conv4_2", "conv5_1"])
def test_the_reach_is_what_a_position_really_sees_beyond_its_square(layer):
    everything = {name: (np.ones_like(kernel), bias) for name, (kernel, bias) in WEIGHTS.items()}
    network = nnstyle.Network(everything, "average", np.float64, engine=layers)
    passed = network.layers[: network.layers.index(layer) + 1]
    stride, reach = tiles.strides(passed)[layer], tiles.reach(passed)
    first, last = receptive_field(network, layer, 160 // stride, 400)
    assert (first, last) == (160 - reach, 160 + stride - 1 + reach)


def test_the_halo_of_the_papers_layers():
    network = nnstyle.Network(WEIGHTS, engine=layers)
    assert tiles.halo_of(network.layers[: network.layers.index("conv5_1") + 1]) == (80, 16)
    assert tiles.halo_of(["conv1_1"]) == (1, 1)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 95, 96, 97, 200, 1031, 4096])
@pytest.mark.parametrize("tile", [16, 48, 512])
def test_every_position_belongs_to_one_tile(length, tile):
    spans = tiles.spans(length, tile, 80, 16)
    for stride in (1, 2, 4, 8, 16):
        owned = [n for span in spans for n in range(span.whole(stride).start, span.whole(stride).stop)]
        assert owned == list(range(length // stride))
    for span in spans:
        assert span.window_start % 16 == 0 and span.start % 16 == 0
        assert (span.window_stop - span.window_start) <= tile + 16 + 15 + 160
        assert span.window_start <= span.start < span.stop <= span.window_stop


def test_a_temporary_folder_without_space_gets_one_line(monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiled.tempfile, "TemporaryFile", lambda **options: full())
    with pytest.raises(nnstyle.InputError, match="cannot be kept in a temporary file .No space left.*TMPDIR"):
        tiled.StoredFeatures().put("a", np.zeros(3))


def test_what_is_stored_comes_back():
    stored, rng = tiled.StoredFeatures(), np.random.default_rng(0)
    arrays = {n: rng.normal(size=(n, 3, 2)).astype(np.float32) for n in (1, 5, 2)}
    for key, array in arrays.items():
        stored.put(key, array[:, ::-1])
    for key, array in arrays.items():
        assert np.array_equal(stored.get(key), array[:, ::-1]) and stored.get(key).dtype == np.float32

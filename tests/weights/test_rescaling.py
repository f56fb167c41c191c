"""Rescaled weights: mean activations of 1, and a network that tells the same things apart."""

import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnstyle import Engine, InputError, Network, layers, load_weights, stylize
from nnstyle.cli import SAMPLES, main
from nnstyle.losses import gram_matrix, style_loss
from nnstyle.network import POOLINGS
from nnstyle.notes import heard_by
from nnstyle.pictures import Preprocessing, load_image, preprocess, resize
from nnstyle.weights import Weights, rescale
from nnstyle.weights.rescaling import MIN_RATIO, mean_activations
from tests.support.command import SMALL
from tests.support.pictures import stored_settings
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import REAL_VGG16

RNG = np.random.default_rng(5)
PICTURES = [RNG.integers(0, 256, (40, 48, 3), np.uint8), RNG.integers(0, 256, (35, 33, 3), np.uint8)]
OTHER = RNG.normal(0, 60, (37, 41, 3)).astype(np.float32)


def network_weights(spread=3, **changes):
    """A small VGG whose filters differ in loudness, by up to `spread` powers of ten up or down."""
    layers = {}
    for name, (kernel, bias) in tiny_weights().items():
        loudness = 10.0 ** RNG.uniform(-spread, spread, bias.shape)
        layers[name] = (kernel * loudness).astype(np.float32), (bias * loudness).astype(np.float32)
    return Weights(layers | changes, "tiny", Preprocessing())


def worst_response(weights, rescaled, pooling, means):
    """Largest error of "a feature map is its old self divided by its mean", on another picture."""
    old, _ = Network(weights, pooling, np.float64).forward(OTHER, weights)
    new, _ = Network(rescaled, pooling, np.float64).forward(OTHER, weights)
    return max(np.max(np.abs(new[name] * means[name] - old[name])) / np.max(old[name]) for name in weights)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_means_are_one_and_relative_responses_unchanged(pooling):
    weights = network_weights()
    rescaled = rescale(weights, PICTURES, pooling, min_ratio=0)
    means = mean_activations(Network(weights, pooling, np.float64), weights, PICTURES)
    for name, mean in mean_activations(Network(rescaled, pooling), rescaled, PICTURES).items():
        np.testing.assert_allclose(mean, means[name] > 0, atol=1e-5)
    own = {name: np.where(mean > 0, mean, 1) for name, mean in means.items()}
    assert worst_response(weights, rescaled, pooling, own) < 1e-5


def test_without_the_next_layers_share_the_responses_would_change():
    """The twin that must fail: filters divided, and the next layer none the wiser."""
    weights = network_weights()
    means = mean_activations(Network(weights, "average", np.float64), weights, PICTURES)
    own = {name: np.where(mean > 0, mean, 1) for name, mean in means.items()}
    halfway = {name: (kernel / own[name], bias / own[name]) for name, (kernel, bias) in weights.items()}
    assert worst_response(weights, halfway, "average", own) > 0.1


def test_a_filter_that_is_never_active_stays_as_it_is():
    kernel, bias = (array.copy() for array in tiny_weights()["conv1_2"])
    kernel[..., 1], bias[1] = 0, -1
    rescaled = rescale(network_weights(conv1_2=(kernel, bias)), PICTURES, min_ratio=0)
    assert rescaled["conv1_2"][1][1] == -1 and not rescaled["conv1_2"][0][..., 1].any()
    assert all(np.isfinite(array).all() for layer in rescaled.values() for array in layer)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_no_filter_is_made_louder_than_the_quietest_may_be(pooling):
    weights = network_weights(spread=1)
    means = mean_activations(Network(weights, pooling, np.float64), weights, PICTURES)
    own = {name: np.maximum(mean, MIN_RATIO * mean.mean()) for name, mean in means.items()}
    assert any((own[name] > mean).any() for name, mean in means.items())
    rescaled = rescale(weights, PICTURES, pooling)
    for name, mean in mean_activations(Network(rescaled, pooling), rescaled, PICTURES).items():
        np.testing.assert_allclose(mean, means[name] / own[name], atol=1e-5)
    assert worst_response(weights, rescaled, pooling, own) < 1e-5


@pytest.mark.skipif(not Path(REAL_VGG16).is_file(), reason="NNSTYLE_TEST_VGG16 names no file")
def test_in_a_real_vgg_silent_filters_do_not_drown_the_others():
    """What `rescale` says of them, over the sample pictures."""
    content, style = (resize(load_image(SAMPLES / name), 256) for name in ("content.jpg", "style.jpg"))
    weights = load_weights(REAL_VGG16)
    means = mean_activations(Network(weights, "max"), weights, [content, style])
    silent = {name: (mean < mean.mean() / 100).mean() for name, mean in means.items()}
    assert 0.25 < silent["conv2_1"] < 0.45 and 0.4 < silent["conv5_1"] < 0.6
    losses = {}
    for min_ratio in (0, 0.3):
        rescaled = rescale(weights, [content, style], min_ratio=min_ratio)
        losses[min_ratio] = [
            loss_between(content, style, rescaled, layer, "max")
            for layer in ("conv1_1", "conv2_1", "conv5_1")
        ]
    assert max(losses[0.3]) < 5 * min(losses[0.3])
    assert all(loss > 100 * losses[0.3][index] for index, loss in enumerate(losses[0]) if index)


def test_filters_that_two_pictures_hardly_know_do_not_drown_the_others():
    """The embedded network, rescaled over 60 photographs: over two, with average pooling, its losses must stay."""
    content, style = (resize(load_image(SAMPLES / name), 256) for name in ("content.jpg", "style.jpg"))
    pocket = load_weights("pocket")
    expected = loss_between(content, style, pocket)
    assert 0.2 < loss_between(content, style, rescale(pocket, [content, style], "average")) / expected < 5
    assert (
        loss_between(content, style, rescale(pocket, [content, style], "average", min_ratio=0)) / expected
        > 100
    )


def loss_between(content, style, weights, layer="conv4_1", pooling="average"):
    """The style loss at a layer that a photograph starts with."""
    network, features = Network(weights, pooling), []
    for pixels in (content, style):
        found, _ = network.forward(preprocess(pixels, weights.preprocessing), [layer])
        features.append(found[layer])
    return style_loss(features[0], gram_matrix(features[1]), features[1][..., 0].size)[0]


def test_what_is_rescaled_is_called_so_and_the_old_weights_are_untouched():
    weights = network_weights()
    copies = {name: (kernel.copy(), bias.copy()) for name, (kernel, bias) in weights.items()}
    rescaled = rescale(weights, PICTURES)
    assert rescaled.rescaled and not weights.rescaled and load_weights("pocket").rescaled
    assert (rescaled.name, rescaled.preprocessing) == (weights.name, weights.preprocessing)
    for name, arrays in copies.items():
        assert all(np.array_equal(a, b) for a, b in zip(weights[name], arrays, strict=True))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"beta": 1e7}, True),
        ({"beta": 1e7, "rescale": False}, False),
        ({"rescale": False}, False),
    ],
)
def test_stylize_rescales_unless_told_not_to(settings, expected):
    """With any beta: half of one that paints well must not mean another network."""
    weights, how = network_weights(spread=0.3), {"size": 40, "iterations": 2}
    result = stylize(*PICTURES, weights, **how, **settings)
    assert result.settings.rescale is expected
    settings |= {"rescale": False, "beta": result.settings.beta}
    by_hand = stylize(
        *PICTURES, rescale(weights, [resize(picture, 40) for picture in PICTURES]), **how, **settings
    )
    as_it_is = stylize(*PICTURES, weights, **how, **settings)
    same, other = (by_hand, as_it_is) if expected else (as_it_is, by_hand)
    assert np.array_equal(result.image, same.image) and not np.array_equal(result.image, other.image)


def test_the_embedded_network_is_not_rescaled_again():
    how = {"size": 40, "iterations": 2, "beta": 1e6}
    pictures = [stylize(*PICTURES, **how, rescale=yes).image for yes in (True, False)]
    assert np.array_equal(*pictures)


def test_no_pictures():
    with pytest.raises(InputError, match="at least one picture"):
        rescale(network_weights(), [])


@pytest.mark.parametrize("shape", [(20, 20, 3), (600, 20, 3), (35, 700, 3), (1, 1, 3)])
def test_a_picture_that_is_too_small_is_named(tmp_path, shape):
    path = tmp_path / "small.png"
    Image.fromarray(np.zeros(shape, np.uint8)).save(path)
    with pytest.raises(InputError, match=f"{path} cannot be rescaled over: .* fewer than 32 px across"):
        rescale(network_weights(), [PICTURES[0], path])
    with pytest.raises(InputError, match="^a picture cannot"):
        rescale(network_weights(), [np.zeros(shape, np.uint8)])
    rescale(network_weights(), [np.zeros((32, 512, 3), np.uint8)])


def test_one_layer_at_a_time_is_in_memory(monkeypatch):
    """All of a VGG-19's activations, and what backward needs, would be a gigabyte at 512 px."""
    outputs, most, forward_layer = [], 0, Network.forward_layer

    def watched(network, name, x):
        nonlocal most
        y, steps = forward_layer(network, name, x)
        outputs.append(weakref.ref(y))
        most = max(most, sum(output() is not None for output in outputs))
        return y, steps

    monkeypatch.setattr(Network, "forward_layer", watched)
    rescale(network_weights(), PICTURES)
    assert len(outputs) > 30 and most == 2  # a layer's input and its output


def test_the_command_line_rescales_over_a_folder(folder):
    """Whatever the file says of itself; other things in the folder do not matter."""
    (folder / "photos").mkdir()
    for source, name in (("style.png", "a.png"), ("content.png", "b.png")):
        (folder / "photos" / name).write_bytes((folder / source).read_bytes())
    (folder / "photos" / "notes.txt").write_text("no picture")
    paths = [str(folder / name) for name in ("content.png", "style.png", "result.png", "photos")]
    assert main([*paths[:2], *SMALL, "--quiet", "-o", paths[2], "--rescale-over", paths[3]]) == 0
    weights = rescale(load_weights("pocket"), [folder / "style.png", folder / "content.png"])
    expected = stylize(*paths[:2], weights, size=48, iterations=3, border=0)
    with Image.open(paths[2]) as image:
        np.testing.assert_array_equal(np.array(image), expected.image)
    assert stored_settings(paths[2])["rescale_over"] == "photos"


def test_it_computes_with_the_engine_that_it_is_given():
    class Watched(Engine):
        used = 0

        def conv(self, *args, **how):
            self.used += 1
            return super().conv(*args, **how)

    weights = network_weights()
    engine = Watched(threads=2)
    with engine:
        rescaled = rescale(weights, PICTURES, engine=engine)
        assert engine.used == 13 * len(PICTURES)
        assert engine.map(abs, [-1, -2, -3]) == [1, 2, 3]  # it was not closed
    assert rescaled == rescale(weights, PICTURES)
    for name, arrays in rescale(weights, PICTURES, engine=layers).items():  # the plain one
        for array, expected in zip(arrays, rescaled[name], strict=True):
            np.testing.assert_allclose(array, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("free", [0, 1e15])
def test_by_itself_it_asks_whether_memory_is_short(monkeypatch, free):
    weights, kinds = network_weights(), []
    expected = rescale(weights, PICTURES[:1])

    class Watched(Engine):
        def __init__(self, *args, **how):
            super().__init__(*args, **how)
            kinds.append(self)

    monkeypatch.setattr("nnstyle.engine.Engine", Watched)
    monkeypatch.setattr("nnstyle.engine.cpu.available", lambda swap, threads: free)
    notes = []
    with heard_by(notes.append):
        rescaled = rescale(weights, PICTURES[:1])
    (engine,) = kinds
    assert engine.low_memory == (free == 0) and len(notes) == (free == 0)
    assert rescaled == expected  # bit for bit


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"pictures": "folder"}, "a list of pictures"),
        ({"pictures": Path("folder")}, "a list of pictures"),
        ({"pictures": Image.new("RGB", (40, 40))}, "a list of pictures"),
        ({"pictures": 3}, "a list of pictures"),
        ({"pictures": None}, "a list of pictures"),
        ({"pictures": [None]}, "a picture is"),
        ({"min_ratio": "0"}, "min_ratio must be a number"),
        ({"min_ratio": None}, "min_ratio must be a number"),
        ({"min_ratio": -1}, "min_ratio must be a number"),
        ({"min_ratio": float("nan")}, "min_ratio must be a number"),
        ({"pooling": 3}, "pooling"),
    ],
)
def test_values_of_a_wrong_kind_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        rescale(**{"weights": network_weights(), "pictures": PICTURES} | values)

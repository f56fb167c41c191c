"""Several styles in one picture: their mean, its weights, folders."""

import numpy as np
import pytest
from PIL import Image

from nnstyle import InputError, Network, Style, StyleTerm, layers, losses, prepare, set_targets, stylize
from nnstyle.regions import regions_of
from tests.support.pictures import noise
from tests.support.terms import MeanAndVariance
from tests.support.tiny import tiny_weights

CONTENT, ONE, OTHER = noise(48, 56), noise(64, 50, seed=1), noise(52, 60, seed=2) // 3
HOW = {"size": 48, "iterations": 3, "border": 0}


def painted(styles, **settings):
    return stylize(CONTENT, styles, tiny_weights(), **HOW | settings).image


def test_the_target_is_the_weighted_mean_of_the_gram_matrices_per_position():
    network = Network(tiny_weights(), dtype=np.float64, engine=layers)
    rng = np.random.default_rng(0)
    content, one, other = (rng.normal(size=(height, 20, 3)) for height in (16, 18, 24))
    term = StyleTerm("conv2_1", shares={0: 0.25, 1: 0.75})
    set_targets([term], network, content, [one, other])
    expected = 0
    for picture, share in ((one, 0.25), (other, 0.75)):
        features = network.forward(picture, ["conv2_1"])[0]["conv2_1"]
        expected = expected + share * losses.gram_matrix(features) / features[..., 0].size
    features = network.forward(content, ["conv2_1"])[0]["conv2_1"]
    loss, gradient = term(features)
    M = features[..., 0].size
    assert losses.style_loss(features, expected * M)[0] == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(gradient, losses.style_loss(features, expected * M)[1], rtol=1e-9)
    # Set again, the old target is forgotten.
    set_targets([term], network, content, [one, other])
    assert term(features)[0] == loss


def test_weights_are_shares():
    styles = [Style(ONE, 2.0), Style(OTHER, 6.0)]
    (region,) = regions_of(styles, [None, None])
    assert region.shares == {0: 0.25, 1: 0.75} and region.strength == 1 and region.mask is None


def test_only_the_ratios_of_weights_count():
    a = painted([Style(ONE, 1.0), Style(OTHER, 3.0)])
    np.testing.assert_array_equal(a, painted([Style(ONE, 2.0), Style(OTHER, 6.0)]))
    assert (a != painted([Style(ONE, 3.0), Style(OTHER, 1.0)])).any()


def test_a_style_of_nearly_all_the_weight_is_that_style():
    alone, both = painted(ONE), painted([Style(ONE, 1.0), Style(OTHER, 1e-9)])
    assert abs(alone.astype(int) - both).max() <= 1
    assert abs(alone.astype(int) - painted([ONE, OTHER])).max() > 10


def test_the_same_style_twice_is_that_style():
    alone, twice = painted(ONE), painted([ONE, Style(ONE, 3.0)])
    assert abs(alone.astype(int) - twice).max() <= 3  # rounding, after three iterations


def test_a_folder_is_one_style_of_all_its_pictures(tmp_path):
    folder = tmp_path / "paintings"
    folder.mkdir()
    for name, picture in (("b.png", OTHER), ("a.png", ONE)):
        Image.fromarray(picture).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    job = prepare(CONTENT, [Style(folder, 3.0), Style(ONE, 1.0)], tiny_weights(), **HOW)
    assert job.style_names == ("a.png", "b.png", "")
    assert [style.weight for style in job.styles] == [1.5, 1.5, 1.0]
    assert job.describe()["style_weights"] == [1.5, 1.5, 1.0]
    np.testing.assert_array_equal(painted(str(folder)), painted([ONE, OTHER]))


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no picture in the folder"):
        prepare(CONTENT, tmp_path, tiny_weights(), **HOW)


def test_a_term_of_one_s_own_is_used_once_for_each_style():
    """Its loss is then the weighted mean over the styles."""
    how = HOW | {
        "init": "content",
        "terms": [MeanAndVariance("conv1_1", 10.0)],
        "beta": 0.0,
        "iterations": 1,
        "rescale": False,
    }
    losses_of = lambda styles: stylize(CONTENT, styles, tiny_weights(), **how).losses[0].losses
    alone, other = losses_of(ONE), losses_of(OTHER)
    assert alone != other
    assert losses_of([ONE, Style(ONE, 3.0)]) == pytest.approx(alone, rel=1e-4)
    assert losses_of([Style(ONE, 1e-9), OTHER]) == pytest.approx(other, rel=1e-4)


def test_jobs_of_other_weights_are_other_jobs():
    digests = {
        prepare(CONTENT, [Style(ONE, weight), OTHER], tiny_weights(), **HOW).digest for weight in (1.0, 2.0)
    }
    assert len(digests) == 2


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "1", None, True, 10**400])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(InputError, match="the weight of a style must be above 0 and at most 1e9"):
        Style(ONE, weight)


def test_one_style_has_the_whole_weight_whatever_it_is():
    (region,) = regions_of([Style(ONE, 0.3)], [None])
    assert (region.shares, region.strength, region.mask) == ({0: 1.0}, 1.0, None)


class Plain:
    """A term that is not derived from `Term`."""

    name, weight, layer_weight, layer, target = "plain", 1.0, 1.0, "conv1_1", "style"

    def set_target(self, features):
        self.mean = features.mean()

    def __call__(self, features):
        return float(self.mean), np.zeros_like(features)


def test_a_term_need_not_be_derived_from_ours():
    for styles in (ONE, [ONE, OTHER]):
        result = stylize(CONTENT, styles, tiny_weights(), terms=[Plain()], **HOW)
        assert result.losses[-1].losses["plain"] > 0


def test_a_style_term_of_one_s_own_sees_the_style_there_is():
    term = StyleTerm("conv1_2", 1e4, shares={1: 1.0})
    assert stylize(CONTENT, ONE, tiny_weights(), beta=1e4, terms=[term], **HOW).image.shape == (41, 48, 3)


def test_many_styles_are_seen_one_after_the_other():
    network, alive = Network(tiny_weights(), engine=layers), []

    def pictures():
        for seed in range(3):
            alive.append(seed)
            yield np.random.default_rng(seed).normal(size=(16, 16, 3))

    terms = [StyleTerm("conv1_1", shares={0: 0.5, 2: 0.5})]
    set_targets(terms, network, np.zeros((16, 16, 3)), pictures())
    assert alive == [0, 1, 2] and terms[0].style.positions == pytest.approx(1)

"""Layer weights, pooling and beta that a weights file states: read, kept, used where nothing else is given."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from nnstyle import InputError, Settings, load_weights, stylize
from nnstyle.cli import main as paint
from nnstyle.weights import rescale
from nnstyle.weights.__main__ import main
from nnstyle.weights.formats.hdf5 import write_hdf5
from tests.support.command import SMALL
from tests.support.pictures import noise, stored_settings
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg

CARD = Path(__file__).parents[2] / "weights" / "README.md"
STATED = (0.5, 0.25, 0.125, 0.125, 0.0)
EQUAL = (0.2,) * 5


@pytest.fixture
def vgg(tmp_path):
    """A file that states its layer weights."""
    how = {"pooling": "average", "beta_per_pixel": 250.0}
    return write_vgg(tmp_path / "vgg.h5", tiny_weights(), style_layer_weights=STATED, **how)


def test_a_file_states_its_layer_weights_or_does_not(vgg, tmp_path):
    assert load_weights(vgg).style_layer_weights == STATED
    assert load_weights(write_vgg(tmp_path / "other.h5", tiny_weights())).style_layer_weights is None


def test_they_go_where_the_network_goes(vgg, tmp_path):
    weights = load_weights(vgg)
    write_hdf5(tmp_path / "copy.h5", weights)
    assert load_weights(tmp_path / "copy.h5").style_layer_weights == STATED
    assert rescale(weights, [noise(40, 48)]).style_layer_weights == STATED


def test_pooling_and_beta_go_along(vgg, tmp_path):
    write_hdf5(tmp_path / "copy.h5", load_weights(vgg))
    for weights in (load_weights(tmp_path / "copy.h5"), rescale(load_weights(vgg), [noise(40, 48)])):
        assert (weights.pooling, weights.beta_per_pixel) == ("average", 250.0)
    other = load_weights(write_vgg(tmp_path / "other.h5", tiny_weights()))
    assert (other.pooling, other.beta_per_pixel) == (None, None)


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"pooling": "mean"}, "its pooling should be one of"),
        ({"pooling": 3}, "its pooling should be one of"),
        ({"beta_per_pixel": 0.0}, "its beta_per_pixel should be a finite number above 0"),
        ({"beta_per_pixel": np.inf}, "its beta_per_pixel should be"),
        ({"beta_per_pixel": "1000"}, "its beta_per_pixel should be"),
        ({"beta_per_pixel": (1.0, 2.0)}, "its beta_per_pixel should be"),
    ],
)
def test_a_pooling_or_a_beta_that_makes_no_sense_is_refused(tmp_path, stated, words):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights(), **stated)
    with pytest.raises(InputError, match=f"vgg.h5: {words}"):
        load_weights(path)


def test_settings_take_them_unless_told_otherwise(vgg):
    weights = load_weights(vgg)
    decided = Settings(border=0).decided(weights, 10, 20)
    assert (decided.pooling, decided.beta) == ("average", 250 * 200)
    given = Settings(border=0, pooling="max", beta_per_pixel=3.0).decided(weights, 10, 20)
    assert (given.pooling, given.beta) == ("max", 3 * 200)
    assert Settings(border=0).decided(tiny_weights(), 10, 20).pooling == "max"
    from_noise = Settings(border=0, init="noise")  # there the start matters more than the network
    assert from_noise.decided(weights, 10, 20).beta == from_noise.decided(None, 10, 20).beta


def test_a_file_that_states_none_is_written_without(tmp_path):
    write_hdf5(tmp_path / "copy.h5", tiny_weights())
    with h5py.File(tmp_path / "copy.h5") as file:
        assert "style_layer_weights" not in file.attrs


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ((0.5, 0.5), "5 numbers"),
        ("equal", "5 numbers"),
        ((1, 1, 1, 1, -1), "not negative"),
        ((1, 1, 1, 1, np.nan), "finite"),
        ((0, 0, 0, 0, 0), "not all 0"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, stated, words):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights(), style_layer_weights=stated)
    with pytest.raises(InputError, match=f"vgg.h5: its style_layer_weights should be.*{words}"):
        load_weights(path)


def test_stylize_uses_them_and_the_users_own_win(vgg, tmp_path):
    def used(network=vgg, **settings):
        return stylize(noise(40, 48), noise(40, 48, seed=1), network, size=48, iterations=1, **settings)

    assert used().settings.layer_weights == STATED
    assert used(layer_weights=EQUAL).settings.layer_weights == EQUAL
    assert used(style_layers="conv3_1").settings.layer_weights == (1,)
    assert used(write_vgg(tmp_path / "other.h5", tiny_weights())).settings.layer_weights == EQUAL
    same = used(layer_weights=STATED)
    np.testing.assert_array_equal(used().image, same.image)
    assert used().losses[0].losses["style"] != used(layer_weights=EQUAL).losses[0].losses["style"]


def test_settings_are_refused_before_a_network_is_read(tmp_path):
    with pytest.raises(InputError, match="size must be"):
        stylize(noise(40, 48), noise(40, 48), tmp_path / "missing.h5", size=3)


def test_the_command_line_uses_them_and_stores_them(vgg, folder):
    files = [str(folder / name) for name in ("content.png", "style.png")]
    for options, expected in (([], STATED), (["--layer-weights", "1,1,1,1,1"], (1,) * 5)):
        assert paint([*files, *SMALL, "--weights", str(vgg), "-o", str(folder / "x.png"), *options]) == 0
        assert tuple(stored_settings(folder / "x.png")["layer_weights"]) == expected


def test_inspect_shows_them(vgg, tmp_path, capsys):
    assert main(["inspect", str(vgg)]) == 0
    shown = capsys.readouterr().out
    assert "style layer weights: 0.5, 0.25, 0.125, 0.125, 0\n" in shown
    assert "pooling: average\n" in shown and "beta per pixel: 250.0\n" in shown
    assert main(["inspect", str(write_vgg(tmp_path / "other.h5", tiny_weights()))]) == 0
    shown = capsys.readouterr().out
    assert "style layer weights: not stated: 1/5 each\n" in shown
    assert "pooling: not stated: max\n" in shown and "beta per pixel: not stated: 4000\n" in shown


def test_with_a_network_that_states_none_the_papers_stand():
    assert Settings().layer_weights is None
    assert Settings(size=64).decided(tiny_weights(), 64, 64).layer_weights == EQUAL


def test_the_embedded_network_states_what_its_card_says():
    rows = [
        line for line in CARD.read_text().splitlines() if line.startswith(("| style layers", "| pooling"))
    ]
    weights = load_weights()
    assert ", ".join(f"{w:g}" for w in weights.style_layer_weights) in rows[0]
    assert f"{weights.pooling}, {weights.beta_per_pixel:g} a pixel" in rows[1]
    (beta,) = (field for field in dataclasses.fields(Settings) if field.name == "beta_per_pixel")
    assert f"{weights.beta_per_pixel:g} for pocket" in beta.metadata["shown"]  # what --help says

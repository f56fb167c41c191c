"""Weights brought from other programs leave the photograph as it is: one line says so, and what to try."""

import re

import numpy as np
import pytest

from nnstyle import stylize
from nnstyle.cli import main
from nnstyle.notes import heard_by
from tests.support.pictures import noise
from tests.support.terms import MeanAndVariance
from tests.support.tiny import tiny_weights

SMALL = ["--size", "48", "--iterations", "10", "--border", "0"]


@pytest.mark.parametrize(
    ("weights", "init"),
    [
        ("--alpha 5 --beta 100", "recoloured"),
        pytest.param("--alpha 1e5 --beta 3e4", "recoloured", marks=pytest.mark.slow),
        pytest.param("--alpha .025 --beta 1", "recoloured", marks=pytest.mark.slow),
        ("--alpha 5 --beta 100", "content"),
    ],
)
def test_one_line_says_so_and_which_beta_to_try(capsys, tmp_path, weights, init):
    output = tmp_path / "out.png"
    assert main([*weights.split(), "--init", init, *SMALL, "-o", str(output)]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if "note:" in line]
    assert len(notes) == 1 and "hardly anything was painted" in notes[0]
    assert output.exists()
    # With the beta that it names, something happens.
    alpha = weights.split()[1]
    beta = re.search(r"try beta (\S+);", notes[0]).group(1)
    assert main(["--alpha", alpha, "--beta", beta, "--init", init, *SMALL, "-o", str(output)]) == 0
    assert "note:" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "how",
    [
        {},  # the defaults
        {"iterations": 1, "beta": 1.0},  # no fault of beta's
        {"beta": 1.0, "rescale": False},  # our default says nothing of such a network
        {"beta": 1.0, "layer_weights": (0, 0, 0, 0, 0)},
        {"beta_per_pixel": 399.0},  # a tenth of the default paints
        {"beta": 1.0, "init": "noise"},  # the photograph comes out of the noise
        {"beta": 1.0, "terms": [MeanAndVariance("conv1_1", 1e-9)]},  # whatever that wants
    ],
)
def test_nothing_is_said_where_something_happens_or_beta_is_not_to_blame(how):
    notes = []
    with heard_by(notes.append):
        stylize(noise(48, 48), noise(48, 48, seed=1), tiny_weights(), **{"size": 48, "iterations": 5} | how)
    assert notes == []


@pytest.mark.parametrize("optimizer", ["lbfgs", "lbfgs-nnstyle"])
@pytest.mark.parametrize("beta", [1e-3, 1e-15, 1e-300])
def test_it_is_said_where_the_optimizer_finds_nothing_to_improve_at_all(optimizer, beta):
    picture, notes = noise(48, 48), []
    how = {"size": 48, "iterations": 3, "init": "content", "optimizer": optimizer}
    with heard_by(notes.append):
        result = stylize(picture, picture, tiny_weights(), beta=beta, **how)
    assert len(notes) == 1 and np.abs(result.image.astype(int) - picture).max() <= 1


def test_nothing_is_said_of_a_run_that_was_stopped():
    notes = []
    with heard_by(notes.append):
        stylize(noise(48, 48), noise(48, 48, seed=1), tiny_weights(), lambda event: True, size=48, beta=1e-9)
    assert notes == []


def test_in_python_it_is_a_warning():
    content, style = noise(48, 48), noise(48, 48, seed=1)
    with pytest.warns(UserWarning, match="nearly the initial image"):
        result = stylize(content, style, tiny_weights(), size=48, iterations=3, beta=1e-9, init="content")
    assert np.abs(result.image.astype(int) - content).mean() < 1

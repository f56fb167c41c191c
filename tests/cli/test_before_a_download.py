"""What is wrong with the input is found before a network is downloaded."""

import shlex

import numpy as np
import pytest
from PIL import Image

import nnstyle
from nnstyle import InputError
from nnstyle.cli import main
from nnstyle.weights import loading
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg

PICTURES = "content.png style.png"


@pytest.fixture
def downloads(folder, monkeypatch):
    """The names of the networks that were downloaded; what comes is a tiny network."""
    names = []
    write_vgg(folder / "tiny.h5", tiny_weights())

    def fetch(name, progress=False):
        names.append(name)
        return folder / "tiny.h5"

    Image.fromarray(noise(20, 640)).save(folder / "strip.png")
    (folder / "text.png").write_text("no picture\n")
    monkeypatch.setattr(loading, "fetch", fetch)
    monkeypatch.chdir(folder)
    return names


@pytest.mark.parametrize(
    "line, words",
    [
        ("missing.png style.png", "missing.png does not exist"),
        ("content.png missing.png", "missing.png does not exist"),
        ("content.png text.png", "text.png is not a picture"),
        ("strip.png style.png", "short edge"),
        ("content.png", "CONTENT and STYLE"),
        (f"{PICTURES} --size 20000", "10000"),
        (f"{PICTURES} --size 31", "32"),
        (f"{PICTURES} --size 44 --scales 2", "fewer than 32 pixels"),
        (f"{PICTURES} --size 80 --scales 2", "short edge"),  # only at the smaller scale
        (f"{PICTURES} --iterations 0", "iterations"),
        (f"{PICTURES} --threads 0", "threads"),
        (f"{PICTURES} --device cpux", "device"),
        (f"{PICTURES} --beta=-1", "beta"),
        (f"{PICTURES} --layer-weights 1,2", "layer weights"),
        (f"{PICTURES} --alpha 0 --beta 0", "nothing to optimize"),
        (f"{PICTURES} --content-layers conv9_9", "'conv9_9' is unknown"),
        (f"{PICTURES} --rescale-over missing", "missing is not a folder"),
        (f"{PICTURES} -o missing/x.png", "missing does not exist"),
        (f"{PICTURES} -o x.gif", "must end in"),
        (f"{PICTURES} -o style.png", "would replace an input"),
    ],
)
def test_the_command_line(downloads, capsys, line, words):
    assert main(["--weights", "vgg19", *shlex.split(line)]) == 2
    assert words in capsys.readouterr().err
    assert downloads == []


@pytest.mark.parametrize(
    "given",
    [
        {"content": "missing.png"},
        {"style": "missing.png"},
        {"style": np.zeros((4, 4), np.int64)},
        {"style": []},
        {"content": "strip.png"},
        {"size": 20000},
        {"size": 80, "scales": 2},
        {"alpha": -1.0},
        {"init": "black"},
        {"rescale_over": "missing"},
        {"terms": ["no term"]},
        {"threads": 0},
        {"device": "cpux"},
    ],
)
def test_the_library(downloads, given):
    arguments = {"content": "content.png", "style": "style.png", "weights": "vgg19"} | given
    with pytest.raises(InputError):
        nnstyle.stylize(**arguments)
    assert downloads == []


def test_where_nothing_is_wrong_the_network_comes(downloads):
    """The twin that shows that the tests above would notice a download."""
    assert main([*PICTURES.split(), "--weights", "vgg19", "--size", "48", "--iterations", "1", "-q"]) == 0
    assert downloads == ["vgg19"]

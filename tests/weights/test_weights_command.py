"""python -m nnstyle.weights: look into files, and write them in our layout."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from nnstyle import load_weights
from nnstyle.pictures import Preprocessing
from nnstyle.weights import rescale
from nnstyle.weights.__main__ import main
from nnstyle.weights.formats.hdf5 import write_hdf5
from tests.support.command import ENVIRONMENT, files
from tests.support.patience import PATIENCE
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg
from tests.support.weight_files import write_caffe


@pytest.fixture
def vgg(tmp_path):
    """A file of a small network that states its preprocessing."""
    return write_vgg(
        tmp_path / "vgg.h5",
        tiny_weights(),
        name="small",
        channel_order="RGB",
        mean=(1, 2, 3),
        scale=(1, 2, 4),
    )


def test_inspect_shows_every_layer_and_the_preprocessing(vgg, capsys):
    assert main(["inspect", str(vgg)]) == 0
    shown = capsys.readouterr().out
    assert "network small, not known to be rescaled" in shown
    assert "RGB of 0 to 255, minus [1., 2., 3.], times [1., 2., 4.]" in shown
    for name, (kernel, bias) in tiny_weights().items():
        line = next(line for line in shown.splitlines() if line.startswith(name))
        assert " x ".join(map(str, kernel.shape)) in line
        for number in (kernel.min(), kernel.max(), bias.min(), bias.max()):
            assert f"{number:.3g}" in line.split()


def test_inspect_takes_the_embedded_network_too(capsys):
    assert main(["inspect", "pocket"]) == 0
    assert "network pocket, rescaled" in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--float16"]])
def test_convert_keeps_the_network(vgg, tmp_path, options):
    output = tmp_path / "ours.h5"
    assert main(["convert", str(vgg), str(output), *options]) == 0
    old, new = load_weights(vgg), load_weights(output)
    assert (new.name, new.preprocessing, new.rescaled) == (old.name, old.preprocessing, old.rescaled)
    assert new.preprocessing == Preprocessing("RGB", (1, 2, 3), (1, 2, 4))
    for name, (kernel, bias) in old.items():
        stored = kernel.astype(np.float16) if options and name != "conv1_1" else kernel
        assert np.array_equal(new[name][0], stored) and np.array_equal(new[name][1], bias)


def test_convert_to_float16_halves_the_file(tmp_path):
    sizes = []
    for options in ([], ["--float16"]):
        assert main(["convert", "pocket", str(tmp_path / "x.h5"), *options]) == 0
        sizes.append((tmp_path / "x.h5").stat().st_size)
    assert 0.49 < sizes[1] / sizes[0] < 0.52


def test_convert_rescales_over_a_folder(vgg, folder):
    (folder / "photos").mkdir()
    (folder / "content.png").rename(folder / "photos" / "content.png")
    output = folder / "ours.h5"
    assert main(["convert", str(vgg), str(output), "--rescale-over", str(folder / "photos")]) == 0
    expected, found = rescale(load_weights(vgg), [folder / "photos" / "content.png"]), load_weights(output)
    assert found.rescaled
    for name, arrays in expected.items():
        assert all(np.array_equal(a, b) for a, b in zip(found[name], arrays, strict=True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspect", "missing.h5"], "no weights file missing.h5"),
        (["inspect", "text.h5"], "not a weights file"),
        (["convert", "vgg.h5", "vgg.h5"], "would replace"),
        (["convert", "vgg.h5", "x.png"], "should end in .h5"),
        (["convert", "vgg.h5", "missing/x.h5"], "the folder missing does not exist: create it first"),
        (["convert", "missing.h5", "missing/x.h5"], "the folder missing does not exist"),  # before the work
        (["convert", "vgg.h5", "folder.h5"], "folder.h5 is a folder"),
        (["convert", "vgg.h5", f"{'x' * 300}.h5"], "cannot be written: File name too long"),
        (["convert", "vgg.h5", "x.h5", "--rescale-over", "missing"], "missing is not a folder"),
        (["convert", "large.h5", "x.h5", "--float16"], "conv1_2 has weights too large for float16"),
        (["fetch", "vgg99"], "vgg99"),
        (["unheard"], "unheard"),
    ],
)
def test_bad_input_takes_one_line_and_writes_nothing(vgg, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.h5").write_text("not numbers")
    (tmp_path / "folder.h5").mkdir()
    kernel, bias = tiny_weights()["conv1_2"]
    large = tiny_weights() | {"conv1_2": (np.full_like(kernel, 1e5), bias)}
    write_vgg(tmp_path / "large.h5", large)
    before = files(tmp_path)
    status = main(arguments)
    shown = capsys.readouterr()
    assert status == 2 and words in shown.err and shown.err.count("\n") == 1 and not shown.out
    assert files(tmp_path) == before


def test_what_was_downloaded_is_not_replaced_either(vgg, monkeypatch, capsys):
    monkeypatch.setattr("nnstyle.weights.loading.fetch", lambda *_: vgg)
    assert main(["convert", "vgg19", str(vgg)]) == 2 and "would replace" in capsys.readouterr().err


def test_a_lack_of_memory_takes_one_line(monkeypatch, capsys):
    def too_large(*_):
        raise MemoryError

    monkeypatch.setattr("nnstyle.weights.__main__.read_weights", too_large)
    assert main(["inspect", "pocket"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_name_that_a_terminal_would_obey(tmp_path, capsys):
    """Nor can HDF5 store its zero byte."""
    path = write_caffe(tmp_path / "x.caffemodel", tiny_weights(), name="a\0b\x1b[2J\nc")
    assert main(["inspect", str(path)]) == 0
    assert "network ab[2Jc, not known" in capsys.readouterr().out
    assert main(["convert", str(path), str(tmp_path / "x.h5")]) == 0
    assert load_weights(tmp_path / "x.h5").name == "ab[2Jc"


def test_what_is_half_written_never_shows(vgg, tmp_path, monkeypatch):
    """Where writing fails in the middle, an older file stays, and nothing else does."""
    output, weights = tmp_path / "ours.h5", load_weights(vgg)
    output.write_bytes(b"older")
    unheard = dataclasses.replace(weights, name="a zero byte \0 cannot be stored")
    with pytest.raises(ValueError):
        write_hdf5(output, unheard)
    assert output.read_bytes() == b"older" and sorted(os.listdir(tmp_path)) == ["ours.h5", "vgg.h5"]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["inspect pocket", "", "--help", "unheard 2>&1"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_no_error(arguments, unbuffered):
    line = f"{sys.executable} -m nnstyle.weights {arguments} | head -0"
    environment = ENVIRONMENT | {"PYTHONUNBUFFERED": unbuffered}
    result = subprocess.run(
        line, shell=True, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert result.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_convert_replaces_none_of_the_pictures_that_it_rescales_over(vgg, folder, capsys, link):
    """A picture has no name that ends in .h5, but a link may have."""
    (folder / "photos").mkdir()
    (folder / "content.png").rename(folder / "photos" / "content.png")
    link(folder / "photos" / "content.png", folder / "ours.h5")
    before = (folder / "ours.h5").read_bytes()
    arguments = ["convert", str(vgg), str(folder / "ours.h5"), "--rescale-over", str(folder / "photos")]
    assert main(arguments) == 2 and "would replace an input" in capsys.readouterr().err
    assert (folder / "ours.h5").read_bytes() == before


def test_convert_does_not_replace_its_own_source_through_a_link(vgg, tmp_path, capsys):
    (tmp_path / "link.h5").symlink_to(vgg)
    before = vgg.read_bytes()
    assert main(["convert", str(vgg), str(tmp_path / "link.h5")]) == 2
    assert "would replace an input" in capsys.readouterr().err and vgg.read_bytes() == before


def test_options_are_not_guessed(vgg, capsys):
    assert main(["convert", str(vgg), "x.h5", "--rescale", "photos"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_note_takes_one_line(vgg, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    Image.new("RGBA", (40, 40), (9, 9, 9, 9)).save(tmp_path / "photos" / "x.png")
    output = str(tmp_path / "x.h5")
    assert main(["convert", str(vgg), output, "--rescale-over", str(tmp_path / "photos")]) == 0
    assert capsys.readouterr().err == (
        "python -m nnstyle.weights: note: transparent parts of a picture are taken as white\n"
    )

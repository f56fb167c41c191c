"""``nnstyle show``: what a picture carries inside, for people to read."""

import importlib
import re

import pytest
from PIL import Image

import nnstyle.cli
from nnstyle import Settings, stored_settings
from nnstyle.cli import main
from nnstyle.cli.show import in_words
from nnstyle.pictures import save_image
from tests.support.command import SMALL, run
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg

PICTURES = ["content.png", "style.png"]


@pytest.fixture
def show(folder, monkeypatch, capsys):
    """Paint with options, without any iteration, and show the picture: {name: (mark, value)} in order."""
    monkeypatch.chdir(folder)

    def prepare(*given, **options):
        job = nnstyle.prepare(*given, **options)
        stylize = importlib.import_module("nnstyle.stylize")  # not the function of this name
        save_image(job.content, "x.png", stylize.describe(job, job.settings, "cpu"))
        raise KeyboardInterrupt

    def call(*options):
        with monkeypatch.context() as patch:
            patch.setattr(nnstyle.cli, "prepare", prepare)
            main([*PICTURES, *map(str, options)])
        capsys.readouterr()
        return shown(capsys)

    return call


def shown(capsys):
    assert main(["show", "x.png"]) == 0
    stdout, stderr = capsys.readouterr()
    assert stderr == ""
    first, *lines = stdout.splitlines()
    assert first.startswith("x.png: ")
    return {line[2:22].strip(): (line[0], line[23:]) for line in lines}


def marked(lines):
    return [name for name, (mark, _) in lines.items() if mark == "*"]


def test_all_that_is_stored_is_shown_settings_in_the_order_of_the_help(show, monkeypatch, capsys):
    lines = show("--size", 64)
    stored = stored_settings("x.png")
    assert {name.replace("-", "_").replace(" ", "_") for name in lines} == set(stored)
    assert lines["content"] == (" ", "content.png") and lines["size"] == ("*", "64")
    assert lines["style-layers"] == (" ", "conv1_1,conv2_1,conv3_1,conv4_1,conv5_1")
    assert lines["rescale"] == (" ", "yes") and lines["bounded"] == (" ", "no")
    monkeypatch.setenv("COLUMNS", "200")
    main(["--help"])
    in_help = re.findall(r"^  --([a-z-]+)", capsys.readouterr().out, re.MULTILINE)
    settings = [name for name in lines if name.replace("-", "_") in Settings.__dataclass_fields__]
    assert settings == [name for name in in_help if name in settings] and len(settings) > 15


@pytest.mark.parametrize(
    "options", ["--size 512", "--size 300 --init noise", "--size 48 --bounded --border 0"]
)
def test_what_is_decided_by_default_has_no_mark(show, options):
    given = {word[2:] for word in options.split() if word.startswith("--")} - (
        {"size"} if "512" in options else set()
    )
    assert set(marked(show(*options.split()))) == given


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("--beta-per-pixel 250", ["beta"]),
        ("--beta-per-pixel 1000", []),  # pocket's own
        ("--scales 1 --pooling max", ["scales", "pooling"]),
        ("--layer-weights .2,.2,.2,.2,.2 --alpha 2", ["alpha", "layer-weights"]),
        ("--optimizer lbfgs-nnstyle --preprocessing caffe", ["optimizer", "preprocessing"]),
        ("--optimizer adam", ["optimizer"]),
        ("--optimizer adam --learning-rate 3", ["optimizer", "learning-rate"]),
        ("--weights tiny.h5", ["weights"]),
        ("--weights tiny.h5 --pooling average --beta-per-pixel 1000", ["weights", "beta", "pooling"]),
    ],
)
def test_what_differs_is_marked(folder, show, options, names):
    write_vgg(folder / "tiny.h5", tiny_weights())
    assert marked(show(*options.split())) == names


def test_beta_is_told_for_each_pixel_too(show):
    assert show("--size", 64, "--beta-per-pixel", 250)["beta"][1].endswith(" (250 a pixel)")


def test_an_unfinished_picture_tells_what_it_is_and_what_was_asked(show, capsys):
    show("--size", 300)
    stored = stored_settings("x.png")
    pixels = Settings(size=75).canvas_pixels(54, 75) / Settings().canvas_pixels(214, 300)
    asked = {name: stored[name] for name in ("size", "iterations", "scales", "beta")}
    reached = {"size": 75, "iterations": 9, "scales": 1, "beta": stored["beta"] * pixels, "unfinished": asked}
    save_image(noise(54, 75), "x.png", stored | reached)
    lines = shown(capsys)
    assert lines["size"][1] == "75" and lines["iterations"][1] == "9"
    assert lines["unfinished"][1].startswith("size 300, iterations 200, scales 2, beta ")
    assert marked(lines) == ["size"]


@pytest.mark.slow
def test_numbers_are_shown_with_the_digits_that_one_reads():
    assert in_words([1 / 3, 0.1 + 0.2, 2.0, 174592000.0]) == "0.333333,0.3,2,174592000"


@pytest.mark.slow
def test_as_a_command_of_its_own_and_of_a_jpeg(folder):
    assert run(folder, *PICTURES, *SMALL, "-q", "-o", "x.jpg").returncode == 0
    result = run(folder, "show", "x.jpg")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"^\* size +48$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("words", ["", "x.png y.png", "--size 3 x.png", "content.png", "missing.png", "."])
def test_what_cannot_be_shown_takes_one_line_and_status_2(folder, monkeypatch, capsys, words):
    monkeypatch.chdir(folder)
    assert main(["show", *words.split()]) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == "" and stderr.startswith("nnstyle") and stderr.count("\n") == 1


def test_a_photograph_called_show_can_be_painted(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "content.png").rename(folder / "show")
    assert main(["./show", "style.png", *SMALL, "-q"]) == 0
    assert (folder / "show-style.png").exists()


def test_its_help(capsys):
    assert main(["show", "--help"]) == 0 and "usage: nnstyle show" in capsys.readouterr().out


def test_what_somebody_made_up_is_shown_but_not_obeyed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made_up = {
        "size": "x\x1b[2J\nsize 3",
        "\x07new": [[["\n"]]],
        "beta": 10**400,
        "losses": {"a\n": [1]},
        "alpha": "x" * 9999,
    }
    save_image(noise(8, 8), "x.png", made_up)
    assert main(["show", "x.png"]) == 0
    stdout, stderr = capsys.readouterr()
    lines = stdout.splitlines()
    assert stderr == "" and len(lines) == 1 + len(made_up)
    assert all(line.isprintable() and len(line) < 2010 for line in lines)


def test_settings_that_cannot_be_used_are_shown_without_marks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise(8, 8)).save("y.png")
    save_image(noise(8, 8), "x.png", {"size": 3, "alpha": None, "beta": 2.0})
    assert shown(capsys) == {"size": (" ", "3"), "alpha": (" ", "none"), "beta": (" ", "2")}

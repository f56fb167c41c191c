"""One place for each setting: the command line and `stylize` have what the fields of `Settings` say."""

import dataclasses
import inspect
import os
import re
from pathlib import Path

import pytest

import nnstyle
from nnstyle import Settings
from nnstyle.cli import main
from nnstyle.cli.arguments import SAMPLE_SETTINGS, make_parser

FIELDS = {field.name: field for field in dataclasses.fields(Settings)}
# Options that do not change the picture, or are no setting.
OTHERS = {
    "help",
    "content",
    "styles",
    "style_weights",
    "mask",
    "output",
    "like",
    "quiet",
    "device",
    "threads",
    "low_memory",
    "tile",
    "save_every",
    "film",
    "checkpoint",
    "resume",
    "version",
    "weights",
}
# How the help tells a default that is not a value, or depends on the picture or the device.
IN_WORDS = {
    "transparency": "keep; in a JPEG white",
    "optimizer": "lbfgs; on a GPU, and above 4.5 million pixels, lbfgs-nnstyle",
    "grain": "10 coarse to fine from a photograph with average pooling and at least a tenth of the default beta, else 0",
    "learning_rate": "5",
    "scales": "as many as begin with 82 to 163 px",
    "beta": "--beta-per-pixel x the number of pixels, border and all",
    "beta_per_pixel": "what the weights file states, 1000 for pocket, else 4000; with --init noise 30",
    "layer_weights": "what the weights file states, else all equal, sum 1",
    "rescale": "--rescale",
    "preprocessing": "as the weights file says, or its numbers or layout tell",
    "pooling": "what the weights file states, as pocket does, else max",
    "bounded": None,  # a switch: off where it is not given
    "rescale_over": None,  # off as well
}
# What may stand on the command line, and the value that it gives.
GIVEN = {
    "size": ("200", 200),
    "iterations": ("7", 7),
    "scales": ("2", 2),
    "style_scale": ("0.5", 0.5),
    "border": ("16", 16),
    "init": ("noise", "noise"),
    "grain": ("20", 20.0),
    "seed": ("3", 3),
    "colour": ("match", "match"),
    "transparency": ("white", "white"),
    "optimizer": ("lbfgs-nnstyle", "lbfgs-nnstyle"),
    "learning_rate": ("2", 2.0),
    "bounded": (None, True),
    "bits": ("16", 16),
    "alpha": ("0.5", 0.5),
    "beta": ("9", 9.0),
    "beta_per_pixel": ("8", 8.0),
    "tv_weight": ("0.1", 0.1),
    "content_layers": ("conv3_1,conv3_2", ("conv3_1", "conv3_2")),
    "style_layers": ("conv1_1", ("conv1_1",)),
    "layer_weights": ("1,0.5", (1.0, 0.5)),
    "rescale": (None, True),
    "rescale_over": ("folder", "folder"),
    "preprocessing": ("caffe", "caffe"),
    "pooling": ("average", "average"),
}


@pytest.fixture
def help_text(monkeypatch, capsys):
    """What --help prints on a wide terminal."""
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["--help"]) == 0
    return capsys.readouterr().out


def flag_of(name):
    return "--" + name.replace("_", "-")


def test_each_setting_has_exactly_one_option():
    options = [action for action in make_parser()._actions if action.dest not in OTHERS]
    assert sorted(option.dest for option in options) == sorted(FIELDS)
    for option in options:
        assert option.option_strings[0] == flag_of(option.dest)


def test_the_help_groups_the_options(help_text):
    assert len(re.findall(r"^\w.*:$", help_text, re.MULTILINE)) >= 5
    groups = {field.metadata["group"] for field in FIELDS.values()}
    assert all(f"\n{group}:\n" in help_text for group in groups)


@pytest.mark.parametrize("name", FIELDS)
def test_the_help_says_what_a_setting_is_and_its_default(help_text, name):
    option = re.split(rf"\n  {flag_of(name)}[ ,]", help_text)[1].split("\n  -")[0]
    option = " ".join(option.split("\n\n")[0].split())
    assert FIELDS[name].metadata["help"] in option
    default = FIELDS[name].default
    shown = ",".join(default) if isinstance(default, tuple) else str(default)
    shown = IN_WORDS.get(name, shown)
    if name in SAMPLE_SETTINGS:
        shown += f"; sample {SAMPLE_SETTINGS[name]}"
    assert "default" not in option if shown is None else f"(default: {shown})" in option


@pytest.mark.parametrize("name", FIELDS)
def test_an_option_gives_its_setting_and_no_other(name):
    text, value = GIVEN[name]
    arguments = vars(make_parser().parse_args([flag_of(name)] + ([] if text is None else [text])))
    assert {key: given for key, given in arguments.items() if key not in OTHERS} == {name: value}


def test_a_switch_that_is_on_can_be_turned_off():
    assert make_parser().parse_args(["--no-rescale"]).rescale is False


def test_the_help_promises_what_happens_to_files(help_text):
    text = " ".join(help_text.split())
    for words in (
        "written whole or not at all",
        "replaced only by a finished picture",
        "Ctrl-C, SIGTERM and SIGHUP save the best picture so far",
    ):
        assert words in text


def test_stylize_names_each_setting_with_its_default():
    parameters = inspect.signature(nnstyle.stylize).parameters
    for name, field in FIELDS.items():
        assert parameters[name].default == field.default, name
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].annotation is not inspect.Parameter.empty
    assert all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())


@pytest.mark.slow
def test_a_type_checker_finds_a_misspelt_setting(tmp_path, monkeypatch):
    api = pytest.importorskip("mypy.api")
    (tmp_path / "calls.py").write_text(
        "import nnstyle\n"
        'nnstyle.stylize("a", "b", iterations=3)\n'
        'nnstyle.stylize("a", "b", itertions=3)\n'
        'nnstyle.stylize("a", "b", size="large")\n'
    )
    monkeypatch.setenv("MYPYPATH", str(Path(nnstyle.__file__).parents[1]))
    options = ["--config-file=", f"--cache-dir={os.devnull}", "--follow-imports=silent", "--no-site-packages"]
    shown, _, status = api.run([*options, str(tmp_path / "calls.py")])
    complaints = [line for line in shown.splitlines() if ": error: " in line]
    assert status == 1 and len(complaints) == 2, shown
    assert ":3:" in complaints[0] and '"itertions"' in complaints[0]
    assert ":4:" in complaints[1] and '"size"' in complaints[1]

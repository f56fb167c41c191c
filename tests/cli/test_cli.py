"""The command line as a process: what is written, what is said."""

import dataclasses
import os
import re
import shlex
import subprocess

import numpy as np
import pytest
from PIL import Image

from nnstyle import Settings, __version__, stylize
from nnstyle.cli import main
from tests.support.command import ENVIRONMENT, SMALL, command, run, start
from tests.support.patience import PATIENCE
from tests.support.pictures import stored_settings

OWN = ["content.png", "style.png", *SMALL]


def paint(folder, *arguments, style="style.png", output="stylized.png"):
    """The command line within this process: as good as another where only the file counts, and faster."""
    paths = [str(folder / name) for name in ("content.png", style)]
    return main([*paths, *SMALL, "--quiet", "-o", str(folder / output), *arguments])


def new_files(folder):
    return sorted(set(os.listdir(folder)) - {"content.png", "style.png"})


def test_without_pictures_the_sample_is_painted_and_the_next_step_told(tmp_path):
    result = run(tmp_path, *SMALL)
    assert result.returncode == 0
    assert os.listdir(tmp_path) == ["stylized.png"]
    with Image.open(tmp_path / "stylized.png") as image:
        assert max(image.size) == 48
    assert "stylized.png" in result.stdout and "sample" in result.stdout
    assert "python -m nnstyle PHOTO.jpg PAINTING.jpg" in result.stdout


def test_own_pictures_give_what_the_library_gives(folder):
    result = run(folder, *OWN)
    assert result.returncode == 0
    assert new_files(folder) == ["content-style.png"]
    assert "sample" not in result.stdout
    expected = stylize(folder / "content.png", folder / "style.png", size=48, iterations=3, border=0).image
    with Image.open(folder / "content-style.png") as image:
        np.testing.assert_array_equal(np.array(image), expected)


@pytest.mark.parametrize("ending", [".png", ".jpg"])  # the others: in tests/pictures/test_saving.py
def test_a_picture_carries_the_settings_that_made_it(folder, ending):
    options = "--alpha 2 --beta 9 --style-layers conv1_1,conv2_1 --layer-weights 0.25,0.75".split()
    assert paint(folder, *options, output=f"result{ending}") == 0
    assert new_files(folder) == [f"result{ending}"]
    stored = stored_settings(folder / f"result{ending}")
    settings = Settings(
        size=48,
        iterations=3,
        scales=1,
        border=0,
        alpha=2.0,
        beta=9.0,
        style_layers=("conv1_1", "conv2_1"),
        layer_weights=(0.25, 0.75),
        grain=0.0,  # at one scale
        optimizer="lbfgs",  # what was left open is stored as it was decided
        preprocessing="rgb,123.68,116.779,103.939,1.0",
        pooling="average",
        transparency="white" if ending == ".jpg" else "keep",
    )
    for name, value in dataclasses.asdict(settings).items():
        assert stored[name] == (list(value) if isinstance(value, tuple) else value)
    assert (stored["content"], stored["style"], stored["weights"]) == ("content.png", ["style.png"], "pocket")
    assert stored["nnstyle"] == __version__ and stored["losses"]["total"] > 0


def test_an_existing_output_is_replaced_by_a_finished_picture(folder):
    (folder / "stylized.png").write_bytes(b"old")
    assert paint(folder) == 0
    assert new_files(folder) == ["stylized.png"]
    assert stored_settings(folder / "stylized.png")["iterations"] == 3


def test_16_bits_are_written(folder):
    assert paint(folder, "--bits", "16") == 0
    data = (folder / "stylized.png").read_bytes()
    assert data[24] == 16  # the depth, in a PNG's header
    assert stored_settings(folder / "stylized.png")["bits"] == 16


def test_a_default_that_depends_on_the_picture_is_stored_as_a_number(folder):
    assert paint(folder) == 0
    assert stored_settings(folder / "stylized.png")["beta"] > 0


def test_a_picture_tells_no_folders(folder):
    (folder / "private").mkdir()
    for name in ("content.png", "style.png"):
        (folder / name).rename(folder / "private" / name)
    pictures = [str(folder / "private" / name) for name in ("content.png", "style.png")]
    over = ["--rescale-over", str(folder / "private")]
    assert main([*pictures, *SMALL, "--quiet", *over, "-o", str(folder / "stylized.png")]) == 0
    stored = stored_settings(folder / "stylized.png")
    assert (stored["content"], stored["rescale_over"]) == ("content.png", "private")
    assert str(folder) not in str(stored)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_file_bit_for_bit(folder):
    for name in ("a.png", "b.png"):
        assert run(folder, *OWN, "--init", "noise", "--seed", 7, "-o", name).returncode == 0
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()


def test_plain_lines_where_there_is_no_terminal(folder):
    result = run(folder, *OWN)
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines, start=1):
        assert re.fullmatch(
            rf"iteration {number} of 3: loss \S+ = content \S+ \+ style \S+ \[\d+:\d+ left\]", line
        )
    assert "\r" not in result.stderr and "\x1b" not in result.stderr


def test_quiet_prints_nothing(folder):
    result = run(folder, *OWN, "--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert new_files(folder) == ["content-style.png"]


def make_transparent(path):
    with Image.open(path) as image:
        image.putalpha(100)
    image.save(path)


@pytest.mark.slow
def test_transparency_is_mentioned_once_a_picture_in_one_line(folder):
    make_transparent(folder / "content.png")
    make_transparent(folder / "style.png")
    result = run(folder, *OWN, "--transparency", "white")
    notes = [line for line in result.stderr.splitlines() if line.startswith("nnstyle: ")]
    assert result.returncode == 0 and len(notes) == 2
    assert all("transparent" in note and "white" in note and ".py" not in note for note in notes)


@pytest.mark.slow
def test_quiet_is_quiet_about_transparency_too(folder):
    make_transparent(folder / "content.png")
    assert run(folder, *OWN, "--quiet").stderr == ""


@pytest.mark.slow
def test_a_name_that_the_terminal_cannot_show_does_no_harm(folder):
    result = run(folder, *OWN, "-o", "schön.png", PYTHONIOENCODING="ascii")
    assert result.returncode == 0 and "Traceback" not in result.stderr
    assert new_files(folder) == ["schön.png"]


def test_the_version():
    result = run(".", "--version")
    assert (result.returncode, result.stdout, result.stderr) == (0, f"nnstyle {__version__}\n", "")


def test_a_picture_that_needs_no_change_is_a_result_too(folder):
    assert paint(folder, style="content.png") == 0  # the loss is 0 from the start
    assert new_files(folder) == ["stylized.png"]


@pytest.mark.slow
def test_a_reader_of_the_output_who_goes_away_does_no_harm(folder):
    with start(folder, *OWN) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert "Traceback" not in errors
    assert new_files(folder) == ["content-style.png"]


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("options", [["--help"], ["--version"], ["--no-such-option"], OWN])
def test_closed_pipes_end_quietly(folder, options, unbuffered):
    """Also where a line is left in Python's buffer until its end."""
    line = f"({shlex.join(command(options))}; echo status $? >&3) 3>status 2>errors | head -0"
    environment = ENVIRONMENT | {"PYTHONUNBUFFERED": unbuffered}
    subprocess.run(line, shell=True, cwd=folder, env=environment, check=True, timeout=PATIENCE)
    bad = "--no-such-option" in options
    assert (folder / "status").read_text() == f"status {2 if bad else 0}\n"
    lines = (folder / "errors").read_text().splitlines()
    assert len(lines) == (1 if bad else 3 if options is OWN else 0)


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["2>&-", ">&-", "2>/dev/full", ">/dev/full"])
def test_a_stream_that_is_closed_or_full_does_not_cost_the_picture(folder, redirection):
    if "full" in redirection and not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    line = shlex.join(command(OWN)) + " " + redirection
    result = subprocess.run(line, shell=True, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert result.returncode == 0 and "Traceback" not in result.stderr
    assert new_files(folder) == ["content-style.png"]

"""Without ``-o`` the output is named after the pictures, and nothing that is there is replaced."""

import os
import re
import shutil
import threading

import pytest

import nnstyle.cli
from nnstyle.checkpoint import summarize_checkpoint
from nnstyle.cli import main
from nnstyle.cli.output import first_free, name_of
from nnstyle.cli.signals import Ended
from tests.support.command import SMALL, files
from tests.support.patience import PATIENCE
from tests.support.pictures import stored_settings

pytestmark = pytest.mark.slow  # most of them start processes, or paint several times

ALWAYS = ["--checkpoint", "1e-9"]  # after each iteration


class Killed(BaseException):
    """Passes through everything, as if the process were gone."""


@pytest.fixture
def paint(folder, monkeypatch, capsys):
    """Run `main` without ``-o``: (status, what was said), ended by `end` after so many iterations.

    Other runs do `meanwhile` before it does anything with its first iteration.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setattr("nnstyle.cli.checkpoints.SHARE", 1e9)  # as often as they are asked for
    original = nnstyle.cli.run

    def call(*options, ended_after=None, end=Killed, meanwhile=lambda: None):
        def run(job, engine, callback, resume):
            def on_iteration(event):
                if event.record.iteration == 1:
                    meanwhile()
                callback(event)
                if event.record.iteration == ended_after:
                    raise end

            return original(job, engine, on_iteration, resume)

        monkeypatch.setattr(nnstyle.cli, "run", run)
        try:
            status = main(
                ["content.png", "style.png", *SMALL, "--optimizer", "lbfgs-nnstyle", *ALWAYS, *options]
            )
        except Killed:
            status = "killed"
        stdout, stderr = capsys.readouterr()
        lines = (stdout + stderr).splitlines()
        return status, [line for line in lines if not line.startswith("iteration")]

    return call


def painted(folder):
    return {name: data for name, data in files(folder).items() if name not in ("content.png", "style.png")}


@pytest.mark.parametrize(
    ("content", "paintings", "name"),
    [
        ("photo.jpg", ["painting.jpg"], "photo-painting.png"),
        ("a/b/my photo.v2.jpeg", ["../Schön.tif"], "my photo.v2-Schön.png"),
        ("photo.jpg", ["a.jpg", "b.jpg", "c.jpg"], "photo-a-and-2-more.png"),
        (".hidden.jpg", ["./-x.jpg"], "hidden-x.png"),
        ("a\nb\x1b[2J.jpg", ["..."], "ab[2J-picture.png"),
    ],
)
def test_the_name_is_made_of_the_pictures(content, paintings, name):
    assert str(name_of(content, paintings)) == name


@pytest.mark.parametrize("letter", ["x", "ü", "絵"])
def test_a_long_name_is_cut_at_a_letter_and_leaves_room(tmp_path, letter):
    long = letter * 240
    name = name_of(f"{long}.jpg", [f"{long}.jpg"] * 1000)
    assert len(os.fsencode(name)) < 160 and name.name.startswith(f"{letter}{letter}")
    (tmp_path / f"{name}.nnstyle").touch()


def test_it_counts_up_past_whatever_is_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = name_of("a.jpg", ["b.jpg"])
    assert first_free(path) == path
    path.mkdir()
    os.symlink("nowhere", "a-b-2.png")
    assert str(first_free(path)) == "a-b-3.png"


def test_nothing_finished_is_replaced_and_the_name_is_said(folder, paint):
    status, (line,) = paint()
    assert status == 0 and line.startswith("content-style.png: ")
    before = painted(folder)
    status, (line,) = paint("--alpha", "2")
    assert status == 0 and line.startswith("content-style-2.png: ")
    assert painted(folder).items() > before.items()
    assert set(painted(folder)) == {"content-style.png", "content-style-2.png"}


def test_a_run_that_finishes_first_keeps_its_picture(folder, paint):
    status, (line,) = paint(meanwhile=lambda: (folder / "content-style.png").write_bytes(b"another's"))
    assert status == 0 and line.startswith("content-style-2.png: ")
    assert painted(folder)["content-style.png"] == b"another's"


def test_runs_that_finish_at_once_get_a_name_each(folder, monkeypatch):
    monkeypatch.chdir(folder)
    together, original = threading.Barrier(3), nnstyle.cli.save_image

    def save_image(*given, **options):
        together.wait(PATIENCE)
        return original(*given, **options)

    monkeypatch.setattr(nnstyle.cli, "save_image", save_image)
    alphas = (1, 2, 3)
    runs = [
        threading.Thread(
            target=main, args=[["content.png", "style.png", *SMALL, "-q", "--alpha", str(alpha)]]
        )
        for alpha in alphas
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert set(painted(folder)) == {"content-style.png", "content-style-2.png", "content-style-3.png"}
    assert sorted(stored_settings(name)["alpha"] for name in painted(folder)) == [1, 2, 3]


def test_the_sample_counts_up_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stylized.png").write_bytes(b"old")
    assert main([*SMALL, "-q"]) == 0
    assert set(files(tmp_path)) == {"stylized.png", "stylized-2.png"}
    assert (tmp_path / "stylized.png").read_bytes() == b"old"


@pytest.mark.parametrize("end", [KeyboardInterrupt, MemoryError])
def test_an_unfinished_picture_is_named_so(folder, paint, end):
    for name in ("content-style-unfinished.png", "content-style-unfinished-2.png"):
        assert f"saved: {name}: " in paint("--checkpoint", "0", ended_after=1, end=end)[1][-1]
        assert name in painted(folder)
    assert "content-style.png" not in painted(folder)


def test_resume_finds_the_checkpoint_of_a_second_run(folder, paint):
    paint()
    (expected,) = painted(folder).values()
    assert paint(ended_after=2)[0] == "killed"
    assert set(painted(folder)) == {"content-style.png", "content-style-2.png.nnstyle"}
    status, lines = paint("--resume")
    assert status == 0 and lines[1] == "nnstyle: note: going on after iteration 2 of 3"
    assert lines[0].startswith("content-style-2.png: ")
    assert painted(folder) == {"content-style.png": expected, "content-style-2.png": expected}


def test_resume_after_ctrl_c_goes_on_as_well(folder, paint):
    status, (line,) = paint(ended_after=2, end=Ended(2))
    assert line.endswith("--resume goes on after iteration 2")
    assert set(painted(folder)) == {"content-style-unfinished.png", "content-style.png.nnstyle"}
    assert "going on after iteration 2" in paint("--resume")[1][1]
    assert set(painted(folder)) == {"content-style-unfinished.png", "content-style.png"}


@pytest.mark.parametrize("change", ["finished", "removed"])
def test_resume_finds_its_checkpoint_whatever_became_of_other_pictures(folder, paint, change):
    if change == "removed":
        paint()
    paint("--alpha", "2", ended_after=2)
    if change == "finished":
        (folder / "content-style.png").write_bytes(b"by another run, without a checkpoint")
    else:
        (folder / "content-style.png").unlink()
    assert "going on after iteration 2" in paint("--alpha", "2", "--resume")[1][1]
    assert not [name for name in painted(folder) if name.endswith(".nnstyle")]


@pytest.mark.slow
def test_each_of_several_killed_runs_goes_on(folder, paint):
    for alpha in "234":
        assert paint("--alpha", alpha, ended_after=2) == ("killed", [])
    assert len(painted(folder)) == 3
    for alpha in "342":
        assert "nnstyle: note: going on after iteration 2 of 3" in paint("--alpha", alpha, "--resume")[1]
    assert sorted(stored_settings(name)["alpha"] for name in painted(folder)) == [2, 3, 4]


def test_runs_that_begin_at_once_keep_a_checkpoint_each(folder, paint):
    """Both have chosen the same name before either wrote anything."""
    paint("--alpha", "2", ended_after=2)
    checkpoint = folder / "content-style.png.nnstyle"
    other = checkpoint.read_bytes()
    checkpoint.unlink()
    assert paint(meanwhile=lambda: checkpoint.write_bytes(other), ended_after=2)[0] == "killed"
    assert checkpoint.read_bytes() == other
    assert len(summarize_checkpoint("content-style-2.png.nnstyle").records) == 2


def test_a_short_run_removes_no_checkpoint_of_another(folder, paint):
    paint("--alpha", "2", ended_after=2)
    checkpoint = folder / "content-style.png.nnstyle"
    other = checkpoint.read_bytes()
    checkpoint.unlink()
    assert paint("--checkpoint", "0", meanwhile=lambda: checkpoint.write_bytes(other))[0] == 0
    assert checkpoint.read_bytes() == other


def test_resume_of_another_job_begins_anew_and_says_what_differs(folder, paint):
    paint("--alpha", "2", ended_after=2)
    before = painted(folder)
    status, lines = paint("--resume")
    notes = [line for line in lines if "note:" in line]
    assert status == 0 and lines[0].startswith("content-style.png: ")
    assert re.fullmatch(
        r"nnstyle: note: content-style.png.nnstyle belongs .*: alpha was 2.0, is 1.0", notes[0]
    )
    assert notes[1:] == ["nnstyle: note: there is no checkpoint content-style-2.png.nnstyle: beginning anew"]
    assert painted(folder).items() > before.items()


def test_a_file_of_somebody_else_is_passed_over(folder, paint):
    shutil.copy("style.png", "content-style.png.nnstyle")
    assert paint("--resume")[0] == 0 and paint(ended_after=2)[0] == "killed"
    assert len(summarize_checkpoint("content-style-2.png.nnstyle").records) == 2
    assert painted(folder)["content-style.png.nnstyle"] == (folder / "style.png").read_bytes()

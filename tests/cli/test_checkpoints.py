"""``--checkpoint`` and ``--resume``: an hour of work survives, and nothing is left lying."""

import re
from pathlib import Path

import pytest

import nnstyle.cli
import nnstyle.cli.checkpoints
from nnstyle import NotFiniteError, load_checkpoint
from nnstyle.checkpoint import summarize_checkpoint
from nnstyle.cli import main
from tests.support.command import files

pytestmark = pytest.mark.slow  # most of them start processes, or paint several times

ALWAYS = ["--checkpoint", "1e-9"]  # after each iteration


class Killed(BaseException):
    """Passes through everything, as if the process were gone."""


@pytest.fixture
def paint(folder, monkeypatch, capsys):
    """Run `main` in the folder, killed after so many iterations: (status, lines on standard error)."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("nnstyle.cli.checkpoints.SHARE", 1e9)  # as often as they are asked for
    original = nnstyle.cli.run

    def call(*options, killed_after=None, size=48, end=Killed):
        def run(job, engine, callback, resume):
            def on_iteration(event):
                callback(event)
                if event.record.iteration == killed_after:
                    raise end

            return original(job, engine, on_iteration, resume)

        monkeypatch.setattr(nnstyle.cli, "run", run)
        arguments = ["content.png", "style.png", "--size", str(size), "--iterations", "6", "--border", "0"]
        try:
            status = main([*arguments, "--optimizer", "lbfgs-nnstyle", "-o", "x.png", *options])
        except Killed:
            status = "killed"
        lines = capsys.readouterr().err.splitlines()
        return status, [line for line in lines if not line.startswith("iteration")]

    return call


def painted(folder):
    """What a run has left, beside the pictures that it was given."""
    return {name: content for name, content in files(folder).items() if name[:-4] not in ("content", "style")}


def test_a_killed_run_goes_on_to_the_same_bytes(folder, paint):
    assert paint() == (0, [])
    expected = (folder / "x.png").read_bytes()
    (folder / "x.png").unlink()

    assert paint(*ALWAYS, killed_after=4) == ("killed", [])
    assert list(painted(folder)) == ["x.png.nnstyle"]
    status, lines = paint("--resume")
    assert status == 0 and lines == ["nnstyle: note: going on after iteration 4 of 6"]
    assert painted(folder) == {"x.png": expected}


@pytest.mark.slow
def test_it_may_be_killed_again_and_again(folder, paint):
    paint()
    expected = painted(folder)
    for iteration in (1, 2, 3, 4, 5, 6):
        assert paint(*ALWAYS, "--resume", killed_after=iteration)[0] == "killed"
    assert paint("--resume")[0] == 0 and painted(folder) == expected


def test_what_was_done_after_the_checkpoint_is_done_again(folder, paint, monkeypatch):
    paint()
    expected = painted(folder)
    now = iter(range(0, 10_000, 20))  # each look at the clock is 20 s later
    with monkeypatch.context() as patch:
        patch.setattr("nnstyle.cli.checkpoints.time.monotonic", lambda: next(now))
        paint("--checkpoint", "60", killed_after=5)
    assert 0 < len(summarize_checkpoint(folder / "x.png.nnstyle").records) < 5
    assert paint("--resume")[0] == 0 and painted(folder) == expected


@pytest.mark.parametrize("options", [[], ["--checkpoint", "0"], ["--checkpoint", "1000"]])
def test_a_short_run_writes_none(folder, paint, options):
    paint(*options, killed_after=5)
    assert painted(folder) == {}


def test_an_interrupted_long_run_keeps_its_last_iteration(folder, paint, monkeypatch):
    paint()
    expected = painted(folder)
    monkeypatch.setattr("nnstyle.cli.checkpoints.SHARE", 1e-9)  # once, after the first iteration
    status, (line,) = paint(*ALWAYS, killed_after=5, end=KeyboardInterrupt)
    assert status == 130 and line.endswith("; --resume goes on after iteration 5")
    assert set(painted(folder)) == {"x-unfinished.png", "x.png", "x.png.nnstyle"}
    assert painted(folder)["x.png"] == expected["x.png"]
    assert paint("--resume")[0] == 0 and painted(folder)["x.png"] == expected["x.png"]


def test_an_interrupted_short_run_leaves_only_its_picture(folder, paint):
    status, (line,) = paint(killed_after=3, end=KeyboardInterrupt)
    assert status == 130 and "--resume" not in line
    assert list(painted(folder)) == ["x.png"]


def test_large_ones_are_written_less_often(folder, paint, monkeypatch):
    written = []
    monkeypatch.setattr("nnstyle.cli.checkpoints.save_checkpoint", lambda *given: written.append(given))
    monkeypatch.setattr("nnstyle.cli.checkpoints.SHARE", 0.01)
    now = iter(range(10_000))  # each look at the clock is a second later: a second for each write
    monkeypatch.setattr("nnstyle.cli.checkpoints.time.monotonic", lambda: next(now))
    paint("--checkpoint", "2")
    assert len(written) == 1  # the next would be due after 100 s
    monkeypatch.setattr("nnstyle.cli.checkpoints.SHARE", 1)
    paint("--checkpoint", "2")
    assert len(written) > 2


def test_resume_without_a_checkpoint_begins_anew(folder, paint):
    status, (line,) = paint("--resume")
    assert status == 0 and line == "nnstyle: note: there is no checkpoint x.png.nnstyle: beginning anew"


def test_one_that_is_found_is_named_and_kept_until_the_picture_is_there(folder, paint):
    paint(*ALWAYS, killed_after=4)
    before = painted(folder)
    status, lines = paint(*ALWAYS, killed_after=3)
    assert lines == [
        "nnstyle: note: x.png.nnstyle has this picture after iteration 4 of 6: --resume goes on from there"
    ]
    assert painted(folder) == before  # not replaced by less
    assert paint()[0] == 0 and list(painted(folder)) == ["x.png"]


def test_one_of_another_job_is_not_resumed(folder, paint):
    paint(*ALWAYS, killed_after=4)
    before = painted(folder)
    status, (line,) = paint("--resume", size=46)
    assert status == 2
    assert re.match(r"nnstyle: the checkpoint x.png.nnstyle .*another job: size was 48, is 46; ", line)
    assert painted(folder) == before
    status, (line,) = paint(*ALWAYS, size=46, killed_after=2)
    assert re.match(
        r"nnstyle: note: the checkpoint x.png.nnstyle belongs to another job \(size was .*\): it stays until",
        line,
    )
    assert len(summarize_checkpoint(folder / "x.png.nnstyle").records) == 2


@pytest.mark.parametrize("interval", ["0", "60"])
def test_a_short_run_leaves_one_of_another_job_alone(folder, paint, interval):
    """A small preview with the same output must not cost the hour of work on the large picture."""
    paint(*ALWAYS, killed_after=4)
    before = painted(folder)
    status, (line,) = paint("--checkpoint", interval, size=46)
    assert status == 0
    assert line.endswith("it stays" if interval == "0" else "it stays until this run has one to write")
    after = painted(folder)
    assert after.pop("x.png") and after == before
    assert paint("--resume") == (0, ["nnstyle: note: going on after iteration 4 of 6"])


@pytest.mark.parametrize("name", ["content.png", "style.png"])
def test_a_file_of_somebody_else_stays(folder, paint, name):
    (folder / "x.png.nnstyle").write_bytes((folder / name).read_bytes())
    before = painted(folder)
    status, (line,) = paint(*ALWAYS)
    assert status == 0 and "x.png.nnstyle" in line
    assert painted(folder).items() > before.items()
    status, (line,) = paint("--resume")
    assert status == 2 and re.match(r"nnstyle: the checkpoint x.png.nnstyle", line)


def test_a_full_disk_costs_no_picture_and_one_line(folder, paint, monkeypatch):
    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nnstyle.cli.checkpoints.save_checkpoint", full)
    status, (line,) = paint(*ALWAYS)
    assert (status, line) == (
        0,
        "nnstyle: note: the checkpoint x.png.nnstyle cannot be written: No space left on device",
    )
    assert list(painted(folder)) == ["x.png"]


@pytest.fixture
def full_disk(folder, monkeypatch):
    """A function: from now on no picture can be written; with a refuge, only beside the output."""
    monkeypatch.setattr("nnstyle.cli.other_folders", lambda: [folder / "refuge"])

    def fill(patch, with_refuge):
        save = nnstyle.cli.save_image
        if with_refuge:
            (folder / "refuge").mkdir()

        def save_in_the_refuge(image, path, *given, **options):
            if Path(path).parent.name != "refuge":
                raise OSError(28, "No space left on device")
            return save(image, path, *given, **options)

        patch.setattr(nnstyle.cli, "save_image", save_in_the_refuge)

    return fill


@pytest.mark.parametrize("with_refuge", [True, False])
@pytest.mark.parametrize("end", [None, KeyboardInterrupt])
def test_a_picture_that_cannot_be_saved_has_a_second_try(
    folder, paint, monkeypatch, full_disk, end, with_refuge
):
    """The state of the last iteration is kept, though no checkpoint was due."""
    with monkeypatch.context() as patch:
        full_disk(patch, with_refuge)
        patch.setattr("nnstyle.cli.checkpoints.SHARE", 1e-9)  # once, after the first iteration
        status, (line,) = paint(*ALWAYS, killed_after=end and 5, end=end)
    assert status == (130 if end else 2)
    words = "the picture is in .*refuge/x.png" if with_refuge else "nor can .*refuge/x.png"
    assert re.fullmatch(
        rf"nnstyle: {'interrupted; ' if end else ''}x.png cannot be written \(No space left on device\).*"
        rf"{words}; --resume goes on after iteration {5 if end else 6}",
        line,
    )
    assert list(painted(folder)) == ["x.png.nnstyle"]
    assert paint("--resume")[0] == 0 and list(painted(folder)) == ["x.png"]


def test_after_a_loss_that_is_not_finite_there_is_nothing_to_go_on_from(folder, paint):
    status, (line,) = paint(*ALWAYS, killed_after=4, end=NotFiniteError("the loss became NaN"))
    assert status == 2 and list(painted(folder)) == ["x.png"]
    assert line.startswith("nnstyle: the loss became NaN: lower the weights; the best picture")
    assert "--resume" not in line


def test_after_the_end_of_memory_it_takes_more(folder, paint):
    status, (line,) = paint(*ALWAYS, killed_after=4, end=MemoryError)
    assert status == 2 and set(painted(folder)) == {"x.png", "x.png.nnstyle"}
    assert line.endswith("; with more memory, --resume goes on after iteration 4")


def test_before_the_first_iteration_of_a_resumed_run_it_says_from_where(folder, paint, monkeypatch):
    paint(*ALWAYS, killed_after=4)

    def end(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("nnstyle.Objective.__call__", end)
    status, (_, line) = paint("--resume")
    assert status == 130 and line == (
        "nnstyle: interrupted before another iteration: nothing was written; --resume goes on after iteration 4"
    )


def test_a_picture_that_cannot_even_be_made_is_no_interruption_before_the_first(folder, paint, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("nnstyle.pictures.deprocess", fail)
    status, (line,) = paint(*ALWAYS, killed_after=4, end=KeyboardInterrupt)
    assert status == 130 and line == (
        "nnstyle: interrupted; there is not enough memory to save the picture; --resume goes on after iteration 4"
    )


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "x", ""])
def test_the_interval_is_a_finite_number(folder, paint, value):
    status, (line,) = paint("--checkpoint", value)
    assert status == 2 and "--checkpoint" in line


def test_the_state_can_be_loaded_from_python(folder, paint):
    paint(*ALWAYS, killed_after=4)
    job = nnstyle.prepare(
        folder / "content.png",
        folder / "style.png",
        size=48,
        iterations=6,
        border=0,
        optimizer="lbfgs-nnstyle",
    )
    assert len(load_checkpoint(folder / "x.png.nnstyle", job).records) == 4

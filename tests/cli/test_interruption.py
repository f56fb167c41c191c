"""Ctrl-C and a loss that becomes NaN cost no picture: neither the new nor the old one."""

import re
import signal

import numpy as np
import pytest
from PIL import Image

import nnstyle.cli
from nnstyle import Event, NotFiniteError, Record, Result
from tests.support.command import files, start
from tests.support.pictures import noise, stored_settings

pytestmark = pytest.mark.slow  # most of them start processes, or paint several times

LONG = ["content.png", "style.png", "--size", "48", "--iterations", "300"]


@pytest.fixture
def small_main(folder, monkeypatch):
    """`main` in this process, with `run` replaced; it returns the exit status."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.chdir(folder)

    def call(run):
        monkeypatch.setattr(nnstyle.cli, "run", run)
        return nnstyle.cli.main(["content.png", "style.png", "--quiet", "-o", "stylized.png"])

    yield call
    signal.signal(signal.SIGINT, before)


def new_files(folder):
    return {
        name: content for name, content in files(folder).items() if name not in ("content.png", "style.png")
    }


def interrupt_after_first_line(folder, *arguments):
    """Send SIGINT once the first progress line is there: (exit status, the lines after it)."""
    with start(folder, *arguments) as process:
        assert process.stderr.readline().startswith("iteration")
        process.send_signal(signal.SIGINT)
        lines = process.stderr.read().splitlines()
        assert process.stdout.read() == ""
    return process.returncode, [line for line in lines if not line.startswith("iteration")]


def test_ctrl_c_saves_the_best_picture_so_far(folder):
    status, lines = interrupt_after_first_line(folder, *LONG, "-o", "result.png")
    assert status == 130
    assert list(new_files(folder)) == ["result.png"]
    assert len(lines) == 1 and re.match(r"nnstyle: interrupted.* saved.* result\.png", lines[0])
    stored = stored_settings(folder / "result.png")
    assert 1 <= stored["losses"]["iteration"] < 300
    assert stored["iterations"] == stored["losses"]["iteration"] and stored["unfinished"]["iterations"] == 300
    with Image.open(folder / "result.png") as image:
        assert max(image.size) == 48
        image.load()


def test_ctrl_c_leaves_an_existing_output_alone(folder):
    (folder / "result.png").write_bytes(b"old")
    status, lines = interrupt_after_first_line(folder, *LONG, "-o", "result.png")
    assert status == 130
    assert set(new_files(folder)) == {"result.png", "result-unfinished.png"}
    assert (folder / "result.png").read_bytes() == b"old"
    assert "result-unfinished.png" in lines[0]
    assert stored_settings(folder / "result-unfinished.png")["losses"]["iteration"] >= 1


def test_ctrl_c_before_the_first_iteration_writes_nothing(folder):
    noise_with_alpha = np.dstack([noise(400, 560), np.full((400, 560), 200, np.uint8)])
    Image.fromarray(noise_with_alpha).save(folder / "content.png")
    slow = ["content.png", "style.png", "--size", "1500", "--scales", "1", "--transparency", "white"]
    with start(folder, *slow) as process:
        assert "transparent" in process.stderr.readline()  # the picture is being read
        process.send_signal(signal.SIGINT)
        lines = process.stderr.read().splitlines()
    assert process.returncode == 130
    assert len(lines) == 1 and lines[0].startswith("nnstyle: interrupted")
    assert new_files(folder) == {}


@pytest.mark.parametrize("step", ["prepare", "use_samples"])
def test_ctrl_c_at_any_other_moment_takes_one_line(folder, monkeypatch, capsys, step):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(folder)
    monkeypatch.setattr(nnstyle.cli, step, interrupted)
    try:
        status = nnstyle.cli.main(["content.png", "style.png"])
    except KeyboardInterrupt:  # left alone, it would end the tests
        status = "a traceback"
    assert status == 130
    assert re.fullmatch(r"nnstyle: interrupted.*\n", capsys.readouterr().err)
    assert new_files(folder) == {}


def run_that_fails(failure):
    """A `run` that does two iterations and then fails."""

    def run(job, engine, callback, resume):
        records = []
        for iteration, loss in ((1, 9.0), (2, 8.0)):
            records.append(Record(iteration, 56, loss, {"content": loss}, 1.0))
            callback(Event(records[-1], job, lambda: noise(40, 56), lambda: None, lambda reason: None))
        failure.result = Result(noise(40, 56, seed=2), records, job.settings, str(failure))
        raise failure

    return run


@pytest.mark.parametrize(
    ("failure", "status"), [(NotFiniteError("the loss became NaN"), 2), (KeyboardInterrupt(), 130)]
)
@pytest.mark.parametrize("old", [b"old", None])
def test_what_was_reached_is_saved_beside_an_old_picture(folder, small_main, capsys, failure, status, old):
    if old:
        (folder / "stylized.png").write_bytes(old)
    assert small_main(run_that_fails(failure)) == status
    name = "stylized-unfinished.png" if old else "stylized.png"
    assert set(new_files(folder)) == {name, "stylized.png"}
    with Image.open(folder / name) as image:
        np.testing.assert_array_equal(np.array(image), noise(40, 56, seed=2))
    assert re.fullmatch(rf"nnstyle: .*{name}.*\n", capsys.readouterr().err)


def test_a_folder_that_vanished_does_not_cost_the_picture(folder, monkeypatch, capsys, small_main):
    (folder / "refuge").mkdir()
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(folder / "refuge"))

    def run(*arguments):
        (folder / "out").rmdir()
        run_that_fails(KeyboardInterrupt())(*arguments)

    (folder / "out").mkdir()
    monkeypatch.setattr(nnstyle.cli, "run", run)
    assert nnstyle.cli.main(["content.png", "style.png", "--quiet", "-o", "out/x.png"]) == 130
    assert list(files(folder / "refuge")) == ["x.png"]
    assert re.fullmatch(
        r"nnstyle: interrupted.*; out/x.png cannot be written .*refuge/x.png\n", capsys.readouterr().err
    )


def test_main_leaves_the_process_as_it_found_it(folder, small_main):
    """Called from other code (a web page, a test), it must not make Ctrl-C dead for ever."""
    before = signal.getsignal(signal.SIGINT)
    small_main(run_that_fails(KeyboardInterrupt()))
    assert signal.getsignal(signal.SIGINT) is before

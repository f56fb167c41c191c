"""`main` called from other code, such as a page or a service: in any thread, and without a trace."""

import os
import signal
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from nnstyle import Objective
from nnstyle.benchmark.__main__ import main as benchmark
from nnstyle.cli import main
from nnstyle.weights.__main__ import main as weights
from tests.support.command import SMALL, files
from tests.support.patience import PATIENCE
from tests.support.pictures import stored_settings


def paint(folder, *options, output="stylized.png"):
    pictures = [str(folder / name) for name in ("content.png", "style.png")]
    return main([*pictures, *SMALL, "-o", str(folder / output), *options])


def in_thread(function, *arguments, **options):
    """Call the function in a thread of its own, and return what it returns."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function, *arguments, **options).result()


def make_transparent(path):
    with Image.open(path) as image:
        image.putalpha(100)
    image.save(path)


def test_a_thread_saves_its_picture(folder):
    assert in_thread(paint, folder, output="thread.png") == 0
    assert paint(folder, output="main.png") == 0
    assert (folder / "thread.png").read_bytes() == (folder / "main.png").read_bytes()


def test_a_thread_saves_an_unfinished_picture(folder, monkeypatch):
    compute, images = Objective.__call__, []

    def call(self, image):
        images.append(image)
        if len(images) > 3:
            raise MemoryError
        return compute(self, image)

    monkeypatch.setattr(Objective, "__call__", call)
    assert in_thread(paint, folder) == 2
    assert stored_settings(folder / "stylized.png")["losses"]["iteration"] >= 1


def test_ctrl_c_works_as_before(folder):
    before = signal.getsignal(signal.SIGINT)
    assert paint(folder, "-q") == 0
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("options", [(), ("--quiet",)])
def test_warnings_are_shown_as_before(folder, capsys, options):
    make_transparent(folder / "style.png")
    before = warnings.showwarning, warnings.filters, list(warnings.filters)
    assert paint(folder, *options) == 0
    assert (warnings.showwarning, warnings.filters, list(warnings.filters)) == before
    assert ("transparent" in capsys.readouterr().err) == (options == ())


def test_warnings_are_shown_as_before_by_threads_that_overlap(folder, capsys):
    """The second begins after the first and ends after it: each would put back what it has found."""
    make_transparent(folder / "style.png")
    before = warnings.showwarning, list(warnings.filters)
    second_began, first_ended = threading.Event(), threading.Event()
    paint_quietly = lambda name: paint(folder, "-q", output=name)
    compute = Objective.__call__

    def call(self, image):
        if threading.current_thread().name.startswith("second"):
            second_began.set()
            assert first_ended.wait(PATIENCE)
        else:
            assert second_began.wait(PATIENCE)
        return compute(self, image)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Objective, "__call__", call)
        with ThreadPoolExecutor(1, "first") as first, ThreadPoolExecutor(1, "second") as second:
            one, two = first.submit(paint_quietly, "one.png"), second.submit(paint_quietly, "two.png")
            assert one.result(PATIENCE) == 0
            first_ended.set()
            assert two.result(PATIENCE) == 0
    assert (warnings.showwarning, list(warnings.filters)) == before
    assert capsys.readouterr().err == ""
    assert files(folder)["one.png"] == files(folder)["two.png"]


def test_a_thread_hears_its_own_notes(folder, capsys):
    make_transparent(folder / "style.png")
    assert in_thread(paint, folder) == 0
    assert capsys.readouterr().err.count("nnstyle: note: ") == 1


@pytest.mark.parametrize("program", [main, weights, benchmark])
@pytest.mark.parametrize(("options", "status"), [(["--help"], 0), (["--no-such-option"], 2)])
def test_a_thread_gets_the_status_of_its_options(capsys, program, options, status):
    """SystemExit would end the thread without a word."""
    assert in_thread(program, options) == status
    assert capsys.readouterr().err.count("\n") == (status == 2)


def test_a_thread_gets_the_status_of_the_version(capsys):
    assert in_thread(main, ["--version"]) == 0 and "nnstyle" in capsys.readouterr().out


@pytest.fixture
def closed_pipe():
    """A stream whose reader is gone."""
    read, write = os.pipe()
    os.close(read)
    stream = open(write, "w")
    yield stream
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_a_closed_pipe_stays_what_it_is(folder, closed_pipe, monkeypatch):
    """What a program's descriptors lead to is its own affair; nor may one be opened and left."""
    descriptor, open_ones = closed_pipe.fileno(), len(os.listdir("/dev/fd"))
    before = os.fstat(descriptor)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", closed_pipe)
        patch.setattr(sys, "stderr", closed_pipe)
        assert paint(folder) == 0
        assert weights(["inspect", "pocket"]) == 0
        assert main(["missing.png", "missing.png"]) == 2
    assert (folder / "stylized.png").exists()
    assert os.path.samestat(os.fstat(descriptor), before)
    assert len(os.listdir("/dev/fd")) == open_ones

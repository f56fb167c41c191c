"""SIGTERM and SIGHUP do what Ctrl-C does: the best picture is saved, the status is 128 + signal."""

import contextlib
import fcntl
import itertools
import os
import re
import signal
import struct
import termios
import threading
import time

import pytest

import nnstyle
import nnstyle.cli
import nnstyle.pictures
from nnstyle.cli.signals import Ended, signals_end_the_work
from nnstyle.progress import Progress
from tests.support.command import files, start
from tests.support.patience import PATIENCE
from tests.support.pictures import stored_settings

pytestmark = pytest.mark.slow  # most of them start processes, or paint several times

NAMES = ["SIGINT", "SIGTERM", "SIGHUP"]
NUMBERS = [getattr(signal, name) for name in NAMES]


@pytest.fixture(autouse=True)
def default_handlers():
    """Nothing is ignored: a shell has programs in the background ignore Ctrl-C, and `nohup` SIGHUP."""
    before = [signal.signal(number, signal.SIG_DFL) for number in NUMBERS]
    yield
    for number, handler in zip(NUMBERS, before):
        signal.signal(number, handler)


def paint_until(folder, number, **how):
    """The exit status of a run that gets a signal after its first line, and the other lines."""
    arguments = ["content.png", "style.png", "--size", "48", "--iterations", "300", "-o", "x.png"]
    with start(folder, *arguments, **how) as process:
        assert process.stderr.readline().startswith("iteration")
        process.send_signal(number)
        lines = process.stderr.read().splitlines()
    return process.returncode, [line for line in lines if not line.startswith("iteration")]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_the_best_picture_so_far_is_saved(folder, name):
    number = getattr(signal, name)
    status, (line,) = paint_until(folder, number)
    assert status == 128 + number
    assert re.match(rf"nnstyle: ended by {name}.*; the best picture so far is saved: x.png", line)
    assert set(files(folder)) == {"content.png", "style.png", "x.png"}


@pytest.mark.parametrize("name", NAMES)
def test_within_the_block_a_signal_is_an_exception_that_names_it(name):
    number = getattr(signal, name)
    with pytest.raises(Ended) as caught, signals_end_the_work():
        os.kill(os.getpid(), number)
    assert caught.value.signal == number
    assert signal.getsignal(number) == signal.SIG_DFL


def test_only_the_first_one_raises():
    with signals_end_the_work():
        with pytest.raises(Ended):
            os.kill(os.getpid(), signal.SIGTERM)
        for number in NUMBERS:
            os.kill(os.getpid(), number)


def test_one_that_a_finalizer_swallowed_is_raised_again():
    with signals_end_the_work() as work:
        work.check()
        with contextlib.suppress(Ended):
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Ended):
            work.check()


def test_one_that_comes_early_leaves_no_handler(monkeypatch):
    set_handler = signal.signal

    def signal_at_once(number, handler):
        before = set_handler(number, handler)
        if handler is not signal.SIG_DFL:
            os.kill(os.getpid(), number)
        return before

    with monkeypatch.context() as patch, pytest.raises(Ended):
        patch.setattr(signal, "signal", signal_at_once)
        with signals_end_the_work():
            pytest.fail("it was ended before")
    assert all(signal.getsignal(number) is signal.SIG_DFL for number in NUMBERS)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_what_the_caller_ignores_or_handles_is_left_to_it(handler):
    before = signal.signal(signal.SIGHUP, handler)
    try:
        with signals_end_the_work():
            assert signal.getsignal(signal.SIGHUP) is handler
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_interrupts_a_picture_that_is_being_saved():
    with signals_end_the_work() as work:
        work.is_over = True
        for number in NUMBERS:
            os.kill(os.getpid(), number)


def after_a_signal(function):
    """The function, before which a signal comes each time; what it puts back, it still puts back."""

    def call(*given, **options):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            result = function(*given, **options)
        return result

    return call


# What happens between the last iteration and the end of the program.
AT_THE_END = {
    "the picture is made": (nnstyle.pictures, "deprocess"),
    "the engine ends": (nnstyle.Engine, "__exit__"),
    "the progress ends": (Progress, "__exit__"),
    "the picture is written": (nnstyle.cli, "save_image"),
    "the checkpoint is removed": (nnstyle.cli.checkpoints.Checkpoints, "remove"),
}
SMALL = [
    "content.png",
    "style.png",
    "--size",
    "48",
    "--border",
    "0",
    "--checkpoint",
    "0",
    "-q",
    "-o",
    "x.png",
]


@pytest.mark.parametrize("where", AT_THE_END)
def test_one_after_the_last_iteration_costs_no_picture(folder, monkeypatch, capsys, where):
    monkeypatch.chdir(folder)
    owner, name = AT_THE_END[where]
    monkeypatch.setattr(owner, name, after_a_signal(getattr(owner, name)))
    status = nnstyle.cli.main([*SMALL, "--iterations", "2"])
    assert set(files(folder)) == {"content.png", "style.png", "x.png"}
    stderr = capsys.readouterr().err
    if status == 0:
        assert stderr == ""
    else:  # the run had not returned: the picture is that of its last iteration
        assert status == 143 and "the best picture so far is saved: x.png" in stderr
    assert stored_settings(folder / "x.png")["losses"]["iteration"] == 2


@pytest.mark.parametrize("where", AT_THE_END)
def test_nor_does_another_one_long_after_the_first(folder, monkeypatch, capsys, where):
    monkeypatch.chdir(folder)
    owner, name = AT_THE_END[where]
    run, now = nnstyle.cli.run, time.monotonic

    def ended_run(job, engine, callback, resume):
        def on_iteration(event):
            callback(event)
            if event.record.iteration == 2:
                monkeypatch.setattr(owner, name, after_a_signal(getattr(owner, name)))
                try:
                    os.kill(os.getpid(), signal.SIGINT)
                finally:
                    monkeypatch.setattr(time, "monotonic", lambda: now() + 60)

        return run(job, engine, on_iteration, resume)

    monkeypatch.setattr(nnstyle.cli, "run", ended_run)
    assert nnstyle.cli.main([*SMALL, "--iterations", "9"]) == 130
    assert "interrupted; the best picture so far is saved: x.png" in capsys.readouterr().err
    assert set(files(folder)) == {"content.png", "style.png", "x.png"}


def test_one_while_another_failure_gets_its_picture_costs_none(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    compute, evaluations = nnstyle.Objective.__call__, itertools.count()

    def fail(self, image):
        if next(evaluations) == 4:
            monkeypatch.setattr(nnstyle.pictures, "deprocess", after_a_signal(nnstyle.pictures.deprocess))
            raise MemoryError
        return compute(self, image)

    monkeypatch.setattr(nnstyle.Objective, "__call__", fail)
    assert nnstyle.cli.main([*SMALL, "--iterations", "9"]) == 143
    assert "the best picture so far is saved: x.png" in capsys.readouterr().err


def test_in_another_thread_nothing_breaks(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = [signal.getsignal(number) for number in NUMBERS]
    arguments = ["content.png", "style.png", "--size", "48", "--iterations", "2", "--border", "0", "-q"]
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(nnstyle.cli.main(arguments)))
    thread.start()
    thread.join()
    assert statuses == [0]
    assert [signal.getsignal(number) for number in NUMBERS] == before


@pytest.mark.slow
def test_a_terminal_that_is_gone_costs_no_picture(folder):
    """The connection is cut: SIGHUP comes, and nothing can be written to the terminal any more."""
    terminal, its_end = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    os.set_blocking(terminal, False)
    arguments = ["content.png", "style.png", "--size", "48", "--iterations", "300", "-o", "x.png"]
    process = start(folder, *arguments, stderr=its_end)
    os.close(its_end)
    shown = b""
    while b"1/300" not in shown:
        time.sleep(0.05)
        try:
            shown += os.read(terminal, 65536)
        except BlockingIOError:
            pass
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 129
    assert set(files(folder)) == {"content.png", "style.png", "x.png"}

"""SIGTERM and SIGHUP do what Ctrl-C does: the best picture is saved, the status is 128 + signal."""

import fcntl
import os
import re
import signal
import struct
import termios
import threading
import time

import pytest

import nnstyle.cli
from nnstyle.cli.signals import Ended, no_interruption, signals_end_the_work
from tests.support.command import files, start

NAMES = ["SIGINT", "SIGTERM", "SIGHUP"]


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
    before = signal.getsignal(number)
    signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(Ended) as caught, signals_end_the_work():
            os.kill(os.getpid(), number)
        assert caught.value.signal == number
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_second_one_at_once_is_the_same_wish_and_a_later_one_is_not(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("nnstyle.cli.signals.time.monotonic", lambda: now[0])
    caught = []
    with signals_end_the_work():
        for seconds in (0, 1, 1, 4):
            now[0] += seconds
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except Ended:
                caught.append(now[0])
    assert caught == [0, 6]


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda number, frame: None])
def test_what_the_caller_ignores_or_handles_is_left_to_it(handler):
    before = signal.signal(signal.SIGHUP, handler)
    try:
        with signals_end_the_work():
            assert signal.getsignal(signal.SIGHUP) is handler
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_interrupts_a_picture_that_is_being_written():
    with signals_end_the_work():
        with no_interruption():
            for name in NAMES:
                os.kill(os.getpid(), getattr(signal, name))
        with pytest.raises(Ended):
            os.kill(os.getpid(), signal.SIGTERM)


def test_in_another_thread_nothing_breaks(folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = [signal.getsignal(getattr(signal, name)) for name in NAMES]
    arguments = ["content.png", "style.png", "--size", "48", "--iterations", "2", "--border", "0", "-q"]
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(nnstyle.cli.main(arguments)))
    thread.start()
    thread.join()
    assert statuses == [0]
    assert [signal.getsignal(getattr(signal, name)) for name in NAMES] == before


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
    process.communicate(timeout=60)
    assert process.returncode == 129
    assert set(files(folder)) == {"content.png", "style.png", "x.png"}

"""What is shown on a terminal, here a pseudo-terminal."""

import os
import pty
import re
import termios

import pytest

from tests.support.command import SMALL, start

OWN = ["content.png", "style.png", *SMALL]
LONGER = [*OWN, "--iterations", "30"]


def on_terminal(folder, *arguments, columns=120):
    """Run with standard error on a pseudo-terminal: (exit status, what was shown on it, standard output)."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    with start(folder, *arguments, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # Linux's way to say that the other end is closed
                part = b""
            if not part:
                break
            shown += part
        stdout = process.stdout.read()
    os.close(ours)
    return process.returncode, shown.decode(), stdout


@pytest.mark.slow
def test_a_bar_on_a_terminal(folder):
    status, shown, stdout = on_terminal(folder, *LONGER)
    assert status == 0 and "content-style.png" in stdout
    left = r"\[(\d+:\d+|\?) left\]"
    assert re.search(rf"\d+% ?\|.*\| *\d+/30 {left} loss \S+ = content \S+ \+ style \S+", shown)
    assert "iteration" not in shown and shown.count("\n") <= 1


@pytest.mark.slow
def test_a_narrow_terminal_shows_the_time_left(folder):
    _, shown, _ = on_terminal(folder, *LONGER, columns=40)
    assert re.search(r"\d/30 \[\d+:\d+ left\]", shown)


@pytest.mark.slow
def test_quiet_prints_nothing_on_a_terminal(folder):
    assert on_terminal(folder, *OWN, "-q") == (0, "", "")

"""Progress from Python: one line in a notebook (here a stand-in for IPython), a bar or lines elsewhere."""

import re
import sys
from types import ModuleType, SimpleNamespace

import pytest

from nnstyle import prepare, run, stylize
from nnstyle.notebook import in_notebook
from nnstyle.weights import download
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

HOW = {"size": 48, "iterations": 5, "border": 0}
LAST_LINE = r"100% \|█{10}\| 5/5 \[00:00 left\] loss \S+ = content \S+ \+ style \S+"


def paint(**options):
    return stylize(noise(40, 48), noise(48, 44), tiny_weights(), **HOW, **options)


class Cell:
    """The output of a cell: what `display` has shown, each with all that took its place."""

    def __init__(self):
        self.outputs = []

    def display(self, data, raw, display_id):
        assert raw and display_id
        self.outputs.append([data["text/plain"]])
        return SimpleNamespace(update=lambda data, raw: self.outputs[-1].append(data["text/plain"]))


@pytest.fixture
def cell(monkeypatch):
    """A notebook's cell."""
    shown = Cell()
    shell = SimpleNamespace(kernel=object())
    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython, module.display = lambda: shell, shown.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    shown.shell = shell
    return shown


def test_a_notebook_shows_one_line(cell, capsys):
    paint(progress=True)
    (lines,) = cell.outputs
    assert re.fullmatch(LAST_LINE, lines[-1]) and lines[0].startswith("  0% |")
    assert all("\r" not in line and "\n" not in line for line in lines)
    assert capsys.readouterr() == ("", "")


def test_after_an_interruption_the_line_says_how_far_it_was(cell):
    def interrupt(event):
        if event.record.iteration == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paint(progress=True, callback=interrupt)
    (lines,) = cell.outputs
    assert " 3/5 [" in lines[-1]


def test_python_shows_nothing_unless_asked(cell, capsys):
    paint()
    assert cell.outputs == [] and capsys.readouterr() == ("", "")


def test_ipython_in_a_terminal_is_no_notebook(cell, monkeypatch, capsys):
    assert in_notebook()
    del cell.shell.kernel
    assert not in_notebook()
    paint(progress=True)
    assert cell.outputs == [] and "iteration 5 of 5" in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_notebook()


def test_a_log_gets_a_line_now_and_then(capsys):
    result = paint(progress=True, callback=lambda event: event.record.iteration == 4)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"iteration {i} of 5" for i in range(1, 5)]
    assert len(result.losses) == 4  # the callback is called as well


def test_a_terminal_gets_a_bar_that_leaves_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    paint(progress=True)
    shown = capsys.readouterr().err
    assert "| 0/5" in shown and "\n" not in shown
    assert shown.endswith("\r") and shown.split("\r")[-2].strip() == ""  # wiped out


def test_a_resumed_run_shows_where_it_goes_on(cell):
    job = prepare(noise(40, 48), noise(48, 44), tiny_weights(), **HOW)
    states = []
    run(job, callback=lambda event: states.append(event.state()))
    run(job, resume=states[2], progress=True)
    (lines,) = cell.outputs
    assert " 3/5" in lines[0] and " 5/5" in lines[-1]


def test_a_download_shows_its_line_in_a_notebook(cell, monkeypatch, tmp_path):
    import pooch

    def retrieve(address, checksum, file, folder, downloader):
        downloader.progressbar.update(1 << 20)
        return tmp_path / file

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    network = SimpleNamespace(file="net.npz", size=1 << 21, checksum="")
    download.retrieve("https://example.com", network, tmp_path, progress=True)
    (lines,) = cell.outputs
    assert "net.npz" in lines[-1] and "50%" in lines[-1]
    download.retrieve("https://example.com", network, tmp_path, progress=False)
    assert len(cell.outputs) == 1

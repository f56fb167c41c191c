"""The benchmark of tiles: that it runs, and that its figures mean what they say."""

import re

import pytest

from nnstyle.benchmark import tiles, work


def test_times_are_medians_for_each_pixel(capsys, monkeypatch):
    clock = iter((2.0, 3.0, 4.0, 6.0, 9.0, 9.0))  # whole and by tiles, in turn
    monkeypatch.setattr(work, "seconds_of", lambda function: next(clock))
    assert tiles.main(["--size", "64", "--tile", "32", "--rounds", "3", "--threads", "1"]) == 0
    shown = capsys.readouterr().out
    per_megapixel = 1e6 / 64**2
    assert f"whole {4 * per_megapixel:.2f}, in tiles of 32 px {6 * per_megapixel:.2f}, 1.50 times" in shown


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(capfd):
    assert tiles.main(["--memory", "128x64", "64x96", "--tile", "32", "--iterations", "1"]) == 0
    lines = capfd.readouterr().out.splitlines()
    starts = ["pocket, 128 x 64 px in tiles of 32 px", "pocket, 64 x 96 px whole"]
    assert [line.split(":")[0] for line in lines] == starts
    for line in lines:
        peak = float(re.search(r"peak ([\d.]+) GB \(estimated [\d.]+\), optimizer lbfgs$", line)[1])
        assert 0.05 < peak < 1


def test_a_process_that_fails_is_told(monkeypatch, capsys):
    monkeypatch.setattr(tiles.sys, "executable", "false")
    assert tiles.main(["--memory", "64x64"]) == 2
    assert "painting 64 x 64 px failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--tile", "3"], "a tile must have at least 16 px"),
        (["--memory", "4096"], "4096 is not a size such as 4096x2048"),
        (["--memory", "64x64", "31x64"], "31x64 is not a size such as 4096x2048"),
        (["--memory", "64x64", "--threads", "0"], "threads must be"),
        (["--size", "9999999"], "is not a number from 64 to 8192"),
        (["--network", "resnet"], "invalid choice"),
    ],
)
def test_bad_arguments(capsys, arguments, message):
    assert tiles.main(arguments) == 2
    assert message in capsys.readouterr().err

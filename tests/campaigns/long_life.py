"""Many small runs in one process: its memory, open files and threads must not grow.

``python -m tests.campaigns.long_life`` paints tiny pictures with random settings, through the command
line's ``main`` and through ``nnstyle.stylize``. Some runs end early: by bad input, by the callback, or by an
exception that it raises. After a warm-up, this process's memory, open files, threads and temporary files are
measured after each run. It is flat if a straight line through the measured memory rises by at most
--most-rise from the first run to the last, and if files and threads are no more than after the warm-up.
The warm-up is a fifth of the time: what the libraries keep for later runs grows for some hundred of them.
"""

import argparse
import contextlib
import gc
import io
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

import nnstyle
from nnstyle.cli import main as command_line
from nnstyle.notes import heard_by
from nnstyle.optimizers import OPTIMIZERS
from tests.support.command import make_pictures
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

from .findings import Findings

WARM_UP = 0.2  # of the time
PAGE = os.sysconf("SC_PAGE_SIZE")


class Halt(Exception):
    """What a callback raises to end a run."""


def random_settings(rng):
    """Settings that take no time, as keyword arguments."""
    settings = {
        "size": int(rng.integers(48, 100)),
        "iterations": int(rng.integers(2, 6)),
        "scales": [None, 1, 2][rng.integers(3)],
        "border": int(rng.integers(0, 9)),
        "init": str(rng.choice(["recoloured", "content", "noise", "style"])),
        "optimizer": str(rng.choice(list(OPTIMIZERS))),
        "pooling": str(rng.choice(["max", "average"])),
        "tv_weight": float(rng.integers(2)),
        "style_scale": float(rng.choice([1.0, 1.2])),
    }
    if settings["scales"] == 2:
        settings["size"] += 40  # half of it is still a picture
    return settings


def paint(rng):
    """Call `nnstyle.stylize` with random pictures; return how it ended."""
    content = noise(*(int(edge) for edge in rng.integers(80, 120, size=2)))
    style = noise(*(int(edge) for edge in rng.integers(80, 120, size=2)))
    how = {"threads": int(rng.integers(1, 4)), "low_memory": bool(rng.integers(2))}
    end = str(rng.choice(["finished", "stopped by the callback", "ended by an exception", "refused"]))
    if end == "refused":
        how["alpha"] = float("nan")

    def callback(event):
        if end == "ended by an exception" and event.record.iteration == 2:
            raise Halt
        event.image()
        return end == "stopped by the callback"

    with heard_by(str):
        try:
            nnstyle.stylize(content, style, tiny_weights(), callback, **how, **random_settings(rng))
        except (Halt, nnstyle.InputError) as error:
            return "refused" if isinstance(error, nnstyle.InputError) else end
    return end


def run_command(rng, folder):
    """Run the command line in this process; return how it ended."""
    words = ["content.png", "style.png", "-o", "out.png", "--threads", str(rng.integers(1, 4))]
    for name, value in random_settings(rng).items():
        if value is not None:
            words += ["--" + name.replace("_", "-"), str(value)]
    words += ["--low-memory"] if rng.integers(2) else ["--checkpoint", "0.001"]
    if rng.random() < 0.25:
        words[rng.integers(len(words))] = "no-such-thing"
    silence = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(silence),
        contextlib.redirect_stderr(silence),
    ):
        return f"command, status {command_line(words)}"


def measure():
    """Resident memory (bytes), open files and threads of this process."""
    gc.collect()
    with open("/proc/self/statm") as file:
        memory = int(file.read().split()[1]) * PAGE
    return memory, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def rise(memory):
    """By how much a straight line through the values rises from the first to the last: least squares."""
    if len(memory) < 2:
        return 0.0
    slope, _ = np.polyfit(np.arange(len(memory)), memory, 1)
    return slope * (len(memory) - 1)


def live(minutes, seed):
    """Run for so many minutes; return the measurements, {how runs ended: how many}, and the files left."""
    rng, ends, measurements = np.random.default_rng(seed), Counter(), []
    begin = shown = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, temporary_files_in(Path(folder, "temporary")) as temporary:
        place = Path(folder, "place")
        place.mkdir()
        make_pictures(place)
        while time.monotonic() - begin < 60 * minutes:
            ends[paint(rng) if rng.integers(2) else run_command(rng, place)] += 1
            if time.monotonic() - begin > 60 * minutes * WARM_UP:
                measurements.append(measure())
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                show(measure(), ends.total(), shown - begin)
        inputs = {"content.png", "style.png", "out.png"}
        left = [*os.listdir(temporary), *(set(os.listdir(place)) - inputs)]
    return measurements, ends, left


@contextlib.contextmanager
def temporary_files_in(folder):
    """Within the block, temporary files are made in this new folder."""
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before


def show(measurement, runs, seconds):
    """Print a line of what was measured."""
    memory, open_files, threads = measurement
    print(
        f"{seconds / 60:5.1f} min {runs:6} runs {memory / 1e6:8.1f} MB {open_files:4} open files"
        f" {threads:4} threads",
        flush=True,
    )


def judge(measurements, left, most_rise):
    """What has grown, in words: nothing, if all is flat. Memory may have risen by `most_rise` MB."""
    memory, open_files, threads = np.array(measurements, float).T
    grown = []
    if rise(memory) > 1e6 * most_rise:
        grown.append(f"memory has risen by {rise(memory) / 1e6:.1f} MB over {len(memory)} runs")
    # The first few may be low by chance: what counts is that the end is not above all that was before.
    middle = len(memory) // 2
    for name, counts in (("open files", open_files), ("threads", threads)):
        if counts[middle:].min() > counts[:middle].min():
            grown.append(f"{name}: {counts[:middle].min():.0f} became {counts[middle:].min():.0f}")
    if left:
        grown.append(f"files are left lying: {', '.join(sorted(left))[:500]}")
    return grown


def make_parser():
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.long_life",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--minutes", type=float, default=15, metavar="M", help="how long (default: %(default)s)"
    )
    parser.add_argument(
        "--most-rise", type=float, default=16, metavar="MB", help="of memory (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="other runs (default: %(default)s)")
    parser.add_argument(
        "--findings", default="findings", metavar="FOLDER", help="where what is found is kept"
    )
    return parser


def main(argv=None):
    """Run the campaign; return 1 if anything grows, else 0."""
    arguments = make_parser().parse_args(argv)
    findings = Findings(arguments.findings)
    measurements, ends, left = live(arguments.minutes, arguments.seed)
    for what in judge(measurements, left, arguments.most_rise):
        findings.add("growing", f"{what}\n{ends}\n{measurements}")
    for end, count in ends.most_common():
        print(f"{count:6} {end}")
    runs, memory = len(measurements), [memory for memory, _, _ in measurements]
    show(measurements[-1], ends.total(), 60 * arguments.minutes)
    print(
        f"{'growing' if findings.count else 'flat'}: a straight line through the memory rises by"
        f" {rise(memory) / 1e6:.1f} MB ({arguments.most_rise:g} are allowed) over {runs} runs"
    )
    return 1 if findings.count else 0


if __name__ == "__main__":
    sys.exit(main())

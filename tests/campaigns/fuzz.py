"""Give the program what nobody should: it succeeds, or says in one clear line what is wrong.

``python -m tests.campaigns.fuzz`` tries, in turn and until its time is over, damaged and hostile weights
files, pictures and checkpoints, random command lines, and random arguments of ``nnstyle.stylize``. On the command line
there must be status 0, or status 2 and exactly one line on standard error; in Python, a picture, an
InputError or a NotFiniteError. Anything else is a finding: a traceback, a crash, a hang, an input that was
replaced, or more memory or time than a small picture can need (``MOST_RISE`` and ``MOST_WORK`` in worker.py).
"""

import argparse
import importlib
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from .findings import Findings, one_line
from .random_input import random_call, random_command
from .worker import FOUND, Worker

KINDS = "weights", "pictures", "checkpoints", "commands", "settings"
FILES = "weights", "pictures", "checkpoints"  # of which each has a module that makes them
MOST_SECONDS = 200  # after which a case is given up, on a busy machine as well
MOST_MEMORY = (
    4 << 30
)  # bytes of address space, beyond which nothing is given: the libraries alone take half of it


@dataclass
class Figures:
    """What a table tells of the cases of one kind or format."""

    outcomes: Counter = field(default_factory=Counter)
    peak: int = 0
    slowest: float = 0.0

    def add(self, answer):
        """Count a case."""
        self.outcomes[answer.outcome] += 1
        self.peak = max(self.peak, answer.peak)
        self.slowest = max(self.slowest, answer.seconds)


def cases(kind, seed):
    """Cases of a kind, without end: (name for the table, what the worker needs)."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    if kind in FILES:
        module = importlib.import_module(f"tests.campaigns.hostile_{kind}")
        for name, data in module.mutants(rng):
            yield f"{kind}: {name}", (name, bytes(data))
    while kind == "commands":
        yield kind, random_command(rng)
    while kind == "settings":
        yield kind, [int(number) for number in rng.integers(1 << 32, size=2)]


def run(kinds, seed, minutes, findings):
    """Try cases of these kinds in turn until the time is over; return {name: Figures}."""
    table = {}
    end = time.monotonic() + 60 * minutes
    sources = {kind: cases(kind, seed) for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        worker = Worker(folder, MOST_MEMORY)
        try:
            while time.monotonic() < end:
                for kind, source in sources.items():
                    name, content = next(source)
                    answer = worker.try_case((kind, content), MOST_SECONDS)
                    table.setdefault(name, Figures()).add(answer)
                    if answer.outcome == FOUND:
                        keep(findings, name, kind, content, answer)
        finally:
            worker.stop()
    return table


def keep(findings, name, kind, content, answer):
    """Keep a finding, with all that is needed to see it again."""
    last_line = answer.text.strip().splitlines()[-1]
    if kind in FILES:
        file_name, data = content
        findings.add(name, f"{last_line}\n{answer.text}", {file_name: data})
        return
    shown = content if kind == "commands" else described(random_call(np.random.default_rng(content)))
    findings.add(kind, f"{last_line}\n{ascii(shown)}\n{answer.text}")


def described(arguments):
    """Arguments in a few words each."""
    texts = {}
    for name, value in arguments.items():
        try:
            texts[name] = f"{type(value).__name__} {value!r:.100}"
        except Exception as error:  # noqa: BLE001  # some values are made to fail here
            texts[name] = f"{type(value).__name__} ({error})"
    return texts


def show(table, minutes):
    """Print the table."""
    print(f"{'':40} {'tried':>7} {'done':>6} {'refused':>8} {'found':>6} {'most MB':>8} {'slowest':>8}")
    total = Figures()
    for name in sorted(table):
        print(line(name, table[name]))
        total.outcomes += table[name].outcomes
        total.peak = max(total.peak, table[name].peak)
        total.slowest = max(total.slowest, table[name].slowest)
    print(line(f"all, in {minutes:g} minutes", total))


def line(name, figures):
    """A line of the table."""
    counts = figures.outcomes
    return (
        f"{one_line(name)[:40]:40} {counts.total():7} {counts['done']:6} {counts['refused']:8}"
        f" {counts['found']:6} {figures.peak / 1e6:8.0f} {figures.slowest:6.1f} s"
    )


def make_parser():
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--minutes", type=float, default=10, metavar="M", help="how long (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="other cases (default: %(default)s)")
    parser.add_argument("--only", choices=KINDS, help="cases of this kind only")
    parser.add_argument(
        "--findings", default="findings", metavar="FOLDER", help="where what is found is kept"
    )
    return parser


def main(argv=None):
    """Run the campaign; return 1 if anything was found, else 0."""
    arguments = make_parser().parse_args(argv)
    findings = Findings(arguments.findings)
    kinds = [arguments.only] if arguments.only else KINDS
    show(run(kinds, arguments.seed, arguments.minutes, findings), arguments.minutes)
    print(f"{findings.count} findings")
    return 1 if findings.count else 0


if __name__ == "__main__":
    sys.exit(main())

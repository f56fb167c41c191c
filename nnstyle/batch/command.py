"""Arguments -> pairs -> pictures in a folder, and a report."""

import argparse
import contextlib
import dataclasses
import importlib.util
import os
import secrets
import sys
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..cli import complain, given_settings, ignore, show_note, usual_transparency
from ..cli.process import run_as_process
from ..cli.signals import Work, exit_status, signals_end_the_work
from ..errors import GpuError, InputError, why_not_written
from ..files import check_writable, write_over
from ..job import check_layers, check_objective, load_network
from ..network import layers_of
from ..notes import heard_by, note
from ..pictures import pictures_in
from ..pictures.saving import check_output
from ..progress import say
from ..settings import INITIAL_IMAGES, Settings
from ..weights import Weights
from .arguments import make_parser
from .bar import Bar
from .journal import Journal
from .order import read_common
from .pairs import Pair, pairs_of

if TYPE_CHECKING:
    from distributed import Client

    from .cluster import Crew
    from .plan import Plan
    from .work import Done

NEEDED = "distributed", "cryptography"
NO_DASK = "nnstyle-batch: Dask is not installed: pip install 'nnstyle[batch]'"
MOST_REASONS = 5  # of pictures that failed are printed; the report has all


def command() -> None:
    """``nnstyle-batch`` and ``python -m nnstyle.batch``: run `main` as a process of its own."""
    run_as_process(main)


def main(argv: list[str] | None = None) -> int:
    """Run the command line in this process.

    Parameters
    ----------
    argv : list of str, optional
        The arguments, by default those of the process.

    Returns
    -------
    int
        The exit status: 0 if all pictures are there, 1 if some failed, 2 for bad options or input, 128 + the
        number of the signal that ended the work: 130 after Ctrl-C.
    """
    try:
        arguments = make_parser().parse_intermixed_args(argv)
    except SystemExit as end:  # --help, --version or bad options: all is said
        return int(end.code or 0)
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        say(NO_DASK, sys.stderr)
        return 2
    try:
        with signals_end_the_work() as work, heard_by(ignore if arguments.quiet else show_note):
            return Batch(arguments).paint(work)
    except (InputError, GpuError) as error:
        complain(error)
    except KeyboardInterrupt as error:
        complain(error)
        return exit_status(error)
    return 2


class Batch:
    """A command line, checked as far as that is possible without decoding its pictures.

    Parameters
    ----------
    arguments : argparse.Namespace

    Raises
    ------
    InputError
        For anything given that cannot be used.
    """

    def __init__(self, arguments: argparse.Namespace):
        self.arguments = arguments
        self.pairs = pairs_of(arguments)
        self.settings = Settings(**given_settings(arguments, is_sample=False))
        self.folder = make_folder(arguments.output)
        for output in {Path(pair.output).suffix: pair.output for pair in self.pairs}.values():
            self.settings_of(output)
            check_output(self.folder / output, self.settings.bits)
        check_writable(*(self.folder / pair.output for pair in self.pairs))
        self.weights = load_network(
            arguments.weights or "pocket", self.settings.preprocessing, progress=not arguments.quiet
        )
        check_network(self.weights, self.settings)
        check_inputs_stay(self.folder, self.pairs, self.inputs())
        self.common = read_common(self.settings, self.weights.sha256)

    def settings_of(self, output: str) -> Settings:
        """The settings of a picture of this name: not all formats can be transparent."""
        given = given_settings(self.arguments, is_sample=False)
        return dataclasses.replace(self.settings, transparency=usual_transparency(output, given))

    def inputs(self) -> Iterator[Path]:
        """All files that are read."""
        for pair in self.pairs:
            yield pair.photo
        for style in {pair.style for pair in self.pairs}:
            yield from pictures_in(style) if style.is_dir() else [style]
        if self.settings.init not in INITIAL_IMAGES:
            yield Path(self.settings.init)
        if self.settings.rescale_over is not None:
            yield from pictures_in(self.settings.rescale_over)
        if self.weights.path:
            yield self.weights.path
        if self.arguments.pairs is not None:
            yield Path(self.arguments.pairs)

    def chains(self) -> list[list[Pair]]:
        """The pictures that are painted one after the other: with ``--from-previous`` those of one style."""
        if not self.arguments.from_previous:
            return [[pair] for pair in self.pairs]
        by_style: dict[Path, list[Pair]] = {}
        for pair in self.pairs:
            by_style.setdefault(pair.style, []).append(pair)
        return list(by_style.values())

    def paint(self, signals: Work) -> int:
        """Paint all, save each picture as it comes, and report; return the exit status."""
        began = time.monotonic()
        all_done: list[Done] = []
        with (
            Journal(self.folder, self.arguments.resume) as journal,
            Bar(len(self.pairs), self.arguments.quiet) as bar,
        ):
            if journal.found and not self.arguments.resume:
                note(f"{self.folder} has {journal.found} pictures of an earlier batch: --resume keeps them")
            try:
                with contextlib.closing(self.outcomes(journal)) as outcomes:
                    for done in outcomes:
                        self.save(done, journal)
                        all_done.append(done)
                        bar.update(done.is_kept, bool(done.outcome.reason))
            except KeyboardInterrupt as error:
                error.args = (f"{error}; {bar.words()} of {len(self.pairs)}: --resume goes on",)
                raise
            signals.is_over = True
        self.report(all_done, time.monotonic() - began, bar.words())
        return 1 if bar.failed else 0

    def outcomes(self, journal: Journal) -> "Generator[Done]":
        """Each picture as it comes, from workers that are there as long as it takes."""
        from .cluster import settings_for_dask
        from .work import Work

        with settings_for_dask(), contextlib.ExitStack() as stack:
            work = Work(
                lambda: stack.enter_context(self.crew()),
                self.common,
                self.settings_of,
                journal,
                self.arguments.from_previous,
            )
            yield from work.outcomes(self.chains())

    @contextlib.contextmanager
    def crew(self) -> "Iterator[Crew]":
        """Workers, of this machine or of a cluster, that have what all pictures have in common."""
        from . import cluster, plan, worker

        needed = plan.needed_by(self.settings, self.weights, self.most_paintings())
        address = self.arguments.scheduler
        with contextlib.ExitStack() as stack:
            if address is None:
                chosen = plan.plan_here(self.arguments, needed, len(self.chains()))
                client = stack.enter_context(cluster.workers_here(chosen))
            else:
                client = stack.enter_context(cluster.workers_there(address))
                there = client.run_on_scheduler(cluster.describe_workers)
                chosen = plan.plan_there(self.arguments, needed, there)
            batch = f"nnstyle-{secrets.token_hex(4)}"
            supplies = worker.Supplies(batch, self.weights, self.common, chosen, is_local=address is None)
            stack.enter_context(cluster.supplied(client, supplies))
            self.say_where(client, chosen)
            yield cluster.Crew(client, batch, chosen.resources)

    def most_paintings(self) -> int:
        """In the style that has most."""
        styles = {pair.style for pair in self.pairs}
        return max(len(pictures_in(style)) if style.is_dir() else 1 for style in styles)

    def say_where(self, client: "Client", plan: "Plan") -> None:
        """Say what computes, and where to watch it."""
        from .cluster import dashboard_of

        if self.arguments.quiet:
            return
        where = (
            f"{plan.workers} at a time on this machine" if plan.workers else f"on {self.arguments.scheduler}"
        )
        threads = f"{plan.threads} thread{'s' if plan.threads > 1 else ''} each"
        say(f"{len(self.pairs)} pictures, {where}, {threads}; {dashboard_of(client)}", sys.stderr)

    def save(self, done: "Done", journal: Journal) -> None:
        """Write a picture that has come, whole or not at all, and note it.

        Raises
        ------
        InputError
            If it cannot be written: neither could the others.
        """
        from .report import described

        if done.is_kept or done.outcome.reason:
            return
        path = self.folder / done.pair.output
        try:
            write_over(path, done.outcome.data)
            journal.note(described(done), done.outcome.data)
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({why_not_written(error)}): --resume goes on"
            ) from None
        done.outcome = dataclasses.replace(done.outcome, data=b"")  # the reports need none of it

    def report(self, all_done: "Sequence[Done]", seconds: float, words: str) -> None:
        """Write the reports, and say how it went."""
        from .report import HTML, write_report

        order = {pair.output: number for number, pair in enumerate(self.pairs)}
        in_order = sorted(all_done, key=lambda done: order[done.pair.output])
        failed = [done for done in in_order if done.outcome.reason]
        for done in failed[:MOST_REASONS]:
            complain(f"{done.pair.photo} in the style of {done.pair.style}: {done.outcome.reason}")
        if len(failed) > MOST_REASONS:
            complain(f"{len(failed) - MOST_REASONS} more have failed: {self.folder / HTML} has all reasons")
        words = f"{words} in {seconds:.0f} s"
        try:
            write_report(self.folder, in_order, seconds, words)
        except OSError as error:
            raise InputError(f"the report cannot be written ({why_not_written(error)})") from None
        if not self.arguments.quiet:
            say(f"{self.folder}: {words}; {HTML} shows all", sys.stdout)


def make_folder(path: str) -> Path:
    """The folder of a batch; it is made if its own folder is there."""
    try:
        os.makedirs(path, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"the folder {path} cannot be made: {reason}") from None
    return Path(path)


def check_network(weights: Weights, settings: Settings) -> None:
    """Raise InputError for settings that would fail with every picture."""
    expected = settings.with_scales(settings.size).decided(weights, settings.size, settings.size)
    check_objective(expected, ())
    check_layers(layers_of(weights), expected, ())


def check_inputs_stay(folder: Path, pairs: Sequence[Pair], inputs: Iterable[Path]) -> None:
    """Raise InputError if a picture would replace one of the files that are read.

    Files are compared, not their names, so that a link to an input counts as the input.
    """
    read = set(filter(None, map(identity, inputs)))
    for pair in pairs:
        if identity(folder / pair.output) in read:
            raise InputError(
                f"{folder / pair.output} would replace an input: choose another FOLDER or --name"
            )


def identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from all others, or None if there is no such file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino

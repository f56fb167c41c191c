"""The checkpoint beside the output: found at the beginning, written now and then, removed at the end."""

import argparse
import contextlib
import glob
import os
import time
from dataclasses import dataclass
from pathlib import Path

from ..checkpoint import (
    State,
    checkpoint_path,
    differences_of,
    load_checkpoint,
    save_checkpoint,
    summarize_checkpoint,
)
from ..errors import GpuError, InputError, why_not_written
from ..files import names_near
from ..job import Job
from ..notes import note
from ..result import Event

SHARE = 0.01  # of the time may go into checkpoints: large ones are written less often


def choose_path(arguments: argparse.Namespace, job: Job) -> Path:
    """Where the checkpoint is. If the output has no name of the user's, one of this job is looked for."""
    if arguments.counted_from is None:
        return checkpoint_path(arguments.output)
    stem, ending = arguments.counted_from.stem, arguments.counted_from.suffix
    for path in sorted(arguments.counted_from.parent.glob(f"{glob.escape(stem)}*{ending}.nnstyle")):
        with contextlib.suppress(InputError):  # a file of somebody else's
            differences = differences_of(summarize_checkpoint(path), job)
            if not differences:
                return path
            if arguments.resume:
                note(f"{path} belongs to another job: {'; '.join(differences)}")
    return free_path(arguments.counted_from)


def free_path(counted_from: Path) -> Path:
    """Of the first checkpoint that is not there yet, beside a picture that is not there yet."""
    paths = ((name, checkpoint_path(name)) for name in names_near(counted_from, mark=""))
    return next(path for name, path in paths if not os.path.lexists(name) and not os.path.lexists(path))


@dataclass
class Found:
    """What is there at the beginning.

    Attributes
    ----------
    state : State or None
        To go on from.
    iteration : int
        Which one the checkpoint of this job has reached, 0 if there is none.
    is_strange : bool
        Whether the file is somebody else's, and must stay as it is.
    """

    state: State | None = None
    iteration: int = 0
    is_strange: bool = False


def find(path: Path, job: Job, resume: bool, interval: float) -> Found:
    """Look for a checkpoint, and say what there is.

    Parameters
    ----------
    path : path
        Where it would be.
    job : Job
    resume : bool
        Whether the run is to go on from it.
    interval : float
        Seconds between those that the run writes, 0 if it writes none.

    Raises
    ------
    InputError
        If the run is to go on from a checkpoint that cannot be used.
    """
    iterations = job.settings.iterations
    if not path.exists():
        if resume:
            note(f"there is no checkpoint {path}: beginning anew")
        return Found()
    if resume:
        state = load_checkpoint(path, job)
        note(f"going on after iteration {len(state.records)} of {iterations}")
        return Found(state, len(state.records))
    try:
        summary = summarize_checkpoint(path)
    except InputError as error:
        note(f"{error}; no other is written there")
        return Found(is_strange=True)
    differences = differences_of(summary, job)
    if differences:
        fate = "it stays until this run has one to write" if interval else "it stays"
        note(f"the checkpoint {path} belongs to another job ({'; '.join(differences)}): {fate}")
        return Found()
    reached = len(summary.records)
    note(f"{path} has this picture after iteration {reached} of {iterations}: --resume goes on from there")
    return Found(iteration=reached)


class Schedule:
    """When to write: every so many seconds, or less often where writing takes long.

    Parameters
    ----------
    interval : float
        Seconds, 0: never.
    """

    def __init__(self, interval: float):
        self.interval = self.pause = interval
        self.began = self.latest = time.monotonic()

    def is_due(self) -> bool:
        """Whether it is time to write."""
        return self.interval > 0 and time.monotonic() - self.latest >= self.pause

    def is_worth_it(self) -> bool:
        """Whether the run has lasted so long that its end should be written, whenever it comes."""
        return self.interval > 0 and time.monotonic() - self.began >= self.interval

    def wrote(self, began: float) -> None:
        """Take note of a checkpoint, and when writing it began."""
        self.latest = time.monotonic()
        self.pause = max(self.interval, (self.latest - began) / SHARE)


class Checkpoints:
    """The checkpoint of one run.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``output``, ``counted_from``, ``checkpoint`` (seconds; 0: never) and ``resume`` are used.
    job : Job

    Attributes
    ----------
    state : State or None
        To go on from.
    resumed_at : int
        The last iteration of that state, or 0.
    reached : int
        Iteration of the checkpoint of this job that is in the file, 0 if there is none: only that one is
        removed at the end.
    latest : Event or None
        Of this run.
    """

    def __init__(self, arguments: argparse.Namespace, job: Job):
        self.counted_from: Path | None = arguments.counted_from
        self.path = choose_path(arguments, job)
        self.job = job
        found = find(self.path, job, arguments.resume, arguments.checkpoint)
        self.state, self.reached = found.state, found.iteration
        self.resumed_at = found.iteration if found.state else 0
        self.schedule = Schedule(0 if found.is_strange else arguments.checkpoint)
        self.latest: Event | None = None
        self.complained = False

    def update(self, event: Event) -> None:
        """Take note of an iteration, and write a checkpoint if it is time for one."""
        self.latest = event
        if self.schedule.is_due():
            self.write(event)

    def write(self, event: Event) -> None:
        """Write a checkpoint, or say once that it cannot be written. One that is further is not replaced."""
        if event.record.iteration <= self.reached:
            return
        began = time.monotonic()
        if self.counted_from and not self.reached and self.path.exists():  # since then, of another run
            self.path = free_path(self.counted_from)
        try:
            save_checkpoint(self.path, self.job, event.state())
            self.reached = event.record.iteration
        except (OSError, MemoryError, GpuError) as error:
            if not self.complained:
                note(f"the checkpoint {self.path} cannot be written: {why_not_written(error)}")
            self.complained = True
        self.schedule.wrote(began)

    def write_last(self) -> None:
        """Keep the state of a run that ends before its picture is where it should be, if it was long."""
        if self.latest and self.schedule.is_worth_it():
            self.write(self.latest)

    def advice(self, condition: str = "") -> str:
        """What to say at the end of a run that another can go on from, else nothing."""
        return f"; {condition}--resume goes on after iteration {self.reached}" if self.reached else ""

    def remove(self) -> None:
        """Remove the checkpoint of this job: nobody needs to go on from it any more."""
        if not self.reached:
            return
        try:
            self.path.unlink(missing_ok=True)
            self.reached = 0
        except OSError as error:
            note(f"the checkpoint {self.path} cannot be removed: {error.strerror}")

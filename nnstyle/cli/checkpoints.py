"""The checkpoint beside the output: found at the beginning, written now and then, removed at the end."""

import argparse
import time

from ..checkpoint import (
    State,
    Summary,
    checkpoint_path,
    differences_of,
    load_checkpoint,
    save_checkpoint,
    summarize_checkpoint,
)
from ..errors import GpuError, InputError
from ..job import Job
from ..notes import note
from ..stylize import Event

SHARE = 0.01  # of the time may go into checkpoints: large ones are written less often


class Checkpoints:
    """The checkpoint of one run.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``output``, ``checkpoint`` (seconds; 0: never) and ``resume`` are used.
    job : Job
    """

    def __init__(self, arguments: argparse.Namespace, job: Job):
        self.path = checkpoint_path(arguments.output)
        self.interval = arguments.checkpoint
        self.job = job
        self.began = self.time_written = time.monotonic()
        self.pause = self.interval
        self.latest: Event | None = None
        self.complained = False
        self.reached = 0  # the iteration of this job's checkpoint that is there
        self.is_ours = True  # no file of somebody else's has that name
        self.state = self.find(arguments.resume)
        self.resumed_at = len(self.state.records) if self.state else 0

    def find(self, resume: bool) -> State | None:
        """The state to go on from, where that is wanted, or a note of what there is."""
        iterations = self.job.settings.iterations
        if not self.path.exists():
            if resume:
                note(f"there is no checkpoint {self.path}: beginning anew")
            return None
        if resume:
            state = load_checkpoint(self.path, self.job)
            self.reached = len(state.records)
            note(f"going on after iteration {self.reached} of {iterations}")
            return state
        try:
            found = summarize_checkpoint(self.path)
        except InputError as error:  # a file of somebody else's: it stays as it is
            note(f"{error}; no other is written there")
            self.interval, self.is_ours = 0, False
        else:
            self.look_at(found)
        return None

    def look_at(self, found: Summary) -> None:
        """Say what the checkpoint that is there belongs to. One of this job is replaced only by a later one."""
        differences = differences_of(found, self.job)
        if differences:
            note(f"this run will replace the checkpoint {self.path} of another: {'; '.join(differences)}")
            return
        self.reached = len(found.records)
        note(
            f"{self.path} has this picture after iteration {self.reached} of {self.job.settings.iterations}:"
            " --resume goes on from there"
        )

    def update(self, event: Event) -> None:
        """Take note of an iteration, and write a checkpoint if it is time for one."""
        self.latest = event
        if self.interval and time.monotonic() - self.time_written >= self.pause:
            self.write(event)

    def write(self, event: Event) -> None:
        """Write a checkpoint, or say once that it cannot be written."""
        if event.record.iteration <= self.reached:
            return
        begin = time.monotonic()
        try:
            save_checkpoint(self.path, self.job, event.state())
            self.reached = event.record.iteration
        except (OSError, MemoryError, GpuError) as error:
            if not self.complained:
                why = getattr(error, "strerror", None) or str(error) or "there is not enough memory"
                note(f"the checkpoint {self.path} cannot be written: {why}")
            self.complained = True
        self.time_written = time.monotonic()
        self.pause = max(self.interval, (self.time_written - begin) / SHARE)

    def write_last(self) -> None:
        """Keep the state of a run that was interrupted, if it was long."""
        is_long = self.interval and time.monotonic() - self.began >= self.interval
        if is_long and self.latest is not None:
            self.write(self.latest)

    def advice(self) -> str:
        """What to say at the end of a run that can be resumed, else nothing."""
        return f"; --resume goes on after iteration {self.reached}" if self.reached else ""

    def remove(self) -> None:
        """Remove the checkpoint: the picture is there."""
        if not self.is_ours:
            return
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            note(f"the checkpoint {self.path} cannot be removed: {error.strerror}")

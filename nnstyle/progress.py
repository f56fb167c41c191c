"""What the user sees: a bar in a terminal or a notebook, a line now and then elsewhere, or nothing."""

import contextlib
import statistics
import sys
from collections import deque
from typing import TextIO

from tqdm import tqdm

from .checkpoint import Record
from .engine import Engine
from .job import Job
from .notebook import NotebookLine, in_notebook
from .resources import tile_for_scale, times_as_long
from .settings import Settings

LINES = 10  # and one for the first iteration, where there is no bar

# What an iteration costs, in pixels: those of its canvas, more if it is computed by tiles, and OVERHEAD at any size.
OVERHEAD = 8000
# The first of a scale costs as much as so many others: the targets are found, and the start is evaluated.
FIRST = 3.5
RECENT = 20  # iterations, the latest: they tell how fast it goes


class Progress:
    """A context manager; call `update` after each iteration.

    Parameters
    ----------
    job : Job
    engine : Engine
        What computes it.
    quiet : bool
        Show nothing.
    done : int
        Iterations of an earlier run, from which this one goes on.
    """

    def __init__(self, job: Job, engine: Engine, quiet: bool, done: int = 0):
        settings = self.settings = job.settings
        self.time_left = TimeLeft(job, engine)
        notebook = NotebookLine() if in_notebook() else None
        self.has_bar = notebook is not None or (sys.stderr is not None and sys.stderr.isatty())
        self.quiet = quiet
        self.every = -(-settings.iterations // LINES)  # rounded up
        # The time comes first: a narrow terminal cuts off the end.
        layout = "{percentage:3.0f}% |{bar:10}| {n_fmt}/{total_fmt} {desc}"
        self.bar = tqdm(
            total=settings.iterations,
            initial=done,
            bar_format=layout,
            dynamic_ncols=True,
            disable=quiet or not self.has_bar,
            leave=notebook is not None,
            file=notebook,
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def update(self, record: Record) -> None:
        """Show a record."""
        if self.quiet:
            return
        left = self.time_left.after(record)
        time = "?" if left is None else tqdm.format_interval(left)
        text = describe(record, self.settings)
        if self.has_bar:
            self.bar.set_description_str(f"[{time} left] {text}", refresh=False)
            self.bar.update()
        elif record.iteration == 1 or record.iteration % self.every == 0:
            counted = f"iteration {record.iteration} of {self.settings.iterations}"
            say(f"{counted}: {text} [{time} left]", sys.stderr)


class TimeLeft:
    """Tells from the latest iterations how long those ahead will take.

    Parameters
    ----------
    job : Job
    engine : Engine
        What computes it: whether by tiles counts.
    """

    def __init__(self, job: Job, engine: Engine):
        self.job, self.engine, self.settings = job, engine, job.settings
        self.latest: Record | None = None
        self.paces: deque[float] = deque(maxlen=RECENT)  # seconds for each pixel of the cost

    def after(self, record: Record) -> float | None:
        """Seconds left after a record, to be called with each: None if that cannot be told.

        Before the fifth iteration it is a rough guess.
        """
        if self.latest or record.iteration == 1:  # else a resumed run: these seconds are those of many
            begin = self.latest.seconds if self.latest else 0
            is_first = self.latest is None or record.size > self.latest.size
            cost = self.cost(record.size) * (FIRST if is_first else 1)
            self.paces.append((record.seconds - begin) / cost)
        self.latest = record
        if not self.paces:
            return None
        # Not the mean: now and then an iteration evaluates twice, or waits for another program.
        return statistics.median(self.paces) * self.cost_ahead(record)

    def cost(self, size: int) -> float:
        """The cost of an iteration at a scale, in pixels of a picture that is painted whole."""
        height, width = (round(edge * size / self.settings.size) for edge in self.job.content.shape[:2])
        tile = tile_for_scale(self.job, self.engine, size)
        return self.settings.canvas_pixels(height, width) * times_as_long(self.job, size, tile) + OVERHEAD

    def cost_ahead(self, record: Record) -> float:
        """The cost of all iterations after a record, in pixels."""
        done, planned, cost = record.iteration, 0, 0.0
        for scale in self.settings.each_scale():
            planned += scale.iterations
            count = max(0, planned - done)
            done += count
            # A scale that ended early has left its iterations to the next.
            cost += count * self.cost(max(scale.size, record.size))
            if scale.size > record.size:
                cost += (FIRST - 1) * self.cost(scale.size)
        return cost


def describe(record: Record, settings: Settings) -> str:
    """The loss and its parts, in a few words."""
    content = settings.alpha * record.losses.get("content", 0)
    variation = settings.tv_weight * record.losses.get("total variation", 0)
    style = record.total - content - variation
    text = f"{record.size} px, " if settings.scales != 1 else ""
    text += f"loss {record.total:.3g} = content {content:.3g} + style {style:.3g}"
    return f"{text} + variation {variation:.3g}" if settings.tv_weight else text


def say(text: str, stream: TextIO | None) -> None:
    """Print a line, or give up without an error: a line that cannot be shown must not cost a picture.

    Characters that the stream's encoding lacks are shown as their codes.
    """
    if stream is None or stream.closed:  # None: closed before Python started
        return
    encoding = stream.encoding or "utf-8"
    with contextlib.suppress(OSError):  # the reader is gone, or the disk is full
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)

"""What the user sees: a bar in a terminal, a line now and then elsewhere, or nothing."""

import contextlib
import sys
from typing import TextIO

from tqdm import tqdm

from ..settings import Settings
from ..stylize import Record

LINES = 10  # and one for the first iteration, where there is no terminal


class Progress:
    """A context manager; call `update` after each iteration.

    Parameters
    ----------
    settings : Settings
        Of the job, with beta decided.
    quiet : bool
        Show nothing.
    """

    def __init__(self, settings: Settings, quiet: bool):
        self.settings = settings
        self.in_terminal = sys.stderr is not None and sys.stderr.isatty()
        self.quiet = quiet
        self.every = -(-settings.iterations // LINES)  # rounded up
        self.cost_so_far = 0
        layout = "{percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {desc}"
        self.bar = tqdm(
            total=settings.iterations,
            bar_format=layout,
            dynamic_ncols=True,
            disable=quiet or not self.in_terminal,
            leave=False,
        )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    def update(self, record: Record) -> None:
        """Show a record."""
        self.cost_so_far += record.size**2
        left = record.seconds / self.cost_so_far * cost_ahead(record, self.settings)
        text = f"{describe(record, self.settings)} [{tqdm.format_interval(left)} left]"
        if self.in_terminal:
            self.bar.set_description_str(text, refresh=False)
            self.bar.update()
        elif not self.quiet and (record.iteration == 1 or record.iteration % self.every == 0):
            say(f"iteration {record.iteration} of {self.settings.iterations}: {text}", sys.stderr)


def cost_ahead(record: Record, settings: Settings) -> int:
    """The work that is left, in pixels: an iteration at a small scale takes less time than at a large one."""
    done, end, cost = record.iteration, 0, 0
    for scale in settings.each_scale():
        end += scale.iterations
        # A scale that ended early has left its iterations to the next.
        cost += max(0, end - done) * max(scale.size, record.size) ** 2
        done = max(done, end)
    return cost


def describe(record: Record, settings: Settings) -> str:
    """The loss and its parts, in a few words."""
    content = settings.alpha * record.losses.get("content", 0)
    variation = settings.tv_weight * record.losses.get("total variation", 0)
    style = record.total - content - variation
    text = f"{record.size} px, " if settings.scales > 1 else ""
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

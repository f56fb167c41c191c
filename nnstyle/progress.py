"""What a person sees: a bar in a terminal, a line now and then elsewhere, or nothing."""

import os
import sys

from tqdm import tqdm

LINES = 10  # and one for the first iteration, where there is no terminal


class Progress:
    """A context manager; call `update` after each iteration.

    Parameters
    ----------
    settings : Settings
    quiet : bool
    """

    def __init__(self, settings, quiet):
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

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.bar.close()

    def update(self, record):
        """Show a `Record`."""
        self.cost_so_far += record.size**2
        left = record.seconds / self.cost_so_far * cost_ahead(record, self.settings)
        text = f"{describe(record, self.settings)} [{tqdm.format_interval(left)} left]"
        if self.in_terminal:
            self.bar.set_description_str(text, refresh=False)
            self.bar.update()
        elif not self.quiet and (record.iteration == 1 or record.iteration % self.every == 0):
            say(f"iteration {record.iteration} of {self.settings.iterations}: {text}", sys.stderr)


def cost_ahead(record, settings):
    """What is left to do, in pixels: small scales say little about the time that large ones take."""
    done, end, cost = record.iteration, 0, 0
    for scale in settings.each_scale():
        end += scale.iterations
        # A scale that ended early has left its iterations to the next.
        cost += max(0, end - done) * max(scale.size, record.size) ** 2
        done = max(done, end)
    return cost


def describe(record, settings):
    """The loss and what it is made of, in few words."""
    content, variation = settings.alpha * record.content, settings.tv_weight * record.total_variation
    style = record.total - content - variation
    text = f"{record.size} px, " if settings.scales > 1 else ""
    text += f"loss {record.total:.3g} = content {content:.3g} + style {style:.3g}"
    return f"{text} + variation {variation:.3g}" if settings.tv_weight else text


def say(text, stream):
    """Print a line, come what may: no terminal's alphabet and no closed pipe may cost a picture."""
    if stream is None:  # closed before Python started
        return
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError:  # nobody reads any more, or a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

"""How far a batch is: a bar in a terminal, a line now and then elsewhere, or nothing."""

import sys
import time

from tqdm import tqdm

from ..progress import LINES, say


class Bar:
    """A context manager; call `update` after each picture.

    Parameters
    ----------
    total : int
        Pictures.
    quiet : bool
        Show nothing.
    """

    def __init__(self, total: int, quiet: bool):
        self.total, self.quiet = total, quiet
        self.painted = self.failed = self.kept = 0
        self.began = time.monotonic()
        self.has_bar = sys.stderr is not None and sys.stderr.isatty()
        self.every = -(-total // LINES)  # rounded up
        self.bar = tqdm(
            total=total,
            bar_format="{percentage:3.0f}% |{bar:10}| {n_fmt}/{total_fmt} {desc}",
            dynamic_ncols=True,
            disable=quiet or not self.has_bar,
            leave=False,
        )

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()

    @property
    def done(self) -> int:
        """Pictures that are there, or will never be."""
        return self.painted + self.failed + self.kept

    def update(self, is_kept: bool, has_failed: bool) -> None:
        """Count a picture, and show how far the batch is."""
        self.kept += is_kept
        self.failed += has_failed
        self.painted += not (is_kept or has_failed)
        if self.quiet:
            return
        if self.has_bar:
            self.bar.set_description_str(f"[{self.time_left()} left] {self.words()}", refresh=False)
            self.bar.update()
        elif self.done % self.every == 0 or self.done == self.total:
            say(f"{self.done} of {self.total}: {self.words()} [{self.time_left()} left]", sys.stderr)

    def time_left(self) -> str:
        """The mean time of a picture so far, times those to come. Kept ones take none."""
        worked = self.painted + self.failed
        if not worked:
            return "?"
        return tqdm.format_interval((time.monotonic() - self.began) / worked * (self.total - self.done))

    def words(self) -> str:
        """The counts, in words."""
        parts = [f"{self.painted} painted"]
        parts += [f"{self.kept} kept"] if self.kept else []
        parts += [f"{self.failed} failed"] if self.failed else []
        return ", ".join(parts)

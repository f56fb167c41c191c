"""The way to the picture: the picture so far every few iterations, and a film of all of them."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError, why_not_written
from ..files import check_writable
from ..film import Film, check_film
from ..notes import note
from ..pictures.saving import save_image
from ..result import Event

MOST_PICTURES = 10_000


class Walk:
    """What ``--save-every`` and ``--film`` keep of one run.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``output``, ``counted_from``, ``save_every`` and ``film`` are used.
    iterations : int
        That are planned.

    Raises
    ------
    InputError
        If one of the files cannot be written, or the film would replace a picture.
    """

    def __init__(self, arguments: argparse.Namespace, iterations: int):
        self.output, self.every, self.iterations = Path(arguments.output), arguments.save_every, iterations
        self.may_replace = arguments.counted_from is None  # the user has named the output
        self.film_path = arguments.film
        self.film = None if self.film_path is None else Film()
        self.complained = False
        self.check()

    def check(self) -> None:
        """What `Walk` raises, before the work."""
        if self.every is not None:
            if self.every > self.iterations:
                raise InputError(
                    f"with {self.iterations} iterations, --save-every {self.every} would write nothing"
                )
            if self.iterations // self.every > MOST_PICTURES:
                raise InputError(
                    f"--save-every {self.every} would write more than {MOST_PICTURES} pictures: less often will do"
                )
            check_writable(*self.step_paths())
        if self.film_path is not None:
            check_film(self.film_path)
            pictures = map(os.path.realpath, [self.output, *self.step_paths()])
            if os.path.realpath(self.film_path) in pictures:
                raise InputError(f"the film {self.film_path} would replace a picture: choose another name")

    def step_path(self, iteration: int) -> Path:
        """Where the picture after an iteration goes: ``OUT-0010.png``, so that all are sorted by their names."""
        digits = max(4, len(str(self.iterations)))
        return self.output.with_name(f"{self.output.stem}-{iteration:0{digits}}{self.output.suffix}")

    def step_paths(self) -> Iterator[Path]:
        """Where all pictures of the way go."""
        if self.every is not None:
            yield from map(self.step_path, range(self.every, self.iterations + 1, self.every))

    def files(self) -> Iterator[str | Path]:
        """All that is written: none of it may be an input."""
        yield from self.step_paths()
        if self.film_path is not None:
            yield self.film_path

    def update(self, event: Event) -> None:
        """Take note of an iteration. What goes wrong here does not end the run: a note says so once."""
        iteration = event.record.iteration
        try:
            if self.film is not None:
                self.film(event)
            if self.every is not None and iteration % self.every == 0:
                result = event.result()
                path = self.step_path(iteration)
                save_image(result.image, path, result.made_with, replace=self.may_replace, mark="")
        except (OSError, MemoryError) as error:
            if not self.complained:
                note(f"the picture after iteration {iteration} cannot be kept: {why_not_written(error)}")
            self.complained = True

    def save_film(self, finished: bool) -> str:
        """Write the film; return a line about it, or nothing if none is wanted.

        Only that of a finished picture replaces an earlier one.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        if self.film is None:
            return ""
        if self.film.latest is None:  # the optimizer found nothing to improve
            return "there is no film: there was no iteration"
        try:
            path = self.film.save(self.film_path, replace=finished)
        except (OSError, MemoryError) as error:
            raise InputError(
                f"the film {self.film_path} cannot be written ({why_not_written(error)})"
            ) from None
        return f"{path}: a film of how it came about"

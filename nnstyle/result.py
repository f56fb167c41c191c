"""What comes back from a run: an event after each iteration, a result at the end."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import pictures
from .checkpoint import Record, State
from .job import Job
from .pictures.resize import preview, scale_to, size_within
from .pictures.saving import encoded
from .settings import Settings

LONGEST_IN_NOTEBOOK = 800  # px: Jupyter refuses to show more than 3 MB at once


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A picture, and how it came about. A notebook shows the picture.

    Attributes
    ----------
    image : uint8 array, shape (H, W, 3)
        RGB; where parts of the photograph are transparent and stay so, RGB and alpha, (H, W, 4). It is uint16
        with the setting ``bits=16``.
    losses : list of Record, one for each iteration
    settings : Settings
        With all decided that was left open: scales, beta, layer weights, pooling, optimizer. Those of an
        unfinished picture say what it is: size, scales, beta and iterations are those that were reached.
    reason : str
        Why the optimization ended, at the last scale.
    made_with : dict
        Everything that made the picture, which `save` stores in its file.
    """

    image: np.ndarray
    losses: list[Record]
    settings: Settings
    reason: str
    made_with: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the picture with its settings inside, as the command line does.

        It is written whole or not at all. An earlier file of this name is replaced.

        Parameters
        ----------
        path : path ending in .png, .jpg, .jpeg, .webp, .tif or .tiff

        Returns
        -------
        Path
            Where it is.

        Raises
        ------
        InputError
            For another ending, or a folder that is not there or may not be written to.
        OSError
            If the file cannot be written. An earlier file of this name is then still there.
        """
        pictures.check_output(path)
        return pictures.save_image(self.image, path, self.made_with)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        loss = f", loss {self.losses[-1].total:.4g}" if self.losses else ""
        return f"<Result: {width} x {height} px after {len(self.losses)} iterations{loss}>"

    def _repr_png_(self) -> bytes:
        """The picture for a notebook, as a PNG that is not too large for it."""
        shown_size = size_within(self.image.shape, LONGEST_IN_NOTEBOOK)
        return encoded(preview(self.image, *shown_size), "PNG", {}, plain=False)


@dataclass(frozen=True, eq=False)
class Event:
    """What a callback gets after each iteration.

    Attributes
    ----------
    record : Record
    job : Job
        The one that is being painted.
    """

    record: Record
    job: Job = field(repr=False)  # it would show thousands of pixels
    _image: Callable[[], np.ndarray]  # as a `Result` has it
    _state: Callable[[], State]
    _result: Callable[[str], Result]

    def image(self, full_size: bool = False) -> np.ndarray:
        """The picture so far: uint8 (h, w, 3), RGB, or (h, w, 4) with alpha. Made when asked for.

        Parameters
        ----------
        full_size : bool
            Enlarge what was painted at a smaller scale, so that all pictures of a run have one size. By
            default it has the size of its scale.
        """
        image = pictures.in_8_bits(self._image())
        return scale_to(image, *self.job.content.shape[:2]) if full_size else image

    def state(self) -> State:
        """All that another run needs to go on from here."""
        return self._state()

    def result(self, reason: str = "unfinished") -> Result:
        """The picture so far, at the size of its scale, as a `Result`: ``event.result().save(path)``."""
        return self._result(reason)

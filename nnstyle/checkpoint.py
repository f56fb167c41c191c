"""The state of a run, from which another run can go on."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .stylize import Record


@dataclass(frozen=True, eq=False)
class State:
    """Where a run stood after an iteration: what `nnstyle.run` takes as ``resume``.

    Attributes
    ----------
    job : str
        Digest of the job that it belongs to (`nnstyle.Job.digest`).
    scale : int
        Index of the scale, 0 for the smallest.
    image : float32 array, shape (h, w, 3)
        The canvas, border and all, as the network sees it at that scale.
    history : list of (array, array), or None
        The steps that our own L-BFGS remembers. With them the resumed run computes what the
        uninterrupted one would have, bit for bit. SciPy's L-BFGS-B does not hand its steps out:
        it starts anew from the image.
    records : tuple of Record
        Of all iterations so far.
    """

    job: str
    scale: int
    image: np.ndarray
    history: list | None = None
    records: "tuple[Record, ...]" = field(default=())

"""Optimizers: functions that lower an objective, starting from an image.

All of them have one signature::

    minimize(objective, start, iterations, bounds=None, callback=None, history=None) -> (image, reason)

`scipy_lbfgsb.minimize` describes it. An optimizer of your own needs a line in `OPTIMIZERS`, and is then
a value of the setting ``optimizer``. Those in `WITH_RATE` take a ``learning_rate`` as well, those in
`WITH_HISTORY_SIZE` a ``history_size``.
"""

from collections.abc import Callable
from typing import Any

from . import adam, lbfgs, scipy_lbfgsb
from .scipy_lbfgsb import HISTORY_SIZE

OPTIMIZERS: dict[str, Callable[..., tuple[Any, str]]] = {
    "lbfgs": scipy_lbfgsb.minimize,
    "lbfgs-nnstyle": lbfgs.minimize,
    "adam": adam.minimize,
}
# Those that work on NumPy arrays only, and in float64.
ON_HOST = ("lbfgs",)
# Those that keep pixels within bounds.
BOUNDED = ("lbfgs", "adam")
# Those that take a learning rate.
WITH_RATE = ("adam",)

# Those that remember as many steps as `history_size` says.
WITH_HISTORY_SIZE = ("lbfgs-nnstyle",)

# Pixels from which SciPy's forty float64 vectors, 1 kB a pixel, are more than most machines have...
MOST_PIXELS_FOR_SCIPY = 4_500_000
# ... and from which ten steps of our own L-BFGS are: some 320 bytes a pixel, and 130 with two.
MOST_PIXELS_FOR_TEN_STEPS = 9_000_000
FEW_STEPS = 2


def usual_for_size(optimizer: str, pixels: float) -> str:
    """What takes the place of a device's usual optimizer for a canvas of so many pixels."""
    return "lbfgs-nnstyle" if optimizer == "lbfgs" and pixels > MOST_PIXELS_FOR_SCIPY else optimizer


def usual_history_size(pixels: float) -> int:
    """How many steps are remembered on a processor, for a canvas of so many pixels."""
    return HISTORY_SIZE if pixels <= MOST_PIXELS_FOR_TEN_STEPS else FEW_STEPS


__all__ = [
    "BOUNDED",
    "HISTORY_SIZE",
    "MOST_PIXELS_FOR_SCIPY",
    "ON_HOST",
    "OPTIMIZERS",
    "WITH_HISTORY_SIZE",
    "WITH_RATE",
    "adam",
    "lbfgs",
    "scipy_lbfgsb",
    "usual_for_size",
    "usual_history_size",
]

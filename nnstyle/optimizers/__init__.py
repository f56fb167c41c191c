"""Optimizers: functions that lower an objective, starting from an image.

All of them have one signature::

    minimize(objective, start, iterations, bounds=None, callback=None, history=None) -> (image, reason)

`scipy_lbfgsb.minimize` describes it. An optimizer of your own needs a line in `OPTIMIZERS`, and is then
a value of the setting ``optimizer``. Those in `WITH_RATE` take a ``learning_rate`` as well.
"""

from collections.abc import Callable
from typing import Any

from . import adam, lbfgs, scipy_lbfgsb

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

__all__ = ["BOUNDED", "ON_HOST", "OPTIMIZERS", "WITH_RATE", "adam", "lbfgs", "scipy_lbfgsb"]

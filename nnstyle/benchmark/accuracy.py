"""How exact the gradient of the image is, compared with PyTorch in float64."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import to_host
from ..engine import Engine
from . import work

if TYPE_CHECKING:
    from .meter import Meter


def gradient_errors(
    network: str, size: int, pictures: int, engine: Engine, meter: "Meter"
) -> dict[str, list[float]]:
    """Relative errors of the gradient, ours and those of PyTorch in the same arithmetic.

    Parameters
    ----------
    network, size, engine : as for `nnstyle.benchmark.work.evaluation`
    pictures : int
        The number of different pictures: what a ReLU close to 0 changes is a matter of luck (lesson 6).
    meter : Meter
        Of the engine's device.

    Returns
    -------
    dict
        {"nnstyle": [error, ..], "PyTorch": [error, ..]}, where an error is the length of the
        difference over the length of the float64 gradient.
    """
    errors: dict[str, list[float]] = {"nnstyle": [], "PyTorch": []}
    for seed in range(1, pictures + 1):
        how = network, size, engine
        exact = gradient_of(meter.torch_evaluation(*how, channels_last=True, seed=seed, double=True))
        theirs = gradient_of(meter.torch_evaluation(*how, channels_last=True, seed=seed, tf32=meter.tf32))
        ours = gradient_of(work.evaluation(*how, seed))
        errors["nnstyle"].append(relative_error(ours, exact))
        errors["PyTorch"].append(relative_error(theirs, exact))
        engine.clear()  # the next picture comes with weights of its own
    return errors


def relative_error(gradient: np.ndarray, exact: np.ndarray) -> float:
    """The length of the difference over that of the second, as a float."""
    return float(np.linalg.norm(gradient - exact) / np.linalg.norm(exact))


def gradient_of(evaluate: Callable[[], tuple[float, Any]]) -> np.ndarray:
    """The gradient that an evaluation returns, as a NumPy array."""
    return on_host(evaluate()[1])


def on_host(gradient: Any) -> np.ndarray:
    """A NumPy array of one from any of our libraries, or of a tensor of PyTorch's."""
    return gradient.numpy(force=True) if hasattr(gradient, "numpy") else to_host(gradient)

"""What L-BFGS itself costs, without the network."""

import time
from collections.abc import Callable

import numpy as np

from ..arrays import Array, to_host
from ..engine import devices
from ..engine.device import Device
from ..optimizers import ON_HOST, OPTIMIZERS
from ..optimizers.lbfgs import dot
from ..optimizers.scipy_lbfgsb import HISTORY_SIZE

# Measured in four stylizations at 512 px, of 140 to 160 iterations: 1.025 to 1.034. In two shorter
# ones (128 px, 100; 256 px, 60) L-BFGS-B took 1.05 and 1.07, and our own L-BFGS 1.02 and 1.05.
EVALUATIONS_PER_ITERATION = 1.03
# The two of `nnstyle.optimizers.OPTIMIZERS` that are L-BFGS.
L_BFGS = ("lbfgs", "lbfgs-nnstyle")


def no_wait() -> None:
    """For a device whose work is done when a call returns."""


def lbfgs_seconds(
    size: int, name: str = "lbfgs", device: str | Device = "cpu", wait: Callable[[], object] = no_wait
) -> float:
    """Seconds that an iteration takes apart from evaluating the objective: the median of ten.

    Measured on a simple function of as many variables as a picture of `size` x `size` has,
    after as many iterations as L-BFGS remembers, because it is slower from then on.

    Parameters
    ----------
    size : int
    name : str
        One of `nnstyle.optimizers.OPTIMIZERS`. For "lbfgs", SciPy's on the host, copies to the
        device and back are counted.
    device : str or Device
        As for `nnstyle.Engine`.
    wait : callable
        Returns when the device has done all it was asked for.
    """
    device = devices.find(device)
    function = simple_function(size, device)
    in_objective, ends = 0.0, []

    def objective(image: Array) -> tuple[float, Array]:
        nonlocal in_objective
        wait()
        began = time.perf_counter()
        result = function(image)
        wait()
        in_objective += time.perf_counter() - began
        return result

    def objective_from_host(image: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = objective(device.to_device(image))
        return loss, to_host(gradient)

    def on_iteration(*_: object) -> None:
        wait()
        ends.append(time.perf_counter() - in_objective)

    start, iterations = np.zeros((size, size, 3), np.float32), HISTORY_SIZE + 11
    if name in ON_HOST:
        OPTIMIZERS[name](objective_from_host, start, iterations, callback=on_iteration)
    else:
        OPTIMIZERS[name](objective, device.to_device(start), iterations, callback=on_iteration)
    return float(np.median(np.diff(ends[HISTORY_SIZE:])))


def simple_function(size: int, device: Device) -> Callable[[Array], tuple[float, Array]]:
    """Half of a weighted squared distance, and its gradient: a function image -> (loss, gradient)."""
    rng = np.random.default_rng(0)
    curvature, lowest = (device.to_device(rng.random((size, size, 3), np.float32)) for _ in range(2))

    def function(image: Array) -> tuple[float, Array]:
        distance = image - 100 * lowest
        gradient = curvature * distance
        return dot(gradient, distance) / 2, gradient

    return function

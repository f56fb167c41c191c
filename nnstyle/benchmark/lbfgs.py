"""What L-BFGS itself costs, without the network."""

import time

import numpy as np

from .. import lbfgs, optimizer
from ..devices import Host
from ..optimizer import STEPS_REMEMBERED
from ..transfer import on_host

# Measured in four stylizations at 512 px, of 140 to 160 iterations: 1.025 to 1.034. In two shorter
# ones (128 px, 100; 256 px, 60) L-BFGS-B took 1.05 and 1.07, and nnstyle.lbfgs 1.02 and 1.05.
EVALUATIONS_PER_ITERATION = 1.03


def lbfgs_seconds(size, name="lbfgs", device=None, wait=lambda: None):
    """Seconds an iteration takes apart from evaluating the objective: the median of ten.

    Measured on a simple function of as many variables as a picture of `size` x `size` has,
    after as many iterations as L-BFGS remembers, because it is slower from then on.

    Parameters
    ----------
    size : int
    name : one of `nnstyle.settings.OPTIMIZERS`
        For "lbfgs", SciPy's on the host, copies to the device and back are part of it.
    device : device, optional
        The processor, if not given.
    wait : callable
        Returns when the device has done all it was asked for.
    """
    device = device or Host()
    function, clock = simple_function(size, device), {"objective": 0.0, "ends": []}

    def objective(image):
        wait()
        began = time.perf_counter()
        result = function(image)
        wait()
        clock["objective"] += time.perf_counter() - began
        return result

    def on_iteration(*_):
        wait()
        clock["ends"].append(time.perf_counter() - clock["objective"])

    start, iterations = np.zeros((size, size, 3), np.float32), STEPS_REMEMBERED + 11
    if name == "lbfgs":
        optimizer.minimize(on_host(objective, device), start, iterations, callback=on_iteration)
    else:
        lbfgs.minimize(objective, device.put(start), iterations, callback=on_iteration)
    return float(np.median(np.diff(clock["ends"][STEPS_REMEMBERED:])))


def simple_function(size, device):
    """Half of a weighted squared distance, and its gradient: a function image -> (loss, gradient)."""
    rng = np.random.default_rng(0)
    curvature, lowest = (device.put(rng.random((size, size, 3), np.float32)) for _ in range(2))

    def function(image):
        distance = image - 100 * lowest
        gradient = curvature * distance
        return lbfgs.dot(gradient, distance) / 2, gradient

    return function

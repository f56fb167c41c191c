"""What L-BFGS-B itself costs, without the network."""

import time

import numpy as np

from ..optimizer import STEPS_REMEMBERED, minimize

# Measured in four stylizations at 512 px, of 140 to 160 iterations: 1.025 to 1.034.
EVALUATIONS_PER_ITERATION = 1.03


def lbfgs_seconds(size):
    """Seconds an iteration takes apart from evaluating the objective: the median of ten.

    Measured on a simple function of as many variables as a picture of `size` x `size` has,
    after as many iterations as L-BFGS remembers, because it is slower from then on.
    """
    rng = np.random.default_rng(0)
    curvature, lowest = (rng.random((size, size, 3), np.float32) for _ in range(2))
    clock = {"objective": 0.0, "ends": []}

    def objective(image):
        began = time.perf_counter()
        distance = image - 100 * lowest
        gradient = curvature * distance
        loss = float(np.vdot(gradient, distance)) / 2
        clock["objective"] += time.perf_counter() - began
        return loss, gradient

    def on_iteration(*_):
        clock["ends"].append(time.perf_counter() - clock["objective"])

    minimize(objective, np.zeros_like(lowest), STEPS_REMEMBERED + 11, callback=on_iteration)
    return float(np.median(np.diff(clock["ends"][STEPS_REMEMBERED:])))

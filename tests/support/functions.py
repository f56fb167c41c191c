"""Functions to be minimized, as (loss, gradient) of an image."""

import numpy as np
import scipy.optimize


def quadratic(image):
    """Curved a hundred times more steeply in some directions than in others; minimum 0 at 3."""
    curvature = np.geomspace(1, 100, image.size).reshape(image.shape)
    return float((curvature * (image - 3) ** 2).sum() / 2), curvature * (image - 3)


def rosenbrock(image):
    flat = image.ravel()
    return scipy.optimize.rosen(flat), scipy.optimize.rosen_der(flat).reshape(image.shape)


class Recorded:
    """A function that keeps where it was evaluated last, and what it was there.

    With a disturbance, it looks higher than it is from its tenth evaluation on, for 25 evaluations:
    no line search finds a lower point there.
    """

    def __init__(self, function, disturbance=0):
        self.function, self.disturbance, self.calls = function, disturbance, 0

    def __call__(self, image):
        self.calls += 1
        loss, gradient = self.function(image)
        self.image, self.loss = image.copy(), loss + self.disturbance * (10 <= self.calls < 35)
        return self.loss, gradient

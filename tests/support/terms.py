"""Losses of one's own, as a reader would write them."""

import numpy as np

from nnstyle import Term


class MeanAndVariance(Term):
    """Mean and variance of each filter, in place of the Gram matrix.

    ``factor_of_variance`` is 4 in the right gradient; with another number the gradient is wrong.
    """

    name, target = "mean and variance", "style"

    def __init__(self, layer, weight=1.0, factor_of_variance=4):
        self.layer, self.weight, self.factor_of_variance = layer, weight, factor_of_variance

    def set_target(self, features):
        self.mean, self.variance = features.mean((0, 1)), features.var((0, 1))

    def __call__(self, features):
        mean = features.mean((0, 1)) - self.mean
        variance = features.var((0, 1)) - self.variance
        positions = features[..., 0].size
        centred = features - features.mean((0, 1))
        gradient = (2 * mean + self.factor_of_variance * variance * centred) / positions
        return float(np.sum(mean**2) + np.sum(variance**2)), gradient

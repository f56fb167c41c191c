"""VGGs of a few channels with random weights, for tests."""

import numpy as np

from nnstyle import Weights
from nnstyle.network import LAYERS
from nnstyle.pictures import Preprocessing

WIDTHS = (4, 5, 6, 7, 3)


def tiny_weights(architecture="vgg19", last="conv5_1", widths=WIDTHS, seed=0):
    """He-initialised weights with small biases: activations stay of one size through the layers."""
    rng = np.random.default_rng(seed)
    layers, channels = {}, 3
    for name in LAYERS[architecture][: LAYERS[architecture].index(last) + 1]:
        if name.startswith("conv"):
            width = widths[int(name[4]) - 1]
            kernel = rng.normal(size=(3, 3, channels, width)) * np.sqrt(2 / (9 * channels))
            layers[name] = kernel, 0.1 * rng.normal(size=width)
            channels = width
    return Weights(layers, "tiny", Preprocessing("RGB", (0.0, 0.0, 0.0), 1.0))

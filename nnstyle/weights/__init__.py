"""A VGG file of any known layout -> {layer name: (kernel, bias)}, with its preprocessing."""

from .loading import POCKET_PATHS, Weights, load_weights
from .rescaling import rescale

__all__ = ["POCKET_PATHS", "Weights", "load_weights", "rescale"]

"""A VGG file of any known layout -> `Weights`: {layer name: (kernel, bias)}, with its preprocessing."""

from .loading import POCKET_PATHS, load_weights
from .rescaling import rescale
from .weights import Weights

__all__ = ["POCKET_PATHS", "Weights", "load_weights", "rescale"]

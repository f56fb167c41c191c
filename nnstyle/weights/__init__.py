"""A VGG file of any known layout -> `Weights`: {layer name: (kernel, bias)}, with its preprocessing."""

from .known import POCKET_PATHS
from .loading import load_weights
from .rescaling import rescale
from .weights import Weights

__all__ = ["POCKET_PATHS", "Weights", "load_weights", "rescale"]

"""A Neural Algorithm of Artistic Style (Gatys, Ecker, Bethge, 2015), by hand in NumPy.

Where a docstring says "(lesson 9)", the file ``lessons/l09_...py`` of the project derives what it describes.
"""

from .errors import InputError
from .network import Network
from .settings import Settings
from .transfer import Record, Result, stylize
from .version import __version__
from .weights import Weights, load_weights

__all__ = [
    "InputError",
    "Network",
    "Record",
    "Result",
    "Settings",
    "Weights",
    "load_weights",
    "stylize",
    "__version__",
]

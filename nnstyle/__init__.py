"""A Neural Algorithm of Artistic Style (Gatys, Ecker, Bethge, 2015), by hand in NumPy.

Where a docstring says "(lesson 9)", the file ``lessons/l09_...py`` of the project derives what it describes.
"""

from . import layers, losses, pictures
from .checkpoint import Record, State, load_checkpoint, save_checkpoint
from .engine import Engine
from .errors import GpuError, InputError, NotFiniteError
from .film import Film
from .gradient_check import check_gradient
from .job import Job, prepare
from .network import Network
from .objective import ContentTerm, Objective, StyleTerm, Term, TotalVariationTerm, set_targets
from .pictures import stored_settings
from .result import Event, Result
from .settings import Settings
from .styles import Style
from .stylize import run, stylize
from .tiled import TiledObjective
from .version import __version__
from .weights import Weights, load_weights

__all__ = [
    "ContentTerm",
    "Engine",
    "Event",
    "Film",
    "GpuError",
    "InputError",
    "Job",
    "Network",
    "NotFiniteError",
    "Objective",
    "Record",
    "Result",
    "Settings",
    "State",
    "Style",
    "StyleTerm",
    "Term",
    "TiledObjective",
    "TotalVariationTerm",
    "Weights",
    "__version__",
    "check_gradient",
    "layers",
    "load_checkpoint",
    "load_weights",
    "losses",
    "pictures",
    "prepare",
    "run",
    "save_checkpoint",
    "set_targets",
    "stored_settings",
    "stylize",
]

"""Which array library an array belongs to, and what every array here has in common."""

import sys
from types import ModuleType
from typing import Any

import numpy as np

# An array of NumPy, of CuPy, or of another library with the same functions.
Array = Any


def array_module(array: Array) -> ModuleType:
    """Return the module whose functions work on `array`: NumPy or CuPy (lesson 13).

    This is why layers and losses need not know which library they work with.
    """
    if hasattr(array, "__array_namespace__"):  # the array API standard
        return array.__array_namespace__()
    return sys.modules[type(array).__module__.partition(".")[0]]  # CuPy's arrays do not follow it yet


def to_host(array: Array) -> np.ndarray:
    """Return `array` as a NumPy array: a copy if it lives on a GPU, else itself (lesson 13)."""
    return array.get() if hasattr(array, "get") else array


def read_only(array: np.ndarray) -> np.ndarray:
    """Return `array` if nobody can change it, else a copy that nobody can change."""
    if is_read_only(array):
        return array
    array = array.copy()
    array.flags.writeable = False
    return array


def is_read_only(array: np.ndarray) -> bool:
    """Whether neither the array nor one that shares its memory can be written to."""
    memory: Any = array
    while isinstance(memory, np.ndarray):
        if memory.flags.writeable:
            return False
        memory = memory.base
    return memory is None  # else it belongs to something that we know nothing of

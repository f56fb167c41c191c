"""Which array library: the one the array at hand belongs to; and the way back to the host."""

import sys


def library_of(array):
    """Return the module whose functions work on `array`: NumPy for NumPy's, CuPy for CuPy's (lesson 13).

    This is why the layers and the losses need not know which library they work with.
    """
    if hasattr(array, "__array_namespace__"):  # arrays that follow the array API standard tell it themselves
        return array.__array_namespace__()
    return sys.modules[type(array).__module__.partition(".")[0]]  # CuPy's do not: their type's home is asked


def to_host(array):
    """`array` as NumPy's: a copy if it lives in a device's memory, else itself (lesson 13)."""
    return array.get() if hasattr(array, "get") else array

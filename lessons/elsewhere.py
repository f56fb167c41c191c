"""Arrays as strict as a graphics card's: they live elsewhere, and compute with their own kind only."""

import operator
import types
from functools import partial

import numpy as np

from nnstyle import devices
from nnstyle.device_workers import DeviceWorkers


class Far:
    """An array in a memory of its own. Attributes and methods are those of the array inside."""

    __array_ufunc__ = None  # np.maximum(far, 0) raises TypeError

    def __init__(self, inside):
        self._inside = inside

    def __array__(self, *_, **__):
        raise TypeError("this array lives elsewhere: copy it to the host explicitly")

    def __array_namespace__(self):
        return FarLibrary()

    def get(self):
        """The one way back: a copy for the host."""
        return self._inside.copy()

    def __getattr__(self, name):
        if name.startswith("__"):  # NumPy looks for other ways in: there are none
            raise AttributeError(name)
        value = getattr(self._inside, name)
        return partial(call, value) if callable(value) else wrap(value)

    def __len__(self):
        return len(self._inside)

    def __float__(self):
        return float(self._inside)


class FarLibrary:
    """NumPy's functions, for arrays that live elsewhere."""

    def __init__(self, module=np):
        self._module = module

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if isinstance(value, types.ModuleType):
            return FarLibrary(value)
        return value if isinstance(value, type) else partial(call, value)


class FarDevice(devices.Host):
    """A device whose memory holds such arrays: for `nnstyle.stylize` what a graphics card is."""

    name, title, optimizer = "far", "a stand-in", "lbfgs-device"

    def put(self, array):
        return Far(array.copy())

    def workers(self, threads=None, low_memory=False):
        return DeviceWorkers(FarLibrary(), low_memory)


def call(function, *values, **options):
    """Apply a function of NumPy's to what is inside of arrays that live elsewhere."""
    for value in (*values, *options.values()):
        if isinstance(value, np.ndarray):
            raise TypeError("an array of the host among arrays that live elsewhere")
    values = [unwrap(value) for value in values]
    return wrap(function(*values, **{name: unwrap(value) for name, value in options.items()}))


def unwrap(value):
    return value._inside if isinstance(value, Far) else value


def wrap(value):
    return Far(value) if isinstance(value, np.ndarray | np.generic) else value


def method(name, swapped=False):
    """A method of Far's: an operator on what is inside, or the same with its sides exchanged."""
    function = getattr(operator, name)
    return lambda *values: call(function, *(reversed(values) if swapped else values))


ARITHMETIC = ("add", "sub", "mul", "truediv", "matmul")
for name in (*ARITHMETIC, "neg", "gt", "eq", "iadd", "isub", "imul", "getitem", "setitem"):
    setattr(Far, f"__{name}__", method(f"__{name}__"))
for name in ARITHMETIC:
    setattr(Far, f"__r{name}__", method(f"__{name}__", swapped=True))

"""Arrays as strict as a GPU's: in a memory of their own, they compute only with each other."""

import operator
import types
from functools import partial

import numpy as np

from nnstyle.engine.cpu import CPU
from nnstyle.engine.gpu import Gpu


class StrictArray:
    """An array in another memory. Attributes and methods are those of the array inside."""

    __array_ufunc__ = None  # np.maximum(strict, 0) raises TypeError

    def __init__(self, inside):
        self._inside = inside

    def __array__(self, *_, **__):
        raise TypeError("this array is not in the host's memory: copy it to the host explicitly")

    def __array_namespace__(self):
        return StrictLibrary()

    def get(self):
        """The only way back: a copy for the host."""
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


class StrictLibrary:
    """NumPy's functions, for strict arrays."""

    def __init__(self, module=np):
        self._module = module

    def __getattr__(self, name):
        value = getattr(self._module, name)
        if isinstance(value, types.ModuleType):
            return StrictLibrary(value)
        return value if isinstance(value, type) else partial(call, value)


class StrictDevice(Gpu):
    """A device with such arrays: for `nnstyle.Engine` it is a GPU."""

    name, title, tf32 = "strict", "a stand-in for a GPU", False
    library, current, blas_limit = StrictLibrary(), CPU.current, CPU.blas_limit
    available, bytes_needed, is_memory_short = CPU.available, CPU.bytes_needed, CPU.is_memory_short

    def __init__(self):
        """Nothing to look for."""

    def to_device(self, array):
        return array if isinstance(array, StrictArray) else StrictArray(array.copy())


def call(function, *values, **options):
    """Apply a function of NumPy's to the arrays inside of strict arrays."""
    values = [unwrap(value) for value in values]
    return wrap(function(*values, **{name: unwrap(value) for name, value in options.items()}))


def unwrap(value):
    if isinstance(value, np.ndarray):
        raise TypeError("an array of the host among strict arrays")
    if isinstance(value, list):  # of arrays, as `stack` takes
        return [unwrap(item) for item in value]
    return value._inside if isinstance(value, StrictArray) else value


def wrap(value):
    return StrictArray(value) if isinstance(value, np.ndarray | np.generic) else value


def method(name, swapped=False):
    """A method of StrictArray: an operator on the arrays inside, its operands swapped if told."""
    function = getattr(operator, name)
    return lambda *values: call(function, *(reversed(values) if swapped else values))


ARITHMETIC = ("add", "sub", "mul", "truediv", "matmul")
for name in (*ARITHMETIC, "neg", "gt", "eq", "iadd", "isub", "imul", "getitem", "setitem"):
    setattr(StrictArray, f"__{name}__", method(f"__{name}__"))
for name in ARITHMETIC:
    setattr(StrictArray, f"__r{name}__", method(f"__{name}__", swapped=True))

"""The engine: what `nnstyle.layers` computes, by several threads and in reused memory."""

import functools
import math
import operator
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from ..arrays import Array, array_module, read_only
from ..errors import InputError, shown
from ..layers import corners
from .bands import in_bands
from .constants import ConstantCache
from .device import Device
from .devices import find
from .threads import ThreadTeam, one_blas_thread
from .tiles import checked_tile

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def operation(
    method: Callable[Concatenate["Engine", Arguments], Returned],
) -> Callable[Concatenate["Engine", Arguments], Returned]:
    """Make the engine's device current while the method runs."""

    @functools.wraps(method)
    def on_device(self: "Engine", *args: Arguments.args, **options: Arguments.kwargs) -> Returned:
        with self.device.current:
            return method(self, *args, **options)

    return on_device


class Engine:
    """The functions of `nnstyle.layers`, fast (lesson 13 for GPUs).

    Its methods take and return what the functions of the same names do. So
    ``Network(weights, engine=engine)`` computes what ``Network(weights, engine=nnstyle.layers)``
    does, up to rounding.

    An engine works without a ``with`` block, and frees its memory when no network uses it any more.
    In a block, BLAS is held to one thread all the time, and at its end the engine's threads end and
    its memory is freed. Blocks may be nested.

    Parameters
    ----------
    device : "cpu", "auto", "cuda", "cuda:1" and so on, or a device
        Where to compute, as for `nnstyle.engine.devices.find`.
    threads : int, optional
        How many threads compute at once. The default is the number of cores that this process
        may use. On a GPU it is ignored.
    low_memory : bool
        Keep nothing for later, neither free memory nor transformed kernels; this costs time.
    tile : int, optional
        `nnstyle.run` computes pictures that are too large in tiles of about this length, px (`TiledObjective`). By
        default a picture goes through the network whole.

    Attributes
    ----------
    device : Device
    threads : int
    low_memory : bool
    tile : int or None
    lock : lock
        Held while scratch memory is in use.

    Raises
    ------
    InputError
        For a device that cannot be used, a number of threads below 1, a tile below 16 px, or any other
        value that cannot be used.

    Notes
    -----
    Several threads may use an engine, but their convolutions wait for each other. Threads that
    are to compute at the same time need an engine each. Results do not depend on `threads`,
    down to the last bit: threads only decide who computes a piece, never how the work is cut or
    in which order sums are taken.

    Examples
    --------
    >>> import numpy as np, nnstyle
    >>> with nnstyle.Engine(threads=2) as engine:
    ...     y, cache = engine.relu(np.array([[[-1.0, 2.0]]]))
    >>> y
    array([[[0., 2.]]])
    """

    def __init__(
        self,
        device: str | Device = "cpu",
        threads: int | None = None,
        low_memory: bool = False,
        tile: int | None = None,
    ):
        if not isinstance(low_memory, bool):
            raise InputError(f"low_memory must be True or False, not {shown(low_memory)}")
        self.device = find(device)
        self.threads = self.device.threads(whole_number(threads))
        self.low_memory = low_memory
        self.tile = None if tile is None else checked_tile(tile)
        self._entries = 0
        self._start_anew()
        self._constants = ConstantCache(weakref.WeakMethod(self._release))
        one_blas_thread.find_libraries()
        _engines.add(self)

    def _start_anew(self) -> None:
        """Make all that belongs to this process alone: locks, threads and memory."""
        self.lock = threading.RLock()
        self._entries_lock = threading.Lock()
        self._team = ThreadTeam(self.threads)
        self._take_new_memory()

    def _take_new_memory(self) -> None:
        """Leave all memory as it is to those who use it, and begin with none."""
        self._buffers = self.device.buffers(keep=not self.low_memory)
        self._scratch: dict[Any, np.ndarray] = {}

    def _release(self) -> None:
        """Let memory go when the last network is gone, unless a ``with`` block says when."""
        if self._entries == 0 and not sys.is_finalizing():
            self._take_new_memory()

    # Threads and memory

    def __enter__(self) -> "Engine":
        one_blas_thread.find_libraries()
        self.device.current.__enter__()
        self.device.blas_limit.__enter__()
        with self._entries_lock:
            self._entries += 1
        return self

    def __exit__(self, *error: object) -> None:
        with self._entries_lock:
            self._entries -= 1
            last = self._entries == 0
        try:
            if last:
                self._team.stop()
        finally:  # even if the user interrupts
            if last:
                self.clear()
            self.device.blas_limit.__exit__(None, None, None)
            self.device.current.__exit__(None, None, None)

    def map(self, function: Callable, items: Iterable) -> list[Any]:
        """Call ``function(item)`` for every item, several at once; return the results in order."""
        return self._team.map(function, items)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array with undefined contents, on the device, in reused memory where possible."""
        return self._buffers.empty(shape, dtype)

    def scratch(self, name: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """As `empty`, but always in the same memory for a name: the next call overwrites it.

        The memory grows to the largest size asked for. Take `lock` first.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        memory = self._scratch.get(name)
        if memory is None or memory.nbytes < size:
            memory = self._scratch[name] = np.empty(size, np.uint8)
        return memory[:size].view(dtype).reshape(shape)

    def cached_transform(self, function: Callable, kernel: Array, *args: Any) -> Array:
        """Return ``function(kernel, *args)``, computed only once if `kernel` is a `constant`.

        The result is kept for as long as the kernel lives. It must be a new array, not a view.
        """
        if self.low_memory:
            return function(kernel, *args)
        return self._constants(function, kernel, *args)

    def clear(self) -> None:
        """Forget transformed kernels, and free the memory that is not in use."""
        self._constants.clear()
        self._scratch.clear()
        self._buffers.clear()

    # The operations

    @operation
    def asarray(self, array: Array, dtype: np.dtype | type) -> Array:
        """Return the array on the engine's device and in this floating type."""
        return self.device.to_device(array).astype(dtype, copy=False)

    @operation
    def constant(self, array: Array, dtype: np.dtype | type) -> Array:
        """Return a kernel or bias as an array of the engine's own that will never change."""
        array = self.asarray(array, dtype)
        # A view, so that what is computed from it is forgotten with it, though `array` may live on.
        array = read_only(array).view() if isinstance(array, np.ndarray) else array.copy()
        self._constants.register(array)
        return array

    @operation
    def conv(self, x: Array, kernel: Array, bias: Array | float) -> tuple[Array, Array]:
        """As `nnstyle.layers.conv`, usually by Winograd's algorithm with a fifth of the products.

        Give a kernel that is used more than once as a `constant`: it is transformed only once then.
        """
        with self.device.blas_limit:
            return self.device.conv(self, x, kernel, bias), kernel

    @operation
    def conv_backward(self, dy: Array, kernel: Array) -> Array:
        """As `nnstyle.layers.conv_backward`."""
        with self.device.blas_limit:
            return self.device.conv(self, dy, kernel, gradient=True)

    @operation
    def relu(self, x: Array) -> tuple[Array, Array]:
        """As `nnstyle.layers.relu`."""
        xp = array_module(x)
        y, positive = self.empty(x.shape, x.dtype), self.empty(x.shape, bool)

        def band(x: Array, positive: Array, y: Array) -> None:
            xp.greater(x, 0, out=positive)
            xp.maximum(x, 0, out=y)

        in_bands(self, band, x, positive, y)
        return y, positive

    @operation
    def relu_backward(self, dy: Array, positive: Array) -> Array:
        """As `nnstyle.layers.relu_backward`."""
        dx = self.empty(dy.shape, dy.dtype)
        in_bands(self, array_module(dy).multiply, dy, positive, dx)
        return dx

    @operation
    def max_pool(self, x: Array) -> tuple[Array, tuple[Array, tuple]]:
        """As `nnstyle.layers.max_pool`."""
        xp = array_module(x)
        shape = corners(x)[0].shape
        y, winner = self.empty(shape, x.dtype), self.empty(shape, np.uint8)

        def band(y: Array, winner: Array, x: Array) -> None:
            top_left, top_right, bottom_left, bottom_right = corners(x)
            top, bottom = xp.maximum(top_left, top_right), xp.maximum(bottom_left, bottom_right)
            # Strict comparisons: among equal values the first wins.
            winner[...] = xp.where(bottom > top, 2 + (bottom_right > bottom_left), top_right > top_left)
            xp.maximum(top, bottom, out=y)

        in_bands(self, band, y, winner, even(x))
        return y, (winner, x.shape)

    @operation
    def max_pool_backward(self, dy: Array, cache: tuple[Array, tuple]) -> Array:
        """As `nnstyle.layers.max_pool_backward`."""
        winner, shape = cache
        xp = array_module(dy)

        def band(dy: Array, winner: Array, dx: Array) -> None:
            for index, corner in enumerate(corners(dx)):
                xp.multiply(dy, winner == index, out=corner)

        dx = self.empty(shape, dy.dtype)
        in_bands(self, band, dy, winner, even(dx))
        return zero_odd_edges(dx)

    @operation
    def average_pool(self, x: Array) -> tuple[Array, tuple]:
        """As `nnstyle.layers.average_pool`."""

        def band(y: Array, x: Array) -> None:
            top_left, top_right, bottom_left, bottom_right = corners(x)
            y[...] = (top_left + top_right + bottom_left + bottom_right) / 4

        y = self.empty(corners(x)[0].shape, x.dtype)
        in_bands(self, band, y, even(x))
        return y, x.shape

    @operation
    def average_pool_backward(self, dy: Array, shape: tuple) -> Array:
        """As `nnstyle.layers.average_pool_backward`."""

        def band(dy: Array, dx: Array) -> None:
            quarter = dy / 4
            for corner in corners(dx):
                corner[...] = quarter

        dx = self.empty(shape, dy.dtype)
        in_bands(self, band, dy, even(dx))
        return zero_odd_edges(dx)

    @operation
    def add(self, a: Array, b: Array) -> Array:
        """As `nnstyle.layers.add`."""
        total = self.empty(a.shape, a.dtype)
        in_bands(self, array_module(a).add, a, b, total)
        return total

    @operation
    def gram_matrix(self, features: Array) -> Array:
        """As `nnstyle.losses.gram_matrix`."""
        F_T = features.reshape(-1, features.shape[-1])  # (M, N)
        with self.device.blas_limit:
            return sum(in_bands(self, lambda part: part.T @ part, F_T))  # a sum over positions

    @operation
    def gram_matrix_backward(self, dG: Array, features: Array) -> Array:
        """As `nnstyle.losses.gram_matrix_backward`."""
        N = features.shape[-1]
        D = dG + dG.T
        dF = self.empty(features.shape, features.dtype)
        xp = array_module(features)

        def band(part: Array, out: Array) -> None:
            xp.matmul(part, D, out=out)

        with self.device.blas_limit:
            in_bands(self, band, features.reshape(-1, N), dF.reshape(-1, N))
        return dF


def whole_number(threads: Any) -> int | None:
    """A number of threads, or None; anything else raises InputError."""
    if threads is None:
        return None
    try:
        number = operator.index(threads)
    except TypeError:
        number = None
    if number is None or isinstance(threads, bool):
        raise InputError(f"threads must be a whole number, not {shown(threads)}")
    if number < 1:
        raise InputError(f"threads must be at least 1, not {shown(threads)}")
    return number


def even(x: Array) -> Array:
    """x without an odd last row or column."""
    return x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]


def zero_odd_edges(dx: Array) -> Array:
    """Set an odd last row or column to 0, which no window covers; return dx."""
    height, width, _ = even(dx).shape
    dx[height:] = 0
    dx[:, width:] = 0
    return dx


_engines: "weakref.WeakSet[Engine]" = weakref.WeakSet()


def _start_all_anew() -> None:
    """In a forked child, which has none of its parent's threads, but its locks as they were."""
    for engine in list(_engines):
        engine._start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_all_anew)

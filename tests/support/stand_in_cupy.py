"""A CuPy without a GPU: the lessons' strict arrays, and as much of `cupy.cuda` as nnstyle asks for."""

import contextlib
import math
import time
from types import SimpleNamespace

import numpy as np

from lessons.strict_arrays import StrictArray, StrictLibrary


class Event:
    def record(self):
        self.moment = time.perf_counter()

    def synchronize(self):
        """Its arrays are there when a call returns."""


class Device(contextlib.nullcontext):
    def __init__(self, number):
        super().__init__()
        self.mem_info = (1_000_000_000, 1_000_000_000)

    def synchronize(self):
        """Nothing is ever under way."""


class StandInCupy(StrictLibrary):
    """What `nnstyle.engine.devices.import_cupy` returns in the tests; no array may have more than `limit` bytes."""

    __version__ = "a stand-in"

    def __init__(self, limit=math.inf):
        super().__init__()
        self.limit, self.taken = limit, 0
        self.cuda = SimpleNamespace(
            Device=Device,
            Event=Event,
            get_elapsed_time=lambda begin, end: 1000 * (end.moment - begin.moment),
            runtime=SimpleNamespace(
                getDeviceCount=lambda: 1,
                getDeviceProperties=lambda number: {"name": b"a stand-in"},
                runtimeGetVersion=lambda: 13000,
                driverGetVersion=lambda: 13010,
            ),
        )

    def asarray(self, array):
        return array if isinstance(array, StrictArray) else StrictArray(np.array(array))

    def empty(self, shape, dtype):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > self.limit:
            raise MemoryError
        self.taken += size
        return StrictArray(np.empty(shape, dtype))

    def get_default_memory_pool(self):
        """A pool that counts all that was ever taken since it was freed."""
        return SimpleNamespace(
            free_bytes=lambda: 0, total_bytes=lambda: self.taken, free_all_blocks=self.free_all_blocks
        )

    def free_all_blocks(self):
        self.taken = 0

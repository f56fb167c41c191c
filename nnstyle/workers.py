"""The threads and the memory of one run of the network.

NumPy releases Python's lock inside its loops and matrix products, so ordinary Python
threads do compute side by side. What must not happen is that each of them starts the
matrix library's own threads as well: inside ``with Workers(...)`` that library is held
to one thread. (Apple's Accelerate library has no such switch.)
"""

import contextvars
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from .errors import InputError
from .im2row import im2row_conv, turned
from .memory import Memory
from .winograd import winograd_conv
from .winograd_narrow import NARROW, winograd_conv_narrow


class Workers:
    """A team of threads and the memory they work in; use it in a ``with`` block.

    Parameters
    ----------
    threads : int, optional
        How many work at once. The default is the number of cores this process may use.
    low_memory : bool
        Keep nothing for later use, at the price of time: neither memory that is free, nor
        what could be computed once.

    Notes
    -----
    One call at a time may use the scratch memory: take ``lock`` around it. Two user
    threads that want to work truly at once make a ``Workers`` each. Results do not
    depend on `threads` in any way, down to the last bit: threads only choose who
    computes a piece, never how the work is cut or in which order sums are taken.
    """

    whole = False  # operations get bands of arrays
    winograd_channels = 16  # from as many on, Winograd's fewer products outweigh its transforms

    def __init__(self, threads=None, low_memory=False):
        cores = getattr(os, "sched_getaffinity", lambda pid: range(os.cpu_count()))(0)
        self.threads = len(cores) if threads is None else threads
        if self.threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        self.lock = threading.RLock()
        self.low_memory, self._memory = low_memory, Memory(keep=not low_memory)
        self._scratch, self._kept = {}, {}
        self._pool = None

    def __enter__(self):
        _one_thread_blas.acquire()
        if self.threads > 1:
            self._pool = ThreadPoolExecutor(self.threads - 1)  # and the caller
        return self

    def __exit__(self, *error):
        try:
            if self._pool:
                self._pool.shutdown(cancel_futures=True)
        finally:  # even if somebody interrupts
            self._pool = None
            self.clear()
            _one_thread_blas.release()

    def each(self, function, items):
        """Call ``function(item)`` for every item and return the results in order.

        Outside the ``with`` block the calling thread does all the work itself.
        """
        items = list(items)
        if not self._pool or len(items) < 2:
            return [function(item) for item in items]
        results, to_do = [None] * len(items), enumerate(items)

        def work():
            for i, item in to_do:  # shared by all: who is free takes the next
                results[i] = function(item)

        # In the caller's context, so that its np.errstate holds in the threads as well.
        others = [
            self._pool.submit(contextvars.copy_context().run, work)
            for _ in range(min(self.threads, len(items)) - 1)
        ]
        try:
            work()
        finally:
            started = [other for other in others if not other.cancel()]
            for other in started:
                other.exception()  # waits: nobody may still write into an array that the caller lets go
        for other in started:
            other.result()  # raises what was raised there
        return results

    def conv(self, x, kernel, bias=None, gradient=False):
        """`nnstyle.layers.conv`, by what is fast for these channels; with `gradient`, from dy back to dx."""
        if x.shape[-1] < self.winograd_channels:
            return im2row_conv(x, turned(kernel) if gradient else kernel, bias, self)
        return self.fast_conv(x, kernel, bias, gradient)

    def fast_conv(self, x, kernel, bias=None, gradient=False):
        """`nnstyle.winograd.winograd_conv` by these workers, or the one for few channels."""
        narrow = min(kernel.shape[2:]) <= NARROW
        return (winograd_conv_narrow if narrow else winograd_conv)(x, kernel, self, bias, gradient)

    def empty(self, shape, dtype):
        """An array with undefined contents, in memory that was used before where possible."""
        return self._memory.empty(shape, dtype)

    def scratch(self, name, shape, dtype):
        """As `empty`, but in one piece of memory under this name: the next call overwrites it.

        The memory grows to the largest size asked for.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in self._scratch or self._scratch[name].nbytes < size:
            self._scratch[name] = np.empty(size, np.uint8)
        return self._scratch[name][:size].view(dtype).reshape(shape)

    def once(self, function, array, *arguments):
        """``function(array, *arguments)``, computed once and kept, for arrays that never change."""
        if self.low_memory:
            return function(array, *arguments)
        key = function, id(array), *arguments
        if key not in self._kept:
            self._kept[key] = function(array, *arguments), array  # held, so that its id stays its own
        return self._kept[key][0]

    def clear(self):
        """Forget everything kept, and give free memory back."""
        for memory in (self._scratch, self._kept, self._memory):
            memory.clear()


class _OneThreadBlas:
    """Holds the matrix library to one thread while anyone asks for it.

    The library's thread count belongs to the whole process, hence so does this count
    of users: the first one in lowers the limit, the last one out restores it.
    """

    def __init__(self):
        self._lock, self._users, self._limits = threading.Lock(), 0, None

    def acquire(self):
        with self._lock:
            if self._users == 0:
                self._limits = threadpool_limits(1, user_api="blas")
            self._users += 1

    def release(self):
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._limits.restore_original_limits()


_one_thread_blas = _OneThreadBlas()

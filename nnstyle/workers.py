"""The threads and the scratch memory of one run of the network.

NumPy releases Python's lock inside its loops and matrix products, so ordinary Python
threads do compute side by side. What must not happen is that each of them starts the
matrix library's own threads as well: inside ``with Workers(...)`` that library is held
to one thread.
"""

import contextvars
import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from .errors import InputError


class Workers:
    """A team of threads and the memory they work in; use it in a ``with`` block.

    Parameters
    ----------
    threads : int, optional
        How many work at once. The default is the number of cores this process may use.

    Notes
    -----
    One call at a time may use the scratch memory: take ``lock`` around it. Two user
    threads that want to work truly at once make a ``Workers`` each. Results do not
    depend on `threads` in any way, down to the last bit: threads only choose who
    computes a piece, never how the work is cut or in which order sums are taken.
    """

    def __init__(self, threads=None):
        cores = getattr(os, "sched_getaffinity", lambda pid: range(os.cpu_count()))(0)
        self.threads = len(cores) if threads is None else threads
        if self.threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        self.lock = threading.RLock()
        self._memory = {}
        self._pool = None

    def __enter__(self):
        _one_thread_blas.acquire()
        if self.threads > 1:
            self._pool = ThreadPoolExecutor(self.threads)
        return self

    def __exit__(self, *error):
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
        self._memory.clear()
        _one_thread_blas.release()

    def each(self, function, items):
        """Call ``function(item)`` for every item and return the results in order.

        Outside the ``with`` block the calling thread does all the work itself.
        """
        if not self._pool:
            return list(map(function, items))
        # In the caller's context, so that its np.errstate holds in the threads as well.
        context = contextvars.copy_context()
        return list(self._pool.map(lambda item: context.copy().run(function, item), items))

    def scratch(self, name, shape, dtype):
        """An array of this shape with undefined contents, in memory kept under `name`.

        The memory is kept for the next call and grows to the largest size asked for.
        """
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in self._memory or self._memory[name].nbytes < size:
            self._memory[name] = np.empty(size, np.uint8)
        return self._memory[name][:size].view(dtype).reshape(shape)


class _OneThreadBlas:
    """Holds the matrix library to one thread while anyone asks for it.

    The library's thread count belongs to the whole process, hence so does this count
    of users: the first one in lowers the limit, the last one out restores it.
    """

    def __init__(self):
        self._lock, self._users, self._limits = threading.Lock(), 0, None

    def acquire(self):
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._limits = threadpool_limits(1, user_api="blas")

    def release(self):
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._limits.restore_original_limits()


_one_thread_blas = _OneThreadBlas()

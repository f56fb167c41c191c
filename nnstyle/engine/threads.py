"""The threads of an engine, and the limit of one BLAS thread.

NumPy releases Python's lock inside its loops and matrix products, so ordinary Python threads
compute side by side. The matrix library (BLAS) must not start threads of its own inside each
of them: `one_blas_thread` holds it to one. (Apple's Accelerate has no such setting.)
"""

import contextvars
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from threadpoolctl import ThreadpoolController


def available_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class ThreadTeam:
    """Threads that share work with the thread that asks for it.

    They start when they are first needed. They end when `stop` is called, when nobody refers to
    the team any more, and when the interpreter exits.

    Parameters
    ----------
    size : int
        How many threads compute at once, the calling one included.
    """

    def __init__(self, size: int):
        self._size = size
        self._most_helpers = size - 1  # as far as is known: fewer where threads cannot be started
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    def map(self, function: Callable, items: Iterable) -> list[Any]:
        """Call ``function(item)`` for every item and return the results in order."""
        items = list(items)
        if self._most_helpers == 0 or len(items) < 2:
            return [function(item) for item in items]
        results: list[Any] = [None] * len(items)
        to_do = enumerate(items)

        def work() -> None:
            for i, item in to_do:  # shared: whoever is free takes the next item
                results[i] = function(item)

        helpers = self._submit(work, len(items) - 1)
        try:
            work()
        finally:
            # Wait for those that have begun: they may still write into the caller's arrays.
            started = [helper for helper in helpers if not helper.cancel()]
            for helper in started:
                helper.exception()
        for helper in started:
            helper.result()  # raises what was raised there
        return results

    def _submit(self, work: Callable[[], None], most: int) -> list[Future]:
        """Call `work` in at most so many threads, in the caller's context (NumPy's error state is part of it).

        Where a thread cannot be started, those that there are do the work: memory may be short, or the
        main thread may have ended, after which Python starts no new ones.
        """
        helpers: list[Future] = []
        with self._lock:  # or the executor might be stopped meanwhile
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._size - 1, "nnstyle", one_blas_thread.limit_thread)
            try:
                for _ in range(min(most, self._most_helpers)):
                    helper: Future = Future()
                    # Known before it is submitted: the executor queues what it then fails to start a thread
                    # for, and a thread that gets free may take it up.
                    helpers.append(helper)
                    self._executor.submit(contextvars.copy_context().run, fulfil, helper, work)
            except RuntimeError:
                # Without a thread, its queue would keep the work, and the work its arrays, for ever.
                self._executor.shutdown(wait=False, cancel_futures=True)
                self._executor = None
                self._most_helpers = len(helpers) - 1
        return helpers

    def stop(self) -> None:
        """End the threads; the next call of `map` starts new ones."""
        with self._lock:
            executor, self._executor = self._executor, None
            self._most_helpers = self._size - 1
        if executor:
            executor.shutdown(cancel_futures=True)  # the work left is done by those who asked for it


def fulfil(helper: Future, work: Callable[[], None]) -> None:
    """Do the work, unless it has been cancelled, and let the helper tell how it ended."""
    if not helper.set_running_or_notify_cancel():
        return
    try:
        work()
    except BaseException as error:  # noqa: BLE001  # raised where the helper is asked for its result
        helper.set_exception(error)
    else:
        helper.set_result(None)


class OneBlasThread:
    """Context manager, re-entrant and for any thread: inside it, BLAS uses one thread.

    The thread count of most libraries belongs to the whole process. So the users are counted for
    the whole process, too: the first one in lowers the limit, the last one out restores it.
    Where the limit belongs to a thread (MKL, and OpenBLAS built with OpenMP), each thread counts
    for itself.

    `threadpoolctl.threadpool_limits` cannot do that: since version 3.8, only the first thread that
    ever used it can set OpenBLAS's thread count; calls from other threads silently do nothing.
    """

    def __init__(self) -> None:
        self._controllers: dict[str, Any] = {}  # by the library's path
        self._process = Limit()
        self._thread = threading.local()
        self._lock = threading.Lock()

    def find_libraries(self) -> None:
        """Look for libraries loaded since the last call; takes milliseconds."""
        found = ThreadpoolController().select(user_api="blas").lib_controllers
        with self._lock:
            for controller in found:
                if self._controllers.setdefault(controller.filepath, controller) is controller:
                    its_limit = self._limit_of(controller)
                    if its_limit.users:
                        its_limit.lower(controller)

    def __enter__(self) -> "OneBlasThread":
        with self._lock:
            for limit in (self._process, self._thread_limit()):
                limit.users += 1
                if limit.users == 1:
                    for controller in self._controllers.values():
                        if self._limit_of(controller) is limit:
                            limit.lower(controller)
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            for limit in (self._process, self._thread_limit()):
                if limit.users == 0:  # entered in another thread, or before a fork
                    continue
                limit.users -= 1
                if limit.users == 0:
                    limit.restore()

    def limit_thread(self) -> None:
        """Hold the calling thread to one for as long as it lives: a thread of ours computes nothing else."""
        with self._lock:
            for controller in self._controllers.values():
                if belongs_to_thread(controller):
                    controller.set_num_threads(1)

    def _thread_limit(self) -> "Limit":
        if not hasattr(self._thread, "limit"):
            self._thread.limit = Limit()
        return self._thread.limit

    def _limit_of(self, controller: Any) -> "Limit":
        return self._thread_limit() if belongs_to_thread(controller) else self._process

    def before_fork(self) -> None:
        """Let no other thread be in the middle of a change."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Start anew: the other threads, and with them their share of the users, are gone."""
        self._lock = threading.Lock()
        for limit in (self._process, self._thread_limit()):
            limit.users = 0  # the counts to restore are kept, for the child's first user


class Limit:
    """The users of one limit, and the thread counts to restore after the last of them."""

    def __init__(self) -> None:
        self.users = 0
        self._before: list[tuple[Any, int]] = []

    def lower(self, controller: Any) -> None:
        """Set a library's thread count to 1."""
        if all(controller is not known for known, _ in self._before):
            self._before.append((controller, controller.get_num_threads()))
        set_threads(controller, 1)

    def restore(self) -> None:
        """Set all counts to what they were."""
        while self._before:
            set_threads(*self._before.pop())


def belongs_to_thread(controller: Any) -> bool:
    """Whether this library has a thread count for each calling thread."""
    openmp = getattr(controller, "threading_layer", None) == "openmp"
    return controller.internal_api == "mkl" or (controller.internal_api == "openblas" and openmp)


def set_threads(controller: Any, count: int) -> None:
    """Set a library's thread count, whichever thread has set it before."""
    clear = getattr(controller, "clear_controlling_thread", None)  # threadpoolctl 3.8 and later
    if clear:
        clear(force=True)
    controller.set_num_threads(count)
    if clear:
        clear(force=True)


one_blas_thread = OneBlasThread()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=one_blas_thread.before_fork,
        after_in_parent=one_blas_thread.after_fork_in_parent,
        after_in_child=one_blas_thread.after_fork_in_child,
    )

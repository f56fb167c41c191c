"""The limit of one BLAS thread: it holds for every thread, for as long as it is needed, and after a fork."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from nnstyle import Engine
from nnstyle.engine import bands, threads
from nnstyle.engine.threads import OneBlasThread
from tests.support.patience import PATIENCE


def blas_threads():
    """The thread counts of all BLAS libraries."""
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def two_blas_threads():
    """Give BLAS two threads, whatever the environment of the tests says."""
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("this BLAS cannot be given two threads")
        yield


def in_another_thread(function):
    """Call a function in another thread and return its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(PATIENCE)
    return results[0]


def test_the_matrix_library_gets_its_threads_back(two_blas_threads):
    first, second = Engine(threads=2), Engine(threads=2)
    with first:
        with second:
            assert blas_threads() == {1}
        assert blas_threads() == {1}  # the first still needs it
    assert blas_threads() == {2}


def test_the_limit_holds_in_any_thread(two_blas_threads):
    """Even after the main thread, and threadpoolctl in it, have set other limits."""

    def in_a_block():
        with Engine(threads=2):
            return blas_threads()

    assert in_a_block() == {1}
    assert in_another_thread(in_a_block) == {1}
    assert blas_threads() == {2}
    with Engine(threads=2):
        assert in_another_thread(in_a_block) == {1}
        assert blas_threads() == {1}  # the other thread was not the last
    assert blas_threads() == {2}


KERNEL = np.ones((3, 3, 20, 20))
OPERATIONS = {
    "conv": lambda engine, x: engine.conv(x, KERNEL, 0),
    "conv_backward": lambda engine, x: engine.conv_backward(x, KERNEL),
    "gram_matrix": lambda engine, x: engine.gram_matrix(x),
    "gram_matrix_backward": lambda engine, x: engine.gram_matrix_backward(KERNEL[0, 0], x),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_without_a_block_the_limit_holds_during_an_operation(name, two_blas_threads, monkeypatch):
    """Seen from its innermost function, in the thread that asks and in those that help."""
    engine, seen = Engine(threads=2), []
    spied = engine.map

    def spy(function, items):
        def item(i):
            seen.append(blas_threads())
            return function(i)

        return spied(item, items)

    monkeypatch.setattr(bands, "BAND_BYTES", 10_000)
    monkeypatch.setattr(engine, "map", spy)
    x = np.ones((30, 30, 20))
    for in_a_thread in (lambda call: call(), in_another_thread):
        in_a_thread(lambda: OPERATIONS[name](engine, x))
        assert seen and all(counts == {1} for counts in seen)
        assert blas_threads() == {2}
        seen.clear()


class Library:
    """A BLAS as threadpoolctl presents it; its thread count belongs to the process, or to each thread."""

    def __init__(self, internal_api, threading_layer="pthreads", path="blas"):
        self.internal_api, self.threading_layer, self.filepath = internal_api, threading_layer, path
        own = internal_api == "mkl" or threading_layer == "openmp"
        self._state = threading.local() if own else SimpleNamespace()

    def get_num_threads(self):
        return getattr(self._state, "count", 4)

    def set_num_threads(self, count):
        self._state.count = count


@pytest.fixture(
    params=[("openblas", "pthreads"), ("openblas", "openmp"), ("mkl", "intel"), ("blis", "pthreads")]
)
def library(request, monkeypatch):
    """A BLAS of some kind, the only one that is found."""
    library = Library(*request.param)
    found = SimpleNamespace(select=lambda user_api: SimpleNamespace(lib_controllers=[library]))
    monkeypatch.setattr(threads, "ThreadpoolController", lambda: found)
    return library


def test_every_kind_of_library_is_limited_in_every_thread(library):
    limit, team = OneBlasThread(), threads.ThreadTeam(3)
    limit.find_libraries()

    def count():
        with limit, limit:
            return library.get_num_threads()

    barrier = threading.Barrier(3)

    def helper(_):
        barrier.wait(PATIENCE)
        return library.get_num_threads()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "one_blas_thread", limit)
        with limit:
            assert library.get_num_threads() == 1 and in_another_thread(count) == 1
            assert team.map(helper, range(3)) == [1, 1, 1]  # the threads that help
            assert library.get_num_threads() == 1
    assert library.get_num_threads() == 4 and in_another_thread(library.get_num_threads) == 4
    assert in_another_thread(count) == 1
    team.stop()


def test_a_library_that_is_loaded_later_is_limited_too(library, monkeypatch):
    limit, later = OneBlasThread(), Library("openblas", path="another")
    limit.find_libraries()
    both = SimpleNamespace(select=lambda user_api: SimpleNamespace(lib_controllers=[library, later]))
    with limit:
        monkeypatch.setattr(threads, "ThreadpoolController", lambda: both)
        assert (library.get_num_threads(), later.get_num_threads()) == (1, 4)
        limit.find_libraries()
        assert (library.get_num_threads(), later.get_num_threads()) == (1, 1)
    assert (library.get_num_threads(), later.get_num_threads()) == (4, 4)


# Two threads painting at once took eight times as long as one after the other, because BLAS started threads of
# its own, which kept all cores busy while they waited for each other. So it shows in processor time: their ratio
# is 1, and without the limit of one BLAS thread the two had not ended after fifteen times as long. It takes a
# process of its own, since only there BLAS has its usual number of threads.
AT_ONCE = """
import threading, time
import numpy as np
import nnstyle

content, style = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype(np.uint8)

def paint():
    nnstyle.stylize(content, style, size=96, iterations=5)

def one_after_the_other():
    paint()
    paint()

def at_once():
    painters = [threading.Thread(target=paint) for _ in range(2)]
    for painter in painters:
        painter.start()
    for painter in painters:
        painter.join()

def processor_time(function):
    began = time.process_time()
    function()
    return time.process_time() - began

paint()
print(processor_time(at_once) / processor_time(one_after_the_other))
"""

# A child that is forked while another thread computes hung in its first matrix product.
FORK = """
import os, sys, threading
import numpy as np
from nnstyle import Engine, layers
from nnstyle.engine import shared_engine

x, kernel = np.ones((40, 40, 40)), np.ones((3, 3, 40, 40))
expected = layers.conv(x, kernel, 0)[0]
engine, stop = Engine(threads=2), threading.Event()

def compute(engine):
    while not stop.is_set():
        y, cache = engine.conv(x, kernel, 0)
        engine.gram_matrix(y)

painters = [threading.Thread(target=compute, args=(e,)) for e in (engine, shared_engine())]
for painter in painters:
    painter.start()
parents = shared_engine()
children = []
for _ in range(10):
    child = os.fork()
    if child == 0:
        assert shared_engine() is not parents
        for its in (shared_engine(), engine, parents):
            for _ in range(2):
                assert np.allclose(its.conv(x, kernel, 0)[0], expected, atol=1e-9)
        with engine:
            assert np.allclose(engine.conv(x, kernel, 0)[0], expected, atol=1e-9)
        np.ones((500, 500)) @ np.ones((500, 500))
        os._exit(0)
    children.append(child)
failed = [child for child in children if os.waitpid(child, 0)[1]]
stop.set()
for painter in painters:
    painter.join()
sys.exit(len(failed))
"""


# Once the main thread has ended, Python starts no new threads: then the one that paints works alone.
WITHOUT_MAIN_THREAD = """
import threading, time
from nnstyle import Engine

def work():
    threading.main_thread().join()
    time.sleep(0.1)
    print(sum(Engine(threads=2).map(lambda i: i, range(5))))

threading.Thread(target=work).start()
"""


def run(code):
    """Run Python code in a process of its own, with BLAS's usual number of threads; return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_where_no_thread_can_be_started_those_that_there_are_do_the_work(monkeypatch):
    def fail(self):
        raise RuntimeError("can't start new thread")

    start, team, names = threading.Thread.start, threads.ThreadTeam(3), []

    def item(i):
        names.append(threading.current_thread().name)
        return i

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert team.map(item, range(20)) == list(range(20)) and set(names) == {"MainThread"}
    monkeypatch.setattr(threading.Thread, "start", start)
    team.stop()
    barrier = threading.Barrier(3)
    team.map(lambda i: barrier.wait(PATIENCE), range(3))  # now there are all
    team.stop()


@pytest.mark.parametrize("most", [0, 1])
def test_where_threads_cannot_be_started_no_work_is_kept(monkeypatch, most):
    """It stayed in the executor's queue, with all feature maps."""
    start, started = threading.Thread.start, []

    def fail_after(self):
        started.append(self)
        if len(started) > most:
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", fail_after)
    team, arrays = threads.ThreadTeam(4), []
    for _ in range(20):
        array = np.ones(10)
        arrays.append(weakref.ref(array))
        assert team.map(lambda i, array=array: array[i], range(10)) == [1] * 10
    del array
    team.stop()
    gc.collect()
    assert not [ref for ref in arrays if ref() is not None]
    assert len(started) <= 4  # it is not tried again and again


def test_a_helper_that_begins_though_its_submission_failed_is_waited_for(monkeypatch):
    """An executor queues work before it starts a thread for it, and another thread may take it up."""

    class Executor:
        def __init__(self, *_):
            pass

        def submit(self, function, *arguments):
            threading.Thread(target=function, args=arguments).start()
            raise RuntimeError("can't start new thread")

        def shutdown(self, **_):
            pass

    barrier, caller, done = threading.Barrier(2), threading.current_thread(), []

    def item(i):
        barrier.wait(PATIENCE)
        if threading.current_thread() is not caller:
            time.sleep(0.05)
        done.append(i)

    monkeypatch.setattr(threads, "ThreadPoolExecutor", Executor)
    threads.ThreadTeam(2).map(item, range(2))
    assert sorted(done) == [0, 1]


def test_what_a_helper_raises_is_raised():
    barrier, caller = threading.Barrier(2), threading.current_thread()

    def item(i):
        barrier.wait(PATIENCE)
        if threading.current_thread() is not caller:
            raise ZeroDivisionError

    team = threads.ThreadTeam(2)
    with pytest.raises(ZeroDivisionError):
        team.map(item, range(2))
    team.stop()


@pytest.mark.slow
def test_two_threads_at_once_are_no_more_work_than_one_after_the_other():
    assert float(run(AT_ONCE)) < 1.5


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_forked_while_threads_compute_can_compute():
    run(FORK)


@pytest.mark.slow
def test_a_thread_goes_on_after_the_main_thread():
    assert run(WITHOUT_MAIN_THREAD) == "10\n"

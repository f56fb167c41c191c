"""An engine's threads, memory and constants: who computes what, and where, must not show in the results."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest

from nnstyle import Engine, InputError, Network
from nnstyle.arrays import read_only
from nnstyle.engine import bands, shared_engine
from tests.support import loops
from tests.support.patience import PATIENCE
from tests.support.tiny import tiny_weights


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def small_bands(monkeypatch):
    monkeypatch.setattr(bands, "BAND_BYTES", 2000)


# Arguments


@pytest.mark.parametrize("threads", ["2", 2.0, True, [2], 0, -1])
def test_a_number_of_threads_that_makes_no_sense_is_refused(threads):
    with pytest.raises(InputError, match="threads must be"):
        Engine(threads=threads)


@pytest.mark.parametrize("low_memory", [None, 1, "yes"])
def test_low_memory_is_true_or_false(low_memory):
    with pytest.raises(InputError, match="low_memory must be True or False"):
        Engine(low_memory=low_memory)


@pytest.mark.parametrize("device", ["gpu", None, 1, "CPU"])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(InputError, match="device must be"):
        Engine(device)


def test_numpys_whole_numbers_are_numbers():
    assert Engine(threads=np.int64(3)).threads == 3


# Threads


@pytest.mark.parametrize("band_bytes", [1, 1_000_000])
def test_bands_cover_every_row_once_in_order(band_bytes, monkeypatch):
    monkeypatch.setattr(bands, "BAND_BYTES", band_bytes)
    rows, double = np.arange(11), np.arange(22)
    with Engine(threads=2) as engine:
        pieces = bands.in_bands(engine, lambda a, b: (list(a), list(b)), rows, double)
    assert sum((a for a, _ in pieces), []) == list(range(11))
    assert all(b == [n for row in a for n in (2 * row, 2 * row + 1)] for a, b in pieces)


@pytest.mark.parametrize("low_memory", [False, True])
def test_a_network_gives_the_same_bits_for_any_number_of_threads_and_any_memory(rng, low_memory, small_bands):
    weights, image = tiny_weights(widths=(16, 17, 18, 19, 20)), rng.normal(size=(37, 45, 3))
    names, results = ["conv1_1", "conv3_2", "conv5_1"], []
    for threads, low in ((1, False), (2, low_memory), (5, low_memory)):
        with Engine(threads=threads, low_memory=low) as engine:
            network = Network(weights, engine=engine)
            for _ in range(2):  # in reused memory, too
                features, cache = network.forward(image, names)
                results.append(network.backward(features, cache))
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_a_failure_waits_for_those_who_are_still_writing():
    started, finished = threading.Event(), threading.Event()

    def item(number):
        if threading.current_thread() is threading.main_thread():
            started.wait(PATIENCE)
            raise ValueError("enough")
        started.set()
        time.sleep(0.2)
        finished.set()

    with Engine(threads=2) as engine:
        with pytest.raises(ValueError, match="enough"):
            engine.map(item, range(2))
        assert finished.is_set()


def test_calls_within_calls_do_not_wait_for_each_other():
    with Engine(threads=2) as engine:
        assert engine.map(lambda i: sum(engine.map(lambda j: i * j, range(4))), range(6)) == [
            6 * i for i in range(6)
        ]


def test_errors_and_numpys_error_state_reach_the_threads():
    def divide(x):
        return np.float64(1) / np.float64(x)

    with Engine(threads=2) as engine:
        with np.errstate(divide="ignore"):
            assert engine.map(divide, [1, 0]) == [1, np.inf]
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
            engine.map(divide, [1, 0])


def workers_of(engine):
    """The threads beside the calling one that an engine computes with; they are started for this."""
    barrier = threading.Barrier(engine.threads)

    def who(_):
        barrier.wait(PATIENCE)
        return threading.current_thread()

    return {*engine.map(who, range(engine.threads))} - {threading.current_thread()}


def are_gone(threads):
    """Whether all of them end."""
    for thread in threads:
        thread.join(PATIENCE)
    return not any(thread.is_alive() for thread in threads)


def test_blocks_may_be_nested_and_threads_end_with_the_outermost():
    engine = Engine(threads=3)
    with engine:
        with engine:
            workers = workers_of(engine)
        assert len(workers) == 2 and all(worker.is_alive() for worker in workers)
        assert workers_of(engine) == workers
    assert not any(worker.is_alive() for worker in workers)


def test_an_engine_computes_before_a_block_and_after_it(rng):
    engine, x = Engine(threads=2), rng.normal(size=(9, 8, 3))
    expected = np.maximum(x, 0)
    before = workers_of(engine)
    np.testing.assert_array_equal(engine.relu(x)[0], expected)
    with engine:
        assert workers_of(engine) == before
    after = workers_of(engine)
    np.testing.assert_array_equal(engine.relu(x)[0], expected)
    assert are_gone(before) and not before & after


def test_threads_end_with_their_engine():
    engine = Engine(threads=3)
    workers = workers_of(engine)
    assert len(workers) == 2
    del engine
    gc.collect()
    assert are_gone(workers)


@pytest.mark.slow
def test_blocks_in_two_threads_do_not_disturb_each_other(small_bands, rng):
    """One leaves its block, again and again, while the other computes without one."""
    engine, x = Engine(threads=3), rng.normal(size=(60, 50, 4))
    expected, stop, wrong = np.maximum(x, 0), threading.Event(), []

    def compute():
        while not stop.is_set():
            if not np.array_equal(engine.relu(x)[0], expected):
                wrong.append(1)

    other = threading.Thread(target=compute)
    other.start()
    for _ in range(50):
        with engine:
            engine.relu(x)
    stop.set()
    other.join(PATIENCE)
    assert not other.is_alive() and not wrong


def test_there_is_one_shared_engine():
    engines = []
    users = [threading.Thread(target=lambda: engines.append(shared_engine())) for _ in range(8)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert {*engines} == {shared_engine()}
    assert Network(tiny_weights()).engine is shared_engine()


# Constants


@pytest.mark.parametrize("c_in, c_out", [(3, 4), (16, 8), (40, 33)])  # one for each kind of convolution
def test_a_kernel_changed_in_place_changes_the_result(rng, c_in, c_out):
    engine, x = Engine(threads=1), rng.normal(size=(7, 5, c_in))
    kernel, dy = rng.normal(size=(3, 3, c_in, c_out)), rng.normal(size=(7, 5, c_out))
    for _ in range(2):
        np.testing.assert_allclose(engine.conv(x, kernel, 0)[0], loops.conv(x, kernel, 0), atol=1e-11)
        dx = engine.conv_backward(dy, kernel)
        np.testing.assert_allclose(dx, loops.conv_backward(dy, kernel), atol=1e-11)
        kernel *= -2


def test_a_network_does_not_share_its_kernels(rng):
    kernel, bias = rng.normal(size=(3, 3, 3, 16)), np.zeros(16)
    network = Network({"conv1_1": (kernel, bias)}, dtype=np.float64)
    image = rng.normal(size=(5, 6, 3))
    before = network.forward(image, ["conv1_1"])[0]["conv1_1"]
    kernel *= -1
    np.testing.assert_array_equal(network.forward(image, ["conv1_1"])[0]["conv1_1"], before)
    with pytest.raises(ValueError, match="read-only"):
        network.weights["conv1_1"][0][...] = 0


def counted(calls):
    """A transform that notes each of its calls."""

    def transform(kernel, factor):
        calls.append(factor)
        return kernel * factor

    return transform


@pytest.mark.parametrize("low_memory, expected", [(False, 2), (True, 4)])
def test_a_constant_is_transformed_once_unless_memory_is_short(low_memory, expected):
    engine, calls = Engine(threads=1, low_memory=low_memory), []
    constant, transform = engine.constant(np.ones(3), float), counted(calls)
    for factor in (1, 2, 1, 2):
        np.testing.assert_array_equal(
            engine.cached_transform(transform, constant, factor), factor * np.ones(3)
        )
    assert len(calls) == expected
    engine.clear()
    for _ in range(2):
        engine.cached_transform(transform, constant, 1)
    assert len(calls) == expected + (1 if not low_memory else 2)  # forgotten, but still a constant


def test_only_the_engines_own_constants_are_remembered():
    engine, calls = Engine(threads=1), []
    transform, constant = counted(calls), Engine(threads=1).constant(np.ones(3), float)
    for kernel in (np.ones(3), constant, engine.constant(np.ones(3), float)[:]):  # the last is a view of one
        for _ in range(2):
            engine.cached_transform(transform, kernel, 1)
    assert len(calls) == 6


def test_an_array_at_the_place_of_a_dead_constant_is_another():
    engine, transform = Engine(threads=1), lambda kernel: kernel * 2
    for number in range(100):  # the same ids come again
        constant = engine.constant(np.full(3, number), float)
        np.testing.assert_array_equal(engine.cached_transform(transform, constant), np.full(3, 2 * number))
        del constant
        plain = np.full(3, -number)
        np.testing.assert_array_equal(engine.cached_transform(transform, plain), np.full(3, -2 * number))


def test_transformed_kernels_die_with_their_network(rng):
    """Though the engine and the weights live on."""
    engine = Engine(threads=2)
    weights = {
        name: (read_only(kernel.astype(np.float32)), bias)  # so that no copy is needed
        for name, (kernel, bias) in tiny_weights(widths=(16, 17, 40, 40, 40)).items()
    }
    network, other = Network(weights, engine=engine), Network(weights, engine=engine)
    kept, cache_type = [], type(engine._constants)
    original = cache_type.__call__

    def spy(cache, *arguments):
        result = original(cache, *arguments)
        kept.append(weakref.ref(result))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_type, "__call__", spy)
        features, cache = network.forward(rng.normal(size=(20, 21, 3)), ["conv4_2"])
        network.backward(features, cache)
    assert len({id(reference()) for reference in kept}) > 20 and all(
        reference() is not None for reference in kept
    )
    del network, features, cache
    gc.collect()
    assert all(reference() is None for reference in kept)
    assert other.weights


def test_memory_is_freed_with_the_last_network(rng):
    engine = Engine(threads=1)
    network = Network(tiny_weights(), engine=engine)
    pool = weakref.ref(engine._buffers)
    features, _ = network.forward(rng.normal(size=(200, 200, 3)), ["conv1_2"])
    with engine:
        del network, _
        gc.collect()
        assert engine._buffers is pool()  # a block keeps its memory to the end
    network = Network(tiny_weights(), engine=engine)
    expected = features["conv1_2"].copy()
    del network
    gc.collect()
    assert pool() is None and np.array_equal(features["conv1_2"], expected)

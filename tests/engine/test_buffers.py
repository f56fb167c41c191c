"""What an evaluation costs in memory, and that reused memory is in use nowhere else."""

import gc
import mmap
import os
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnstyle.benchmark.peak import peak_memory
from nnstyle.engine import buffers, memory
from nnstyle.engine.buffers import BufferPool

KILO = 256  # float32 numbers in a kilobyte


@pytest.fixture(autouse=True)
def nothing_is_too_small(monkeypatch):
    monkeypatch.setattr(buffers, "SMALL", 0)


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_once_the_last_view_is_gone():
    pool = BufferPool()
    array = pool.empty((4, KILO), np.float32)
    where, view = address(array), array[1:].T
    del array
    other = pool.empty((4, KILO), np.float32)
    assert address(other) != where
    del view
    assert address(pool.empty((4 * KILO,), np.float32)) == where


def test_a_free_block_is_halved_and_its_halves_are_joined():
    pool = BufferPool()
    where = address(pool.empty((16 * KILO,), np.float32))  # gone at once
    parts = [pool.empty((4 * KILO,), np.float32) for _ in range(4)]
    assert sorted(address(part) - where for part in parts) == [0, 4096, 8192, 12288]
    assert not where <= address(pool.empty((4 * KILO,), np.float32)) < where + 16384
    del parts
    assert address(pool.empty((16 * KILO,), np.float32)) == where


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5000)), max_size=60))
def test_no_two_arrays_in_use_share_memory(steps):
    pool, held = BufferPool(), []
    for number, (take, size) in enumerate(steps):
        if take or not held:
            array = pool.empty((size,), np.uint16)
            array[...] = number
            held.append((array, number))
        else:
            array, value = held.pop(size % len(held))
            assert (array == value).all()
    assert all((array == number).all() for array, number in held)


def test_several_threads_may_take_and_return_at_once():
    pool, wrong = BufferPool(), []

    def user(number):
        for size in list(range(1, 300)) * 5:
            array = pool.empty((100 * size,), np.int32)
            array[...] = number
            if (array != number).any():
                wrong.append(number)

    with ThreadPoolExecutor(4) as users:
        list(users.map(user, range(4)))
    assert not wrong


def test_clear_gives_free_memory_back_at_once():
    pool = BufferPool()
    pool.empty((4 * KILO,), np.float32)  # gone at once
    halves = [pool.empty((2 * KILO,), np.float32) for _ in range(2)]
    loan = halves[0].base.base
    whole = weakref.ref(loan._block.whole.memory)
    del loan
    gc.disable()  # no cycle may be what keeps it
    try:
        del halves[0]
        pool.clear()  # while the other half is in use
        assert whole() is not None
        del halves
        pool.clear()
        assert whole() is None
    finally:
        gc.enable()


def test_where_memory_is_full_free_blocks_are_given_up_for_a_larger_one(monkeypatch):
    pool, empty = BufferPool(), np.empty
    held = pool.empty((KILO,), np.float32)
    pool.empty((KILO,), np.float32)  # free at once

    def full_unless_nothing_is_free(size, dtype):
        if pool._free:
            raise MemoryError
        return empty(size, dtype)

    monkeypatch.setattr(np, "empty", full_unless_nothing_is_free)
    assert pool.empty((4 * KILO,), np.float32).size == 4 * KILO and held.size == KILO


def test_a_mapping_that_cannot_be_had_is_a_lack_of_memory(monkeypatch):
    def refuse(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(MemoryError):
        BufferPool(keep=False).empty((KILO,), np.float32)


@pytest.mark.parametrize("keep", [True, False])
def test_any_shape_and_type(keep):
    pool = BufferPool(keep)
    for shape in ((), (0, 3), (2, 3, 4)):
        for dtype in (bool, np.float32, np.float64):
            array = pool.empty(shape, dtype)
            array[...] = 1
            assert array.shape == shape and array.dtype == dtype and (array == 1).all()


def test_available_memory_is_a_part_of_what_the_machine_has():
    assert 1e7 < memory.available() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no module resource")
@pytest.mark.parametrize("kind, limit", [("usual", 1.0e9), ("low", 0.53e9)])
def test_memory_of_forward_and_backward_of_vgg19_at_512_px(kind, limit):
    """PyTorch 2.13 needs 1.06e9 bytes for the same."""
    assert peak_memory("vgg19", 512, kind, 2) < limit

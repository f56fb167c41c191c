"""What an evaluation costs in memory, and that memory used again is nobody else's."""

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

from nnstyle import memory
from nnstyle.benchmark.peak import peak_memory
from nnstyle.memory import Memory
from nnstyle.workers import Workers


KILO = 256  # float32 numbers in a kilobyte


@pytest.fixture(autouse=True)
def nothing_is_too_small(monkeypatch):
    monkeypatch.setattr(memory, "SMALL", 0)


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_once_the_last_view_is_gone():
    lender = Memory()
    array = lender.empty((4, KILO), np.float32)
    where, view = address(array), array[1:].T
    del array
    other = lender.empty((4, KILO), np.float32)
    assert address(other) != where
    del view
    assert address(lender.empty((4 * KILO,), np.float32)) == where


def test_a_free_block_is_halved_and_its_halves_are_joined():
    lender = Memory()
    where = address(lender.empty((16 * KILO,), np.float32))  # gone at once
    parts = [lender.empty((4 * KILO,), np.float32) for _ in range(4)]
    assert sorted(address(part) - where for part in parts) == [0, 4096, 8192, 12288]
    assert not where <= address(lender.empty((4 * KILO,), np.float32)) < where + 16384
    del parts
    assert address(lender.empty((16 * KILO,), np.float32)) == where


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5000)), max_size=60))
def test_no_two_arrays_in_use_share_memory(steps):
    lender, held = Memory(), []
    for number, (take, size) in enumerate(steps):
        if take or not held:
            array = lender.empty((size,), np.uint16)
            array[...] = number
            held.append((array, number))
        else:
            array, value = held.pop(size % len(held))
            assert (array == value).all()
    assert all((array == number).all() for array, number in held)


def test_several_threads_may_take_and_return_at_once():
    lender, wrong = Memory(), []

    def user(number):
        for size in list(range(1, 300)) * 5:
            array = lender.empty((100 * size,), np.int32)
            array[...] = number
            if (array != number).any():
                wrong.append(number)

    with ThreadPoolExecutor(4) as users:
        list(users.map(user, range(4)))
    assert not wrong


def test_clear_gives_free_memory_back_at_once():
    lender = Memory()
    lender.empty((4 * KILO,), np.float32)  # gone at once
    halves = [lender.empty((2 * KILO,), np.float32) for _ in range(2)]
    loan = halves[0].base.base
    whole = weakref.ref(loan._block.whole.memory)
    del loan
    gc.disable()  # no cycle may be what keeps it
    try:
        del halves[0]
        lender.clear()  # while the other half is in use
        assert whole() is not None
        del halves
        lender.clear()
        assert whole() is None
    finally:
        gc.enable()


def test_where_memory_is_full_free_blocks_are_given_up_for_a_larger_one(monkeypatch):
    lender, empty = Memory(), np.empty
    held = lender.empty((KILO,), np.float32)
    lender.empty((KILO,), np.float32)  # free at once

    def full_unless_nothing_is_free(size, dtype):
        if lender._free:
            raise MemoryError
        return empty(size, dtype)

    monkeypatch.setattr(np, "empty", full_unless_nothing_is_free)
    assert lender.empty((4 * KILO,), np.float32).size == 4 * KILO and held.size == KILO


def test_a_mapping_that_cannot_be_had_is_a_lack_of_memory(monkeypatch):
    def refuse(*_):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(mmap, "mmap", refuse)
    with pytest.raises(MemoryError):
        Memory(keep=False).empty((KILO,), np.float32)


@pytest.mark.parametrize("keep", [True, False])
def test_any_shape_and_type(keep):
    lender = Memory(keep)
    for shape in ((), (0, 3), (2, 3, 4)):
        for dtype in (bool, np.float32, np.float64):
            array = lender.empty(shape, dtype)
            array[...] = 1
            assert array.shape == shape and array.dtype == dtype and (array == 1).all()


def test_what_never_changes_is_computed_once_unless_memory_is_short():
    array = np.ones(3)
    for low_memory, expected in ((False, 2), (True, 4)):
        calls = []
        with Workers(1, low_memory) as workers:
            for argument in (1, 2, 1, 2):
                workers.once(record, array, argument, calls.append)
        assert len(calls) == expected


def record(array, argument, append):
    append(argument)
    return array * argument


def test_available_memory_is_a_part_of_what_the_machine_has():
    assert 1e7 < memory.available() <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform == "win32", reason="no module resource")
@pytest.mark.parametrize("kind, limit", [("usual", 1.0e9), ("low", 0.53e9)])
def test_memory_of_forward_and_backward_of_vgg19_at_512_px(kind, limit):
    """PyTorch 2.13 needs 1.06e9 bytes for the same."""
    assert peak_memory("vgg19", 512, kind, 2) < limit

"""A buffer pool: arrays whose memory is reused once nothing refers to them any more."""

import collections
import math
import mmap
import threading

import numpy as np

SMALL = 100_000  # bytes; below, NumPy's own allocation is as good


class BufferPool:
    """Lends arrays, and takes their memory back when the last reference to one is gone.

    Memory fresh from the operating system arrives page by page while it is first written, which
    takes several times as long as the computation itself. Every evaluation of a network needs
    arrays of the same sizes, so from the second one on no memory has to be fresh. An array
    that is still in use is never lent again: the pool changes speed, never results.

    A block that is at least twice as large as needed is halved, and free halves are joined
    again: VGG's feature maps halve from block to block, so that those of one fit those of
    the next (a buddy allocator, Knowlton 1965). A sorted list of free blocks takes about a fifth more
    memory: ``nnstyle/benchmark/README.md``.

    Parameters
    ----------
    keep : bool
        Whether to keep free memory, or to give it back to the system at once.
    """

    def __init__(self, keep: bool = True):
        self._keep = keep
        self._free: set[_Block] = set()
        self._lock = threading.Lock()
        # Blocks may return at any moment, even while the lock is held: they wait here.
        self._returned: collections.deque[_Block] = collections.deque()

    def empty(self, shape, dtype) -> np.ndarray:
        """An array with undefined contents, like ``np.empty``."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size <= SMALL:
            return np.empty(shape, dtype)
        if self._keep:
            memory = np.asarray(_Loan(self._take(size), self._returned))
        else:
            memory = fresh(size)
        return memory[:size].view(dtype).reshape(shape)

    def _take(self, size):
        """The smallest free block that is large enough, halved while half of it is."""
        with self._lock:
            while self._returned:
                self._join(self._returned.popleft())
            block = min(
                (free for free in self._free if free.size >= size), key=lambda free: free.size, default=None
            )
            self._free.discard(block)
            block = block or self._new_block(size)
            while block.half >= size:
                block, other = block.halves()
                self._free.add(other)
            return block

    def _new_block(self, size):
        """A new block; where memory is full, in place of those that are free."""
        try:
            return _Block(np.empty(size, np.uint8))
        except MemoryError:
            self._forget()
            return _Block(np.empty(size, np.uint8))

    def _join(self, block):
        """Add a block to the free ones, joined with its other half where that is free, too."""
        while block.other in self._free:
            self._free.remove(block.other)
            block.other.other = None  # as in _forget
            block = block.whole
        self._free.add(block)

    def clear(self) -> None:
        """Give free memory back to the system."""
        with self._lock:
            while self._returned:
                self._join(self._returned.popleft())
            self._forget()

    def _forget(self):
        for block in self._free:
            block.other = None  # no cycle may keep the memory alive
        self._free.clear()


class _Block:
    """Bytes, and the block that they are a half of."""

    def __init__(self, memory, whole=None):
        self.memory, self.size, self.whole, self.other = memory, len(memory), whole, None
        self.half = self.size // 2 // 64 * 64  # both halves are as well aligned as the whole

    def halves(self):
        first, second = _Block(self.memory[: self.half], self), _Block(self.memory[self.half :], self)
        first.other, second.other = second, first
        return first, second


class _Loan:
    """What a lent array and all its views keep alive; when it dies, the block returns."""

    def __init__(self, block, returned):
        self._block, self._returned = block, returned
        self.__array_interface__ = block.memory.__array_interface__

    def __del__(self):
        self._returned.append(self._block)


def fresh(size: int) -> np.ndarray:
    """Bytes in a mapping of their own, which return to the system as soon as they are let go."""
    try:
        return np.frombuffer(mmap.mmap(-1, size), np.uint8)
    except OSError as error:
        raise MemoryError(f"there are no {size} bytes") from error

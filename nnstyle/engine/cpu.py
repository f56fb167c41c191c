"""The processor, with NumPy's arrays."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Array
from ..notes import note
from .buffers import BufferPool
from .device import Device, filters, kernel_bytes
from .im2row import im2row_conv
from .memory import available
from .threads import available_cores, one_blas_thread
from .winograd import winograd_conv
from .winograd_narrow import NARROW, winograd_conv_narrow

if TYPE_CHECKING:
    from .engine import Engine


# Bytes for each pixel that is painted, measured: some forty vectors as long as the picture in float64; or, in float32,
# two for each step that our own L-BFGS remembers, six more, and as much as a seventh for the pictures. Adam remembers three.
OPTIMIZER_BYTES = {"lbfgs": 8 * 3 * 42, "lbfgs-nnstyle": 4 * 3 * 7, "adam": 4 * 3 * 14, None: 0}
BYTES_OF_A_STEP: dict[str | None, int] = {"lbfgs-nnstyle": 4 * 3 * 2}


class Cpu(Device):
    """The processor: operations are cut into bands that fit its caches, which threads share."""

    name, title, optimizer = "cpu", "the processor", "lbfgs"
    current, blas_limit = contextlib.nullcontext(), one_blas_thread
    uses_bands = True

    def to_device(self, array: np.ndarray) -> np.ndarray:
        """The array itself."""
        return np.asarray(array)

    def threads(self, wanted: int | None) -> int:
        """By default as many as the cores that this process may use."""
        return available_cores() if wanted is None else wanted

    def buffers(self, keep: bool) -> BufferPool:
        return BufferPool(keep)

    def conv(
        self, engine: "Engine", x: Array, kernel: Array, bias: Array | None = None, gradient: bool = False
    ) -> Array:
        if x.shape[-1] < self.winograd_channels:
            return im2row_conv(x, kernel, engine, bias, gradient)
        narrow = min(kernel.shape[2:]) <= NARROW
        return (winograd_conv_narrow if narrow else winograd_conv)(x, kernel, engine, bias, gradient)

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """A processor has no failures of its own."""
        yield

    def available(self, swap: bool = False, threads: int | None = None) -> float:
        return available(swap, self.threads(threads))

    def bytes_needed(
        self,
        weights: Mapping,
        height: float,
        width: float,
        low_memory: bool = False,
        optimizer: str | None = "",
        history_size: int = 10,
        at_once: float | None = None,
    ) -> float:
        # Measured: five times conv1_1's feature map; the kernels, as they are and transformed; and the
        # vectors of the optimizer. With little memory, four times that map, and the kernels once.
        kernels, at_once = kernel_bytes(weights), at_once or height * width
        optimizer = self.optimizer if optimizer == "" else optimizer
        a_pixel = OPTIMIZER_BYTES[optimizer] + history_size * BYTES_OF_A_STEP.get(optimizer, 0)
        painting = height * width * a_pixel
        if low_memory:
            return painting + at_once * 16 * filters(weights) + kernels + 7.5e7
        return painting + at_once * 20 * filters(weights) + 8 * kernels + 1e8

    def is_memory_short(self, needed: float, threads: int | None = None) -> bool:
        """Whether fewer bytes are free than needed: then a note says so."""
        if needed <= self.available(threads=threads):
            return False
        note("little memory is free: working with less of it, which takes longer")
        return True


CPU = Cpu()

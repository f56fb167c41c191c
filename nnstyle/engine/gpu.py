"""A GPU, with CuPy's arrays."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..errors import InputError
from .device import Device, filters, kernel_bytes
from .im2row import FEW_CHANNELS, im2row_conv, row2im_conv_backward
from .winograd_whole import BLOCK_BYTES, winograd_conv_whole

if TYPE_CHECKING:
    from .engine import Engine

INSTALL = (
    "pip install 'cupy-cuda12x[ctk]' (or cupy-cuda13x[ctk]: nvidia-smi shows which CUDA the driver supports)"
)

# Bytes for each pixel that is painted: what the optimizer remembers, in float32, as on a processor. What
# SciPy's does is not here, but in the memory of the processor.
OPTIMIZER_BYTES = {"lbfgs": 0, "lbfgs-nnstyle": 4 * 3 * 8, "adam": 4 * 3 * 11, None: 0}
BYTES_OF_A_STEP: dict[str | None, int] = {"lbfgs-nnstyle": 4 * 3 * 2}


class Gpu(Device):
    """One of NVIDIA's GPUs: whole arrays, one operation after the other (lesson 13).

    A GPU has thousands of threads and a queue, and divides the work by itself. Every call takes
    some microseconds, however small its work, so there should be few of them.

    Parameters
    ----------
    number : int
        As CUDA counts, from 0.
    cupy : module
        CuPy.

    Attributes
    ----------
    library : module
        The one whose arrays live on the GPU: CuPy.
    tf32 : bool
        Whether float32 matrix products keep only ten bits of their factors. Winograd's transforms
        would magnify such errors, so the plain convolution is used then.

    Raises
    ------
    InputError
        If CuPy cannot compute on it; the message says why.
    """

    # Computed, not yet measured on a GPU: SciPy on the host takes several times what the network
    # needs on a GPU (lesson 13).
    optimizer = "lbfgs-nnstyle"
    uses_bands = False
    current: Any  # CuPy's own context manager
    blas_limit = contextlib.nullcontext()

    def __init__(self, number: int, cupy: ModuleType):
        self.library, self.name = cupy, f"cuda:{number}"
        with complaints_about("CuPy sees no GPU"):
            count = cupy.cuda.runtime.getDeviceCount()
        if number >= count:
            raise InputError(f"there is no {self.name}: GPUs are counted from cuda:0 to cuda:{count - 1}")
        with complaints_about(f"CuPy cannot compute on {self.name}"):
            self.current = cupy.cuda.Device(number)
            self.title = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
            with self.current:
                float((cupy.ones((2, 2)) @ cupy.ones((2, 2))).sum())  # compiles, and multiplies
        self.tf32 = os.environ.get("CUPY_TF32", "0") not in ("", "0")  # CuPy's own switch
        if self.tf32:
            self.title += ", TF32"
            self.winograd_channels = float("inf")

    def to_device(self, array: np.ndarray) -> Array:
        return self.library.asarray(array)

    def threads(self, wanted: int | None) -> int:
        """1, whatever was wanted: the thread that gives the GPU its work."""
        return 1

    def buffers(self, keep: bool) -> "LibraryBuffers":
        return LibraryBuffers(self.library)

    def conv(
        self, engine: "Engine", x: Array, kernel: Array, bias: Array | None = None, gradient: bool = False
    ) -> Array:
        if gradient and kernel.shape[2] < FEW_CHANNELS:
            # Back to a picture, Winograd's transforms would move far more memory.
            return row2im_conv_backward(x, kernel)
        plain = x.shape[-1] < self.winograd_channels
        return (im2row_conv if plain else winograd_conv_whole)(x, kernel, engine, bias, gradient)

    def available(self, swap: bool = False, threads: int | None = None) -> float:
        pool = self.library.get_default_memory_pool()
        return self.current.mem_info[0] + pool.free_bytes()

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
        # Measured with the same lines on NumPy's arrays: feature maps as on a processor; Winograd's
        # tiles, up to a limit; transformed kernels; and what the optimizer remembers.
        at_once = at_once or height * width
        winograd_tiles = min(23 * filters(weights) * at_once, 1.2 * BLOCK_BYTES)
        optimizer = self.optimizer if optimizer == "" else optimizer
        a_pixel = OPTIMIZER_BYTES[optimizer] + history_size * BYTES_OF_A_STEP.get(optimizer, 0)
        painting = height * width * a_pixel
        return painting + at_once * 20 * filters(weights) + winograd_tiles + 8 * kernel_bytes(weights) + 3e8

    def is_memory_short(self, needed: float, threads: int | None = None) -> bool:
        """False: feature maps need so much that saving elsewhere would not help."""
        return False


class LibraryBuffers:
    """Memory from the array library, which keeps what is free for later (CuPy's memory pool)."""

    def __init__(self, library: Any):
        self._library = library

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array with undefined contents, on the GPU."""
        return self._library.empty(shape, dtype=dtype)

    def clear(self) -> None:
        """Nothing: CuPy's pool belongs to the whole process."""


@contextlib.contextmanager
def complaints_about(what: str) -> Iterator[None]:
    """Turn whatever CUDA raises into one line: driver, library and GPU each fail in their own ways."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 (CUDA's exceptions have no common class)
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{what} ({reason}): update the driver, or {INSTALL}, or use the device cpu"
        ) from None

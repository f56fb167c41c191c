"""What an engine asks of the device that it computes on."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..arrays import Array
from ..errors import GpuError

if TYPE_CHECKING:
    from .engine import Engine


class Buffers(Protocol):
    """Where an engine gets the memory for its arrays."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array with undefined contents."""

    def clear(self) -> None:
        """Give free memory back."""


class Device:
    """A processor or a GPU: what differs between them, for `nnstyle.Engine`.

    Attributes
    ----------
    name : str
        As `nnstyle.engine.devices.find` knows it.
    title : str
        Its name in messages.
    optimizer : str
        The one to use where the settings leave it open (`nnstyle.Settings`).
    current : context manager, re-entrant
        Inside it, new arrays are made on this device.
    blas_limit : context manager, re-entrant
        Inside it, matrix products by the host's BLAS use one thread, on devices that compute with it.
    uses_bands : bool
        Whether operations get bands of arrays that stay in a cache, or whole arrays.
    winograd_channels : float
        The number of channels from which Winograd's fewer products outweigh its transforms.
    """

    name: str
    title: str
    optimizer: str
    current: contextlib.AbstractContextManager
    blas_limit: contextlib.AbstractContextManager
    uses_bands: bool
    winograd_channels: float = 16

    def to_device(self, array: np.ndarray) -> Array:
        """Return a NumPy array as an array on the device."""
        raise NotImplementedError

    def threads(self, wanted: int | None) -> int:
        """The number of threads of an engine: `wanted`, or the device's own choice for None."""
        raise NotImplementedError

    def buffers(self, keep: bool) -> Buffers:
        """Where arrays come from; with `keep`, free memory is kept for the next ones."""
        raise NotImplementedError

    def conv(
        self, engine: "Engine", x: Array, kernel: Array, bias: Array | None = None, gradient: bool = False
    ) -> Array:
        """The convolution that is fast for these channels; with `gradient`, from dy back to dx."""
        raise NotImplementedError

    @contextlib.contextmanager
    def failures(self) -> Iterator[None]:
        """A context in which failures of the device become `nnstyle.GpuError`."""
        try:
            yield
        except (GpuError, NotImplementedError):
            raise
        except Exception as error:
            # CuPy has errors of its own; PyTorch's are RuntimeErrors that name CUDA.
            if is_of_cupy(error) or (isinstance(error, RuntimeError) and "cuda" in str(error).lower()):
                reason = " ".join(str(error).split())[:300] or type(error).__name__
                raise GpuError(f"{self.title} failed: {reason}") from error
            raise

    def available(self, swap: bool = False, threads: int | None = None) -> float:
        """Bytes of memory that are free there for an engine; with `swap`, also what a disk takes in its place.

        Parameters
        ----------
        swap : bool
        threads : int, optional
            As for `nnstyle.Engine`.
        """
        raise NotImplementedError

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
        """Bytes that `nnstyle.stylize` uses for a picture of this size, beside what the process has already.

        Parameters
        ----------
        weights : mapping
        height, width : float
            Of the picture with its border, px.
        low_memory : bool
            As for `nnstyle.Engine`.
        optimizer : str or None
            What paints the picture, by default the device's own choice; None for a picture that only goes
            through the network.
        history_size : int
            How many steps our own L-BFGS remembers.
        at_once : float, optional
            How many pixels go through the network at once, by default all.
        """
        raise NotImplementedError

    def is_memory_short(self, needed: float, threads: int | None = None) -> bool:
        """Whether to work with less memory, because fewer bytes are free than needed; then a note says so."""
        raise NotImplementedError


def is_of_cupy(error: Exception) -> bool:
    """Whether CuPy defines this kind of error; its MemoryError is Python's as well."""
    return type(error).__module__.partition(".")[0] in ("cupy", "cupy_backends") and not isinstance(
        error, MemoryError
    )


def filters(weights: Mapping) -> int:
    """The number of channels of the largest feature map, conv1_1's."""
    return weights["conv1_1"][1].size


def kernel_bytes(weights: Mapping) -> int:
    """Bytes of all kernels."""
    return sum(kernel.nbytes for kernel, _ in weights.values())

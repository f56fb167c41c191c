"""Where the arrays live: in the host's memory, or in a graphics card's."""

import contextlib
import os
import warnings

from .device_workers import DeviceWorkers
from .errors import InputError
from .memory import available
from .winograd_whole import BLOCK_BYTES
from .workers import Workers

INSTALL = "pip install nnstyle[cuda12] (or nnstyle[cuda13]: nvidia-smi shows which CUDA the driver knows)"


class Host:
    """The processor, with NumPy's arrays.

    Attributes
    ----------
    name : str
        As `find` knows it.
    title : str
        What it is, for people.
    optimizer : str
        The one to use where the settings leave it open (`nnstyle.Settings`).
    current : context manager
        Inside of it, new arrays come to this device.
    """

    name, title, optimizer = "cpu", "the processor", "lbfgs"
    current = contextlib.nullcontext()

    def put(self, array):
        """A NumPy array as an array on the device."""
        return array

    def put_weights(self, weights):
        """Weights as `nnstyle.Network` takes them there: {layer name: (kernel, bias)}."""
        return {name: (self.put(kernel), self.put(bias)) for name, (kernel, bias) in weights.items()}

    def workers(self, threads=None, low_memory=False):
        """What computes there, for `nnstyle.Network`."""
        return Workers(threads, low_memory)

    def available(self):
        """Bytes of memory that are free there."""
        return available()

    def bytes_needed(self, weights, height, width):
        """Bytes that `nnstyle.stylize` likes to use for a picture of this size."""
        # Measured: five times conv1_1's feature map; the kernels, as they are and transformed; and
        # some forty float64 vectors as long as the picture in L-BFGS-B.
        return height * width * (20 * filters(weights) + 8 * 3 * 42) + 8 * kernel_bytes(weights) + 1.5e8

    def is_memory_short(self, weights, height, width):
        """Whether less than that is free: then a warning is given."""
        if self.bytes_needed(weights, height, width) <= self.available():
            return False
        warnings.warn("little memory is free: working with less of it, which takes longer", stacklevel=3)
        return True


HOST = Host()


class Card(Host):
    """One of NVIDIA's graphics cards, with CuPy's arrays.

    Raises
    ------
    InputError
        If CuPy cannot compute on it; the message says why.
    """

    # Computed, not yet measured on a card: SciPy on the host takes several times what the network
    # needs on a card (lesson 13).
    optimizer = "lbfgs-device"

    def __init__(self, number):
        self.cupy, self.name = import_cupy(), f"cuda:{number}"
        with complaints_about("CuPy sees no graphics card"):
            count = self.cupy.cuda.runtime.getDeviceCount()
        if number >= count:
            raise InputError(f"there is no {self.name}: cards are counted from cuda:0 to cuda:{count - 1}")
        with complaints_about(f"CuPy cannot compute on {self.name}"):
            self.current = self.cupy.cuda.Device(number)
            self.title = self.cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
            with self.current:
                float((self.cupy.ones((2, 2)) @ self.cupy.ones((2, 2))).sum())  # compiles, and multiplies
        self.tf32 = os.environ.get("CUPY_TF32", "0") not in ("", "0")  # CuPy's own switch
        if self.tf32:
            self.title += ", TF32"

    def put(self, array):
        return self.cupy.asarray(array)

    def workers(self, threads=None, low_memory=False):
        return DeviceWorkers(self.cupy, low_memory, self.tf32)

    def available(self):
        pool = self.cupy.get_default_memory_pool()
        return self.current.mem_info[0] + pool.free_bytes()

    def bytes_needed(self, weights, height, width):
        # Measured with the same lines on NumPy's arrays: feature maps as on a processor; tiles of
        # Winograd's, up to a limit; transformed kernels; and L-BFGS's steps, in float32.
        pixels = height * width
        tiles = min(23 * filters(weights) * pixels, 1.2 * BLOCK_BYTES)
        return pixels * (20 * filters(weights) + 4 * 3 * 28) + tiles + 8 * kernel_bytes(weights) + 3e8

    def is_memory_short(self, weights, height, width):
        """False, or InputError: what less memory could be had with is nothing beside the feature maps."""
        free, needed = self.available(), self.bytes_needed(weights, height, width)
        if needed <= free:
            return False
        size = max(height, width)
        fits = lambda n: self.bytes_needed(weights, height * n / size, width * n / size) <= free
        largest = next((n for n in range(size, 0, -1) if fits(n)), 0)
        raise InputError(
            f"{width} x {height} px need some {needed / 1e9:.1f} GB on {self.title}, which has"
            f" {free / 1e9:.1f} GB free: choose a size of at most {largest} px, or the device cpu"
        )


def filters(weights):
    """How many channels the largest feature map has, conv1_1's."""
    return weights["conv1_1"][1].size


def kernel_bytes(weights):
    """Bytes of all kernels."""
    return sum(kernel.nbytes for kernel, _ in weights.values())


def find(name):
    """The device of this name (lesson 13).

    Parameters
    ----------
    name : "cpu", "cuda", "cuda:1" and so on, "auto", or a device
        "cuda" is cuda:0; "auto" is that where CuPy is installed and sees a card, else the
        processor. A device is returned as it is.

    Raises
    ------
    InputError
        If there is no such device, or it cannot be used.
    """
    if isinstance(name, Host):
        return name
    if name == "cpu":
        return HOST
    if name == "auto":
        return automatic()
    kind, _, number = str(name).partition(":")
    if kind != "cuda" or not (number.isdecimal() if ":" in str(name) else True):
        raise InputError(f"device must be auto, cpu, cuda, or cuda:1 and so on, not {name!r}")
    return Card(int(number or 0))


def automatic():
    """The first card, if there is one; where CuPy is there and fails, a warning says why."""
    try:
        cupy = import_cupy()
    except InputError:
        return HOST
    if not cupy.cuda.is_available():
        return HOST
    try:
        return Card(0)
    except InputError as error:
        warnings.warn(f"{error}; using the processor", stacklevel=2)
        return HOST


def import_cupy():
    """The module cupy, which nothing else here imports."""
    try:
        import cupy
    except ImportError as error:
        reason = "is not installed" if error.name == "cupy" else f"cannot be imported ({error})"
        raise InputError(f"CuPy {reason}: {INSTALL}, or use the device cpu") from None
    return cupy


@contextlib.contextmanager
def complaints_about(what):
    """Whatever CUDA raises becomes one line: a driver, a library and a card each fail in ways of their own."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{what} ({reason}): update the driver, or {INSTALL}, or use the device cpu"
        ) from None

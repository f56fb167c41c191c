"""Which device to compute on: the processor, or a GPU."""

from types import ModuleType

from ..errors import InputError, shown
from ..notes import note
from .cpu import CPU
from .device import Device
from .gpu import INSTALL, Gpu


def find(name: str | Device) -> Device:
    """Return the device of this name (lesson 13).

    Parameters
    ----------
    name : "cpu", "cuda", "cuda:1" and so on, "auto", or a device
        "cuda" is cuda:0; "auto" is that where CuPy is installed and sees a GPU, else
        the processor. A device is returned as it is.

    Raises
    ------
    InputError
        If there is no such device, or it cannot be used.
    """
    if isinstance(name, Device):
        return name
    if not isinstance(name, str):
        raise InputError(f"device must be auto, cpu, cuda, or cuda:1 and so on, not {shown(name)}")
    if name == "cpu":
        return CPU
    if name == "auto":
        return automatic()
    kind, colon, number = str(name).partition(":")
    if kind != "cuda" or (colon and not number.isdecimal()):
        raise InputError(f"device must be auto, cpu, cuda, or cuda:1 and so on, not {shown(name)}")
    return Gpu(int(number or 0), import_cupy())


def automatic() -> Device:
    """The first GPU, if there is one; where CuPy is installed and fails, a note says why."""
    try:
        cupy = import_cupy()
    except InputError:
        return CPU
    if not cupy.cuda.is_available():
        return CPU
    try:
        return Gpu(0, cupy)
    except InputError as error:
        note(f"{error}; using the processor")
        return CPU


def import_cupy() -> ModuleType:
    """Return the module cupy, which nothing else here imports."""
    try:
        import cupy
    except ImportError as error:
        reason = "is not installed" if error.name == "cupy" else f"cannot be imported ({error})"
        raise InputError(f"CuPy {reason}: {INSTALL}, or use the device cpu") from None
    return cupy

"""How a GPU is measured: with its own clock, and in its own memory."""

import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from ..engine import Engine
from ..engine.device import Device
from ..engine.gpu import Gpu
from ..optimizers.scipy_lbfgsb import HISTORY_SIZE
from ..pictures import LARGEST, SMALLEST
from . import against_torch, floor, work
from .meter import Evaluation, Meter

SIDE = 8192  # of the matrices whose product is timed
COPIED = 1_000_000_000  # bytes; no cache holds them


def meter_of(device: Device) -> Meter:
    """The Meter of a device."""
    return GpuMeter(device) if isinstance(device, Gpu) else Meter(device)


class GpuMeter(Meter):
    """As `Meter`, for a GPU: a call there returns before its work is done (lesson 13).

    Parameters
    ----------
    device : Gpu
    """

    fills, decimals = True, 2

    def __init__(self, device: Gpu):
        super().__init__(device)
        self.cupy, self.tf32, self.torch_device = device.library, device.tf32, device.name
        self.gpu: Any = device.current
        self.pool = self.cupy.get_default_memory_pool()
        self.variants = {
            f"PyTorch, {'compiled' if compiled else 'eager'}, {'TF32' if tf32 else 'float32'}": {
                "channels_last": True,
                "compiled": compiled,
                "tf32": tf32,
            }
            for compiled in (False, True)
            for tf32 in (False, True)
        }

    def facts(self, with_torch: bool) -> dict[str, Any]:
        runtime = self.cupy.cuda.runtime
        facts = {
            "device": self.device.name,
            "GPU": self.device.title,
            "TF32": self.tf32,
            "CuPy": self.cupy.__version__,
            "CUDA": runtime.runtimeGetVersion(),
            "CUDA of the driver": runtime.driverGetVersion(),
        }
        if with_torch:
            torch = against_torch.import_torch(self.torch_device)
            facts |= {"PyTorch": torch.__version__, "its CUDA": torch.version.cuda}
            facts["cuDNN"] = torch.backends.cudnn.version()
        return facts

    def wait(self) -> None:
        self.gpu.synchronize()

    def free(self) -> None:
        """Give memory that nobody uses back to the GPU."""
        self.pool.free_all_blocks()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()

    def seconds_of(self, function: Callable[[], object]) -> float:
        return between_events(self.cupy.cuda.Event, self.cupy.cuda.get_elapsed_time, function)

    def torch_seconds_of(self, function: Callable[[], object]) -> float:
        event = against_torch.import_torch(self.torch_device).cuda.Event
        return between_events(partial(event, enable_timing=True), event.elapsed_time, function)

    def torch_evaluation(self, network: str, size: int, engine: Engine, **options: Any) -> Evaluation:
        self.free()  # else it could find no room
        return against_torch.evaluation(network, size, engine.threads, device=self.torch_device, **options)

    def rates(self, engine: Engine) -> dict[str, float]:
        """Of large products, and of copies (each byte is read and written): the best of five."""
        rng = np.random.default_rng(0)
        matrix = self.device.to_device(rng.standard_normal((SIDE, SIDE), np.float32))
        products = self.best_of_five(lambda: matrix @ matrix)
        numbers = self.device.to_device(np.ones(COPIED // 4, np.float32))
        return {
            "operations a second of matrix products": 2 * SIDE**3 / products,
            "bytes a second of copies": 2 * COPIED / self.best_of_five(numbers.copy),
        }

    def best_of_five(self, function: Callable[[], object]) -> float:
        """Seconds of a call, after one that may compile and take memory."""
        function()
        return min(self.seconds_of(function) for _ in range(5))

    def limits(
        self, network: str, size: int, seconds: float, engine: Engine, rates: dict[str, float]
    ) -> dict[str, float]:
        layers = work.make_weights(network)
        return floor.limits(layers, size, self.device.winograd_channels, seconds, *rates.values())

    def choose(self, optimizers: dict[str, float]) -> str:
        """The faster one: which that is on a GPU is to be measured."""
        return min(optimizers, key=lambda name: optimizers[name])

    def memory(self, network: str, size: int, kinds: Iterable[str], engine: Engine) -> dict[str, int | None]:
        """As CuPy's memory pool and PyTorch's tell it; CUDA itself takes more beside them."""
        peaks: dict[str, int | None] = {}
        for kind in kinds:
            self.free()
            if kind == "torch":
                peaks[kind] = against_torch.memory_peak(network, size, self.torch_device)
            else:
                peaks[kind] = self.pool_peak(network, size, kind == "low")
        return peaks

    def pool_peak(self, network: str, size: int, low_memory: bool = False, pictures: int = 0) -> int | None:
        """Bytes that the pool holds after evaluations, beside so many pictures; None if the GPU is too small.

        What is let go stays in the pool, which was empty before: it holds the most that was needed at once.
        """
        self.free()
        try:
            with Engine(self.device, low_memory=low_memory) as engine:
                held = engine.empty((pictures, size, size, 3), np.float32)
                function = work.evaluation(network, size, engine)
                function(), function()
                del held
                return self.pool.total_bytes()
        except (MemoryError, RuntimeError):  # CUDA's libraries have their own errors where memory ends
            return None

    def largest(self, network: str) -> dict[str, int]:
        """Long edges of the largest squares that fit: as `nnstyle` estimates it, and as tried out.

        Tried with the pictures in memory that L-BFGS has: two a step that it remembers, and eight more.
        """
        self.free()
        weights, free = work.make_weights(network), self.device.available()
        pictures = 2 * HISTORY_SIZE + 8
        return {
            "estimated": largest(lambda n: self.device.bytes_needed(weights, n, n) <= free),
            "tried": largest(lambda n: self.pool_peak(network, n, pictures=pictures) is not None),
        }


def between_events(
    event: Callable[[], Any], elapsed: Callable[[Any, Any], float], function: Callable[[], object]
) -> float:
    """Seconds of a call by a GPU's own clock: between an event recorded before and one after its work."""
    begin, end = event(), event()
    begin.record()
    function()
    end.record()
    end.synchronize()
    return elapsed(begin, end) / 1000  # they count milliseconds


def largest(fits: Callable[[int], bool], step: int = 32) -> int:
    """The largest size that fits, found by halving and exact to the step; 0 if the smallest does not."""
    if not fits(SMALLEST):
        return 0
    low, high = SMALLEST, LARGEST + 1
    while high - low > step:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low

"""How a card is measured: with its own clock, and in its own memory."""

import sys
from functools import partial

import numpy as np

from ..devices import Card
from ..images import LARGEST, SMALLEST
from ..optimizer import STEPS_REMEMBERED
from . import against_torch, floor, work
from .meter import Meter

SIDE = 8192  # of the matrices whose product is timed
COPIED = 1_000_000_000  # bytes; no cache holds them


def meter_of(device):
    """The Meter of a device."""
    return CardMeter(device) if isinstance(device, Card) else Meter(device)


class CardMeter(Meter):
    """As `Meter`, for `nnstyle.devices.Card`: a call there comes back before its work is done (lesson 13)."""

    fills, decimals = True, 2

    def __init__(self, device):
        super().__init__(device)
        self.cupy, self.tf32, self.torch_device = device.cupy, device.tf32, device.name
        self.pool = device.cupy.get_default_memory_pool()
        self.variants = {
            f"PyTorch, {'compiled' if compiled else 'eager'}, {'TF32' if tf32 else 'float32'}": {
                "channels_last": True,
                "compiled": compiled,
                "tf32": tf32,
            }
            for compiled in (False, True)
            for tf32 in (False, True)
        }

    def facts(self, with_torch):
        runtime = self.cupy.cuda.runtime
        facts = {
            "device": self.device.name,
            "card": self.device.title,
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

    def wait(self):
        self.device.current.synchronize()

    def free(self):
        """Give memory that nobody uses back to the card."""
        self.pool.free_all_blocks()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()

    def seconds_of(self, function):
        return between_events(self.cupy.cuda.Event, self.cupy.cuda.get_elapsed_time, function)

    def torch_seconds_of(self, function):
        event = against_torch.import_torch(self.torch_device).cuda.Event
        return between_events(partial(event, enable_timing=True), event.elapsed_time, function)

    def torch_evaluation(self, network, size, workers, **options):
        self.free()  # else it could find no room
        return against_torch.evaluation(network, size, workers.threads, device=self.torch_device, **options)

    def rates(self, workers):
        """Of large products, and of copies (each byte is read and written): the best of five."""
        matrix = self.device.put(np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32))
        products = self.best_of_five(lambda: matrix @ matrix)
        numbers = self.device.put(np.ones(COPIED // 4, np.float32))
        return {
            "operations a second of matrix products": 2 * SIDE**3 / products,
            "bytes a second of copies": 2 * COPIED / self.best_of_five(numbers.copy),
        }

    def best_of_five(self, function):
        """Seconds of a call, after one that may compile and take memory."""
        function()
        return min(self.seconds_of(function) for _ in range(5))

    def limits(self, network, size, seconds, workers, rates):
        layers = work.make_weights(network)
        return floor.limits(layers, size, workers.winograd_channels, seconds, *rates.values())

    def choose(self, optimizers):
        """The faster one's: which that is on a card is to be measured."""
        return min(optimizers, key=optimizers.get)

    def memory(self, network, size, kinds, workers):
        """As CuPy's memory pool and PyTorch's tell it; CUDA itself takes more beside them."""
        how = {"torch": partial(against_torch.memory_peak, network, size, self.torch_device)}
        for kind in ("usual", "low"):
            how[kind] = partial(self.pool_peak, network, size, kind == "low")
        peaks = {}
        for kind in kinds:
            self.free()
            peaks[kind] = how[kind]()
        return peaks

    def pool_peak(self, network, size, low_memory=False, pictures=0):
        """Bytes that the pool holds after evaluations, beside so many pictures; None if the card is too small.

        What is let go stays in the pool, which was empty before: it holds the most that was needed at once.
        """
        self.free()
        try:
            with self.device.workers(low_memory=low_memory) as workers:
                held = workers.empty((pictures, size, size, 3), np.float32)
                function = work.evaluation(network, size, workers, self.device)
                function(), function()
                del held
                return self.pool.total_bytes()
        except (MemoryError, RuntimeError):  # CUDA's libraries have their own errors where memory ends
            return None

    def largest(self, network):
        """Long edges of the largest squares that fit: as `nnstyle` estimates it, and as tried out.

        Tried with the pictures in memory that L-BFGS has: two a step that it remembers, and eight more.
        """
        self.free()
        weights, free = work.make_weights(network), self.device.available()
        pictures = 2 * STEPS_REMEMBERED + 8
        return {
            "estimated": largest(lambda n: self.device.bytes_needed(weights, n, n) <= free),
            "tried": largest(lambda n: self.pool_peak(network, n, pictures=pictures) is not None),
        }


def between_events(event, elapsed, function):
    """Seconds of a call by a card's own clock: between an event recorded before and one after its work."""
    begin, end = event(), event()
    begin.record()
    function()
    end.record()
    end.synchronize()
    return elapsed(begin, end) / 1000  # they count milliseconds


def largest(fits, step=32):
    """The largest size that fits, found by halving and exact to the step; 0 if the smallest does not."""
    if not fits(SMALLEST):
        return 0
    low, high = SMALLEST, LARGEST + 1
    while high - low > step:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low

"""How a device is measured, and PyTorch on it: here a processor."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from threadpoolctl import ThreadpoolController

from ..engine import Engine
from ..engine.device import Device
from ..engine.threads import set_threads
from . import against_torch, work
from .lbfgs import L_BFGS, lbfgs_seconds
from .peak import peak_memory

Evaluation = Callable[[], tuple[float, Any]]


class Meter:
    """What is measured differently on a processor and on a GPU; here, a call is done when it returns.

    Parameters
    ----------
    device : Device

    Attributes
    ----------
    variants : dict
        Ways to run PyTorch, {name: options of `against_torch.evaluation`}.
    tf32 : bool
        Whether nnstyle computes in TF32: only such a PyTorch does the same work.
    torch_device : str
        PyTorch's name for the device.
    """

    tf32: bool = False
    torch_device: str = "cpu"
    fills = False  # whether what does not fit can be tried: a processor would slow down instead
    decimals = 0  # shown beyond those of a processor's times

    def __init__(self, device: Device):
        self.device = device
        self.variants: dict[str, dict[str, bool]] = {
            f"PyTorch, channels {order}": {"channels_last": order == "last"} for order in ("last", "first")
        }

    def facts(self, with_torch: bool) -> dict[str, Any]:
        """What else belongs to the figures: the device and its libraries."""
        return {}

    def wait(self) -> None:
        """Return when all is done that the device was asked for."""

    def seconds_of(self, function: Callable[[], object]) -> float:
        """How long a call takes until its result is there."""
        return work.seconds_of(function)

    def torch_seconds_of(self, function: Callable[[], object]) -> float:
        """As `seconds_of`, for what PyTorch computes."""
        return work.seconds_of(function)

    def torch_evaluation(self, network: str, size: int, engine: Engine, **options: Any) -> Evaluation:
        """PyTorch's twin, with as many threads for its own matrix products as for its convolutions."""
        evaluate = against_torch.evaluation(network, size, engine.threads, **options)
        libraries = ThreadpoolController().select(user_api="blas").lib_controllers  # PyTorch's among them

        def with_threads() -> tuple[float, Any]:
            with blas_threads(libraries, engine.threads):
                return evaluate()

        return with_threads

    def rates(self, engine: Engine) -> dict[str, float]:
        """What the device can do at best."""
        return {"operations a second of matrix products": work.matmul_rate(engine)}

    def limits(
        self, network: str, size: int, seconds: float, engine: Engine, rates: dict[str, float]
    ) -> dict[str, float]:
        """How near an evaluation of so many seconds comes to that."""
        return {}

    def optimizers(self, size: int) -> dict[str, float]:
        """Seconds that an iteration takes in each L-BFGS, without the evaluations."""
        return {name: lbfgs_seconds(size, name, self.device, self.wait) for name in L_BFGS}

    def memory(self, network: str, size: int, kinds: Iterable[str], engine: Engine) -> dict[str, int | None]:
        """Peak bytes of each kind ("usual", "low", "torch"); None where there was not enough."""
        return {how: peak_memory(network, size, how, engine.threads) for how in kinds}

    def choose(self, optimizers: dict[str, float]) -> str:
        """The optimizer whose seconds count for a picture: the default one."""
        return self.device.optimizer

    def largest(self, network: str) -> dict[str, int]:
        """Long edges of the largest squares that fit, where `fills` is true."""
        return {}


@contextlib.contextmanager
def blas_threads(libraries: Iterable[Any], count: int) -> Iterator[None]:
    """Within the block, these libraries (threadpoolctl's controllers) use so many threads."""
    before = [(library, library.get_num_threads()) for library in libraries]
    for library, _ in before:
        set_threads(library, count)
    try:
        yield
    finally:
        for library, its_count in before:
            set_threads(library, its_count)

"""How a device is measured, and PyTorch on it: here a processor."""

from threadpoolctl import threadpool_limits

from ..settings import OPTIMIZERS
from . import against_torch, work
from .lbfgs import lbfgs_seconds
from .peak import peak_memory


class Meter:
    """What is measured differently on a processor and on a card; calls here are done when they return.

    Attributes
    ----------
    variants : dict
        Ways to run PyTorch, {name: options of `against_torch.evaluation`}.
    tf32 : bool
        Whether nnstyle computes in TF32: only such a PyTorch does the same work.
    """

    tf32, torch_device = False, "cpu"
    fills = False  # whether what does not fit can be tried: a processor would slow down instead
    decimals = 0  # shown beyond those of a processor's times

    def __init__(self, device):
        self.device = device
        self.variants = {
            f"PyTorch, channels {order}": {"channels_last": order == "last"} for order in ("last", "first")
        }

    def facts(self, with_torch):
        """What else belongs to the figures: the device and its libraries."""
        return {}

    def wait(self):
        """Return when all is done that the device was asked for."""

    def seconds_of(self, function):
        """How long a call takes until its result is there."""
        return work.seconds_of(function)

    torch_seconds_of = seconds_of

    def torch_evaluation(self, network, size, workers, **options):
        """PyTorch's twin, with as many threads for its own matrix products as for its convolutions."""
        evaluate = against_torch.evaluation(network, size, workers.threads, **options)

        def with_threads():
            with threadpool_limits(workers.threads, user_api="blas"):
                return evaluate()

        return with_threads

    def rates(self, workers):
        """What the device can do at best, as a dict."""
        return {"operations a second of matrix products": work.matmul_rate(workers)}

    def limits(self, network, size, seconds, workers, rates):
        """How near an evaluation of so many seconds comes to that, as a dict."""
        return {}

    def optimizers(self, size):
        """Seconds an iteration takes in each optimizer, without the evaluations."""
        return {name: lbfgs_seconds(size, name, self.device, self.wait) for name in OPTIMIZERS}

    def memory(self, network, size, kinds, workers):
        """Peak bytes of each kind ("usual", "low", "torch"); None where there was not enough."""
        return {how: peak_memory(network, size, how, workers.threads) for how in kinds}

    def choose(self, optimizers):
        """Whose seconds count for a picture: the default's."""
        return self.device.optimizer

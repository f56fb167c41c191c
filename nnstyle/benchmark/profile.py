"""Which operation takes which share of an evaluation."""

import collections
import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..engine import Engine
from .lbfgs import no_wait

# Methods of an engine, and what the benchmark calls them.
OPERATIONS = {
    "conv": "convolution",
    "conv_backward": "convolution, backward",
    "relu": "ReLU",
    "relu_backward": "ReLU, backward",
    "max_pool": "max pooling",
    "max_pool_backward": "max pooling, backward",
    "average_pool": "average pooling",
    "average_pool_backward": "average pooling, backward",
    "gram_matrix": "Gram matrix",
    "gram_matrix_backward": "Gram matrix, backward",
    "add": "sum of two gradients",
}


class Stopwatch:
    """Adds up the time spent in each operation, without the operations inside it.

    Parameters
    ----------
    wait : callable
        Returns when the device has done all it was asked for (lesson 13).
    """

    def __init__(self, wait: Callable[[], object] = no_wait):
        self.wait, self._inside = wait, [0.0]
        self.seconds: dict[str, float] = collections.defaultdict(float)

    def timed(self, function: Callable, name: str) -> Callable:
        """The function, its time counted under the name."""

        def call(*arguments: Any, **keywords: Any) -> Any:
            self.wait()
            began = time.perf_counter()
            self._inside.append(0.0)
            result = function(*arguments, **keywords)
            self.wait()
            elapsed = time.perf_counter() - began
            self.seconds[name] += elapsed - self._inside.pop()
            self._inside[-1] += elapsed
            return result

        return call


def profile(
    make: Callable[[], Callable[[], object]],
    engine: Engine,
    rounds: int,
    wait: Callable[[], object] = no_wait,
) -> list[tuple[str, float]]:
    """Shares of the engine's operations in an evaluation: (name, seconds), longest first.

    A GPU is waited for before and after each of them, so that together they take longer than an
    evaluation that nobody looks into.

    Parameters
    ----------
    make : callable
        Returns the evaluation, which computes with `engine`.
    engine : Engine
    rounds : int
        The number of evaluations; the seconds are means.
    wait : callable
        As for `Stopwatch`.
    """
    watch = Stopwatch(wait)
    with watched(engine, watch):
        evaluate = watch.timed(make(), "everything else")
        evaluate()  # what is done once
        watch.seconds.clear()
        for _ in range(rounds):
            evaluate()
    shares = [(name, seconds / rounds) for name, seconds in watch.seconds.items()]
    return sorted(shares, key=lambda share: share[1], reverse=True)


@contextlib.contextmanager
def watched(engine: Engine, watch: Stopwatch) -> Iterator[None]:
    """Within the block, this engine's operations are timed; other engines' are not."""
    for attribute, name in OPERATIONS.items():
        setattr(engine, attribute, watch.timed(getattr(engine, attribute), name))
    try:
        yield
    finally:
        for attribute in OPERATIONS:
            delattr(engine, attribute)  # the class has it still

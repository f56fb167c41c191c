"""Which operation takes which share of an evaluation."""

import collections
import contextlib
import time
from unittest import mock

from .. import layers, losses, network

OPERATIONS = (
    (layers, "conv", "convolution"),
    (layers, "conv_backward", "convolution, backward"),
    (layers, "relu", "ReLU"),
    (layers, "relu_backward", "ReLU, backward"),
    (losses, "gram_matrix", "Gram matrix"),
    (losses, "style_loss", "style loss and gradient"),
    (losses, "content_loss", "content loss and gradient"),
)
POOLING = ("average pooling", "average pooling, backward")


class Stopwatch:
    """Adds up the time spent in each operation, without the operations inside it.

    Parameters
    ----------
    wait : callable
        Returns when the device has done all it was asked for (lesson 13).
    """

    def __init__(self, wait=lambda: None):
        self.wait, self.seconds, self._inside = wait, collections.Counter(), [0.0]

    def timed(self, function, name):
        """The function, its time counted under the name."""

        def call(*arguments, **keywords):
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


def profile(make, rounds, wait=lambda: None):
    """Shares of the operations in the evaluation that `make()` returns: (name, seconds), longest first.

    A card is waited for before and after each of them, so that together they take longer than an
    evaluation that nobody looks into.
    """
    watch = Stopwatch(wait)
    with contextlib.ExitStack() as patches:
        for module, attribute, name in OPERATIONS:
            timed = watch.timed(getattr(module, attribute), name)
            patches.enter_context(mock.patch.object(module, attribute, timed))
        average = tuple(map(watch.timed, network.POOLING["average"], POOLING))
        patches.enter_context(mock.patch.dict(network.POOLING, average=average))
        evaluate = watch.timed(make(), "everything else")
        evaluate()  # what is done once
        watch.seconds.clear()
        for _ in range(rounds):
            evaluate()
    return [(name, seconds / rounds) for name, seconds in watch.seconds.most_common()]

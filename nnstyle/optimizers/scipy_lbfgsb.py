"""L-BFGS-B from SciPy, for images."""

import sys
from collections.abc import Callable

import numpy as np
import scipy.optimize

from ..errors import NotFiniteError

HISTORY_SIZE = 10  # with fewer, an iteration is cheaper and more are needed: no gain either way
OPTIONS = {"maxcor": HISTORY_SIZE, "maxfun": sys.maxsize, "ftol": 0, "gtol": 0}


def minimize(
    objective: Callable,
    start: np.ndarray,
    iterations: int,
    bounds: tuple | None = None,
    callback: Callable | None = None,
    history: object = None,
) -> tuple[np.ndarray, str]:
    """Lower `objective` by L-BFGS-B, starting from the image `start` (lesson 10).

    L-BFGS-B (Byrd, Lu, Nocedal and Zhu, 1995) ends by itself when a step gains little, or when the
    gradient is small. Pictures still improve then, so both tests are switched off. It also ends when
    its line search finds no lower point, because float32 losses are grainy. Then it starts again from
    there, its memory of past steps forgotten, and gives up only if that gains nothing.

    Parameters
    ----------
    objective : callable
        Image -> (loss, gradient), the gradient an array like the image.
    start : array, shape (H, W, 3)
    iterations : int
    bounds : (low, high), optional
        Smallest and largest value allowed, each a number or an array that broadcasts to the image.
        Every iteration then takes longer.
    callback : callable, optional
        Called after each iteration as ``callback(image, loss, history)``; the latest call of `objective`
        was at this image. If it returns a true value, the optimization stops.
    history : dict of str to array, optional
        What an earlier run's callback got as its `history`, to go on from there. SciPy does not hand out
        the steps that it remembers: here it is None, and the run starts with none.

    Returns
    -------
    image : array like `start`
    reason : str
        Why it ended.

    Raises
    ------
    NotFiniteError
        If the loss or its gradient is NaN or infinite at any point that is tried.
    InputError
        If the history is not one of this optimizer and an image of this shape; not here.
    """
    scaled = ScaledVector(start)
    latest = None  # where the objective was evaluated last

    def evaluate(vector):
        nonlocal latest
        loss, gradient = objective(scaled.image(vector))
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise NotFiniteError("the loss or its gradient became infinite or NaN")
        latest = vector.copy()
        return loss, gradient.astype(np.float64).ravel() * scaled.unit  # the chain rule for the unit

    stopped, stop_iteration = False, None

    def on_iteration(intermediate_result):  # SciPy goes by the name of this parameter
        nonlocal stopped, stop_iteration
        if callback is None:
            return
        if latest is None or not np.array_equal(intermediate_result.x, latest):
            evaluate(intermediate_result.x)
        try:
            stopped = callback(scaled.image(intermediate_result.x), intermediate_result.fun, None)
        except StopIteration as error:  # SciPy would take it for its own signal, below
            stop_iteration = error
            raise
        if stopped:
            raise StopIteration

    vector, lowest, done = scaled.vector(start), np.inf, 0
    arguments = {"method": "L-BFGS-B", "jac": True, "bounds": scaled.bounds(bounds), "callback": on_iteration}
    while done < iterations:
        options = OPTIONS | {"maxiter": iterations - done}
        result = scipy.optimize.minimize(evaluate, vector, **arguments, options=options)
        if stop_iteration is not None:
            raise stop_iteration
        vector, done = result.x, done + result.nit
        if stopped:
            return scaled.image(vector), "stopped by the callback"
        if result.nit == 0 or result.fun >= lowest:
            return scaled.image(vector), f"no lower loss was found ({result.message})"
        lowest = result.fun
    return scaled.image(vector), "all iterations done"


class ScaledVector:
    """Converts between an image and SciPy's flat float64 vector, which has another unit.

    The first step of L-BFGS-B is a vector of length 1. In pixels that is nothing, and the line search
    would need half a dozen evaluations to enlarge it. In units of sqrt(size) it changes every pixel by
    about 1. From the second iteration on, L-BFGS adapts to the unit by itself.

    Parameters
    ----------
    image : array, of any shape
    """

    def __init__(self, image: np.ndarray):
        self.shape, self.dtype, self.unit = image.shape, image.dtype, np.sqrt(image.size)

    def vector(self, image: np.ndarray) -> np.ndarray:
        """The flat vector of an image."""
        return image.astype(np.float64).ravel() / self.unit

    def image(self, vector: np.ndarray) -> np.ndarray:
        """The image of a flat vector."""
        return (vector * self.unit).reshape(self.shape).astype(self.dtype)

    def bounds(self, bounds: tuple | None) -> scipy.optimize.Bounds | None:
        """SciPy's form of (low, high), each a number or an array that broadcasts to the image."""
        if bounds is None:
            return None
        low, high = (self.vector(np.broadcast_to(limit, self.shape)) for limit in bounds)
        return scipy.optimize.Bounds(low, high)

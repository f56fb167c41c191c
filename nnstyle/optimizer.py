"""SciPy's L-BFGS-B <-> image."""

import sys

import numpy as np
import scipy.optimize

STEPS_REMEMBERED = 10  # fewer cost less time, and more iterations: on balance the same
OPTIONS = {"maxcor": STEPS_REMEMBERED, "maxfun": sys.maxsize, "ftol": 0, "gtol": 0}


class NotFiniteError(ArithmeticError):
    """The loss became NaN or infinite."""


def minimize(objective, start, iterations, bounds=None, callback=None):
    """Lower `objective` from the image `start` by L-BFGS, as many iterations as asked (lesson 10).

    SciPy works on a flat float64 vector, the network on an image of its own type; this
    function stands between them.

    L-BFGS-B (Byrd, Lu, Nocedal and Zhu, 1995) ends a run on its own when a step gains
    relatively little or when the gradient is small. Pictures still improve then, so both
    tests are off. What remains is a line search that finds no lower point, because
    float32 losses are grainy: then it starts anew from where it stands, with its memory
    of past steps forgotten, and gives up only when that gains nothing either.

    Parameters
    ----------
    objective : callable
        Image -> (loss, gradient), the gradient an array like the image.
    start : array, shape (H, W, 3)
    iterations : int
    bounds : (low, high), optional
        Smallest and largest allowed value, each a number or an array that broadcasts to
        the image. L-BFGS-B then takes longer over every step.
    callback : callable, optional
        Called after each iteration with (image, loss). The image is the best so far.

    Returns
    -------
    image : array like `start`
    reason : str
        Why it ended.

    Raises
    ------
    NotFiniteError
        If the loss or its gradient is NaN or infinite at any point that is tried.
    """
    flat = Flat(start)

    def on_vector(vector):
        loss, gradient = objective(flat.image(vector))
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise NotFiniteError("the loss or its gradient became infinite or NaN")
        return loss, gradient.astype(np.float64).ravel() * flat.unit  # the chain rule for the unit

    def on_iteration(intermediate_result):  # SciPy looks at this very name
        if callback:
            callback(flat.image(intermediate_result.x), intermediate_result.fun)

    vector, lowest, done, reason = flat.vector(start), np.inf, 0, "all iterations done"
    how = {"method": "L-BFGS-B", "jac": True, "bounds": flat.bounds(bounds), "callback": on_iteration}
    while done < iterations:
        options = OPTIONS | {"maxiter": iterations - done}
        result = scipy.optimize.minimize(on_vector, vector, **how, options=options)
        vector, done = result.x, done + result.nit
        if result.nit == 0 or result.fun >= lowest:
            reason = f"no lower loss was found ({result.message})"
            break
        lowest = result.fun
    return flat.image(vector), reason


class Flat:
    """Between an image and SciPy's flat float64 vector, which counts in another unit.

    L-BFGS-B's first step is a vector of length 1. In pixels that is nothing, and the line
    search would need half a dozen evaluations to make something of it. In units of
    sqrt(size) it moves every pixel by about 1. From the second iteration on the unit does
    not matter: L-BFGS adapts to it.
    """

    def __init__(self, image):
        self.shape, self.dtype, self.unit = image.shape, image.dtype, np.sqrt(image.size)

    def vector(self, image):
        return image.astype(np.float64).ravel() / self.unit

    def image(self, vector):
        return (vector * self.unit).reshape(self.shape).astype(self.dtype)

    def bounds(self, bounds):
        """SciPy's form of (low, high), each a number or an array that broadcasts to the image."""
        if bounds is None:
            return None
        low, high = (self.vector(np.broadcast_to(limit, self.shape)) for limit in bounds)
        return scipy.optimize.Bounds(low, high)

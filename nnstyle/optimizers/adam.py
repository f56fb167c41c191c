"""Adam, with an average of its iterates, for arrays of any library and type.

Adam is for objectives that a line search cannot take: noisy ones, or ones that change from evaluation to
evaluation. On equation (7), which is neither, L-BFGS gets further with as many evaluations (lesson 10).
"""

from collections.abc import Callable, Mapping

from ..arrays import Array, array_module
from ..errors import InputError
from .history import NOT_ITS_HISTORY, check_history
from .lbfgs import evaluate

# Kingma and Ba's beta1, beta2 and epsilon. A decay is the share of a mean that is kept in a step.
MEAN_DECAY = 0.9
SQUARE_DECAY = 0.999
EPSILON = 1e-8
# Of the mean of the iterates: it spans some five of them.
AVERAGE_DECAY = 0.8
LEARNING_RATE = 5.0  # levels of 0..255


def minimize(
    objective: Callable,
    start: Array,
    iterations: int,
    bounds: tuple | None = None,
    callback: Callable | None = None,
    history: Mapping[str, Array] | None = None,
    learning_rate: float | Array = LEARNING_RATE,
) -> tuple[Array, str]:
    """Lower `objective` by Adam, starting from the image `start`, on its device and in its type (lesson 10).

    Kingma and Ba (2015), algorithm 1. A step divides the mean m of the gradients by the root of the mean v of
    their squares. So it is about as long as the learning rate, whatever the unit of the loss, and does not
    become shorter near a minimum. The image shown and returned is therefore a mean of the iterates, in
    which their jumps cancel.

    Parameters, results and errors are those of `scipy_lbfgsb.minimize`, with these differences:

    - An iteration evaluates the objective once. The loss that the callback gets is that of the iterate, not
      of the mean, and may rise.
    - `history` holds the iterate x, m, v, and the number t of steps. A run continued with it from the image
      shown computes exactly what the uninterrupted run would have.
    - `bounds` are arrays of the same library as the image, or numbers. Iterates are clipped.
    - `learning_rate` is about how far each number moves in an iteration, in the unit of the image: a number,
      or an array that broadcasts to it.
    """
    xp = array_module(start)
    if history is None:
        x, m, v, done = within(bounds, start), 0.0, 0.0, 0
    else:
        check_history(history, start, "xmv", "t")
        x, m, v, done = history["x"], history["m"], history["v"], int(float(history["t"]))
        if done < 1:
            raise InputError(NOT_ITS_HISTORY)
    image, here = start, evaluate(objective, x)
    for t in range(done + 1, done + iterations + 1):
        g = here.gradient
        m = moving_average(m, g, MEAN_DECAY, t)
        v = moving_average(v, g * g, SQUARE_DECAY, t)
        x = within(bounds, x - learning_rate * m / (xp.sqrt(v) + EPSILON))
        image = within(bounds, moving_average(image, x, AVERAGE_DECAY, t))  # rounding may leave them
        here = evaluate(objective, x)
        if callback and callback(image, here.loss, {"x": x, "m": m, "v": v, "t": t}):
            return image, "stopped by the callback"
    return image, "all iterations done"


def moving_average(average: Array, new: Array, decay: float, t: int) -> Array:
    """The mean of t values, given that of the first t - 1; one that is k steps old has the weight decay**k.

    Kingma and Ba begin at 0, keep ``decay * average + (1 - decay) * new``, and divide by the sum of the weights,
    1 - decay**t, where they use it. This is the quotient itself (lesson 10). What is given as the mean of no
    values has no effect.
    """
    return average + (1 - decay) / (1 - decay**t) * (new - average)


def within(bounds: tuple | None, image: Array) -> Array:
    """The image with all its numbers between the bounds, where there are any."""
    return image if bounds is None else array_module(image).clip(image, *bounds)

"""Adam, with an average of its iterates, for arrays of any library and type."""

from collections.abc import Callable, Mapping

from ..arrays import Array, array_module
from .lbfgs import evaluate

# Kingma and Ba's beta1, beta2 and epsilon. Each decay is the share of a mean that stays at a step.
MEAN_DECAY = 0.9
SQUARE_DECAY = 0.999
EPSILON = 1e-8
AVERAGE_DECAY = 0.9
LEARNING_RATE = 10.0  # levels of 0..255


def minimize(
    objective: Callable,
    start: Array,
    iterations: int,
    bounds: tuple | None = None,
    callback: Callable | None = None,
    history: Mapping[str, Array] | None = None,
    learning_rate: float | Array = LEARNING_RATE,
) -> tuple[Array, str]:
    xp = array_module(start)
    if history is None:
        x, m, v, done = within(bounds, start), 0.0, 0.0, 0
    else:
        x, m, v, done = history["x"], history["m"], history["v"], int(float(history["t"]))
    average, here = start, evaluate(objective, x)
    for t in range(done + 1, done + iterations + 1):
        g = here.gradient
        m = moving_average(m, g, MEAN_DECAY, t)
        v = moving_average(v, g * g, SQUARE_DECAY, t)
        x = within(bounds, x - learning_rate * m / (xp.sqrt(v) + EPSILON))
        average = within(bounds, moving_average(average, x, AVERAGE_DECAY, t))
        here = evaluate(objective, x)
        if callback and callback(average, here.loss, {"x": x, "m": m, "v": v, "t": t}):
            return average, "stopped by the callback"
    return average, "all iterations done"


def moving_average(average, new, decay, t):
    return average + (1 - decay) / (1 - decay**t) * (new - average)


def within(bounds, image):
    return image if bounds is None else array_module(image).clip(image, *bounds)

"""L-BFGS written out: the same method as SciPy's, for arrays of any library and type."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ..arrays import Array, array_module
from ..errors import InputError, NotFiniteError
from .history import check_history
from .scipy_lbfgsb import HISTORY_SIZE

# The two Wolfe conditions. With slope(t) the derivative along the direction d at x + t d, a step t
# must lower the loss by a share of what the slope promises, and must flatten the slope:
SUFFICIENT_DECREASE = 1e-4  # loss(x + t d) <= loss(x) + 1e-4 t slope(0)
SUFFICIENT_CURVATURE = 0.9  # slope(t) >= 0.9 slope(0), both negative
MOST_TRIALS = 20  # along one direction


def minimize(
    objective: Callable,
    start: Array,
    iterations: int,
    bounds: None = None,
    callback: Callable | None = None,
    history: Mapping[str, Array] | None = None,
    history_size: int = HISTORY_SIZE,
) -> tuple[Array, str]:
    """Lower `objective` by L-BFGS, starting from the image `start`, on its device and in its type.

    Liu and Nocedal (1989), with a line search for the weak Wolfe conditions. `scipy_lbfgsb.minimize`
    works in float64 on the processor. Here the library of `start` does all work that grows with the
    size of the image; only single numbers, losses and slopes, come to the processor.

    Parameters, results and errors are those of `scipy_lbfgsb.minimize`, with these differences:

    - `bounds` must be None, because they need L-BFGS-B.
    - `history` holds the steps remembered, s0, y0, s1, y1 and so on, so that a run continued with it computes
      exactly what the uninterrupted run would have.
    - `history_size` is how many steps are remembered at most. Each takes as much memory as two images.
    """
    if bounds is not None:
        raise InputError("our own L-BFGS knows no bounds: choose the optimizer lbfgs or adam")
    history = history or {}
    numbers = range(len(history) // 2)
    check_history(history, start, [f"{name}{number}" for number in numbers for name in "sy"])
    steps: deque[Step] = deque(maxlen=history_size)
    for number in numbers:
        remember(steps, history[f"s{number}"], history[f"y{number}"])
    here = evaluate(objective, start)
    for _ in range(iterations):
        there = search(objective, here, direction(here.gradient, steps), first=not steps)
        if there is None and steps:  # as in `scipy_lbfgsb`: start again from here, all steps forgotten
            steps.clear()
            there = search(objective, here, direction(here.gradient, steps), first=True)
        if there is None:
            return here.image, "no lower loss was found (along the gradient)"
        remember(steps, *step_between(here, there))
        here = there
        if callback and callback(here.image, here.loss, named(steps)):
            return here.image, "stopped by the callback"
    return here.image, "all iterations done"


class Point:
    """An image with its loss and gradient; in a line search also its step, and the slope there.

    Image and gradient are None once they are no longer needed: they are as large as the picture.
    """

    def __init__(self, image: Array, loss: float, gradient: Array):
        self.image, self.loss, self.gradient = image, loss, gradient
        self.step = self.slope = 0.0


@dataclass(frozen=True)
class Step:
    """A step s that was taken, and the change y of the gradient over it."""

    s: Array
    y: Array
    rho: float  # 1 / s'y
    scale: float  # s'y / y'y: the inverse of the curvature along the step


def evaluate(objective: Callable, image: Array, along: Array | None = None) -> Point:
    """The Point at an image; its slope is that in the direction `along`."""
    point = Point(image, *objective(image))
    point.slope = dot(point.gradient, point.gradient if along is None else along)
    if not (math.isfinite(point.loss) and math.isfinite(point.slope)):
        raise NotFiniteError("the loss or its gradient became infinite or NaN")
    return point


def dot(a: Array, b: Array) -> float:
    """Inner product of two arrays, as a Python float: here the processor waits for a GPU."""
    return float(array_module(a).vdot(a, b))


def step_between(here: Point, there: Point) -> tuple[Array, Array]:
    """The step s from one point to another and the change y of the gradient; the gradient here is then forgotten."""
    y = there.gradient - here.gradient
    here.gradient = None
    return there.image - here.image, y


def remember(steps: deque[Step], s: Array, y: Array) -> None:
    """Keep a step if the loss curves upwards along it."""
    curvature, size = dot(s, y), dot(y, y)
    if curvature > 1e-10 * size:
        steps.append(Step(s, y, 1 / curvature, curvature / size))


def named(steps: Iterable[Step]) -> dict[str, Array]:
    """The steps by names: s0, y0 is the earliest."""
    arrays: dict[str, Array] = {}
    for number, step in enumerate(steps):
        arrays |= {f"s{number}": step.s, f"y{number}": step.y}
    return arrays


def direction(gradient: Array, steps: deque[Step]) -> Array:
    """Minus the inverse Hessian of L-BFGS times the gradient: the two-loop recursion (lesson 10).

    Nocedal (1980); algorithm 7.4 of Nocedal and Wright (2006). No number comes back to the processor.
    """
    xp, q, alphas = array_module(gradient), -gradient, []
    for step in reversed(steps):
        alphas.append(step.rho * xp.vdot(step.s, q))
        q -= alphas[-1] * step.y
    if steps:
        q *= steps[-1].scale  # in place of the first Hessian
    for step in steps:
        beta = step.rho * xp.vdot(step.y, q)
        q += (alphas.pop() - beta) * step.s
    return q


def search(objective: Callable, here: Point, d: Array, first: bool) -> Point | None:
    """A Point along d that fulfils both Wolfe conditions; the objective's latest call was there.

    Between a step that was too short and one that was too long, the next is where a parabola
    through both has its minimum. As long as none was too long, it is twice the last. If the trials
    run out, the best step that was too short is taken, or None if there was none.
    """
    start = dot(here.gradient, d)
    if not start < 0:
        return None
    # The first step has no curvature to go by: change the typical pixel by 1, as `ScaledVector` does.
    step = math.sqrt(d.size / dot(d, d)) if first else 1.0
    short, too_long = here, None
    here.step, here.slope = 0.0, start
    for _ in range(MOST_TRIALS):
        point = evaluate(objective, here.image + step * d, along=d)
        point.step = step
        if point.loss > here.loss + SUFFICIENT_DECREASE * step * start:
            too_long = point
        elif point.slope < SUFFICIENT_CURVATURE * start:
            short = point
        else:
            return point
        point.image = point.gradient = None  # only its numbers are still needed, and these are large
        step = between(short, too_long) if too_long else 2 * step
    if short is here:
        return None
    return evaluate(objective, here.image + short.step * d)


def between(short: Point, too_long: Point) -> float:
    """Where the parabola with both losses, and the slope at `short`, is lowest."""
    width = too_long.step - short.step
    bend = too_long.loss - short.loss - width * short.slope
    lowest = -short.slope * width / (2 * bend) if bend > 0 else 0.5
    return short.step + width * min(max(lowest, 0.1), 0.9)  # not too close to either

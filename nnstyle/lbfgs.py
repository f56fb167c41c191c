"""L-BFGS where the picture is: the same method as SciPy's, written out for any array library."""

import math
from collections import deque

from .backend import library_of
from .errors import InputError
from .optimizer import STEPS_REMEMBERED, NotFiniteError

# The two Wolfe conditions. A step t along the direction d must lower the loss by a share
# of what the slope promises, and must flatten the slope:
ENOUGH_LOWER = 1e-4  # loss(x + t d) <= loss(x) + 1e-4 t slope(0)
ENOUGH_FLATTER = 0.9  # slope(t) >= 0.9 slope(0), where slopes are negative
MOST_STEPS = 20  # tried along one direction


def minimize(objective, start, iterations, bounds=None, callback=None):
    """Lower `objective` from the image `start` by L-BFGS, all in the memory of `start`.

    Liu and Nocedal (1989), with a line search for the weak Wolfe conditions. Vectors have the
    image's own type, where `nnstyle.optimizer.minimize` has float64 on the host. Whatever
    array library the image belongs to does all work that grows with its size; the
    host sees single numbers: losses and slopes.

    Parameters, results and errors are those of `nnstyle.optimizer.minimize`, but for `bounds`,
    which must be None: bounds need L-BFGS-B.
    """
    if bounds is not None:
        raise InputError("bounded pictures need SciPy's L-BFGS-B: choose the optimizer lbfgs")
    here, steps, reason = evaluate(objective, start), deque(maxlen=STEPS_REMEMBERED), "all iterations done"
    for _ in range(iterations):
        there = search(objective, here, direction(here.gradient, steps), first=not steps)
        if there is None and steps:  # as SciPy's: start anew from here, all steps forgotten
            steps.clear()
            there = search(objective, here, direction(here.gradient, steps), first=True)
        if there is None:
            reason = "no lower loss was found (along the gradient)"
            break
        remember(steps, there.image - here.image, there.gradient - here.gradient)
        here = there
        if callback:
            callback(here.image, here.loss)
    return here.image, reason


class Point:
    """An image with its loss and gradient; during a search also where it lies, and the slope there."""

    def __init__(self, image, loss, gradient):
        self.image, self.loss, self.gradient = image, loss, gradient
        self.step = self.slope = 0.0


def evaluate(objective, image, along=None):
    """The Point at an image; its slope is that in the direction `along`."""
    point = Point(image, *objective(image))
    point.slope = dot(point.gradient, point.gradient if along is None else along)
    if not (math.isfinite(point.loss) and math.isfinite(point.slope)):
        raise NotFiniteError("the loss or its gradient became infinite or NaN")
    return point


def dot(a, b):
    """Inner product of two arrays, as a Python float: here the host waits for the device."""
    return float(library_of(a).vdot(a, b))


def remember(steps, s, y):
    """Keep a step s and the change y of the gradient over it, if the loss curves upwards there."""
    curvature, size = dot(s, y), dot(y, y)
    if curvature > 1e-10 * size:
        steps.append((s, y, 1 / curvature, curvature / size))


def direction(gradient, steps):
    """Minus the gradient times L-BFGS's inverse Hessian: the two-loop recursion (lesson 10).

    Nocedal (1980); algorithm 7.4 of Nocedal and Wright (2006). No number comes back to the host here.
    """
    xp, q, alphas = library_of(gradient), -gradient, []
    for s, y, rho, _ in reversed(steps):
        alphas.append(rho * xp.vdot(s, q))
        q -= alphas[-1] * y
    if steps:
        q *= steps[-1][3]  # s'y / y'y: the latest step's curvature in place of the first Hessian
    for s, y, rho, _ in steps:
        beta = rho * xp.vdot(y, q)
        q += (alphas.pop() - beta) * s
    return q


def search(objective, here, d, first):
    """A Point along d that fulfils both Wolfe conditions, or None.

    Between a step that was too short and one that was too long, the next is where a
    parabola through both has its minimum; with none too long yet, it is twice the last.
    """
    start = dot(here.gradient, d)
    if not start < 0:
        return None
    # Without experience nothing tells how far: 1 for the typical pixel, as in `optimizer.Flat`.
    step = math.sqrt(d.size / dot(d, d)) if first else 1.0
    short, here.step, here.slope, too_long = here, 0.0, start, None
    for _ in range(MOST_STEPS):
        point = evaluate(objective, here.image + step * d, along=d)
        point.step = step
        if point.loss > here.loss + ENOUGH_LOWER * step * start:
            too_long = point
        elif point.slope < ENOUGH_FLATTER * start:
            short = point
        else:
            return point
        step = between(short, too_long) if too_long else 2 * step
    return short if short.step else None


def between(short, too_long):
    """The step where the parabola with the losses at both ends, and the slope at `short`, is lowest."""
    width = too_long.step - short.step
    bend = too_long.loss - short.loss - width * short.slope
    lowest = -short.slope * width / (2 * bend) if bend > 0 else 0.5
    return short.step + width * min(max(lowest, 0.1), 0.9)  # not too close to either

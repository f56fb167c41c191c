"""The judges of a backward pass: centred differences, and the adjoint identity.

They take the functions to be judged as arguments, so that every check has a twin in
which a deliberately wrong function must be caught.
"""

import numpy as np

STEP = 1e-5  # centred differences in float64: error about STEP^2 + 1e-16 / STEP


def numerical_gradient(function, x, step=STEP):
    """Derivative of a scalar function at `x` (float64), one coordinate at a time."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += step
        behind[index] -= step
        gradient[index] = (function(ahead) - function(behind)) / (2 * step)
    return gradient


def relative_error(a, b):
    """Largest |a - b| / max(|a|, |b|) over all coordinates; where both are 0, the error is 0."""
    a, b = np.asarray(a), np.asarray(b)
    size = np.maximum(np.abs(a), np.abs(b))
    return float(np.max(np.abs(a - b) / np.where(size == 0, 1, size)))


def gradient_error(forward, backward, x, rng):
    """Relative error of ``dx = backward(dy, cache)``, for a random cotangent dy.

    Never a cotangent of ones: summing over the outputs, it lets a kernel pass that is
    flipped or transposed.
    """
    y, cache = forward(x)
    dy = rng.normal(size=y.shape)
    return relative_error(backward(dy, cache), numerical_gradient(lambda z: np.vdot(dy, forward(z)[0]), x))


def adjoint_error(forward, backward, x, rng):
    """|<A x, y> - <x, A' y>| for a linear layer, relative to the size of the terms."""
    ax, cache = forward(x)
    y = rng.normal(size=ax.shape)
    adjoint = backward(y, cache)
    return abs(np.vdot(ax, y) - np.vdot(x, adjoint)) / (np.linalg.norm(ax) * np.linalg.norm(y))


def away_from_zero(rng, shape, distance=0.1):
    """Random values with |x| >= distance: ReLU's kink is out of the step's reach."""
    return rng.choice([-1.0, 1.0], size=shape) * rng.uniform(distance, 1, size=shape)


def distinct(rng, shape):
    """Random values no two of which are close: no step changes which one is the largest."""
    return rng.permutation(np.arange(np.prod(shape), dtype=float)).reshape(shape) / 10


def directional_error(value, gradient, kinks, image, rng, step=STEP):
    """|<gradient, d> - centred difference along d|, relative, for a unit direction d.

    The direction is drawn anew while a ReLU mask or a pooling winner changes within the
    step: there the function has a kink, and centred differences measure something else.

    Parameters
    ----------
    value : image -> number
    gradient : image -> array
    kinks : image -> cache of a network's forward pass
    """
    for _ in range(50):
        direction = rng.normal(size=image.shape)
        direction /= np.linalg.norm(direction)
        ahead, behind = image + step * direction, image - step * direction
        here = kinks(image)
        if same_kinks(here, kinks(ahead)) and same_kinks(here, kinks(behind)):
            slope = (value(ahead) - value(behind)) / (2 * step)
            return relative_error(np.vdot(gradient(image), direction), slope)
    raise AssertionError("every direction crossed a kink")


def same_kinks(cache, other):
    """Whether two caches hold the same ReLU masks and pooling winners, of whatever engine."""
    for (_, operation, kept), (_, _, other_kept) in zip(cache, other, strict=True):
        if operation.__name__ == "relu_backward" and (kept != other_kept).any():
            return False
        if operation.__name__ == "max_pool_backward" and (kept[0] != other_kept[0]).any():
            return False
    return True

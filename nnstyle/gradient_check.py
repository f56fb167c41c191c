"""Check a gradient that was written by hand against centred differences (lesson 6)."""

from collections.abc import Callable

import numpy as np


def check_gradient(
    function: Callable,
    x: np.ndarray,
    backward: Callable | None = None,
    *,
    tolerance: float = 1e-6,
    step: float = 1e-5,
    coordinates: int = 200,
    seed: int = 0,
) -> float:
    """Compare a gradient with centred differences; print the error, and raise if it is too large.

    Parameters
    ----------
    function : callable
        Without `backward`, a loss: ``x -> (loss, gradient)``, as every `nnstyle.Term` and every
        function of `nnstyle.losses` with its other arguments fixed. With it, an operation:
        ``x -> (y, cache)``, as those of `nnstyle.layers`.
    x : float64 array, of any shape
        Where to check. In float32, rounding would hide most errors. Stay away from kinks: a ReLU's
        input should not be within `step` of 0.
    backward : callable, optional
        ``(dy, cache) -> dx``. The derivatives dy are random numbers, because with all ones a flipped
        or transposed kernel would pass.
    tolerance : float
        The largest error that passes.
    step : float
        Of the differences ``(f(x + step) - f(x - step)) / (2 step)``.
    coordinates : int
        How many of x's values to check at most, drawn at random.
    seed : int
        Of all random numbers.

    Returns
    -------
    float
        The largest difference over all coordinates checked, relative to the largest derivative there.

    Raises
    ------
    ValueError
        If x is not float64, or every derivative is 0, which would prove nothing.
    AssertionError
        If the error is larger than the tolerance or not a number.

    Examples
    --------
    >>> import numpy as np
    >>> import nnstyle
    >>> x = np.random.default_rng(0).normal(size=(4, 5, 3))
    >>> error = nnstyle.check_gradient(lambda x: (0.5 * np.sum(x**2), x), x)  # doctest: +ELLIPSIS
    gradient right: largest relative error ...
    """
    if x.dtype != np.float64:
        raise ValueError(f"x must be float64, not {x.dtype}: with less, rounding hides the errors")
    rng = np.random.default_rng(seed)
    if backward is None:
        loss, gradient = function(x.copy())
        loss_of = lambda x: function(x)[0]
    else:
        y, cache = function(x.copy())
        dy = rng.normal(size=y.shape)
        loss, gradient = np.vdot(dy, y), backward(dy, cache)
        loss_of = lambda x: np.vdot(dy, function(x)[0])
    if np.shape(gradient) != x.shape:
        raise AssertionError(f"gradient wrong: its shape is {np.shape(gradient)}, that of x is {x.shape}")
    chosen = rng.permutation(x.size)[:coordinates]
    ahead = np.array([loss_of(moved(x, index, step)) for index in chosen])
    behind = np.array([loss_of(moved(x, index, -step)) for index in chosen])
    expected = (ahead - behind) / (2 * step)
    largest = np.abs(expected).max()
    # At a minimum, both sides are higher by the same: all that is left of their difference is rounding.
    if largest <= 1e-6 * np.abs(ahead - loss).max() / step:
        raise ValueError("every derivative is 0 here: choose another x, where the function changes")
    error = float(np.abs(np.ravel(gradient)[chosen] - expected).max() / largest)
    right = error <= tolerance  # false for NaN as well
    print(
        f"gradient {'right' if right else 'WRONG'}: largest relative error {error:.1e}, allowed {tolerance:.0e}"
    )
    if not right:
        raise AssertionError(f"gradient wrong: largest relative error {error:.1e}, allowed {tolerance:.0e}")
    return error


def moved(x: np.ndarray, index: int, distance: float) -> np.ndarray:
    """A copy of x in which one value, counted in reading order, is moved."""
    x = x.copy()
    x.flat[index] += distance
    return x

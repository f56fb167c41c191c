"""The operations of VGG, each beside its backward pass.

Every forward pass returns ``(y, cache)``. Its backward pass takes ``(dy, cache)``, where
``dy`` is the derivative of the loss with respect to ``y``, and returns ``dx``, the
derivative with respect to ``x``. The cache holds what the backward pass needs. The weights
are frozen (it is the image that changes), so no derivatives with respect to kernels or
biases are computed.

Feature maps are arrays of shape (height, width, channels) and of any floating type, from
NumPy or CuPy. `nnstyle.Engine` has the same functions, fast. `add`, `asarray` and `constant`, at the
end, are what a network needs besides.
"""

import numpy as np

from .arrays import Array, array_module, read_only


def conv(x: Array, kernel: Array, bias: Array | float) -> tuple[Array, Array]:
    """3x3 convolution with stride 1 and zero padding 1 (lesson 3).

    As in every VGG, the kernel is not flipped: strictly, this is a cross-correlation,
    ``y[i, j] = bias + sum over u, v of x[i + u - 1, j + v - 1] @ kernel[u, v]``, where
    ``x`` is zero outside its edges. Here it is a sum of nine matrix products, one for each
    place (u, v) of the kernel.

    Parameters
    ----------
    x : array, shape (H, W, C)
    kernel : array, shape (3, 3, C, K)
    bias : array, shape (K,), or a number

    Returns
    -------
    y : array, shape (H, W, K)
    cache : the kernel
    """
    xp = array_module(x)
    height, width, _ = x.shape
    padded = xp.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = xp.zeros((height, width, kernel.shape[3]), dtype=x.dtype)
    y += bias
    for u in range(3):
        for v in range(3):
            y += padded[u : u + height, v : v + width] @ kernel[u, v]
    return y, kernel


def conv_backward(dy: Array, kernel: Array) -> Array:
    """Gradient of `conv` with respect to its input (lesson 5).

    In `conv`, each of nine products takes a shifted piece of the padded input through the matrix
    ``kernel[u, v]``. Here, each product takes dy through the transpose of that matrix, and adds the
    result to the same piece.

    Parameters
    ----------
    dy : array, shape (H, W, K)
    kernel : array, shape (3, 3, C, K)

    Returns
    -------
    dx : array, shape (H, W, C)
    """
    height, width, _ = dy.shape
    padded = array_module(dy).zeros((height + 2, width + 2, kernel.shape[2]), dtype=dy.dtype)
    for u in range(3):
        for v in range(3):
            padded[u : u + height, v : v + width] += dy @ kernel[u, v].T
    return padded[1:-1, 1:-1]


def relu(x: Array) -> tuple[Array, Array]:
    """``max(x, 0)``; the cache is an array of bool, true where x > 0 (lesson 4)."""
    return array_module(x).maximum(x, 0), x > 0


def relu_backward(dy: Array, positive: Array) -> Array:
    """Let the gradient pass where the input was positive (lesson 5).

    This is the "0 if F < 0" of the paper's equations (2) and (6). ReLU has no derivative at
    exactly 0; there, 0 is taken.
    """
    return dy * positive


def max_pool(x: Array) -> tuple[Array, tuple[Array, tuple]]:
    """Largest value of each 2x2 window, with stride 2 (lesson 4).

    An odd last row or column is dropped.

    Parameters
    ----------
    x : array, shape (H, W, C)

    Returns
    -------
    y : array, shape (H // 2, W // 2, C)
    cache : (winner, shape)
        ``winner`` (uint8, the shape of y) is the index of the largest of the window's four
        values, in reading order; among equal values the first wins. ``shape`` is that of x.
    """
    windows = array_module(x).stack(corners(x))  # (4, H // 2, W // 2, C)
    winner = windows.argmax(axis=0).astype(np.uint8)
    return windows.max(axis=0), (winner, x.shape)


def max_pool_backward(dy: Array, cache: tuple[Array, tuple]) -> Array:
    """Give each derivative to the value that won its window, and 0 to the others (lesson 5)."""
    winner, shape = cache
    dx = array_module(dy).zeros(shape, dtype=dy.dtype)
    for index, corner in enumerate(corners(dx)):
        corner[...] = dy * (winner == index)
    return dx


def average_pool(x: Array) -> tuple[Array, tuple]:
    """Mean of each 2x2 window, with stride 2 (lesson 4).

    The paper prefers it to max-pooling for synthesising images (section Methods). An odd
    last row or column is dropped.

    Parameters
    ----------
    x : array, shape (H, W, C)

    Returns
    -------
    y : array, shape (H // 2, W // 2, C)
    cache : the shape of x
    """
    top_left, top_right, bottom_left, bottom_right = corners(x)
    return (top_left + top_right + bottom_left + bottom_right) / 4, x.shape


def average_pool_backward(dy: Array, shape: tuple) -> Array:
    """Give each of a window's four values a quarter of the window's derivative (lesson 5)."""
    dx = array_module(dy).zeros(shape, dtype=dy.dtype)
    for corner in corners(dx):
        corner[...] = dy / 4
    return dx


def corners(x: Array) -> list[Array]:
    """Views of the four values of every 2x2 window, in reading order."""
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2  # without an odd last row or column
    return [x[a:height:2, b:width:2] for a in range(2) for b in range(2)]


def add(a: Array, b: Array) -> Array:
    """``a + b``: where a feature map is used twice, its two gradients add up (lesson 5)."""
    return a + b


def asarray(array: Array, dtype: np.dtype | type) -> Array:
    """Return the array in this floating type."""
    return array.astype(dtype, copy=False)


def constant(array: Array, dtype: np.dtype | type) -> Array:
    """Return a kernel or bias in this floating type, as an array that will never change."""
    array = asarray(array, dtype)
    return read_only(array) if isinstance(array, np.ndarray) else array.copy()

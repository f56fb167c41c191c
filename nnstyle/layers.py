"""The operations of VGG, each beside its backward pass.

Every forward pass returns ``(y, cache)``; its backward pass takes ``(dy, cache)``, where
``dy`` is the derivative of the loss with respect to ``y``, and returns ``dx``, the same
for ``x``. The weights are frozen (it is the image that learns), so nothing is derived
with respect to kernels or biases. The cache holds exactly what the backward pass needs.

Feature maps are ``(height, width, channels)`` arrays of any floating type. With `workers`
(`nnstyle.workers`), the same is computed by several threads, in memory that is used again.
"""

from .backend import library_of
from .bands import empty, in_bands
from .im2row import im2row_conv, turned


def conv(x, kernel, bias, workers=None):
    """3x3 convolution with stride 1 and zero padding 1, a cross-correlation as in VGG (lesson 3).

    ``y[i, j] = bias + sum over a, b of x[i + a - 1, j + b - 1] @ kernel[a, b]``, with
    ``x`` zero outside its edges. `nnstyle.im2row` computes it as one matrix product; given
    workers, `nnstyle.winograd` computes the same sums with a fifth of the products.

    Parameters
    ----------
    x : array, shape (H, W, C)
    kernel : array, shape (3, 3, C, K)
        Must never change: workers keep what they computed from it.
    bias : array, shape (K,), or the number 0
    workers : Workers, optional

    Returns
    -------
    y : array, shape (H, W, K)
    cache : the kernel
    """
    if workers:
        return workers.conv(x, kernel, bias), kernel
    return im2row_conv(x, kernel, bias), kernel


def conv_backward(dy, kernel, workers=None):
    """Gradient of `conv` with respect to its input: a convolution again (lesson 5).

    Pixel ``x[i, j]`` reached ``y[i - a + 1, j - b + 1]`` through ``kernel[a, b]``; so the
    derivatives come back through the kernel turned by 180 degrees, its input and output
    channels exchanged. Zero padding 1 is its own mirror image.

    Parameters
    ----------
    dy : array, shape (H, W, K)
    kernel : array, shape (3, 3, C, K)
    workers : Workers, optional

    Returns
    -------
    dx : array, shape (H, W, C)
    """
    if workers:
        return workers.conv(dy, kernel, gradient=True)
    return im2row_conv(dy, turned(kernel))


def relu(x, workers=None, out=None):
    """``max(x, 0)`` (lesson 4).

    Returns
    -------
    y : array, the shape of x; `out`, if given, which may be x itself
    cache : array of bool, where x > 0
    """
    xp = library_of(x)
    y = empty(workers, x.shape, x) if out is None else out
    positive = empty(workers, x.shape, x, bool)

    def band(x, positive, y):
        xp.greater(x, 0, out=positive)
        xp.maximum(x, 0, out=y)

    in_bands(workers, band, x, positive, y)
    return y, positive


def relu_backward(dy, positive, workers=None):
    """Let the gradient pass where the input was positive (lesson 5).

    This is the "0 if F < 0" of the paper's equations (2) and (6). At exactly 0, where
    ReLU has no derivative, 0 is taken.
    """
    dx = empty(workers, dy.shape, dy)
    in_bands(workers, library_of(dy).multiply, dy, positive, dx)
    return dx


def max_pool(x, workers=None):
    """The largest value of each 2x2 window, with stride 2; an odd last row or column is dropped (lesson 4).

    Parameters
    ----------
    x : array, shape (H, W, C)
    workers : Workers, optional

    Returns
    -------
    y : array, shape (H // 2, W // 2, C)
    cache : (winner, shape)
        ``winner`` (uint8, the shape of y) tells which of the window's four values, in
        reading order, is the largest; of equal ones the first. ``shape`` is that of x.
    """
    xp = library_of(x)
    y = empty(workers, corners(even(x))[0].shape, x)
    winner = empty(workers, y.shape, x, xp.uint8)

    def band(y, winner, x):
        top_left, top_right, low_left, low_right = corners(x)
        top, low = xp.maximum(top_left, top_right), xp.maximum(low_left, low_right)
        # Strict comparisons leave a tie with the earlier value.
        winner[...] = xp.where(low > top, 2 + (low_right > low_left), top_right > top_left)
        xp.maximum(top, low, out=y)

    in_bands(workers, band, y, winner, even(x))
    return y, (winner, x.shape)


def max_pool_backward(dy, cache, workers=None):
    """Route each derivative to the value that won its window; the others get 0 (lesson 5)."""
    winner, shape = cache

    def band(dy, winner, dx):
        for number, corner in enumerate(corners(dx)):
            library_of(dy).multiply(dy, winner == number, out=corner)

    dx = empty(workers, shape, dy)
    in_bands(workers, band, dy, winner, even(dx))
    return zero_odd_edges(dx)


def average_pool(x, workers=None):
    """The mean of each 2x2 window, with stride 2; an odd last row or column is dropped (lesson 4).

    The paper (section Methods) prefers it to max-pooling for making images, because the
    gradient then reaches every pixel; here it is chosen with ``pooling="average"``.

    Returns
    -------
    y : array, shape (H // 2, W // 2, C)
    cache : the shape of x
    """

    def band(y, x):
        top_left, top_right, low_left, low_right = corners(x)
        y[...] = (top_left + top_right + low_left + low_right) / 4

    y = empty(workers, corners(even(x))[0].shape, x)
    in_bands(workers, band, y, even(x))
    return y, x.shape


def average_pool_backward(dy, shape, workers=None):
    """Give each value of a window a quarter of the window's derivative (lesson 5)."""

    def band(dy, dx):
        quarter = dy / 4
        for corner in corners(dx):
            corner[...] = quarter

    dx = empty(workers, shape, dy)
    in_bands(workers, band, dy, even(dx))
    return zero_odd_edges(dx)


def even(x):
    """x without an odd last row or column."""
    return x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]


def corners(x):
    """Views of the four values of every 2x2 window of `even(x)`, in reading order."""
    return [x[a::2, b::2] for a in range(2) for b in range(2)]


def zero_odd_edges(dx):
    """0 in an odd last row or column, which no window covers; returns dx."""
    height, width, _ = even(dx).shape
    dx[height:] = 0
    dx[:, width:] = 0
    return dx

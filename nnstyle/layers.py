"""The operations of VGG, each beside its backward pass.

Every forward pass returns ``(y, cache)``; its backward pass takes ``(dy, cache)``, where
``dy`` is the derivative of the loss with respect to ``y``, and returns ``dx``, the same
for ``x``. The weights are frozen (it is the image that learns), so nothing is derived
with respect to kernels or biases. The cache holds exactly what the backward pass needs.

Feature maps are ``(height, width, channels)`` arrays of any floating type.
"""

from .backend import library_of
from .winograd import winograd_conv

# From this many channels on, Winograd's fewer products outweigh its transforms.
WINOGRAD_CHANNELS = 16
# im2row copies every pixel nine times. Done for a block of rows at a time, the copies are
# still in the processor's cache when the matrix product reads them.
BLOCK_BYTES = 4_000_000


def conv(x, kernel, bias, workers=None):
    """3x3 convolution with stride 1 and zero padding 1 (a cross-correlation, as in VGG).

    ``y[i, j] = bias + sum over a, b of x[i + a - 1, j + b - 1] @ kernel[a, b]``, with
    ``x`` zero outside its edges. Computed as one matrix product a block of rows:
    im2row lays the nine neighbours of every pixel side by side. Given workers,
    `nnstyle.winograd` computes the same sums with a fifth of the products.

    Parameters
    ----------
    x : array, shape (H, W, C)
    kernel : array, shape (3, 3, C, K)
    bias : array, shape (K,), or the number 0
    workers : Workers, optional

    Returns
    -------
    y : array, shape (H, W, K)
    cache : (kernel, workers)
    """
    if workers and x.shape[-1] >= WINOGRAD_CHANNELS:
        return winograd_conv(x, kernel, workers, bias), (kernel, workers)
    xp = library_of(x)
    height, width, channels = x.shape
    filters = kernel.shape[-1]
    matrix = kernel.reshape(9 * channels, filters)
    padded = xp.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = xp.empty((height, width, filters), dtype=x.dtype)
    rows = max(1, BLOCK_BYTES // max(1, 9 * channels * width * x.itemsize))
    for top in range(0, height, rows):
        patches = im2row(padded[top : top + rows + 2])  # (pixels of the block, 9 C)
        block = y[top : top + rows].reshape(-1, filters)  # a view: results land in y
        xp.matmul(patches, matrix, out=block)
        block += bias
    return y, (kernel, workers)


def im2row(padded):
    """Lay the 3x3 neighbourhood of every pixel out as one row.

    Parameters
    ----------
    padded : array, shape (H + 2, W + 2, C)

    Returns
    -------
    array, shape (H * W, 9 * C)
        In a row: the neighbours in reading order, the channels of each together, which
        is the order of ``kernel.reshape(9 * C, K)``.
    """
    xp = library_of(padded)
    height, width, channels = padded.shape[0] - 2, padded.shape[1] - 2, padded.shape[2]
    patches = xp.empty((height, width, 3, 3, channels), dtype=padded.dtype)
    for a in range(3):
        for b in range(3):
            patches[:, :, a, b] = padded[a : a + height, b : b + width]
    return patches.reshape(height * width, 9 * channels)


def conv_backward(dy, cache):
    """Gradient of `conv` with respect to its input: a convolution again.

    Pixel ``x[i, j]`` reached ``y[i - a + 1, j - b + 1]`` through ``kernel[a, b]``; so the
    derivatives come back through the kernel turned by 180 degrees, its input and output
    channels exchanged. Zero padding 1 is its own mirror image.

    Parameters
    ----------
    dy : array, shape (H, W, K)
    cache : (kernel, workers)

    Returns
    -------
    dx : array, shape (H, W, C)
    """
    kernel, workers = cache
    if workers and dy.shape[-1] >= WINOGRAD_CHANNELS:
        return winograd_conv(dy, kernel, workers, gradient=True)
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    dx, _ = conv(dy, turned, 0)
    return dx


def relu(x):
    """``max(x, 0)``.

    Returns
    -------
    y : array, the shape of x
    cache : array of bool, where x > 0
    """
    xp = library_of(x)
    return xp.maximum(x, 0), x > 0


def relu_backward(dy, positive):
    """Let the gradient pass where the input was positive.

    This is the "0 if F < 0" of the paper's equations (2) and (6). At exactly 0, where
    ReLU has no derivative, 0 is taken.
    """
    return dy * positive


def max_pool(x):
    """The largest value of each 2x2 window, with stride 2; an odd last row or column is dropped.

    Parameters
    ----------
    x : array, shape (H, W, C)

    Returns
    -------
    y : array, shape (H // 2, W // 2, C)
    cache : (winner, shape)
        ``winner`` (uint8, the shape of y) tells which of the window's four values, in
        reading order, is the largest; of equal ones the first. ``shape`` is that of x.
    """
    xp = library_of(x)
    top_left, top_right, low_left, low_right = corners(x)
    top, low = xp.maximum(top_left, top_right), xp.maximum(low_left, low_right)
    # Strict comparisons leave a tie with the earlier value.
    winner = xp.where(low > top, 2 + (low_right > low_left), top_right > top_left)
    return xp.maximum(top, low), (winner.astype(xp.uint8), x.shape)


def max_pool_backward(dy, cache):
    """Route each derivative to the value that won its window; the others get 0."""
    winner, shape = cache
    xp = library_of(dy)
    dx = xp.zeros(shape, dtype=dy.dtype)
    for number, corner in enumerate(corners(dx)):
        corner[...] = dy * (winner == number)
    return dx


def average_pool(x):
    """The mean of each 2x2 window, with stride 2; an odd last row or column is dropped.

    The paper (section Methods) prefers it to max-pooling for making images, because the
    gradient then reaches every pixel; here it is chosen with ``pooling="average"``.

    Returns
    -------
    y : array, shape (H // 2, W // 2, C)
    cache : the shape of x
    """
    return sum(corners(x)) / 4, x.shape


def average_pool_backward(dy, shape):
    """Give each value of a window a quarter of the window's derivative."""
    xp = library_of(dy)
    dx = xp.zeros(shape, dtype=dy.dtype)
    for corner in corners(dx):
        corner[...] = dy / 4
    return dx


def corners(x):
    """Views of the four values of every 2x2 window, in reading order, each (H//2, W//2, C)."""
    height, width = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return [x[a:height:2, b:width:2] for a in range(2) for b in range(2)]

"""Winograd's convolution for few channels: the identity in one direction, not in two.

For every point, `nnstyle.engine.winograd` gathers, combines, multiplies, combines and scatters.
The cost of all but the product grows with the channels in *plus* the channels out, the cost of the
product with one *times* the other. At 32 channels, the product is the smaller part. Here the
identity is used between image rows only: eight rows are combined by B^T, and then the eight
convolutions along a row are done plainly, with three taps. Six rows of the output need 8 * 3
products a pixel in place of 6 * 9. That saves a factor of 2.25 and not of 5.06, but nothing at all
is gathered or scattered.

**A convolution along a row without a copy.** Three neighbouring pixels of a row, C channels each,
are 3 C neighbouring numbers in memory. So a row cut into threes already *is* the matrix whose
product with the three taps, as a matrix (3 C, out), gives every third output::

    pixels                x0 x1 x2 | x3 x4 x5 | x6 ..          outputs 0, 3, 6, ..
    from the next on         x1 x2 x3 | x4 x5 x6 | ..          outputs 1, 4, 7, ..
    and the next                x2 x3 x4 | x5 x6 x7 | ..       outputs 2, 5, 8, ..

There are three products, and each writes to every third pixel of the result.

**In the cache.** All of this is done for one piece of six output rows after the other. What a
piece needs, transformed rows and products, stays in a core's own cache, and no core waits for another.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from .im2row import transposed_kernel
from .winograd_1d import F_6_3

if TYPE_CHECKING:
    from .engine import Engine

# Up to this many channels, in or out, this is faster than the identity in two directions.
NARROW = 32

# Memory for the transformed rows and the products of a piece: small enough for a core's own
# cache, large enough for long matrix products.
PIECE_BYTES = 1e6


def narrow_points(kernel: np.ndarray, gradient: bool) -> np.ndarray:
    """The kernel's values at the eight points, each three taps as one matrix: (8, 3 in, out)."""
    kernel = transposed_kernel(kernel) if gradient else kernel
    taps, c_in, c_out = kernel.shape[1:]
    return (F_6_3.G.astype(kernel.dtype) @ kernel.reshape(3, -1)).reshape(F_6_3.n, taps * c_in, c_out)


def winograd_conv_narrow(
    x: np.ndarray,
    kernel: np.ndarray,
    engine: "Engine",
    bias: np.ndarray | float | None = None,
    gradient: bool = False,
) -> np.ndarray:
    """3x3 convolution with stride 1 and zero padding 1, or its input gradient (lesson 3).

    Parameters and result are those of `nnstyle.engine.winograd.winograd_conv`.
    """
    (height, width, c_in), c_out = x.shape, kernel.shape[2 if gradient else 3]
    points = engine.cached_transform(narrow_points, kernel, gradient)
    y = engine.empty((height, width, c_out), x.dtype)
    most = max(1, PIECE_BYTES // (F_6_3.n * (c_in + c_out) * x.itemsize))  # columns
    step = math.ceil(width / max(1, math.ceil(width / most))) or 1  # pieces of equal width
    corners = [(top, left) for top in range(0, height, F_6_3.tile) for left in range(0, width, step)]
    left_to_do, wider = iter(corners), math.ceil(step / 3) * 3 + 2

    def pieces(_):
        # Once a thread, not once a piece: threads that ask for memory wait for each other.
        v, w = (engine.empty((F_6_3.n * wider * channels,), x.dtype) for channels in (c_in, c_out))
        for top, left in left_to_do:  # shared: whoever is free takes the next piece
            part = y[top : top + F_6_3.tile, left : left + step]
            rows = _combine_rows(x, top, left, part.shape[1], v)
            _finish_rows(_convolve_rows(rows, points, bias, w), part)

    engine.map(pieces, range(min(engine.threads, len(corners))))
    return y


def _combine_rows(x, top, left, width, memory):
    """Apply B^T to the eight image rows around six outputs: (8, 3 k + 2, in), where 3 k >= `width`."""
    (bt, _), n, padded = F_6_3.matrices(x.dtype), F_6_3.n, math.ceil(width / 3) * 3 + 2
    v = memory[: n * padded * x.shape[2]].reshape(n, padded, -1)
    first, last = max(top - 1, 0), min(top - 1 + n, x.shape[0])  # one row of padding above,
    start, stop = max(left - 1, 0), min(left + width + 1, x.shape[1])  # one column left and right
    inside = slice(start - left + 1, stop - left + 1)
    # Rows outside the image are zero, so their columns of B^T are left out.
    np.matmul(
        bt[:, first - top + 1 : last - top + 1],
        x[first:last, start:stop].reshape(last - first, -1),
        out=v[:, inside].reshape(n, -1),
    )
    v[:, : inside.start] = 0
    v[:, inside.stop :] = 0
    return v


def _convolve_rows(rows, points, bias, memory):
    """Eight plain convolutions along a row: rows (8, 3 k + 2, in) -> (8, 3 k, out)."""
    n, k, c_out = len(rows), rows.shape[1] // 3, points.shape[2]
    w = memory[: n * 3 * k * c_out].reshape(n, k, 3, c_out)
    for shift in range(3):
        threes = rows[:, shift : shift + 3 * k].reshape(n, k, -1)  # a view
        np.matmul(threes, points, out=w[:, :, shift])
    if bias is not None:  # only once: see Identity.one
        w[F_6_3.one] += bias
    return w.reshape(n, 3 * k, c_out)


def _finish_rows(w, y):
    """Apply A^T to the eight row results w (8, 3 k, out), into y: six rows, fewer at the lower edge."""
    height, width, _ = y.shape
    _, at = F_6_3.matrices(y.dtype)
    np.matmul(at[:height], w[:, :width].reshape(len(w), -1), out=y.reshape(height, -1))

"""The fast 3x3 convolution: the same sums as `nnstyle.layers.conv`, with a fifth of the products.

`nnstyle.engine.winograd_1d` explains the identity in one dimension. Of eight neighbouring numbers
x and three taps k, it makes six sums of three terms with 8 products in place of 18::

    y = A^T [ (G k) * (B^T x) ]

**Two dimensions: rows of rows.** Read x as eight image *rows* and k as three kernel
*rows*. "Row times kernel row" is then a one-dimensional convolution along the row
instead of a product. Sums stay sums, and the identity holds word for word: combine
eight image rows by B^T, run eight one-dimensional convolutions, combine their results
into six rows of the output by A^T. Each of the eight is again done by the identity.
Together, 8 * 8 = 64 products make a tile of 6 * 6 = 36 outputs, which plainly take
36 * 9 = 324: 5.06 times as many. (Small maps are cut into tiles of 4 * 4, with 36 products
each: `nnstyle.engine.winograd_1d.cheaper`.)

**Channels.** With channels, each "product" is a pixel's vector of input channels times
a matrix (in, out). All tiles share that matrix, so there is one matrix product for each
point, and it takes nearly all the time, unless there are few channels
(`nnstyle.engine.winograd_narrow`).

**The gradient.** The gradient with respect to the input is the same convolution with
the kernel flipped, whose points are the same in another order, and its channels exchanged.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from .winograd_1d import F_4_3, cheaper

if TYPE_CHECKING:
    from .engine import Engine

# Memory for the transformed image rows that are held at a time: large enough for long matrix
# products, small enough for the last-level cache.
BLOCK_BYTES = 24e6

# Columns combined at a time. The matrix library copies what it reads before it multiplies; copies
# of longer rows would not fit in a core's own cache.
PIECE = 8192


def _kernel_row(kernel, identity, i, exchanged):
    """The kernel's values at the points (i, 0), (i, 1) and so on: (n, in, out), or exchanged (n, out, in)."""
    g = identity.G.astype(kernel.dtype)
    taps = g[i : i + 1] @ kernel.reshape(3, -1)  # (1, 3 * in * out)
    points = (g @ taps.reshape(3, -1)).reshape(-1, *kernel.shape[2:])
    return np.ascontiguousarray(points.swapaxes(1, 2)) if exchanged else points


def winograd_conv(
    x: np.ndarray,
    kernel: np.ndarray,
    engine: "Engine",
    bias: np.ndarray | float | None = None,
    gradient: bool = False,
) -> np.ndarray:
    """3x3 convolution with stride 1 and zero padding 1, or its input gradient (lesson 3).

    Parameters
    ----------
    x : array (H, W, in)
        Feature map; with `gradient`, the gradient dy of shape (H, W, out).
    kernel : array (3, 3, in, out)
        If it is a constant of the engine, it is transformed once. The transformed kernel takes
        64/9 of its memory, or 72/9 for small maps. Any other kernel is transformed in each call.
    engine : Engine
        Its threads share the work; its memory holds intermediate results.
    bias : array (out,), or number, optional
    gradient : bool
        Compute dx from dy: the convolution with the kernel flipped and transposed.

    Returns
    -------
    array (H, W, out), or (H, W, in) with `gradient`
    """
    height, width, c_in = x.shape
    c_out = kernel.shape[2 if gradient else 3]
    y = engine.empty((height, width, c_out), x.dtype)
    identity = cheaper(height, width)
    tile_rows, across = math.ceil(height / identity.tile), math.ceil(width / identity.tile)
    bytes_per_tile_row = max(1, identity.n * across * identity.tile * (c_in + c_out) * x.itemsize)
    block_bytes = BLOCK_BYTES / 3 if engine.low_memory else BLOCK_BYTES
    step = max(1, int(block_bytes // bytes_per_tile_row))
    with engine.lock:  # only one call at a time may use the scratch memory
        for start in range(0, tile_rows, step):
            tiles = range(start, min(start + step, tile_rows))
            _block(x, kernel, engine, bias, gradient, y, identity, tiles)
    return y


def _block(x, kernel, engine, bias, gradient, y, identity, tiles):
    """Compute the tile rows `tiles` of the result: rows in, n row convolutions, rows out."""
    bt, at = identity.matrices(x.dtype, gradient)
    n, width = identity.n, math.ceil(x.shape[1] / identity.tile) * identity.tile
    v = engine.scratch("rows in", (n, len(tiles), width + 2, x.shape[2]), x.dtype)
    w = engine.scratch("rows out", (n, len(tiles), width, y.shape[2]), x.dtype)
    shares = min(engine.threads, n)
    # The matrix library reads a transposed kernel slowly, which takes much of the time where tiles are few.
    # So for F(4, 3) the kernel is kept both ways: 2 * 36 matrices, little more than the 64 of F(6, 3).
    exchanged = gradient and identity is F_4_3

    def convolve(share):
        for i in range(share, n, shares):
            points = engine.cached_transform(_kernel_row, kernel, identity, i, exchanged)
            points = points.swapaxes(1, 2) if gradient and not exchanged else points
            its_bias = bias if i == identity.one else None  # only once: see Identity.one
            _convolve_rows(v[i], points, identity, gradient, its_bias, w[i], engine, share)

    engine.map(lambda t: _combine_rows(x, t, bt, v[:, t - tiles[0]]), tiles)
    engine.map(convolve, range(shares))
    engine.map(lambda t: _finish_rows(w[:, t - tiles[0]], t, at, y), tiles)


def _combine_rows(x, t, bt, v):
    """Apply B^T to the n image rows under tile row t; the result goes to v (n, padded width, in)."""
    (height, width, channels), n = x.shape, len(v)
    top = t * (n - 2) - 1  # tiles overlap by two; one row of padding above
    first, last = max(top, 0), min(top + n, height)
    # Rows outside the image are zero, so their columns of B^T are left out.
    _combine(
        bt[:, first - top : last - top],
        x[first:last].reshape(last - first, -1),
        v[:, 1 : width + 1].reshape(n, width * channels),
    )
    v[:, 0] = 0
    v[:, width + 1 :] = 0


def _convolve_rows(rows, points, identity, flipped, bias, out, engine, share):
    """One-dimensional convolution of many rows, by the identity.

    rows (m, padded width, in), points (n, in, out) -> out (m, padded width - 2, out)
    """
    (m, padded, c_in), (n, _, c_out), tile = rows.shape, points.shape, identity.tile
    bt, at = identity.matrices(rows.dtype, flipped)
    across = padded // tile
    size = n * m * across * max(c_in, c_out)
    a = engine.scratch(("a", share), (size,), rows.dtype)  # two buffers used in turn,
    b = engine.scratch(("b", share), (size,), rows.dtype)  # so that both stay in the cache
    x = a[: n * m * across * c_in].reshape(n, m, across, c_in)
    for j in range(n):  # x_j of every tile: the tiles overlap by two
        x[j] = rows[:, j : j + tile * (across - 1) + 1 : tile]
    bx = b[: x.size].reshape(n, -1)
    _combine(bt, x.reshape(n, -1), bx)  # B^T x
    products = a[: n * m * across * c_out].reshape(n, m * across, c_out)
    np.matmul(bx.reshape(n, m * across, c_in), points, out=products)  # (G k) * (B^T x)
    if bias is not None:
        products[identity.one] += bias
    y = b[: tile * m * across * c_out].reshape(tile, -1)
    _combine(at, products.reshape(n, -1), y)  # A^T [...]
    out.reshape(m, across, tile, c_out)[:] = np.moveaxis(y.reshape(tile, m, across, c_out), 0, 2)


def _combine(matrix, x, out):
    """Compute matrix @ x, for a few long rows, into `out`."""
    for i in range(0, x.shape[1], PIECE):
        np.matmul(matrix, x[:, i : i + PIECE], out=out[:, i : i + PIECE])


def _finish_rows(w, t, at, y):
    """Apply A^T to the n row results w (n, padded width - 2, out); the result is a tile row of y."""
    (tile, n), (width, channels) = at.shape, y.shape[1:]
    rows = y[t * tile : (t + 1) * tile]  # fewer at the lower edge
    results = w[:, :width].reshape(n, width * channels)
    np.matmul(at[: len(rows)], results, out=rows.reshape(len(rows), width * channels))

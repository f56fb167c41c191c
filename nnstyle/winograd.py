"""The fast 3x3 convolution: the same sums as ``conv``, with a fifth of the products.

**One dimension.** Take eight neighbouring numbers x0..x7 and three taps k0, k1, k2.
The six sums  y_i = x_i k0 + x_{i+1} k1 + x_{i+2} k2  need 6 * 3 = 18 products done
plainly. Winograd (after Toom and Cook) does them with 6 + 3 - 1 = 8::

    y = A^T [ (G k) * (B^T x) ]          * is elementwise: 8 products

Why it is true, backwards from something familiar. Multiply a polynomial k of three
coefficients by a polynomial d of six: the product s has eight. A polynomial with eight
coefficients is known from its values at eight points, and its value at a point is the
product of the two values there. With V_n the matrix that evaluates n coefficients at
the eight points,

    s = V_8^-1 [ (V_3 k) * (V_6 d) ]

For fixed k this is a linear map from d to s: a matrix M(k) of 8 rows and 6 columns
whose column i holds the taps k0 k1 k2 starting at row i. The sums y that we want are
M(k)^T x. Transposing the right-hand side gives exactly the first formula:

    y = V_6^T [ (V_3 k) * (V_8^-T x) ]   A = V_6,  G = V_3,  B^T = V_8^-T

**Two dimensions: rows of rows.** Read x as eight image *rows* and k as three kernel
*rows*. "Row times kernel row" is then a one-dimensional convolution along the row
instead of a product, sums stay sums, and the identity holds word for word: combine
eight image rows by B^T, run eight one-dimensional convolutions, combine their results
into six rows of the output by A^T. Each of the eight is again done by the identity.
Together 8 * 8 = 64 products make a tile of 6 * 6 = 36 outputs, which plainly costs
36 * 9 = 324: 5.06 times as many.

**Channels.** With channels, each "product" is a pixel's vector of input channels times
a matrix (in, out). All tiles share that matrix, so it is one matrix product per point,
and nearly the whole time is spent there, unless the channels are few
(`nnstyle.winograd_narrow`).

**The gradient.** The gradient with respect to the input is the same convolution with
the kernel flipped and its channels exchanged. Flipping k turns its value at the point p
into p^2 times the value at 1/p. Our points are closed under p -> 1/p, and the rows of G
are scaled by 1/|p| so that the p^2 disappears: the flipped kernel's values are the same
numbers in another order, and one transformed kernel serves both directions.
"""

import numpy as np

TILE = 6  # outputs per tile and direction
POINTS = (0, 1, -1, 2, -2, 1 / 2, -1 / 2, np.inf)  # simple, small, closed under 1/p
RECIPROCAL = [7, 1, 2, 5, 6, 3, 4, 0]  # POINTS[RECIPROCAL[i]] == 1 / POINTS[i]
N = len(POINTS)  # TILE + 3 - 1 = 8

# Memory for the image rows held transformed at a time: large enough for long matrix
# products, small enough for the last-level cache.
BLOCK_BYTES = 24e6

# Columns combined at a time: the matrix library copies what it reads before it multiplies, and
# copies of longer rows would leave a core's own cache.
PIECE = 8192


def evaluation(n):
    """The matrix V_n: n coefficients -> values at POINTS (at infinity: the leading one)."""
    rows = [np.eye(n)[-1] if np.isinf(p) else np.power(float(p), range(n)) for p in POINTS]
    return np.array(rows)


_scale = np.array([1 / abs(p) if 0 < abs(p) < np.inf else 1 for p in POINTS])[:, None]
G = evaluation(3) * _scale  # (8, 3) taps -> points
BT = np.linalg.inv(evaluation(N)).T / _scale  # (8, 8) eight neighbours -> points
AT = evaluation(TILE).T  # (6, 8) points -> six outputs


def _kernel_row(kernel, i):
    """The kernel's values at the eight points (i, 0) .. (i, 7): an array (8, in, out)."""
    g = G.astype(kernel.dtype)
    taps = g[i : i + 1] @ kernel.reshape(3, -1)  # (1, 3 * in * out)
    return (g @ taps.reshape(3, -1)).reshape(N, *kernel.shape[2:])


def winograd_conv(x, kernel, workers, bias=None, gradient=False):
    """3x3 convolution with stride 1 and a border of zeros, or its input gradient (lesson 3).

    Parameters
    ----------
    x : array (H, W, in)
        Feature map; with `gradient`, the gradient dy of shape (H, W, out).
    kernel : array (3, 3, in, out)
        Must never change: the workers keep it transformed, in 64/9 of its memory (with
        ``low_memory`` they don't, and it is transformed anew in each call).
    workers : Workers
        The threads, and the memory for intermediate results.
    bias : array (out,), optional
    gradient : bool
        Compute dx from dy: the convolution with the kernel flipped and transposed.

    Returns
    -------
    array (H, W, out), or (H, W, in) with `gradient`
    """
    height, width, c_in = x.shape
    c_out = kernel.shape[2 if gradient else 3]
    y = workers.empty((height, width, c_out), x.dtype)
    tile_rows, across = -(-height // TILE), -(-width // TILE)
    bytes_per_tile_row = max(1, N * across * TILE * (c_in + c_out) * x.itemsize)
    block_bytes = BLOCK_BYTES / 3 if workers.low_memory else BLOCK_BYTES
    step = max(1, int(block_bytes // bytes_per_tile_row))
    with workers.lock:  # one call at a time in the scratch memory
        for start in range(0, tile_rows, step):
            tiles = range(start, min(start + step, tile_rows))
            _block(x, kernel, workers, bias, gradient, y, tiles, across)
    return y


def _block(x, kernel, workers, bias, gradient, y, tiles, across):
    """The tile rows `tiles` of the result: rows in, eight row convolutions, rows out."""
    bt, at = BT.astype(x.dtype), AT.astype(x.dtype)
    if gradient:  # the flipped kernel: same numbers, other order
        bt, at = bt[RECIPROCAL], at[:, RECIPROCAL]
    v = workers.scratch("rows in", (N, len(tiles), across * TILE + 2, x.shape[2]), x.dtype)
    w = workers.scratch("rows out", (N, len(tiles), across * TILE, y.shape[2]), x.dtype)
    shares = min(workers.threads, N)

    def convolve(share):
        for i in range(share, N, shares):
            points = workers.once(_kernel_row, kernel, i)
            points = points.swapaxes(1, 2) if gradient else points
            its_bias = bias if POINTS[i] == 1 else None
            _convolve_rows(v[i], points, bt, at, its_bias, w[i], workers, share)

    workers.each(lambda t: _combine_rows(x, t, bt, v[:, t - tiles[0]]), tiles)
    workers.each(convolve, range(shares))
    workers.each(lambda t: _finish_rows(w[:, t - tiles[0]], t, at, y), tiles)


def _combine_rows(x, t, bt, v):
    """B^T over the eight image rows under tile row t, into v (8, padded width, in)."""
    height, width, channels = x.shape
    top = t * TILE - 1  # one row of border above the tile
    first, last = max(top, 0), min(top + N, height)
    # Rows outside the image are zero, so their columns of B^T are left out.
    _combine(
        bt[:, first - top : last - top],
        x[first:last].reshape(last - first, -1),
        v[:, 1 : width + 1].reshape(N, width * channels),
    )
    v[:, 0] = 0
    v[:, width + 1 :] = 0


def _convolve_rows(rows, points, bt, at, bias, out, workers, share):
    """One-dimensional convolution of many rows, by the identity.

    rows (n, padded width, in), points (8, in, out) -> out (n, padded width - 2, out)
    """
    n, padded, c_in = rows.shape
    across, c_out = padded // TILE, points.shape[2]
    size = N * n * across * max(c_in, c_out)
    a = workers.scratch(("a", share), (size,), rows.dtype)  # two buffers used in turn,
    b = workers.scratch(("b", share), (size,), rows.dtype)  # so that both stay in the cache
    x = a[: N * n * across * c_in].reshape(N, n, across, c_in)
    for j in range(N):  # x_j of every tile: the tiles overlap by two
        x[j] = rows[:, j : j + TILE * (across - 1) + 1 : TILE]
    bx = b[: x.size].reshape(N, -1)
    _combine(bt, x.reshape(N, -1), bx)  # B^T x
    products = a[: N * n * across * c_out].reshape(N, n * across, c_out)
    np.matmul(bx.reshape(N, n * across, c_in), points, out=products)  # (G k) * (B^T x)
    if bias is not None:  # A^T's column for the point 1 is all ones, so
        products[POINTS.index(1)] += bias  # what is added there reaches every output once
    y = b[: TILE * n * across * c_out].reshape(TILE, -1)
    _combine(at, products.reshape(N, -1), y)  # A^T [...]
    out.reshape(n, across, TILE, c_out)[:] = np.moveaxis(y.reshape(TILE, n, across, c_out), 0, 2)


def _combine(matrix, x, out):
    """matrix @ x, for a few long rows, into `out`."""
    for i in range(0, x.shape[1], PIECE):
        np.matmul(matrix, x[:, i : i + PIECE], out=out[:, i : i + PIECE])


def _finish_rows(w, t, at, y):
    """A^T over the eight row results w (8, padded width - 2, out): six rows of y."""
    width, channels = y.shape[1:]
    rows = y[t * TILE : (t + 1) * TILE]  # fewer than six at the lower edge
    results = w[:, :width].reshape(N, width * channels)
    np.matmul(at[: len(rows)], results, out=rows.reshape(len(rows), width * channels))

"""Winograd's convolution for a GPU: that of `nnstyle.engine.winograd`, in a few operations on whole arrays.

On a processor, tiles are worked on in pieces that fit its cache. A GPU works best on few
operations, each of them large. So all tiles are laid out at once, as an array (8, 8, tiles, channels):
the rows of a tile, its columns, then the pixels that all tiles have there. Combining rows by B^T
is one matrix product. Combining columns is eight, which the array library does in one call; so is
the product of every point with its kernel. Maps of any size are cut into tiles of 6 * 6.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Array, array_module
from .winograd_1d import F_6_3

if TYPE_CHECKING:
    from .engine import Engine

N, TILE = F_6_3.n, F_6_3.tile

# Memory for the transformed tiles that are held at a time. Long matrix products keep a GPU busy,
# but all tiles of a large picture at once would fill its memory.
BLOCK_BYTES = 1e9


def both_ways(matrix: Array, tiles: Array) -> Array:
    """Apply a matrix to the rows, and then to the columns, of every tile.

    matrix (m, n), tiles (n, n, pixels) -> (m, m, pixels)
    """
    m, n = matrix.shape
    rows = (matrix @ tiles.reshape(n, -1)).reshape(m, n, -1)
    return matrix @ rows


def on_device(matrix: np.ndarray, like: Array) -> Array:
    """A small matrix of the host, in the library and the type of another array."""
    return array_module(like).asarray(matrix.tolist(), dtype=like.dtype)


def kernel_points(kernel: Array) -> Array:
    """The kernel's values at all pairs of points: (3, 3, in, out) -> (8, 8, in, out)."""
    points = both_ways(on_device(F_6_3.G, kernel), kernel.reshape(3, 3, -1))
    return points.reshape(N, N, *kernel.shape[2:])


def winograd_conv_whole(
    x: Array, kernel: Array, engine: "Engine", bias: Array | float | None = None, gradient: bool = False
) -> Array:
    """3x3 convolution with stride 1 and zero padding 1, or its input gradient (lesson 13).

    Parameters and result are those of `nnstyle.engine.winograd.winograd_conv`; the arrays may be of
    any library.
    """
    xp = array_module(x)
    height, width, c_in = x.shape
    points = engine.cached_transform(kernel_points, kernel)
    points = points.swapaxes(2, 3) if gradient else points
    bt, at = (on_device(matrix, x) for matrix in F_6_3.matrices(float, gradient))
    down, across, c_out = math.ceil(height / TILE), math.ceil(width / TILE), points.shape[3]
    padded = xp.zeros((down * TILE + 2, across * TILE + 2, c_in), dtype=x.dtype)
    padded[1 : height + 1, 1 : width + 1] = x
    y = engine.empty((down * TILE, across * TILE, c_out), x.dtype)
    step = max(1, int(BLOCK_BYTES // (2 * N * N * across * (c_in + c_out) * x.itemsize)))
    for top in range(0, down, step):
        rows = slice(top * TILE, min(top + step, down) * TILE)
        y[rows] = _tiles(padded[rows.start : rows.stop + 2], points, bt, at, bias)
    return xp.ascontiguousarray(y[:height, :width])


def _tiles(padded, points, bt, at, bias):
    """Whole rows of tiles: padded (6 t + 2, 6 s + 2, in) -> (6 t, 6 s, out)."""
    xp = array_module(padded)
    (height, width, c_in), c_out = padded.shape, points.shape[3]
    down, across = height // TILE, width // TILE
    row, column, channel = padded.strides
    overlapping = xp.lib.stride_tricks.as_strided(  # the tiles overlap by two: so far only a view
        padded, (N, N, down, across, c_in), (row, column, TILE * row, TILE * column, channel)
    )
    x = both_ways(bt, xp.ascontiguousarray(overlapping).reshape(N, N, -1))  # B^T x
    products = x.reshape(N, N, -1, c_in) @ points  # (G k) * (B^T x): (8, 8, tiles, out)
    y = both_ways(at, products.reshape(N, N, -1))  # A^T [...]
    y = y.reshape(TILE, TILE, down, across, c_out).transpose(2, 0, 3, 1, 4)
    y = y.reshape(down * TILE, across * TILE, c_out)
    return y if bias is None else y + bias

"""Winograd's identity: a convolution of a few numbers with fewer products than it has terms.

Take eight neighbouring numbers x0..x7 and three taps k0, k1, k2. The six sums
y_i = x_i k0 + x_{i+1} k1 + x_{i+2} k2  plainly need 6 * 3 = 18 products. Winograd
(after Toom and Cook) needs 6 + 3 - 1 = 8::

    y = A^T [ (G k) * (B^T x) ]          * is elementwise: 8 products

This is known as F(6, 3): six outputs, three taps. To see why it is true, begin with
something familiar. Multiply a polynomial k of three coefficients by a polynomial d of six:
the product s has eight coefficients. A polynomial with eight coefficients is known from its
values at eight points, and its value at a point is the product of the two values there.
With V_n the matrix that evaluates n coefficients at the eight points,

    s = V_8^-1 [ (V_3 k) * (V_6 d) ]

For fixed k this is a linear map from d to s: a matrix M(k) of 8 rows and 6 columns
whose column i holds the taps k0 k1 k2 starting at row i. The sums y that we want are
M(k)^T x. Transposing the right-hand side gives exactly the first formula:

    y = V_6^T [ (V_3 k) * (V_8^-T x) ]   A = V_6,  G = V_3,  B^T = V_8^-T

**The flipped kernel**, which a gradient needs. Flipping k turns its value at the point p
into p^2 times the value at 1/p. Our points are closed under p -> 1/p, and the rows of G
are scaled by 1/|p| so that the p^2 disappears. So the values of the flipped kernel are the
same numbers in another order, and no second transform is needed.

All of this holds for other numbers of outputs, with as many points as there are products.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np


class Identity:
    """Winograd's F(tile, 3): so many neighbouring outputs of a convolution with three taps.

    Parameters
    ----------
    tile : int
        Number of outputs that are computed together.
    points : sequence of float
        tile + 2 of them, each with its reciprocal, and 1 among them. Powers of small numbers
        are small; with large ones, rounding would lose more digits.

    Attributes
    ----------
    n : int
        Number of points, and of products.
    G, BT, AT : arrays (n, 3), (n, n), (tile, n)
        From taps to points, from neighbours to points, from products to outputs.
    one : int
        Index of the point 1. A^T's column there is all ones: a bias added to this product
        reaches every output once.
    """

    def __init__(self, tile: int, points: Sequence[float]):
        self.tile, self.points, self.n = tile, points, tile + 3 - 1
        scale = np.array([1 / abs(p) if 0 < abs(p) < np.inf else 1 for p in points])[:, None]
        self.G = self.evaluation(3) * scale
        self.BT = np.linalg.inv(self.evaluation(self.n)).T / scale
        self.AT = self.evaluation(tile).T
        self.one = points.index(1)
        self._flipped = [points.index(1 / p if p else np.inf) for p in points]

    def evaluation(self, n: int) -> np.ndarray:
        """The matrix V_n: n coefficients -> values at the points (at infinity: the leading one)."""
        rows = [np.eye(n)[-1] if np.isinf(p) else np.power(float(p), range(n)) for p in self.points]
        return np.array(rows)

    @functools.cache
    def matrices(self, dtype: Any, flipped: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """B^T and A^T, shared and never to be changed; for a flipped kernel, in the order of its points."""
        order = self._flipped if flipped else slice(None)
        return self.BT[order].astype(dtype), self.AT[:, order].astype(dtype)


F_6_3 = Identity(6, (0, 1, -1, 2, -2, 1 / 2, -1 / 2, np.inf))
# With the points 2 and 1/2 instead, gradients would lose three times as much by rounding.
F_4_3 = Identity(4, (0, 1, -1, -2, -1 / 2, np.inf))

# In two dimensions (`nnstyle.engine.winograd`), F(6, 3) takes n^2 / tile^2 = 1.8 products for a pixel,
# and F(4, 3) takes 2.25. But a tile cannot be cut: a map 16 px wide takes three tiles of 6 px, which are
# 18 px, or four of 4 px, which are 16. And before the tiles of a point are multiplied, its kernel has to be
# fetched and arranged. By measurement, that takes about as long as multiplying this many tiles:
KERNEL_IN_TILES = 32


def cheaper(height: int, width: int) -> Identity:
    """The identity that is faster for a map of this size: F(4, 3) for small maps."""

    def cost(identity: Identity) -> int:
        tiles = math.ceil(height / identity.tile) * math.ceil(width / identity.tile)
        return identity.n**2 * (tiles + KERNEL_IN_TILES)

    return min(F_6_3, F_4_3, key=cost)

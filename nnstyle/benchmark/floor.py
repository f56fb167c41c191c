"""What a device cannot be faster than: lesson 13's two limits, for one operation after the other."""

import math
from collections.abc import Mapping

import numpy as np

from ..engine.winograd_1d import F_6_3
from ..network import layers_of

N, TILE = F_6_3.n, F_6_3.tile
FLOAT = 4  # bytes

# Operations, and bytes read and written.
Step = tuple[int, int]


def direct(height: int, width: int, c_in: int, c_out: int) -> list[Step]:
    """The one step of a 3x3 convolution done plainly, as [(operations, bytes)].

    With M = H W positions, C channels in and K out: ``2 * 9 M C K`` operations (a product and a
    sum); at least ``M C + 9 C K`` numbers have to be read and ``M K`` written.
    """
    positions = height * width
    numbers = positions * (c_in + c_out) + 9 * c_in * c_out
    return [(18 * positions * c_in * c_out, FLOAT * numbers)]


def winograd(height: int, width: int, c_in: int, c_out: int) -> list[Step]:
    """The steps of `nnstyle.engine.winograd_whole`, as [(operations, bytes)]: each reads and writes memory.

    With T = ceil(H / 6) ceil(W / 6) tiles, C channels in and K out, a matrix (m, n) applied to n rows
    of p numbers takes ``2 m n p`` operations, reads ``n p`` numbers and writes ``m p``::

        lay the tiles out             read M C   write 64 T C
        B^T on rows, then on columns  each (8, 8) on 8 rows of 8 T C
        products with the kernel      64 times (T, C) @ (C, K): 2 * 64 T C K operations
        A^T on rows                   (6, 8) on 8 rows of 8 T K
        A^T on columns                (6, 8) on 8 rows of 6 T K
        put the tiles together        read 36 T K   write M K
    """
    tiles, points = math.ceil(height / TILE) * math.ceil(width / TILE), N * N
    positions, x, y = height * width, tiles * c_in, tiles * c_out
    counted = [
        (0, positions * c_in + points * x),
        applied(N, N * x),
        applied(N, N * x),
        (2 * points * x * c_out, points * (x + c_in * c_out + y)),
        applied(TILE, N * y),
        applied(TILE, TILE * y),
        (0, TILE * TILE * y + positions * c_out),
    ]
    return [(operations, FLOAT * numbers) for operations, numbers in counted]


def applied(m: int, p: int) -> tuple[int, int]:
    """(operations, numbers moved) of a matrix (m, 8) applied to 8 rows of p numbers."""
    return 2 * m * N * p, (N + m) * p


def steps(
    layers: Mapping[str, tuple[np.ndarray, np.ndarray]], size: int, winograd_channels: float
) -> list[Step]:
    """All steps of all convolutions, forward and backward, at a square picture of this size.

    Those of at least `winograd_channels` input channels are done by Winograd's identity. ReLU, pooling
    and the losses are left out: with them it would take longer still.
    """
    found: list[Step] = []
    for name in layers_of(layers):
        if name.startswith("pool"):
            size //= 2
            continue
        c_in, c_out = layers[name][0].shape[2:]
        convolution = winograd if c_in >= winograd_channels else direct
        found += convolution(size, size, c_in, c_out) + convolution(size, size, c_out, c_in)
    return found


def limits(
    layers: Mapping[str, tuple[np.ndarray, np.ndarray]],
    size: int,
    winograd_channels: float,
    seconds: float,
    rate: float,
    bandwidth: float,
) -> dict[str, float]:
    """How near an evaluation of so many seconds comes to what the device can do.

    Of R operations and B bytes a second, a step takes at least ``max(operations / R, bytes / B)``; the
    floor is the sum over all steps, as they are done here and done plainly. The two shares are those
    of R and of B that the steps' operations and bytes take up, over all the time.
    """
    ours, plain = (steps(layers, size, channels) for channels in (winograd_channels, math.inf))
    return {
        "floor seconds": least_seconds(ours, rate, bandwidth),
        "floor of direct convolutions": least_seconds(plain, rate, bandwidth),
        "share of matmul rate": sum(operations for operations, _ in ours) / seconds / rate,
        "share of bandwidth": sum(moved for _, moved in ours) / seconds / bandwidth,
    }


def least_seconds(steps: list[Step], rate: float, bandwidth: float) -> float:
    """The seconds that these steps take at least, one after the other."""
    return sum(max(operations / rate, moved / bandwidth) for operations, moved in steps)

"""What a device cannot be faster than: lesson 13's two limits, for one operation after the other."""

import math

from ..network import layers_of
from ..winograd_1d import SIX

N, TILE = SIX.n, SIX.tile
FLOAT = 4  # bytes


def direct(height, width, c_in, c_out):
    """The one step of a 3x3 convolution done plainly, as [(operations, bytes)].

    With M = H W positions, C channels in and K out: ``2 * 9 M C K`` operations (a product and a
    sum); at least ``M C + 9 C K`` numbers have to be read and ``M K`` written.
    """
    positions = height * width
    numbers = positions * (c_in + c_out) + 9 * c_in * c_out
    return [(18 * positions * c_in * c_out, FLOAT * numbers)]


def winograd(height, width, c_in, c_out):
    """The steps of `nnstyle.winograd_whole`, as [(operations, bytes)]: each reads and writes memory.

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
    steps = [
        (0, positions * c_in + points * x),
        applied(N, N * x),
        applied(N, N * x),
        (2 * points * x * c_out, points * (x + c_in * c_out + y)),
        applied(TILE, N * y),
        applied(TILE, TILE * y),
        (0, TILE * TILE * y + positions * c_out),
    ]
    return [(operations, FLOAT * numbers) for operations, numbers in steps]


def applied(m, p):
    """(operations, numbers moved) of a matrix (m, 8) applied to 8 rows of p numbers."""
    return 2 * m * N * p, (N + m) * p


def steps(layers, size, winograd_channels):
    """All steps of all convolutions, forward and backward, at a square picture of this size.

    Those of at least `winograd_channels` channels in are done by Winograd's identity. ReLU, pooling and
    the losses are left out: with them it would take longer still.
    """
    found = []
    for name in layers_of(layers):
        if name.startswith("pool"):
            size //= 2
            continue
        c_in, c_out = layers[name][0].shape[2:]
        convolution = winograd if c_in >= winograd_channels else direct
        found += convolution(size, size, c_in, c_out) + convolution(size, size, c_out, c_in)
    return found


def limits(layers, size, winograd_channels, seconds, rate, bandwidth):
    """How near an evaluation of so many seconds comes to what the device can do, as a dict.

    Of R operations and B bytes a second, a step takes at least ``max(operations / R, bytes / B)``; the
    floor is the sum over all steps, as they are done here and done plainly. The two shares are those
    of R and of B that the steps' operations and bytes take up, over all the time.
    """
    ours, plain = (steps(layers, size, channels) for channels in (winograd_channels, math.inf))
    least = lambda work: sum(max(operations / rate, moved / bandwidth) for operations, moved in work)
    operations, moved = map(sum, zip(*ours))
    return {
        "floor seconds": least(ours),
        "floor of direct convolutions": least(plain),
        "share of matmul rate": operations / seconds / rate,
        "share of bandwidth": moved / seconds / bandwidth,
    }

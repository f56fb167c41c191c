"""Where the tiles of a picture lie, and how far around them a network has to look.

A unit of a deep layer sees a square of the picture, its receptive field. So the features at a tile's own
positions are exactly those of the whole picture if they are computed from a *window*: the tile with a halo around
it, as wide as the deepest unit sees beyond the tile. At the picture's edge the window ends there, as the
picture does.
"""

import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, shown

SMALLEST_TILE = 16  # px: a position of the deepest layer

Slices = tuple[slice, slice]


@dataclass(frozen=True)
class Span:
    """A tile along one axis, px.

    Attributes
    ----------
    start, stop : int
        The positions that are its own. Those of all tiles cover the picture once.
    window_start, window_stop : int
        The positions that it is computed from.
    """

    start: int
    stop: int
    window_start: int
    window_stop: int

    @property
    def window(self) -> slice:
        """The window in the picture."""
        return slice(self.window_start, self.window_stop)

    def own(self, stride: int) -> slice:
        """Its own positions, in a feature map with this stride that was computed from the window."""
        return slice((self.start - self.window_start) // stride, (self.stop - self.window_start) // stride)

    def whole(self, stride: int) -> slice:
        """Its own positions, in the feature map of the whole picture."""
        return slice(self.start // stride, self.stop // stride)


@dataclass(frozen=True)
class Tile:
    """A part of a picture, with the window that it is computed from."""

    rows: Span
    columns: Span

    @property
    def window(self) -> Slices:
        """The window in the picture."""
        return self.rows.window, self.columns.window

    def window_pixels(self) -> int:
        """How many pixels the window has."""
        rows, columns = self.rows, self.columns
        return (rows.window_stop - rows.window_start) * (columns.window_stop - columns.window_start)

    def own(self, stride: int = 1) -> Slices:
        """Its own positions in a feature map that was computed from the window."""
        return self.rows.own(stride), self.columns.own(stride)

    def whole(self, stride: int = 1) -> Slices:
        """Its own positions in the feature map of the whole picture."""
        return self.rows.whole(stride), self.columns.whole(stride)


def tiles_of(height: int, width: int, tile: int, halo: int, grid: int) -> list[Tile]:
    """Cut a picture into tiles, those with the largest windows first.

    The memory of a large window can be used again for a smaller one, and not the other way round.

    Parameters
    ----------
    height, width : int
        Of the picture, px.
    tile : int
        About how long the edges of a tile are, px: they are rounded up to multiples of `grid`, and a short rest is
        joined to the last one.
    halo : int
        A multiple of `grid`, px.
    grid : int
        The stride of the deepest layer: every pooling of a window must meet the same pixels as the picture's.
    """
    rows, columns = (spans(length, tile, halo, grid) for length in (height, width))
    tiles = [Tile(row, column) for row in rows for column in columns]
    return sorted(tiles, key=Tile.window_pixels, reverse=True)


def spans(length: int, tile: int, halo: int, grid: int) -> list[Span]:
    """Cut an axis into pieces of about equal length."""
    count = -(-length // tile)
    step = grid * math.ceil(length / count / grid)
    # A last piece without a single unit of the deepest layer would be a tile of its own for nothing.
    starts = [start for start in range(0, length, step) if start == 0 or length - start >= grid]
    stops = [*starts[1:], length]
    return [
        Span(start, stop, max(0, start - halo), min(length, stop + halo))
        for start, stop in zip(starts, stops, strict=True)
    ]


def largest_window(height: int, width: int, tile: int, halo: int, grid: int) -> int:
    """The number of pixels of the largest window of `tiles_of`."""
    rows, columns = (spans(length, tile, halo, grid) for length in (height, width))
    longest = lambda spans: max(span.window_stop - span.window_start for span in spans)
    return longest(rows) * longest(columns)


def strides(layers: Sequence[str]) -> dict[str, int]:
    """How many pixels lie between neighbouring positions of each layer, for layers in their order."""
    found, stride = {}, 1
    for name in layers:
        stride *= 2 if name.startswith("pool") else 1
        found[name] = stride
    return found


def reach(layers: Iterable[str]) -> int:
    """How many pixels beyond its own square a unit of the last of these layers sees, on either side.

    A position of a layer with stride s has a square of s x s pixels. A 3 x 3 convolution looks one position, s
    pixels, further; a pooling only joins squares.
    """
    pixels, stride = 0, 1
    for name in layers:
        if name.startswith("pool"):
            stride *= 2
        else:
            pixels += stride
    return pixels


def halo_of(layers: Sequence[str]) -> tuple[int, int]:
    """The halo that tiles need for these layers, and the grid that they have to lie on, px."""
    grid = strides(layers)[layers[-1]]
    return grid * math.ceil(reach(layers) / grid), grid


def checked_tile(tile: Any) -> int:
    """The length of a tile; anything that is none raises InputError."""
    if not isinstance(tile, numbers.Integral) or isinstance(tile, bool) or tile < SMALLEST_TILE:
        raise InputError(f"a tile must have at least {SMALLEST_TILE} px, a whole number, not {shown(tile)}")
    return int(tile)

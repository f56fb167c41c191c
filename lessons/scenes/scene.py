"""A camera over a lake, and the three ways things get into its picture."""

from typing import NamedTuple

import numpy as np

from .noise import mix
from .sky import clear_sky


class View(NamedTuple):
    """A level camera above the lake (x right, y up, z ahead, metres; the water is y = 0).

    A `mirrored` view looks from as far below the water and is turned upside down: what
    it sees at a pixel is what the still lake would reflect there, exactly.
    """

    width: int
    height: int
    eye: float = 9.0
    mirrored: bool = False

    @property
    def focal(self):
        """Pixels per unit of slope: about a 50 degree lens across."""
        return 1.07 * self.width

    @property
    def horizon(self):
        """The row of the horizon."""
        return 0.60 * self.height

    def slopes(self):
        """Sideways slope of every column (width,) and upward slope of every row (height,)."""
        across = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal
        up = (self.horizon - np.arange(self.height) - 0.5) / self.focal
        return across, -up if self.mirrored else up

    def project(self, x, y, z):
        """Column and row, as floats, of points in the world."""
        turn = -1 if self.mirrored else 1
        eye = self.eye * turn
        return self.width / 2 + self.focal * x / z, self.horizon - turn * self.focal * (y - eye) / z


class Picture(NamedTuple):
    """Light (height, width, 3) and the distance it comes from (height, width)."""

    light: np.ndarray
    depth: np.ndarray


def haze(light, x, y, z):
    """Fade light (..., 3) from points in the world into the air between: far is pale and blue."""
    x, y, z = np.broadcast_arrays(x, y, z)
    rays = np.stack([x / z, np.full(z.shape, 0.05), np.ones(z.shape)], -1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    air = clear_sky(rays) * np.array([0.58, 0.68, 0.90])
    mist = np.exp(-np.maximum(y, 0) / 60)  # it lies in the valleys
    thick = np.maximum(z - 150, 0) * (1 / 26000 + mist / 4200)
    return mix(light, air, 1 - np.exp(-thick))


def splat(view, picture, points, light):
    """Put a cloud of points (n, 3) with light (n, 3) into the picture, one pixel each."""
    order = np.argsort(-points[:, 2], kind="stable")  # far first: the nearest point stays
    points, light = points[order], light[order]
    column, row = (np.floor(p).astype(int) for p in view.project(*points.T))
    z = points[:, 2]
    seen = (column >= 0) & (column < view.width) & (row >= 0) & (row < view.height) & (z > 1)
    seen &= points[:, 1] > 0
    column, row, z, light = column[seen], row[seen], z[seen], light[seen]
    front = z < picture.depth[row, column] * 1.003
    picture.light[row[front], column[front]] = light[front]
    picture.depth[row[front], column[front]] = z[front]


def panel(view, picture, corner, side, rise, paint):
    """Put a flat four-sided panel into the picture.

    `corner` + u `side` + v `rise`, 0 <= u, v <= 1, are its points (each vector (3,));
    `paint(u, v)` gives the light (n, 3) there. Along a pixel's ray p = t r the unknowns
    (t, -u, -v) solve a 3 x 3 system, by Cramer's rule.
    """
    eye = np.array([0, -view.eye if view.mirrored else view.eye, 0])
    corners = np.array([corner, corner + side, corner + rise, corner + side + rise])
    columns, rows = (np.floor(p).astype(int) for p in view.project(*corners.T))
    window = (
        slice(max(rows.min(), 0), max(rows.max() + 2, 0)),
        slice(max(columns.min(), 0), max(columns.max() + 2, 0)),
    )  # all it can cover
    light, depth = picture.light[window], picture.depth[window]
    across, up = view.slopes()
    x, y = np.meshgrid(across[window[1]], up[window[0]])
    rays = np.stack([x, y, np.ones_like(x)], -1)
    start, cross = corner - eye, np.cross(side, rise)
    facing = rays @ cross
    facing[np.abs(facing) < 1e-9] = 1e-9
    t = (start @ cross) / facing
    offset = rays * t[..., None] - start
    area = cross @ cross
    u, v = np.cross(offset, rise) @ cross / area, np.cross(side, offset) @ cross / area
    hit = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1) & (t > 1) & (t < depth)
    hit &= offset[..., 1] + corner[1] > 0  # nothing under water is ever shown
    if hit.any():
        light[hit] = paint(u[hit], v[hit])
        depth[hit] = t[hit]

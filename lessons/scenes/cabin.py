"""The cabin on the spit, its jetty and its boat: flat panels, with a lamp inside."""

from typing import NamedTuple

import numpy as np

from .noise import fbm, mix, smoothstep
from .scene import panel
from .terrain import shade

LAMP = np.array([5.5, 2.7, 0.75])
WOOD, ROOF = np.array([0.20, 0.085, 0.045]), np.array([0.075, 0.065, 0.068])
TRIM, STONE = np.array([0.55, 0.48, 0.40]), np.array([0.16, 0.15, 0.14])


def boards(tile, colour, normal, count, upright=False):
    """A paint function for `panel`: sawn boards, a dark gap between each and the next."""

    def paint(u, v):
        across, along = (u, v) if upright else (v, u)
        board = np.floor(across * count)
        tint = 1 + 0.55 * fbm(tile, board * 3.7, along * 2, 3)
        tint += 0.3 * fbm(tile, across * 40, along * 3, 2)
        gap = smoothstep(0.0, 0.16, 0.5 - np.abs(across * count - board - 0.5))
        base = colour * (tint * (0.35 + 0.65 * gap))[:, None]
        return shade(base, np.broadcast_to(normal, base.shape), np.ones(len(u)))

    return paint


def window(u, v):
    """A paint function: four lit panes behind a dark cross, brighter in the middle."""
    bars = np.minimum.reduce([np.abs(u - 0.5), np.abs(v - 0.5), u, 1 - u, v, 1 - v])
    glow = 1.15 - 1.1 * ((u - 0.5) ** 2 + (v - 0.4) ** 2)
    return mix(np.array([0.03, 0.02, 0.015]), LAMP * glow[:, None], smoothstep(0.03, 0.06, bars))


class Place(NamedTuple):
    """Where a building stands: its corner on the ground (3,) and its axes, rows of (3, 3)."""

    corner: np.ndarray
    axes: np.ndarray

    def point(self, *local):
        """A local point in the world."""
        return self.corner + np.array(local, float) @ self.axes

    def vector(self, *local):
        """A local direction in the world."""
        return np.array(local, float) @ self.axes


def place(corner, degrees):
    """A place turned about the upright axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return Place(np.array(corner, float), np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]))


def box(view, picture, tile, where, corner, size, colour, count=6):
    """A box of boards; `corner` (its near lower left) and `size` are local to `where`."""
    x, y, z = (where.vector(*axis) for axis in np.diag(np.asarray(size, float)))
    start = where.point(*corner)
    front, left, top = where.vector(0, 0, -1), where.vector(-1, 0, 0), np.array([0, 1, 0])
    panel(view, picture, start, x, y, boards(tile, colour, front, count))
    panel(view, picture, start + z, -z, y, boards(tile, colour, left, count))
    panel(view, picture, start + x, z, y, boards(tile, colour, -left, count))
    panel(view, picture, start + y, x, z, boards(tile, colour, top, count, True))


def cabin(view, picture, tile, where):
    """A log cabin with three lit windows, its long side towards us."""
    wide, deep, wall, peak = 9.5, 6.5, 3.1, 3.2
    box(view, picture, tile, where, (0, -2.4, 0), (wide, 2.5, deep), STONE, 5)
    box(view, picture, tile, where, (0, 0, 0), (wide, wall, deep), WOOD, 10)
    for step in range(14):  # gables: narrower and narrower boards up to the ridge
        inset, rise = deep / 2 * step / 14, wall + peak * step / 14
        size = wide, peak / 14, deep - 2 * inset
        box(view, picture, tile, where, (0, rise, inset), size, WOOD, 1)
    roof(view, picture, tile, where, wide, deep, wall, peak)
    for corner, side in [
        ((1.3, 1.0, -0.06), (1.7, 0, 0)),
        ((6.4, 1.0, -0.06), (1.7, 0, 0)),
        ((-0.06, 1.0, 4.2), (0, 0, -1.7)),
    ]:
        start, across = where.point(*corner), where.vector(*side)
        panel(view, picture, start, across, np.array([0, 1.5, 0]), window)
    box(view, picture, tile, where, (4.1, 0, -0.08), (1.2, 2.3, 0.05), np.array([0.10, 0.05, 0.035]), 1)
    box(view, picture, tile, where, (6.8, wall + 1.5, 2.2), (1.0, 3.1, 1.0), STONE * 1.4, 10)


def roof(view, picture, tile, where, wide, deep, wall, peak, eave=0.8):
    """Two shingled slopes that overhang the walls, and the pale boards along their edges."""
    drop = peak * eave / (deep / 2)
    for near in (1, -1):
        foot = where.point(-eave, wall - drop, -eave if near > 0 else deep + eave)
        along = where.vector(wide + 2 * eave, 0, 0)
        slope = where.vector(0, peak + drop, near * (deep / 2 + eave))
        normal = where.vector(0, deep / 2, -near * peak) / np.hypot(deep / 2, peak)
        panel(view, picture, foot, along, slope, boards(tile, ROOF, normal, 11))
        edge = np.array([0, 0.24, 0])
        for side, out in [(along, where.vector(0, 0, -near)), (slope, where.vector(-1, 0, 0))]:
            panel(view, picture, foot - edge, side, edge, boards(tile, TRIM, out, 1))


def jetty(view, picture, tile, where):
    """A plank jetty on posts, 15 m along the local x axis from its end at the corner."""
    for post in range(6):
        for side in (0, 1.6):
            box(view, picture, tile, where, (2.8 * post, -0.3, side), (0.24, 1.7, 0.24), WOOD * 0.8, 1)
    box(view, picture, tile, where, (0, 0.80, 0), (15, 0.18, 1.8), np.array([0.34, 0.25, 0.17]), 40)


def boat(middle):
    """A rowing boat seen from the side, as points: a curved hull and a pale rail.

    `middle` (3,) is where it floats; returns points (n, 3) and their light (n, 3).
    """
    s, t = np.meshgrid(np.linspace(-1, 1, 260), np.linspace(0, 1, 60))
    sheer = 0.62 + 0.35 * s**2
    x, y = 2.3 * s * (0.80 + 0.2 * t), 0.02 + sheer * t
    bulge = 0.75 * np.sqrt(np.clip(1 - s**2, 0, 1)) * np.sqrt(t)
    points = np.stack([x, y, -bulge], -1).reshape(-1, 3) + middle
    rail = (t > 0.86)[..., None]
    hull = np.where(rail, np.array([0.55, 0.50, 0.42]), np.array([0.22, 0.035, 0.025]))
    normal = np.stack([s * 0.9, 0 * s + 0.1, -np.sqrt(np.clip(1 - 0.8 * s**2, 0.05, 1))], -1)
    return points, shade(hull, normal, np.ones(s.shape)).reshape(-1, 3)

"""Mountains, hills and shores: their shape, their colours and the light on them."""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import map_coordinates

from .noise import fbm, mix, ridged, sample, smoothstep
from .scene import haze
from .sky import SKYLIGHT, SUN, SUNLIGHT

# x, z, radius and height in metres of the peaks; the first is the one a viewer remembers.
PEAKS = [
    (-1500, 8300, 2300, 1750),
    (1350, 9600, 1900, 1350),
    (3900, 8600, 2300, 1500),
    (-4600, 9000, 2000, 1500),
    (300, 12500, 3000, 1300),
]
HILLS = [(-1500, 2900, 900, 420), (1750, 2700, 1000, 520), (-350, 4300, 1100, 260), (700, 4700, 900, 330)]


def bumps(places, x, z):
    """The highest of several smooth bumps (x, z, radius, height) at each point."""
    return np.max([h * np.exp(-((x - px) ** 2 + (z - pz) ** 2) / r**2) for px, pz, r, h in places], 0)


def shore(tile, x, z):
    """The near banks: a spit on the right for the cabin, and boulders in front of us."""
    rough = fbm(tile, x / 30, z / 30, 6)
    spit = 1.25 - ((x - 66) / 56) ** 2 - ((z - 134) / 27) ** 2 + 0.35 * rough
    bank = 1.0 - ((x + 27) / 15) ** 2 - ((z - 44) / 7) ** 2 + 0.5 * fbm(tile, x / 6, z / 6, 3)
    lumps = sample(tile, x / 2.6, z / 2.6) + 0.15 * sample(tile, x * 1.3, z * 1.3)
    lumps = np.clip(lumps - 0.05, 0, 1)
    boulders = 1.3 * np.sqrt(lumps) + 0.10 * fbm(tile, x * 1.5, z * 1.5, 3) * (lumps > 0)
    near = smoothstep(-0.25, 0.0, bank) * (boulders - 0.25) + 0.5 * np.clip(bank, -1, 0.6)
    return np.maximum(np.minimum(spit, 0.9) * 3.4 + 0.5 * rough * (spit > 0), near)


def ground(tile, x, z):
    """Height of the land over the lake, metres, below 0 where there is water."""
    warp = 320 * fbm(tile, x / 1900, z / 1900, 3)
    land = bumps(PEAKS, x + warp, z + warp)
    crags = ridged(tile, (x + warp) / 2300 + 0.3, (z - warp) / 2300, 10, 0.5)
    peaks = land * (0.42 + 0.50 * crags) + 60 * fbm(tile, x / 500, z / 500, 5)
    hills = bumps(HILLS, x + 0.4 * warp, z) * (0.8 + 0.5 * fbm(tile, x / 900, z / 900, 7))
    coast = z - 1900 - 500 * fbm(tile, x / 1400, 0 * z + 3.3, 4) + 220 * np.cos(x / 420)
    rise = np.clip(coast * 0.05, -6, 90)
    inland = np.maximum(hills, 0) + peaks * smoothstep(4200, 7000, z)
    far = rise + inland * smoothstep(0, 900, coast)
    return np.where(z < 400, shore(tile, x, z), far)


class Land(NamedTuple):
    """The land on a fan of columns: `across` (w,) slopes by `z` (n,) distances, fields (n, w)."""

    across: np.ndarray
    z: np.ndarray
    height: np.ndarray
    light: np.ndarray


def distances():
    """Where to cut the land: finer than a pixel is tall wherever there is land to see."""
    spans = [
        (33, 60, 260),
        (60, 200, 320),
        (1250, 2000, 120),
        (2000, 4500, 750),
        (4500, 11000, 1700),
        (11000, 20000, 250),
    ]
    return np.concatenate([np.geomspace(a, b, n, endpoint=False) for a, b, n in spans])


def shadows(tile, x, z):
    """How much of the sun each point sees, 0 to 1.

    On a grid along the sun's bearing s, a point lies in shadow where some point nearer
    to the sun has a greater h - s tan(elevation): a running maximum finds it.
    """
    bearing = np.array([SUN[0], SUN[2]]) / np.hypot(SUN[0], SUN[2])
    rise = SUN[1] / np.hypot(SUN[0], SUN[2])
    s, t = np.arange(-9000, 9000, 20.0), np.arange(-500, 14500, 20.0)
    height = np.concatenate(
        [
            ground(
                tile, s[:, None] * bearing[0] - part * bearing[1], s[:, None] * bearing[1] + part * bearing[0]
            )
            for part in np.array_split(t[None], 8, 1)
        ],
        1,
    )
    key = height - s[:, None] * rise
    above = np.maximum.accumulate(key[::-1])[::-1] - key
    i = (x * bearing[0] + z * bearing[1] - s[0]) / 20
    j = (-x * bearing[1] + z * bearing[0] - t[0]) / 20
    i, j = np.clip(i, 0, len(s) - 2), np.clip(j, 0, len(t) - 2)
    return 1 - smoothstep(4, 34, map_coordinates(above, [i, j], order=1))


def surface(tile, x, z, height, flat):
    """Colour of the ground, (..., 3) linear; `flat` is the upward part of its normal."""
    patch = fbm(tile, x / 260, z / 260, 4)
    strata = sample(tile, height / 42 + patch, x / 900)
    rock = mix(np.array([0.13, 0.115, 0.11]), np.array([0.27, 0.225, 0.19]), 0.5 + 0.5 * strata)
    dry = smoothstep(-0.3, 0.6, patch)
    wood = mix(np.array([0.020, 0.034, 0.016]), np.array([0.065, 0.070, 0.022]), dry)
    meadow = mix(np.array([0.12, 0.11, 0.035]), np.array([0.23, 0.15, 0.05]), dry)
    snow = np.array([0.86, 0.88, 0.92])
    grown = smoothstep(0.42, 0.62, flat + 0.2 * patch) * smoothstep(640, 420, height + 120 * patch)
    colour = mix(rock, wood, grown)
    near = smoothstep(600, 400, z) * smoothstep(60, 100, z)  # the spit
    colour = mix(colour, meadow, near * smoothstep(0.75, 0.95, flat) * smoothstep(0.7, 1.6, height))
    pebbles = np.array([0.20, 0.18, 0.155]) * (1 + 0.8 * sample(tile, x * 2, z * 2))[..., None]
    colour = mix(colour, pebbles, near * smoothstep(0.75, 0.35, height + 0.25 * patch))
    line = smoothstep(620, 1000, height + 260 * patch)
    return mix(colour, snow, line * smoothstep(0.44, 0.62, flat + 0.16 * patch + 0.10 * line))


def shade(colour, normal, sun):
    """Light sent on by a matt surface: (..., 3) colour, (..., 3) normal, (...) sunlit part."""
    facing = np.clip(normal @ SUN, 0, 1) * sun
    return colour * (SUNLIGHT * facing[..., None] + SKYLIGHT * (0.45 + 0.55 * normal[..., 1:2]))


def survey(tile, across):
    """Shape and light of everything solid in front of the columns `across` (w,)."""
    z = distances()
    x, depth = across * z[:, None], np.broadcast_to(z[:, None], (len(z), len(across)))
    height = ground(tile, x, depth).astype(np.float32)
    canopy = smoothstep(1300, 1500, depth) * (1 - smoothstep(380, 560, height)) * (height > 2)
    height += canopy * 7 * np.abs(sample(tile, x / 11, depth / 11))
    along_x = np.gradient(height, across, axis=1) / z[:, None]
    along_z = np.gradient(height, z, axis=0) - along_x * across
    normal = np.stack([-along_x, np.ones_like(height), -along_z], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    colour = surface(tile, x, depth, height, normal[..., 1])
    light = shade(colour, normal, shadows(tile, x, depth))
    return Land(across, z, height, haze(light, x, height, depth).astype(np.float32))


def look(view, land, picture):
    """Put the land into the picture: for each pixel, the first land its ray meets.

    The near shores and the far side are looked at one after the other, because a
    reflected ray begins at the water between them and must not meet what it left behind.
    """
    eye = -view.eye if view.mirrored else view.eye
    slope = np.where(land.height > 0, (land.height - eye) / land.z[:, None], -9)
    for zone in (land.z > 400, land.z < 400):
        highest = np.maximum.accumulate(slope[zone], axis=0)
        for column in range(view.width):
            light = land.light[zone, column]
            look_up(view, picture, column, highest[:, column], land.z[zone], light)


def look_up(view, picture, column, slope, z, light):
    """One column of `look`: `slope` (n,) is the highest seen up to each distance `z` (n,)."""
    _, up = view.slopes()
    i = np.searchsorted(slope, up)
    water = view.eye / np.maximum(up if view.mirrored else -up, 1e-9)
    meets = (i > 0) & (i < len(slope))
    i = np.clip(i, 1, len(slope) - 1)
    meets &= z[i] >= water if view.mirrored else z[i] <= water
    rows = np.flatnonzero(meets)
    i = i[rows]
    part = (up[rows] - slope[i - 1]) / np.maximum(slope[i] - slope[i - 1], 1e-12)
    part[slope[i - 1] < -8] = 1.0  # open water lies before: nothing to blend with
    picture.light[rows, column] = mix(light[i - 1], light[i], part)
    picture.depth[rows, column] = z[i]

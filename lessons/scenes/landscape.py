"""The content sample: an evening by a mountain lake, as a camera would have kept it."""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, zoom

from .cabin import boat, cabin, jetty, place
from .noise import fbm, mix, noise_tile, smoothstep
from .plants import GRASS, REED, forest, reeds
from .scene import Picture, View, haze, splat
from .sky import clear_sky, clouds
from .terrain import ground, look, survey

CABIN = place((21.0, 3.7, 124.0), 26)
JETTY = place((6.0, 0, 112.5), 8)


def paint_sky(view, rng):
    """Light of the sky above the horizon, (rows, width, 3), the lowest row last."""
    across, up = view.slopes()
    x, y = np.meshgrid(across, up[up > 0])
    rays = np.stack([x, y, np.ones_like(x)], -1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    coarse = rays[::2, ::2]  # clouds are soft: half the resolution is enough
    light, clear = clouds(coarse.reshape(-1, 3), rng)
    grow = [full / half for full, half in zip(rays.shape[:2], coarse.shape[:2])]
    light = zoom(gaussian_filter(light.reshape(coarse.shape), (0.7, 0.7, 0)), grow + [1], order=1)
    clear = zoom(gaussian_filter(clear.reshape(coarse.shape[:2]), 0.7), grow, order=1)
    sky = clear_sky(rays)
    far = np.exp(-0.10 / np.maximum(rays[..., 1:2], 0.01))  # the lowest clouds drown in haze
    return sky * (clear + (1 - clear) * (1 - far[..., 0]))[..., None] + light * far


def grow_trees(tile, rng):
    """Spruce and larch on the spit and on the far slopes: lists of points and light (n, 3)."""
    x, z = rng.uniform(6, 95, 650), rng.uniform(116, 165, 650)
    # Behind the cabin or well to its right, to leave it its view of the lake.
    behind = (x + 0.9 * (z - 118) > 36) & ((np.abs(x - 25) > 10) | (z > 142))
    far = rng.uniform(1500, 4000, 30000)
    side = far * rng.uniform(-0.5, 0.5, len(far))
    for x, z, keep, low, high, tall, count, gold in [
        (x, z, behind, 0.8, 9, 15, 15000, 0.22),
        (side, far, True, 0.6, 480, 17, 110, 0.02),
    ]:
        y = ground(tile, x, z)
        grow = keep & (y > low) & (y < high) & (fbm(tile, x / 90, z / 90, 3) > -0.45)
        feet = np.stack([x, y - 0.3, z], 1)[grow]
        heights = tall * np.clip(np.exp(0.35 * rng.normal(size=len(feet))), 0.45, 1.5)
        points, light = forest(rng, feet, heights, rng.random(len(feet)) < gold, count)
        yield points, haze(light, *points.T)


def grow_banks(tile, rng):
    """Reeds in the shallows before us, reeds and grass on the spit: as `grow_trees`."""
    for sides, depths, low, gaps, number, colours, tallest, count in [
        ((-26, -8), (38, 52), -0.6, -0.1, 1500, REED, 2.3, 260),
        ((8, 90), (104, 122), -0.4, 0.05, 1700, REED, 1.4, 50),
        ((8, 95), (104, 150), 0.45, -0.6, 26000, GRASS, 0.5, 16),
    ]:
        x, z = rng.uniform(*sides, number), rng.uniform(*depths, number)
        y = ground(tile, x, z)
        grow = (y > low) & (y < 5) & (fbm(tile, x / 8, z / 8, 3) > gaps)
        feet = np.stack([x, np.maximum(y, 0), z], 1)[grow]
        yield reeds(rng, feet, colours, tallest, count)


def photograph(view, sky, land, plants, tile):
    """What the view sees above the water: a Picture, endlessly deep where nothing stands."""
    rows = len(sky)
    light = np.zeros((view.height, view.width, 3))
    light[:rows] = sky
    if view.mirrored:  # the other rows of a direct view are water, which lake() fills
        light[rows:] = sky[::-1][: view.height - rows]
    picture = Picture(light, np.full(light.shape[:2], np.inf))
    look(view, land, picture)
    cabin(view, picture, tile, CABIN)
    jetty(view, picture, tile, JETTY)
    splat(view, picture, *plants)
    splat(view, picture, *boat(np.array([2.2, 0, 112.0])))
    return picture


def lake(view, picture, mirror, tile):
    """Light from the open water: the mirrored picture, bent by ripples, over dark depths."""
    across, up = view.slopes()
    water = np.isinf(picture.depth) & (up < 0)[:, None]
    row, column = np.nonzero(water)
    z = view.eye / -up[row]
    x = across[column] * z
    calm = smoothstep(-0.25, 0.45, fbm(tile, x / 60 + 2, z / 260, 4))
    rough = (0.012 + 0.075 * (1 - calm)) * smoothstep(0, 60, 5000 / z)
    light = 0
    for facet_tilt in (-0.5, 0.1, 0.6, 1.2):  # several facets of the waves within one pixel
        tilt = fbm(tile, x / 3.2 + facet_tilt * 9, z / 1.1 + facet_tilt * 5, 3) * rough
        sway = fbm(tile, x / 2.1 + 40 + facet_tilt * 7, z / 1.6, 3) * rough
        smear = facet_tilt * rough * 0.22
        # A facet tilted towards us shows what stands higher: lower down in the mirrored picture.
        steps = np.abs(tilt + smear) * view.focal * 0.55
        at = np.stack([np.clip(row + steps, 0, view.height - 1), column + sway * view.focal * 0.10])
        facet = [
            map_coordinates(part, at, order=1, mode="nearest") for part in np.moveaxis(mirror.light, -1, 0)
        ]
        light = light + 0.25 * np.stack(facet, -1)
    grazing = np.clip(view.eye / np.hypot(view.eye, z), 0, 1)
    shine = (0.12 + 0.88 * (1 - grazing) ** 5)[:, None]
    picture.light[water] = light * shine + np.array([0.012, 0.040, 0.050]) * (1 - shine)
    return picture.light


def develop(light, rng):
    """From light to a print: glow, a film's curve, a little vignette and grain; 0 to 1."""
    bright = np.maximum(light - 1.5, 0)
    glow = sum(gaussian_filter(bright, (s, s, 0)) * w for s, w in [(3, 0.35), (12, 0.25), (40, 0.15)])
    h, w = light.shape[:2]
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j]
    light = (light + glow) * (1 - 0.22 * (x**2 + y**2) / 2)[..., None] * 0.92
    # Narkowicz's fit of the ACES film curve, then the sRGB power.
    print_ = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    print_ = np.clip(print_, 0, 1) ** (1 / 2.2)
    grey = print_ @ np.array([0.30, 0.59, 0.11])
    print_ = mix(grey[..., None], print_, np.full(grey.shape, 1.15))
    grain = gaussian_filter(rng.normal(size=grey.shape), 0.8)[..., None]
    return np.clip(print_ + 0.012 * grain, 0, 1)


def render_landscape(size=1024, seed=3, oversample=1.5):
    """The content picture, float (height, width, 3), 0 to 1, in a shape of 3 to 2.

    It is `size * oversample` pixels wide, to be scaled down to `size`.
    """
    rng = np.random.default_rng(seed)
    tile = noise_tile(rng, 1024)
    width = int(size * oversample)
    view = View(width, width * 2 // 3)
    sky = paint_sky(view, np.random.default_rng(2))
    land = survey(tile, view.slopes()[0])
    plants = [np.concatenate(part) for part in zip(*grow_trees(tile, rng), *grow_banks(tile, rng))]
    mirror = photograph(view._replace(mirrored=True), sky, land, plants, tile)
    picture = photograph(view, sky, land, plants, tile)
    return develop(lake(view, picture, mirror, tile), rng)

"""One scene in ten manners, from a photograph to stained glass.

Each manner is a function of a scene, of the size of its marks (1: as usual) and of a random number
generator. It returns a picture (size, size, 3), 0 to 1.
"""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from .motifs import noise
from .noise import mix, smoothstep


def scattered(rng, size, spacing):
    """Points (n, 2), y and x, over the picture and a little beyond, in random order: one for each cell of a grid."""
    cells = np.argwhere(np.ones([int(size / spacing) + 3] * 2))
    return rng.permutation((cells - 1 + rng.random(cells.shape)) * spacing)


def nearest_pixels(points, size):
    """The pixels at these points; at the border, the last ones."""
    return tuple(np.clip(np.rint(points).astype(int), 0, size - 1).T)


def stamp(canvas, points, colours):
    """Set the pixels at `points` (.., 2), the later ones over the earlier ones."""
    at = np.rint(points).astype(int)
    inside = ((at >= 0) & (at < len(canvas))).all(axis=-1)
    canvas[tuple(at[inside].T)] = colours[inside]


def means_of(labels, colours):
    """Each pixel's colour becomes the mean over its label, (size, size) of small integers."""
    count = np.maximum(np.bincount(labels.ravel()), 1)
    sums = [np.bincount(labels.ravel(), channel.ravel()) for channel in np.moveaxis(colours, -1, 0)]
    return (np.stack(sums, -1) / count[:, None])[labels]


def pavement(rng, size, spacing, disorder):
    """The number of each pixel's stone, (size, size), and how far it is from belonging to the next one.

    There is one stone for each cell of a grid, moved by up to `disorder` cells. A pixel belongs to
    the stone whose middle is nearest.
    """
    middles = np.argwhere(np.ones([int(size / spacing) + 4] * 2)) - 1.5
    middles += disorder * rng.uniform(-1, 1, middles.shape)
    pixels = np.stack(np.mgrid[0:size, 0:size], -1) / spacing
    away, stones = cKDTree(middles).query(pixels, k=2)
    return stones[..., 0], (away[..., 1] - away[..., 0]) * spacing


def photograph(scene, marks, rng):
    """As a camera saw it: a soft lens, light that falls off, grain."""
    size = len(scene.colours)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    texture = 1 + 0.12 * noise(rng, size, 12, 3)
    light = (texture * (1.05 - 0.15 * (x**2 + y**2)))[..., None]
    seen = gaussian_filter(scene.colours * light, (0.5 * marks, 0.5 * marks, 0))
    return seen + 0.025 * rng.normal(size=(size, size, 1))


def brush(scene, marks, rng):
    """Strokes of a loaded brush along the flow, coarse ones first."""
    size, colours = len(scene.colours), scene.colours
    canvas = gaussian_filter(colours, (2, 2, 0))
    for width in (7 * marks, 4 * marks):
        middles = scattered(rng, size, 0.8 * width)
        spot = nearest_pixels(middles, size)
        angle = scene.flow[spot] + 0.25 * rng.normal(size=len(middles))
        along = np.arange(-1.5 * width, 1.5 * width, 0.8)
        across = np.arange(-width / 2, width / 2, 0.8)
        direction = np.stack([np.sin(angle), np.cos(angle)], -1)[:, None, None]
        sideways = direction[..., ::-1] * [1, -1]
        points = middles[:, None, None] + along[:, None, None] * direction + across[:, None] * sideways
        paint = colours[spot] * (1 + 0.12 * rng.normal(size=(len(middles), 1)))
        bristles = 0.10 * rng.normal(size=(len(middles), 1, len(across)))
        bristles = bristles + 0.10 * np.abs(across) / width - 0.05
        stamp(canvas, points, paint[:, None, None] * (1 + bristles[..., None]) + 0 * points[..., :1])
    return canvas


def points(scene, marks, rng):
    """Dots of nearly pure colour side by side on a pale ground."""
    size, colours = len(scene.colours), scene.colours
    canvas = mix(
        gaussian_filter(colours, (3, 3, 0)), np.array([0.93, 0.90, 0.82]), np.full((size, size), 0.6)
    )
    radius = 1.8 * marks
    disc = np.stack(np.mgrid[-3:3:0.7, -3:3:0.7], -1).reshape(-1, 2)
    disc = disc[np.hypot(*disc.T) < radius]
    for _ in range(2):
        middles = scattered(rng, size, 1.7 * radius)
        paint = colours[nearest_pixels(middles, size)]
        grey = paint.mean(axis=1, keepdims=True)
        paint = grey + 1.5 * (paint - grey) + 0.10 * rng.normal(size=paint.shape)
        stamp(canvas, middles[:, None] + disc, np.repeat(paint[:, None], len(disc), 1))
    return canvas


def lines(rng, size, spacing, angle, wobble=0.6):
    """Parallel lines, drawn by hand: 0 at the middle of each line, 1 midway between two."""
    y, x = np.mgrid[0:size, 0:size]
    place = (x * np.sin(angle) + y * np.cos(angle)) / spacing + wobble * noise(rng, size, 2.5, 2)
    return 2 * np.abs(place % 1 - 0.5)


def hatching(scene, marks, rng):
    """A pen with coloured inks on paper: the darker, the more layers of lines cross."""
    size = len(scene.colours)
    dark = 1 - gaussian_filter(scene.colours.mean(axis=2), 0.7)
    paper = np.broadcast_to([0.95, 0.92, 0.85], scene.colours.shape) * (
        1 + 0.02 * rng.normal(size=(size, size, 1))
    )
    ink = scene.colours * 0.55
    picture, first = paper, rng.uniform(0, np.pi)
    for layer, least in enumerate((0.08, 0.32, 0.52, 0.70)):
        line = lines(rng, size, 3.4 * marks, first + layer * 0.9)
        wide = 0.18 + 0.5 * np.clip(dark - least, 0, 0.5)
        drawn = smoothstep(wide + 0.2, wide - 0.1, line) * smoothstep(least - 0.05, least + 0.05, dark)
        picture = mix(picture, ink, 0.85 * drawn)
    return picture


def flat_planes(scene, marks, rng):
    """Every surface broken up by straight lines, and each piece filled with one colour."""
    size = len(scene.colours)
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    pieces = scene.planes
    for _ in range(int(6 / marks)):
        angle, shift = rng.uniform(0, np.pi), rng.uniform(-0.4, 0.4)
        pieces = 2 * pieces + (x * np.cos(angle) + y * np.sin(angle) > shift)
    _, pieces = np.unique(pieces, return_inverse=True)
    pieces = pieces.reshape(size, size)
    tints = 1 + 0.13 * rng.normal(size=pieces.max() + 1)
    return means_of(pieces, scene.colours) * tints[pieces][..., None]


def mosaic(scene, marks, rng):
    """Small stones, nearly square, with mortar between them."""
    size = len(scene.colours)
    stone, gap = pavement(rng, size, 5 * marks, 0.22)
    tints = 1 + 0.12 * rng.normal(size=stone.max() + 1)
    mortar = rng.choice([0.25, 0.75]) * np.array([1.0, 0.95, 0.88])
    laid = means_of(stone, scene.colours) * tints[stone][..., None]
    return mix(mortar, laid, smoothstep(0.4, 1.4, gap))


def wash(scene, marks, rng):
    """Water colours: they run, dry darker at the edges, and leave some of the paper white."""
    size = len(scene.colours)
    y, x = np.mgrid[0:size, 0:size].astype(float)
    at = [place + 2 * marks * noise(rng, size, 6, 2) for place in (y, x)]
    run = [map_coordinates(part, at, order=1, mode="nearest") for part in np.moveaxis(scene.colours, -1, 0)]
    run = gaussian_filter(np.stack(run, -1), (0.8 * marks, 0.8 * marks, 0))
    rim = run.mean(axis=2) - gaussian_filter(run.mean(axis=2), 2 * marks)
    rim = np.clip(np.abs(rim) * 4, 0, 1)  # where two washes meet
    grain = gaussian_filter(rng.normal(size=(size, size)), 0.6)
    thin = np.clip(0.30 + 0.25 * noise(rng, size, 4, 3) + 0.06 * grain, 0, 0.85)
    white = smoothstep(0.55, 0.75, noise(rng, size, 7, 3) + 0.25 * grain)
    paper = np.array([0.98, 0.97, 0.94])
    return mix(mix(run, paper, thin) * (1 - 0.35 * rim[..., None]), paper, white)


def woodcut(scene, marks, rng):
    """Dark ink from a carved block over a few flat colours: the lighter, the wider the cuts."""
    size, colours = len(scene.colours), scene.colours
    tone = gaussian_filter(colours.mean(axis=2), 1)
    ink = 0.25 * colours[tone <= np.quantile(tone, 0.2)].mean(axis=0)
    flat = means_of(scene.planes, colours)
    flat = np.round(flat * 4) / 4 * 0.8 + 0.2
    y, x = np.mgrid[0:size, 0:size]
    across = x * np.sin(scene.flow.mean()) + y * np.cos(scene.flow.mean())
    contour = across / (4.5 * marks) + 1.5 * tone + 0.8 * noise(rng, size, 2, 2)
    cut = 2 * np.abs(contour % 1 - 0.5)
    light = np.argsort(np.argsort(tone.ravel())).reshape(size, size) / size**2  # from 0 to 1, evenly
    return mix(ink, flat, smoothstep(-0.12, 0.12, 0.15 + 0.95 * light - cut))


def chalk(scene, marks, rng):
    """Chalk, rubbed in one direction, that catches only the tops of a rough, toned paper."""
    size = len(scene.colours)
    paper = scene.colours.mean(axis=(0, 1)) * 0.35 + 0.15
    rough = gaussian_filter(rng.normal(size=(size, size)), 0.5 * marks)
    rough += 2 * gaussian_filter(rng.normal(size=(size, size)), (4 * marks, 0.5 * marks))
    angle = rng.choice([0, 90])
    rough = np.rot90(rough / rough.std(), angle // 90)
    soft = gaussian_filter(scene.colours, (1.2, 1.2, 0)) * 1.1
    return mix(paper, soft, 0.95 * smoothstep(-1.2, 0.9, rough + 0.4 + 0.6 * noise(rng, size, 5, 2)))


def stained_glass(scene, marks, rng):
    """Large panes of glowing colour, held by dark lead."""
    size = len(scene.colours)
    pane, gap = pavement(rng, size, 12 * marks, 0.45)
    glass = means_of(pane, scene.colours)
    grey = glass.mean(axis=2, keepdims=True)
    glow = 1.05 + 0.15 * noise(rng, size, 6, 3)
    glass = (grey + 1.4 * (glass - grey)) * glow[..., None]
    return mix(np.array([0.07, 0.07, 0.08]), glass, smoothstep(0.8, 2.0, gap))


MANNERS = {
    "photograph": photograph,
    "brush": brush,
    "points": points,
    "hatching": hatching,
    "flat planes": flat_planes,
    "mosaic": mosaic,
    "wash": wash,
    "woodcut": woodcut,
    "chalk": chalk,
    "stained glass": stained_glass,
}


def draw(scene, manner, rng, strength=1.0, marks=1.0):
    """The scene in a manner (a key of `MANNERS`).

    `strength` 1 is the manner itself; at 0, what a photograph shows; between them, both are mixed.
    """
    own = MANNERS[manner](scene, marks, rng)
    plain = gaussian_filter(scene.colours, (0.5, 0.5, 0))
    return np.clip(plain + strength * (own - plain), 0, 1)

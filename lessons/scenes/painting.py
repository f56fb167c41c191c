"""The style sample: thousands of oily brush strokes that follow a field of currents."""

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from .noise import fbm, mix, noise_tile, smoothstep

# From shadow to light, as laid out on a palette (sRGB, 0 to 1).
COOL = np.array(
    [
        [0.03, 0.05, 0.16],
        [0.05, 0.11, 0.36],
        [0.07, 0.21, 0.58],
        [0.10, 0.38, 0.70],
        [0.13, 0.52, 0.62],
        [0.38, 0.69, 0.72],
        [0.72, 0.86, 0.84],
        [0.95, 0.95, 0.88],
    ]
)
WARM = np.array(
    [
        [0.20, 0.06, 0.07],
        [0.47, 0.12, 0.07],
        [0.72, 0.25, 0.07],
        [0.86, 0.42, 0.09],
        [0.92, 0.60, 0.15],
        [0.95, 0.75, 0.30],
        [0.97, 0.88, 0.58],
        [0.99, 0.96, 0.84],
    ]
)


def currents(shape, rng):
    """The stream that the brush follows, and its level lines.

    Returns
    -------
    flow : (height, width, 2) unit vectors (dy, dx)
    level : (height, width), constant along the stream, so that colours laid by
        level run in ribbons with the strokes
    """
    h, w = shape
    y, x = np.mgrid[0:h, 0:w] / w
    tile = noise_tile(rng, 512)
    level = 0.9 * y - 0.35 * x + 0.13 * fbm(tile, x * 2.2 + 9, y * 2.2, 3)
    whirls = [
        (0.25, 0.31, 0.14, -0.24),
        (0.50, 0.68, 0.17, 0.30),
        (0.11, 0.79, 0.10, -0.15),
        (0.65, 0.17, 0.11, 0.17),
        (0.72, 0.93, 0.10, -0.15),
        (0.02, 0.05, 0.12, 0.12),
    ]
    for cy, cx, radius, height in whirls:
        level += height * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / radius**2)
    # Along the level lines, never across: such a stream has no sources and leaves no gaps.
    dy, dx = np.gradient(level)
    flow = np.stack([-dx, dy], -1)
    return flow / (np.linalg.norm(flow, axis=-1, keepdims=True) + 1e-9), level


def plan(shape, rng, level):
    """Where the picture is warm and where it is light; both (height, width), 0 to 1."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w] / w
    tile = noise_tile(rng, 512)
    drift = fbm(tile, x * 2.0, y * 2.0 + 7, 4)
    ribbon = np.cos(2 * np.pi * 3.1 * level + 2.2 * drift)
    warmth = smoothstep(0.15, 0.75, ribbon + 0.9 * fbm(tile, x * 1.6 + 3, y * 1.6, 2))
    wave = np.cos(2 * np.pi * 7.3 * level + 2.0 * drift + 1.0)
    return warmth, np.clip(0.42 + 0.22 * wave + 0.25 * drift + 0.14 * warmth, 0, 1)


def ramp(palette, value):
    """The palette's colour at `value` (any shape, 0 to 1), mixed between its neighbours."""
    place = np.clip(value, 0, 1) * (len(palette) - 1)
    low = np.minimum(place.astype(int), len(palette) - 2)
    return mix(palette[low], palette[low + 1], place - low)


def trace(flow, middle, length, step):
    """Follow the flow both ways from `middle` (y, x); returns points (n, 2), upstream first."""
    last = np.array(flow.shape[:2]) - 1
    halves = []
    for sign in (-1, 1):
        points = [np.array(middle, float)]
        for _ in range(max(int(length / step / 2), 1)):
            y, x = np.clip(points[-1], 0, last).astype(int)
            points.append(points[-1] + sign * step * flow[y, x])
        halves.append(points)
    return np.array(halves[0][:0:-1] + halves[1])


def resample(points, count):
    """`count` points along a polyline (n, 2), smoothed so that a stroke never kinks."""
    where = np.linspace(0, len(points) - 1, count)
    line = np.stack([np.interp(where, np.arange(len(points)), p) for p in points.T], 1)
    return gaussian_filter1d(line, count / len(points) * 0.8, axis=0, mode="nearest")


def bristle_bank(rng, grain):
    """A large sheet of bristle marks to cut strokes from: (1400, 500), deviation about 1.

    Grooves run along the first axis and wander a little; `grain` is their width in pixels.
    """
    fine = gaussian_filter(rng.normal(size=(1400, 500)), (grain * 30, grain * 0.6), mode="wrap")
    broad = gaussian_filter(rng.normal(size=(1400, 500)), (grain * 45, grain * 2.5), mode="wrap")
    sheet = fine / fine.std() + broad / broad.std()
    return (sheet / sheet.std()).astype(np.float32)


def cut(bank, rng, along, across):
    """A random piece (along, across) of the bank, wrapping around its edges."""
    top, left = rng.integers(bank.shape)
    rows = (top + np.arange(along)) % bank.shape[0]
    return bank[rows][:, (left + np.arange(across)) % bank.shape[1]]


def footprint(line, width):
    """Where a stroke lies: pixels (along, across, 2), and how far along and across they are.

    `s` (along, 1) runs from 0 to 1, `t` (1, across) from -1 to 1; `length` is in pixels.
    """
    length = np.hypot(*np.diff(line, axis=0).T).sum()
    along, across = int(length / 0.7) + 2, int(width / 0.7) + 2  # closer than pixels: no holes
    centre = resample(line, along)
    tangent = np.gradient(centre, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
    s, t = np.linspace(0, 1, along)[:, None], np.linspace(-1, 1, across)[None]
    reach = width / 2 * (1 - 0.4 * s**3)
    at = centre[:, None] + normal[:, None] * (t * reach)[..., None]
    return np.rint(at).astype(int), s, t, length


def paint(canvas, relief, line, width, colours, bank, rng):
    """Drag one loaded brush along a line, changing canvas and relief in place.

    `canvas` (height, width, 3), 0 to 1; `relief` (height, width), the thickness of the
    paint; `line` (n, 2), points y, x; `width` in pixels; `colours` (2, 3), the paint on
    the two sides of the brush; `bank`, see `bristle_bank`.
    """
    at, s, t, length = footprint(line, width)
    marks, streaks = (cut(bank, rng, *at.shape[:2]) for _ in range(2))
    # The brush lands with a ragged round tip, and runs dry: towards its end and its
    # edges only the fullest bristles still mark.
    landed = s * length / width - 0.45 * np.abs(t) ** 2.2 - 0.18 * np.abs(marks[:1])
    wet = smoothstep(-0.5, 0.5, marks + 2.2 - 3.4 * s**2 - 1.7 * np.abs(t) ** 5)
    wet = wet * smoothstep(0, 0.08, landed) * 0.97
    colour = mix(colours[0], colours[1], smoothstep(-1.1, 1.1, streaks + 0.9 * t))
    colour = colour * (1 + 0.10 * marks[..., None])
    # Paint is pushed up at both edges and where the brush came down.
    tip = np.exp(-(((landed - 0.12) / 0.12) ** 2))
    thick = (0.55 + 0.28 * marks + 0.45 * np.abs(t) ** 4 + 0.5 * tip) * width**0.5
    inside = ((at >= 0) & (at < canvas.shape[:2])).all(-1)
    spot, wet = tuple(at[inside].T), wet[inside]
    canvas[spot] = mix(canvas[spot], colour[inside], wet)
    laid = relief[spot] * 0.45 + thick[inside]  # a new stroke presses the old ones flatter
    relief[spot] = relief[spot] * (1 - wet) + laid * wet


def brush_colours(rng, warmth, light, spread):
    """Two colours (2, 3) for one brush; `spread` is how far strokes may differ in light."""
    palette = WARM if rng.random() < warmth else COOL
    value = light + spread * rng.normal()
    pair = ramp(palette, np.array([value - 0.10, value + 0.12]))
    if rng.random() < 0.22:  # a touch of the other temperature, which makes both glow
        other = COOL if palette is WARM else WARM
        pair[1] = mix(pair[1], ramp(other, np.array(value)), 0.55)
    return pair


def layer(canvas, relief, flow, scene, rng, width, coverage, spread, stretch=6.0):
    """Cover the canvas once with strokes about `width` pixels wide."""
    h, w = relief.shape
    warmth, light = scene
    bank = bristle_bank(rng, np.clip(width / 14, 1.2, 2.6))
    for y, x in scattered(rng, (h, w), width * np.sqrt(stretch / coverage)):
        size = width * np.exp(0.25 * rng.normal())
        line = trace(flow, (y, x), size * stretch * (0.6 + 0.8 * rng.random()), size / 2)
        spot = int(np.clip(y, 0, h - 1)), int(np.clip(x, 0, w - 1))
        colours = brush_colours(rng, warmth[spot], light[spot], spread)
        colours = mix(colours, canvas[spot], np.full(2, 0.18))  # the brush picks up wet paint
        paint(canvas, relief, line, size, colours, bank, rng)


def scattered(rng, shape, spacing):
    """Points (n, 2) over the canvas and a rim around it, in random order: one a grid cell."""
    cells = np.argwhere(np.ones([int(side / spacing) + 3 for side in shape]))
    return rng.permutation((cells - 1 + rng.random(cells.shape)) * spacing)


def weave(shape, rng):
    """Linen threads over and under each other, (height, width), about -1 to 1."""
    slack = gaussian_filter(rng.normal(size=shape), 9) * 12
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] * (2 * np.pi / 7) + slack
    return np.sin(y) * np.sin(x)


def light_up(canvas, relief, rng):
    """Light the paint's relief from the upper left; returns colours (height, width, 3)."""
    surface = gaussian_filter(relief, 0.8) + 0.10 * weave(relief.shape, rng)
    dy, dx = np.gradient(surface)
    facing = -(dy + 0.8 * dx)  # above 0 on slopes that look towards the light
    shade = np.clip(1 + 0.30 * np.tanh(facing * 1.1), 0.55, 1.4)[..., None]
    gloss = smoothstep(0.75, 2.2, facing)[..., None]
    return np.clip(canvas * shade + 0.28 * gloss, 0, 1)


def render_painting(size=1024, seed=4, oversample=1.6):
    """The style picture, float (height, width, 3), 0 to 1, in a shape of 5 to 4.

    It is `size * oversample` pixels wide, to be scaled down to `size`.
    """
    rng = np.random.default_rng(seed)
    shape = (int(size * oversample) * 4 // 5, int(size * oversample))
    flow, level = currents(shape, rng)
    scene = plan(shape, rng, level)
    canvas = ramp(COOL, 0.6 * scene[1])  # a dim blue underpainting, for where no stroke lands
    relief = np.zeros(shape)
    for share, coverage, spread in [
        (12, 5.0, 0.08),
        (15, 1.7, 0.12),
        (23, 1.2, 0.14),
        (36, 0.8, 0.17),
        (60, 0.30, 0.20),
    ]:
        layer(canvas, relief, flow, scene, rng, shape[1] / share, coverage, spread)
    return light_up(canvas, relief, rng)

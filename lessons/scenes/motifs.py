"""Small scenes to be painted in many manners: lakes, towns, trees, fruit, fields.

Each is a few flat or rounded shapes laid over each other, in the colours of a palette.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from .noise import fbm, noise_tile, smoothstep

# Sky above, sky below, ground, growth, something bright, something dark (sRGB, 0 to 1).
PALETTES = np.array(
    [
        [(0.36, 0.56, 0.80), (0.78, 0.86, 0.90), (0.62, 0.62, 0.36), (0.26, 0.42, 0.20), (0.86, 0.34, 0.20), (0.16, 0.17, 0.24)],
        [(0.20, 0.22, 0.42), (0.92, 0.60, 0.38), (0.40, 0.32, 0.36), (0.24, 0.24, 0.26), (0.98, 0.82, 0.46), (0.10, 0.08, 0.16)],
        [(0.52, 0.66, 0.74), (0.94, 0.88, 0.74), (0.78, 0.56, 0.26), (0.66, 0.30, 0.12), (0.92, 0.72, 0.22), (0.24, 0.12, 0.10)],
        [(0.60, 0.66, 0.74), (0.90, 0.90, 0.92), (0.84, 0.86, 0.90), (0.34, 0.42, 0.46), (0.70, 0.24, 0.24), (0.18, 0.20, 0.26)],
        [(0.06, 0.10, 0.28), (0.18, 0.34, 0.50), (0.16, 0.22, 0.28), (0.10, 0.20, 0.22), (0.94, 0.84, 0.44), (0.03, 0.04, 0.10)],
        [(0.34, 0.62, 0.72), (0.96, 0.84, 0.68), (0.88, 0.68, 0.44), (0.50, 0.52, 0.28), (0.76, 0.26, 0.34), (0.34, 0.16, 0.14)],
        [(0.74, 0.60, 0.72), (0.96, 0.84, 0.80), (0.60, 0.68, 0.56), (0.36, 0.52, 0.48), (0.90, 0.46, 0.50), (0.22, 0.20, 0.34)],
        [(0.30, 0.46, 0.44), (0.74, 0.80, 0.62), (0.44, 0.52, 0.24), (0.16, 0.32, 0.18), (0.94, 0.90, 0.70), (0.08, 0.14, 0.12)],
    ]
)  # fmt: skip


class Scene(NamedTuple):
    """What there is to paint: all arrays (size, size, ..).

    `colours` (.., 3) is what a camera would see, 0 to 1. `planes` numbers the surfaces. `flow` is
    the angle, radians, along which a brush would go.
    """

    colours: np.ndarray
    planes: np.ndarray
    flow: np.ndarray


@cache
def tile():
    """The noise that all scenes share; each looks at another place of it."""
    return noise_tile(np.random.default_rng(7), 256)


def noise(rng, size, cells, octaves=3):
    """Fractal noise (size, size), about -1 to 1, with `cells` bumps across the picture."""
    y, x = np.mgrid[0 : cells : size * 1j, 0 : cells : size * 1j]
    left, top = rng.uniform(0, 32, 2)
    return fbm(tile(), x + left, y + top, octaves)


class Sketch:
    """A scene while it is being laid out; `x` and `y` run from 0 to 1."""

    def __init__(self, rng, size):
        self.rng, self.size = rng, size
        self.y, self.x = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
        palette = PALETTES[rng.integers(len(PALETTES))] + 0.06 * rng.normal(size=(6, 3))
        self.above, self.below, self.ground, self.growth, self.bright, self.dark = np.clip(palette, 0.02, 1)
        self.colours = np.zeros((size, size, 3))
        self.planes = np.zeros((size, size), int)

    def lay(self, mask, colour, light=1.0):
        """Lay one surface over what is there: a mask (size, size), a colour, and the light on it."""
        lit = colour * np.broadcast_to(light, mask.shape)[..., None]
        self.colours = np.where(mask[..., None], lit, self.colours)
        self.planes = np.where(mask, self.planes.max() + 1, self.planes)

    def ridge(self, height, rough, cells=3):
        """Where it is below a rolling line, about `height` from the top."""
        line = noise(self.rng, self.size, cells, 4)[0] * rough
        return self.y > height + line

    def ellipse(self, x, y, wide, high):
        """The inside of an ellipse, and how far from its middle each point is."""
        away = np.hypot((self.x - x) / wide, (self.y - y) / high)
        return away < 1, away

    def sky(self):
        """A sky that grows lighter downwards, with clouds, and perhaps a sun."""
        fade = self.y[..., None]
        everywhere = np.ones_like(self.planes, bool)
        self.lay(everywhere, self.above * (1 - fade) + self.below * fade)
        clouds = noise(self.rng, self.size, 3, 4) + 0.3 * np.sin(9 * self.y)
        self.lay(clouds > self.rng.uniform(0.25, 0.7), 0.5 * self.below + 0.5)
        if self.rng.random() < 0.5:
            sun, _ = self.ellipse(self.rng.uniform(0.1, 0.9), self.rng.uniform(0.08, 0.3), 0.07, 0.07)
            self.lay(sun, self.bright)

    def tree(self, x, foot, tall):
        """A trunk and a crown of leaves."""
        trunk = (np.abs(self.x - x) < 0.06 * tall) & (self.y < foot) & (self.y > foot - 0.6 * tall)
        self.lay(trunk, self.dark)
        ragged = 0.25 * noise(self.rng, self.size, 9, 2)
        _, away = self.ellipse(x, foot - 0.68 * tall, 0.3 * tall, 0.42 * tall)
        leaves = noise(self.rng, self.size, 12, 2)
        light = 1.1 + 0.4 * leaves - 0.9 * (self.x - x + self.y - foot + 0.68 * tall) / tall
        self.lay(away + ragged < 1, self.growth, np.clip(light, 0.4, 1.6))

    def house(self, left, foot, wide, high):
        """A wall, a roof, and windows."""
        x, y, rng = self.x, self.y, self.rng
        across = (x - left) / wide
        wall = (across > 0) & (across < 1) & (y < foot) & (y > foot - high)
        self.lay(wall, 0.5 * self.below + 0.5 * (self.bright if rng.random() < 0.3 else self.ground))
        slope = (foot - high - y) / (0.6 * wide)
        self.lay((slope > 0) & (slope < 1 - 2 * np.abs(across - 0.5) + 0.1), self.bright * 0.7)
        columns, rows = rng.integers(2, 4, 2)
        pane = (np.abs(across * columns % 1 - 0.5) < 0.2) & (
            np.abs((foot - y) / high * rows % 1 - 0.5) < 0.25
        )
        self.lay(wall & pane, self.dark)


def lake(sketch):
    """Hills behind a lake, a sail, a shore."""
    rng, shore = sketch.rng, sketch.rng.uniform(0.45, 0.6)
    sketch.sky()
    for depth in (0.5, 0.8):
        hills = sketch.ridge(shore - 0.22 + 0.2 * depth, 0.16)
        sketch.lay(hills, depth * sketch.growth + (1 - depth) * sketch.below)
    streaks = np.sin(60 * sketch.y + 3 * noise(rng, sketch.size, 4, 2))
    water = 0.6 * sketch.above + 0.4 * sketch.below
    sketch.lay(sketch.y > shore, water, 0.85 + 0.15 * streaks)
    for _ in range(rng.integers(1, 4)):
        x, foot, tall = rng.uniform(0.15, 0.85), rng.uniform(shore + 0.08, 0.8), rng.uniform(0.15, 0.35)
        up = (foot - sketch.y) / tall
        sail = (up > 0) & (up < 1) & (sketch.x > x) & (sketch.x < x + 0.5 * tall * (1 - up))
        sketch.lay(sail, 0.3 * sketch.bright + 0.7)
        hull, _ = sketch.ellipse(x + 0.1 * tall, foot + 0.01, 0.5 * tall, 0.05)
        sketch.lay(hull & (sketch.y > foot - 0.01), sketch.dark)
    sketch.lay(sketch.ridge(0.9, 0.08), sketch.ground)


def town(sketch):
    """Two rows of houses at a street."""
    rng = sketch.rng
    sketch.sky()
    for foot, high in ((0.68, 0.34), (0.84, 0.26)):
        left = rng.uniform(-0.15, 0.0)
        while left < 1:
            wide = rng.uniform(0.16, 0.3)
            if rng.random() < 0.8:
                sketch.house(left, foot, wide, high * rng.uniform(0.6, 1.2))
            left += wide + rng.uniform(0.0, 0.05)
        sketch.lay(sketch.y > foot, sketch.ground, 1.1 - 0.3 * sketch.y)


def trees(sketch):
    """A meadow with a few trees."""
    rng, far = sketch.rng, sketch.rng.uniform(0.5, 0.65)
    sketch.sky()
    sketch.lay(sketch.ridge(far - 0.08, 0.1), 0.5 * sketch.growth + 0.5 * sketch.below)
    grass = 0.2 * noise(rng, sketch.size, 14, 2)
    sketch.lay(sketch.ridge(far, 0.06), sketch.ground, 1 + grass)
    for foot in np.sort(rng.uniform(far + 0.05, 0.95, rng.integers(3, 7))):
        sketch.tree(rng.uniform(0.05, 0.95), foot, (foot - far + 0.3) * rng.uniform(0.8, 1.3))


def fruit(sketch):
    """A table with fruit and a jug before a wall."""
    rng, edge = sketch.rng, sketch.rng.uniform(0.5, 0.65)
    sketch.lay(np.ones_like(sketch.planes, bool), sketch.above, 1.15 - 0.5 * sketch.x)
    curtain = sketch.x < 0.3 + 0.08 * np.sin(7 * sketch.y + rng.uniform(0, 6))
    sketch.lay(curtain & (rng.random() < 0.6), sketch.below, 0.85 + 0.15 * np.sin(50 * sketch.x))
    sketch.lay(sketch.y > edge, sketch.ground, 1.2 - 0.3 * sketch.y)
    x, high = rng.uniform(0.2, 0.8), rng.uniform(0.35, 0.5)
    up = (edge + 0.12 - sketch.y) / high
    belly = 0.13 * (0.5 + np.sin(np.pi * np.clip(0.15 + 0.75 * up, 0, 1)))
    jug = (up > 0) & (up < 1) & (np.abs(sketch.x - x) < belly)
    sketch.lay(jug, sketch.growth, 1.2 - 2.5 * np.clip(sketch.x - x + 0.08, 0, 0.3))
    for _ in range(rng.integers(3, 7)):
        x, y, radius = rng.uniform(0.1, 0.9), rng.uniform(edge + 0.05, 0.88), rng.uniform(0.08, 0.15)
        shadow, _ = sketch.ellipse(x + 0.05, y + 0.8 * radius, 1.2 * radius, 0.35 * radius)
        sketch.lay(shadow, 0.5 * sketch.ground)
        ball, _ = sketch.ellipse(x, y, radius, radius)
        _, from_light = sketch.ellipse(x - 0.35 * radius, y - 0.4 * radius, radius, radius)
        colour = sketch.bright if rng.random() < 0.6 else 0.5 * (sketch.growth + sketch.bright)
        sketch.lay(ball, colour, np.clip(1.25 - 0.6 * from_light, 0.3, 1.3))


def fields(sketch):
    """Rolling fields, one behind the other, some of them ploughed."""
    rng = sketch.rng
    sketch.sky()
    for height in np.linspace(rng.uniform(0.35, 0.5), 0.9, rng.integers(4, 7)):
        share = rng.random()
        colour = share * sketch.ground + (1 - share) * sketch.growth
        furrows = np.sin(rng.uniform(30, 60) * (sketch.x * rng.uniform(-1, 1) + sketch.y))
        light = 1 + 0.15 * furrows * (rng.random() < 0.6) + 0.1 * rng.normal()
        sketch.lay(sketch.ridge(height, 0.12, 2), colour, light)
    for _ in range(rng.integers(0, 4)):
        sketch.tree(rng.uniform(0.05, 0.95), rng.uniform(0.5, 0.9), rng.uniform(0.12, 0.25))


KINDS = {"lake": lake, "town": town, "trees": trees, "fruit": fruit, "fields": fields}


def flow_of(rng, colours):
    """The angle along the contours, and where there are none, along a slow current."""
    size = len(colours)
    dy, dx = np.gradient(gaussian_filter(colours.mean(axis=2), size / 40))
    current = 1.5 * noise(rng, size, 2, 1) + rng.uniform(-0.5, 0.5)
    # An angle and its opposite are the same direction, so doubled angles are averaged.
    doubled = 2 * (np.arctan2(dy, dx) + np.pi / 2)
    firm = smoothstep(0.002, 0.02, np.hypot(dy, dx))
    along = firm * np.exp(1j * doubled) + (1 - firm) * np.exp(2j * current)
    along = gaussian_filter(along.real, size / 50) + 1j * gaussian_filter(along.imag, size / 50)
    return np.angle(along) / 2


def scene(rng, kind, size=80):
    """A new scene of a kind (a key of `KINDS`), `size` pixels wide and high."""
    sketch = Sketch(rng, size)
    KINDS[kind](sketch)
    colours = np.clip(sketch.colours, 0, 1)
    return Scene(colours, sketch.planes, flow_of(rng, colours))

"""Fractal noise for the sample pictures: one periodic tile, read at many scales."""

import numpy as np
from scipy.ndimage import map_coordinates

CELLS = 32  # noise cells along each side of a tile, after which it repeats


def smoothstep(low, high, x):
    """0 up to `low`, 1 from `high` on, an S-shaped ramp between; falls where low > high."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def mix(a, b, t):
    """Blend colours a and b, (..., 3) each, by t (...): a where t is 0, b where it is 1."""
    t = np.asarray(t)[..., None]
    return a * (1.0 - t) + b * t


def noise_tile(rng, pixels, dims=2):
    """Perlin's gradient noise, periodic along every axis.

    Parameters
    ----------
    rng : numpy.random.Generator
    pixels : int
        Samples along each side; a multiple of ``CELLS``.
    dims : int
        2 or 3.

    Returns
    -------
    float32 array (pixels,) * dims, mean about 0, range about -1 to 1.
    """
    cells = CELLS if dims == 2 else CELLS // 4
    slopes = rng.normal(size=(cells,) * dims + (dims,))
    slopes /= np.linalg.norm(slopes, axis=-1, keepdims=True)
    axis = np.arange(pixels) * cells / pixels
    whole, part = np.floor(axis).astype(int), axis % 1.0
    fade = part**3 * (part * (part * 6 - 15) + 10)
    total = np.zeros((pixels,) * dims)
    for corner in np.ndindex(*(2,) * dims):  # each lattice point around a sample
        slope = slopes[np.ix_(*[(whole + c) % cells for c in corner])]
        offsets = np.meshgrid(*[part - c for c in corner], indexing="ij")
        weights = np.meshgrid(*[fade if c else 1 - fade for c in corner], indexing="ij")
        total += np.prod(weights, axis=0) * sum(slope[..., i] * o for i, o in enumerate(offsets))
    return (total * 1.5).astype(np.float32)


def sample(tile, *where):
    """Read a tile at points given in cells (arrays of one shape), wrapping around."""
    scale = tile.shape[0] / (CELLS if tile.ndim == 2 else CELLS // 4)
    points = np.stack([np.asarray(w, np.float32) * scale for w in where])
    return map_coordinates(tile, points, order=1, mode="grid-wrap", prefilter=False)


def turned(x, y, octave):
    """Rotate and shift the plane, differently for every octave, so repeats never line up."""
    c, s = np.cos(0.6 + 1.9 * octave), np.sin(0.6 + 1.9 * octave)
    return c * x - s * y + 5.3 * octave, s * x + c * y + 2.7 * octave


def fbm(tile, x, y, octaves=6, gain=0.5):
    """Fractal noise: `octaves` copies, each twice as fine and `gain` times as high."""
    total, height = 0.0, 1.0
    for octave in range(octaves):
        u, v = turned(x * 2.0**octave, y * 2.0**octave, octave)
        total = total + height * sample(tile, u, v)
        height *= gain
    return total


def ridged(tile, x, y, octaves=8, gain=0.5):
    """Mountain noise, about 0 to 2: creases of the noise turned up into sharp ridges.

    Each octave is weighted by the one before, so valleys stay smooth and ridges
    break up into crags (Musgrave's ridged multifractal).
    """
    total, height, weight = 0.0, 1.0, 1.0
    for octave in range(octaves):
        u, v = turned(x * 2.0**octave, y * 2.0**octave, octave)
        ridge = (1.0 - np.abs(sample(tile, u, v))) ** 2 * weight
        weight = np.clip(ridge * 1.8, 0.0, 1.0)
        total = total + ridge * height
        height *= gain
    return total

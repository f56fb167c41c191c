"""The evening sky of the content sample: a clear gradient and clouds marched in 3-D."""

import numpy as np

from .noise import mix, noise_tile, sample, smoothstep

SUN = np.array([-0.90, 0.27, 0.05])  # towards the sun: left of the picture and low
SUN = SUN / np.linalg.norm(SUN)
SUNLIGHT = np.array([3.9, 2.30, 1.05])  # linear light, as all colours here until develop()
SKYLIGHT = np.array([0.19, 0.30, 0.56])


def clear_sky(rays):
    """Light of the empty sky along unit rays (..., 3): deep blue above, gold by the sun."""
    up = np.clip(rays[..., 1], 0, 1)
    near = np.clip(rays @ SUN, 0, 1)
    low, high = np.array([0.80, 0.56, 0.44]), np.array([0.050, 0.125, 0.36])
    light = mix(low, np.array([0.27, 0.40, 0.63]), smoothstep(-0.02, 0.16, up))
    light = mix(light, high, smoothstep(0.08, 0.60, up))
    glow = np.array([1.5, 0.80, 0.32]) * (near**5 * 0.75)[..., None]
    disc = np.array([1.2, 0.8, 0.5]) * (near**40)[..., None]
    return light + glow * np.exp(-3.2 * up)[..., None] + disc


def cloud_density(tile, points, base, top):
    """Water in the air, 0 to about 1, at points (..., 3) in kilometres."""
    x, y, z = np.moveaxis(points, -1, 0)
    height = (y - base) / (top - base)
    shape = sample(tile, x * 0.40, y * 0.55, z * 0.40)
    for scale, weight, shift in [(1.3, 0.5, 3), (3.1, 0.28, 1), (7.0, 0.14, 0)]:
        shape = shape + weight * sample(tile, x * scale + shift, y * scale, z * scale)
    # Flat below, domed above, and in banks: cover drifts over several kilometres.
    banks = sample(tile, x * 0.13 + 1.7, y * 0 + 0.4, z * 0.13 + 5.2)
    dome = smoothstep(0, 0.12, height) * (1 - smoothstep(0.25, 1, height))
    return np.clip(shape * 0.9 + banks * 1.5 + dome * 0.75 - 0.98, 0, 0.6) * (dome > 0)


def clouds(rays, rng, base=2.6, top=4.4, steps=56):
    """Light scattered by clouds and their transparency along unit rays (n, 3).

    Each ray crosses the layer between two heights (km) in equal steps; at each, the
    light left after a short walk towards the sun is what the droplets send on.
    """
    tile = noise_tile(rng, 128, dims=3)
    up = np.maximum(rays[:, 1], 0.03)
    start, stride = base / up, (top - base) / up / steps
    stride = np.minimum(stride, 0.16)
    light, clear = np.zeros(rays.shape), np.ones(len(rays))
    jitter = rng.random(len(rays))  # turns the steps' banding into grain
    forward = (0.40 + 1.5 * np.clip(rays @ SUN, 0, 1) ** 6)[:, None]
    for step in range(steps):
        live = np.flatnonzero(clear > 0.02)
        at = rays[live] * (start + stride * (step + jitter))[live, None]
        density = cloud_density(tile, at, base, top)
        some = density > 0
        live, at, density = live[some], at[some], density[some]
        depth = sum(
            cloud_density(tile, at + SUN * d, base, top) * w
            for d, w in [(0.05, 0.08), (0.16, 0.14), (0.40, 0.3)]
        )
        height = ((at[:, 1] - base) / (top - base))[:, None]
        sun = SUNLIGHT * (np.exp(-16 * depth) + 0.10 * np.exp(-2.5 * depth))[:, None] * forward[live]
        glow = sun + SKYLIGHT * (0.45 + 0.8 * height)
        kept = np.exp(-density * stride[live] * 16)
        light[live] += glow * (clear[live] * (1 - kept))[:, None]
        clear[live] *= kept
    return light, clear

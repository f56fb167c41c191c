"""Conifers, larches and reeds, as clouds of lit points."""

import numpy as np

from .noise import mix, smoothstep
from .sky import SKYLIGHT, SUN, SUNLIGHT

SPRUCE = np.array([[0.012, 0.026, 0.014], [0.044, 0.066, 0.024]])  # dark and light needles
LARCH = np.array([[0.075, 0.040, 0.010], [0.30, 0.15, 0.030]])  # golden in autumn
REED = np.array([[0.10, 0.075, 0.030], [0.29, 0.215, 0.095]])
GRASS = np.array([[0.045, 0.060, 0.014], [0.24, 0.17, 0.055]])


def conifer(rng, count):
    """A tree one unit high with its foot at 0: points (count, 3) and their openness (count,).

    Boughs stand in whorls around the trunk, longer towards the ground, and hang at
    their tips. Openness is 0 deep inside and 1 where sun and sky can reach.
    """
    boughs = 170
    level = np.sort(rng.random(boughs)) ** 1.15  # 0 at the ground, 1 at the top
    turn = rng.random(boughs) * 2 * np.pi
    reach = (0.20 * (1 - level) ** 0.85 + 0.012) * (0.65 + 0.5 * rng.random(boughs))
    which = rng.choice(boughs, count, p=(reach + 0.03) / (reach + 0.03).sum())
    out = rng.random(count) ** 0.6
    spread = rng.normal(size=(count, 3)) * (0.05 + 0.10 * (1 - out))[:, None] * reach[which, None]
    radius = reach[which] * out
    droop = reach[which] * (0.15 * out - 0.55 * out**2)
    hang = -np.abs(rng.normal(size=count)) * 0.012
    points = (
        np.stack(
            [
                radius * np.cos(turn[which]),
                0.10 + 0.90 * level[which] + droop + hang,
                radius * np.sin(turn[which]),
            ],
            1,
        )
        + spread
    )
    trunk = rng.random(count) < 0.03
    points[trunk] = points[trunk] * [0.06, 1, 0.06]
    return points, np.where(trunk, 0.15, out) * smoothstep(-0.02, 0.0, droop + hang + 0.06)


def light_tree(points, openness, colours, rng):
    """Light (n, 3) from a tree's points: sun on the side that faces it, sky from above."""
    bark_out = points * [1, 0, 1]
    bark_out /= np.linalg.norm(bark_out, axis=1, keepdims=True) + 1e-6
    facing = smoothstep(-0.45, 0.95, bark_out @ SUN + 0.15 * rng.normal(size=len(points)))
    leaf = mix(colours[0], colours[1], np.clip(openness + 0.2 * rng.normal(size=len(points)), 0, 1))
    sun = SUNLIGHT * (facing * openness**1.5)[:, None]
    return leaf * (sun * 1.1 + SKYLIGHT * (0.25 + 0.9 * openness[:, None]))


def forest(rng, feet, heights, golden, count):
    """Trees at `feet` (m, 3), `count` points each: points (m * count, 3) and light, the same."""
    shapes = [conifer(rng, count) for _ in range(min(len(feet), 24))]
    points, light = [], []
    for foot, height, gold in zip(feet, heights, golden):
        shape, openness = shapes[rng.integers(len(shapes))]
        colours = (LARCH if gold else SPRUCE) * rng.uniform(0.75, 1.25)
        points.append(foot + shape * height * [rng.uniform(0.8, 1.2), 1, 1])
        light.append(light_tree(shape, openness, colours, rng))
    return np.concatenate(points), np.concatenate(light)


def reeds(rng, feet, colours, tallest, count):
    """Bent blades at `feet` (m, 3), up to `tallest` metres, some tall ones with a plume.

    Returns points and light, (m * count, 3) each.
    """
    s = np.linspace(0, 1, count)[:, None]
    points, light = [], []
    for foot in feet:
        tall, lean = tallest * rng.uniform(0.4, 1), rng.normal(size=2) * 0.35
        up = s * (1 - 0.18 * abs(lean[0]) * s)
        bend = np.concatenate([lean[:1] * s**2, up, lean[1:] * s**2], 1)
        plume = (s > 0.84) * (rng.random() < 0.4) * (tallest > 1)
        thick = 0.012 * (1 - s) + 0.004 + 0.035 * plume
        blade = foot + tall * bend + rng.uniform(-1, 1, bend.shape) * thick * [1, 0.3, 1]
        colour = mix(colours[0], colours[1], rng.random()) * np.where(plume, [1.3, 0.9, 0.8], 1)
        points.append(blade)
        light.append(colour * (SUNLIGHT * rng.uniform(0.15, 0.7) * s + SKYLIGHT * (0.2 + 0.6 * s)))
    return np.concatenate(points), np.concatenate(light)

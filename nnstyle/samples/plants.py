"""Conifers, larches and reeds, as clouds of lit points."""
import numpy as np

from .noise import mix, smoothstep
from .sky import SKYLIGHT, SUN, SUNLIGHT

SPRUCE = np.array([[.012, .026, .014], [.044, .066, .024]])  # dark and light needles
LARCH = np.array([[.075, .040, .010], [.30, .15, .030]])  # golden in autumn
REED = np.array([[.10, .075, .030], [.29, .215, .095]])
GRASS = np.array([[.045, .060, .014], [.24, .17, .055]])


def conifer(rng, count):
    """A tree one unit high with its foot at 0: points (count, 3) and their openness (count,).

    Boughs stand in whorls around the trunk, longer towards the ground, and hang at
    their tips. Openness is 0 deep inside and 1 where sun and sky can reach.
    """
    boughs = 170
    level = np.sort(rng.random(boughs)) ** 1.15  # 0 at the ground, 1 at the top
    turn = rng.random(boughs) * 2 * np.pi
    reach = (.20 * (1 - level) ** .85 + .012) * (.65 + .5 * rng.random(boughs))
    which = rng.choice(boughs, count, p=(reach + .03) / (reach + .03).sum())
    out = rng.random(count) ** .6
    spread = rng.normal(size=(count, 3)) * (.05 + .10 * (1 - out))[:, None] * reach[which, None]
    radius = reach[which] * out
    droop = reach[which] * (.15 * out - .55 * out**2)
    hang = -np.abs(rng.normal(size=count)) * .012
    points = np.stack([radius * np.cos(turn[which]), .10 + .90 * level[which] + droop + hang,
                       radius * np.sin(turn[which])], 1) + spread
    trunk = rng.random(count) < .03
    points[trunk] = points[trunk] * [.06, 1, .06]
    return points, np.where(trunk, .15, out) * smoothstep(-.02, .0, droop + hang + .06)


def light_tree(points, openness, colours, rng):
    """Light (n, 3) from a tree's points: sun on the side that faces it, sky from above."""
    bark_out = points * [1, 0, 1]
    bark_out /= np.linalg.norm(bark_out, axis=1, keepdims=True) + 1e-6
    facing = smoothstep(-.45, .95, bark_out @ SUN + .15 * rng.normal(size=len(points)))
    leaf = mix(colours[0], colours[1], np.clip(openness + .2 * rng.normal(size=len(points)), 0, 1))
    sun = SUNLIGHT * (facing * openness**1.5)[:, None]
    return leaf * (sun * 1.1 + SKYLIGHT * (.25 + .9 * openness[:, None]))


def forest(rng, feet, heights, golden, count):
    """Trees at `feet` (m, 3), `count` points each: points (m * count, 3) and light, the same."""
    shapes = [conifer(rng, count) for _ in range(min(len(feet), 24))]
    points, light = [], []
    for foot, height, gold in zip(feet, heights, golden):
        shape, openness = shapes[rng.integers(len(shapes))]
        colours = (LARCH if gold else SPRUCE) * rng.uniform(.75, 1.25)
        points.append(foot + shape * height * [rng.uniform(.8, 1.2), 1, 1])
        light.append(light_tree(shape, openness, colours, rng))
    return np.concatenate(points), np.concatenate(light)


def reeds(rng, feet, colours, tallest, count):
    """Bent blades at `feet` (m, 3), up to `tallest` metres, some tall ones with a plume.

    Returns points and light, (m * count, 3) each.
    """
    s = np.linspace(0, 1, count)[:, None]
    points, light = [], []
    for foot in feet:
        tall, lean = tallest * rng.uniform(.4, 1), rng.normal(size=2) * .35
        up = s * (1 - .18 * abs(lean[0]) * s)
        bend = np.concatenate([lean[:1] * s**2, up, lean[1:] * s**2], 1)
        plume = (s > .84) * (rng.random() < .4) * (tallest > 1)
        thick = .012 * (1 - s) + .004 + .035 * plume
        blade = foot + tall * bend + rng.uniform(-1, 1, bend.shape) * thick * [1, .3, 1]
        colour = mix(colours[0], colours[1], rng.random()) * np.where(plume, [1.3, .9, .8], 1)
        points.append(blade)
        light.append(colour * (SUNLIGHT * rng.uniform(.15, .7) * s + SKYLIGHT * (.2 + .6 * s)))
    return np.concatenate(points), np.concatenate(light)

r"""
Appendix C. Exact tiles
=======================

*The paper's section: none. Large pictures came after it.*

A network needs far more memory than the picture itself. So people cut a large photograph into tiles, paint each, and
join them. The joints show, and each tile gets a style of its own. This appendix finds out why, and how the same picture can be
computed piece by piece without any difference.

*Reading time: 25 minutes. Difficulty: 2 of 3. You need: lessons 5, 7, 9 and 10.*
"""

# %%
# Why a large picture does not fit
# --------------------------------
# To go backwards, a network keeps its feature maps. The first layer of VGG-19 has 64 channels: 64 numbers for every
# pixel, where the picture has three. In float32 that is 256 bytes a pixel for a single :term:`feature map`.
#
# A poster of 8192 x 4096 pixels therefore needs 8.6 gigabytes for ``conv1_1`` alone:

import matplotlib.pyplot as plt
import numpy as np

from lessons import tools
from nnstyle import Engine, Network, Objective, Settings, TiledObjective, layers, losses, set_targets, stylize
from nnstyle.engine.tiles import halo_of, reach, tiles_of
from nnstyle.network import LAYERS
from nnstyle.objective import ContentTerm, StyleTerm, paper_terms
from nnstyle.optimizers.scipy_lbfgsb import minimize
from nnstyle.pictures import deprocess, preprocess

WEIGHTS = tools.weights(__name__)
SIZE = tools.size(__name__, 192, smallest=192)
photo, painting = tools.photo(SIZE), tools.painting(SIZE)
print(f"conv1_1 of VGG-19: {8192 * 4096 * 64 * 4 / 1e9:.1f} GB")

# %%
# The inexact way
# ---------------
# Let us do what people do: cut the photograph into four, paint each quarter by itself, and join them.


def quarters(picture):
    """The four quarters of a picture, row by row."""
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    for top in (0, height):
        for left in (0, width):
            yield picture[top : top + height, left : left + width]


def joined(parts):
    """Four quarters, row by row, as one picture."""
    return np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])


even = photo[: photo.shape[0] // 2 * 2, : photo.shape[1] // 2 * 2]
how = {"iterations": 20, "scales": 1}
whole = stylize(even, painting, WEIGHTS, size=SIZE, **how).image
painted = [stylize(part, painting, WEIGHTS, size=SIZE // 2, **how).image for part in quarters(even)]
inexact = joined(painted)

# sphinx_gallery_start_ignore
tools.save(tools.grid([whole, inexact], ["as a whole", "each quarter by itself"]), "a3_inexact")
# sphinx_gallery_end_ignore

# %%
# On the right a cross shows where the quarters meet. A number says the same. How much larger is the step from one pixel
# to the next across the joint than it is elsewhere?


def step_at_the_joint(picture):
    """The mean step from pixel to pixel across the vertical joint, relative to the mean step between any two columns."""
    steps = np.abs(np.diff(picture.astype(float), axis=1)).mean(axis=(0, 2))
    return steps[len(steps) // 2] / steps.mean()


print(
    f"step at the joint: {step_at_the_joint(whole):.2f} as a whole, {step_at_the_joint(inexact):.2f} joined"
)
assert step_at_the_joint(inexact) > 1.3 * step_at_the_joint(whole)

# %%
# Two things are wrong. Every quarter was compared with the whole painting, so each was to hold all of its colours. And at
# the joint, each quarter saw its own mirror image (the border of :doc:`lesson 12 <l12_choices>`), where its neighbour
# should have been.
#
# Sums add up
# -----------
# The first fault has a simple cure. The :term:`Gram matrix` of equation (3) is a sum over positions:
#
# .. math:: G = \sum_{\text{positions } p} F_p F_p^T
#
# Sum over the positions of the first quarter, then of the second, and so on: the total is :math:`G` of the whole. The style loss
# is computed from that total, once. We check this with the features of ``conv3_1``, in float64. A strip of 48 rows is enough for it.

content, style = (preprocess(picture, WEIGHTS.preprocessing) for picture in (even, painting))
strip, piece = content[:48].astype(np.float64), style[:64, :64].astype(np.float64)
network = Network(WEIGHTS, dtype=np.float64, engine=layers)
features = network.forward(strip, ["conv3_1"])[0]["conv3_1"]
top, bottom = features[:9], features[9:]
added = losses.gram_matrix(top) + losses.gram_matrix(bottom)
assert tools.relative_error(added, losses.gram_matrix(features)) < 1e-12

# %%
# The mean of the two parts' style losses is another number: squares do not add up.

of_painting = network.forward(piece, ["conv3_1"])[0]["conv3_1"]
target = losses.gram_matrix(of_painting) / of_painting[..., 0].size


def loss_of(part):
    """The style loss of some positions, compared per position."""
    return losses.style_loss(part, target, 1)[0]


print(
    f"loss of the whole {loss_of(features):.4g}, mean of the parts {(loss_of(top) + loss_of(bottom)) / 2:.4g}"
)
assert (loss_of(top) + loss_of(bottom)) / 2 > 1.01 * loss_of(features)

# %%
# How far a layer sees
# --------------------
# The second fault needs more care. Features near the edge of a tile are wrong, because a convolution looked beyond it. If the tile
# is computed with a margin, a *halo*, the wrong features lie in the margin, and we throw them away. How wide
# must it be?
#
# A convolution of 3 x 3 looks one position further on each side. In ``conv1_1`` that is one pixel, after the first pooling
# two, after the second four. We add these up along the network:

pixels, stride = 0, 1
for name in network.layers[: network.layers.index("conv5_1") + 1]:
    if name.startswith("pool"):
        stride *= 2
    else:
        pixels += stride
    if name in ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2", "conv5_1"):
        print(f"{name}: sees {pixels} pixels beyond its own square of {stride} x {stride}")
assert pixels == reach(network.layers[: network.layers.index("conv5_1") + 1])

# %%
# (A pooling adds nothing. It joins four squares into a larger one, and does not look beyond it.)
#
# Each pooling of a tile must take the same four pixels together as in the whole picture. So a tile has to begin at a multiple of
# 16 pixels, as ``conv5_1`` comes after four poolings, and the halo is rounded up to such a multiple.
#
# Does a margin of that width suffice? We compute one tile in the middle of the picture with halos of several widths, and compare with the
# whole picture's features.

deepest = network.layers[: network.layers.index("conv5_1") + 1]
right = network.forward(strip, ["conv5_1"])[0]["conv5_1"]


def error_with(halo):
    """How wrong the features of the tile that begins at column 96 are, with a halo to its left."""
    window = strip[:, 96 - halo :]
    found = network.forward(window, ["conv5_1"])[0]["conv5_1"][:, halo // 16 :]
    return tools.relative_error(found, right[:, 96 // 16 :])


halos = range(0, 97, 16)
errors = [error_with(halo) for halo in halos]
print("halo, px:", *(f"{halo:8}" for halo in halos))
print("error:   ", *(f"{error:8.0e}" for error in errors))

# sphinx_gallery_start_ignore
figure, axis = plt.subplots(figsize=(6, 2.8))
axis.semilogy(halos, np.maximum(errors, 1e-17), "o-")
axis.set(xlabel="halo, pixels", ylabel="error of conv5_1", xticks=halos)
tools.save(figure, "a3_halo")
# sphinx_gallery_end_ignore

# %%
# The error falls steeply, since the outermost pixels have little influence. But only from the halo that we have counted on is it
# rounding, and nothing else.

needed, grid = halo_of(deepest)
assert all(error < 1e-12 for halo, error in zip(halos, errors) if halo >= needed)
assert all(error > 1e-10 for halo, error in zip(halos, errors) if halo < needed)
print(f"needed: {needed} px, on a grid of {grid} px")

# %%
# There and back
# --------------
# Now the gradient. It takes two rounds.
#
# 1. Every tile, with its halo, goes forward. At each style layer the Gram matrix of the tile's *own* positions is added to the sum.
#    Its feature maps are then dropped.
# 2. Now the Gram matrices of the whole are known, and so is :math:`\partial L / \partial G`. Every tile goes forward once more,
#    gets the derivatives at its own positions, and goes backward. Elsewhere in its window the derivatives are 0.
#
# .. drawing:: tile
#    :alt: A picture cut into twelve tiles. Around one of them a dashed frame, its window, which reaches into all neighbours.
#    :name: drawing-tile
#
#    A tile of 256 px with its halo of 80 px. The network sees the window; only the tile's own positions count.
#
# What comes back reaches into the halo, because the tile's positions depend on these pixels. So it must be *added* to the gradient
# there: a pixel may matter to several tiles. Written out, for the content loss alone:

TILE = 96
image = strip + np.random.default_rng(0).normal(0, 20, strip.shape)
P = network.forward(strip, ["conv4_2"])[0]["conv4_2"]


def content_gradient(picture, put):
    """Equation (2) brought down to the picture, tile by tile; `put` enters a tile's part."""
    gradient = np.zeros_like(picture)
    for tile in tiles_of(*picture.shape[:2], TILE, needed, grid):
        features, cache = network.forward(picture[tile.window], ["conv4_2"])
        dF = np.zeros_like(features["conv4_2"])
        own = tile.own(stride=8)
        dF[own] = features["conv4_2"][own] - P[tile.whole(stride=8)]
        put(gradient, tile, network.backward({"conv4_2": dF}, cache))
    return gradient


def add(gradient, tile, part):
    """The right way: over the whole window."""
    gradient[tile.window] += part


def overwrite(gradient, tile, part):
    """A wrong twin: each tile writes its own pixels only."""
    gradient[tile.whole()] = part[tile.own()]


features, cache = network.forward(image, ["conv4_2"])
expected = network.backward({"conv4_2": features["conv4_2"] - P}, cache)
for put in (add, overwrite):
    print(f"{put.__name__:9} error {tools.relative_error(content_gradient(image, put), expected):.0e}")
assert tools.relative_error(content_gradient(image, add), expected) < 1e-12
assert tools.relative_error(content_gradient(image, overwrite), expected) > 0.01

# %%
# In the package
# --------------
# :class:`TiledObjective <nnstyle.tiled.TiledObjective>` does this for all terms. It is called as
# :class:`Objective <nnstyle.objective.Objective>` is, so an optimizer does not notice:

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
terms = [ContentTerm("conv4_2"), *(StyleTerm(layer, 1e6, 1 / 5) for layer in STYLE_LAYERS)]
set_targets(terms, network, strip, piece)
loss, gradient = Objective(network, terms)(image)
by_tiles = TiledObjective(network, terms, TILE)
by_tiles.set_targets(strip, piece)
tiled_loss, tiled_gradient = by_tiles(image)
print(f"{len(by_tiles.tiles(image))} tiles; loss off by {abs(tiled_loss / loss - 1):.0e}", end=", ")
print(f"gradient by {tools.relative_error(tiled_gradient, gradient):.0e}")
assert abs(tiled_loss / loss - 1) < 1e-12
assert tools.relative_error(tiled_gradient, gradient) < 1e-10

# %%
# A picture painted with it has no joint. The function below is the plain way of :doc:`lesson 11 <l11_the_picture>`, with one or the
# other objective:


def paint(objective, start):
    """Fifteen iterations of L-BFGS, and the picture."""
    found, _ = minimize(objective, start, iterations=15)
    return deprocess(found, WEIGHTS.preprocessing)


with Engine() as engine:
    fast = Network(WEIGHTS, engine=engine)
    settings = Settings(size=SIZE, pooling="average", scales=1, border=0).decided(WEIGHTS, *even.shape[:2])
    terms = paper_terms(settings, engine)
    set_targets(terms, fast, content, style)
    as_a_whole = paint(Objective(fast, terms), content)
    by_tiles = TiledObjective(fast, paper_terms(settings, engine), TILE)
    by_tiles.set_targets(content, style)
    exact = paint(by_tiles, content)


def difference(picture):
    """By how many levels the pixels differ from the picture painted as a whole, on average."""
    return np.abs(picture.astype(int) - as_a_whole).mean()


print(f"levels of difference: {difference(exact):.1f}, from the photograph {difference(even):.1f}")
print(
    f"step at the joint: {step_at_the_joint(as_a_whole):.2f} as a whole, {step_at_the_joint(exact):.2f} by tiles"
)
assert difference(exact) < difference(even) / 4
assert abs(step_at_the_joint(exact) - step_at_the_joint(as_a_whole)) < 0.1

# sphinx_gallery_start_ignore
tools.save(
    tools.grid([inexact, as_a_whole, exact], ["four pictures", "as a whole", "exact tiles"]), "a3_exact"
)
# sphinx_gallery_end_ignore

# %%
# The exact picture is not the same to the last bit. In float32 every sum is rounded, and tiles take the sums in another order. The two
# searches start alike and drift apart a little from iteration to iteration. There is no joint.
#
# What could go wrong
# -------------------
# *A tile that does not begin on the grid.* Shift the tiles by a single pixel, and their poolings take other pixels together. No
# halo helps:

shifted = network.forward(strip[:, 1:], ["conv5_1"])[0]["conv5_1"]
columns = shifted.shape[1]
print(f"begun one pixel further: error {tools.relative_error(shifted[:, 6:], right[:, 6:columns]):.2f}")
assert tools.relative_error(shifted[:, 6:], right[:, 6:columns]) > 0.01

# %%
# *A loss that is no sum over positions*, such as the largest activation of a layer, cannot be computed in this way.
# ``TiledObjective`` refuses it.
#
# Exercises
# ---------
# .. exercise::
#
#    (easy) A tile of 1024 px has a halo of 80 px on each side. How many times as many pixels go through the network as
#    the tile has? And with tiles of 256 px?
#
# .. solution::
#
# The window is longer by 160 px in both directions. Small tiles need less memory and more time.

for tile in (1024, 256):
    print(f"tiles of {tile} px: {((tile + 160) / tile) ** 2:.2f} times")
assert round((1184 / 1024) ** 2, 2) == 1.34
assert round((416 / 256) ** 2, 2) == 2.64

# %%
# .. exercise::
#
#    (medium) Let forward and backward take the same time. How many times as long as the whole picture's does an evaluation in tiles of
#    1024 px take?
#
# .. solution::
#
# Forward, forward and backward in place of forward and backward: one and a half times, and the halos. Tiles at the edge of the picture
# have no halo there, so it is a little less.

assert round(1.5 * (1184 / 1024) ** 2, 2) == 2.01

# %%
# .. exercise::
#
#    (medium) The reach of ``conv5_1`` is 70 px on either side, and a position of it stands for 16 px. How many pixels does one
#    position see? Compare with the :term:`receptive field` of lesson 7.
#
# .. solution::
#
# 16 + 2 * 70 = 156. To check it, we ask a single position which pixels its derivative reaches. All weights are made positive, so
# that nothing cancels and no ReLU closes.

positive = {name: (np.ones_like(kernel), np.ones_like(bias)) for name, (kernel, bias) in WEIGHTS.items()}
blind = Network(positive, dtype=np.float64, engine=layers)
row = np.ones((16, 400, 3))
features, cache = blind.forward(row, ["conv5_1"])
one = np.zeros_like(features["conv5_1"])
one[0, 12] = 1
seen = np.flatnonzero(blind.backward({"conv5_1": one}, cache).sum(axis=(0, 2)))
if pixels == 70:  # a VGG-16 has fewer layers
    assert seen[-1] - seen[0] + 1 == 16 + 2 * 70

# %%
# With a VGG-16
# -------------
# A VGG-16 has three convolutions in each of the deeper blocks where VGG-19 has four. So ``conv5_1`` reaches less far, and a halo of 64
# pixels is enough. (``python -m lessons.a3_tiles --weights FILE`` runs this page with such a network.)

vgg16 = LAYERS["vgg16"][: LAYERS["vgg16"].index("conv5_1") + 1]
assert reach(vgg16) == 58
assert halo_of(vgg16) == (64, 16)

# %%
# Where next
# ----------
# In the package: ``nnstyle/tiled.py``, ``nnstyle/engine/tiles.py``, and ``tests/test_tiled.py``.

r"""
12. Choices the paper leaves open
=================================

*The paper's section: Methods; and what the authors added in their CVPR paper of 2016.*

Seven equations do not make a picture yet. Where does the search start, and at what size? How does
the network pool? Every program decides, often without saying so. Here ``stylize`` paints by its
defaults and in the paper's way. Then each choice is changed alone, to see what it does.
"""

# %%
# The paper's way and the default
# -------------------------------
# Each picture gets 40 iterations. Printed are the losses at the end, variation (below) and distance
# from the photograph per pixel. The losses of different poolings cannot be compared.

import numpy as np

from lessons import tools
from nnstyle import Network, Settings, layers, losses, stylize
from nnstyle.objective import StyleTerm, set_targets
from nnstyle.pictures import preprocess, recolour
from nnstyle.weights import rescale
from nnstyle.weights.rescaling import mean_activations

SIZE = tools.size(__name__, 192, smallest=192)
PHOTO, PAINTING, WEIGHTS = tools.photo(SIZE), tools.painting(SIZE), tools.weights(__name__)
START = recolour(PHOTO, PAINTING)  # where the default starts: see below
PAPER = {"scales": 1, "border": 0, "init": "noise", "pooling": "average", "layer_weights": (1 / 5,) * 5}
distance = lambda picture: np.abs(picture.astype(float) - PHOTO).mean()
variation = lambda picture: losses.total_variation(picture / 1)[0] / PHOTO[..., 0].size
pictures, totals = {"photograph": PHOTO}, {}


def paint(name, **choice):
    result = stylize(PHOTO, PAINTING, WEIGHTS, size=SIZE, iterations=40, **choice)
    picture, end, totals[name] = result.image, result.losses[-1].losses, result.losses[-1].total
    print(f"{name:17} content {end['content']:7.0f}, style {end['style']:.4f}", end="; ")
    print(f"variation {variation(picture):5.0f}, distance {distance(picture):.0f}")
    pictures[name] = picture
    return picture


default = paint("default")
by_paper = paint("the paper's way", **PAPER)
one_scale = paint("scales=1", scales=1)
from_photo = paint("init='content'", init="content")
by_max = paint("pooling='max'", pooling="max")
tools.save(tools.grid([*pictures.values()], pictures, 3), "l12_choices")

# %%
# Coarse to fine
# --------------
# The paper has one scale. The default begins near 115 px, where ``conv5_1`` sees the whole picture, and
# doubles the size until it is the one asked for. What was painted is enlarged, and painting goes on
# there. The scales share the iterations; the small ones, which cost little, get more. A stroke of ten
# pixels in a small picture becomes a large one. Is there less fine hatching? Means over 4 x 4 pixels
# keep more of the mean square of a change that is coarse.

halve = lambda x: layers.average_pool(x)[0]
kept = lambda picture: (halve(halve(picture - START / 1)) ** 2).mean() / ((picture - START / 1) ** 2).mean()
print(f"kept in means over 4 x 4: {kept(default):.0%} of the change, at one scale {kept(one_scale):.0%}")
scales = [*Settings(size=512).with_scales(341).each_scale()]
counts, pixels = zip(*((s.iterations, s.canvas_pixels(s.size * 2 // 3, s.size)) for s in scales))
work = np.dot(counts, pixels) / (sum(counts) * pixels[-1])
print(f"at {[scale.size for scale in scales]} px {counts} iterations: {work:.0%} of one scale's work")
assert kept(default) > 1.15 * kept(one_scale) and work < 0.5

# %%
# A border
# --------
# Outside of a picture a convolution sees zeros (:doc:`lesson 3 <l03_convolution>`). So filters answer
# differently at the edges, and the search paints a frame there. By default it paints on a larger canvas:
# around the picture is its mirror image, 32 px wide, which is cropped at the end. Even grey shows the
# frame best, because nothing but the edges tells one position from another.

grey = np.full((96, 128, 3), 128, np.uint8)


def on_grey(picture=grey, border=32, pooling="average"):
    how = {"size": 128, "iterations": 20, "scales": 1, "init": "content"}
    return stylize(picture, PAINTING, WEIGHTS, border=border, pooling=pooling, **how).image.astype(float)


inside = np.pad(np.ones((88, 120), bool), 4)  # all but the edges, 4 px wide
frame = lambda picture: np.abs(picture[inside].mean(0) - picture[~inside].mean(0)).mean()
framed, unframed = on_grey(border=0), on_grey()
print(f"the edges differ by {frame(framed):.0f} levels, with a border by {frame(unframed):.0f}")
assert frame(framed) > 1.5 * frame(unframed)
tools.save(tools.grid([framed / 255, unframed / 255], ["border=0", "border=32"], width=7), "l12_border")

# %%
# Pooling
# -------
# The paper pools by the average, for a better flow of gradients; VGG was trained with the maximum. A
# weights file may state which one suits its network, and the beta per pixel as well. The embedded one
# states the average and 1000. For networks that state nothing, a real VGG for example, the default is
# the maximum and 4000. Here the maximum keeps more of the photograph, and its strokes are finer.

pooling, beta = WEIGHTS.pooling, WEIGHTS.beta_per_pixel
print(f"stated: {pooling}, {beta:.0f}; kept in means over 4 x 4, with the maximum: {kept(by_max):.0%}")
silent = Settings().decided(None, 96, 128)
assert (pooling, beta, silent.pooling) == ("average", 1000, "max")
assert silent.beta == 4000 * silent.canvas_pixels(96, 128)
assert distance(default) > 1.07 * distance(by_max) and kept(default) > 1.15 * kept(by_max)

# %%
# The initial image
# -----------------
# The paper starts at white noise, the default (``initial_image`` in the package) at the photograph in
# the painting's colours. Let :math:`C` and :math:`R` be the covariance matrices of the two pictures'
# colours. A linear map :math:`T` makes :math:`T C T^T` of the first. This is :math:`R` for every
# :math:`T = R^{1/2} Q\, C^{-1/2}` with :math:`Q\, Q^T = 1`. Which of them changes the colours least?
# The one that is symmetric, known as the optimal transport:
#
# .. math:: T = C^{-1/2} (C^{1/2} R\, C^{1/2})^{1/2}\, C^{-1/2}


def root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values) @ vectors.T


rng, one = np.random.default_rng(0), np.eye(3)
colours, wanted = (picture.reshape(-1, 3).astype(float) for picture in (PHOTO, PAINTING))
C, R = np.cov(colours.T) + 8**2 * one, np.cov(wanted.T)  # 8 levels more, or grain would become specks
back = np.linalg.inv(root(C))
T = back @ root(root(C) @ R @ root(C)) @ back
by_hand = (colours - colours.mean(0)) @ T.T + wanted.mean(0)
assert np.abs(by_hand.clip(0, 255).reshape(PHOTO.shape) - START).max() < 0.501  # it is rounded
figure = tools.grid([PHOTO, PAINTING, START], ["photograph", "painting", "recoloured"])
tools.save(figure, "l12_recoloured")
others = [root(R) @ np.linalg.qr(rng.normal(size=(3, 3)))[0] @ back for _ in range(1000)]
assert all(np.allclose(other @ C @ other.T, R) for other in (T, *others))
change = lambda T: np.trace((T - one) @ C @ (T - one).T)  # the mean square, over all pixels
assert change(T) < min(map(change, others))

colours_off = lambda picture: np.linalg.norm(np.cov(picture.reshape(-1, 3).T) - R) / np.linalg.norm(R)
print(f"covariance off by {colours_off(default):.0%}, from the photograph by {colours_off(from_photo):.0%}")
assert colours_off(from_photo) > 1.25 * colours_off(default)
assert distance(by_paper) > 1.5 * distance(default) and variation(by_paper) > 3 * variation(default)

# %%
# From the photograph as it is, its own colours stay for long. From noise there are strokes, but hardly
# a photograph yet, and a grain that deep layers do not see (:doc:`lesson 8 <l08_content>`). Whatever
# the start, the content loss compares with the photograph as it is.
#
# The photograph's own colours
# ----------------------------
# ``colour="match"`` goes the other way: before anything is compared, the painting gets the mean and
# the covariance of the photograph's colours. So do Gatys, Bethge, Hertzmann and Shechtman in
# "Preserving Color in Neural Artistic Style Transfer" (2016). They name two maps. Each is
# :math:`C^{1/2} Q\, R^{-1/2}` for some choice of the roots:
#
# * Cholesky: :math:`T = L_C L_R^{-1}`, with the triangular roots :math:`C = L_C L_C^T` and
#   :math:`R = L_R L_R^T`,
# * eigenvalues: :math:`T = C^{1/2} R^{-1/2}`, with the symmetric roots.
#
# All maps reach the same covariance, so which one is better? A triangular root depends on the order of
# the channels: red, green, blue gives another picture than blue, green, red. Symmetric roots do not
# care. And the optimal transport from above changes the painting's colours least. The package takes
# that.

to_match, target = np.cov(wanted.T) + 8**2 * one, np.cov(colours.T)  # painting, photograph
cholesky = lambda R, C: np.linalg.cholesky(C) @ np.linalg.inv(np.linalg.cholesky(R))
eigenvalue = lambda R, C: root(C) @ np.linalg.inv(root(R))
transport = lambda R, C: np.linalg.inv(root(R)) @ root(root(R) @ C @ root(R)) @ np.linalg.inv(root(R))
reverse = one[::-1]  # blue, green, red


def depends_on_order(make):
    other = make(reverse @ to_match @ reverse, reverse @ target @ reverse)
    return np.abs(reverse @ other @ reverse - make(to_match, target)).max()


matched, moved = [PAINTING], {}
for make in (cholesky, eigenvalue, transport):
    map_ = make(to_match, target)
    assert np.allclose(map_ @ to_match @ map_.T, target)
    moved[make] = np.trace((map_ - one) @ to_match @ (map_ - one).T) ** 0.5
    pixels = (wanted - wanted.mean(0)) @ map_.T + colours.mean(0)
    matched.append(np.rint(pixels.clip(0, 255)).reshape(PAINTING.shape).astype(np.uint8))
print("levels moved: " + ", ".join(f"{value:.1f}" for value in moved.values()))
assert moved[transport] < min(moved[cholesky], moved[eigenvalue])
assert depends_on_order(cholesky) > 0.01 and max(map(depends_on_order, (eigenvalue, transport))) < 1e-9
assert np.array_equal(matched[-1], recolour(PAINTING, PHOTO))
figure = tools.grid(matched, ["painting", "Cholesky", "eigenvalues", "optimal transport"])
tools.save(figure, "l12_matched")

# %%
# The other way of that paper, ``colour="luminance"``, compares grey pictures, and lays the
# photograph's colours under what was painted.
#
# Total variation
# ---------------
# Not in the paper. Mahendran and Vedaldi (2015) used it against grain. By default ``tv_weight`` is 0.
# It sums over all pairs of neighbours :math:`p \sim q`:
#
# .. math:: V = \sum_{p \sim q} (x_p - x_q)^2, \qquad
#    \frac{\partial V}{\partial x_p} = \sum_{q \sim p} 2\, (x_p - x_q)
#
# A sum of squares can be checked without small steps. For any :math:`d`, however large,
# :math:`V(x + d) = V(x) + \langle \nabla V(x), d \rangle + V(d)`; in the middle is the sum of
# gradient times :math:`d`. With the wrong twin ``np.roll`` first and last row are neighbours.

x, d = rng.normal(size=(2, 7, 9, 3))
V = lambda x: sum((np.diff(x, axis=axis) ** 2).sum() for axis in (0, 1))
rolled = sum(2 * (x - np.roll(x, shift, axis)) for shift in (-1, 1) for axis in (0, 1))
error = lambda gradient: abs(V(x) + np.vdot(gradient, d) + V(d) - V(x + d)) / V(x + d)
loss, gradient = losses.total_variation(x)
print(f"error of the identity: {error(gradient):.1e}; with np.roll: {error(rolled):.1e}")
assert np.isclose(loss, V(x)) and error(gradient) < 1e-13 and error(rolled) > 1e-3
softer, soft = (paint(f"tv_weight={weight}", tv_weight=weight) for weight in (0.001, 0.01))
tools.save(tools.grid([default, softer, soft], ["default", "tv_weight=0.001", "tv_weight=0.01"]), "l12_tv")
assert variation(default) > 1.15 * variation(softer) > 1.5 * 1.15 * variation(soft)

# %%
# Weights rescaled to a mean activation of 1
# ------------------------------------------
# In 2016 the authors scaled the weights of each filter so that its mean activation, over images and
# positions, is 1, and said that the network computes the same. Why? Multiply kernel and bias of
# filter :math:`i` by :math:`s_i > 0`. ReLU lets the factor pass, :math:`\max(s_i x, 0) = s_i
# \max(x, 0)`, and so do both poolings. Divide the next layer's kernels by :math:`s_i` where they
# read filter :math:`i`: from there on, every number is as before.


def scaled(weights, factors):
    changed, incoming = {}, np.ones(3)
    for name, (kernel, bias) in weights.items():
        factor = factors.get(name, np.ones(len(bias)))
        changed[name] = kernel / incoming[:, None] * factor, bias * factor
        incoming = factor
    return weights | changed


start, style = (preprocess(picture, WEIGHTS.preprocessing) for picture in (START, PAINTING))
run = lambda w, pooling: Network(w, pooling, np.float64, layers).forward(start[:64], w)[0]
LAYERS = Settings.style_layers
louder = {k: 2 ** (i - 2) * np.exp(rng.normal(0, 0.5, len(WEIGHTS[k][1]))) for i, k in enumerate(LAYERS)}
large = scaled(WEIGHTS, louder)
for pooling in ("average", "max"):
    before, after = run(WEIGHTS, pooling), run(large, pooling)
    assert all(tools.relative_error(after[k], before[k] * louder.get(k, 1)) < 1e-12 for k in WEIGHTS)

# %%
# This network's last layers are loud. Features :math:`s` times larger make a style loss :math:`s^4`
# times larger (:doc:`lesson 11 <l11_the_picture>`), so ``conv5_1`` decides alone. ``rescale`` divides
# each filter by its mean, but at least by 0.3 of its layer's, and all layers count again.


def shares(weights):
    """Each layer's part of equation (5) at the start."""
    network, terms = Network(weights, weights.pooling), [StyleTerm(layer) for layer in LAYERS]
    set_targets(terms, network, start, style)
    features, _ = network.forward(start, LAYERS)
    parts = [term(features[term.layer])[0] for term in terms] * np.array(WEIGHTS.style_layer_weights)
    return parts / parts.sum()


again = rescale(large, (PHOTO, PAINTING))
means = mean_activations(Network(again, again.pooling), again, (PHOTO, PAINTING))
assert all(np.isclose(mean.max(), 1, atol=1e-3) for mean in means.values())
for name, weights in {"embedded": WEIGHTS, "last layers loud": large, "rescaled": again}.items():
    print(f"{name:16} ", *(f"{layer} {share:5.1%} " for layer, share in zip(LAYERS, shares(weights))))
    assert (shares(weights)[4] > 0.9) == (weights is large)

# %%
# What could go wrong
# -------------------
# *Judging by the loss.* At one scale it ends lower; the defaults were chosen by eye. *Forgetting the
# biases* in rescaling: :math:`\max(s x + b, 0)` is not :math:`s \max(x + b, 0)`, but another network.

assert totals["scales=1"] < totals["default"]
forgotten = {layer: (kernel, WEIGHTS[layer][1]) for layer, (kernel, _) in large.items()}
assert tools.relative_error(run(forgotten, "max")["conv4_2"], before["conv4_2"]) > 0.01

# %%
# Exercises
# ---------
# .. exercise::
#
#    Paint on even grey with the maximum. Where do the straight lines come from, and what prevents them?
#
# .. solution::
#
# Of four equal numbers only the first gets a derivative, row after row. A faint grain is enough.

straight = lambda p: (p.mean(0).var(0) + p.mean(1).var(0)).sum() / p.var((0, 1)).sum()
grain = np.rint(grey + rng.normal(0, 3, grey.shape)).astype(np.uint8)
woven, grainy = on_grey(pooling="max"), on_grey(grain, pooling="max")
print(f"whole rows and columns: {straight(woven):.0%} of the variance, with grain {straight(grainy):.0%}")
tools.save(tools.grid([woven / 255, grainy / 255], ["from even grey", "with grain"], width=7), "l12_grain")
assert straight(woven) > 2 * straight(grainy)

# %%
# .. exercise::
#
#    The colours come from the painting. Keep the photograph's.
#
# .. solution::
#
# Only the change of brightness is added. (Gatys and others, arXiv 1606.05897, take more care.)

brightness = lambda picture: (picture @ [0.299, 0.587, 0.114])[..., None]
own = np.clip(PHOTO + brightness(default) - brightness(PHOTO), 0, 255).astype(np.uint8)
tools.save(tools.grid([default, own], ["default", "the photograph's colours"]), "l12_colours")
off = lambda picture: np.abs(picture - brightness(picture) - PHOTO + brightness(PHOTO)).mean()
assert off(own) < off(default) / 2

# %%
# Where next
# ----------
# :doc:`l13_gpu`. In the package: ``nnstyle/settings.py`` and ``nnstyle/stylize.py``.

r"""
8. Content
==========

*The paper's section: Methods, equations (1) and (2); Figure 1, lower row.*

What does a layer know about a picture? Keep its feature map and throw the picture away. Then
look for another picture with the same feature map, beginning at noise. What comes back, the layer
has kept; what does not, it has discarded. This search is half of the paper's algorithm.
"""

# %%
# The equations
# -------------
# In the paper a layer's feature map is a matrix: :math:`F_{ij}` is filter :math:`i` at position
# :math:`j`. With :math:`P` that of the photograph, the content loss is half the squared distance:
#
# .. math::
#
#    L_{content} = \frac{1}{2} \sum_{i,j} (F_{ij} - P_{ij})^2 \qquad (1)
#
# Each :math:`F_{ij}` is in one term only, and the half cancels the 2 of the derivative:
#
# .. math::
#
#    \frac{\partial L_{content}}{\partial F_{ij}} = F_{ij} - P_{ij} \qquad (2)
#
# (The paper's (2) has a second case, for :math:`F_{ij} < 0`: see below.) Both as loops:

from collections import namedtuple

import numpy as np

from lessons import tools
from nnstyle import Engine, Network, layers, losses
from nnstyle.objective import ContentTerm, Objective, StyleTerm, TotalVariationTerm, set_targets
from nnstyle.optimizers.scipy_lbfgsb import minimize
from nnstyle.pictures import deprocess, pixel_range, preprocess


def content_loss_by_loops(F, P):
    loss, gradient = 0.0, np.zeros_like(F)
    for index in np.ndindex(F.shape):
        loss += (F[index] - P[index]) ** 2 / 2
        gradient[index] = F[index] - P[index]
    return loss, gradient


rng = np.random.default_rng(0)
F, P = np.maximum(rng.normal(size=(2, 5, 6, 4)), 0)  # height, width, filters
for ours, by_loops in zip(losses.content_loss(F, P), content_loss_by_loops(F, P)):
    assert tools.relative_error(ours, by_loops) < 1e-13

# %%
# "0 if F < 0"
# ------------
# A feature map is taken after its ReLU and never below 0. The paper's second case speaks of the
# number before the ReLU: where it is negative, small changes do nothing, and the derivative is 0.
# This is ReLU's own derivative. It stands in ``relu_backward``, once, and every gradient passes it.
#
# An ``Objective`` is a sum of terms. Of ``ContentTerm`` alone, it is equation (1) as a function of the
# image; ``set_targets`` shows the term the picture that it compares with. Along a random direction
# the gradient must give the slope of centred differences (:doc:`l06_gradient_checking`). A wrong
# twin must not: (2) carried down as if ReLU let all pass.

WEIGHTS = tools.weights(__name__)


def objective_of(network, terms, target):
    """The sum of these terms, which compare with the picture `target`."""
    set_targets(terms, network, target, target)
    return Objective(network, terms)


def gradient_without_relu(image):
    features, cache = exact.forward(image, ["conv3_1"])
    equation_2 = features["conv3_1"] - term.features
    cache = [(name, f, f is layers.relu_backward or kept) for name, f, kept in cache]
    return exact.backward({"conv3_1": equation_2}, cache)


exact, term = Network(WEIGHTS, dtype=np.float64, engine=layers), ContentTerm("conv3_1")
picture, other, direction = rng.normal(0, 50, size=(3, 16, 20, 3))
objective = objective_of(exact, [term], other)
step = 1e-8 * direction  # so small that hardly a ReLU switches on the way
slope = (objective(picture + step)[0] - objective(picture - step)[0]) / 2e-8
right = np.vdot(objective(picture)[1], direction)
wrong = np.vdot(gradient_without_relu(picture), direction)
print(f"slope {slope:.5f}, gradient {right:.5f}, without the second case {wrong:.5f}")
assert abs(right - slope) < 1e-5 * abs(slope) and abs(wrong - slope) > 0.1 * abs(slope)

# %%
# Figure 1, lower row
# -------------------
# Now the search, for the first layer of each block, as in the paper's figure. ``minimize`` lowers
# the loss step by step, by the method L-BFGS of :doc:`lesson 10 <l10_both_and_lbfgs>`. The paper
# starts at white noise and does not say how strong. Here it is faint: a tenth of the range.

SIZE = tools.size(__name__, 192)
LAYERS = "conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"
photo, prep = tools.photo(SIZE), WEIGHTS.preprocessing
content = preprocess(photo, prep)
noise = np.random.default_rng(1).uniform(-127.5, 127.5, photo.shape)
grey, faint, strong = (preprocess(127.5 + s * noise, prep) for s in (0, 0.1, 1))
Found = namedtuple("Found", "image loss pixels contrast loss_shown")
correlation = lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1]
shown = lambda image: deprocess(image, prep)  # clipped to 0..255 and rounded


def contrast(picture):
    """How much happens in each block of 8 x 8 pixels: the spread of its grey values."""
    height, width = picture.shape[0] // 8, picture.shape[1] // 8
    grey = picture.mean(axis=2)[: 8 * height, : 8 * width]
    return grey.reshape(height, 8, width, 8).std(axis=(1, 3))


def reconstruct(
    layer, name="", start=faint, target=content, iterations=60, bounded=False, tv_weight=0, pooling="average"
):
    """Search; print the loss before, after, as shown; correlations with the photo."""
    terms = [ContentTerm(layer), *([TotalVariationTerm(tv_weight)] if tv_weight else [])]
    bounds, history = pixel_range(prep) if bounded else None, []

    def note(image, *_):
        history.append((objective.losses["content"], correlation(shown(image), photo)))

    with Engine() as engine:
        objective = objective_of(Network(WEIGHTS, pooling, engine=engine), terms, target)
        objective(start)
        note(start)
        image, _ = minimize(objective, start, iterations, bounds, note)
        objective(preprocess(shown(image), prep))
    (loss, pixels), loss_shown = np.transpose(history), objective.losses["content"]
    blocks = correlation(contrast(shown(image)), contrast(photo))
    print(f"{name or layer:20} loss {loss[0]:7.0f} to {loss[-1]:4.0f}", end=", ")
    print(f"shown {loss_shown:4.0f}; pixels {pixels[-1]:.2f}, contrast {blocks:.2f}")
    return Found(image, loss, pixels, blocks, loss_shown)


found = [reconstruct(layer) for layer in LAYERS]
last = [one.pixels[-1] for one in found]  # at the end
assert max(np.diff(last)) < -0.1 and last[4] < 0.2 and found[4].contrast > last[4] + 0.1
pictures = [photo, *(shown(one.image) for one in found)]
tools.save(tools.grid(pictures, ["the photograph", *LAYERS], 3), "l08_figure_1")

# %%
# ``conv1_1`` gives the photograph back. From ``conv2_1`` and ``conv3_1`` all is there and sharp,
# but the sky is darker. ``conv4_1`` keeps edges: mountain, shore, trees and hut stand where they
# stood, and what is between them is grey. From ``conv5_1`` outlines are left, and where things are.
# Pixel by pixel, that picture has next to nothing to do with the photograph; but where much happens
# in the one, much happens in the other. The arrangement is kept, exact pixels and colours are let
# go. The paper calls this content, and takes it from a deep layer, ``conv4_2``.

figure, axes = tools.plt.subplots(1, 2, figsize=(8, 2.6))
for layer, one in zip(LAYERS, found):
    axes[0].semilogy(one.loss / one.loss[0], label=layer)
    axes[1].plot(one.pixels)
    assert one.loss[10] > 5 * one.loss[-1]
axes[0].set(xlabel="iterations of L-BFGS", ylabel="loss / loss of the noise")
axes[1].set(xlabel="iterations of L-BFGS", ylabel="correlation of pixels")
figure.legend(ncols=5, loc="outside upper center")
tools.save(figure, "l08_iterations")

# %%
# After 10 iterations every loss is more than five times what it is after 60: stopped there, a
# picture tells of the optimizer, not of the layer. (And some curves still rise: first exercise.)
#
# Each picture was made for one layer. Its content losses at all layers, divided by the noise's:

network = Network(WEIGHTS)
images = content, faint, *(one.image for one in found)
target, start, *features = (network.forward(image, LAYERS)[0] for image in images)
distance = lambda F, layer: losses.content_loss(F[layer], target[layer])[0]
table = [[distance(F, at) / distance(start, at) for at in LAYERS] for F in features]
print("      at:  ", *(f"{layer:>8}" for layer in LAYERS))
for i, layer in enumerate(LAYERS):
    print(f"from {layer}", *(f"{value:8.4f}" for value in table[i]))
    assert min(table[i][:i], default=1) > 3 * max(table[i][i:])
assert table[4][0] > 0.7

# %%
# On the diagonal and to its right all is small: what satisfies a layer satisfies the deeper ones,
# computed from it. To its left it is not: at ``conv1_1`` the last picture is about as bad as noise.
#
# What the layer does not see
# ---------------------------
# What makes no difference in a layer has no gradient, and stays as it was. The start matters:

choices = {
    "strong noise": {"start": strong},
    "strong noise, bounds": {"start": strong, "bounded": True},
    "even grey": {"start": grey},
    "max pooling": {"pooling": "max"},
    "total variation 1e-3": {"tv_weight": 1e-3},
}
ways = [found[3], *(reconstruct("conv4_1", name, **choices[name]) for name in choices)]
faintly, strongly, bounded, from_grey, by_max, smooth = ways
assert strongly.loss_shown > 5 * strongly.loss[-1]
assert all(one.loss_shown < 1.5 * one.loss[-1] for one in (faintly, bounded))
assert strongly.contrast < faintly.contrast - 0.05 < from_grey.contrast + 0.05
assert by_max.pixels[-1] < faintly.pixels[-1] < smooth.pixels[-1] - 0.05
pictures = [shown(one.image) for one in ways]
tools.save(tools.grid(pictures, ["faint noise", *choices], 3), "l08_ways")

# %%
# *Strong noise*, over the whole range, is there to the end. Its search ends far outside 0..255:
# clipped for showing, the picture has many times the loss that was reported. With *bounds*,
# L-BFGS-B stays inside, and what is shown is what was found. Faint noise needs no clipping. *Even
# grey* works, too: the photograph's features differ from place to place, so the gradient does. *Max
# pooling* sends each derivative to one value of four: a finer grain, less of the photograph. *Total
# variation* (:doc:`lesson 12 <l12_choices>`) takes the grain away, but raises the loss.
#
# What could go wrong
# -------------------
# *Two ways of preprocessing*: the target from pixels of 0 to 255, the image's features from
# preprocessed values. The loss falls as it should, to a picture too bright by the forgotten mean.
# *The image as its own target*: no loss, no gradient, and no complaint. The noise is the result.

raw = reconstruct("conv1_1", target=photo.astype(np.float32))
assert raw.loss[-1] < 0.03 * raw.loss[0] and shown(raw.image).mean() > photo.mean() + 50
still = reconstruct("conv4_1", target=faint)
assert not any(still.loss) and np.array_equal(still.image, faint)

# %%
# Exercises
# ---------
# .. exercise::
#
#    Where ``conv2_1`` has made the sky dark, is it the layer that has lost the brightness?
#
# .. solution::
#
# No: its correlation still rises at the end. The optimizer takes longer over it:

pixels = reconstruct("conv2_1", iterations=120).pixels
assert pixels[-1] > pixels[60] + 0.05

# %%
# .. exercise::
#
#    Compare, on even grey, the gradients of content (``conv4_1``) and of style (``conv1_1``).
#
# .. solution::
#
# Style compares sums over all positions (:doc:`l09_style`). On even grey positions are alike, edges
# apart, and so are their gradients: they change the colour, and make no strokes. Style needs noise.

for term in (ContentTerm("conv4_1"), StyleTerm("conv1_1")):
    inside = objective_of(network, [term], content)(grey)[1][8:-8, 8:-8]
    spread = inside.std(axis=(0, 1)).max() / np.abs(inside).max()
    print(f"{term.name}: spread of the gradient / its largest value: {spread:.1e}")
    assert spread > 0.03 if term.name == "content" else spread < 1e-3

# %%
# Where next
# ----------
# :doc:`l09_style`. In the package: ``nnstyle/losses.py`` and ``nnstyle/objective.py``.

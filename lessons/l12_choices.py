r"""
12. Choices the paper leaves open
=================================

*The paper's section: Methods; and what the authors added in their CVPR paper of 2016.*

Seven equations do not make a picture yet. Where does the search start? How does the network
pool? May pixels leave their range? Every program decides, often without saying so. Here each
choice is changed alone: what the paper says, what the default here is, what is measured.
"""

# %%
# The initial image, and pooling
# ------------------------------
# The paper starts at white noise, the default (``initial_image`` in the package) at the photograph. The paper pools by the average,
# for a better flow of gradients, and so does the default; VGG was trained with the maximum. Printed
# after 30 iterations: losses, variation (below) and distance from the photograph per pixel.

import numpy as np

from lessons import tools
from nnstyle import Network, Settings, layers, load_weights, losses, stylize
from nnstyle.objective import Objective, StyleTerm, paper_terms, set_targets
from nnstyle.pictures import preprocess
from nnstyle.weights import rescale
from nnstyle.weights.rescaling import mean_activations

SIZE, PAPERS = tools.size(__name__, 192, smallest=192), (1 / 5,) * 5  # w_l
assert SIZE >= 192, "--size 192 or more: three scales begin at a quarter of it"
PHOTO, PAINTING, WEIGHTS = tools.photo(SIZE), tools.painting(SIZE), load_weights()
distance = lambda picture: np.abs(picture.astype(float) - PHOTO).mean()
variation = lambda picture: losses.total_variation(picture / 1)[0] / PHOTO[..., 0].size


def paint(name, weights=WEIGHTS, **choice):
    result = stylize(PHOTO, PAINTING, weights, size=SIZE, iterations=30, layer_weights=PAPERS, **choice)
    total, end, p = result.losses[-1].total, result.losses[-1].losses, result.image
    print(f"{name:18} total {total:7.0f}, content {end['content']:6.0f}", end=", style ")
    print(f"{end['style']:.4f}; variation {variation(p):5.0f}, distance {distance(p):.0f}")
    return p, total, end["style"] / result.losses[0].losses["style"]


choices = {
    "default": {},
    "max pooling": {"pooling": "max"},
    "from noise": {"init": "noise"},
    "noise, max pooling": {"init": "noise", "pooling": "max"},
    "from the painting": {"init": "style"},
}
pictures, totals, left = zip(*(paint(name, **choices[name]) for name in choices))
default, by_max, noise, noise_by_max, from_painting = pictures
tools.save(tools.grid([PHOTO, *pictures], ["photograph", *choices], 3), "l12_starts")
assert distance(noise) > 1.5 * distance(default) > 1.1 * 1.5 * distance(by_max)
assert variation(noise_by_max) > 1.1 * variation(noise) > 2 * variation(default)
assert left[1] > 3 * left[0]

# %%
# From noise there are strokes and no photograph, over a grain that deep layers do not see
# (:doc:`lesson 8 <l08_content>`); with max pooling there is more grain. From the painting, a
# painting. From the photograph, max pooling keeps more of it, because the search is slower: of the
# first style loss 6% is left, by default 1%. (Maxima are larger than means, and so are its losses.)
#
# Total variation
# ---------------
# Not in the paper. Mahendran and Vedaldi (2015) used it against grain. By default
# ``tv_weight`` is 0. It sums over all pairs of neighbours :math:`p \sim q`:
#
# .. math::
#
#    V = \sum_{p \sim q} (x_p - x_q)^2, \qquad
#    \frac{\partial V}{\partial x_p} = \sum_{q \sim p} 2\, (x_p - x_q)
#
# A pixel is in one term for each of its neighbours: four, three at an edge, two in a corner. Down
# the gradient it moves towards their mean, as heat spreads. As loops:


def total_variation_by_loops(x):
    loss, gradient = 0.0, np.zeros_like(x)
    for i, j, c in np.ndindex(x.shape):
        for q in ((i + 1, j, c), (i, j + 1, c)):  # each pair once
            if q[0] < x.shape[0] and q[1] < x.shape[1]:
                difference = x[i, j, c] - x[q]
                loss += difference**2
                gradient[i, j, c] += 2 * difference
                gradient[q] -= 2 * difference
    return loss, gradient


rng = np.random.default_rng(0)
x, d = rng.normal(size=(2, 7, 9, 3))
for ours, by_loops in zip(losses.total_variation(x), total_variation_by_loops(x)):
    assert tools.relative_error(ours, by_loops) < 1e-13

# %%
# A sum of squares can be checked without small steps. For any :math:`d`, however large,
# :math:`V(x + d) = V(x) + \langle \nabla V(x), d \rangle + V(d)`; in the middle is the sum of
# gradient times :math:`d`. With the wrong twin ``np.roll`` first and last row are neighbours.

V = lambda x: losses.total_variation(x)[0]
rolled = sum(2 * (x - np.roll(x, shift, axis)) for shift in (-1, 1) for axis in (0, 1))
error = lambda gradient: abs(V(x) + np.vdot(gradient, d) + V(d) - V(x + d)) / V(x + d)
right, wrong = error(losses.total_variation(x)[1]), error(rolled)
print(f"error of the identity: {right:.1e}; with np.roll: {wrong:.1e}")
assert right < 1e-13 and wrong > 1e-3
softer, soft = (paint(f"tv_weight={w}", tv_weight=w)[0] for w in (1e-3, 1e-2))
tools.save(tools.grid([default, softer, soft], ["weight 0", "1e-3", "1e-2"]), "l12_tv")
assert variation(default) > 1.3 * variation(softer) > 1.5 * 1.3 * variation(soft)

# %%
# At 1e-3 strokes are softer; at 1e-2 all looks out of focus.
#
# Scales and bounds
# -----------------
# The paper has one scale, and so has the default. With ``scales=3`` a third of the iterations is
# done at a quarter of the size, where layers see more of the whole, and a third at half of it; what
# was painted is enlarged. By default pixels may leave 0..255, and are clipped at the end.

coarse, *_ = paint("scales=3", scales=3)
bounded, bounded_total, _ = paint("bounded=True", bounded=True)
figure = tools.grid([default, coarse, bounded], ["default", "scales=3", "bounded=True"])
tools.save(figure, "l12_scales_bounds")
scales = Settings(size=SIZE, iterations=30, scales=3).each_scale()
work = sum(scale.iterations * (scale.size / SIZE) ** 2 for scale in scales) / 30
assert work < 0.5 and variation(coarse) < 0.95 * variation(default)
settings, prep = Settings(layer_weights=PAPERS).decided(WEIGHTS, *PHOTO.shape[:2]), WEIGHTS.preprocessing
targets = preprocess(PHOTO, prep), preprocess(PAINTING, prep)
network = Network(WEIGHTS)
terms = paper_terms(settings, network.engine)
set_targets(terms, network, *targets)
objective = Objective(network, terms)
rise = objective(preprocess(default, prep))[0] / totals[0] - 1
bounded_rise = objective(preprocess(bounded, prep))[0] / bounded_total - 1
print(f"work {work:.0%}; loss added by saving: {rise:.2%}, bounded {bounded_rise:.2%}")
assert 0.005 < rise < 0.2 and abs(bounded_rise) < 0.005

# %%
# Three scales: larger strokes, less than half of the work. Clipping adds some per cent to the loss.
#
# Weights rescaled to a mean activation of 1
# ------------------------------------------
# In 2016 the authors scaled the weights of each filter so that its mean activation, over images and
# positions, is 1, and said that the network computes the same. Why? Multiply kernel and bias of
# filter :math:`i` by :math:`s_i > 0`. ReLU lets the factor pass, :math:`\max(s_i x, 0) = s_i
# \max(x, 0)`, and so do both poolings. Divide the next layer's kernels by :math:`s_i` where they
# read filter :math:`i`: from there on, every number is as before.


def scaled(weights, factors):
    changed, incoming = {}, np.ones(3)
    for name, (kernel, bias) in weights.items():
        factor = factors.get(name, np.ones(len(bias)))
        changed[name] = kernel / incoming[:, None] * factor, bias * factor
        incoming = factor
    return weights | changed


run = lambda w, pooling: Network(w, pooling, np.float64, layers).forward(targets[0][:64], w)[0]
LAYERS = settings.style_layers
mixed = {layer: np.exp(rng.normal(0, 0.5, len(WEIGHTS[layer][1]))) for layer in LAYERS}
first = {layer: mixed[layer] * 4 / 2**i for i, layer in enumerate(LAYERS)}
last = {layer: mixed[layer] / 4 * 2**i for i, layer in enumerate(LAYERS)}
for pooling in ("average", "max"):
    before, after = run(WEIGHTS, pooling), run(scaled(WEIGHTS, first), pooling)
    expected = {k: before[k] * first.get(k, 1) for k in WEIGHTS}
    assert all(tools.relative_error(after[k], expected[k]) < 1e-12 for k in WEIGHTS)

# %%
# Features :math:`s` times larger make a Gram matrix :math:`s^2` times and, by (4), a loss
# :math:`s^4` times larger. Here are two such networks, with large numbers in the first layers or in
# the last, and the latter rescaled. (No filter gets louder than one with 0.3 of its layer's mean.)

A = losses.gram_matrix(d)
assert np.isclose(losses.style_loss(2 * x, 4 * A)[0], 16 * losses.style_loss(x, A)[0])


def measure(weights, pooling="average"):
    means = mean_activations(network := Network(weights, pooling), weights, (PHOTO, PAINTING))
    terms = [StyleTerm(layer) for layer in LAYERS]
    set_targets(terms, network, *targets)
    features, _ = network.forward(targets[0], LAYERS)
    return [means[layer].mean() for layer in LAYERS], [term(features[term.layer])[0] for term in terms]


networks = {"embedded": WEIGHTS, "first layers large": scaled(WEIGHTS, first)}
networks["last layers large"] = large = scaled(WEIGHTS, last)
means = mean_activations(Network(large), large, (PHOTO, PAINTING))
factors = {k: 1 / np.maximum(m, 0.3 * m.mean()) for k, m in means.items()}
by_hand, networks["rescaled"] = scaled(large, factors), rescale(large, (PHOTO, PAINTING))
for pair in zip(by_hand.values(), networks["rescaled"].values()):
    assert all(tools.relative_error(a, b) < 1e-5 for a, b in zip(*pair))
painted = [default]
for name, weights in networks.items():
    means, style = measure(weights)
    print(f"{name:18} means", *(f"{m:4.2f}" for m in means), end="; ")
    print("style", *(f"{loss / sum(style):.4f}" for loss in style))
    assert (max(style) < 50 * min(style)) == (name in ("embedded", "rescaled"))
    if name != "embedded":  # with the beta that lets all begin with the same style term
        beta = settings.beta * sum(measure(WEIGHTS)[1]) / sum(style)
        painted.append(paint(name, weights, beta=beta, rescale=False)[0])
assert 1.5 * distance(painted[2]) < min(distance(painted[1]), distance(painted[3]))
tools.save(tools.grid(painted, list(networks), 2), "l12_rescaled")
trained, _ = measure(WEIGHTS, "max")
print("embedded, max pooling: means", *(f"{mean:.2f}" for mean in trained))
assert 0.5 < min(trained) and max(trained) < 1.6

# %%
# Where the first layers are large, they decide alone: the painting's colours on unchanged shapes.
# Where the last are: curls in the photograph's colours. Rescaled, both are back. The embedded
# network was rescaled over other photographs, with max pooling: its means here are near 1.
#
# What could go wrong
# -------------------
# *Judging by the loss.* Of the first five pictures the one from the painting has the lowest total,
# and no photograph in it. *Rescaling without that limit*: filters that hardly answer in two
# pictures get huge factors, and the layers that have several, deep ones, nearly all of the style.

assert min(totals) == totals[4] and distance(from_painting) > 1.5 * distance(default)
style = measure(rescale(large, (PHOTO, PAINTING), min_ratio=0))[1]
assert sum(style[3:]) > 0.9 * sum(style) > 2 * sum(measure(networks["rescaled"])[1])

# %%
# Exercises
# ---------
# .. exercise::
#
#    What becomes of the rescaled network if the biases are left as they were?
#
# .. solution::
#
# :math:`\max(s x + b, 0)` is not :math:`s \max(x + b, 0)`. It is another network.

forgotten = {k: (w[0], WEIGHTS[k][1]) for k, w in scaled(WEIGHTS, first).items()}
assert tools.relative_error(run(forgotten, "max")["conv4_2"], before["conv4_2"]) > 0.01

# %%
# .. exercise::
#
#    The colours come from the painting. Keep the photograph's.
#
# .. solution::
#
# Only the change of brightness is added. (Gatys and others, arXiv 1606.05897, take more care.)

grey = lambda picture: (picture @ [0.299, 0.587, 0.114])[..., None]
kept = np.clip(PHOTO + grey(default) - grey(PHOTO), 0, 255).astype(np.uint8)
tools.save(tools.grid([default, kept], ["default", "colours kept"]), "l12_colours")
change = lambda picture: np.abs(picture - grey(picture) - PHOTO + grey(PHOTO)).mean()
assert change(kept) < change(default) / 2

# %%
# Where next
# ----------
# :doc:`l13_gpu`. In the package: ``nnstyle/settings.py`` and ``nnstyle/stylize.py``.

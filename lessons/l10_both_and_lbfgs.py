r"""
10. Both, and how to walk downhill
==================================

*The paper's section: Methods, equation (7).*

The paper wants a picture whose content loss and style loss are both small, so it adds them, each
with a weight. What is left is a walk downhill, in as many dimensions as the picture has numbers.
This lesson checks the whole gradient, walks in three ways, and takes two apart: Adam and L-BFGS.
"""

# %%
# Equation (7)
# ------------
# .. math:: L_{total} = \alpha L_{content} + \beta L_{style} \qquad (7)
#
# So six passes backward, one from each layer, add up to the gradient of (7). ``Objective`` needs
# one: on the way down it adds each layer's own :math:`\partial L / \partial F` to what comes from
# above. The rest of the way is linear: the sum goes in, and the sum of what each gives comes out.
# It is given (7) as a list of terms: ``paper_terms`` makes one of :math:`L_{content}`, and five of
# :math:`L_{style}`, one for each layer.

from functools import partial

import numpy as np
import scipy.optimize

from lessons import tools
from nnstyle import Engine, Network, Objective, Settings, losses, set_targets
from nnstyle.objective import paper_terms
from nnstyle.optimizers import adam, lbfgs
from nnstyle.optimizers.scipy_lbfgsb import OPTIONS, minimize
from nnstyle.pictures import deprocess, preprocess

SIZE, EVALUATIONS = tools.size(__name__, 128), 80
weights, rng = tools.weights(__name__), np.random.default_rng(0)
samples, preprocessing = (tools.photo, tools.painting), weights.preprocessing


def equation_7(network, content, style):
    """Its settings and the objective: alpha = 1, beta = 1000 a pixel, all w_l = 1/5."""
    settings = Settings(beta_per_pixel=1000, border=0, layer_weights=(1 / 5,) * 5)
    settings = settings.decided(weights, *content.shape[:2])
    terms = paper_terms(settings, network.engine)
    set_targets(terms, network, content, style)
    return settings, Objective(network, terms)


content, style = (preprocess(sample(48), preprocessing, float) for sample in samples)
network = Network(weights, dtype=np.float64)
settings, objective = equation_7(network, content, style)
image = content + rng.normal(scale=20, size=content.shape)  # where no loss is zero
total, gradient = objective(image)
features, cache = network.forward(image, ["conv4_2", *settings.style_layers])
target, shares = network.forward(content, ["conv4_2"])[0]["conv4_2"], {}
by_layer = {"conv4_2": (settings.alpha, losses.content_loss(features["conv4_2"], target))}
for layer, F in network.forward(style, settings.style_layers)[0].items():
    A, M = losses.gram_matrix(F), F[..., 0].size
    by_layer[layer] = settings.beta / 5, losses.style_loss(features[layer], A, M)
for layer, (weight, (_, dF)) in by_layer.items():
    shares[layer] = weight * network.backward({layer: dF}, list(cache))
assert tools.relative_error(sum(shares.values()), gradient) < 1e-10
assert abs(sum(w * loss for w, (loss, _) in by_layer.values()) / total - 1) < 1e-10

# %%
# Is it the gradient? Along a random direction, the rise by centred differences must be the scalar
# product of gradient and step. Two wrong gradients show what this check finds.

steps = 1e-6 * rng.normal(size=(3, *image.shape))
rises = [(objective(image + h)[0] - objective(image - h)[0]) / 2 for h in steps]
wrong = {"no conv5_1": gradient - shares["conv5_1"]}
wrong["no beta"] = shares["conv4_2"] + (gradient - shares["conv4_2"]) / settings.beta
for name, candidate in {"equation (7)": gradient, **wrong}.items():
    error = tools.relative_error(np.tensordot(steps, candidate, 3), rises)
    print(f"{name:>12}: relative error {error:.1e}")
    assert error > 1e-3 if name in wrong else error < 1e-5

# %%
# Three ways down
# ---------------
# The paper's is gradient descent, :math:`x \leftarrow x - \eta g`. *Adam* (Kingma and Ba, 2015)
# moves each number by about the rate :math:`\eta`. *L-BFGS* may try several points an iteration (a
# line search). Both are explained below. Evaluations take the time, so they are counted. Gradient
# descent gets four rates.


class Watched:
    """An objective that notes its losses, and the best image of EVALUATIONS."""

    def __init__(self, objective):
        self.objective, self.losses, self.best = objective, [], None

    def __call__(self, image):
        loss, gradient = self.objective(image)
        if len(self.losses) < EVALUATIONS and loss < min(self.losses, default=np.inf):
            self.best = image
        self.losses.append(loss)
        return loss, gradient


def descend(watched, image, evaluations, rate):
    for _ in range(evaluations):
        loss, gradient = watched(image)
        if loss > 10 * watched.losses[0]:
            break  # it climbs
        image = image - rate * gradient


ways = {f"gradient descent, {rate}": partial(descend, rate=rate) for rate in (0.1, 0.3, 1, 3)}
ways |= {f"Adam, {rate}": partial(adam.minimize, learning_rate=rate) for rate in (2, 10)}
ways |= {"L-BFGS": minimize}
content, style = (preprocess(sample(SIZE), preprocessing) for sample in samples)
with Engine() as engine:
    _, objective = equation_7(Network(weights, engine=engine), content, style)
    runs = {name: Watched(objective) for name in ways}
    ends = {name: walk_down(runs[name], content, EVALUATIONS) for name, walk_down in ways.items()}
    mean = objective(ends["Adam, 2"][0])[0] / runs["Adam, 2"].losses[-1]  # see below
lowest = {name: min(run.losses[:EVALUATIONS]) for name, run in runs.items()}
shown = [min(list(ways)[i:j], key=lowest.get) for i, j in ((0, 4), (4, 6), (6, 7))]
overtaken = np.argmax(np.array(runs["L-BFGS"].losses) < lowest[shown[0]])
assert min(lowest, key=lowest.get) == "L-BFGS" and overtaken < 60
assert len(runs["gradient descent, 3"].losses) < 10
figure, axis = tools.plt.subplots(figsize=(8, 3.5))
for name, run in runs.items():
    print(f"{name:>21}: down to {lowest[name] / run.losses[0]:.4f} of the first loss")
    axis.semilogy(np.divide(run.losses[:EVALUATIONS], run.losses[0]), label=name)
axis.set(xlabel="evaluations of (7)", ylabel="loss / first loss", ylim=(None, 2))
axis.set_title(f"L-BFGS is below every gradient descent after {overtaken} evaluations")
axis.legend()
tools.save(figure, "l10_losses")

# %%
# The best picture of each way. L-BFGS has painted over most of the photograph's greens and greys.

tools.save(tools.grid([deprocess(runs[name].best, preprocessing) for name in shown], shown), "l10_pictures")

# %%
# How Adam walks
# --------------
# *Momentum:* :math:`m` is a mean of the gradients that forgets. Across a valley they alternate and
# cancel; along it they agree. *A scale for each number:* :math:`v` is such a mean of the squares.
# Divided by its root, a step has no unit, and is about the rate :math:`\eta`. *A correction:* both
# means begin at 0. For a constant :math:`g`, :math:`m` is only :math:`0.1\, g \sum_{k < t} 0.9^k =
# (1 - 0.9^t)\, g`. So divide by that.
#
# .. math:: m \leftarrow 0.9\, m + 0.1\, g \qquad v \leftarrow 0.999\, v + 0.001\, g^2 \qquad
#    x \leftarrow x - \eta\, \frac{m / (1 - 0.9^t)}{\sqrt{v / (1 - 0.999^t)} + \epsilon}
#
# ``moving_average`` in the package keeps the quotient :math:`\hat m_t = m_t / (1 - \beta^t)` itself:
#
# .. math:: \hat m_t = \frac{\beta\, (1 - \beta^{t-1})\, \hat m_{t-1} + (1 - \beta)\, g_t}{1 - \beta^t}
#    = \hat m_{t-1} + \frac{1 - \beta}{1 - \beta^t}\, (g_t - \hat m_{t-1})
#
# because :math:`\beta - \beta^t = (1 - \beta^t) - (1 - \beta)`. At :math:`t = 1` this is :math:`g_1`,
# wherever it began. The wrong twin forgets the correction: as :math:`v` begins much too small, its
# first step is :math:`0.1 / \sqrt{0.001}` = 3.2 times too long.


def by_the_paper(gradients, rate, corrected=True):
    m = v = x = 0
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        both = (1 - 0.9**t, 1 - 0.999**t) if corrected else (1, 1)
        x = x - rate * (m / both[0]) / (np.sqrt(v / both[1]) + 1e-8)
        yield x


def by_the_package(objective, start, steps, rate):
    iterates, means = [], []  # of the iterates: see below

    def keep(image, loss, history):
        iterates.append(history["x"])
        means.append(image)

    adam.minimize(objective, start, steps, callback=keep, learning_rate=rate)
    return np.array(iterates), np.array(means)


def given(gradients):
    """An objective with these gradients, one after the other, and how many steps they serve for."""
    following = iter(gradients)
    return lambda x: (0.0, next(following)), np.zeros_like(gradients[0]), len(gradients) - 1


gradients = rng.normal(1, 2, (40, 5))
ours, _ = by_the_package(*given(gradients), rate=2)
in_other_units, _ = by_the_package(*given(1e6 * gradients), rate=2)
right, wrong = (np.array([*by_the_paper(gradients[:-1], 2, corrected)]) for corrected in (True, False))
alternating, _ = by_the_package(*given((-1.0) ** np.arange(41)[:, None]), rate=2)
print(f"first step: {np.abs(ours[0]).mean():.2f}; without correction: {np.abs(wrong[0]).mean():.2f}")
assert tools.relative_error(ours, right) < 1e-12 and tools.relative_error(in_other_units, ours) < 1e-6
assert np.allclose(np.abs(ours[0]), 2) and np.allclose(np.abs(wrong[0]), 2 * np.sqrt(10))
assert tools.relative_error(ours, wrong) > 0.1
assert np.abs(np.diff(alternating[20:], axis=0)).max() < 2 * 0.1  # of 2: across the valley, they cancel

# %%
# *A mean of the iterates.* Steps of about :math:`\eta` do not become shorter where a valley ends. If
# the gradient is noisy, the iterates jump about the minimum for ever; in their moving average, of the
# same kind, the jumps cancel. ``adam.minimize`` returns that, as crowsonkb's style-transfer-pytorch does.

valley = np.diag([1.0, 25.0])
noisy = lambda x: (x @ valley @ x / 2, valley @ x + rng.normal(scale=(1, 25)))
iterates, means = by_the_package(noisy, np.array([25.0, 1.0]), 200, rate=5)
left = [np.sqrt((path[100:] ** 2).mean()) for path in (iterates, means)]
print(f"about the minimum: {left[0]:.2f}, their mean {left[1]:.2f}")
assert left[1] < 0.7 * left[0]
figure, axis = tools.plt.subplots(figsize=(8, 2.6))
x, y = np.meshgrid(np.linspace(-12, 27, 100), np.linspace(-6, 6, 100))
axis.contour(x, y, x**2 + 25 * y**2, colors="#cccccc", linewidths=0.7)
for path, name in (iterates, "iterates"), (means, "their moving average"):
    axis.plot(*path.T, ".-", label=name, linewidth=0.7, markersize=4)
axis.legend()
tools.save(figure, "l10_adam")

# %%
# Is it worth it? Equation (7) is not noisy. There the mean costs a little of what was reached, and
# L-BFGS, which uses curvature, was ahead. But a loss of your own may draw random numbers. Here (7)
# is evaluated at the picture plus new noise each time, for a picture that survives noise. A line
# search compares two losses that cannot be compared, finds no lower one, and gives up. Adam goes on.

print(f"without noise, the loss of the mean: {mean:.3f} of the last iterate's")
assert 1 < mean < 1.2
grain = lambda: rng.normal(scale=20, size=content.shape).astype(np.float32)
with Engine() as engine:
    _, objective = equation_7(Network(weights, engine=engine), content, style)
    shaken = lambda image: objective(image + grain())
    typical = lambda image: np.mean([shaken(image)[0] for _ in range(8)])
    stuck, reason = minimize(shaken, content, EVALUATIONS)
    last, averaged = (images[-1] for images in by_the_package(shaken, content, EVALUATIONS, rate=5))
    first, *ends = map(typical, (content, stuck, last, averaged))
print(f"with noise, L-BFGS: {ends[0] / first:.4f}, {reason[:23]}")
print(f"Adam: {ends[1] / first:.4f}, its mean {ends[2] / first:.4f}")
assert reason.startswith("no lower loss was found") and max(ends[1:]) < 0.9 * ends[0]

# %%
# How L-BFGS walks
# ----------------
# A step :math:`s` changes the gradient by :math:`y`. If :math:`B` are a quadratic's second
# derivatives, :math:`y = B s`, and :math:`-B^{-1} g` leads to the minimum. BFGS keeps a matrix
# :math:`H` for :math:`B^{-1}`, and changes it after each step, so that :math:`H y = s`:
#
# .. math:: H \leftarrow (1 - \rho s y^T) H (1 - \rho y s^T) + \rho s s^T, \quad \rho = 1 / s^T y
#
# (1 is the identity. Of :math:`y` the right factor makes 0, and the last term :math:`s`.) L is for
# limited memory (Nocedal, 1980): keep a few pairs :math:`(s, y)` and no matrix. Multiply :math:`g`
# by the factors on the right, the latest first, by a first :math:`H`, and by those on the left.


def direction(g, pairs):
    """-H g by two loops over the pairs (s, y), which are in order of time."""
    g, factors = g.copy(), []
    for s, y in reversed(pairs):
        factors.append((s @ g) / (s @ y))
        g -= factors[-1] * y
    for s, y in pairs[-1:]:
        g *= (s @ y) / (y @ y)  # the first H: a number, from the latest pair
    for (s, y), factor in zip(pairs, reversed(factors)):
        g += (factor - (y @ g) / (s @ y)) * s
    return -g


def walk(B, x, steps, memory):
    """Down the quadratic x B x / 2, each step to the lowest point of its line."""
    path, pairs = [x], []
    for _ in range(steps):
        p = direction(B @ x, pairs[max(0, len(pairs) - memory) :])
        s = -(p @ B @ x) / (p @ B @ p) * p
        x = x + s
        path.append(x), pairs.append((s, B @ s))
    return np.array(path), pairs


B = np.cov(rng.normal(size=(8, 20)))
path, pairs = walk(B, rng.normal(size=8), 8, memory=10)
left = np.linalg.norm(path @ B, axis=1)  # the gradient's length
assert left[7] > 1e-4 * left[0] and left[8] < 1e-10 * left[0]
figure, axis = tools.plt.subplots(figsize=(8, 2.2))
x, y = np.meshgrid(np.linspace(-2, 27, 100), np.linspace(-1.5, 1.5, 100))
axis.contour(x, y, x**2 + 25 * y**2, colors="#cccccc", linewidths=0.7)
for name, steps, memory in ("gradient descent", 30, 0), ("L-BFGS", 2, 10):
    path, _ = walk(valley, np.array([25.0, 1.0]), steps, memory)
    heights = np.sum(path @ valley * path, axis=1)
    assert np.isclose(heights[-1], 0 if memory else heights[0] * (24 / 26) ** 60)
    axis.plot(*path.T, ".-", label=f"{name}, {steps} steps")
axis.legend()
tools.save(figure, "l10_valley")

# %%
# In this valley each step of gradient descent keeps :math:`(24/26)^2` of the height. L-BFGS knows
# the curvature after one step and ends with its second; in 8 dimensions, with the eighth.
#
# What could go wrong
# -------------------
# *A loss in float32* is too grainy for a line search: near 1e9, the numbers are 64 apart. *A
# gradient of the wrong sign*, or 1000 times too large, promises what no step keeps. *A factor 2*
# goes unnoticed: a falling loss proves no gradient. *A first step of length 1*, SciPy's, is tiny in
# many dimensions. In units of :math:`\sqrt{size}`, as in ``minimize``, each number moves about 1.


def quadratic(image, times=1.0, kind=float):
    curvature = np.geomspace(1, 100, image.size).reshape(image.shape)
    loss = 1e9 + (curvature * (image - 3) ** 2).sum() / 2  # lowest where all are 3
    return float(kind(loss)), times * curvature * (image - 3)


start, ends = np.zeros(48), []
cases = {"1x": [], "2x": [2], "float32": [1, np.float32], "-1x": [-1], "1000x": [1000]}
for name, wrong in cases.items():
    end, _ = minimize(lambda x, wrong=wrong: quadratic(x, *wrong), start, 500)
    ends.append(quadratic(end)[0] - 1e9)
    print(f"{name:>8}: {ends[-1]:8.1e} above the minimum")
assert max(ends[:2]) < 1e-5 and ends[2] > 0.01 and min(ends[3:]) > 1000
assert np.spacing(np.float32(1e9)) == 64
start, watched = np.zeros(content.size), Watched(quadratic)
minimize(watched, start, iterations=1)
how, once = {"jac": True, "method": "L-BFGS-B"}, OPTIONS | {"maxiter": 1}
plain = scipy.optimize.minimize(quadratic, start, **how, options=once).nfev
print(f"evaluations of a first iteration: {len(watched.losses)}, without unit: {plain}")
assert len(watched.losses) < plain

# %%
# Exercises
# ---------
# .. exercise::
#
#    Build :math:`H` as a matrix. Do the loops, and ``nnstyle.optimizers.lbfgs``, give :math:`-H g`?
#    Is :math:`H y = s`?
#
# .. solution::

(s, y), one = pairs[-1], np.eye(8)
H, g = one * (s @ y) / (y @ y), rng.normal(size=8)
for s, y in pairs:
    left = one - np.outer(s, y) / (s @ y)
    H = left @ H @ left.T + np.outer(s, s) / (s @ y)
steps = [lbfgs.Step(s, y, 1 / (s @ y), (s @ y) / (y @ y)) for s, y in pairs]
for its in (direction(g, pairs), lbfgs.direction(g, steps)):
    assert tools.relative_error(its, -H @ g) < 1e-10
assert tools.relative_error(direction(y, pairs), -s) < 1e-10

# %%
# .. exercise::
#
#    Minimize ``quadratic`` by SciPy with its own tolerances. Why does it stop early?
#
# .. solution::
#
# Its ``ftol`` takes a gain of 2e-9 of the loss for the end, and 1e9 of this loss cannot be lost.

default = scipy.optimize.minimize(quadratic, np.zeros(48), **how)
print(f"{default.fun - 1e9:.1e} above the minimum. {default.message}")
assert default.fun - 1e9 > 0.01

# %%
# Where next
# ----------
# :doc:`l11_the_picture`. In the package: ``nnstyle/objective.py`` and ``nnstyle/optimizers/``.

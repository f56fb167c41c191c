r"""
10. Both, and how to walk downhill
==================================

*The paper's section: Methods, equation (7).*

The paper wants a picture whose content loss and style loss are both small, so it adds them, each
with a weight. What is left is a walk downhill, in as many dimensions as the picture has numbers.
This lesson checks the whole gradient, walks in three ways, and takes the best, L-BFGS, apart.
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

import numpy as np
import scipy.optimize

from lessons import tools
from nnstyle import Engine, Network, Objective, Settings, load_weights, losses, set_targets
from nnstyle.objective import paper_terms
from nnstyle.optimizers import lbfgs
from nnstyle.optimizers.scipy_lbfgsb import OPTIONS, minimize
from nnstyle.pictures import deprocess, preprocess

SIZE, EVALUATIONS = tools.size(__name__, 128), 80
weights, rng = load_weights(), np.random.default_rng(0)
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
# divides a running mean of :math:`g` by the root of one of :math:`g^2`: each number moves by about
# the rate :math:`\eta`. *L-BFGS*, explained below, may try several points an iteration (a line
# search). Evaluations take the time, so they are counted. Gradient descent gets four rates.


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


def descend(watched, image, rate, adam=False):
    mean = square = 0
    for t in range(1, EVALUATIONS + 1):
        loss, step = watched(image)
        if loss > 10 * watched.losses[0]:
            break  # it climbs
        if adam:  # the divisors 1 - .. make up for the means' beginning at 0
            mean, square = 0.9 * mean + 0.1 * step, 0.999 * square + 0.001 * step**2
            step = mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        image = image - rate * step


ways = {f"gradient descent, {rate}": (descend, rate) for rate in (0.1, 0.3, 1, 3)}
ways |= {f"Adam, {rate}": (descend, rate, True) for rate in (2, 10)}
ways |= {"L-BFGS": (minimize, EVALUATIONS)}
content, style = (preprocess(sample(SIZE), preprocessing) for sample in samples)
with Engine() as engine:
    _, objective = equation_7(Network(weights, engine=engine), content, style)
    runs = {name: Watched(objective) for name in ways}
    for name, (method, *how) in ways.items():
        method(runs[name], content, *how)
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


B, valley = np.cov(rng.normal(size=(8, 20))), np.diag([1.0, 25.0])
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

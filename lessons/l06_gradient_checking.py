r"""
6. Gradient checking
====================

*The paper's section: Methods, equations (2) and (6). Are ours right?*

A gradient with a mistake in it still makes pictures: the loss falls, and nothing says that a factor
2 is missing. So gradients are compared with what needs no derivation, two values of the loss a
small step apart. This is a measuring instrument: it has an error, a range, and blind spots.
"""

# %%
# Three ways to a derivative
# --------------------------
# Let :math:`f(t)` be a loss along a line, and :math:`f^{(n)}` its derivatives at 0. Taylor's series
# for a step :math:`h` ahead, for one to either side, and for an imaginary one:
#
# .. math::
#
#    \frac{f(h) - f(0)}{h} = f^{(1)} + \frac{h}{2} f^{(2)} + \dots \quad
#    \frac{f(h) - f(-h)}{2h} = f^{(1)} + \frac{h^2}{6} f^{(3)} + \dots \quad
#    \frac{\operatorname{Im} f(ih)}{h} = f^{(1)} - \frac{h^2}{6} f^{(3)} + \dots
#
# give the *one-sided* difference, the *centred* one, and the *complex step* (Squire and Trapp,
# 1998). What is left out, the truncation error, wants a small :math:`h`. But :math:`f` is rounded,
# to a relative :math:`\varepsilon`, and in a difference this becomes :math:`\varepsilon f / h`,
# which wants a large one. With derivatives of similar size :math:`h + \varepsilon / h` is smallest
# near :math:`\varepsilon^{1/2}`, and :math:`h^2 + \varepsilon / h` near :math:`\varepsilon^{1/3}`.
# The complex step subtracts nothing: its :math:`h` may be as small as one likes. On equation (4),
# where :math:`N M` is the size of :math:`F`:

from unittest.mock import patch

import numpy as np

import nnstyle
from lessons import tools
from nnstyle import ContentTerm, Engine, Network, Objective, Settings, StyleTerm, Term, layers, losses
from nnstyle.pictures import preprocess

one_sided = lambda f, h: (f(h) - f(0)) / h
centred = lambda f, h: (f(h) - f(-h)) / (2 * h)
complex_step = lambda f, h: f(1j * h).imag / h
style = lambda F, A: np.sum((losses.gram_matrix(F) - A) ** 2) / (4 * F.size**2)


def median_error(method, h, dtype):
    f = lambda t, u: style(F.astype(dtype) + t * u.astype(dtype), A.astype(dtype))
    found = [method(lambda t, u=u: f(t, u), h) for u in directions]
    return np.median(abs(np.array(found) / slopes - 1))


rng = np.random.default_rng(0)
F, *directions = rng.normal(size=(31, 8, 9, 6)).astype(np.float32).astype(float)
A = losses.gram_matrix(rng.normal(size=F.shape))
slopes = [np.vdot(losses.style_loss(F, A)[1], u) for u in directions]
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
steps = 10.0 ** np.arange(-14, 0.1, 0.25)
errors = np.array([median_error(complex_step, h, np.float64) for h in steps.tolist()])
axes[0].loglog(steps, errors, ".-C0", label="complex step")
assert errors[steps < 1e-8].max() < 1e-12
for axis, dtype, lowest in zip(axes, (np.float64, np.float32), (-14, -7)):
    steps, epsilon = 10.0 ** np.arange(lowest, 0.1, 0.25), np.finfo(dtype).eps
    for method, name, order in (one_sided, "one-sided", 1), (centred, "centred", 2):
        errors = np.array([median_error(method, h, dtype) for h in steps.tolist()])
        best, predicted = steps[errors.argmin()], epsilon ** (1 / (1 + order))
        rising = (steps > 5 * best) & (steps < 0.2)
        slope = np.polyfit(np.log(steps[rising]), np.log(errors[rising]), 1)[0]
        print(f"{dtype.__name__} {name:>9}: error {errors.min():.0e} at h = {best:.0e}")
        assert 0.1 < best / predicted < 10 and abs(slope - order) < 0.2
        axis.loglog(steps, errors, f".-C{order}", label=f"{name}, slope {slope:.1f}")
        axis.axvline(predicted, color=f"C{order}", linestyle=":")
    axis.set(title=dtype.__name__, xlabel="step h", ylabel="relative error")
    axis.legend()
tools.save(figure, "l06_steps")

# %%
# Rounding falls to the right, truncation rises with slopes 1 and 2; dotted are the predicted steps.
# In float32 even the best step is poor: **paint in float32, check gradients in float64**. Where the
# complex step rises the centred difference hides it: their truncation errors differ only in sign.
#
# Kinks
# -----
# Taylor's series is for smooth functions. At :math:`d < h` from ReLU's kink, where the derivative
# is 1, the centred difference is :math:`(d + h) / 2h`: anything from 1/2 to 1. Max-pooling has a
# kink where the winner changes. To see kinks, compare the *switches*, which ReLUs are on, at both
# ends of the step. If one has changed, draw another direction, or take a smaller step.
#
# An ``Objective`` is equation (7), a sum of terms, each with its weight and its layer
# (:doc:`lesson 10 <l10_both_and_lbfgs>`); ``set_targets`` shows the terms what to compare with.


def gradient_and_switches(objective, image, given=None):
    """The objective's gradient, or what it is behind the given switches of another run."""
    network = objective.network
    features, cache = network.forward(image, objective.layers)
    is_relu = [back == network.engine.relu_backward for _, back, _ in cache]
    own = [kept.copy() for (_, _, kept), relu in zip(cache, is_relu) if relu]
    masks = iter(given or own)
    cache = [(n, b, next(masks) if relu else k) for (n, b, k), relu in zip(cache, is_relu)]
    objective.losses = dict.fromkeys(objective.weights, 0.0)
    dF = {layer: objective.gradient_at(layer, features) for layer in objective.layers}
    return network.backward(dF, cache), own


def equation_7(network, content, style, *terms):
    nnstyle.set_targets(terms, network, content, style)
    return Objective(network, terms)


alpha = 2


def tiny_objective(dtype):
    terms = ContentTerm("conv2_1", weight=alpha), StyleTerm("conv1_2", weight=300)
    return equation_7(Network(tiny, "average", dtype, engine=layers), content, painting, *terms)


assert centred(lambda t: max(0.2 + t, 0), h=1.0) == (0.2 + 1) / 2
widths = {"conv1_1": (3, 4), "conv1_2": (4, 5), "conv2_1": (5, 6)}
tiny = {n: (rng.normal(size=(3, 3, *w)) / 4, rng.normal(size=w[1])) for n, w in widths.items()}
content, painting, image = rng.normal(size=(3, 12, 13, 3))
objective = tiny_objective(np.float64)
gradient, results = gradient_and_switches(objective, image)[0], []
for h in 10.0 ** np.arange(-7, -1.9, 0.25).repeat(20):
    u = rng.normal(size=image.shape)
    slope = centred(lambda t, u=u: objective(image + t * u)[0], h)
    ends = (gradient_and_switches(objective, image + step * u)[1] for step in (h, -h))
    crossed = any((ahead != behind).any() for ahead, behind in zip(*ends))
    results.append((h, abs(np.vdot(gradient, u) / slope - 1), crossed))
steps, errors, crossed = np.array(results).T
figure, axis = tools.plt.subplots(figsize=(7, 2.8))
axis.scatter(steps, errors, s=8, c=crossed, cmap="coolwarm")
axis.set(xscale="log", yscale="log", title="blue: same switches; red: a switch changed")
axis.set(xlabel="step h along a random direction", ylabel="relative error")
tools.save(figure, "l06_kinks")
assert np.median(errors[crossed == 1]) > 1e4 * np.median(errors[crossed == 0])

# %%
# What the complex step needs
# ---------------------------
# The same arithmetic, for complex numbers; sums, products and :math:`F F^T` have it. NumPy orders
# complex numbers by their real parts first, so ``maximum`` and ``>``, and with them the library's
# ReLU and max-pooling, take the switches of the real picture: 1e-30 crosses no kink. ``abs``,
# ``conj`` and ``float`` drop the imaginary part; the library's losses end in a ``float``, replaced
# here. Numbers are compared one by one: :math:`\left|a - b\right|` relative to the larger,
# and 0 where both are 0. Relative to the whole gradient's length, a small one could be anything.


def by_complex_step(function, x):
    steps = 1e-30j * np.eye(x.size).reshape(-1, *x.shape)
    return np.array([function(x + step).imag / 1e-30 for step in steps]).reshape(x.shape)


def worst(a, b):
    size = np.maximum(abs(a), abs(b))
    return (abs(a - b) / np.where(size == 0, 1, size)).max()


in_complex = tiny_objective(np.complex128)
with patch.object(losses, "squared_sum", lambda x: np.sum(x**2)):
    truth = by_complex_step(lambda image: in_complex(image)[0], image)
print(f"{truth.size} coordinates by complex steps: worst {worst(gradient, truth):.0e}")
assert worst(gradient, truth) < 1e-9
assert np.maximum(z := 3 + 1e-30j, 2) == z and abs(z).imag == (z * z.conjugate()).imag == 0

# %%
# In one call
# -----------
# ``nnstyle.check_gradient`` compares with centred differences, in float64. It takes an operation, of
# the package or your own, with its way back, and draws a random :math:`dy` for it; or it takes a loss that
# returns its gradient. The error that it prints is relative to the largest derivative, and it raises
# ``AssertionError`` where that is above 1e-6.
#
# First two operations: a convolution, and *softplus*, :math:`y = \ln(1 + e^x)`, a ReLU without its kink.
# Its derivative is the sigmoid of :doc:`lesson 2 <l02_shared_weights>`:


def softplus(x):
    return np.logaddexp(x, 0), x


def softplus_backward(dy, x):
    return dy / (1 + np.exp(-x))


nnstyle.check_gradient(lambda x: layers.conv(x, *tiny["conv1_1"]), image, layers.conv_backward)
nnstyle.check_gradient(softplus, image, softplus_backward)

# %%
# Then a loss of your own, as a term. It asks that each map has the mean :math:`t_k` that it has in the
# painting. The mean :math:`m_k` over :math:`M` positions changes by :math:`1 / M` with each number, so
#
# .. math::
#
#    L = \sum_k (m_k - t_k)^2, \qquad
#    \frac{\partial L}{\partial F_{i,j,k}} = 2\, (m_k - t_k)\, \frac{\partial m_k}{\partial F_{i,j,k}}
#    = \frac{2}{M} (m_k - t_k)
#
# The :math:`1 / M` is easily forgotten, and the gradient is then :math:`M` times too large: the error is
# :math:`M - 1`. The term is checked by itself, in equation (7), and with this mistake in it.


class Means(Term):
    name, weight, layer, target = "means", 5, "conv1_2", "style"

    def set_target(self, features):
        self.means = features.mean(axis=(0, 1))

    def __call__(self, features):
        difference = features.mean(axis=(0, 1)) - self.means
        each = 2 * difference / features[..., 0].size
        return np.sum(difference**2), np.zeros_like(features) + each


class WithoutM(Means):
    def __call__(self, features):
        loss, gradient = super().__call__(features)
        return loss, gradient * features[..., 0].size


means, wrong = Means(), WithoutM()
nnstyle.set_targets([means, wrong], objective.network, content, painting)
maps = objective.network.forward(image, ["conv1_2"])[0]["conv1_2"]
nnstyle.check_gradient(means, maps)
assert worst(means(maps)[1], by_complex_step(lambda maps: means(maps)[0], maps)) < 1e-12
nnstyle.check_gradient(Objective(objective.network, [*objective.terms, means]), image)
tools.must_fail(lambda: nnstyle.check_gradient(wrong, maps), AssertionError)
assert maps[..., 0].size == 156

# %%
# What could go wrong
# -------------------
# The gradient, or the check. Four mistakes, and five checks that one might trust: the loss falls;
# the adjoint test of :doc:`lesson 5 <l05_backwards>`; the style loss alone; equation (7) along one
# random direction; all its coordinates.

gram_backward, content_loss = losses.gram_matrix_backward, losses.content_loss
backward = Network.backward
style_twice = lambda *a: 2 * gram_backward(*a)
no_alpha = lambda F, P: (content_loss(F, P)[0], (F - P) / alpha)
not_turned = lambda dy, kernel: layers.conv(dy, kernel.swapaxes(2, 3), 0)[0]
smallest_lost = lambda *a: (g := backward(*a)) * (abs(g) > abs(g).min())
bugs = {
    "no mistake": (losses, "gram_matrix_backward", gram_backward),
    "style gradient x 2": (losses, "gram_matrix_backward", style_twice),
    "alpha missing": (losses, "content_loss", no_alpha),
    "kernel not turned": (layers, "conv_backward", not_turned),
    "one pixel lost": (Network, "backward", smallest_lost),
}
kernel, (x, y) = rng.normal(size=(3, 3, 3, 3)), rng.normal(size=(2, 7, 8, 3))
Ax, style_truth = layers.conv(x, kernel, 0)[0], by_complex_step(lambda F: style(F, A), F)
slope, caught = centred(lambda t: objective(image + t * u)[0], 1e-5), []
print("                    loss falls  adjoint  style  direction  coordinates")
for bug, wrong in bugs.items():
    with patch.object(*wrong):
        loss, gradient = objective(image)
        falls = objective(image - 1e-3 * gradient / np.linalg.norm(gradient))[0] < loss
        adjoint = abs(np.vdot(Ax, y) - np.vdot(x, layers.conv_backward(y, kernel)))
        alone = worst(losses.style_loss(F, A)[1], style_truth)
    direction, each = abs(np.vdot(gradient, u) / slope - 1), worst(gradient, truth)
    errors = not falls, adjoint, alone, direction, each
    print(f"{bug:>18} {falls!s:>11} {adjoint:8.0e} {alone:6.0e} {direction:10.0e} {each:12.0e}")
    caught.append("".join("-x"[int(error > 1e-4)] for error in errors))
assert caught == ["-----", "--xxx", "---xx", "-x-xx", "----x"]
assert 0.1 < direction / (abs(truth).min() / np.linalg.norm(truth)) < 10
assert 0.99**459 < 0.01 < 0.99**458 and round(1 - 0.99**200, 2) == 0.87

# %%
# The loss falls under every mistake, and who checks a part sees that part's. A direction judges all
# at once, but it shows a mistake :math:`\delta` in one coordinate of :math:`g` as a relative one of
# about :math:`\left|\delta\right| / \left|g\right|`. So check all coordinates of single layers, on
# small maps, and whole networks along directions. (Some coordinates? Where one percent is wrong,
# 459 random ones include a wrong one with a probability of 99%. ``check_gradient`` draws 200, unless it
# is told ``coordinates=``: 87%.)
#
# float32
# -------
# A float32 gradient should differ from float64's by a few :math:`\varepsilon`. Now and then it is a
# part in a thousand. A ReLU whose input is 0 up to rounding is on in one run and off in the other,
# and the derivative that it lets pass is not small because its input is. If that is all, the
# float64 gradient behind the *float32 run's switches* must agree:

weights, samples = tools.weights(__name__), (tools.photo(192), tools.painting(192))
photo, painting = (preprocess(picture, weights.preprocessing) for picture in samples)


def equation_7_in(dtype, engine):  # alpha 1, beta 1000 a pixel, the paper's w_l
    beta, w_l = 1000 * photo[..., 0].size, 1 / 5
    terms = [StyleTerm(layer, beta, w_l) for layer in Settings.style_layers]
    network = Network(weights, "average", dtype, engine)
    return equation_7(network, photo, painting, ContentTerm("conv4_2"), *terms)


with Engine() as engine:
    truth, switches_64 = gradient_and_switches(exact := equation_7_in(np.float64, engine), photo)
    for way, its_engine in ("plain", layers), ("Winograd", engine):
        objective = equation_7_in(np.float32, its_engine)
        gradient, switches_32 = gradient_and_switches(objective, photo)
        same = gradient_and_switches(exact, photo, switches_32)[0]
        changed = sum(np.sum(a != b) for a, b in zip(switches_32, switches_64))
        errors = [tools.relative_error(gradient, other) for other in (truth, same)]
        print(f"{way:>8}: error {errors[0]:.0e}, switches changed: {changed},", end=" ")
        print(f"behind the same switches {errors[1]:.0e}")
        assert errors[1] < 2e-5
    switches_64[8].flat[1000] ^= True  # one switch of conv4_1
    one = gradient_and_switches(exact, photo, switches_64)[0]
print(f"one switch changed by hand: {tools.relative_error(one, truth):.0e}")
assert tools.relative_error(one, truth) > 1e-5

# %%
# Exercises
# ---------
# .. exercise:: Combine :math:`f(\pm h)` and :math:`f(\pm 2h)` so that the error is in :math:`h^4`.
#    Why does the result check equation (6) with *any* step?
#
# .. solution::
#
# The centred difference is :math:`D(h) = f^{(1)} + h^2 f^{(3)} / 6 + c h^4 + \dots`. The
# :math:`h^2` is gone from :math:`(4 D(h) - D(2h)) / 3`, and what is left starts with the fifth
# derivative. The style loss is of degree 4 in :math:`F`: it has none.

D1, D2 = (centred(lambda t: style(F + t * directions[0], A), h) for h in (1.0, 2.0))
assert abs((4 * D1 - D2) / 3 / slopes[0] - 1) < 1e-12 and abs(D1 / slopes[0] - 1) > 0.01

# %%
# .. exercise:: Why does ``np.allclose`` find a style gradient equal to twice itself?
#
# .. solution::
#
# It allows :math:`10^{-8}` plus a relative part, and equation (6) divides by :math:`N^2 M^2`:

maps, others = rng.normal(size=(2, 192, 192, 64))  # as large as conv2_1 for 384 pixels
gradient = losses.style_loss(maps, losses.gram_matrix(others))[1]
assert np.allclose(gradient, 2 * gradient) and not np.allclose(gradient, 2 * gradient, atol=0)

# %%
# Where next
# ----------
# :doc:`l07_vgg`: the network itself. In the package: ``nnstyle/gradient_check.py``,
# ``tests/support/checks.py``, and the tests that use it.

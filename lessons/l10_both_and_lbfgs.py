r"""
10. Both, and how to walk downhill
==================================

*The paper's section: Methods, equation (7).*

The paper wants a picture whose content loss and style loss are both small. So it adds them, each
with a weight. What is left is a walk downhill, in as many dimensions as the picture has numbers.
This lesson checks the gradient of the sum. Then it derives, on a valley that one can draw, how
gradient descent, Adam and L-BFGS walk, and at the end lets all three paint.

*Reading time: 95 minutes. Difficulty: 3 of 3. You need: lessons 5, 6, 8 and 9, and what a matrix
does to a vector. "How Adam walks" is a good place to begin a second sitting. On a first reading, its list of
three changes to the gradient is enough for what follows.*
"""

# %%
# Equation (7)
# ------------
# .. math:: L_{total} = \alpha L_{content} + \beta L_{style} \qquad (7)
#
# The two weights say what a picture is worth. With a large :term:`alpha` a departure from the photograph is
# expensive; with a large :term:`beta` a departure from the painting's textures is. Only their ratio
# matters: if both are doubled, the same picture has the lowest loss. The paper takes
# :math:`\alpha/\beta = 10^{-3}` or :math:`10^{-4}` for its Figure 2. These ratios belong to its network and
# to the size of its pictures. The package sets :math:`\alpha = 1` and gives beta as :term:`beta per pixel`:
# here 1000 times the number of pixels. Lesson 11 derives why.
#
# Here are the weights for a small picture. ``decided`` fills in what depends on the picture's size.
# (``border=0`` paints the picture and nothing around it, as in the paper.)

# sphinx_gallery_parallel = False
import time
from functools import partial

import numpy as np
import scipy.optimize

import nnstyle
from lessons import tools
from nnstyle import Engine, Network, Objective, Settings, losses, set_targets
from nnstyle.objective import paper_terms
from nnstyle.optimizers import adam, lbfgs
from nnstyle.optimizers.scipy_lbfgsb import OPTIONS, minimize
from nnstyle.pictures import deprocess, preprocess

SIZE = tools.size(__name__, 160)
weights = tools.weights(__name__)
if not weights.rescaled:  # another network: first as loud as the embedded one (lesson 12)
    weights = nnstyle.weights.rescale(weights, [tools.photo(), tools.painting()], "average")
rng = np.random.default_rng(0)
small_content = preprocess(tools.photo(48), weights.preprocessing, float)
small_style = preprocess(tools.painting(48), weights.preprocessing, float)


def settings_for(picture):
    """alpha = 1, beta = 1000 per pixel, and the paper's layers, each with w_l = 1/5."""
    settings = Settings(beta_per_pixel=1000, border=0, layer_weights=(1 / 5,) * 5)
    return settings.decided(weights, *picture.shape[:2])


settings = settings_for(small_content)
height, width, _ = small_content.shape
print(f"{width} x {height} pixels: alpha = {settings.alpha:g}, beta = {settings.beta:g}")
assert settings.beta == 1000 * height * width

# %%
# In the package, (7) is a list of *terms*. ``paper_terms`` makes six: one for :math:`L_{content}` and one
# for each of the five layers in :math:`L_{style}`. ``set_targets`` shows them the photograph and the
# painting. :class:`Objective <nnstyle.objective.Objective>` adds them up: it is a function that takes a
# picture and returns the loss and its gradient.


def equation_7(network, content, style):
    """The total loss as a function of the picture, with its gradient."""
    terms = paper_terms(settings_for(content), network.engine)
    set_targets(terms, network, content, style)
    return Objective(network, terms)


network = Network(weights, dtype=np.float64)
objective = equation_7(network, small_content, small_style)
noisy_photo = small_content + rng.normal(scale=20, size=small_content.shape)  # no loss is 0 here
total, gradient = objective(noisy_photo)
print(f"{len(objective.terms)} terms")
for name, loss in objective.losses.items():
    print(f"L_{name} = {loss:.3g}")
assert np.isclose(total, objective.losses["content"] + settings.beta * objective.losses["style"])

# %%
# Six losses, one backward pass
# -----------------------------
# Six losses have six gradients, and six backward passes would find them. One is enough, because a backward
# pass is linear. It multiplies the :term:`cotangent` by the transposed :term:`Jacobian` of each layer, and
#
# .. math:: J^T (d_1 + d_2) = J^T d_1 + J^T d_2
#
# So :class:`Objective <nnstyle.objective.Objective>` starts at the deepest layer. Each time it comes up to
# a layer with a term, it adds that term's :math:`\partial L / \partial F` to what arrived from above, and
# carries the sum on. Let us take the long way and compare. First the content term:

features, cache = network.forward(noisy_photo, ["conv4_2", *settings.style_layers])


def share(layer, dF):
    """The gradient of the picture that comes from one layer alone."""
    return network.backward({layer: dF}, list(cache))  # a copy: backward uses its cache up


P = network.forward(small_content, ["conv4_2"])[0]["conv4_2"]
content_loss, dF = losses.content_loss(features["conv4_2"], P)
content_share = settings.alpha * share("conv4_2", dF)

# %%
# Then the five style terms, each with the weight :math:`\beta w_l`.

style_maps, _ = network.forward(small_style, settings.style_layers)
style_shares, style_loss = {}, 0.0
for layer in settings.style_layers:
    A, M = losses.gram_matrix(style_maps[layer]), style_maps[layer][..., 0].size
    E_l, dF = losses.style_loss(features[layer], A, M)
    style_loss += E_l / 5
    style_shares[layer] = settings.beta / 5 * share(layer, dF)

# %%
# The sum of the six gradients is the one that came out of the single pass, and so is the loss.

six_passes = content_share + sum(style_shares.values())
print(f"six passes against one: relative error {tools.relative_error(six_passes, gradient):.0e}")
assert tools.relative_error(six_passes, gradient) < 1e-10
assert np.isclose(settings.alpha * content_loss + settings.beta * style_loss, total, rtol=1e-10)

# %%
# Is it the gradient?
# -------------------
# Both ways could share a mistake, so we also need :term:`finite differences <finite difference>`
# (:doc:`lesson 6 <l06_gradient_checking>`). Take a small random step :math:`h`. The loss should rise by
# :math:`\langle g, h \rangle`, and centred differences measure the rise. Three random steps will do.

steps = [1e-6 * rng.normal(size=noisy_photo.shape) for _ in range(3)]
rises = np.array([(objective(noisy_photo + h)[0] - objective(noisy_photo - h)[0]) / 2 for h in steps])


def error_of(candidate):
    """How far the rises that a gradient predicts are from those measured."""
    predicted = np.array([np.vdot(candidate, h) for h in steps])
    return tools.relative_error(predicted, rises)


print(f"equation (7): relative error {error_of(gradient):.1e}")
assert error_of(gradient) < 1e-5

# %%
# Would this check notice a mistake? Here are two :term:`wrong twins <wrong twin>`: copies of the right
# gradient with one deliberate mistake. The first forgets the deepest style layer, the second forgets beta.

no_conv5_1 = gradient - style_shares["conv5_1"]
no_beta = content_share + (gradient - content_share) / settings.beta
for name, twin in {"without conv5_1": no_conv5_1, "without beta": no_beta}.items():
    print(f"{name:>15}: relative error {error_of(twin):.1e}")
    assert error_of(twin) > 1e-3

# %%
# A valley to practise in
# -----------------------
# A picture has thousands of dimensions, and nobody can draw them. So we learn to walk in two. This valley
# is gentle along its floor and 25 times as steep across it:
#
# .. math:: L(x) = \tfrac12 \left( x_1^2 + 25\, x_2^2 \right) = \tfrac12\, x^T B x, \qquad
#    B = \begin{pmatrix} 1 & 0 \\ 0 & 25 \end{pmatrix}, \qquad g = B x
#
# :math:`B` is the matrix of second derivatives. The lowest point is 0. We start at (25, 1).

B = np.diag([1.0, 25.0])
START = np.array([25.0, 1.0])


def valley(x):
    """The height, and the gradient."""
    return x @ B @ x / 2, B @ x


def descend(objective, start, steps, rate):
    """Gradient descent, x <- x - rate * g; returns all points."""
    path = [start]
    for _ in range(steps):
        _, g = objective(path[-1])
        path.append(path[-1] - rate * g)
    return np.array(path)


# %%
# *Gradient descent* is the paper's own way: "we perform gradient descent on a white noise image". It has
# one number to choose, the rate :math:`\eta`. In this valley a step multiplies :math:`x_1` by
# :math:`1 - \eta` and :math:`x_2` by :math:`1 - 25\eta`. The second factor must stay between -1 and 1, so
# :math:`\eta` may not exceed 2/25 = 0.08. The steep direction limits the rate, and then the walk along the
# gentle one is slow. A rate only a little above the limit climbs out of the valley.

for rate in (0.02, 0.07, 0.082):
    end = descend(valley, START, 40, rate)[-1]
    print(f"rate {rate:.3f}: after 40 steps at ({end[0]:7.3f}, {end[1]:7.3f}), height {valley(end)[0]:8.3f}")
    assert np.allclose(end, START * [(1 - rate) ** 40, (1 - 25 * rate) ** 40])
assert abs(1 - 25 * 0.07) < 1 < abs(1 - 25 * 0.082)

# %%
# How far to go: the line search
# ------------------------------
# Suppose a direction :math:`p` has been chosen. Only one question is left: how far? Look at the loss along
# the line, :math:`\varphi(t) = L(x + t p)`, a function of one number. Its slope is
# :math:`\varphi'(t) = g(x + t p) \cdot p`, and at the start it is negative, because :math:`p` leads down.
#
# A step may be too long: it shoots over the minimum, and the loss is higher than before. A step may be too
# short: it gains hardly anything. A :term:`line search` tries steps until one is neither. The usual tests
# are the two *Wolfe conditions* (:ref:`Nocedal and Wright (2006) <nocedal2006>`, chapter 3):
#
# .. math:: \varphi(t) \le \varphi(0) + 10^{-4}\, t\, \varphi'(0) \qquad\qquad
#    \varphi'(t) \ge 0.9\, \varphi'(0)
#
# The first says: *not too long*. The loss must fall by at least a ten-thousandth of what the slope
# promised. The second says: *not too short*. The slope must have become flatter by at least a tenth. If a
# step is too long, try a shorter one; if it is too short, a longer one; and once there is one of either
# kind, try the middle between them.


def line_search(objective, x, p, trials=20):
    """A step t along p that fulfils both Wolfe conditions, and what was tried on the way."""
    height, g = objective(x)
    slope = g @ p
    short, too_long, t, tried = 0.0, None, 1.0, []
    for _ in range(trials):
        height_there, g_there = objective(x + t * p)
        if height_there > height + 1e-4 * t * slope:
            verdict, too_long = "too long", t
        elif g_there @ p < 0.9 * slope:
            verdict, short = "too short", t
        else:
            verdict = "good"
        tried.append((t, verdict))
        if verdict == "good":
            return t, tried
        t = 2 * t if too_long is None else (short + too_long) / 2
    return None, tried


# %%
# Try it from (25, 1) along the negative gradient (-25, -25). The first trial, a step of 1, goes from
# :math:`x_2 = 1` to -24, far up the other side. Three halvings later the search is content.

_, g = valley(START)
t, tried = line_search(valley, START, -g)
for step, verdict in tried:
    print(f"t = {step:5.3f}: height {valley(START - step * g)[0]:7.1f}, {verdict}")
assert [verdict for _, verdict in tried] == ["too long", "too long", "too long", "good"]
assert line_search(valley, START, -g / 1000)[0] > 1  # too short at first: it doubles

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 3.2))
ts = np.linspace(0, 0.17, 200)
axis.axvspan(0.1 / 13, 2 / 13, color="tab:green", alpha=0.12, label="both conditions hold")
axis.plot(ts, [valley(START - t * g)[0] for t in ts], label="height along the line")
axis.plot(ts, valley(START)[0] - ts * (g @ g), "--", color="grey", label="what the slope promises")
axis.plot(t, valley(START - t * g)[0], "o", color="tab:red", label="the step taken")
axis.set(xlabel="t", ylabel="height", ylim=(0, 480))
axis.legend()
tools.save(figure, "l10_line")
# sphinx_gallery_end_ignore

# %%
# The figure shows the height along this line. All steps in the shaded part pass both tests. It is wide: a
# line search does not look for the lowest point of the line, which would cost many evaluations, but for one
# that is good enough.
#
# In the wrong direction there is nothing to find. Along :math:`+g` the loss only rises, so every step is
# too long, and the search gives up. Keep this in mind: it is how a wrong gradient shows itself.

t, tried = line_search(valley, START, +g)
assert t is None and {verdict for _, verdict in tried} == {"too long"}
print(f"uphill: {len(tried)} trials, all of them too long")

# %%
# How L-BFGS walks
# ----------------
# **The ideal step.** Near :math:`x` a smooth function is almost a quadratic, with second derivatives
# :math:`B`. A step :math:`p` changes the gradient from :math:`g` to :math:`g + B p`. At the lowest point
# the gradient is 0, so the ideal step is
#
# .. math:: p = -B^{-1} g
#
# This is Newton's method. In our valley it takes one step. For a picture it is out of reach: :math:`B` has
# a row and a column for each number in the picture.

newton = -np.linalg.inv(B) @ valley(START)[1]
assert np.allclose(START + newton, 0)
n = 512 * 341 * 3
print(f"B for a picture of 512 x 341: {n} x {n} numbers, {n**2 * 4 / 1e12:.1f} TB in float32")

# %%
# **What a step teaches.** We walk anyway, and see the gradient before and after each step. If :math:`s` is
# a step and :math:`y` the change of the gradient along it, then :math:`y = B s`. That is some knowledge of
# :math:`B`, for free. *BFGS* (named after Broyden, Fletcher, Goldfarb and Shanno) keeps a matrix :math:`H`,
# its estimate of :math:`B^{-1}`, and corrects it after each step so that it agrees with what was seen:
#
# .. math:: H y = s
#
# Many matrices do. BFGS takes the symmetric one that is nearest to the old :math:`H`, where "nearest" is
# measured in a certain weighted norm (:ref:`Nocedal and Wright (2006) <nocedal2006>`, chapter 6), so that little
# of what was learned before is lost. We take this from the book, and check the properties that we need. The
# correction multiplies :math:`H` from both sides, and adds a matrix:
#
# .. math:: H_{new} = V^T H V + \rho\, s s^T, \qquad V = 1 - \rho\, y s^T, \qquad \rho = \frac{1}{s^T y}
#
# (1 is the identity matrix. :math:`y s^T` is a matrix too: its entry :math:`i, j` is :math:`y_i s_j`.) Why
# does :math:`H_{new}\, y = s` hold? Apply the parts to :math:`y`:
#
# - The factor :math:`V` takes :math:`y` to 0: :math:`V y = y - \rho\, y\, (s^T y) = y - y = 0`.
# - What is added takes :math:`y` to :math:`s`: :math:`\rho\, s\, (s^T y) = s`.
#
# If :math:`H` is symmetric, so is :math:`H_{new}`. And if :math:`s^T y > 0`, a positive :math:`H` stays
# positive: :math:`z^T H_{new} z = (V z)^T H (V z) + \rho\, (s^T z)^2`. Then :math:`-H g` always leads
# downhill. The second Wolfe condition is there for this: along a step :math:`s = t\, p`,
# :math:`s^T y = t\,(\varphi'(t) - \varphi'(0))`, which is positive if the slope has become flatter.


def bfgs_update(H, s, y):
    """H after it has learned of a step s and its y."""
    rho = 1 / (s @ y)
    V = np.eye(len(s)) - rho * np.outer(y, s)
    return V.T @ H @ V + rho * np.outer(s, s)


# %%
# **A step with numbers.** The first step follows the negative gradient to the lowest point of its line.
# There :math:`t = g^T g / g^T B g` = 1250 / 16250 = 1/13, so that
#
# .. math:: s = \left(-\tfrac{25}{13}, -\tfrac{25}{13}\right), \qquad
#    y = B s = \left(-\tfrac{25}{13}, -\tfrac{625}{13}\right), \qquad
#    V = \tfrac{1}{26} \begin{pmatrix} 25 & -1 \\ -25 & 1 \end{pmatrix}
#
# Before the first update, :math:`H` is a multiple :math:`\gamma` of the identity. The usual choice is
# :math:`\gamma = s^T y / y^T y`, the inverse of the curvature along the step, here 26/626 = 0.042.

g_0 = B @ START
s = -(g_0 @ g_0) / (g_0 @ B @ g_0) * g_0
y = B @ s
gamma = (s @ y) / (y @ y)
H = bfgs_update(gamma * np.eye(2), s, y)
print(f"s = {s.round(3)}, y = {y.round(3)}, gamma = {gamma:.3f}\nH =\n{H.round(3)}")
assert np.allclose(np.eye(2) - np.outer(y, s) / (s @ y), np.array([[25, -1], [-25, 1]]) / 26)
assert np.allclose(H @ y, s)

# %%
# This :math:`H` is still far from :math:`B^{-1}`, which has 1 and 0.04 on its diagonal. Yet it is good
# enough where it is needed: from the point reached, :math:`-H g` points straight at the minimum, and the
# second step ends there. Gradient descent, given the lowest point of each line, needs many more: it crosses
# the floor again and again, and each step takes it only 1/13 of the way to the minimum.

first_point = START + s
p = -H @ (B @ first_point)
assert np.isclose(p[0] * first_point[1], p[1] * first_point[0])  # along the line through the minimum,
assert p @ first_point < 0  # and towards it
second_point = first_point - (p @ B @ first_point) / (p @ B @ p) * p
assert np.allclose(second_point, 0)
steepest = [START]
for _ in range(30):
    g = B @ steepest[-1]
    steepest.append(steepest[-1] - (g @ g) / (g @ B @ g) * g)
assert np.allclose(np.linalg.norm(steepest, axis=1), np.linalg.norm(START) * (12 / 13) ** np.arange(31))

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 2.6))
across, along = np.meshgrid(np.linspace(-2, 27, 100), np.linspace(-1.6, 1.6, 100))
axis.contour(across, along, across**2 + 25 * along**2, colors="#999999", linewidths=0.7)
axis.plot(*np.transpose(steepest), ".-", label="gradient descent, 30 steps")
axis.plot(*np.transpose([START, first_point, second_point]), "o-", label="BFGS, 2 steps", markersize=5)
axis.set(xlabel="$x_1$", ylabel="$x_2$")
axis.legend(loc="lower left")
tools.save(figure, "l10_valley")
# sphinx_gallery_end_ignore

# %%
# In the figure the valley runs from right to left. Both walks share their first step. Then BFGS goes
# straight to the minimum, and gradient descent zigzags.
#
# The two-loop recursion
# ----------------------
# :math:`H` is as large as :math:`B`: it does not fit either. **L** is for *limited memory*
# (:ref:`Liu and Nocedal (1989) <liu1989>`): keep the last few pairs :math:`(s, y)`, ten in the package, and
# never the matrix. All that is wanted is one product, :math:`H g`.
#
# Let :math:`H` be the result of several updates. The last one used the pair :math:`(s, y)`, and before it
# the matrix was :math:`H_{old}`. Then
#
# .. math:: H g = V^T H_{old} \left(V g\right) + \rho\, s\, (s^T g)
#
# Read it from right to left, as it is computed. Each line needs only vectors and one number:
#
# 1. :math:`a = \rho\, s^T g` and :math:`q = V g = g - a\, y`.
# 2. :math:`r = H_{old}\, q`. This is the same problem, with one pair fewer.
# 3. :math:`b = \rho\, y^T r`. Then :math:`V^T r = r - b\, s`, and the last summand is :math:`a\, s`.
#    Together: :math:`H g = r + (a - b)\, s`.
#
# The number :math:`a` of line 1 is needed again in line 3: that is the whole trick. When no pairs are left,
# :math:`H` is the number :math:`\gamma`. As a program this is a function that calls itself:


def times_H(g, pairs, gamma):
    """H g, where H is gamma, updated with the pairs (s, y) in order of time."""
    if not pairs:
        return gamma * g
    *earlier, (s, y) = pairs
    a = (s @ g) / (s @ y)
    r = times_H(g - a * y, earlier, gamma)
    b = (y @ r) / (s @ y)
    return r + (a - b) * s


assert np.allclose(times_H(g_0, [(s, y)], gamma), H @ g_0)

# %%
# Now unroll it. Going in, the calls run from the latest pair to the earliest, and each keeps its :math:`a`.
# Coming back, they run from the earliest to the latest. These are the two loops of the *two-loop recursion*
# (:ref:`Nocedal and Wright (2006) <nocedal2006>`, algorithm 7.4). With ten pairs they cost 40
# multiplications and 40 additions for each number of the picture, far less than an evaluation of (7).
#
# .. drawing:: lbfgs
#    :alt: Three pairs s, y in a row. The first loop passes them from the newest to the oldest and leaves a number a at each; then the vector is scaled by gamma; the second loop passes them from the oldest to the newest and uses the numbers a again.
#    :name: drawing-lbfgs
#
#    The two loops with three pairs. Each pair is visited twice, and its number :math:`a` is kept from the
#    first visit for the second.


def direction(g, pairs):
    """-H g by two loops over the pairs (s, y), which are in order of time."""
    r, kept = g.copy(), []
    for s, y in reversed(pairs):
        a = (s @ r) / (s @ y)
        r -= a * y
        kept.append(a)
    if pairs:
        s, y = pairs[-1]
        r *= (s @ y) / (y @ y)  # gamma, from the latest pair
    for s, y in pairs:
        b = (y @ r) / (s @ y)
        r += (kept.pop() - b) * s
    return -r


# %%
# Is it right? We walk down a quadratic in 8 dimensions, each step 0.9 times as far as the lowest point of
# its line. From the eight pairs we build the dense matrix :math:`H` by one update after the other.


def walk(B, x, steps, memory, factor=1.0):
    """Down the quadratic x B x / 2, each step `factor` times as far as the lowest point of its line."""
    path, pairs = [x], []
    for _ in range(steps):
        remembered = pairs[-memory:] if memory else []
        p = direction(B @ x, remembered)
        s = -factor * (p @ B @ x) / (p @ B @ p) * p
        x = x + s
        path.append(x)
        pairs.append((s, B @ s))
    return np.array(path), pairs


B_8 = np.diag(np.geomspace(1, 100, 8))
_, pairs = walk(B_8, rng.normal(size=8), steps=8, memory=10, factor=0.9)
s, y = pairs[-1]
gamma = (s @ y) / (y @ y)
dense = gamma * np.eye(8)
for pair in pairs:
    dense = bfgs_update(dense, *pair)

# %%
# The dense matrix, the recursion, our two loops, and those of
# :func:`lbfgs.direction <nnstyle.optimizers.lbfgs.direction>` in the package all give the same product.

g = rng.normal(size=8)
expected = dense @ g
package_steps = [lbfgs.Step(s, y, 1 / (s @ y), (s @ y) / (y @ y)) for s, y in pairs]
assert tools.relative_error(times_H(g, pairs, gamma), expected) < 1e-10
assert tools.relative_error(-direction(g, pairs), expected) < 1e-10
assert tools.relative_error(-lbfgs.direction(g, package_steps), expected) < 1e-10

# %%
# So :math:`H` has the three properties derived above: it is symmetric, it is positive, and it agrees with
# the latest step. A wrong twin runs through the second loop in the order of the first. Its product is another
# one, and it does not agree with the latest step.


def wrong_order(g, pairs, gamma):
    """The two loops, but both from the latest pair to the earliest."""
    r, kept = g.copy(), []
    for s, y in reversed(pairs):
        kept.append((s @ r) / (s @ y))
        r -= kept[-1] * y
    r *= gamma
    for (s, y), a in zip(reversed(pairs), kept):
        r += (a - (y @ r) / (s @ y)) * s
    return r


assert np.allclose(dense, dense.T)
assert np.linalg.eigvalsh(dense).min() > 0
assert tools.relative_error(-direction(y, pairs), s) < 1e-10
seen = tools.relative_error(wrong_order(g, pairs, gamma), expected)
disagreement = tools.relative_error(wrong_order(y, pairs, gamma), s)
print(f"in the wrong order: relative error {seen:.1g}; off the latest step by {disagreement:.1g}")
assert seen > 0.1
assert disagreement > 0.05

# %%
# And if we go exactly to the lowest point of each line? In 2 dimensions the walk ended with the second
# step; in 8 it ends with the eighth. On a quadratic this is a theorem: each step removes one dimension for
# good. A picture's loss is no quadratic and a line search is not exact, so there the end is less abrupt.

path, exact_pairs = walk(B_8, rng.normal(size=8), steps=8, memory=10)
lengths = np.linalg.norm(path @ B_8, axis=1)  # of the gradients
print("gradient, relative to the first:", *[f"{length:.0e}" for length in lengths / lengths[0]])
assert lengths[7] > 1e-4 * lengths[0]
assert lengths[8] < 1e-10 * lengths[0]

# %%
# There is a trap in this. After exact steps, :math:`s^T y = 0` for any two different pairs, and then the
# order of the updates makes no difference. A test with such pairs would let the wrong twin pass.

(s_3, _), (_, y_5) = exact_pairs[3], exact_pairs[5]
assert abs(s_3 @ y_5) < 1e-10
exact_s, exact_y = exact_pairs[-1]
exact_gamma = (exact_s @ exact_y) / (exact_y @ exact_y)
unseen = tools.relative_error(wrong_order(g, exact_pairs, exact_gamma), -direction(g, exact_pairs))
print(f"in the wrong order, after exact steps: relative error {unseen:.0e}")
assert unseen < 1e-6

# %%
# How Adam walks
# --------------
# :term:`Adam` (:ref:`Kingma and Ba (2015) <kingma2015>`) has no line search and no pairs. It changes the
# gradient in three ways before it steps. (Its :math:`\eta` is a rate; its two decays 0.9 and 0.999 are
# called :math:`\beta_1` and :math:`\beta_2` by its authors, and have nothing to do with our beta.)
#
# - *Momentum.* Instead of the gradient it uses :math:`m`, a mean of the latest gradients. Across a valley
#   gradients alternate, and in the mean they cancel. Along the valley they agree, and add up.
# - *A scale for each number.* :math:`v` is such a mean of the squares. A step is divided by its root. So
#   the unit of the loss drops out, and each number moves by about :math:`\eta`.
# - *A correction.* Both means begin at 0, and are too small at first. If :math:`g` is constant, then after
#   :math:`t` steps :math:`m = 0.1\, g\, (1 + 0.9 + \dots + 0.9^{t-1}) = (1 - 0.9^t)\, g`. So :math:`m` is
#   divided by :math:`1 - 0.9^t`, and :math:`v` likewise.
#
# .. math:: m \leftarrow 0.9\, m + 0.1\, g \qquad v \leftarrow 0.999\, v + 0.001\, g^2 \qquad
#    x \leftarrow x - \eta\, \frac{m / (1 - 0.9^t)}{\sqrt{v / (1 - 0.999^t)} + 10^{-8}}


def adam_by_the_paper(gradients, rate, corrected=True):
    """The points that Adam visits, from 0, if it gets these gradients one after the other."""
    m = v = x = 0
    points = []
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        m_hat = m / (1 - 0.9**t) if corrected else m
        v_hat = v / (1 - 0.999**t) if corrected else v
        x = x - rate * m_hat / (np.sqrt(v_hat) + 1e-8)
        points.append(x)
    return np.array(points)


# %%
# The first step shows two of the three: it is exactly as long as the rate, whatever the gradient, because
# :math:`g / \sqrt{g^2}` is a sign. The wrong twin forgets the correction. Its first step is
# :math:`0.1 / \sqrt{0.001}` = 3.2 times too long.

gradients = rng.normal(1, 2, (40, 5))
points = adam_by_the_paper(gradients, rate=2)
uncorrected = adam_by_the_paper(gradients, rate=2, corrected=False)
print("first step:", np.abs(points[0]).round(2), "uncorrected:", np.abs(uncorrected[0]).round(2))
assert np.allclose(np.abs(points[0]), 2)
assert np.allclose(np.abs(uncorrected[0]), 2 * np.sqrt(10))
assert np.allclose(adam_by_the_paper(1e6 * gradients, rate=2), points)  # in another unit

# %%
# And momentum: with a gradient that alternates, the 20th step is less than a tenth of the rate; with a
# constant one, all steps have the length of the rate.

alternating = adam_by_the_paper((-1.0) ** np.arange(40), rate=2)
constant = adam_by_the_paper(np.ones(40), rate=2)
print(
    f"20th step: {abs(alternating[20] - alternating[19]):.2f} across, {constant[19] - constant[20]:.2f} along"
)
assert np.abs(np.diff(alternating[20:])).max() < 0.1 * 2
assert np.allclose(np.diff(constant), -2)

# %%
# :func:`adam.minimize <nnstyle.optimizers.adam.minimize>` does the same. It calls back after each iteration
# with the picture that it would return and, in ``history``, the point :math:`x` where it stands. To
# compare, we give it an objective that hands out our list of gradients.


def points_of_adam(objective, start, steps, rate):
    """Where the package's Adam stands after each step, and the pictures that it would return."""
    points, shown = [], []

    def keep(image, loss, history):
        points.append(history["x"])
        shown.append(image)

    adam.minimize(objective, start, steps, callback=keep, learning_rate=rate)
    return np.array(points), np.array(shown)


following = iter(gradients)
package_points, _ = points_of_adam(lambda x: (0.0, next(following)), np.zeros(5), 39, rate=2)
assert tools.relative_error(package_points, points[:39]) < 1e-12
assert tools.relative_error(package_points, uncorrected[:39]) > 0.1

# %%
# **A mean of the points.** Why does it return another picture than the point where it stands? Steps that
# are about as long as :math:`\eta` do not become shorter at the bottom of a valley. If the gradient is
# noisy, the points jump about the minimum for ever. In their moving average the jumps cancel, so that is
# what ``adam.minimize`` returns.


def noisy_valley(x):
    """The valley, with a random error in each gradient."""
    height, g = valley(x)
    return height, g + rng.normal(scale=(1, 25))


points, means = points_of_adam(noisy_valley, START, 200, rate=5)
distance = np.sqrt((points[100:] ** 2).mean())
distance_of_means = np.sqrt((means[100:] ** 2).mean())
print(f"typical distance from the minimum: {distance:.2f}; of the means: {distance_of_means:.2f}")
assert distance_of_means < 0.7 * distance

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 3))
across, along = np.meshgrid(np.linspace(-13, 27, 100), np.linspace(-6, 9, 100))
axis.contour(across, along, across**2 + 25 * along**2, colors="#999999", linewidths=0.7)
axis.plot(*points.T, ".-", label="the points", linewidth=0.7, markersize=4)
axis.plot(*means.T, ".-", label="their moving average", linewidth=0.7, markersize=4)
axis.set(xlabel="$x_1$", ylabel="$x_2$")
axis.legend(loc="lower right")
tools.save(figure, "l10_adam")
# sphinx_gallery_end_ignore

# %%
# In the figure both come from the right. Around the minimum the points spread widely, and their average
# stays near it.
#
# Three ways down equation (7)
# ----------------------------
# Now all three paint. Whatever happens between evaluations of (7), the evaluations take almost all the
# time. So each way gets the same number of them, 80. L-BFGS may need several for one iteration; they all
# count. This class counts, and keeps the best picture.

EVALUATIONS = 80


class Watched:
    """An objective that notes its losses, its time, and the best picture."""

    def __init__(self, objective):
        self.objective = objective
        self.losses, self.best, self.seconds = [], None, 0.0

    def __call__(self, image):
        began = time.perf_counter()
        loss, gradient = self.objective(image)
        self.seconds += time.perf_counter() - began
        if len(self.losses) < EVALUATIONS:
            if loss < min(self.losses, default=np.inf):
                self.best = image
            self.losses.append(loss)
        return loss, gradient


def gradient_descent(objective, start, evaluations, rate):
    """As above, but it stops when it climbs."""
    image, first = start, None
    for _ in range(evaluations):
        loss, g = objective(image)
        first = first or loss
        if loss > 10 * first:
            return
        image = image - rate * g


# %%
# Gradient descent and Adam get several rates, because nobody knows the right one beforehand. L-BFGS has no
# rate. It is SciPy's L-BFGS-B (:ref:`Byrd, Lu, Nocedal and Zhu (1995) <byrd1995>`) inside
# :func:`scipy_lbfgsb.minimize <nnstyle.optimizers.scipy_lbfgsb.minimize>`, which is the package's default.

ways = {f"gradient descent, {rate}": partial(gradient_descent, rate=rate) for rate in (0.3, 1, 3)}
ways |= {f"Adam, {rate}": partial(adam.minimize, learning_rate=rate) for rate in (2, 10)}
ways |= {"L-BFGS": minimize}
content = preprocess(tools.photo(SIZE), weights.preprocessing)
style = preprocess(tools.painting(SIZE), weights.preprocessing)
runs, wall = {}, {}
with Engine() as engine:
    objective = equation_7(Network(weights, engine=engine), content, style)
    for name, walk_down in ways.items():
        runs[name] = Watched(objective)
        began = time.perf_counter()
        walk_down(runs[name], content, EVALUATIONS)
        wall[name] = time.perf_counter() - began
lowest = {name: min(run.losses) / run.losses[0] for name, run in runs.items()}
for name, loss in lowest.items():
    print(f"{name:>21}: {100 * loss:6.2f} % of the initial loss remains")
print(f"time spent in evaluations, L-BFGS: {runs['L-BFGS'].seconds / wall['L-BFGS']:.0%}")

# %%
# L-BFGS wins. It has the lowest loss after 80 evaluations, and needs far fewer than 80 to get below all
# that any gradient descent reaches. The best rate of gradient descent stands next to one at which it climbs
# and has to be stopped: as in the valley, the steepest direction sets the limit.

descents = [loss for name, loss in lowest.items() if name.startswith("gradient")]
overtaken = np.argmax(np.divide(runs["L-BFGS"].losses, runs["L-BFGS"].losses[0]) < min(descents))
print(f"L-BFGS is below the best of gradient descent after {overtaken} evaluations")
assert runs["L-BFGS"].seconds > wall["L-BFGS"] / 2
assert min(lowest, key=lowest.get) == "L-BFGS"
assert overtaken < 60
assert len(runs["gradient descent, 3"].losses) < 10  # it climbs

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 4))
for name, run in runs.items():
    axis.semilogy(np.divide(run.losses, run.losses[0]), label=name)
axis.set(xlabel="evaluations of (7)", ylabel="loss / initial loss", ylim=(None, 2))
axis.legend()
tools.save(figure, "l10_losses")

shown = [
    min((name for name in ways if name.startswith(kind)), key=lowest.get)
    for kind in ("gradient", "Adam", "L-BFGS")
]
pictures = [deprocess(runs[name].best, weights.preprocessing) for name in shown]
titles = [f"{name}: {100 * lowest[name]:.1f} % remains" for name in shown]
tools.save(tools.grid(pictures, titles, width=11), "l10_pictures")
# sphinx_gallery_end_ignore

# %%
# The first figure shows the losses. The line that leaves at the top is gradient descent at a rate of 3. The
# second shows the best picture of each way: from left to right, the greens and greys of the photograph give
# way to the painting's blue and orange, and strokes become longer.
#
# When Adam is the right one
# --------------------------
# A line search compares losses at two points. It needs a loss that is the same each time it is asked. Some
# objectives are not: for example one that shifts the picture at random before each evaluation, so that no
# pattern can depend on one alignment. Here is the simplest of the kind. It evaluates (7) at the picture
# plus fresh random noise, and so asks for a picture that looks good under noise.

content = preprocess(tools.photo(96), weights.preprocessing)
style = preprocess(tools.painting(96), weights.preprocessing)
objective = equation_7(Network(weights), content, style)


def shaken(image):
    """Equation (7) at the picture with new noise."""
    return objective(image + rng.normal(scale=20, size=image.shape).astype(np.float32))


def typical_loss(image):
    """The mean over several kinds of noise."""
    return np.mean([shaken(image)[0] for _ in range(8)])


# %%
# L-BFGS compares two losses that cannot be compared. It finds no lower one, and gives up. Adam goes on.

by_lbfgs, reason = minimize(shaken, content, EVALUATIONS)
by_adam, _ = adam.minimize(shaken, content, EVALUATIONS, learning_rate=5)
start_loss = typical_loss(content)
remains_lbfgs = typical_loss(by_lbfgs) / start_loss
remains_adam = typical_loss(by_adam) / start_loss
print(f"L-BFGS: {100 * remains_lbfgs:.1f} % of the initial loss remains ({reason.split(' (')[0]})")
print(f"  Adam: {100 * remains_adam:.1f} % of the initial loss remains")
assert reason.startswith("no lower loss was found")
assert remains_adam < 0.9 * remains_lbfgs

# %%
# What could go wrong
# -------------------
# Five mistakes, tried on a quadratic whose curvatures go from 1 to 100. At its minimum all numbers are 3.
# Its lowest value is not 0 but 1e9, because the losses of real pictures are as large.


def quadratic(x):
    """A loss in float64, and its gradient."""
    curvatures = np.geomspace(1, 100, x.size)
    return 1e9 + np.sum(curvatures * (x - 3) ** 2) / 2, curvatures * (x - 3)


def above_the_minimum(objective):
    """What is left after 500 iterations, or as many as the optimizer finds possible."""
    end, _ = minimize(objective, np.zeros(48), 500)
    return quadratic(end)[0] - 1e9


start_height = quadratic(np.zeros(48))[0] - 1e9
print(f"at the start: {start_height:.0f} above the minimum; in the end: {above_the_minimum(quadratic):.1e}")
assert above_the_minimum(quadratic) < 1e-5

# %%
# *A gradient of the wrong sign, or 1000 times too long.* It promises what no step can keep. The line search
# finds every step too long and gives up at the start. This mistake is loud.


def wrong_sign(x):
    loss, g = quadratic(x)
    return loss, -g


def a_thousand_times(x):
    loss, g = quadratic(x)
    return loss, 1000 * g


for wrong in (wrong_sign, a_thousand_times):
    print(f"{wrong.__name__:>16}: {above_the_minimum(wrong):.1e} above the minimum")
    assert above_the_minimum(wrong) > 0.9 * start_height

# %%
# *A gradient that is twice too long.* Half of what it promises is kept, which is enough for the first Wolfe
# condition. It arrives at the minimum as if nothing were wrong. A falling loss therefore proves no
# gradient; only a gradient check does.


def twice(x):
    loss, g = quadratic(x)
    return loss, 2 * g


print(f"{'twice':>16}: {above_the_minimum(twice):.1e} above the minimum")
assert above_the_minimum(twice) < 1e-5

# %%
# *A loss in float32.* Near 1e9 two neighbouring numbers of :term:`float32` are 64 apart. A gain of less is
# invisible, and the line search gives up early. The package adds its losses up in float64.


def in_float32(x):
    loss, g = quadratic(x)
    return float(np.float32(loss)), g


print(f"{'in_float32':>16}: {above_the_minimum(in_float32):.1e} above the minimum")
assert np.spacing(np.float32(1e9)) == 64
assert above_the_minimum(in_float32) > 0.01

# %%
# *A first step of length 1.* Before the first pair there is no :math:`\gamma`, and SciPy begins with a step
# whose length is 1. That is the length of the whole step, over all numbers: for a picture it moves each by
# nearly nothing, and the line search wastes evaluations on enlarging it. ``minimize`` therefore hands SciPy
# the picture in units of :math:`\sqrt{n}`, where :math:`n` is how many numbers it has. Then the first step
# moves each by about 1.


class Counted:
    """An objective that counts its evaluations."""

    def __init__(self, objective):
        self.objective, self.count = objective, 0

    def __call__(self, x):
        self.count += 1
        return self.objective(x)


in_units, plain = Counted(quadratic), Counted(quadratic)
minimize(in_units, np.zeros(10000), iterations=1)
one_iteration = OPTIONS | {"maxiter": 1}
scipy.optimize.minimize(plain, np.zeros(10000), jac=True, method="L-BFGS-B", options=one_iteration)
print(f"evaluations in the first iteration: {in_units.count}; without the unit: {plain.count}")
assert in_units.count < plain.count

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) A picture is 512 x 341 pixels, in float32. How much memory do ten pairs :math:`(s, y)` need? How
#    much would the matrix :math:`H` need?
#
# .. solution::
#
# Twenty arrays as large as the picture, against one number for each pair of numbers.

numbers = 512 * 341 * 3
megabytes_of_pairs = 20 * numbers * 4 / 1e6
terabytes_of_H = numbers**2 * 4 / 1e12
print(f"ten pairs: {megabytes_of_pairs:.0f} MB; H: {terabytes_of_H:.1f} TB")
assert round(megabytes_of_pairs) == 42 and round(terabytes_of_H, 1) == 1.1

# %%
# .. exercise::
#
#    (easy) Minimize ``quadratic`` by ``scipy.optimize.minimize`` with ``method="L-BFGS-B"`` and its own
#    tolerances. Why does it stop early?
#
# .. solution::
#
# By default it stops when an iteration gains less than 2e-9 of the loss. But 1e9 of this loss is a
# constant, which no step can reduce. So it stops when a step gains about 2, although all of what matters is
# still to come. The package switches this test off (``ftol`` is 0 in ``OPTIONS``).

default = scipy.optimize.minimize(quadratic, np.zeros(48), jac=True, method="L-BFGS-B")
print(f"{default.fun - 1e9:.1e} above the minimum. {default.message}")
assert default.fun - 1e9 > 0.01

# %%
# .. exercise::
#
#    (medium) The package's :func:`adam.moving_average <nnstyle.optimizers.adam.moving_average>` does not
#    divide by :math:`1 - d^t` (:math:`d` is the decay). It computes
#    :math:`\hat m_t = \hat m_{t-1} + \frac{1 - d}{1 - d^t} (g_t - \hat m_{t-1})`. Show that this is
#    :math:`m_t / (1 - d^t)`.
#
# .. solution::
#
# Put :math:`m_{t-1} = (1 - d^{t-1})\, \hat m_{t-1}` into :math:`m_t = d\, m_{t-1} + (1 - d)\, g_t`, and
# divide:
#
# .. math:: \hat m_t = \frac{(d - d^t)\, \hat m_{t-1} + (1 - d)\, g_t}{1 - d^t}
#
# Since :math:`d - d^t = (1 - d^t) - (1 - d)`, the first part is :math:`\hat m_{t-1}` minus
# :math:`\frac{1 - d}{1 - d^t}\, \hat m_{t-1}`.

m = m_hat = 0.0
for t, g in enumerate(rng.normal(size=20), start=1):
    m = 0.9 * m + 0.1 * g
    m_hat = adam.moving_average(m_hat, g, 0.9, t)
    assert np.isclose(m_hat, m / (1 - 0.9**t))

# %%
# .. exercise::
#
#    (medium) On a function with a hump, a step can have :math:`s^T y < 0`. What does a BFGS update with
#    such a pair do to :math:`H`? What should a program do with it?
#
# .. solution::
#
# Along :math:`y` the product is :math:`y^T H y = y^T s < 0`, so :math:`H` is no longer positive, and there
# are gradients for which :math:`-H g` leads uphill. A program should not remember such a pair.
# (``lbfgs.remember`` leaves it out.)

bad_s, bad_y = np.array([1.0, 0.0]), np.array([-2.0, 0.5])
spoiled = bfgs_update(np.eye(2), bad_s, bad_y)
assert np.linalg.eigvalsh(spoiled).min() < 0
assert bad_y @ (-spoiled @ bad_y) > 0  # for g = y, the direction leads uphill
remembered = []
lbfgs.remember(remembered, bad_s, bad_y)
assert remembered == []

# %%
# .. exercise::
#
#    (hard) How many pairs are needed for the walk in 8 dimensions to end with the eighth step? Find out
#    with ``walk``, first with exact steps, then with each step only 0.9 times as long (``factor=0.9``).
#
# .. solution::
#
# With exact steps a single pair is enough: then the directions are those of the method of conjugate
# gradients, which also ends after as many steps as there are dimensions. With inexact steps none ends
# there, and more memory helps.

ends = {}
for memory in (0, 1, 3, 10):
    for factor in (1.0, 0.9):
        path, _ = walk(B_8, np.ones(8), 16, memory, factor)
        lengths = np.linalg.norm(path @ B_8, axis=1) / np.linalg.norm(B_8 @ np.ones(8))
        ends[memory, factor] = lengths[[8, 16]]
        print(f"{memory:2} pairs, steps times {factor}: {lengths[8]:.0e} after 8, {lengths[16]:.0e} after 16")
assert ends[0, 1.0][0] > 1e-3
assert max(ends[1, 1.0][0], ends[3, 1.0][0], ends[10, 1.0][0]) < 1e-7
assert ends[10, 0.9][1] < ends[1, 0.9][1] / 10

# %%
# With a VGG-16
# -------------
# All this also runs with a VGG-16 of full width, rescaled as in :doc:`appendix B <a2_rescaling>`
# (``python -m lessons.l10_both_and_lbfgs --size 96 --weights FILE``). The gradient check and the order of
# the three ways are the same: of the initial loss 5.1 % remains with L-BFGS and 5.8 % with the better rate
# of Adam; with the embedded network and this size it is 1.2 % and 1.5 %. What differs is gradient descent:
# there all three rates climb at once, because its losses curve more steeply. A rate has to be found anew
# for each network, and L-BFGS finds its own.
#
# Where next
# ----------
# :doc:`l11_the_picture`: with the sum and a way down, the paper's figures. In the package:
# ``nnstyle/objective.py`` and ``nnstyle/optimizers/``.

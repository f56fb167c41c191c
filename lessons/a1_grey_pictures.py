r"""
Appendix A. Why did an earlier attempt give grey pictures?
==========================================================

*The paper's section: Methods, equation (7), as somebody else once programmed it.*

The package of this book was not the first attempt. The project that it grew from had another program for the
same paper, and showed a table of nine pictures, for three style weights and three lengths of the run. Nearly
all of them were grey. This appendix finds out why. It is a detective story with several suspects, and it
shows how one looks for a mistake in a program that runs, lowers its loss, and does not paint.

*Reading time: 25 minutes. Difficulty: 2 of 3. You need: lessons 10 and 11.*
"""

# %%
# The evidence
# ------------
# This is known of the old program:
#
# - Pictures of 256 x 256, started from noise.
# - The losses were means of squares, with the factors 5 for content, 500 times beta for style, and 100 for
#   :term:`total variation`, at the paper's layers.
# - beta was 100, 1000 or 10000, and the run had 100, 500 or 1000 steps. These are the nine pictures.
# - The optimizer was :term:`Adam`, with a rate of 0.001.
#
# This is not known, and assumed here: the noise was uniform from 0 to 255, and total variation was a sum of
# squared differences, divided by how many numbers the picture has. We use smaller pictures and this book's
# network. Neither makes a difference to the argument, as we shall see.

import numpy as np

import nnstyle
from lessons import tools
from nnstyle import Engine, Network, Objective, Settings, losses, set_targets
from nnstyle.objective import paper_terms
from nnstyle.optimizers import adam
from nnstyle.optimizers.scipy_lbfgsb import minimize
from nnstyle.pictures import deprocess, preprocess

SIZE = tools.size(__name__, 96, smallest=48)
weights = tools.weights(__name__)
if not weights.rescaled:  # another network: first as loud as the embedded one (lesson 12)
    weights = nnstyle.weights.rescale(weights, [tools.photo(), tools.painting()], "average")
scaling = weights.preprocessing
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
EQUAL = (1 / 5,) * 5
OLD_BETAS, OLD_STEPS, OLD_RATE = (100, 1000, 10000), (100, 500, 1000), 0.001

network = Network(weights)
photo = preprocess(tools.photo(SIZE), scaling)
painting = preprocess(tools.painting(SIZE), scaling)
noise = np.random.default_rng(0).uniform(0, 255, photo.shape) - scaling.mean  # the scale is 1 here

# %%
# The old loss in the words of this book
# --------------------------------------
# To use what we have, we write the old loss as equation (7), plus total variation. Each mean of squares is
# a loss of the paper with another factor.
#
# - *Content.* Equation (1) is half the sum of squares. The mean is the sum divided by how many numbers
#   :math:`n` the feature map has. So :math:`5 \cdot \text{mean} = \alpha L_{content}` with
#   :math:`\alpha = 10 / n`.
# - *Style.* Equation (4) is :math:`E_l = \frac{1}{4 N^2 M^2} \sum (G - A)^2`. The mean of
#   :math:`(G/M - A/M)^2` over :math:`N^2` entries is 4 times that. Their sum over five layers is
#   :math:`4 \cdot 5 \cdot L_{style}`, as each :math:`w_l` is 1/5. So the factor of :math:`L_{style}` is
#   :math:`500\, \beta_{old} \cdot 20`.


def old_settings(old_beta):
    """The old program's factors as settings of the package."""
    content_size = network.forward(photo, ["conv4_2"])[0]["conv4_2"].size
    return Settings(
        alpha=10 / content_size,
        beta=500 * old_beta * 20,
        tv_weight=100 / noise.size,
        layer_weights=EQUAL,
    )


def objective_for(network, settings):
    """Equation (7), and total variation where it has a weight."""
    terms = paper_terms(settings, network.engine)
    set_targets(terms, network, photo, painting)
    return Objective(network, terms)


old_objectives = {old_beta: objective_for(network, old_settings(old_beta)) for old_beta in OLD_BETAS}

# %%
# A translation must be checked. Here is the old loss once more, in means of squares, as the program had it.


def old_loss(image, old_beta):
    """The loss in the old program's own form."""
    maps, _ = network.forward(image, ["conv4_2", *STYLE_LAYERS])
    photo_maps, _ = network.forward(photo, ["conv4_2"])
    painting_maps, _ = network.forward(painting, STYLE_LAYERS)
    content = np.mean((maps["conv4_2"] - photo_maps["conv4_2"]) ** 2)
    style = 0.0
    for layer in STYLE_LAYERS:
        G = losses.gram_matrix(maps[layer]) / maps[layer][..., 0].size
        A = losses.gram_matrix(painting_maps[layer]) / painting_maps[layer][..., 0].size
        style += np.mean((G - A) ** 2)
    down, right = np.diff(image, axis=0), np.diff(image, axis=1)
    variation = (np.sum(down**2) + np.sum(right**2)) / image.size
    return 5 * content + 500 * old_beta * style + 100 * variation


for old_beta, objective in old_objectives.items():
    print(f"old beta {old_beta:5}: {old_loss(noise, old_beta):.6g}, translated {objective(noise)[0]:.6g}")
    assert np.isclose(objective(noise)[0], old_loss(noise, old_beta), rtol=1e-4)

# %%
# First suspect: the weights
# --------------------------
# Was there too little style? Lesson 11 found that a good ratio here is about 1000 of beta for each pixel,
# with alpha = 1. In this unit even the smallest of the old weights is large:

pixels = noise.size / 3
for old_beta in OLD_BETAS:
    settings = old_settings(old_beta)
    per_pixel = settings.beta / settings.alpha / pixels
    print(f"old beta {old_beta:5}: {per_pixel:.0e} per pixel, {per_pixel / 1000:.0e} times ours")
    assert per_pixel > 100 * 1000

# %%
# So the style weights were far too large, not too small. That is a mistake: there would be next to nothing
# of the photograph. But it is not *this* mistake: the pictures would be full of the painting's colours, and
# not grey. The first suspect has an alibi.
#
# Second suspect: the rate
# ------------------------
# Remember Adam (:doc:`lesson 10 <l10_both_and_lbfgs>`). It divides a mean of the gradients by the root of a
# mean of their squares. For a constant gradient the quotient is a sign, 1 or -1, whatever the loss and its
# weights. Then a step is as long as the rate. The rate was 0.001, in levels of 0 to 255. After 1000 steps a
# pixel has moved by about
#
# .. math:: 1000 \cdot 0.001 = 1 \text{ level of } 255
#
# That would explain it, for any network, any size, and any weights: nothing was painted at all. But the
# gradient is not constant. Let us run it.


def old_adam(objective, image, steps, hold=1):
    """Adam at the old rate, all its points; each gradient serves for `hold` steps."""
    m = v = 0.0
    points = []
    for t in range(1, steps + 1):
        if (t - 1) % hold == 0:
            g = np.asarray(objective(image)[1], float)
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        image = image - OLD_RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        points.append(image)
    return points


# %%
# With steps as short as these the gradient hardly changes from one to the next. So we compute it for every
# tenth step only. Does that change the result? For the first 100 steps we do it both ways.

runs = {old_beta: old_adam(old_objectives[old_beta], noise, 1000, hold=10) for old_beta in OLD_BETAS}
exact = old_adam(old_objectives[1000], noise, 100)[-1]
difference = np.abs(exact - runs[1000][99]).max()
print(f"largest difference after 100 steps: {difference:.3f} levels")
assert difference < 0.1

# %%
# Now look how far the numbers have moved: typically 0.1, 0.5 and 1 level, for all three weights, and none
# of them has moved by 2.

for old_beta, points in runs.items():
    for steps in OLD_STEPS:
        moved = np.abs(points[steps - 1] - noise)
        print(
            f"old beta {old_beta:5}, {steps:4} steps: typically {np.median(moved):.2f}, at most {moved.max():.2f}"
        )
        assert np.isclose(np.median(moved), steps * OLD_RATE, rtol=0.1)
        assert moved.max() < 2

# %%
# The culprit is found. All nine pictures are the noise that they started from. And why grey? From afar one
# sees means over several pixels, and in uniform noise these are all about 127, the middle of the scale.
# Compare means over 8 x 8 pixels in the last of the nine with those in the photograph:


def block_means(image, edge=8):
    """Means over squares of edge x edge pixels."""
    rows, columns = image.shape[0] // edge, image.shape[1] // edge
    blocks = image[: rows * edge, : columns * edge].reshape(rows, edge, columns, edge, 3)
    return blocks.mean(axis=(1, 3))


last_of_nine = runs[10000][-1]
print(
    f"standard deviation of the means: {block_means(last_of_nine).std():.0f}, photograph {block_means(photo).std():.0f}"
)
assert block_means(last_of_nine).std() < block_means(photo).std() / 3

# sphinx_gallery_start_ignore
pictures = [deprocess(runs[b][steps - 1], scaling) for b in OLD_BETAS for steps in OLD_STEPS]
titles = [rf"old $\beta$ = {b}, {steps} steps" for b in OLD_BETAS for steps in OLD_STEPS]
tools.save(tools.grid(pictures, titles, columns=3), "a1_nine_old")
# sphinx_gallery_end_ignore

# %%
# These are the nine pictures as the old program would have made them. Step back from the screen, and they
# are grey.
#
# Changing one thing at a time
# ----------------------------
# A suspicion is proved when the fault goes away with its cause. So we change the rate alone, from 0.001 to
# 5 levels, and leave all else as it was: loss, weights, noise. 200 steps are enough.

rate_mended, _ = adam.minimize(old_objectives[100], noise, 200, learning_rate=5.0)
moved = np.abs(rate_mended - noise)
print(f"with a rate of 5: typically {np.median(moved):.0f} levels, at most {moved.max():.0f}")
assert np.median(moved) > 20

# %%
# Now there are the colours and the curls of the painting, smoothed by the large weight of total variation,
# and no photograph. That is what the weights do, once they get the chance. (So the first suspect is guilty
# after all, but of another crime.) We mend the weights, too: alpha = 1, beta = 10 per pixel, which is a
# good weight for a start from noise, and no total variation.

new_settings = Settings(beta=10 * pixels, layer_weights=EQUAL)
both_mended, _ = adam.minimize(objective_for(network, new_settings), noise, 200, learning_rate=5.0)


def distance_from_photo(image):
    """Of the feature maps at conv4_2, relative to the photograph's."""
    F = network.forward(image, ["conv4_2"])[0]["conv4_2"]
    P = network.forward(photo, ["conv4_2"])[0]["conv4_2"]
    return np.linalg.norm(F - P) / np.linalg.norm(P)


print(
    f"distance from the photograph at conv4_2: {distance_from_photo(rate_mended):.2f}, then {distance_from_photo(both_mended):.2f}"
)
assert distance_from_photo(both_mended) < 0.8 * distance_from_photo(rate_mended)

# sphinx_gallery_start_ignore
pictures = [deprocess(image, scaling) for image in (last_of_nine, rate_mended, both_mended)]
titles = ["as it was", "rate 5", "rate 5, and our weights"]
tools.save(tools.grid(pictures, titles, width=11), "a1_mended")
# sphinx_gallery_end_ignore

# %%
# The table as it was meant
# -------------------------
# Here is a table of nine that deserves its place: **our** weights, 1, 10 and 100 of beta per pixel, and 20,
# 60 and 200 iterations of L-BFGS. The noise is fainter, a tenth of the full range, so that less of it has
# to be cleared away.

NEW_BETAS, NEW_STEPS = (1, 10, 100), (20, 60, 200)
faint_noise = np.random.default_rng(0).uniform(115, 140.5, photo.shape) - scaling.mean


def paint_and_keep(beta_per_pixel):
    """The pictures after 20, 60 and 200 iterations."""
    kept = []

    def keep(image, loss, history):
        kept.append(image)

    settings = Settings(beta=beta_per_pixel * pixels, layer_weights=EQUAL)
    painter = Network(weights, engine=Engine(threads=1))
    minimize(objective_for(painter, settings), faint_noise, 200, callback=keep)
    return [kept[steps - 1] for steps in NEW_STEPS]


with Engine() as team:
    nine = dict(zip(NEW_BETAS, team.map(paint_and_keep, NEW_BETAS)))

# sphinx_gallery_start_ignore
pictures = [deprocess(image, scaling) for images in nine.values() for image in images]
titles = [rf"our $\beta$ = {b} per pixel, {steps} iterations" for b in NEW_BETAS for steps in NEW_STEPS]
tools.save(tools.grid(pictures, titles, columns=3), "a1_nine_new")
# sphinx_gallery_end_ignore

# %%
# Downwards there is more painting and less photograph, and to the right the pictures get clearer.

distances = [distance_from_photo(nine[beta][-1]) for beta in NEW_BETAS]
print("distance from the photograph after 200 iterations:", np.round(distances, 2))
assert (np.diff(distances) > 0).all()

# %%
# What could go wrong
# -------------------
# Why is such a mistake so hard to notice? Three things hide it, and they hide others as well.
#
# *A falling loss.* The loss falls, and that looks like progress. Look at how far the picture has moved,
# too.

objective = old_objectives[1000]
remains = objective(runs[1000][-1])[0] / objective(noise)[0]
print(
    f"after 1000 steps {100 * remains:.0f} % of the initial loss remains; the picture moved by 1 level of 255"
)
assert 0.5 < remains < 1

# %%
# *A rate without its unit.* 0.001 is the rate that Adam's authors suggest, and many programs have it as
# their default. It is meant for the weights of a network, which are small numbers. Pixels go up to 255. A
# rate belongs to the unit of what it changes. That is why the package states its rate in levels.
#
# *A stretch on saving.* The old program did not cut off what lies below 0 or above 255. It mapped the
# smallest number of the picture to 0 and the largest to 255. That looks harmless, and is a mistake of its
# own: one outlier rescales every pixel. We take a good picture and add a single extreme value.


def stretched(image):
    """The smallest number becomes 0, the largest 255."""
    return (image - image.min()) / np.ptp(image) * 255


good = nine[10][-1] + scaling.mean
with_outlier = good.copy()
with_outlier[0, 0] = 1000.0
cut_off = np.clip(with_outlier, 0, 255)
dulled = stretched(with_outlier)
print(f"contrast (standard deviation): cut off {cut_off.std():.0f}, stretched {dulled.std():.0f}")
assert np.abs(cut_off - np.clip(good, 0, 255))[1:].max() == 0  # only the outlier itself is affected
assert dulled.std() < 0.5 * cut_off.std()

# %%
# And the stretch can do the opposite. Here is grey that Adam has moved by about 1 level, invisible when cut
# off. Stretched, it is a garish pattern, and looks as if something had been painted.

moved_grey = 128 + last_of_nine - noise
print(
    f"contrast: cut off {np.clip(moved_grey, 0, 255).std():.1f}, stretched {stretched(moved_grey).std():.0f}"
)
assert np.clip(moved_grey, 0, 255).std() < 2
assert stretched(moved_grey).std() > 50

# sphinx_gallery_start_ignore
pictures = [cut_off, dulled, np.clip(moved_grey, 0, 255), stretched(moved_grey)]
titles = ["one outlier, cut off", "the same, stretched", "grey, moved by Adam", "the same, stretched"]
pictures = [np.rint(picture).astype(np.uint8) for picture in pictures]
tools.save(tools.grid(pictures, titles, columns=2), "a1_stretch")
# sphinx_gallery_end_ignore

# %%
# Exercises
# ---------
# .. exercise::
#
#    (easy) How many steps at a rate of 0.001 would it take, at least, to get from the noise to the
#    photograph?
#
# .. solution::
#
# Each number has to cover the distance between its two values, at about 0.001 a step. The typical number
# needs tens of thousands of steps.

to_go = np.abs(noise - photo)
print(f"typically {np.median(to_go) / OLD_RATE:.0f} steps, at most {to_go.max() / OLD_RATE:.0f}")
assert np.median(to_go) / OLD_RATE > 50_000

# %%
# .. exercise::
#
#    (medium) A picture's numbers lie between 0 and 255, but for one, which is :math:`m > 255`. By which
#    factor does the stretch reduce the contrast of all others? And if there is another one at :math:`-k`?
#    Check it for 1000 and -500.
#
# .. solution::
#
# The stretch divides the range, :math:`m`, or :math:`m + k`, by 255. Differences between pixels are divided
# by the same: :math:`255 / (m + k)` of the contrast remains.

pixels_of_picture = np.random.default_rng(1).uniform(0, 255, 1000)
pixels_of_picture[:2] = 0, 255
with_two = np.append(pixels_of_picture, [1000.0, -500.0])
factor = stretched(with_two)[:1000].std() / pixels_of_picture.std()
print(f"{100 * factor:.0f} % of the contrast remains")
assert np.isclose(factor, 255 / 1500)

# %%
# .. exercise::
#
#    (hard) Some numbers moved by more than 1000 times the rate. How long can a single step of Adam be,
#    after many steps, relative to the rate?
#
# .. solution::
#
# With :math:`g_k` the gradient :math:`k` steps ago, :math:`m = \sum 0.1 \cdot 0.9^k g_k` and
# :math:`v = \sum 0.001 \cdot 0.999^k g_k^2`. Write the first sum as one of products,
# :math:`\frac{0.1 \cdot 0.9^k}{\sqrt{0.001 \cdot 0.999^k}} \cdot \sqrt{0.001 \cdot 0.999^k}\, g_k`. By the
# inequality of Cauchy and Schwarz
#
# .. math:: m^2 \le 10 \sum_k \left( \frac{0.81}{0.999} \right)^k v = \frac{10}{1 - 0.81/0.999}\, v
#
# So :math:`|m| / \sqrt v \le 7.27`. The bound is reached if both factors are proportional: gradients that
# grow by 0.999 / 0.9 in each step.

growing = iter((0.9 / 0.999) ** np.arange(9999.0, -1, -1))
points = old_adam(lambda image: (0.0, next(growing)), 0.0, 10000)
longest_step = (points[-2] - points[-1]) / OLD_RATE
bound = np.sqrt(10 / (1 - 0.81 / 0.999))
print(f"longest step: {longest_step:.4f} times the rate; bound {bound:.4f}")
assert np.isclose(longest_step, bound, rtol=1e-4)
assert np.isclose(bound, 7.27, rtol=1e-3)

# %%
# With a VGG-16
# -------------
# The argument did not use this network, and holds with a VGG-16 of full width as well (``python -m
# lessons.a1_grey_pictures --size 48 --weights FILE``). After 1000 steps at the old rate the numbers have
# typically moved by 0.93 to 0.97 levels. With a rate of 5 the distance from the photograph at conv4_2 is 1.00,
# and with our weights as well 0.29.
#
# Where next
# ----------
# Back to :doc:`l12_choices`, if you came from lesson 11. In the package: ``nnstyle/optimizers/adam.py``
# and, for the way from numbers to a picture, ``deprocess`` in ``nnstyle/pictures/preprocessing.py``.

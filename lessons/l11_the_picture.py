r"""
11. The picture
===============

*The paper's sections: Results with Figures 2 and 3, the discussion after them, and the last paragraphs of
Methods.*

We have a network, two losses, their sum, and a way downhill. Now they paint. This lesson makes the paper's
Figures 2 and 3 from the sample pictures, measures what the paper calls its key finding, that
content and style can be separated, and asks what its remarks on human vision rest on. On the way we
see why a good ratio of the two weights does not fit another network.

*Reading time: 50 minutes. Difficulty: 2 of 3. You need: lessons 8, 9 and 10.*
"""

# %%
# What ``stylize`` does
# ---------------------
# :func:`stylize <nnstyle.stylize>` takes a photograph and a painting and returns a picture. The paper's way
# to this picture has five steps:
#
# 1. *Targets.* Run both pictures through the network once. Keep the feature maps :math:`P` of the
#    photograph and the Gram matrices :math:`A^l` of the painting.
# 2. *Initial image.* White noise in the paper; in this lesson the photograph, from which fewer steps are
#    needed (:doc:`lesson 12 <l12_choices>` compares the starts).
# 3. *Objective.* Equation (7) as a sum of terms, with its gradient.
# 4. *Optimizer.* L-BFGS (:doc:`lesson 10 <l10_both_and_lbfgs>`) lowers it, for as many iterations as asked.
# 5. *Deprocess.* Add the mean colour again, cut off below 0 and above 255, and round.
#
# .. drawing:: pipeline
#    :alt: Photograph and painting are loaded, resized and preprocessed; the network's forward pass gives the content target and the style targets; from the initial image, forward and backward passes and the optimizer's steps are repeated; the result is deprocessed and saved.
#    :name: drawing-pipeline
#
#    From photograph and painting to the picture. The targets are computed once; forward pass, backward pass
#    and step are repeated in every iteration.

import warnings

import matplotlib.cbook
import numpy as np
from scipy.spatial import cKDTree

import nnstyle
from lessons import tools
from nnstyle import Engine, Network, Objective, Settings, losses, set_targets, stylize
from nnstyle.objective import paper_terms
from nnstyle.optimizers.scipy_lbfgsb import minimize
from nnstyle.pictures import deprocess, load_image, preprocess, resize

SIZE = tools.size(__name__, 256)
WEIGHTS = tools.weights(__name__)
if not WEIGHTS.rescaled:  # another network: first as loud as the embedded one (lesson 12)
    WEIGHTS = nnstyle.weights.rescale(WEIGHTS, [tools.photo(), tools.painting()], "average")
SCALING = WEIGHTS.preprocessing
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")


def paint(network, photo, painting, settings, iterations):
    """Steps 1 to 4; the result is still preprocessed."""
    content, style = preprocess(photo, SCALING), preprocess(painting, SCALING)
    terms = paper_terms(settings, network.engine)
    set_targets(terms, network, content, style)  # step 1
    start = content  # step 2
    objective = Objective(network, terms)  # step 3
    image, _ = minimize(objective, start, iterations)  # step 4
    return image


# %%
# These are the settings of this lesson, as near to the paper's as is useful here: one scale, no border,
# average pooling, all five :math:`w_l` = 1/5. Beta is 1000 for each pixel. (The defaults of the package
# differ; :doc:`lesson 12 <l12_choices>` says why.)

PLAIN = {"scales": 1, "border": 0, "init": "content", "pooling": "average"}
EQUAL = (1 / 5,) * 5
FIGURE_2 = {"beta_per_pixel": 1000, "layer_weights": EQUAL, **PLAIN}

# %%
# Asked for this plain way, ``stylize`` gives the same picture as the five steps, bit for bit.

small_photo, small_painting = tools.photo(96), tools.painting(96)
settings = Settings(**FIGURE_2).decided(WEIGHTS, *small_photo.shape[:2])
by_hand = paint(Network(WEIGHTS), small_photo, small_painting, settings, iterations=12)
by_library = stylize(small_photo, small_painting, WEIGHTS, size=96, iterations=12, **FIGURE_2)
assert np.array_equal(deprocess(by_hand, SCALING), by_library.image)

# %%
# Figure 2
# --------
# Now larger, and with 100 iterations. A callback looks over the painter's shoulder: after each iteration it
# gets the losses, and the picture if it asks for it.

seen = {}


def look(event):
    """Keep the picture after a few of the iterations."""
    if event.record.iteration in (1, 5, 20, 100):
        seen[event.record.iteration] = event.image()


photo, painting = tools.photo(SIZE), tools.painting(SIZE)
result = stylize(photo, painting, WEIGHTS, look, size=SIZE, iterations=100, **FIGURE_2)

# sphinx_gallery_start_ignore
tools.save(tools.grid([photo, painting], ["content: the photograph", "style: the painting"]), "l11_inputs")
tools.save(
    tools.grid([result.image], ["the photograph in the style of the painting"], width=9), "l11_figure2"
)
titles = [f"iteration {iteration}" for iteration in seen]
tools.save(tools.grid(list(seen.values()), titles, columns=2), "l11_growth")
# sphinx_gallery_end_ignore

# %%
# The sky has become currents of strokes, and so has the lake. The mountain is where it was, its ridges blue
# and orange; so is the line of the shore, and the dark block of trees to the right. Not everything has
# survived. The cabin has nearly dissolved: there is an orange patch where its wall was, and two white spots
# where its windows were lit. Somebody who does not know the photograph might not see a house. At
# :term:`conv4_2 <conv layer name>` such a small thing is a handful of positions among several hundred.
#
# The third figure shows the picture growing. After 5 iterations pale lines run along the photograph's
# edges. After 20 the colours are the painting's, short strokes are everywhere, and the cabin is still a
# cabin. From then on the strokes grow longer, at the expense of what is small.
#
# What do the losses say? The style loss falls a great deal. The content loss rises: it had to, because at
# the photograph it is 0. A little of the content is the price for the style.

first, last = result.losses[0].losses, result.losses[-1].losses
print(f"after   1 iteration:  L_content {first['content']:10.0f}, L_style {first['style']:.5f}")
print(f"after 100 iterations: L_content {last['content']:10.0f}, L_style {last['style']:.5f}")
print(f"{100 * last['style'] / first['style']:.1f} % of the initial style loss remains")
assert last["content"] > first["content"] > 0
assert last["style"] < first["style"] / 20

# %%
# What a larger picture and more patience give is in the next figure: 512 pixels, 500 iterations, the
# default settings, and the photograph and one of the paintings of the paper's own Figure 2.
# :doc:`The paper's figures, converged </figures>` has more of them, and the command that makes them,
# ``python -m lessons.paper_figures``.
#
# .. figure:: ../figures/figure2_tubingen_starry_night.webp
#    :alt: Houses at a river under a sky of blue and yellow swirls
#    :width: 100%
#
#    Tübingen's Neckarfront in the style of Vincent van Gogh's "The Starry Night". The houses stand where
#    they stood, and the sky, where the photograph has nearly nothing to say, fills with swirls. (Photograph
#    by `Andreas Praefcke <https://commons.wikimedia.org/wiki/File:Tuebingen_Neckarfront.jpg>`__, `CC BY 3.0
#    <https://creativecommons.org/licenses/by/3.0/>`__.)

# %%
# Content and style can be separated
# ----------------------------------
# The paper calls this its key finding: in a convolutional network the representations of content and style
# are separable, so that both can be changed independently. How would one test that? Take two contents and
# two styles, paint all four combinations, and measure.
#
# The second content is a portrait of Grace Hopper, who wrote one of the first compilers (United States
# Navy, public domain; it comes with Matplotlib). The second style is a stained glass window, drawn by the
# function below: each pixel gets the colour of the nearest of 90 random points, and is dark where two of
# them are almost equally near.


def stained_glass(size, panes=90, seed=3):
    """Panes of coloured glass with dark lead between them."""
    random = np.random.default_rng(seed)
    centres = random.uniform(0, size, (panes, 2))
    glass = np.array(
        [[150, 20, 30], [220, 150, 30], [20, 110, 60], [235, 220, 150], [190, 70, 20], [90, 20, 80]]
    )
    brightness = random.uniform(0.8, 1.2, (panes, 1))
    positions = np.stack(np.mgrid[:size, :size], axis=-1)
    distances, nearest = cKDTree(centres).query(positions, k=2)
    image = glass[nearest[..., 0] % len(glass)] * brightness[nearest[..., 0]]
    image[distances[..., 1] - distances[..., 0] < size / 90] = 20
    return np.clip(image, 0, 255).astype(np.uint8)


# %%
# So that the four can be compared position by position, all pictures are squares of one size.


def square(picture, size):
    """The right part of a wide picture, or the upper part of a tall one, as a square."""
    edge = min(picture.shape[:2])
    return resize(picture[:edge, -edge:], size)


EDGE = max(48, SIZE // 2)
portrait_file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
contents = {"lake": square(tools.photo(512), EDGE), "portrait": square(load_image(portrait_file), EDGE)}
styles = {"strokes": square(tools.painting(512), EDGE), "glass": stained_glass(EDGE)}


def paint_in_parallel(jobs, iterations):
    """Paint several small pictures at once: each job is (weights, photo, painting, settings)."""

    def paint_one(job):
        weights, photo, painting, settings = job
        network = Network(weights, settings.pooling, engine=Engine(threads=1))
        return paint(network, photo, painting, settings, iterations)

    with Engine() as team:
        return team.map(paint_one, jobs)


SEPARATE = FIGURE_2 | {"beta_per_pixel": 200}  # a fifth of that above: more say for the content
settings = Settings(**SEPARATE).decided(WEIGHTS, EDGE, EDGE)
pairs = [(content, style) for content in contents for style in styles]
jobs = [(WEIGHTS, contents[content], styles[style], settings) for content, style in pairs]
four = dict(zip(pairs, paint_in_parallel(jobs, iterations=60)))

# sphinx_gallery_start_ignore
blank = np.full((EDGE, EDGE, 3), 255, np.uint8)
cells, titles = [blank, *styles.values()], ["", *[f"style: {name}" for name in styles]]
for content in contents:
    cells += [contents[content], *[deprocess(four[content, style], SCALING) for style in styles]]
    titles += [f"content: {content}", *[f"{content} + {style}" for style in styles]]
tools.save(tools.grid(cells, titles, columns=3), "l11_four")
# sphinx_gallery_end_ignore

# %%
# Down each column the style stays and the content changes; along each row it is the other way round. Nobody
# would mistake a row or a column. But looking is not measuring. So we ask the network two questions about
# each of the four pictures.
#
# - *Content.* Do its filters at ``conv4_2`` respond at the same places as for each of the two contents? We take
#   the correlation of the feature maps, after subtracting each filter's mean: 1 means the same pattern, 0
#   none in common.
# - *Style.* How far are its Gram matrices from those of each style, on average over the five layers? The
#   distance is relative: 0 means equal, 1 means as far as an array of zeros. More than 1 is possible.


def look_at(network, image):
    """The feature map at conv4_2, and G / M at the five style layers."""
    maps, _ = network.forward(image, ["conv4_2", *STYLE_LAYERS])
    grams = [losses.gram_matrix(maps[layer]) / maps[layer][..., 0].size for layer in STYLE_LAYERS]
    return maps["conv4_2"], grams


def content_correlation(network, image, target):
    """Of the feature maps at conv4_2, each filter's mean subtracted."""
    F, P = look_at(network, image)[0], look_at(network, target)[0]
    F, P = F - F.mean((0, 1)), P - P.mean((0, 1))
    return np.vdot(F, P) / np.sqrt(np.vdot(F, F) * np.vdot(P, P))


def style_distances(network, image, target):
    """Of the Gram matrices, relative to the target's, for each layer."""
    distances = []
    for G, A in zip(look_at(network, image)[1], look_at(network, target)[1]):
        distances.append(np.linalg.norm(G - A) / np.linalg.norm(A))
    return np.array(distances)


# %%
# For each of the four, here are two correlations (large where it has that content) and two distances (small
# where it has that style).


def measure(network, image):
    """Correlations with both contents, and distances from both styles, by name."""
    measured = {}
    for name, picture in contents.items():
        measured[name] = content_correlation(network, image, preprocess(picture, SCALING))
    for name, picture in styles.items():
        measured[name] = style_distances(network, image, preprocess(picture, SCALING)).mean()
    return measured


network = Network(WEIGHTS)
table = {pair: measure(network, image) for pair, image in four.items()}
for (content, style), row in table.items():
    numbers = ", ".join(f"{name} {number:.2f}" for name, number in row.items())
    print(f"{content + ' + ' + style:>18}: {numbers}")
between_contents = measure(network, preprocess(contents["portrait"], SCALING))["lake"]
print(f"the portrait itself has a correlation of {between_contents:.2f} with the lake")

# %%
# In all four pictures the content correlates more with its own source than with the other one. With the
# other one it has about as much in common as the two photographs have with each other. And each style is
# far nearer to its own source.


def own_and_other(row, content, style):
    """The four numbers of a row: own and other content, own and other style."""
    other_content = "portrait" if content == "lake" else "lake"
    other_style = "glass" if style == "strokes" else "strokes"
    return row[content], row[other_content], row[style], row[other_style]


for pair, row in table.items():
    own_content, other_content, own_style, other_style = own_and_other(row, *pair)
    assert own_content > other_content
    assert own_style < 0.3 * other_style
    if tools.is_embedded(WEIGHTS):
        assert own_content > other_content + 0.15
        assert abs(other_content - between_contents) < 0.12

# %%
# "Separable" does not mean "without a price", and the paper says so itself: content and style cannot be
# completely disentangled, and usually no picture satisfies both exactly. The table agrees. No correlation
# is 1, no distance is 0. And the price depends on the pair: strokes leave more of either content than glass
# does. Which of the two pays is what the ratio :math:`\alpha/\beta` decides.

for pair, row in table.items():
    own_content, _, own_style, _ = own_and_other(row, *pair)
    assert own_content < 0.95 and own_style > 0.01
for content in contents:
    assert table[content, "strokes"][content] > table[content, "glass"][content]

# %%
# Ratios do not travel
# --------------------
# The paper gives :math:`\alpha/\beta = 10^{-3}` or :math:`10^{-4}` for its Figure 2. Ours is very far from
# that:

ratio = 1 / result.settings.beta
print(f"alpha / beta in our Figure 2: {ratio:.1e}")
assert ratio < 1e-4 / 100

# %%
# Both can be right, because the ratio depends on how large a network's activations are. Suppose that in one
# network they are all :math:`c` times as large as in another, otherwise equal one. Call it :math:`c` times
# as loud.
#
# - :math:`F - P` is :math:`c` times as large. So :math:`L_{content}`, a sum of squares, is :math:`c^2`
#   times as large.
# - A Gram matrix, a sum of products of two activations, is :math:`c^2` times as large. So
#   :math:`L_{style}`, a sum of squared differences of Gram matrices, is :math:`c^4` times as large.
#
# For the same balance, and so the same picture, the ratio has to make up for it:
#
# .. math:: \frac{\alpha'\, c^2}{\beta'\, c^4} = \frac{\alpha}{\beta}
#    \qquad\text{that is}\qquad \frac{\alpha'}{\beta'} = c^2\, \frac{\alpha}{\beta}
#
# The size of the picture matters as well. Equation (1) is a sum over positions; equation (4) is divided by
# :math:`M^2`, which makes it a mean. Twice as many positions double :math:`L_{content}` alone. That is why
# the package takes beta *per pixel*. A small example has both effects:

F, P = np.random.default_rng(0).random((2, 6, 8, 5))


def both_losses(F, P):
    """L_content and E_l, for feature maps F and P."""
    return np.array([losses.content_loss(F, P)[0], losses.style_loss(F, losses.gram_matrix(P))[0]])


louder = both_losses(3 * F, 3 * P) / both_losses(F, P)
larger = both_losses(np.tile(F, (2, 1, 1)), np.tile(P, (2, 1, 1))) / both_losses(F, P)
print("3 times as loud:       L_content and L_style grow by", louder.round(6))
print("twice as many positions: L_content and L_style grow by", larger.round(6))
assert np.allclose(louder, [3**2, 3**4])
assert np.allclose(larger, [2, 1])

# %%
# Let us make a louder network and see. Multiply the kernel of ``conv1_1`` by :math:`c`, and every bias as well.
# Then ``conv1_1`` gives :math:`c` times what it gave, and every later ReLU, pooling and convolution passes the
# factor on. With :math:`c = 16`, a power of two, even the rounding stays the same.

c = np.float32(16)
louder_weights = {}
for name, (kernel, bias) in WEIGHTS.items():
    louder_weights[name] = (c * kernel if name == "conv1_1" else kernel, c * bias)

height, width, _ = small_photo.shape
ours = Settings(beta=1000 * height * width, layer_weights=EQUAL, **PLAIN)
balanced = Settings(beta=1000 * height * width / c**2, layer_weights=EQUAL, **PLAIN)
jobs = [
    (WEIGHTS, small_photo, small_painting, ours),
    (WEIGHTS | louder_weights, small_photo, small_painting, balanced),
    (WEIGHTS | louder_weights, small_photo, small_painting, ours),
]
quiet_picture, loud_picture, unbalanced_picture = paint_in_parallel(jobs, iterations=10)

# %%
# With 256 times the ratio the loud network paints the same picture, bit for bit. With the old ratio it does
# not.

assert np.array_equal(loud_picture, quiet_picture)
assert not np.array_equal(unbalanced_picture, quiet_picture)

# %%
# In the embedded network the mean activation of each filter is near 1, over many photographs; that is what
# :term:`rescaling` is for. Over our photograph, the means of the style layers are these:

maps, _ = network.forward(preprocess(photo, SCALING), STYLE_LAYERS)
means = {layer: round(float(maps[layer].mean()), 2) for layer in STYLE_LAYERS}
print(means)
if tools.is_embedded(WEIGHTS):
    assert 0.5 < min(means.values()) and max(means.values()) < 2

# %%
# The authors did the same in the version of 2016 (:ref:`Gatys, Ecker and Bethge (2016) <gatys2016>`). The
# paper of 2015 does not mention it. So its ratios are for a network whose loudness we do not know, and we
# have to find our own.
#
# Figure 3
# --------
# The paper's Figure 3 has the style layers in its rows, from ``conv1_1`` alone down to all five, and ratios in
# its columns. Here it is with **our** ratios, in steps of ten about 1 / (1000 pixels).

CELL = max(48, SIZE * 7 // 16)
photo, painting = tools.photo(CELL), tools.painting(CELL)
pixels = photo[..., 0].size
OUR_RATIOS = [0.1 / (1000 * pixels), 1 / (1000 * pixels), 10 / (1000 * pixels), 100 / (1000 * pixels)]


def figure_3_settings(depth, ratio):
    """The first `depth` style layers, with equal weights."""
    return Settings(
        beta=1 / ratio, style_layers=STYLE_LAYERS[:depth], layer_weights=(1 / depth,) * depth, **PLAIN
    )


rows = [figure_3_settings(depth, ratio) for depth in (1, 2, 3, 4, 5) for ratio in OUR_RATIOS]
jobs = [(WEIGHTS, photo, painting, settings) for settings in rows]
cells = paint_in_parallel(jobs, iterations=40)

# sphinx_gallery_start_ignore
height, width = photo.shape[:2]
figure, axes = tools.plt.subplots(5, 4, figsize=(12, 12 / 4 * height / width * 5 + 0.6))
for axis, image in zip(axes.flat, cells):
    axis.imshow(deprocess(image, SCALING))
    axis.set(xticks=[], yticks=[])
for axis, factor in zip(axes[0], ("0.1", "1", "10", "100")):
    axis.set_title(rf"$\alpha/\beta$ = {factor} / (1000 pixels)", fontsize=11)
for axis, layer in zip(axes[:, 0], STYLE_LAYERS):
    axis.set_ylabel("conv1_1" if layer == "conv1_1" else f"to {layer}", fontsize=11)
tools.save(figure, "l11_figure3")
# sphinx_gallery_end_ignore

# %%
# From left to right the photograph comes back. From top to bottom the painting takes over: ``conv1_1`` alone
# brings its colours and leaves the photograph's details; each further layer adds strokes that are longer
# and wider, up to whole curls. (Each cell is a small picture and 40 iterations old: fine for the tendency,
# not for a wall.)
#
# Here is the same figure from 512 pixels and 500 iterations, with the paper's own photograph and one of its
# paintings. :doc:`The paper's figures, converged </figures>` has two sliders, by which each of the twenty
# pictures can be seen large.
#
# .. figure:: ../figures/figure3.webp
#    :alt: Twenty pictures of a town at a river in the style of The Starry Night, in five rows and four columns
#    :width: 100%
#
#    Figure 3, converged, and painted from white noise. From the top, style up to ``conv1_1``, ``conv2_1``, ``conv3_1``,
#    ``conv4_1`` and ``conv5_1``; from the left, :math:`\alpha/\beta` is 0.1, 1, 10 and 100 / (1000 pixels), as in our
#    figure. (Photograph by `Andreas Praefcke
#    <https://commons.wikimedia.org/wiki/File:Tuebingen_Neckarfront.jpg>`__, `CC BY 3.0
#    <https://creativecommons.org/licenses/by/3.0/>`__; painting: Vincent van Gogh, "The Starry Night", 1889.)
#
# Now our own sheet, measured. First the columns: in each row, the distance from the photograph falls from left to right.


def content_distance(network, image, target):
    """Of the feature maps at conv4_2, relative to the target's."""
    F, P = look_at(network, image)[0], look_at(network, target)[0]
    return np.linalg.norm(F - P) / np.linalg.norm(P)


photo_features = preprocess(photo, SCALING)
painting_features = preprocess(painting, SCALING)
from_photo = np.reshape([content_distance(network, image, photo_features) for image in cells], (5, 4))
print("distance from the photograph at conv4_2:", *from_photo.round(2), sep="\n")
assert (np.diff(from_photo, axis=1) < 0).all()

# %%
# Then the rows, in the first column. The numbers are the distances of the Gram matrices, layer by layer. A
# row asks for one layer more than the row above, and there the distance drops.

first_column = np.array([style_distances(network, cells[4 * row], painting_features) for row in range(5)])
print("distance from the painting at", *STYLE_LAYERS, "\n", first_column.round(3))
for layer in range(1, 5):
    before, after = first_column[layer - 1, layer], first_column[layer, layer]
    assert after < 0.6 * before

# %%
# And down each column the picture leaves the photograph: longer strokes cannot follow its details. In the
# first column, where style has the most weight:

print("distance from the photograph, first column:", from_photo[:, 0].round(2))
if tools.is_embedded(WEIGHTS):
    assert (np.diff(from_photo[:, 0]) > 0).all()

# %%
# What the paper says about seeing
# --------------------------------
# The paper ends with remarks on biological vision. They are the part that is quoted most and checked least,
# so let us separate what it says from what it shows.
#
# **What it says.** Nobody taught the network what style is; it was trained to recognize objects. That such
# a network separates content from style is what the authors find remarkable, and they offer an explanation.
# To recognize an object, a network has to ignore everything that can change while the object stays the
# same: light, texture, the way it is painted. Representations that keep the what apart from the how would
# be practical for that. If our own visual system does likewise, then our ability to tell content from
# style, and with it to make and enjoy art, may be a by-product of how well it infers what is there.
#
# They also point out that a Gram matrix is not a strange thing to compute. It correlates the responses of
# different neurons. Complex cells, in the first visual area of the brain, are thought to do a computation
# of this kind. So the brain could obtain a representation of appearance, independent of content, by doing
# it at several stages of visual processing. The authors call this a hypothesis that can be tested, down to
# single neurons.
#
# **What it shows.** One network, trained to recognize objects, allows pictures to be made that match the
# content of one and the style of another. You have seen this on your own machine.
#
# **What it does not show.**
#
# - There is no experiment with people, animals or neurons in it. What it says about brains is conjecture,
#   and is worded so: "could be", "might be".
# - It compares no trained network with an untrained one. Whether *training for recognition* causes the
#   separation is therefore left open. The last exercise tries, and finds that a network of random weights
#   tells the styles of our four pictures apart in each case, and their contents on average.
# - Its separation is shown in pictures and judged by eye. (The table above is ours.)
# - The Gram matrices sum over the whole picture. A cell sees a small part of it.
# - *Style* means textures and colours here. What a historian of art means by the word, such as what a
#   painter chose to paint and how it is composed, is lost in a sum over all positions.
# - No part of the brain is claimed to run L-BFGS. How a painter arrives at a picture is not explained.
#
# What could go wrong
# -------------------
# *A ratio from elsewhere.* Here are **the paper's** ratios in our network, with all five layers.

PAPER_RATIOS = [1e-5, 1e-4, 1e-3, 1e-2]
jobs = [(WEIGHTS, photo, painting, figure_3_settings(5, ratio)) for ratio in PAPER_RATIOS]
paper_cells = paint_in_parallel(jobs, iterations=40)

# sphinx_gallery_start_ignore
titles = [rf"the paper's $\alpha/\beta$ = {ratio:.0e}" for ratio in PAPER_RATIOS]
shown = [deprocess(image, SCALING) for image in paper_cells]
tools.save(tools.grid(shown, titles, columns=4, width=12), "l11_paper_ratios")
# sphinx_gallery_end_ignore

# %%
# With :math:`10^{-3}` and :math:`10^{-2}` hardly anything is painted. The same would happen to anybody who
# takes a style weight from another program. ``stylize`` says so:

with warnings.catch_warnings(record=True) as noted:
    warnings.simplefilter("always")
    stylize(
        small_photo, small_painting, WEIGHTS, size=96, iterations=5, beta=1e3, layer_weights=EQUAL, **PLAIN
    )
print(noted[0].message)
from_photo_there = [content_distance(network, image, photo_features) for image in paper_cells]
print("distance from the photograph:", np.round(from_photo_there, 3))
assert max(from_photo_there[2:]) < 0.1
if tools.is_embedded(WEIGHTS):
    assert "hardly anything was painted" in str(noted[0].message)

# %%
# *A beta that was found at another size.* It is tempting to look for good weights with small pictures,
# which are fast, and then to paint a large one with them. But with four times the pixels the content loss,
# a sum, is at least three times as large here, and the style loss is not. Let us take the painting for the
# generated picture: how far is it from the photograph, and how far is the photograph from it?


def losses_at(size):
    """L_content of the painting, L_style of the photograph."""
    photo, painting = (
        preprocess(tools.photo(size), SCALING),
        preprocess(square(tools.painting(512), size), SCALING),
    )
    painting = painting[: photo.shape[0]]
    settings = Settings(beta=1.0, layer_weights=EQUAL, **PLAIN)
    terms = paper_terms(settings, network.engine)
    set_targets(terms, network, photo, painting)
    objective = Objective(network, terms)
    objective(painting)
    content = objective.losses["content"]
    objective(photo)
    return np.array([content, objective.losses["style"]])


growth = losses_at(192) / losses_at(96)
print("twice as long: L_content grows by {:.2f}, L_style by {:.2f}".format(*growth))
assert growth[0] > 3
assert 0.5 < growth[1] < 1.5

# %%
# *Targets from another network.* :math:`P` and :math:`A^l` must come from the same network as :math:`F`:
# with the same pooling, the same preprocessing. This mistake makes a picture, only a worse one. There is a
# simple test: at the photograph itself :math:`L_{content}` must be 0, and at the painting itself
# :math:`L_{style}`.

average, maximum = Network(WEIGHTS, "average"), Network(WEIGHTS, "max")
P_right = average.forward(photo_features, ["conv4_2"])[0]["conv4_2"]
P_wrong = maximum.forward(photo_features, ["conv4_2"])[0]["conv4_2"]
F = average.forward(photo_features, ["conv4_2"])[0]["conv4_2"]
print(f"L_content at the photograph: {losses.content_loss(F, P_right)[0]}; ", end="")
print(f"with targets from max pooling: {losses.content_loss(F, P_wrong)[0]:.0f}")
assert losses.content_loss(F, P_right)[0] == 0
assert losses.content_loss(F, P_wrong)[0] > 100

# %%
# An earlier attempt at the paper made yet other mistakes, and its pictures were nearly all grey. Finding
# out why is a small detective story, told in :doc:`Appendix A <a1_grey_pictures>`.
#
# Exercises
# ---------
# .. exercise::
#
#    (easy) How loud (:math:`c`) must a network be for the paper's :math:`10^{-3}` to do what our ratio
#    does, at 512 x 341 pixels?
#
# .. solution::
#
# It must be :math:`c^2` times our ratio: :math:`c^2 / (1000 \cdot 512 \cdot 341) = 10^{-3}`.

loudness = np.sqrt(1e-3 * 1000 * 512 * 341)
print(f"c = {loudness:.0f}")
assert round(loudness) == 418

# %%
# .. exercise::
#
#    (easy) Any picture can be content, and any picture can be style. What do you expect of the painting in
#    the style of the photograph? Paint it, and look.
#
# .. solution::
#
# The whirls of the painting are still there, made of the photograph's textures, in its greens, greys and
# browns. (The figure is made by ``tools.grid``.)

exchanged = stylize(painting, photo, WEIGHTS, size=CELL, iterations=60, **FIGURE_2).image
tools.save(tools.grid([painting, photo, exchanged], ["content", "style", "result"]), "l11_exchanged")
as_input = preprocess(exchanged, SCALING)
style_before = style_distances(network, painting_features, photo_features).mean()
style_after = style_distances(network, as_input, photo_features).mean()
print(f"distance from the photograph's style: {style_before:.2f} before, {style_after:.2f} after")
assert style_after < style_before / 4

# %%
# .. exercise::
#
#    (medium) In Figure 3 more weight on style gives less style loss and more content loss. Is it always so?
#    Let :math:`x_1` be where :math:`L_c + \beta_1 L_s` is lowest, and :math:`x_2` where
#    :math:`L_c + \beta_2 L_s` is, with :math:`\beta_2 > \beta_1`. Prove that :math:`L_s(x_2) \le L_s(x_1)`
#    and :math:`L_c(x_2) \ge L_c(x_1)`. Does the last row of our Figure 3 agree?
#
# .. solution::
#
# Each is the best for its own weight:
#
# .. math:: L_c(x_1) + \beta_1 L_s(x_1) \le L_c(x_2) + \beta_1 L_s(x_2), \qquad
#    L_c(x_2) + \beta_2 L_s(x_2) \le L_c(x_1) + \beta_2 L_s(x_1)
#
# Add the two, and cancel: :math:`(\beta_2 - \beta_1) (L_s(x_2) - L_s(x_1)) \le 0`. That is the first claim.
# Put it into the first inequality: :math:`L_c(x_2) - L_c(x_1) \ge \beta_1 (L_s(x_1) - L_s(x_2)) \ge 0`. No
# property of the two losses was used, only that the minima were found. After 40 iterations ours are not
# quite minima, so the style losses of the first two columns may come in either order. All else agrees.

last_row = []
for image in cells[16:]:
    terms = paper_terms(figure_3_settings(5, 1.0), network.engine)
    set_targets(terms, network, photo_features, painting_features)
    objective = Objective(network, terms)
    objective(image)
    last_row.append([objective.losses["content"], objective.losses["style"]])
content_losses, style_losses = np.transpose(last_row)
print("L_content:", content_losses.round(), "\nL_style:", style_losses)
assert (np.diff(content_losses) < 0).all()
assert (np.diff(style_losses[1:]) > 0).all()
assert abs(style_losses[0] / style_losses[1] - 1) < 0.1

# %%
# .. exercise::
#
#    (hard) Is training needed to tell content from style? Make a network of the same shape with random
#    weights (normal, with the variance 2 / (9 · input channels), as in lesson 2), rescale it over the
#    contents and styles, and measure our four pictures with it.
#
# .. solution::
#
# The random network tells the styles apart as surely as the trained one, and on average the contents, too,
# if by less. So our table is no proof that training is needed: pictures that differ as much as these can be
# told apart by many measures. What a network is good for shows when it has to *make* a picture.
# :doc:`Lesson 9 <l09_style>` has more on textures.

random = np.random.default_rng(0)
random_weights = {}
for name, (kernel, bias) in WEIGHTS.items():
    deviation = np.sqrt(2 / np.prod(kernel.shape[:3]))
    random_weights[name] = (random.normal(0, deviation, kernel.shape).astype(np.float32), np.zeros_like(bias))
untrained = nnstyle.weights.rescale(
    WEIGHTS | random_weights, [*contents.values(), *styles.values()], "average"
)
rows = []
for pair, image in four.items():
    row = own_and_other(measure(Network(untrained), image), *pair)
    print(
        f"{' + '.join(pair):>18}: content {row[0]:.2f}, other {row[1]:.2f}; style {row[2]:.2f}, other {row[3]:.2f}"
    )
    rows.append(row)
own_content, other_content, own_style, other_style = np.transpose(rows)
assert (own_style < other_style).all()
assert own_content.mean() > other_content.mean() + 0.05

# %%
# With a VGG-16
# -------------
# With a VGG-16 of full width, rescaled over the two sample pictures
# (``python -m lessons.l11_the_picture --size 96 --weights FILE``), the same tendencies show. Content and
# style separate. The correlation with the own content is 0.57 to 0.68, with the other one 0.39 to 0.50. The
# distance from the own style is at most 0.21, from the other one at least 0.80. In Figure 3 the photograph comes back from
# left to right. What differs is how strongly style acts at the same beta: with only two style layers the
# first column is already as far from the photograph (a distance of 0.90) as the embedded network's with five (0.83, at
# its larger size).
#
# Where next
# ----------
# :doc:`l12_choices`: what each setting does. In the package: ``nnstyle/job.py`` (``prepare``),
# ``nnstyle/stylize.py`` (``run``, ``stylize``) and ``nnstyle/objective.py``, with ``tests/test_stylize.py``
# and ``tests/test_objective.py``.

"""The algorithm of the best known program, jcjohnson/neural-style, as a yardstick for pictures and times.

    python -m weights.neural_style PHOTO PAINTING --weights vgg16 -o picture.png
    python -m weights.neural_style PHOTO PAINTING --weights vgg16 -o picture.png --torch

It differs from this package in its losses, which are means and not sums, in a penalty on differences between
neighbouring pixels, in max-pooling, in a start from nearly even grey, and in an L-BFGS without a line search.
Its losses are computed twice: by this package's engine and, with ``--torch``, by PyTorch.

What artists asked of it is here, too: several paintings (``--blend-weights``), a start from any picture (``--init FILE``),
Adam (``--optimizer adam``), and the photograph's own colours (``--original-colours``).

Four things are not as there: pictures are scaled with Lanczos's filter and not bilinearly, pixels are
multiplied by 255 and not 256, max-pooling drops an odd last row or column, and the usual number of
iterations is 500 and not 1000.

The weights of the losses are meant for VGG-19 or VGG-16 as Oxford published them. With a network whose
activations are ten times smaller, the style loss is ten thousand times smaller, and the content loss a hundred.
"""

import argparse
import dataclasses
import sys
import time
from collections import deque

import numpy as np

import nnstyle
from nnstyle import InputError, Term, losses
from nnstyle.benchmark.against_torch import import_torch
from nnstyle.cli import arguments
from nnstyle.optimizers import adam, lbfgs
from nnstyle.pictures import (
    check_no_input_is_replaced,
    check_output,
    deprocess,
    fit,
    load_image,
    preprocess,
    resize,
    save_image,
)
from nnstyle.settings import floats

CONTENT_LAYER = "conv4_2"
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
CORRECTIONS = 100  # steps that L-BFGS remembers
BRIGHTNESS = (0.299, 0.587, 0.114)  # Y of red, green, blue; U and V are multiples of B - Y and R - Y
LEAST_CURVATURE = 1e-10  # a step along which the gradient changes less is not remembered


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The program's options; the defaults are its own, but for the iterations."""

    content_weight: float = 5.0
    style_weight: float = 100.0
    tv_weight: float = 1e-3
    init: str = "random"
    pooling: str = "max"
    iterations: int = 500
    optimizer: str = "lbfgs"
    learning_rate: float = 10.0  # Adam's, in levels of 0..255


class MeanContent(Term):
    """Mean squared difference of feature maps."""

    name, layer, target = "content", CONTENT_LAYER, "content"

    def __init__(self, weight):
        self.weight = weight

    def set_target(self, features):
        self.features = features

    def __call__(self, features):
        difference = features - self.features
        return losses.squared_sum(difference) / difference.size, difference * (2 / difference.size)


class MeanStyle(Term):
    """Mean squared difference of Gram matrices, each divided by the number of its features.

    Of several paintings, the weighted mean of their matrices is the target.
    """

    name = "style"

    def __init__(self, layer, weight, engine=losses):
        self.layer, self.weight, self.engine = layer, weight, engine
        self.gram = 0

    def add_target(self, features, share=1.0):
        self.gram = self.gram + share * self.gram_matrix(features)

    def gram_matrix(self, features):
        return self.engine.gram_matrix(features) / features.size

    def __call__(self, features):
        difference = self.gram_matrix(features) - self.gram
        dG = difference * (2 / difference.size / features.size)
        loss = losses.squared_sum(difference) / difference.size
        return loss, self.engine.gram_matrix_backward(dG, features)


class Smoothness(Term):
    """Half the squared differences between neighbouring pixels: only its gradient counts.

    The last row and the last column are compared with their neighbours, but not within themselves.
    """

    name = "total variation"

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, image):
        gradient = np.zeros_like(image)
        down, right = image[1:, :-1] - image[:-1, :-1], image[:-1, 1:] - image[:-1, :-1]
        gradient[1:, :-1] += down
        gradient[:-1, 1:] += right
        gradient[:-1, :-1] -= down + right
        return 0.0, gradient


def make_objective(weights, content, styles, recipe, engine=None, shares=(1.0,)):
    """The program's loss as this package computes it: preprocessed image (H, W, 3) -> (loss, gradient).

    `shares` of several `styles`, preprocessed pictures, add up to 1.
    """
    network = nnstyle.Network(weights, recipe.pooling, content.dtype, engine)
    terms = [MeanContent(recipe.content_weight), Smoothness(recipe.tv_weight)]
    nnstyle.set_targets(terms, network, content, content)
    of_style = [MeanStyle(layer, recipe.style_weight, network.engine) for layer in STYLE_LAYERS]
    for style, share in zip(styles, shares, strict=True):
        features, _ = network.forward(style, STYLE_LAYERS)
        for term in of_style:
            term.add_target(features[term.layer], share)
    return nnstyle.Objective(network, terms + of_style)


def minimize(objective, image, iterations, callback=lambda image: None):
    """L-BFGS with steps of 1, of which nobody asks whether they lower the loss; the first one is tiny."""
    steps, gradient = deque(maxlen=CORRECTIONS), objective(image)[1]
    for iteration in range(iterations):
        step = 1.0 if iteration else min(1.0, 1.0 / float(np.abs(gradient).sum()))
        s = step * lbfgs.direction(gradient, steps)
        image, before = image + s, gradient
        callback(image)
        if iteration == iterations - 1:
            break
        gradient = objective(image)[1]
        y = gradient - before
        curvature = lbfgs.dot(s, y)
        if curvature > LEAST_CURVATURE:
            steps.append(lbfgs.Step(s, y, 1 / curvature, curvature / lbfgs.dot(y, y)))
    return image


def minimize_by_adam(objective, image, iterations, learning_rate, callback=lambda image: None):
    """Adam, of which the last iterate is the picture."""
    m = v = 0.0
    for t in range(1, iterations + 1):
        gradient = objective(image)[1]
        m = adam.moving_average(m, gradient, adam.MEAN_DECAY, t)
        v = adam.moving_average(v, gradient**2, adam.SQUARE_DECAY, t)
        image = image - learning_rate * m / (np.sqrt(v) + adam.EPSILON)
        callback(image)
    return image


def make_torch_loss(torch, weights, content, style, recipe):
    """The same loss in PyTorch: image (1, 3, H, W) -> a scalar tensor."""
    pool = {"max": torch.nn.functional.max_pool2d, "average": torch.nn.functional.avg_pool2d}[recipe.pooling]
    filters = {
        name: (torch.tensor(kernel.transpose(3, 2, 0, 1).copy()), torch.tensor(bias.copy()))
        for name, (kernel, bias) in weights.items()
    }
    mean_square = torch.nn.functional.mse_loss

    def forward(x):
        features = {}
        for name, (kernel, bias) in filters.items():
            if name.endswith("_1") and name != "conv1_1":
                x = pool(x, 2)
            x = features[name] = torch.nn.functional.conv2d(x, kernel, bias, padding=1).relu()
            if name == STYLE_LAYERS[-1]:
                return features

    def gram(features):
        F = features[0].flatten(1)
        return F @ F.T / F.numel()

    with torch.no_grad():
        content_target = forward(as_torch_image(torch, content))[CONTENT_LAYER]
        style_features = forward(as_torch_image(torch, style))
        grams = {layer: gram(style_features[layer]) for layer in STYLE_LAYERS}
        del style_features

    def loss(x):
        features = forward(x)
        content = mean_square(features[CONTENT_LAYER], content_target)
        style = sum(mean_square(gram(features[layer]), grams[layer]) for layer in STYLE_LAYERS)
        down, right = x[..., 1:, :-1] - x[..., :-1, :-1], x[..., :-1, 1:] - x[..., :-1, :-1]
        smoothness = recipe.tv_weight / 2 * (down.square().sum() + right.square().sum())
        return (
            recipe.content_weight * content + recipe.style_weight * style + smoothness - smoothness.detach()
        )

    return loss


def minimize_torch(torch, loss, image, iterations, callback=lambda image: None):
    """What `minimize` does, by PyTorch's own L-BFGS."""
    x = as_torch_image(torch, image).requires_grad_()
    # No test ends it early, and all it has left is its evaluations.
    ends = {"tolerance_grad": -1, "tolerance_change": -1, "max_eval": iterations + 1}
    optimizer = torch.optim.LBFGS([x], max_iter=iterations, history_size=CORRECTIONS, **ends)

    def evaluate():
        if seen:  # where the step before has led to
            callback(as_image(x))
        seen.append(True)
        optimizer.zero_grad()
        value = loss(x)
        value.backward()
        return value

    seen = []
    optimizer.step(evaluate)
    callback(as_image(x))
    return as_image(x)


def as_torch_image(torch, image):
    """(H, W, 3) as a tensor (1, 3, H, W)."""
    return torch.tensor(image.transpose(2, 0, 1)[None].copy())


def as_image(x):
    """A tensor (1, 3, H, W) as an array (H, W, 3)."""
    return x.detach()[0].permute(1, 2, 0).numpy().copy()


def start_image(content, recipe, preprocessing=None, seed=0):
    """Where the optimization starts: at the photograph, a grey with hardly any noise, or the picture in a file."""
    if recipe.init == "image":
        return content
    if recipe.init != "random":
        return preprocess(fit(load_image(recipe.init), *content.shape[:2]), preprocessing)
    return (0.001 * np.random.default_rng(seed).standard_normal(content.shape)).astype(np.float32)


def paint(
    photo,
    paintings,
    weights,
    recipe,
    threads=None,
    in_torch=False,
    callback=lambda image: None,
    shares=(1.0,),
):
    """A picture from a photograph and paintings, all uint8 (H, W, 3), by the program's algorithm."""
    content, *styles = (preprocess(picture, weights.preprocessing) for picture in (photo, *paintings))
    start = start_image(content, recipe, weights.preprocessing)
    if in_torch:
        torch = import_torch()
        if threads:
            torch.set_num_threads(threads)
        loss = make_torch_loss(torch, weights, content, styles[0], recipe)
        image = minimize_torch(torch, loss, start, recipe.iterations, callback)
    else:
        with nnstyle.Engine(threads=threads) as engine:
            objective = make_objective(weights, content, styles, recipe, engine, shares)
            if recipe.optimizer == "adam":
                image = minimize_by_adam(objective, start, recipe.iterations, recipe.learning_rate, callback)
            else:
                image = minimize(objective, start, recipe.iterations, callback)
    return deprocess(image, weights.preprocessing)


def with_original_colours(photo, picture):
    """The brightness of a picture under the colours of a photograph, both uint8 (H, W, 3): Y, and U with V."""
    mixed = photo + ((picture / 1 - photo) @ BRIGHTNESS)[..., None]
    return np.rint(mixed.clip(0, 255)).astype(np.uint8)


def make_parser():
    """The parser of ``python -m weights.neural_style``."""
    parser = arguments.Parser(
        prog="python -m weights.neural_style",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("photo", metavar="PHOTO")
    add("paintings", nargs="+", metavar="PAINTING")
    add("--blend-weights", type=floats, metavar="W,W", help="of several paintings (default: equal)")
    add("--original-colours", action="store_true", help="keep the photograph's colours")
    add("--weights", required=True, metavar="FILE", help="a VGG, as for python -m nnstyle")
    add("-o", "--output", default="neural-style.png", metavar="OUT", help="(default: %(default)s)")
    add("--size", type=int, default=512, help="long edge of both pictures, px (default: %(default)s)")
    for field in dataclasses.fields(Recipe):
        choices = {"optimizer": ("lbfgs", "adam"), "pooling": ("max", "average")}.get(field.name)
        flag, kind = "--" + field.name.replace("_", "-"), type(field.default)
        text = "random, image (the photograph) or a file " if field.name == "init" else ""
        add(flag, type=kind, choices=choices, default=field.default, help=text + "(default: %(default)s)")
    add("--torch", action="store_true", help="compute with PyTorch")
    add("--threads", type=int, help="processor cores (default: all)")
    return parser


def main(argv=None):
    """Paint, and return the exit status: 0, or 2 for bad input."""
    try:
        run(make_parser().parse_args(argv))
    except SystemExit as end:  # --help or bad options: all is said
        return int(end.code or 0)
    except InputError as error:
        print(f"python -m weights.neural_style: {error}", file=sys.stderr)
        return 2
    return 0


def shares_of(chosen):
    """The shares of the paintings, which add up to 1."""
    numbers = np.array(chosen.blend_weights or [1.0] * len(chosen.paintings))
    if not (np.isfinite(numbers).all() and numbers.min() >= 0 < numbers.sum()):
        raise InputError("--blend-weights should be numbers such as 2,1, not negative and not all 0")
    if len(numbers) != len(chosen.paintings):
        raise InputError(
            f"{len(numbers)} --blend-weights for {len(chosen.paintings)} paintings: give one each"
        )
    return numbers / numbers.sum()


def run(chosen):
    """Write the picture, and print how long it took."""
    check_output(chosen.output)
    shares = shares_of(chosen)
    if chosen.torch and (len(shares) > 1 or chosen.optimizer != "lbfgs"):
        raise InputError("--torch is for one painting and L-BFGS")
    weights = nnstyle.load_weights(chosen.weights)
    starts = [chosen.init] if chosen.init not in ("random", "image") else []
    check_no_input_is_replaced(chosen.output, [chosen.photo, *chosen.paintings, *starts, weights.path])
    photo, *paintings = (resize(load_image(path), chosen.size) for path in (chosen.photo, *chosen.paintings))
    recipe = Recipe(**{field.name: getattr(chosen, field.name) for field in dataclasses.fields(Recipe)})
    ends = [began := time.perf_counter()]
    note = lambda image: ends.append(time.perf_counter())
    image = paint(photo, paintings, weights, recipe, chosen.threads, chosen.torch, note, shares)
    if chosen.original_colours:
        image = with_original_colours(photo, image)
    settings = {"program": "neural-style", "size": chosen.size, **dataclasses.asdict(recipe)}
    save_image(image, chosen.output, settings)
    steps = np.diff(ends[1:])
    each = f", {np.median(steps):.3f} s per iteration (median)" if len(steps) else ""
    print(f"{chosen.output}: {ends[-1] - began:.1f} s in all{each}")


if __name__ == "__main__":
    sys.exit(main())

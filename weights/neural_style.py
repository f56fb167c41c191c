"""The algorithm of the best known program, jcjohnson/neural-style, as a yardstick for pictures and times.

    python -m weights.neural_style PHOTO PAINTING --weights vgg16 -o picture.png
    python -m weights.neural_style PHOTO PAINTING --weights vgg16 -o picture.png --torch

It differs from this package in its losses, which are means and not sums, in a penalty on differences between
neighbouring pixels, in max-pooling, in a start from nearly even grey, and in an L-BFGS without a line search.
Its losses are computed twice: by this package's engine and, with ``--torch``, by PyTorch.

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
from nnstyle.optimizers import lbfgs
from nnstyle.pictures import (
    check_no_input_is_replaced,
    check_output,
    deprocess,
    load_image,
    preprocess,
    resize,
    save_image,
)

CONTENT_LAYER = "conv4_2"
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
CORRECTIONS = 100  # steps that L-BFGS remembers
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
    """Mean squared difference of Gram matrices, each divided by the number of its features."""

    name, target = "style", "style"

    def __init__(self, layer, weight, engine=losses):
        self.layer, self.weight, self.engine = layer, weight, engine

    def set_target(self, features):
        self.gram = self.gram_matrix(features)

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


def make_objective(weights, content, style, recipe, engine=None):
    """The program's loss as this package computes it: preprocessed image (H, W, 3) -> (loss, gradient)."""
    network = nnstyle.Network(weights, recipe.pooling, content.dtype, engine)
    terms = [MeanContent(recipe.content_weight), Smoothness(recipe.tv_weight)]
    terms += [MeanStyle(layer, recipe.style_weight, network.engine) for layer in STYLE_LAYERS]
    nnstyle.set_targets(terms, network, content, style)
    return nnstyle.Objective(network, terms)


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


def start_image(content, recipe, seed=0):
    """Where the optimization starts: at the photograph, or at a grey with hardly any noise."""
    if recipe.init == "image":
        return content
    return (0.001 * np.random.default_rng(seed).standard_normal(content.shape)).astype(np.float32)


def paint(content, style, weights, recipe, threads=None, in_torch=False, callback=lambda image: None):
    """A picture from two others, all uint8 (H, W, 3), by the program's algorithm."""
    content, style = (preprocess(picture, weights.preprocessing) for picture in (content, style))
    start = start_image(content, recipe)
    if in_torch:
        torch = import_torch()
        if threads:
            torch.set_num_threads(threads)
        loss = make_torch_loss(torch, weights, content, style, recipe)
        image = minimize_torch(torch, loss, start, recipe.iterations, callback)
    else:
        with nnstyle.Engine(threads=threads) as engine:
            objective = make_objective(weights, content, style, recipe, engine)
            image = minimize(objective, start, recipe.iterations, callback)
    return deprocess(image, weights.preprocessing)


def make_parser():
    """The parser of ``python -m weights.neural_style``."""
    parser = arguments.Parser(
        prog="python -m weights.neural_style",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("photo", metavar="PHOTO")
    add("painting", metavar="PAINTING")
    add("--weights", required=True, metavar="FILE", help="a VGG, as for python -m nnstyle")
    add("-o", "--output", default="neural-style.png", metavar="OUT", help="(default: %(default)s)")
    add("--size", type=int, default=512, help="long edge of both pictures, px (default: %(default)s)")
    for field in dataclasses.fields(Recipe):
        choices = {"init": ("random", "image"), "pooling": ("max", "average")}.get(field.name)
        flag, kind = "--" + field.name.replace("_", "-"), type(field.default)
        add(flag, type=kind, choices=choices, default=field.default, help="(default: %(default)s)")
    add("--torch", action="store_true", help="compute with PyTorch")
    add("--threads", type=int, help="processor cores (default: all)")
    return parser


def main(argv=None):
    """Paint, and return the exit status: 0, or 2 for bad input."""
    try:
        run(make_parser().parse_args(argv))
    except InputError as error:
        print(f"python -m weights.neural_style: {error}", file=sys.stderr)
        return 2
    return 0


def run(chosen):
    """Write the picture, and print how long it took."""
    check_output(chosen.output)
    weights = nnstyle.load_weights(chosen.weights)
    check_no_input_is_replaced(chosen.output, [chosen.photo, chosen.painting, weights.path])
    pictures = [resize(load_image(path), chosen.size) for path in (chosen.photo, chosen.painting)]
    recipe = Recipe(**{field.name: getattr(chosen, field.name) for field in dataclasses.fields(Recipe)})
    ends = [began := time.perf_counter()]
    image = paint(
        *pictures, weights, recipe, chosen.threads, chosen.torch, lambda _: ends.append(time.perf_counter())
    )
    save_image(
        image, chosen.output, {"program": "neural-style", "size": chosen.size, **dataclasses.asdict(recipe)}
    )
    steps = np.diff(ends[1:])
    each = f", {np.median(steps):.3f} s per iteration (median)" if len(steps) else ""
    print(f"{chosen.output}: {ends[-1] - began:.1f} s in all{each}")


if __name__ == "__main__":
    sys.exit(main())

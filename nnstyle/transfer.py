"""Style transfer: targets, first image, objective, and `stylize`, which joins them."""

import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from . import images, losses
from .network import Network
from .optimizer import minimize
from .settings import Settings
from .weights import Weights, load_weights
from .workers import Workers


@dataclass(frozen=True)
class Record:
    """The losses after one iteration, and the seconds since the optimization began.

    ``total = alpha * content + beta * style + tv_weight * total_variation``
    with ``content`` and ``style`` as in equations (1) and (5).
    """

    iteration: int
    total: float
    content: float
    style: float
    total_variation: float
    seconds: float


@dataclass(frozen=True)
class Result:
    """What `stylize` returns.

    Attributes
    ----------
    image : uint8 array, shape (H, W, 3), RGB
    losses : list of Record, one an iteration
    settings : Settings
        With the beta that was used.
    reason : str
        Why the optimization ended.
    """

    image: np.ndarray
    losses: list
    settings: Settings
    reason: str


class Objective:
    """Equation (7) for one pair of images: a function image -> (loss, gradient).

    Parameters
    ----------
    network : Network
    content, style : arrays, shape (H, W, 3), preprocessed; their sizes may differ
    settings : Settings, its beta decided

    Attributes
    ----------
    parts : (content, style, total variation)
        Losses of the latest call, before they are weighted.
    """

    def __init__(self, network, content, style, settings):
        self.network, self.settings = network, settings
        # A loss of weight 0 is not computed, nor are layers that only it needs.
        content_layers = settings.content_layers if settings.alpha else ()
        style_layers = settings.style_layers if settings.beta else ()
        # Without their caches: nothing goes backward from the targets.
        self.content_targets = network.forward(content, content_layers)[0]
        style_features = network.forward(style, style_layers)[0]
        self.style_targets = {
            layer: (losses.gram_matrix(features, network.workers), features[..., 0].size)
            for layer, features in style_features.items()
        }
        self.layer_weights = dict(zip(settings.style_layers, settings.layer_weights))
        self.layers = {*content_layers, *style_layers}

    def __call__(self, image):
        features, cache = self.network.forward(image, self.layers)
        self.content = self.style = 0.0
        # A layer's losses are computed when backward comes to it; then its features are let go.
        gradients = {layer: partial(self.gradient_at, layer, features) for layer in self.layers}
        gradient = self.network.backward(gradients, cache)
        variation, weight = 0.0, self.settings.tv_weight
        if weight:
            variation, its_gradient = losses.total_variation(image)
            gradient = gradient + weight * its_gradient
        self.parts = self.content, self.style, variation
        # Equation (7), with the one term that the paper has not.
        total = self.settings.alpha * self.content + self.settings.beta * self.style + weight * variation
        return total, gradient

    def gradient_at(self, layer, features):
        """Add this layer's share to L_content and to L_style, equation (5); return its gradient."""
        F, total = features.pop(layer), None
        if layer in self.content_targets:
            loss, gradient = losses.content_loss(F, self.content_targets[layer])
            self.content += loss
            gradient *= self.settings.alpha
            total = gradient
        if layer in self.style_targets:
            w = self.layer_weights[layer]
            loss, gradient = losses.style_loss(F, *self.style_targets[layer], self.network.workers)
            self.style += w * loss
            gradient *= self.settings.beta * w
            total = gradient if total is None else total + gradient
        return total


def first_image(content, style, settings):
    """Where the optimization starts: pixels (H, W, 3) from 0 to 255, uint8, or float for noise.

    Parameters
    ----------
    content, style : uint8 arrays, shape (H, W, 3)
        The style image is cropped and scaled to the content image's size.
    settings : Settings
    """
    if settings.first_image == "content":
        return content
    if settings.first_image == "style":
        return images.fit(style, *content.shape[:2])
    return np.random.default_rng(settings.seed).uniform(0, 255, content.shape)


def stylize(content, style, weights="pocket", callback=None, threads=None, **settings):
    """Paint the content of one picture in the style of another.

    Parameters
    ----------
    content, style : path, PIL image, or array
        As for `nnstyle.images.load_image`.
    weights : "pocket", path, or Weights
        The network.
    callback : callable, optional
        Called after each iteration with (record, image): a `Record` and the picture so
        far, uint8 (H, W, 3). An exception raised in it ends the work.
    threads : int, optional
        How many compute at once: by default as many as the cores this process may use.
        Results do not depend on it beyond rounding.
    **settings
        The fields of `Settings`: size, iterations, alpha, beta, and so on.

    Returns
    -------
    Result
        The same input gives the same picture, bit for bit, on one machine.

    Raises
    ------
    InputError
        For anything given that cannot be used.
    NotFiniteError
        If the loss becomes NaN or infinite.
    """
    settings = Settings(**settings)
    weights = weights if isinstance(weights, Weights) else load_weights(weights)
    workers = Workers(threads)
    network = Network(weights, settings.pooling, workers=workers)
    network.check_names([*settings.content_layers, *settings.style_layers])
    content, style = (images.resize(images.load_image(source), settings.size) for source in (content, style))
    settings = settings.for_picture(*content.shape[:2])
    start = first_image(content, style, settings)
    content, style, start = (
        images.preprocess(image, weights.preprocessing) for image in (content, style, start)
    )
    records, began = [], time.perf_counter()

    def on_iteration(image, loss):
        records.append(Record(len(records) + 1, loss, *objective.parts, time.perf_counter() - began))
        if callback:
            callback(records[-1], images.deprocess(image, weights.preprocessing))

    bounds = images.pixel_range(weights.preprocessing) if settings.bounded else None
    with workers, np.errstate(over="ignore", invalid="ignore"):  # minimize looks for itself
        objective = Objective(network, content, style, settings)
        image, reason = minimize(objective, start, settings.iterations, bounds, on_iteration)
    return Result(images.deprocess(image, weights.preprocessing), records, settings, reason)

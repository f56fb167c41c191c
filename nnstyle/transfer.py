"""Style transfer: first image, scales, and `stylize`, which joins everything."""

import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from . import devices, images, lbfgs, optimizer
from .backend import to_host
from .network import Network
from .objective import Objective
from .settings import Settings
from .weights import Weights, load_weights, rescale


@dataclass(frozen=True)
class Record:
    """The losses after one iteration, and the seconds since the optimization began.

    ``size`` is the long edge of the picture at this scale, px; losses of different scales
    cannot be compared.

    ``total = alpha * content + beta * style + tv_weight * total_variation``
    with ``content`` and ``style`` as in equations (1) and (5), and beta that of the scale.
    """

    iteration: int
    size: int
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
        With the beta and the optimizer that were used.
    reason : str
        Why the optimization ended, at the last scale.
    """

    image: np.ndarray
    losses: list
    settings: Settings
    reason: str


def first_image(content, style, settings):
    """Where the optimization starts (lesson 12): pixels (H, W, 3) from 0 to 255, uint8, or float for noise.

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


def next_start(image, first, larger_first, settings):
    """Where the next scale starts: what was painted so far, enlarged.

    The first image's fine details are kept: what is enlarged is only how the picture
    differs from it. Noise has no details worth keeping.

    Parameters
    ----------
    image, first : float arrays, shape (h, w, 3)
        The result of a scale, and the first image at that scale.
    larger_first : float array, shape (H, W, 3)
        The first image at the next scale.
    settings : Settings
    """
    height, width, _ = larger_first.shape
    if settings.first_image == "noise":
        return images.enlarge(image, height, width)
    return larger_first + images.enlarge(image - first, height, width)


def stylize(
    content, style, weights="pocket", callback=None, threads=None, low_memory=None, device="cpu", **settings
):
    """Paint the content of one picture in the style of another (lesson 11).

    Parameters
    ----------
    content, style : path, PIL image, or array
        As for `nnstyle.images.load_image`.
    weights : "pocket", "vgg19", "vgg16", path, or Weights
        The network, as for `nnstyle.load_weights`.
    callback : callable, optional
        Called after each iteration with (record, image): a `Record` and the picture so
        far, uint8 (h, w, 3), at its scale. An exception raised in it ends the work.
    threads : int, optional
        How many compute at once: by default as many as the cores this process may use.
        Results do not depend on it.
    low_memory : bool, optional
        Keep nothing in memory that can be had again: less memory, and about twice the
        time. By default only where memory is short, with a warning.
    device : "cpu", "auto", "cuda", "cuda:1" and so on
        Where to compute, as for `nnstyle.devices.find`: "auto" takes a graphics card where
        CuPy sees one. There, `threads` has no meaning.
    **settings
        The fields of `Settings`: size, iterations, alpha, beta, and so on.

    Returns
    -------
    Result
        The same input gives the same picture, bit for bit, on one machine's processor.

    Raises
    ------
    InputError
        For anything given that cannot be used.
    NotFiniteError
        If the loss becomes NaN or infinite.
    """
    Settings(**settings)  # before a network is downloaded: they may be wrong
    device = devices.find(device)
    weights = weights if isinstance(weights, Weights) else load_weights(weights)
    settings = Settings.for_network(weights, **settings)
    Network(weights).check_names([*settings.content_layers, *settings.style_layers])
    content, style = (images.resize(images.load_image(source), settings.size) for source in (content, style))
    settings = settings.for_picture(*content.shape[:2]).on_device(device)
    if settings.rescale and not weights.rescaled:
        weights = rescale(weights, [content, style], settings.pooling, threads, device=device)
    if low_memory is None:
        low_memory = device.is_memory_short(weights, *content.shape[:2])
    records, began = [], time.perf_counter()

    def on_iteration(image, loss, objective):
        size, seconds = max(image.shape), time.perf_counter() - began
        records.append(Record(len(records) + 1, size, loss, *objective.parts, seconds))
        if callback:
            callback(records[-1], images.deprocess(image, weights.preprocessing))

    image, before, planned = None, None, 0
    for scale in settings.each_scale():
        planned += scale.iterations  # where a smaller scale ended early, the rest is done here
        scale = replace(scale, iterations=planned - len(records))
        pictures = [images.resize(picture, scale.size) for picture in (content, style)]
        pictures = [*pictures, first_image(*pictures, scale)]
        *targets, first = (images.preprocess(picture, weights.preprocessing) for picture in pictures)
        start = first if image is None else next_start(image, before, first, settings)
        with device.current, device.workers(threads, low_memory) as workers:
            image, reason = paint(weights, *targets, start, scale, device, workers, on_iteration)
        before = first
    return Result(images.deprocess(image, weights.preprocessing), records, settings, reason)


def paint(weights, content, style, start, settings, device, workers, callback):
    """Minimize equation (7) at one scale, from preprocessed pictures; return (image, reason)."""
    bounds = images.pixel_range(weights.preprocessing) if settings.bounded else None
    with np.errstate(over="ignore", invalid="ignore"):  # minimize looks for itself
        network = Network(device.put_weights(weights), settings.pooling, workers=workers)
        objective = Objective(network, device.put(content), device.put(style), settings)
        if style.shape != content.shape:
            workers.clear()  # its maps may have been cut into other tiles, whose kernels nobody needs now
        report = partial(callback, objective=objective)
        if settings.optimizer == "lbfgs-device":
            image, reason = lbfgs.minimize(objective, device.put(start), settings.iterations, bounds, report)
            return to_host(image), reason
        return optimizer.minimize(on_host(objective, device), start, settings.iterations, bounds, report)


def on_host(objective, device):
    """An objective for an optimizer on the host: a picture goes up, a gradient comes down."""

    def evaluate(image):
        loss, gradient = objective(device.put(image))
        return loss, to_host(gradient)

    return evaluate

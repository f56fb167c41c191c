"""Rescaling a network so that each of its filters has a mean activation of about 1."""

import dataclasses
import os
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..arrays import to_host
from ..errors import InputError, shown
from ..network import Network
from ..pictures import SMALLEST, Source, load_image, preprocess, resize
from ..settings import POOLING
from .weights import Weights

if TYPE_CHECKING:
    from ..engine import Engine

LARGEST = 512  # px: a mean over more positions says nothing new, and costs memory
MIN_RATIO = 0.3


def rescale(
    weights: Weights,
    pictures: Iterable[Source],
    pooling: str | None = None,
    min_ratio: float = MIN_RATIO,
    engine: "Engine | None" = None,
) -> Weights:
    """Divide a network's filters by their mean activations over pictures (appendix B).

    As in Gatys, Ecker and Bethge (CVPR 2016), section 2: "normalized" is the network in which
    the mean activation of each filter, over images and positions, is one. A content loss is of
    second degree in the activations, a style loss of fourth. So after rescaling, the same alpha
    and beta balance content and style alike in all networks, and layers alike within one.

    Two pictures barely activate some filters. Over our sample pictures, a third of conv2_1's in a
    VGG-16 of full width, and half of conv5_1's, have less than a hundredth of their layer's mean.
    Divided by that, they would make these layers' style losses hundreds to hundreds of thousands
    of times as large, and nothing else would be painted. So a filter is divided by at least
    `min_ratio` times the mean of its layer. At 0.3, the five layers' style losses are of one size.

    What the network tells apart stays the same. Divide filter i of a layer, its kernel and its
    bias, by m_i > 0. Since ``relu(x / m_i) = relu(x) / m_i``, its feature map is divided by m_i,
    everywhere, in every picture; and so it is after max or average pooling. The next layer reads
    it through ``kernel[:, :, i, :]``. Multiplied by m_i, these weights cancel the division:
    ``(m_i w) (F_i / m_i) = w F_i``. So the next layer computes what it computed before, until
    its own filters are divided. Layer by layer, every feature map becomes what it was,
    divided by a number of its own.

    Parameters
    ----------
    weights : Weights
    pictures : list of paths, PIL images or arrays
        As for `nnstyle.pictures.load_image`; above 512 px they are made smaller.
    pooling : "max" or "average", optional
        The one that the network will be used with: the means depend on it. By default the one that
        the network states, else max.
    min_ratio : float, from 0
        With 0, every mean becomes 1, as in the paper: for pictures that are many and varied.
        A filter that is 0 in all of them then has nothing to be divided by, and stays.
    engine : Engine, optional
        What computes. By default an engine on the processor, made for this call, which uses less
        memory (and more time) where little is free.

    Returns
    -------
    Weights
        Mean activations are 1, or less for filters that were below `min_ratio`.

    Raises
    ------
    InputError
        If there are no pictures, one cannot be read, or an activation is not finite.
    """
    if not isinstance(min_ratio, Real) or not 0 <= min_ratio < np.inf:
        raise InputError(f"min_ratio must be a number from 0, not {shown(min_ratio)}")
    if isinstance(pictures, (str, os.PathLike, Image.Image)) or not isinstance(pictures, Iterable):
        raise InputError("rescaling needs a list of pictures")
    if engine is None:
        with own_engine(weights) as engine:
            return rescale(weights, pictures, pooling, min_ratio, engine)
    with np.errstate(over="ignore", invalid="ignore"):
        network = Network(weights, pooling or weights.pooling or POOLING, engine=engine)
        means = mean_activations(network, weights, pictures)
    if not all(np.isfinite(mean).all() for mean in means.values()):
        raise InputError("the network's activations become infinite or NaN: its weights are too large")
    layers, incoming = {}, np.ones(3)  # the picture itself is not rescaled
    for name, (kernel, bias) in weights.items():
        divisor = np.maximum(means[name], min_ratio * means[name].mean())
        divisor = np.where(divisor > 0, divisor, 1)
        kernel = (kernel * incoming[:, None] / divisor).astype(np.float32)
        bias = (bias / divisor).astype(np.float32)
        kernel.flags.writeable = bias.flags.writeable = False
        layers[name] = kernel, bias
        incoming = divisor
    return dataclasses.replace(weights, layers=layers, rescaled=True)


def own_engine(weights: Weights) -> "Engine":
    """An engine on the processor that keeps little if there is little memory."""
    from ..engine import Engine, devices

    device = devices.find("cpu")
    needed = device.bytes_needed(weights, LARGEST, LARGEST, optimizer=None)
    return Engine(device, low_memory=device.is_memory_short(needed))


def mean_activations(network: Network, weights: Weights, pictures: Iterable[Source]) -> dict[str, np.ndarray]:
    """Each filter's mean over all positions of all pictures: {layer name: array (filters,)}."""
    sums: dict[str, Any] = dict.fromkeys(weights, 0)
    positions = dict.fromkeys(weights, 0)
    for picture in pictures:
        x = network.engine.asarray(preprocess(load_small(picture), weights.preprocessing), network.dtype)
        for name in network.layers:
            x = network.forward_layer(name, x)[0]  # without its cache: memory for one layer is enough
            if name in weights:
                sums[name] = sums[name] + to_host(x.sum((0, 1), dtype=np.float64))
                positions[name] += x[..., 0].size
    if not positions["conv1_1"]:
        raise InputError("rescaling needs at least one picture")
    return {name: sums[name] / positions[name] for name in weights}


def load_small(picture: Source) -> np.ndarray:
    """The pixels of a picture, its long edge at most 512 px."""
    pixels = load_image(picture, LARGEST)
    size = min(LARGEST, max(pixels.shape[:2]))
    if min(pixels.shape[:2]) * size < SMALLEST * max(pixels.shape[:2]):
        name = picture if isinstance(picture, (str, os.PathLike)) else "a picture"
        raise InputError(
            f"{name} cannot be rescaled over: at most {LARGEST} px long, it has fewer than {SMALLEST} px across"
        )
    return resize(pixels, size)

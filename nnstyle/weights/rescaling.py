"""Weights rescaled so that all filters speak about equally loud, each with a mean activation near 1."""

import os

import numpy as np

from ..backend import to_host
from ..devices import HOST
from ..errors import InputError
from ..images import SMALLEST, load_image, preprocess, resize
from ..network import Network
from .loading import Weights

LARGEST = 512  # px: a mean over more positions than that says nothing new, and costs memory
QUIETEST = 0.3  # of its layer's mean activation: a filter is not made louder than one that has this


def rescale(weights, pictures, pooling="average", threads=None, quietest=QUIETEST, device=HOST):
    """The same network, its filters divided by their mean activations over pictures (lesson 12).

    As in Gatys, Ecker and Bethge (CVPR 2016), section 2: "normalized" is the network whose
    mean activation of each filter over images and positions is one. A content loss is of
    second degree in the activations, a style loss of fourth. So the same alpha and beta
    balance alike in all networks that are rescaled, and so do layers within one.

    Few pictures know little of some filters. In our two sample pictures, one in twenty of
    conv4_1's has less than a hundredth of the mean that it has over 60 photographs, or none.
    Divided by that, these few would make that layer's style loss hundreds of times as large, and
    nothing else would be painted. So what a filter is divided by is at least `quietest` of its layer's mean.

    Nothing that the network tells apart is lost. Let m be what layer l is divided by. Divide
    filter i of that layer, its kernel and its bias, by m_i > 0. Since
    ``relu(x / m_i) = relu(x) / m_i``, its feature map is divided by m_i, everywhere, in every
    picture; and so it is after max or average pooling. The next layer reads it through
    ``kernel[:, :, i, :]``. Multiplied by m_i, these weights cancel the division:
    ``(m_i w) (F_i / m_i) = w F_i``. So the next layer computes what it computed before, until
    its own filters are divided, and layer by layer every feature map is its old self
    divided by a number of its own.

    Parameters
    ----------
    weights : Weights
    pictures : sequence of paths, PIL images or arrays
        As for `nnstyle.images.load_image`; above 512 px they are made smaller.
    pooling : "max" or "average"
        The one that the network will be used with: the means depend on it.
    threads : int, optional
        As for `nnstyle.stylize`.
    quietest : float
        With 0, every mean is 1, as in the paper: for pictures that are many and varied. A
        filter that is 0 in all of them then has nothing to be divided by, and stays.

    device : device
        Where to compute, from `nnstyle.devices.find`. The weights stay on the host.

    Returns
    -------
    Weights
        Mean activations are 1, or less for filters that were below `quietest`.

    Raises
    ------
    InputError
        If there are no pictures, one cannot be read, or an activation is not finite.
    """
    with device.current, device.workers(threads) as workers, np.errstate(over="ignore", invalid="ignore"):
        network = Network(device.put_weights(weights), pooling, workers=workers)
        means = mean_activations(network, weights, pictures, device)
    if not all(np.isfinite(mean).all() for mean in means.values()):
        raise InputError("the network's activations become infinite or NaN: its weights are too large")
    layers, incoming = {}, np.ones(3)  # the picture itself is not rescaled
    for name, (kernel, bias) in weights.items():
        own = np.maximum(means[name], quietest * means[name].mean())
        own = np.where(own > 0, own, 1)
        kernel = kernel * incoming[:, None] / own
        layers[name] = kernel.astype(np.float32), (bias / own).astype(np.float32)
        incoming = own
    return Weights(layers, weights.name, weights.preprocessing, True, weights.style_layer_weights)


def mean_activations(network, weights, pictures, device=HOST):
    """Each filter's mean over all positions of all pictures: {layer name: array (filters,)}."""
    sums, positions = dict.fromkeys(weights, 0), dict.fromkeys(weights, 0)
    for picture in pictures:
        x = device.put(preprocess(load_small(picture), weights.preprocessing))
        for name in network.layers:
            x = network.forward_layer(name, x, [])  # what backward needs is dropped: one layer in memory
            if name in weights:
                sums[name] = sums[name] + to_host(x.sum((0, 1), dtype=np.float64))
                positions[name] += x[..., 0].size
    if not positions["conv1_1"]:
        raise InputError("rescaling needs at least one picture")
    return {name: sums[name] / positions[name] for name in weights}


def load_small(picture):
    """The pixels of a picture, its long edge at most 512 px."""
    pixels = load_image(picture)
    size = min(LARGEST, max(pixels.shape[:2]))
    if min(pixels.shape[:2]) * size < SMALLEST * max(pixels.shape[:2]):
        name = picture if isinstance(picture, (str, os.PathLike)) else "a picture"
        raise InputError(
            f"{name} cannot be rescaled over: at most {LARGEST} px long, it has fewer than {SMALLEST} px across"
        )
    return resize(pixels, size)

"""The work that is measured: one evaluation of equation (7), and what it ideally costs."""

import math
import time

import numpy as np

from .. import weights
from ..devices import Host
from ..images import Preprocessing
from ..network import LAYERS, Network, layers_of
from ..objective import Objective
from ..settings import Settings
from ..winograd_1d import SIX

VGG19_WIDTHS = (64, 128, 256, 512, 512)  # channels of each block
NETWORKS = ("pocket", "vgg19")


def make_weights(network, last="conv5_1"):
    """The embedded network; or VGG-19 up to `last` with random weights, which cost the same time."""
    if network == "pocket":
        return weights.load_weights("pocket")
    rng, layers, channels = np.random.default_rng(0), {}, 3
    for name in LAYERS["vgg19"][: LAYERS["vgg19"].index(last) + 1]:
        if name.startswith("conv"):
            width = VGG19_WIDTHS[int(name[4]) - 1]
            kernel = rng.standard_normal((3, 3, channels, width), np.float32)
            kernel *= math.sqrt(2 / (9 * channels))  # activations stay of one size
            layers[name] = kernel, np.zeros(width, np.float32)
            channels = width
    return weights.Weights(layers, "vgg19 (random)", Preprocessing())


def make_images(size, seed=1):
    """Content, style and generated image: noise, (size, size, 3), float32."""
    rng = np.random.default_rng(seed)
    return [60 * rng.standard_normal((size, size, 3), np.float32) for _ in range(3)]


def evaluation(network, size, workers, device=None, seed=1):
    """A function that evaluates the loss and its gradient once, as `stylize` does by default.

    The pictures are `make_images`, squares of `size` px; `seed` is that of their noise.
    """
    device, settings = device or Host(), Settings(size=size).for_picture(size, size)
    content, style, image = map(device.put, make_images(size, seed))
    net = Network(device.put_weights(make_weights(network)), settings.pooling, workers=workers)
    objective = Objective(net, content, style, settings)
    return lambda: objective(image)


def operations(layers, size):
    """Floating-point operations of all convolutions, forward and backward, done plainly."""
    total = 0
    for name in layers_of(layers):
        if name.startswith("pool"):
            size //= 2
        else:
            total += 2 * 2 * layers[name][0].size * size**2  # a product and a sum, there and back
    return total


FEWER_PRODUCTS = (3 * SIX.tile) ** 2 / SIX.n**2  # by Winograd's identity: 324 / 64


def matmul_rate(workers):
    """Operations a second of float32 matrix products, one on each thread: the best of five."""
    n = 1024
    matrices = [np.ones((n, n), np.float32) for _ in range(workers.threads)]
    results = [np.empty_like(matrix) for matrix in matrices]

    def work(i):
        for _ in range(4):
            np.matmul(matrices[i], matrices[i], out=results[i])

    seconds = min(seconds_of(lambda: workers.each(work, range(workers.threads))) for _ in range(5))
    return 4 * workers.threads * 2 * n**3 / seconds


def seconds_of(function):
    """How long a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began

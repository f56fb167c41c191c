"""The work that is measured: one evaluation of equation (7), and what it ideally costs."""

import math
import time
from collections.abc import Callable, Mapping

import numpy as np

from ..arrays import Array
from ..engine import Engine
from ..engine.winograd_1d import F_6_3
from ..network import LAYERS, Network, layers_of
from ..objective import Objective, paper_terms, set_targets
from ..pictures import Preprocessing
from ..settings import Settings
from ..tiled import TiledObjective
from ..weights import Weights, load_weights

VGG19_WIDTHS = (64, 128, 256, 512, 512)  # channels of each block
NETWORKS = ("pocket", "vgg19")


def make_weights(network: str, last: str = "conv5_1") -> Weights:
    """The embedded network; or VGG-19 up to `last` with random weights, which cost the same time."""
    if network == "pocket":
        return load_weights("pocket")
    rng = np.random.default_rng(0)
    layers: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    channels = 3
    for name in LAYERS["vgg19"][: LAYERS["vgg19"].index(last) + 1]:
        if name.startswith("conv"):
            width = VGG19_WIDTHS[int(name[4]) - 1]
            kernel = rng.standard_normal((3, 3, channels, width), np.float32)
            kernel *= math.sqrt(2 / (9 * channels))  # keeps the size of activations from layer to layer
            layers[name] = kernel, np.zeros(width, np.float32)
            channels = width
    return Weights(layers, "vgg19 (random)", Preprocessing())


def make_images(size: int, seed: int = 1) -> list[np.ndarray]:
    """Content, style and generated image: noise, (size, size, 3), float32."""
    rng = np.random.default_rng(seed)
    return [60 * rng.standard_normal((size, size, 3), np.float32) for _ in range(3)]


def make_settings(weights: Weights, size: int) -> Settings:
    """The paper's settings for a square picture: one scale, no border, average pooling, equal layer weights."""
    layer_weights = (1 / len(Settings.style_layers),) * len(Settings.style_layers)
    settings = Settings(
        size=size, scales=1, border=0, pooling="average", beta_per_pixel=1000.0, layer_weights=layer_weights
    )
    return settings.decided(weights, size, size)


def evaluation(
    network: str, size: int, engine: Engine, seed: int = 1, tile: int | None = None
) -> Callable[[], tuple[float, Array]]:
    """A function that evaluates the loss and its gradient once, with the paper's settings.

    Parameters
    ----------
    network : str
        One of `NETWORKS`.
    size : int
        Of the pictures, squares of noise (`make_images`), px.
    engine : Engine
        What computes; the gradient stays on its device.
    seed : int
        Of the noise.
    tile : int, optional
        Evaluate by tiles of this length (`TiledObjective`).
    """
    weights = make_weights(network)
    settings = make_settings(weights, size)
    content, style, image = (engine.asarray(picture, np.float32) for picture in make_images(size, seed))
    net = Network(weights, str(settings.pooling), engine=engine)
    terms = paper_terms(settings, engine)
    if tile is not None:
        by_tiles = TiledObjective(net, terms, tile)
        by_tiles.set_targets(content, style)
        return lambda: by_tiles(image)
    set_targets(terms, net, content, style)
    objective = Objective(net, terms)
    return lambda: objective(image)


def operations(layers: Mapping[str, tuple[np.ndarray, np.ndarray]], size: int) -> int:
    """Floating-point operations of all convolutions, forward and backward, done plainly."""
    total = 0
    for name in layers_of(layers):
        if name.startswith("pool"):
            size //= 2
        else:
            total += 2 * 2 * layers[name][0].size * size**2  # a product and a sum, there and back
    return total


FEWER_PRODUCTS = (3 * F_6_3.tile) ** 2 / F_6_3.n**2  # by Winograd's identity: 324 / 64


def matmul_rate(engine: Engine) -> float:
    """Operations a second of float32 matrix products, one on each thread: the best of five."""
    n = 1024
    matrices = [np.ones((n, n), np.float32) for _ in range(engine.threads)]
    results = [np.empty_like(matrix) for matrix in matrices]

    def work(i: int) -> None:
        for _ in range(4):
            np.matmul(matrices[i], matrices[i], out=results[i])

    seconds = min(seconds_of(lambda: engine.map(work, range(engine.threads))) for _ in range(5))
    return 4 * engine.threads * 2 * n**3 / seconds


def seconds_of(function: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began

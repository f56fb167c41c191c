"""VGG as one table of layers: forward collects feature maps, backward carries gradients to the image.

As everywhere in this field, the feature map named ``conv4_2`` is taken after its ReLU.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from .arrays import Array
from .errors import InputError, shown

if TYPE_CHECKING:
    from .engine import Engine

CONVOLUTIONS_PER_BLOCK = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
POOLINGS = ("max", "average")

# What backward needs of one operation: the layer's name, the backward pass, its cache.
Step = tuple[str | None, Callable, object]


def layer_names(architecture: str) -> list[str]:
    """``conv1_1, conv1_2, pool1, conv2_1, ..``: the layers of "vgg16" or "vgg19" in order."""
    names = []
    for block, count in enumerate(CONVOLUTIONS_PER_BLOCK[architecture], start=1):
        names += [f"conv{block}_{i}" for i in range(1, count + 1)] + [f"pool{block}"]
    return names


LAYERS = {architecture: layer_names(architecture) for architecture in CONVOLUTIONS_PER_BLOCK}


def layers_of(convolutions: Iterable[str]) -> list[str]:
    """The layers of a network with these convolutions: VGG-16's or VGG-19's, up to the deepest."""
    convolutions = set(convolutions)
    names = LAYERS["vgg16" if convolutions <= set(LAYERS["vgg16"]) else "vgg19"]
    unknown = [name for name in convolutions if name not in names or name.startswith("pool")]
    if unknown or not convolutions:
        raise InputError(f"a VGG has convolutions conv1_1, conv1_2 and so on, not {unknown or 'none'}")
    return names[: 1 + max(names.index(name) for name in convolutions)]


class Network:
    """A VGG with frozen weights (lesson 7).

    Parameters
    ----------
    weights : mapping of layer name to (kernel, bias)
        As from `nnstyle.load_weights`: kernels (3, 3, in, out), biases (out,). The widths of
        the layers follow from them; a network may end after any convolution.
    pooling : "average" or "max"
        VGG was trained with max-pooling; the paper prefers average pooling for images.
    dtype : NumPy floating type
        Of all computations: float32 for pictures, float64 for gradient checks.
    engine : Engine or the module `nnstyle.layers`, optional
        What computes the layers. By default a fast engine on the processor, which all networks
        without an engine of their own share; ``engine=nnstyle.layers`` takes the plain functions.

    Attributes
    ----------
    layers : list of str
        The names that `forward` takes, in order.

    Raises
    ------
    InputError
        For an unknown kind of pooling, or weights of layers that do not follow one another in a VGG.

    Examples
    --------
    >>> import nnstyle
    >>> weights = nnstyle.load_weights("pocket")
    >>> image = nnstyle.pictures.preprocess(photo, weights.preprocessing)  # doctest: +SKIP
    >>> features, cache = nnstyle.Network(weights).forward(image, ["conv4_2"])  # doctest: +SKIP
    """

    def __init__(
        self,
        weights: Mapping[str, tuple[Array, Array]],
        pooling: str = "average",
        dtype: np.dtype | type = np.float32,
        engine: "Engine | ModuleType | None" = None,
    ):
        if pooling not in POOLINGS:
            raise InputError(f"pooling {shown(pooling)} is unknown: use {' or '.join(POOLINGS)}")
        self.layers = layers_of(weights)
        missing = [name for name in self.layers if name.startswith("conv") and name not in weights]
        if missing:
            raise InputError(f"the weights of {', '.join(missing)} are missing")
        if engine is None:
            from .engine import shared_engine  # here, because engines come after the paper

            engine = shared_engine()
        self.engine, self.pooling, self.dtype = engine, pooling, np.dtype(dtype)
        self.weights = {
            name: (engine.constant(kernel, dtype), engine.constant(bias, dtype))
            for name, (kernel, bias) in weights.items()
        }

    def forward(self, image: Array, names: Iterable[str]) -> tuple[dict[str, Array], list[Step]]:
        """Compute the feature maps of the named layers (lesson 7).

        Parameters
        ----------
        image : array, shape (H, W, 3)
            Preprocessed (see `nnstyle.pictures.preprocess`).
        names : iterable of str, or one name
            Nothing is computed beyond the deepest of them.

        Returns
        -------
        features : dict of name to array, shape (height, width, channels)
        cache : what `backward` needs

        Raises
        ------
        InputError
            For a name that this network does not have.
        """
        wanted = {names} if isinstance(names, str) else set(names)
        self.check_names(wanted)
        features: dict[str, Array] = {}
        cache: list[Step] = []
        x = self.engine.asarray(image, self.dtype)
        for name in self.layers:
            if len(features) == len(wanted):
                break
            x, steps = self.forward_layer(name, x)
            cache += steps
            if name in wanted:
                features[name] = x
        return features, cache

    def forward_layer(self, name: str, x: Array) -> tuple[Array, list[Step]]:
        """Apply one layer; return its output, and what `backward` needs of each of its operations."""
        steps = []
        for step, operation, operation_backward in self.operations(name):
            x, cache = operation(x)
            steps.append((step, operation_backward, cache))
        return x, steps

    def operations(self, name: str) -> list[tuple[str | None, Callable, Callable]]:
        """The operations of a layer in order, as (name, forward, backward).

        A pooling is one operation. A convolution and its ReLU are two, and only the ReLU bears the
        layer's name: its result is the feature map.
        """
        engine = self.engine
        if name.startswith("pool") and self.pooling == "max":
            return [(name, engine.max_pool, engine.max_pool_backward)]
        if name.startswith("pool"):
            return [(name, engine.average_pool, engine.average_pool_backward)]
        kernel, bias = self.weights[name]
        conv = partial(engine.conv, kernel=kernel, bias=bias)
        return [(None, conv, engine.conv_backward), (name, engine.relu, engine.relu_backward)]

    def backward(self, gradients: Mapping[str, Array | Callable[[], Array]], cache: list[Step]) -> Array:
        """Carry derivatives at any layers down to the image, by the chain rule (lesson 5).

        Parameters
        ----------
        gradients : mapping of name to array, or to a function that returns it
            Derivative of the loss with respect to each feature map that it depends on, at any
            layers that `forward` passed. A function is called when its layer is reached on the
            way down, so that only one of these arrays needs memory at a time.
        cache : as `forward` returned it
            It is emptied on the way, to free memory early. To use it twice, pass a copy,
            ``list(cache)``.

        Returns
        -------
        array, shape (H, W, 3)
            Derivative of the loss with respect to the image.

        Raises
        ------
        ValueError
            If there are no gradients, if one is given at a layer that `forward` did not
            compute, or if an earlier call has emptied the cache.
        """
        if gradients and not cache:
            raise ValueError("the cache is empty, because an earlier backward has used it: pass list(cache)")
        unknown = set(gradients) - {name for name, _, _ in cache}
        if unknown or not gradients:
            raise ValueError(
                f"gradients must be given at layers that forward computed, not at {unknown or 'none'}"
            )
        gradient = None
        while cache:
            name, layer_backward, layer_cache = cache.pop()
            if name is not None and name in gradients:
                here = self.gradient_at(gradients[name])
                gradient = here if gradient is None else self.engine.add(gradient, here)
                del here
            if gradient is not None:
                gradient = layer_backward(gradient, layer_cache)
        return gradient

    def gradient_at(self, gradient: Array | Callable[[], Array]) -> Array:
        """The derivative at a layer: as it was given, or as the function given returns it."""
        return self.engine.asarray(gradient() if callable(gradient) else gradient, self.dtype)

    def check_names(self, names: Iterable[str]) -> None:
        """Raise InputError if a name is not among `layers`."""
        for name in names:
            if name not in self.layers:
                raise InputError(f"layer {shown(name)} is unknown: this network has {', '.join(self.layers)}")

"""VGG as a table of layer names: forward collects features, backward carries gradients home.

As everywhere in this field, the feature map named ``conv4_2`` is taken after its ReLU.
"""

import numpy as np

from . import layers
from .backend import library_of
from .bands import in_bands
from .errors import InputError

CONVOLUTIONS_PER_BLOCK = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def layer_names(architecture):
    """``conv1_1, conv1_2, pool1, conv2_1, ..``: the layers of "vgg16" or "vgg19" in order."""
    names = []
    for block, count in enumerate(CONVOLUTIONS_PER_BLOCK[architecture], start=1):
        names += [f"conv{block}_{i}" for i in range(1, count + 1)] + [f"pool{block}"]
    return names


LAYERS = {architecture: layer_names(architecture) for architecture in CONVOLUTIONS_PER_BLOCK}


def layers_of(convolutions):
    """The layers of a network that has these convolutions: VGG-16's or VGG-19's, up to the deepest."""
    names = LAYERS["vgg16" if set(convolutions) <= set(LAYERS["vgg16"]) else "vgg19"]
    return names[: 1 + max(names.index(name) for name in convolutions)]


POOLING = {
    "max": (layers.max_pool, layers.max_pool_backward),
    "average": (layers.average_pool, layers.average_pool_backward),
}


class Network:
    """A VGG with frozen weights (lesson 7). Holds nothing between calls but those.

    Parameters
    ----------
    weights : mapping of layer name to (kernel, bias)
        Kernels (3, 3, in, out), biases (out,), as from `nnstyle.load_weights`. Channel
        widths follow from them; a network may end after any convolution.
    pooling : "max" or "average"
        VGG was trained with max-pooling; the paper prefers average-pooling for images.
    dtype : NumPy floating type
        In which everything is computed: float32 for pictures, float64 for gradient checks.
    workers : Workers, optional
        Threads and scratch memory for the fast convolution; without, the plain one is used.

    Attributes
    ----------
    layers : list of str
        The names that `forward` takes, in order.
    """

    def __init__(self, weights, pooling="max", dtype=np.float32, workers=None):
        if pooling not in POOLING:
            raise InputError(f"pooling {pooling!r} is unknown: use {' or '.join(POOLING)}")
        self.pool, self.pool_backward = POOLING[pooling]
        self.dtype, self.workers = np.dtype(dtype), workers
        self.weights = {
            name: (kernel.astype(dtype, copy=False), bias.astype(dtype, copy=False))
            for name, (kernel, bias) in weights.items()
        }
        self.layers = layers_of(weights)

    def forward(self, image, names):
        """Compute the feature maps of the named layers (lesson 7).

        Parameters
        ----------
        image : array, shape (H, W, 3)
            Preprocessed (see `nnstyle.images.preprocess`).
        names : iterable of str
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
        wanted = set(names)
        self.check_names(wanted)
        features, cache = {}, []
        x = image.astype(self.dtype, copy=False)
        for name in self.layers:
            if len(features) == len(wanted):
                break
            x = self.forward_layer(name, x, cache)
            if name in wanted:
                features[name] = x
        return features, cache

    def forward_layer(self, name, x, cache):
        """Apply one layer; append (name, backward function, its cache) for each operation."""
        if name.startswith("pool"):
            y, kept = self.pool(x, self.workers)
            cache.append((name, self.pool_backward, kept))
            return y
        y, kept = layers.conv(x, *self.weights[name], self.workers)
        cache.append((None, layers.conv_backward, kept))  # no name before the ReLU
        y, kept = layers.relu(y, self.workers, out=y)
        cache.append((name, layers.relu_backward, kept))
        return y

    def backward(self, gradients, cache):
        """Carry derivatives at any layers down to the image, by the chain rule (lesson 5).

        Parameters
        ----------
        gradients : dict of name to array, or to a function that returns it
            Derivative of the loss with respect to each feature map it depends on; any
            layers up to the deepest that `forward` computed. Functions are called on the
            way down, when their layer is reached: no two arrays need to exist at once.
        cache : as `forward` returned it
            It is emptied on the way, because what is done with should not fill memory: for
            a second time, give a copy, ``list(cache)``.

        Returns
        -------
        array, shape (H, W, 3)
            Derivative of the loss with respect to the image.

        Raises
        ------
        ValueError
            For gradients at layers that `forward` did not compute, none at all, or a cache
            that an earlier call has emptied.
        """
        if gradients and not cache:
            raise ValueError(
                "the cache is empty: an earlier backward has used it up, give it a copy, list(cache)"
            )
        unknown = set(gradients) - {name for name, _, _ in cache}
        if unknown or not gradients:
            raise ValueError(
                f"gradients must be given at layers that forward computed, not at {unknown or 'none'}"
            )
        gradient = None
        while cache:
            name, layer_backward, kept = cache.pop()
            if name in gradients:
                gradient = self._add(gradient, gradients[name])
            if gradient is not None:
                gradient = layer_backward(gradient, kept, self.workers)
        return gradient

    def _add(self, gradient, its_gradient):
        """What comes from above, if anything, plus the derivative at this layer."""
        its_gradient = its_gradient() if callable(its_gradient) else its_gradient
        its_gradient = its_gradient.astype(self.dtype, copy=False)
        if gradient is None:
            return its_gradient
        in_bands(self.workers, library_of(gradient).add, gradient, its_gradient, gradient)
        return gradient

    def check_names(self, names):
        """Raise InputError if a name is not among ``self.layers``."""
        for name in names:
            if name not in self.layers:
                raise InputError(f"layer {name!r} is unknown: this network has {', '.join(self.layers)}")

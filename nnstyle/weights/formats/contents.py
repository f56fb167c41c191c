"""What a weights file holds, before its numbers are read, and what it states about itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import InputError
from ...network import LAYERS
from ...pictures.preprocessing import CAFFE, MATCONVNET, TORCHVISION, Preprocessing

__all__ = [
    "CAFFE",
    "CONVOLUTIONS",
    "MATCONVNET",
    "TORCHVISION",
    "Arrays",
    "Contents",
    "Layers",
    "PREPROCESSING",
    "StoredArray",
    "check_claim",
    "keras_group",
    "stated_preprocessing",
    "text",
]

PREPROCESSING = ("channel_order", "mean", "scale")  # what a file may state of its input
# Of more than so many bytes, at least a twentieth is in the file: noise does not shrink.
LARGE, MOST_SHRUNK = 1 << 22, 20
CONVOLUTIONS = [name for name in LAYERS["vgg19"] if name.startswith("conv")]


@dataclass(frozen=True)
class StoredArray:
    """A kernel or bias that is still in its file.

    Attributes
    ----------
    shape : tuple of int
    read : callable
        Returns the array, of that shape and any floating type. Works while the file is open.
    """

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]

    def transposed(self, *axes: int) -> "StoredArray":
        """With its axes in another order, as ``array.transpose`` does it."""
        return StoredArray(tuple(self.shape[axis] for axis in axes), lambda: self.read().transpose(axes))

    def flipped(self) -> "StoredArray":
        """A kernel (3, 3, in, out) turned by half a turn: a convolution as mathematics has it becomes ours."""
        return StoredArray(self.shape, lambda: self.read()[::-1, ::-1])


Arrays = Mapping[str, StoredArray]
Layers = dict[str, tuple[StoredArray, StoredArray]]


@dataclass(frozen=True)
class Contents:
    """A weights file as it was found.

    Attributes
    ----------
    layout : str
        For people: "Keras's layout in HDF5".
    layers : dict of layer name to (StoredArray, StoredArray)
        Kernel (3, 3, in, out) and bias (out,) of the convolutions. Nothing is checked yet.
    implied : Preprocessing
        What goes with the layout, for what is not stated.
    stated : mapping of str to value
        What the file states about its input, as `stated_preprocessing` takes it.
    is_certain : bool
        Whether the layout leaves no doubt about the preprocessing. Otherwise the numbers may tell.
    maybe_flipped : bool
        Whether kernels may be turned by half a turn, as Theano's are, and nothing in the file tells.
    before : pair of StoredArray, optional
        A convolution of one pixel, kernel (3, 3, 1, 1) and bias, that prepares the input.
    name : str, optional
        What the file calls its network.
    rescaled : bool
        Whether the file says that its filters were divided by their mean activations.
    style_layer_weights : tuple of 5 floats, optional
        The w_l of equation (5) that the file says its network paints best with.
    pooling : "average" or "max", optional
        The pooling that it says its network paints best with.
    beta_per_pixel : float, optional
        The style weight of each pixel that it says its network paints best with.
    """

    layout: str
    layers: Layers
    implied: Preprocessing = field(default=CAFFE)
    stated: Mapping[str, Any] = field(default_factory=dict)
    is_certain: bool = False
    maybe_flipped: bool = False
    before: tuple[StoredArray, StoredArray] | None = None
    name: str | None = None
    rescaled: bool = False
    style_layer_weights: tuple[float, ...] | None = None
    pooling: str | None = None
    beta_per_pixel: float | None = None


def check_claim(what: str, claimed: int, stored: int) -> None:
    """Raise InputError if something claims many more bytes than are in the file."""
    if claimed > LARGE and claimed > MOST_SHRUNK * stored:
        raise InputError(f"{what} claims {claimed // 1_000_000} MB, and far less is in the file")


def keras_group(layer: str) -> str:
    """Keras's name: ``conv3_1`` is in the group ``block3_conv1``."""
    return layer.replace("conv", "block").replace("_", "_conv")


def stated_preprocessing(stated: Mapping[str, Any], otherwise: Preprocessing) -> Preprocessing:
    """The preprocessing that a file states, refused if it makes no sense.

    Parameters
    ----------
    stated : mapping
        May have "channel_order" ("RGB" or "BGR"), "mean" (3 numbers), "scale" (1 or 3).
    otherwise : Preprocessing
        For what it does not state.
    """
    order = text(stated.get("channel_order", otherwise.channel_order))
    mean, scale = otherwise.mean, otherwise.scale
    if order != otherwise.channel_order:  # what is not stated is known in the other order
        mean, scale = mean[::-1], scale[::-1] if isinstance(scale, tuple) else scale
    try:
        return Preprocessing(order, stated.get("mean", mean), stated.get("scale", scale))
    except InputError as error:
        raise InputError(f"its {error}") from None


def text(value: Any) -> str:
    """A str: HDF5 and NumPy store texts of fixed length as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

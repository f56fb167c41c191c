"""What a weights file holds, before its numbers are read, and what its names imply."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import InputError
from ...network import LAYERS
from ...pictures.preprocessing import Preprocessing

CONVOLUTIONS = [name for name in LAYERS["vgg19"] if name.startswith("conv")]

# What networks were trained on; `Preprocessing` describes the fields.
CAFFE = Preprocessing("BGR", (103.939, 116.779, 123.68), 1.0)  # and Keras
MATCONVNET = Preprocessing("RGB", (123.68, 116.779, 103.939), 1.0)
TORCHVISION = Preprocessing(  # on pixels of 0 to 1, minus (.485, .456, .406), divided by (.229, .224, .225)
    "RGB",
    tuple(255 * mean for mean in (0.485, 0.456, 0.406)),
    tuple(1 / (255 * deviation) for deviation in (0.229, 0.224, 0.225)),
)


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


Arrays = Mapping[str, StoredArray]
Names = dict[str, tuple[str, str]]  # {layer name: (name of its kernel, name of its bias)}
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
    preprocessing : Preprocessing
    name : str, optional
        What the file calls its network.
    rescaled : bool
        Whether the file says that its filters were divided by their mean activations.
    style_layer_weights : tuple of 5 floats, optional
        The w_l of equation (5) that the file says its network paints best with.
    """

    layout: str
    layers: Layers
    preprocessing: Preprocessing = field(default=CAFFE)
    name: str | None = None
    rescaled: bool = False
    style_layer_weights: tuple[float, ...] | None = None


def layers_from_names(arrays: Arrays) -> tuple[Layers, Preprocessing]:
    """Sort named arrays into layers, by the names and axes of whoever wrote them.

    Parameters
    ----------
    arrays : dict of str to StoredArray
        ``features.0.weight`` as in torchvision, ``conv1_1.weight`` as in the file of the
        paper's first author, or ``block1_conv1/kernel`` as in Keras. Other names (fully
        connected layers, for example) are ignored.

    Returns
    -------
    layers : dict, as in `Contents`
    preprocessing : Preprocessing
        What goes with such names.

    Raises
    ------
    InputError
        If there is no kernel or no bias for a layer, or none of these names at all.
    """
    for names, preprocessing, axes in (
        (torchvision_names(arrays), TORCHVISION, (2, 3, 1, 0)),
        (author_names(arrays), CAFFE, (2, 3, 1, 0)),
        (keras_names(arrays), CAFFE, (0, 1, 2, 3)),
    ):
        if names:
            return {layer: pair(layer, arrays, *names[layer], axes) for layer in names}, preprocessing
    raise InputError(
        "it has no layer called features.0.weight, conv1_1.weight or block1_conv1/kernel, as VGG's would be"
    )


def pair(
    layer: str, arrays: Arrays, kernel: str, bias: str, axes: tuple[int, ...]
) -> tuple[StoredArray, StoredArray]:
    """Kernel and bias of a layer, the kernel's axes brought into our order."""
    for name in (kernel, bias):
        if name not in arrays:
            raise InputError(f"{layer} lacks its {name}")
    if len(arrays[kernel].shape) != 4:
        raise InputError(f"{kernel} should have 4 axes, not {len(arrays[kernel].shape)}")
    return arrays[kernel].transposed(*axes), arrays[bias]


def torchvision_names(arrays: Arrays) -> Names:
    """``features.N.weight``, where N counts convolutions, the ReLU after each, and poolings."""
    found = (re.match(r"features\.(\d{1,3})\.", name) for name in arrays)
    numbers = {int(match[1]) for match in found if match}
    if any(f"features.{number}.running_mean" in arrays for number in numbers):
        raise InputError("it has batch normalisation, which is not read here: use a VGG without it")
    for layers in LAYERS.values():
        expected: dict[int, str] = {}
        number = 0
        for layer in layers:
            if layer in CONVOLUTIONS:
                expected[number] = layer
            number += 2 if layer in CONVOLUTIONS else 1
        if numbers <= set(expected):
            return {
                layer: (f"features.{number}.weight", f"features.{number}.bias")
                for number, layer in expected.items()
                if number in numbers
            }
    raise InputError("its features.N.weight do not lie where those of VGG-16 or VGG-19 do")


def author_names(arrays: Arrays) -> Names:
    """``conv1_1.weight``, and Caffe's names where a converter kept them."""
    return {
        layer: (f"{layer}.weight", f"{layer}.bias") for layer in CONVOLUTIONS if f"{layer}.weight" in arrays
    }


def keras_names(arrays: Arrays) -> Names:
    """``block1_conv1/kernel``, with what Keras's versions put before and after it."""
    names: Names = {}
    for layer in CONVOLUTIONS:
        group = keras_group(layer)
        forms = [f"{group}/kernel", f"{group}/{group}/kernel:0", f"{group}/kernel:0", f"{group}_W_1:0"]
        forms += [f"{group}.kernel", f"{group}/{group}_W_1:0", f"{group}_W:0"]
        for kernel in filter(arrays.__contains__, forms):
            names[layer] = kernel, kernel.replace("kernel", "bias").replace("_W", "_b")
    return names


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

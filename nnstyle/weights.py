"""A VGG file -> {layer name: (kernel, bias)}, with the preprocessing that goes with it.

Read is the layout of Keras's ``vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5`` and
its VGG-16 twin, which the embedded network ``pocket`` shares: HDF5 groups named
``block1_conv1`` and so on, each with a kernel (3, 3, in, out) and a bias (out,).
"""

import os
from pathlib import Path

import h5py
import numpy as np

from .errors import InputError
from .images import Preprocessing
from .network import LAYERS, layers_of

CONVOLUTIONS = [name for name in LAYERS["vgg19"] if name.startswith("conv")]

HERE = Path(__file__).parent
# Inside an installed package, and in a checkout.
POCKET_PATHS = (HERE / "data" / "pocket.h5", HERE.parent / "weights" / "pocket.h5")


class Weights(dict):
    """``weights[name]`` is ``(kernel, bias)``: float32 arrays (3, 3, in, out) and (out,).

    Attributes
    ----------
    name : str
        What to call the network: from the file, else the file's name.
    preprocessing : Preprocessing
        What the network expects of its input.
    """

    def __init__(self, layers, name, preprocessing):
        super().__init__(layers)
        self.name = name
        self.preprocessing = preprocessing


def load_weights(source="pocket"):
    """Read the convolutions of a VGG file (lesson 7).

    Parameters
    ----------
    source : "pocket" or path
        The embedded network, or an HDF5 file in Keras's VGG layout, float16 or float32.

    Returns
    -------
    Weights

    Raises
    ------
    InputError
        If there is no such file, it is not HDF5, or its layers do not make a VGG.
    """
    pocket = next((path for path in POCKET_PATHS if path.exists()), POCKET_PATHS[0])
    path = pocket if source == "pocket" else Path(source)
    if not os.path.isfile(path):  # unlike Path.is_file, it takes names of any length
        raise InputError(
            f"there is no weights file {path}: give a file's path, or pocket for the embedded network"
        )
    try:
        with h5py.File(path) as file:
            return read_network(file, path.stem)
    except OSError as error:
        raise InputError(f"{path} is not a readable HDF5 file: {error}") from None
    except InputError as error:
        raise InputError(f"{path} does not hold a VGG network in Keras's layout: {error}") from None
    except (KeyError, RuntimeError, TypeError, ValueError, MemoryError) as error:  # what h5py raises
        raise InputError(f"{path} cannot be read, it may be damaged: {error}") from error


def read_network(file, name):
    """Everything in an open HDF5 file; `name` is for a file that does not tell its own."""
    found = {
        layer: find_layer(file[group_name(layer)]) for layer in CONVOLUTIONS if group_name(layer) in file
    }
    check_shapes(found)  # before the values are read: a damaged shape may ask for terabytes
    layers = {layer: read_layer(layer, *datasets) for layer, datasets in found.items()}
    return Weights(layers, text(file.attrs.get("name", name)), read_preprocessing(file.attrs))


def text(attribute):
    """An attribute as a str: HDF5 stores texts of fixed length as bytes."""
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


def group_name(layer):
    """Keras's name: ``conv3_1`` is in the group ``block3_conv1``."""
    return layer.replace("conv", "block").replace("_", "_conv")


def find_layer(group):
    """The datasets of kernel and bias, told apart by rank: names differ between Keras versions."""
    found = []

    def keep(_, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind == "f":
            found.append(item)

    if isinstance(group, h5py.Group):
        group.visititems(keep)
    found.sort(key=lambda item: -item.ndim)
    if [item.ndim for item in found] != [4, 1]:
        raise InputError(
            f"{group.name} should hold one kernel and one bias, floating-point arrays of rank 4 and 1"
        )
    return found


def check_shapes(found):
    """Raise InputError unless the layers follow one another as in VGG-19 or VGG-16."""
    if not found:
        raise InputError("it has no group block1_conv1")
    channels = 3
    for name in filter(CONVOLUTIONS.__contains__, layers_of(found)):
        if name not in found:
            raise InputError(f"{name} is missing")
        kernel, bias = found[name]
        expected = (3, 3, channels, kernel.shape[-1])
        if kernel.shape != expected or bias.shape != expected[-1:] or 0 in expected:
            raise InputError(f"{name} has kernel {kernel.shape} and bias {bias.shape}, expected {expected}")
        channels = kernel.shape[-1]


def read_layer(name, *datasets):
    """Kernel and bias as float32 arrays."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        kernel, bias = (dataset[()].astype(np.float32) for dataset in datasets)
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise InputError(f"{name} has values that are not finite")
    return kernel, bias


def read_preprocessing(attributes):
    """From the file's attributes ``channel_order``, ``mean`` and ``scale``; without them, Keras's."""
    standard = Preprocessing()
    order = text(attributes.get("channel_order", standard.channel_order))
    mean = np.asarray(attributes.get("mean", standard.mean))
    scale = np.asarray(attributes.get("scale", standard.scale))
    if order not in ("RGB", "BGR"):
        raise InputError(f"its channel_order is {order}, neither RGB nor BGR")
    if (
        mean.dtype.kind not in "fiu"
        or scale.dtype.kind not in "fiu"
        or mean.shape != (3,)
        or scale.shape not in ((), (3,))
    ):
        raise InputError("its mean should be 3 numbers, its scale 1 or 3")
    if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale != 0).all()):
        raise InputError("its mean and scale should be finite, the scale not 0")
    return Preprocessing(
        order,
        tuple(mean.astype(float).tolist()),
        tuple(scale.astype(float).tolist()) if scale.ndim else float(scale),
    )

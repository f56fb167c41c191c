"""Which file, in which format; then its layers, checked before a single number is read."""

import contextlib
import os
import zipfile
from pathlib import Path

import h5py
import numpy as np

from ..errors import InputError
from ..network import layers_of
from .caffe import is_caffe, open_caffe
from .contents import CONVOLUTIONS
from .download import fetch
from .hdf5 import open_hdf5
from .known import KNOWN
from .matconvnet import open_matconvnet
from .named_arrays import open_npz, open_safetensors
from .torch_legacy import MAGIC, open_torch_legacy
from .torch_zip import open_torch_zip

HERE = Path(__file__).parents[1]
# Inside an installed package, and in a checkout.
POCKET_PATHS = (HERE / "data" / "pocket.h5", HERE.parent / "weights" / "pocket.h5")

# VGG has 512 at most. What claims to be much wider is damaged, or wants to fill the memory.
MOST_CHANNELS = 2048

# What the libraries behind the formats raise for damaged files.
UNREADABLE = KeyError, OSError, RuntimeError, TypeError, ValueError, MemoryError, zipfile.BadZipFile


class Weights(dict):
    """``weights[name]`` is ``(kernel, bias)``: float32 arrays (3, 3, in, out) and (out,).

    Attributes
    ----------
    name : str
        What to call the network: from the file, else the file's name.
    preprocessing : Preprocessing
        What the network expects of its input.
    rescaled : bool
        Whether the filters were divided by their mean activations (`nnstyle.weights.rescale`),
        as far as the file tells.
    style_layer_weights : tuple of 5 floats, optional
        The w_l of equation (5), for conv1_1 .. conv5_1, that this network paints best with, as far
        as the file tells: what `nnstyle.stylize` uses where it is told neither layers nor weights.
    """

    def __init__(self, layers, name, preprocessing, rescaled=False, style_layer_weights=None):
        super().__init__(layers)
        self.name = name
        self.preprocessing = preprocessing
        self.rescaled = rescaled
        self.style_layer_weights = style_layer_weights


def load_weights(source="pocket", progress=False):
    """Read the convolutions of a VGG file (lesson 7).

    Parameters
    ----------
    source : "pocket", "vgg19", "vgg16", or path
        The embedded network; a known one, which is downloaded once (``python -m
        nnstyle.weights`` lists them); or a file of Keras (HDF5), PyTorch, Caffe,
        MatConvNet, safetensors or NumPy, told apart by what is in it.
    progress : bool
        Whether a download may show a bar on standard error.

    Returns
    -------
    Weights

    Raises
    ------
    InputError
        If there is no such file, its format is unknown, its layers do not make a VGG, or it
        cannot be downloaded.
    """
    path = find_file(source, progress)
    with open_weights(path) as contents:
        return read_weights(contents, path)


def read_weights(contents, path):
    """The `Weights` in an open file, checked before their values are read: a shape may ask for terabytes."""
    check_shapes(contents.layers)
    layers = {name: read_layer(name, *arrays) for name, arrays in contents.layers.items()}
    name = shown(contents.name or "") or shown(path.stem)
    return Weights(layers, name, contents.preprocessing, contents.rescaled, contents.style_layer_weights)


def shown(name):
    """A name without what a terminal would obey and a file could not store."""
    return "".join(filter(str.isprintable, name[:200]))


def find_file(source, progress=False):
    """The path of a file on this machine, downloaded if its name is a known network's."""
    if source == "pocket":
        return next((path for path in POCKET_PATHS if path.exists()), POCKET_PATHS[0])
    if source in KNOWN:
        return fetch(source, progress)
    if not os.path.isfile(source):  # unlike Path.is_file, it takes names of any length
        raise InputError(
            f"there is no weights file {source}: give a file's path, or one of pocket, {', '.join(KNOWN)}"
        )
    return Path(source)


@contextlib.contextmanager
def open_weights(path):
    """The `Contents` of a weights file of any format; every complaint about it names the file."""
    try:
        with format_of(path)(path) as contents:
            yield contents
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read, it may be damaged: {error}") from error


def format_of(path):
    """The function that opens files of this format, which the first bytes tell."""
    if h5py.is_hdf5(path):
        return open_hdf5
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            is_npz = all(name.endswith(".npy") for name in archive.namelist())
        return open_npz if is_npz else open_torch_zip
    with open(path, "rb") as file:
        start = file.read(64)
    if start.startswith(MAGIC):
        return open_torch_legacy
    if start.startswith(b"MATLAB 5.0"):
        return open_matconvnet
    if start[8:9] == b"{":
        return open_safetensors
    if is_caffe(path):
        return open_caffe
    raise InputError(
        "it is not a weights file in any format known here: "
        "give one of Keras (HDF5), PyTorch, Caffe, MatConvNet, safetensors or NumPy (.npz)"
    )


def check_shapes(layers):
    """Raise InputError unless the layers follow one another as in VGG-19 or VGG-16."""
    channels = 3
    for name in filter(CONVOLUTIONS.__contains__, layers_of(layers)):
        if name not in layers:
            raise InputError(f"{name} is missing")
        kernel, bias = layers[name]
        expected = (3, 3, channels, kernel.shape[-1])
        if kernel.shape != expected or bias.shape != expected[-1:] or not 0 < expected[-1] <= MOST_CHANNELS:
            raise InputError(f"{name} has kernel {kernel.shape} and bias {bias.shape}, expected {expected}")
        channels = kernel.shape[-1]


def read_layer(name, *stored):
    """Kernel and bias as float32 arrays of their own, in C order."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        kernel, bias = (np.array(array.read(), np.float32, order="C") for array in stored)
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise InputError(f"{name} has values that are not finite")
    return kernel, bias

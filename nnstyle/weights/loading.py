"""Find a weights file, tell its format, and check its layers before a single number is read."""

import contextlib
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from math import prod
from pathlib import Path

import h5py
import numpy as np

from ..errors import InputError
from ..network import layers_of
from ..pictures.memory import is_lack_of_memory
from ..pictures.preprocessing import Preprocessing, parse_preprocessing
from .download import fetch
from .formats.caffe import is_caffe, open_caffe
from .formats.contents import CONVOLUTIONS, Contents, StoredArray
from .formats.hdf5 import open_hdf5
from .formats.keras_zip import open_keras_zip
from .formats.mapped import mapped
from .formats.matconvnet import open_matconvnet
from .formats.named_arrays import open_npz, open_safetensors
from .formats.torch_legacy import MAGIC, open_torch_legacy
from .formats.torch_zip import open_torch_zip
from .known import KNOWN, POCKET_PATHS
from .recognition import tell
from .trial import try_to_read
from .weights import Layer, Weights

# VGG has 512 at most. A file that claims many more is damaged, or made to fill the memory.
MOST_CHANNELS = 2048
MOST_NUMBERS = 1 << 28  # in all, 1 GB; a VGG has 20 million

# An archive has fewer members; they lie at its end, with some hundred bytes for each.
MOST_MEMBERS, LONGEST_END = 10_000, 1 << 23
MEMBER = re.compile(b"PK\1\2")

# Of these, the library can crash or hang.
USE_HDF5 = open_hdf5, open_keras_zip

MOST_LETTERS = 500  # of a complaint

# What the libraries behind the formats raise for damaged files.
UNREADABLE = KeyError, OSError, RuntimeError, TypeError, ValueError, zipfile.BadZipFile, zlib.error

Reader = Callable[[str | os.PathLike], AbstractContextManager[Contents]]


def load_weights(
    source: str | os.PathLike = "pocket",
    progress: bool = False,
    preprocessing: Preprocessing | str | None = None,
) -> Weights:
    """Read the convolutions of a VGG file (lesson 7).

    Parameters
    ----------
    source : "pocket", "vgg19", "vgg16", or path
        The embedded network; a known one, which is downloaded once (``python -m
        nnstyle.weights`` lists them); or a file of Keras (HDF5, .keras), PyTorch, Caffe,
        MatConvNet, safetensors or NumPy, recognized by its content. The VGG may be a part of
        a larger model.
    progress : bool
        Whether a download may show a bar on standard error.
    preprocessing : Preprocessing or str, optional
        What the network expects of its input, whatever the file states or implies; a str as
        `nnstyle.pictures.preprocessing.parse_preprocessing` takes it, such as "caffe".

    Returns
    -------
    Weights

    Raises
    ------
    InputError
        If there is no such file, its format is unknown, its layers do not make a VGG, the
        preprocessing makes no sense, there is not enough memory for it, or it cannot be downloaded.
    """
    given = parse_preprocessing(preprocessing) if isinstance(preprocessing, str) else preprocessing
    if not isinstance(given, Preprocessing | None):
        raise InputError(f"a preprocessing is a Preprocessing or a text, not {type(given).__name__}")
    path = find_file(source, progress)
    is_known = isinstance(source, str) and source in KNOWN  # its checksum was compared
    with open_weights(path, is_known) as contents:
        return read_weights(contents, path, given)


def read_weights(contents: Contents, path: Path, given: Preprocessing | None = None) -> Weights:
    """The `Weights` in an open file. Shapes are checked first: one alone may ask for terabytes."""
    check_shapes(contents.layers)
    layers = {name: read_layer(name, *arrays) for name, arrays in contents.layers.items()}
    name = printable(contents.name or "") or printable(path.stem.removesuffix(".weights"))
    told = tell(contents, layers["conv1_1"], given)
    if told.flipped:
        layers = {layer: (half_turned(kernel), bias) for layer, (kernel, bias) in layers.items()}
    return Weights(
        layers,
        name,
        told.preprocessing,
        contents.rescaled,
        contents.style_layer_weights,
        contents.pooling,
        contents.beta_per_pixel,
        path,
        told.why,
    )


def printable(name: str) -> str:
    """A name without characters that a terminal would obey or a file could not store."""
    return "".join(filter(str.isprintable, name[:200]))


def find_file(source: str | os.PathLike, progress: bool = False) -> Path:
    """The path of a file on this machine, downloaded first if its name is a known network's."""
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"weights are a name or a file's path, not {type(source).__name__}")
    if source == "pocket":
        return next((path for path in POCKET_PATHS if path.exists()), POCKET_PATHS[0])
    if isinstance(source, str) and source in KNOWN:
        return fetch(source, progress)
    if not os.path.isfile(source):  # a pipe or a device is none; unlike Path.is_file, it takes any name
        raise InputError(
            f"there is no weights file {source}: give a file's path, or one of pocket, {', '.join(KNOWN)}"
        )
    return Path(source)


@contextlib.contextmanager
def open_weights(path: Path, is_known: bool = False) -> Iterator[Contents]:
    """The `Contents` of a weights file of any format; every complaint about it is one line that names the file.

    What is not known to be whole is read in another process, if it is HDF5.
    """
    try:
        open_file = format_of(path)
        is_doubtful = open_file in USE_HDF5 and not is_known and path not in POCKET_PATHS
        contents = try_to_read(path) if is_doubtful else None
        if contents:
            yield contents
            return
        with open_file(path) as contents:
            yield contents
    except InputError as error:
        raise InputError(f"{path}: {clear(error)}") from None
    except (MemoryError, *UNREADABLE) as error:
        if is_lack_of_memory(error):
            raise InputError(f"{path}: there is not enough memory to read it") from None
        raise InputError(f"{path} cannot be read, it may be damaged: {clear(error)}") from error


def clear(error: Exception) -> str:
    """What an error says, in one line that a terminal shows as it is: names in a file may be anything."""
    line = " ".join(str(error).split())
    shown = "".join(letter if letter.isprintable() else "?" for letter in line[:MOST_LETTERS])
    return shown if len(line) <= MOST_LETTERS else f"{shown} ..."


def format_of(path: Path) -> Reader:
    """The function that opens files of this format, which the first bytes tell."""
    if h5py.is_hdf5(path):
        return open_hdf5
    if zipfile.is_zipfile(path):
        check_members(path)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if "model.weights.h5" in names:
            return open_keras_zip
        return open_npz if all(name.endswith(".npy") for name in names) else open_torch_zip
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
        "give one of Keras (HDF5, .keras), PyTorch, Caffe, MatConvNet, safetensors or NumPy (.npz)"
    )


def check_members(path: Path) -> None:
    """Raise InputError for an archive of very many members, which would take long to list."""
    for count, _ in enumerate(MEMBER.finditer(mapped(path)[-LONGEST_END:]), start=1):
        if count > MOST_MEMBERS:
            raise InputError("it is an archive of far more members than a network needs")


def check_shapes(layers: Mapping[str, tuple[StoredArray, StoredArray]]) -> None:
    """Raise InputError unless the layers follow one another as in VGG-19 or VGG-16."""
    channels, count = 3, 0
    for name in layers_of(layers):
        if name not in CONVOLUTIONS:
            continue
        if name not in layers:
            raise InputError(f"{name} is missing")
        kernel, bias = layers[name]
        expected = (3, 3, channels, kernel.shape[-1])
        if kernel.shape != expected or bias.shape != expected[-1:] or not 0 < expected[-1] <= MOST_CHANNELS:
            raise InputError(f"{name} has kernel {kernel.shape} and bias {bias.shape}, expected {expected}")
        channels = kernel.shape[-1]
        count += prod(kernel.shape)
    if count > MOST_NUMBERS:
        raise InputError(f"its kernels have {count} numbers, far more than a VGG's")


def read_layer(name: str, *stored: StoredArray) -> Layer:
    """Kernel and bias as float32 arrays of their own, in C order, that nobody can change."""
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        kernel, bias = (np.array(array.read(), np.float32, order="C") for array in stored)
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise InputError(f"{name} has values that are not finite")
    kernel.flags.writeable = bias.flags.writeable = False
    return kernel, bias


def half_turned(kernel: np.ndarray) -> np.ndarray:
    """A flipped kernel as ours are, and as frozen."""
    turned = kernel[::-1, ::-1].copy()
    turned.flags.writeable = False
    return turned

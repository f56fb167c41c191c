"""HDF5 in Keras's layout, the embedded network's as well: groups ``block1_conv1`` and so on."""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ...errors import InputError
from ...pictures.saving import whole_file
from .contents import CAFFE, CONVOLUTIONS, Contents, StoredArray, keras_group, stated_preprocessing, text

if TYPE_CHECKING:
    from ..weights import Weights


@contextlib.contextmanager
def open_hdf5(path: str | os.PathLike) -> Iterator[Contents]:
    """The `Contents` of an HDF5 file; kernel and bias are told apart by rank, as names differ."""
    try:
        file = h5py.File(path)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise
        raise InputError(f"it is not a readable HDF5 file: {error}") from None
    with file:
        # A whole model, as model.save writes it, has a folder for them.
        folder = "model_weights/" if "model_weights/block1_conv1" in file else ""
        groups = {layer: folder + keras_group(layer) for layer in CONVOLUTIONS}
        layers = {layer: find_layer(file[group]) for layer, group in groups.items() if group in file}
        if not layers:
            raise InputError("it has no group block1_conv1, as VGG in Keras's layout would")
        name = text(file.attrs["name"]) if "name" in file.attrs else None
        preprocessing = stated_preprocessing(file.attrs, otherwise=CAFFE)
        rescaled, layer_weights = "rescaled" in file.attrs, stated_layer_weights(file.attrs)
        yield Contents("Keras's layout in HDF5", layers, preprocessing, name, rescaled, layer_weights)


def stated_layer_weights(stated: Mapping[str, Any]) -> tuple[float, ...] | None:
    """The w_l that a file states for conv1_1 .. conv5_1: a tuple of 5 floats, or None."""
    if "style_layer_weights" not in stated:
        return None
    numbers = np.asarray(stated["style_layer_weights"])
    if numbers.dtype.kind not in "fiu" or numbers.shape != (5,):
        raise InputError("its style_layer_weights should be 5 numbers, for conv1_1 .. conv5_1")
    if not (np.isfinite(numbers).all() and (numbers >= 0).all() and numbers.any()):
        raise InputError("its style_layer_weights should be finite, not negative, and not all 0")
    return tuple(numbers.astype(float).tolist())


def find_layer(group: Any) -> tuple[StoredArray, StoredArray]:
    """Kernel and bias of a group, as stored arrays."""
    found: list[h5py.Dataset] = []

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
    kernel, bias = found
    return StoredArray(kernel.shape, lambda: kernel[()]), StoredArray(bias.shape, lambda: bias[()])


def write_hdf5(path: str | os.PathLike, weights: "Weights", dtype: type = np.float32) -> None:
    """Write weights in Keras's layout, with their preprocessing stated: whole, or not at all.

    Parameters
    ----------
    path : path
    weights : Weights
    dtype : NumPy floating type
        Of all kernels but the first; float16 halves the file. The first kernel and the biases are
        small, and float32 in any case.

    Raises
    ------
    InputError
        If a number is too large for its type.
    """
    with whole_file(path) as part, h5py.File(part, "w") as file:
        for layer, (kernel, bias) in weights.items():
            group = keras_group(layer)
            with np.errstate(over="ignore"):  # looked for below
                its_dtype = np.float32 if layer == "conv1_1" else dtype
                stored: np.ndarray = kernel.astype(its_dtype, copy=False)
                biases = bias.astype(np.float32, copy=False)
            for numbers in (stored, biases):
                if not np.isfinite(numbers).all():
                    hint = ": write float32" if numbers.dtype == np.float16 else ""
                    raise InputError(f"{layer} has weights too large for {numbers.dtype}{hint}")
            file[f"{group}/{group}_W_1:0"] = stored
            file[f"{group}/{group}_b_1:0"] = biases
        what = weights.preprocessing
        file.attrs.update(
            name=weights.name, channel_order=what.channel_order, mean=what.mean, scale=what.scale
        )
        if weights.rescaled:
            file.attrs["rescaled"] = "filters divided by their mean activations over a set of pictures"
        if weights.style_layer_weights:
            file.attrs["style_layer_weights"] = weights.style_layer_weights

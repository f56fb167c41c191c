"""HDF5 in Keras's layout, the embedded network's as well: groups ``block1_conv1`` and so on."""

import contextlib

import h5py

from ..errors import InputError
from .contents import CAFFE, CONVOLUTIONS, Contents, StoredArray, keras_group, stated_preprocessing, text


@contextlib.contextmanager
def open_hdf5(path):
    """The `Contents` of an HDF5 file; kernel and bias are told apart by rank, as names differ."""
    try:
        file = h5py.File(path)
    except OSError as error:
        raise InputError(f"it is not a readable HDF5 file: {error}") from None
    with file:
        groups = {layer: keras_group(layer) for layer in CONVOLUTIONS}
        layers = {layer: find_layer(file[group]) for layer, group in groups.items() if group in file}
        if not layers:
            raise InputError("it has no group block1_conv1, as VGG in Keras's layout would")
        name = text(file.attrs["name"]) if "name" in file.attrs else None
        preprocessing = stated_preprocessing(file.attrs, otherwise=CAFFE)
        yield Contents("Keras's layout in HDF5", layers, preprocessing, name, "rescaled" in file.attrs)


def find_layer(group):
    """Kernel and bias of a group, as stored arrays."""
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
    return tuple(StoredArray(item.shape, lambda item=item: item[()]) for item in found)

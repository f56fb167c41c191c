"""Weights files in Keras's layout, small, for tests."""

import h5py
import numpy as np

# Dataset names in a group, by the version of Keras that wrote the file.
NAMINGS = {
    "Keras 1": "{group}_W_1:0 {group}_b_1:0",
    "Keras 2": "{group}/kernel:0 {group}/bias:0",
    "Keras 2, flat": "kernel:0 bias:0",
}


def group_of(layer):
    """conv3_1 is Keras's block3_conv1."""
    return f"block{layer[4]}_conv{layer[6]}"


def write_vgg(path, weights, naming="Keras 1", dtype=np.float32, **attributes):
    """Write a mapping of layer name to (kernel, bias) as Keras does, empty groups of other layers included."""
    with h5py.File(path, "w") as file:
        file.create_group("input_1")
        for layer, arrays in weights.items():
            group = file.create_group(group_of(layer))
            for name, array in zip(NAMINGS[naming].format(group=group_of(layer)).split(), arrays):
                group[name] = np.asarray(array, dtype)
        for block in range(1, 6):
            file.create_group(f"block{block}_pool")
        file.attrs.update(attributes)
    return path

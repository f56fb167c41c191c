"""Tiny ImageNet as it is published -> arrays, decoded once and kept beside the results."""

import numpy as np
from PIL import Image
from tqdm import tqdm

from nnstyle.files import whole_file

SIZE = 64  # px


class DataError(Exception):
    """The folder is not the published data set; the message is one line."""


def load(folder, cache):
    """The data set in a folder, from the cache if that is there.

    Parameters
    ----------
    folder : Path
        ``tiny-imagenet-200``, with ``wnids.txt``, ``train`` and ``val`` in it.
    cache : Path
        An .npz file; written where it does not exist.

    Returns
    -------
    dict of arrays
        ``train`` and ``val``: uint8 (pictures, 64, 64, 3), RGB; ``train_classes`` and
        ``val_classes``: int64 (pictures,), the line of ``wnids.txt`` that names the class.

    Raises
    ------
    DataError
        If a file is missing, or is no picture of 64 x 64 px.
    """
    if cache.exists():
        with np.load(cache) as file:
            return dict(file)
    train, val = list_pictures(folder)
    data = {}
    for name, listed in (("train", train), ("val", val)):
        paths, classes = zip(*listed)
        data[name] = np.stack([decode(path) for path in tqdm(paths, f"decoding {name}", disable=None)])
        data[f"{name}_classes"] = np.array(classes)
    cache.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(cache) as file:
        np.savez(file, **data)
    return data


def list_pictures(folder):
    """Two lists of (path, class), in the order of the class and the file's name: train and val."""
    try:
        names = (folder / "wnids.txt").read_text().split()
        number = {name: i for i, name in enumerate(names)}
        train = [
            (path, number[name])
            for name in names
            for path in sorted((folder / "train" / name).rglob("*.JPEG"))
        ]
        lines = (folder / "val" / "val_annotations.txt").read_text().splitlines()
        val = [(folder / "val" / "images" / line.split()[0], number[line.split()[1]]) for line in lines]
    except (OSError, KeyError, IndexError) as error:
        raise DataError(
            f"{folder} is not Tiny ImageNet as published (wnids.txt, train, val): {error}"
        ) from None
    missing = set(number.values()) - {label for _, label in train}
    if missing or not val:
        raise DataError(
            f"{folder} lacks pictures: {len(missing)} classes have none, {len(val)} are to validate"
        )
    return train, val


def decode(path):
    """A picture as uint8 (64, 64, 3): some of the published ones are grey."""
    try:
        with Image.open(path, formats=["JPEG"]) as image:
            pixels = np.asarray(image.convert("RGB"))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    if pixels.shape != (SIZE, SIZE, 3):
        raise DataError(f"{path} has {pixels.shape[1]} x {pixels.shape[0]} px, not {SIZE} x {SIZE}")
    return pixels

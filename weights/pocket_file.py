"""A trained classifier -> the file of weights, and its card."""

import hashlib
import os

import h5py
import numpy as np

from nnstyle.weights import rescale
from nnstyle.weights.formats.hdf5 import write_hdf5

from .classifier import WIDTHS, folded

FILE = "pocket.h5"
PICTURES = 500  # training pictures over which each filter's mean activation becomes 1

CARD = """\
# {name}

| | |
|---|---|
| what | a slim VGG-19 up to conv5_1, for `python -m nnstyle --weights {name}` |
| widths | {widths} channels |
| numbers | {numbers:,}; kernels float16 (conv1_1 float32), biases float32 |
| file | {bytes:,} bytes, SHA-256 `{sha256}` |
| input | RGB, 0 to 255, minus {mean} |
| rescaled | each filter's mean activation over {pictures} training pictures is 1 |
| trained on | Tiny ImageNet: {train:,} pictures of 64 x 64 |
| recipe | `python -m weights.train_pocket tiny-imagenet-200 --epochs {epochs} --rate {rate} --seed {seed}` |
| accuracy | {top1:.1f} % top-1, {top5:.1f} % top-5 on {val:,} validation pictures |
| licence | CC0-1.0; the pictures it was trained on belong to their owners, and none is contained |

It is not the paper's network, which has twice the channels and was trained on 1.2 million pictures.
"""


def write_network(model, data, folder):
    """Fold, rescale and write ``pocket.h5`` into a folder; return its path.

    Over many and varied pictures every mean can be made 1, as in the paper of 2016: the
    floor that `nnstyle.weights.rescale` has for two pictures is not needed.
    """
    chosen = np.linspace(0, len(data["train"]) - 1, min(PICTURES, len(data["train"])), dtype=int)
    weights = rescale(folded(model), data["train"][chosen], pooling="max", min_ratio=0)
    path = folder / FILE
    write_hdf5(path, weights, np.float16)
    with h5py.File(path, "a") as file:
        file.attrs.update(
            architecture="vgg19",
            license="CC0-1.0",
            rescaled=f"each filter has mean activation 1 over {len(chosen)} training pictures",
        )
    return path


def write_card(path, arguments, data, accuracy):
    """Write what is known about the file beside it, and return it as text."""
    sizes = arguments.epochs
    text = CARD.format(
        name=path.name,
        widths=", ".join(map(str, WIDTHS)),
        numbers=count_numbers(path),
        bytes=os.path.getsize(path),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        mean="(123.68, 116.779, 103.939)",
        pictures=min(PICTURES, len(data["train"])),
        train=len(data["train"]),
        epochs=",".join(f"{size}:{sizes.count(size)}" for size in dict.fromkeys(sizes)),
        rate=arguments.rate,
        seed=arguments.seed,
        top1=accuracy[0],
        top5=accuracy[1],
        val=len(data["val"]),
    )
    path.with_suffix(".md").write_text(text)
    return text


def count_numbers(path):
    """How many numbers the file's kernels and biases have."""
    sizes = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None)
    return sum(sizes)

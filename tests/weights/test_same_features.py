"""The same network in every layout, with each layout's own preprocessing, sees the same in a picture."""

import numpy as np
import pytest

from nnstyle import Network, load_weights
from nnstyle.pictures import preprocess
from nnstyle.weights.formats.contents import CAFFE, MATCONVNET, TORCHVISION
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import NAMINGS as HDF5_NAMINGS
from tests.support.vgg_files import write_vgg
from tests.support.weight_files import (
    NAMINGS,
    named,
    write_caffe,
    write_matconvnet,
    write_npz,
    write_safetensors,
)

PICTURE = np.random.default_rng(1).integers(0, 256, (40, 36, 3), np.uint8)


def network_without_a_mean_of_its_own():
    """A VGG for RGB pixels minus a mean, be it MatConvNet's (as Caffe's) or torchvision's.

    The two means differ by d. Where all nine taps of a kernel lie in the picture, a bias could
    make up for that; where some lie in the zeros around it, it could not: these zeros stand for
    pixels of the mean. So each tap is made blind to d: its weights for R, G and B are orthogonal
    to it, and a pixel minus either mean gives it the same number.
    """
    weights = dict(tiny_weights())
    kernel, bias = weights["conv1_1"]
    d = np.subtract(TORCHVISION.mean, MATCONVNET.mean)
    d /= np.linalg.norm(d)
    weights["conv1_1"] = kernel - np.einsum("hwio,i,j->hwjo", kernel, d, d), bias
    return weights


def in_terms_of(preprocessing, weights):
    """The same network for another channel order and scale: what these do, the first kernel undoes."""
    kernel, bias = weights["conv1_1"]
    if preprocessing.channel_order == "BGR":
        kernel = kernel[:, :, ::-1]
    scale = np.broadcast_to(preprocessing.scale, 3)
    return weights | {"conv1_1": (kernel / scale[:, None], bias)}


RGB = network_without_a_mean_of_its_own()
BGR, SCALED = in_terms_of(CAFFE, RGB), in_terms_of(TORCHVISION, RGB)
STATED = {"channel_order": "RGB", "mean": MATCONVNET.mean, "scale": 1.0}
TEXTS = {"channel_order": "RGB", "mean": str(list(MATCONVNET.mean)), "scale": "1"}


def write_torch(path, weights, naming, is_zip):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(array) for name, array in named(weights, naming).items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=is_zip)


def layouts():
    """(name, function that writes it to a path, what the loaded file must say it expects)."""
    for naming in HDF5_NAMINGS:
        yield f"HDF5, {naming}", lambda path, naming=naming: write_vgg(path, BGR, naming), CAFFE
    yield "HDF5, stated", lambda path: write_vgg(path, RGB, **STATED), MATCONVNET
    for generation in ("old", "new"):
        yield f"Caffe, {generation}", lambda path, g=generation: write_caffe(path, BGR, g), CAFFE
        yield (
            f"MatConvNet, {generation}",
            lambda path, g=generation: write_matconvnet(path, RGB, g),
            MATCONVNET,
        )
        yield (
            f"MatConvNet, {generation}, compressed, with a mean",
            lambda path, g=generation: write_matconvnet(path, RGB, g, True, np.array(MATCONVNET.mean)),
            MATCONVNET,
        )
    for naming in NAMINGS:
        weights, expected = (SCALED, TORCHVISION) if naming == "torchvision" else (BGR, CAFFE)
        for form, write in (("npz", write_npz), ("safetensors", write_safetensors)):
            yield f"{form}, {naming}", lambda path, a=(weights, naming), w=write: w(path, *a), expected
    yield "npz, stated", lambda path: write_npz(path, RGB, **STATED), MATCONVNET
    yield "safetensors, stated", lambda path: write_safetensors(path, RGB, **TEXTS), MATCONVNET
    for naming, weights, expected in (("torchvision", SCALED, TORCHVISION), ("author", BGR, CAFFE)):
        for is_zip in (True, False):
            yield (
                f"PyTorch, {'zip' if is_zip else 'older'}, {naming}",
                lambda path, a=(weights, naming, is_zip): write_torch(path, *a),
                expected,
            )


LAYOUTS = list(layouts())


def features_of(weights, preprocessing):
    """All feature maps of the picture, computed in double precision."""
    network = Network(weights, dtype=np.float64)
    features, _ = network.forward(preprocess(PICTURE, preprocessing, np.float64), network.layers)
    return features


def largest_difference(features, expected):
    """Over the layers, relative to the largest feature of each."""
    return max(np.abs(features[name] - y).max() / np.abs(y).max() for name, y in expected.items())


@pytest.mark.parametrize(("write", "expected"), [row[1:] for row in LAYOUTS], ids=[row[0] for row in LAYOUTS])
def test_the_same_features(tmp_path, write, expected):
    path = tmp_path / "vgg.npz"
    write(path)
    loaded = load_weights(path)
    assert loaded.preprocessing == expected
    assert list(loaded) == list(RGB)
    assert largest_difference(features_of(loaded, loaded.preprocessing), features_of(RGB, MATCONVNET)) < 1e-6


@pytest.mark.parametrize(
    ("weights", "preprocessing"),
    [
        (RGB, CAFFE),
        (BGR, MATCONVNET),
        (RGB, TORCHVISION),
        (SCALED, MATCONVNET),
        ({name: (kernel.swapaxes(0, 1), bias) for name, (kernel, bias) in RGB.items()}, MATCONVNET),
        (in_terms_of(CAFFE, dict(tiny_weights())), TORCHVISION),
    ],
    ids=["order", "order back", "scale", "scale back", "rows for columns", "another network"],
)
def test_a_wrong_preprocessing_or_order_of_axes_would_be_noticed(weights, preprocessing):
    assert largest_difference(features_of(weights, preprocessing), features_of(RGB, MATCONVNET)) > 1e-2

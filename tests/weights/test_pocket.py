"""The embedded network is the file that its card describes, and does what it is for."""

import hashlib
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from nnstyle import Network, load_weights, losses
from nnstyle.cli import SAMPLES
from nnstyle.pictures import load_image, preprocess, resize

FOLDER = Path(__file__).parents[2] / "weights"
ROWS = dict(re.findall(r"^\| ([\w0-9 ]+) \| (.+) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE))
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
# Mean activations over the sample photograph at 256 px, with max-pooling, when the file was made.
MEANS = {"conv1_1": 0.8298, "conv2_1": 0.944, "conv3_1": 0.8858, "conv4_1": 0.9581, "conv5_1": 1.3483}


@pytest.fixture(scope="module")
def weights():
    return load_weights("pocket")


def test_size_and_hash_are_the_card_s():
    file = (FOLDER / "pocket.h5").read_bytes()
    size, sha256 = re.match(r"([\d,]+) bytes, SHA-256 `(\w+)`", ROWS["file"]).groups()
    assert len(file) == int(size.replace(",", "")) and hashlib.sha256(file).hexdigest() == sha256


def test_layers_and_widths_are_the_card_s(weights):
    counts = [int(n) for n in re.search(r"conv5_1: ([\d, ]+) convolutions", ROWS["layers"])[1].split(",")]
    widths = [int(n) for n in re.match(r"([\d, ]+) channels", ROWS["widths"])[1].split(",")]
    expected = [f"conv{b}_{i}" for b, count in enumerate(counts, 1) for i in range(1, count + 1)]
    assert list(weights) == expected
    assert [weights[f"conv{block}_1"][0].shape[3] for block in range(1, 6)] == widths
    numbers = sum(kernel.size + bias.size for kernel, bias in weights.values())
    assert f"{numbers / 1e6:.1f} million" in ROWS["numbers"]


def test_layout_types_and_statements_are_the_card_s(weights):
    assert "kernels float16 (conv1_1 float32), biases float32" in ROWS["numbers"]
    with h5py.File(FOLDER / "pocket.h5") as file:
        for group in file.values():
            kernel, bias = sorted((item for item in group.values()), key=lambda item: -item.ndim)
            assert kernel.dtype == ("float32" if group.name == "/block1_conv1" else "float16")
            assert bias.dtype == "float32"
        assert file.attrs["license"] == re.match(r"[\w.-]+", ROWS["licence"])[0]
    stated = weights.preprocessing
    assert f"{stated.channel_order}, 0 to 255, minus {tuple(stated.mean)}" in ROWS["input"]
    assert weights.rescaled and stated.scale == 1


def test_a_stored_sample_looks_as_it_did(weights):
    """Any other number in the file, or in what reads it, would show here."""
    picture = resize(load_image(SAMPLES / "content.jpg"), 256)
    features, _ = Network(weights, "max").forward(preprocess(picture, weights.preprocessing), STYLE_LAYERS)
    means = {name: float(feature.mean()) for name, feature in features.items()}
    assert means == pytest.approx(MEANS, rel=1e-3)
    assert all(0.3 < mean < 3 for mean in means.values())  # about 1, over many photographs


def crops(weights, layer):
    """Gram matrices of eight crops of the sample photograph and eight of the painting."""
    network, grams = Network(weights, "max"), []
    for name in ("content.jpg", "style.jpg"):
        picture = resize(load_image(SAMPLES / name), 256)[:128]
        for i in range(8):
            top, left = 64 * (i // 4), 64 * (i % 4)
            crop = preprocess(picture[top : top + 64, left : left + 64], weights.preprocessing)
            gram = losses.gram_matrix(network.forward(crop, [layer])[0][layer])
            grams.append(gram / np.linalg.norm(gram))
    return np.array(grams)


def rightly_told(grams, labels):
    """The share of crops whose nearest neighbour is of the same picture."""
    distances = np.linalg.norm(grams[:, None] - grams, axis=(2, 3)) + 10 * np.eye(len(grams))
    return np.mean(labels[distances.argmin(1)] == labels)


def test_its_gram_matrices_tell_a_photograph_s_crops_from_a_painting_s(weights):
    labels = np.repeat([0, 1], 8)
    for layer in ("conv2_1", "conv3_1"):
        grams = crops(weights, layer)
        assert rightly_told(grams, labels) >= 0.8
        assert rightly_told(grams, np.tile([0, 1], 8)) < 0.8  # the twin that must fail

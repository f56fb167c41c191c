"""What a network expects of its input is told by its numbers where names cannot."""

import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnstyle import InputError, Network, Weights, load_weights
from nnstyle.notes import heard_by
from nnstyle.pictures import Preprocessing, preprocess
from nnstyle.pictures.preprocessing import (
    CAFFE,
    MATCONVNET,
    TORCHVISION,
    parse_preprocessing,
    spell_preprocessing,
)
from nnstyle.weights.__main__ import main
from nnstyle.weights.first_kernels import OXFORD, TORCHVISION_VGG16, known_networks, relative_bias
from nnstyle.weights.recognition import ALIKE, likeness
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import REAL_VGG16, write_keras_3, write_vgg
from tests.support.weight_files import (
    NAMINGS,
    assert_refused,
    assert_same,
    named,
    write_caffe,
    write_matconvnet,
    write_npz,
    write_safetensors,
)

BGR_TORCHVISION = Preprocessing("BGR", TORCHVISION.mean[::-1], TORCHVISION.scale[::-1])
SAMPLES = Path(__file__).parents[2] / "nnstyle" / "samples"


def network_with(first_filters, bias=0.5, is_bgr=False, noise=0.0, seed=0):
    """A tiny VGG of 64 first filters, the first three of which are given as (filter, h, w, RGB)."""
    rng = np.random.default_rng(seed)
    kernel = 0.2 * rng.normal(size=(3, 3, 3, 64))
    kernel[..., :3] = first_filters.transpose(1, 2, 3, 0)
    kernel += noise * rng.normal(size=kernel.shape)
    norms = np.linalg.norm(kernel.reshape(-1, 64), axis=0)
    kernel = kernel[:, :, ::-1] if is_bgr else kernel
    later = {"conv1_2": (0.1 * rng.normal(size=(3, 3, 64, 4)), np.zeros(4))}
    return Weights({"conv1_1": (kernel, bias * norms)} | later, "x", Preprocessing())


# Layouts that say nothing of the input.
LAYOUTS = {naming: functools.partial(write_npz, naming=naming) for naming in NAMINGS}
LAYOUTS |= {"HDF5": write_vgg, "HDF5 of Keras 3": write_keras_3}


@pytest.mark.parametrize("write", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize(
    ("filters", "is_bgr", "expected"),
    [
        (OXFORD, True, CAFFE),
        (OXFORD, False, MATCONVNET),
        (TORCHVISION_VGG16, False, TORCHVISION),
        (TORCHVISION_VGG16, True, BGR_TORCHVISION),
    ],
    ids=["Oxford BGR", "Oxford RGB", "torchvision RGB", "torchvision BGR"],
)
def test_known_numbers_tell_under_any_names(tmp_path, write, filters, is_bgr, expected):
    write(tmp_path / "x.npz", network_with(filters, is_bgr=is_bgr))
    loaded = load_weights(tmp_path / "x.npz")
    assert loaded.preprocessing == expected
    assert "first kernels are those of" in loaded.preprocessing_reason


def test_a_network_that_was_trained_on_is_recognized(tmp_path):
    weights = network_with(OXFORD, is_bgr=True, noise=0.03)
    assert load_weights(write_npz(tmp_path / "x.npz", weights)).preprocessing == CAFFE
    weights = network_with(OXFORD, is_bgr=True, noise=0.3)
    assert load_weights(write_npz(tmp_path / "x.npz", weights)).preprocessing == TORCHVISION


def test_a_rescaled_network_is_recognized(tmp_path):
    """As the authors' own: each filter, with its bias, is divided by a number of its own."""
    weights = network_with(OXFORD, is_bgr=True)
    kernel, bias = weights["conv1_1"]
    divisor = np.random.default_rng(1).uniform(5, 60, 64)
    weights |= {"conv1_1": (kernel / divisor, bias / divisor)}
    assert load_weights(write_npz(tmp_path / "x.npz", weights)).preprocessing == CAFFE


def test_numbers_for_an_input_of_another_scale_are_not_taken_for_known_ones(tmp_path):
    weights = network_with(OXFORD, is_bgr=True)
    kernel, bias = weights["conv1_1"]
    weights |= {"conv1_1": (255 * kernel, bias)}
    loaded = load_weights(write_npz(tmp_path / "x.npz", weights))
    assert loaded.preprocessing == TORCHVISION and "no network known" in loaded.preprocessing_reason


def test_unknown_networks_are_not_taken_for_known_ones():
    """Over 300 networks of random kernels, the highest likeness stays far below the bound."""
    highest = []
    for seed in range(300):
        kernel, _ = network_with(np.random.default_rng(seed).normal(size=(3, 3, 3, 3)), seed=seed)["conv1_1"]
        for known in known_networks()[:2]:
            highest += [likeness(kernel, known, bgr, flip) for bgr in (False, True) for flip in (False, True)]
    assert max(highest) < 0.6 < ALIKE


def test_known_networks_are_not_taken_for_each_other():
    """Nor for themselves with their channels or pixels the other way round."""
    networks = known_networks()
    for mine in networks:
        for other in networks:
            kernel = mine.filters.transpose(1, 2, 3, 0)
            for bgr in (False, True):
                for flip in (False, True):
                    alike = likeness(kernel, other, bgr, flip)
                    assert (alike > ALIKE) == (mine is other and not bgr and not flip)
                    assert alike > 0.999 or alike < 0.6


@pytest.mark.parametrize("naming", NAMINGS)
def test_the_embedded_network_is_recognized_under_any_names(tmp_path, naming):
    pocket = load_weights("pocket")
    loaded = load_weights(write_safetensors(tmp_path / "x.safetensors", pocket, naming))
    assert loaded == pocket and loaded.preprocessing == pocket.preprocessing


def test_flipped_kernels_of_a_known_network_are_turned_back(tmp_path):
    """In Keras's order of axes, where shapes do not tell, and in Theano's, where nothing is stated."""
    weights = network_with(OXFORD, is_bgr=True)
    turned = {layer: (kernel[::-1, ::-1], bias) for layer, (kernel, bias) in weights.items()}
    assert_same(load_weights(write_vgg(tmp_path / "x.h5", turned)), weights)
    theano = {layer: (kernel.transpose(3, 2, 0, 1), bias) for layer, (kernel, bias) in turned.items()}
    assert_same(load_weights(write_vgg(tmp_path / "y.h5", theano)), weights)
    theano = {layer: (kernel.transpose(3, 2, 0, 1), bias) for layer, (kernel, bias) in weights.items()}
    loaded = load_weights(write_vgg(tmp_path / "z.h5", theano))
    assert_same(loaded, weights)
    assert loaded.preprocessing == CAFFE
    assert not any(array.flags.writeable for layer in loaded.values() for array in layer)


@pytest.mark.parametrize(("size", "bias"), [(1, 40), (1 / 60, 0.5), (1 / 60, 40)])
def test_kernels_too_small_for_unit_variance_tell_of_0_to_255(tmp_path, size, bias):
    """At all, or beside their biases."""
    notes = []
    weights = network_with(np.ones((3, 3, 3, 3)), bias)
    assert (
        load_weights(write_npz(tmp_path / "y.npz", network_with(np.ones((3, 3, 3, 3))))).preprocessing
        == TORCHVISION
    )
    kernel, biases = weights["conv1_1"]
    path = write_npz(tmp_path / "x.npz", weights | {"conv1_1": (size * kernel, size * biases)})
    with heard_by(notes.append):
        loaded = load_weights(path)
    assert loaded.preprocessing == CAFFE and "the order is a guess" in loaded.preprocessing_reason
    assert len(notes) == 1 and "--preprocessing says otherwise" in notes[0]
    with heard_by(notes.append):
        assert load_weights(path, preprocessing="matconvnet").preprocessing == MATCONVNET
    assert len(notes) == 1


@pytest.mark.parametrize("write", [write_caffe, write_matconvnet])
def test_layouts_that_leave_no_doubt_are_believed(tmp_path, write):
    write(tmp_path / "x.mat", network_with(TORCHVISION_VGG16))
    loaded = load_weights(tmp_path / "x.mat")
    assert loaded.preprocessing == (CAFFE if write is write_caffe else MATCONVNET)
    assert loaded.preprocessing_reason.startswith("as ")


def test_a_statement_goes_before_numbers_and_the_user_before_all(tmp_path):
    path = write_vgg(tmp_path / "x.h5", network_with(OXFORD, is_bgr=True), mean=(1, 2, 3))
    loaded = load_weights(path)
    assert loaded.preprocessing == Preprocessing("BGR", (1, 2, 3), 1)
    assert loaded.preprocessing_reason == "stated in the file"
    given = Preprocessing("RGB", (4, 5, 6), 2)
    loaded = load_weights(path, preprocessing=given)
    assert loaded.preprocessing == given and loaded.preprocessing_reason == "given by the user"
    path = write_vgg(tmp_path / "y.h5", network_with(OXFORD, is_bgr=False), scale=0.5)
    assert load_weights(path).preprocessing == Preprocessing("RGB", MATCONVNET.mean, 0.5)


def test_a_senseless_statement_can_be_overridden(tmp_path):
    path = write_vgg(tmp_path / "x.h5", tiny_weights(), mean="grey")
    assert_refused(path, "its mean")
    assert load_weights(path, preprocessing="caffe").preprocessing == CAFFE


def before(matrix, bias):
    """A network in a torch.nn.Sequential after a convolution of one pixel, with padding as layers."""
    arrays = {"0.weight": np.float32(matrix)[:, :, None, None], "0.bias": np.float32(bias)}
    for count, (layer, (kernel, vector)) in enumerate(tiny_weights().items()):
        number = 2 + 3 * count + int(layer[4]) - 1
        arrays[f"{number}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        arrays[f"{number}.bias"] = vector
    return arrays


@pytest.mark.parametrize(
    ("matrix", "bias", "expected"),
    [
        (255 * np.eye(3)[::-1], [-103.939, -116.779, -123.68], CAFFE),
        (np.eye(3)[::-1], [-103.939, -116.779, -123.68], CAFFE),
        (
            np.eye(3) / [0.229, 0.224, 0.225],
            np.divide([-0.485, -0.456, -0.406], [0.229, 0.224, 0.225]),
            TORCHVISION,
        ),
        (255 * np.eye(3), [0, 0, 0], Preprocessing("RGB", (0, 0, 0), 1)),
    ],
    ids=["Caffe of 0..1", "Caffe of 0..255", "torchvision", "no mean"],
)
def test_a_convolution_of_one_pixel_that_prepares_the_input(tmp_path, matrix, bias, expected):
    """The layout of vgg_normalised.pth, as it is used for fast style transfer: 0.weight, 2.weight, 5.weight."""
    loaded = load_weights(write_npz(tmp_path / "x.npz", {}, extra=before(matrix, bias)))
    assert_same(loaded, tiny_weights())
    assert loaded.preprocessing.channel_order == expected.channel_order
    np.testing.assert_allclose(loaded.preprocessing.mean, expected.mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loaded.preprocessing.scale, expected.scale, rtol=1e-5)


@pytest.mark.parametrize(
    ("matrix", "bias", "words"),
    [
        (np.ones((3, 3)), np.zeros(3), "mixes the colours"),
        (np.eye(3)[[1, 0, 2]], np.zeros(3), "mixes the colours"),
        (np.zeros((3, 3)), np.zeros(3), "mixes the colours"),
        (np.eye(3), np.zeros(2), "does more than prepare a picture"),
        (np.diag([1, np.nan, 1]), np.zeros(3), "should be finite"),
    ],
    ids=["grey", "GRB", "nothing", "a bias of two", "NaN"],
)
def test_a_convolution_that_does_something_else(tmp_path, matrix, bias, words):
    assert_refused(write_npz(tmp_path / "x.npz", {}, extra=before(matrix, bias)), words)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("caffe", CAFFE),
        ("Keras", CAFFE),
        (" torchvision ", TORCHVISION),
        ("matconvnet", MATCONVNET),
        ("bgr,103.939,116.779,123.68,1", CAFFE),
        ("RGB, 123.68, 116.779, 103.939", MATCONVNET),
        ("rgb,0,0,0,0.1,0.2,-0.3", Preprocessing("RGB", (0, 0, 0), (0.1, 0.2, -0.3))),
    ],
)
def test_a_preprocessing_as_text(text, expected):
    assert parse_preprocessing(text) == expected
    assert parse_preprocessing(spell_preprocessing(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "vgg",
        "rgb",
        "grb,1,2,3",
        "rgb,1,2",
        "rgb,1,2,3,4,5",
        "rgb,1,2,x",
        "rgb,1,2,nan",
        "rgb,1,2,3,0",
        ",,,",
        "rgb;1;2;3",
    ],
)
def test_what_is_no_preprocessing_takes_one_line(text, capsys):
    with pytest.raises(InputError) as refusal:
        load_weights("pocket", preprocessing=text)
    assert "\n" not in str(refusal.value) and (
        "no preprocessing" in str(refusal.value) or "should be" in str(refusal.value)
    )
    assert main(["inspect", "pocket", "--preprocessing", text]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("given", [3, CAFFE.mean, {"mean": CAFFE.mean}], ids=repr)
def test_a_preprocessing_of_another_type(given):
    with pytest.raises(InputError, match="a preprocessing is a Preprocessing or a text, not"):
        load_weights("pocket", preprocessing=given)


def test_inspect_says_what_was_taken_and_why(tmp_path, capsys):
    path = write_npz(tmp_path / "x.npz", network_with(OXFORD, is_bgr=True))
    assert main(["inspect", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "input: BGR of 0 to 255, minus [103.939, 116.779, 123.68 ], times 1" in shown
    assert "why: the first kernels are those of Oxford's VGG, for BGR" in shown
    assert "as an option: --preprocessing bgr,103.939,116.779,123.68,1.0" in shown
    assert main(["inspect", str(path), "--preprocessing", "torchvision"]) == 0
    shown = capsys.readouterr().out
    assert "input: RGB" in shown and "why: given by the user" in shown


def test_convert_states_what_was_given(tmp_path):
    path = write_npz(tmp_path / "x.npz", tiny_weights())
    assert main(["convert", str(path), str(tmp_path / "y.h5"), "--preprocessing", "matconvnet"]) == 0
    loaded = load_weights(tmp_path / "y.h5")
    assert loaded.preprocessing == MATCONVNET and loaded.preprocessing_reason == "stated in the file"


@pytest.mark.skipif(not Path(REAL_VGG16).is_file(), reason="NNSTYLE_TEST_VGG16 names no file")
def test_a_real_vgg_16_as_it_is(tmp_path):
    """In Keras 3's layout, within an edge detector; its numbers are known under any names."""
    weights = load_weights(REAL_VGG16)
    assert {layer: bias.size for layer, (_, bias) in weights.items()} == {
        f"conv{block}_{number}": width
        for block, width in enumerate((64, 128, 256, 512, 512), start=1)
        for number in range(1, 3 if block < 3 else 4)
    }
    assert weights.preprocessing == CAFFE and "Oxford" in weights.preprocessing_reason
    assert 0.3 < relative_bias(*weights["conv1_1"]) < 0.7
    few = {layer: weights[layer] for layer in ("conv1_1", "conv1_2")}
    assert load_weights(write_npz(tmp_path / "x.npz", few)).preprocessing == CAFFE
    kernel, bias = weights["conv1_1"]
    few["conv1_1"] = kernel[:, :, ::-1], bias
    assert load_weights(write_npz(tmp_path / "x.npz", few)).preprocessing == MATCONVNET
    assert named(few, "torchvision").keys() >= {"features.0.weight"}


@pytest.mark.skipif(not Path(REAL_VGG16).is_file(), reason="NNSTYLE_TEST_VGG16 names no file")
def test_a_real_vgg_16_sees_a_photograph_best_as_it_was_trained():
    """A flat grey picture hardly excites it, a photograph does, to the end."""
    weights = load_weights(REAL_VGG16)
    photo = np.asarray(Image.open(SAMPLES / "content.jpg").convert("RGB").resize((96, 72)))
    network = Network(weights)
    right, _ = network.forward(preprocess(photo, weights.preprocessing), ["conv1_1", "conv4_1", "conv5_3"])
    wrong, _ = network.forward(preprocess(photo, TORCHVISION), ["conv1_1", "conv4_1", "conv5_3"])
    for layer, features in right.items():
        assert 0.1 < features.mean() < 100 and 0.2 < (features == 0).mean() < 0.95, layer
    assert right["conv1_1"].mean() > 20 * wrong["conv1_1"].mean()

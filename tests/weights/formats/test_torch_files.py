"""Reading PyTorch files: what PyTorch writes now, what it wrote in 2017, and what lies beside the weights."""

import tracemalloc

import numpy as np
import pytest

from nnstyle import load_weights
from nnstyle.pictures import Preprocessing
from nnstyle.weights.formats.contents import TORCHVISION
from tests.support import torch_files as made
from tests.support.tiny import tiny_weights
from tests.support.torch_files import FIXTURES, SHORT, forms
from tests.support.weight_files import CONVOLUTIONS, assert_same


def save_fixture(torch, form):
    """How the files in tests/fixtures were made; the values are no Parameters, as usual."""
    state = made.torch_state(torch, SHORT)
    for name in state:
        state[name] = state[name].detach()
    made.torch_save(torch, FIXTURES / f"vgg_{form}.pth", state, form)


@forms
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_what_pytorch_writes_is_read_exactly(tmp_path, form, dtype):
    torch = pytest.importorskip("torch")
    state = made.torch_state(torch, tiny_weights(), dtype)  # Parameters, in an OrderedDict with _metadata
    loaded = load_weights(made.torch_save(torch, tmp_path / "vgg.pth", state, form))
    tensors = [tensor.detach().float().numpy() for tensor in state.values()]
    pairs = [(tensors[i].transpose(2, 3, 1, 0), tensors[i + 1]) for i in range(0, 26, 2)]
    assert_same(loaded, dict(zip(CONVOLUTIONS["vgg19"][:13], pairs, strict=True)))
    assert loaded.preprocessing == TORCHVISION and loaded.name == "vgg"


@forms
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_tensors_that_share_a_storage_with_any_strides(tmp_path, form, dtype):
    torch = pytest.importorskip("torch")
    state = {}
    for name, tensor in made.torch_state(torch, SHORT, dtype).items():
        shared = torch.full((2, *tensor.shape[::-1], 3), 7.0, dtype=tensor.dtype)
        state[name] = shared[1, ..., 1].permute(*range(tensor.ndim)[::-1])  # transposed, every third number
        state[name].copy_(tensor.detach())
        state[f"other {name}"] = shared
    loaded = load_weights(made.torch_save(torch, tmp_path / "vgg.pth", state, form))
    expected = load_weights(
        made.torch_save(torch, tmp_path / "plain.pth", made.torch_state(torch, SHORT, dtype), form)
    )
    assert_same(loaded, expected)


def test_a_later_protocol_of_pickle(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(made.torch_state(torch, SHORT), tmp_path / "vgg.pth", pickle_protocol=4)
    assert_same(load_weights(tmp_path / "vgg.pth"), SHORT)


@forms
def test_the_files_made_here_are_true_ones(tmp_path, form):
    torch = pytest.importorskip("torch")
    path = made.write_torchvision(tmp_path / "vgg.pth", form, SHORT)
    for label, array in made.torchvision_arrays(SHORT).items():
        np.testing.assert_array_equal(torch.load(path)[label].numpy(), array)


@forms
def test_files_of_pytorch_without_pytorch(form):
    assert_same(load_weights(FIXTURES / f"vgg_{form}.pth"), SHORT)


@pytest.mark.parametrize(
    ("architecture", "last"), [(name, last) for name, layers in CONVOLUTIONS.items() for last in layers]
)
def test_torchvision_numbers_its_layers_whole_or_up_to_any(tmp_path, architecture, last):
    weights = tiny_weights(architecture, last)
    path = made.write_torchvision(tmp_path / "vgg.pth", "legacy", weights, architecture)
    assert_same(load_weights(path), weights)


@forms
@pytest.mark.parametrize("architecture", CONVOLUTIONS)
def test_the_names_of_the_first_author(tmp_path, form, architecture):
    weights, arrays = tiny_weights(architecture, CONVOLUTIONS[architecture][-1]), {}
    for layer, (kernel, bias) in weights.items():
        arrays[f"{layer}.weight"] = kernel.transpose(3, 2, 0, 1).astype(np.float32)
        arrays[f"{layer}.bias"] = bias.astype(np.float32)
    pieces, storages = made.pieces_of(arrays, form)
    loaded = load_weights(made.write(tmp_path / "vgg.pth", form, made.dictionary(pieces), storages))
    assert_same(loaded, weights)
    assert loaded.preprocessing == Preprocessing("BGR", (103.939, 116.779, 123.68), 1.0)


@forms
@pytest.mark.parametrize("prefix", ["", "module.", "features.module."])
@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict"])
def test_checkpoints_and_the_prefixes_of_data_parallel(tmp_path, form, prefix, key):
    pieces, storages = made.pieces_of(made.torchvision_arrays(SHORT), form)
    if prefix:
        pieces = {prefix + label.removeprefix(prefix.split("module")[0]): p for label, p in pieces.items()}
    piece = made.dictionary(pieces)
    if key:
        extra = {"epoch": made.plain(3), 5: made.plain([None, 0.5, {"lr": (1, True)}])}
        piece = made.dictionary(extra | {key: piece})
    assert_same(load_weights(made.write(tmp_path / "vgg.pth", form, piece, storages)), SHORT)


@pytest.mark.parametrize("kind", ["torch LongStorage", "torch BoolStorage", "torch.cuda ByteStorage"])
@forms
def test_tensors_of_other_types_are_left_alone(tmp_path, form, kind):
    pieces, storages = made.pieces_of(made.torchvision_arrays(SHORT), form)
    counter = np.arange(5, dtype=np.int64 if "Long" in kind else np.uint8)
    pieces = {"0": made.tensor(made.storage("!", 5, kind), 0, (5,), (1,))} | pieces
    path = made.write(tmp_path / "vgg.pth", form, made.dictionary(pieces), {"!": counter} | storages)
    assert_same(load_weights(path), SHORT)


def test_in_the_zip_form_even_types_that_nobody_knows(tmp_path):
    pieces, storages = made.pieces_of(made.torchvision_arrays(SHORT), "zip")
    pieces["new"] = made.tensor(made.storage("new", 5, "torch Tiny3Storage"), 0, (5,), (1,))
    storages["new"] = np.zeros(2)
    assert_same(
        load_weights(made.write(tmp_path / "vgg.pth", "zip", made.dictionary(pieces), storages)), SHORT
    )


@pytest.mark.parametrize(("byteorder", "dtype"), [(None, "<f4"), (b"little", "<f4"), (b"big", ">f4")])
def test_either_order_of_bytes(tmp_path, byteorder, dtype):
    arrays = made.torchvision_arrays(SHORT)
    pieces, storages = made.pieces_of(arrays, "zip")
    storages = {key: array.astype(dtype) for key, array in storages.items()}
    path = tmp_path / "vgg.pth"
    made.write(path, "zip", made.dictionary(pieces), storages, byteorder=byteorder)
    assert_same(load_weights(path), SHORT)


def test_an_axis_of_length_1_may_have_any_stride(tmp_path):
    weights = tiny_weights(last="conv1_1", widths=(1,))
    pieces, storages = made.pieces_of(made.torchvision_arrays(weights), "zip")
    pieces["features.0.weight"] = made.tensor(made.storage("0", 27), 0, (1, 3, 3, 3), (2**62, 9, 3, 1))
    path = made.write(tmp_path / "vgg.pth", "zip", made.dictionary(pieces), storages)
    assert_same(load_weights(path), weights)


def python2(piece):
    """A piece with its texts as Python 2 wrote them."""
    return b"U" + bytes([len(piece)]) + piece.encode()


@pytest.mark.parametrize("parameters", ["none", "0.3", "0.4"])
@pytest.mark.parametrize("from_python2", [False, True])
def test_what_pytorch_wrote_in_2017(tmp_path, from_python2, parameters):
    """`_rebuild_tensor` in vgg19-dcbb9e9d.pth (pytorch/vision issue 112); Parameters of then."""
    arrays = made.torchvision_arrays(SHORT)
    pieces, storages = made.pieces_of(arrays, "legacy", function="torch._utils _rebuild_tensor")
    for label, piece in pieces.items():
        if parameters == "0.3":  # Parameter.__new__(Parameter, tensor), then its flags and hooks
            piece = made.name("torch.nn.parameter Parameter") + made.pieces_tuple(piece) + b"\x81"
            piece += made.pieces_tuple(b"\x88", b"\x89", made.dictionary({})) + b"b"
        elif parameters == "0.4":  # pytorch/pytorch pull request 8633
            piece = made.call("torch.nn.parameter Parameter", piece, b"\x88")
        pieces[label] = piece
    whole = made.dictionary(pieces)
    if from_python2:
        items = b"".join(b"](" + python2(label) + piece + b"e" for label, piece in pieces.items())
        whole = made.call("collections OrderedDict", b"](" + items + b"e")
    assert_same(load_weights(made.write(tmp_path / "vgg.pth", "legacy", whole, storages)), SHORT)


@forms
def test_layers_that_are_not_needed_are_not_read(tmp_path, form):
    pieces, storages = made.pieces_of(made.torchvision_arrays(SHORT), form)
    large = np.zeros(10_000_000, np.float32)
    pieces = {
        "classifier.0.weight": made.tensor(made.storage("!", large.size), 0, (1000, 10000), (10000, 1))
    } | pieces
    path = made.write(tmp_path / "vgg.pth", form, made.dictionary(pieces), {"!": large} | storages)
    tracemalloc.start()
    try:
        assert_same(load_weights(path), SHORT)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()

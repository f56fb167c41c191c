"""AlexNets from files, in thin: places of the arrays, order of the axes, and clear refusals."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lessons import alexnet_file
from nnstyle import InputError
from tests.support import torch_files, weight_files

ROOT = Path(__file__).parents[2]
FILTERS = {"conv1": 4, "conv2": 8, "conv3": 6, "conv4": 4, "conv5": 4, "fc6": 10, "fc7": 12, "fc8": 7}


def thin(has_towers):
    """{layer: (kernel (out, in, h, w), bias)} of a thin AlexNet, random."""
    rng, arrays, channels = np.random.default_rng(0), {}, 3
    for name, filters in FILTERS.items():
        groups = 2 if has_towers and name in ("conv2", "conv4", "conv5") else 1
        size = alexnet_file.SIZES.get(name)
        shape = (filters, channels // groups, size, size) if size else (filters, channels)
        if name == "fc6":
            shape = filters, channels * 6 * 6
        arrays[name] = rng.normal(size=shape).astype("f4"), rng.normal(size=filters).astype("f4")
        channels = filters
    return arrays


def torchvision_names(arrays):
    return {
        f"{alexnet_file.TORCHVISION[layer]}.{kind}": array
        for layer, pair in arrays.items()
        for kind, array in zip(("weight", "bias"), pair)
    }


def write_torch(path, form="zip", **changed):
    """A file of torchvision's; None takes an array away."""
    arrays = torchvision_names(thin(False)) | changed
    arrays = {name: array for name, array in arrays.items() if array is not None}
    pieces, storages = torch_files.pieces_of(arrays, form)
    return torch_files.write(path, form, torch_files.dictionary(pieces), storages)


def write_caffe(path, generation="old", left_out=()):
    layers = [weight_files.caffe_layer(generation, "data", [])]
    for name, (kernel, bias) in thin(True).items():
        if generation == "old":  # four axes, always
            kernel = kernel.reshape((1,) * (4 - kernel.ndim) + kernel.shape)
            bias = bias.reshape(1, 1, 1, -1)
        if name not in left_out:
            blobs = [weight_files.blob(array, generation) for array in (kernel, bias)]
            layers.append(weight_files.caffe_layer(generation, name, blobs))
    path.write_bytes(weight_files.field(1, b"AlexNet") + b"".join(layers))
    return path


def is_as_written(net, arrays):
    """Whether every number is where a convolution over (h, w, channel) needs it."""
    for name, (kernel, bias) in arrays.items():
        ours, its_bias = net.layers[name]
        if name.startswith("conv"):
            expected = np.moveaxis(kernel, (0, 1), (3, 2))
        elif name == "fc6":
            by_channel = kernel.reshape(len(kernel), -1, 6, 6)
            expected = np.array([np.moveaxis(maps, 0, 2).ravel() for maps in by_channel]).T
        else:
            expected = kernel.T
        if not (np.array_equal(ours, expected) and np.array_equal(its_bias, bias)):
            return False
    return True


@pytest.mark.parametrize("form", torch_files.FORMS)
def test_torchvisions_is_read(form, tmp_path):
    net = alexnet_file.read(write_torch(tmp_path / "alexnet.pth", form))
    assert net.source == "torchvision" and net.side == 224 and net.channel_order == "RGB"
    assert is_as_written(net, thin(False))
    names = [name for name, _ in net.table]
    assert "norm" not in names and "dropout" not in names
    assert all(options.get("groups", 1) == 1 for _, options in net.table)
    assert net.table[0] == ("conv1", {"size": 11, "filters": 4, "stride": 4, "padding": 2, "groups": 1})


@pytest.mark.parametrize("generation", ["old", "new"])
def test_caffes_is_read_with_its_towers(generation, tmp_path):
    net = alexnet_file.read(write_caffe(tmp_path / "alexnet.caffemodel", generation))
    assert net.source == "Caffe" and net.side == 227 and net.channel_order == "BGR"
    assert is_as_written(net, thin(True)) and not is_as_written(net, thin(True) | thin(False))
    table = dict(net.table)
    assert [name for name in table if table[name].get("groups") == 2] == ["conv2", "conv4", "conv5"]
    assert [name for name, _ in net.table][:4] == ["conv1", "relu", "norm", "pool"]
    assert table["norm"] == {"kappa": 1.0, "alpha": 1e-4 / 5}


FC6 = "classifier.1.weight"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"features.3.bias": None}, "it has no features.3.weight and features.3.bias"),
        ({FC6: np.zeros((10, 99), "f4")}, r"fc6 has \(10, 99\)"),
        ({"features.0.weight": np.zeros((4, 3, 7, 7), "f4")}, "conv1 has"),
        ({"classifier.6.bias": np.full(7, np.nan, "f4")}, "not finite"),
    ],
    ids=["no bias", "fc6 too small", "other windows", "not finite"],
)
def test_what_is_no_alexnet_is_refused(changed, words, tmp_path):
    with pytest.raises(InputError, match=f"alexnet.pth: .*{words}"):
        alexnet_file.read(write_torch(tmp_path / "alexnet.pth", **changed))


def test_a_caffe_file_without_a_layer_is_refused(tmp_path):
    with pytest.raises(InputError, match="it has no conv4"):
        alexnet_file.read(write_caffe(tmp_path / "a.caffemodel", left_out=("conv4",)))


def test_other_files_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    (tmp_path / "a.txt").write_text("nothing")
    cut_off = write_torch(tmp_path / "cut.pth")
    cut_off.write_bytes(cut_off.read_bytes()[:5000])
    for name in ("a.npz", "a.txt", "cut.pth", "missing.pth"):
        with pytest.raises(InputError, match=name):
            alexnet_file.read(tmp_path / name)


def test_torch_computes_the_same(tmp_path):
    """The order of the inputs of fc6 is the one thing that shapes cannot tell."""
    torch = pytest.importorskip("torch")
    arrays = thin(False)
    net = alexnet_file.read(write_torch(tmp_path / "alexnet.pth"))
    maps = np.random.default_rng(1).normal(size=(1, 6, 6, 4)).astype("f4")
    kernel, bias = net.layers["fc6"]
    ours = maps.reshape(1, -1) @ kernel + bias
    flat = torch.tensor(maps).permute(0, 3, 1, 2).flatten(1)
    theirs = torch.nn.functional.linear(flat, *map(torch.tensor, arrays["fc6"])).numpy()
    assert np.allclose(ours, theirs, atol=1e-4)


def test_the_option_refuses_in_one_line():
    pytest.importorskip("matplotlib")  # which lessons.tools needs
    code = "import sys; from lessons import tools; sys.argv[1:] = ['--alexnet', 'gone.pth']; tools.alexnet('__main__')"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2 and "there is no file gone.pth" in run.stderr and "Traceback" not in run.stderr

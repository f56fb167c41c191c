"""Every wrong weights file is refused with a message that names it."""

import h5py
import numpy as np
import pytest

from nnstyle import InputError, load_weights
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg
from tests.support.weight_files import assert_refused


@pytest.mark.parametrize(
    "name", ["missing.h5", ".", "x" * 300, "zero\0byte"], ids=["missing", "folder", "long name", "zero byte"]
)
def test_a_path_without_a_file(tmp_path, name):
    assert_refused(tmp_path / name, "")


@pytest.mark.parametrize(
    "content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"\0" * 1000]
)
def test_no_format_at_all(tmp_path, content):
    (tmp_path / "vgg.h5").write_bytes(content)
    assert_refused(tmp_path / "vgg.h5", "not a (weights file in any format known|readable HDF5 file)")


def test_truncated(tmp_path):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights())
    path.write_bytes(path.read_bytes()[:-500])
    assert_refused(path, "not a readable HDF5 file")


def test_damaged_anywhere(tmp_path):
    """Bytes changed at random are read as other numbers or refused: nothing else may happen."""
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights(last="conv2_1"))
    whole, rng = np.frombuffer(path.read_bytes(), np.uint8), np.random.default_rng(0)
    for _ in range(100):
        damaged = whole.copy()
        damaged[rng.integers(0, whole.size, size=10)] = rng.integers(0, 256, size=10)
        path.write_bytes(damaged.tobytes())
        try:
            load_weights(path)
        except InputError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize("groups", [[], ["block1_pool"], ["features/0"], ["layers/conv2d"]])
def test_no_vgg_at_all(tmp_path, groups):
    with h5py.File(tmp_path / "vgg.h5", "w") as file:
        for group in groups:
            file.create_group(group)
    assert_refused(tmp_path / "vgg.h5", "no group block1_conv1")


@pytest.mark.parametrize("missing", ["conv1_1", "conv2_2", "conv3_4", "conv4_3"])
def test_a_layer_missing_in_the_middle(tmp_path, missing):
    weights = dict(tiny_weights())
    del weights[missing]
    assert_refused(write_vgg(tmp_path / "vgg.h5", weights), f"{missing} is missing")


@pytest.mark.parametrize(
    ("kernel", "bias"),
    [
        ((3, 3, 4, 6), (5,)),
        ((3, 3, 5, 5), (5,)),
        ((1, 1, 4, 5), (5,)),
        ((5, 5, 4, 5), (5,)),
        ((5, 4, 3, 3), (5,)),
        ((3, 3, 4, 0), (0,)),
    ],
    ids=[
        "bias too short",
        "channels do not chain",
        "1x1",
        "5x5",
        "the order of other frameworks",
        "no channels",
    ],
)
def test_a_wrong_shape(tmp_path, kernel, bias):
    weights = tiny_weights(last="conv2_1") | {"conv1_2": (np.zeros(kernel), np.zeros(bias))}
    assert_refused(write_vgg(tmp_path / "vgg.h5", weights), "conv1_2 has kernel")


def test_a_picture_of_one_channel_as_input(tmp_path):
    weights = tiny_weights(last="conv1_1") | {"conv1_1": (np.zeros((3, 3, 1, 4)), np.zeros(4))}
    assert_refused(write_vgg(tmp_path / "vgg.h5", weights), "conv1_1 has kernel")


def test_a_shape_that_no_memory_holds_is_refused_before_it_is_read(tmp_path):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights(last="conv1_2"))
    with h5py.File(path, "a") as file:
        del file["block1_conv2"]
        file["block1_conv2/b"] = np.zeros(4)
        file["block1_conv2"].create_dataset("W", shape=(3, 3, 4, 10**12), dtype="f4", chunks=(3, 3, 4, 1000))
    assert_refused(path, "conv1_2 has kernel")


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"W": np.zeros((3, 3, 4, 4))},
        {"b": np.zeros(4)},
        {"W": np.zeros((3, 3, 4, 4), int), "b": np.zeros(4)},
        {"W": np.zeros((3, 3, 4)), "b": np.zeros(4)},
        {"W": np.zeros((3, 3, 4, 4)), "W2": np.zeros((3, 3, 4, 4)), "b": np.zeros(4)},
    ],
    ids=["empty", "no bias", "no kernel", "integers", "rank 3", "two kernels"],
)
def test_a_group_that_is_no_convolution(tmp_path, arrays):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights(last="conv1_1"))
    with h5py.File(path, "a") as file:
        file.create_group("block1_conv2").update(arrays)
    assert_refused(path, "/block1_conv2 should hold one kernel and one bias")


@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/nowhere"), h5py.ExternalLink("nowhere.h5", "/x"), np.zeros(3)]
)
def test_a_group_that_is_none(tmp_path, link):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights(last="conv1_1"))
    with h5py.File(path, "a") as file:
        file["block1_conv2"] = link
    assert_refused(path, "")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("which", [0, 1], ids=["kernel", "bias"])
def test_values_that_are_not_finite_in_float32(tmp_path, which, value):
    weights = tiny_weights(last="conv2_1")
    arrays = [array.copy() for array in weights["conv1_2"]]
    arrays[which].flat[-1] = value
    weights |= {"conv1_2": arrays}
    assert_refused(
        write_vgg(tmp_path / "vgg.h5", weights, dtype=np.float64), "conv1_2 has values that are not finite"
    )


@pytest.mark.parametrize(
    "attributes",
    [
        {"channel_order": "GRB"},
        {"channel_order": 3},
        {"channel_order": ["R", "G", "B"]},
        {"mean": "grey"},
        {"mean": ["1", "2", "3"]},
        {"mean": 5.0},
        {"mean": (1.0, 2.0)},
        {"mean": (1.0, 2.0, np.nan)},
        {"mean": h5py.Empty("f4")},
        {"scale": "small"},
        {"scale": 0.0},
        {"scale": np.inf},
        {"scale": (1.0, 2.0)},
        {"scale": (1.0, 0.0, 1.0)},
        {"scale": 1j},
    ],
    ids=repr,
)
def test_a_preprocessing_that_makes_no_sense(tmp_path, attributes):
    path = write_vgg(tmp_path / "vgg.h5", tiny_weights(), **attributes)
    assert_refused(path, f"its .*{next(iter(attributes))}")

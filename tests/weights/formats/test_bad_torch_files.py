"""PyTorch files whose pickle is fine and whose rest is not: damaged, cut off, or packed in another way."""

import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from nnstyle import InputError, load_weights
from tests.support import torch_files as made
from tests.support.torch_files import FIXTURES, SHORT, forms
from tests.support.weight_files import assert_refused


@forms
def test_cut_off_anywhere(tmp_path, form):
    whole = (FIXTURES / f"vgg_{form}.pth").read_bytes()
    for length in range(0, len(whole), 29):
        (tmp_path / "vgg.pth").write_bytes(whole[:length])
        assert_refused(tmp_path / "vgg.pth", "")


@forms
def test_damaged_anywhere(tmp_path, form):
    """Bytes changed at random are read as other numbers or refused: nothing else may happen."""
    whole = np.frombuffer((FIXTURES / f"vgg_{form}.pth").read_bytes(), np.uint8)
    path, rng = tmp_path / "vgg.pth", np.random.default_rng(0)
    for trial in range(400):
        damaged, count = whole.copy(), 1 + trial % 3
        damaged[rng.integers(0, whole.size, size=count)] = rng.integers(0, 256, size=count)
        path.write_bytes(damaged.tobytes())
        try:
            load_weights(path)
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members(tmp_path, compression):
    path = made.write_torchvision(tmp_path / "vgg.pth", "zip", SHORT, compression=compression)
    assert_refused(path, "compressed or encrypted members, which PyTorch does not write")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (8, b"\1\0", "compressed or encrypted"),  # flags
        (10, b"\x08\0", "compressed or encrypted"),  # method
        (20, b"\1\0\0\0", "compressed or encrypted"),  # compressed size
        (24, b"\1\0\0\0", "compressed or encrypted"),  # size
        (20, struct.pack("<2I", 2**30, 2**30), "cut off"),  # both sizes
        (42, b"\0\0\0\0", "overlap"),  # where the member is
        (42, b"\1\0\0\0", "overlap|damaged zip archive"),
        (42, b"\xff\xff\xff\x7f", "cut off"),
    ],
)
def test_a_wrong_entry_for_a_storage(tmp_path, field, value, words):
    """Offsets in a record of the central directory (section 4.3.12 of PKWARE's APPNOTE.TXT)."""
    path = made.write_torchvision(tmp_path / "vgg.pth", "zip", SHORT)
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"vgg/data/3") - 46
    content[entry + field : entry + field + len(value)] = value
    path.write_bytes(content)
    assert_refused(path, words)


def test_a_member_without_its_header(tmp_path):
    path = made.write_torchvision(tmp_path / "vgg.pth", "zip", SHORT)
    header = path.read_bytes().index(b"vgg/data/3") - 30
    path.write_bytes(path.read_bytes()[:header] + b"PK00" + path.read_bytes()[header + 4 :])
    assert_refused(path, "a damaged zip archive")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(tmp_path):
    path = made.write_torchvision(tmp_path / "vgg.pth", "zip", SHORT)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("vgg/data/0", b"")
    assert_refused(path, "overlap, or two have one name")


@pytest.mark.parametrize("names", [["a/b.txt"], ["data.pkl"], ["a/b/data.pkl"], ["a/data.pkl", "b/data.pkl"]])
def test_a_zip_archive_that_is_not_pytorch_s(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "vgg.pth", "w") as archive:
        for name in names:
            archive.writestr(name, b"N.")
    assert_refused(tmp_path / "vgg.pth", "a zip archive, but not PyTorch's")


@pytest.mark.parametrize("byteorder", [b"middle", b"little\n", b"x" * 100])
def test_an_unknown_order_of_bytes(tmp_path, byteorder):
    path = made.write_torchvision(tmp_path / "vgg.pth", "zip", SHORT, byteorder=byteorder)
    assert_refused(path, "its member byteorder says neither little nor big")


@pytest.mark.parametrize("name", ["data.pkl", "byteorder"])
def test_small_members_that_are_large(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "vgg.pth", "w") as archive:
        archive.writestr("vgg/data.pkl", b"}." if name == "byteorder" else bytes(2**21))
        archive.writestr("vgg/byteorder", bytes(2**21))
    assert_refused(tmp_path / "vgg.pth", "more than 1 MB beside its tensors")


@forms
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda storages: storages.pop("2"), "its storage '2' is missing"),
        (
            lambda storages: storages.update({"2": storages["2"].ravel()[1:]}),
            "its storage '2' is .*not as long as",
        ),
        (lambda storages: storages.update({"2": np.append(storages["2"], storages["2"])}), "not as long as"),
    ],
    ids=["missing", "shorter", "longer"],
)
def test_a_storage_that_is_not_as_described(tmp_path, form, change, words):
    pieces, storages = made.pieces_of(made.torchvision_arrays(SHORT), form)
    change(storages)
    assert_refused(made.write(tmp_path / "vgg.pth", form, made.dictionary(pieces), storages), words)


def test_cut_off_in_what_is_not_needed(tmp_path):
    pieces, storages = made.pieces_of(
        made.torchvision_arrays(SHORT) | {"classifier.0.bias": np.zeros(9, np.float32)}, "legacy"
    )
    path = made.write(tmp_path / "vgg.pth", "legacy", made.dictionary(pieces), storages)
    path.write_bytes(path.read_bytes()[:-1])
    assert_refused(path, "it is cut off")


def test_a_version_or_machine_that_is_not_known(tmp_path):
    path = made.write_torchvision(tmp_path / "vgg.pth", "legacy", SHORT, version=1002)
    assert_refused(path, "a version of PyTorch's older form that is not known here")
    path = made.write_torchvision(tmp_path / "vgg.pth", "legacy", SHORT, little_endian=False)
    assert_refused(path, "written on a big-endian machine: save it in PyTorch's zip form")


@pytest.mark.parametrize("keys", [3, ["0", "nowhere"], [0], [["0"]]], ids=repr)
def test_a_list_of_storages_that_is_none(tmp_path, keys):
    path = made.write_torchvision(tmp_path / "vgg.pth", "legacy", SHORT)
    listed = pickle.dumps([str(key) for key in range(6)], 2)
    assert path.read_bytes().count(listed) == 1
    path.write_bytes(path.read_bytes().replace(listed, pickle.dumps(keys, 2)))
    assert_refused(path, "its list of storages is damaged, or has a type")


def test_a_type_that_nobody_knows_in_the_older_form(tmp_path):
    pieces, storages = made.pieces_of(made.torchvision_arrays(SHORT), "legacy")
    pieces["new"] = made.tensor(made.storage("new", 5, "torch Tiny3Storage"), 0, (5,), (1,))
    path = tmp_path / "vgg.pth"
    made.write(path, "legacy", made.dictionary(pieces), storages | {"new": np.zeros(5, np.float32)})
    assert_refused(path, "its list of storages is damaged, or has a type that is not known")


@forms
def test_a_whole_network(tmp_path, form):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
    torch.save(network, tmp_path / "vgg.pth", _use_new_zipfile_serialization=form == "zip")
    assert_refused(
        tmp_path / "vgg.pth", "asks for 'torch.nn.modules.container.Sequential'.*save its state_dict"
    )


def test_the_tar_archives_of_2016(tmp_path):
    with tarfile.open(tmp_path / "vgg.pth", "w") as archive:
        archive.add(FIXTURES / "vgg_legacy.pth", "pickle")
    assert_refused(tmp_path / "vgg.pth", "not a weights file in any format known here")

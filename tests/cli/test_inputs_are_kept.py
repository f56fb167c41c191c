"""No output replaces an input, whatever the input is, and by whatever name it is called."""

import shutil

import pytest

import nnstyle.cli
from nnstyle.cli import main
from nnstyle.weights import POCKET_PATHS, loading
from tests.support.command import SMALL, files
from tests.support.tiny import tiny_weights
from tests.support.vgg_files import write_vgg

PICTURES = ["content.png", "style.png"]


@pytest.fixture
def inputs(folder, monkeypatch):
    """A folder with inputs of every kind, the current one: so no test can harm the package's own files."""
    monkeypatch.chdir(folder)
    write_vgg(folder / "tiny.h5", tiny_weights())
    (folder / "over").mkdir()
    for name in ("one.png", "two.jpg"):
        shutil.copy(folder / "content.png", folder / "over" / name)
    monkeypatch.setattr(nnstyle.cli, "SAMPLES", folder / "samples")
    shutil.copytree(nnstyle.cli.Path(nnstyle.cli.__file__).parents[1] / "samples", folder / "samples")
    shutil.copy(next(path for path in POCKET_PATHS if path.exists()), folder / "pocket.h5")
    monkeypatch.setattr(loading, "POCKET_PATHS", (folder / "pocket.h5",))
    monkeypatch.setattr(loading, "fetch", lambda name, progress: folder / "tiny.h5")
    return folder


def assert_refused(folder, capsys, arguments):
    before = [files(path) for path in (folder, folder / "over", folder / "samples")]
    assert main([*arguments, *SMALL]) == 2
    stdout, stderr = capsys.readouterr()
    assert "would replace an input" in stderr and stderr.count("\n") == 1 and stdout == ""
    assert [files(path) for path in (folder, folder / "over", folder / "samples")] == before


@pytest.mark.parametrize(
    "arguments",
    [
        [*PICTURES, "-o", "content.png"],
        [*PICTURES, "-o", "over/../style.png"],
        [*PICTURES, "over/one.png", "-o", "over/one.png"],
        ["content.png", "over", "-o", "over/two.jpg"],
        [*PICTURES, "--mask", "over/one.png", "-o", "over/one.png"],
        [*PICTURES, "--init", "over/one.png", "-o", "over/one.png"],
        [*PICTURES, "--rescale-over", "over", "-o", "over/one.png"],
        [*PICTURES, "--rescale-over", "over", "-o", "./over/two.jpg"],
    ],
)
def test_an_input_by_its_name(inputs, capsys, arguments):
    assert_refused(inputs, capsys, arguments)


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
@pytest.mark.parametrize(
    "source, arguments",
    [
        ("content.png", PICTURES),
        ("style.png", PICTURES),
        ("tiny.h5", [*PICTURES, "--weights", "tiny.h5"]),
        ("tiny.h5", [*PICTURES, "--weights", "vgg19"]),  # a known network, in the cache
        ("pocket.h5", PICTURES),  # the embedded one
        ("over/two.jpg", [*PICTURES, "--rescale-over", "over"]),
        ("samples/content.jpg", []),
        ("samples/style.jpg", []),
    ],
)
def test_an_input_by_a_link(inputs, capsys, source, arguments, link):
    getattr(inputs / "link.png", link)(inputs / source)
    assert_refused(inputs, capsys, [*arguments, "-o", "link.png"])


def test_a_new_name_beside_the_inputs_is_no_input(inputs):
    assert main([*PICTURES, *SMALL, "-q", "--rescale-over", "over", "-o", "over/three.png"]) == 0
    assert set(files(inputs / "over")) == {"one.png", "two.jpg", "three.png"}

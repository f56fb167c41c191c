"""The comparison of networks and settings: what it paints, and its sheet."""

import numpy as np
import pytest
from PIL import Image

from nnstyle.weights.formats.hdf5 import write_hdf5
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights
from weights import compare

SIZE = 200


@pytest.fixture
def inputs(tmp_path):
    """A network and two pictures, as files."""
    write_hdf5(tmp_path / "tiny.h5", tiny_weights())
    for name, seed in (("photo", 0), ("painting", 1)):
        Image.fromarray(noise(SIZE, SIZE + 8, seed=seed)).save(tmp_path / f"{name}.png")
    return tmp_path


def test_a_candidate_is_a_network_with_options_of_the_command_line(inputs):
    one = compare.candidate(
        f"'{inputs / 'tiny.h5'}' --layer-weights 1,0,2 --style-layers conv1_1,conv2_1,conv3_1 --beta 7", 64, 3
    )
    assert one.weights.name == "tiny" and one.settings["layer_weights"] == (1, 0, 2)
    assert (one.settings["size"], one.settings["iterations"], one.settings["beta"]) == (64, 3, 7)


def test_the_losses_of_both_experiments_are_those_that_they_are_named_after(inputs, monkeypatch):
    asked = []
    monkeypatch.setattr(
        compare.nnstyle,
        "stylize",
        lambda *a, **how: asked.append(how) or compare.argparse.Namespace(image=a[0]),
    )
    one = compare.candidate(f"{inputs / 'tiny.h5'} --beta 7 --layer-weights 1,1,1,1,2", 64, 3)
    picture = noise(40, 48)
    compare.resynthesize(one, picture)
    compare.reconstruct(one, picture)
    texture, content = asked
    assert texture["alpha"] == 0 and texture["beta"] is None and texture["layer_weights"] == (1, 1, 1, 1, 2)
    assert content["beta"] == 0 and content["alpha"] == 1
    assert all(how["init"] == "noise" and how["size"] == 48 for how in asked)


def test_everything_at_once(inputs, capsys):
    network, photo, painting = (str(inputs / name) for name in ("tiny.h5", "photo.png", "painting.png"))
    argv = [network, f"{network} --layer-weights 1,1,1,1,1", "--pairs", photo, painting]
    argv += ["--textures", painting, "--contents", photo, "--size", "208", "--content-size", "144"]
    argv += ["--iterations", "1", "--threads", "1", "--width", "100", "-o", str(inputs / "sheet.jpg")]
    compare.main(argv)
    printed = capsys.readouterr().out.splitlines()
    means = [text.split()[1:] for text in printed if text.startswith("mean")]
    assert [len(numbers) for numbers in means] == [4, 2]
    assert np.isfinite(np.array([*means[0], *means[1]], float)).all()
    with Image.open(inputs / "sheet.jpg") as sheet:
        # A row for the pair, of 100 x 96, and one for the texture, which is a square.
        assert sheet.size == (4 + 4 * 104, 28 + 96 + 4 + 100 + 4)


def test_a_sheet_shows_each_picture_where_it_belongs():
    red, green = (np.full((20, 40, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 255, 0)))
    sheet = np.array(compare.contact_sheet([[red, None], [green, red]], ["a", "b"], 40))
    first, second = compare.TITLE + 10, compare.TITLE + 34
    assert [*sheet[first, 24]] == [255, 0, 0] and [*sheet[first, 68]] == [255] * 3
    assert [*sheet[second, 24]] == [0, 255, 0] and [*sheet[second, 68]] == [255, 0, 0]


def test_a_texture_is_the_middle_of_a_picture_at_the_size_of_the_pairs(inputs):
    texture = compare.read_texture(inputs / "photo.png", 208)
    assert np.array_equal(texture, noise(SIZE, SIZE + 8)[4:196, 8:200])
    with pytest.raises(compare.nnstyle.InputError, match="needs 192 px each way"):
        compare.read_texture(inputs / "photo.png", 190)


@pytest.mark.parametrize(
    "which", ["photo.png", "painting.png", "tiny.h5", "link.png", "sheet.xyz", "missing/sheet.jpg"]
)
def test_a_sheet_that_cannot_be_or_would_replace_an_input_is_refused(inputs, capsys, which):
    (inputs / "link.png").symlink_to("photo.png")
    if which == "tiny.h5":  # through a link, as a sheet must end like a picture
        (inputs / "sheet.png").symlink_to("tiny.h5")
        which = "sheet.png"
    before = {path.name: path.read_bytes() for path in inputs.iterdir()}
    argv = [str(inputs / "tiny.h5"), "--pairs", str(inputs / "photo.png"), str(inputs / "painting.png")]
    assert compare.main([*argv, "-o", str(inputs / which)]) == 2
    shown = capsys.readouterr()
    assert not shown.out and shown.err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in inputs.iterdir()} == before


def test_a_candidate_s_settings_are_those_given_and_the_others_defaults(inputs):
    """Layer weights that are not given are left to what the network's file states."""
    one = compare.candidate(f"'{inputs / 'tiny.h5'}' --no-rescale", 64, 3)
    assert one.settings["rescale"] is False and one.settings["layer_weights"] is None
    assert set(one.settings) == {field.name for field in compare.dataclasses.fields(compare.Settings)}

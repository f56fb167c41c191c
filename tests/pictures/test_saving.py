"""A picture is written with its settings inside, whole or not at all."""

import errno
import os

import numpy as np
import pytest
from PIL import Image

import nnstyle
from nnstyle import InputError
from nnstyle.notes import heard_by
from nnstyle.pictures import FORMATS, check_no_input_is_replaced, check_output, save_image
from nnstyle.pictures.colour import srgb_profile
from nnstyle.pictures.saving import MOST_IN_JPEG
from tests.support.pictures import noise, stored_settings

EXACT = [ending for ending in FORMATS if ending not in (".jpg", ".jpeg")]
SETTINGS = {
    "alpha": 1.0,
    "beta": 1e5,
    "style_layers": ["conv1_1"],
    "content": "Gemälde «1».jpg",
    "layer_weights": None,
}


@pytest.mark.parametrize("ending", EXACT)
def test_every_lossless_format_keeps_each_pixel(tmp_path, ending):
    save_image(noise(40, 56), tmp_path / f"x{ending}", SETTINGS)
    with Image.open(tmp_path / f"x{ending}") as image:
        assert image.format == FORMATS[ending] and image.mode == "RGB"
        np.testing.assert_array_equal(np.array(image), noise(40, 56))


@pytest.mark.parametrize("ending", [".jpg", ".jpeg"])
def test_a_jpeg_is_close(tmp_path, ending):
    # Noise is the worst case: neighbours share no colour.
    save_image(noise(40, 56), tmp_path / f"x{ending}", SETTINGS)
    with Image.open(tmp_path / f"x{ending}") as image:
        assert image.format == "JPEG"
        assert abs(np.array(image).astype(int) - noise(40, 56)).mean() < 4


@pytest.mark.parametrize("ending", EXACT)
def test_every_lossless_format_keeps_alpha_and_hidden_colours(tmp_path, ending):
    save_image(noise(40, 56, 4), tmp_path / f"x{ending}", SETTINGS)
    with Image.open(tmp_path / f"x{ending}") as image:
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.array(image), noise(40, 56, 4))


def test_in_a_jpeg_transparent_parts_become_white_and_this_is_said(tmp_path):
    picture = np.zeros((40, 56, 4), np.uint8)
    picture[:, 28:] = 255, 0, 0, 255
    with pytest.warns(UserWarning, match="a JPEG has no transparency"):
        save_image(picture, tmp_path / "x.jpg", SETTINGS)
    with Image.open(tmp_path / "x.jpg") as image:
        found = np.array(image).astype(int)
    assert abs(found[:, :24] - 255).max() <= 2 and abs(found[:, 32:] - (255, 0, 0)).max() <= 2


@pytest.mark.parametrize("ending", [".jpg", ".webp"])
def test_what_has_8_bits_gets_16_rounded_and_this_is_said(tmp_path, ending):
    with pytest.warns(UserWarning, match="8 bits: the 16 of the picture are rounded"):
        save_image(
            (noise(40, 56) * 257.0 + 127).clip(0, 65535).astype(np.uint16), tmp_path / f"x{ending}", SETTINGS
        )
    with Image.open(tmp_path / f"x{ending}") as image:
        difference = abs(np.array(image).astype(int) - noise(40, 56))
    assert difference.max() == 0 if ending == ".webp" else difference.mean() < 4


def test_16_bits_need_a_format_that_has_them(tmp_path):
    for name in ("x.png", "x.tif", "X.TIFF"):
        check_output(tmp_path / name, 16)
    for name in ("x.jpg", "x.jpeg", "x.webp"):
        check_output(tmp_path / name, 8)
        with pytest.raises(
            InputError, match=f"{name} cannot have 16 bits: choose a name that ends in .png or"
        ):
            check_output(tmp_path / name, 16)


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_carries_an_srgb_profile(tmp_path, ending):
    save_image(noise(40, 56), tmp_path / f"x{ending}", SETTINGS)
    with Image.open(tmp_path / f"x{ending}") as image:
        assert image.info["icc_profile"] == srgb_profile()


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_carries_the_settings(tmp_path, ending):
    save_image(noise(40, 56), tmp_path / f"x{ending}", SETTINGS)
    assert stored_settings(tmp_path / f"x{ending}") == SETTINGS


def test_the_extension_may_be_in_capitals(tmp_path):
    check_output(tmp_path / "X.PNG")
    save_image(noise(40, 56), tmp_path / "X.PNG", SETTINGS)
    assert stored_settings(tmp_path / "X.PNG") == SETTINGS


def test_an_existing_file_is_replaced_and_nothing_else_is_left(tmp_path):
    (tmp_path / "x.png").write_bytes(b"old")
    save_image(noise(40, 56), str(tmp_path / "x.png"), SETTINGS)
    assert os.listdir(tmp_path) == ["x.png"]
    assert stored_settings(tmp_path / "x.png") == SETTINGS


def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "ordinary").touch()
    save_image(noise(40, 56), tmp_path / "x.png", SETTINGS)
    assert (tmp_path / "x.png").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize(
    "failure", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), MemoryError()]
)
@pytest.mark.parametrize("old", [b"old", None])
def test_a_writer_that_fails_midway_leaves_things_as_they_were(tmp_path, monkeypatch, failure, old):
    def failing_save(image, file, *_, **__):
        file.write(b"half a picture")
        raise failure

    monkeypatch.setattr(Image.Image, "save", failing_save)
    if old:
        (tmp_path / "x.png").write_bytes(old)
    with pytest.raises(type(failure)):
        save_image(noise(40, 56), tmp_path / "x.png", SETTINGS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == ({"x.png": old} if old else {})


def test_beside_an_earlier_picture_a_name_is_found(tmp_path):
    names = ["my.picture.png", "my.picture-unfinished.png", "my.picture-unfinished-2.png"]
    for name in names:
        path = save_image(noise(8, 8), tmp_path / "my.picture.png", SETTINGS, replace=False)
        assert path == tmp_path / name and stored_settings(path) == SETTINGS
    assert sorted(os.listdir(tmp_path)) == sorted(names)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x.gif", ".png, .jpg, .jpeg, .webp, .tif, .tiff"),
        ("x", "must end in"),
        (".png", "must end in"),
        ("", "must end in"),
        ("folder.png", "is a folder"),
        ("missing/x.png", "missing does not exist"),
        ("file/x.png", "file does not exist"),
        ("x" * 300 + ".png", "cannot be written: File name too long"),
        ("x" * 300 + "/x.png", "File name too long|does not exist"),
    ],
)
def test_an_output_that_cannot_be_is_refused(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=words):
        check_output(name)
    assert sorted(os.listdir()) == ["file", "folder.png"]


def test_a_folder_that_cannot_be_written_to_is_found_out(unwritable_folder):
    with pytest.raises(InputError, match="cannot be written"):
        check_output(unwritable_folder / "x.png")


@pytest.mark.parametrize("old", [b"old", None])
def test_the_check_leaves_everything_as_it_was(tmp_path, old):
    if old:
        (tmp_path / "x.png").write_bytes(old)
    check_output(tmp_path / "x.png")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == ({"x.png": old} if old else {})


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to("real.png")
    save_image(noise(8, 8), tmp_path / "link.png", {})
    assert (tmp_path / "link.png").is_symlink() and (tmp_path / "real.png").read_bytes() != b"old"


@pytest.mark.parametrize("name", ["pipe.png", "link.png"])
def test_a_pipe_or_a_device_is_not_replaced(tmp_path, name):
    """Not by root either, who may replace everything."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("pipe.png")
    with pytest.raises(InputError, match="cannot be written: there is something that is not a file"):
        check_output(tmp_path / name)
    with pytest.raises(OSError, match="not a file"):
        save_image(noise(8, 8), tmp_path / name, {})
    assert (tmp_path / "pipe.png").is_fifo() and sorted(os.listdir(tmp_path)) == ["link.png", "pipe.png"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_an_output_that_is_an_input_is_refused_through_any_name(tmp_path, monkeypatch, link):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.png").write_bytes(b"a picture")
    link(tmp_path / "x.png", tmp_path / "link.png")
    for output in ("x.png", tmp_path / "x.png", f"../{tmp_path.name}/x.png", "link.png"):
        with pytest.raises(InputError, match="would replace an input"):
            check_no_input_is_replaced(output, [None, noise(4, 4), tmp_path / "x.png"])
        with pytest.raises(InputError, match="would replace an input"):
            check_no_input_is_replaced("x.png", ["other.png", str(output)])
    (tmp_path / "y.png").write_bytes(b"a picture")
    check_no_input_is_replaced("y.png", ["x.png", "link.png", "missing.png", "zero\0byte", None, 3])
    check_no_input_is_replaced("new.png", ["x.png", "new.png"])


@pytest.mark.parametrize("path", [None, 3, b"x.png"])
def test_an_output_that_is_no_path_is_refused(path):
    with pytest.raises(InputError, match="must be a path"):
        check_output(path)


def test_an_output_with_a_zero_byte_is_refused():
    with pytest.raises(InputError, match="cannot be written|does not exist"):
        check_output("zero\0byte.png")


@pytest.mark.parametrize("ending", FORMATS)
def test_a_plain_file_has_the_same_pixels_and_settings(tmp_path, ending):
    for name, plain in (("usual", False), ("plain", True)):
        save_image(noise(40, 56), tmp_path / f"{name}{ending}", SETTINGS, plain=plain)
    with Image.open(tmp_path / f"usual{ending}") as usual, Image.open(tmp_path / f"plain{ending}") as plain:
        np.testing.assert_array_equal(np.array(plain), np.array(usual))
    assert stored_settings(tmp_path / f"plain{ending}") == SETTINGS


def test_an_encoder_that_gets_no_memory_is_no_full_disk(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("out of memory when writing image file")  # Pillow's words

    (tmp_path / "x.png").write_bytes(b"old")
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(MemoryError):
        save_image(noise(40, 56), tmp_path / "x.png", SETTINGS)
    assert os.listdir(tmp_path) == ["x.png"] and (tmp_path / "x.png").read_bytes() == b"old"


@pytest.mark.parametrize("ending", FORMATS)
def test_settings_that_are_very_long_cost_no_picture(tmp_path, ending):
    """A JPEG holds 64 KB of them."""
    settings, notes = {"style": ["painting.jpg"] * 6000}, []
    with heard_by(notes.append):
        save_image(noise(40, 56), tmp_path / f"x{ending}", settings)
    if ending in (".jpg", ".jpeg"):
        assert len(notes) == 1 and "too long for a JPEG" in notes[0]
        with pytest.raises(InputError, match="no settings"):
            nnstyle.stored_settings(tmp_path / f"x{ending}")
    else:
        assert notes == [] and nnstyle.stored_settings(tmp_path / f"x{ending}") == settings


def test_settings_that_just_fit_into_a_jpeg_are_kept(tmp_path):
    settings = {"": "x" * (MOST_IN_JPEG - 8)}
    save_image(noise(40, 56), tmp_path / "x.jpg", settings)
    assert stored_settings(tmp_path / "x.jpg") == settings

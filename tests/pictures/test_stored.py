"""What a picture carries inside is read again, whoever wrote it, and bounded."""

import json
import zlib

import pytest
from PIL import Image, PngImagePlugin

import nnstyle
from nnstyle import InputError, stored_settings
from nnstyle.pictures import FORMATS, save_image
from nnstyle.pictures.stored import MOST_LETTERS, settings_and_size
from tests.support.pictures import bomb, noise, png

SETTINGS = {"alpha": 1.5, "style_layers": ["conv1_1"], "content": "Gemälde «1».jpg", "layer_weights": None}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("plain", [False, True])
def test_what_is_stored_is_read(tmp_path, ending, plain):
    path = tmp_path / f"x{ending}"
    save_image(noise(40, 56), path, SETTINGS, plain=plain)
    assert stored_settings(path) == stored_settings(str(path)) == SETTINGS
    assert settings_and_size(path)[1] == (56, 40)


def test_a_result_of_python_can_be_read(tmp_path):
    job = nnstyle.prepare(noise(48, 48), noise(48, 48), size=48, alpha=2)
    save_image(noise(48, 48), tmp_path / "x.png", job.describe())
    assert stored_settings(tmp_path / "x.png")["alpha"] == 2


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt"])
@pytest.mark.parametrize("behind", [False, True])
def test_a_png_that_another_program_wrote_anew_is_read(tmp_path, kind, behind):
    """As the others do: packed, in another kind of chunk, or behind the pixels."""
    text = json.dumps(SETTINGS).encode()
    data = {
        b"tEXt": b"nnstyle\0" + text,
        b"zTXt": b"nnstyle\0\0" + zlib.compress(text),
        b"iTXt": b"nnstyle\0\0\0\0\0" + text,
    }[kind]
    file = png(8, 8, 8, 0, bytes(72), (kind, data))
    if behind:
        chunk = file[33 : file.index(b"IDAT") - 4]
        file = file.replace(chunk, b"")
        file = file[:-12] + chunk + file[-12:]
    (tmp_path / "x.png").write_bytes(file)
    assert stored_settings(tmp_path / "x.png") == SETTINGS


def with_text(path, text):
    info = PngImagePlugin.PngInfo()
    info.add_text("nnstyle", text, zip=True)
    Image.fromarray(noise(8, 8)).save(path, pnginfo=info)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there are no settings"),
        ("[1]", "there are no settings"),
        ("a photograph of mine", "there are no settings"),
        ("{", "the settings in it are damaged"),
        ('{"alpha": 1} and more', "damaged"),
        ('{"alpha": ' + "[" * 100_000, "damaged"),
        ('{"alpha": ' + "9" * 10_000 + "}", "damaged"),
        ('{"alpha": ' + "[" * 900 + "]" * 900 + "}", "nested deeper"),
        ('{"alpha": "' + "x" * MOST_LETTERS + '"}', "far longer"),
    ],
)
def test_a_text_that_is_none_of_ours_takes_one_line(tmp_path, text, words):
    with_text(tmp_path / "x.png", text[: 1 << 20] if words != "far longer" else text)
    with pytest.raises(InputError, match=f"x.png.*({words}|may be damaged)") as caught:
        stored_settings(tmp_path / "x.png")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("ending", FORMATS)
def test_a_picture_without_settings_says_so(tmp_path, ending):
    Image.fromarray(noise(8, 8)).save(tmp_path / f"x{ending}")
    with pytest.raises(InputError, match="there are no settings of nnstyle in it"):
        stored_settings(tmp_path / f"x{ending}")


@pytest.mark.parametrize("value", ["OLYMPUS DIGITAL CAMERA", 7])
def test_what_a_camera_describes_is_no_settings(tmp_path, value):
    exif = Image.Exif()
    exif[270] = value
    Image.fromarray(noise(8, 8)).save(tmp_path / "x.jpg", exif=exif)
    with pytest.raises(InputError, match="there are no settings"):
        stored_settings(tmp_path / "x.jpg")


def test_a_file_that_is_no_such_picture_takes_one_line(tmp_path):
    (tmp_path / "text.png").write_text("{}")
    (tmp_path / "bomb.png").write_bytes(bomb())
    Image.fromarray(noise(8, 8)).save(tmp_path / "x.gif")
    for name, words in {
        "missing.png": "does not exist",
        "text.png": "not a picture",
        "bomb.png": "more than|claims",
        "x.gif": "not a picture in a format",
        ".": "is a folder",
    }.items():
        with pytest.raises(InputError, match=words):
            stored_settings(tmp_path / name)
    with pytest.raises(InputError, match="give its path"):
        stored_settings(None)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".webp", ".tif"])
def test_a_file_that_is_cut_off_anywhere_takes_one_line_or_is_read(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    save_image(noise(8, 8), path, SETTINGS)
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        try:
            assert stored_settings(path) == SETTINGS
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)

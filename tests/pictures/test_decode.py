"""Loading a picture: whatever it is given as, uint8 RGB, upright, comes out."""

import errno
import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageFile, ImageOps

from nnstyle import InputError
from nnstyle.notes import heard_by
from nnstyle.pictures import load_image
from nnstyle.pictures.limits import check_density
from nnstyle.pictures.memory import PILLOW_SAYS
from tests.support.pictures import bomb, noise, turned

SIDES = {"min_dims": 2, "max_dims": 2, "max_side": 40}
ORIENTATION = 274  # the EXIF tag


def saved(path, image, **options):
    """Write an array or a PIL image to `path`, and return the path."""
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["photo.png", "photo.tif", "photo.webp"])
@pytest.mark.parametrize("channels", [3, None], ids=["colour", "grey"])
def test_a_picture_is_turned_as_its_exif_orientation_says(tmp_path, orientation, name, channels):
    stored, exif = noise(40, 56, channels), Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(tmp_path / name, stored, exif=exif, **({"lossless": True} if name.endswith("webp") else {}))
    expected = turned(np.array(Image.fromarray(stored).convert("RGB")), orientation)
    np.testing.assert_array_equal(load_image(path), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_too(tmp_path, orientation):
    stored = np.kron(noise(4, 6), np.ones((8, 8, 1), np.uint8))  # a colour for each block of the JPEG
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(tmp_path / "photo.jpg", stored, exif=exif, quality=95, subsampling=0)
    difference = load_image(path).astype(int) - turned(stored, orientation)
    assert abs(difference).max() <= 4


@pytest.mark.parametrize("name", ["photo.png", "photo.webp"])
def test_a_broken_exif_block_costs_the_orientation_not_the_picture(tmp_path, name):
    path = saved(tmp_path / name, noise(40, 56), exif=b"Exif\0\0no such thing", lossless=True)
    with pytest.warns(UserWarning, match="orientation cannot be read"):
        np.testing.assert_array_equal(load_image(path), noise(40, 56))


LACKS = [
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError("out of memory when reading"),
]


@pytest.mark.parametrize("lack", LACKS, ids=repr)
@pytest.mark.parametrize("place", [(ImageOps, "exif_transpose"), (ImageFile.ImageFile, "load")])
def test_a_lack_of_memory_is_no_damage(tmp_path, monkeypatch, place, lack):
    def fail(*_, **__):
        raise lack

    path = saved(tmp_path / "photo.png", noise(40, 56))
    monkeypatch.setattr(*place, fail)
    with pytest.raises(MemoryError):
        load_image(path)


def test_pillow_says_so_in_these_words():
    assert Image.core.getcodecstatus(-9).startswith(PILLOW_SAYS)  # IMAGING_CODEC_MEMORY in its source


@given(arrays.arrays(np.uint8, arrays.array_shapes(**SIDES).map(lambda shape: (*shape, 3))))
def test_a_uint8_array_is_taken_as_it_is(array):
    np.testing.assert_array_equal(load_image(array), array)


@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(**SIDES).map(lambda shape: (*shape, 3)),
        elements=st.floats(0, 1, width=32),
    )
)
def test_floats_from_0_to_1_are_rounded_to_the_nearest_of_256_values(array):
    loaded = load_image(array)
    assert loaded.shape == array.shape and loaded.dtype == np.uint8
    assert abs(loaded - 255 * array).max() <= 0.501


@given(arrays.arrays(np.uint8, arrays.array_shapes(**SIDES)))
def test_a_grey_array_gets_three_equal_channels(array):
    np.testing.assert_array_equal(load_image(array), np.stack([array] * 3, axis=-1))


def test_views_of_arrays_are_read_in_their_own_order():
    array = noise(40, 56)
    for view in (array[::-1], array[:, ::-2], array.swapaxes(0, 1), array[..., ::-1]):
        np.testing.assert_array_equal(load_image(view), view)


def test_what_is_given_is_left_alone():
    array = noise(40, 56)
    image = Image.fromarray(array)
    image.getexif()[ORIENTATION] = 6
    load_image(image)[:] = 0
    load_image(array)[:] = 0
    np.testing.assert_array_equal(np.array(image), noise(40, 56))
    np.testing.assert_array_equal(array, noise(40, 56))
    assert image.getexif()[ORIENTATION] == 6


def test_a_pil_image_is_turned_like_a_file():
    image = Image.fromarray(noise(40, 56))
    image.getexif()[ORIENTATION] = 6
    np.testing.assert_array_equal(load_image(image), turned(noise(40, 56), 6))


@pytest.mark.parametrize("name", ["film.gif", "film.tif", "film.png", "film.webp"])
def test_the_first_frame_of_an_animation_is_taken(tmp_path, name):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if name.endswith("webp") else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    with pytest.warns(UserWarning, match="2 (frames|pages), of which the first is taken"):
        np.testing.assert_array_equal(load_image(tmp_path / name), np.full((40, 40, 3), (255, 0, 0)))


def test_an_animation_with_a_damaged_frame_still_has_its_first(tmp_path):
    frames = [Image.fromarray(noise(40, 40, seed=seed)).convert("P") for seed in range(3)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    expected = np.array(frames[0].convert("RGB"))
    data = (tmp_path / "x.gif").read_bytes()
    for end in range(len(data) // 2, len(data) - 1, 97):
        (tmp_path / "x.gif").write_bytes(data[:end])
        with heard_by(str):
            np.testing.assert_array_equal(load_image(tmp_path / "x.gif"), expected)


def contents(**options):
    """A PNG's bytes."""
    file = io.BytesIO()
    Image.fromarray(noise(40, 56)).save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_bytes_of_a_file_are_a_picture(kind):
    np.testing.assert_array_equal(load_image(kind(contents())), noise(40, 56))


def test_an_open_file_is_read_from_its_beginning_and_left_where_it_was(tmp_path):
    (tmp_path / "x.png").write_bytes(contents())
    with open(tmp_path / "x.png", "rb") as file:
        file.seek(7)
        np.testing.assert_array_equal(load_image(file), noise(40, 56))
        assert file.tell() == 7
    memory = io.BytesIO()
    memory.write(contents())  # and at its end
    for _ in range(2):
        np.testing.assert_array_equal(load_image(memory), noise(40, 56))


def test_a_pipe_is_read_to_its_end():
    reading, writing = os.pipe()
    os.write(writing, contents()[:60_000])
    os.close(writing)
    with open(reading, "rb") as file:
        np.testing.assert_array_equal(load_image(file), noise(40, 56))


class Endless(io.RawIOBase):
    """A file without an end."""

    def read(self, size=-1):
        return bytes(size)


def test_open_files_that_are_no_pictures(tmp_path, monkeypatch):
    (tmp_path / "x.txt").write_text("no picture")
    with (
        open(tmp_path / "x.txt") as text,
        pytest.raises(InputError, match="file of text .* open it with mode 'rb'"),
    ):
        load_image(text)
    with pytest.raises(InputError, match="the picture cannot be decoded.* closed file"):
        load_image(text)
    with pytest.raises(InputError, match="the picture is not a picture in a format"):
        load_image(b"")
    monkeypatch.setattr("nnstyle.pictures.decode.MOST_BYTES", 3 << 20)
    with pytest.raises(InputError, match="the picture: it has more than"):
        load_image(Endless())


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((40, 40, 2), np.uint8), r"\(40, 40, 2\)"),
        (np.zeros((1, 40, 40, 3), np.uint8), r"\(1, 40, 40, 3\)"),
        (np.zeros((0, 40, 3), np.uint8), r"\(0, 40, 3\)"),
        (np.full((40, 40), 1.5), "from 0 to 1"),
        (np.full((40, 40), -0.1), "from 0 to 1"),
        (np.full((40, 40), np.nan), "from 0 to 1"),
        (np.zeros((40, 40), np.int64), "int64"),
        (np.zeros((40, 40), bool), "bool"),
        (None, "a picture is"),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array, words):
    with pytest.raises(InputError, match=words):
        load_image(array)


def write_bad_picture(path, kind):
    """Make a file that is wrong in one way."""
    good = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(good, path.suffix[1:].replace("jpg", "jpeg").replace("tif", "tiff"))
    contents = {"empty": b"", "text": b"a picture, if you close your eyes\n", "bomb": bomb()}
    path.write_bytes(contents.get(kind, good.getvalue()[: good.tell() * 2 // 3]))


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("x.png", "empty", "not a picture"),
        ("x.png", "text", "not a picture"),
        ("x.png", "bomb", "million pixels"),
        *((f"x.{ending}", "truncated", "may be damaged") for ending in ("png", "jpg", "tif", "webp", "bmp")),
    ],
)
def test_a_file_that_is_no_whole_picture_is_refused_by_name(tmp_path, name, kind, words):
    write_bad_picture(tmp_path / name, kind)
    with pytest.raises(InputError, match=f"{tmp_path / name}.*{words}"):
        load_image(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.png", "does not exist"),
        (".", "is a folder"),
        ("x" * 300, "File name too long"),
        ("zero\0byte", "not exist"),
    ],
    ids=["missing", "folder", "long name", "zero byte"],
)
def test_a_path_without_a_file_is_refused(tmp_path, name, words):
    with pytest.raises(InputError, match=words):
        load_image(str(tmp_path / name))


def test_a_damaged_pil_image_is_refused_like_a_file():
    file = io.BytesIO()
    Image.fromarray(noise(64, 64)).save(file, "PNG")
    with (
        Image.open(io.BytesIO(file.getvalue()[:4000])) as image,
        pytest.raises(InputError, match="may be damaged"),
    ):
        load_image(image)


def test_the_limit_is_1100_pixels_for_a_byte_of_a_large_picture():
    blank = Image.new("L", (4, 4))
    blank._size = (7000, 5000)
    check_density(blank, 31_819)
    with pytest.raises(InputError, match="a file of 31818 bytes claims .* of 35 million pixels"):
        check_density(blank, 31_818)
    blank._size = (5000, 5000)  # small enough in any case
    check_density(blank, 100)


def test_a_few_bytes_that_claim_to_be_a_large_picture_are_refused(tmp_path):
    Image.new("1", (8000, 5000)).save(tmp_path / "x.tif", compression="group4")
    with pytest.raises(InputError, match=r"x\.tif: a file of .* claims to be a picture of 40 million pixels"):
        load_image(tmp_path / "x.tif")


def test_what_is_no_file_is_no_picture(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path, "/dev/zero"):
        with pytest.raises(InputError, match="is (a folder|a pipe or a device), not a picture"):
            load_image(path)

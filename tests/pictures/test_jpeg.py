"""JPEGs: at a fraction of their size, without their end marker, and larger than Pillow would read."""

import io

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from nnstyle import InputError
from nnstyle.notes import heard_by
from nnstyle.pictures import jpeg, load_image, resize
from nnstyle.pictures.limits import is_too_large
from tests.support.pictures import noise


def smooth(height, width):
    """A picture without sharp edges, as a photograph mostly is: a PIL image."""
    small = Image.fromarray(noise(height // 32 + 2, width // 32 + 2))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def as_jpeg(image, **options):
    """The bytes of a JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


WAYS = {
    "usual": {},
    "finest": {"quality": 100, "subsampling": 0},
    "progressive": {"progressive": True},
    "in pieces": {"restart_marker_blocks": 1},
    "optimized": {"optimize": True, "quality": 30},
}


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("way", WAYS)
def test_a_jpeg_that_ends_early_is_read_only_if_every_pixel_is_there(mode, way):
    """However much of its end is missing, what is read is the whole picture."""
    data = as_jpeg(smooth(24, 40).convert(mode), **WAYS[way])
    whole, read = load_image(data), []
    for missing in range(1, 200):
        with heard_by(str):
            try:
                picture = load_image(data[:-missing])
            except InputError as error:
                assert "may be damaged" in str(error)
                continue
        np.testing.assert_array_equal(picture, whole)
        read.append(missing)
    assert read[:2] == [1, 2]


def test_pillow_would_fill_what_is_missing_with_grey():
    """The twin that must fail: why it does not do to add an end marker."""
    data = as_jpeg(smooth(24, 40))
    with Image.open(io.BytesIO(data[:-40] + jpeg.END)) as image:
        assert (np.array(image) != load_image(data)).any()


def test_a_missing_end_marker_is_said():
    with pytest.warns(UserWarning, match="end marker of a JPEG is missing; all of its pixels are there"):
        load_image(as_jpeg(smooth(24, 40))[:-2])


def test_the_last_scan_of_a_progressive_jpeg_must_have_begun():
    data = as_jpeg(smooth(24, 40), progressive=True)
    last_scan = data.rindex(b"\xff\xda")
    assert jpeg.structure(data).scans > jpeg.structure(data[:last_scan]).scans > 1
    with Image.open(io.BytesIO(data[:last_scan] + jpeg.END)) as image:
        image.load()  # it can be decoded, roughly
    with pytest.raises(InputError, match="its end is missing"):
        load_image(data[:last_scan])


def test_what_follows_the_picture_is_not_its_end():
    """A phone may append a video, and the thumbnail before it has an end marker of its own."""
    exif = Image.Exif()
    exif[0x9286] = as_jpeg(smooth(8, 8))  # any tag will do
    data = as_jpeg(smooth(24, 40), exif=exif)
    assert data.count(b"\xff\xd9") == 2
    np.testing.assert_array_equal(load_image(data + b"\xff\xda" * 100), load_image(data))
    with pytest.raises(InputError, match="its end is missing"):
        load_image(data[:-60])


@pytest.fixture
def all_are_large(monkeypatch):
    """Small pictures are reduced while they are decoded, too."""
    monkeypatch.setattr(jpeg, "ALWAYS_READ", 0)


def test_a_jpeg_of_an_ordinary_size_is_decoded_in_full():
    """Then its picture is that of the same pixels in any format."""
    assert load_image(as_jpeg(smooth(600, 800)), 40).shape == (600, 800, 3)
    assert jpeg.choose_fraction(Claim(6000, 5000), 40) == 1
    assert jpeg.choose_fraction(Claim(6000, 5001), 40) == 8


@pytest.mark.usefixtures("all_are_large")
@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (None, (600, 800)),
        (401, (600, 800)),
        (400, (600, 800)),
        (200, (300, 400)),
        (100, (150, 200)),
        (33, (75, 100)),
    ],
)
def test_a_jpeg_is_decoded_at_a_fraction_that_leaves_twice_the_size(size, shape):
    assert load_image(as_jpeg(smooth(600, 800)), size).shape == (*shape, 3)
    file = io.BytesIO()
    smooth(600, 800).save(file, "PNG")
    assert load_image(file, size).shape == (600, 800, 3)  # any other format is not


@pytest.mark.usefixtures("all_are_large")
def test_at_its_size_it_looks_like_one_decoded_in_full():
    data = as_jpeg(smooth(600, 800), quality=95)
    whole = resize(load_image(data), 100).astype(int)
    assert abs(resize(load_image(data, 100), 100) - whole).max() <= 3
    assert abs(resize(load_image(data)[::8, ::8], 100) - whole).max() > 3  # not so good a way


@pytest.mark.usefixtures("all_are_large")
@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_modes_are_reduced_as_well(mode):
    image = smooth(600, 800).convert(mode)
    small = resize(load_image(as_jpeg(image, quality=95), 100), 100).astype(int)
    assert abs(small - resize(np.array(image.convert("RGB")), 100)).max() <= 8


@pytest.mark.usefixtures("all_are_large")
def test_a_turned_jpeg_is_reduced_and_turned():
    exif = Image.Exif()
    exif[274] = 6
    assert load_image(as_jpeg(smooth(600, 800), exif=exif), 100).shape == (200, 150, 3)


class Claim:
    """A JPEG of a size that is only claimed: 65500 x 65500 px need no test to take 13 GB."""

    def __init__(self, width, height):
        self.width, self.height, self.size = width, height, (width, height)


# Pillow's limit is 178 million pixels. A phone's 200 million:
PHONE = Claim(16_320, 12_240)


def test_what_is_decoded_keeps_to_pillow_s_limit_not_what_is_in_the_file():
    assert is_too_large(PHONE.width * PHONE.height)
    assert jpeg.choose_fraction(PHONE, 256) == 8
    assert jpeg.choose_fraction(PHONE, 2000) == 4
    assert jpeg.choose_fraction(PHONE, 4080) == 2
    assert jpeg.choose_fraction(PHONE, 8000) == 2  # in full it would be too large, so the size has to do
    for size in (8161, None):
        with pytest.raises(Image.DecompressionBombError):
            jpeg.choose_fraction(PHONE, size)
    assert jpeg.choose_fraction(Claim(65_500, 65_500), 256) == 8
    with pytest.raises(Image.DecompressionBombError):
        jpeg.choose_fraction(Claim(120_000, 120_000), 256)


def test_a_jpeg_beyond_pillow_s_limit_is_read_for_a_small_size(monkeypatch, tmp_path):
    (tmp_path / "x.jpg").write_bytes(as_jpeg(smooth(600, 800)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    assert load_image(tmp_path / "x.jpg", 100).shape == (75, 100, 3)
    with pytest.raises(InputError, match=r"x\.jpg has more than 0 million pixels: reduce it first"):
        load_image(tmp_path / "x.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert load_image(tmp_path / "x.jpg").shape == (600, 800, 3)


def test_a_large_progressive_jpeg_would_need_too_much_memory_at_any_size():
    jpeg.check_scans(Claim(20_000, 20_000), 10)
    jpeg.check_scans(Claim(65_500, 65_500), 1)
    with pytest.raises(InputError, match="progressive JPEG of 441 million pixels would take too much memory"):
        jpeg.check_scans(Claim(21_000, 21_000), 10)


def test_a_few_bytes_that_claim_to_be_a_large_jpeg_are_refused():
    data = bytearray(as_jpeg(smooth(24, 40)))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = b"\xff\xff\xff\xff"  # height and width
    with pytest.raises(InputError, match="claims to be a picture of 4294 million pixels"):
        load_image(bytes(data), 256)


@pytest.mark.usefixtures("all_are_large")
def test_a_large_jpeg_of_several_pictures_is_opened_too():
    """As phones write them, with a map of depths behind the picture."""
    file = io.BytesIO()
    smooth(600, 800).save(file, "MPO", save_all=True, append_images=[smooth(8, 8)])
    assert isinstance(jpeg.open_jpeg(file.getvalue()), JpegImagePlugin.JpegImageFile)
    assert load_image(file, 100).shape == (150, 200, 3)  # and no word of an animation

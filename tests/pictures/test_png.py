"""PNGs with more in them than Pillow likes."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from nnstyle import InputError
from nnstyle.pictures import load_image
from nnstyle.pictures import png as reader
from tests.support.pictures import BLUE, GREEN, RED, noise, png, rgb_profile

LINEAR_HALF = 188  # what 128 of 255 in linear light is in sRGB
ROTATED = rgb_profile(GREEN, BLUE, RED)
MEGABYTE = 1 << 20


def file_with(*chunks):
    """A PNG of 40 x 40 pixels (128, 0, 0)."""
    return png(40, 40, 8, 2, (b"\0" + bytes((128, 0, 0)) * 40) * 40, *chunks)


def padded_profile(length):
    """A profile of this length that is still right: what lies behind its last tag belongs to none."""
    profile = ROTATED.ljust(length, b"\0")
    return length.to_bytes(4, "big") + profile[4:]


def profile_chunk(profile):
    return b"iCCP", b"name\0\0" + zlib.compress(profile)


@pytest.mark.parametrize("length", [len(ROTATED), MEGABYTE + 1, 5 * MEGABYTE])
def test_a_profile_of_any_length_is_used(length):
    found = load_image(file_with(profile_chunk(padded_profile(length))))
    assert abs(found.astype(int) - (0, LINEAR_HALF, 0)).max() <= 2


def test_pillow_alone_refuses_a_long_one():
    """The twin that must fail."""
    with pytest.raises(ValueError, match="too large"):
        Image.open(io.BytesIO(file_with(profile_chunk(padded_profile(5 * MEGABYTE)))))


def test_a_profile_without_end_is_left_out_and_takes_no_memory(monkeypatch):
    monkeypatch.setattr(reader, "MOST_PROFILE", 2 * MEGABYTE)
    data = file_with(profile_chunk(padded_profile(20 * MEGABYTE)))
    assert len(reader.inflated(b"iCCP", profile_chunk(padded_profile(20 * MEGABYTE))[1], 1000)) == 1001
    with pytest.warns(UserWarning, match="colour profile cannot be used"):
        np.testing.assert_array_equal(load_image(data)[0, 0], (128, 0, 0))


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize(
    "text",
    [
        (b"zTXt", b"keyword\0\0" + zlib.compress(b"x" * 3 * MEGABYTE)),
        (b"iTXt", b"keyword\0\1\0en\0schl\0" + zlib.compress(b"x" * 3 * MEGABYTE)),
    ],
    ids=["zTXt", "iTXt"],
)
def test_a_long_text_costs_nothing_else(text, place):
    image = PngImagePlugin.PngInfo()
    image.add(*text, place == "behind")
    exif, file = Image.Exif(), io.BytesIO()
    exif[274] = 6
    Image.fromarray(noise(40, 56)).save(file, "PNG", pnginfo=image, exif=exif, icc_profile=ROTATED)
    assert text[0] in file.getvalue()
    plain = io.BytesIO()
    Image.fromarray(noise(40, 56)).save(plain, "PNG", exif=exif, icc_profile=ROTATED)
    np.testing.assert_array_equal(load_image(file), load_image(plain))


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"iTXt"])
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"k\0", b"k\0\1", b"k\0\1\0\0", b"k\0\0garbage", b"k\0\1\0\0\0garbage"]
)
def test_a_damaged_text_is_pillow_s_affair(kind, content):
    assert reader.inflated(kind, content, 100) == b""


def test_a_png_that_ends_early_is_still_damaged():
    with pytest.raises(InputError, match="damaged"):
        load_image(file_with(profile_chunk(padded_profile(5 * MEGABYTE)))[:-30])

"""Pictures of every mode, depth and colour profile become RGB in sRGB."""

import io

import numpy as np
import pytest
from PIL import Image

from nnstyle import InputError
from nnstyle.pictures import load_image
from tests.support.pictures import BLUE, GREEN, RED, cmyk_profile, grey_profile, noise, png, rgb_profile

LINEAR_HALF = 188  # what 128 of 255 in linear light is in sRGB


def through_file(image, format, **options):
    """The picture as it is after being written and opened again."""
    file = io.BytesIO()
    image.save(file, format, **options)
    return Image.open(file)


def plain(colour, mode="RGB"):
    return Image.new(mode, (40, 40), colour)


def assert_plain(picture, colour, tolerance=0):
    """Every pixel has this colour, with three equal channels for one number."""
    assert abs(picture.astype(int) - np.array(colour)).max() <= tolerance, f"found {picture[0, 0]}"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "RGBX"])
def test_every_opaque_mode_becomes_what_pillow_shows(mode):
    image = Image.fromarray(noise(40, 56)).convert(mode)
    np.testing.assert_array_equal(load_image(image), np.array(image.convert("RGB")))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_range(format):
    values = np.linspace(0, 65535, 40 * 56).astype(np.uint16).reshape(40, 56)
    loaded = load_image(through_file(Image.fromarray(values), format))
    np.testing.assert_array_equal(loaded, np.rint(values / 257)[..., None].repeat(3, axis=2))


def test_16_bit_grey_of_the_other_byte_order_is_the_same():
    values = np.linspace(0, 65535, 40 * 56).astype(">u2").reshape(40, 56)
    np.testing.assert_array_equal(
        load_image(Image.fromarray(values)), load_image(Image.fromarray(values.astype("<u2")))
    )


def test_16_bit_colour_loses_its_lower_bits(tmp_path):
    rows = (b"\0" + bytes((0xFF, 0xFE, 0x80, 0x10, 0x01, 0xFF)) * 40) * 40
    (tmp_path / "deep.png").write_bytes(png(40, 40, 16, 2, rows))
    assert_plain(load_image(tmp_path / "deep.png"), (0xFF, 0x80, 0x01))


def test_float_grey_is_taken_from_0_to_1():
    values = np.linspace(0, 1, 40 * 56, dtype=np.float32).reshape(40, 56)
    loaded = load_image(through_file(Image.fromarray(values), "TIFF"))
    np.testing.assert_array_equal(loaded, np.rint(values * 255)[..., None].repeat(3, axis=2))


@pytest.mark.parametrize(
    "values",
    [
        np.full((40, 40), 2.0, np.float32),
        np.full((40, 40), np.nan, np.float32),
        np.full((40, 40), -1, np.int32),
    ],
)
def test_grey_values_out_of_range_are_refused_not_clipped(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "grey.tif")
    with pytest.raises(InputError, match="grey.tif: grey values must lie between 0 and"):
        load_image(tmp_path / "grey.tif")


def test_a_cmyk_jpeg_looks_like_its_rgb():
    assert_plain(
        load_image(through_file(plain("orange").convert("CMYK"), "JPEG", quality=95)),
        (255, 165, 0),
        tolerance=3,
    )


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "RGBa", "La"])
def test_transparent_parts_are_white_and_this_is_said(mode):
    image = plain((255, 255, 255, 0), "RGBA").convert("LA" if mode == "La" else "RGBA")
    image = image.convert(mode) if mode != "PA" else plain(0, "PA")
    with pytest.warns(UserWarning, match="transparent parts .* white"):
        assert_plain(load_image(image), 255)


def test_half_transparent_black_is_grey():
    with pytest.warns(UserWarning, match="transparent"):
        assert_plain(load_image(plain((0, 0, 0, 128), "RGBA")), 127)


def test_an_rgba_array_is_shown_over_white():
    array = np.zeros((40, 40, 4))
    array[..., 3] = 0.2
    with pytest.warns(UserWarning, match="transparent"):
        assert_plain(load_image(array), 204)


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_entry_of_a_palette_is_white(format):
    image = Image.new("P", (40, 40), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    with pytest.warns(UserWarning, match="transparent"):
        assert_plain(load_image(through_file(image, format, transparency=1)), 255)


@pytest.mark.parametrize(("mode", "key"), [("L", 77), ("I;16", 30000), ("RGB", (77, 78, 79))])
def test_the_one_transparent_value_of_a_png_is_white(mode, key):
    with pytest.warns(UserWarning, match="transparent"):
        assert_plain(load_image(through_file(plain(key, mode), "PNG", transparency=key)), 255)


def test_nothing_is_said_of_an_alpha_channel_that_hides_nothing():
    np.testing.assert_array_equal(load_image(Image.fromarray(noise(40, 56)).convert("RGBA")), noise(40, 56))


# A profile whose green is sRGB's red and so on, in linear light: a picture that ignores it looks quite wrong.
ROTATED = {"icc_profile": rgb_profile(GREEN, BLUE, RED)}


@pytest.mark.parametrize(
    ("format", "options"),
    [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 95})],
)
def test_an_embedded_profile_is_converted_to_srgb(format, options):
    loaded = load_image(through_file(plain((128, 0, 0)), format, **options, **ROTATED))
    assert_plain(loaded, (0, LINEAR_HALF, 0), tolerance=10 if format == "JPEG" else 2)


def test_the_profile_of_a_palette_is_converted():
    image = plain((255, 0, 0)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert_plain(load_image(through_file(image, "PNG", **ROTATED)), (0, 255, 0), tolerance=2)


def test_the_profile_of_a_transparent_picture_is_converted():
    with pytest.warns(UserWarning, match="transparent"):
        assert_plain(
            load_image(through_file(plain((255, 0, 0, 254), "RGBA"), "PNG", **ROTATED)),
            (0, 255, 0),
            tolerance=20,
        )


@pytest.mark.parametrize("image", [plain(128, "L"), plain(128 * 257, "I;16"), plain((128, 255), "LA")])
def test_the_profile_of_a_grey_picture_is_converted(image):
    assert_plain(load_image(through_file(image, "PNG", icc_profile=grey_profile())), LINEAR_HALF, tolerance=1)


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
def test_the_profile_of_a_cmyk_picture_is_converted(format):
    cyan = plain((255, 0, 0, 0), "CMYK")  # which this profile takes for a red
    red, green, blue = load_image(through_file(cyan, format, icc_profile=cmyk_profile()))[0, 0]
    assert red > 100 and max(green, blue) < 20


def test_the_profile_of_a_turned_picture_is_converted():
    exif = Image.Exif()
    exif[274] = 6
    image = through_file(plain((255, 0, 0)).resize((56, 40)), "PNG", exif=exif, **ROTATED)
    loaded = load_image(image)
    assert loaded.shape == (56, 40, 3)
    assert_plain(loaded, (0, 255, 0), tolerance=2)


@pytest.mark.parametrize(
    "profile",
    [b"garbage", b"g" * 200, rgb_profile()[:150], cmyk_profile(), grey_profile()],
    ids=["short", "garbage", "truncated", "of CMYK", "of grey"],
)
def test_a_profile_that_cannot_be_right_is_left_out_and_this_is_said(profile):
    image = through_file(Image.fromarray(noise(40, 56)), "PNG", icc_profile=profile)
    with pytest.warns(UserWarning, match="colour profile cannot be used"):
        np.testing.assert_array_equal(load_image(image), noise(40, 56))

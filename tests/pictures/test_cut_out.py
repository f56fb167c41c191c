"""A cut-out: its colours and its alpha channel."""

import io

import numpy as np
import pytest
from PIL import Image

from nnstyle import InputError
from nnstyle.pictures import load_cut_out, load_image
from nnstyle.pictures.cut_out import continue_colours
from nnstyle.pictures.resize import resize, scale_to
from tests.support.pictures import BLUE, GREEN, RED, noise, rgb_profile


def disc(size=64, inside=(200, 30, 30), outside=(255, 255, 255)):
    """RGBA of a disc with a soft edge; what is transparent has a colour that nobody should see."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    alpha = (size / 4 - np.hypot(x, y)).clip(0, 1)
    colours = np.where(alpha[..., None] > 0, inside, outside)
    return np.dstack([colours, np.rint(255 * alpha)]).astype(np.uint8)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_colours_and_alpha_of_a_cut_out(format):
    picture, file = disc(), io.BytesIO()
    Image.fromarray(picture).save(
        file, format, **({"lossless": True, "exact": True} if format == "WEBP" else {})
    )
    colours, alpha = load_cut_out(file)
    np.testing.assert_array_equal(alpha, picture[..., 3])
    np.testing.assert_array_equal(colours, np.full((64, 64, 3), (200, 30, 30)))  # no white anywhere


def test_scaled_down_it_has_no_fringe_and_would_have_one():
    for pixels, least in ((load_cut_out(disc())[0], 0), (disc()[..., :3], 20)):
        small = np.array(Image.fromarray(pixels).resize((20, 20), Image.Resampling.LANCZOS))
        shown = np.array(Image.fromarray(disc()[..., 3]).resize((20, 20), Image.Resampling.LANCZOS)) > 0
        fringe = abs(small[shown].astype(int) - (200, 30, 30)).max()
        assert fringe > least if least else fringe <= 1


@pytest.mark.parametrize("shape", [(40, 56), (41, 57), (1, 33), (37, 1)])
def test_visible_colours_stay_and_others_come_from_around(shape):
    colours, alpha = noise(*shape), noise(*shape, None, seed=1)
    alpha[alpha < 128] = 0
    filled = continue_colours(colours, alpha)
    np.testing.assert_array_equal(filled[alpha > 0], colours[alpha > 0])
    hidden = np.where(alpha[..., None] > 0, colours, 255 - colours)  # other colours where nobody sees them
    np.testing.assert_array_equal(continue_colours(hidden, alpha), filled)


def test_the_nearer_colour_counts_more():
    colours, alpha = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    colours[:, 0], colours[:, -1] = (255, 0, 0), (0, 0, 255)
    alpha[:, [0, -1]] = 255
    filled = continue_colours(colours, alpha).astype(int)
    red, blue = filled[32, :, 0], filled[32, :, 2]
    assert red[10] > 150 > blue[10] and blue[-11] > 150 > red[-11]
    assert (np.diff(red) <= 0).all()


def test_a_single_visible_pixel_colours_all():
    colours, alpha = noise(33, 47), np.zeros((33, 47), np.uint8)
    alpha[20, 30] = 1
    np.testing.assert_array_equal(
        continue_colours(colours, alpha), np.broadcast_to(colours[20, 30], (33, 47, 3))
    )


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "RGBA"])
def test_what_hides_nothing_has_no_alpha(mode):
    image = Image.fromarray(noise(40, 56)).convert(mode)
    colours, alpha = load_cut_out(image)
    assert alpha is None
    np.testing.assert_array_equal(colours, load_image(image))


@pytest.mark.parametrize("mode", ["LA", "La", "RGBa", "P"])
def test_every_kind_of_transparency_is_found(mode):
    image = Image.fromarray(disc(inside=(90, 90, 90), outside=(0, 0, 0)))
    if mode == "P":
        image = image.convert("RGB").quantize(2)
        image.info["transparency"] = image.getpixel((0, 0))
    else:
        image = image.convert("LA").convert(mode) if mode in ("LA", "La") else image.convert(mode)
    colours, alpha = load_cut_out(image)
    assert alpha[0, 0] == 0 and alpha[32, 32] == 255
    assert abs(colours[alpha > 100].astype(int) - 90).max() <= 3  # 8 bits, divided by alpha
    assert abs(colours[0, 0].astype(int) - 90).max() <= 8


def test_the_profile_of_the_colours_is_converted_and_alpha_is_not():
    file = io.BytesIO()
    Image.fromarray(disc(inside=(128, 0, 0))).save(file, "PNG", icc_profile=rgb_profile(GREEN, BLUE, RED))
    colours, alpha = load_cut_out(file)
    assert abs(colours.astype(int) - (0, 188, 0)).max() <= 2
    np.testing.assert_array_equal(alpha, disc()[..., 3])


def test_a_cut_out_is_turned():
    exif, file = Image.Exif(), io.BytesIO()
    exif[274] = 6
    half = disc(40)[:, :30]
    Image.fromarray(half).save(file, "PNG", exif=exif)
    colours, alpha = load_cut_out(file)
    assert colours.shape == (30, 40, 3)
    np.testing.assert_array_equal(alpha, np.rot90(half[..., 3], -1))


def test_where_all_is_transparent_there_is_nothing_to_paint():
    with pytest.raises(InputError, match="the picture: all of it is transparent"):
        load_cut_out(np.zeros((40, 40, 4), np.uint8))


def test_a_large_jpeg_is_reduced_here_too(monkeypatch):
    monkeypatch.setattr("nnstyle.pictures.jpeg.ALWAYS_READ", 0)
    file = io.BytesIO()
    Image.fromarray(noise(80, 96)).save(file, "JPEG")
    colours, alpha = load_cut_out(file, 40)
    assert colours.shape == (80, 96, 3) and alpha is None
    assert load_cut_out(file, 24)[0].shape == (40, 48, 3)


def test_a_large_cut_out_is_reduced_before_its_colours_are_continued(monkeypatch):
    shapes = []

    def watched(colours, alpha):
        shapes.append(colours.shape)
        return continue_colours(colours, alpha)

    monkeypatch.setattr("nnstyle.pictures.decode.continue_colours", watched)
    y, x = np.mgrid[:301, :400]
    picture = np.dstack([x * 255 // 400, y * 255 // 301, 0 * x + 90, 0 * x]).astype(np.uint8)
    picture[50:250, 100:300, 3] = 255
    picture[picture[..., 3] == 0, :3] = 255  # white that nobody should see
    colours, alpha = load_cut_out(picture, 64)
    assert shapes == [(96, 128, 3)]
    whole, whole_alpha = load_cut_out(picture)
    assert shapes[1:] == [(301, 400, 3)]
    for size in (64, 100):
        small, small_alpha = load_cut_out(picture, size)
        height, width = resize(whole, size).shape[:2]
        assert small.shape[:2] == (2 * height, 2 * width)  # to get the same shape
        small_mask, whole_mask = (scale_to(each, height, width) for each in (small_alpha, whole_alpha))
        difference = abs(resize(small, size).astype(int) - resize(whole, size))
        assert difference[whole_mask >= 128].max() <= 3  # the hidden colours are others
        assert abs(small_mask.astype(int) - whole_mask).max() <= 10


def test_reduced_colours_are_those_of_what_is_visible():
    """However little of it is: without the weights they would be nearly white."""
    picture = np.full((320, 320, 4), (255, 255, 255, 0), np.uint8)
    picture[::4, ::4] = 200, 30, 30, 255
    colours, alpha = load_cut_out(picture, 40)
    np.testing.assert_array_equal(colours, np.broadcast_to((200, 30, 30), (80, 80, 3)))
    assert abs(alpha.astype(int) - 16).max() <= 20 and alpha.any()


@pytest.mark.parametrize("size", [None, 20, 32, 64])
def test_opaque_and_small_pictures_stay_exactly_as_they_are(size):
    picture = np.dstack([noise(64, 48), np.full((64, 48), 255, np.uint8)])
    np.testing.assert_array_equal(load_cut_out(picture, size)[0], picture[..., :3])
    picture[:20, :, 3] = 0
    colours, alpha = load_cut_out(picture, size)
    if size == 20:
        assert colours.shape == (40, 30, 3)
    else:
        np.testing.assert_array_equal(colours[20:], picture[20:, :, :3])
        np.testing.assert_array_equal(alpha, picture[..., 3])


def test_what_vanishes_at_a_size_leaves_nothing_to_paint():
    picture = np.zeros((400, 400, 4), np.uint8)
    picture[200, 200, 3] = 1
    with pytest.raises(InputError, match="all of it is transparent"):
        load_cut_out(picture, 40)

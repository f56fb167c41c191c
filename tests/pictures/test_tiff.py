"""TIFFs: which page is the picture, and what is black and white in it."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from nnstyle import InputError
from nnstyle.notes import heard_by
from nnstyle.pictures import load_image, tiff
from tests.support.pictures import noise

SHORT, LONG = 3, 4
GREY, RGB, SENSOR, LINEAR_RAW = 1, 2, 32803, 34892


def page(pixels, order="<", **tags):
    """The tags of an uncompressed page and its data; tags are given as ``t254=1``."""
    height, width = pixels.shape[:2]
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    found = {
        **{254: (LONG, [0]), 256: (LONG, [width]), 257: (LONG, [height]), 259: (SHORT, [1])},
        258: (SHORT, [8 * pixels.itemsize] * samples),
        262: (SHORT, [RGB if samples > 2 else GREY]),
        277: (SHORT, [samples]),
        **{278: (LONG, [height]), 279: (LONG, [stored.nbytes])},
    }
    for name, value in tags.items():
        values = value if isinstance(value, list) else [value]
        found[int(name[1:])] = (LONG if max(values) > 65535 else SHORT, values)
    return found, stored.tobytes()


def tiff_of(*pages, inner=(), order="<", is_big=False):
    """A TIFF (bytes) of pages that follow each other, and of others within the first (its tag 330)."""
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if is_big else 42)
    file = bytearray(start + (struct.pack(order + "HHQ", 8, 0, 0) if is_big else bytes(4)))
    places = [append(file, *one, order, is_big) for one in inner]
    pointer = order + ("Q" if is_big else "I")
    link = 8 if is_big else 4
    for number, (tags, data) in enumerate(pages):
        if inner and number == 0:
            tags = tags | {330: (LONG, places)}
        place = append(file, tags, data, order, is_big)
        struct.pack_into(pointer, file, link, place)
        link = len(file) - struct.calcsize(pointer)
    return bytes(file)


def append(file, tags, data, order, is_big):
    """Add a page to a file, with the pointer to the next one at its very end; return its place."""
    pointer, count, inline = ("Q", "Q", 8) if is_big else ("I", "H", 4)
    tags, entries = tags | {273: (LONG, [len(file)])}, b""
    file += data
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == SHORT else 'I'}", *values)
        if len(packed) > inline:
            file += packed
            packed = struct.pack(order + pointer, len(file) - len(packed))
        entries += struct.pack(f"{order}HH{pointer}", tag, kind, len(values)) + packed.ljust(inline, b"\0")
    place = len(file)
    file += struct.pack(order + count, len(tags)) + entries + struct.pack(order + pointer, 0)
    return place


def grey16(height=40, width=56):
    """All greys of 16 bits, from black to white: uint16 (H, W)."""
    return np.linspace(0, 65535, height * width).astype(np.uint16).reshape(height, width)


SMALL, PICTURE, OTHER = noise(30, 40), noise(60, 80, seed=1), noise(50, 70, seed=2)


@pytest.mark.parametrize(("order", "is_big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("place", ["next", "last", "inner"])
@pytest.mark.parametrize("mark", [{"t254": 1}, {"t254": 0x10001}, {"t255": 2}], ids=str)
def test_a_thumbnail_in_front_is_not_the_picture(place, order, is_big, mark):
    thumbnail, picture = page(SMALL, order, **mark), page(PICTURE, order)
    mask = page(noise(90, 90, None), order, t254=4)
    ways = {"order": order, "is_big": is_big}
    data = {
        "next": lambda: tiff_of(thumbnail, picture, page(OTHER, order), **ways),
        "last": lambda: tiff_of(thumbnail, mask, page(OTHER, order), picture, **ways),
        "inner": lambda: tiff_of(thumbnail, inner=[page(noise(90, 90), order, t254=1), picture], **ways),
    }[place]()
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (40, 30)  # Pillow takes the thumbnail
    np.testing.assert_array_equal(load_image(data), PICTURE)


def test_a_thumbnail_is_taken_where_there_is_nothing_else():
    np.testing.assert_array_equal(load_image(tiff_of(page(SMALL, t254=1))), SMALL)


def test_a_compressed_page_behind_a_thumbnail_is_read(tmp_path):
    """libtiff looks for the page itself."""
    file = tmp_path / "x.tif"
    pages = [Image.fromarray(pixels) for pixels in (SMALL, PICTURE)]
    pages[0].save(file, save_all=True, append_images=pages[1:], compression="tiff_lzw")
    with heard_by(str):
        np.testing.assert_array_equal(load_image(file), SMALL)
    data = bytearray(file.read_bytes())
    place, _ = tiff.Pages(io.BytesIO(data)).outer[0].stored[277]  # the number of its samples
    data[place - 8 : place - 6] = struct.pack("<H", 255)
    data[place : place + 2] = struct.pack("<H", 2)  # now it is marked as a smaller version
    file.write_bytes(data)
    np.testing.assert_array_equal(load_image(file), PICTURE)


def test_of_several_pages_the_first_is_taken_and_this_is_said():
    with pytest.warns(UserWarning, match="a TIFF has 2 pages, of which the first is taken"):
        picture = load_image(tiff_of(page(SMALL), page(PICTURE), page(OTHER, t254=1)))
    np.testing.assert_array_equal(picture, SMALL)


def test_smaller_versions_behind_the_picture_are_no_pages():
    np.testing.assert_array_equal(load_image(tiff_of(page(PICTURE), page(SMALL, t254=1))), PICTURE)


@pytest.mark.parametrize("kind", [SENSOR, LINEAR_RAW])
@pytest.mark.parametrize("place", ["first", "inner"])
def test_a_camera_s_raw_data_is_named(tmp_path, kind, place):
    raw = page(grey16(), t262=kind)
    data = tiff_of(raw) if place == "first" else tiff_of(page(SMALL, t254=1), inner=[raw])
    (tmp_path / "photo.dng").write_bytes(data)
    with pytest.raises(
        InputError, match=r"photo\.dng: this is a camera's raw file.* export it as JPEG or TIFF"
    ):
        load_image(tmp_path / "photo.dng")


@pytest.mark.parametrize("order", ["<", ">"])
def test_white_may_be_zero_in_16_bits(order):
    picture = load_image(tiff_of(page(65535 - grey16(), order, t262=0), order=order))
    np.testing.assert_array_equal(picture, load_image(grey_file(grey16())))


def grey_file(values):
    """A plain TIFF by Pillow."""
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF")
    return file.getvalue()


@pytest.mark.parametrize("order", ["<", ">"])
def test_white_may_be_zero_in_floats(order):
    values = np.linspace(0, 1, 2240, dtype=np.float32).reshape(40, 56)
    picture = load_image(tiff_of(page(values, order, t262=0, t339=3), order=order))
    np.testing.assert_array_equal(picture[..., 0], np.rint((1 - values) * 255))


@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("bits", [9, 10, 12, 14, 15])
@pytest.mark.parametrize("tag", ["t341", "t281"])
def test_fewer_bits_in_16_keep_their_range(bits, tag, white_is_zero):
    white = 2**bits - 1
    values = np.linspace(0, white, 2240).astype(np.uint16).reshape(40, 56)
    stored = white - values if white_is_zero else values
    picture = load_image(tiff_of(page(stored, **{tag: white, "t262": 0 if white_is_zero else 1})))
    np.testing.assert_array_equal(picture[..., 0], np.rint(values * (255 / white)))


def test_the_brightest_sample_there_is_need_not_be_white():
    """What tag 281 was made for: statistics."""
    values = grey16() // 2
    np.testing.assert_array_equal(
        load_image(tiff_of(page(values, t281=int(values.max()) - 1))), load_image(tiff_of(page(values)))
    )


def test_of_signed_numbers_white_is_the_largest():
    values = np.linspace(0, 32767, 2240).astype(np.int16).reshape(40, 56)
    picture = load_image(tiff_of(page(values, t339=2)))
    np.testing.assert_array_equal(picture[..., 0], np.rint(values * (255 / 32767)))


def test_of_32_bits_the_sign_takes_none_of_16():
    """As Pillow writes its mode I."""
    values = grey16()
    picture = load_image(grey_file(values.astype(np.int32)))
    np.testing.assert_array_equal(picture[..., 0], np.rint(values * (255 / 65535)))


def packed(values, bits):
    """Values in so many bits each, row by row, as TIFF has them: (H, W') bytes."""
    rows = (values[..., None] >> np.arange(bits)[::-1]) & 1
    return np.packbits(rows.astype(np.uint8).reshape(len(values), -1), axis=1)


@pytest.mark.parametrize("white_is_zero", [False, True])
def test_12_bits_in_a_row_are_read(white_is_zero):
    values = np.linspace(0, 4095, 2240).astype(np.uint16).reshape(40, 56)
    tags, data = page(packed(4095 - values if white_is_zero else values, 12), t262=0 if white_is_zero else 1)
    tags |= {256: (LONG, [56]), 258: (SHORT, [12])}
    np.testing.assert_array_equal(load_image(tiff_of((tags, data)))[..., 0], np.rint(values * (255 / 4095)))


@pytest.mark.parametrize("bits", [10, 14])
def test_other_depths_in_a_row_are_named(bits):
    tags, data = page(packed(grey16() >> (16 - bits), bits))
    tags |= {256: (LONG, [56]), 258: (SHORT, [bits])}
    with pytest.raises(InputError, match=rf"a TIFF with 1 x {bits} bits a pixel .* save it anew"):
        load_image(tiff_of((tags, data)))


def test_colours_of_fewer_bits_are_refused_not_dark():
    colours = noise(40, 56).astype(np.uint16) * 16
    with pytest.raises(InputError, match="its colours go from 0 to 4095, in 16 bits: save it anew"):
        load_image(tiff_of(page(colours, t341=[4095] * 3)))
    np.testing.assert_array_equal(
        load_image(tiff_of(page(colours, t341=[65535] * 3))), load_image(tiff_of(page(colours)))
    )


@pytest.mark.parametrize(("bits", "white"), [(8, 127), (16, 32767)])
def test_signed_colours_are_refused_with_their_depth(bits, white):
    colours = noise(40, 56).astype(np.uint8 if bits == 8 else np.uint16) // 2
    words = f"its colours go from 0 to {white}, in {bits} bits: save it anew with 8 bits, from 0 to 255"
    with pytest.raises(InputError, match=words):
        load_image(tiff_of(page(colours, t339=[2] * 3)))


@pytest.mark.parametrize("bits", [8, 16])
def test_premultiplied_colours_are_divided(bits):
    """Half-transparent red, as a program that premultiplies stores it."""
    colour = np.array([128, 0, 0, 128]) * (257 if bits == 16 else 1)
    pixels = np.broadcast_to(colour, (40, 40, 4)).astype(np.uint8 if bits == 8 else np.uint16)
    with pytest.warns(UserWarning, match="transparent"):
        premultiplied = load_image(tiff_of(page(pixels, t338=1)))
    assert abs(premultiplied.astype(int) - (255, 127, 127)).max() <= 1
    with heard_by(str):
        assert abs(load_image(tiff_of(page(pixels, t338=2))).astype(int) - (191, 127, 127)).max() <= 1


def test_premultiplied_grey_is_divided():
    if (b"II", 1, (1,), 1, (8, 8), (1,)) not in TiffImagePlugin.OPEN_INFO:
        pytest.skip("this Pillow does not read it")
    pixels = np.broadcast_to(np.array([64, 128], np.uint8), (40, 40, 2))
    with pytest.warns(UserWarning, match="transparent"):
        picture = load_image(tiff_of(page(pixels, t338=1)))
    assert abs(picture.astype(int) - (127 * 128 + 255 * 127) / 255).max() <= 1


def test_premultiplied_planes_are_named_not_called_damaged():
    pixels = np.full((4, 40, 40), 128, np.uint8)
    tags, data = page(np.moveaxis(pixels, 0, -1), t338=1, t284=2)
    tags |= {279: (LONG, [1600] * 4)}
    with pytest.raises(InputError, match="a TIFF with 4 x 8 bits a pixel of this kind is not read here"):
        load_image(tiff_of((tags, data)))


def test_pages_are_read_only_so_far():
    """A ring of pages, and thousands of them."""
    ring = bytearray(tiff_of(page(SMALL), page(PICTURE)))
    first = struct.unpack_from("<I", ring, 4)[0]
    struct.pack_into("<I", ring, len(ring) - 4, first)
    assert len(tiff.Pages(io.BytesIO(ring)).outer) == 2
    many = tiff_of(*[page(noise(1, 1))] * (tiff.MOST_PAGES + 10))
    assert len(tiff.Pages(io.BytesIO(many)).outer) == tiff.MOST_PAGES
    for end in range(len(ring) - 1500, len(ring), 7):
        tiff.Pages(io.BytesIO(ring[:end]))  # truncated: whatever there is


def test_places_beyond_the_file_are_nothing():
    data = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**64 - 1)
    assert not tiff.Pages(io.BytesIO(data)).numbers(2**64 - 1, "I")
    with pytest.raises(InputError, match="the picture cannot be decoded"):
        load_image(data)

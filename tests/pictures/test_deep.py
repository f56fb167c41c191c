"""Files of 16 bits a channel, as other programs read them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from nnstyle.notes import heard_by
from nnstyle.pictures import load_cut_out, load_image, save_image
from nnstyle.pictures.colour import srgb_profile
from tests.support.pictures import stored_settings

SETTINGS = {"alpha": 1.0, "content": "Gemälde «1».jpg", "layer_weights": None}
SHAPES = [
    (40, 56, 3),
    (40, 56, 4),
    (1, 1, 3),
    (64, 7, 3),
    (129, 33, 4),
]  # bands of 64 rows, and parts of them


def noise16(shape):
    """uint16 noise, every bit of it."""
    return np.random.default_rng(0).integers(0, 65536, size=shape, dtype=np.uint16)


def png_chunks(data):
    """The chunks of a PNG as (name, content), each with its checksum verified."""
    place = 8
    while place < len(data):
        (length,), name = struct.unpack_from(">I", data, place), data[place + 4 : place + 8]
        content = data[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", data, place + 8 + length)[0] == zlib.crc32(name + content)
        yield name, content
        place += 12 + length


def read_png(data):
    """The numbers in a PNG of 16 bits whose rows are stored as they are or as differences, slowly."""
    chunks = list(png_chunks(data))
    width, height, depth, colour_type = struct.unpack(">IIBB", dict(chunks)[b"IHDR"][:10])
    assert depth == 16
    channels = {2: 3, 6: 4}[colour_type]
    rows = np.frombuffer(
        zlib.decompress(b"".join(content for name, content in chunks if name == b"IDAT")), np.uint8
    )
    rows = rows.reshape(height, 1 + 2 * width * channels)
    pixels = rows[:, 1:].reshape(height, width, 2 * channels).copy()
    for row, kind in enumerate(rows[:, 0]):
        assert kind in (0, 1)
        for column in range(1, width if kind else 0):
            pixels[row, column] += pixels[row, column - 1]
    return pixels.view(">u2").astype(np.uint16)


def read_tiff(data):
    """The numbers in a TIFF of 16 bits, compressed by differences and deflate, slowly."""
    with Image.open(io.BytesIO(data)) as image:
        tags = dict(image.tag_v2)
    assert set(tags[258]) == {16} and tags[259] == 8 and tags[317] == 2
    strips = zip(*(np.atleast_1d(tags[tag]).tolist() for tag in (273, 279)))
    numbers = b"".join(zlib.decompress(data[start : start + length]) for start, length in strips)
    pixels = np.frombuffer(numbers, "<u2").reshape(tags[257], tags[256], tags[277])
    return pixels.cumsum(axis=1).astype(np.uint16)


def read_by_opencv(data):
    cv2 = pytest.importorskip("cv2")
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def read_by_tifffile(data):
    pytest.importorskip("imagecodecs")
    return pytest.importorskip("tifffile").imread(io.BytesIO(data))


READERS = [("x.png", read_png), ("x.tif", read_tiff), ("x.png", read_by_opencv)]
READERS += [("x.tif", read_by_opencv), ("x.tif", read_by_tifffile)]


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "read"), READERS)
def test_every_bit_is_kept(tmp_path, name, read, shape, plain):
    save_image(noise16(shape), tmp_path / name, SETTINGS, plain=plain)
    np.testing.assert_array_equal(read((tmp_path / name).read_bytes()).reshape(shape), noise16(shape))


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_pillow_and_this_package_read_it_too(tmp_path, name):
    picture = noise16((40, 56, 4))
    save_image(picture, tmp_path / name, SETTINGS)
    with Image.open(tmp_path / name) as image:
        np.testing.assert_array_equal(np.array(image), picture >> 8)
    colours, alpha = load_cut_out(tmp_path / name)
    np.testing.assert_array_equal(alpha, picture[..., 3] >> 8)
    np.testing.assert_array_equal(colours[alpha > 0], picture[alpha > 0, :3] >> 8)


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_settings_and_profile_are_in_the_same_places(tmp_path, name, dtype, channels):
    save_image(np.zeros((40, 56, channels), dtype), tmp_path / name, SETTINGS)
    assert stored_settings(tmp_path / name) == SETTINGS
    with Image.open(tmp_path / name) as image:
        assert image.info["icc_profile"] == srgb_profile()
        assert image.mode == {3: "RGB", 4: "RGBA"}[channels]


def test_the_profile_is_srgb_and_has_no_date():
    profile = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    assert "sRGB" in ImageCms.getProfileDescription(profile)
    assert srgb_profile()[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    assert len(srgb_profile()) == struct.unpack(">I", srgb_profile()[:4])[0]


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.webp", "x.jpg"])
def test_a_saved_picture_is_read_as_it_was(tmp_path, name):
    """Its profile changes nothing."""
    levels = np.arange(256, dtype=np.uint8)
    picture = np.stack(np.broadcast_arrays(levels[:, None], levels[None], levels[::-1, None]), axis=-1)
    save_image(picture, tmp_path / name, SETTINGS)
    with heard_by(pytest.fail):
        loaded = load_image(tmp_path / name)
    assert abs(loaded.astype(int) - picture).max() <= (6 if name == "x.jpg" else 0)


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.webp", "x.jpg"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_same_picture_is_the_same_file(tmp_path, monkeypatch, name, dtype):
    files = []
    for year in (2001, 2031):
        monkeypatch.setattr("nnstyle.pictures.colour.ImageCms.createProfile", profile_of(year))
        srgb_profile.cache_clear()
        with heard_by(str):
            save_image(np.zeros((40, 56, 3), dtype), tmp_path / name, SETTINGS)
        files.append((tmp_path / name).read_bytes())
    monkeypatch.undo()
    srgb_profile.cache_clear()
    assert files[0] == files[1]


def profile_of(year, create=ImageCms.createProfile):
    """What makes a profile in another year."""

    def made(space):
        profile = bytearray(ImageCms.ImageCmsProfile(create(space)).tobytes())
        profile[24:26] = struct.pack(">H", year)
        return ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile

    return made

"""Which files are taken for pictures: those of pixels, which Pillow decodes itself."""

import io
import sys
import threading
import warnings

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, features

from nnstyle import InputError
from nnstyle.errors import NoMemoryToReadError
from nnstyle.pictures import load_image, pictures_in
from nnstyle.pictures.formats import RASTER_FORMATS
from tests.support.pictures import noise

# By Pillow's names: what is executed or only passed on, and what does not hold pictures.
NO_PICTURES = ("EPS", "WMF", "PDF", "HDF5", "MPEG", "GRIB", "BUFR", "FITS", "IPTC")
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n{} loop\n%%EOF\n"


def file_of(name):
    """A file (bytes) of a format, by Pillow."""
    file = io.BytesIO()
    image = Image.fromarray(noise(40, 56))
    image = image.convert("1") if name in ("MSP", "XBM") else image
    image.save(file, name)
    return file.getvalue()


def test_every_format_is_one_that_pillow_reads_as_pixels():
    Image.init()
    assert set(RASTER_FORMATS) <= set(Image.OPEN)
    assert not set(RASTER_FORMATS) & set(NO_PICTURES)


@pytest.mark.parametrize(
    "name", ["BMP", "GIF", "ICO", "IM", "JPEG", "JPEG2000", "MPO", "MSP", "PCX", "PNG", "PPM"]
)
def test_files_of_common_formats_are_read(tmp_path, name):
    (tmp_path / "x").write_bytes(file_of(name))
    assert load_image(tmp_path / "x").ndim == 3


@pytest.mark.parametrize("name", ["QOI", "SGI", "TGA", "TIFF", "WEBP", "XBM", "DDS", "DIB", "ICNS", "AVIF"])
def test_files_of_rarer_formats_are_read(tmp_path, name):
    try:
        content = file_of(name)
    except (KeyError, OSError) as error:  # this Pillow does not write it
        pytest.skip(str(error))
    (tmp_path / "x").write_bytes(content)
    assert load_image(tmp_path / "x").ndim == 3


@pytest.mark.parametrize("name", ["photo.jpg", "photo.eps"])
def test_postscript_is_not_run_whatever_its_name(tmp_path, monkeypatch, name):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("it was run"))
    (tmp_path / name).write_bytes(POSTSCRIPT)
    with pytest.raises(InputError, match=f"{name} is not a picture") as refusal:
        load_image(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_that_postscript_would_be_run_without_the_list(monkeypatch):
    """The twin that must fail."""
    run = []
    monkeypatch.setattr(
        EpsImagePlugin, "Ghostscript", lambda *_, **__: run.append(1) or Image.new("RGB", (40, 40)).im
    )
    with Image.open(io.BytesIO(POSTSCRIPT)) as image:
        image.load()
    assert run


def test_a_folder_s_pictures_are_those_that_can_be_read(tmp_path):
    for name in ("b.png", "A.JPG", "c.webp", "d.tif", "e.mpo"):
        (tmp_path / name).write_bytes(b"")
    for name in (
        "x.pdf",
        "x.h5",
        "x.hdf",
        "x.mpg",
        "x.eps",
        "x.ps",
        "x.wmf",
        "x.fits",
        "x.grib",
        "x.txt",
        "png",
    ):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in pictures_in(tmp_path)] == ["A.JPG", "b.png", "c.webp", "d.tif", "e.mpo"]


def test_hidden_files_are_no_pictures(tmp_path):
    """macOS writes ``._photo.jpg`` beside ``photo.jpg`` on disks that are not its own."""
    for name in ("._photo.jpg", ".photo.jpg", "photo.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert pictures_in(str(tmp_path)) == [tmp_path / "photo.jpg"]
    (tmp_path / "photo.jpg").unlink()
    with pytest.raises(InputError, match="no picture in the folder"):
        pictures_in(tmp_path)


@pytest.mark.parametrize("folder", ["missing", "file", "zero\0byte", None, 3])
def test_a_folder_that_is_none(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not a folder that can be read"):
        pictures_in(folder)


def test_loading_in_threads_leaves_python_s_filters_alone(tmp_path):
    """They belong to the process: a block that sets and restores them in two threads leaves one behind."""
    path = tmp_path / "x.png"
    Image.fromarray(noise(200, 200)).convert("RGBA").save(path)
    path.write_bytes(path.read_bytes())
    before, changes = list(warnings.filters), []

    def load():
        for _ in range(20):
            np.testing.assert_array_equal(load_image(path), noise(200, 200))
            if list(warnings.filters) != before:
                changes.append(1)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before and not changes


def media_file(*brands):
    """The first bytes of an ISO media file."""
    box = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return (4 + len(box)).to_bytes(4, "big") + box + bytes(100)


@pytest.mark.parametrize("brands", [(b"heic", b"mif1"), (b"mif1", b"heic"), (b"heix",), (b"msf1", b"hevc")])
@pytest.mark.parametrize("name", ["photo.heic", "photo.jpg"])
def test_heic_is_known_by_its_bytes_and_what_reads_it_is_named(tmp_path, monkeypatch, name, brands):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it was not installed
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    (tmp_path / name).write_bytes(media_file(*brands))
    with pytest.raises(InputError, match=rf"{name}: this is HEIC.*`pip install 'nnstyle\[heif\]'`"):
        load_image(tmp_path / name)


def test_heic_is_read_where_its_plugin_is_installed(tmp_path):
    plugin = pytest.importorskip("pillow_heif")
    picture = Image.fromarray(noise(4, 6)).resize((96, 64), Image.Resampling.BICUBIC)
    plugin.from_pillow(picture).save(tmp_path / "photo.jpg", quality=95)
    found = load_image(tmp_path / "photo.jpg")
    assert abs(found.astype(int) - np.array(picture)).mean() < 3
    (tmp_path / "photo.jpg").rename(tmp_path / "photo.heic")
    assert pictures_in(tmp_path) == [tmp_path / "photo.heic"]


def test_avif_is_not_taken_for_heic(tmp_path):
    """Both may have the brand mif1."""
    for brands in ((b"avif", b"mif1"), (b"mif1", b"avif", b"heic")):
        (tmp_path / "x.avif").write_bytes(media_file(*brands))
        with pytest.raises(InputError) as refusal:
            load_image(tmp_path / "x.avif")
        assert "HEIC" not in str(refusal.value)


def test_an_avif_that_pillow_cannot_read_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: False)
    (tmp_path / "x.jpg").write_bytes(media_file(b"avif", b"mif1"))
    with pytest.raises(InputError, match=r"x\.jpg: this is AVIF"):
        load_image(tmp_path / "x.jpg")


@pytest.mark.parametrize(
    "start", [b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0", b"IIU\0\x18\0\0\0", media_file(b"crx ", b"isom")]
)
def test_raw_files_that_are_no_tiffs_are_named(tmp_path, start):
    (tmp_path / "photo.raw").write_bytes(start.ljust(200, b"\0"))
    with pytest.raises(InputError, match=r"photo\.raw: this is a camera's raw file"):
        load_image(tmp_path / "photo.raw")


def test_a_lack_of_memory_is_no_damage(tmp_path, monkeypatch):
    Image.fromarray(noise(40, 56)).save(tmp_path / "x.png")
    monkeypatch.setattr("nnstyle.pictures.decode.to_rgb", no_memory)
    for source in (tmp_path / "x.png", noise(40, 56)):
        with pytest.raises(
            NoMemoryToReadError, match="not enough memory to read .*(x.png|picture): reduce it"
        ):
            load_image(source)


def no_memory(*_):
    raise MemoryError

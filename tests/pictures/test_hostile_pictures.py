"""No picture takes much memory or time, or more than one line, whatever is in its file."""

import contextlib
import os
import socket

import numpy as np
import pytest

from nnstyle import InputError
from nnstyle.errors import NoMemoryToReadError
from nnstyle.notes import heard_by
from nnstyle.pictures import jpeg, load_image
from nnstyle.pictures.decode import FileWithin
from tests.campaigns import hostile_pictures as hostile

resource = pytest.importorskip("resource")  # not on Windows
MOST_MEMORY = 1 << 30  # bytes, beside what the process has already


@contextlib.contextmanager
def little_memory(most=MOST_MEMORY):
    """Within the block, an attempt to get much more memory fails."""
    with open("/proc/self/statm") as numbers:
        now = int(numbers.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def written(path, data):
    path.write_bytes(data)
    return path


def test_a_small_picture_in_a_large_tile_is_refused(tmp_path):
    path = written(tmp_path / "x.tif", hostile.tiff_with_a_large_tile())
    with pytest.raises(InputError, match="claims to be a picture of 900 million pixels"):
        load_image(path)


def test_a_small_picture_in_a_tile_of_its_size_is_read(tmp_path):
    path = written(tmp_path / "x.tif", hostile.tiff_with_a_large_tile(64))
    assert load_image(path).shape == (hostile.SIDE, hostile.SIDE, 3)


def test_a_jpeg_of_thousands_of_scans_is_refused(tmp_path):
    path = written(tmp_path / "x.jpg", hostile.jpeg_with_many_scans(1_000, 11_000))
    with pytest.raises(InputError, match="stored in 110.. scans"):
        load_image(path)


def test_one_of_thousands_of_scans_that_is_not_progressive_is_refused(tmp_path):
    data = hostile.one_colour("JPEG", 1_000, "RGB")
    start = data.rindex(b"\xff\xda")
    scan_of_one_channel = bytes.fromhex("ffda 0008 01 0100 003f00")
    path = written(tmp_path / "x.jpg", data[:start] + scan_of_one_channel * 11_000 + data[start:])
    with pytest.raises(InputError, match="stored in 110.. scans"):
        load_image(path)


def test_scans_cannot_be_hidden_in_what_the_decoder_passes_over(tmp_path):
    """At a restart it looks for the next marker that it knows. Reserved ones have no length for it."""
    data = hostile.one_colour("JPEG", 1_000, progressive=True, restart_marker_blocks=1)
    start = data.rindex(b"\xff\xda")
    header = data[start : start + 2 + int.from_bytes(data[start + 2 : start + 4])]
    hidden = b"\xff\x02\xff\xff" + header * 11_000
    path = written(tmp_path / "x.jpg", data[:start] + header + hidden + data[-2:])
    with pytest.raises(InputError, match="stored in 110.. scans"):
        load_image(path)


def test_what_stands_behind_a_jpeg_or_in_its_header_is_no_scan_of_it(tmp_path, monkeypatch):
    """Phones put a video behind the picture, and cameras a smaller picture before it."""
    monkeypatch.setattr(jpeg, "MOST_SCANNED", 20 * hostile.SIDE**2)
    other = hostile.jpeg_with_many_scans(hostile.SIDE, 100)
    for options in ({}, {"progressive": True}):
        picture = hostile.picture("JPEG", comment=other, **options)
        assert load_image(written(tmp_path / "x.jpg", picture + other)).shape[:2] == (hostile.SIDE,) * 2
    with pytest.raises(InputError, match="stored in 1.. scans"):
        load_image(written(tmp_path / "x.jpg", other))


def test_one_of_ordinary_scans_is_read(tmp_path):
    path = written(tmp_path / "x.jpg", hostile.picture("JPEG", progressive=True, quality=95))
    with_scans = load_image(path)
    path.write_bytes(hostile.picture("JPEG", quality=95))
    np.testing.assert_array_equal(with_scans, load_image(path))


def test_no_memory_is_asked_for_what_a_file_does_not_have(tmp_path):
    path = written(tmp_path / "x", b"0123456789")
    with open(path, "rb") as file, pytest.raises((MemoryError, OverflowError)):
        file.read(1 << 62)
    with FileWithin(open(path, "rb", buffering=0)) as file:
        assert file.read(4) == b"0123" and file.read(1 << 62) == b"456789" and file.read() == b""
        file.seek(8)
        assert file.read(None) == b"89"


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux tells")
@pytest.mark.parametrize("name", ["PNG-chunk.png", "JPEG2000-box.jp2"])
def test_a_part_that_claims_to_have_4_gb_takes_none(tmp_path, name):
    """It is damage, if anything, and no lack of memory."""
    make = {
        "PNG-chunk.png": hostile.png_with_a_chunk_of_4_gb,
        "JPEG2000-box.jp2": hostile.jpeg2000_with_a_box_of_4_gb,
    }
    path = written(tmp_path / name, make[name]())
    with little_memory():
        if name.startswith("PNG"):
            assert load_image(path).shape == (hostile.SIDE, hostile.SIDE, 3)
        else:
            with pytest.raises(InputError, match="damaged"):
                load_image(path)


def test_a_socket_is_no_picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("x.png")
        with pytest.raises(InputError, match="not a picture"):
            load_image("x.png")


@pytest.mark.slow
def test_the_same_generator_damages_alike():
    first, second = (hostile.mutants(np.random.default_rng(3)) for _ in range(2))
    pairs = [(next(first), next(second)) for _ in range(50)]
    assert all(one == other for one, other in pairs)


def test_what_is_damaged_was_a_picture(tmp_path):
    for name, data in hostile.valid_pictures():
        side = 128 if name.startswith("ICNS") else hostile.SIDE
        with heard_by(str):
            assert load_image(written(tmp_path / name, data)).shape == (side, side, 3), name


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_hostile_pictures_are_read_or_refused(tmp_path):
    mutants = hostile.mutants(np.random.default_rng(0))
    with little_memory(), heard_by(str):
        for _ in range(1500):
            path = written(tmp_path / "x", next(mutants)[1])
            try:
                image = load_image(path)
            except InputError as error:
                assert str(error).count("\n") == 0
            else:
                assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="only Linux tells")
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_needs_more_memory_than_there_is_is_not_called_damaged(progressive):
    """libjpeg says that the data is broken where it gets no memory for all scans."""
    data = bytearray(hostile.picture("JPEG", progressive=progressive))
    place = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    data[place : place + 4] = (12_000).to_bytes(2, "big") * 2  # height and width: 144 million pixels
    data += bytes(200_000)  # enough not to be refused at once
    with (
        little_memory(MOST_MEMORY // 4),
        pytest.raises(NoMemoryToReadError, match="not enough memory to read"),
    ):
        load_image(bytes(data))

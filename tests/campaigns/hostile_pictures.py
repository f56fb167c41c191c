"""Damaged and hostile pictures, without end.

Tiny pictures in every format that is read here and that Pillow can write are damaged at random. In between
come pictures made by hand: files of a few bytes that claim, or truly hold, an enormous picture.
"""

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image

from nnstyle.pictures.formats import RASTER_FORMATS
from tests.support.pictures import cmyk_profile, grey_profile, icc, noise, png, rgb_profile

SIDE = 40  # px: large enough to be painted
# The same format in other ways: (ending, mode, options of Pillow's `save`).
WAYS = {
    "PNG": [
        (".png", "RGB", {}),
        (".png", "RGBA", {}),
        (".png", "P", {"transparency": 1}),
        (".png", "I;16", {}),
        (".png", "RGB", {"icc_profile": rgb_profile()}),
        (".png", "RGB", {"save_all": True, "append_images": 3}),
    ],
    "JPEG": [
        (".jpg", "RGB", {}),
        (".jpg", "L", {"icc_profile": grey_profile()}),
        (".jpg", "CMYK", {"icc_profile": cmyk_profile()}),
        (".jpg", "RGB", {"progressive": True}),
        (".jpg", "RGB", {"exif": 6}),
    ],
    "TIFF": [
        (".tif", "RGB", {}),
        (".tif", "RGB", {"compression": "tiff_adobe_deflate"}),
        (".tif", "RGBA", {"compression": "tiff_lzw"}),
        (".tif", "RGB", {"compression": "jpeg"}),
        (".tif", "L", {"compression": "packbits"}),
        (".tif", "1", {"compression": "group4"}),
        (".tif", "F", {}),
        (".tif", "I;16", {"compression": "tiff_lzw"}),
        (".tif", "RGB", {"exif": 5, "icc_profile": rgb_profile()}),
        (".tif", "RGB", {"save_all": True, "append_images": 3}),
    ],
    "WEBP": [
        (".webp", "RGB", {}),
        (".webp", "RGBA", {"lossless": True}),
        (".webp", "RGB", {"exif": 8, "icc_profile": rgb_profile()}),
        (".webp", "RGB", {"save_all": True, "append_images": 3}),
    ],
    "ICO": [(".ico", "RGBA", {"sizes": [(SIDE, SIDE)]})],
    "GIF": [(".gif", "P", {}), (".gif", "P", {"save_all": True, "append_images": 3})],
    "JPEG2000": [(".jp2", "RGB", {}), (".j2k", "L", {"tile_size": (16, 16)})],
    "PPM": [(".ppm", "RGB", {}), (".pgm", "L", {}), (".pbm", "1", {}), (".pfm", "F", {})],
    "TGA": [(".tga", "RGB", {"compression": "tga_rle"}), (".tga", "P", {})],
    "BLP": [(".blp", "P", {})],
    "MSP": [(".msp", "1", {})],
    "XBM": [(".xbm", "1", {})],
}
# Numbers on which programs stumble.
NUMBERS = [0, 1, -1, 2, 3, 7, 8, 255, 256, 32767, 32768, 65535, 65536, 1 << 20, (1 << 31) - 1, 1 << 31]
# 13000 x 13000 white pixels, lossless.
WEBP_OF_169_MILLION = bytes.fromhex("524946461a000000574542505650384c0e0000002fc7f2b10c071011fd0f4444ff03")
MADE_BY_HAND = 0.05  # the share of them


def mutants(rng):
    """Hostile pictures without end.

    Parameters
    ----------
    rng : np.random.Generator

    Yields
    ------
    (str, bytes)
        A name that tells the format, with the file's ending, and what is in the file.
    """
    pictures, by_hand = valid_pictures(), hand_made()
    while True:
        if rng.random() < MADE_BY_HAND:
            yield by_hand[rng.integers(len(by_hand))]
            continue
        name, data = pictures[rng.integers(len(pictures))]
        _, other = pictures[rng.integers(len(pictures))]
        for _ in range(rng.integers(1, 4)):
            damage = DAMAGES[rng.integers(len(DAMAGES))]
            data = damage(rng, data, other)
        if name.endswith(".png") and rng.random() < 0.7:
            data = with_checksums(data)  # else no damage gets past them
        yield name, data


@functools.cache
def valid_pictures():
    """One picture in every way in which Pillow writes one that is read here: list of (name, bytes)."""
    Image.init()
    endings = {format: ending for ending, format in Image.registered_extensions().items()}
    pictures = []
    for format in RASTER_FORMATS:
        if format not in Image.SAVE or format == "ICNS":
            continue
        for ending, mode, options in WAYS.get(format, [(endings.get(format, ".dib"), "RGB", {})]):
            pictures.append((f"{format}{ending}", picture(format, mode, **options)))
    # Pillow's own are of 1024 x 1024 pixels.
    return [*pictures, ("ICNS.icns", icns_with(picture("PNG", side=128)))]


def picture(format, mode="RGB", side=SIDE, **options):
    """The file of a picture, partly noise and partly smooth."""
    pixels = noise(side, side)
    pixels[: side // 2] = np.arange(side, dtype=np.uint8)[:, None]
    image = Image.fromarray(pixels)
    if mode in ("F", "I;16"):
        values = pixels[..., 0] / 255 if mode == "F" else pixels[..., 0] * np.uint16(257)
        image = Image.fromarray(values.astype(np.float32 if mode == "F" else np.uint16))
    else:
        image = image.convert(mode)
    if "exif" in options:
        orientation, options["exif"] = options["exif"], Image.Exif()
        options["exif"][274] = orientation
    if "append_images" in options:
        options["append_images"] = [image.rotate(angle) for angle in range(options["append_images"])]
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def flip_bits(rng, data, other):
    """Turn up to 20 bits round."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 21)):
        if changed:
            changed[place(rng, changed)] ^= 1 << rng.integers(8)
    return bytes(changed)


def cut_off(rng, data, other):
    """Only the beginning."""
    return data[: rng.integers(len(data) + 1)]


def splice(rng, data, other):
    """Put a piece of this or another picture in, in place of a piece of this one."""
    source = (data, other)[rng.integers(2)]
    begin, end = np.sort(rng.integers(len(source) + 1, size=2))
    at, length = rng.integers(len(data) + 1), rng.integers(min(64, len(data) + 1))
    return (data[:at] + source[begin:end] + data[at + length :])[: 1 << 16]


def change_number(rng, data, other):
    """Write a number on which programs stumble over 1, 2, 4 or 8 bytes."""
    width = (1, 2, 4, 8)[rng.integers(4)]
    order = ("little", "big")[rng.integers(2)]
    number = NUMBERS[rng.integers(len(NUMBERS))] % (1 << (8 * width))
    changed = bytearray(data)
    at = place(rng, changed) if changed else 0
    changed[at : at + width] = number.to_bytes(width, order)
    return bytes(changed)


DAMAGES = flip_bits, cut_off, splice, change_number, change_number, change_number


def place(rng, data):
    """A place in a file: often in its first bytes, where its sizes stand, or in the last."""
    most = len(data)
    where = rng.integers(4)
    if where == 0:
        return rng.integers(most)
    if where == 1:
        return most - 1 - rng.integers(min(most, 300))
    return rng.integers(min(most, 100))


def with_checksums(data):
    """A PNG whose chunks have the right checksums, as far as its chunks can be followed."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + length]
        parts.append(data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    return b"".join(parts) + data[at:]


@functools.cache
def hand_made():
    """Pictures that were made to do harm: list of (name, bytes)."""
    return [
        ("EPS.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n(x) run\nshowpage\n%%EOF\n"),
        ("SVG.png", b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"/>'),
        ("PNG-claims.png", png(50_000, 50_000, 8, 2, b"")),
        ("PNG-claims-less.png", png(13_000, 13_000, 8, 2, b"")),
        ("PNG-wide.png", png(2**31 - 1, 1, 8, 2, b"")),
        ("PNG-one-colour.png", one_colour("PNG", 4_000)),
        ("PNG-one-bit.png", one_colour("PNG", 8_000, "1")),
        ("TIFF-one-bit.tif", one_colour("TIFF", 8_000, "1", compression="group4")),
        ("TIFF-tile.tif", tiff_with_a_large_tile()),
        ("TIFF-tags.tif", tiff_with_many_tags()),
        ("WEBP-one-colour.webp", WEBP_OF_169_MILLION),
        ("JPEG2000-one-colour.jp2", one_colour("JPEG2000", 5_600, "L")),
        ("JPEG-scans.jpg", jpeg_with_many_scans(1_000, 500)),
        ("JPEG-more-scans.jpg", jpeg_with_many_scans(2_000, 5_000)),
        ("BMP-ends-at-once.bmp", bmp_that_ends_at_once(13_000)),
        ("ICO-large-inside.ico", ico_with(one_colour("PNG", 4_000))),
        ("ICO-bomb-inside.ico", ico_with(one_colour("PNG", 8_000, "1"))),
        ("GIF-large-frame.gif", gif_with_a_large_frame()),
        ("GIF-frames.gif", picture("GIF", "P", save_all=True, append_images=100)),
        ("TIFF-ring.tif", tiff_whose_pages_are_a_ring()),
        *((f"PNG-{name}.png", data) for name, data in pngs_with_large_chunks()),
        ("PNG-chunk.png", png_with_a_chunk_of_4_gb()),
        ("JPEG2000-box.jp2", jpeg2000_with_a_box_of_4_gb()),
        ("JPEG-profile.jpg", picture("JPEG", icc_profile=large_profile())),
        ("JPEG-exif.jpg", jpeg_with_exif(exif_with_many_tags())),
    ]


def one_colour(format, side, mode="L", **options):
    """A true picture of one colour: many pixels, few bytes."""
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, format, **options)
    return file.getvalue()


def tiff(*entries, data=b""):
    """A TIFF file of these entries, (tag, type, count, value or offset), and `data` behind them."""
    index = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + index + bytes(4) + data


def tiff_with_a_large_tile(side=30_000):
    """A picture of 40 x 40 pixels in one tile of many more."""
    tile = zlib.compress(bytes(1 << 20))
    entries = [(256, 4, 1, SIDE), (257, 4, 1, SIDE), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)]
    entries += [(277, 3, 1, 1), (322, 4, 1, side), (323, 4, 1, side)]
    start = 8 + 2 + 12 * (len(entries) + 2) + 4
    return tiff(*entries, (324, 4, 1, start), (325, 4, 1, len(tile)), data=tile)


def tiff_with_many_tags(count=2_000, size=1 << 20):
    """Every tag says that its value is the same megabyte."""
    entries = [(256, 4, 1, SIDE), (257, 4, 1, SIDE), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    start = 8 + 2 + 12 * (len(entries) + 1 + count) + 4
    entries += [(273, 4, 1, start), *((30_000 + number, 1, size, start) for number in range(count))]
    return tiff(*entries, data=bytes(size))


def tiff_whose_pages_are_a_ring():
    """A picture after which the same picture comes."""
    data = bytearray(picture("TIFF"))
    start = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[start : start + 2], "little")
    end = start + 2 + 12 * count
    data[end : end + 4] = data[4:8]
    return bytes(data)


def jpeg_with_many_scans(side, scans):
    """A progressive JPEG that says the same few bits of all its blocks again and again."""
    data = one_colour("JPEG", side, progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * scans + data[-2:]


def bmp_that_ends_at_once(side):
    """A run-length encoded BMP of which nothing is there but its end."""
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 2, 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    return b"BM" + struct.pack("<IHHI", start + 2, 0, 0, start) + header + bytes(1024) + b"\0\1"


def ico_with(inside):
    """An icon of 40 x 40 pixels that has a PNG of another size inside."""
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, SIDE, SIDE, 0, 0, 1, 32, len(inside), 22) + inside


def icns_with(inside):
    """Apple's icon of 128 x 128 pixels, with a PNG inside."""
    return b"icns" + struct.pack(">I4sI", 16 + len(inside), b"ic07", 8 + len(inside)) + inside


def gif_with_a_large_frame():
    """A picture of 40 x 40 pixels whose first frame is of 65535 x 65535."""
    data = bytearray(picture("GIF", "P"))
    at = data.index(b"\x2c\0\0\0\0" + struct.pack("<HH", SIDE, SIDE))
    data[at + 5 : at + 9] = b"\xff" * 4
    return bytes(data)


def pngs_with_large_chunks():
    """PNGs whose texts or profile are a few kB and become 100 MB: (name, bytes)."""
    packed = zlib.compress(bytes(100 << 20), 1)
    megabyte = zlib.compress(bytes(1 << 20))
    texts = [(b"zTXt", b"text%d\0\0" % number + megabyte) for number in range(100)]
    rows = bytes(SIDE * (1 + 3 * SIDE))
    yield "zTXt", png(SIDE, SIDE, 8, 2, rows, (b"zTXt", b"text\0\0" + packed))
    yield "iTXt", png(SIDE, SIDE, 8, 2, rows, (b"iTXt", b"text\0\1\0\0\0" + packed))
    yield "iCCP", png(SIDE, SIDE, 8, 2, rows, (b"iCCP", b"profile\0\0" + packed))
    yield "texts", png(SIDE, SIDE, 8, 2, rows, *texts)


def png_with_a_chunk_of_4_gb():
    """A picture whose pixels are there, in a chunk that claims to be as long as possible."""
    data = picture("PNG")
    at = data.index(b"IDAT")
    return data[: at - 4] + b"\xff" * 4 + data[at:]


def jpeg2000_with_a_box_of_4_gb():
    """A picture whose first boxes are as they should be, and whose next is as long as possible."""
    data = picture("JPEG2000")
    at = data.index(b"jp2h")
    return data[: at - 4] + b"\xff" * 4 + data[at:]


def large_profile():
    """An ICC profile with a curve of very many points, said to be more than there are."""
    points = b"curv" + bytes(4) + struct.pack(">I", 2**32 - 1) + bytes(1 << 20)
    return icc(b"mntr", b"RGB ", b"XYZ ", dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), points))


def exif_with_many_tags(count=4_000):
    """A block of EXIF in which every tag has the same 15 kB."""
    start = 8 + 2 + 12 * count + 4
    size = 65_000 - start
    return tiff(*((1000 + number, 1, size, start) for number in range(count)), data=bytes(size))


def jpeg_with_exif(block):
    """A JPEG with a block of EXIF as it is."""
    data = picture("JPEG")
    segment = b"Exif\0\0" + block
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]

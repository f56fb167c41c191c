"""Pictures, and the odd files around them, for tests."""

import json
import struct
import zlib

import numpy as np
from PIL import Image

# Where sRGB's red, green and blue lie in the connection space of ICC profiles (XYZ under D50).
RED, GREEN, BLUE = (0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)


def noise(height, width, channels=3, seed=0):
    """uint8 noise, (H, W, channels), or (H, W) for no channels: no two places look alike."""
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, size=shape, dtype=np.uint8)


def turned(stored, orientation):
    """How an array stored with this EXIF orientation is to be seen, from EXIF's own definition:
    on which side of the picture the 0th row and the 0th column of the file lie."""
    column = stored.swapaxes(0, 1)
    return {
        1: stored,  # top, left
        2: stored[:, ::-1],  # top, right
        3: stored[::-1, ::-1],  # bottom, right
        4: stored[::-1],  # bottom, left
        5: column,  # left, top
        6: column[:, ::-1],  # right, top
        7: column[::-1, ::-1],  # right, bottom
        8: column[::-1],  # left, bottom
    }[orientation]


def rgb_profile(red=RED, green=GREEN, blue=BLUE, gamma=1.0):
    """An ICC profile (bytes) for RGB with these primaries."""
    tags = {name: xyz(*primary) for name, primary in ((b"rXYZ", red), (b"gXYZ", green), (b"bXYZ", blue))}
    return icc(b"mntr", b"RGB ", b"XYZ ", tags | {name: curve(gamma) for name in (b"rTRC", b"gTRC", b"bTRC")})


def grey_profile(gamma=1.0):
    """An ICC profile for grey."""
    return icc(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve(gamma)})


def cmyk_profile(ink=(0x88, 0xD0, 0xC4)):
    """An ICC profile for CMYK in which any full ink looks like this 8-bit L*a*b*: here, like red."""
    table = bytes((0xFF, 0x80, 0x80)) + bytes(ink) * 15  # no ink: white
    straight = bytes(range(256))
    head = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    return icc(b"prtr", b"CMYK", b"Lab ", {b"A2B0": head + straight * 4 + table + straight * 3})


def icc(kind, space, connection, tags):
    """An ICC profile of version 2.4 with the bytes of these tags."""
    tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249)} | tags
    index, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        index += name + struct.pack(">II", start + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    header = struct.pack(">I4xI", start + len(data), 0x02400000) + kind + space + connection
    header += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + index + data


def fixed(*values):
    """Numbers in ICC's fixed-point form."""
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def xyz(*values):
    return b"XYZ " + bytes(4) + fixed(*values)


def curve(gamma):
    return b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(gamma * 256))


def png(width, height, depth, colour_type, rows, *chunks):
    """A PNG file of these very numbers, whether or not they make sense."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


def bomb():
    """A file of 100 bytes that claims to hold 2500 million pixels."""
    return png(50_000, 50_000, 8, 2, b"")


def stored_settings(path):
    """The JSON in a picture, found as the format's documentation says, not as we wrote it."""
    with Image.open(path) as image:
        return json.loads(
            image.text["nnstyle"] if image.format == "PNG" else image.getexif()[270]
        )  # ImageDescription

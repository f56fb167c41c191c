"""Files of 16 bits a channel, PNG and TIFF: Pillow writes no colours of more than 8."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import TiffImagePlugin

from . import png, tiff

BAND = 64  # rows that are compressed at once: less memory
SUBTRACT_LEFT = 1  # a filter of PNG: what is stored is the difference from the pixel on the left
RGB, RGB_AND_ALPHA = 2, 6  # PNG's colour types, for 3 and for 4 channels


def encode_png(image: np.ndarray, text: str, profile: bytes, level: int) -> bytes:
    """A PNG (W3C, "PNG Specification", third edition).

    Parameters
    ----------
    image : uint16 array, shape (H, W, 3) or (H, W, 4)
        RGB, or RGB and alpha.
    text : str
        ASCII. Stored under the keyword "nnstyle".
    profile : bytes
        An ICC profile.
    level : int
        Of zlib, from 0 to 9.
    """
    height, width, channels = image.shape
    colour_type = RGB if channels == 3 else RGB_AND_ALPHA
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    compressor = zlib.compressobj(level)
    return b"".join(
        [
            png.SIGNATURE,
            chunk(b"IHDR", header),
            chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(profile)),
            chunk(b"tEXt", b"nnstyle\0" + text.encode("ascii")),
            *(chunk(b"IDAT", compressor.compress(filtered(band))) for band in bands(image)),
            chunk(b"IDAT", compressor.flush()),
            chunk(b"IEND", b""),
        ]
    )


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG: its length, its name, what is in it, and a checksum."""
    checksum = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def filtered(band: np.ndarray) -> bytes:
    """Rows of pixels as PNG compresses them: the filter's number, then the differences of single bytes."""
    pixels = band.astype(">u2").view(np.uint8)
    rows = np.empty((len(band), 1 + pixels[0].size), np.uint8)
    rows[:, 0] = SUBTRACT_LEFT
    pixels[:, 1:] -= pixels[:, :-1].copy()
    rows[:, 1:] = pixels.reshape(len(band), -1)
    return rows.tobytes()


def encode_tiff(image: np.ndarray, text: str, profile: bytes, level: int) -> bytes:
    """A TIFF (Adobe, "TIFF 6.0"; the compression is that of its supplement of 2002).

    The parameters are those of `encode_png`; the text is the image description.
    """
    height, width, channels = image.shape
    strips = [zlib.compress(differences(band), level) for band in bands(image)]
    sizes = [len(strip) for strip in strips]
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[tiff.WIDTH], directory[tiff.LENGTH] = width, height
    directory[tiff.BITS] = (16,) * channels
    directory[TiffImagePlugin.COMPRESSION] = 8  # deflate
    directory[tiff.PHOTOMETRIC] = 2  # RGB
    directory[TiffImagePlugin.IMAGEDESCRIPTION] = text
    directory[tiff.SAMPLES] = channels
    directory[TiffImagePlugin.ROWSPERSTRIP] = BAND
    directory[TiffImagePlugin.STRIPBYTECOUNTS] = tuple(sizes)
    directory[TiffImagePlugin.STRIPOFFSETS] = tuple(sum(sizes[:index]) for index in range(len(sizes)))
    directory[TiffImagePlugin.PREDICTOR] = 2  # differences from the pixel on the left
    if channels == 4:
        directory[TiffImagePlugin.EXTRASAMPLES] = 2  # alpha, and the colours are not multiplied by it
    directory[TiffImagePlugin.ICCPROFILE] = profile
    file = io.BytesIO()
    directory.save(file)  # it adds to the offsets what comes before the strips
    file.write(b"".join(strips))
    return file.getvalue()


def differences(band: np.ndarray) -> bytes:
    """Rows of pixels as TIFF's predictor has them: the differences of numbers of 16 bits."""
    pixels = band.astype("<u2")
    pixels[:, 1:] -= pixels[:, :-1].copy()
    return pixels.tobytes()


def bands(image: np.ndarray) -> Iterator[np.ndarray]:
    """A picture in pieces of some rows."""
    for top in range(0, len(image), BAND):
        yield image[top : top + BAND]

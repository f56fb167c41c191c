"""JPEG: read at a fraction of its size, and where its end marker is missing."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, JpegImagePlugin

from ..errors import InputError
from ..notes import note
from .limits import ALWAYS_READ, check_density, is_too_large

START, END = b"\xff\xd8\xff", b"\xff\xd9"
# What ends the numbers of a scan: neither 0xFF as a number (a zero follows), nor a restart, nor a filler.
# Reserved markers (up to 0xBF) are passed over, and not what seems to be their segment: so does the decoder.
MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
STARTS_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
WITHOUT_SEGMENT = {0xD8, END_OF_IMAGE}

# A JPEG of several scans (a progressive one) is decoded anew for each of them, and all its numbers are
# kept: up to 6 bytes a pixel, however small it is wanted. There are some 10 scans in a photograph.
MOST_SCANNED = 10_000_000_000  # pixels times scans: within half a minute
MOST_KEPT = 400_000_000  # pixels
FRACTIONS = (8, 4, 2, 1)  # what libjpeg can divide a picture's edges by while it decodes
ENOUGH = 2  # times the size wanted: Lanczos's filter does the rest

# What may stand in place of a missing end: each of the ways in which three bits may go on, over and over.
# Some blocks lie beyond the edges of the picture, so it must last for several.
CONTINUATIONS = [
    (int(f"{bits:03b}" * 8, 2).to_bytes(3, "big") * 1500).replace(b"\xff", b"\xff\0") for bits in range(8)
]
RESTART = re.compile(rb"\xff[\xd0-\xd7]")  # eight markers, in turn


@dataclass
class Structure:
    """What the markers of a JPEG tell, up to the end of its first picture.

    Attributes
    ----------
    scans : int
    bits_to_come : dict
        For each component, a byte for each of its 64 coefficients: how many of the lowest bits belong to
        no scan so far.
    ended : bool
        Whether there is an end marker.
    """

    scans: int = 0
    bits_to_come: dict[int, bytearray] = field(default_factory=dict)
    ended: bool = False


def structure(data: bytes) -> Structure:
    """Follow the markers of a JPEG (ITU-T T.81, annex B)."""
    found = Structure()
    for marker, segment in segments(data):
        if marker == END_OF_IMAGE:
            found.ended = True
        elif marker in STARTS_OF_FRAME:
            found.bits_to_come = {component: bytearray(b"\xff" * 64) for component in segment[6::3]}
        elif marker == START_OF_SCAN and len(segment) > 3:
            found.scans += 1
            first, last, bits = segment[-3:]
            for component in segment[1:-3:2]:
                if component in found.bits_to_come and first <= last < 64:
                    found.bits_to_come[component][first : last + 1] = bytes([bits & 15]) * (last + 1 - first)
    return found


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each marker and what its segment holds, up to the end marker or to where the data ends."""
    place = 0
    while match := MARKER.search(data, place):
        marker, place = match[0][1], match.end()
        if marker in WITHOUT_SEGMENT:
            yield marker, b""
        else:
            length = int.from_bytes(data[place : place + 2], "big")
            yield marker, data[place + 2 : place + length]
            place += length
        if marker == END_OF_IMAGE:
            return


def open_jpeg(data: bytes, size: int | None = None) -> Image.Image:
    """A PIL image of a JPEG, to be decoded at a fraction of its size if that is enough.

    Parameters
    ----------
    data : bytes
    size : int, optional
        The long edge wanted, px. What is decoded has at least twice that, if the picture has.

    Raises
    ------
    InputError, PIL.Image.DecompressionBombError
        If it would take too much memory or time.
    OSError
        If it is truncated.
    """
    image, found = undecoded(data), structure(data)
    check_density(image, len(data))
    check_scans(image, found.scans)
    check_memory(image, found.scans)
    fraction = choose_fraction(image, size)
    if found.ended:
        return reduced(image, fraction)
    return with_end(data, found, fraction)


def undecoded(data: bytes) -> Image.Image:
    """A PIL image. `Image.open` would refuse a large one, however small it is wanted."""
    return JpegImagePlugin.jpeg_factory(io.BytesIO(data))


def check_scans(image: Image.Image, scans: int) -> None:
    """Raise InputError for a JPEG of so many scans that it would take minutes, or too much memory."""
    pixels = image.width * image.height
    if scans * pixels > MOST_SCANNED:
        raise InputError(f"it is stored in {scans} scans, which would take minutes: save it anew")
    if scans > 1 and pixels > MOST_KEPT:
        raise InputError(
            f"a progressive JPEG of {pixels // 1_000_000} million pixels would take too much memory:"
            " save it anew, not progressive"
        )


def check_memory(image: Image.Image, scans: int) -> None:
    """Raise MemoryError if there is not enough for the numbers of several scans: libjpeg would not tell."""
    if scans > 1:
        bytes_per_pixel = 2 if image.mode == "L" else 3  # with colours at half the size, as most have them
        np.empty((image.height, image.width, bytes_per_pixel), np.uint8)


def choose_fraction(image: Image.Image, size: int | None) -> int:
    """What to divide the edges of a large picture by while it is decoded, for a long edge wanted, px.

    Where twice that edge would be more pixels than Pillow's limit, the edge itself has to do.
    """
    edge, pixels = max(image.size), image.width * image.height
    if pixels <= ALWAYS_READ and not is_too_large(pixels):
        return 1  # in full, as a file of any other format
    wanted = edge if size is None else size
    possible = [fraction for fraction in FRACTIONS if fraction == 1 or edge // fraction >= wanted]
    fitting = [fraction for fraction in possible if not is_too_large(pixels // fraction**2)]
    if not fitting:
        raise Image.DecompressionBombError(f"{pixels} pixels")
    enough = [fraction for fraction in fitting if edge // fraction >= ENOUGH * wanted]
    return max(enough, default=min(fitting))


def reduced(image: Image.Image, fraction: int) -> Image.Image:
    """Have libjpeg decode a picture with its edges divided, rounded up."""
    if fraction > 1:
        image.draft(None, (max(image.width // fraction, 1), max(image.height // fraction, 1)))
    return image


def with_end(data: bytes, found: Structure, fraction: int) -> Image.Image:
    """The picture in a JPEG without its end marker, if it is all there: then nothing depends on what follows.

    The decoder fills what is missing with grey and does not say so. So it is given several
    continuations: if a single bit was missing, they would be taken for it, and lead to other pixels.
    Where the numbers are in pieces, a whole piece may be missing: so each goes on in the next one, too.
    """
    if not found.scans or any(any(bits) for bits in found.bits_to_come.values()):
        raise OSError("its end is missing")
    data = data.rstrip(b"\xff")
    restarts = RESTART.findall(data, data.rindex(bytes([0xFF, START_OF_SCAN])))
    next_restart = bytes([0xFF, 0xD0 + (len(restarts) % 8)])
    first = None
    for continuation in CONTINUATIONS:
        image = reduced(undecoded(data + continuation + next_restart + continuation + END), fraction)
        pixels = np.asarray(image)
        if first is None:
            first = pixels
        elif not np.array_equal(pixels, first):
            raise OSError("its end is missing")
    note("the end marker of a JPEG is missing; all of its pixels are there")
    return image

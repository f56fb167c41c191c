"""PNG: read however long its texts and its colour profile are."""

import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import Image
from PIL.PngImagePlugin import MAX_TEXT_CHUNK, MAX_TEXT_MEMORY

from ..notes import note

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PROFILE, TEXT, INTERNATIONAL_TEXT = b"iCCP", b"zTXt", b"iTXt"
MOST_PROFILE = 1 << 25  # bytes: those of printers have some millions


class Chunk(NamedTuple):
    """Where a chunk of a PNG lies: 4 bytes of length, 4 of its name, its content, 4 of a checksum."""

    name: bytes
    start: int  # of its content
    end: int


def open_png(file: BinaryIO) -> Image.Image:
    """A PIL image of a PNG.

    Pillow refuses a PNG if one of its compressed texts or its colour profile has more than a megabyte
    (`MAX_TEXT_CHUNK`, of the whole process). So it gets the file without them, and the profile beside it.
    """
    long = list(long_chunks(file))
    file.seek(0)
    if not long:
        return Image.open(file, formats=("PNG",))
    data = file.read()
    image = Image.open(io.BytesIO(without(data, long)), formats=("PNG",))
    for chunk in long:
        if chunk.name == PROFILE:
            profile = inflated(chunk.name, data[chunk.start : chunk.end], MOST_PROFILE)
            if len(profile) > MOST_PROFILE:
                note("a picture's colour profile cannot be used; taken as sRGB")
            else:
                image.info["icc_profile"] = profile
    return image


def long_chunks(file: BinaryIO) -> Iterator[Chunk]:
    """The chunks for which Pillow would refuse a PNG, up to where it has too many texts in any case."""
    total = 0
    for chunk in chunks(file):
        if chunk.name not in (PROFILE, TEXT, INTERNATIONAL_TEXT) or total > MAX_TEXT_MEMORY:
            continue
        file.seek(chunk.start)
        content = file.read(chunk.end - chunk.start)
        length = len(inflated(chunk.name, content, MAX_TEXT_CHUNK))
        total += length
        if length > MAX_TEXT_CHUNK:
            yield chunk


def chunks(file: BinaryIO) -> Iterator[Chunk]:
    """All chunks of a PNG, as far as it goes."""
    place = len(SIGNATURE)
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        start = place + 8
        end = start + int.from_bytes(head[:4], "big")
        yield Chunk(head[4:], start, end)
        place = end + 4


def inflated(name: bytes, content: bytes, most: int) -> bytes:
    """What is compressed in a chunk, or one byte more than `most`; nothing if it is damaged."""
    _, _, body = content.partition(b"\0")  # a keyword comes first
    if name != INTERNATIONAL_TEXT:
        compressed = body[1:]  # behind the method
    elif body[:1] == b"\1":  # behind the method come its language and the translated keyword
        compressed = body[2:].partition(b"\0")[2].partition(b"\0")[2]
    else:
        return b""
    try:
        return zlib.decompressobj().decompress(compressed, most + 1)
    except zlib.error:
        return b""


def without(data: bytes, left_out: list[Chunk]) -> bytes:
    """A PNG without some of its chunks."""
    place, parts = 0, []
    for chunk in left_out:
        parts.append(data[place : chunk.start - 8])
        place = chunk.end + 4
    return b"".join([*parts, data[place:]])

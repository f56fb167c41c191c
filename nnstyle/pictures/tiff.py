"""TIFF: which of its pages is the picture, and which numbers are black and white."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from ..errors import InputError
from ..notes import note
from .formats import EXPORT_RAW

# How Pillow knows a TIFF, and its larger brother BigTIFF.
STARTS = (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+")
# Tags of TIFF 6.0, some by other names.
SUBFILE_TYPE, OLD_SUBFILE_TYPE, WIDTH, LENGTH, BITS, PHOTOMETRIC, SAMPLES = 254, 255, 256, 257, 258, 262, 277
MAX_SAMPLE, INNER_PAGES, SAMPLE_FORMAT, MAX_SAMPLE_OF_FORMAT = 281, 330, 339, 341
# Bits of SUBFILE_TYPE: a smaller version of another page; a mask for one; a map of its depths.
REDUCED, MASK, DEPTH = 1, 4, 8
OLD_REDUCED = 2
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1  # values of PHOTOMETRIC
SENSOR, LINEAR_RAW = 32803, 34892  # and those of raw files
SIGNED = 2  # a value of SAMPLE_FORMAT
COMPRESSION, PLANES, EXTRA_SAMPLES = 259, 284, 338
IN_PREMULTIPLIED_PLANES = 1, 2, 1  # their values: none, each channel for itself, colours multiplied by alpha

WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # TIFF's types, as `struct` knows them
MOST_PAGES, MOST_TAGS, MOST_NUMBERS = 1000, 1000, 64  # in a file, of a page, of a tag
DEEPEST = 16  # bits: more are taken for 16, as Pillow's 32-bit pictures mostly hold no more


@dataclass
class Page:
    """One of the pictures in a TIFF: where it is described, and its tags that are whole numbers.

    Attributes
    ----------
    place : int
        In the file, bytes.
    tags : dict
        The numbers of each tag.
    stored : dict
        Where the numbers of each tag are, and in which form.
    """

    place: int
    tags: dict[int, tuple[int, ...]] = field(default_factory=dict)
    stored: dict[int, tuple[int, str]] = field(default_factory=dict)

    def first(self, tag: int, default: int = 0) -> int:
        """The first number of a tag."""
        numbers = self.tags.get(tag)
        return numbers[0] if numbers else default

    @property
    def is_full(self) -> bool:
        """Whether it is a picture of its own: no thumbnail, no mask, no map of depths."""
        is_part = self.first(SUBFILE_TYPE) & (REDUCED | MASK | DEPTH)
        return not is_part and self.first(OLD_SUBFILE_TYPE) != OLD_REDUCED

    @property
    def pixels(self) -> int:
        """How many it has."""
        return self.first(WIDTH) * self.first(LENGTH)


class Pages:
    """The pages of a TIFF, as far as they can be read.

    Attributes
    ----------
    outer, inner : list of Page
        Those that follow each other, and those that belong to one of these: smaller versions, or in a
        camera's raw file the picture itself.
    """

    def __init__(self, file: BinaryIO):
        self.file, self.size = file, file.seek(0, io.SEEK_END)
        file.seek(0)
        start = file.read(4)
        self.order = "<" if start[:2] == b"II" else ">"
        self.is_big = b"+" in start
        self.pointer = "Q" if self.is_big else "I"
        self.first_pointer = 8 if self.is_big else 4  # where it stands where the first page is described
        self.seen: set[int] = set()
        self.outer: list[Page] = []
        place = self.number(self.first_pointer, self.pointer)
        while self.is_new(place):
            page, place = self.page(place)
            self.outer.append(page)
        inner = [place for page in self.outer for place in page.tags.get(INNER_PAGES, ())]
        self.inner = [self.page(place)[0] for place in inner if self.is_new(place)]

    def is_new(self, place: int) -> bool:
        """Whether there is a page at a place that has not been read yet."""
        return bool(place) and place not in self.seen and len(self.seen) < MOST_PAGES

    def page(self, place: int) -> tuple[Page, int]:
        """The page at a place, and the place of the next one.

        It is described by entries of a tag, a type, a count, and the numbers, or the place where they are if
        they need more room than a pointer.
        """
        self.seen.add(place)
        page = Page(place)
        count_form, entry_size = ("Q", 20) if self.is_big else ("H", 12)
        room = struct.calcsize(self.pointer)
        count = self.number(place, count_form)
        first = place + struct.calcsize(count_form)
        for entry in range(first, first + min(count, MOST_TAGS) * entry_size, entry_size):
            form = WHOLE_NUMBERS.get(self.number(entry + 2, "H"))
            if form is None:
                continue
            length = self.number(entry + 4, self.pointer)
            start = entry + 4 + room
            if length * struct.calcsize(form) > room:
                start = self.number(start, self.pointer)
            tag = self.number(entry, "H")
            page.tags[tag] = self.numbers(start, form, min(length, MOST_NUMBERS))
            page.stored[tag] = start, form
        return page, self.number(first + count * entry_size, self.pointer)

    def number(self, place: int, form: str) -> int:
        """The whole number at a place in the file; 0 where it has ended."""
        return next(iter(self.numbers(place, form)), 0)

    def numbers(self, place: int, form: str, count: int = 1) -> tuple[int, ...]:
        """Several of them; none where the file has ended."""
        if place >= self.size:
            return ()
        layout = self.order + str(count) + form
        self.file.seek(place)
        data = self.file.read(struct.calcsize(layout))
        return struct.unpack(layout, data) if len(data) == struct.calcsize(layout) else ()


def open_tiff(file: BinaryIO) -> Image.Image:
    """A PIL image of the picture in a TIFF: its first page or, if that is a thumbnail, the largest full one.

    Raises
    ------
    InputError
        If the picture is a sensor's raw data, or stored in a way that is not read here.
    """
    pages = Pages(file)
    if not pages.outer:
        raise UnidentifiedImageError
    page = choose_page(pages)
    if page.first(PHOTOMETRIC) in (SENSOR, LINEAR_RAW):
        raise InputError(EXPORT_RAW)
    white = white_level(page.first)
    if page.first(SAMPLES, 1) > 1 and white < (1 << min(page.first(BITS), DEEPEST)) - 1:
        raise InputError(
            f"its colours go from 0 to {white}, in {page.first(BITS)} bits: save it anew with 8 bits, from 0 to 255"
        )
    if (page.first(COMPRESSION), page.first(PLANES), page.first(EXTRA_SAMPLES)) == IN_PREMULTIPLIED_PLANES:
        raise not_read(page)  # Pillow would call it damaged
    is_inverted = page.first(PHOTOMETRIC, BLACK_IS_ZERO) == WHITE_IS_ZERO and page.first(BITS) > 8
    changes = {}
    if page is not pages.outer[0]:
        changes[pages.first_pointer] = struct.pack(pages.order + pages.pointer, page.place)
    if is_inverted:  # Pillow inverts 8 bits, ignores it with 16, and does not read it in every byte order
        place, form = page.stored[PHOTOMETRIC]
        changes[place] = struct.pack(pages.order + form, BLACK_IS_ZERO)
    try:
        image = Image.open(changed(file, changes), formats=("TIFF",))
    except UnidentifiedImageError:
        raise not_read(page) from None
    if is_inverted:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)
        image.tag_v2[PHOTOMETRIC] = WHITE_IS_ZERO
    return image


def not_read(page: Page) -> InputError:
    """What to raise for a page that Pillow does not decode."""
    return InputError(
        f"a TIFF with {page.first(SAMPLES, 1)} x {page.first(BITS, 1)} bits a pixel of this kind is not read"
        " here: save it anew as RGB with 8 bits, or as PNG"
    )


def choose_page(pages: Pages) -> Page:
    """The first page or, if that is a thumbnail, the largest full one."""
    first = pages.outer[0]
    if not first.is_full:
        everything = pages.outer + pages.inner
        return max([page for page in everything if page.is_full] or everything, key=lambda page: page.pixels)
    count = sum(page.is_full for page in pages.outer)
    if count > 1:
        note(f"a TIFF has {count} pages, of which the first is taken")
    return first


def changed(file: BinaryIO, changes: dict[int, bytes]) -> BinaryIO:
    """A file with other bytes at some places; the file itself if there are none."""
    file.seek(0)
    if not changes:
        return file
    copy = io.BytesIO(file.read())
    for place, data in changes.items():
        copy.seek(place)
        copy.write(data)
    return copy


def grey_range(image: Image.Image) -> tuple[float, float]:
    """Which values are black and white in a grey picture of more than 8 bits."""
    tags = getattr(image, "tag_v2", {})

    def first(tag: int, default: int = 0) -> int:
        value = tags.get(tag, default)
        return value[0] if isinstance(value, tuple) else value

    white = 1 if image.mode == "F" else white_level(first) if tags else (1 << DEEPEST) - 1
    return (white, 0) if first(PHOTOMETRIC, BLACK_IS_ZERO) == WHITE_IS_ZERO else (0, white)


def white_level(first: Callable[..., int]) -> int:
    """The largest sample that a page may have, by its tags: 12 bits are often stored as 16.

    Parameters
    ----------
    first : callable
        ``first(tag, default=0)``: the first number of a tag.
    """
    is_signed = first(SAMPLE_FORMAT, 1) == SIGNED
    bits = min(first(BITS, 1) - is_signed, DEEPEST)  # one of them is the sign
    named, measured = first(MAX_SAMPLE_OF_FORMAT), first(MAX_SAMPLE)
    depths = [int(named).bit_length()]
    if measured == (1 << int(measured).bit_length()) - 1:  # else it is the brightest sample there is
        depths.append(int(measured).bit_length())
    return (1 << min([depth for depth in depths if depth > 8] + [bits])) - 1

"""Saving a picture with its settings inside, whole or not at all."""

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from ..errors import InputError
from ..files import UNFINISHED, check_writable, write_beside, write_over
from ..notes import note
from . import deep
from .colour import on_white, srgb_profile
from .memory import is_lack_of_memory
from .preprocessing import in_8_bits

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
OPTIONS: dict[str, dict[str, Any]] = {
    "PNG": {"optimize": True},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},  # the colours of transparent pixels, too
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
# The same pixels in a larger file, with less memory.
PLAIN_OPTIONS: dict[str, dict[str, Any]] = OPTIONS | {
    "PNG": {"compress_level": 1},
    "WEBP": {
        "lossless": True,
        "exact": True,
        "method": 0,
        "quality": 0,
    },  # of what is lossless, quality is the effort
    "TIFF": {},
}
MOST_IN_JPEG = 65_000  # bytes of EXIF data: 64 KB
IMAGE_DESCRIPTION = 270  # the EXIF and TIFF tag
IN_16_BITS = {"PNG": deep.encode_png, "TIFF": deep.encode_tiff}
LEVEL, PLAIN_LEVEL = 6, 1  # of zlib, for those


def check_output(path: str | os.PathLike, bits: int = 8) -> None:
    """Raise InputError unless a picture can be written to `path`; to be called before the work.

    Parameters
    ----------
    path : path
    bits : int
        Of each channel, 8 or 16.
    """
    if format_of(path) not in IN_16_BITS and bits == 16:
        raise InputError(f"{path} cannot have 16 bits: choose a name that ends in .png or .tif, or 8 bits")
    check_writable(path)


def format_of(path: str | os.PathLike) -> str:
    """Pillow's name of the format that a file's ending chooses."""
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"the output must be a path, not {type(path).__name__}")
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise InputError(f"{path} must end in {', '.join(FORMATS)}, which chooses the format")
    return FORMATS[ending]


def has_transparency(path: str | os.PathLike) -> bool:
    """Whether the format that a file's ending chooses can have transparent parts."""
    return format_of(path) != "JPEG"


def check_no_input_is_replaced(output: str | os.PathLike, inputs: Iterable[object]) -> None:
    """Raise InputError if writing to `output` would replace one of the inputs.

    Files are compared, not their names, so that a link to an input counts as the input.

    Parameters
    ----------
    output : path
    inputs : iterable
        Paths; anything else (an array, None) is no file and cannot be replaced.
    """
    for path in inputs:
        if isinstance(path, (str, os.PathLike)) and is_same_file(output, path):
            raise InputError(f"the output {output} would replace an input: choose another name")


def is_same_file(a: str | os.PathLike, b: str | os.PathLike) -> bool:
    """Whether both paths lead to one file that exists."""
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):  # one of them is not there, or cannot be
        return False


def save_image(
    image: np.ndarray,
    path: str | os.PathLike,
    settings: dict[str, Any],
    plain: bool = False,
    replace: bool = True,
    private: bool = False,
    mark: str = UNFINISHED,
) -> Path:
    """Write a picture in the format that its ending names.

    Parameters
    ----------
    image : uint8 or uint16 array, shape (H, W, 3) or (H, W, 4)
        RGB in sRGB, or RGB and alpha. What the format cannot hold is left out with a note: 16 bits
        (PNG and TIFF have them), transparency (a JPEG gets white).
    path : path ending in .png, .jpg, .jpeg, .webp, .tif or .tiff
    settings : dict
        Stored as JSON: in PNG's text chunk "nnstyle", elsewhere as the image description.
    plain : bool
        Spend less memory on making the file small.
    replace : bool
        Whether an earlier file of this name is replaced. If not, and there is one, the picture goes
        beside it, with the same permissions: ``x-unfinished.png``.
    private : bool
        Let only its owner read a picture that replaces no other.
    mark : str
        What such a picture's name is marked with; "" counts up: ``x-2.png``.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    InputError
        For another ending.
    OSError
        If the file cannot be written. An earlier file of this name is then still there.
    MemoryError
        If there is not enough memory to encode the picture. Likewise.
    """
    data = encoded(image, format_of(path), settings, plain)
    if not replace:
        return write_beside(path, data, 0o600 if private else None, mark)
    return write_over(path, data)


def encoded(image: np.ndarray, format: str, settings: dict[str, Any], plain: bool) -> bytes:
    """The bytes of a picture's file. Pillow, writing to a full disk, might not notice it."""
    text = json.dumps(settings)
    if image.dtype == np.uint16:
        if format in IN_16_BITS:
            return IN_16_BITS[format](image, text, srgb_profile(), PLAIN_LEVEL if plain else LEVEL)
        note(f"a {format} has 8 bits: the 16 of the picture are rounded")
    picture = Image.fromarray(in_8_bits(image))
    if format == "JPEG" and picture.mode == "RGBA":
        note("a JPEG has no transparency: what was transparent is white")
        picture = on_white(picture)
    options = dict((PLAIN_OPTIONS if plain else OPTIONS)[format])
    options["icc_profile"] = srgb_profile()
    if format == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("nnstyle", text)
    else:
        if format == "JPEG" and len(text) > MOST_IN_JPEG:
            note(
                "the settings are too long for a JPEG, which is saved without: a PNG, WebP or TIFF holds them"
            )
            text = ""
        options["exif"] = Image.Exif()
        options["exif"][IMAGE_DESCRIPTION] = text
    return encoded_by_pillow(picture, format, **options)


def encoded_by_pillow(picture: Image.Image, format: str, **options: Any) -> bytes:
    """What Pillow would write to a file; MemoryError, and nothing else, where memory is lacking."""
    memory = io.BytesIO()
    try:
        picture.save(memory, format, **options)
    except OSError as error:
        if is_lack_of_memory(error):
            raise MemoryError from error
        raise
    return memory.getvalue()

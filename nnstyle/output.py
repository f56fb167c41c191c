"""Saving a picture with its settings inside, whole or not at all."""

import contextlib
import json
import os
from pathlib import Path

from PIL import Image, PngImagePlugin

from .errors import InputError

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}
OPTIONS = {
    "PNG": {"optimize": True},
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
IMAGE_DESCRIPTION = 270  # the EXIF and TIFF tag


def check_output(path):
    """Raise InputError unless a picture can be written to `path`: asked before the work."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path} must end in {', '.join(FORMATS)}, which chooses the format")
    check_writable(path)


def check_writable(path):
    """Raise InputError unless a file can be written to `path`, a Path: asked before the work."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder: name a file in it")
        if not path.parent.is_dir():
            raise InputError(f"the folder {path.parent} does not exist: create it first")
        with whole_file(path) as part:
            part.touch()
            part.unlink()  # so that nothing replaces `path`
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


def save_image(image, path, settings):
    """Write a picture in the format that its extension names.

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    path : path ending in .png, .jpg, .jpeg, .webp, .tif or .tiff
    settings : dict
        Stored as JSON: in PNG's text chunk "nnstyle", elsewhere as the image description.
    """
    picture, text = Image.fromarray(image), json.dumps(settings)
    format = FORMATS[Path(path).suffix.lower()]
    options = dict(OPTIONS[format])
    if format == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("nnstyle", text)
    else:
        options["exif"] = Image.Exif()
        options["exif"][IMAGE_DESCRIPTION] = text
    with whole_file(path) as part:
        picture.save(part, format, **options)


@contextlib.contextmanager
def whole_file(path):
    """Give a name to write to beside `path`, and put the file in its place when it is whole."""
    path = Path(os.path.realpath(path))  # a link stays a link
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        if part.exists():
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def free_name(path):
    """A name near `path` that no file has: for a picture that was not finished."""
    path = Path(path)
    candidate, number = path, 1
    while candidate.exists():
        ending = "-unfinished" if number == 1 else f"-unfinished-{number}"
        candidate, number = path.with_name(path.stem + ending + path.suffix), number + 1
    return candidate

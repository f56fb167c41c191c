"""Reading the settings that a picture carries inside. Anybody may have written them."""

import json
import os
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import InputError, shown
from .decode import complaints_about, open_file
from .limits import check_density
from .saving import FORMATS, IMAGE_DESCRIPTION

MOST_LETTERS, MOST_LEVELS = 1 << 20, 5  # of nnstyle's some thousand, and 3


def stored_settings(path: str | os.PathLike) -> dict[str, Any]:
    """The settings with which a picture was painted, as `nnstyle.pictures.save_image` stored them.

    Parameters
    ----------
    path : path of a PNG, JPEG, WebP or TIFF file

    Returns
    -------
    dict
        What `nnstyle.Job.describe` told: fields of `nnstyle.Settings`, as JSON has them (lists, not tuples), and
        the names and SHA-256 sums of pictures and network. Nothing of it is checked: a file may say anything.

    Raises
    ------
    InputError
        If there is no such file, it is no picture in one of these formats, or has no settings inside.
    """
    return settings_and_size(path)[0]


def settings_and_size(path: str | os.PathLike) -> tuple[dict[str, Any], tuple[int, int]]:
    """`stored_settings`, and the picture's width and height, px."""
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"settings are stored in a picture's file: give its path, not {shown(path)}")
    path = Path(path)
    formats = tuple(set(FORMATS.values()))
    with open_file(path) as file, complaints_about(path), Image.open(file, formats=formats) as image:
        check_density(image, file.size)
        return parse(stored_text(image)), image.size


def stored_text(image: Image.Image) -> Any:
    """What stands where we store settings, or None. Only a PNG that another program wrote is decoded for it."""
    if image.format != "PNG":
        return image.getexif().get(IMAGE_DESCRIPTION)
    text = image.info.get("nnstyle")
    return text if text is not None else getattr(image, "text", {}).get("nnstyle")


def parse(text: Any) -> dict[str, Any]:
    """The settings in a text."""
    if not isinstance(text, str) or not text.startswith("{"):  # a camera may describe a picture, too
        raise InputError("there are no settings of nnstyle in it")
    if len(text) > MOST_LETTERS:
        raise InputError("the settings in it are far longer than any of nnstyle's")
    try:
        stored = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError("the settings in it are damaged") from None
    if not is_shallow(stored):
        raise InputError("the settings in it are nested deeper than any of nnstyle's")
    return dict(stored)


def is_shallow(value: Any, levels: int = MOST_LEVELS) -> bool:
    """Whether a value has no more levels of lists and dicts."""
    if not isinstance(value, (list, dict)):
        return True
    parts = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(is_shallow(part, levels - 1) for part in parts)

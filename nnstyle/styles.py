"""Style images."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from .errors import InputError


@dataclass(frozen=True, eq=False)
class Style:
    """One painting.

    Attributes
    ----------
    image : path, PIL image, or array
        As for `nnstyle.pictures.load_image`.
    """

    image: Any


def as_styles(styles: Any) -> list[Style]:
    """Return the styles given, a single one or a list, as a list of `Style`.

    Raises
    ------
    InputError
        If there is none, or more than one: several are not supported yet.
    """
    single = isinstance(styles, (str, os.PathLike, Style, Image.Image, np.ndarray))
    if not single and not isinstance(styles, Sequence):
        raise InputError(f"a style is a path, a picture or an array, or a list of them, not {styles!r:.100}")
    found = [styles] if single else list(styles)
    if len(found) != 1:
        raise InputError(f"give one style, not {len(found)}: several in one picture are not supported yet")
    return [style if isinstance(style, Style) else Style(style) for style in found]

"""Style images."""

import contextlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from PIL import Image

from .errors import InputError, shown
from .pictures import SMALLEST, pictures_in
from .settings import MOST_STYLE_SCALE, Settings

MOST_STYLES = 1000
MOST_WEIGHT = 1e9


@dataclass(frozen=True, eq=False)
class Style:
    """One painting, or the paintings in a folder.

    Attributes
    ----------
    image : path, bytes, open file, PIL image, or array
        As for `nnstyle.pictures.load_image`. A folder counts as one style: all pictures in it share its
        weight equally.
    weight : float
        Its share beside other styles: only the ratios of weights count.
    scale : float
        Size of the painting relative to the picture, times the setting ``style_scale``: half of it gives
        strokes half as large.
    mask : path, PIL image, or array, optional
        Where the picture is painted in this style: a picture of the photograph's shape, white where it
        is, black where not, grey for soft edges. Where no style is, the photograph stays.

    Raises
    ------
    InputError
        If the weight is not above 0 and at most 1e9, or the scale not above 0 and at most 100.
    """

    image: Any
    weight: float = 1.0
    scale: float = 1.0
    mask: Any = None

    def __post_init__(self) -> None:
        weight, scale = self.weight, self.scale
        if not is_number(weight) or not 0 < weight <= MOST_WEIGHT:
            raise InputError(f"the weight of a style must be above 0 and at most 1e9, not {shown(weight)}")
        if not is_number(scale) or not 0 < scale <= MOST_STYLE_SCALE:
            raise InputError(f"the scale of a style must be above 0 and at most 100, not {shown(scale)}")
        object.__setattr__(self, "weight", float(weight))  # the way round `frozen`
        object.__setattr__(self, "scale", float(scale))

    def size(self, settings: Settings) -> int:
        """The painting's long edge for a picture of the size in the settings, px."""
        return round(settings.size * settings.style_scale * self.scale)

    def size_at(self, scale: Settings) -> int:
        """The same at one of several scales, where `image` is an array: its short edge keeps 32 px."""
        height, width = self.image.shape[:2]
        least = math.ceil(SMALLEST * max(height, width) / min(height, width))
        return max(self.size(scale), least)


def is_number(value: Any) -> bool:
    """Whether a value is a finite real number."""
    with contextlib.suppress(OverflowError):  # an int of hundreds of digits
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    return False


def as_styles(styles: Any) -> list[Style]:
    """Return the styles given, a single one or several, as a list of `Style`, one for each painting.

    A folder becomes one style for each picture in it. Its weight is shared out among them, so that their
    weighted mean is that of the folder.

    Raises
    ------
    InputError
        If there is none, or more than 1000, or a folder that has no pictures.
    """
    single = isinstance(
        styles, (str, os.PathLike, bytes, bytearray, memoryview, Style, Image.Image, np.ndarray)
    )
    single = single or hasattr(styles, "read")  # an open file
    if not single and not isinstance(styles, Sequence):
        raise InputError(f"a style is a path, a picture or an array, or a list of them, not {shown(styles)}")
    given = [styles] if single else list(styles)
    paintings: list[Style] = []
    for style in given:
        style = style if isinstance(style, Style) else Style(style)
        paintings += each_painting(style)
    if not 1 <= len(paintings) <= MOST_STYLES:
        raise InputError(f"give from 1 to {MOST_STYLES} styles, not {len(paintings)}")
    return paintings


def each_painting(style: Style) -> list[Style]:
    """The style itself, or one for each picture in its folder."""
    image = style.image
    if not (isinstance(image, (str, os.PathLike)) and os.path.isdir(image)):
        return [style]
    paths = pictures_in(image)
    return [replace(style, image=path, weight=style.weight / len(paths)) for path in paths]

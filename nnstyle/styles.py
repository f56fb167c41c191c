"""Style images."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from PIL import Image

from .errors import InputError, shown
from .pictures import SMALLEST
from .settings import MOST_STYLE_SCALE, Settings


@dataclass(frozen=True, eq=False)
class Style:
    """One painting.

    Attributes
    ----------
    image : path, PIL image, or array
        As for `nnstyle.pictures.load_image`.
    scale : float
        Size of the painting relative to the picture, times the setting ``style_scale``: half of it gives
        strokes half as large.

    Raises
    ------
    InputError
        If the scale is not a number above 0, and at most 100.
    """

    image: Any
    scale: float = 1.0

    def __post_init__(self) -> None:
        scale = self.scale
        if not isinstance(scale, Real) or isinstance(scale, bool) or not 0 < scale <= MOST_STYLE_SCALE:
            raise InputError(f"the scale of a style must be above 0 and at most 100, not {shown(scale)}")
        object.__setattr__(self, "scale", float(scale))  # the way round `frozen`

    def size(self, settings: Settings) -> int:
        """The painting's long edge for a picture of the size in the settings, px."""
        return round(settings.size * settings.style_scale * self.scale)

    def size_at(self, scale: Settings) -> int:
        """The same at one of several scales, where `image` is an array: its short edge keeps 32 px."""
        height, width = self.image.shape[:2]
        least = math.ceil(SMALLEST * max(height, width) / min(height, width))
        return max(self.size(scale), least)


def as_styles(styles: Any) -> list[Style]:
    """Return the styles given, a single one or a list, as a list of `Style`.

    Raises
    ------
    InputError
        If there is none, or more than one: several are not supported yet.
    """
    single = isinstance(styles, (str, os.PathLike, Style, Image.Image, np.ndarray))
    if not single and not isinstance(styles, Sequence):
        raise InputError(f"a style is a path, a picture or an array, or a list of them, not {shown(styles)}")
    found = [styles] if single else list(styles)
    if len(found) != 1:
        raise InputError(f"give one style, not {len(found)}: several in one picture are not supported yet")
    return [style if isinstance(style, Style) else Style(style) for style in found]

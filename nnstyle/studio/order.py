"""What the page asks for: which pictures, which settings. From it comes an `nnstyle.Job`."""

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any, TypeGuard

from ..errors import InputError, shown
from ..job import Job, prepare
from ..settings import BETA_PER_PIXEL, BETA_PER_PIXEL_FROM_NOISE, INITIAL_IMAGES, Settings
from ..styles import Style
from ..weights import Weights
from .folder import Folder

MOST_STYLES = 8
MOST_ITERATIONS = 2000
PICTURE_ID = re.compile("[0-9a-f]{64}")  # a SHA-256
# The settings that the page has a control for. All others keep their defaults.
SETTINGS = "size", "iterations", "scales", "style_scale", "beta_per_pixel", "colour", "seed"
# Factors of the style weight and the style scale for "more like this": places of the page's sliders.
LESS, MORE, FINER = 0.5, 2.0, 2**-0.75


@dataclass(frozen=True)
class Order:
    """A picture to be painted.

    Attributes
    ----------
    content : str
        Id of the photograph.
    styles : tuple of (str, float)
        Id and weight of each painting.
    settings : Settings
        Without the initial image.
    init : str
        One of `INITIAL_IMAGES`, or the id of a picture.
    mask : str, optional
        Id of a picture: one mask for all paintings.
    """

    content: str
    styles: tuple[tuple[str, float], ...]
    settings: Settings
    init: str = "recoloured"
    mask: str | None = None

    @classmethod
    def parse(cls, data: Any) -> "Order":
        """The order in what a page has sent, or a file tells.

        Raises
        ------
        InputError
            If anything in it cannot be used.
        """
        if not isinstance(data, dict):
            raise InputError("an order is an object of JSON")
        unknown = set(data) - {"content", "styles", "mask", "init", *SETTINGS}
        if unknown:
            raise InputError(f"an order has no {shown(min(unknown))}")
        styles = data.get("styles")
        if not isinstance(styles, list) or not 1 <= len(styles) <= MOST_STYLES:
            raise InputError(f"choose from 1 to {MOST_STYLES} paintings")
        init = data.get("init", "recoloured")
        if init not in INITIAL_IMAGES:
            init = picture_id(init)
        mask = data.get("mask")
        settings = Settings(**{name: data[name] for name in SETTINGS if name in data})
        if settings.iterations > MOST_ITERATIONS:
            raise InputError(f"the page paints at most {MOST_ITERATIONS} iterations")
        return cls(
            picture_id(data.get("content")),
            tuple(parse_style(style) for style in styles),
            settings,
            init,
            None if mask is None else picture_id(mask),
        )

    def as_json(self) -> dict[str, Any]:
        """What `parse` makes an equal order of."""
        return {
            "content": self.content,
            "styles": [{"picture": picture, "weight": weight} for picture, weight in self.styles],
            "mask": self.mask,
            "init": self.init,
        } | {name: getattr(self.settings, name) for name in SETTINGS}

    def pictures(self) -> set[str]:
        """The ids of all pictures that it needs."""
        needed = {self.content, *(picture for picture, _ in self.styles)}
        if self.mask is not None:
            needed.add(self.mask)
        if self.init not in INITIAL_IMAGES:
            needed.add(self.init)
        return needed

    def changed(self, **settings: Any) -> "Order":
        """The same with other settings."""
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, **settings))

    def started_from(self, picture: str) -> "Order":
        """The same with a picture as its initial image."""
        return dataclasses.replace(self, init=picture)

    def beta_per_pixel(self, weights: Weights) -> float:
        """The style weight of each pixel, also where it was left open."""
        given = self.settings.beta_per_pixel
        return usual_beta(weights, self.init) if given is None else given

    def variations(self, weights: Weights) -> list["Order"]:
        """Three pictures like this one: less and more painting, and finer strokes or another noise."""
        beta = self.beta_per_pixel(weights)
        third = self.changed(style_scale=FINER * self.settings.style_scale)
        if self.init == "noise":
            third = self.changed(seed=self.settings.seed + 1)
        return [self.changed(beta_per_pixel=LESS * beta), self.changed(beta_per_pixel=MORE * beta), third]

    def prepare(self, folder: Folder, weights: Weights) -> Job:
        """The job of this order.

        Raises
        ------
        InputError
            If a picture is not there any more, or they cannot be painted with these settings.
        """
        names = {picture: folder.picture(picture).name for picture in self.pictures()}
        paths = {picture: str(folder.picture(picture).path) for picture in names}
        init = paths.get(self.init, self.init)
        mask = None if self.mask is None else paths[self.mask]
        styles = [Style(paths[picture], weight, mask=mask) for picture, weight in self.styles]
        settings = dataclasses.replace(self.settings, init=init)
        try:
            job = prepare(paths[self.content], styles, weights, settings)
        except InputError as error:
            raise InputError(for_the_page(str(error), {paths[id]: names[id] for id in names})) from None
        # The files are named by their contents. A picture tells the names that its user knows.
        style_names = tuple(names[picture] for picture, _ in self.styles)
        return dataclasses.replace(job, content_name=names[self.content], style_names=style_names)


def parse_style(data: Any) -> tuple[str, float]:
    """Id and weight of a painting."""
    if not isinstance(data, dict) or set(data) - {"picture", "weight"}:
        raise InputError("a painting is an object with picture and weight")
    style = Style(picture_id(data.get("picture")), data.get("weight", 1.0))
    return style.image, style.weight


def picture_id(value: Any) -> str:
    """A value, if it can be the id of a picture."""
    if not isinstance(value, str) or not PICTURE_ID.fullmatch(value):
        raise InputError(f"{shown(value)} is no picture's id")
    return value


def usual_beta(weights: Weights, init: str) -> float:
    """The default style weight for each pixel."""
    if init == "noise":
        return BETA_PER_PIXEL_FROM_NOISE
    return BETA_PER_PIXEL if weights.beta_per_pixel is None else weights.beta_per_pixel


def for_the_page(message: str, names: dict[str, str]) -> str:
    """A message of the package with the user's names in place of paths, and settings in place of options."""
    for path, name in names.items():
        message = message.replace(path, name)
        message = message.replace(path.rpartition("/")[2], name)
    return message.replace("--", "")


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value of JSON is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

"""``--like``: paint a picture again with the settings that it carries inside, and say what differs now."""

import argparse
import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.tiles import SMALLEST_TILE
from ..errors import InputError, shown
from ..job import Job, digest, load_content, load_initial, load_mask, load_resized
from ..notes import heard_by, note
from ..pictures.saving import is_same_file
from ..settings import INITIAL_IMAGES, Settings
from ..styles import Style
from ..version import __version__
from ..weights import load_weights
from ..weights.loading import printable
from .painted import MADE_OF, NAMES, REST, Painted, known_weights

SAMPLES = Path(__file__).parents[1] / "samples"
# How to give what is not found.
PICTURES = "give the pictures, --like PICTURE CONTENT STYLE"
OPTIONS = {
    "network": "give it with --weights",
    "folder": "give it with --rescale-over",
    "initial image": "give it with --init",
    "mask": "give it with --mask",
}


class Like(Painted):
    """A picture that is to be painted again. It is made of what `Painted` is made of."""

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        self.digests_of_photograph = functools.cache(digests_of_photograph)
        self.digest_of_painting = functools.cache(digest_of_painting)
        self.digest_of_fitted = functools.cache(digest_of_fitted)

    @functools.cached_property
    def styles(self) -> list[Style]:
        """The paintings that are stored, with the names of their files and masks in place of pictures.

        Raises
        ------
        InputError
            If their weights or scales cannot be used.
        """
        columns = [self.column(name) for name in ("style", "style_weights", "style_scales", "mask")]
        with self.complaints():
            return [
                Style(name, 1.0 if weight is None else weight, 1.0 if scale is None else scale, mask)
                for name, weight, scale, mask in zip(*columns, strict=True)
            ]

    def column(self, name: str) -> list:
        """What is stored of each painting under a name, None where there is nothing."""
        count = len(listed(self.stored.get("style"))) or 1
        return (listed(self.stored.get(name)) + [None] * count)[:count]

    def fill_in(self, arguments: argparse.Namespace) -> None:
        """Add what is stored to the arguments of a command line, where they were not given."""
        self.fill_in_files(arguments)
        tile = self.stored.get("tile")
        if arguments.tile is None and is_tile(tile) and self.has_same_canvas(arguments):
            arguments.tile = tile  # rounding is the same then
        for name, value in self.wanted(arguments).items():
            if value is not None and not hasattr(arguments, name):
                setattr(arguments, name, value)

    def fill_in_files(self, arguments: argparse.Namespace) -> None:
        """Find the files that are named in the picture and were not given."""
        if arguments.content is None:
            name = self.stored.get("content")
            arguments.content = self.find_picture("photograph", name, self.is_photograph)
        if not arguments.styles:
            arguments.styles = [
                self.find_picture("painting", style.image, functools.partial(self.is_painting, number))
                for number, style in enumerate(self.styles)
            ]
        if arguments.weights is None:
            name = self.stored.get("weights_file") or self.stored.get("weights")
            arguments.weights = known_weights(self.stored) or self.find("network", name)
        if self.settings.rescale_over is not None and not hasattr(arguments, "rescale_over"):
            arguments.rescale_over = self.find("folder", self.settings.rescale_over, os.path.isdir)
        if self.settings.init not in INITIAL_IMAGES and not hasattr(arguments, "init"):
            arguments.init = self.find("initial image", self.settings.init)

    def completed(self, styles: list[Style], arguments: argparse.Namespace) -> list[Style]:
        """The paintings with the weights, scales and masks that are stored, if there are as many."""
        if len(styles) != len(self.styles):
            return styles
        found = []
        for style, stored, mask_sum in zip(styles, self.styles, self.column("mask_sha256"), strict=True):
            weight = stored.weight if arguments.style_weights is None else style.weight
            mask = style.mask
            if arguments.mask is None and (stored.mask or mask_sum):
                mask = self.find("mask", stored.mask)
            found.append(replace(style, weight=weight, scale=stored.scale, mask=mask))
        return found

    def wanted(self, arguments: argparse.Namespace) -> dict[str, Any]:
        """The settings by their names, as far as they go together with those that were given.

        What was left open is left open again: another size gets the scales and the beta that suit it.
        """
        values = {name: getattr(self.settings, name) for name in NAMES}
        if self.settings.transparency == Settings.transparency:
            del values["transparency"]  # the output's format may have none
        known = known_weights(self.stored)
        if known:  # of others it is not known here what they state
            for name in self.usual(load_weights(known) if known == "pocket" else None):
                del values[name]
        if getattr(arguments, "style_layers", self.settings.style_layers) != self.settings.style_layers:
            values.pop("layer_weights", None)  # one for each of the layers
        if getattr(arguments, "optimizer", self.settings.optimizer) != self.settings.optimizer:
            values.pop("learning_rate", None)  # each has its own, or none
        if "optimizer" not in self.not_default() and self.may_suit_no_more(arguments):
            del values["optimizer"]
        if hasattr(arguments, "beta") or hasattr(arguments, "beta_per_pixel"):
            values.pop("beta", None)
        elif values.get("beta") is not None and not self.has_same_canvas(arguments):
            values |= {"beta": None, "beta_per_pixel": self.beta_per_pixel}
        return values

    def may_suit_no_more(self, arguments: argparse.Namespace) -> bool:
        """Whether an optimizer that was left open may be another now: it depends on the size and the bounds.

        Our own L-BFGS on a processor was chosen for the size, and then remembers fewer steps than if it is asked for.
        """
        for_size = self.settings.optimizer != "lbfgs" and self.stored.get("device", "cpu") == "cpu"
        return for_size or hasattr(arguments, "bounded") or not self.has_same_canvas(arguments)

    def has_same_canvas(self, arguments: argparse.Namespace) -> bool:
        """Whether as many pixels are painted as then, so that beta means the same."""
        if hasattr(arguments, "size") or hasattr(arguments, "border"):
            return False
        return self.is_photograph(arguments.content)

    def is_photograph(self, path: str) -> bool:
        """Whether a file is the photograph, in its pixels."""
        stored = self.stored.get("content_sha256"), self.stored.get("alpha_sha256")
        return self.digests_of_photograph(path, self.settings) == stored

    def is_painting(self, number: int, path: str) -> bool:
        """Whether a file is the painting of this number."""
        size = self.styles[number].size(self.settings)
        return self.digest_of_painting(path, size) == self.column("style_sha256")[number]

    def find_picture(self, what: str, name: Any, is_it: Callable[[str], bool]) -> str:
        """The path of a photograph or painting: of several that have its name, the one with its pixels."""
        places = self.places(name, os.path.isfile)
        for path in (*places, *places_in([SAMPLES], name)):
            if os.path.isfile(path) and is_it(path):
                return path
        return self.first(places, what, name)

    def find(self, what: str, name: Any, exists: Callable[[str], bool] = os.path.isfile) -> str:
        """The path of another file, or of a folder."""
        return self.first(self.places(name, exists), what, name)

    def places(self, name: Any, exists: Callable[[str], bool]) -> list[str]:
        """Where there is something of this name: beside the picture and in the current folder, nowhere else."""
        paths = places_in([self.path.parent, Path()], name)
        return [path for path in paths if exists(path) and not is_same_file(path, self.path)]

    def first(self, places: list[str], what: str, name: Any) -> str:
        """The first of the places; InputError if there is none."""
        if places:
            return places[0]
        how = OPTIONS.get(what, PICTURES)
        if not name:
            raise InputError(f"{self.path} does not name its {what}: {how}")
        where = f"neither beside {self.path} nor in the current folder"
        raise InputError(f"the {what} {shown(name)} is {where}: {how}")

    def note_differences(self, content: str, styles: list[Style], job: Job, device: str) -> None:
        """Say what is not as it was when the picture was painted, whatever was given on the command line."""
        pictures = self.other_pictures(content, styles, job.settings.init)
        for difference in dict.fromkeys([*pictures, *self.other_circumstances(job, device)]):  # each once
            note(difference)

    def other_pictures(self, content: str, styles: list[Style], init: str) -> Iterator[str]:
        """What differs in the pictures, by their pixels at the size that they had."""
        if not self.is_photograph(content):
            yield f"{content} is not the photograph of {self.path}, or has changed"
        if init not in INITIAL_IMAGES and self.is_other(
            load_initial, init, content, self.stored.get("init_sha256")
        ):
            yield f"{init} is not the initial image of {self.path}, or has changed"
        if len(styles) != len(self.styles):
            lost_masks = any(self.column("mask_sha256")) and not any(style.mask for style in styles)
            now, then = in_paintings(len(styles)), in_paintings(len(self.styles))
            yield f"{self.path} was painted from {then}, this is from {now}{', without its masks' * lost_masks}"
            return
        for number, (style, mask_sha256) in enumerate(zip(styles, self.column("mask_sha256"), strict=True)):
            if not self.is_painting(number, style.image):
                yield f"{style.image} is not the painting of {self.path}, or has changed"
            if style.mask and self.is_other(load_mask, style.mask, content, mask_sha256):
                was_other = "is not the mask of" if mask_sha256 else "is a mask, and there was none in"
                yield f"{style.mask} {was_other} {self.path}{', or has changed' if mask_sha256 else ''}"

    def is_other(self, load: Callable[..., np.ndarray], path: str, content: str, sha256: Any) -> bool:
        """Whether a mask or an initial image, brought to the photograph's size, has other pixels."""
        return self.digest_of_fitted(load, path, content, self.settings) != sha256

    def other_circumstances(self, job: Job, device: str) -> Iterator[str]:
        """What else differs."""
        stored = self.stored
        if job.weights.sha256 != stored.get("weights_sha256"):
            yield f"the network {job.weights.name} is not that of {self.path}, or has changed"
        for how, name, now in (("by nnstyle", "nnstyle", __version__), ("on", "device", device)):
            if stored.get(name) != now:
                then = (
                    printable(stored[name]) if isinstance(stored.get(name), str) else "what it does not say"
                )
                yield f"{self.path} was painted {how} {then}, this is {now}"
        if stored.get("terms"):
            yield f"{self.path} was painted with losses of its author's own, which are not stored"
        if stored.get("unfinished"):
            yield f"{self.path} is unfinished: this paints it to the end"
        unknown = [name for name in stored if name not in (*MADE_OF, *NAMES, *REST)]
        if unknown:
            yield f"{self.path} has settings that this version does not know: {shown(unknown)}"


def in_paintings(count: int) -> str:
    """A number of paintings in words."""
    return "1 painting" if count == 1 else f"{count} paintings"


def is_tile(value: Any) -> bool:
    """Whether this is the length of a tile."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= SMALLEST_TILE


def listed(value: Any) -> list:
    """One or several as a list; None is none. Earlier versions had one painting, and stored its name alone."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def places_in(folders: list[Path], name: Any) -> list[str]:
    """Paths of a file in folders, by its name alone: what a picture stores must lead nowhere else."""
    base = os.path.basename(name) if isinstance(name, str) else ""
    return [] if base in ("", ".", "..") else [str(folder / base) for folder in folders]


def digests_of_photograph(path: str, settings: Settings) -> tuple[str | None, str | None]:
    """SHA-256 of a photograph's pixels and of its alpha channel, None where there is none."""
    colours, alpha = quietly(lambda: load_content(path, settings)) or (None, None)
    return digest_if(colours), digest_if(alpha)


def digest_of_painting(path: str, size: int) -> str | None:
    """The same of a painting."""
    return digest_if(quietly(lambda: load_resized(path, size)))


def digest_of_fitted(
    load: Callable[..., np.ndarray], path: str, content: str, settings: Settings
) -> str | None:
    """The same of what is brought to the photograph's size: a mask, an initial image."""
    return digest_if(quietly(lambda: load(path, load_content(content, settings)[0])))


def digest_if(pixels: np.ndarray | None) -> str | None:
    """SHA-256 of pixels, if there are any."""
    return None if pixels is None else digest(pixels)


def quietly(load: Callable[[], Any]) -> Any:
    """What a function loads, or None if it cannot. What is to be said is said when it is loaded to be painted."""
    with heard_by(lambda message: None):
        try:
            return load()
        except InputError:
            return None

"""``--like``: paint a picture again with the settings that it carries inside, and say what differs now."""

import argparse
import functools
import itertools
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError, shown
from ..job import Job, digest, load_resized
from ..notes import heard_by, note
from ..pictures.saving import is_same_file
from ..styles import Style
from ..version import __version__
from ..weights import load_weights
from ..weights.loading import printable
from .painted import MADE_OF, NAMES, REST, Painted, known_weights, listed

SAMPLES = Path(__file__).parents[1] / "samples"
# How to give what is not found.
PICTURES = "give the pictures, --like PICTURE CONTENT STYLE"
OPTIONS = {"network": "give it with --weights", "folder": "give it with --rescale-over"}


class Original(NamedTuple):
    """What a picture tells of its photograph, or of a painting: unchecked, but for the size.

    Attributes
    ----------
    name : str
        Of its file, without a folder.
    sha256 : str
        Of its pixels when its long edge has `size` px.
    size : int
    """

    name: Any
    sha256: Any
    size: int


class Like(Painted):
    """A picture that is to be painted again. It is made of what `Painted` is made of."""

    def __init__(self, path: str | os.PathLike):
        super().__init__(path)
        self.digest = functools.cache(pixel_digest)

    def fill_in(self, arguments: argparse.Namespace) -> None:
        """Add what is stored to the arguments of a command line, where they were not given."""
        self.fill_in_files(arguments)
        for name, value in self.wanted(arguments).items():
            if value is not None and not hasattr(arguments, name):
                setattr(arguments, name, value)

    def fill_in_files(self, arguments: argparse.Namespace) -> None:
        """Find the files that are named in the picture and were not given."""
        if arguments.content is None:
            arguments.content = self.find_picture("photograph", self.photograph)
        if arguments.style is None:
            found = [self.find_picture("painting", painting) for painting in self.paintings]
            arguments.style = found[0] if len(found) == 1 else found
        if arguments.weights is None:
            name = self.stored.get("weights_file") or self.stored.get("weights")
            arguments.weights = known_weights(self.stored) or self.find("network", name, os.path.isfile)
        if self.settings.rescale_over is not None and not hasattr(arguments, "rescale_over"):
            arguments.rescale_over = self.find("folder", self.settings.rescale_over, os.path.isdir)

    def wanted(self, arguments: argparse.Namespace) -> dict[str, Any]:
        """The settings by their names, as far as they go together with those that were given.

        What was left open is left open again: another size gets the scales and the beta that suit it.
        """
        values = {name: getattr(self.settings, name) for name in NAMES}
        known = known_weights(self.stored)
        if known:  # of others it is not known here what they state
            for name in self.usual(load_weights(known) if known == "pocket" else None):
                del values[name]
        if getattr(arguments, "style_layers", self.settings.style_layers) != self.settings.style_layers:
            values.pop("layer_weights", None)  # one for each of the layers
        if hasattr(arguments, "beta") or hasattr(arguments, "beta_per_pixel"):
            values.pop("beta", None)
        elif values.get("beta") is not None and not self.has_same_canvas(arguments):
            values |= {"beta": None, "beta_per_pixel": self.beta_per_pixel}
        return values

    def has_same_canvas(self, arguments: argparse.Namespace) -> bool:
        """Whether as many pixels are painted as then, so that beta means the same."""
        if hasattr(arguments, "size") or hasattr(arguments, "border"):
            return False
        return self.is_it(arguments.content, self.photograph)

    @property
    def photograph(self) -> Original:
        """What is stored of the photograph."""
        return Original(self.stored.get("content"), self.stored.get("content_sha256"), self.settings.size)

    @property
    def paintings(self) -> list[Original]:
        """What is stored of the paintings, one or more."""
        names, sums, scales = (
            listed(self.stored.get(key)) for key in ("style", "style_sha256", "style_scale")
        )
        unscaled = replace(self.settings, style_scale=1.0)
        return [
            Original(name, sha256, Style(name, scale=1.0 if scale is None else scale).size(unscaled))
            for name, sha256, scale in itertools.zip_longest(names or [None], sums, scales)
        ]

    def is_it(self, path: str, original: Original) -> bool:
        """Whether a file is that picture."""
        return self.digest(path, original.size) == original.sha256

    def find_picture(self, what: str, original: Original) -> str:
        """The path of a photograph or painting: of several that have its name, the one with its pixels."""
        places = self.places(original.name, os.path.isfile)
        for path in (*places, *places_in([SAMPLES], original.name)):
            if os.path.isfile(path) and self.is_it(path, original):
                return path
        return self.first(places, what, original.name)

    def find(self, what: str, name: Any, exists: Callable[[str], bool]) -> str:
        """The path of a file or folder."""
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

    def note_differences(self, arguments: argparse.Namespace, job: Job, device: str) -> None:
        """Say what is not as it was when the picture was painted, whatever was given on the command line."""
        for difference in self.differences(arguments, job, device):
            note(difference)

    def differences(self, arguments: argparse.Namespace, job: Job, device: str) -> list[str]:
        """The same as a list of short sentences."""
        stored, found = self.stored, []
        if not self.is_it(arguments.content, self.photograph):
            found.append(f"{arguments.content} is not the photograph of {self.path}, or has changed")
        for path, painting in itertools.zip_longest(listed(arguments.style), self.paintings):
            if path and not (painting and self.is_it(path, painting)):
                found.append(f"{path} is not the painting of {self.path}, or has changed")
        if job.weights.sha256 != stored.get("weights_sha256"):
            found.append(f"the network {job.weights.name} is not that of {self.path}, or has changed")
        for how, name, now in (("by nnstyle", "nnstyle", __version__), ("on", "device", device)):
            if stored.get(name) != now:
                then = stored[name] if isinstance(stored.get(name), str) else "unknown"
                found.append(f"{self.path} was painted {how} {printable(then)}, this is {now}")
        if stored.get("terms"):
            found.append(f"{self.path} was painted with losses of its author's own, which are not stored")
        if stored.get("unfinished"):
            found.append(f"{self.path} is unfinished: this paints it to the end")
        unknown = [name for name in stored if name not in (*MADE_OF, *NAMES, *REST)]
        if unknown:
            found.append(f"{self.path} has settings that this version does not know: {shown(unknown)}")
        return found


def places_in(folders: list[Path], name: Any) -> list[str]:
    """Paths of a file in folders, by its name alone: what a picture stores must lead nowhere else."""
    base = os.path.basename(name) if isinstance(name, str) else ""
    return [] if base in ("", ".", "..") else [str(folder / base) for folder in folders]


def pixel_digest(path: str, size: int) -> str:
    """SHA-256 of a picture's pixels at a size, "" if it is none. What is to be said of it is said when it is painted."""
    with heard_by(lambda message: None):
        try:
            return digest(load_resized(path, size))
        except InputError:
            return ""

"""A picture that nnstyle has painted, and the settings that it carries inside, checked."""

import contextlib
import functools
import math
import os
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..optimizers import usual_for_size
from ..pictures.saving import FORMATS, has_transparency
from ..pictures.stored import settings_and_size
from ..settings import Settings
from ..weights import Weights, load_weights
from ..weights.known import KNOWN

NAMES = [field.name for field in fields(Settings)]
# What is stored beside the fields of `Settings`.
MADE_OF = [
    *("content", "content_sha256", "alpha_sha256", "style", "style_sha256", "style_scales", "style_weights"),
    *("mask", "mask_sha256", "init_sha256", "weights", "weights_file", "weights_sha256"),
]
REST = ["preprocessing_reason", "terms", "losses", "unfinished", "device", "tile", "nnstyle"]
ASKED = "size", "iterations", "scales", "beta"  # of an unfinished picture: what the finished one was to have
# Settings that depend on others, or on the network, where they are left open.
LEFT_OPEN: dict[str, Any] = dict.fromkeys(("scales", "learning_rate", "beta", "layer_weights", "pooling"))
OLDER = {"grain": 0.0}  # what older versions, which had no such setting, painted with
BY_USER = "given by the user"  # why a preprocessing was taken; for other reasons it is the network's own


class Painted:
    """A picture, and what it tells of how it was painted.

    Parameters
    ----------
    path : path of a picture that carries its settings inside

    Attributes
    ----------
    path : Path
    stored : dict
        What it carries inside, unchecked.
    width, height : int
        Of the picture, px.

    Raises
    ------
    InputError
        If there is no such picture, or nothing in it.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.stored, (self.width, self.height) = settings_and_size(path)

    @functools.cached_property
    def reached(self) -> Settings:
        """The settings stored, checked: what the picture is.

        Raises
        ------
        InputError
            If they cannot be used.
        """
        return self.checked(self.stored)

    @functools.cached_property
    def settings(self) -> Settings:
        """The same, but an unfinished picture's are those that it was to have."""
        asked = self.stored.get("unfinished")
        if not isinstance(asked, dict):
            return self.reached
        return self.checked(self.stored | {name: asked[name] for name in ASKED if name in asked})

    def checked(self, stored: dict[str, Any]) -> Settings:
        """The settings of a picture in which this is stored."""
        values = OLDER | {name: stored[name] for name in NAMES if name in stored}
        if stored.get("preprocessing_reason", BY_USER) != BY_USER:
            values.pop("preprocessing", None)
        with self.complaints():
            return Settings(**values)

    @contextlib.contextmanager
    def complaints(self) -> Iterator[None]:
        """Within the block, let an InputError say that it is about this picture's settings."""
        try:
            yield
        except InputError as error:
            raise InputError(f"{self.path}: the settings in it cannot be used: {error}") from None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the finished picture, px."""
        factor = self.settings.size / max(self.height, self.width)
        return round(self.height * factor), round(self.width * factor)

    @property
    def beta_per_pixel(self) -> float:
        """The style weight for each pixel of the canvas: the same at all scales, so also where it is unfinished."""
        return (self.reached.beta or 0.0) / self.reached.canvas_pixels(self.height, self.width)

    def usual(self, weights: Weights | None) -> set[str]:
        """Names of the settings that are what they would be if they were left open.

        Parameters
        ----------
        weights : Weights or None
            The network. None is one that states nothing.
        """
        left_open = replace(self.settings, **LEFT_OPEN).with_scales(min(self.shape))
        decided = left_open.decided(weights, *self.shape)
        found = {name for name in LEFT_OPEN if getattr(decided, name) == getattr(self.settings, name)}
        if self.settings != self.reached:  # its shape, finished, is not known to the pixel
            per_pixel = (decided.beta or 0.0) / decided.canvas_pixels(*self.shape)
            if math.isclose(per_pixel, self.beta_per_pixel):
                found.add("beta")
        # The grain depends on the scales and on beta, given or not. An older picture has none at any size.
        usual_grain = replace(self.settings, grain=None).decided(weights, *self.shape).grain
        if "grain" in self.stored and usual_grain == self.settings.grain:
            found.add("grain")
        return found

    def not_default(self) -> set[str]:
        """Names of what is stored and differs from what is taken where nothing is given."""
        pocket = load_weights("pocket") if known_weights(self.stored) == "pocket" else None
        found = {name for name in NAMES if getattr(self.settings, name) != getattr(Settings, name)}
        on_host = self.settings.bounded or self.stored.get("device", "cpu") == "cpu"
        usual_optimizer = "lbfgs" if on_host else "lbfgs-nnstyle"
        if not self.settings.bounded:
            usual_optimizer = usual_for_size(usual_optimizer, self.settings.canvas_pixels(*self.shape))
        found -= self.usual(pocket)
        if self.settings.optimizer in (None, usual_optimizer):
            found.discard("optimizer")
        if self.path.suffix.lower() in FORMATS and not has_transparency(self.path):
            found.discard("transparency")
        return found if pocket else found | {"weights"}


def known_weights(stored: dict[str, Any]) -> str | None:
    """The name by which the network of a stored picture is known here, or None."""
    name, file = stored.get("weights"), stored.get("weights_file")
    if name == "pocket" and file in (None, "pocket.h5"):
        return "pocket"
    for known, network in KNOWN.items():
        if file == network.file or (file is None and name in (known, Path(network.file).stem)):
            return known
    return None

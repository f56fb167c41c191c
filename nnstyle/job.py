"""A job is everything that decides a picture, checked: what `nnstyle.run` takes."""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from .errors import InputError, shown
from .network import LAYERS, layers_of
from .objective import Term, paper_terms, weights_by_name
from .pictures import as_grey, fit, load_cut_out, load_image, pictures_in, resize, resize_mask
from .pictures.decode import no_memory_to_read
from .pictures.preprocessing import parse_preprocessing, spell_preprocessing
from .settings import INITIAL_IMAGES, Options, Settings
from .styles import Style, as_styles
from .weights import Weights, load_weights
from .weights.known import KNOWN
from .weights.rescaling import load_small


@dataclass(frozen=True, eq=False)
class Job:
    """One painting to be made. It can be pickled, and run elsewhere.

    Attributes
    ----------
    content : uint8 array, shape (H, W, 3), RGB
        The photograph, at the size of the picture.
    styles : tuple of Style
        One for each painting. Their images are uint8 arrays, their long edge of that size times the style
        scale. Their masks are uint8 arrays (H, W), or None.
    weights : Weights
        The network, as its file has it: it is rescaled by `nnstyle.run`. With the setting ``rescale_over``,
        the pictures of that folder are read by `nnstyle.run`, too.
    settings : Settings
        With scales, beta and the layer weights decided. The optimizer may be left to the device.
    terms : tuple of Term
        Losses beside the paper's.
    content_name, style_names, mask_names : str, tuple of str, tuple of str
        File names of the pictures, "" where there was no file.
    initial : uint8 array, shape (H, W, 3), or None
        The picture to start from, where the setting ``init`` names a file.
    alpha : uint8 array, shape (H, W), or None
        How opaque the photograph is, where parts of it are transparent and stay so.
    """

    content: np.ndarray
    styles: tuple[Style, ...]
    weights: Weights
    settings: Settings
    terms: tuple[Term, ...] = ()
    content_name: str = ""
    style_names: tuple[str, ...] = ("",)
    mask_names: tuple[str, ...] = ("",)
    initial: np.ndarray | None = None
    alpha: np.ndarray | None = None

    def describe(self, settings: Settings | None = None) -> dict[str, Any]:
        """The job without its pixels. A finished picture carries it inside.

        Parameters
        ----------
        settings : Settings, optional
            In place of the job's own: those of a `Result` name the optimizer as well. Where the result is
            unfinished, "unfinished" tells what was asked for.
        """
        described = dataclasses.asdict(settings or self.settings)
        if self.settings.rescale_over is not None:
            described["rescale_over"] = file_name(self.settings.rescale_over)
        if self.initial is not None:
            described |= {"init": file_name(self.settings.init), "init_sha256": digest(self.initial)}
        if self.alpha is not None:
            described["alpha_sha256"] = digest(self.alpha)
        described |= {
            "content": self.content_name,
            "content_sha256": digest(self.content),
            "style": list(self.style_names),
            "style_scales": [style.scale for style in self.styles],
            "style_weights": [style.weight for style in self.styles],
            "style_sha256": [digest(style.image) for style in self.styles],
            "mask": list(self.mask_names),
            "mask_sha256": [None if style.mask is None else digest(style.mask) for style in self.styles],
            "weights": self.weights.name,
            "weights_file": self.weights.path.name if self.weights.path else "",
            "weights_sha256": self.weights.sha256,
            "preprocessing": spell_preprocessing(self.weights.preprocessing),
        }
        asked = {name: getattr(self.settings, name) for name in ("size", "iterations", "scales", "beta")}
        if settings and any(getattr(settings, name) != value for name, value in asked.items()):
            described["unfinished"] = asked
        if self.terms:
            described["terms"] = [describe_term(term) for term in self.terms]
        return described

    @property
    def digest(self) -> str:
        """SHA-256 of all that `describe` tells and that decides the picture, as hexadecimal digits."""
        return hashlib.sha256(json.dumps(what_decides(self.describe())).encode()).hexdigest()


def what_decides(described: dict[str, Any]) -> dict[str, Any]:
    """What decides a picture, of what `Job.describe` tells: a file's content does, its name does not.

    Without grain a job is what it was before there was such a setting, so its older states can be resumed.
    """
    return {
        name: value
        for name, value in described.items()
        if not described.get(f"{name.removesuffix('_file')}_sha256") and (name, value) != ("grain", 0.0)
    }


def describe_term(term: Term) -> dict[str, Any]:
    """A term of one's own, as far as its attributes tell."""
    return {
        "class": type(term).__qualname__,
        "name": term.name,
        "weight": float(term.weight),
        "layer_weight": float(term.layer_weight),
        "layer": term.layer,
        "target": term.target,
    }


def digest(pixels: np.ndarray) -> str:
    """SHA-256 of a picture's pixels, as hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()


def prepare(
    content: Any,
    styles: Any,
    weights: Any = "pocket",
    settings: Settings | None = None,
    terms: Sequence[Term] = (),
    progress: bool = False,
    **options: Unpack[Options],
) -> Job:
    """Check everything that was given, and make a job of it.

    What is wrong with pictures and settings is found before a network is downloaded, and nothing is
    computed.

    Parameters
    ----------
    content : path, bytes, open file, PIL image, or array
        The photograph, as for `nnstyle.pictures.load_image`.
    styles : path, bytes, open file, PIL image, array, or Style; or a list of them
        The painting, or several. A folder counts as one.
    weights : "pocket", "vgg19", "vgg16", path, or Weights
        The network, as for `nnstyle.load_weights`.
    settings : Settings, optional
    terms : sequence of Term, optional
        Losses of your own, added to the paper's.
    progress : bool
        Whether a download may show a bar on standard error.
    **options
        Fields of `Settings`, in place of `settings`: ``size=256`` and so on.

    Returns
    -------
    Job

    Raises
    ------
    InputError
        For anything given that cannot be used.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise InputError(f"settings must be nnstyle.Settings, not {type(settings).__name__}")
    if settings is not None and options:
        raise InputError("give either settings or single options, not both")
    if not isinstance(progress, bool):
        raise InputError(f"progress must be True or False, not {shown(progress)}")
    settings = settings or Settings(**options)  # type: ignore[arg-type]  # it makes tuples of sequences
    paintings = as_styles(styles)
    content_image, alpha = load_content(content, settings)
    loaded_styles = [load_style(style, settings, content_image) for style in paintings]
    check_masks(alpha, loaded_styles)
    initial = None if settings.init in INITIAL_IMAGES else load_initial(settings.init, content_image)
    settings = settings.with_scales(min(content_image.shape[:2]))
    check_scales(content_image, settings)
    if settings.rescale_over is not None:
        for picture in pictures_in(settings.rescale_over):
            load_small(picture)
    terms = check_terms(terms)
    # What can be checked before a network is there; how it weights its layers makes no difference.
    expected = settings.decided(None, *content_image.shape[:2])
    check_objective(expected, terms)
    if isinstance(weights, str) and weights in KNOWN:
        check_layers(LAYERS[weights[:5]], expected, terms)  # vgg19-torchvision is a vgg19
    loaded = load_network(weights, settings.preprocessing, progress)
    settings = settings.decided(loaded, *content_image.shape[:2])
    check_layers(layers_of(loaded), settings, terms)
    return Job(
        content_image,
        tuple(loaded_styles),
        loaded,
        settings,
        terms,
        file_name(content),
        tuple(file_name(style.image) for style in paintings),
        tuple(file_name(style.mask) for style in paintings),
        initial,
        alpha,
    )


def load_network(weights: Any, preprocessing: str | None, progress: bool) -> Weights:
    """The network, with a preprocessing of the user's if one is given."""
    if not isinstance(weights, Weights):
        return load_weights(weights, progress, preprocessing)
    if preprocessing is None:
        return weights
    given = parse_preprocessing(preprocessing)
    return dataclasses.replace(weights, preprocessing=given, preprocessing_reason="given by the user")


def load_content(picture: Any, settings: Settings) -> tuple[np.ndarray, np.ndarray | None]:
    """The pixels of the photograph at its size, and its alpha channel if that is kept, both read-only."""
    if settings.transparency == "white":
        return load_resized(picture, settings.size), None
    colours, alpha = load_cut_out(picture, settings.size)
    image = resized(colours, settings.size, picture)
    if alpha is None:
        return image, None
    alpha = resize_mask(alpha, *image.shape[:2])
    alpha.flags.writeable = False
    return image, alpha


def load_resized(picture: Any, size: int) -> np.ndarray:
    """The pixels of a picture at a size, read-only."""
    return resized(load_image(picture, size), size, picture)


def resized(image: np.ndarray, size: int, picture: Any) -> np.ndarray:
    """`resize`, read-only; an error names the picture."""
    try:
        image = resize(image, size)
    except MemoryError as error:
        raise no_memory_to_read(picture) from error
    image.flags.writeable = False
    return image


def load_style(style: Style, settings: Settings, content: np.ndarray) -> Style:
    """A style with the pixels of its painting at its size, and of its mask at the content's, read-only."""
    mask = None if style.mask is None else load_mask(style.mask, content)
    long_edge = style.size(settings)
    try:
        return dataclasses.replace(style, image=load_resized(style.image, long_edge), mask=mask)
    except InputError as error:
        if long_edge == settings.size:
            raise
        raise InputError(
            f"the painting would be {long_edge} px long: choose a style scale nearer to 1 ({error})"
        ) from None


def load_mask(mask: Any, content: np.ndarray) -> np.ndarray:
    """The pixels of a mask at the size of the content image: uint8 (H, W), read-only.

    Raises
    ------
    InputError
        If its shape is not that of the content image, or it is black everywhere.
    """
    height, width, _ = content.shape
    name = file_name(mask) or "the mask"
    colours, alpha = load_cut_out(mask, max(height, width))
    grey = as_grey(colours)
    if alpha is not None:  # what is transparent is not painted
        grey = np.rint(grey * (alpha / 255)).astype(np.uint8)
    fitting = grey.shape[0] * width / grey.shape[1]  # its height, if it gets this width
    if abs(fitting - height) > 1 + height / 100:
        raise InputError(
            f"{name} has the shape {grey.shape[1]} : {grey.shape[0]}, and the photograph {width} : {height}:"
            " draw the mask over the photograph"
        )
    grey = resize_mask(grey, height, width)
    if not grey.any():
        raise InputError(f"{name} is black everywhere: it is white where the picture is to be painted")
    grey.flags.writeable = False
    return grey


def check_masks(alpha: np.ndarray | None, styles: Sequence[Style]) -> None:
    """Raise InputError for a mask that lies on what is transparent, and so would paint nothing."""
    for style in styles:
        if alpha is not None and style.mask is not None and not (style.mask * (alpha > 0)).any():
            raise InputError(
                "a mask is white only where the photograph is transparent: there is nothing to paint"
            )


def load_initial(path: str, content: np.ndarray) -> np.ndarray:
    """The pixels of the picture to start from, scaled and cropped to the content image's size, read-only."""
    if not os.path.exists(path):
        names = ", ".join(INITIAL_IMAGES)
        raise InputError(f"init must be one of {names}, or a picture, and there is no {shown(path)}")
    image = fit(load_image(path, 2 * max(content.shape[:2])), *content.shape[:2])
    image.flags.writeable = False
    return image


def check_scales(content: np.ndarray, settings: Settings) -> None:
    """Raise InputError if the photograph is too narrow for the smallest of several scales."""
    try:
        resize(content, next(settings.each_scale()).size)
    except InputError as error:
        raise InputError(
            f"{settings.scales} scales are too many for this picture, use fewer: {error}"
        ) from None


def check_terms(terms: Iterable[Term]) -> tuple[Term, ...]:
    """The terms as a tuple; raise InputError unless they can be terms of an objective."""
    try:
        terms = tuple(terms)
    except TypeError:
        raise InputError(f"terms must be a list of terms, not {shown(terms)}") from None
    for term in terms:
        missing = {"name", "weight", "layer_weight", "layer", "target"} - set(dir(term))
        if missing or not callable(term) or isinstance(term, type):
            raise InputError(f"{shown(term)} is no term: derive its class from nnstyle.Term")
        if term.target not in ("content", "style", None):
            raise InputError(
                f"the target of {shown(term.name)} must be content, style or None, not {shown(term.target)}"
            )
        for weight in (term.weight, term.layer_weight):
            if not isinstance(weight, Real) or not math.isfinite(weight):
                raise InputError(
                    f"the weights of {shown(term.name)} must be finite numbers, not {shown(weight)}"
                )
    return terms


def used_terms(terms: Iterable[Term]) -> list[Term]:
    """Those of the terms whose weight is not 0: nothing is computed for the others."""
    return [term for term in terms if term.weight * term.layer_weight]


def check_objective(settings: Settings, terms: Sequence[Term]) -> None:
    """Raise InputError if nothing is to be optimized, or if terms of one name do not go together."""
    own = used_terms(terms)
    paper = paper_terms(settings)
    if not own and not any(term.target for term in paper):
        raise InputError("alpha and beta (or all layer weights) are 0: there is nothing to optimize")
    try:
        weights_by_name([*paper, *own])
    except ValueError as error:
        raise InputError(str(error)) from None
    targets: dict[str, str | None] = {}
    for term in [*paper, *own]:  # their weights differ at the smaller of several scales
        if targets.setdefault(term.name, term.target) != term.target:
            raise InputError(f"the terms named {shown(term.name)} must all have the same target")


def check_layers(known: Sequence[str], settings: Settings, terms: Sequence[Term]) -> None:
    """Raise InputError for a layer that the network does not have, or a name that no VGG knows.

    A layer of weight 0 need not be there.
    """
    own = used_terms(terms)
    needed = [term.layer for term in (*paper_terms(settings), *own) if term.layer is not None]
    named = [
        name for name in (*settings.content_layers, *settings.style_layers) if name not in LAYERS["vgg19"]
    ]
    for name in (*named, *needed):
        if name not in known:
            raise InputError(f"layer {shown(name)} is unknown: this network has {', '.join(known)}")


def file_name(source: Any) -> str:
    """The name of the file that a picture comes from, without its folder."""
    return Path(os.fsdecode(source)).name if isinstance(source, (str, os.PathLike)) else ""

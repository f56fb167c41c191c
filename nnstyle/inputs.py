"""What a run sees of its job's pictures at each scale, and what it makes of the painted pixels."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from . import pictures
from .job import Job
from .settings import Settings


@dataclass(frozen=True, eq=False)
class Inputs:
    """The pictures of one scale; all but the styles have its size.

    Attributes
    ----------
    photo : uint8 array, shape (h, w, 3)
        The photograph in its own colours.
    content : uint8 array, shape (h, w, 3)
        The content image: the photograph as the network is to see it.
    styles : list of uint8 array, shape (h', w', 3)
    masks : list of float array, shape (h, w, 1), or None
        One for each style, from 0 to 1. None is 1 everywhere.
    initial : array, shape (h, w, 3)
        The initial image, from 0 to 255.
    alpha : uint8 array, shape (h, w), or None
        How opaque the picture is. None is opaque everywhere.
    """

    photo: np.ndarray
    content: np.ndarray
    styles: list[np.ndarray]
    masks: list[np.ndarray | None]
    initial: np.ndarray
    alpha: np.ndarray | None = None

    def visible_masks(self) -> list[np.ndarray | None]:
        """The masks without what is transparent: only what is visible has a style."""
        if self.alpha is None:
            return self.masks
        visible = self.alpha[..., np.newaxis] / 255
        return [visible if mask is None else visible * mask for mask in self.masks]

    def finish(self, painted: np.ndarray, settings: Settings) -> np.ndarray:
        """Give painted pixels their colours, the photograph's where no style is, and its transparency.

        Parameters
        ----------
        painted : uint8 or uint16 array, shape (h, w, 3)
        settings : Settings

        Returns
        -------
        array like `painted`, or of shape (h, w, 4) where parts of it are transparent
        """
        colours = self.finished_colours(painted, settings)
        if self.alpha is None:
            return colours
        largest = np.iinfo(painted.dtype).max
        alpha = (self.alpha.astype(painted.dtype) * (largest // 255))[..., np.newaxis]
        return np.concatenate([colours, alpha], axis=-1)

    def finished_colours(self, painted: np.ndarray, settings: Settings) -> np.ndarray:
        """`finish` without transparency."""
        own_colours = settings.colour in ("content", "luminance")
        opacity = painted_part(self.masks)
        if not own_colours and opacity is None:
            return painted
        largest = np.iinfo(painted.dtype).max
        pixels = painted * (255 / largest)
        if own_colours:
            pixels = pictures.with_colours_of(self.photo, pixels)
        if opacity is not None:
            pixels = laid_over(self.photo, pixels, opacity)
        return np.rint(pixels * (largest / 255)).astype(painted.dtype)


class JobPictures:
    """The pictures of a job, in the colours in which they are compared.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job: Job):
        self.job = job
        self.content, self.styles = job.content, [style.image for style in job.styles]
        if job.settings.colour == "luminance":
            self.content = pictures.grey(job.content)
            self.styles = [pictures.match_lightness(style, job.content) for style in self.styles]
        elif job.settings.colour == "match":
            self.styles = [pictures.recolour(style, job.content) for style in self.styles]

    def at(self, scale: Settings) -> Inputs:
        """The pictures at a scale."""
        photo = at_size(self.job.content, scale.size)
        content = photo if self.content is self.job.content else at_size(self.content, scale.size)
        styles = [
            at_size(image, style.size_at(scale))
            for style, image in zip(self.job.styles, self.styles, strict=True)
        ]
        masks = [mask_at(style.mask, *photo.shape[:2]) for style in self.job.styles]
        weights = [style.weight for style in self.job.styles]
        if self.job.initial is None and scale.init in ("recoloured", "style"):
            firsts: Iterable[np.ndarray] = (
                initial_image(content, style, scale, mask=mask)
                for style, mask in zip(styles, masks, strict=True)
            )
        else:  # whatever the style
            firsts = itertools.repeat(initial_image(content, styles[0], scale, self.job.initial), len(styles))
        initial = mixture(content, firsts, weights, masks)
        alpha = self.job.alpha
        if alpha is not None:
            alpha = pictures.resize_mask(alpha, *photo.shape[:2])
        return Inputs(photo, content, styles, masks, initial, alpha)


def at_size(image: np.ndarray, size: int) -> np.ndarray:
    """A picture scaled so that its long edge has `size` pixels: itself, not a copy, if it has them already."""
    return image if max(image.shape[:2]) == size else pictures.resize(image, size)


def mask_at(mask: np.ndarray | None, height: int, width: int) -> np.ndarray | None:
    """A mask at a size: (height, width, 1), from 0 to 1."""
    return None if mask is None else pictures.resize_mask(mask, height, width)[..., np.newaxis] / 255


def mixture(
    content: np.ndarray,
    images: Iterable[np.ndarray],
    weights: Sequence[float],
    masks: Sequence[np.ndarray | None],
) -> np.ndarray:
    """The weighted mean of images, each within its mask; where no mask is, the content image."""
    if len(masks) == 1 and masks[0] is None:
        return next(iter(images))
    total, mean = np.zeros((*content.shape[:2], 1)), np.zeros(content.shape)
    for image, weight, mask in zip(images, weights, masks, strict=True):
        share = weight if mask is None else weight * mask
        total += share
        mean += share * image
    mean /= np.where(total > 0, total, 1)
    opacity = painted_part(masks)
    return mean if opacity is None else laid_over(content, mean, opacity)


def painted_part(masks: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Where any style is: float (h, w, 1) from 0 to 1, or None for everywhere."""
    given = [mask for mask in masks if mask is not None]
    if len(given) < len(masks):
        return None
    return np.minimum(sum(given), 1)


def laid_over(below: np.ndarray, above: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """One picture over another: float (h, w, 3)."""
    return below + opacity * (above - below.astype(np.float64))


def initial_image(
    content: np.ndarray,
    style: np.ndarray,
    settings: Settings,
    given: np.ndarray | None = None,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Where the optimization starts (lesson 12): pixels (H, W, 3) from 0 to 255, uint8, or float for noise.

    Parameters
    ----------
    content, style : uint8 arrays, shape (H, W, 3)
        Their sizes may differ. For ``init="style"`` the style image is scaled and cropped.
    settings : Settings
    given : uint8 array, shape (H, W, 3), optional
        The picture to start from, where ``init`` is a file; likewise.
    mask : float array, shape (H, W, 1), from 0 to 1, optional
        Where the style is. The colours there are matched to the style image's.
    """
    if given is not None:
        return pictures.fit(given, *content.shape[:2])
    if settings.init == "recoloured":
        return pictures.recolour(content, style, mask)
    if settings.init == "content":
        return content
    if settings.init == "style":
        return pictures.fit(style, *content.shape[:2])
    return np.random.default_rng(settings.seed).uniform(0, 255, content.shape)


def grey_grain(level: float, seed: int, height: int, width: int) -> np.ndarray:
    """Noise for the start of a scale (lesson 12), alike in all channels: float32 (height, width, 1).

    In an even area all gradients are alike, but for those near its edges. So straight lines along the edges are
    painted first, and the next scale enlarges them. Noise gives each place a start of its own.

    Parameters
    ----------
    level : float
        Its standard deviation, in levels of 0..255. Its mean is 0.
    seed : int
    height, width : int
        Of the picture at that scale, px.
    """
    noise = np.random.default_rng(seed).standard_normal((height, width, 1), np.float32)
    noise *= level
    return noise

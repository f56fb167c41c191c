"""The way to a picture as an animation: its states during the optimization, one after the other."""

import os
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .errors import InputError, shown
from .files import check_writable, write_beside, write_over
from .pictures.resize import preview, size_within
from .pictures.saving import encoded_by_pillow

if TYPE_CHECKING:
    from .result import Event

FORMATS = {".webp": "WEBP", ".gif": "GIF", ".png": "PNG"}
OPTIONS: dict[str, dict[str, Any]] = {"WEBP": {"quality": 90, "method": 2}, "GIF": {}, "PNG": {}}
DURATION, LAST_DURATION = 100, 3000  # milliseconds that a frame is shown
PALETTE_STEP = 4  # px: every fourth in each direction, of all frames, tells the colours of a GIF


class Film:
    """A callback that keeps frames of the way to a picture, and writes them as an animation.

    All frames have one size: what was painted at a smaller scale is enlarged. They are spread evenly over the
    iterations, from the first to the last. A resumed run goes on with its film; another run begins anew.

    Parameters
    ----------
    size : int
        Long edge of the film, px. It is never larger than the picture.
    frames : int, at least 2
        The most that there may be. They take ``3 * frames * size**2`` bytes of memory, 79 MB by default.

    Raises
    ------
    InputError
        If a number cannot be used.

    Examples
    --------
    ::

        film = nnstyle.Film()
        nnstyle.stylize("photo.jpg", "painting.jpg", callback=film)
        film.save("walk.webp")
    """

    def __init__(self, size: int = 512, frames: int = 100):
        for name, value, smallest in (("size", size, 1), ("frames", frames, 2)):
            if not isinstance(value, Integral) or value < smallest:
                raise InputError(
                    f"{name} of a film must be a whole number, at least {smallest}, not {shown(value)}"
                )
        self.size, self.most = size, frames
        self.frames: dict[int, np.ndarray] = {}  # by iteration
        self.wanted: set[int] = set()  # the iterations whose frames are kept
        self.latest: Event | None = None

    def __call__(self, event: "Event") -> None:
        """Take note of an iteration."""
        iteration, latest = event.record.iteration, self.latest
        if latest is None or event.job is not latest.job:
            self.wanted = spread(event.job.settings.iterations, self.most)
        if latest is not None and event.job.content.shape != latest.job.content.shape:
            self.frames = {}  # of another picture
        elif latest is not None and iteration <= latest.record.iteration:
            # The earlier run was further: this one begins anew, or goes on from before.
            self.frames = {number: frame for number, frame in self.frames.items() if number < iteration}
        self.latest = event
        if iteration in self.wanted:
            self.frames[iteration] = self.frame_of(event)

    def frame_of(self, event: "Event") -> np.ndarray:
        """The picture after an iteration, at the film's size."""
        return preview(event.image(), *size_within(event.job.content.shape, self.size))

    def all_frames(self) -> list[np.ndarray]:
        """The frames that were kept, and the latest iteration: an optimization may end early."""
        if self.latest is None:
            raise InputError("there is no film without an iteration: was it given as the callback?")
        if self.latest.record.iteration in self.frames:
            return list(self.frames.values())
        return [*self.frames.values(), self.frame_of(self.latest)]

    def save(self, path: str | os.PathLike, replace: bool = True) -> Path:
        """Write the film, whole or not at all; its last frame stays longer, and then it begins anew.

        Parameters
        ----------
        path : path ending in .webp, .gif or .png
            An animated WebP is the smallest. A GIF has 256 colours. An animated PNG keeps every pixel.
        replace : bool
            Whether an earlier file of this name is replaced. If not, and there is one, the film goes
            beside it: ``x-unfinished.webp``.

        Returns
        -------
        Path
            Where it is.

        Raises
        ------
        InputError
            For another ending, a folder that is not there, or where there was no iteration.
        OSError
            If the file cannot be written. An earlier file of this name is then still there.
        MemoryError
            If there is not enough memory to encode the film. Likewise.
        """
        check_film(path)
        data = encoded(self.all_frames(), FORMATS[Path(path).suffix.lower()])
        if not replace:
            return write_beside(path, data)
        return write_over(path, data)


def spread(iterations: int, most: int) -> set[int]:
    """At most so many iterations, spread evenly from the first to the last."""
    return set(np.linspace(1, iterations, min(iterations, most)).round().astype(int).tolist())


def check_film(path: str | os.PathLike) -> None:
    """Raise InputError unless a film can be written to `path`; to be called before the work."""
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"a film needs a path, not {shown(path)}")
    if Path(path).suffix.lower() not in FORMATS:
        raise InputError(f"the film {path} must end in {', '.join(FORMATS)}, which chooses the format")
    check_writable(path)


def encoded(frames: list[np.ndarray], format: str) -> bytes:
    """The bytes of an animation of uint8 frames (H, W, 3)."""
    images = [Image.fromarray(frame) for frame in frames]
    if format == "GIF":
        images = with_one_palette(images)
    durations = [DURATION] * (len(frames) - 1) + [LAST_DURATION]
    animation = {"save_all": True, "append_images": images[1:], "duration": durations, "loop": 0}
    return encoded_by_pillow(images[0], format, **animation, **OPTIONS[format])


def with_one_palette(images: list[Image.Image]) -> list[Image.Image]:
    """Images in 256 colours that are the same in all of them: with a palette each, areas would flicker."""
    width, height = (-(-edge // PALETTE_STEP) for edge in images[0].size)
    montage = Image.new("RGB", (width, height * len(images)))
    for index, image in enumerate(images):
        montage.paste(image.resize((width, height), Image.Resampling.NEAREST), (0, index * height))
    palette = montage.quantize(256, Image.Quantize.MEDIANCUT)
    return [image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for image in images]

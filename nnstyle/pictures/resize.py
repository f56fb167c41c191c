"""Bringing a picture to a size."""

from numbers import Real

import numpy as np
from PIL import Image, ImageOps

from ..errors import InputError
from .colour import on_white
from .preprocessing import in_8_bits

SMALLEST, LARGEST = 32, 10_000  # px: below, conv5_1 sees no 2x2 window; above, no memory is enough


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Scale a picture with Lanczos's filter so that its long edge has `size` pixels (lesson 1).

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    size : int, from 32 to 10000

    Returns
    -------
    uint8 array, shape (H', W', 3)

    Raises
    ------
    InputError
        If the short edge would get fewer than 32 pixels.
    """
    if not isinstance(size, Real) or not SMALLEST <= size <= LARGEST:
        raise InputError(f"the size must be from {SMALLEST} to {LARGEST} pixels, not {size}")
    height, width = image.shape[:2]
    factor = size / max(height, width)
    new_width, new_height = round(width * factor), round(height * factor)
    if min(new_width, new_height) < SMALLEST:
        raise InputError(
            f"a picture of {width} x {height} becomes {new_width} x {new_height} pixels at size {size}: "
            f"its short edge needs {SMALLEST}, so choose a larger size or crop it"
        )
    return np.array(Image.fromarray(image).resize((new_width, new_height), Image.Resampling.LANCZOS))


def scale_to(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale a uint8 picture (h, w, channels) to (height, width, channels) with Lanczos's filter."""
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def size_within(shape: tuple[int, ...], longest: int) -> tuple[int, int]:
    """Height and width of a picture that is reduced, if it must be, to a long edge of `longest` px."""
    height, width = shape[:2]
    factor = min(1.0, longest / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def preview(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture to look at, of another size: uint8 (height, width, 3), on white where it is transparent.

    Parameters
    ----------
    image : uint8 or uint16 array, shape (h, w, 3) or (h, w, 4)
    height, width : int, px
    """
    picture = Image.fromarray(scale_to(in_8_bits(image), height, width))
    return np.array(on_white(picture) if picture.mode == "RGBA" else picture)


def fit(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale and crop a uint8 picture (H, W, 3) to (height, width, 3), keeping its centre."""
    return np.array(ImageOps.fit(Image.fromarray(image), (width, height), Image.Resampling.LANCZOS))


def enlarge(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale a float32 array (h, w, 3) of any values to (height, width, 3), bicubically."""
    channels = [Image.fromarray(values[..., channel]) for channel in range(3)]
    larger = [channel.resize((width, height), Image.Resampling.BICUBIC) for channel in channels]
    return np.stack([np.asarray(channel) for channel in larger], axis=-1)

"""The colours of what is transparent."""

import numpy as np
from PIL import Image

# Unlike Lanczos's filter, it has no negative weights: what they make of alpha is nothing to divide by.
NO_UNDERSHOOT = Image.Resampling.HAMMING


def reduce(
    colours: Image.Image, alpha: Image.Image, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scale a large cut-out down, with alpha as the weight of a colour: what is hidden does not count.

    Parameters
    ----------
    colours, alpha : PIL images of modes RGB and L
    height, width : int, px

    Returns
    -------
    colours : uint8 array, shape (height, width, 3)
    alpha : uint8 array, shape (height, width)
    """

    def scaled(values: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(values).resize((width, height), NO_UNDERSHOOT))

    weights = np.asarray(alpha, np.float32)
    small_weights = scaled(weights)
    reduced = np.zeros((height, width, 3), np.uint8)
    for index, channel in enumerate(colours.split()):  # one by one: less memory
        sums = scaled(weights * np.asarray(channel))
        means = sums / np.where(small_weights > 0, small_weights, 1)
        reduced[..., index] = np.rint(means.clip(0, 255))
    return reduced, np.rint(small_weights).astype(np.uint8)


def continue_colours(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Continue the colours of the visible pixels into the fully transparent ones.

    This is the pull-push algorithm (Gortler and others, "The Lumigraph", 1996): the picture is halved, each
    time with alpha as the weight of a colour, until there is a colour everywhere. Then it is enlarged
    again, and fills the holes of each finer picture.

    Parameters
    ----------
    colours : uint8 array, shape (H, W, 3)
    alpha : uint8 array, shape (H, W)
        Above 0 somewhere.

    Returns
    -------
    uint8 array, shape (H, W, 3)
        The same colours where alpha is above 0.
    """
    weights = alpha.astype(np.float32) / 255
    filled = colours.copy()
    hidden = alpha == 0
    for channel in range(3):  # one by one: less memory
        values = fill(colours[..., channel].astype(np.float32), weights)
        filled[hidden, channel] = np.rint(values[hidden]).astype(np.uint8)
    return filled


def fill(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fill an array (h, w) where its weights, from 0 to 1, say that its values count little or nothing."""
    if weights.min() > 0:
        return values
    height, width = values.shape
    sums, coarse_weights = halve(values * weights), halve(weights)
    coarse = fill(sums / np.where(coarse_weights > 0, coarse_weights, 1), coarse_weights.clip(0, 1))
    enlarged = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))
    return weights * values + (1 - weights) * enlarged


def halve(values: np.ndarray) -> np.ndarray:
    """The sums of the 2x2 blocks of an array (h, w); beyond its edges are zeros."""
    height, width = values.shape
    even = np.pad(values, ((0, height % 2), (0, width % 2)))
    return even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]

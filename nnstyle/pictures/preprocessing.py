"""From pixels to what a network was trained on, and back."""

from dataclasses import dataclass

import numpy as np

from ..arrays import Array, array_module, to_host
from ..errors import InputError, shown


@dataclass(frozen=True)
class Preprocessing:
    """What a network expects of its input (lesson 1): ``(pixel - mean) * scale``, pixels from 0 to 255.

    The defaults are those of the Oxford network as Keras and Caffe distribute it.

    Attributes
    ----------
    channel_order : "RGB" or "BGR"
    mean : tuple of 3 floats, in that channel order
    scale : float, or tuple of 3 floats in that channel order

    Raises
    ------
    InputError
        If a value makes no sense.
    """

    channel_order: str = "BGR"
    mean: tuple[float, ...] = (103.939, 116.779, 123.68)
    scale: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        """Take any kind of sequence, so that equal ones are equal here as well."""
        if self.channel_order not in ("RGB", "BGR"):
            raise InputError(f"channel_order is {self.channel_order!r:.100}, neither RGB nor BGR")
        mean, scale = as_numbers(self.mean), as_numbers(self.scale)
        if mean is None or scale is None or mean.shape != (3,) or scale.shape not in ((), (3,)):
            raise InputError("mean should be 3 numbers, scale 1 or 3")
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale != 0).all()):
            raise InputError("mean and scale should be finite, the scale not 0")
        object.__setattr__(self, "mean", tuple(mean.tolist()))
        object.__setattr__(self, "scale", tuple(scale.tolist()) if scale.ndim else float(scale))


def as_numbers(values: object) -> np.ndarray | None:
    """Real numbers as a float64 array; None for anything else."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):  # nested lists whose lengths differ
        return None
    return array.astype(float) if array.dtype.kind in "fiu" else None


# What networks were trained on.
CAFFE = Preprocessing("BGR", (103.939, 116.779, 123.68), 1.0)  # and Keras
MATCONVNET = Preprocessing("RGB", (123.68, 116.779, 103.939), 1.0)
TORCHVISION = Preprocessing(  # on pixels of 0 to 1, minus (.485, .456, .406), divided by (.229, .224, .225)
    "RGB",
    tuple(255 * mean for mean in (0.485, 0.456, 0.406)),
    tuple(1 / (255 * deviation) for deviation in (0.229, 0.224, 0.225)),
)
NAMED = {"caffe": CAFFE, "keras": CAFFE, "matconvnet": MATCONVNET, "torchvision": TORCHVISION}

WRITTEN = f"{', '.join(NAMED)}, or ORDER,MEAN,MEAN,MEAN,SCALE as in bgr,103.939,116.779,123.68,1"


def parse_preprocessing(text: str) -> Preprocessing:
    """The preprocessing that a text names, or spells out.

    Parameters
    ----------
    text : str
        "caffe", "keras", "matconvnet" or "torchvision"; or the channel order, three means and one
        or three scales, with commas between: "bgr,103.939,116.779,123.68,1". Means and scales are
        in that channel order, for pixels from 0 to 255. Without a scale it is 1.

    Raises
    ------
    InputError
        If it is neither.
    """
    if not isinstance(text, str):
        raise InputError(f"{shown(text)} is no preprocessing: give one of {WRITTEN}")
    words = [word.strip() for word in text.strip().lower().split(",")]
    if len(words) == 1 and words[0] in NAMED:
        return NAMED[words[0]]
    order, numbers = words[0].upper(), words[1:]
    if order not in ("RGB", "BGR") or len(numbers) not in (3, 4, 6):
        raise InputError(f"{shown(text)} is no preprocessing: give one of {WRITTEN}")
    try:
        mean, scale = [float(word) for word in numbers[:3]], [float(word) for word in numbers[3:]] or [1.0]
    except ValueError:
        raise InputError(f"{shown(text)} is no preprocessing: give one of {WRITTEN}") from None
    return Preprocessing(order, tuple(mean), tuple(scale) if len(scale) == 3 else scale[0])


def spell_preprocessing(preprocessing: Preprocessing) -> str:
    """The text from which `parse_preprocessing` makes the same again, to the last digit."""
    scale = preprocessing.scale
    numbers = (*preprocessing.mean, *(scale if isinstance(scale, tuple) else (scale,)))
    return ",".join([preprocessing.channel_order.lower(), *map(repr, numbers)])


def preprocess(
    image: np.ndarray, preprocessing: Preprocessing, dtype: np.dtype | type = np.float32
) -> np.ndarray:
    """Turn pixels (H, W, 3), RGB from 0 to 255, into what the network was trained on (lesson 1)."""
    pixels = image[..., ::-1] if preprocessing.channel_order == "BGR" else image
    values = pixels - np.array(preprocessing.mean)
    values *= np.array(preprocessing.scale)  # in place, because large pictures fill the memory
    return values.astype(dtype)


def deprocess(values: Array, preprocessing: Preprocessing, bits: int = 8) -> np.ndarray:
    """Undo `preprocess`: RGB, clipped to 0..255 and rounded, never stretched (lesson 1).

    An array on a GPU is converted there; only the bytes are copied.

    Parameters
    ----------
    values : float array, shape (H, W, 3)
    preprocessing : Preprocessing
    bits : int
        8 for uint8; 16 for uint16, in which 255 is 65535.

    Returns
    -------
    uint8 or uint16 array, shape (H, W, 3)
    """
    xp = array_module(values)
    pixels = values / xp.asarray(preprocessing.scale)
    pixels += xp.asarray(preprocessing.mean)  # in place, because large pictures fill the memory
    pixels = pixels[..., ::-1] if preprocessing.channel_order == "BGR" else pixels
    xp.clip(pixels, 0, 255, out=pixels)
    pixels *= (2**bits - 1) // 255
    xp.rint(pixels, out=pixels)
    return to_host(pixels.astype(xp.uint8 if bits == 8 else xp.uint16))


def in_8_bits(image: np.ndarray) -> np.ndarray:
    """A uint8 picture, or a uint16 one rounded to uint8."""
    return image if image.dtype == np.uint8 else np.rint(image / 257).astype(np.uint8)


def pixel_range(preprocessing: Preprocessing) -> tuple[np.ndarray, np.ndarray]:
    """The bounds of a preprocessed picture, two arrays of 3: what black and white become."""
    black, white = preprocess(np.array([[[0] * 3], [[255] * 3]]), preprocessing, np.float64)
    return np.minimum(black, white), np.maximum(black, white)  # a scale may be negative

"""Pictures in and out: load, resize, preprocess, deprocess.

Between load and save a picture is a uint8 array (height, width, 3), RGB in sRGB. What a
network is fed is a float array of the same shape: see `preprocess`.
"""

import contextlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .backend import library_of, to_host
from .colour import to_rgb
from .errors import InputError

SMALLEST, LARGEST = 32, 10_000  # px: below, conv5_1 sees no 2x2 window; above, no memory holds it


@dataclass(frozen=True)
class Preprocessing:
    """What a network expects of its input (lesson 1): ``(pixel - mean) * scale`` on pixels of 0 to 255.

    Attributes
    ----------
    channel_order : "RGB" or "BGR"
    mean : tuple of 3 floats, in that channel order
    scale : float, or tuple of 3 floats in that channel order

    The defaults are those of the Oxford network as Keras and Caffe distribute it.
    """

    channel_order: str = "BGR"
    mean: tuple = (103.939, 116.779, 123.68)
    scale: float | tuple = 1.0


def load_image(source):
    """Bring a picture of any kind to uint8 RGB (lesson 1).

    Orientation from EXIF is applied, an embedded colour profile is converted to sRGB,
    and transparent parts are shown over white (with a warning that says so).

    Parameters
    ----------
    source : path, PIL image, or array
        An array is (H, W), (H, W, 3) or (H, W, 4): uint8, or floating with values 0 to 1.

    Returns
    -------
    uint8 array, shape (H, W, 3)

    Raises
    ------
    InputError
        If there is no such file, or it is no picture, truncated, or absurdly large.
    """
    if isinstance(source, (str, os.PathLike)):
        return load_file(Path(source))
    if not isinstance(source, Image.Image):
        source = array_to_pil(np.asarray(source))
    with complaints_about("the picture"):
        return np.array(to_rgb(source))


def load_file(path):
    """`load_image` for a path."""
    try:
        # Opened here, not by Pillow: when it knows a file's name it maps uncompressed grey
        # TIFFs into memory, and scrambles those whose orientation swaps width and height.
        file = open(path, "rb")
    except (FileNotFoundError, ValueError):  # ValueError: a name with a zero byte in it
        raise InputError(f"{path} does not exist") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a picture") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    with file, complaints_about(path), Image.open(file) as image:
        return np.array(to_rgb(image))


def pictures_in(folder):
    """The paths of all pictures in a folder, by the endings that Pillow knows, in order of their names.

    Raises
    ------
    InputError
        If there is no such folder, or no picture in it.
    """
    try:
        paths = sorted(Path(folder).iterdir())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{folder} is not a folder that can be read: {reason}") from None
    endings = Image.registered_extensions()
    pictures = [path for path in paths if path.suffix.lower() in endings and path.is_file()]
    if not pictures:
        raise InputError(f"there is no picture in the folder {folder}")
    return pictures


@contextlib.contextmanager
def complaints_about(name):
    """Every way in which a picture can be wrong gets its own words."""
    try:
        with warnings.catch_warnings():
            # Not our warnings but Pillow's: of damage, where a picture that can be shown is good
            # enough, and of more than 89 million pixels, where the refusal of twice that is.
            warnings.filterwarnings("ignore", module="PIL")
            yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        limit = 2 * Image.MAX_IMAGE_PIXELS // 1_000_000
        raise InputError(f"{name} has more than {limit} million pixels: reduce it first") from None
    except UnidentifiedImageError:
        raise InputError(f"{name} is not a picture in a format that Pillow reads") from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise about ten kinds for a damaged file
        raise InputError(f"{name} cannot be decoded, it may be damaged: {error}") from error


def array_to_pil(array):
    """A PIL image of an (H, W), (H, W, 3) or (H, W, 4) array: uint8, or floats 0 to 1."""
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or array.size == 0:
        raise InputError(f"a picture is (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    if array.dtype.kind == "f":
        if not (array.min() >= 0 and array.max() <= 1):  # written so that NaN fails as well
            raise InputError("a picture of floats must have values from 0 to 1")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"a picture is uint8 or floats from 0 to 1, not {array.dtype}")
    return Image.fromarray(array)


def resize(image, size):
    """Scale a picture so that its long edge has `size` pixels, by Lanczos's filter (lesson 1).

    Parameters
    ----------
    image : uint8 array, shape (H, W, 3)
    size : int, from 32 to 10000

    Raises
    ------
    InputError
        If the short edge would get fewer than 32 pixels.
    """
    if not SMALLEST <= size <= LARGEST:
        raise InputError(f"the size must be from {SMALLEST} to {LARGEST} pixels, not {size}")
    height, width = image.shape[:2]
    factor = size / max(height, width)
    new_width, new_height = round(width * factor), round(height * factor)
    if min(new_width, new_height) < SMALLEST:
        raise InputError(
            f"a picture of {width} x {height} becomes {new_width} x {new_height} pixels at size {size}: "
            f"its short edge needs {SMALLEST}, so choose a larger size (or fewer scales) or crop it"
        )
    return np.array(Image.fromarray(image).resize((new_width, new_height), Image.Resampling.LANCZOS))


def fit(image, height, width):
    """Scale and crop a uint8 picture (H, W, 3) to exactly this size, around its centre."""
    return np.array(ImageOps.fit(Image.fromarray(image), (width, height), Image.Resampling.LANCZOS))


def enlarge(values, height, width):
    """Scale a float32 array (h, w, 3), of any values, to (height, width, 3) (bicubic)."""
    channels = (Image.fromarray(values[..., c]) for c in range(3))
    larger = [np.asarray(c.resize((width, height), Image.Resampling.BICUBIC)) for c in channels]
    return np.stack(larger, axis=-1)


def preprocess(image, preprocessing, dtype=np.float32):
    """Turn pixels (H, W, 3), RGB 0 to 255, into what the network was trained on (lesson 1)."""
    pixels = image[..., ::-1] if preprocessing.channel_order == "BGR" else image
    return ((pixels - np.array(preprocessing.mean)) * np.array(preprocessing.scale)).astype(dtype)


def deprocess(values, preprocessing):
    """Undo `preprocess`: to uint8 RGB, clipped to 0..255 and rounded, never stretched (lesson 1)."""
    xp = library_of(values)  # on a device, what is small is copied to the host: the bytes
    pixels = values / xp.asarray(preprocessing.scale) + xp.asarray(preprocessing.mean)
    pixels = pixels[..., ::-1] if preprocessing.channel_order == "BGR" else pixels
    return to_host(xp.rint(xp.clip(pixels, 0, 255)).astype(xp.uint8))


def pixel_range(preprocessing):
    """What black and white become in `preprocess`: two arrays of 3, the bounds of a picture."""
    black, white = preprocess(np.array([[[0] * 3], [[255] * 3]]), preprocessing, np.float64)
    return np.minimum(black, white), np.maximum(black, white)  # a scale may be negative

"""Loading a picture from a file, a PIL image or an array."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import InputError, NoMemoryToReadError, shown
from ..files import is_regular
from ..notes import note
from . import jpeg, png, tiff
from .colour import to_rgb, to_rgb_and_alpha
from .cut_out import continue_colours, reduce
from .formats import FORMATS_WITH_FRAMES, START, check_start, readable_formats
from .limits import check_density
from .memory import is_lack_of_memory
from .resize import size_within

Source = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO | Image.Image | np.ndarray
MOST_BYTES = 1 << 31  # of an open file: it may be a pipe without an end
DARKEST_WHITE = 4096  # of a uint16 array: below, it has 8, 10 or 12 bits, and would be taken for black


class FileWithin(io.BufferedReader):
    """A file that reads no more at once than it holds.

    Python asks for all the memory first, and a damaged file may say that its next part has 4 GB.
    """

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw)
        self.size = os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(-1 if size is None else min(size, self.size))


def load_image(source: Source, size: int | None = None) -> np.ndarray:
    """Bring a picture of any kind to uint8 RGB (lesson 1).

    The EXIF orientation is applied, an embedded colour profile is converted to sRGB, and
    transparent parts are shown over white (a note says so, see `nnstyle.notes`).

    Parameters
    ----------
    source : path, bytes, open file, PIL image, or array
        A file in one of `RASTER_FORMATS`, or what is in it. An array is (H, W), (H, W, 3) or (H, W, 4):
        uint8, uint16 from 0 to 65535, or floating with values from 0 to 1.
    size : int, optional
        The long edge that is wanted, px. A JPEG of more than 30 million pixels is then decoded at a half, a
        quarter or an eighth of its size where that leaves twice as much. By default it has its full size.

    Returns
    -------
    uint8 array, shape (H, W, 3)

    Raises
    ------
    InputError
        If there is no such file, or it is not a picture, truncated, or absurdly large.
    NoMemoryToReadError
        If there is not enough memory to decode it.
    """
    with opened(source, size) as image:
        return np.array(to_rgb(image))


def load_cut_out(source: Source, size: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Load the colours of a picture and its alpha channel.

    Where it is fully transparent, its colours are arbitrary. They are replaced by those around, continued:
    so neither a scaled picture nor a painted one has a fringe.

    Parameters
    ----------
    source, size
        As for `load_image`. A picture with an alpha channel is brought to twice the size, if it is larger.

    Returns
    -------
    colours : uint8 array, shape (H, W, 3)
        RGB in sRGB.
    alpha : uint8 array, shape (H, W), or None
        From 0, transparent, to 255, opaque; None if all of it is opaque.

    Raises
    ------
    InputError, NoMemoryToReadError
        As `load_image`; and if all of it is transparent.
    """
    with opened(source, size) as image:
        image, channel = to_rgb_and_alpha(image)
        if channel is None:
            return np.array(image), None
        if size is None or max(image.size) <= 2 * size:
            colours, alpha = np.array(image), np.array(channel)
        else:
            height, width = size_within((image.height, image.width), size)
            colours, alpha = reduce(image, channel, 2 * height, 2 * width)
        if not alpha.any():
            raise InputError("all of it is transparent: there is nothing to paint")
        return continue_colours(colours, alpha), alpha


@contextlib.contextmanager
def opened(source: Source, size: int | None = None) -> Iterator[Image.Image]:
    """A picture as a PIL image. Whatever is wrong with it becomes an InputError that names it."""
    if isinstance(source, str) and source.lower().startswith(("http://", "https://")):
        raise InputError(f"{shown(source)} is a URL: download it first, and give the file")
    if isinstance(source, (str, os.PathLike)):
        with open_file(Path(source)) as file, complaints_about(source):
            with open_picture(file, size) as image:
                yield image
    elif isinstance(source, (bytes, bytearray, memoryview)) or hasattr(source, "read"):
        with complaints_about("the picture"), open_picture(io.BytesIO(contents(source)), size) as image:
            yield image
    else:
        image = source if isinstance(source, Image.Image) else array_to_pil(source)
        with complaints_about("the picture"):
            yield image


def open_file(path: Path) -> FileWithin:
    """The file of a picture."""
    try:
        if not is_regular(path):
            what = "a folder" if path.is_dir() else "a pipe or a device"
            raise InputError(f"{path} is {what}, not a picture")
        # Opened here, not by Pillow: when it knows a file's name, it maps uncompressed grey TIFFs
        # into memory, and scrambles those whose orientation swaps width and height.
        return FileWithin(open(path, "rb", buffering=0))
    except InputError:
        raise
    except (FileNotFoundError, ValueError):  # ValueError: a zero byte in its name
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def contents(source: Any) -> bytes:
    """What is in an open file, from its beginning if it can go back there, or the bytes themselves."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    place = source.tell() if hasattr(source, "seekable") and source.seekable() else None
    if place is not None:
        source.seek(0)
    data = bytearray()
    while part := source.read(1 << 20):
        if not isinstance(part, bytes):
            raise InputError(f"it comes from a file of text ({type(part).__name__}): open it with mode 'rb'")
        data += part
        if len(data) > MOST_BYTES:
            raise InputError(f"it has more than {MOST_BYTES >> 30} GB")
    if place is not None:
        source.seek(place)
    return bytes(data)


def open_picture(file: BinaryIO, size: int | None = None) -> Image.Image:
    """A PIL image of a picture's file, not decoded yet, in one of the formats that are read here."""
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(START)
    file.seek(0)
    check_start(start)
    if start.startswith(jpeg.START):
        return jpeg.open_jpeg(file.read(), size)
    if start.startswith(tiff.STARTS):
        image = tiff.open_tiff(file)
    elif start.startswith(png.SIGNATURE):
        image = png.open_png(file)
    else:
        image = Image.open(file, formats=readable_formats())
    check_density(image, length)
    if image.format not in FORMATS_WITH_FRAMES:
        return image
    try:
        frames = getattr(image, "n_frames", 1)
    except Exception:  # noqa: BLE001  # a later frame is damaged, and raises whatever its bytes lead to
        return Image.open(file, formats=(str(image.format),))
    if frames > 1:
        note(f"an animation of {frames} frames, of which the first is taken")
    return image


@contextlib.contextmanager
def complaints_about(name: Any) -> Iterator[None]:
    """Turn whatever is wrong with a picture into an InputError that names it."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except Image.DecompressionBombError:
        assert Image.MAX_IMAGE_PIXELS is not None  # without a limit, there is no such error
        limit = 2 * Image.MAX_IMAGE_PIXELS // 1_000_000
        raise InputError(f"{name} has more than {limit} million pixels: reduce it first") from None
    except UnidentifiedImageError:
        raise InputError(f"{name} is not a picture in a format that is read here") from None
    except Exception as error:  # Pillow's decoders raise about ten kinds for a damaged file
        if is_lack_of_memory(error):
            raise no_memory_to_read(name) from error
        raise InputError(f"{name} cannot be decoded, it may be damaged: {error}") from error


def no_memory_to_read(source: Any) -> NoMemoryToReadError:
    """What to raise where a picture takes too much memory, however small it is wanted."""
    name = source if isinstance(source, (str, os.PathLike)) else "the picture"
    return NoMemoryToReadError(f"there is not enough memory to read {name}: reduce it first")


def array_to_pil(source: object) -> Image.Image:
    """A PIL image of an (H, W), (H, W, 3) or (H, W, 4) array: uint8, uint16, or floats from 0 to 1."""
    try:
        array = np.asarray(source)
    except (TypeError, ValueError):  # nested lists whose lengths differ, or an array on a GPU
        raise InputError(
            f"a picture is a path, a PIL image or an array, not {type(source).__name__}"
        ) from None
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or array.size == 0:
        raise InputError(f"a picture is (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    if array.dtype != np.uint8:
        array = np.rint(array * (255 / white_of(array))).astype(np.uint8)
    return Image.fromarray(array)


def white_of(array: np.ndarray) -> int:
    """The value that is white in an array of floats or uint16; InputError if its values are none of a picture."""
    if array.dtype.kind not in "fiu":
        raise InputError(f"a picture is uint8, uint16, or floats from 0 to 1, not {array.dtype}")
    least, largest = array.min(), array.max()
    is_in_bytes = 0 <= least and 1 < largest <= 255
    if array.dtype.kind == "f":
        if not (least >= 0 and largest <= 1):  # written so that NaN fails as well
            advice = ": divide them by 255" if is_in_bytes else ""
            raise InputError(
                f"floats of a picture must be from 0 to 1, not from {least:g} to {largest:g}{advice}"
            )
        return 1
    if array.dtype == np.uint16:
        if largest < DARKEST_WHITE:
            raise InputError(
                f"a picture of uint16 has values from 0 to 65535, but the largest here is {largest}: give floats,"
                " divided by the value of white"
            )
        return 65535
    advice = ": convert it with .astype(np.uint8)" if is_in_bytes else ""
    raise InputError(f"a picture is uint8, uint16, or floats from 0 to 1, not {array.dtype}{advice}")

"""Loading a picture from a file, a PIL image or an array."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import InputError
from ..files import is_regular
from .colour import to_rgb
from .memory import is_lack_of_memory

Source = str | os.PathLike | Image.Image | np.ndarray

# The formats in which a picture is read: those that consist of pixels and that Pillow decodes itself.
# EPS is missing because Pillow has Ghostscript run what is in the file. So are formats of which
# Pillow only knows the name (PDF, HDF5, MPEG, GRIB, BUFR), and those of measurements, not pictures.
# The first six come first because Pillow loads the others only when it reaches them.
RASTER_FORMATS = (
    *("BMP", "DIB", "GIF", "JPEG", "PPM", "PNG"),
    *("TIFF", "WEBP", "AVIF", "JPEG2000", "TGA", "PSD", "ICO", "ICNS", "CUR", "QOI"),
    *(
        "BLP",
        "DCX",
        "DDS",
        "FLI",
        "FTEX",
        "GBR",
        "IM",
        "MSP",
        "PCD",
        "PCX",
        "PIXAR",
        "SGI",
        "SUN",
        "XBM",
        "XPM",
    ),
)
# Read as well where somebody has registered a plugin: pillow-heif or pillow-jxl-plugin.
PLUGIN_FORMATS = ("HEIF", "JXL")

# A few bytes may claim to be millions of pixels. In a picture of one colour, a byte of a JPEG is 64
# of them, of a PNG 320, and of a grey PNG 1030.
ALWAYS_READ = 30_000_000  # pixels: some 400 MB while it is being read
MOST_PER_BYTE = 1100
# A progressive JPEG is decoded anew for each of its scans. There are some 10 in a photograph.
MOST_SCANNED = 10_000_000_000  # pixels times scans: within half a minute
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of a TIFF


class FileWithin(io.BufferedReader):
    """A file of which no more is read at once than there is.

    Python asks for all the memory first, and a damaged file may say that its next part has 4 GB.
    """

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw)
        self.size = os.fstat(raw.fileno()).st_size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(-1 if size is None else min(size, self.size))


def load_image(source: Source) -> np.ndarray:
    """Bring a picture of any kind to uint8 RGB (lesson 1).

    The EXIF orientation is applied, an embedded colour profile is converted to sRGB, and
    transparent parts are shown over white (a note says so, see `nnstyle.notes`).

    Parameters
    ----------
    source : path, PIL image, or array
        A file in one of `RASTER_FORMATS`. An array is (H, W), (H, W, 3) or (H, W, 4): uint8, or
        floating with values from 0 to 1.

    Returns
    -------
    uint8 array, shape (H, W, 3)

    Raises
    ------
    InputError
        If there is no such file, or it is not a picture, truncated, or absurdly large.
    """
    if isinstance(source, (str, os.PathLike)):
        return load_file(Path(source))
    if not isinstance(source, Image.Image):
        source = array_to_pil(source)
    with complaints_about("the picture"):
        return np.array(to_rgb(source))


def load_file(path: Path) -> np.ndarray:
    """`load_image` for a path."""
    try:
        if not is_regular(path):
            raise InputError(f"{path} is a folder, a pipe or a device, not a picture")
        # Opened here, not by Pillow: when it knows a file's name, it maps uncompressed grey TIFFs
        # into memory, and scrambles those whose orientation swaps width and height.
        file = FileWithin(open(path, "rb", buffering=0))
    except InputError:
        raise
    except (FileNotFoundError, ValueError):  # ValueError: a zero byte in its name
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    with file, complaints_about(path), Image.open(file, formats=readable_formats()) as image:
        check_density(image, file.size)
        check_scans(image, file)
        return np.array(to_rgb(image))


def check_density(image: Image.Image, size: int) -> None:
    """Raise InputError for a picture that would take much memory and has nearly nothing in its file.

    Parameters
    ----------
    image : PIL image, not decoded yet
    size : int
        Of its file, bytes.
    """
    pixels = pixels_decoded(image)
    if pixels > ALWAYS_READ and pixels > MOST_PER_BYTE * size:
        raise InputError(
            f"a file of {size} bytes claims to be a picture of {pixels // 1_000_000} million pixels: "
            "save it anew, smaller"
        )


def pixels_decoded(image: Image.Image) -> int:
    """The number of pixels that a picture has while it is decoded: a TIFF's whole tiles."""
    tags = getattr(image, "tag_v2", {})
    width, height = tags.get(TILE_WIDTH, 0), tags.get(TILE_LENGTH, 0)
    return max(image.width, width) * max(image.height, height)


def check_scans(image: Image.Image, file: FileWithin) -> None:
    """Raise InputError for a JPEG of so many scans that it would take minutes."""
    if image.format not in ("JPEG", "MPO"):
        return
    place = file.tell()
    file.seek(0)
    scans = file.read().count(b"\xff\xda")  # some more, where a video follows the picture
    file.seek(place)
    if scans * image.width * image.height > MOST_SCANNED:
        raise InputError(f"it is stored in {scans} scans, which would take minutes: save it anew")


def readable_formats() -> tuple[str, ...]:
    """The formats to try, by Pillow's names."""
    return RASTER_FORMATS + tuple(name for name in PLUGIN_FORMATS if name in Image.OPEN)


def pictures_in(folder: str | os.PathLike) -> list[Path]:
    """The paths of all pictures in a folder, in order of their names.

    A file counts as a picture if its ending is that of one of `RASTER_FORMATS`. Hidden files are
    left out: what is called ``._photo.jpg`` is not a picture, but something that macOS keeps beside it.

    Raises
    ------
    InputError
        If there is no such folder, or no picture in it.
    """
    try:
        paths = sorted(Path(folder).iterdir())
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{folder} is not a folder that can be read: {reason}") from None
    endings = picture_endings()
    pictures = [path for path in paths if is_picture_name(path, endings) and path.is_file()]
    if not pictures:
        raise InputError(f"there is no picture in the folder {folder}")
    return pictures


def picture_endings() -> set[str]:
    """Such as ``.jpg``: the endings of the formats that are read."""
    formats = {*readable_formats(), "MPO"}  # MPO: several JPEGs, of which the first is read
    return {ending for ending, name in Image.registered_extensions().items() if name in formats}


def is_picture_name(path: Path, endings: set[str]) -> bool:
    """Whether a file's name is that of a picture."""
    return path.suffix.lower() in endings and not path.name.startswith(".")


@contextlib.contextmanager
def complaints_about(name: str | Path) -> Iterator[None]:
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
            raise MemoryError from error
        raise InputError(f"{name} cannot be decoded, it may be damaged: {error}") from error


def array_to_pil(source: object) -> Image.Image:
    """A PIL image of an (H, W), (H, W, 3) or (H, W, 4) array: uint8, or floats from 0 to 1."""
    try:
        array = np.asarray(source)
    except (TypeError, ValueError):  # nested lists whose lengths differ, or an array on a GPU
        raise InputError(
            f"a picture is a path, a PIL image or an array, not {type(source).__name__}"
        ) from None
    if not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))) or array.size == 0:
        raise InputError(f"a picture is (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    if array.dtype.kind == "f":
        if not (array.min() >= 0 and array.max() <= 1):  # written so that NaN fails as well
            raise InputError("a picture of floats must have values from 0 to 1")
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError(f"a picture is uint8 or floats from 0 to 1, not {array.dtype}")
    return Image.fromarray(array)

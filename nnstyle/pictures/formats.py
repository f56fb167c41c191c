"""Which files are read as pictures, and by what their first bytes tell them apart."""

import contextlib
import os
from pathlib import Path

from PIL import Image, features

from ..errors import InputError

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
# Read as well where there is a plugin: pillow-heif, which is registered here, or one that somebody
# has registered, such as pillow-jxl-plugin.
PLUGIN_FORMATS = ("HEIF", "JXL")
# Those that may hold an animation, or several pages. (What else has several frames: a PSD has layers,
# an MPO previews and depths, a HEIF the pictures that its main one is made of.)
FORMATS_WITH_FRAMES = ("GIF", "WEBP", "PNG", "AVIF", "FLI", "DCX", "JXL")

# The brands of ISO media files (their first box, "ftyp", names them).
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
# How the raw files of cameras begin that are no TIFFs: Fujifilm, Olympus, Panasonic.
RAW_STARTS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
CANON_BRAND = b"crx "

START = 64  # bytes: as many as tell the format
EXPORT_RAW = "this is a camera's raw file, which is not read here: export it as JPEG or TIFF"
NEEDS_HEIF = (
    "this is HEIC, as iPhones store it: to read it, `pip install 'nnstyle[heif]'`; or export it as JPEG"
)
NEEDS_AVIF = "this is AVIF, which this Pillow does not read: install a newer one, or export it as JPEG"


def check_start(start: bytes) -> None:
    """Raise InputError for a file of a kind that is known but cannot be read here, by its first bytes.

    Its name says nothing: an iPhone's ``photo.jpg`` may be HEIC.
    """
    brands = media_brands(start)
    if start.startswith(RAW_STARTS) or CANON_BRAND in brands:
        raise InputError(EXPORT_RAW)
    if AVIF_BRANDS & brands:
        if not features.check("avif"):
            raise InputError(NEEDS_AVIF)
    elif HEIF_BRANDS & brands:
        register_heif()
        if "HEIF" not in readable_formats():
            raise InputError(NEEDS_HEIF)


def media_brands(start: bytes) -> set[bytes]:
    """What an ISO media file says that it is; of another file, nothing."""
    if start[4:8] != b"ftyp":
        return set()
    box = start[: int.from_bytes(start[:4], "big")]
    return {box[8:12]} | {box[place : place + 4] for place in range(16, len(box), 4)}


def register_heif() -> None:
    """Have Pillow read HEIC, where pillow-heif is installed. It is imported only where it is needed."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()


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
    register_heif()
    formats = {*readable_formats(), "MPO"}  # MPO: several JPEGs, of which the first is read
    return {ending for ending, name in Image.registered_extensions().items() if name in formats}


def is_picture_name(path: Path, endings: set[str]) -> bool:
    """Whether a file's name is that of a picture."""
    return path.suffix.lower() in endings and not path.name.startswith(".")

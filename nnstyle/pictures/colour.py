"""From a PIL image of any mode to upright RGB in sRGB."""

import functools
import io
import struct

import numpy as np
from PIL import Image, ImageCms, ImageOps

from ..errors import InputError
from ..notes import note
from .memory import is_lack_of_memory
from .tiff import grey_range

CREATION_DATE = slice(24, 36)  # of an ICC profile


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a PIL image of any mode to upright RGB in sRGB, over white where it is transparent."""
    image, profile = to_eight_bits(image)
    if image.has_transparency_data:
        image = over_white(image)
    return in_srgb(image, profile)


def to_rgb_and_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The same, with the alpha channel (mode L) beside it: None if nothing is transparent."""
    image, profile = to_eight_bits(image)
    if not image.has_transparency_data:
        return in_srgb(image, profile), None
    image = to_rgba(image)
    alpha = image.getchannel("A")
    is_opaque = alpha.getextrema() == (255, 255)
    return in_srgb(image.convert("RGB"), profile), None if is_opaque else alpha


def to_eight_bits(image: Image.Image) -> tuple[Image.Image, bytes | None]:
    """A picture upright, with 8 bits for each channel, and its embedded colour profile."""
    black, white = grey_range(image)
    image = upright(image)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = deep_to_grey(image, black, white)
    return image, profile


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB in sRGB, from the profile that was embedded if there was one."""
    if profile:
        image = to_srgb(image, profile)
    return image.convert("RGB")


def over_white(image: Image.Image) -> Image.Image:
    """Lay a picture with an alpha channel, or a transparent colour, over white."""
    image = to_rgba(image)
    if image.getchannel("A").getextrema() != (255, 255):
        note("transparent parts of a picture are taken as white")
    return on_white(image)


def on_white(image: Image.Image) -> Image.Image:
    """An RGBA picture over white, as RGB."""
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def to_rgba(image: Image.Image) -> Image.Image:
    """A picture with transparency as RGBA. Premultiplied colours (modes La and RGBa) are divided by alpha."""
    if image.mode == "La":  # Pillow knows one way only
        image = image.convert("LA")
    return image.convert("RGBA")


def upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its EXIF orientation says; a broken EXIF block is ignored."""
    image.load()  # so that nothing but EXIF can fail below
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # a damaged block raises whatever its bytes lead to
        if is_lack_of_memory(error):
            raise
        note("a picture's orientation cannot be read; taken as upright")
        return image


def deep_to_grey(image: Image.Image, black: float, white: float) -> Image.Image:
    """Bring grey of 16 bits or floats to 8 bits, from what is black in it (0) and white; Pillow would clip."""
    values = np.asarray(image)
    least, largest = sorted((black, white))
    if not (values.min() >= least and values.max() <= largest):
        raise InputError(
            f"grey values must lie between {least} and {largest}, not {values.min()} and {values.max()}"
        )
    factor = 255 / (white - black)  # below 0 where 0 is white
    grey = Image.fromarray(np.rint(values * factor - black * factor).astype(np.uint8))
    if "transparency" in image.info:  # the one value that a 16-bit PNG declares transparent
        alpha = np.where(values == image.info["transparency"], 0, 255).astype(np.uint8)
        grey.putalpha(Image.fromarray(alpha))
    return grey


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert from the embedded ICC profile to sRGB; a broken profile is ignored."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = {"GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}.get(source.profile.xcolor_space, "RGB")
        if not suits(image, mode):
            raise ValueError("the profile is that of another kind of picture")
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image.convert(mode), source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        note("a picture's colour profile cannot be used; taken as sRGB")
        return image
    assert converted is not None  # only inPlace=True returns None
    return converted


def suits(image: Image.Image, mode: str) -> bool:
    """Whether a picture can be converted to a profile's mode without losing its colours."""
    if mode == "L":
        return image.convert("L").convert("RGB").tobytes() == image.convert("RGB").tobytes()
    return mode != "CMYK" or image.mode == "CMYK"


@functools.cache
def srgb_profile() -> bytes:
    """An ICC profile of sRGB, always the same bytes: without the date on which it was made."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[CREATION_DATE] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)

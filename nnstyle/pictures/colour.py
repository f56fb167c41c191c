"""From a PIL image of any mode to upright RGB in sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms, ImageOps

from ..errors import InputError
from ..notes import note
from .memory import is_lack_of_memory


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert a PIL image of any mode to upright RGB in sRGB, over white where it is transparent."""
    image = upright(image)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = deep_to_grey(image)
    if image.has_transparency_data:
        image = over_white(image)
    if profile:
        image = to_srgb(image, profile)
    return image.convert("RGB")


def over_white(image: Image.Image) -> Image.Image:
    """Lay a picture with an alpha channel, or a transparent colour, over white."""
    image = image.convert("RGBA")
    if np.asarray(image.getchannel("A")).min() < 255:
        note("transparent parts of a picture are taken as white")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


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


def deep_to_grey(image: Image.Image) -> Image.Image:
    """Bring grey of 16 bits (0 to 65535) or floats (0 to 1) to 8 bits; Pillow itself would clip."""
    values = np.asarray(image)
    largest = 1 if image.mode == "F" else 65535
    if not (values.min() >= 0 and values.max() <= largest):
        raise InputError(
            f"grey values must lie between 0 and {largest}, not {values.min()} and {values.max()}"
        )
    grey = Image.fromarray(np.rint(values * (255 / largest)).astype(np.uint8))
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

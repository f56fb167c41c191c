"""A PIL image of any mode -> upright RGB in sRGB: what `nnstyle.images` makes of a file."""

import io
import warnings

import numpy as np
from PIL import Image, ImageCms, ImageOps

from .errors import InputError


def to_rgb(image):
    """A PIL image of any mode as upright RGB in sRGB, over white where it is transparent."""
    image = upright(image)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = deep_to_grey(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] < 255:
            warnings.warn("transparent parts of a picture are taken as white", stacklevel=2)
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if profile:
        image = to_srgb(image, profile)
    return image.convert("RGB")


def upright(image):
    """Turn a picture as its EXIF orientation says; an EXIF block that is broken is left out."""
    image.load()  # so that the only thing to fail below is EXIF
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged block raises whatever its bytes lead to
        warnings.warn("a picture's orientation cannot be read; taken as upright", stacklevel=2)
        return image


def deep_to_grey(image):
    """Grey with 16 bits (0 to 65535) or floats (0 to 1) as 8 bits; Pillow alone would clip."""
    values = np.asarray(image)
    largest = 1 if image.mode == "F" else 65535
    if not (values.min() >= 0 and values.max() <= largest):
        raise InputError(
            f"grey values must lie between 0 and {largest}, not {values.min()} and {values.max()}"
        )
    grey = Image.fromarray(np.rint(values * (255 / largest)).astype(np.uint8))
    if "transparency" in image.info:  # the one value that a 16-bit PNG declares transparent
        grey.putalpha(
            Image.fromarray(np.where(values == image.info["transparency"], 0, 255).astype(np.uint8))
        )
    return grey


def to_srgb(image, profile):
    """Convert from the embedded ICC profile (bytes) to sRGB; a broken profile is left out."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = {"GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}.get(source.profile.xcolor_space, "RGB")
        if not suits(image, mode):
            raise ValueError("the profile is that of another kind of picture")
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image.convert(mode), source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        warnings.warn("a picture's colour profile cannot be used; taken as sRGB", stacklevel=2)
        return image


def suits(image, mode):
    """Whether a picture can be converted to a profile's mode without losing its colours."""
    if mode == "L":
        return image.convert("L").convert("RGB").tobytes() == image.convert("RGB").tobytes()
    return mode != "CMYK" or image.mode == "CMYK"

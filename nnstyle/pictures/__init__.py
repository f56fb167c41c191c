"""Pictures in and out.

Between loading and saving, a picture is a uint8 array (height, width, 3), RGB in sRGB; it is saved as
one of uint16 as well, and with alpha as a fourth channel. A network is given a float array of the same shape, see `preprocess`.
"""

from .decode import Source, load_cut_out, load_image
from .formats import pictures_in
from .lightness import grey, match_lightness, with_colours_of
from .masks import as_grey, resize_mask
from .preprocessing import Preprocessing, deprocess, in_8_bits, pixel_range, preprocess
from .recolouring import recolour
from .resize import LARGEST, SMALLEST, enlarge, fit, resize
from .saving import (
    FORMATS,
    check_no_input_is_replaced,
    check_output,
    save_image,
)
from .stored import stored_settings

__all__ = [
    "FORMATS",
    "LARGEST",
    "SMALLEST",
    "Preprocessing",
    "Source",
    "as_grey",
    "check_no_input_is_replaced",
    "check_output",
    "deprocess",
    "enlarge",
    "fit",
    "grey",
    "in_8_bits",
    "load_cut_out",
    "load_image",
    "match_lightness",
    "pictures_in",
    "pixel_range",
    "preprocess",
    "recolour",
    "resize",
    "resize_mask",
    "save_image",
    "stored_settings",
    "with_colours_of",
]

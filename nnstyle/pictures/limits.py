"""How large a picture may be: asked before it is decoded, when nothing but its header has been read."""

from PIL import Image

from ..errors import InputError

# A few bytes may claim to be millions of pixels. In a picture of one colour, a byte of a JPEG is 64
# of them, of a PNG 320, and of a grey PNG 1030.
ALWAYS_READ = 30_000_000  # pixels: some 400 MB while it is being read
MOST_PER_BYTE = 1100
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of a TIFF


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


def is_too_large(pixels: int) -> bool:
    """Whether a picture has more pixels than Pillow would decode. Users may change that limit."""
    return Image.MAX_IMAGE_PIXELS is not None and pixels > 2 * Image.MAX_IMAGE_PIXELS

"""Lightness and colour apart, so that a photograph can keep its own colours.

The space is Oklab (Bjorn Ottosson, "A perceptual color space for image processing", 2020), whose numbers
these are: L is the lightness as it is seen, from 0 (black) to 1 (white), and (a, b) is the colour, (0, 0) for
greys. Its distance from grey is called chroma.
"""

import numpy as np

LINEAR_RGB_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
CONES_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
HALVINGS = 16  # of the chroma's range: finer than 16 bits
TOLERANCE = 1e-4  # relative, in linear light: the numbers above are rounded
ROWS = 128  # at a time: the float64 arrays of a large picture would take much memory


def oklab(pixels: np.ndarray) -> np.ndarray:
    """Turn sRGB pixels (..., 3) from 0 to 255 into Oklab's (L, a, b)."""
    stored = np.asarray(pixels, np.float64) / 255
    linear = np.where(stored <= 0.04045, stored / 12.92, ((stored + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ LINEAR_RGB_TO_CONES.T) @ CONES_TO_LAB.T


def linear_rgb(lab: np.ndarray) -> np.ndarray:
    """Turn Oklab's (L, a, b) into linear light, red, green and blue: from 0 to 1 where sRGB has the colour."""
    cones = (lab @ np.linalg.inv(CONES_TO_LAB).T) ** 3
    return cones @ np.linalg.inv(LINEAR_RGB_TO_CONES).T


def srgb(lab: np.ndarray) -> np.ndarray:
    """Undo `oklab`. Of a colour that sRGB does not have, lightness and hue stay and the chroma shrinks.

    Near black and white there are few colours: clipping red, green and blue each by itself would change
    lightness and hue there.
    """
    lab = np.array(lab, np.float64)
    lab[..., 0] = lab[..., 0].clip(0, 1)
    outside = ~is_displayable(lab)
    lab[outside] = with_less_chroma(lab[outside])
    linear = linear_rgb(lab).clip(0, 1)
    return 255 * encoded(linear)


def encoded(linear: np.ndarray) -> np.ndarray:
    """Linear light as sRGB stores it, both from 0 to 1 (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def is_displayable(lab: np.ndarray) -> np.ndarray:
    """Where sRGB has a colour: bool, one for each."""
    linear = linear_rgb(lab)
    least = -TOLERANCE * lab[..., :1] ** 3  # L^3 is the linear light of the grey that is as light
    return np.all((linear >= least) & (linear <= 1 + TOLERANCE), axis=-1)


def with_less_chroma(lab: np.ndarray) -> np.ndarray:
    """Shrink the chroma of colours (n, 3) until sRGB has them, by bisection."""
    kept = np.zeros((len(lab), 1))  # the share of the chroma that is known to fit: grey always does
    for halving in range(1, HALVINGS + 1):
        larger = kept + 0.5**halving
        fits = is_displayable(np.concatenate([lab[:, :1], lab[:, 1:] * larger], axis=1))
        kept[fits] = larger[fits]
    return np.concatenate([lab[:, :1], lab[:, 1:] * kept], axis=1)


def with_colours_of(content: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """The lightness of one picture with the colours of another.

    Parameters
    ----------
    content : array, shape (H, W, 3)
        It gives the colours: sRGB from 0 to 255.
    painted : array, shape (H, W, 3)
        It gives the lightness.

    Returns
    -------
    float64 array, shape (H, W, 3), from 0 to 255
    """
    result = np.empty(painted.shape)
    for top in range(0, len(painted), ROWS):
        rows = slice(top, top + ROWS)
        lab = oklab(content[rows])
        lab[..., 0] = oklab(painted[rows])[..., 0]
        result[rows] = srgb(lab)
    return result


def grey(image: np.ndarray) -> np.ndarray:
    """A uint8 picture (H, W, 3) without its colours, as light as it was."""
    return grey_of(lightness(image))


def match_lightness(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """A grey picture whose lightness has the mean and the standard deviation of a reference's.

    Hertzmann and others, "Image Analogies" (2001), section 3.4.

    Parameters
    ----------
    image, reference : uint8 arrays, shape (H, W, 3)
        Their sizes may differ.

    Returns
    -------
    uint8 array, shape (H, W, 3)
    """
    L, other = lightness(image), lightness(reference)
    deviation = max(L.std(), 1e-3)  # that of a flat picture may be 0
    return grey_of((L - L.mean()) * (other.std() / deviation) + other.mean())


def lightness(image: np.ndarray) -> np.ndarray:
    """Oklab's L of a picture (H, W, 3): shape (H, W)."""
    return np.concatenate([oklab(image[top : top + ROWS])[..., 0] for top in range(0, len(image), ROWS)])


def grey_of(lightness: np.ndarray) -> np.ndarray:
    """The grey picture, uint8 (H, W, 3), of this lightness (H, W)."""
    linear = lightness.clip(0, 1) ** 3
    levels = np.rint(255 * encoded(linear)).astype(np.uint8)
    return np.repeat(levels[..., np.newaxis], 3, axis=-1)

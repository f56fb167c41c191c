"""How alike two textures are, and two pictures: measures that no network and no optimizer sees.

Accuracy says how well a network tells dogs from boats, not how well it paints; and its own losses
cannot judge it, because each network has losses of its own. What stands here looks at pixels only.

Textures: a bank of Gabor filters at several scales and orientations, as in the early visual cortex;
two textures look alike where such filters have the same marginal statistics (Heeger and Bergen, 1995)
and the same correlations within a scale and across scales (Portilla and Simoncelli, 2000). No Gram
matrix of a VGG contains these numbers. Pictures: multi-scale SSIM (Wang, Simoncelli and Bovik, 2003).
"""

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve

SCALES, ORIENTATIONS = 4, 4
# Luminance, blue against yellow, red against green: of unit length, each at right angles to the others.
OPPONENT = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3], [6], [2]])
STEPS = (2, 4)  # px at each scale: how far a band's correlation with itself is followed
QUANTILES = 64
# Wang and others, section 3.2: how much each scale counts for an observer, from the finest.
MSSSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def texture_distance(picture, reference):
    """How far a texture is from the reference: marginals and correlations, 0 for the same picture.

    Parameters
    ----------
    picture, reference : uint8 arrays, shape (H, W, 3), RGB
        At least 128 px each way; sizes may differ, as nothing is compared place by place.

    Returns
    -------
    marginals : float, from 0
        The mean over all maps of Wasserstein's distance between their values, in standard deviations
        of the reference's: 1 is a shift by a whole one.
    correlations : float, 0 to 2
        Root mean square of the differences between correlation coefficients. A scale counts half as
        much as the next finer one, as its coefficients come from a quarter as many places: their
        random error is twice as large.
    """
    ours, theirs = texture_statistics(picture), texture_statistics(reference)
    marginals = [wasserstein(*pair) for pair in zip(ours[0], theirs[0], strict=True)]
    squares = [np.mean((a - b) ** 2) for a, b in zip(ours[1], theirs[1], strict=True)]
    return float(np.mean(marginals)), float(np.sqrt(np.average(squares, weights=0.5 ** np.arange(SCALES))))


def texture_statistics(picture):
    """What `texture_distance` compares: (a list of each map's values, each scale's correlations)."""
    values, correlations, finer = [], [], None
    for low, bands in pyramid(picture):
        values += [*low, *bands]
        # Strong edges, of which there are few, would drown the rest: logarithms.
        bands = np.log1p(bands)
        found = [upper(correlation(bands, bands)), *(self_correlation(bands, step) for step in STEPS)]
        if finer is not None:
            found.append(correlation(halve(finer), bands).ravel())
        correlations.append(np.concatenate(found))
        finer = bands
    return values, correlations


def pyramid(picture):
    """At each scale, from the finest: the opponent colours (3, h, w), and the bands' magnitudes (12, h, w)."""
    image = np.einsum("oc,hwc->ohw", OPPONENT, np.asarray(picture, np.float64))
    for _ in range(SCALES):
        padded = np.pad(image, ((0, 0), (4, 4), (4, 4)), mode="reflect")
        bands = [np.abs(fftconvolve(channel, g, "valid")) for channel in padded for g in gabor_filters()]
        yield image, np.stack(bands)
        image = halve(image)


def halve(maps):
    """Maps (n, h, w) at half the size: smoothed, then every other place."""
    return gaussian_filter(maps, (0, 1, 1), mode="reflect")[:, ::2, ::2]


def gabor_filters(wavelength=4.0, deviation=2.0):
    """Complex waves under a bell, one for each orientation, (9, 9): their magnitude has no phase.

    Each sums to 0, so that an even surface gives no response, and its absolute values to 1.
    """
    y, x = np.mgrid[-4:5, -4:5]
    bell = np.exp(-(x**2 + y**2) / (2 * deviation**2))
    for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
        wave = np.exp(2j * np.pi / wavelength * (x * np.cos(angle) + y * np.sin(angle)))
        wave = bell * (wave - (bell * wave).sum() / bell.sum())
        yield wave / np.abs(wave).sum()


def wasserstein(ours, theirs):
    """Wasserstein's distance of order 1 between two sets of numbers, in standard deviations of the second."""
    at = (np.arange(QUANTILES) + 0.5) / QUANTILES
    difference = np.abs(np.quantile(ours, at) - np.quantile(theirs, at)).mean()
    return difference / max(theirs.std(), 0.5)  # half a grey level: finer than that nothing is stored


def correlation(a, b):
    """Correlation coefficients between maps (n, h, w) and (m, h, w): (n, m)."""
    a, b = (maps.reshape(len(maps), -1) - maps.mean((1, 2))[:, None] for maps in (a, b))
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return a @ b.T / np.maximum(lengths, 1e-9)


def self_correlation(maps, step):
    """Correlation of each map with itself, so many px to the right, and below: (2 n,)."""
    right = np.diag(correlation(maps[:, :, step:], maps[:, :, :-step]))
    below = np.diag(correlation(maps[:, step:], maps[:, :-step]))
    return np.concatenate([right, below])


def upper(matrix):
    """What a symmetric matrix says once, without its diagonal."""
    return matrix[np.triu_indices(len(matrix), 1)]


def ms_ssim(picture, reference):
    """Multi-scale structural similarity of two pictures of one size, on luminance.

    Parameters
    ----------
    picture, reference : uint8 arrays, shape (H, W, 3), RGB
        At least 128 px each way.

    Returns
    -------
    float
        1 for the same picture, near 0 where nothing of the structure is left.
    """
    x, y = (np.asarray(image, np.float64) @ (0.299, 0.587, 0.114) for image in (picture, reference))
    similarity = 1.0
    for weight in MSSSIM_WEIGHTS:
        luminance, structure = ssim_parts(x, y)
        similarity *= max(structure, 0) ** weight
        x, y = ((image[:-1:2] + image[1::2]) / 2 for image in (x, y))
        x, y = ((image[:, :-1:2] + image[:, 1::2]) / 2 for image in (x, y))
    return float(similarity * luminance**weight)  # the coarsest scale's, as in their equation (7)


def ssim_parts(x, y):
    """The mean of SSIM's luminance term, and of its contrast times structure term."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    blur = lambda image: gaussian_filter(image, 1.5, mode="reflect", radius=5)
    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return luminance.mean(), structure.mean()

"""Giving a photograph the colours of a painting."""

import numpy as np

# In levels of 255. A photograph's colours are taken to vary by this much more than they do, as if a noise
# of this standard deviation lay over it: else the grain of a grey sky would become coloured specks.
ADDED_DEVIATION = 8.0


def recolour(image: np.ndarray, reference: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Give a picture the mean and the covariance of another's colours (lesson 12).

    The map is linear, ``x -> T (x - mean) + mean of the reference``, with the symmetric matrix

        T = C^-1/2 (C^1/2 R C^1/2)^1/2 C^-1/2,

    where C and R are the covariance matrices of the two pictures' colours. Then ``T C T = R``. Of
    all linear maps of which this is true, it changes the colours least: it is the optimal
    transport between two normal distributions. To the variances in C, 8^2 is added: the result
    varies a little less than the painting, and the grain of a flat picture is not blown up.

    Gatys, Bethge, Hertzmann and Shechtman ("Preserving Color in Neural Artistic Style Transfer",
    2016) match mean and covariance as well, the other way round: the painting's to the photograph's.

    Parameters
    ----------
    image, reference : uint8 arrays, shape (H, W, 3)
        Their sizes may differ.
    mask : float array, shape (H, W, 1), from 0 to 1, optional
        How much each pixel of the image counts in its mean and its covariance. All are recoloured.

    Returns
    -------
    uint8 array, shape (H, W, 3)
        Clipped to 0..255.
    """
    pixels, others = (picture.reshape(-1, 3).astype(np.float64) for picture in (image, reference))
    counts = None if mask is None or not mask.any() else mask.ravel()
    mean = np.average(pixels, axis=0, weights=counts)
    C = np.cov(pixels.T, aweights=counts, ddof=None if counts is None else 0) + ADDED_DEVIATION**2 * np.eye(3)
    R = np.cov(others.T)
    root = square_root(C)
    inverse = np.linalg.inv(root)
    T = inverse @ square_root(root @ R @ root) @ inverse
    pixels -= mean  # in place, because large pictures fill the memory
    recoloured = pixels @ T
    recoloured += others.mean(0)
    np.rint(recoloured.clip(0, 255, out=recoloured), out=recoloured)
    return recoloured.astype(np.uint8).reshape(image.shape)


def square_root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values.clip(0)) @ vectors.T

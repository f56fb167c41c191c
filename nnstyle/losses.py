"""The paper's losses, each with its gradient written out.

Every loss returns ``(loss, gradient)``, the gradient with respect to its first argument.
In the paper a layer's feature map is the N x M matrix F: N filters, M positions. Ours is
``features``, shape (height, width, N), so that F is ``features.reshape(M, N).T``; the
functions below work with that transpose, written ``F_T``, because it costs nothing.

The "0 where F < 0" of the paper's equations (2) and (6) is the derivative of ReLU: it is
applied once, in `nnstyle.layers.relu_backward`.
"""

from .backend import library_of
from .bands import empty, in_bands


def content_loss(features, target):
    """Half the squared distance between two feature maps (lesson 8).

    Parameters
    ----------
    features, target : arrays, shape (height, width, N)
        Of the generated and of the content image: the paper's F and P.

    Returns
    -------
    loss : float
        Equation (1), ``1/2 sum (F - P)^2``.
    gradient : array, shape (height, width, N)
        Equation (2), ``F - P``.
    """
    F, P = features, target
    difference = F - P
    return squared_sum(difference) / 2, difference


def gram_matrix(features, workers=None):
    """Correlations between filters, summed over all positions (lesson 9).

    Parameters
    ----------
    features : array, shape (height, width, N)

    Returns
    -------
    array, shape (N, N)
        Equation (3), ``G = F F^T``: symmetric, positive semi-definite.
    """
    F_T = features.reshape(-1, features.shape[-1])  # (M, N)
    return sum(in_bands(workers, lambda part: part.T @ part, F_T))  # a sum over positions


def style_loss(features, style_gram, style_positions=None, workers=None):
    """Squared distance between two Gram matrices: one layer's share of the style loss (lesson 9).

    Parameters
    ----------
    features : array, shape (height, width, N)
        Of the generated image: the paper's F.
    style_gram : array, shape (N, N)
        Gram matrix of the style image at the same layer: the paper's A.
    style_positions : int, optional
        Positions M that `style_gram` was summed over, if the style image's size differs.
        The matrices are then compared per position, G / M with A / M_style; where the
        sizes agree these are the paper's numbers.
    workers : Workers, optional

    Returns
    -------
    loss : float
        Equation (4), ``1 / (4 N^2 M^2) sum (G - A)^2``.
    gradient : array, shape (height, width, N)
        Equation (6), ``1 / (N^2 M^2) (G - A) F``.
    """
    N = features.shape[-1]
    F_T = features.reshape(-1, N)  # (M, N)
    M = len(F_T)
    A = style_gram * (M / (style_positions or M))
    # (G - A) / (N M) in one step, because M^2 alone leaves float32's comfortable range.
    difference = (gram_matrix(features, workers) - A) / (N * M)
    loss = squared_sum(difference) / 4
    gradient = empty(workers, features.shape, features)
    D = difference / (N * M)  # symmetric, so F^T D is the transpose of D F
    in_bands(
        workers,
        lambda part, out: library_of(part).matmul(part, D, out=out),
        F_T,
        gradient.reshape(-1, N),
    )
    return loss, gradient


def total_variation(image):
    """Squared differences between neighbouring pixels: large where an image is noisy (lesson 12).

    Not in the paper. As a penalty in Mahendran and Vedaldi (2015), equation (4), there
    with exponent beta = 2, which is the one taken here.

    Parameters
    ----------
    image : array, shape (H, W, C)

    Returns
    -------
    loss : float
        ``sum (x[i+1, j] - x[i, j])^2 + sum (x[i, j+1] - x[i, j])^2``.
    gradient : array, shape (H, W, C)
    """
    down = image[1:] - image[:-1]
    right = image[:, 1:] - image[:, :-1]
    gradient = library_of(image).zeros_like(image)
    gradient[1:] += 2 * down
    gradient[:-1] -= 2 * down
    gradient[:, 1:] += 2 * right
    gradient[:, :-1] -= 2 * right
    return squared_sum(down) + squared_sum(right), gradient


def squared_sum(array):
    """Sum of squares as a Python float, added up in float64.

    The line search compares losses that differ in the seventh digit, where a float32
    sum of a million terms no longer can.
    """
    xp = library_of(array)
    return float(xp.sum(xp.square(array), dtype=xp.float64))

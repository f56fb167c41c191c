"""The losses of the paper, each with its gradient written out.

In the paper, a layer's feature map is the matrix F of shape (N, M): N filters, M positions.
Here it is ``features``, an array of shape (height, width, N), so that F is
``features.reshape(M, N).T``. The functions below work with the transpose, ``F_T``, because
that is a view and costs nothing.

The "0 if F < 0" of the paper's equations (2) and (6) is the derivative of ReLU. It is
applied in one place only, `nnstyle.layers.relu_backward`.
"""

from .arrays import Array, array_module


def content_loss(features: Array, target: Array) -> tuple[float, Array]:
    """Half the squared distance between two feature maps (lesson 8).

    Parameters
    ----------
    features, target : arrays, shape (height, width, N)
        Of the generated image and of the content image: the paper's F and P.

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


def gram_matrix(features: Array) -> Array:
    """Correlations between filters, summed over all positions (lesson 9).

    Parameters
    ----------
    features : array, shape (height, width, N)

    Returns
    -------
    array, shape (N, N)
        Equation (3), ``G = F F^T``: symmetric and positive semi-definite.
    """
    F_T = features.reshape(-1, features.shape[-1])  # (M, N)
    return F_T.T @ F_T


def gram_matrix_backward(dG: Array, features: Array) -> Array:
    """Gradient of `gram_matrix` with respect to the features (lesson 9).

    Parameters
    ----------
    dG : array, shape (N, N)
        Derivative of the loss with respect to the Gram matrix.
    features : array, shape (height, width, N)

    Returns
    -------
    array, shape (height, width, N)
        ``dF = (dG + dG^T) F``: F is in ``F F^T`` twice.
    """
    F_T = features.reshape(-1, features.shape[-1])
    # The transpose of (dG + dG^T) F: the sum in brackets is symmetric.
    return (F_T @ (dG + dG.T)).reshape(features.shape)


def gram_loss(gram: Array, target: Array, positions: float) -> tuple[float, Array]:
    """Squared distance between two Gram matrices, both summed over M positions (lesson 9).

    Parameters
    ----------
    gram, target : arrays, shape (N, N)
        Of the generated image and of the style image: the paper's G and A.
    positions : float
        The number of positions M.

    Returns
    -------
    loss : float
        Equation (4), ``E = 1 / (4 N^2 M^2) sum (G - A)^2``.
    gradient : array, shape (N, N)
        Its derivative with respect to G, ``1 / (2 N^2 M^2) (G - A)``.
    """
    G, A, N, M = gram, target, len(gram), positions
    difference = (G - A) / (N * M)  # before it is squared: squares of G could overflow float32
    return squared_sum(difference) / 4, difference / (2 * N * M)


def style_loss(
    features: Array, style_gram: Array, style_positions: float | None = None
) -> tuple[float, Array]:
    """Contribution of one layer to the style loss (lesson 9).

    Parameters
    ----------
    features : array, shape (height, width, N)
        Of the generated image: the paper's F.
    style_gram : array, shape (N, N)
        Gram matrix of the style image at the same layer: the paper's A.
    style_positions : float, optional
        Number of positions that `style_gram` was summed over, if the style image has another
        size. The matrices are then compared per position, G / M with A / M_style. Where the
        sizes agree, this is the paper's equation.

    Returns
    -------
    loss : float
        Equation (4), ``E = 1 / (4 N^2 M^2) sum (G - A)^2``.
    gradient : array, shape (height, width, N)
        Equation (6), ``1 / (N^2 M^2) (G - A) F``.
    """
    M = features[..., 0].size
    if style_positions is None:
        style_positions = M
    A = style_gram * (M / style_positions)
    loss, dG = gram_loss(gram_matrix(features), A, M)
    return loss, gram_matrix_backward(dG, features)


def total_variation(image: Array) -> tuple[float, Array]:
    """Squared differences between neighbouring pixels: large where an image is noisy (lesson 12).

    Not in the paper. As a penalty in Mahendran and Vedaldi (2015), equation (4), there
    with an exponent beta, which is 2 here (lesson 15 has the others).

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
    gradient = array_module(image).zeros_like(image)
    gradient[1:] += 2 * down
    gradient[:-1] -= 2 * down
    gradient[:, 1:] += 2 * right
    gradient[:, :-1] -= 2 * right
    return squared_sum(down) + squared_sum(right), gradient


def squared_sum(array: Array) -> float:
    """Sum of squares, added up in float64.

    A line search compares losses that differ in the seventh digit. A float32 sum of a
    million terms is not that exact.
    """
    xp = array_module(array)
    return float(xp.sum(xp.square(array), dtype=xp.float64))

"""What a network expects of its input, and how that is told.

Names cannot tell: ``features.0.weight`` stands in torchvision's files, whose networks take RGB of
unit variance, and in widely used ones with Oxford's numbers, for BGR of 0 to 255. Nor can the
kernels' magnitude alone: Oxford's first kernels are about as large as torchvision's. So those of
known networks are compared, and found again in networks that were trained on from them, or rescaled.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..notes import note
from ..pictures.preprocessing import CAFFE, Preprocessing
from .first_kernels import FirstKernels, filter_norms, known_networks, relative_bias
from .formats.contents import Contents, StoredArray, stated_preprocessing
from .weights import Layer

ALIKE = 0.85  # mean cosine of the angles between filters; for unrelated ones it is 0 +- 0.11

# A picture of unit variance gives a filter about its kernel's norm. If that is far below 1, or a bias
# is many times that, the picture would hardly be seen. In the embedded network, which takes 0 to 255,
# the norm is 0.06 and a bias 37 times that. The reverse does not hold: Oxford's VGG takes 0 to 255
# as well, and has norms of 0.9 and biases of half that.
SMALL_NORM, LARGE_BIAS = 0.1, 8


@dataclass(frozen=True)
class Told:
    """What was taken, and why.

    Attributes
    ----------
    preprocessing : Preprocessing
    why : str
        For people: "stated in the file".
    flipped : bool
        Whether the kernels are to be turned by half a turn.
    """

    preprocessing: Preprocessing
    why: str
    flipped: bool = False


def tell(contents: Contents, conv1_1: Layer, given: Preprocessing | None = None) -> Told:
    """What a file's network expects of its input.

    Parameters
    ----------
    contents : Contents
    conv1_1 : (kernel, bias)
        Arrays (3, 3, 3, out) and (out,).
    given : Preprocessing, optional
        What the user says. It goes before all else.

    Raises
    ------
    InputError
        If the file's statement makes no sense, or its kernels may be flipped and nothing tells.
    """
    numbers = tell_by_numbers(*conv1_1)
    if numbers is None and contents.maybe_flipped:
        raise InputError(
            "its kernels are in Theano's order, (out, in, h, w), in which they may be flipped or not, and "
            'nothing in it tells: state an attribute backend, "theano" (flipped) or "tensorflow" (not)'
        )
    flipped = numbers is not None and numbers.flipped
    if given is not None:
        return Told(given, "given by the user", flipped)
    if contents.before and not contents.stated:
        return Told(by_a_convolution(*contents.before), "as a convolution before conv1_1 does it", flipped)
    base = numbers.preprocessing if numbers else contents.implied
    preprocessing = stated_preprocessing(contents.stated, otherwise=base)
    if contents.stated:
        return Told(preprocessing, "stated in the file", flipped)
    if numbers and not contents.is_certain:
        return numbers
    return tell_by_size(contents, *conv1_1)


def by_a_convolution(kernel: StoredArray, bias: StoredArray) -> Preprocessing:
    """What a convolution of one pixel does to a picture in RGB, of 0 to 1 or of 0 to 255.

    Parameters
    ----------
    kernel : StoredArray of shape (3, 3, 1, 1), outputs first
    bias : StoredArray of shape (3,)
    """
    if kernel.shape != (3, 3, 1, 1) or bias.shape != (3,):
        raise InputError("before conv1_1 it has a convolution that does more than prepare a picture")
    matrix = kernel.read()[:, :, 0, 0].astype(float)
    order, scale = ("RGB", np.diag(matrix)) if matrix[0, 0] else ("BGR", np.diag(matrix[:, ::-1]))
    if np.count_nonzero(matrix) != 3 or not scale.all():
        raise InputError("before conv1_1 it has a convolution that mixes the colours: use a VGG without it")
    mean = -bias.read().astype(float) / scale
    if np.abs(mean).max() < 2:  # of pixels from 0 to 1
        mean, scale = 255 * mean, scale / 255
    return Preprocessing(order, tuple(mean), tuple(scale) if np.ptp(scale) else float(scale[0]))


def tell_by_numbers(kernel: np.ndarray, bias: np.ndarray) -> Told | None:
    """Told by known numbers, in RGB or BGR, flipped or not; None if the first layer is not known."""
    for known in known_networks():
        size = relative_bias(kernel, bias) / known.bias
        if kernel.shape[-1] == known.width and 0.1 < size < 10:  # else its input has another scale
            for is_bgr in (False, True):
                for flipped in (False, True):
                    if likeness(kernel, known, is_bgr, flipped) > ALIKE:
                        preprocessing = in_order(known.preprocessing, is_bgr)
                        order = preprocessing.channel_order
                        return Told(
                            preprocessing,
                            f"the first kernels are those of {known.name}, for {order}",
                            flipped,
                        )
    return None


def likeness(kernel: np.ndarray, known: FirstKernels, is_bgr: bool, flipped: bool) -> float:
    """How alike the first filters are, whatever each one's size: 1 for the same, about 0 for unrelated."""
    filters = kernel[..., :3].transpose(3, 0, 1, 2).astype(float)
    filters = filters[..., ::-1] if is_bgr else filters
    filters = filters[:, ::-1, ::-1] if flipped else filters
    products = (filters * known.filters).sum((1, 2, 3))
    norms = [np.sqrt((array**2).sum((1, 2, 3))) for array in (filters, known.filters)]
    return float((products / np.maximum(norms[0] * norms[1], 1e-30)).mean())


def in_order(preprocessing: Preprocessing, is_bgr: bool) -> Preprocessing:
    """A preprocessing of RGB, for a network of BGR."""
    return stated_preprocessing({"channel_order": "BGR" if is_bgr else "RGB"}, otherwise=preprocessing)


def tell_by_size(contents: Contents, kernel: np.ndarray, bias: np.ndarray) -> Told:
    """The layout's preprocessing, unless the first layer would hardly see pixels of unit variance."""
    implied = contents.implied
    if contents.is_certain:
        return Told(implied, f"as {contents.layout} has it")
    is_of_unit_variance = np.max(np.abs(implied.scale)) < 0.1
    has_small_kernels = np.median(filter_norms(kernel)) < SMALL_NORM
    if is_of_unit_variance and (has_small_kernels or relative_bias(kernel, bias) > LARGE_BIAS):
        note(
            "the network's first kernels are too small for pixels of unit variance, which go with such names: "
            "BGR of 0 to 255 minus Caffe's mean is taken; --preprocessing says otherwise"
        )
        return Told(
            CAFFE, "its first kernels are too small for pixels of unit variance; the order is a guess"
        )
    return Told(implied, "as files with such names have it; its numbers are of no network known here")

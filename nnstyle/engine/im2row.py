"""The direct 3x3 convolution: one matrix product over the neighbourhoods of all pixels."""

from typing import TYPE_CHECKING

from ..arrays import Array, array_module

if TYPE_CHECKING:
    from .engine import Engine

# im2row copies every pixel nine times. Done for a block of rows at a time, the copies are
# still in the processor's cache when the matrix product reads them.
BLOCK_BYTES = 1_000_000
GPU_BLOCK_BYTES = 1_000_000_000  # a GPU works best on few, large products
FEW_CHANNELS = 4  # conv1_1 has three


def im2row_conv(
    x: Array, kernel: Array, engine: "Engine", bias: Array | float | None = None, gradient: bool = False
) -> Array:
    """3x3 convolution with stride 1 and zero padding 1, or its input gradient (lesson 3).

    Parameters
    ----------
    x : array, shape (H, W, C)
        Feature map; with `gradient`, the gradient dy of shape (H, W, K).
    kernel : array, shape (3, 3, C, K)
    engine : Engine
        Of any device: the arrays are of its library.
    bias : array, shape (K,), or number, optional
    gradient : bool
        Compute dx from dy.

    Returns
    -------
    array, shape (H, W, K), or (H, W, C) with `gradient`
    """
    kernel = transposed_kernel(kernel) if gradient else kernel
    xp = array_module(x)
    height, width, channels = x.shape
    filters = kernel.shape[-1]
    matrix = kernel.reshape(9 * channels, filters)
    padded = xp.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = engine.empty((height, width, filters), x.dtype)
    neighbourhoods = im2row_by_columns if channels < FEW_CHANNELS else im2row
    block_bytes = BLOCK_BYTES if engine.device.uses_bands else GPU_BLOCK_BYTES
    rows = max(1, block_bytes // max(1, 9 * channels * width * x.itemsize))

    def block(top: int) -> None:
        patches = neighbourhoods(padded[top : top + rows + 2])  # (pixels of the block, 9 C)
        part = y[top : top + rows].reshape(-1, filters)  # a view: results go to y
        xp.matmul(patches, matrix, out=part)
        if bias is not None:
            part += bias

    engine.map(block, range(0, height, rows))
    return y


def im2row(padded: Array) -> Array:
    """Lay the 3x3 neighbourhood of every pixel out as one row (lesson 3).

    Parameters
    ----------
    padded : array, shape (H + 2, W + 2, C)

    Returns
    -------
    array, shape (H * W, 9 * C)
        In a row: the neighbours in reading order, the channels of each together, which
        is the order of ``kernel.reshape(9 * C, K)``.
    """
    xp = array_module(padded)
    height, width, channels = padded.shape[0] - 2, padded.shape[1] - 2, padded.shape[2]
    patches = xp.empty((height, width, 3, 3, channels), dtype=padded.dtype)
    for a in range(3):
        for b in range(3):
            patches[:, :, a, b] = padded[a : a + height, b : b + width]
    return patches.reshape(height * width, 9 * channels)


def im2row_by_columns(padded: Array) -> Array:
    """As `im2row`, for few channels, where one pixel is too small a piece to copy by itself.

    The result is copied column by column, in pieces as long as an image row. With three channels
    the whole convolution takes half the time. The result is a view, a transpose.
    """
    xp = array_module(padded)
    height, width, channels = padded.shape[0] - 2, padded.shape[1] - 2, padded.shape[2]
    planes = xp.ascontiguousarray(padded.transpose(2, 0, 1))
    columns = xp.empty((3, 3, channels, height, width), dtype=padded.dtype)
    for a in range(3):
        for b in range(3):
            columns[a, b] = planes[:, a : a + height, b : b + width]
    return columns.reshape(9 * channels, height * width).T


def transposed_kernel(kernel: Array) -> Array:
    """The kernel of the transposed convolution, which carries gradients back (lesson 5).

    It is rotated by 180 degrees, and its input and output channels are exchanged. A view.
    """
    return kernel[::-1, ::-1].transpose(0, 1, 3, 2)


def row2im_conv_backward(dy: Array, kernel: Array) -> Array:
    """`nnstyle.layers.conv_backward` as im2row in reverse: it moves little memory if C is small.

    One matrix product gives what each y[i, j] returns to its nine neighbours. These are
    then added where they belong. Channels come first here, so that long rows are added.
    """
    xp = array_module(dy)
    (height, width, filters), channels = dy.shape, kernel.shape[2]
    matrix = xp.ascontiguousarray(kernel).reshape(9 * channels, filters)
    returned = xp.matmul(matrix, dy.reshape(-1, filters).T).reshape(3, 3, channels, height, width)
    padded = xp.zeros((channels, height + 2, width + 2), dtype=dy.dtype)
    for a in range(3):
        for b in range(3):
            padded[:, a : a + height, b : b + width] += returned[a, b]
    return xp.ascontiguousarray(padded[:, 1:-1, 1:-1].transpose(1, 2, 0))

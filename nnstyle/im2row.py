"""The plain 3x3 convolution: one matrix product over the neighbourhoods of all pixels."""

from .backend import library_of
from .bands import empty

# im2row copies every pixel nine times. Done for a block of rows at a time, the copies are
# still in the processor's cache when the matrix product reads them.
BLOCK_BYTES = 1_000_000
DEVICE_BLOCK_BYTES = 1_000_000_000  # a graphics card wants few, large products
FEW_CHANNELS = 4  # conv1_1 has three


def im2row_conv(x, kernel, bias=None, workers=None):
    """`nnstyle.layers.conv` by im2row, for any array library and number of channels (lesson 3)."""
    xp = library_of(x)
    height, width, channels = x.shape
    filters = kernel.shape[-1]
    matrix = kernel.reshape(9 * channels, filters)
    padded = xp.pad(x, ((1, 1), (1, 1), (0, 0)))
    y = empty(workers, (height, width, filters), x)
    neighbourhoods = im2row_by_columns if channels < FEW_CHANNELS else im2row
    block_bytes = DEVICE_BLOCK_BYTES if workers and workers.whole else BLOCK_BYTES
    rows = max(1, block_bytes // max(1, 9 * channels * width * x.itemsize))

    def block(top):
        patches = neighbourhoods(padded[top : top + rows + 2])  # (pixels of the block, 9 C)
        part = y[top : top + rows].reshape(-1, filters)  # a view: results land in y
        xp.matmul(patches, matrix, out=part)
        if bias is not None:
            part += bias

    list((workers.each if workers else map)(block, range(0, height, rows)))
    return y


def im2row(padded):
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
    xp = library_of(padded)
    height, width, channels = padded.shape[0] - 2, padded.shape[1] - 2, padded.shape[2]
    patches = xp.empty((height, width, 3, 3, channels), dtype=padded.dtype)
    for a in range(3):
        for b in range(3):
            patches[:, :, a, b] = padded[a : a + height, b : b + width]
    return patches.reshape(height * width, 9 * channels)


def im2row_by_columns(padded):
    """`im2row` for few channels, with which a pixel is too short a piece to be copied by itself.

    Here one column of the result is copied after the other, in pieces as long as an image row: with
    three channels the whole convolution takes half the time. The result is a view, a transpose.
    """
    xp = library_of(padded)
    height, width, channels = padded.shape[0] - 2, padded.shape[1] - 2, padded.shape[2]
    planes = xp.ascontiguousarray(padded.transpose(2, 0, 1))
    columns = xp.empty((3, 3, channels, height, width), dtype=padded.dtype)
    for a in range(3):
        for b in range(3):
            columns[a, b] = planes[:, a : a + height, b : b + width]
    return columns.reshape(9 * channels, height * width).T


def turned(kernel):
    """The kernel that carries gradients back (lesson 5): turned by 180 degrees, its channels exchanged."""
    return kernel[::-1, ::-1].transpose(0, 1, 3, 2)


def row2im_conv_backward(dy, kernel):
    """`nnstyle.layers.conv_backward` by the way back of im2row: little memory moved, if c_in is small.

    One matrix product gives what each y[i, j] returns to its nine neighbours; these are
    added where they belong. Channels come first here, so that what is added is long rows.
    """
    xp = library_of(dy)
    (height, width, filters), channels = dy.shape, kernel.shape[2]
    matrix = xp.ascontiguousarray(kernel).reshape(9 * channels, filters)
    returned = xp.matmul(matrix, dy.reshape(-1, filters).T).reshape(3, 3, channels, height, width)
    padded = xp.zeros((channels, height + 2, width + 2), dtype=dy.dtype)
    for a in range(3):
        for b in range(3):
            padded[:, a : a + height, b : b + width] += returned[a, b]
    return xp.ascontiguousarray(padded[:, 1:-1, 1:-1].transpose(1, 2, 0))

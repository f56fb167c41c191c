"""What `nnstyle.workers` is for a processor, for a device that shares work out by itself."""

from .im2row import FEW_CHANNELS, row2im_conv_backward
from .winograd_whole import winograd_conv_whole
from .workers import Workers


class DeviceWorkers(Workers):
    """Whole arrays, one operation after the other: a device cuts the work up itself (lesson 13).

    A graphics card has thousands of threads and a queue. Every call takes some microseconds,
    however small its work, so there should be few of them. Memory for arrays comes
    from the array library, which keeps what is let go for the next (CuPy's memory pool).

    Parameters
    ----------
    library : module
        Whose arrays live on the device.
    low_memory : bool
        Keep no transformed kernels.
    tf32 : bool
        Whether float32 matrix products keep only ten bits of what they multiply. Winograd's
        transforms would make much of such errors: then the plain convolution is taken.
    """

    whole = True  # operations get whole arrays, never bands of them

    def __init__(self, library, low_memory=False, tf32=False):
        super().__init__(1, low_memory)
        self.library = library
        if tf32:
            self.winograd_channels = float("inf")

    def conv(self, x, kernel, bias=None, gradient=False):
        """As that of `Workers`; but back to a picture Winograd's transforms would move far more memory."""
        if gradient and kernel.shape[2] < FEW_CHANNELS:
            return row2im_conv_backward(x, kernel)
        return super().conv(x, kernel, bias, gradient)

    def fast_conv(self, x, kernel, bias=None, gradient=False):
        """`nnstyle.winograd_whole.winograd_conv_whole` with these workers."""
        return winograd_conv_whole(x, kernel, self, bias, gradient)

    def empty(self, shape, dtype):
        """An array with undefined contents, on the device."""
        return self.library.empty(shape, dtype=dtype)

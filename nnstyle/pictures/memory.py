"""Telling a lack of memory from damage."""

import errno

# The start of what Pillow says where one of its encoders or decoders gets no memory, in an OSError without a number.
PILLOW_SAYS = "out of memory"


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was lacking: in Python's way, in the system's or in Pillow's."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM or str(error).startswith(PILLOW_SAYS)
    return isinstance(error, MemoryError)

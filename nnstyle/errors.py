"""The errors that this package raises on purpose."""


class InputError(ValueError):
    """Something given by the user cannot be used; the message says what, and what to do.

    The command line prints it as one line and exits with status 2.
    """


class NotFiniteError(ArithmeticError):
    """The loss or its gradient became NaN or infinite."""


class GpuError(RuntimeError):
    """A GPU failed in the middle of the work."""


def in_one_line(error: BaseException) -> str:
    """What went wrong, without line ends, and not all of a long story."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]

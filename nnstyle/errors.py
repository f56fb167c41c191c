"""The errors that this package raises on purpose."""


class InputError(ValueError):
    """Something given by the user cannot be used; the message says what, and what to do.

    The command line prints it as one line and exits with status 2.
    """


class NoMemoryToReadError(MemoryError):
    """There is not enough memory to decode a picture that was given: a smaller result would not help."""


class NotFiniteError(ArithmeticError):
    """The loss or its gradient became NaN or infinite."""


class GpuError(RuntimeError):
    """A GPU failed in the middle of the work."""


def in_one_line(error: BaseException) -> str:
    """What went wrong, without line ends, and not all of a long story."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def why_not_written(error: BaseException) -> str:
    """Why a file could not be written, in a few words."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return getattr(error, "strerror", None) or str(error)


def shown(value: object) -> str:
    """A value as a message shows it: the start of what Python prints of it, in one line."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # another's type may raise anything, and so does an int of 5000 digits
        text = f"something of type {type(value).__name__}"
    return " ".join(text.split())[:100]

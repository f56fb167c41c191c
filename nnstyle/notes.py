"""Short notes to the user, such as "transparent parts of a picture are taken as white".

Python's own filters for warnings belong to the whole process, and changing them in one
thread is felt in all. A listener here belongs to one thread (or one asyncio task) alone.
"""

import contextlib
import contextvars
import sys
import warnings
from collections.abc import Callable, Iterator
from types import FrameType

PACKAGE = __name__.partition(".")[0]

_listener: contextvars.ContextVar[Callable[[str], object] | None] = contextvars.ContextVar(
    "listener", default=None
)


def note(message: str) -> None:
    """Tell the listener; where there is none, `message` becomes an ordinary warning."""
    listener = _listener.get()
    if listener is None:
        warnings.warn(message, stacklevel=1 + frames_of_this_package())
    else:
        listener(message)


def frames_of_this_package() -> int:
    """How many of the calls under way, from the innermost, are of functions of this package.

    So the warning shows the line outside that led to it.
    """
    count = 0
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_globals.get("__name__", "").partition(".")[0] == PACKAGE:
        count, frame = count + 1, frame.f_back
    return count


@contextlib.contextmanager
def heard_by(listener: Callable[[str], object]) -> Iterator[None]:
    """Within the block, call ``listener(message)`` for every note made in this thread."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)

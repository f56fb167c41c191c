"""Short notes to the user, such as "transparent parts of a picture are taken as white".

Python's own filters for warnings belong to the whole process, and changing them in one
thread is felt in all. A listener here belongs to one thread (or one asyncio task) alone.
"""

import contextlib
import contextvars
import warnings
from collections.abc import Callable, Iterator

_listener: contextvars.ContextVar[Callable[[str], object] | None] = contextvars.ContextVar(
    "listener", default=None
)


def note(message: str) -> None:
    """Tell the listener; where there is none, `message` becomes an ordinary warning."""
    listener = _listener.get()
    if listener is None:
        warnings.warn(message, stacklevel=3)
    else:
        listener(message)


@contextlib.contextmanager
def heard_by(listener: Callable[[str], object]) -> Iterator[None]:
    """Within the block, call ``listener(message)`` for every note made in this thread."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)

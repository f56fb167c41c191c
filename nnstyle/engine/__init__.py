"""The operations of `nnstyle.layers`, fast: on the threads of a processor, or on a GPU."""

import os
import threading

from .engine import Engine

__all__ = ["Engine", "shared_engine"]

_lock = threading.Lock()
_shared: Engine | None = None


def shared_engine() -> Engine:
    """Return the processor's engine that all networks without an engine of their own share.

    It is made when it is first needed; a forked child gets a new one.
    """
    global _shared
    with _lock:
        if _shared is None:
            _shared = Engine()
        return _shared


def _forget() -> None:
    global _lock, _shared
    _lock, _shared = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

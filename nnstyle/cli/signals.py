"""What ends a run from outside: Ctrl-C, and the signals of a system that shuts down or a connection that is gone."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

# Another of these within so many seconds is the same wish: it must not cost the picture that is being saved.
SAME_WISH = 3.0


class Ended(KeyboardInterrupt):
    """A signal ended the work.

    Attributes
    ----------
    signal : signal.Signals
    """

    def __init__(self, number: int):
        self.signal = signal.Signals(number)
        super().__init__("interrupted" if number == signal.SIGINT else f"ended by {self.signal.name}")


def exit_status(error: KeyboardInterrupt) -> int:
    """128 + the signal's number, as shells have it: 130 for Ctrl-C."""
    return 128 + getattr(error, "signal", signal.SIGINT)


def taken() -> list[signal.Signals]:
    """The signals that are taken here. Windows has no SIGHUP."""
    return [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextlib.contextmanager
def signals_end_the_work() -> Iterator[None]:
    """Within the block, SIGINT, SIGTERM and SIGHUP raise `Ended`.

    A signal that the calling program handles itself, or ignores (`nohup`), is left to it. In a thread that
    is not the main one there is nothing to do: signals reach the main thread only.
    """
    latest = -SAME_WISH

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal latest
        before, latest = latest, time.monotonic()
        if latest - before >= SAME_WISH:
            raise Ended(number)

    left_alone = (signal.SIG_DFL, signal.default_int_handler)
    with handled(end, [number for number in taken() if signal.getsignal(number) in left_alone]):
        yield


@contextlib.contextmanager
def no_interruption() -> Iterator[None]:
    """Within the block, while a picture is being written, these signals do nothing."""
    ignored = [number for number in taken() if signal.getsignal(number) is not None]
    with handled(signal.SIG_IGN, ignored):
        yield


@contextlib.contextmanager
def handled(handler: Any, numbers: list[signal.Signals]) -> Iterator[None]:
    """Within the block, signals have another handler; in a thread that is not the main one they keep theirs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, its_own in before.items():
            signal.signal(number, its_own)

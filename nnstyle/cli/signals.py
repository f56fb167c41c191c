"""What ends a run from outside: Ctrl-C, and the signals of a system that shuts down or a connection that is gone."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType


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


@dataclass
class Work:
    """What a signal may end, once.

    Attributes
    ----------
    is_over : bool
        From here on signals do nothing, so that none costs the picture that is being saved. The first
        signal makes it true. So does the program, where it begins to save.
    ended : Ended or None
        What the first signal raised.
    """

    is_over: bool = False
    ended: Ended | None = None

    def end(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal: the first one raises `Ended`."""
        if not self.is_over:
            self.is_over = True
            self.ended = Ended(number)
            raise self.ended

    def check(self) -> None:
        """Raise once more what a signal raised, if it was lost: Python only prints what a finalizer raises."""
        if self.ended:
            raise self.ended


@contextlib.contextmanager
def signals_end_the_work() -> Iterator[Work]:
    """Within the block, SIGINT, SIGTERM and SIGHUP end the work that it yields.

    A signal that the calling program handles itself, or ignores (`nohup`), is left to it. In a thread that
    is not the main one there is nothing to do: signals reach the main thread only.
    """
    work = Work()
    if threading.current_thread() is not threading.main_thread():
        yield work
        return
    handlers = {number: signal.getsignal(number) for number in taken()}
    of_python = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: handler for number, handler in handlers.items() if handler in of_python}
    try:
        for number in before:
            signal.signal(number, work.end)
        yield work
    finally:
        work.is_over = True
        for number, handler in before.items():
            signal.signal(number, handler)

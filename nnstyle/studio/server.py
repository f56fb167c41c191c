"""Listening on 127.0.0.1, until a signal ends it."""

import contextlib
import errno
import signal
import socket
from collections.abc import Iterator
from types import FrameType
from typing import Any

import uvicorn

from ..cli.signals import taken
from ..errors import InputError
from .studio import Studio

MOST_CONNECTIONS = 100
ADDRESS = "127.0.0.1"  # of this computer alone


class Server(uvicorn.Server):
    """A server that leaves signals to `until_a_signal`, and ends the streams of news before it waits for their pages."""

    def __init__(self, app: Any, studio: Studio):
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=3,
                limit_concurrency=MOST_CONNECTIONS,
                ws="none",
            )
        )
        self.studio = studio
        self.ended_by: signal.Signals | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: see `until_a_signal`."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is open."""
        with self.studio.lock:
            self.studio.is_closing = True
        self.studio.wake_watchers()
        await super().shutdown(sockets)

    def end(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal: the first one ends the server, and later ones do not end the saving."""
        if self.ended_by is None:
            self.ended_by = signal.Signals(number)
            self.should_exit = True


@contextlib.contextmanager
def until_a_signal(server: Server) -> Iterator[None]:
    """Within the block, SIGINT, SIGTERM and SIGHUP end the server. Those that are ignored (`nohup`) stay so."""
    before = {number: signal.getsignal(number) for number in taken()}
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, server.end)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listen(port: int) -> socket.socket:
    """A socket at a port of this computer, 0: at any that is free.

    Raises
    ------
    InputError
        If it cannot be had.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((ADDRESS, port))
        listening.listen()
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                f"port {port} is taken, perhaps by another studio: choose another --port, or 0 for any that is free"
            ) from None
        raise InputError(
            f"port {port} cannot be used ({error.strerror}): choose another --port, or 0 for any that is free"
        ) from None
    return listening

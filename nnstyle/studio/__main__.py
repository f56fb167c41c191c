"""``python -m nnstyle.studio``: the page to watch and steer."""

import argparse
import contextlib
import sys

from ..cli.arguments import Parser, seconds
from ..cli.process import run_as_process
from ..engine import Engine, devices
from ..errors import GpuError, InputError, why_not_written
from ..notes import heard_by
from ..progress import say
from ..weights import load_weights
from .folder import Folder
from .studio import Studio

PROGRAM = "python -m nnstyle.studio"
DESCRIPTION = """\
Paint in a browser: choose pictures, watch the painting come about, and steer it. The page is served on this
computer alone, at the address that is printed. Ctrl-C ends the server and saves the picture so far; another
server in the same folder goes on from there."""
INSTALL = "the page needs Starlette and uvicorn: pip install 'nnstyle[studio]'"
PORT = 8765


def main(argv: list[str] | None = None) -> int:
    """Serve the page until a signal ends it.

    Parameters
    ----------
    argv : list of str, optional
        The arguments, by default those of the process.

    Returns
    -------
    int
        The exit status: 2 for bad options or where something is missing, 128 + the number of the signal that
        ended the server: 130 after Ctrl-C.
    """
    try:
        arguments = make_parser().parse_args(argv)
    except SystemExit as end:  # --help or bad options: all is said
        return int(end.code or 0)
    try:
        with heard_by(lambda message: complain(f"note: {message}")):
            return serve(arguments)
    except (InputError, GpuError) as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:  # before it listened
        return 130


def make_parser() -> Parser:
    """The parser of ``python -m nnstyle.studio``."""
    parser = Parser(prog=PROGRAM, description=DESCRIPTION)
    add = parser.add_argument
    add(
        "--folder",
        default="nnstyle-studio",
        metavar="FOLDER",
        help="where pictures are kept, created if it is not there (default: %(default)s)",
    )
    add(
        "--port",
        type=port,
        default=PORT,
        metavar="N",
        help="0: any that is free (default: %(default)s)",
    )
    add(
        "--weights",
        default="pocket",
        metavar="FILE",
        help="the network, as for nnstyle (default: %(default)s)",
    )
    add("--device", default="auto", metavar="NAME", help="as for nnstyle (default: %(default)s)")
    add("--threads", type=int, metavar="N", help="as for nnstyle")
    add(
        "--checkpoint",
        type=seconds,
        default=20,
        metavar="SECONDS",
        help="write the state of a painting every so many seconds, so that a server that is killed loses no more"
        " (default: %(default)s; 0: only when it is stopped)",
    )
    return parser


def port(text: str) -> int:
    """A number from 0 to 65535."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise ValueError
    return value


port.__name__ = "port from 0 to 65535"  # argparse shows it: "invalid port from 0 to 65535 value"


def serve(arguments: argparse.Namespace) -> int:
    """Listen, say where, and serve until a signal comes; return the exit status."""
    try:
        from .app import make_app
        from .guard import new_token
        from .server import ADDRESS, Server, listen, until_a_signal
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("nnstyle"):
            raise
        raise InputError(INSTALL) from None
    device = devices.find(arguments.device)
    Engine(device, arguments.threads)  # checks the threads
    weights = load_weights(arguments.weights, progress=True)
    folder = Folder(arguments.folder)
    with contextlib.ExitStack() as opened:  # closed again if anything cannot be had
        opened.callback(folder.close)
        listening = opened.enter_context(listen(arguments.port))
        try:
            studio = Studio(folder, weights, device, arguments.threads, arguments.checkpoint)
        except OSError as error:  # the sample pictures are copied to the folder
            reason = why_not_written(error)
            raise InputError(f"nothing can be written to the folder {folder.path}: {reason}") from None
        opened.pop_all()
    token = new_token()
    server = Server(make_app(studio, token), studio)
    with until_a_signal(server):
        studio.start()
        number = listening.getsockname()[1]
        say(f"Open http://{ADDRESS}:{number}/?token={token}\nCtrl-C ends the server.", sys.stdout)
        try:
            server.run(sockets=[listening])
        finally:
            is_painting = studio.now is not None
            if is_painting:
                say("saving the picture so far ...", sys.stderr)
            studio.close()
    say(f"All pictures are in {folder.path}.", sys.stdout)
    return 128 + server.ended_by if server.ended_by else 0


def complain(message: str) -> None:
    """Print one line on standard error."""
    say(f"{PROGRAM}: {' '.join(message.split())}", sys.stderr)


if __name__ == "__main__":
    run_as_process(main)

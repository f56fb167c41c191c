"""The command line as a process, for tests."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.support.patience import PATIENCE

from .pictures import noise

SMALL = ["--size", "48", "--iterations", "3", "--border", "0"]
# The package is found from any folder; one thread, so that tests that run at once do not fight.
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONWARNINGS": "",
}


def make_pictures(folder):
    """Write content.png (56 x 40) and style.png (44 x 60), smooth enough to be painted."""
    for name, shape, size in (("content.png", (5, 7), (56, 40)), ("style.png", (6, 4), (44, 60))):
        Image.fromarray(noise(*shape)).resize(size, Image.Resampling.BICUBIC).save(folder / name)


def run(folder, *arguments, **environment):
    """Run to the end, in a folder."""
    return subprocess.run(
        command(arguments),
        cwd=folder,
        capture_output=True,
        text=True,
        env=ENVIRONMENT | environment,
        timeout=PATIENCE,
    )


def start(folder, *arguments, stderr=subprocess.PIPE, program=("-m", "nnstyle")):
    """Start in a folder, to be watched and interrupted."""
    return Watched(
        command(arguments, program),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=take_signals,
    )


class Watched(subprocess.Popen):
    """A process that ends with the block: it does not go on for an hour where a check in it fails."""

    def __exit__(self, kind, *error):
        if kind:
            self.kill()
        super().__exit__(kind, *error)


def take_signals():
    """Signals end a process: a shell has programs in the background ignore Ctrl-C, and `nohup` SIGHUP."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def command(arguments, program=("-m", "nnstyle")):
    """The words of a command line."""
    return [sys.executable, *program, *map(str, arguments)]


def files(folder):
    """Everything in a folder: {name: content}."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

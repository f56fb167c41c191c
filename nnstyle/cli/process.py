"""A program that is a process of its own, and may change what belongs to the whole process."""

import os
import sys
import warnings
from collections.abc import Callable
from typing import NoReturn


def run_as_process(main: Callable[[], int]) -> NoReturn:
    """Run a program's `main`, and exit with the status that it returns."""
    # Pillow's warnings, of damage in pictures that can be shown all the same, would take two lines each.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        status = main()
    finally:
        drop_what_cannot_be_written()
    sys.exit(status)


def drop_what_cannot_be_written() -> None:
    """Empty the standard streams: where a reader is gone, Python would complain of that at its end."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None or stream.closed:  # None: closed before Python started
            continue
        try:
            stream.flush()
        except OSError:  # the reader is gone, or the disk is full
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)

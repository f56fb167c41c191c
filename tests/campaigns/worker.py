"""A process that tries one case after another, and is watched from outside."""

import multiprocessing
import os
import re
import resource
import sys
import time
import traceback
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nnstyle import InputError, NotFiniteError, Result, stylize
from nnstyle.benchmark.peak import peak_so_far
from nnstyle.cli import NO_MEMORY, main
from nnstyle.notes import heard_by
from tests.support.command import files, make_pictures

from . import hostile_checkpoints
from .random_input import SMALL, make_surroundings, random_call

# What a run may say on standard error beside its one line.
# libtiff prints lines of its own about damaged pictures, and Pillow has no way to stop it.
OF_LIBTIFF = (
    r"\w*(Decode\w*|TIFF\w*|JPEGLib|Fax\w*|LZW\w*|ZIP\w*|PackBits\w*|MissingRequired|tempfile\.tif)\b.*"
)
HARMLESS = re.compile(rf"nnstyle: note: .*|iteration \d+ of \d+: .*|{OF_LIBTIFF}")
DONE, REFUSED, FOUND = "done", "refused", "found"

# What a case may take: bytes beside what the process has at its beginning, and seconds of processor time.
# The largest picture that is read in any case takes some 400 MB. HDF5 that hangs is given up after 20 s.
MOST_RISE = 700_000_000
MOST_WORK = {"weights": 40, "pictures": 60, "checkpoints": 30, "commands": 30, "settings": 30}


@dataclass
class Answer:
    """What came of a case.

    Attributes
    ----------
    outcome : str
        `DONE`, `REFUSED` in one line, or `FOUND`.
    text : str
        The line, or all that is known of what is wrong.
    seconds : float
    peak : int
        Most memory that the process, or another that it started, had during the case, bytes.
    """

    outcome: str
    text: str = ""
    seconds: float = 0.0
    peak: int = 0


class Worker:
    """The process, seen from outside. One that died or hung is replaced by a new one.

    Parameters
    ----------
    folder : path
        For its files; it works there.
    most_memory : int
        Bytes of address space that it may have.
    most_cases : int
        After so many it is replaced, too.
    """

    def __init__(self, folder, most_memory, most_cases=500):
        self.folder, self.most_memory, self.most_cases = folder, most_memory, most_cases
        self.process = None

    def try_case(self, case, limit):
        """Have a case tried, for at most so many seconds; return an `Answer`."""
        if self.process is None or self.tried == self.most_cases:
            self.restart()
        self.tried += 1
        begin = time.monotonic()
        try:
            self.connection.send(case)
            if not self.connection.poll(limit):
                self.stop()
                return Answer(FOUND, f"no end after {limit} s", limit)
            answer = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            status, self.process = self.process.exitcode, None
            return Answer(FOUND, f"the process died, exit status {status}", time.monotonic() - begin)
        if answer.outcome == FOUND:
            self.stop()  # the next case is not to be measured beside what this one has left behind
        return answer

    def restart(self):
        """Begin with a new process."""
        self.stop()
        context = multiprocessing.get_context("spawn")  # nothing of this process is in it
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, self.folder, self.most_memory), daemon=True
        )
        self.process.start()
        theirs.close()
        self.tried = 0

    def stop(self):
        """End the process: it goes by itself when nobody asks any more, or it is killed."""
        if self.process is not None:
            self.connection.close()
            self.process.join(5)
            self.process.kill()
            self.process.join()
            self.process = None


def serve(connection, folder, most_memory):
    """Answer case after case, until nobody asks any more."""
    resource.setrlimit(resource.RLIMIT_AS, (most_memory, most_memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    place = Path(folder) / str(os.getpid())
    place.mkdir()
    os.chdir(place)
    make_pictures(place)
    make_surroundings(place)
    warnings.filterwarnings("ignore", module="PIL")  # as nnstyle.cli.process does
    sys.stdin, sys.stdout = open(os.devnull), open(os.devnull, "w")
    with open("../stderr", "w+b") as errors:
        os.dup2(errors.fileno(), 2)  # what libraries written in C print is heard as well
        keep = files(place)
        while True:
            try:
                case = connection.recv()
            except EOFError:
                return
            errors.truncate(0)
            errors.seek(0)
            connection.send(answer(case, errors))
            clean_up(place, keep)


def answer(case, errors):
    """Try a case and measure it."""
    reset_peak()
    memory, peak_of_others = peak_so_far(), peak_of_children()
    begin, work = time.monotonic(), processor_seconds()
    try:
        found = try_case(*case, errors)
    except BaseException:  # noqa: BLE001  # whatever comes here must not have come
        found = Answer(FOUND, traceback.format_exc())
    found.seconds, work = time.monotonic() - begin, processor_seconds() - work
    found.peak = peak_so_far()
    if peak_of_children() > peak_of_others:
        found.peak = max(found.peak, peak_of_children())
    return judged(found, found.peak - memory, work, MOST_WORK[case[0]])


def judged(answer, rise, work, most_work):
    """The answer, or `FOUND` if the case took far too much memory (bytes) or processor time (seconds)."""
    if answer.outcome != FOUND and rise > MOST_RISE:
        return replace(answer, outcome=FOUND, text=f"{answer.text}\nit took {rise / 1e6:.0f} MB")
    if answer.outcome != FOUND and work > most_work:
        return replace(answer, outcome=FOUND, text=f"{answer.text}\nit took {work:.0f} s of processor time")
    return answer


def processor_seconds():
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def peak_of_children():
    """The most memory that a process had that this one started, or this one when it did, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def try_case(kind, content, errors):
    """Try a case of one kind: what it gets is described at each function."""
    if kind == "weights":
        name, data = content
        Path(name).write_bytes(data)
        return try_command(["content.png", "style.png", "--weights", name, *SMALL, "-o", "out.png"], errors)
    if kind == "pictures":
        name, data = content
        Path(name).write_bytes(data)
        pictures = [name, "style.png"] if len(data) % 2 else ["content.png", name]
        return try_command([*pictures, *SMALL, "-o", "out.png"], errors)
    if kind == "checkpoints":
        name, data = content
        Path(name).write_bytes(data)
        return try_command(hostile_checkpoints.ARGUMENTS, errors)
    if kind == "commands":
        return try_command(content, errors)
    return try_call(random_call(np.random.default_rng(content)))


def try_command(words, errors):
    """Run a command line: it ends with status 0, or with 2 and one line, and its input stays as it was."""
    before = {name: Path(name).read_bytes() for name in ("content.png", "style.png")}
    status = main(words)
    sys.stderr.flush()
    errors.seek(0)
    said = errors.read().decode("utf-8", "backslashreplace")
    lines = [line for line in said.splitlines() if not HARMLESS.fullmatch(line)]
    if any(Path(name).read_bytes() != data for name, data in before.items()):
        return Answer(FOUND, f"an input was replaced\n{said}")
    if status not in (0, 2) or len(lines) != (1 if status == 2 else 0):
        return Answer(FOUND, f"status {status}, and on standard error:\n{said}")
    if NO_MEMORY in said or "enough memory" in said:
        return Answer(FOUND, f"it asked for too much memory: {said}")
    return Answer(REFUSED, lines[0]) if lines else Answer(DONE)


def try_call(arguments):
    """Call `nnstyle.stylize`: it returns a picture, or raises one of the errors that it names."""
    try:
        with heard_by(str):
            result = stylize(**arguments)
    except (InputError, NotFiniteError) as error:
        return Answer(REFUSED, str(error)) if str(error) else Answer(FOUND, "an error without a word")
    if not (isinstance(result, Result) and result.image.dtype.kind == "u" and result.image.ndim == 3):
        return Answer(FOUND, f"no picture, but {result!r:.200}")
    return Answer(DONE)


def reset_peak():
    """Forget the most memory so far, where the system can (Linux)."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass


def clean_up(place, keep):
    """Remove the files that a case has made, and bring back those that it has changed."""
    there = files(place)
    for name in there.keys() - keep.keys():
        (place / name).unlink()
    for name, data in keep.items():
        if there.get(name) != data:
            (place / name).unlink(missing_ok=True)
            (place / name).write_bytes(data)

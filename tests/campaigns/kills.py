"""Kill runs at random moments: no half picture, no damaged earlier one, nothing left lying, little lost.

``python -m tests.campaigns.kills`` starts the program with a tiny picture, kills it (SIGKILL) at any
moment, while it saves, or while it writes any file, and looks at everything that lies in the folder then.
Some runs have a picture from before in the place of their output, some write checkpoints. After a few
kills the program is run to its end: then the picture must be the one that an undisturbed run makes, and
nothing else may be there.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from nnstyle import InputError
from nnstyle.checkpoint import summarize_checkpoint
from nnstyle.optimizers import OPTIMIZERS
from nnstyle.pictures.colour import srgb_profile
from tests.support.command import files, make_pictures, start

from .findings import Findings

# Our own L-BFGS goes on from a checkpoint bit for bit.
OWN_LBFGS = next(name for name in OPTIMIZERS if name.startswith("lbfgs-"))
INTERVAL = 0.5  # seconds between checkpoints
# The program, but for one thing: no checkpoint is put off because the last one took much of the time. Otherwise
# nobody could say how much may be lost of runs as short as these.
PROGRAM = """
from nnstyle.cli import checkpoints, command
assert checkpoints.SHARE < 1
checkpoints.SHARE = 1
command()
"""
MOMENTS = "any moment", "while saving", "any file"
ENDINGS = ".png", ".jpg", ".webp", ".tif"
EARLIER = "no picture", "a picture", "some bytes"
MOST_SECONDS = 120  # that a run may take


@dataclass
class Story:
    """Several runs with one output: killed ones, and at last one that is left alone.

    Attributes
    ----------
    ending : str
        Of the output's name.
    earlier : str
        What is there before the first run, one of `EARLIER`.
    with_checkpoints : bool
        Otherwise nothing is kept for another run.
    resumed : bool
        Each run goes on from the checkpoint of the one before.
    kills : int
    """

    ending: str
    earlier: str
    with_checkpoints: bool
    resumed: bool
    kills: int

    @property
    def iterations(self):
        """How many a run has, so that those with checkpoints last for some seconds."""
        return 120 if self.with_checkpoints else 30

    @property
    def arguments(self):
        """The words of the command line."""
        size = ["--size", "64", "--border", "0", "--optimizer", OWN_LBFGS]
        interval = INTERVAL if self.with_checkpoints else 0
        words = [*size, "--iterations", self.iterations, "--checkpoint", interval, "-o", f"out{self.ending}"]
        pictures = ["../content.png", "../style.png"]
        return [*pictures, *map(str, words), *(["--resume"] if self.resumed else [])]


class Reader(threading.Thread):
    """Reads what a process reports, and notes when.

    Attributes
    ----------
    lines : list of (float, str)
        When they came, in seconds since 1970, and what they said.
    """

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.lines = process, []
        self.start()

    def run(self):
        for line in self.process.stderr:
            self.lines.append((time.time(), line))

    def reports(self):
        """Of iterations: (when, which)."""
        return [
            (when, int(line.split()[1])) for when, line in list(self.lines) if line.startswith("iteration ")
        ]

    def wait_for(self, iteration):
        """Wait until it is reported, or the process has ended."""
        while self.process.poll() is None:
            if any(number >= iteration for _, number in self.reports()):
                return
            time.sleep(0.001)


class Campaign:
    """Kills, and what was seen after each.

    Parameters
    ----------
    folder : path
        An empty one, to work in.
    rng : numpy.random.Generator
    findings : Findings
    most_lost : float
        Seconds of work that may be lost.
    """

    def __init__(self, folder, rng, findings, most_lost):
        self.folder, self.rng, self.findings, self.most_lost = Path(folder), rng, findings, most_lost
        self.seen = Counter()
        self.references = {}  # by ending, and with checkpoints or not: (file, seconds, seconds of saving)
        self.lost = []  # seconds of work, by each kill of a run with checkpoints
        make_pictures(self.folder)

    def random_story(self):
        """Any of the possible ones."""
        rng = self.rng
        with_checkpoints = bool(rng.random() < 0.5)
        return Story(
            ending=str(rng.choice(ENDINGS)),
            earlier=str(rng.choice(EARLIER)),
            with_checkpoints=with_checkpoints,
            resumed=with_checkpoints and bool(rng.random() < 0.7),
            kills=int(rng.integers(1, 8)),
        )

    def play(self, story, most_kills):
        """Play a story with at most so many kills."""
        self.place = Path(tempfile.mkdtemp(dir=self.folder))
        self.story, self.output = story, self.place / f"out{story.ending}"
        self.reference, duration, saving = self.reference_of(story)
        self.earlier = self.make_earlier(story)
        for _ in range(min(story.kills, most_kills)):
            self.moment = str(self.rng.choice(MOMENTS, p=[0.5, 0.25, 0.25]))
            self.run_and_kill(duration, saving)
            self.look()
        self.run_to_the_end()

    def reference_of(self, story):
        """What an undisturbed run makes of it, how long it takes, and how long from its last iteration on."""
        key = story.ending, story.with_checkpoints
        if key not in self.references:
            place = Path(tempfile.mkdtemp(dir=self.folder))
            begin = time.time()
            with start(place, *story.arguments, program=("-c", PROGRAM)) as process:
                reader = Reader(process)
                process.wait(MOST_SECONDS)
                reader.join()
            end = time.time()
            content = (place / f"out{story.ending}").read_bytes()
            assert is_whole(content) and len(files(place)) == 1, "the undisturbed run is not as it should be"
            self.references[key] = content, end - begin, end - reader.reports()[-1][0]
        return self.references[key]

    def make_earlier(self, story):
        """Put what a story begins with in the output's place, and return it."""
        if story.earlier == "no picture":
            return None
        content = self.rng.bytes(5000)
        if story.earlier == "a picture":
            file = BytesIO()
            Image.new("RGB", (50, 50), "red").save(file, Image.registered_extensions()[story.ending])
            content = file.getvalue()
        self.output.write_bytes(content)
        return content

    def run_and_kill(self, duration, saving):
        """Start, and kill at a random moment of the kind that was drawn."""
        with start(self.place, *self.story.arguments, program=("-c", PROGRAM)) as process:
            self.reader = Reader(process)
            self.begin = time.time()
            if self.moment == "any moment":
                time.sleep(self.rng.random() * duration)
            elif self.moment == "while saving":
                self.reader.wait_for(self.story.iterations)
                time.sleep(self.rng.random() * saving)
            else:
                self.wait_for_a_file(process)
            process.kill()
            self.reader.join()
        self.seen[self.moment] += 1
        self.seen["killed" if process.returncode == -signal.SIGKILL else "had ended before"] += 1

    def wait_for_a_file(self, process):
        """Wait until a file of another name appears, and then up to 2 ms; or for a later one."""
        before = set(os.listdir(self.place))
        most = 6 if self.story.with_checkpoints else 2  # without, one at the beginning and one at the end
        to_pass = int(self.rng.integers(0, most))
        was_there = False
        while process.poll() is None:
            is_there = bool(set(os.listdir(self.place)) - before)
            if is_there and not was_there:
                if to_pass == 0:
                    time.sleep(self.rng.random() * 0.002)
                    return
                to_pass -= 1
            was_there = is_there

    def look(self):
        """Look at all that lies in the folder after a kill."""
        there = files(self.place)
        content = there.pop(self.output.name, None)
        if content == self.earlier:
            self.seen["the output as it was"] += 1
        elif content is not None and is_whole(content) and same_pixels(content, self.reference):
            self.seen["the new picture, whole"] += 1
            self.earlier = content
        else:
            self.find("the output is damaged")
        checkpoint = there.pop(f"{self.output.name}.nnstyle", None)
        if checkpoint is not None:
            self.look_at_checkpoint()
        self.seen["files left for the next run to clean up"] += len(there)
        if self.story.resumed:  # otherwise a run leaves a checkpoint alone that is further than itself
            self.look_at_loss()

    def look_at_checkpoint(self):
        """It must be whole, and asked for."""
        self.seen["a checkpoint"] += 1
        if not self.story.with_checkpoints:
            self.find("a checkpoint that was not asked for")
        try:
            summarize_checkpoint(self.place / f"{self.output.name}.nnstyle")
        except InputError as error:
            self.find("the checkpoint is damaged", str(error))

    def look_at_loss(self):
        """Find out how many seconds of reported work are in no checkpoint."""
        reports = self.reader.reports()
        checkpoint = self.place / f"{self.output.name}.nnstyle"
        if not reports or (self.output.exists() and self.output.stat().st_mtime > self.begin):
            return  # no work was lost
        written = checkpoint.stat().st_mtime if checkpoint.exists() else 0
        (first, _), (last, _) = reports[0], reports[-1]
        self.lost.append(max(0.0, last - max(written, first)))
        if self.lost[-1] > self.most_lost:
            self.find("too much work was lost", f"{self.lost[-1]:.2f} s")

    def run_to_the_end(self):
        """Run once more: now the picture must be there, and nothing else."""
        with start(self.place, *self.story.arguments, program=("-c", PROGRAM)) as process:
            self.reader = Reader(process)
            status = process.wait(MOST_SECONDS)
            self.reader.join()
        if status != 0:
            self.find("a later run fails", f"status {status}")
            return
        there = files(self.place)
        content = there.pop(self.output.name, b"")
        if not (is_whole(content) and same_pixels(content, self.reference)):
            self.find("a later run makes another picture")
        if there:
            self.find("files are left lying", ", ".join(there))
        self.seen["runs to the end"] += 1
        if any("going on after" in line for _, line in self.reader.lines):
            self.seen["that went on from a checkpoint"] += 1

    def find(self, what, text=""):
        """Keep a finding with the story, what was reported, and all files of the folder."""
        said = "".join(line for _, line in self.reader.lines)
        self.findings.add(what, f"{text}\n{self.story}\nkilled: {self.moment}\n{said}", files(self.place))


def is_whole(content):
    """Whether bytes are a picture that can be read to its end, with its settings and its profile inside."""
    try:
        with Image.open(BytesIO(content)) as image:
            image.load()
            text = image.info.get("nnstyle") or image.getexif().get(270, "")
            profile = image.info.get("icc_profile", b"")  # the very end of a TIFF
            return '"iterations"' in text and profile == srgb_profile()
    except (OSError, SyntaxError, ValueError):
        return False


def same_pixels(content, expected):
    """Whether the bytes of two pictures show the same."""
    a, b = (np.asarray(Image.open(BytesIO(bytes))) for bytes in (content, expected))
    return np.array_equal(a, b)


def make_parser():
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.kills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=200, metavar="N", help="kills (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the moments and stories (default: %(default)s)"
    )
    parser.add_argument(
        "--most-lost",
        type=float,
        default=2 * INTERVAL,
        metavar="SECONDS",
        help=f"of work, where checkpoints are written every {INTERVAL} s (default: %(default)s)",
    )
    parser.add_argument(
        "--findings", default="findings", metavar="FOLDER", help="where what is found is kept"
    )
    return parser


def main(argv=None):
    """Run the campaign; return 1 if anything was found, else 0."""
    arguments = make_parser().parse_args(argv)
    findings = Findings(arguments.findings)
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(folder, np.random.default_rng(arguments.seed), findings, arguments.most_lost)
        while campaign.seen["killed"] < arguments.count:
            campaign.play(campaign.random_story(), arguments.count - campaign.seen["killed"])
            print(f"{campaign.seen['killed']} of {arguments.count} kills", flush=True)
    for what, count in campaign.seen.items():
        print(f"{count:6} {what}")
    if campaign.lost:
        print(f"{max(campaign.lost):6.2f} s of work lost at most, with a checkpoint every {INTERVAL} s")
    print(f"{campaign.seen['killed']} kills, {findings.count} findings")
    return 1 if findings.count else 0


if __name__ == "__main__":
    sys.exit(main())

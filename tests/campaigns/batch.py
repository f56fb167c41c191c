"""Batches of many small pictures: what the scheduler costs, and what damage and death do.

``python -m tests.campaigns.batch`` paints 200 small pictures in three ways, and two films:

- overhead: with two workers of a local cluster, and, in turn, by two plain processes that share nothing and
  loop over half of the pictures each, with one thread. The times of both are from start to end, imports and all.
- damage: the same on a local cluster, with 20 damaged photographs among them; in the middle, a worker is killed.
- machines: the same on two workers that share no folder with each other or with the command, each with a
  temporary folder of its own; in the middle, one is killed.
- frames: a film of noise before a still camera, and one of a camera that moves by 2 px a frame, with and without
  ``--from-previous``. It prints how much the painted frames differ from one to the next.

Every picture must be there once, whole, and the very file that ``nnstyle`` writes; every damaged photograph must
have its reason.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.command import ENVIRONMENT, command, files, take_signals

from .findings import Findings

SAMPLES = Path(__file__).parents[2] / "nnstyle/samples"
PARTS = "overhead", "damage", "machines", "frames"
FRAMES, FRAME = 4, (80, 60)  # of a film; px
MOST_SECONDS = 3600  # that a batch may take
# Half of the pictures, one after the other: what they take by themselves.
PLAIN = """
import sys
from pathlib import Path
from nnstyle import load_weights, prepare, run
from nnstyle.resources import engine_for
size, iterations, style, folder, *photos = sys.argv[1:]
weights = load_weights("pocket")
for photo in photos:
    job = prepare(photo, style, weights, size=int(size), iterations=int(iterations))
    result = run(job, engine_for(job, "cpu", 1, False))
    result.save(Path(folder, Path(photo).stem + "-style.png"))
"""


class Campaign:
    """Batches in a folder of their own.

    Parameters
    ----------
    folder : path
        An empty one, to work in.
    arguments : argparse.Namespace
        ``count``, ``damaged``, ``size``, ``iterations``, ``film_iterations``, ``rounds`` and ``most_overhead``
        are used.
    findings : Findings
    """

    def __init__(self, folder, arguments, findings):
        self.folder, self.arguments, self.findings = Path(folder), arguments, findings
        (self.folder / "photos").mkdir()
        self.style = self.folder / "style.jpg"
        self.style.write_bytes((SAMPLES / "style.jpg").read_bytes())
        self.photos = [self.make_photo(number) for number in range(arguments.count)]
        self.batches = 0

    def make_photo(self, number):
        """A part of the sample photograph, another one for each number."""
        path = self.folder / f"photos/{number:04}.jpg"
        with Image.open(SAMPLES / "content.jpg") as sample:
            x, y = np.random.default_rng(number).integers(0, [sample.width // 3, sample.height // 3])
            part = sample.crop((x, y, x + sample.width * 2 // 3, y + sample.height * 2 // 3))
            part.resize((384, 288)).save(path, quality=90)
        return path

    def damage(self, number):
        """Cut off half of a photograph's file."""
        content = self.photos[number].read_bytes()
        self.photos[number].write_bytes(content[: len(content) // 2])

    # Overhead

    def overhead(self):
        """Measure both ways in turn."""
        ratios, shares = [], []
        for _ in range(self.arguments.rounds):
            plain = self.timed(self.paint_plainly)
            batch = self.timed(self.paint_locally)
            ratios.append(batch[0] / plain[0])
            shares.append(batch[1] / plain[1])
            print(
                f"plain processes {plain[0]:.1f} s ({plain[1]:.1f} s of processor time),"
                f" batch {batch[0]:.1f} s ({batch[1]:.1f} s): {100 * (ratios[-1] - 1):+.1f} % time,"
                f" {100 * (shares[-1] - 1):+.1f} % processor time",
                flush=True,
            )
        time, processor = (100 * (statistics.median(values) - 1) for values in (ratios, shares))
        print(f"medians of {len(ratios)}: {time:+.1f} % time, {processor:+.1f} % processor time")
        if time > self.arguments.most_overhead:
            self.findings.add("too much overhead", f"{time:.1f} %")

    def timed(self, work):
        """Seconds, and seconds of processor time, of what `work` starts and waits for."""
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        work()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return time.monotonic() - began, processor

    def paint_plainly(self):
        """Half of the pictures in each of two processes."""
        self.plain = Path(tempfile.mkdtemp(dir=self.folder))
        how = [self.arguments.size, self.arguments.iterations, self.style, self.plain]
        processes = [
            subprocess.Popen(
                command([*how, *self.photos[half::2]], ("-c", PLAIN)), cwd=self.folder, env=ENVIRONMENT
            )
            for half in (0, 1)
        ]
        for process in processes:
            if process.wait(MOST_SECONDS):
                raise RuntimeError("a plain process has failed")

    def paint_locally(self):
        """All pictures as a batch on two workers."""
        with self.started("--workers", 2) as (process, folder):
            status = process.wait(MOST_SECONDS)
        self.look(folder, status, damaged=0)
        if files(folder).items() < files(self.plain).items():
            self.findings.add("a batch makes other pictures", str(folder))

    # Damage

    def damage_and_death(self):
        """A local batch with damaged photographs; a worker is killed."""
        with self.started("--workers", 2) as (process, folder):
            self.wait_for(process, folder, self.arguments.count // 3)
            workers = workers_of(process)
            os.kill(workers[0].pid, signal.SIGKILL)
            print(f"killed worker {workers[0].pid}, one of {len(workers)}", flush=True)
            status = process.wait(MOST_SECONDS)
        self.look(folder, status, damaged=self.arguments.damaged)

    def machines(self):
        """The same on two workers that share nothing; one is killed, and no other takes its place."""
        with contextlib.ExitStack() as stack:
            port = free_port()
            address = f"tcp://127.0.0.1:{port}"
            stack.enter_context(
                self.dask("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")
            )
            workers = [
                stack.enter_context(
                    self.dask("worker", address, "--nthreads", 1, "--no-nanny", "--no-dashboard")
                )
                for _ in range(2)
            ]
            with self.started("--scheduler", address) as (process, folder):
                self.wait_for(process, folder, self.arguments.count // 3)
                workers[0].kill()
                print(f"killed worker {workers[0].pid}, one of 2", flush=True)
                status = process.wait(MOST_SECONDS)
            self.look(folder, status, damaged=self.arguments.damaged)

    @contextlib.contextmanager
    def dask(self, *words):
        """A process of Dask with a folder and a temporary folder of its own."""
        place = Path(tempfile.mkdtemp(dir=self.folder, prefix=f"{words[0]}-"))
        (place / "tmp").mkdir()
        with subprocess.Popen(
            command(words, ("-m", "dask")),
            cwd=place,
            env=ENVIRONMENT | {"TMPDIR": str(place / "tmp")},
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    # Frames

    def frames(self):
        """Paint two films both ways. A still one must be calmer where each frame starts from the one before."""
        with Image.open(SAMPLES / "content.jpg") as sample:
            scene = sample.resize((140, 105), Image.Resampling.LANCZOS)
        rng = np.random.default_rng(0)
        still = np.asarray(scene.crop((20, 20, 20 + FRAME[0], 20 + FRAME[1])), float)
        noisy = [still + rng.normal(0, 6, still.shape) for _ in range(FRAMES)]
        moving = [
            np.asarray(scene.crop((20 + 2 * k, 20, 20 + 2 * k + FRAME[0], 20 + FRAME[1])))
            for k in range(FRAMES)
        ]
        for name, film, motion in (("a still film", noisy, 0), ("a moving film", moving, 2)):
            alone, chained = (self.difference(film, motion, words) for words in ([], ["--from-previous"]))
            print(
                f"{name}: {alone:.1f} levels from frame to frame, with --from-previous {chained:.1f}",
                flush=True,
            )
            if name == "a still film" and chained > alone / 1.5:
                self.findings.add("a film is not calm", f"{alone} {chained}")

    def difference(self, film, motion, words):
        """Mean difference of one painted frame and the next, in levels of 0..255, where the same things are seen."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        for number, frame in enumerate(film):
            Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8)).save(place / f"{number}.png")
        with self.started("--workers", 1, "--name", "{photo}.png", *words, photos=place) as (process, folder):
            if process.wait(MOST_SECONDS):
                raise RuntimeError("a film has failed")
        painted = [
            np.asarray(Image.open(io.BytesIO((folder / f"{number}.png").read_bytes())), float)
            for number in range(FRAMES)
        ]
        width = FRAME[0] - motion
        return np.mean([np.abs(b[:, :width] - a[:, motion:]).mean() for a, b in zip(painted, painted[1:])])

    # All

    @contextlib.contextmanager
    def started(self, *words, photos="photos"):
        """A batch at work on all photographs: its process and its folder."""
        self.batches += 1
        folder = self.folder / f"batch-{self.batches}"
        given = self.arguments
        size, iterations = (
            (given.size, given.iterations) if photos == "photos" else (80, given.film_iterations)
        )
        how = ["--size", size, "--iterations", iterations, "--device", "cpu"]
        pictures = [photos, "--styles", "style.jpg", "-o", folder, "-q"]
        with subprocess.Popen(
            command([*pictures, *how, *words], ("-m", "nnstyle.batch")),
            cwd=self.folder,
            env=ENVIRONMENT,
            preexec_fn=take_signals,
        ) as process:
            try:
                yield process, folder
            except BaseException:
                process.terminate()
                raise

    def wait_for(self, process, folder, count):
        """Wait until so many pictures are noted."""
        journal = folder / "batch.jsonl"
        while process.poll() is None and len(lines(journal)) < count:
            time.sleep(0.02)

    def look(self, folder, status, damaged):
        """Look at all that a batch has left."""
        report = json.loads((folder / "report.json").read_text())
        pictures = report["pictures"]
        painted = [picture["output"] for picture in pictures if picture["status"] == "painted"]
        failed = [picture for picture in pictures if picture["status"] == "failed"]
        noted = [json.loads(line)["output"] for line in lines(folder / "batch.jsonl")]
        there = {name: data for name, data in files(folder).items() if name.endswith(".png")}
        expected = self.arguments.count - damaged
        print(
            f"{len(there)} pictures, {len(failed)} reasons, {len(noted) - len(set(noted))} twice,"
            f" {report['seconds']:.1f} s, of which the workers painted {100 * share_of_painting(report):.1f} %,"
            f" exit status {status}",
            flush=True,
        )
        if status != (1 if damaged else 0):
            self.find("another exit status", folder, status)
        if len(there) != expected or sorted(there) != sorted(painted) or sorted(there) != sorted(noted):
            self.find("not each picture once", folder, (len(there), len(painted), len(noted)))
        wanted = {str(Path("photos", photo.name)) for photo in self.photos[:damaged]}
        if {picture["photo"] for picture in failed} != wanted or not all(
            "cannot be decoded" in picture["reason"] for picture in failed
        ):
            self.find("other reasons", folder, failed)
        for name, data in there.items():
            if hasattr(self, "plain") and (self.plain / name).read_bytes() != data:
                self.find("another picture than nnstyle's", folder, name)
        left = [name for name in files(folder) if name.startswith(".")]
        if left:
            self.find("files are left lying", folder, left)

    def find(self, what, folder, text):
        """Keep a finding with the report."""
        self.findings.add(what, f"{folder}: {text}", {"report.json": (folder / "report.json").read_bytes()})


def share_of_painting(report, workers=2):
    """Which share of the time the workers had something to paint, from the start of the command to its end.

    On a busy machine this says more than two times that are compared: both parts of it are slowed alike.
    """
    return sum(picture["seconds"] for picture in report["pictures"]) / (workers * report["seconds"])


def workers_of(process):
    """The processes of the workers of a local batch."""
    import psutil  # comes with Dask

    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def lines(path):
    """The whole lines of a file that may not be there yet."""
    return path.read_text().splitlines() if path.exists() else []


def free_port():
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def make_parser():
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.campaigns.batch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--count", type=int, default=200, metavar="N", help="pictures (default: %(default)s)")
    add("--damaged", type=int, default=20, metavar="N", help="of them (default: %(default)s)")
    add("--size", type=int, default=64, metavar="PX", help="of each picture (default: %(default)s)")
    add("--iterations", type=int, default=5, metavar="N", help="of each (default: %(default)s)")
    add("--film-iterations", type=int, default=20, metavar="N", help="of each frame (default: %(default)s)")
    add("--rounds", type=int, default=3, metavar="N", help="of the overhead (default: %(default)s)")
    add(
        "--most-overhead",
        type=float,
        default=10,
        metavar="PERCENT",
        help="more is a finding (default: %(default)s)",
    )
    add("--only", choices=PARTS, help="one part alone")
    add("--findings", default="findings", metavar="FOLDER", help="where what is found is kept")
    return parser


def main(argv=None):
    """Run the campaign; return 1 if anything was found, else 0."""
    arguments = make_parser().parse_args(argv)
    findings = Findings(arguments.findings)
    parts = [arguments.only] if arguments.only else PARTS
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(folder, arguments, findings)
        if "overhead" in parts:
            campaign.overhead()
        for number in range(arguments.damaged):
            campaign.damage(number)
        if "damage" in parts:
            campaign.damage_and_death()
        if "machines" in parts:
            campaign.machines()
        if "frames" in parts:
            campaign.frames()
    print(f"{findings.count} findings")
    return 1 if findings.count else 0


if __name__ == "__main__":
    sys.exit(main())

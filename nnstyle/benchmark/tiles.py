"""What tiles cost in time and save in memory: ``python -m nnstyle.benchmark.tiles``."""

import argparse
import re
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from ..cli.arguments import Parser
from ..cli.process import run_as_process
from ..engine import Engine
from ..engine.memory import kilobytes
from ..errors import InputError
from ..job import prepare
from ..notes import heard_by
from ..pictures import LARGEST, SMALLEST
from ..progress import say
from ..resources import bytes_needed
from ..stylize import run
from . import work
from .__main__ import between
from .peak import peak_so_far

PROGRAM = "python -m nnstyle.benchmark.tiles"
PATTERN = re.compile(r"(\d{2,5})x(\d{2,5})")


def main(argv: list[str] | None = None) -> int:
    """Measure what was asked for, and return the exit status: 0, 2 for what cannot be measured."""
    parser = make_parser()
    try:
        arguments = parser.parse_args(argv)
        Engine(threads=arguments.threads, tile=arguments.tile)  # checks them
        if not arguments.memory:
            say(time_of(arguments), sys.stdout)
        for size in arguments.memory or ():
            say(memory_of(size, arguments), sys.stdout)
    except SystemExit as end:
        return int(end.code or 0)
    except InputError as error:
        say(f"{PROGRAM}: {error}", sys.stderr)
        return 2
    except MemoryError:
        say(f"{PROGRAM}: there is not enough memory for this: choose a smaller --size", sys.stderr)
        return 2
    return 0


def make_parser() -> Parser:
    """The parser of the command."""
    parser = Parser(prog=PROGRAM, description=__doc__)
    add = parser.add_argument
    add("--network", choices=work.NETWORKS, default="pocket", help="default: %(default)s")
    add(
        "--size", type=between(64, 8192), default=2048, metavar="PX", help="of a square picture (%(default)s)"
    )
    add("--tile", type=int, default=1024, metavar="PX", help="as of python -m nnstyle (default: %(default)s)")
    add("--rounds", type=between(1, 100), default=3, metavar="N", help="take medians of N (%(default)s)")
    add("--threads", type=int, metavar="N", help="default: one for each core that this process may use")
    add(
        "--memory",
        type=size_in_pixels,
        nargs="+",
        metavar="WxH",
        help="instead of times, the peak memory of painting noise of these sizes, each in a process of its own",
    )
    add("--iterations", type=between(1, 100), default=5, metavar="N", help="for --memory (%(default)s)")
    return parser


def size_in_pixels(text: str) -> tuple[int, int]:
    """``4096x2048`` as (width, height)."""
    found = PATTERN.fullmatch(text)
    size = tuple(map(int, found.groups())) if found else (0, 0)
    if not SMALLEST <= min(size) <= max(size) <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is not a size such as 4096x2048")
    return size[0], size[1]


def time_of(arguments: argparse.Namespace) -> str:
    """A line: how long an evaluation takes, whole and by tiles, in turn."""
    size = arguments.size
    seconds: dict[int | None, list[float]] = {None: [], arguments.tile: []}
    with Engine(threads=arguments.threads) as engine:
        for tile in seconds:  # the first evaluation transforms the kernels
            work.evaluation(arguments.network, size, engine, tile=tile)()
        for _ in range(arguments.rounds):
            for tile, times in seconds.items():
                engine.clear()
                function = work.evaluation(arguments.network, size, engine, tile=tile)
                function()
                times.append(work.seconds_of(function))
    whole, by_tiles = (statistics.median(times) / size**2 * 1e6 for times in seconds.values())
    return (
        f"{arguments.network}, {size} x {size} px, an evaluation, s/megapixel: whole {whole:.2f},"
        f" in tiles of {arguments.tile} px {by_tiles:.2f}, {by_tiles / whole:.2f} times as long"
    )


def memory_of(size: tuple[int, int], arguments: argparse.Namespace) -> str:
    """A line: the peak memory of a process that paints a picture of this size by tiles."""
    call = (
        f"paint({arguments.network!r}, {size}, {arguments.tile}, {arguments.iterations}, {arguments.threads})"
    )
    command = [sys.executable, "-c", f"from nnstyle.benchmark.tiles import paint; {call}"]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    width, height = size
    if result.returncode:
        raise InputError(f"painting {width} x {height} px failed, perhaps because there is not enough memory")
    return f"{arguments.network}, {width} x {height} px {result.stdout.strip()}"


def paint(network: str, size: tuple[int, int], tile: int, iterations: int, threads: int | None) -> None:
    """Paint noise at one scale, with the defaults otherwise, and print the peak memory of this process."""
    width, height = size
    content, style = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    weights = work.make_weights(network)
    job = prepare(content, style, weights, size=max(size), iterations=iterations, scales=1, rescale=False)
    del content, style  # the job has them
    engine = Engine(threads=threads, tile=tile)
    before = kilobytes(Path("/proc/self/status")).get("VmRSS", 0)
    with heard_by(lambda message: None):  # what is printed says as much
        result = run(job, engine)
    how = f"in tiles of {tile} px" if "tile" in result.made_with else "whole"
    estimate = before + bytes_needed(job, engine.device, False, max(size), tile)
    peaks = f"peak {peak_so_far() / 1e9:.2f} GB (estimated {estimate / 1e9:.2f})"
    print(f"{how}: {peaks}, optimizer {result.settings.optimizer}")


if __name__ == "__main__":
    run_as_process(main)

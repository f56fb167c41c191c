"""Arguments -> measurements -> tables, and JSON on request."""

import argparse
import itertools
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from ..cli.arguments import Parser
from ..cli.process import run_as_process
from ..engine import Engine, devices
from ..errors import GpuError, InputError
from ..pictures import LARGEST, SMALLEST
from ..pictures.saving import check_no_input_is_replaced
from ..progress import say
from ..version import __version__
from ..weights import POCKET_PATHS
from . import against_torch, compare, table, work
from .gpu_meter import meter_of
from .meter import Meter

PROGRAM = "python -m nnstyle.benchmark"
DESCRIPTION = """\
Measure how fast this machine evaluates the loss and its gradient (network forward, losses,
backward to the image), for the embedded network and for VGG-19's widths."""


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark.

    Parameters
    ----------
    argv : list of str, optional
        The arguments, by default those of the process.

    Returns
    -------
    int
        The exit status: 0, 2 for bad options or input or a GPU that fails, 130 after Ctrl-C.
    """
    try:
        arguments = make_parser().parse_args(argv)
    except SystemExit as end:  # --help or bad options: all is said
        return int(end.code or 0)
    try:
        device = devices.find(arguments.device)
        # If PyTorch is missing, then say so now, not after minutes of measuring.
        if needs_torch(arguments):
            against_torch.import_torch(meter_of(device).torch_device)
        with device.failures(), Engine(device, arguments.threads, arguments.low_memory) as engine:
            measure(arguments, engine, meter_of(device))
    except (InputError, GpuError) as error:
        complain(str(error))
        return 2
    except MemoryError:
        complain("there is not enough memory for this: choose smaller --sizes")
        return 2
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    return 0


def complain(message: str) -> None:
    """One line on standard error."""
    say(f"{PROGRAM}: {' '.join(message.split())}", sys.stderr)


def make_parser() -> Parser:
    """The parser of ``python -m nnstyle.benchmark``."""
    parser = Parser(prog=PROGRAM, description=DESCRIPTION)
    add = parser.add_argument
    add("--networks", nargs="+", choices=work.NETWORKS, default=work.NETWORKS, help="default: all")
    add(
        "--sizes",
        nargs="+",
        type=between(SMALLEST, LARGEST),
        default=(256, 512, 1024),
        metavar="PX",
        help="of square pictures (default: 256 512 1024)",
    )
    add("--rounds", type=between(1, 1000), default=5, metavar="N", help="take medians of N (default: 5)")
    add("--device", default="cpu", help="as the option of python -m nnstyle (default: cpu)")
    add("--threads", type=int, metavar="N", help="default: one for each core that this process may use")
    add("--low-memory", action="store_true", help="as the option of python -m nnstyle")
    add("--against-torch", action="store_true", help="alternate with PyTorch (pip install torch==2.13.0)")
    add("--accuracy", action="store_true", help="also show the gradient's error, against PyTorch in float64")
    add("--profile", action="store_true", help="also show each operation's share")
    add("--memory", action="store_true", help="also show the peak memory; of a GPU, what fits, too")
    add("--json", metavar="FILE", type=Path, help="write all figures to a file, too, after each line")
    return parser


def needs_torch(arguments: argparse.Namespace) -> bool:
    """Whether anything is to be compared with PyTorch."""
    return arguments.against_torch or arguments.accuracy


def between(lowest: int, highest: int) -> Callable[[str], int]:
    """What turns a text into a whole number of this range, for argparse."""

    def number(text: str) -> int:
        if not (text.isdecimal() and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"{text} is not a number from {lowest} to {highest}")
        return int(text)

    return number


def measure(arguments: argparse.Namespace, engine: Engine, meter: Meter) -> None:
    """Measure everything asked for; print and write it line by line."""
    if arguments.json is not None:
        check_no_input_is_replaced(arguments.json, POCKET_PATHS)
    rates = meter.rates(engine)
    figures: dict[str, Any] = {
        "nnstyle": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "threads": engine.threads,
        "low memory": engine.low_memory,
        "rounds": arguments.rounds,
        **meter.facts(needs_torch(arguments)),
    }
    write(figures, arguments.json)  # if that fails, then now
    say(", ".join(f"{name} {value}" for name, value in figures.items()), sys.stdout)
    for name, rate in rates.items():
        what, _, of = name.partition(" a second of ")
        say(f"float32 {of}: {rate / 1e9:.0f} billion {what} a second", sys.stdout)
    say(table.header(arguments.against_torch, meter.decimals), sys.stdout)
    figures |= rates | {"results": []}
    for network, size in itertools.product(arguments.networks, arguments.sizes):
        figures["results"].append(compare.measure(network, size, arguments, engine, meter, rates))
        say(table.describe(figures["results"][-1], meter.decimals), sys.stdout)
        write(figures, arguments.json)
    for network in arguments.networks if arguments.memory and meter.fills else ():
        figures.setdefault("largest", {})[network] = meter.largest(network)
        say(table.describe_largest(network, figures["largest"][network]), sys.stdout)
        write(figures, arguments.json)


def write(figures: dict[str, Any], path: Path | None) -> None:
    """Write JSON, if a path is given."""
    if path is None:
        return
    try:
        path.write_text(json.dumps(figures, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    run_as_process(main)

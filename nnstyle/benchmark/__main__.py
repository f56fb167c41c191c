"""Arguments -> measurements -> tables, and JSON on request."""

import argparse
import itertools
import json
import platform
import sys
from pathlib import Path

import numpy as np
import scipy

from .. import devices
from ..arguments import Parser
from ..errors import InputError
from ..images import LARGEST, SMALLEST
from ..version import __version__
from . import against_torch, compare, table, work
from .card_meter import meter_of

DESCRIPTION = """\
Measure how fast this machine evaluates the loss and its gradient (network forward, losses,
backward to the image), for the embedded network and for VGG-19's widths."""


def main(argv=None):
    """Run the benchmark and return its exit status: 0, or 2 for bad input."""
    arguments = make_parser().parse_args(argv)
    try:
        device = devices.find(arguments.device)
        # If PyTorch is missing, then say so now, not after minutes of measuring.
        if needs_torch(arguments):
            against_torch.import_torch(meter_of(device).torch_device)
        with device.current, device.workers(arguments.threads, arguments.low_memory) as workers:
            measure(arguments, workers, meter_of(device))
    except InputError as error:
        print(f"python -m nnstyle.benchmark: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print(
            "python -m nnstyle.benchmark: there is not enough memory for this: choose smaller --sizes",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("python -m nnstyle.benchmark: interrupted", file=sys.stderr)
        return 130
    return 0


def make_parser():
    """The parser of ``python -m nnstyle.benchmark``."""
    parser = Parser(prog="python -m nnstyle.benchmark", description=DESCRIPTION)
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
    add("--threads", type=int, metavar="N", help="default: all cores that this process may use")
    add("--low-memory", action="store_true", help="as the option of python -m nnstyle")
    add("--against-torch", action="store_true", help="alternate with PyTorch (pip install torch==2.13.0)")
    add("--accuracy", action="store_true", help="also show the gradient's error, against PyTorch in float64")
    add("--profile", action="store_true", help="also show each operation's share")
    add("--memory", action="store_true", help="also show the peak memory; of a card, what fits, too")
    add("--json", metavar="FILE", type=Path, help="write all figures to a file, too, after each line")
    return parser


def needs_torch(arguments):
    """Whether PyTorch is to be compared with."""
    return arguments.against_torch or arguments.accuracy


def between(lowest, highest):
    """What turns a text into a whole number of this range, for argparse."""

    def number(text):
        if not (text.isdecimal() and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"{text} is not a number from {lowest} to {highest}")
        return int(text)

    return number


def measure(arguments, workers, meter):
    """Measure everything asked for; print and write it line by line."""
    rates = meter.rates(workers)
    figures = {
        "nnstyle": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "threads": workers.threads,
        "low memory": workers.low_memory,
        "rounds": arguments.rounds,
        **meter.facts(needs_torch(arguments)),
    }
    write(figures, arguments.json)  # if that fails, then now
    print(", ".join(f"{name} {value}" for name, value in figures.items()))
    for name, rate in rates.items():
        what, _, of = name.partition(" a second of ")
        print(f"float32 {of}: {rate / 1e9:.0f} billion {what} a second")
    print(table.header(arguments.against_torch, meter.decimals), flush=True)
    figures |= rates | {"results": []}
    for network, size in itertools.product(arguments.networks, arguments.sizes):
        figures["results"].append(compare.measure(network, size, arguments, workers, meter, rates))
        print(table.describe(figures["results"][-1], meter.decimals), flush=True)
        write(figures, arguments.json)
    for network in arguments.networks if arguments.memory and meter.fills else ():
        figures.setdefault("largest", {})[network] = meter.largest(network)
        print(table.describe_largest(network, figures["largest"][network]), flush=True)
        write(figures, arguments.json)


def write(figures, path):
    """Write JSON, if a path is given."""
    if path is None:
        return
    try:
        path.write_text(json.dumps(figures, indent=2) + "\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())

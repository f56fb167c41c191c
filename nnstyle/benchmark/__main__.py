"""Arguments -> measurements -> tables, and JSON on request."""

import json
import platform
import sys
from pathlib import Path

import numpy as np
import scipy

from ..arguments import Parser
from ..errors import InputError
from ..version import __version__
from ..workers import Workers
from . import against_torch, compare, work

DESCRIPTION = """\
Measure how fast this machine evaluates the loss and its gradient (network forward, losses,
backward to the image), for the embedded network and for VGG-19's widths."""


def main(argv=None):
    """Run the benchmark and return its exit status: 0, or 2 for bad input."""
    arguments = make_parser().parse_args(argv)
    try:
        # What would fail in the end fails now, not after minutes of measuring.
        if arguments.against_torch:
            against_torch.import_torch()
        if arguments.json:
            open(arguments.json, "a").close()
        with Workers(arguments.threads, arguments.low_memory) as workers:
            results = measure(arguments, workers)
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
    except InputError as error:
        print(f"nnstyle: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"nnstyle: {arguments.json} cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def make_parser():
    parser = Parser(prog="python -m nnstyle.benchmark", description=DESCRIPTION)
    add = parser.add_argument
    add("--networks", nargs="+", choices=work.NETWORKS, default=work.NETWORKS, help="default: all")
    add("--sizes", nargs="+", type=size, default=(256, 512, 1024), help="px (default: 256 512 1024)")
    add("--rounds", type=size, default=5, metavar="N", help="take medians of so many (default: 5)")
    add("--threads", type=int, metavar="N", help="default: all cores that this process may use")
    add("--low-memory", action="store_true", help="as the option of python -m nnstyle")
    add("--against-torch", action="store_true", help="alternate with PyTorch (pip install 'nnstyle[bench]')")
    add("--profile", action="store_true", help="also show each operation's share")
    add("--memory", action="store_true", help="also show the peak memory of a process")
    add("--json", metavar="FILE", help="write all figures to a file, too")
    return parser


def size(text):
    """A whole number above 0, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def measure(arguments, workers):
    """Measure everything asked for, print it line by line, and return it."""
    rate = work.matmul_rate(workers)
    about = {
        "nnstyle": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "threads": workers.threads,
        "low memory": workers.low_memory,
        "rounds": arguments.rounds,
    }
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"float32 matrix products: {rate / 1e9:.0f} billion operations a second")
    print(compare.HEADER + (compare.TORCH_HEADER if arguments.against_torch else ""), flush=True)
    results = []
    for network in arguments.networks:
        for size in arguments.sizes:
            results.append(compare.measure(network, size, arguments, workers, rate))
            print(compare.describe(results[-1]), flush=True)
    return about | {"operations a second of matrix products": rate, "results": results}


if __name__ == "__main__":
    sys.exit(main())

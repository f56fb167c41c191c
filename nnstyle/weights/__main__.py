"""``python -m nnstyle.weights``: which networks there are, and what is in their files."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..cli.arguments import Parser
from ..cli.process import run_as_process
from ..errors import InputError
from ..files import check_writable
from ..network import POOLINGS
from ..notes import heard_by
from ..pictures import check_no_input_is_replaced, pictures_in
from ..pictures.preprocessing import WRITTEN, parse_preprocessing, spell_preprocessing
from ..progress import say
from ..settings import BETA_PER_PIXEL, POOLING
from . import download
from .formats.hdf5 import write_hdf5
from .known import KNOWN
from .loading import find_file, load_weights, open_weights, read_weights
from .rescaling import rescale

DESCRIPTION = """\
List the networks that --weights knows by name; fetch one, look into a file of any known layout,
or write it in the layout of this package."""

PREPROCESSING = f"what the network expects of its input, if not what the file says: {WRITTEN}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 2 for bad options or input, 130 after Ctrl-C."""
    try:
        arguments = make_parser().parse_args(argv)
    except SystemExit as end:  # --help or bad options: all is said
        return int(end.code or 0)
    try:
        with heard_by(lambda message: complain(f"note: {message}")):
            arguments.run(arguments)
    except InputError as error:
        complain(str(error))
    except MemoryError:
        complain("there is not enough memory for this network")
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    else:
        return 0
    return 2


def complain(message: str) -> None:
    """Print one line on standard error."""
    say(f"python -m nnstyle.weights: {' '.join(message.split())}", sys.stderr)


def make_parser() -> argparse.ArgumentParser:
    """The parser of ``python -m nnstyle.weights``; what is to be done is its result's `run`."""
    parser = Parser(prog="python -m nnstyle.weights", description=DESCRIPTION)
    parser.set_defaults(run=show_known)
    commands = parser.add_subparsers(metavar="COMMAND", title="commands (none: list the known networks)")
    add = commands.add_parser("fetch", help="download known networks ahead")
    add.add_argument("names", metavar="NAME", nargs="+", choices=KNOWN, help=", ".join(KNOWN))
    add.set_defaults(run=fetch)
    add = commands.add_parser("inspect", help="show the layers of a file, and what it says of itself")
    add.add_argument("file", metavar="FILE", help="a file, or a known name")
    add.add_argument("--preprocessing", help=PREPROCESSING)
    add.set_defaults(run=inspect)
    add = commands.add_parser("convert", help="write a file in this package's layout")
    add.add_argument("file", metavar="FILE", help="a file, or a known name")
    add.add_argument("output", metavar="OUT.h5")
    add.add_argument("--preprocessing", help=PREPROCESSING + "; it is stated in OUT.h5")
    add.add_argument("--float16", action="store_true", help="kernels of half the size")
    add.add_argument(
        "--rescale-over", metavar="FOLDER", help="each filter's mean activation over its pictures becomes 1"
    )
    add.add_argument(
        "--pooling", choices=POOLINGS, help="to rescale with (default: what the file states, else max)"
    )
    add.set_defaults(run=convert)
    return parser


def show_known(arguments: argparse.Namespace) -> None:
    """The known networks, and where each is or would be."""
    lines = ["pocket", "  inside the package: always there, CC0-1.0"]
    for name, network in KNOWN.items():
        path = download.cache_folder() / network.file
        where = "is at" if path.exists() else "not here yet; fetch puts it at"
        lines += [name, f"  {network.size:,} bytes, {network.checksum}", f"  {network.licence}"]
        lines += [f"  {where} {path}"]
    say("\n".join(lines), sys.stdout)


def fetch(arguments: argparse.Namespace) -> None:
    """Download, and say where to."""
    for name in arguments.names:
        say(f"{name}: {download.fetch(name, progress=True)}", sys.stdout)


def inspect(arguments: argparse.Namespace) -> None:
    """What a file holds, layer by layer."""
    text = arguments.preprocessing
    given = None if text is None else parse_preprocessing(text)
    path = find_file(arguments.file, progress=True)
    with open_weights(path) as contents:
        weights = read_weights(contents, path, given)
    what = weights.preprocessing
    lines = [
        f"{path}: {contents.layout}",
        f"network {weights.name}, {'rescaled' if weights.rescaled else 'not known to be rescaled'}",
        f"input: {what.channel_order} of 0 to 255, minus {shown(what.mean)}, times {shown(what.scale)}",
        f"why: {weights.preprocessing_reason}",
        f"as an option: --preprocessing {spell_preprocessing(what)}",
        f"style layer weights: {show_layer_weights(weights.style_layer_weights)}",
        f"pooling: {weights.pooling or f'not stated: {POOLING}'}",
        f"beta per pixel: {weights.beta_per_pixel or f'not stated: {BETA_PER_PIXEL}'}",
        f"{'layer':8} {'kernel':>20} {'smallest':>10} {'largest':>10} {'biases from':>12} {'to':>10}",
    ]
    for name, (kernel, bias) in weights.items():
        ranges = f"{kernel.min():10.3g} {kernel.max():10.3g} {bias.min():12.3g} {bias.max():10.3g}"
        lines.append(f"{name:8} {' x '.join(map(str, kernel.shape)):>20} {ranges}")
    say("\n".join(lines), sys.stdout)


def shown(numbers: float | tuple[float, ...]) -> str:
    """One number or several, for people."""
    return np.array2string(np.asarray(numbers), precision=6, separator=", ")


def show_layer_weights(layer_weights: tuple[float, ...] | None) -> str:
    """The w_l that a file states, for people."""
    return ", ".join(f"{w:g}" for w in layer_weights) if layer_weights else "not stated: 1/5 each"


def convert(arguments: argparse.Namespace) -> None:
    """Read any layout, write ours."""
    output, folder = Path(arguments.output), arguments.rescale_over
    if output.suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(f"{output} should end in .h5")
    check_writable(output)
    pictures = [] if folder is None else pictures_in(folder)
    check_no_input_is_replaced(output, pictures)
    source = find_file(arguments.file, progress=True)  # which may download it
    check_no_input_is_replaced(output, [source])
    weights = load_weights(source, preprocessing=arguments.preprocessing)
    if folder is not None:
        weights = rescale(weights, pictures, arguments.pooling)
    try:
        write_hdf5(output, weights, np.float16 if arguments.float16 else np.float32)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror or error}") from None
    say(f"{output}: {output.stat().st_size:,} bytes", sys.stdout)


if __name__ == "__main__":
    run_as_process(main)

"""The options of ``nnstyle-batch``. The settings are those of ``nnstyle``, made of the same fields."""

import argparse

from ..cli.arguments import Parser, add_settings, count
from ..version import __version__

DESCRIPTION = """\
Paint many photographs: each in each style, or the pairs of a table. The work is spread over the cores of
this machine or, with --scheduler, over a cluster, by Dask's distributed scheduler."""
EPILOG = """\
Each picture is written whole or not at all. One that fails is noted with its reason and does not stop the
others. FOLDER gets report.json and report.html, a contact sheet, at the end. Ctrl-C keeps all that is
finished, and --resume goes on. Exit status: 0 if all pictures are there, 1 if some failed, 2 for bad input,
130 after Ctrl-C."""
NAME = "{photo}-{style}.png"


def make_parser() -> Parser:
    """The parser of ``nnstyle-batch``. Settings that were not given are missing from its result."""
    parser = Parser(
        prog="nnstyle-batch",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32),
    )
    add = parser.add_argument
    add(
        "photos",
        metavar="PHOTO",
        nargs="*",
        help="a photograph, or a folder: all pictures in it",
    )
    add(
        "--styles",
        nargs="+",
        default=[],
        metavar="PAINTING",
        help="the paintings; a folder is one style, the mean of all paintings in it",
    )
    add(
        "--pairs",
        metavar="CSV",
        help="in place of PHOTO and --styles, a table with the columns photo, style and, if you like, output; paths"
        " in it are relative to its folder",
    )
    add("-o", "--output", metavar="FOLDER", required=True, help="where the pictures go; made if need be")
    add(
        "--name",
        default=NAME,
        metavar="PATTERN",
        help="of each picture, made of {photo}, {style} and {number}; its ending chooses the format"
        " (default: %(default)s)",
    )
    add("--resume", action="store_true", help="keep what an earlier run has finished in FOLDER")
    add(
        "--from-previous",
        action="store_true",
        help="for the frames of a film, given in order: start each from the one before, which keeps them calm",
    )
    add("-q", "--quiet", action="store_true", help="say nothing but errors")
    add_workers(parser)
    add("--version", action="version", version=f"nnstyle {__version__}")
    add_settings(parser, samples={})
    return parser


def add_workers(parser: Parser) -> None:
    """Add what computes."""
    add = parser.add_argument_group("where it is computed").add_argument
    add(
        "--scheduler",
        metavar="ADDRESS",
        help="of a Dask scheduler, such as tcp://10.0.0.1:8786; its workers need nnstyle, too (default: the cores of"
        " this machine)",
    )
    add(
        "--workers",
        type=count,
        metavar="N",
        help="how many pictures at a time on this machine (default: one for each core, as far as memory allows;"
        " with GPUs, one for each)",
    )
    add(
        "--threads",
        type=count,
        metavar="N",
        help="processor threads for each picture (default: the cores, shared out; on a cluster 1)",
    )
    add(
        "--device",
        default="auto",
        metavar="NAME",
        help="cpu; cuda, all GPUs, with CuPy; cuda:1 and so on; auto: GPUs if this machine has any, on a cluster the"
        " processors (default: %(default)s)",
    )
    add(
        "--low-memory",
        action=argparse.BooleanOptionalAction,
        help="use less memory and about twice the time (default: only where memory is short)",
    )

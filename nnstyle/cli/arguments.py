"""The command line's options, made of the fields of `nnstyle.Settings`."""

import argparse
import dataclasses
import difflib
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from ..pictures.saving import FORMATS
from ..settings import NETWORK, Settings, floats
from ..version import __version__

DESCRIPTION = """\
Paint a photograph in the style of a painting, as in "A Neural Algorithm of Artistic Style"
(Gatys, Ecker and Bethge, 2015). Without CONTENT and STYLE, a sample photograph is painted in
the style of a sample painting, small enough to be done within a minute."""
EPILOG = """\
The output file is written whole or not at all. An existing OUT is replaced only by a finished
picture, and without -o no file is replaced. Ctrl-C, SIGTERM and SIGHUP save the best picture so far:
as OUT or, where OUT exists or is not given, as OUT-unfinished. Bad input ends with one line and exit
status 2."""
# The sample pictures' own defaults: done within a minute on two slow cores.
SAMPLE_SETTINGS = {"size": 512, "iterations": 150}


class Parser(argparse.ArgumentParser):
    """An argument parser that complains in one line, and does not complete shortened options."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())} ({self.hint(message)})\n")

    def hint(self, message: str) -> str:
        """What to do about an error: for a word that is nearly an option, the option."""
        unknown = re.match(r"unrecognized arguments: (--[\w-]+)", message)
        near = difflib.get_close_matches(unknown[1], self._option_string_actions, n=1) if unknown else []
        return f"did you mean {near[0]}?" if near else "--help shows the options"


def make_parser() -> Parser:
    """The parser of ``nnstyle``.

    Settings that were not given are missing from its result, so that their defaults stay in `Settings`.
    """
    parser = Parser(
        prog="nnstyle",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32),
    )
    add_files(parser)
    add_settings(parser, SAMPLE_SETTINGS)
    return parser


def add_settings(parser: Parser, samples: Mapping[str, Any]) -> None:
    """Add an option for each field of `Settings`, and the network.

    Parameters
    ----------
    parser : Parser
    samples : mapping
        Settings that differ for the sample pictures, for the help.
    """
    groups: dict[str, Any] = {}
    for field in dataclasses.fields(Settings):
        name = field.metadata["group"]
        if name not in groups:
            groups[name] = parser.add_argument_group(name)
        add_setting(groups[name], field, samples)
    groups[NETWORK].add_argument(
        "--weights",
        metavar="FILE",
        help="pocket (inside the package); vgg19 or vgg16, the paper's networks, downloaded once; or a VGG file"
        " of Keras, PyTorch, Caffe, MatConvNet, safetensors or NumPy (default: pocket)",
    )


def add_files(parser: Parser) -> None:
    """Add what is read and written, what is printed, and what computes."""
    add = parser.add_argument
    add(
        "content",
        metavar="CONTENT",
        nargs="?",
        help="the photograph, in any common picture format",
    )
    add(
        "styles",
        metavar="STYLE",
        nargs="*",
        help="the painting; of several, the picture gets the mean style; a folder is one style, the mean of all"
        " paintings in it",
    )
    add(
        "--style-weights",
        type=floats,
        metavar="W,..",
        help="how much of each STYLE: 2,1 is two parts of the first and one of the second (default: all equal)",
    )
    add(
        "--mask",
        action="append",
        metavar="FILE",
        help="paint only where this picture is white: one for all STYLEs, or give it once for each; it has the"
        " photograph's shape, and its greys are soft edges (default: paint everywhere)",
    )
    add(
        "-o",
        "--output",
        metavar="OUT",
        help=f"the picture to write, with its settings inside: {' '.join(FORMATS)} (default: CONTENT-STYLE.png,"
        " and where that exists CONTENT-STYLE-2.png and so on; sample stylized.png)",
    )
    add(
        "--like",
        metavar="PICTURE",
        help="paint PICTURE again, with the settings that it carries inside; options on the command line take"
        " precedence. CONTENT and STYLE are found by their names beside PICTURE or in the current folder, or given."
        " Differences are reported. (nnstyle show PICTURE prints the settings)",
    )
    add(
        "--save-every",
        type=count,
        metavar="N",
        help="write the picture so far beside OUT every N iterations, as OUT-0010 and so on",
    )
    add(
        "--film",
        metavar="FILE",
        help="write the way to the picture as an animation of up to 100 frames and 512 px, as .webp (the smallest),"
        " .gif or .png",
    )
    add("-q", "--quiet", action="store_true", help="say nothing but errors")
    add(
        "--device",
        default="auto",
        metavar="NAME",
        help="cpu; cuda, or cuda:1 and so on, with CuPy; auto: a GPU if there is one (default: %(default)s)",
    )
    add(
        "--threads",
        type=int,
        metavar="N",
        help="how many processor threads to use (default: one for each core that this process may use)",
    )
    add(
        "--low-memory",
        action=argparse.BooleanOptionalAction,
        help="use less memory and about twice the time (default: only where memory is short)",
    )
    add(
        "--tile",
        type=int,
        metavar="PX",
        help="compute larger pictures in tiles of about this length: the memory of a tile, and the same picture up to"
        " rounding; 1024 takes about twice the time (default: only where memory is short)",
    )
    add(
        "--checkpoint",
        type=seconds,
        default=60,
        metavar="SECONDS",
        help="keep the state of the work beside OUT, as OUT.nnstyle, and write it anew every so many seconds,"
        " or less often if that takes long; it is removed when the picture is there; 0: never"
        " (default: %(default)s)",
    )
    add("--resume", action="store_true", help="go on from OUT.nnstyle, if an earlier run has left it")
    add("--version", action="version", version=f"nnstyle {__version__}")


def count(text: str) -> int:
    """A whole number, at least 1."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


count.__name__ = "whole number above 0"  # argparse shows it: "invalid whole number above 0 value"


def seconds(text: str) -> float:
    """A finite number of seconds, not negative."""
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError
    return value


def add_setting(group: Any, field: dataclasses.Field, samples: Mapping[str, Any]) -> None:
    """Add the option of one field of `Settings`."""
    flag = "--" + field.name.replace("_", "-")
    options = dict(field.metadata["options"])
    if field.default is True:
        options["action"] = argparse.BooleanOptionalAction
    text = field.metadata["help"] + default_text(field, samples)
    group.add_argument(flag, default=argparse.SUPPRESS, help=text.replace("%", "%%"), **options)


def default_text(field: dataclasses.Field, samples: Mapping[str, Any]) -> str:
    """The default of a setting, as the help shows it."""
    default = field.metadata["shown"] or field.default
    if default is None or default is False:
        return ""
    if isinstance(default, tuple):
        default = ",".join(default)
    if field.name in samples:
        default = f"{default}; sample {samples[field.name]}"
    return f" (default: {default})"

"""The command line's options, grouped by theme, with the defaults of `nnstyle.Settings`."""

import argparse

from .network import POOLING
from .output import FORMATS
from .settings import BETA_PER_PIXEL, FIRST_IMAGES, OPTIMIZERS, Settings
from .version import __version__

DESCRIPTION = """\
Paint a photograph in the style of a painting, as in "A Neural Algorithm of Artistic Style"
(Gatys, Ecker and Bethge, 2015). Without CONTENT and STYLE, a sample photograph is painted in
the style of a sample painting, small enough to be done within a minute."""
EPILOG = """\
The output file is written whole or not at all, and an existing one is replaced only by a
finished picture. Ctrl-C saves the best picture so far: as OUT or, where OUT exists, beside it
as OUT-unfinished. Bad input ends with one line and exit status 2."""
DEFAULTS = Settings()
SAMPLE_SIZE, SAMPLE_ITERATIONS = 320, 64  # done within a minute on two slow cores


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints take one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (--help shows the options)\n")


def names(text):
    """``conv1_1,conv2_1`` as a tuple of names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def numbers(text):
    """``1,0.5`` as a tuple of floats."""
    return tuple(float(number) for number in text.split(","))


def make_parser():
    """The parser of ``python -m nnstyle``. Its results bear the names of `Settings`' fields."""
    parser = Parser(
        prog="nnstyle",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32),
    )
    add_files(parser)
    add_picture_options(parser.add_argument_group("picture"))
    add_loss_options(
        parser.add_argument_group("loss: alpha L_content + beta L_style, the paper's equation (7)")
    )
    add_network_options(parser.add_argument_group("network"))
    return parser


def add_files(parser):
    """What goes in, what comes out, what is said."""
    add = parser.add_argument
    add(
        "content",
        metavar="CONTENT",
        nargs="?",
        help="the photograph, in any format that Pillow reads; transparent parts are taken as white",
    )
    add("style", metavar="STYLE", nargs="?", help="the painting")
    add(
        "-o",
        "--output",
        metavar="OUT",
        default="stylized.png",
        help=f"the picture to write, with its settings inside: {' '.join(FORMATS)} (default: %(default)s)",
    )
    add("-q", "--quiet", action="store_true", help="say nothing but errors")
    add(
        "--device",
        default="auto",
        metavar="NAME",
        help="cpu; cuda, or cuda:1 and so on, with CuPy; auto: a graphics card if there is one (default: %(default)s)",
    )
    add(
        "--threads",
        type=int,
        metavar="N",
        help="how many processor cores to use (default: all that this process may use)",
    )
    add(
        "--low-memory",
        action=argparse.BooleanOptionalAction,
        help="use less memory and about twice the time (default: only where memory is short)",
    )
    add("--version", action="version", version=f"nnstyle {__version__}")


def add_picture_options(group):
    """How large, how long, from where."""
    # These two are decided later: the sample pictures have defaults of their own.
    group.add_argument(
        "--size",
        type=int,
        metavar="PX",
        help=f"long edge of the picture (default: {DEFAULTS.size}; sample {SAMPLE_SIZE})",
    )
    group.add_argument(
        "--iterations",
        type=int,
        metavar="N",
        help=f"of L-BFGS (default: {DEFAULTS.iterations}; sample {SAMPLE_ITERATIONS})",
    )
    option(
        group,
        "--scales",
        "coarse to fine: begin at half the size (3: at a quarter), and share the iterations",
        type=int,
        metavar="N",
    )
    option(group, "--first-image", "where to start; the paper: noise", choices=FIRST_IMAGES)
    option(group, "--seed", "of the noise: the same number gives the same picture", type=int, metavar="N")
    option(
        group,
        "--optimizer",
        "SciPy's L-BFGS-B, or L-BFGS where the picture is (default: lbfgs; on a graphics card lbfgs-device)",
        choices=OPTIMIZERS,
    )
    option(
        group,
        "--bounded",
        "keep pixels within 0..255 in every iteration, not only at the end (slower)",
        action="store_true",
    )


def add_loss_options(group):
    """The weights and layers of the losses."""
    option(group, "--alpha", "content weight", type=float, metavar="WEIGHT")
    group.add_argument(
        "--beta",
        type=float,
        metavar="WEIGHT",
        help=f"style weight: higher is more painting, less photograph (default: {BETA_PER_PIXEL} x the number of pixels)",
    )
    option(
        group,
        "--tv-weight",
        "total variation weight: above 0 smooths; the paper: none",
        type=float,
        metavar="WEIGHT",
    )
    option(group, "--content-layers", "layers of L_content", type=names, metavar="NAME,..")
    option(group, "--style-layers", "layers of L_style", type=names, metavar="NAME,..")
    group.add_argument(
        "--layer-weights",
        type=numbers,
        metavar="W,..",
        help="w_l, one for each style layer (default: what the weights file states, else all equal, sum 1)",
    )


def add_network_options(group):
    """Which network."""
    group.add_argument(
        "--weights",
        default="pocket",
        metavar="FILE",
        help="pocket (inside the package); vgg19 or vgg16, the paper's networks, downloaded once; or a VGG file"
        " of Keras, PyTorch, Caffe, MatConvNet, safetensors or NumPy (default: %(default)s)",
    )
    group.add_argument(
        "--rescale",
        action=argparse.BooleanOptionalAction,
        default=DEFAULTS.rescale,
        help="rescale a network that is not yet: each filter's mean activation over the two pictures becomes 1,"
        " and then the same alpha and beta balance alike in all networks (default: --rescale)",
    )
    group.add_argument(
        "--rescale-over", metavar="FOLDER", help="the same, over all pictures in a folder, and in any case"
    )
    option(group, "--pooling", "the paper: average", choices=tuple(POOLING))


def option(group, flag, help, **how):
    """Add an option whose default is that of the `Settings` field with its name."""
    default = getattr(DEFAULTS, flag.removeprefix("--").replace("-", "_"))
    shown = ",".join(default) if isinstance(default, tuple) else default
    group.add_argument(
        flag,
        default=default,
        help=help if default is False or default is None else f"{help} (default: {shown})",
        **how,
    )

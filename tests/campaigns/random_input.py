"""Random command lines and random arguments of `nnstyle.stylize`, sensible and insane ones mixed."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from nnstyle import Settings, Style
from nnstyle.cli.arguments import make_parser
from nnstyle.pictures import save_image
from tests.support.pictures import noise
from tests.support.tiny import tiny_weights

# What takes no time. Later options win.
SMALL = ["--size", "48", "--iterations", "1", "--border", "0", "--checkpoint", "0"]

# Sensible values of options that have no list of choices.
SENSIBLE = {
    "--size": ["46", "48", "56"],
    "--iterations": ["1", "2", "3"],
    "--scales": ["1", "2"],
    "--style-scale": ["0.5", "1", "2"],
    "--border": ["0", "1", "8"],
    "--grain": ["0", "30", "255"],
    "--seed": ["0", "1", "4294967296"],
    "--alpha": ["0", "1", "1e-3"],
    "--beta": ["0", "1", "1e6"],
    "--beta-per-pixel": ["0", "1000"],
    "--tv-weight": ["0", "1"],
    "--content-layers": ["conv1_1", "conv2_2,conv4_2"],
    "--style-layers": ["conv1_1", "conv1_1,conv2_1"],
    "--layer-weights": ["1", "1,2", "1,1,1,1,1", "0"],
    "--rescale-over": [".", "pictures"],
    "--preprocessing": ["caffe", "keras"],
    "--weights": ["pocket"],
    "--output": ["out.png", "out.jpg", "out.webp", "out.tif", "existing.png"],
    "-o": ["out.png", "out.PNG", "existing.png"],
    "--device": ["cpu", "auto"],
    "--threads": ["1", "2"],
    "--checkpoint": ["0", "0.001", "60"],
    "--style-weights": ["1", "2,1"],
    "--mask": ["content.png", "existing.png"],
    "--init": ["recoloured", "noise", "style.png", "existing.png"],
    "--learning-rate": ["1", "5"],
    "--save-every": ["1", "2"],
    "--film": ["walk.webp", "walk.gif", "existing.png"],
    "--like": ["painted.png", "existing.png"],
}
# Nobody means these, and none of them is work for hours.
INSANE = [
    *("nan", "inf", "-inf", "1e400", "-1", "0", "1e-320", "99999999999999999999", "9" * 5000, "0x10", "1_0"),
    *(
        "",
        " ",
        "\t\n",
        "é☃\U0001f600",
        "\udcff",
        "\0",
        "a\0b.png",
        "x" * 5000,
        "x" * 300 + ".png",
        "%s",
        "{}",
    ),
    *("no/such/file.png", ".", "/", "/dev/null", "/proc/self/mem", "/proc/out.png", "folder.png", "text.png"),
    *("content.png", "style.png", "./content.png", "link.png", "loop.png", "empty.png", "out.png", "out.bmp"),
    *(",", "1,", ",,1", "conv9_9", "conv1_1,conv1_1", "CONV1_1", "pool5", "--", "-", "-o", "--size", "True"),
]


def make_surroundings(folder):
    """What the insane values name, in a folder that has content.png and style.png."""
    (folder / "folder.png").mkdir()
    (folder / "pictures").mkdir()
    Image.fromarray(noise(40, 40)).save(folder / "pictures" / "one.png")
    Image.fromarray(noise(40, 40)).save(folder / "existing.png")
    made_with = {"size": 40, "iterations": 1, "content": "content.png", "style": ["style.png"]}
    save_image(noise(40, 40), folder / "painted.png", made_with)
    (folder / "text.png").write_text("this is no picture")
    (folder / "empty.png").touch()
    (folder / "link.png").symlink_to("content.png")
    (folder / "loop.png").symlink_to("loop.png")


def options():
    """All options but those that only print: {name: choices, None for any value, () for no value}."""
    found = {}
    for action in make_parser()._actions:
        if action.dest in ("help", "version"):
            continue
        for name in action.option_strings:
            found[name] = () if action.nargs == 0 else action.choices and [*map(str, action.choices)]
    return found


def random_command(rng):
    """The words of a command line."""
    pictures = [pick(rng, ["content.png", *INSANE], 0.95), pick(rng, ["style.png", *INSANE], 0.95)]
    words = [*SMALL, "-o", "out.png", *pictures[: 2 if rng.random() < 0.95 else 1]]
    known = options()
    for _ in range(rng.integers(1, 5)):
        name = pick(rng, list(known))
        words.append(name)
        if known[name] == ():
            continue
        sensible = list(known[name] or SENSIBLE.get(name, INSANE))
        words.append(pick(rng, sensible if rng.random() < 0.8 else INSANE))
    if rng.random() < 0.1:
        words.append(pick(rng, [*INSANE, "--no-such-option", "-q=1"]))
    return words


def pick(rng, values, first=0.0):
    """One of them, with a probability of at least `first` the first."""
    return values[0] if rng.random() < first else values[rng.integers(len(values))]


def insane_values():
    """Values of all kinds of types, of which no setting asks for hours of work."""
    return [
        *(None, True, False, 0, 1, -1, 10**30, 10**5000, -(10**5000), 1.5, -0.0, 1e-320, 1e308),
        *(float("nan"), float("inf"), -float("inf"), 1j, Decimal("NaN"), Decimal("1e999999"), Fraction(1, 3)),
        *("", " ", "\0", "\udcff", "conv1_1", "conv9_9", "nan", "x" * 5000, b"", b"caffe", bytearray(b"1")),
        *([], (), {}, set(), [[]], [None], [1, 2, 3, 4, 5], ["conv1_1", "conv1_1"], [["conv1_1"]], {"a": 1}),
        *(
            range(3),
            iter([1]),
            object(),
            int,
            print,
            Ellipsis,
            NotImplemented,
            Path("content.png"),
            Path("."),
        ),
        *(np.float32("nan"), np.float64(1), np.int64(3), np.uint8(255), np.bool_(True), np.str_("conv1_1")),
        *(np.array([]), np.array(1), np.array([1.0, 2.0]), np.zeros((0, 5, 3)), np.zeros((40, 40, 7))),
        *(np.full((40, 40, 3), np.nan), noise(40, 40), noise(40, 40, 4), noise(40, 40, 0), noise(1, 40)),
        *(np.zeros((40, 40, 3), object), np.zeros((40, 40, 3), "datetime64[s]"), np.array(["a", None])),
        *(Settings(), Image.new("CMYK", (40, 40)), Image.new("I;16", (40, 40)), Image.new("1", (0, 40))),
        *(Hostile(), [Hostile()], tiny_weights()),
    ]


class Hostile:
    """An object that cannot even be shown."""

    def __repr__(self):
        raise RuntimeError("hostile")


def sensible_values():
    """{argument of `nnstyle.stylize`: values}."""
    picture = noise(40, 40)
    return {
        "content": [picture, "content.png", Path("content.png"), Image.fromarray(picture), picture / 255],
        "style": [
            picture,
            [picture, "style.png"],
            [Style(picture, 2.0, mask=picture)],
            "pictures",
            "style.png",
        ],
        "weights": [tiny_weights()],
        "callback": [None, print_nothing, stop],
        "terms": [(), []],
        "device": ["cpu", "auto"],
        "threads": [None, 1, 2],
        "low_memory": [None, True, False],
        "tile": [None, 16, 64, 10**6, 15, "64", 0.5],
        "size": [32, 40, np.int64(33)],
        "iterations": [1, 2],
        "scales": [None, 1, 2],
        "style_scale": [1.0, 0.8, Fraction(5, 4), 2],
        "border": [0, 4],
        "init": ["recoloured", "content", "noise", "style", "style.png"],
        "colour": ["style", "content", "luminance", "match"],
        "transparency": ["keep", "white"],
        "bits": [8, 16],
        "progress": [True, False],
        "grain": [None, 0, 30, Fraction(5, 2)],
        "seed": [0, 2**70],
        "bounded": [True, False],
        "alpha": [0, 1.0, 1e-3, 1e30, 1e300, 1e308],
        "beta": [None, 0, 1e6, 1e30, 1e300, 1e308],
        "beta_per_pixel": [None, 1000, 1e300],
        "tv_weight": [0, 1, 1e300],
        "content_layers": ["conv1_1", ("conv4_2",)],
        "style_layers": ["conv1_1", ["conv1_1", "conv2_1"]],
        "layer_weights": [None, [1], [1, 1, 1, 1, 1], np.ones(2), [1e300]],
        "rescale": [True, False],
        "rescale_over": [None, "pictures"],
        "preprocessing": [None, "caffe", "torch"],
        "pooling": [None, "max", "average"],
        "optimizer": [None, "lbfgs", "adam"],
        "learning_rate": [None, 1, 0.5],
    }


def random_call(rng):
    """Keyword arguments of `nnstyle.stylize`: all are sensible, or one or two are anything."""
    sensible, anything = sensible_values(), insane_values()
    small = {"size": 32, "iterations": 1, "border": 0}
    small |= {name: sensible[name][0] for name in ("content", "style", "weights")}
    names = [pick(rng, list(sensible)) for _ in range(rng.integers(1, 7))]
    chosen = {name: pick(rng, sensible[name]) for name in names}
    if rng.random() < 0.8:
        for _ in range(rng.integers(1, 3)):
            chosen[pick(rng, list(sensible))] = pick(rng, anything)
    return small | chosen


def print_nothing(event):
    """A callback that looks at all it is given."""
    event.image(), event.state(), str(event.record)


def stop(event):
    """A callback that ends the work."""
    return True

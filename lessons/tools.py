"""What the lessons share: pictures to look at, a stopwatch, figures."""

import argparse
import atexit
import statistics
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import nnstyle
from nnstyle.pictures import load_image, resize

SAMPLES = Path(nnstyle.__file__).parent / "samples"
FIGURES = Path(__file__).parent / "figures"

_own_arguments = {}  # what one lesson takes beside the options of all of them, see `folder`

plt.switch_backend("Agg")  # figures go into files, also where there is no screen
plt.rcParams.update({"font.size": 9, "figure.constrained_layout.use": True, "axes.grid": True})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "grid.alpha": 0.3})


def photo(size=256):
    """The sample photograph: uint8 (H, W, 3), its long edge `size` px."""
    return resize(load_image(SAMPLES / "content.jpg"), size)


def painting(size=256):
    """The sample painting, likewise."""
    return resize(load_image(SAMPLES / "style.jpg"), size)


def size(module, default, smallest=96):
    """The number after ``--size`` if `module`, the lesson's ``__name__``, says that it runs by itself."""
    if module != "__main__":
        return default
    parser = _parser()
    chosen = parser.parse_args().size or default
    if chosen < smallest:
        parser.error(f"in smaller pictures than {smallest} px the lesson's claims do not hold")
    return chosen


def folder(module, what):
    """The folder after the lesson's name if `module` runs by itself and one is given, or None.

    A lesson that takes one asks for it first of all; `what` says in ``--help`` what should be in it.
    """
    if module != "__main__":
        return None
    _own_arguments["folder"] = {"nargs": "?", "metavar": "FOLDER", "help": what}
    chosen = _parser().parse_args().folder
    if chosen is not None and not Path(chosen).is_dir():
        stop(f"there is no folder {chosen}")
    return chosen


def stop(complaint):
    """End the program with a line that says what is wrong, and status 2."""
    _parser().error(complaint)


def weights(module):
    """The embedded network, or the one after ``--weights`` if the lesson runs by itself."""
    if module != "__main__":
        return nnstyle.load_weights()
    parser = _parser()
    try:
        return nnstyle.load_weights(parser.parse_args().weights)
    except nnstyle.InputError as error:
        parser.error(str(error))


def alexnet(module):
    """The `lessons.alexnet_file.AlexNet` after ``--alexnet`` if the lesson runs by itself, else None."""
    if module != "__main__":
        return None
    parser = _parser()
    path = parser.parse_args().alexnet
    if path is None:
        return None
    from lessons import alexnet_file

    try:
        return alexnet_file.read(path)
    except nnstyle.InputError as error:
        parser.error(str(error))


def untrained(weights, seed):
    """Weights of the same shapes, drawn at random as before training: kernels of variance 2 / inputs, no biases."""
    rng = np.random.default_rng(seed)
    random_layers = {}
    for name, (kernel, bias) in weights.items():
        inputs = kernel[..., 0].size
        kernel = rng.normal(0, np.sqrt(2 / inputs), kernel.shape).astype(np.float32)
        random_layers[name] = kernel, np.zeros_like(bias)
    return weights | random_layers


def is_embedded(weights):
    """Whether this is the network that the lessons' figures and numbers are about."""
    return weights.path == nnstyle.load_weights().path


def _parser():
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--size", type=int, help="long edge of the pictures, px, where the lesson has one size"
    )
    parser.add_argument("--weights", default="pocket", metavar="FILE", help="another VGG, for comparison")
    parser.add_argument("--alexnet", metavar="FILE", help="an AlexNet to look into, in lesson 14")
    for name, options in _own_arguments.items():
        parser.add_argument(name, **options)
    return parser


def seconds(function, rounds=5):
    """Median time of a call, s."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def relative_error(a, b):
    """Largest difference between two arrays, relative to the largest value of the second."""
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


def must_fail(function, error):
    """Call a function that has to raise this kind of error, and print what it says."""
    try:
        function()
    except error as complaint:
        print(f"as it should, it raises {error.__name__}: {complaint}")
    else:
        raise AssertionError(f"no {error.__name__} was raised")


def grid(images, titles, columns=None, width=9.0):
    """A figure of pictures with a title above each: (H, W, 3) in colour, (H, W) in grey."""
    columns = columns or len(images)
    rows = -(-len(images) // columns)
    height, across = np.shape(images[0])[:2]
    size = width, rows * (width / columns * height / across + 0.3)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, title in zip(axes.flat, images, titles):
        axis.imshow(image, cmap="gray")
        axis.set_title(title, fontsize=9)
    return figure


def save(figure, name):
    """Write a figure to lessons/figures/NAME.png; the folder is named when the lesson ends."""
    FIGURES.mkdir(exist_ok=True)
    figure.savefig(FIGURES / f"{name}.png", dpi=150)
    atexit.unregister(_name_folder)
    atexit.register(_name_folder)


def _name_folder():
    print(f"figures: {FIGURES}")

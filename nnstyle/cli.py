"""Arguments -> stylize -> file. With `nnstyle.progress`, the only module that prints or exits."""

import contextlib
import dataclasses
import os
import signal
import sys
import tempfile
import warnings
from pathlib import Path

from . import devices, images, output
from .arguments import SAMPLE_ITERATIONS, SAMPLE_SIZE, make_parser
from .errors import InputError
from .optimizer import NotFiniteError
from .progress import Progress, say
from .settings import Settings
from .transfer import stylize
from .version import __version__
from .weights import load_weights, rescale

SAMPLES = Path(__file__).parent / "samples"
OWN_PICTURES = """\
This is the sample photograph in the style of the sample painting. For pictures of your own:
  {command} PHOTO.jpg PAINTING.jpg -o RESULT.png
  {command} --help"""


def main(argv=None):
    """Run the command line and return its exit status: 0, 2 for bad input, 130 after Ctrl-C."""
    arguments = make_parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            warnings.simplefilter("ignore" if arguments.quiet else "always", UserWarning)
            return paint(arguments)
    except InputError as error:
        complain(error)
    except MemoryError:
        complain("there is not enough memory for this: choose a smaller --size")
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    return 2


def paint(arguments):
    """Check what can be checked before the work; stylize; save whatever came of it."""
    is_sample = use_samples(arguments)
    device = devices.find(arguments.device)
    arguments.device = device.name
    if device.name != "cpu" and not arguments.quiet:
        complain(f"note: computing on {device.name}, {device.title}")
    given = {field.name: getattr(arguments, field.name) for field in dataclasses.fields(Settings)}
    settings = Settings(**given)
    output.check_output(arguments.output)
    check_no_input_is_replaced(arguments)
    content, style = (
        images.resize(images.load_image(path), settings.size) for path in (arguments.content, arguments.style)
    )
    weights = load_weights(arguments.weights, progress=not arguments.quiet)
    if arguments.rescale_over is not None:
        pictures = images.pictures_in(arguments.rescale_over)
        weights = rescale(weights, pictures, settings.pooling, arguments.threads, device=device)
    settings = Settings.for_network(weights, **given).for_picture(*content.shape[:2]).on_device(device)
    latest = None  # (record, image): what Ctrl-C saves

    def on_iteration(record, image):
        nonlocal latest
        latest = record, image
        progress.update(record)

    how = {"threads": arguments.threads, "low_memory": arguments.low_memory, "device": device}
    how |= dataclasses.asdict(settings)
    try:
        with Progress(settings, arguments.quiet) as progress:
            result = stylize(content, style, weights, on_iteration, **how)
    except (KeyboardInterrupt, NotFiniteError) as error:
        return give_up(error, latest, arguments, settings)
    finish(result, arguments, settings, is_sample)
    return 0


def finish(result, arguments, settings, is_sample):
    """Save the picture and say so."""
    message = save(result.image, arguments.output, result.losses[-1:], arguments, settings)
    if len(result.losses) < settings.iterations:
        message += f"\nstopped after {len(result.losses)} iterations: {result.reason}"
    if not arguments.quiet:
        say(message + ("\n" + OWN_PICTURES.format(command=own_command()) if is_sample else ""), sys.stdout)


def own_command():
    """How this program was called, for a reader to type again: no environment need be active."""
    if not sys.argv[0].endswith("__main__.py"):
        return os.path.basename(sys.argv[0]) or "nnstyle"
    python = Path(sys.executable)
    inside = python.is_relative_to(Path.cwd())
    return f"{python.relative_to(Path.cwd()) if inside else python} -m nnstyle"


def use_samples(arguments):
    """Fill in the sample pictures if none are given, and the defaults that depend on that."""
    is_sample = arguments.content is None
    if is_sample:
        arguments.content, arguments.style = str(SAMPLES / "content.jpg"), str(SAMPLES / "style.jpg")
    elif arguments.style is None:
        raise InputError("give two pictures, CONTENT and STYLE (or none, for the sample)")
    if arguments.size is None:
        arguments.size = SAMPLE_SIZE if is_sample else Settings.size
    if arguments.iterations is None:
        arguments.iterations = SAMPLE_ITERATIONS if is_sample else Settings.iterations
    return is_sample


def check_no_input_is_replaced(arguments):
    """Raise InputError if the output is one of the files it is made from."""
    for picture in (arguments.content, arguments.style, arguments.weights):
        if (
            os.path.exists(picture)
            and os.path.exists(arguments.output)
            and os.path.samefile(picture, arguments.output)
        ):
            raise InputError(
                f"the output {arguments.output} would replace an input: choose another name with -o"
            )


def give_up(error, latest, arguments, settings):
    """Save the best picture so far, if there is one, without replacing anything."""
    if latest is None:
        if isinstance(error, NotFiniteError):
            raise InputError(f"{error}: lower the weights")
        complain("interrupted before the first iteration: nothing was written")
        return 130
    record, image = latest
    message = save(image, output.free_name(arguments.output), [record], arguments, settings)
    why = str(error) or "interrupted"
    if record.size < settings.size:
        why += f" at a scale of {record.size} px"
    complain(f"{why}; the best picture so far is saved: {message}")
    return 130 if isinstance(error, KeyboardInterrupt) else 2


def save(image, path, last_record, arguments, settings):
    """Write the picture, with all that made it inside, and return a line about it."""
    made_with = dataclasses.asdict(settings) | {
        "content": Path(arguments.content).name,
        "style": Path(arguments.style).name,
        "weights": Path(arguments.weights).name,
        "device": arguments.device,
        "nnstyle": __version__,
    }
    if arguments.rescale_over is not None:
        made_with["rescale_over"] = Path(arguments.rescale_over).name
    height, width = image.shape[:2]
    message = f"{path}: {width} x {height} px"
    for record in last_record:  # none, if there was nothing to improve
        message += f" after {record.iteration} iterations in {record.seconds:.0f} s, loss {record.total:.4g}"
        losses = dataclasses.asdict(record)
        del losses["seconds"]  # the same picture is the same file
        made_with["losses"] = losses
    write(image, path, made_with)
    return message


def write(image, path, made_with):
    """Write the picture; where that fails, put it in the folder for temporary files."""
    with no_interruption():
        try:
            output.save_image(image, path, made_with)
            return
        except OSError as error:
            complaint = f"{path} cannot be written ({error.strerror or error})"
        refuge = output.free_name(Path(tempfile.gettempdir()) / Path(path).name)
        try:
            output.save_image(image, refuge, made_with)
        except OSError:
            raise InputError(f"{complaint}, nor can {refuge}") from None
        raise InputError(f"{complaint}: the picture is in {refuge}")


@contextlib.contextmanager
def no_interruption():
    """A second Ctrl-C, while the picture is being written, must not cost it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def complain(message):
    """One line on standard error."""
    say(f"nnstyle: {' '.join(str(message).split())}", sys.stderr)


def show_warning(message, category, *place, **__):
    """Our own warnings as one line each, without the place in the code."""
    complain(f"note: {message}")

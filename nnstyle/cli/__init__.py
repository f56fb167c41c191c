"""Arguments -> job -> file. With `nnstyle.progress`, the only module that prints."""

import argparse
import contextlib
import dataclasses
import gc
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from ..engine import Engine, devices
from ..errors import GpuError, InputError, NoMemoryToReadError, NotFiniteError, why_not_written
from ..files import UNFINISHED, with_mark
from ..job import Job, prepare
from ..notes import heard_by, note
from ..pictures import pictures_in
from ..pictures.saving import FORMATS, check_no_input_is_replaced, check_output, has_transparency, save_image
from ..progress import Progress, say
from ..resources import engine_for
from ..result import Event, Result
from ..settings import Settings
from ..styles import Style, as_styles
from ..stylize import run
from . import show
from .arguments import SAMPLE_SETTINGS, make_parser
from .checkpoints import Checkpoints
from .like import SAMPLES, Like
from .output import SAMPLE, first_free, name_of
from .process import run_as_process
from .signals import Work, exit_status, signals_end_the_work
from .walk import Walk

OWN_PICTURES = """\
This is the sample photograph in the style of the sample painting. For pictures of your own:
  {command} PHOTO.jpg PAINTING.jpg -o RESULT.png
  {command} --help"""
NO_MEMORY = "there is not enough memory for this: choose a smaller --size"


def command() -> None:
    """``nnstyle`` and ``python -m nnstyle``: run `main` as a process of its own."""
    run_as_process(main)


def main(argv: list[str] | None = None) -> int:
    """Run the command line in this process, in any thread.

    Parameters
    ----------
    argv : list of str, optional
        The arguments, by default those of the process.

    Returns
    -------
    int
        The exit status: 0, 2 for bad options or input or a run that failed, 128 + the number of the signal
        that ended the work: 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    is_show = argv[:1] == ["show"]  # a photograph of this name can be called ./show
    try:
        parser = show.make_parser() if is_show else make_parser()
        arguments = parser.parse_intermixed_args(argv[1:] if is_show else argv)
    except SystemExit as end:  # --help, --version or bad options: all is said
        return int(end.code or 0)
    try:
        with signals_end_the_work() as work, heard_by(ignore if arguments.quiet else show_note):
            return show.show(arguments.picture) if is_show else paint(arguments, work)
    except (InputError, GpuError, NoMemoryToReadError) as error:
        complain(error)
    except MemoryError:
        complain(NO_MEMORY)
    except KeyboardInterrupt as error:
        complain(str(error) or "interrupted")
        return exit_status(error)
    return 2


def paint(arguments: argparse.Namespace, work: Work) -> int:
    """Check what can be checked beforehand, paint, and save the result, finished or not."""
    like = Like(arguments.like) if arguments.like is not None else None
    if like:
        like.fill_in(arguments)
    if arguments.weights is None:
        arguments.weights = "pocket"
    is_sample = use_samples(arguments)
    name_output(arguments, is_sample)
    device = devices.find(arguments.device)
    Engine(device, arguments.threads, tile=arguments.tile)  # checks them before a download
    if device.name != "cpu":
        note(f"computing on {device.name}, {device.title}")
    given = given_settings(arguments, is_sample)
    settings = Settings(**{"transparency": usual_transparency(arguments.output, given)} | given)
    check_output(arguments.output, settings.bits)
    styles = given_styles(arguments)
    if like:
        styles = like.completed(styles, arguments)
    walk = Walk(arguments, settings.iterations)
    outputs, files_read = [arguments.output, *walk.files()], inputs(arguments, styles, settings)
    for output in outputs:
        check_no_input_is_replaced(output, files_read)
    job = prepare(arguments.content, styles, arguments.weights, settings, progress=not arguments.quiet)
    if like:
        like.note_differences(arguments.content, styles, job, device.name)
    for output in outputs:
        check_no_input_is_replaced(output, [job.weights.path])  # a known network's, in the cache
    checkpoints = Checkpoints(arguments, job)
    engine = engine_for(job, device, arguments.threads, arguments.low_memory, arguments.tile)
    failure: BaseException | None = None
    with Progress(job, engine, arguments.quiet, checkpoints.resumed_at) as progress:

        def on_iteration(event: Event) -> None:
            work.check()
            walk.update(event)
            progress.update(event.record)
            checkpoints.update(event)

        try:
            result = run(job, engine, on_iteration, checkpoints.state)
            work.is_over = True
        except (KeyboardInterrupt, NotFiniteError, MemoryError, GpuError) as error:
            work.is_over = True
            failure = error
    if failure:
        return give_up(failure, arguments, job, checkpoints, walk)
    finish(result, arguments, job, is_sample, checkpoints)
    message = walk.save_film(finished=True)
    if message and not arguments.quiet:
        say(message, sys.stdout)
    return 0


def given_settings(arguments: argparse.Namespace, is_sample: bool) -> dict:
    """The settings that were given, by the names of the fields of `Settings`."""
    names = [field.name for field in dataclasses.fields(Settings)]
    given = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    return (SAMPLE_SETTINGS | given) if is_sample else given


def use_samples(arguments: argparse.Namespace) -> bool:
    """Fill in the sample pictures if none are given; return whether that is so."""
    is_sample = arguments.content is None
    if is_sample:
        arguments.content, arguments.styles = str(SAMPLES / "content.jpg"), [str(SAMPLES / "style.jpg")]
    elif not arguments.styles:
        raise InputError("give two pictures, CONTENT and STYLE (or none, for the sample)")
    return is_sample


def name_output(arguments: argparse.Namespace, is_sample: bool) -> None:
    """Fill in a name for the output if none is given, and keep as `counted_from` where its numbers begin."""
    arguments.counted_from = None
    if arguments.output is None:
        ending = Path(arguments.like or SAMPLE).suffix  # the same format makes the same bytes
        ending = ending if ending.lower() in FORMATS else SAMPLE.suffix
        name = SAMPLE if is_sample else name_of(arguments.content, arguments.styles, ending)
        arguments.counted_from, arguments.output = name, first_free(name)


def usual_transparency(output: str, given: dict) -> str:
    """What happens to transparent parts if the user does not say: they stay so where the output can have them."""
    if has_transparency(output):
        return Settings.transparency
    if given.get("transparency") == "keep":
        raise InputError(f"{output} cannot be transparent: choose a name that ends in .png, .webp or .tif")
    return "white"


def given_styles(arguments: argparse.Namespace) -> list[Style]:
    """The paintings with their weights and masks; a folder gives one style for each picture in it."""
    paintings, weights, masks = arguments.styles, arguments.style_weights, arguments.mask or [None]
    if weights is not None and len(weights) != len(paintings):
        raise InputError(
            f"--style-weights needs a number for each STYLE: {len(paintings)}, not {len(weights)}"
        )
    if len(masks) not in (1, len(paintings)):
        raise InputError(
            f"--mask is given {len(masks)} times: give it once for all, or once for each STYLE ({len(paintings)})"
        )
    weights, masks = weights or [1.0] * len(paintings), masks * (len(paintings) // len(masks))
    return as_styles(
        [
            Style(painting, weight, mask=mask)
            for painting, weight, mask in zip(paintings, weights, masks, strict=True)
        ]
    )


def inputs(arguments: argparse.Namespace, styles: list[Style], settings: Settings) -> list[str | Path]:
    """The files that are read: the output must be none of them."""
    files: list[str | Path] = [arguments.content, arguments.weights, settings.init]
    for style in styles:
        files += [style.image, style.mask or ""]
    if arguments.like:
        files.append(arguments.like)
    if settings.rescale_over is not None:
        files += pictures_in(settings.rescale_over)
    return files


def finish(
    result: Result, arguments: argparse.Namespace, job: Job, is_sample: bool, checkpoints: Checkpoints
) -> None:
    """Save the picture and say so."""
    if arguments.counted_from:  # anew: in the meantime another run may have taken the number
        path, how = arguments.counted_from, {"replace": False, "mark": ""}
    else:
        path, how = arguments.output, {}
    message, is_in_place = save(result, path, **how)
    if not is_in_place:  # there is a second try
        checkpoints.write_last()
        raise InputError(f"{message}{checkpoints.advice()}")
    checkpoints.remove()
    if len(result.losses) < job.settings.iterations:
        message += f"\nstopped after {len(result.losses)} iterations: {result.reason}"
    if not arguments.quiet:
        say(message + ("\n" + OWN_PICTURES.format(command=own_command()) if is_sample else ""), sys.stdout)


def own_command() -> str:
    """How this program was called, for a reader to type again: no environment need be active."""
    if not sys.argv[0].endswith("__main__.py"):
        return os.path.basename(sys.argv[0]) or "nnstyle"
    python = Path(sys.executable)
    inside = python.is_relative_to(Path.cwd())
    return f"{python.relative_to(Path.cwd()) if inside else python} -m nnstyle"


def give_up(
    error: BaseException, arguments: argparse.Namespace, job: Job, checkpoints: Checkpoints, walk: Walk
) -> int:
    """Save the best picture so far, if there is one, without replacing anything; return the exit status."""
    result = getattr(error, "result", None)
    free_memory(error)
    why, is_in_place = why_it_ended(error), False
    if result:
        record = result.losses[-1]
        if record.size < job.settings.size:
            why += f" at a scale of {record.size} px"
        path, mark = arguments.output, UNFINISHED
        if arguments.counted_from:  # the name itself is for the finished picture
            path, mark = with_mark(arguments.counted_from, UNFINISHED), ""
        message, is_in_place = save(result, path, replace=False, mark=mark)
        why += f"; the best picture so far is saved: {message}" if is_in_place else f"; {message}"
    elif checkpoints.latest:
        why += "; there is not enough memory to save the picture"
    elif isinstance(error, KeyboardInterrupt):
        which = "another" if checkpoints.resumed_at else "the first"
        why += f" before {which} iteration: nothing was written"
    later = keep_for_later(
        checkpoints, error, is_in_place
    )  # before the film: somebody may be waiting to kill
    complain(f"{why}{later}{film_so_far(walk)}")
    return exit_status(error) if isinstance(error, KeyboardInterrupt) else 2


def why_it_ended(error: BaseException) -> str:
    """What ended the work, and what to do about it."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, NotFiniteError):
        return f"{error}: lower the weights"
    return str(error) or "interrupted"


def film_so_far(walk: Walk) -> str:
    """Save the film of a run that has failed; return what to say of it."""
    if walk.film is None or walk.film.latest is None:
        return ""
    try:
        message = walk.save_film(finished=False)
    except InputError as error:
        message = str(error)
    return f"; {message}"


def keep_for_later(checkpoints: Checkpoints, error: BaseException, is_in_place: bool) -> str:
    """Keep the state of a run that has failed if another can go on from it; return what to say of that."""
    if isinstance(error, NotFiniteError):  # another would end in the same way
        if is_in_place:
            checkpoints.remove()
        return ""
    has_state = not isinstance(error, GpuError)  # what was on the device is gone
    if has_state and (isinstance(error, KeyboardInterrupt) or not is_in_place):
        checkpoints.write_last()
    return checkpoints.advice("with more memory, " if isinstance(error, MemoryError) else "")


def save(result: Result, path: str | Path, **how: Any) -> tuple[str, bool]:
    """Write the picture with everything that made it inside.

    Parameters
    ----------
    **how
        For `save_image`: whether and how an earlier file stays.

    Returns
    -------
    message : str
        A line about the picture, or about what went wrong.
    is_in_place : bool
        Whether the picture is where it should be.
    """
    image, made_with = result.image, result.made_with
    height, width = image.shape[:2]
    message = f"{width} x {height} px"
    for record in result.losses[-1:]:  # none, if there was nothing to improve
        message += f" after {record.iteration} iterations in {record.seconds:.0f} s, loss {record.total:.4g}"
    written, obstacle = try_to_write(image, path, made_with, **how)
    if written:
        return f"{written}: {message}", True
    return f"{path} cannot be written ({obstacle}){write_elsewhere(image, path, made_with)}", False


def write_elsewhere(image: np.ndarray, path: str | Path, made_with: dict) -> str:
    """Write a picture whose own folder is full or gone to another folder; return where it is, in words."""
    refuges = [folder / Path(path).name for folder in other_folders()]
    for refuge in refuges:
        written, _ = try_to_write(image, refuge, made_with, replace=False, private=True)
        if written:
            return f": the picture is in {written}"
    return f", nor can {' or '.join(map(str, refuges)) or 'any other file'}"


def other_folders() -> list[Path]:
    """Where a picture may go whose own folder is full or gone."""
    folders = []
    for find in (tempfile.gettempdir, Path.home, Path.cwd):
        with contextlib.suppress(OSError, RuntimeError):  # none can be used, there is none, it is gone
            folders.append(Path(find()))
    return folders


def try_to_write(image: np.ndarray, path: str | Path, made_with: dict, **how: Any) -> tuple[Path | None, str]:
    """Write the picture, in a simpler way if memory is short.

    Returns
    -------
    written : path or None
        Where the picture is, if it could be written.
    obstacle : str
        Why it could not.
    """
    try:
        try:
            return save_image(image, path, made_with, **how), ""
        except MemoryError as error:
            free_memory(error)
            return save_image(image, path, made_with, plain=True, **how), ""
    except (MemoryError, OSError) as error:
        return None, why_not_written(error)


def free_memory(error: BaseException | None) -> None:
    """Let go of what is still held by the frames that an error, and its cause, have passed.

    The engine has freed its own: `run` has left it.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__
    gc.collect()


def complain(message: object) -> None:
    """Print one line on standard error."""
    say(f"nnstyle: {' '.join(str(message).split())}", sys.stderr)


def show_note(message: str) -> None:
    """Print a note as one line on standard error."""
    complain(f"note: {message}")


def ignore(message: str) -> None:
    """Drop a note: the user wants quiet."""

"""What happens on a worker: bytes come in, a picture is painted, bytes go out."""

import dataclasses
import os
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from distributed import WorkerPlugin, get_worker
from PIL import Image

from ..errors import InputError, NoMemoryToReadError, NotFiniteError, in_one_line
from ..job import prepare
from ..notes import heard_by
from ..pictures.resize import preview, size_within
from ..pictures.saving import encoded, encoded_by_pillow, format_of
from ..resources import engine_for
from ..result import Event, Result
from ..settings import INITIAL_IMAGES, Settings
from ..stylize import run
from ..version import __version__
from ..weights import Weights
from .order import Common, File, Order, Outcome
from .plan import Plan

THUMBNAIL = 240  # px, its long edge
JPEG = {"quality": 80}
STOPPED = "stopped"
PARTS = "photo", "style", "initial"  # folders for the files of an order
NO_MEMORY = "there is not enough memory for this: choose a smaller --size"


class Supplies(WorkerPlugin):
    """What each worker gets once, and keeps for all pictures of a batch; also one that joins later.

    Parameters
    ----------
    batch : str
        A name that no other batch has.
    weights : Weights
    common : Common
    plan : Plan
        ``device``, ``gpus``, ``threads`` and ``low_memory`` are used.
    is_local : bool
        Whether the workers are this command's own.
    """

    def __init__(self, batch: str, weights: Weights, common: Common, plan: Plan, is_local: bool):
        self.name = batch
        self.weights, self.common, self.plan, self.is_local = weights, common, plan, is_local
        self.device = plan.device
        self.version = __version__
        self.folder = ""
        self.is_stopped = False

    def setup(self, worker: Any) -> None:
        """Unpack, on a worker."""
        self.check_version()
        if self.is_local and threading.current_thread() is threading.main_thread():  # a process of our own
            # Pillow warns of damage in pictures that can be shown all the same.
            warnings.filterwarnings("ignore", module="PIL")
        if self.plan.gpus and isinstance(worker.name, int):
            self.device = f"cuda:{worker.name % self.plan.gpus}"
        self.folder = tempfile.mkdtemp(dir=worker.local_directory)
        if self.common.initial:
            write(Path(self.folder, "initial"), [self.common.initial])
        if self.common.rescale_over:
            os.mkdir(Path(self.folder, "over"))
            write(Path(self.folder, "over", self.common.rescale_folder), self.common.rescale_over)

    def check_version(self) -> None:
        """Raise InputError unless this worker has the version that the command has: others paint otherwise."""
        if self.version != __version__:
            raise InputError(f"nnstyle is {__version__} there and {self.version} here: install one version")

    def teardown(self, worker: Any) -> None:
        """End what is still painted, and clean up."""
        self.is_stopped = True
        shutil.rmtree(self.folder, ignore_errors=True)

    def settings_here(self, settings: Settings, initial: Path | None) -> Settings:
        """Settings whose files are those of this worker."""
        here: dict[str, Any] = {}
        if initial:
            here["init"] = str(initial)
        elif settings.init not in INITIAL_IMAGES:
            assert self.common.initial is not None
            here["init"] = str(Path(self.folder, "initial", self.common.initial.name))
        if settings.rescale_over is not None:
            here["rescale_over"] = str(Path(self.folder, "over", self.common.rescale_folder))
        return dataclasses.replace(settings, **here)


def paint(order: Order, batch: str) -> Outcome:
    """Paint an order on this worker. Nothing that goes wrong with a picture is raised: it comes back as a reason.

    Parameters
    ----------
    order : Order
    batch : str
        Whose `Supplies` to take.
    """
    worker = get_worker()
    supplies: Supplies = worker.plugins[batch]
    notes: list[str] = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=worker.local_directory) as folder, heard_by(notes.append):
        try:
            outcome = painted(order, supplies, Path(folder))
        except Exception as error:  # noqa: BLE001  # whatever it is must not stop the others
            outcome = Outcome(reason=without_folder(reason_of(error), folder))
    seconds = time.perf_counter() - began
    return dataclasses.replace(outcome, notes=tuple(notes), seconds=seconds, worker=worker.address)


def painted(order: Order, supplies: Supplies, folder: Path) -> Outcome:
    """The picture of an order, made in an empty folder; whatever goes wrong is raised."""
    supplies.check_version()  # a worker that has joined later was not asked
    photo_folder, style_folder, initial_folder = (folder / name for name in PARTS)
    (photo,) = write(photo_folder, [order.photo])
    style = write(style_folder, order.style)
    (initial,) = write(initial_folder, [order.initial]) if order.initial else (None,)
    settings = supplies.settings_here(order.settings, initial)
    styles = style[0] if len(style) == 1 else style_folder
    job = prepare(photo, styles, supplies.weights, settings)
    engine = engine_for(job, supplies.device, supplies.plan.threads, supplies.plan.low_memory)

    def stop_where_it_is_wanted(event: Event) -> bool:
        return supplies.is_stopped

    result = run(job, engine, stop_where_it_is_wanted)
    if supplies.is_stopped:
        return Outcome(reason=STOPPED)
    return Outcome(
        data=file_of(result, order.output),
        thumbnail=thumbnail_of(result.image),
        iterations=len(result.losses),
        job=job.digest,
    )


def write(folder: Path, files: Sequence[File]) -> list[Path]:
    """Write files into a new folder, and return their paths."""
    folder.mkdir()
    paths = [folder / file.name for file in files]
    for path, file in zip(paths, files, strict=True):
        path.write_bytes(file.data)
    return paths


def file_of(result: Result, name: str) -> bytes:
    """The bytes of a picture's file: those that the command line would write."""
    try:
        return encoded(result.image, format_of(name), result.made_with, plain=False)
    except MemoryError:
        return encoded(result.image, format_of(name), result.made_with, plain=True)


def thumbnail_of(image: np.ndarray) -> bytes:
    """A small JPEG of a picture."""
    small = preview(image, *size_within(image.shape, THUMBNAIL))
    return encoded_by_pillow(Image.fromarray(small), "JPEG", **JPEG)


def reason_of(error: Exception) -> str:
    """Why a picture failed, in one line."""
    if isinstance(error, NotFiniteError):
        return f"{error}: lower the weights"
    if isinstance(error, MemoryError) and not isinstance(error, NoMemoryToReadError):
        return NO_MEMORY
    if type(error).__module__.startswith("nnstyle"):
        return " ".join(str(error).split())
    return in_one_line(error)


def without_folder(text: str, folder: str) -> str:
    """A message whose files have only the names that the user knows."""
    for part in PARTS:
        text = text.replace(os.path.join(folder, part, ""), "")
    return text.replace(os.path.join(folder, ""), "")

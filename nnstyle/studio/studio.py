"""The studio: a list of paintings, a line of those that wait, and one thread that paints one after the other."""

import contextlib
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..checkpoint import State, load_checkpoint, save_checkpoint, summarize_checkpoint
from ..cli.checkpoints import Schedule
from ..cli.like import SAMPLES
from ..engine.device import Device
from ..errors import GpuError, InputError, NotFiniteError, in_one_line, why_not_written
from ..job import Job
from ..notes import heard_by
from ..progress import TimeLeft
from ..resources import check_memory, engine_for, tile_that_fits
from ..result import Event, Result
from ..stylize import run
from ..weights import Weights
from .folder import Folder, Picture, png_of, small_picture
from .order import Order, for_the_page
from .painting import FAILED, FINISHED, PAINTING, STOPPED, WAITING, Painting

MOST_PAINTINGS = 500
MOST_WAITING = 20
MOST_WATCHERS = 16
PAUSE = 0.3  # seconds, at least, between two pictures of a painting that is being watched
LIVE_SIZE, LIVE_QUALITY = 640, 80  # long edge in px of those
LEAST_LEFT = 4  # with a new style weight, at least a quarter of the iterations are done

STOPPED_BY_USER = "Stopped."
STOPPED_BY_SERVER = "The server was stopped; the picture so far was saved."
NEW_WEIGHT = "Stopped for a picture with another style weight, which goes on from this one."
GOES_ON = "With the new style weight, from picture {number} as it was."
BEGINS_ANEW = "Begun again with the new style weight: the picture was still at a coarse scale."


class Busy(InputError):
    """What was asked for does not go with what is being done now."""


class NotThere(InputError):
    """There is no such painting."""


class Studio:
    """All that is painted here.

    Parameters
    ----------
    folder : Folder
    weights : Weights
        The network that paints.
    device : Device
    threads : int, optional
    checkpoint : float
        Seconds between two checkpoints of a painting, 0: none but at the end.

    Attributes
    ----------
    lock : threading.Condition
        Held by whoever reads or changes what follows.
    paintings : dict of int to Painting
    latest : int
        The latest number that was given to a painting: none is given twice while the server runs.
    line : list of int
        Of those that wait, the next one first.
    now : Run or None
        What is being painted.
    revision : int
        Grows with each change of the list.
    """

    def __init__(
        self,
        folder: Folder,
        weights: Weights,
        device: Device,
        threads: int | None = None,
        checkpoint: float = 20,
    ):
        self.folder, self.weights = folder, weights
        self.device, self.threads, self.checkpoint = device, threads, checkpoint
        self.lock = threading.Condition(threading.RLock())
        self.giving = threading.Lock()
        self.paintings = {painting.number: painting for painting in self.stored()}
        self.samples: list[Picture] = []
        self.latest = folder.latest_number()
        self.line: list[int] = []
        self.now: Run | None = None
        self.revision = 1
        self.is_closing = False
        self.watchers: set[Callable[[], object]] = set()
        for name in ("content.jpg", "style.jpg"):
            self.samples.append(self.give((SAMPLES / name).read_bytes(), name))
        self.thread = threading.Thread(target=self.work, name="painter", daemon=True)

    def start(self) -> None:
        """Begin to paint what is ordered."""
        self.thread.start()

    def close(self) -> None:
        """End the painting that is being made, keep it, and paint no other."""
        with self.lock:
            self.is_closing = True
            if self.now:
                self.now.end(STOPPED_BY_SERVER)
            self.lock.notify_all()
        self.wake_watchers()
        if self.thread.is_alive():
            self.thread.join()
        self.folder.close()

    def stored(self) -> Iterator[Painting]:
        """The paintings that are in the folder."""
        for number, about in self.folder.stored_paintings():
            with contextlib.suppress(InputError, TypeError, ValueError):  # damaged: it is not there
                painting = Painting.parse(number, about)
                if not painting.is_settled():
                    self.recall(painting)
                painting.after_a_restart()
                yield painting

    def recall(self, painting: Painting) -> None:
        """Let a painting whose server was killed have the losses that its checkpoint tells of."""
        with contextlib.suppress(InputError):
            summary = summarize_checkpoint(self.folder.checkpoint(painting.number))
            painting.records = []
            painting.add_records(summary.records, painting.order.settings)

    # What a page asks for

    def in_use(self) -> set[str]:
        """Ids of the pictures that paintings need."""
        with self.lock:
            orders = [painting.order for painting in self.paintings.values()]
        samples = {picture.id for picture in self.samples}
        return samples.union(*(order.pictures() for order in orders))

    def give(self, data: bytes, name: str) -> Picture:
        """Keep a picture."""
        with self.giving:
            return self.folder.add(data, name, self.in_use())

    def order(self, order: Order) -> Painting:
        """Put a painting in line.

        Raises
        ------
        InputError
            If it cannot be painted.
        Busy
            If the line is full.
        """
        self.check_room(1)
        job = order.prepare(self.folder, self.weights)
        try:
            tile = tile_that_fits(job, self.device, self.threads)
            check_memory(job, self.device, None, self.threads, tile, offered=("size",))
        except InputError as error:
            raise InputError(for_the_page(str(error), {})) from None
        with self.lock:
            self.check_room(1)
            return self.put_in_line(order)

    def check_room(self, count: int) -> None:
        """Raise Busy if there is no room for so many more."""
        with self.lock:
            if len(self.line) + count > MOST_WAITING:
                raise Busy(f"{MOST_WAITING} pictures wait in line at most: let some be finished first")
            if len(self.paintings) + count > MOST_PAINTINGS:
                raise Busy(f"the list has room for {MOST_PAINTINGS} pictures: delete some first")

    def put_in_line(self, order: Order, first: bool = False, **about: Any) -> Painting:
        """Make a painting that waits. The lock is held."""
        self.latest += 1
        number = self.latest
        painting = self.paintings[number] = Painting(number, order, **about)
        self.line.insert(0 if first else len(self.line), number)
        self.changed(painting)
        self.lock.notify_all()
        return painting

    def more_like(self, number: int) -> list[Painting]:
        """Put variations of a painting in line, those that can be painted.

        Raises
        ------
        InputError
            If none of them can.
        """
        with self.lock:
            order = self.painting(number).order
        variations = order.variations(self.weights)
        self.check_room(len(variations))
        ordered: list[Painting] = []
        for variation in variations:
            try:
                ordered.append(self.order(variation))
            except InputError:  # strokes too fine for a small picture, for example
                if variation is variations[-1] and not ordered:
                    raise
        return ordered

    def painting(self, number: int) -> Painting:
        """The painting of this number; NotThere if there is none. The lock is held."""
        try:
            return self.paintings[number]
        except KeyError:
            raise NotThere(f"there is no picture {number}") from None

    def stop(self, number: int) -> None:
        """End a painting that is being made; it is kept. Take one that waits out of the line."""
        with self.lock:
            painting = self.painting(number)
            if self.now and painting.state == PAINTING:
                self.now.end(STOPPED_BY_USER)
            elif number in self.line:
                self.line.remove(number)
                if painting.records or self.folder.output(number).exists():
                    self.settle(painting, STOPPED, STOPPED_BY_USER)
                else:
                    self.forget(painting)
            else:
                raise Busy("this picture is not being painted")

    def go_on(self, number: int) -> None:
        """Put a painting that was stopped in line again."""
        with self.lock:
            painting = self.painting(number)
            if painting.state not in (STOPPED, FAILED):
                raise Busy("only a picture that was stopped can go on")
            if len(self.line) >= MOST_WAITING:
                raise Busy(f"{MOST_WAITING} pictures wait in line at most: let some be finished first")
            painting.state, painting.why = WAITING, ""
            self.line.append(number)
            self.changed(painting)
            self.lock.notify_all()

    def change_weight(self, number: int, beta_per_pixel: float) -> None:
        """End a painting that is being made, and paint on with another style weight."""
        with self.lock:
            painting = self.painting(number)
            if not self.now or painting.state != PAINTING:
                raise Busy("this picture is not being painted")
            order = painting.order.changed(beta_per_pixel=beta_per_pixel)  # checks the number
            if not order.settings.beta_per_pixel:
                raise InputError("a style weight is above 0")
            self.now.end(NEW_WEIGHT, order.settings.beta_per_pixel)

    def remove(self, number: int) -> None:
        """Remove a painting and its files."""
        with self.lock:
            painting = self.painting(number)
            if not painting.is_settled():
                raise Busy("stop this picture first")
            self.forget(painting)

    # What happens in the thread

    def work(self) -> None:
        """Paint what is in line until the studio closes."""
        while True:
            with self.lock:
                while not self.line and not self.is_closing:
                    self.lock.wait()
                if self.is_closing:
                    return
                painting = self.paintings[self.line.pop(0)]
                painting.state, painting.left = PAINTING, None
                self.now = Run(self, painting)
                self.changed(painting)
            self.paint(self.now)
            with self.lock:
                self.now = None

    def paint(self, now: "Run") -> None:
        """Paint one, and note whatever goes wrong: the next one is painted all the same."""
        painting = now.painting
        try:
            with heard_by(now.note):
                self.settle_with(now, now.paint())
        except (InputError, NotFiniteError, GpuError) as error:
            self.fail(painting, for_the_page(str(error), {}), error)
        except MemoryError as error:
            self.fail(painting, "there is not enough memory for this: choose a smaller size", error)
        except OSError as error:
            self.fail(painting, f"the picture cannot be written: {why_not_written(error)}", error)
        except Exception as error:  # noqa: BLE001  # a fault of ours must not end the studio
            self.fail(painting, f"this should not happen: {in_one_line(error)}", error)

    def settle_with(self, now: "Run", result: Result) -> None:
        """Keep what has been painted."""
        painting = now.painting
        with self.lock:
            why, new_weight = now.why, now.new_weight
        if not now.is_ended:
            self.keep(painting, result)
            self.folder.checkpoint(painting.number).unlink(missing_ok=True)
            is_early = len(result.losses) < now.job.settings.iterations
            self.settle(painting, FINISHED, f"Ended early: {result.reason}." if is_early else painting.why)
        elif new_weight is None:
            self.keep(painting, result)
            self.settle(painting, STOPPED, why)
        else:
            self.paint_on(now, result, new_weight)

    def paint_on(self, now: "Run", result: Result, beta_per_pixel: float) -> None:
        """Order the picture with another style weight that takes the place of one that was ended for it."""
        painting, settings = now.painting, now.job.settings
        order = painting.order.changed(beta_per_pixel=beta_per_pixel)
        if result.settings.size < settings.size:  # coarse: what was done is done again in little time
            with self.lock:
                self.put_in_line(order, first=True, why=BEGINS_ANEW, follows=painting.number)
                self.forget(painting)
            return
        self.keep(painting, result)
        start = self.give(png_of(now.latest_image()), f"picture {painting.number} as it was.png")
        left = settings.iterations - len(result.losses)
        iterations = max(left, settings.iterations // LEAST_LEFT, 1)
        order = order.changed(iterations=iterations, scales=1).started_from(start.id)
        with self.lock:
            why = GOES_ON.format(number=painting.number)
            self.put_in_line(order, first=True, why=why, follows=painting.number)
            self.settle(painting, STOPPED, NEW_WEIGHT)

    def fail(self, painting: Painting, why: str, error: BaseException) -> None:
        """Note what went wrong, and keep the picture so far if there is one."""
        result = getattr(error, "result", None)
        traceback.clear_frames(error.__traceback__)  # they hold the memory of the run
        if result is not None:
            with contextlib.suppress(Exception):  # the first reason is the one to tell
                self.keep(painting, result)
        self.settle(painting, FAILED, why[:1].upper() + why[1:] + ".")

    def keep(self, painting: Painting, result: Result) -> None:
        """Write a picture with its settings inside, and the small one."""
        result.save(self.folder.output(painting.number))
        self.folder.write_small(painting.number, result.image)

    def settle(self, painting: Painting, state: str, why: str) -> None:
        """Give a painting a state that lasts, and write it down."""
        with self.lock:
            painting.state, painting.why, painting.left = state, why, None
            painting.version += 1
            self.changed(painting)

    def forget(self, painting: Painting) -> None:
        """Take a painting out of the list, with its files. The lock is held."""
        self.folder.remove(painting.number)  # if it fails, the list still has what is there
        del self.paintings[painting.number]
        self.revision += 1
        self.wake_watchers()

    def changed(self, painting: Painting) -> None:
        """Write down what has changed, and tell the pages. The lock is held."""
        self.revision += 1
        painting.revision = self.revision
        with contextlib.suppress(OSError):  # a full disk: the picture itself will tell
            self.folder.write_about(painting.number, painting.as_json())
        self.wake_watchers()

    # Those who watch

    @contextlib.contextmanager
    def watched_by(self, wake: Callable[[], object]) -> Iterator[None]:
        """Within the block, `wake` is called, from any thread, when there is news."""
        with self.lock:
            self.watchers.add(wake)
        try:
            yield
        finally:
            with self.lock:
                self.watchers.discard(wake)

    def wake_watchers(self) -> None:
        """Tell all pages that there is news."""
        with self.lock:
            watchers = list(self.watchers)
        for wake in watchers:
            wake()


class Run:
    """A painting while it is being made.

    Parameters
    ----------
    studio : Studio
    painting : Painting

    Attributes
    ----------
    why : str
        Why it is to end, "" if it is not.
    new_weight : float or None
        The style weight of each pixel with which another is to go on.
    is_ended : bool
        Whether it did end before its last iteration, and its state was kept.
    picture : bytes
        The latest small picture, WebP; b"" before the first.
    """

    def __init__(self, studio: Studio, painting: Painting):
        self.studio, self.painting = studio, painting
        self.why, self.is_ended = "", False
        self.new_weight: float | None = None
        self.picture = b""
        self.shown_at, self.shown_size = 0.0, 0
        self.latest: Event | None = None
        self.schedule = Schedule(studio.checkpoint)
        self.job: Job

    def end(self, why: str, new_weight: float | None = None) -> None:
        """Ask it to end after the iteration that is being computed. Of several requests, the latest counts."""
        if self.why != STOPPED_BY_SERVER:
            self.why, self.new_weight = why, new_weight

    def paint(self) -> Result:
        """Paint it, from its checkpoint if there is one."""
        studio, painting = self.studio, self.painting
        self.job = painting.order.prepare(studio.folder, studio.weights)
        state = self.earlier_state()
        painting.records = []
        painting.add_records(state.records if state else (), self.job.settings)
        engine = engine_for(self.job, studio.device, studio.threads)
        self.time_left = TimeLeft(self.job, engine)
        return run(self.job, engine, self.on_iteration, state)

    def earlier_state(self) -> State | None:
        """The state to go on from, if there is one that fits."""
        path = self.studio.folder.checkpoint(self.painting.number)
        if not path.exists():
            return None
        try:
            return load_checkpoint(path, self.job)
        except InputError as error:
            self.note(f"begun anew: {for_the_page(str(error), {str(path): path.name})}")
            return None

    def on_iteration(self, event: Event) -> bool:
        """Take note of an iteration; return whether it is to be the last."""
        self.latest, painting = event, self.painting
        left = self.time_left.after(event.record)
        with self.studio.lock:
            painting.add_records([event.record], self.job.settings)
            painting.left = left
        if self.is_worth_showing(event):
            self.show(event)
        self.studio.wake_watchers()
        is_last = event.record.iteration == self.job.settings.iterations
        self.is_ended = bool(self.why) and not is_last
        if self.is_ended or self.schedule.is_due():
            self.keep_state(event)
        return self.is_ended

    def is_worth_showing(self, event: Event) -> bool:
        """Whether somebody watches, and it is time for another picture."""
        if not self.studio.watchers:
            return False
        is_later = time.monotonic() - self.shown_at >= PAUSE
        return is_later or event.record.size != self.shown_size

    def show(self, event: Event) -> None:
        """Make the small picture that pages ask for."""
        picture = small_picture(event.image(), LIVE_SIZE, LIVE_QUALITY)
        with self.studio.lock:
            self.picture = picture
            self.painting.version += 1
        self.shown_at, self.shown_size = time.monotonic(), event.record.size

    def keep_state(self, event: Event) -> None:
        """Write a checkpoint and a small picture, so that a server that is killed loses little."""
        began, studio, number = time.monotonic(), self.studio, self.painting.number
        try:
            studio.folder.write_small(number, event.image())
            save_checkpoint(studio.folder.checkpoint(number), self.job, event.state())
        except (OSError, MemoryError) as error:
            self.note(f"the checkpoint cannot be written: {why_not_written(error)}")
        self.schedule.wrote(began)

    def note(self, message: str) -> None:
        """Keep a note, and show it at once."""
        with self.studio.lock:
            self.painting.note(message)
            self.studio.changed(self.painting)

    def latest_image(self) -> np.ndarray:
        """The picture so far."""
        assert self.latest is not None
        return self.latest.image()

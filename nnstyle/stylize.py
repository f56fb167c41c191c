"""Style transfer: from pictures to a job (`prepare`), from a job to a picture (`run`), or both at once."""

import copy
import os
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from . import pictures
from .arrays import Array, to_host
from .checkpoint import Record, State
from .engine import Engine, devices
from .errors import InputError, shown
from .inputs import Inputs, JobPictures, grey_grain
from .job import Job, check_terms, prepare, used_terms
from .network import Network
from .notes import note
from .objective import Objective, StyleTerm, Term, paper_terms, set_targets
from .optimizers import ON_HOST, OPTIMIZERS, WITH_HISTORY_SIZE, WITH_RATE
from .pictures.preprocessing import Preprocessing
from .progress import Progress
from .regions import Region, regions_of
from .resources import engine_for, history_size_for, optimizer_for, tile_for_scale
from .result import Event, Result
from .settings import LEAST_PAINTED, Settings
from .tiled import TiledObjective, check_tileable
from .version import __version__
from .weights import Weights, rescale

Callback = Callable[[Event], object]

OTHER_STATE = "the state to resume from belongs to another job"
ALL_DONE = "all iterations done"


def stylize(
    content: Any,
    style: Any,
    weights: Any = "pocket",
    callback: Callback | None = None,
    *,
    terms: Sequence[Term] = (),
    device: Any = "cpu",
    threads: int | None = None,
    low_memory: bool | None = None,
    tile: int | None = None,
    progress: bool = False,
    size: int = Settings.size,
    iterations: int = Settings.iterations,
    scales: int | None = Settings.scales,
    style_scale: float = Settings.style_scale,
    border: int = Settings.border,
    init: str | os.PathLike = Settings.init,
    grain: float | None = Settings.grain,
    seed: int = Settings.seed,
    colour: str = Settings.colour,
    transparency: str = Settings.transparency,
    optimizer: str | None = Settings.optimizer,
    learning_rate: float | None = Settings.learning_rate,
    bounded: bool = Settings.bounded,
    bits: int = Settings.bits,
    alpha: float = Settings.alpha,
    beta: float | None = Settings.beta,
    beta_per_pixel: float | None = Settings.beta_per_pixel,
    tv_weight: float = Settings.tv_weight,
    content_layers: str | Sequence[str] = Settings.content_layers,
    style_layers: str | Sequence[str] = Settings.style_layers,
    layer_weights: Sequence[float] | None = Settings.layer_weights,
    rescale: bool = Settings.rescale,
    rescale_over: str | os.PathLike | None = Settings.rescale_over,
    preprocessing: str | Preprocessing | None = Settings.preprocessing,
    pooling: str | None = Settings.pooling,
) -> Result:
    """Paint the content of one picture in the style of another (lesson 11).

    Parameters
    ----------
    content : path, bytes, open file, PIL image, or array
        The photograph, as for `nnstyle.pictures.load_image`.
    style : path, bytes, open file, PIL image, array, or Style; or a list of them
        The painting, or several in one picture. A folder counts as one.
    weights : "pocket", "vgg19", "vgg16", path, or Weights
        The network, as for `nnstyle.load_weights`.
    callback : callable, optional
        Called after each iteration with an `Event`. If it returns a true value, the work stops, and
        the picture is the one it just saw.
    terms : sequence of Term, optional
        Losses of your own, added to the paper's. At the smaller of several scales, the weight of a term
        that compares with the style image shrinks with the number of pixels, as beta does.
    device : "cpu", "auto", "cuda", "cuda:1" and so on
        Where to compute; "auto" takes a GPU if CuPy sees one.
    threads : int, optional
        How many processor threads to use: by default one for each core that this process may use.
        Results do not depend on it.
    low_memory : bool, optional
        Keep nothing in memory that can be computed again: less memory, about twice the time. By default
        only where memory is short, with a note.
    tile : int, optional
        Compute larger pictures in tiles of about this length, px: the network's memory is that of a tile, and the
        picture the same up to rounding (appendix C). 1024 takes about twice the time, 256 up to four times. By
        default only where memory is short, with a note.
    progress : bool
        Show how far the work is, and the time left: one line in a notebook, a bar in a terminal, else a
        line now and then on standard error.
    size, iterations, scales, style_scale, border, init, grain, seed, colour, transparency, optimizer, \
learning_rate, bounded, bits, alpha, beta, beta_per_pixel, tv_weight, content_layers, style_layers, layer_weights, rescale, \
rescale_over, preprocessing, pooling
        The fields of `Settings`, which describes them.

    Returns
    -------
    Result
        The same input gives the same picture, bit for bit, on one machine's processor; but if tiles are chosen
        because memory is short, only up to rounding.

    Raises
    ------
    InputError
        For anything given that cannot be used.
    NotFiniteError
        If the loss becomes NaN or infinite.
    GpuError
        If a GPU fails.

    Notes
    -----
    An exception that ends the work after its first iteration (one of these, `MemoryError`, `KeyboardInterrupt`,
    or one raised by the callback) has the unfinished picture as its attribute ``result``, a `Result`.
    """
    settings = Settings(
        size=size,
        iterations=iterations,
        scales=scales,
        style_scale=style_scale,
        border=border,
        init=init,  # type: ignore[arg-type]  # Settings makes it a str
        grain=grain,
        seed=seed,
        colour=colour,
        transparency=transparency,
        optimizer=optimizer,
        learning_rate=learning_rate,
        bounded=bounded,
        bits=bits,
        alpha=alpha,
        beta=beta,
        beta_per_pixel=beta_per_pixel,
        tv_weight=tv_weight,
        content_layers=content_layers,  # type: ignore[arg-type]  # any sequence: Settings makes it a tuple
        style_layers=style_layers,  # type: ignore[arg-type]
        layer_weights=layer_weights,  # type: ignore[arg-type]
        rescale=rescale,
        rescale_over=rescale_over,  # type: ignore[arg-type]
        preprocessing=preprocessing,  # type: ignore[arg-type]  # Settings spells it out
        pooling=pooling,
    )
    device = devices.find(device)
    # Checked before a download.
    Engine(device, threads, False if low_memory is None else low_memory, tile)
    if tile is not None:
        check_tileable(used_terms(check_terms(terms)))
    job = prepare(content, style, weights, settings, terms, progress=progress)
    with engine_for(job, device, threads, low_memory, tile) as engine:
        return run(job, engine, callback, progress=progress)


def run(
    job: Job,
    engine: Engine | None = None,
    callback: Callback | None = None,
    resume: State | None = None,
    progress: bool = False,
) -> Result:
    """Paint a job.

    Parameters
    ----------
    job : Job
        From `prepare`.
    engine : Engine, optional
        What computes; by default one on the processor, for this job alone.
    callback : callable, optional
        As for `stylize`.
    resume : State, optional
        Of an earlier run of the same job: go on from there.
    progress : bool
        As for `stylize`.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        If the state to resume from belongs to another job.
    NotFiniteError, GpuError
        As `stylize`, which also says what exceptions carry.
    """
    if callback is not None and not callable(callback):
        raise InputError(f"the callback must be a function, not {shown(callback)}")
    if not isinstance(engine, Engine | None):
        raise InputError(f"a run needs an nnstyle.Engine, not {shown(engine)}")
    if not isinstance(resume, State | None):
        raise InputError(f"a run goes on from the state of an event, not from {shown(resume)}")
    if not isinstance(progress, bool):
        raise InputError(f"progress must be True or False, not {shown(progress)}")
    engine = engine or engine_for(job)
    done = len(resume.records) if resume else 0

    def on_iteration(event: Event) -> object:
        shown_progress.update(event.record)
        return callback(event) if callback else None

    painting = _Run(job, engine, on_iteration, resume)
    try:
        with engine, Progress(job, engine, not progress, done) as shown_progress:
            return painting.paint()
    except BaseException as error:  # Ctrl-C while the engine ends, or while another error gets its result
        painting.attach_result(error)
        raise


class _Run:
    """A job while it is being painted: scale after scale, each from the result of the one before."""

    def __init__(self, job: Job, engine: Engine, callback: Callback, resume: State | None):
        self.job, self.engine, self.callback, self.resume = job, engine, callback, resume
        settings = job.settings
        self.optimizer = optimizer_for(
            settings, engine.device, settings.canvas_pixels(*job.content.shape[:2])
        )
        if self.optimizer != optimizer_for(settings, engine.device, pixels=0):
            note(
                "so large a picture is painted by our own L-BFGS (as with --optimizer lbfgs-nnstyle, but remembering fewer"
                " steps if it is very large), because SciPy's needs 1 kB of memory for each pixel"
            )
        self.settings = replace(settings, optimizer=self.optimizer)
        self.records: list[Record] = list(resume.records) if resume else []
        self.latest: Event | None = None
        self.callback_error: BaseException | None = None
        self.ended_by: BaseException | None = None  # it has its result
        self.errstate = np.geterr()  # the caller's, for the callback
        self.stopped = False
        if engine.tile is not None:
            check_tileable(used_terms(job.terms))
            if tile_for_scale(job, engine, settings.size) is None:
                note(
                    f"with what the network sees around it, a tile of {engine.tile} px is no smaller than the picture,"
                    " which is computed whole"
                )
        self.check_resume()
        self.pictures = JobPictures(job)

    def paint(self) -> Result:
        """Paint all scales. An exception that ends the work takes the unfinished picture along."""
        try:
            with self.engine.device.failures():
                return self.paint_scales(self.network_weights())
        except BaseException as error:  # Ctrl-C as well
            # What the callback raised is never the device's failure, though it may look like one.
            original = self.callback_error or error
            self.attach_result(original)
            if original is error:
                raise
            raise original from original.__cause__

    def paint_scales(self, weights: Weights) -> Result:
        """Paint from the smallest scale to the full size."""
        preprocessing = weights.preprocessing
        self.began = time.perf_counter() - (self.records[-1].seconds if self.records else 0)
        painted: tuple[np.ndarray, Inputs] | None = None  # the last scale's result, and what it was made of
        planned, reason = 0, ""
        for index, scale in enumerate(self.settings.each_scale()):
            planned += scale.iterations
            if self.resume and index < self.resume.scale:
                continue
            self.engine.clear()  # what the scale before needed
            self.inputs = self.pictures.at(scale)
            start, history = self.on_canvas(self.first_image(scale, painted, preprocessing)), None
            if self.resume and index == self.resume.scale:
                start, history = self.resumed_start(self.resume, start, planned)
                if len(self.records) == planned:  # it was the last iteration of this scale
                    image, reason = self.cropped(start), ALL_DONE
                    painted = image, self.inputs
                    continue
            # Where a smaller scale ended early, its iterations are left for this one.
            scale = replace(scale, iterations=planned - len(self.records))
            image, reason = self.paint_scale(index, scale, weights, start, history)
            image = self.cropped(image)
            painted = image, self.inputs
            if self.stopped:
                break
        self.note_if_nothing_happened(weights)
        pixels = self.inputs.finish(
            pictures.deprocess(image, preprocessing, self.settings.bits), self.settings
        )
        if self.stopped:
            return self.unfinished(pixels, len(self.records), reason)
        return self.result(pixels, self.records, self.settings, reason)

    def first_image(
        self, scale: Settings, painted: tuple[np.ndarray, Inputs] | None, preprocessing: Preprocessing
    ) -> np.ndarray:
        """Where a scale starts: its initial image, or what was painted before, enlarged. Grain is added."""
        start = pictures.preprocess(self.inputs.initial, preprocessing)
        if painted is not None:
            image, inputs = painted
            start = next_start(image, pictures.preprocess(inputs.initial, preprocessing), start, scale)
        if scale.grain:
            grain = grey_grain(scale.grain, scale.seed, *start.shape[:2])
            start += grain * np.array(preprocessing.scale, start.dtype)
        return start

    def note_if_nothing_happened(self, weights: Weights) -> None:
        """Say so if the photograph stayed as it was because beta is far below its default.

        Our default says nothing about a network that is not rescaled, and from other initial images
        something happens in any case.
        """
        settings = self.settings
        if self.stopped or self.job.terms or not weights.rescaled:
            return
        if settings.init not in ("recoloured", "content") or settings.iterations == 1:
            return
        usual = settings.alpha * settings.usual_beta(weights, *self.job.content.shape[:2])
        if not 0 < (settings.beta or 0) < usual * LEAST_PAINTED or not any(settings.layer_weights or ()):
            return
        # No records: the optimizer found nothing to improve.
        style = [record.losses["style"] for record in self.records if "style" in record.losses]
        if not style or style[-1] > style[0] / 2:
            note(
                "hardly anything was painted, the picture is nearly the initial image:"
                f" with alpha {settings.alpha:g}, try beta {usual:.0e}; this was {settings.beta:g}"
            )

    def on_canvas(self, picture: np.ndarray) -> np.ndarray:
        """A picture with its mirror image around it: what is painted at the edge of this canvas is cropped."""
        border = self.settings.border
        return np.pad(picture, ((border, border), (border, border), (0, 0)), "symmetric")

    def regions(self) -> list[Region]:
        """Which part of the canvas is painted in which style."""
        masks = self.inputs.visible_masks()
        on_canvas = [None if mask is None else self.on_canvas(mask) for mask in masks]
        regions = regions_of(self.job.styles, on_canvas)
        for index, region in enumerate(regions):
            if region.mask is not None:
                regions[index] = replace(region, mask=self.engine.asarray(region.mask, np.float32))
        return regions

    def cropped(self, canvas: Array) -> Array:
        """The picture on a canvas, a view."""
        border = self.settings.border
        height, width, _ = canvas.shape
        return canvas[border : height - border, border : width - border]

    def paint_scale(
        self,
        index: int,
        settings: Settings,
        weights: Weights,
        start: np.ndarray,
        history: dict[str, np.ndarray] | None,
    ) -> tuple[np.ndarray, str]:
        """Minimize equation (7) at one scale; return (image, reason)."""
        engine = self.engine
        seen_by = lambda picture: self.on_canvas(pictures.preprocess(picture, weights.preprocessing))
        content = seen_by(self.inputs.content)
        low, high = pictures.pixel_range(weights.preprocessing)
        bounds: tuple[Array, Array] | None = (low, high) if settings.bounded else None
        minimize = OPTIMIZERS[self.optimizer]
        if self.optimizer in WITH_RATE:  # given in levels, taken in the network's units
            rate = engine.asarray((high - low) / 255 * settings.learning_rate, np.float32)
            minimize = partial(minimize, learning_rate=rate)
        pixels = content[..., 0].size
        if self.optimizer in WITH_HISTORY_SIZE:
            minimize = partial(
                minimize, history_size=history_size_for(self.job.settings, engine.device, pixels)
            )
        with np.errstate(over="ignore", invalid="ignore"):  # the optimizers look for themselves
            network = Network(weights, str(settings.pooling), engine=engine)
            full_size = self.settings.canvas_pixels(*self.job.content.shape[:2])
            terms = self.terms(settings, pixels / full_size)
            if not terms:
                raise InputError(f"the masks leave nothing to paint at {settings.size} px: use fewer scales")
            objective = self.objective(settings, network, terms, content, map(seen_by, self.inputs.styles))
            del content  # which a large picture's memory has no room for
            if any(style.shape != self.inputs.content.shape for style in self.inputs.styles):
                engine.clear()  # free the kernels transformed for the style image's tiles
            on_host = self.optimizer in ON_HOST

            def report(image: Array, loss: float, history: dict[str, Array] | None) -> bool:
                self.report(index, settings.size, image, loss, dict(objective.losses), history, weights)
                return self.stopped

            if not on_host:
                start = engine.asarray(start, np.float32)
                bounds = bounds and (engine.asarray(low, np.float32), engine.asarray(high, np.float32))
                history = history and {name: engine.asarray(a, np.float32) for name, a in history.items()}
            function = evaluated_on_host(objective) if on_host else objective
            image, reason = minimize(function, start, settings.iterations, bounds, report, history)
        return to_host(image), reason

    def objective(
        self,
        settings: Settings,
        network: Network,
        terms: Sequence[Term],
        content: np.ndarray,
        styles: Iterable[np.ndarray],
    ) -> Objective:
        """Equation (7) of a scale, with its targets set: for the whole picture at once, or by tiles."""
        tile = tile_for_scale(self.job, self.engine, settings.size)
        if tile is not None:
            by_tiles = TiledObjective(network, terms, tile)
            by_tiles.set_targets(content, styles)
            return by_tiles
        set_targets(terms, network, content, styles)
        return Objective(network, terms)

    def terms(self, settings: Settings, pixels: float) -> list[Term]:
        """The terms of equation (7) and copies of the job's own; those of weight 0 are left out.

        A content loss is a sum over positions and a style loss is not. So at a smaller scale, the weights
        of those that compare with the style image shrink with the number of pixels.

        Parameters
        ----------
        settings : Settings
            Of this scale.
        pixels : float
            Of this scale's canvas, relative to the full size.
        """
        terms = paper_terms(settings, self.engine, self.regions())
        for term in used_terms(self.job.terms):
            terms += self.own_terms(term)
        for term in terms:
            if term.target == "style":
                term.weight = term.weight * pixels
        return terms

    def own_terms(self, term: Term) -> list[Term]:
        """Copies of a term of the job's own, so that the job stays as it is: one for each style it sees."""
        styles = self.job.styles
        total = sum(style.weight for style in styles)
        copies = []
        for index, style in enumerate(styles if term.target == "style" else styles[:1]):
            own = copy.deepcopy(term)
            if isinstance(own, StyleTerm) and own.engine is None:
                own.engine = self.engine
            if own.target == "style" and (len(styles) > 1 or isinstance(own, Term)):
                own.shares = {index: 1.0}
                own.layer_weight = own.layer_weight * (style.weight / total)
            copies.append(own)
        return copies

    def report(
        self,
        scale: int,
        size: int,
        image: Array,
        loss: float,
        losses: dict,
        history: dict[str, Array] | None,
        weights: Weights,
    ) -> None:
        """Record an iteration, and tell the callback."""
        seconds = time.perf_counter() - self.began
        record = Record(len(self.records) + 1, size, loss, losses, seconds)
        self.records.append(record)
        count, inputs = len(self.records), self.inputs

        def pixels() -> np.ndarray:
            return pictures.deprocess(self.cropped(image), weights.preprocessing, self.settings.bits)

        if self.engine.device.name != "cpu":
            fetched = pixels()  # now: a GPU that fails takes its memory with it
            pixels = lambda: fetched

        def picture() -> np.ndarray:
            return inputs.finish(pixels(), self.settings)

        def state() -> State:
            kept = history and {name: np.asarray(to_host(a), np.float32) for name, a in history.items()}
            return State(self.job.digest, scale, to_host(image), kept, tuple(self.records[:count]))

        self.latest = Event(
            record, self.job, picture, state, lambda reason: self.unfinished(picture(), count, reason)
        )
        try:
            with np.errstate(**self.errstate):
                self.stopped = bool(self.callback(self.latest))
        except BaseException as error:
            self.callback_error = error
            raise

    def unfinished(self, image: np.ndarray, count: int, reason: str) -> Result:
        """The picture after so many iterations, with settings that say what it is, not what was asked for."""
        latest, settings = self.records[count - 1], self.settings
        scales = [scale for scale in settings.each_scale() if scale.size <= latest.size]
        pixels, all_pixels = (
            settings.canvas_pixels(*picture.shape[:2]) for picture in (image, self.job.content)
        )
        reached = replace(
            settings,
            size=latest.size,
            iterations=latest.iteration,
            scales=min(len(scales), latest.iteration),  # one with nothing to improve takes no iteration
            beta=(settings.beta or 0) * (pixels / all_pixels),  # as in `terms`
        )
        return self.result(image, self.records[:count], reached, reason)

    def result(self, image: np.ndarray, records: list[Record], settings: Settings, reason: str) -> Result:
        """A picture with all that made it."""
        made_with = describe(self.job, settings, self.engine.device.name)
        if records:  # none, if there was nothing to improve
            last = records[-1]
            # Without the seconds: the same picture is the same file.
            losses = {"iteration": last.iteration, "size": last.size, "total": last.total} | last.losses
            made_with["losses"] = losses
        tile = tile_for_scale(self.job, self.engine, settings.size)
        if tile is not None:
            made_with["tile"] = tile
        return Result(image, records, settings, reason, made_with)

    def network_weights(self) -> Weights:
        """The job's network, rescaled if that is wanted."""
        settings, weights = self.settings, self.job.weights
        if settings.rescale_over is not None:
            over: Sequence[Any] = pictures.pictures_in(settings.rescale_over)
        elif settings.rescale and not weights.rescaled:
            over = [self.pictures.content, *self.pictures.styles]
        else:
            return weights
        return rescale(weights, over, str(settings.pooling), engine=self.engine)

    def check_resume(self) -> None:
        """Raise InputError for a state that no run of this job can go on from."""
        if self.resume and self.resume.job != self.job.digest:
            raise InputError(OTHER_STATE)
        if self.resume and self.resume.scale not in range(len(list(self.settings.each_scale()))):
            raise InputError(OTHER_STATE)

    def resumed_start(
        self, state: State, initial: np.ndarray, planned: int
    ) -> tuple[np.ndarray, dict[str, np.ndarray] | None]:
        """The image and the optimizer's history to go on from, at a scale that ends when `planned` are done."""
        if state.image.shape != initial.shape or len(self.records) > planned:
            raise InputError(OTHER_STATE)
        return state.image, state.history

    def attach_result(self, error: BaseException) -> None:
        """Let the error carry the unfinished picture, where there is one, as its ``result``."""
        if self.latest is None or error is self.ended_by:
            return
        if isinstance(error, MemoryError):  # the feature maps are still held by the frames that it passed
            traceback.clear_frames(error.__traceback__)
            self.engine.clear()
        try:
            result = self.latest.result(str(error) or type(error).__name__)
        except MemoryError:  # not even enough for that
            return
        error.result = result  # type: ignore[attr-defined]
        self.ended_by = error


def describe(job: Job, settings: Settings, device: str) -> dict[str, Any]:
    """Everything that made a picture, to be stored in its file; folders stay private."""
    reason = job.weights.preprocessing_reason
    return job.describe(settings) | {"preprocessing_reason": reason, "device": device, "nnstyle": __version__}


def next_start(
    image: np.ndarray, initial: np.ndarray, larger_initial: np.ndarray, settings: Settings
) -> np.ndarray:
    """Where the next scale starts: what was painted so far, enlarged.

    To keep the fine details of the initial image, only the difference that was painted is enlarged.
    Noise has no details worth keeping.

    Parameters
    ----------
    image, initial : float arrays, shape (h, w, 3)
        The result of a scale, and the initial image at that scale.
    larger_initial : float array, shape (H, W, 3)
        The initial image at the next scale.
    settings : Settings
    """
    height, width, _ = larger_initial.shape
    if settings.init == "noise":
        return pictures.enlarge(image, height, width)
    larger = pictures.enlarge(image - initial, height, width)
    larger += larger_initial
    return larger


def evaluated_on_host(objective: Objective) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    """An objective for an optimizer on the processor: its gradient comes back from the device."""

    def evaluate(image: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = objective(image)
        return loss, to_host(gradient)

    return evaluate

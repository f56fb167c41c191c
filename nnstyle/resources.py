"""What a job needs of a machine: an engine and an optimizer that suit it, and what to do where memory is short."""

import math
from collections.abc import Container
from functools import partial
from typing import Any

from . import pictures
from .engine import Engine, devices
from .engine.device import Device
from .engine.tiles import halo_of, largest_window, tiles_of
from .errors import InputError
from .job import Job, used_terms
from .network import layers_of
from .notes import note
from .optimizers import HISTORY_SIZE, usual_for_size, usual_history_size
from .settings import Settings
from .tiled import check_tileable, is_sum_over_positions
from .weights.rescaling import LARGEST as LARGEST_TO_RESCALE_OVER

TILES = (2048, 1024, 512, 256)  # px: those that are tried where memory is short


def engine_for(
    job: Job,
    device: Any = "cpu",
    threads: int | None = None,
    low_memory: bool | None = None,
    tile: int | None = None,
) -> Engine:
    """An engine that suits a job.

    Parameters
    ----------
    job : Job
    device, threads : as for `Engine`
    low_memory, tile : as for `Engine`, optional
        Where neither is given and the device has too little free memory: tiles if the picture fits by them, else
        `low_memory`, in both cases with a note.

    Raises
    ------
    InputError
        If the job needs more memory than is free. That is an estimate: an `Engine` of your own, given to
        `run`, is not asked. Or if a tile is given, and the job has a term that cannot be computed by tiles.
    """
    device = devices.find(device)
    if tile is not None:
        check_tileable(used_terms(job.terms))
    with device.failures():
        if low_memory is None and tile is None:
            tile = tile_that_fits(job, device, threads)
            if tile is not None:
                longer = times_as_long(job, job.settings.size, tile)
                note(
                    f"little memory is free: this is computed in tiles of {tile} px,"
                    f" which takes about {longer:.1f} times as long"
                )
        may_be_low = low_memory is None and tile is None
        check_memory(job, device, None if may_be_low else bool(low_memory), threads, tile)
        if may_be_low:
            low_memory = device.is_memory_short(bytes_needed(job, device, False, job.settings.size), threads)
    return Engine(device, threads, bool(low_memory), tile)


def tile_that_fits(job: Job, device: Device, threads: int | None) -> int | None:
    """The largest tile by which a job fits into the free memory; None if it fits whole, or by no tile.

    If nothing fits without swap, the smallest tile is better than a whole picture that would swap twice as much.
    """
    needed = partial(bytes_needed, job, device, size=job.settings.size)
    free = device.available(threads=threads)
    if needed(low_memory=False) <= free or not can_be_tiled(job):
        return None
    found = next((tile for tile in TILES if needed(low_memory=False, tile=tile) <= free), None)
    smallest, whole = needed(low_memory=False, tile=TILES[-1]), needed(low_memory=True)
    if found is None and smallest <= device.available(swap=True, threads=threads) and smallest < whole / 2:
        found = TILES[-1]
    return found


def can_be_tiled(job: Job) -> bool:
    """Whether all of a job's own terms can be computed by tiles."""
    return all(map(is_sum_over_positions, used_terms(job.terms)))


def tile_for_scale(job: Job, engine: Engine, size: int) -> int | None:
    """The tile by which a scale is painted; None where, whole, it takes no more memory than the full size by tiles."""
    if engine.tile is None:
        return None
    settings, device = job.settings, engine.device
    optimizer = optimizer_for(settings, device, settings.canvas_pixels(*job.content.shape[:2]))
    needed = partial(bytes_needed, job, device, engine.low_memory, optimizer=optimizer)
    return engine.tile if needed(size) > needed(settings.size, engine.tile) else None


def times_as_long(job: Job, size: int, tile: int | None) -> float:
    """About how many times as long an iteration takes at a size by tiles as it would take whole; 1 for no tile."""
    if tile is None:
        return 1.0
    (height, width), *_ = canvas_sizes(job, size)
    windows = [part.window_pixels() for part in tiles_of(height, width, tile, *halo_for(job))]
    # Each goes forward twice, but for the last, and backward once (appendix C).
    return (1.5 * sum(windows) - 0.5 * windows[-1]) / (height * width)


def optimizer_for(settings: Settings, device: Device, pixels: float) -> str:
    """What paints a canvas of so many pixels."""
    if settings.optimizer:
        return settings.optimizer
    return "lbfgs" if settings.bounded else usual_for_size(device.optimizer, pixels)


def history_size_for(settings: Settings, device: Device, pixels: float) -> int:
    """How many steps our own L-BFGS remembers for a canvas of so many pixels."""
    if settings.optimizer or device.name != "cpu":
        return HISTORY_SIZE
    return usual_history_size(pixels)


def canvas_sizes(job: Job, size: int) -> list[tuple[int, int]]:
    """Heights and widths of all that goes through the network if the job had this size, content first."""
    border = 2 * job.settings.border
    sizes = []
    for picture in (job.content, *(style.image for style in job.styles)):
        height, width, _ = picture.shape
        share = size / job.settings.size
        sizes.append((math.ceil(height * share) + border, math.ceil(width * share) + border))
    if job.settings.rescale_over is not None:
        sizes.append((LARGEST_TO_RESCALE_OVER, LARGEST_TO_RESCALE_OVER))
    return sizes


def bytes_needed(
    job: Job,
    device: Device,
    low_memory: bool,
    size: int,
    tile: int | None = None,
    optimizer: str | None = None,
) -> float:
    """Bytes that the job would take on a device if it had this size, by default with the optimizer for this size."""
    content, *others = canvas_sizes(job, size)
    pixels = content[0] * content[1]

    def needed(height: int, width: int, **how: Any) -> float:
        at_once = pixels_at_once(job, height, width, tile)
        return device.bytes_needed(job.weights, height, width, low_memory, at_once=at_once, **how)

    painting = needed(
        *content,
        optimizer=optimizer or optimizer_for(job.settings, device, pixels),
        history_size=history_size_for(job.settings, device, pixels),
    )
    painting += pixels * bytes_of_settings(job)
    largest = max([painting, *(needed(*other, optimizer=None) for other in others)])
    return largest + sum(3 * height * width for height, width in others)  # the paintings, scaled


def pixels_at_once(job: Job, height: int, width: int, tile: int | None) -> int:
    """How many pixels of a picture go through the network at once: all, or those of the largest tile's window."""
    return height * width if tile is None else largest_window(height, width, tile, *halo_for(job))


def halo_for(job: Job) -> tuple[int, int]:
    """The halo and the grid of a job's tiles, px (`nnstyle.engine.tiles.halo_of`)."""
    layers, settings = layers_of(job.weights), job.settings
    seen = {*settings.content_layers, *settings.style_layers, *(term.layer for term in used_terms(job.terms))}
    deepest = max(layers.index(layer) for layer in seen if layer is not None)
    return halo_of(layers[: deepest + 1])


def bytes_of_settings(job: Job) -> int:
    """Bytes for each pixel that some settings take beside the rest, measured: mostly temporary arrays like the image."""
    settings = job.settings
    return (
        460 * settings.bounded
        + 40 * sum(style.mask is not None for style in job.styles)
        + 36 * (settings.tv_weight > 0)
        + 20 * (settings.init == "noise")
        + 70 * (settings.colour in ("content", "luminance"))
    )


def check_memory(
    job: Job,
    device: Device,
    low_memory: bool | None = None,
    threads: int | None = None,
    tile: int | None = None,
    offered: Container[str] = ("tile", "optimizer", "size"),
) -> None:
    """Raise InputError if the job needs more memory than is free, with what would help.

    Swap counts as free: it makes a run slow, but does not end it.

    Parameters
    ----------
    job : Job
    device : Device
    low_memory, threads, tile : as for `engine_for`
        But a tile that would be chosen by itself has to be given.
    offered : container of str
        The settings that the user can change.
    """
    free, size = device.available(swap=True, threads=threads), job.settings.size
    is_open = low_memory is None and tile is None
    by_tile = partial(bytes_needed, job, device, bool(low_memory))
    needed = partial(bytes_needed, job, device, is_open or bool(low_memory), tile=tile)
    if needed(size) <= free:
        return
    what = f"--size {size} needs some {in_words(needed(size))} of memory on {device.title}"
    remedies = []
    if "tile" in offered and can_be_tiled(job):
        remedies += [f"--tile {other}" for other in TILES if by_tile(size, other) <= free][:1]
    ours_fits = not job.settings.bounded and needed(size, optimizer="lbfgs-nnstyle") <= free
    if "optimizer" in offered and ours_fits:
        remedies.append("--optimizer lbfgs-nnstyle")
    # Where tiles are chosen by themselves, swap does not count (`tile_that_fits`).
    free_for_tiles = device.available(threads=threads) if is_open and can_be_tiled(job) else 0
    fits = lambda px: needed(px) <= free or by_tile(px, TILES[-1]) <= free_for_tiles
    # Not a bisection: the optimizer depends on the size, and a larger picture may need less.
    smaller = next(filter(fits, range(size - 1, pictures.SMALLEST - 1, -1)), None)
    if smaller:
        remedies.append(f"--size {smaller}")
    advice = f"choose {' or '.join(remedies)}" if remedies else "no size would fit"
    raise InputError(f"{what}, and {in_words(free)} are free: {advice}")


def in_words(size: float) -> str:
    """Bytes as a message has them: 1.5 GB, 200 MB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"

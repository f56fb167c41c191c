"""How many pictures at a time, with how many threads each: no more than there are cores and memory for."""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import devices
from ..engine.cpu import CPU
from ..engine.device import Device
from ..engine.threads import available_cores
from ..errors import InputError
from ..job import Job
from ..notes import note
from ..resources import bytes_needed, in_words
from ..settings import Settings
from ..styles import Style
from ..weights import Weights

MEMORY = "nnstyle-memory"  # the Dask resource by which a worker says how many bytes its pictures may take
# Bytes of a worker beside the estimate. Measured: 140 MB are the process with its libraries, and decoding a JPEG
# of 24 megapixels takes 350 MB for a moment, before anything is painted.
BESIDE = 4e8

Needed = Callable[[bool], float]  # bytes of a picture, without or with low memory


@dataclass(frozen=True)
class Plan:
    """What computes a batch.

    Attributes
    ----------
    device : str
    workers : int
        Of this machine; 0 for a cluster's.
    threads : int
        Of each picture.
    low_memory : bool or None
        None leaves it to each picture.
    gpus : int
        How many GPUs the workers share out.
    memory : float
        Bytes for each worker of this machine; 0 for no limit, and for a cluster's.
    resources : dict
        Dask resources that each picture takes.
    """

    device: str
    workers: int
    threads: int
    low_memory: bool | None
    gpus: int = 0
    memory: float = 0
    resources: dict[str, float] | None = None


def needed_by(settings: Settings, weights: Weights, paintings: int) -> Needed:
    """The bytes that a picture takes on the processor, at most: the estimate for a square.

    Parameters
    ----------
    settings : Settings
    weights : Weights
    paintings : int
        In the largest style.
    """
    photo, painting = blank(settings.size), blank(round(settings.size * settings.style_scale))
    job = Job(photo, (Style(painting),) * paintings, weights, settings)
    return lambda low_memory: bytes_needed(job, CPU, low_memory, settings.size)


def blank(size: int) -> np.ndarray:
    """A square picture that takes no memory."""
    return np.broadcast_to(np.uint8(0), (size, size, 3))


def plan_here(arguments: argparse.Namespace, needed: Needed, most: int) -> Plan:
    """The plan for this machine.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``workers``, ``threads``, ``device`` and ``low_memory`` are used.
    needed : callable
        From `needed_by`.
    most : int
        Pictures that could be painted at a time.

    Raises
    ------
    InputError
        If there is not enough memory.
    """
    device = devices.find(arguments.device)
    if device.name != CPU.name:
        return plan_on_gpus(arguments, device, most)
    cores, free = available_cores(), CPU.available(threads=1)
    low_memory = arguments.low_memory
    if low_memory is None:
        low_memory = needed(False) + BESIDE > free
    each = needed(low_memory) + BESIDE
    room = int(min(free / each, most))  # what is free may be unknown, and then is infinite
    if room < 1:
        raise InputError(
            f"a picture needs some {in_words(each)} of memory, and {in_words(free)} are free: choose a smaller --size"
        )
    workers = arguments.workers or min(max(1, cores // (arguments.threads or 1)), room)
    if workers * each > free:
        raise InputError(
            f"--workers {workers} need some {in_words(workers * each)} of memory, and {in_words(free)} are free:"
            f" choose --workers {int(free / each)} at most"
        )
    threads = arguments.threads or max(1, cores // workers)
    if workers * threads > cores:
        note(f"{workers} workers x {threads} threads are more than the {cores} cores of this machine")
    return Plan(CPU.name, workers, threads, low_memory, memory=share(free, workers))


def plan_on_gpus(arguments: argparse.Namespace, device: Device, most: int) -> Plan:
    """The plan for the GPUs of this machine: each paints one picture at a time."""
    is_one = ":" in arguments.device
    gpus = 1 if is_one else devices.import_cupy().cuda.runtime.getDeviceCount()
    workers = arguments.workers or min(gpus, most)
    if workers > gpus:
        raise InputError(f"a GPU paints one picture at a time: choose --workers {gpus} at most")
    threads = arguments.threads or max(1, available_cores() // workers)
    memory = share(CPU.available(threads=1), workers)
    return Plan(device.name, workers, threads, arguments.low_memory, 0 if is_one else gpus, memory)


def share(free: float, workers: int) -> float:
    """Bytes for each worker, or 0, which is no limit, where nobody knows what is free."""
    return 0 if math.isinf(free) else free / workers


def plan_there(arguments: argparse.Namespace, needed: Needed, workers: Sequence[dict[str, Any]]) -> Plan:
    """The plan for a cluster whose workers somebody else has started.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``threads``, ``device`` and ``low_memory`` are used.
    needed : callable
        From `needed_by`.
    workers : sequence of dict
        From `nnstyle.batch.cluster.describe_workers`.

    Raises
    ------
    InputError
        If they would take more pictures at a time than they have memory or GPUs for.
    """
    if arguments.workers is not None:
        raise InputError("--workers is for this machine: a cluster has those that were started there")
    device = CPU.name if arguments.device == "auto" else arguments.device
    threads = arguments.threads or 1
    if device != CPU.name:
        for worker in workers:
            if worker["nthreads"] > 1:
                raise InputError(
                    f"the worker {worker['address']} would paint {worker['nthreads']} pictures at a time on one GPU:"
                    " start one worker for each GPU, with --nthreads 1"
                )
        return Plan(device, 0, threads, arguments.low_memory)
    declared = [worker for worker in workers if MEMORY in worker["resources"]]
    low_memory = arguments.low_memory
    if low_memory is None:
        low_memory = needed(False) > room_of(declared or workers)
    if needed(low_memory) > room_of(declared or workers):
        complain_of_memory(declared or workers, needed(low_memory))
    if declared and len(declared) < len(workers):
        note(f"{len(workers) - len(declared)} workers get no pictures: they do not state {MEMORY}")
    resources = {MEMORY: needed(low_memory)} if declared else None
    return Plan(device, 0, threads, low_memory, resources=resources)


def room_for_one(worker: dict[str, Any]) -> float:
    """Bytes that a worker has for each picture: what it states, or its limit shared among its threads."""
    if MEMORY in worker["resources"]:
        return float(worker["resources"][MEMORY])
    if not worker["memory_limit"]:
        return float("inf")
    return (worker["memory_limit"] - BESIDE) / worker["nthreads"]


def room_of(workers: Sequence[dict[str, Any]]) -> float:
    """Bytes that a picture may take: where workers state it, on one of them; else on any."""
    rooms = [room_for_one(worker) for worker in workers]
    return max(rooms) if MEMORY in workers[0]["resources"] else min(rooms)


def complain_of_memory(workers: Sequence[dict[str, Any]], needed: float) -> None:
    """Raise InputError: a picture takes more than the workers have for it."""
    worker = min(workers, key=room_for_one)
    what = f"a picture needs some {in_words(needed)} of memory, and the worker {worker['address']} has"
    have = in_words(max(0.0, room_for_one(worker)))
    raise InputError(
        f"{what} {have} for each: start workers with a larger --memory-limit or fewer --nthreads, or choose a"
        " smaller --size"
    )

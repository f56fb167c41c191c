"""Dask's scheduler and workers: those of this machine, or those of a cluster that is there."""

import contextlib
import importlib.util
import logging
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Client, LocalCluster, Scheduler, WorkerPlugin
from distributed.security import Security

from ..cli.signals import taken
from ..errors import InputError, in_one_line
from .plan import Plan

HERE = "127.0.0.1"  # nobody from elsewhere can connect
WAIT_FOR_WORKERS = 30  # seconds
# An order is as large as the pictures in it, and there are few at a time: nothing to warn of. The
# workers keep no results, so there is nothing to spill, and one that paused would not go on by itself.
SETTINGS = {
    "distributed.admin.large-graph-warning-threshold": "4GB",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    # What Dask watches all the time took 7 % of a core.
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "2s",
    # Dask would have malloc give memory back at once (MALLOC_TRIM_THRESHOLD_). Painting asks for it again at once,
    # which took a half more of processor time.
    "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1},
}


@dataclass(frozen=True)
class Crew:
    """Workers that have what all pictures of a batch have in common.

    Attributes
    ----------
    client : Client
    batch : str
        The name under which they have it.
    resources : dict, optional
        Dask resources that each picture takes.
    """

    client: Client
    batch: str
    resources: dict[str, float] | None = None


@contextlib.contextmanager
def settings_for_dask() -> Iterator[None]:
    """Within the block, Dask has our settings, and logs nothing that it can mend by itself."""
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if is_of_dask(name)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with dask.config.set(SETTINGS):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def is_of_dask(name: str) -> bool:
    """Whether a logger of this name is one of Dask's: several have a level of their own."""
    return name.partition(".")[0] in ("distributed", "tornado", "asyncio")


@contextlib.contextmanager
def workers_here(plan: Plan) -> Iterator[Client]:
    """Workers of this machine, each a process that paints one picture at a time.

    Only this machine can reach them, and only with certificates that are made anew each time: else any user
    of the machine could have them run any code.
    """
    with contextlib.ExitStack() as stack:
        try:
            with signals_wait():
                cluster = LocalCluster(
                    n_workers=plan.workers,
                    threads_per_worker=1,
                    memory_limit=plan.memory,
                    host=HERE,
                    dashboard_address=f"{HERE}:0",
                    security=True,
                    silence_logs=logging.CRITICAL,
                )
                stack.enter_context(cluster)
            client = stack.enter_context(Client(cluster, set_as_default=False))
        except (OSError, RuntimeError) as error:
            raise InputError(f"the workers cannot be started: {in_one_line(error)}") from None
        yield client


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Within the block, signals that would end the work wait for its end: Dask cannot be interrupted while it starts.

    The threads and processes that are started there never see Ctrl-C, which reaches all processes of a
    terminal: the command itself stops its workers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[signal.Signals] = []
    handlers = {number: signal.getsignal(number) for number in taken()}
    before = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda number, frame: came.append(signal.Signals(number)))
    resource_tracker.ensure_running()  # where it starts, it would let SIGINT through again
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        before[number](number, None)


@contextlib.contextmanager
def workers_there(address: str) -> Iterator[Client]:
    """The workers of a scheduler that is there.

    Raises
    ------
    InputError
        If there is no scheduler at this address, or it has no workers.
    """
    check_certificates(address)
    try:
        client = Client(address, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"there is no Dask scheduler to use at {address}: {in_one_line(error)}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS)
        except TimeoutError:
            raise InputError(
                f"the scheduler {address} has no workers: start some with `dask worker {address}`"
            ) from None
        yield client


def check_certificates(address: str) -> None:
    """Raise InputError for an address of TLS if Dask's configuration names no certificates."""
    if address.startswith("tls://") and Security().get_connection_args("client").get("ssl_context") is None:
        raise InputError(
            f"{address} needs certificates: name them in Dask's configuration, under distributed.comm.tls"
        )


@contextlib.contextmanager
def supplied(client: Client, supplies: WorkerPlugin) -> Iterator[None]:
    """Within the block, the workers have what a batch needs. At its end they stop what they still paint.

    Raises
    ------
    InputError
        If they cannot use it.
    """
    try:
        register(client, supplies)
        yield
    finally:
        # The scheduler may be gone, or a worker may never have had it.
        with contextlib.suppress(OSError, RuntimeError, LookupError, ValueError):
            client.unregister_worker_plugin(supplies.name)


def register(client: Client, supplies: WorkerPlugin) -> None:
    """Send supplies to all workers, those that join later included."""
    try:
        client.register_plugin(supplies)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001  # whatever was raised on a worker
        raise InputError(f"the workers cannot use nnstyle: {in_one_line(error)}") from None


def describe_workers(dask_scheduler: Scheduler) -> list[dict[str, Any]]:
    """What each worker has; to be called on the scheduler."""
    return [
        {
            "address": worker.address,
            "nthreads": worker.nthreads,
            "memory_limit": worker.memory_limit,
            "resources": dict(worker.resources),
        }
        for worker in dask_scheduler.workers.values()
    ]


def dashboard_of(client: Client) -> str:
    """Where Dask's dashboard is, in words."""
    if importlib.util.find_spec("bokeh") is None:
        return "Dask's dashboard needs the package bokeh: pip install bokeh"
    return f"Dask's dashboard: {client.dashboard_link}"

"""From pairs to outcomes: what is submitted when, and what comes back."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from distributed import Future, as_completed
from distributed.scheduler import KilledWorker

from ..errors import InputError, in_one_line
from ..settings import Settings
from .cluster import Crew
from .journal import Journal
from .order import Common, File, Order, Outcome, read_order
from .pairs import Pair
from .worker import paint

AHEAD = 2  # orders for each picture at a time: a worker that is done need not wait for the next
GONE = "the scheduler, or the connection to it, is gone: --resume goes on"


@dataclass
class Done:
    """A picture that is there, or will never be.

    Attributes
    ----------
    pair : Pair
    outcome : Outcome
    checksum : str
        From `Order.checksum`; "" if its files could not be read.
    is_kept : bool
        Whether an earlier run has finished it.
    """

    pair: Pair
    outcome: Outcome
    checksum: str = ""
    is_kept: bool = False


@dataclass
class Chain:
    """Pictures that are painted one after the other.

    Attributes
    ----------
    pairs : iterator of Pair
        Those that are still to come.
    previous : File or None
        The picture before the next one, where that starts from it.
    """

    pairs: Iterator[Pair]
    previous: File | None = None


class Work:
    """A batch at work. Dask decides where and when; here only so much is submitted that memory stays bounded.

    Parameters
    ----------
    hire : callable
        Returns the `Crew`. It is called when there is something to paint.
    common : Common
    settings_of : callable
        The settings of a picture of this name.
    journal : Journal
        What is finished.
    from_previous : bool
        Whether each picture of a chain starts from the one before.
    """

    def __init__(
        self,
        hire: Callable[[], Crew],
        common: Common,
        settings_of: Callable[[str], Settings],
        journal: Journal,
        from_previous: bool = False,
    ):
        self.hire, self.common = hire, common
        self.settings_of, self.journal, self.from_previous = settings_of, journal, from_previous
        self.submitted: dict[str, tuple[Pair, Order, Chain]] = {}

    @cached_property
    def crew(self) -> Crew:
        """Who paints."""
        return self.hire()

    @cached_property
    def running(self) -> as_completed:
        """Orders under way, in the order in which they end."""
        return as_completed([], loop=self.crew.client.loop)

    def outcomes(self, chains: Iterable[Iterable[Pair]]) -> Iterator[Done]:
        """Each picture as it comes. A chain goes on when its latest picture was taken from here.

        Raises
        ------
        InputError
            If the scheduler is gone.
        """
        for pairs in chains:
            yield from self.advance(Chain(iter(pairs)))
            while self.submitted and len(self.submitted) >= self.most():
                yield from self.take()
        while self.submitted:
            yield from self.take()

    def most(self) -> int:
        """How many orders may be under way, with the workers that there are now."""
        return max(1, AHEAD * sum(self.crew.client.nthreads().values()))

    def advance(self, chain: Chain) -> Iterator[Done]:
        """Submit the next picture of a chain; yield those before it for which there is nothing to do."""
        for pair in chain.pairs:
            try:
                order = read_order(pair, self.settings_of(pair.output), chain.previous)
            except InputError as error:
                yield Done(pair, Outcome(reason=str(error)))
                continue
            finished = self.journal.finished(pair.output, order.checksum(self.common))
            if finished is None:
                self.submit(pair, order, chain)
                return
            line, data = finished
            yield kept(pair, line)
            self.follow(chain, pair, data)

    def submit(self, pair: Pair, order: Order, chain: Chain) -> None:
        """Hand an order to the scheduler. Its name is what the dashboard shows."""
        crew = self.crew
        key = f"{pair.output}-{crew.batch}"
        future = crew.client.submit(paint, order, crew.batch, key=key, pure=False, resources=crew.resources)
        self.submitted[key] = pair, order, chain
        self.running.add(future)

    def take(self) -> Iterator[Done]:
        """Wait for a picture; yield it, and go on with its chain."""
        future = next(self.running)
        pair, order, chain = self.submitted.pop(future.key)
        outcome = outcome_of(future)
        del future  # the scheduler may forget it
        yield Done(pair, outcome, order.checksum(self.common))
        if outcome.data:
            self.follow(chain, pair, outcome.data)
        yield from self.advance(chain)

    def follow(self, chain: Chain, pair: Pair, data: bytes) -> None:
        """Let the next picture of a chain start from this one, if that is wanted."""
        if self.from_previous:
            chain.previous = File(pair.output, data)


def outcome_of(future: Future) -> Outcome:
    """What came back from a worker, or why nothing did.

    Raises
    ------
    InputError
        If the scheduler is gone.
    """
    if future.status in ("cancelled", "lost"):
        raise InputError(GONE)
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, KilledWorker):
        count = error.allowed_failures + 1
        return Outcome(
            reason=f"{count} workers have died while they had it; there may be not enough memory for it"
        )
    return Outcome(reason=in_one_line(error))


def kept(pair: Pair, line: dict) -> Done:
    """A picture of an earlier run, with what the journal tells of it."""
    told = {}
    for field, kinds in (("seconds", (int, float)), ("iterations", int), ("job", str), ("worker", str)):
        if isinstance(line.get(field), kinds):
            told[field] = line[field]
    notes = line.get("notes")
    if isinstance(notes, list):
        told["notes"] = tuple(map(str, notes))
    return Done(pair, dataclasses.replace(Outcome(), **told), str(line["checksum"]), is_kept=True)

"""One picture in the studio's list: what was asked for, and how far it is."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..checkpoint import Record
from ..errors import InputError
from ..settings import Settings
from .order import Order, is_number

WAITING, PAINTING, FINISHED, STOPPED, FAILED = "waiting", "painting", "finished", "stopped", "failed"
STATES = WAITING, PAINTING, FINISHED, STOPPED, FAILED
NUMBERS_SHOWN = 6  # digits of a loss
MOST_NOTES = 10
KILLED = "The server ended while it was being painted."
NOT_BEGUN = "The server ended while it waited in line."


@dataclass
class Painting:
    """A picture in the list.

    Attributes
    ----------
    number : int
        Its name: counted from 1, never used again while it is there.
    order : Order
    state : one of `STATES`
    why : str
        A sentence on how it came into this state, where there is something to say.
    notes : list of str
        Of the package, while it was painted.
    records : list of list
        For each iteration: its number, size, content loss, style loss (both weighted), and the whole loss.
    seconds : float
        That it has taken so far.
    left : float or None
        Seconds that it will take, if that can be told.
    follows : int or None
        The number of the painting that this one took the place of.
    revision : int
        Of the studio's list, when this was last changed.
    version : int
        Counts the small pictures: a page asks for a new one when it grows.
    """

    number: int
    order: Order
    state: str = WAITING
    why: str = ""
    notes: list[str] = field(default_factory=list)
    records: list[list[float]] = field(default_factory=list)
    seconds: float = 0.0
    left: float | None = None
    follows: int | None = None
    revision: int = 0
    version: int = 0

    @classmethod
    def parse(cls, number: int, about: dict[str, Any]) -> "Painting":
        """The painting that a file tells of.

        Raises
        ------
        InputError
            If anything in it cannot be used.
        """
        state = about.get("state")
        if state not in STATES:
            raise InputError("a painting without a state")
        records = about.get("records")
        if not isinstance(records, list) or not all(is_row(row) for row in records):
            raise InputError("the losses of a painting are damaged")
        notes = [str(note) for note in about.get("notes") or []][:MOST_NOTES]
        seconds = about.get("seconds")
        return cls(
            number,
            Order.parse(about.get("order")),
            state,
            str(about.get("why", "")),
            notes,
            records,
            float(seconds) if is_number(seconds) else 0.0,
        )

    def as_json(self) -> dict[str, Any]:
        """What `parse` makes an equal painting of."""
        return {
            "order": self.order.as_json(),
            "state": self.state,
            "why": self.why,
            "notes": self.notes,
            "records": self.records,
            "seconds": round(self.seconds, 1),
        }

    def add_records(self, records: Iterable[Record], settings: Settings) -> None:
        """Take note of iterations."""
        for record in records:
            self.records.append(row_of(record, settings))
            self.seconds = record.seconds

    def note(self, message: str) -> None:
        """Keep what the package notes, each once."""
        if message not in self.notes and len(self.notes) < MOST_NOTES:
            self.notes.append(message)

    def is_settled(self) -> bool:
        """Whether nothing happens to it by itself."""
        return self.state not in (WAITING, PAINTING)

    def after_a_restart(self) -> None:
        """Say what has become of it if the server has ended meanwhile."""
        if not self.is_settled():
            self.why = KILLED if self.state == PAINTING else NOT_BEGUN
            self.state = STOPPED

    def copy(self) -> "Painting":
        """The painting as it is now."""
        return dataclasses.replace(self, notes=list(self.notes), records=list(self.records))


def row_of(record: Record, settings: Settings) -> list[float]:
    """An iteration as the page draws it: number, size, weighted content and style loss, and the whole loss."""
    content = settings.alpha * record.losses.get("content", 0.0)
    losses = content, record.total - content, record.total
    return [record.iteration, record.size, *map(rounded, losses)]


def rounded(loss: float) -> float:
    """A loss with as many digits as are shown. What is not finite has no place in JSON, and becomes 0."""
    return float(f"{loss:.{NUMBERS_SHOWN}g}") if math.isfinite(loss) else 0.0


def is_row(row: Any) -> bool:
    """Whether a value can be what `row_of` has made."""
    return isinstance(row, list) and len(row) == 5 and all(is_number(value) for value in row)

"""What an optimizer remembers, where another run goes on with it."""

from collections.abc import Iterable, Mapping

from ..arrays import Array
from ..errors import InputError

NOT_ITS_HISTORY = "the state to resume from has nothing that this optimizer remembers"


def check_history(
    history: Mapping[str, Array], image: Array, arrays: Iterable[str], numbers: Iterable[str] = ()
) -> None:
    """Raise InputError unless a history has these arrays, like the image, and these numbers, and no more."""
    expected = dict.fromkeys(arrays, image.shape) | dict.fromkeys(numbers, ())
    if {name: getattr(value, "shape", ()) for name, value in history.items()} != expected:
        raise InputError(NOT_ITS_HISTORY)

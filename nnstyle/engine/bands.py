"""Operations on bands of rows, which threads share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..arrays import Array

if TYPE_CHECKING:
    from .engine import Engine

# Size of a band. Small enough that the next operation still finds it in the processor's cache.
BAND_BYTES = 1_000_000


def in_bands(engine: "Engine", function: Callable, first: Array, *others: Array) -> list[Any]:
    """Call ``function(first, *others)`` on bands of rows and return the results in order.

    Parameters
    ----------
    engine : Engine
        Its threads share the bands. On a GPU there is one band, the whole arrays.
    function : callable
        Takes the same band of each array, and usually writes its result into one of them.
    first, *others : arrays
        The others have as many rows as the first, or a multiple of it. Where the arrays are cut
        depends on their sizes alone, not on the number of threads.
    """
    if not engine.device.uses_bands:
        return [function(first, *others)]
    arrays = [(array, len(array) // max(1, len(first))) for array in (first, *others)]
    count = max(1, min(len(first), max(array.nbytes for array, _ in arrays) // BAND_BYTES))
    edges = [len(first) * i // count for i in range(count + 1)]

    def band(i):
        return function(*(array[edges[i] * n : edges[i + 1] * n] for array, n in arrays))

    return engine.map(band, range(count))

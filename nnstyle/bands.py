"""Operations on bands of rows, by the threads and in the memory of workers, where there are any."""

from .backend import library_of

# Rows worked on at a time: what one operation leaves in the cache, the next one finds there.
BAND_BYTES = 1_000_000


def empty(workers, shape, like, dtype=None):
    """An array with undefined contents, of the library and type of `like`; from workers, if given."""
    dtype = dtype or like.dtype
    return workers.empty(shape, dtype) if workers else library_of(like).empty(shape, dtype=dtype)


def in_bands(workers, function, first, *others):
    """Call ``function(first, *others)`` on bands of rows, at once, and return the results in order.

    Parameters
    ----------
    workers : Workers or None
        Without workers, and on a device, there is one band, everything.
    function : callable
        Takes the same band of each array and writes its result into one of them.
    first, *others : arrays
        The others have as many rows as the first, or a multiple of that. How they are cut
        depends on their sizes alone, not on the number of threads.
    """
    if not workers or workers.whole:
        return [function(first, *others)]
    arrays = [(array, len(array) // max(1, len(first))) for array in (first, *others)]
    count = max(1, min(len(first), max(array.nbytes for array, _ in arrays) // BAND_BYTES))
    edges = [len(first) * i // count for i in range(count + 1)]
    return workers.each(
        lambda i: function(*(array[edges[i] * n : edges[i + 1] * n] for array, n in arrays)), range(count)
    )

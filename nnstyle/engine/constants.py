"""Arrays that never change, and what has been computed from them."""

import weakref
from collections.abc import Callable
from typing import Any

from ..arrays import Array


class ConstantCache:
    """Remembers results of functions for as long as the array that they were computed from lives.

    It keeps no array alive: when the last network that uses a kernel is gone, so is everything
    computed from that kernel.

    Parameters
    ----------
    when_empty : weak reference to a method
        Called when the last array is gone, which may be at any moment and in any thread.
    """

    def __init__(self, when_empty: weakref.WeakMethod) -> None:
        self._when_empty = when_empty
        # By the array's id. The reference is there to remove an entry when its array dies, before
        # another array can get the same id.
        self._entries: dict[int, tuple[weakref.ref, dict[Any, Any]]] = {}

    def register(self, array: Array) -> None:
        """From now on, keep what is computed from this array."""
        key, entries, when_empty = id(array), self._entries, self._when_empty

        def forget(_: weakref.ref) -> None:
            entries.pop(key, None)
            method = when_empty()
            if method and not entries:
                method()

        entries[key] = weakref.ref(array, forget), {}

    def __call__(self, function: Callable, array: Array, *arguments: Any) -> Any:
        """Return ``function(array, *arguments)``, computed only once if the array is registered.

        The result must be a new array: a view would keep the array alive.
        """
        reference, results = self._entries.get(id(array), (None, {}))
        if reference is None or reference() is not array:
            return function(array, *arguments)
        key = function, *arguments
        result = results.get(key)
        if result is None:
            result = results[key] = function(array, *arguments)
        return result

    def clear(self) -> None:
        """Forget all results; the arrays stay registered."""
        for _, results in list(self._entries.values()):
            results.clear()

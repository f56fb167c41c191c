"""Which array library: the one the array at hand belongs to."""


def library_of(array):
    """Return the module whose functions work on `array`.

    NumPy's arrays answer with ``numpy`` and CuPy's with ``cupy`` (both through the
    array API standard's ``__array_namespace__``), so the layers, the network and the
    losses run on either without knowing which, and CuPy need not be installed.
    """
    return array.__array_namespace__()

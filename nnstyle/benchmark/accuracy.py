"""How exact the gradient of the image is: against PyTorch in float64."""

import numpy as np

from ..backend import to_host
from . import work


def gradient_errors(network, size, pictures, workers, meter):
    """Relative errors of the gradient, ours and those of PyTorch in the same arithmetic.

    Parameters
    ----------
    network, size : as for `nnstyle.benchmark.work.evaluation`
    pictures : int
        At how many different ones: what a ReLU close to 0 changes is a matter of luck (lesson 6).

    Returns
    -------
    dict
        {"nnstyle": [error, ..], "PyTorch": [error, ..]}, where an error is the length of the
        difference over the length of the float64 gradient.
    """
    errors = {"nnstyle": [], "PyTorch": []}
    for seed in range(1, pictures + 1):
        how = network, size, workers
        exact = gradient_of(meter.torch_evaluation(*how, channels_last=True, seed=seed, double=True))
        theirs = gradient_of(meter.torch_evaluation(*how, channels_last=True, seed=seed, tf32=meter.tf32))
        ours = gradient_of(work.evaluation(*how, meter.device, seed))
        errors["nnstyle"].append(relative_error(ours, exact))
        errors["PyTorch"].append(relative_error(theirs, exact))
        workers.clear()  # the next picture comes with weights of its own
    return errors


def relative_error(gradient, exact):
    """The length of the difference over that of the second, as a float."""
    return float(np.linalg.norm(gradient - exact) / np.linalg.norm(exact))


def gradient_of(evaluate):
    """The second thing that an evaluation returns, as an array of NumPy's."""
    return on_host(evaluate()[1])


def on_host(gradient):
    """An array of NumPy's, from any of our libraries or from PyTorch."""
    return gradient.numpy(force=True) if hasattr(gradient, "numpy") else to_host(gradient)

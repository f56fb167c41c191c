"""One network at one size: the figures of a line of the table."""

import statistics
import time

from . import work
from .accuracy import gradient_errors, on_host, relative_error
from .lbfgs import EVALUATIONS_PER_ITERATION
from .profile import profile

# How far loss and gradient may be from PyTorch's, relative: in float32, and where either has TF32. PyTorch
# with all factors rounded as TF32 rounds them, on a processor, differed by up to 8e-4 and 1.8e-2.
DIFFERENCES = {False: (1e-3, 1e-2), True: (1e-2, 5e-2)}

# Seconds before each evaluation: PyTorch's threads spin for a while before they sleep, which took up to
# 8 % from what ran after them.
REST = 0.02


def measure(network, size, arguments, workers, meter, rates):
    """Everything that was asked for about one network at one size, as a dict."""
    result = {"network": network, "size": size}
    result |= measure_speed(network, size, arguments, workers, meter)
    seconds, (rate, *_) = result["seconds"], rates.values()
    share = work.operations(work.make_weights(network), size) / seconds / rate
    optimizers = meter.optimizers(size)
    chosen = meter.choose(optimizers)
    result |= {
        "share of products": share,
        "share of Winograd": share / work.FEWER_PRODUCTS,
        "L-BFGS-B seconds": optimizers["lbfgs"],
        "nnstyle.lbfgs seconds": optimizers["lbfgs-device"],
        "optimizer": chosen,
        "optimizer seconds": optimizers[chosen],
        "seconds of 300 iterations": 300 * (EVALUATIONS_PER_ITERATION * seconds + optimizers[chosen]),
    }
    result |= meter.limits(network, size, seconds, workers, rates)
    workers.clear()
    if arguments.profile:
        make = lambda: work.evaluation(network, size, workers, meter.device)
        result["profile"] = dict(profile(make, arguments.rounds, meter.wait))
        workers.clear()
    if arguments.accuracy:
        try:
            result["gradient errors"] = gradient_errors(network, size, arguments.rounds, workers, meter)
        except (MemoryError, RuntimeError) as error:  # PyTorch's, where float64 does not fit
            result["left out"]["error of the gradient"] = in_one_line(error)
        workers.clear()
    if arguments.memory:
        kinds = ("usual", "low") + (("torch",) if arguments.against_torch else ())
        result["memory"] = meter.memory(network, size, kinds, workers)
    return result


def measure_speed(network, size, arguments, workers, meter):
    """Seconds of an evaluation here and, if asked for, in PyTorch: the fastest way of the same arithmetic."""
    candidates = {"nnstyle": work.evaluation(network, size, workers, meter.device)}
    clocks, left_out = {"nnstyle": meter.seconds_of}, {}
    for name, options in meter.variants.items() if arguments.against_torch else ():
        try:
            theirs = meter.torch_evaluation(network, size, workers, **options)
            tf32 = meter.tf32 or options.get("tf32", False)
            check_agreement({"nnstyle": candidates["nnstyle"], name: theirs}, *DIFFERENCES[tf32])
        except Exception as error:  # noqa: BLE001 (compilers and cards fail in ways of their own)
            left_out[name] = in_one_line(error)
            continue
        candidates[name], clocks[name] = theirs, meter.torch_seconds_of
    all_seconds = alternate(candidates, arguments.rounds, clocks)
    medians = {name: statistics.median(seconds) for name, seconds in all_seconds.items()}
    result = {"all seconds": all_seconds, "seconds": medians.pop("nnstyle"), "left out": left_out}
    same = [medians[name] for name in medians if meter.variants[name].get("tf32", False) == meter.tf32]
    if same:
        result |= {"PyTorch seconds": min(same), "ratio": min(same) / result["seconds"]}
    return result


def in_one_line(error):
    """What went wrong, without line ends, and not all of a long story."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def check_agreement(candidates, loss_difference=1e-3, gradient_difference=1e-2):
    """Raise AssertionError unless all compute the same: else their times could not be compared."""
    (loss, gradient), *others = (evaluate() for evaluate in candidates.values())
    gradient = on_host(gradient)
    for its_loss, its_gradient in others:
        error = relative_error(on_host(its_gradient), gradient)
        if not (abs(its_loss / loss - 1) < loss_difference and error < gradient_difference):
            raise AssertionError(
                f"PyTorch computes something else: loss {its_loss} for {loss}, error {error}"
            )


def alternate(candidates, rounds, clocks=None):
    """Seconds of each candidate, taken in turn so that a busy moment meets them all.

    Parameters
    ----------
    candidates : dict of name to function
    rounds : int
    clocks : dict of name to function, optional
        What tells the seconds that a call of that candidate takes.
    """
    for evaluate in candidates.values():
        evaluate()  # what is done once
    seconds = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, evaluate in candidates.items():
            time.sleep(REST)
            seconds[name].append((clocks or {}).get(name, work.seconds_of)(evaluate))
    return seconds

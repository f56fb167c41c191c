"""One network at one size: the figures of a line of the table."""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..engine import Engine
from ..errors import in_one_line
from . import work
from .accuracy import gradient_errors, on_host, relative_error
from .lbfgs import EVALUATIONS_PER_ITERATION
from .meter import Evaluation, Meter
from .profile import profile

# How far loss and gradient may be from PyTorch's, relative: in float32, and where either has TF32. PyTorch
# with all factors rounded as TF32 rounds them, on a processor, differed by up to 8e-4 and 1.8e-2.
DIFFERENCES = {False: (1e-3, 1e-2), True: (1e-2, 5e-2)}

# Seconds before each evaluation: PyTorch's threads spin for a while before they sleep, which took up to
# 8 % from what ran after them.
REST = 0.02

# Calls a function, and returns how many seconds that took.
Clock = Callable[[Callable[[], object]], float]


def measure(
    network: str,
    size: int,
    arguments: argparse.Namespace,
    engine: Engine,
    meter: Meter,
    rates: dict[str, float],
) -> dict[str, Any]:
    """Everything that was asked for about one network at one size.

    Parameters
    ----------
    network, size, engine : as for `nnstyle.benchmark.work.evaluation`
    arguments : argparse.Namespace
        Of the command.
    meter : Meter
        Of the engine's device.
    rates : dict
        What `Meter.rates` returned.
    """
    result: dict[str, Any] = {"network": network, "size": size}
    result |= measure_speed(network, size, arguments, engine, meter)
    seconds, (rate, *_) = result["seconds"], rates.values()
    share = work.operations(work.make_weights(network), size) / seconds / rate
    optimizers = meter.optimizers(size)
    chosen = meter.choose(optimizers)
    result |= {
        "share of products": share,
        "share of Winograd": share / work.FEWER_PRODUCTS,
        "L-BFGS-B seconds": optimizers["lbfgs"],
        "nnstyle.lbfgs seconds": optimizers["lbfgs-nnstyle"],
        "optimizer": chosen,
        "optimizer seconds": optimizers[chosen],
        "seconds of 300 iterations": 300 * (EVALUATIONS_PER_ITERATION * seconds + optimizers[chosen]),
    }
    result |= meter.limits(network, size, seconds, engine, rates)
    engine.clear()
    if arguments.profile:
        result["profile"] = dict(
            profile(lambda: work.evaluation(network, size, engine), engine, arguments.rounds, meter.wait)
        )
        engine.clear()
    if arguments.accuracy:
        try:
            result["gradient errors"] = gradient_errors(network, size, arguments.rounds, engine, meter)
        except (MemoryError, RuntimeError) as error:  # PyTorch's, where float64 does not fit
            result["left out"]["error of the gradient"] = in_one_line(error)
        engine.clear()
    if arguments.memory:
        kinds = ("usual", "low") + (("torch",) if arguments.against_torch else ())
        result["memory"] = meter.memory(network, size, kinds, engine)
    return result


def measure_speed(
    network: str, size: int, arguments: argparse.Namespace, engine: Engine, meter: Meter
) -> dict[str, Any]:
    """Seconds of an evaluation here and, if asked for, in PyTorch: the fastest way of the same arithmetic."""
    candidates: dict[str, Evaluation] = {"nnstyle": work.evaluation(network, size, engine)}
    clocks: dict[str, Clock] = {"nnstyle": meter.seconds_of}
    left_out: dict[str, str] = {}
    for name, options in meter.variants.items() if arguments.against_torch else ():
        try:
            theirs = meter.torch_evaluation(network, size, engine, **options)
            tf32 = meter.tf32 or options.get("tf32", False)
            check_agreement({"nnstyle": candidates["nnstyle"], name: theirs}, *DIFFERENCES[tf32])
        except Exception as error:  # noqa: BLE001 (compilers and GPUs fail in ways of their own)
            left_out[name] = in_one_line(error)
            continue
        candidates[name], clocks[name] = theirs, meter.torch_seconds_of
    all_seconds = alternate(candidates, arguments.rounds, clocks)
    medians = {name: statistics.median(seconds) for name, seconds in all_seconds.items()}
    result: dict[str, Any] = {
        "all seconds": all_seconds,
        "seconds": medians.pop("nnstyle"),
        "left out": left_out,
    }
    same = [medians[name] for name in medians if meter.variants[name].get("tf32", False) == meter.tf32]
    if same:
        result |= {"PyTorch seconds": min(same), "ratio": min(same) / result["seconds"]}
    return result


def check_agreement(
    candidates: dict[str, Evaluation], loss_difference: float = 1e-3, gradient_difference: float = 1e-2
) -> None:
    """Raise AssertionError unless all compute the same: else their times could not be compared."""
    (loss, gradient), *others = (evaluate() for evaluate in candidates.values())
    gradient = on_host(gradient)
    for its_loss, its_gradient in others:
        error = relative_error(on_host(its_gradient), gradient)
        if not (abs(its_loss / loss - 1) < loss_difference and error < gradient_difference):
            raise AssertionError(
                f"PyTorch computes something else: loss {its_loss} for {loss}, error {error}"
            )


def alternate(
    candidates: Mapping[str, Callable[[], object]],
    rounds: int,
    clocks: Mapping[str, Clock] | None = None,
) -> dict[str, list[float]]:
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
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, evaluate in candidates.items():
            time.sleep(REST)
            seconds[name].append((clocks or {}).get(name, work.seconds_of)(evaluate))
    return seconds

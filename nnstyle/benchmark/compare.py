"""One network at one size: the figures of a line of the table."""

import statistics

import numpy as np
from threadpoolctl import threadpool_limits

from . import against_torch, work
from .lbfgs import EVALUATIONS_PER_ITERATION, lbfgs_seconds
from .peak import peak_memory
from .profile import profile

HEADER = "network size  seconds  s/megapixel  x plain products  of Winograd's  L-BFGS-B s  300 iter. m:ss"
TORCH_HEADER = "  PyTorch  ratio"


def measure(network, size, arguments, workers, rate):
    """Everything that was asked for about one network at one size, as a dict."""
    result = {"network": network, "size": size}
    result |= measure_speed(network, size, arguments, workers)
    share = work.operations(work.make_weights(network), size) / result["seconds"] / rate
    lbfgs = lbfgs_seconds(size)
    result |= {
        "share of products": share,
        "share of Winograd": share / work.FEWER_PRODUCTS,
        "L-BFGS-B seconds": lbfgs,
        "seconds of 300 iterations": 300 * (EVALUATIONS_PER_ITERATION * result["seconds"] + lbfgs),
    }
    workers.clear()
    if arguments.profile:
        shares = profile(lambda: work.evaluation(network, size, workers), arguments.rounds)
        result["profile"] = dict(shares)
        workers.clear()
    if arguments.memory:
        kinds = ("usual", "low") + (("torch",) if arguments.against_torch else ())
        result["memory"] = {how: peak_memory(network, size, how, workers.threads) for how in kinds}
    return result


def measure_speed(network, size, arguments, workers):
    """Seconds of an evaluation here and, if asked for, in PyTorch's faster layout."""
    candidates = {"nnstyle": work.evaluation(network, size, workers)}
    if arguments.against_torch:
        for layout in ("channels last", "channels first"):
            candidates[f"PyTorch, {layout}"] = torch_evaluation(network, size, workers, layout)
        check_agreement(candidates)
    all_seconds = alternate(candidates, arguments.rounds)
    ours, *others = (statistics.median(seconds) for seconds in all_seconds.values())
    result = {"all seconds": all_seconds, "seconds": ours}
    return result | ({"PyTorch seconds": min(others), "ratio": min(others) / ours} if others else {})


def torch_evaluation(network, size, workers, layout):
    """PyTorch's twin, with as many threads for its own matrix products as for its convolutions."""
    evaluate = against_torch.evaluation(network, size, workers.threads, layout == "channels last")

    def with_threads():
        with threadpool_limits(workers.threads, user_api="blas"):
            return evaluate()

    return with_threads


def check_agreement(candidates):
    """Raise AssertionError unless all compute the same: else their times could not be compared."""
    (loss, gradient), *others = (evaluate() for evaluate in candidates.values())
    for its_loss, its_gradient in others:
        error = np.linalg.norm(gradient - its_gradient) / np.linalg.norm(gradient)
        if not (abs(its_loss / loss - 1) < 1e-3 and error < 1e-2):
            raise AssertionError(
                f"PyTorch computes something else: loss {its_loss} for {loss}, error {error}"
            )


def alternate(candidates, rounds):
    """Seconds of each candidate, taken in turn so that a busy moment meets them all."""
    for evaluate in candidates.values():
        evaluate()  # what is done once
    seconds = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, evaluate in candidates.items():
            seconds[name].append(work.seconds_of(evaluate))
    return seconds


def describe(result):
    """A line of the table, and lines below it for what else was measured."""
    minutes, seconds = divmod(round(result["seconds of 300 iterations"]), 60)
    per_megapixel = result["seconds"] / result["size"] ** 2 * 1e6
    line = (
        f"{result['network']:7} {result['size']:4} {result['seconds']:8.3f} {per_megapixel:12.2f}"
        f" {result['share of products']:17.2f} {result['share of Winograd']:14.0%}"
        f" {result['L-BFGS-B seconds']:11.3f} {minutes:13}:{seconds:02}"
    )
    if "ratio" in result:
        line += f" {result['PyTorch seconds']:8.3f} {result['ratio']:6.2f}"
    lines = [line]
    shares = result.get("profile", {})
    for name, value in shares.items():
        lines.append(f"{name:>36} {1000 * value:8.1f} ms {value / sum(shares.values()):6.1%}")
    for how, peak in result.get("memory", {}).items():
        lines.append(f"{how + ' memory':>36} {peak / 1e6:8.0f} MB" if peak else f"{how} memory: failed")
    return "\n".join(lines)

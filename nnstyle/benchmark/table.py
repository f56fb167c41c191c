"""What the benchmark prints."""

import statistics
from typing import Any

HEADER = "network size  seconds  s/megapixel  x plain products  of Winograd's  L-BFGS-B s  300 iter. m:ss"
TORCH_HEADER = "  PyTorch  ratio"


def header(against_torch: bool, decimals: int) -> str:
    """The table's first line; on a GPU, the optimizer is the faster of two."""
    line = HEADER + (TORCH_HEADER if against_torch else "")
    return line.replace("L-BFGS-B s", "  L-BFGS s") if decimals else line


def describe(result: dict[str, Any], decimals: int = 0) -> str:
    """A line of the table, and lines below it for what else was measured."""
    minutes, seconds = divmod(round(result["seconds of 300 iterations"]), 60)
    per_megapixel = result["seconds"] / result["size"] ** 2 * 1e6
    line = (
        f"{result['network']:7} {result['size']:4} {result['seconds']:8.{3 + decimals}f}"
        f" {per_megapixel:12.{2 + decimals}f}"
        f" {result['share of products']:17.2f} {result['share of Winograd']:14.0%}"
        f" {result['optimizer seconds']:11.{3 + decimals}f} {minutes:13}:{seconds:02}"
    )
    if "ratio" in result:
        line += f" {result['PyTorch seconds']:8.{3 + decimals}f} {result['ratio']:6.2f}"
    lines = [line]
    if "floor seconds" in result:
        lines += describe_limits(result)
    lines += [f"{name + ' left out':>36}: {reason}" for name, reason in result["left out"].items()]
    shares = result.get("profile", {})
    for name, value in shares.items():
        lines.append(f"{name:>36} {1000 * value:8.1f} ms {value / sum(shares.values()):6.1%}")
    for name, errors in result.get("gradient errors", {}).items():
        title = f"{name}: error of the gradient"
        lines.append(
            f"{title:>36} {statistics.median(errors):10.1e}, at most {max(errors):.1e} of {len(errors)}"
        )
    for how, peak in result.get("memory", {}).items():
        lines.append(f"{how + ' memory':>36} {peak / 1e6:8.0f} MB" if peak else f"{how} memory: failed")
    return "\n".join(lines)


def describe_limits(result: dict[str, Any]) -> list[str]:
    """On a GPU: how near its limits this comes, each way to run PyTorch, and both optimizers."""
    seconds, lines = result["seconds"], []
    for name in ("floor seconds", "floor of direct convolutions"):
        title = name.replace(" seconds", " of convolutions as done here")
        lines.append(f"{title:>36} {1000 * result[name]:8.2f} ms {result[name] / seconds:6.1%}")
    for name in ("share of matmul rate", "share of bandwidth"):
        lines.append(f"{name:>36} {result[name]:18.1%}")
    for name, all_seconds in result["all seconds"].items():
        median = statistics.median(all_seconds)
        lines.append(f"{name:>36} {1000 * median:8.2f} ms {median / seconds:6.2f}")
    for name in ("L-BFGS-B seconds", "nnstyle.lbfgs seconds"):
        title = name.removesuffix(" seconds") + " an iteration"
        lines.append(f"{title:>36} {1000 * result[name]:8.2f} ms")
    return lines


def describe_largest(network: str, sizes: dict[str, int]) -> str:
    """The largest pictures that fit, estimated and tried."""
    found = ", ".join(f"{size} px {how}" for how, size in sizes.items())
    return f"{network}: the largest square that fits, to 32 px: {found}"

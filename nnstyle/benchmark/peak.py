"""The peak memory of one evaluation, each in a process of its own."""

import resource
import subprocess
import sys

from ..engine import Engine
from . import against_torch, work


def peak_memory(network: str, size: int, how: str, threads: int) -> int | None:
    """Bytes that a process needs at most for evaluations ("usual", "low" or "torch"); None if it failed."""
    code = f"from nnstyle.benchmark.peak import evaluate; evaluate({network!r}, {size}, {how!r}, {threads})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if result.returncode:
        return None  # killed, most likely because there is not enough memory
    return int(result.stdout)


def evaluate(network: str, size: int, how: str, threads: int) -> None:
    """Evaluate twice, and print the peak memory of this process."""
    if how == "torch":
        function = against_torch.evaluation(network, size, threads, channels_last=True)
        function(), function()
    else:
        with Engine(threads=threads, low_memory=how == "low") as engine:
            function = work.evaluation(network, size, engine)
            function(), function()
    print(peak_so_far())


def peak_so_far() -> int:
    """Bytes that this process had in memory at most."""
    try:
        with open("/proc/self/status") as lines:  # Linux, whose ru_maxrss begins at the parent's
            return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS

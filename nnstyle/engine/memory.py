"""How much memory is free."""

import math
import os


def available() -> float:
    """Bytes of memory that this process may still use, as far as the system tells."""
    limits = [math.inf]
    try:
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        with open("/proc/meminfo") as lines:  # Linux
            limits += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        group = "/sys/fs/cgroup/memory"  # a container's own limit
        with open(f"{group}.max") as most, open(f"{group}.current") as used, open(f"{group}.stat") as kinds:
            cached = sum(int(line.split()[1]) for line in kinds if line.startswith("inactive_file "))
            limits.append(int(most.read()) - int(used.read()) + cached)
    except (AttributeError, OSError, ValueError):  # not told here, or "max" for no limit
        pass
    return min(limits)

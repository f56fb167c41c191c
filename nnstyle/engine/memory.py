"""How much memory is free: the least of what the machine, its groups and the process's own limits leave."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

# Address space that each thread takes and hardly uses: its stack, and OpenBLAS's buffer for its factors.
BYTES_OF_A_THREAD = 4e7
MOST_THREADS = 1000  # no machine starts more of them for one picture
# What malloc reserves for the first thread, and the buffer of SciPy's own OpenBLAS. Where that
# buffer finds no room, OpenBLAS tries again for ever, deaf to Ctrl-C.
BYTES_OF_MALLOC = 1e8

# The names that the two versions of control groups have for: limit, usage, limit and usage with swap, and
# the kinds of memory in memory.stat. Version 2 counts swap by itself.
Names = dict[str, str]
VERSION_2: Names = {
    "limit": "memory.max",
    "usage": "memory.current",
    "swap limit": "memory.swap.max",
    "swap usage": "memory.swap.current",
    "prefix": "",
    "mapped": "file_mapped",
}
VERSION_1: Names = {
    "limit": "memory.limit_in_bytes",
    "usage": "memory.usage_in_bytes",
    "swap limit": "memory.memsw.limit_in_bytes",
    "swap usage": "memory.memsw.usage_in_bytes",
    "prefix": "total_",
    "mapped": "mapped_file",
}


def available(swap: bool = False, threads: int = 1, root: str | os.PathLike = "/") -> float:
    """Bytes of memory that this process may still use, as far as the system tells.

    Parameters
    ----------
    swap : bool
        Count what can be swapped out to a disk as well: slow, but no failure.
    threads : int
        How many will compute: room for their stacks is left.
    root : path
        The folder of the system's files, for tests.
    """
    top = Path(root)
    swap_room = kilobytes(top / "proc/meminfo").get("SwapFree", 0.0) if swap else 0.0
    limits = [of_machine(top, swap), of_process(top, threads)]
    limits += [of_group(group, names, swap_room) for group, names in groups(top)]
    return max(0.0, min(limits))


def of_machine(root: Path, swap: bool) -> float:
    """Bytes that the machine has free."""
    told = kilobytes(root / "proc/meminfo")
    if "MemAvailable" in told:  # Linux
        return told["MemAvailable"] + (told.get("SwapFree", 0.0) if swap else 0.0)
    if swap:  # elsewhere swap grows by itself
        return math.inf
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not told here
        return math.inf


def of_process(root: Path, threads: int) -> float:
    """Bytes that the limits of this process, ``ulimit -v`` and ``ulimit -d``, leave beside so many threads."""
    used = kilobytes(root / "proc/self/status")
    if resource is None or "VmSize" not in used:  # macOS has such limits, too, but does not keep them
        return math.inf
    reserved = min(threads, MOST_THREADS) * BYTES_OF_A_THREAD + BYTES_OF_MALLOC
    room = math.inf
    for limit, usage in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        most = resource.getrlimit(limit)[0]
        if most != resource.RLIM_INFINITY:
            room = min(room, most - used[usage] - reserved)
    return room


def groups(root: Path) -> Iterator[tuple[Path, Names]]:
    """The folders of this process's control groups, from the innermost to the outermost that is visible."""
    paths = {}
    for line in lines_of(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)  # 4:memory:/a/b, or 0::/a/b for version 2
        paths[controllers] = path
    by_controller = {name: path for names, path in paths.items() for name in names.split(",")}
    for line in lines_of(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        mounted, folder = before.split()[3:5]
        kind, *_, options = after.split()
        if kind == "cgroup2" and "" in by_controller:
            path, names = by_controller[""], VERSION_2
        elif kind == "cgroup" and "memory" in options.split(",") and "memory" in by_controller:
            path, names = by_controller["memory"], VERSION_1
        else:
            continue
        top = root / folder.lstrip("/")
        for group in ancestors(path, mounted):
            yield top / group, names


def ancestors(path: str, mounted: str) -> list[str]:
    """A group and all around it, relative to the one that is mounted.

    In a container that may be the process's own group, or one that its path does not lead to.
    """
    try:
        inside = Path(path).relative_to(mounted)
    except ValueError:
        inside = Path()
    if ".." in inside.parts:
        inside = Path()
    return [str(inside), *map(str, inside.parents)]


def of_group(group: Path, names: Names, swap_room: float) -> float:
    """Bytes that a control group leaves; infinite where it has no limit.

    Files in the cache count as used there, but are dropped when memory is asked for. Only those that are
    mapped, such as the libraries of a running program, are needed.
    """
    limit, usage = number(group / names["limit"]), number(group / names["usage"])
    kinds = dict(line.split() for line in lines_of(group / "memory.stat"))
    cached = sum(int(kinds.get(names["prefix"] + kind, 0)) for kind in ("inactive_file", "active_file"))
    cached = max(0, cached - int(kinds.get(names["prefix"] + names["mapped"], 0)))
    room = limit - usage + cached
    if not swap_room:
        return room
    with_swap = number(group / names["swap limit"]) - number(group / names["swap usage"])
    if names is VERSION_1:  # where it counts memory and swap together
        return min(room + swap_room, with_swap + cached)
    return room + min(swap_room, max(0.0, with_swap))


def number(path: Path) -> float:
    """The number in a file of a control group: infinite for "max", and for a limit where there is no file."""
    text = "".join(lines_of(path))
    if text.isdecimal():
        return int(text)
    return 0.0 if path.name.endswith(("current", "usage_in_bytes")) else math.inf


def kilobytes(path: Path) -> dict[str, float]:
    """The figures of a file with lines such as ``MemFree: 8 kB``, in bytes; none where there is no file."""
    words = [line.split() for line in lines_of(path)]
    return {line[0].rstrip(":"): 1024.0 * int(line[1]) for line in words if line[-1:] == ["kB"]}


def lines_of(path: Path) -> list[str]:
    """The lines of a file; none where it cannot be read."""
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []

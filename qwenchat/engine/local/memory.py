"""How much memory the devices of this machine have, and how much of it can be had now."""

import contextlib
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from qwenchat.engine.local import hardware

_CGROUPS = Path("/sys/fs/cgroup")
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
"""Where the two versions of control groups say what a container may have, what it has, and what of that is files."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """That of one device, in bytes."""

    device: str
    """cpu, cuda or mps."""
    total: int
    free: int
    """What can be had now."""


def here() -> tuple[DeviceMemory, ...]:
    """The devices, best first."""
    return tuple(of(device) for device in hardware.devices())


def of(device: str) -> DeviceMemory:
    """The memory of cpu, cuda or mps."""
    if device == "cpu":
        return _of_system(_CGROUPS)
    import torch  # noqa: PLC0415  (slow, and not needed for the CPU)

    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        kept = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return DeviceMemory(device, total, free + kept)
    total = int(torch.mps.recommended_max_memory())
    return DeviceMemory(device, total, total - int(torch.mps.driver_allocated_memory()))


def give_back() -> None:
    """Let other programs have the memory of a GPU that torch keeps for later."""
    torch = sys.modules.get("torch")
    if torch is None:
        return
    with contextlib.suppress(RuntimeError):  # a GPU that failed has nothing to give
        torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()


def _of_system(cgroups: Path) -> DeviceMemory:
    """The machine's memory, or what a container may have of it."""
    machine = psutil.virtual_memory()
    total, free = int(machine.total), int(machine.available)
    if sys.platform == "darwin":
        # macOS counts little as available, and makes room by compressing what other programs hold.
        free = max(free, total // 2)
    for names in _LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limit, used, files = _container(cgroups, *names)
            # Files that were read count as used, and are given up for the one who needs memory.
            total, free = min(total, limit), max(0, min(free, limit - used + files))
    limit, used = _address_space()
    return DeviceMemory("cpu", min(total, limit), max(0, min(free, limit - used)))


def _address_space() -> tuple[int, int]:
    """The bytes this process may map (`ulimit -v`), and those it has mapped; beyond them native code aborts."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return (sys.maxsize, 0) if limit == resource.RLIM_INFINITY else (limit, int(psutil.Process().memory_info().vms))


def _container(cgroups: Path, limit: str, used: str, kept: str, files: str) -> tuple[int, int, int]:
    """What it may have, what it has, and what of that is files; raises OSError or ValueError where nothing is said."""
    lines = (line.partition(" ") for line in (cgroups / kept).read_text().splitlines())
    of_files = next((int(value) for name, _, value in lines if name == files), 0)
    return int((cgroups / limit).read_text()), int((cgroups / used).read_text()), of_files

"""What a city's processes take: processor time and memory by role, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.running import Running
from citybrain.clock import SystemClock

ROLES = ("ingest", "worker", "pipeline", "api", "up", "desk", "cameras")
"""As `Running.pids` names them; `cameras` is the simulator, which stands for what is elsewhere in a city."""

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of processor time since the start of each process, and bytes of its own share of memory (PSS), by role."""

    at_s: float
    cpu_s: Mapping[str, float]
    memory: Mapping[str, int]

    def cores_since(self, before: Taken) -> dict[str, float]:
        """How many cores each role kept busy. Processes that died between are not seen."""
        passed = self.at_s - before.at_s
        return {role: round((self.cpu_s[role] - before.cpu_s.get(role, 0.0)) / passed, 3) for role in self.cpu_s}

    def memory_mb(self, roles: Iterable[str]) -> float:
        return sum(self.memory.get(role, 0) for role in roles) / 1e6


def taken(city: Running) -> Taken:
    cpu, memory = dict.fromkeys(ROLES, 0.0), dict.fromkeys(ROLES, 0)
    for role in ROLES:
        for pid in city.pids(role):
            with suppress(OSError, ValueError, IndexError):  # it may have ended meanwhile
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                cpu[role] += (int(fields[11]) + int(fields[12])) / _TICK
                memory[role] += memory_of(pid)
    return Taken(SystemClock().monotonic(), cpu, memory)


def memory_of(pid: int) -> int:
    """Bytes of its own share of memory (PSS)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0

"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

from detectors.processor import this_processor

_INSTRUCTIONS = ("amx_bf16", "avx512_vnni", "avx_vnni", "avx512f", "avx2")
"""What inference on a processor depends on, the best first."""


def machine() -> dict[str, Any]:
    """Processor, what it can do for inference, cores, and how busy it was with other things."""
    available = this_processor().flags
    return {
        "processor": processor(),
        "instructions": next(
            (each for each in _INSTRUCTIONS if each in available), "none of " + " ".join(_INSTRUCTIONS)
        ),
        "cores": os.cpu_count(),
        "load_1m": round(os.getloadavg()[0], 1),
        "python": sys.version.split()[0],
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Its name as Linux tells it, or what the platform says."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="ascii", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()

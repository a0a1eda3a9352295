"""Which precision this machine's processor is quickest in, without losing what the model sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["f32", "bf16", "int8"]

AMD = "AuthenticAMD"


@dataclass(frozen=True, slots=True)
class Processor:
    """Who made it and its feature flags, as Linux names them; empty where Linux is not."""

    vendor: str = ""
    flags: frozenset[str] = frozenset()

    @property
    def has_bf16(self) -> bool:
        """Whether it computes in bf16 at all; elsewhere OpenVINO takes f32 for it without a word."""
        return not self.flags.isdisjoint({"amx_bf16", "avx512_bf16"})

    @property
    def precision(self) -> Precision:
        """bf16 with AMX and on AMD's with AVX-512, else f32.

        Measured on one core: AMX bf16 2.1× f32 at .001 AP less; AMD's of the fifth generation 1.7× (docs/evaluation.md,
        "Detecting"), with what the model's card says. Intel's AVX-512 without AMX is slower in bf16 than in f32. int8 is
        quicker, too (1.95× with VNNI, 1.4× with AVX2 alone), but is nobody's default: what the shipped model loses by it
        stands in its card.
        """
        return "bf16" if "amx_bf16" in self.flags or (self.vendor == AMD and self.has_bf16) else "f32"


def this_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
    """As its first core tells."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return Processor()
    told: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        told.setdefault(name.strip(), value.strip())
    return Processor(told.get("vendor_id", ""), frozenset((told.get("flags") or told.get("Features", "")).split()))

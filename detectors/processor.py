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

        Measured on one core: AMX bf16 2.1× f32 at .001 AP less; an AMD EPYC's bf16 1.7× (the shipped graph of 384×640 alone:
        14.5 ms instead of 24.4). Intel's AVX-512 without AMX is slower in bf16 than in f32. int8 is quicker, too (1.95× with
        VNNI, 1.4× with AVX2 alone), but is nobody's default. What the shipped model loses by either stands in its card.
        """
        return "bf16" if "amx_bf16" in self.flags or (self.vendor == AMD and self.has_bf16) else "f32"


def this_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
    """As its first core tells."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except OSError:
        return Processor()
    first_core = text.partition("\n\n")[0]
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first_core.splitlines())}
    return Processor(told.get("vendor_id", ""), frozenset((told.get("flags") or told.get("Features", "")).split()))

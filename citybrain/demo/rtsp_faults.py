"""What can be wrong with a camera, by name: chosen in its address (`?fault=stall`) or set on the simulator.

401  404  503        answers so
silent               takes the connection, never answers
garbage              answers with bytes that are no RTSP
stall                answers everything, sends no media
nokeyframe           sends no keyframes
corrupt              keyframes are damaged
loss:0.02            that share of its packets is missing
fin:3                closes the connection after so many seconds
codec:other@3        after so many seconds sends the clip `other` under the old description
noreports            sends no sender reports
clock:3600           its clock is wrong by so many seconds
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs

KINDS = (
    "401",
    "404",
    "503",
    "silent",
    "garbage",
    "stall",
    "nokeyframe",
    "corrupt",
    "loss",
    "fin",
    "codec",
    "noreports",
    "clock",
)


@dataclass(frozen=True, slots=True)
class CameraFault:
    """One fault; `amount` are seconds or a share, `other` a clip's name."""

    kind: str
    amount: float = 0.0
    other: str = ""


def read_fault(text: str) -> CameraFault:
    """Raises ValueError naming what was found and what is known."""
    kind, _, argument = text.partition(":")
    if kind not in KINDS:
        raise ValueError(f"expected a fault such as {', '.join(KINDS)}, got {text!r}")
    other, _, amount = argument.rpartition("@") if kind == "codec" else ("", "", argument)
    try:
        return CameraFault(kind, float(amount or 0), other)
    except ValueError:
        raise ValueError(f"expected a number after {kind}:, got {text!r}") from None


def faults_of(query: str) -> list[CameraFault]:
    """The faults that an address asks for; what is not one is passed over, as cameras do."""
    found: list[CameraFault] = []
    for text in parse_qs(query).get("fault", []):
        try:
            found.append(read_fault(text))
        except ValueError:
            continue
    return found

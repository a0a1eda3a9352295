"""What can be wrong or unusual with a camera, by name: chosen in its address (`?fault=stall`) or set on the simulator.

401  404  503        answers so
silent               takes the connection, never answers
garbage              answers with bytes that are no RTSP
stall:3              sends no media after so many seconds (0: never any), and answers everything
noise:3              after so many seconds sends bytes that are neither packets nor messages
nokeyframe           sends no keyframes
corrupt              keyframes are damaged
loss:0.02            that share of its packets is missing
fin:3  rst:3         closes, or resets, the connection after so many seconds
bye:3                says goodbye after so many seconds (RTCP), and falls silent
codec:other@3        after so many seconds sends the clip `other` under the old description
sender:3             after so many seconds goes on as another sender (SSRC, numbers)
session:3            forgets the session after so many seconds (454)
timeout:4            hangs up on who was not heard of for so many seconds, and says so beforehand
noreports            sends no sender reports
clock:3600           its clock is wrong by so many seconds
login:basic          takes that login only: basic, md5, md5-qop, sha-256; stale forgets its nonce with each answer
redirect:other       is elsewhere: another name, or a whole address
outofband  inband    parameter sets in the description only, or in the stream only
fragments:200        packets hold no more than so many bytes
aggregate            small units travel together (STAP-A, AP)
extended             packets carry header extensions, sources and padding
markers:none         pictures end without a marker; all: each of their packets has one
odd                  answers with bare line feeds, strange header names, no CSeq
talkative            asks things itself, between the packets
reorder              datagrams overtake each other
notcp  noudp         refuses that way of sending (461)
jpeg  audio          describes a video of another codec, which it then has not, or none
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs

_NUMBERS = ("stall", "noise", "loss", "fin", "rst", "bye", "sender", "session", "timeout", "clock", "fragments")
_WORDS = ("login", "redirect", "markers")
_PLAIN = (
    "401",
    "404",
    "503",
    "silent",
    "garbage",
    "nokeyframe",
    "corrupt",
    "noreports",
    "outofband",
    "inband",
    "aggregate",
    "extended",
    "odd",
    "talkative",
    "reorder",
    "notcp",
    "noudp",
    "jpeg",
    "audio",
)
KINDS = (*_PLAIN, *_NUMBERS, "codec", *_WORDS)


@dataclass(frozen=True, slots=True)
class CameraFault:
    """One fault; `amount` are seconds, bytes or a share, `other` a clip's name or a word."""

    kind: str
    amount: float = 0.0
    other: str = ""


def read_fault(text: str) -> CameraFault:
    """Raises ValueError naming what was found and what is known."""
    kind, _, argument = text.partition(":")
    if kind not in KINDS:
        raise ValueError(f"expected a fault such as {', '.join(KINDS)}, got {text!r}")
    if kind in _WORDS:
        return CameraFault(kind, 0.0, argument)
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

"""What delivery gave up on beyond one machine: how the owner of a case hears of it, and how topic `dead-letters` keeps it.

locality-commands   {"v":1,"letter":"given-up",…}      the sender will not try again
                    {"v":1,"letter":"send-again",…}    a person wants it sent once more
dead-letters        {"v":1,"kind":"undelivered",…}     the letter, with its body
                    {"v":1,"kind":"sent-again",…}      it is no longer dead

Other messages of `dead-letters` are what the pipeline set aside: kind `unreadable`, `unknown` or `refused`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from citybrain.clock import iso
from citybrain.wire.fields import VERSION, Fields, dumps, instant_of, loads, need, versioned

_LETTER, _KIND = b'{"v":1,"letter":', b'{"v":1,"kind":'
_UNDELIVERED, _SENT_AGAIN = "undelivered", "sent-again"


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An endpoint did not take a case event: for `reason`, after so many attempts."""

    event: str
    endpoint: str
    locality: str
    attempts: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Letter:
    """A case event that an endpoint never took, as it is kept until somebody has it sent again."""

    event: str
    endpoint: str
    case: str
    locality: str
    attempts: int
    reason: str
    at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class SendAgain:
    """Somebody wants the letter sent once more, under the id it always had."""

    letter: Letter
    at: datetime


@dataclass(frozen=True, slots=True)
class SentAgain:
    """It is owed again: the letter is a letter no longer."""

    event: str
    endpoint: str
    at: datetime


def is_about_letter(raw: bytes) -> bool:
    """Whether a message of `locality-commands` is one of these."""
    return raw.startswith(_LETTER)


def write_about_letter(said: GivenUp | SendAgain) -> bytes:
    if isinstance(said, GivenUp):
        return dumps({"v": VERSION, "letter": "given-up", **_given_up(said)})
    return dumps({"v": VERSION, "letter": "send-again", "asked_at": iso(said.at), **_letter(said.letter)})


def read_about_letter(raw: bytes) -> GivenUp | SendAgain:
    fields = versioned(loads(raw))
    if need(fields, "letter", str) == "send-again":
        return SendAgain(_read_letter(fields), instant_of(fields, "asked_at"))
    return _read_given_up(fields)


def write_dead_letter(said: Letter | SentAgain) -> bytes:
    if isinstance(said, Letter):
        return dumps({"v": VERSION, "kind": _UNDELIVERED, **_letter(said)})
    again = {"id": said.event, "endpoint": said.endpoint, "at": iso(said.at)}
    return dumps({"v": VERSION, "kind": _SENT_AGAIN, **again})


def read_dead_letter(raw: bytes) -> Letter | SentAgain | None:
    """None for what was set aside, which most of `dead-letters` may be: it is told from its beginning."""
    if not raw.startswith((_KIND + b'"undelivered"', _KIND + b'"sent-again"')):
        return None
    fields = versioned(loads(raw))
    if fields["kind"] == _UNDELIVERED:
        return _read_letter(fields)
    return SentAgain(need(fields, "id", str), need(fields, "endpoint", str), instant_of(fields, "at"))


def _given_up(said: GivenUp) -> Fields:
    return {
        "id": said.event,
        "endpoint": said.endpoint,
        "locality": said.locality,
        "attempts": said.attempts,
        "reason": said.reason,
        "at": iso(said.at),
    }


def _read_given_up(fields: Fields) -> GivenUp:
    return GivenUp(
        event=need(fields, "id", str),
        endpoint=need(fields, "endpoint", str),
        locality=need(fields, "locality", str),
        attempts=need(fields, "attempts", int),
        reason=need(fields, "reason", str),
        at=instant_of(fields, "at"),
    )


def _letter(letter: Letter) -> Fields:
    return {
        "id": letter.event,
        "endpoint": letter.endpoint,
        "case": letter.case,
        "locality": letter.locality,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "at": iso(letter.at),
        "body": letter.body.decode(),
    }


def _read_letter(fields: Fields) -> Letter:
    about = _read_given_up(fields)
    return Letter(
        event=about.event,
        endpoint=about.endpoint,
        case=need(fields, "case", str),
        locality=about.locality,
        attempts=about.attempts,
        reason=about.reason,
        at=about.at,
        body=need(fields, "body", str).encode(),
    )

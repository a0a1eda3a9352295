"""What a record owes when an endpoint's sender has given up, and when somebody wants it tried again: the state is as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from citybrain.bus.topics import DEAD_LETTERS
from citybrain.clock import iso
from citybrain.wire import CASE_EVENTS
from citybrain.wire.letters import GivenUp, Letter, SendAgain, SentAgain, write_dead_letter
from pipeline.runners.kafka.records import Owed, Record


def locality_of(said: GivenUp | SendAgain) -> str:
    """Whose record it concerns."""
    return said.locality if isinstance(said, GivenUp) else said.letter.locality


def hear(record: Record, said: GivenUp | SendAgain, *, now: datetime) -> None:
    """What is not as the record has it any more, because it was heard before or overtaken, changes nothing."""
    if isinstance(said, GivenUp):
        _give_up(record, said, now)
    else:
        _send_again(record, said.letter, now)


def _give_up(record: Record, said: GivenUp, now: datetime) -> None:
    """The endpoint is owed no more, in the same commit that owes the dead letters its letter."""
    found = next((each for each in record.owed if each.id == said.event and said.endpoint in each.endpoints), None)
    if found is None:
        return
    record.owed = [each.delivered_to(said.endpoint) if each is found else each for each in record.owed]
    record.owed = [each for each in record.owed if each.endpoints or not each.said]
    letter = Letter(
        said.event, said.endpoint, found.key, said.locality, said.attempts, said.reason, said.at, found.body
    )
    id = f"letter/{said.endpoint}/{said.event}/{iso(said.at)}"
    record.owe(Owed(id, DEAD_LETTERS, found.key, write_dead_letter(letter), now))


def _send_again(record: Record, letter: Letter, now: datetime) -> None:
    """It was in its topic when it was first told: only the endpoint is owed it, from now on."""
    if any(each.id == letter.event and letter.endpoint in each.endpoints for each in record.owed):
        return
    owed = next((each for each in record.owed if each.id == letter.event), None)
    if owed is None:
        again = Owed(letter.event, CASE_EVENTS, letter.case, letter.body, now, (letter.endpoint,), said=True)
        record.owe(again)
    else:
        more = replace(owed, endpoints=(*owed.endpoints, letter.endpoint), at=now)
        record.owed = [each for each in record.owed if each is not owed]
        record.owe(more)
    id = f"again/{letter.endpoint}/{letter.event}/{iso(letter.at)}"
    said = write_dead_letter(SentAgain(letter.event, letter.endpoint, now))
    record.owe(Owed(id, DEAD_LETTERS, letter.case, said, now))

"""The AsyncAPI document is one, names what there is, and what the pipeline writes is what it says."""

import json
from pathlib import Path

import jsonschema
import pytest

from citybrain.domain.case import CaseEventType
from citybrain.wire import write_case_event
from events_api.asyncapi import document
from tests.services.api_city import case, event

STANDARD = json.loads((Path(__file__).parent / "asyncapi" / "3.0.0.json").read_text())
DOCUMENT = document(version="1", host="127.0.0.1:8000")


def problems(value) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(STANDARD).iter_errors(value)]


def test_the_document_is_asyncapi_and_a_broken_one_would_be_noticed():
    assert problems(DOCUMENT) == []
    assert problems({**DOCUMENT, "channels": {"stream": {"messages": 7}}})
    assert problems({name: value for name, value in DOCUMENT.items() if name != "info"})


def test_every_event_type_is_a_message_that_every_way_carries():
    messages = DOCUMENT["components"]["messages"]
    assert [each["name"] for each in messages.values()] == [*(each.value for each in CaseEventType), "followed"]
    carried = {name: set(channel["messages"]) for name, channel in DOCUMENT["channels"].items()}
    every = set(messages) - {"followed"}
    assert carried == {"stream": every, "webhook": every, "socket": {"followed"}}


@pytest.mark.parametrize("type", CaseEventType)
def test_an_event_as_it_is_written_fits_the_message_of_its_type_and_no_other(type):
    written = json.loads(write_case_event(event(case(1), type)))
    fitting = [name for name in (each.name.lower() for each in CaseEventType) if fits(written, name)]
    assert fitting == [type.name.lower()]
    assert fits({"cursor": "7", "event": written}, "followed")
    assert not fits({"cursor": 7, "event": written}, "followed")


def fits(value, name: str) -> bool:
    schema = {**DOCUMENT["components"]["messages"][name]["payload"], "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(schema).is_valid(value)

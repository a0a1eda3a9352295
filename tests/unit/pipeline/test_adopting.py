"""The embedded pipeline under a configuration that changes: said once in the log, in this life or the next, and applied in turn."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.domain.command import Configured
from citybrain.wire import CASE_EVENTS, COMMANDS, DETECTIONS, read_case_event, read_command, write_detections
from pipeline.flow import Pipeline
from pipeline.runners.embedded import Embedded
from tests.flows.street import START, A, Street, Thing, camera, city, scene

BEFORE = city([scene()], [camera("gd-1"), camera("gd-2")])
AFTER = replace(city([scene()], [camera("gd-2")]), revision="decade")


class Life:
    """One database, and the embedded pipelines that open it one after another."""

    def __init__(self, path) -> None:
        self.path, self.clock = path, ManualClock(START + timedelta(minutes=10))
        self.bus = LocalBus(path, clock=self.clock)

    def opened(self, town=BEFORE) -> Embedded:
        return Embedded(self.path, Pipeline(town), clock=self.clock, notifiers={})

    def look(self, street, **when) -> None:
        for each in street.looks(every=5, **when):
            self.bus.publish(DETECTIONS, each.camera, write_detections(each))

    def said(self) -> list[str]:
        commands = (read_command(each.value) for each in self.bus.read((COMMANDS,), after=0))
        return [each.revision for each in commands if isinstance(each, Configured)]

    def reasons(self) -> list[str]:
        return [read_case_event(each.value).case.reason for each in self.bus.read((CASE_EVENTS,), after=0)]


@pytest.fixture
def life(tmp_path):
    made = Life(tmp_path / "citybrain.db")
    made.look(Street([Thing(A)], missed=0), until=400)
    yield made
    made.bus.close()


def drained(embedded: Embedded) -> None:
    while embedded.catch_up():
        pass


def test_a_configuration_that_is_adopted_between_two_messages_lets_go_of_the_removed_camera(life):
    embedded = life.opened()
    drained(embedded)
    assert life.reasons() == ["first_notice"]
    embedded.adopt(Pipeline(AFTER))
    drained(embedded)
    assert life.reasons() == ["first_notice", "camera removed"]
    life.look(Street([Thing(A)], missed=0), since=400, until=410)
    drained(embedded)
    assert embedded.figures()["set_aside"] == {"unknown": 2}
    embedded.close()


def test_what_changed_while_it_did_not_run_is_said_at_the_start_and_once(life):
    first = life.opened()
    drained(first)
    first.close()
    for _ in range(2):
        again = life.opened(AFTER)
        drained(again)
        again.close()
    assert life.said() == ["decade"]
    assert life.reasons() == ["first_notice", "camera removed"]


def test_a_city_that_begins_says_nothing_of_its_configuration(life):
    embedded = life.opened()
    assert life.said() == []
    embedded.adopt(Pipeline(BEFORE))
    assert life.said() == []
    embedded.close()


def test_dying_before_the_change_is_applied_loses_nothing_of_it(life):
    embedded = life.opened()
    drained(embedded)
    embedded.adopt(Pipeline(AFTER))
    embedded.close()  # the command stands in the log, and nobody has read it
    again = life.opened(AFTER)
    drained(again)
    assert life.said() == ["decade"]
    assert life.reasons()[-1] == "camera removed"
    again.close()

"""A unit says that it is done: its camera looks at once, and keeps what it sees, until nobody asks any more."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from citybrain.domain.command import LookAgain, Tick
from citybrain.wire import write_command
from ingest.looking_again import ASKED_FOR_S, CLOSELY_S
from tests.unit.ingest.watched_street import AT, Street


@pytest.fixture
def street():
    street = Street("kerb", "lane")
    yield street
    street.close()


def asks(street: Street, camera: str = "kerb", *, asked_at: datetime | None = None) -> None:
    at = street.clock.now()
    command = LookAgain(f"look-{at}", "case-1", "place:x", camera, "parking", f"{camera}/zone", asked_at or at, at)
    street.network.again.hear(write_command(command))


def test_a_camera_that_is_asked_looks_before_its_time_and_says_that_it_looks_again(street):
    street.arrives("kerb")
    street.arrives("lane")
    street.looked(street.takes())
    street.after(0.1)
    street.arrives("kerb")
    street.arrives("lane")
    assert street.takes() == [], "both were looked at a moment ago"
    asks(street)
    (frame,) = street.takes()
    assert (frame.camera, frame.again) == ("kerb", True)


def test_looking_at_once_is_over_soon_and_every_look_is_kept_until_nobody_asks_any_more(street):
    asks(street)
    for _ in range(3):
        street.arrives("kerb")
        street.looked(street.takes())
        street.after(CLOSELY_S / 2)
    assert street.each("kerb").attended_until_s is None
    street.after(ASKED_FOR_S - 2 * CLOSELY_S)
    street.arrives("kerb")
    (frame,) = street.takes()
    assert frame.again
    street.after(2 * CLOSELY_S)
    street.arrives("kerb")
    (frame,) = street.takes()
    assert not frame.again


def test_asked_again_it_goes_on_without_hurry(street):
    asks(street)
    street.after(30)
    asks(street, asked_at=AT)
    assert street.network.again.closely_until("kerb", street.clock.monotonic()) is None
    street.after(30)
    assert street.network.again.wanted("kerb", street.clock.monotonic())


def test_another_question_about_it_is_looked_at_closely_anew(street):
    asks(street)
    street.after(30)
    asks(street)
    until = street.network.again.closely_until("kerb", street.clock.monotonic())
    assert until == street.clock.monotonic() + CLOSELY_S


def test_an_open_question_of_a_scene_keeps_its_time_beside_it():
    street = Street("kerb", fire=timedelta(seconds=15))
    street.arrives("kerb")
    street.looked(street.takes(), asks=("fire",))
    begun = street.clock.monotonic()
    asks(street)
    assert street.each("kerb").attended_until_s == begun + 15
    street.close()


def test_what_is_no_question_to_a_camera_of_ours_changes_nothing(street):
    street.network.again.hear(b"{")
    street.network.again.hear(write_command(Tick("tick", AT)))
    asks(street, "elsewhere")
    street.arrives("kerb")
    (frame,) = street.takes()
    assert not frame.again

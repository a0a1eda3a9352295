"""A camera with an open question is looked at several times a second, from the packets that its source keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ingest.attention import Attention
from ingest.network import CLOSER_EVERY_S
from ingest.plan import Plan
from ingest.watched import LONGEST_STEP
from ingest.worker_port import FOLLOWED, NOTHING_NEWER, OUT_OF_STEP, Began
from tests.unit.ingest.watched_street import AT, Groups, Street, camera

LIMIT = timedelta(seconds=13)


@pytest.fixture
def street():
    street = Street("a", "b", fire=LIMIT)
    yield street
    street.close()


def lives(street: Street, seconds: float, *, asks: tuple[str, ...] = (), error: str | None = None) -> list:
    """The camera's frames and worker for a while, in steps of 50 ms; what was given to the worker."""
    given = []
    for _ in range(round(seconds * 20)):
        source = street.each("a").source
        if isinstance(source, Groups) and source.keyframe().captured_at == street.clock.now():
            street.arrives("a", source.keyframe())
        if frames := street.takes():
            given += frames
            street.looked(frames, asks=asks, error=error)
        street.after(0.05)
    return given


def test_an_idle_camera_is_looked_at_by_its_keyframes_alone(street):
    source = street.connects("a")
    given = lives(street, 8)
    assert [frame.packets for frame in given] == [(b"K",)] * 4
    assert source.asked == []


def test_a_question_brings_four_looks_a_second_and_each_packet_travels_once(street):
    street.connects("a")
    given = lives(street, 8, asks=("fire",))
    assert 28 <= len(given) <= 33
    assert [frame.captured_at for frame in given] == sorted({frame.captured_at for frame in given})
    assert [frame.seq for frame in given] == list(range(1, len(given) + 1))
    expected: tuple[int, int] | None = None
    for frame in given[1:]:
        assert frame.since in (0, expected[1] if expected and expected[0] == frame.group else 0)
        if expected is not None and expected[0] == frame.group:
            assert frame.since == expected[1]
        expected = frame.group, frame.since + len(frame.packets)


def test_a_question_that_is_settled_ends_the_attention(street):
    street.connects("a")
    lives(street, 3, asks=("fire",))
    lives(street, 1)
    given = lives(street, 6)
    assert [frame.packets for frame in given] == [(b"K",)] * 3
    assert street.each("a").attended_until_s is None
    assert street.network._followed == [0]


def test_a_question_that_stays_open_has_its_time_then_rests_and_has_its_time_again(street):
    street.connects("a")
    given = lives(street, 40, asks=("fire",))
    close = [frame.captured_at - AT for frame in given if len(frame.packets) > 1 or frame.since]
    a_second = timedelta(seconds=1)
    assert not [at for at in close if LIMIT + a_second < at < 2 * LIMIT]
    assert all(frame.packets == (b"K",) for frame in given if LIMIT + a_second < frame.captured_at - AT < 2 * LIMIT)
    assert len([at for at in close if at < LIMIT]) >= 40
    assert len([at for at in close if at > 2 * LIMIT]) >= 30
    lives(street, 3)
    again = lives(street, 4, asks=("fire",))
    assert len(again) >= 10


def test_a_scene_that_wants_no_attention_gets_none(street):
    street.connects("a")
    assert all(frame.packets == (b"K",) for frame in lives(street, 6, asks=("illegal_parking",)))


def test_a_gap_in_the_group_leaves_the_keyframes_and_the_next_group_is_followed_again(street):
    source = street.connects("a")
    lives(street, 1, asks=("fire",))
    source.gap = True
    assert lives(street, 0.9, asks=("fire",)) == []
    assert [frame.packets for frame in lives(street, 2, asks=("fire",))] == [(b"K",)]
    source.gap = False
    assert len(lives(street, 2, asks=("fire",))) >= 7


@pytest.mark.parametrize("error", [OUT_OF_STEP, "expected a h264 picture, got a damaged one"])
def test_after_what_a_worker_could_not_decode_it_is_given_the_group_from_its_keyframe(street, error):
    street.connects("a")
    lives(street, 1, asks=("fire",))
    lives(street, CLOSER_EVERY_S, error=error)
    (frame, *_) = lives(street, 0.5, asks=("fire",))
    assert frame.since == 0
    assert len(frame.packets) > 25


def test_what_is_no_fault_of_the_camera_is_not_counted_against_it(street):
    street.connects("a")
    lives(street, 1, asks=("fire",))
    before = street.state("a").unreadable, street.each("a").seq
    lives(street, 0.5, error=NOTHING_NEWER)
    lives(street, 0.4, error=OUT_OF_STEP)
    assert (street.state("a").unreadable, street.each("a").seq) == before
    assert street.each("a").attended_until_s is not None


def test_a_new_worker_is_given_the_group_from_its_keyframe(street):
    street.connects("a")
    lives(street, 1, asks=("fire",))
    street.network.begun(0)
    (frame, *_) = lives(street, 0.5, asks=("fire",))
    assert (frame.since, len(frame.packets) > 25) == (0, True)


def test_a_frame_lost_with_its_worker_does_not_end_the_attention(street):
    street.connects("a")
    lives(street, 1, asks=("fire",))
    while not (frames := street.takes()):
        street.after(0.05)
    street.network.lost(frames, guilty=False)
    street.network.begun(0)
    assert len(lives(street, 1, asks=("fire",))) >= 3
    assert street.state("a").lost_looks == 1


def test_a_new_connection_is_not_taken_for_the_old_one(street):
    street.connects("a")
    lives(street, 1, asks=("fire",))
    street.each("a").left()
    street.connects("a")  # its groups are counted from one again
    given = lives(street, 1, asks=("fire",))
    assert given[0].since == 0


def test_a_source_without_groups_goes_on_by_its_keyframes(street):
    for _ in range(5):
        street.arrives("a")
        street.looked(street.takes(), asks=("fire",))
        assert street.takes() == []
        street.after(1)


def test_a_worker_follows_only_as_many_cameras_as_it_keeps_decoders_for():
    names = [f"c{number}" for number in range(FOLLOWED + 3)]
    street = Street(plan=Plan([camera(name) for name in names], attention={"fire": LIMIT}))
    for name in names:
        street.connects(name)
    for _ in range(40):
        street.looked(street.takes(), asks=("fire",))
        street.after(0.05)
    assert street.network._followed == [FOLLOWED]
    assert sum(each.followed for each in map(street.each, names)) == FOLLOWED
    for name in names:
        street.network._disregard(street.each(name))
    assert street.network._followed == [0]
    street.close()


def test_a_group_that_is_too_long_to_catch_up_with_is_left_to_its_keyframes(street):
    source = street.connects("a")
    street.looked(street.takes(), asks=("fire",))
    short = source.closer
    source.closer = lambda after: (
        None if (frame := short(after)) is None else replace(frame, packets=(b"K",) * (LONGEST_STEP + 1))
    )
    street.after(1)
    assert street.takes() == []


def test_an_episode_that_began_is_told_to_whoever_makes_clips():
    told = []

    class Clips:
        def begin(self, camera, began, source):
            told.append((camera, began, source))

        def figures(self):
            return {}

    street = Street("a", clips=Clips())
    source = street.connects("a")
    began = Began("fire", "yard", "a/yard", "camera:a", AT, AT + timedelta(seconds=3))
    street.looked(street.takes(), began=(began,))
    assert told == [("a", began, source)]
    street.close()


# -- questions and their time ---------------------------------------------------------------------------------------------


def test_each_question_has_its_own_time_and_the_longest_counts():
    attention = Attention({"fire": timedelta(seconds=10), "smoke": timedelta(seconds=20)})
    assert attention.asked("a", ["fire"], 0) == 10
    assert attention.asked("a", ["fire", "smoke"], 5) == 25
    assert attention.asked("a", ["fire"], 8) == 10
    assert attention.asked("a", ["fire"], 10) is None
    assert attention.asked("b", ["fire"], 10) == 20


def test_a_question_that_its_time_did_not_settle_rests_longer_each_time():
    attention = Attention({"fire": timedelta(seconds=10)})
    on = [second for second in range(1000) if attention.asked("a", ["fire"], second) is not None]
    begins = [second for second in on if second - 1 not in on]
    assert begins == [0, 20, 50, 100, 190, 280, 370, 460, 550, 640, 730, 820, 910]
    assert len(on) == 10 * len(begins)


def test_a_question_that_was_closed_is_a_new_one_when_it_is_asked_again():
    attention = Attention({"fire": timedelta(seconds=10)})
    attention.asked("a", ["fire"], 0)
    assert attention.asked("a", ["fire"], 11) is None
    assert attention.asked("a", [], 12) is None
    assert attention.asked("a", ["fire"], 13) == 23


def test_a_question_of_a_scene_that_gets_no_attention_any_more_stays_spent():
    attention = Attention({"fire": timedelta(seconds=10)})
    attention.asked("a", ["fire"], 0)
    attention.adopt({})
    assert attention.asked("a", ["fire"], 5) == 10
    assert attention.asked("a", ["fire"], 1000) is None


def test_a_new_configuration_keeps_the_time_of_questions_that_are_open():
    attention = Attention({"fire": timedelta(seconds=10)})
    attention.asked("a", ["fire"], 0)
    attention.adopt({"fire": timedelta(seconds=60)})
    assert attention.asked("a", ["fire"], 5) == 10
    attention.adopt({"fire": timedelta()})
    assert attention.asked("b", ["fire"], 5) is None

"""Every side is judged by the same measure: how long cameras go unseen, and how old is what is told of them."""

from __future__ import annotations

import pytest

from bench import peers
from bench.freshness import freshness, largest
from bench.peer_processes import Usage
from bench.peers import ratios
from citybrain.errors import UsageError


def rhythm(*, every: float, age: float, until: float = 30.0, since: float = 0.0) -> list[tuple[float, float]]:
    count = int((until - since) / every) + 1
    return [(since + number * every, since + number * every + age) for number in range(count)]


def test_cameras_looked_at_each_two_seconds_are_fresh():
    seen = freshness({"a": rhythm(every=2.0, age=0.4), "b": rhythm(every=1.9, age=0.4)}, since_s=5, until_s=25)
    assert seen.holds
    assert seen.told()["spell_s"] == {"p50": 1.9, "p99": 2.0, "max": 2.0}


def test_pictures_that_come_in_time_but_old_are_not_fresh():
    assert not freshness({"a": rhythm(every=2.0, age=3.4)}, since_s=5, until_s=25).holds


def test_a_look_left_out_is_a_longer_spell():
    sights = [each for each in rhythm(every=2.0, age=0.4) if each[0] != 14.0]
    seen = freshness({"a": sights}, since_s=5, until_s=25)
    assert seen.spells[-1] == 4.0
    assert not seen.holds


def test_a_camera_that_is_never_told_of_counts():
    seen = freshness({"a": rhythm(every=2.0, age=0.4), "b": []}, since_s=5, until_s=25)
    assert (seen.unseen, seen.holds) == (1, False)


def test_a_camera_that_is_told_of_no_more_counts_for_as_long_as_the_others_are():
    seen = freshness(
        {"a": rhythm(every=2.0, age=0.4), "b": rhythm(every=2.0, age=0.4, until=12)}, since_s=5, until_s=25
    )
    assert seen.spells[-1] == pytest.approx(30.4 - 12)
    assert not seen.holds


@pytest.mark.parametrize("limit", [1, 2, 7, 8, 21, 33, 100])
@pytest.mark.parametrize("first", [1, 8, 64])
def test_the_largest_number_is_found_from_above_and_from_below(limit, first):
    asked = []

    def carries(number):
        asked.append(number)
        return number <= limit

    found = largest(carries, first=first, close_enough=1.1)
    assert found <= limit <= max(found + 1, found * 1.1)
    assert len(asked) == len(set(asked)) <= 12


def test_where_not_even_one_is_carried_the_answer_is_none():
    assert largest(lambda _: False, first=8) == 0


def test_ours_is_compared_with_the_best_of_the_loaders_variants():
    cameras = {"ours": 120, "ours_no_gate": 50, "loadstreams_pt": 8, "loadstreams_openvino": 12, "inference": 0}
    told = ratios({side: {"cameras": count} for side, count in cameras.items()})
    assert told["to_loadstreams"] == 10.0
    assert told["times"] == {"loadstreams_pt": 15.0, "loadstreams_openvino": 10.0, "inference": None}


def test_cores_are_processor_seconds_by_seconds():
    assert Usage(20.0, 33.0).cores_since(Usage(10.0, 18.0)) == 1.5


def test_an_unknown_side_is_told_with_those_there_are():
    with pytest.raises(UsageError, match="expected one of ours"):
        peers._wanted(["loadstream"], [peers.Ours("ours")])


def test_naming_sides_measures_them_on_every_stream():
    sides = [peers.Ours("ours"), peers.Ours("ours_no_gate", gate=False)]
    assert peers._wanted(["ours"], sides) == {"ours", "sub", "main"}
    assert peers._wanted(["main"], sides) == {"ours", "ours_no_gate", "main"}


def test_cameras_take_turns_with_the_streets_and_are_nowhere_in_step():
    called = peers.names(["busy", "quiet"], 40)
    assert [name.partition("~")[0] for name in called[:3]] == ["busy", "quiet", "busy"]
    assert len(set(called)) == 40

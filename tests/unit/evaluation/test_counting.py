"""Cases against what happened, worked out by hand: found, missed, told twice, false, late."""

import pytest

from citybrain.evaluation.counting import Fate, Happened, Told, count, percentile


def case(scene="fire", began=10.0, confirmed=None, filed=None, zone="yard"):
    confirmed = began + 3 if confirmed is None else confirmed
    return Told(scene, zone, began, confirmed, confirmed if filed is None else filed)


def fates(events, cases, tolerance_s=2.0):
    return [each.fate for each in count(events, cases, tolerance_s=tolerance_s).cases]


FIRE = Happened("fire", 10, 40)


def test_a_case_within_its_event_finds_it():
    found = count([FIRE], [case(began=12, filed=16)], tolerance_s=2)
    assert [each.fate for each in found.cases] == [Fate.FOUND]
    assert not found.missed
    assert not found.false
    assert found.cases[0].to_confirmed_s == 5
    assert found.cases[0].to_filed_s == 6


def test_an_event_without_a_case_is_missed():
    assert count([FIRE], [], tolerance_s=2).missed == (FIRE,)


def test_a_case_of_another_scene_is_false_and_finds_nothing():
    found = count([FIRE], [case("parking")], tolerance_s=2)
    assert [each.fate for each in found.cases] == [Fate.FALSE]
    assert found.missed == (FIRE,)


def test_a_case_in_another_zone_than_the_one_named_is_false():
    assert fates([Happened("fire", 10, 40, "gate")], [case()]) == [Fate.FALSE]
    assert fates([Happened("fire", 10, 40, "yard")], [case()]) == [Fate.FOUND]


def test_a_second_case_of_an_event_is_told_twice_and_counts_as_false():
    found = count([FIRE], [case(began=30), case(began=12)], tolerance_s=2)
    assert [(each.told.began_s, each.fate) for each in found.cases] == [(12, Fate.FOUND), (30, Fate.TWICE)]
    assert len(found.twice) == len(found.false) == 1
    assert not found.missed


def test_a_person_may_be_wrong_by_the_tolerance_and_no_more():
    assert fates([FIRE], [case(began=4, confirmed=8.0)]) == [Fate.FOUND]
    assert fates([FIRE], [case(began=4, confirmed=7.9)]) == [Fate.FALSE]
    assert fates([FIRE], [case(began=42.0)]) == [Fate.FOUND]
    assert fates([FIRE], [case(began=42.1)]) == [Fate.FALSE]


def test_what_began_in_time_is_found_however_long_its_hold():
    """A car that stands from 0 to 300 s is told of when it may just have left."""
    found = count([Happened("parking", 0, 300)], [case("parking", began=1, confirmed=303)], tolerance_s=2)
    assert [each.to_confirmed_s for each in found.found] == [303]


def test_two_things_side_by_side_want_two_cases():
    two = [Happened("parking", 0, 80), Happened("parking", 0, 80)]
    one = count(two, [case("parking", began=0)], tolerance_s=2)
    assert (len(one.found), len(one.missed)) == (1, 1)
    assert fates(two, [case("parking", began=0), case("parking", began=0)]) == [Fate.FOUND, Fate.FOUND]
    assert fates(two, [case("parking", began=n) for n in range(3)]) == [Fate.FOUND, Fate.FOUND, Fate.TWICE]


def test_as_many_events_are_found_as_can_be():
    """The first case fits both events and the second only the first one: the first makes room."""
    early, late = Happened("fire", 0, 20), Happened("fire", 18, 60)
    found = count(
        [early, late], [case(began=17, confirmed=20), case(began=15, confirmed=30, zone="gate")], tolerance_s=0
    )
    assert [each.fate for each in found.cases] == [Fate.FOUND, Fate.FOUND]
    narrow = Happened("fire", 0, 20, "gate")
    found = count(
        [narrow, late], [case(began=17, zone="gate"), case(began=19, confirmed=19, zone="gate")], tolerance_s=0
    )
    assert not found.missed


def test_a_case_filed_later_than_its_scene_allows_is_late():
    found = count([FIRE], [case(began=15, confirmed=19, filed=21)], tolerance_s=2)
    assert not found.late({"fire": 11})
    assert not found.late({"parking": 1})
    assert [each.to_filed_s for each in found.late({"fire": 10})] == [11]


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.95, 4), (1.0, 4), (0.25, 1), (0.0, 1)])
def test_a_percentile_is_one_of_the_values(share, value):
    assert percentile([4, 1, 3, 2], share) == value


def test_nothing_has_no_percentile():
    assert percentile([], 0.5) is None

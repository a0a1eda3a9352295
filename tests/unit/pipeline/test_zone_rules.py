"""The rules whose place is the zone: presence, count, coverage."""

import pytest

from citybrain.domain.camera import VIEW, Zone, ZoneKind
from citybrain.domain.detection import Detection, Detections
from citybrain.domain.geometry import Box, Polygon
from citybrain.domain.observation import Verdict
from pipeline.rules import Look, count, coverage, presence
from tests.flows.street import MINUTE, START

LEFT_HALF = Zone("left", ZoneKind.ROADWAY, Polygon(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))))
INSIDE, OUTSIDE, ASTRIDE = Box(0.1, 0.1, 0.3, 0.3), Box(0.6, 0.1, 0.9, 0.3), Box(0.35, 0.1, 0.65, 0.3)
TRUE, FALSE, UNKNOWN = Verdict.TRUE, Verdict.FALSE, Verdict.UNKNOWN


def verdict(rule, *things, zone=LEFT_HALF):
    seen = Detections("gd-1", START, 1, detections=tuple(Detection(*thing) for thing in things))
    memory, (observation,) = rule.observe({}, Look(seen, zone, MINUTE, MINUTE, MINUTE))
    assert memory == {}
    assert observation.place == ""
    return observation.verdict, len(observation.concerned)


FIRE = presence.build(presence.Config(labels=frozenset({"fire", "smoke"})))


@pytest.mark.parametrize(
    ("things", "found"),
    [
        ([], (FALSE, 0)),
        ([("fire", 0.9, INSIDE)], (TRUE, 1)),
        ([("fire", 0.9, INSIDE), ("smoke", 0.5, INSIDE), ("car", 0.9, INSIDE)], (TRUE, 2)),
        ([("fire", 0.39, INSIDE)], (FALSE, 0)),
        ([("fire", 0.4, INSIDE)], (TRUE, 1)),
        ([("car", 0.9, INSIDE)], (FALSE, 0)),
        ([("fire", 0.9, OUTSIDE)], (FALSE, 0)),
        ([("fire", 0.9, ASTRIDE)], (TRUE, 1)),
    ],
)
def test_presence_is_one_thing_sure_enough_and_far_enough_in_the_zone(things, found):
    assert verdict(FIRE, *things) == found


def test_smoke_that_fills_the_whole_view_is_in_the_zone_that_it_covers():
    small = Zone("small", ZoneKind.ROADWAY, Polygon(((0.4, 0.4), (0.6, 0.4), (0.6, 0.6), (0.4, 0.6))))
    assert verdict(FIRE, ("smoke", 0.9, Box(0, 0, 1, 1)), zone=small) == (TRUE, 1)
    assert verdict(FIRE, ("smoke", 0.9, Box(0, 0, 1, 1)), zone=VIEW) == (TRUE, 1)


def test_the_strongest_thing_speaks_for_the_zone():
    seen = Detections("gd-1", START, 1, detections=(Detection("smoke", 0.5, INSIDE), Detection("fire", 0.9, INSIDE)))
    _, (observation,) = FIRE.observe({}, Look(seen, VIEW, MINUTE, MINUTE, MINUTE))
    assert observation.strongest == seen.detections[1]


@pytest.mark.parametrize(
    ("people", "found"), [(0, FALSE), (1, FALSE), (2, UNKNOWN), (3, UNKNOWN), (4, TRUE), (9, TRUE)]
)
def test_a_number_at_the_edge_neither_opens_nor_closes_anything(people, found):
    crowd = count.build(count.Config(labels=frozenset({"person"}), at_least=4, fewer_than=2))
    assert verdict(crowd, *[("person", 0.9, INSIDE)] * people)[0] is found


def test_a_count_without_an_edge_is_true_or_false():
    pair = count.build(count.Config(labels=frozenset({"person"}), at_least=2))
    assert [verdict(pair, *[("person", 0.9, INSIDE)] * n)[0] for n in range(4)] == [FALSE, FALSE, TRUE, TRUE]


def test_only_what_counts_is_counted():
    pair = count.build(count.Config(labels=frozenset({"person"}), at_least=2))
    things = [("person", 0.9, INSIDE), ("person", 0.2, INSIDE), ("person", 0.9, OUTSIDE), ("car", 0.9, INSIDE)]
    assert verdict(pair, *things) == (FALSE, 0)


WATER = coverage.build(coverage.Config(labels=frozenset({"water"}), min_share=0.4, clear_share=0.1))


def water(share):
    return ("water", 0.9, Box(0.0, 0.0, 0.5, share))


@pytest.mark.parametrize(
    ("share", "found"), [(0.0, FALSE), (0.05, FALSE), (0.2, UNKNOWN), (0.35, UNKNOWN), (0.45, TRUE), (1.0, TRUE)]
)
def test_between_much_water_and_little_nothing_changes(share, found):
    assert verdict(WATER, water(share))[0] is found


def test_puddles_are_summed_and_what_lies_twice_is_counted_once():
    upper, lower = ("water", 0.9, Box(0.0, 0.0, 0.5, 0.25)), ("water", 0.9, Box(0.0, 0.75, 0.5, 1.0))
    assert verdict(WATER, upper, lower) == (TRUE, 2)
    assert verdict(WATER, upper, upper)[0] is UNKNOWN


def test_water_beside_the_zone_is_none():
    assert verdict(WATER, ("water", 0.9, Box(0.55, 0.0, 1.0, 1.0))) == (FALSE, 0)
    assert verdict(WATER, ("water", 0.1, Box(0.0, 0.0, 0.5, 1.0))) == (FALSE, 0)


def test_where_it_clears_is_half_of_where_it_begins_unless_told():
    rule = coverage.build(coverage.Config(labels=frozenset({"water"}), min_share=0.4))
    assert [verdict(rule, water(share))[0] for share in (0.18, 0.25)] == [FALSE, UNKNOWN]


@pytest.mark.parametrize(
    ("build", "config"),
    [
        (count.build, count.Config(labels=frozenset({"person"}), at_least=2, fewer_than=3)),
        (coverage.build, coverage.Config(labels=frozenset({"water"}), min_share=0.2, clear_share=0.3)),
    ],
)
def test_an_edge_the_wrong_way_round_is_refused(build, config):
    with pytest.raises(ValueError, match="must not exceed"):
        build(config)

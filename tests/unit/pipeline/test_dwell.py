"""Vehicles that stand: the place is the identity, a track is not."""

import json
from datetime import timedelta

import pytest

from citybrain.domain.camera import Zone, ZoneKind
from citybrain.domain.detection import Detection, Detections
from citybrain.domain.geometry import Box
from citybrain.domain.observation import Verdict
from pipeline.rules import Look, dwell
from tests.flows.street import IN_FRONT_OF_A, KERB, MINUTE, SECOND, START, A, B, C, thumbnail

TRUE, FALSE, UNKNOWN = Verdict.TRUE, Verdict.FALSE, Verdict.UNKNOWN
ZONE = Zone("kerb", ZoneKind.NO_PARKING, KERB)


def car(box=A, *, who=1, label="car", confidence=0.9):
    return Detection(label, confidence, box, thumbnail(who) if who else None)


def shifted(box, right, down=0.0):
    return Box(box.x1 + right, box.y1 + down, box.x2 + right, box.y2 + down)


class Kerb:
    """A kerb looked at by the rule alone; every place it knows is held, unless it is `forgotten` or `ended`."""

    def __init__(self, **config):
        self.rule = dwell.build(dwell.Config(labels=frozenset({"car", "truck"}), **config))
        self.memory: dict = {}
        self.second = 0.0

    def look(self, *seen, after=1.0):
        """The verdicts by place, places in the order in which they were first seen."""
        self.second += after
        at = START + timedelta(seconds=self.second)
        look = Look(Detections("gd-1", at, 1, detections=seen), ZONE, 5 * MINUTE, 90 * SECOND, 2 * MINUTE)
        self.memory, observations = self.rule.observe(json.loads(json.dumps(self.memory)), look)
        self.last = observations
        live = [each.place for each in observations if not each.over]
        self.memory = self.rule.settle(self.memory, live, [])
        return {each.place: each.verdict for each in observations}

    def verdicts(self, *seen, after=1.0):
        return list(self.look(*seen, after=after).values())

    def leave(self, *ended):
        self.memory = self.rule.settle(self.memory, [], ended)


def test_a_car_that_stands_is_one_place_through_jitter_and_flicker():
    kerb = Kerb()
    (place,) = kerb.look(car())
    assert kerb.look(car(shifted(A, 0.01))) == {place: TRUE}
    assert kerb.look() == {place: FALSE}
    assert kerb.look(car(shifted(A, -0.01, 0.01), label="truck")) == {place: TRUE}


def test_a_van_in_front_hides_and_ends_nothing():
    kerb = Kerb()
    (place,) = kerb.look(car())
    seen = kerb.look(car(IN_FRONT_OF_A, who="van", label="truck"))
    assert seen.pop(place) is UNKNOWN
    assert kerb.look(car())[place] is TRUE


def test_a_person_or_a_tree_in_front_hides_as_well():
    kerb = Kerb()
    (place,) = kerb.look(car())
    assert kerb.look(Detection("person", 0.3, IN_FRONT_OF_A)) == {place: UNKNOWN}


def test_what_covers_a_little_hides_nothing():
    kerb = Kerb()
    (place,) = kerb.look(car())
    assert kerb.look(Detection("person", 0.9, Box(A.x1, A.y1, A.x1 + 0.03, A.y2))) == {place: FALSE}


def test_neighbours_that_overlap_keep_their_places_when_one_leaves():
    kerb = Kerb()
    beside = shifted(A, 0.085)
    first, second = kerb.look(car(), car(beside, who=2))
    assert kerb.look(car(beside, who=2)) == {first: FALSE, second: TRUE}
    assert kerb.look(car()) == {first: TRUE, second: FALSE}


def test_a_neighbour_seen_twice_hides_nothing_of_the_place_beside_it():
    kerb = Kerb()
    beside = shifted(A, 0.085)
    twice = (car(beside, who=2), car(shifted(beside, 0.005), who=2, label="truck", confidence=0.5))
    first, second = kerb.look(car(), *twice)
    assert kerb.look(*twice) == {first: FALSE, second: TRUE}


def test_what_rolls_in_front_while_the_car_is_still_seen_hides_it_when_it_has_come():
    kerb = Kerb()
    (place,) = seen = kerb.look(car())
    for step in range(6):  # 5 cm a second, from beside to before
        lorry = Box(0.29 - step * 0.03, 0.42, 0.59 - step * 0.03, 0.75)
        seen = kerb.look(*([car()] if step < 3 else []), car(lorry, who="lorry", label="truck"))
    assert seen[place] is UNKNOWN


def test_a_stranger_takes_the_place_once_it_has_stood_as_long_as_a_place_takes_to_clear():
    kerb = Kerb()
    (place,) = kerb.look(car())
    kerb.look(after=20)
    seen = kerb.look(car(who=2))
    assert seen.pop(place) is UNKNOWN
    (stranger,) = seen
    for _ in range(23):
        assert kerb.look(car(who=2), after=5)[place] is UNKNOWN
    assert kerb.look(car(who=2), after=5)[place] is FALSE
    over = next(each for each in kerb.last if each.place == place)
    assert (over.over, over.reason) == (True, "replaced")
    assert kerb.look(car(who=2)) == {stranger: TRUE}


def test_after_a_gap_only_what_looks_alike_is_the_same():
    kerb = Kerb()
    (place,) = kerb.look(car())
    assert kerb.look(car(), after=60) == {place: TRUE}
    seen = kerb.look(car(who=2), after=60)
    assert seen.pop(place) is UNKNOWN
    assert len(seen) == 1


def test_without_pictures_the_place_alone_decides():
    kerb = Kerb()
    (place,) = kerb.look(car(who=None))
    assert kerb.look(car(shifted(A, 0.01), who=None), after=60) == {place: TRUE}
    assert kerb.look(car(shifted(A, 0.06), who=None), after=60)[place] is not TRUE


def test_a_doubtful_overlap_needs_a_good_likeness():
    kerb = Kerb()
    (place,) = kerb.look(car())
    assert kerb.look(car(shifted(A, 0.05))) == {place: TRUE}
    kerb = Kerb()
    (place,) = kerb.look(car())
    assert kerb.look(car(shifted(A, 0.05), who=2))[place] is UNKNOWN


def test_a_look_follows_slow_light_but_not_what_passes_in_front():
    kerb = Kerb()
    (place,) = kerb.look(car())
    kerb.look(car(who="van"))  # in the same box for a second
    assert kerb.look(car(), after=60) == {place: TRUE}
    kerb.look(car(who="van"))
    assert kerb.look(car(who="van"), after=60)[place] is UNKNOWN


def test_a_look_that_has_changed_for_good_is_believed():
    """The headlights went on, the camera turned to its night picture: seen all the time, it is the same car."""
    kerb = Kerb()
    (place,) = kerb.look(car())
    for _ in range(15):
        assert kerb.look(car(who="by night"))[place] is TRUE
    assert kerb.look(car(who="by night"), after=60) == {place: TRUE}


def test_two_boxes_for_one_vehicle_are_one_place():
    kerb = Kerb()
    assert kerb.verdicts(car(), car(shifted(A, 0.005), label="truck", confidence=0.5)) == [TRUE]
    assert kerb.verdicts(car(shifted(A, 0.005), label="truck", confidence=0.6), car(confidence=0.5)) == [TRUE]


def test_two_cars_side_by_side_are_two_places():
    assert Kerb().verdicts(car(A), car(B, who=2)) == [TRUE, TRUE]


def test_a_queue_is_withheld_until_it_is_none():
    kerb = Kerb(queue={"vehicles": 3, "within": "1m"})
    kerb.look()
    kerb.look(car(A))
    assert [each.withheld for each in kerb.last] == [""]
    kerb.look(car(A), car(B, who=2), car(C, who=3), after=10)
    assert [each.withheld for each in kerb.last] == ["queue"] * 3
    kerb.look(car(A))
    assert [each.withheld for each in kerb.last if each.verdict is TRUE] == [""]


def test_cars_that_stood_there_before_anyone_looked_are_no_queue():
    kerb = Kerb(queue={"vehicles": 3, "within": "1m"})
    kerb.look(car(A), car(B, who=2), car(C, who=3))
    assert [each.withheld for each in kerb.last] == ["", "", ""]


def test_another_car_that_takes_the_place_within_seconds_is_another():
    kerb = Kerb()
    (first,) = kerb.look(car(A))
    kerb.look()
    assert kerb.look(car(A, who=2))[first] is not TRUE


def test_cars_that_came_one_by_one_are_no_queue():
    kerb = Kerb(queue={"vehicles": 3, "within": "1m"})
    kerb.look(car(A))
    kerb.look(car(A), car(B, who=2), after=90)
    kerb.look(car(A), car(B, who=2), car(C, who=3), after=90)
    assert [each.withheld for each in kerb.last] == ["", "", ""]


def test_a_vehicle_that_returns_has_its_old_place_and_a_new_stay():
    kerb = Kerb()
    (place,) = kerb.look(car())
    kerb.look()
    kerb.leave(place)
    assert kerb.look() == {}
    assert kerb.rule.places(kerb.memory) == []
    assert kerb.look(car(), after=600) == {place: TRUE}
    assert kerb.memory["anchors"][place]["first_s"] == (START + kerb.second * SECOND).timestamp()


@pytest.mark.parametrize(("after", "known"), [(1700, True), (1900, False)])
def test_a_place_knows_a_vehicle_that_left_for_so_long_and_no_longer(after, known):
    kerb = Kerb(remember="30m")
    (place,) = kerb.look(car())
    kerb.leave(place)
    assert (place in kerb.look(car(), after=after)) is known


def test_a_stranger_in_a_place_that_was_left_is_a_stranger():
    kerb = Kerb()
    (place,) = kerb.look(car())
    kerb.leave(place)
    assert place not in kerb.look(car(who=2), after=60)


def test_traffic_that_creeps_is_never_one_place():
    kerb = Kerb()
    (first,) = seen = kerb.look(car())
    for step in range(1, 15):
        seen = kerb.look(car(shifted(A, step * 0.03)))
    assert len(seen) > 1
    assert seen[first] is not TRUE


def test_traffic_that_passes_leaves_no_memory_behind():
    kerb = Kerb()
    for n in range(50):
        kerb.look(car(B, who=n), after=20)
        kerb.leave()
    assert kerb.memory["anchors"] == {}


def test_memory_is_bounded_whatever_is_seen():
    kerb = Kerb()
    grid = [
        Box(0.06 + x * 0.034, 0.32 + y * 0.04, 0.09 + x * 0.034, 0.355 + y * 0.04) for x in range(24) for y in range(12)
    ]
    assert len(grid) > dwell.MOST_ANCHORS
    kerb.look(*(car(box, who=n) for n, box in enumerate(grid)))
    assert len(kerb.memory["anchors"]) == dwell.MOST_ANCHORS


@pytest.mark.parametrize(
    ("seen", "concerned"),
    [
        (car(confidence=0.34), 0),
        (car(confidence=0.35), 1),
        (car(label="person"), 0),
        (car(Box(0.15, 0.1, 0.30, 0.25)), 0),
        (car(Box(0.15, 0.1, 0.30, 0.40)), 1),  # its wheels stand in the zone, the rest leans over the edge
        (car(Box(0.15, 0.1, 0.30, 0.32)), 0),
    ],
)
def test_what_stands_in_the_zone_is_told_by_its_footprint(seen, concerned):
    assert len(Kerb().verdicts(seen)) == concerned


def test_a_place_is_named_by_what_began_there():
    one, other = Kerb(), Kerb()
    assert one.look(car()) == other.look(car())
    assert one.look(car(B, who=2)).keys() != Kerb().look(car(B, who=2)).keys()

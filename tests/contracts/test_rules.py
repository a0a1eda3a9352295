"""Every rule is pure, answers for its places in JSON, and never takes blindness or absence for presence."""

import copy
import json
from random import Random
from typing import Any

import pytest

from citybrain import plugins
from citybrain.configuration import Section
from citybrain.domain.camera import Zone, ZoneKind
from citybrain.domain.detection import Detection, Detections
from citybrain.domain.geometry import Box
from citybrain.domain.observation import Verdict
from pipeline.rules import Look, Memory
from tests.flows.street import KERB, MINUTE, SECOND, START, thumbnail

RULES = plugins.offered("pipeline.rules")
WHEN: dict[str, dict[str, Any]] = {
    "presence": {"labels": ["car"]},
    "dwell": {"labels": ["car"]},
    "count": {"labels": ["car"], "at_least": 1},
    "coverage": {"labels": ["car"], "min_share": 0.05},
}
ZONE = Zone("kerb", ZoneKind.NO_PARKING, KERB)


def rule_of(name: str):
    plugin = plugins.load("pipeline.rules", name)
    return plugin.build(plugin.Config.model_validate(WHEN[name]))


@pytest.fixture(params=RULES)
def rule(request):
    return rule_of(request.param)


def look(second, *detections):
    at = START + second * SECOND
    return Look(Detections("gd-1", at, second + 1, detections=detections), ZONE, 5 * MINUTE, MINUTE, 2 * MINUTE)


def car(who=1, box=None):
    return Detection("car", 0.9, box or Box(0.2, 0.4, 0.5, 0.8), thumbnail(who))


def looks(seed, count=60):
    random = Random(seed)
    for second in range(count):
        seen = []
        for who in range(random.randint(0, 4)):
            x, y = random.choice([0.1, 0.3, 0.35, 0.6]), random.choice([0.35, 0.4, 0.6])
            label = random.choice(["car", "car", "person", "truck"])
            seen.append(Detection(label, random.random(), Box(x, y, x + 0.25, y + 0.3), thumbnail(who)))
        yield look(second, *seen)


def test_a_rule_that_is_added_is_held_to_this_contract():
    assert set(WHEN) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_its_config_forbids_unknown_keys_and_needs_labels(name):
    config = plugins.load("pipeline.rules", name).Config
    assert issubclass(config, Section)
    for wrong in (WHEN[name] | {"colour": "red"}, WHEN[name] | {"labels": []}, {}):
        with pytest.raises(ValueError, match="validation error"):
            config.model_validate(wrong)


def test_it_says_which_labels_it_reads(rule):
    assert rule.labels == frozenset({"car"})
    assert isinstance(rule.per_object, bool)


def test_a_thing_in_the_zone_is_true_and_an_empty_zone_is_not(rule):
    memory, (observation,) = rule.observe({}, look(0, car()))
    assert observation.verdict is Verdict.TRUE
    assert observation.strongest == car()
    _, observations = rule.observe(memory, look(1))
    assert [each.verdict for each in observations] == [Verdict.FALSE]
    _, observations = rule.observe({}, look(0))
    assert Verdict.TRUE not in [each.verdict for each in observations]


@pytest.mark.parametrize("seed", range(5))
def test_the_same_looks_give_the_same_answers_and_nothing_given_is_altered(rule, seed):
    memory: Memory = {}
    twin: Memory = {}
    for each in looks(seed):
        before = copy.deepcopy(memory)
        after, observations = rule.observe(memory, each)
        assert memory == before
        twin, again = rule.observe(json.loads(json.dumps(twin)), each)
        assert observations == again
        assert json.loads(json.dumps(after)) == after == twin
        memory = after


@pytest.mark.parametrize("seed", range(5))
def test_each_place_is_answered_for_once_and_each_detection_concerns_one_place(rule, seed):
    memory: Memory = {}
    for each in looks(seed):
        memory, observations = rule.observe(memory, each)
        places = [one.place for one in observations]
        assert len(places) == len(set(places))
        concerned = [id(detection) for one in observations for detection in one.concerned]
        assert len(concerned) == len(set(concerned))
        for one in observations:
            assert bool(one.concerned) is (one.verdict is Verdict.TRUE)
            assert {detection.label for detection in one.concerned} <= rule.labels
            assert not (one.over and one.verdict is Verdict.TRUE)
            assert one.reason or not one.over
        assert set(rule.places(memory)) <= set(places)


@pytest.mark.parametrize("seed", range(5))
def test_what_nobody_holds_is_forgotten(rule, seed):
    memory: Memory = {}
    for each in looks(seed):
        memory, _ = rule.observe(memory, each)
    forgotten = rule.settle(memory, [], [])
    assert json.loads(json.dumps(forgotten)) == forgotten
    assert len(json.dumps(forgotten)) < 100
    assert set(rule.places(forgotten)) <= {""}


def test_a_place_whose_episode_ended_is_no_longer_answered_for_while_nothing_is_there(rule):
    memory, (observation,) = rule.observe({}, look(0, car()))
    memory = rule.settle(memory, [], [observation.place])
    _, observations = rule.observe(memory, look(1))
    assert Verdict.TRUE not in [each.verdict for each in observations]
    assert rule.settle(memory, ["nowhere"], ["nowhere"]) == memory

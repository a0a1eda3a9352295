"""What a model must find is proposed from what people drew and every form of it finds, and nothing else is."""

from importlib import import_module
from pathlib import Path

import cv2
import pytest

from citybrain.domain.geometry import Box
from citybrain.evaluation.labelled import Labelled
from citybrain.evaluation.matching import Thing, Truth
from detectors.registry import list_models
from tests.unit.detectors.drawing import BLUE, GREY, RED, canvas, tiny_models

findings = import_module("findings")

WHOLE, WINDOW = (64, 96), (32, 48)
MIDDLE = Box(0.29, 0.29, 0.71, 0.71)
CLASSES = frozenset({"red", "green", "blue"})


def shown(folder: Path, name: str, colour, *things: Thing, judged=CLASSES, ignored=()) -> Labelled:
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), canvas(96, 64, colour)[..., ::-1])
    return Labelled(f"{name}/{name}.png", path, name, Truth(judged, things, ignored))


@pytest.fixture
def proposed(tmp_path):
    """What is proposed for `tiny`, whose window answers this share of its input, of some pictures."""

    def propose(*pictures, window=0.84, shapes=(WHOLE, WINDOW), **changes):
        folder = tiny_models(tmp_path / "models", shapes=shapes, shares={WINDOW: window}, **changes)
        (model,) = list_models(folder)
        return findings.propose(model, pictures)

    return propose


def test_what_every_form_finds_is_stated_some_way_below_the_least_sure(tmp_path, proposed):
    red = shown(tmp_path, "fire", RED, Thing("red", MIDDLE))
    assert proposed(red, shown(tmp_path, "empty", GREY)) == {
        "model": "tiny",
        "version": 1,
        "pictures": [
            {
                "picture": "evaluation/pictures/fire/fire.png",
                "finds": [
                    {"label": "red", "box": [0.29, 0.29, 0.71, 0.71], "confidence": pytest.approx(0.85, abs=0.051)}
                ],
                "without": {"blue": 0.4, "green": 0.4},
            }
        ],
    }


def test_what_one_form_does_not_find_is_not_stated(tmp_path, proposed):
    assert proposed(shown(tmp_path, "fire", RED, Thing("red", MIDDLE)), window=0.3)["pictures"] == []


def test_what_is_seen_and_was_not_drawn_is_not_stated_nor_called_absent(tmp_path, proposed):
    red = shown(tmp_path, "fire", RED, Thing("red", MIDDLE))
    blue = shown(tmp_path, "lamp", (255, 0, 200), Thing("red", MIDDLE))
    both = proposed(red, blue, shapes=(WHOLE,), finished=True)["pictures"]
    told = {each["picture"]: each["without"] for each in both}
    assert told["evaluation/pictures/fire/fire.png"] == {"blue": 0.4, "green": 0.4}
    assert told["evaluation/pictures/lamp/lamp.png"] == {"green": 0.4}


def test_nothing_is_called_absent_that_nobody_looked_for_or_where_nothing_is_judged(tmp_path, proposed):
    some = shown(tmp_path, "some", RED, Thing("red", MIDDLE), judged=frozenset({"red", "green"}))
    assert [each["without"] for each in proposed(some)["pictures"]] == [{"green": 0.4}]
    unsure = shown(tmp_path, "unsure", RED, Thing("red", MIDDLE), ignored=(Box(0, 0, 0.1, 0.1),))
    assert [each["without"] for each in proposed(unsure)["pictures"]] == [{}]


def test_where_a_class_begins_to_count_is_where_it_must_not_be_found(tmp_path, proposed):
    red = shown(tmp_path, "fire", RED, Thing("red", MIDDLE))
    (told,) = proposed(red, suggested={"blue": 0.55})["pictures"]
    assert told["without"] == {"blue": 0.55, "green": 0.4}


def test_as_many_sources_as_there_are_have_a_say_and_no_class_has_more_than_its_share(tmp_path, proposed):
    pictures = [shown(tmp_path, f"fire{n}", RED, Thing("red", MIDDLE)) for n in range(4)]
    lamp = shown(tmp_path, "lamp", BLUE, Thing("blue", MIDDLE))
    labels = [each["finds"][0]["label"] for each in proposed(*pictures, lamp)["pictures"]]
    assert sorted(labels) == ["blue", *["red"] * findings.A_CLASS]

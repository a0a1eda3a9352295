"""What is asked and wanted of a set, in its file and on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from citybrain.errors import Fault, UsageError
from citybrain.evaluation.matching import Question
from citybrain.evaluation.questions import Questions, Wanted, check, load, told_wanted


def test_a_sets_file_adds_groups_and_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "questions.yaml").write_text(
        "groups: {goods: [stall, crate]}\nwanted: {fire_or_smoke: {precision: 0.9, recall: 0.8}}\n", encoding="utf-8"
    )
    faults: list[Fault] = []
    asked = load([tmp_path], ["fire_or_smoke:precision=0.95,recall=0.8", "vehicle:lost=0"], faults=faults)
    assert faults == []
    assert asked.groups["goods"] == ("stall", "crate")
    assert asked.groups["fire_or_smoke"] == ("fire", "smoke")
    assert asked.wanted == {"fire_or_smoke": Wanted(precision=0.95, recall=0.8), "vehicle": Wanted(lost=0)}
    assert str(asked.wanted["fire_or_smoke"]) == "recall ≥ 0.80 at precision ≥ 0.95 by picture"


def test_a_set_without_the_file_has_the_usual_groups(tmp_path: Path) -> None:
    assert set(load([tmp_path], [], faults=[]).groups) == {"fire_or_smoke", "vehicle"}


def test_what_a_detector_tells_and_the_pictures_judge_is_asked_in_the_detectors_order() -> None:
    asked = Questions().asked(("car", "fire", "tree"), {"fire", "car", "smoke"})
    assert asked[:2] == [Question.of("car"), Question.of("fire")]
    assert [each.name for each in asked[2:]] == ["fire_or_smoke", "vehicle"]
    assert [each.name for each in Questions().asked(("tree",), {"tree", "fire"})] == ["tree"]


@pytest.mark.parametrize(
    "text", ["fire", "fire:", ":recall=1", "fire:recall", "fire:recall=0.8;precision=1", "fire:re=0.8"]
)
def test_a_wish_that_cannot_be_read_says_what_was_expected(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected NAME:precision=P|is not a known key|should be a valid number"):
        told_wanted(text)


def test_a_share_beyond_one_is_no_precision() -> None:
    with pytest.raises(UsageError, match="precision"):
        told_wanted("fire:precision=90")


def test_a_wish_for_what_nobody_asks_is_a_fault() -> None:
    asked = Questions(wanted={"fier": Wanted(recall=1)}, said={"fier": "questions.yaml"})
    (fault,) = check(asked, ["fire"])
    assert (
        str(fault)
        == "questions.yaml: wanted.fier: 'fier' is neither a class of the set nor a group. Did you mean 'fire'?"
    )

"""A camera that is asked to look again: what it answers, what it waits for, and what it never takes for an answer."""

from dataclasses import replace
from datetime import timedelta

import pytest

from citybrain.domain.detection import Detections, Looked, Usable
from citybrain.domain.episode import ChangeKind
from pipeline.looking_again import Asked, answer, ask
from tests.flows.street import SECOND, START

TERMS = {"max_gap": 10 * SECOND, "verify_for": 20 * SECOND}
QUESTION = Asked("cell:1", START, START)


def look(second, *, usable=Usable.OK, looked=Looked.INFERRED, evidence="p.jpg"):
    return Detections("gd-1", START + second * SECOND, 1, usable, looked, evidence=evidence)


def answers(question, seen, there):
    """After a look: `there` is gone, candidate, still or hidden (an open episode, seen and not seen by this look)."""
    held, is_open, true = {
        "gone": (False, False, False),
        "candidate": (True, False, True),
        "still": (True, True, True),
        "hidden": (True, True, False),
    }[there]
    return answer(question, seen, held=held, is_open=is_open, true=true, **TERMS)


def test_a_clear_place_is_answered_by_the_first_look_with_a_picture_and_once():
    question, kind = answers(QUESTION, look(1), "gone")
    assert kind is ChangeKind.SEEN_GONE
    assert answers(question, look(2), "gone") == (question, None)


@pytest.mark.parametrize(
    "seen",
    [
        look(0),
        look(-5),
        look(1, evidence=None),
        look(1, looked=Looked.UNCHANGED),
        look(1, usable=Usable.DARK, looked=Looked.NOT),
    ],
)
def test_an_old_look_one_without_picture_one_not_inferred_and_a_blind_one_are_no_answer(seen):
    assert answers(QUESTION, seen, "gone")[1] is None


@pytest.mark.parametrize("there", ["candidate", "hidden"])
def test_what_may_be_there_is_neither_gone_nor_still_there(there):
    question = QUESTION
    for second in range(1, 60):
        question, kind = answers(question, look(second), there)
        assert kind is None


def test_still_there_needs_true_looks_over_time_and_a_picture_of_the_last():
    question = QUESTION
    for second in range(1, 21):
        question, kind = answers(question, look(second), "still")
        assert kind is None, second
    question, kind = answers(question, look(21, evidence=None), "still")
    assert kind is None
    question, kind = answers(question, look(22), "still")
    assert kind is ChangeKind.STILL_THERE


def test_one_look_that_misses_it_does_not_begin_it_anew_and_a_long_gap_does():
    question, _ = answers(QUESTION, look(1), "still")
    question, _ = answers(question, look(6), "hidden")
    question, kind = answers(question, look(11), "still")
    question, kind = answers(question, look(21), "still")
    assert kind is ChangeKind.STILL_THERE
    question, _ = answers(QUESTION, look(1), "still")
    question, kind = answers(question, look(22), "still")
    assert kind is None


def test_blind_for_long_it_says_so_once_and_that_it_sees_again():
    question = QUESTION
    told = []
    for second in range(1, 40):
        usable = Usable.DARK if second < 30 else Usable.OK
        question, kind = answers(question, look(second, usable=usable, evidence=None), "gone")
        told += [(second, kind)] if kind else []
    assert told == [(11, ChangeKind.UNSEEN), (30, ChangeKind.SEEN_AGAIN)]


def test_an_open_episode_says_itself_that_it_is_unseen():
    dark = look(30, usable=Usable.DARK)
    assert answer(QUESTION, dark, held=True, is_open=True, true=False, **TERMS) == (QUESTION, None)


def test_asked_again_it_is_the_same_question_and_a_later_one_is_another():
    answered = replace(QUESTION, answered=True)
    again = ask(answered, locality="cell:1", asked_at=START, said_at=START + 30 * SECOND)
    assert again == replace(answered, said_at=START + 30 * SECOND)
    another = ask(again, locality="cell:1", asked_at=START + timedelta(minutes=5), said_at=START + timedelta(minutes=5))
    assert not another.answered
    assert ask(another, locality="cell:1", asked_at=START, said_at=START) == another

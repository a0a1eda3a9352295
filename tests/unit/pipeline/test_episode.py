"""When an episode begins and ends: each arrow of the drawing, and that how often one looks decides nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.episode import ChangeKind
from citybrain.domain.observation import Verdict
from pipeline.episode import Episode, Terms, advance, begin, confirm_if_due

EIGHT = datetime(2026, 11, 21, 8, tzinfo=UTC)
S = timedelta(seconds=1)
TERMS = Terms(hold=60 * S, max_gap=20 * S, clear_after=30 * S)
WORDS = {"T": Verdict.TRUE, "F": Verdict.FALSE, "?": Verdict.UNKNOWN}
BEGAN, UNSEEN, SEEN_AGAIN, ENDED, *_ = ChangeKind


def story(words, *, every=10, terms=TERMS, withheld=False):
    """What is told of looks written as T, F, ?, or a dot for no look at all; and the episode after them."""
    episode, told = None, []
    for n, word in enumerate(words):
        at = EIGHT + n * every * S
        if word == ".":
            continue
        if episode is None:
            if word == "T":
                episode, change = confirm_if_due(begin(at), at, terms=terms, withheld=withheld)
            else:
                continue
        else:
            episode, change = advance(episode, WORDS[word], at, terms=terms, withheld=withheld)
        if change is not None:
            told.append((change, n * every))
    return told, episode


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("TTTTTTT", [(BEGAN, 60)]),
        ("TTTTTT", []),
        ("FFTTTTTTT", [(BEGAN, 80)]),
        ("T", []),
        ("TTTTTTTFFFT", [(BEGAN, 60)]),
        ("TTTTTTTFFFF", [(BEGAN, 60), (ENDED, 100)]),
        ("TTTTTTTFFTFFFF", [(BEGAN, 60), (ENDED, 130)]),
        ("TTTTTTT???", [(BEGAN, 60), (UNSEEN, 90)]),
        ("TTTTTTT????T", [(BEGAN, 60), (UNSEEN, 90), (SEEN_AGAIN, 110)]),
        ("TTTTTTT????FFFF", [(BEGAN, 60), (UNSEEN, 90), (SEEN_AGAIN, 110), (ENDED, 140)]),
        ("TTTFTTT", [(BEGAN, 60)]),  # a detector flickers
        ("TTT?TTT", [(BEGAN, 60)]),
        ("TTT.TTT", [(BEGAN, 60)]),
        ("TTTFFTTTTTTT", [(BEGAN, 110)]),  # more than max_gap: the hold starts again
        ("TTT??TTTTTTT", [(BEGAN, 110)]),
        ("TTT..TTTTTTT", [(BEGAN, 110)]),
        ("TTTFFFTTT", []),
        ("TTTTTTTFF..........FFF", [(BEGAN, 60), (ENDED, 210)]),  # nobody looked: that time clears nothing
        ("TTTTTTTFF??????????FFF", [(BEGAN, 60), (UNSEEN, 110), (SEEN_AGAIN, 190), (ENDED, 210)]),
    ],
)
def test_a_story_of_looks_is_told_so(words, told):
    assert story(words)[0] == told


def test_a_scene_without_hold_begins_at_its_first_look():
    assert story("T", terms=Terms(0 * S, 0 * S, 30 * S))[0] == [(BEGAN, 0)]


def test_what_is_withheld_begins_when_it_no_longer_is():
    told, episode = story("TTTTTTTTT", withheld=True)
    assert told == []
    _, change = advance(episode, Verdict.TRUE, EIGHT + 90 * S, terms=TERMS)
    assert change is BEGAN


def test_a_flicker_that_is_mostly_absent_never_begins():
    assert story("TF" * 30, terms=Terms(60 * S, 20 * S, 30 * S, min_seen=0.5))[0] == []
    assert story("TF" * 30, terms=Terms(60 * S, 20 * S, 30 * S, min_seen=0.0))[0] == [(BEGAN, 60)]
    assert story("TTTTF" * 10, terms=Terms(60 * S, 20 * S, 30 * S, min_seen=0.5))[0] == [(BEGAN, 60)]


@pytest.mark.parametrize(
    ("words", "observed", "assumed", "unseen"),
    [
        ("TTTTTTT", 60, 0, 0),
        ("TT?TTTT", 40, 20, 0),
        ("TTFTTTT", 40, 20, 0),
        ("TTTTTTT?????T", 60, 0, 60),
        ("TTTTTTT.....T", 60, 0, 60),
        ("TTTTTTT?????F", 60, 0, 60),
        ("TTTTTTTFFFT", 60, 0, 0),  # looked at all the time, and not seen: neither observed nor unseen
    ],
)
def test_the_figures_say_what_was_observed_assumed_and_not_seen(words, observed, assumed, unseen):
    _, episode = story(words)
    assert (episode.observed, episode.assumed, episode.unseen) == (observed * S, assumed * S, unseen * S)


@given(st.text("T?", max_size=60), st.integers(1, 30))
def test_blind_is_never_clear(words, every):
    assert ENDED not in [change for change, _ in story("TTTTTTT" + words, every=every)[0]]


@given(st.text("?F.", max_size=80), st.integers(1, 30))
def test_what_was_seen_once_and_never_again_never_begins(words, every):
    assert story("T" + words, every=every)[0] == []


@given(st.text("TF?.", max_size=80), st.integers(1, 30))
def test_unseen_and_seen_again_come_in_turn_between_one_beginning_and_one_end(words, every):
    episode: Episode | None = None
    change: ChangeKind | None
    at, open_, blind = 0, False, False
    for word in words:
        at += every
        now = EIGHT + at * S
        if word == ".":
            continue
        if episode is None:
            episode, change = begin(now) if word == "T" else None, None
        else:
            episode, change = advance(episode, WORDS[word], now, terms=TERMS)
        if change is BEGAN:
            assert not open_
            assert word == "T"
            open_ = True
        elif change is ENDED:
            assert open_
            assert word == "F"
            assert not blind
            open_ = False
        elif change is UNSEEN:
            assert open_
            assert word == "?"
            assert not blind
            blind = True
        elif change is SEEN_AGAIN:
            assert blind
            assert word in "TF"
            blind = False


@given(
    fine=st.integers(1, 2),
    coarser=st.integers(2, 3),
    came=st.integers(0, 50),
    stayed=st.integers(1, 300),
    dark=st.integers(0, 300),
    dark_for=st.integers(0, 8),
)
def test_sampling_slower_changes_no_verdict_by_more_than_one_look(*, fine, coarser, came, stayed, dark, dark_for):
    """Of a thing that comes, stays and goes, with a spell of darkness that `max_gap` bridges either way."""

    def look(second):
        return "?" if dark <= second < dark + dark_for else "T" if came <= second < came + stayed else "F"

    def verdicts(every):
        return story("".join(look(second) for second in range(0, 600, every)), every=every)[0]

    slow = fine * coarser
    one, other = dict(verdicts(fine)), dict(verdicts(slow))
    # Whether it stayed for its hold may hang on a look at either end, and on one more on each side of the darkness.
    if abs(stayed - 60) > 2 * slow + dark_for + 1:
        assert one.keys() == other.keys()
    for kind in (BEGAN, ENDED):
        if kind in one and kind in other:
            assert abs(one[kind] - other[kind]) <= 2 * slow + (dark_for if kind is ENDED else 0)


@given(every=st.integers(1, 20), came=st.integers(0, 40), stayed=st.integers(100, 300))
def test_it_begins_at_the_first_look_after_its_hold_and_ends_at_the_first_after_it_was_gone_so_long(
    every, came, stayed
):
    looks = range(0, 600, every)
    told = story("".join("T" if came <= second < came + stayed else "F" for second in looks), every=every)[0]
    seen = next(second for second in looks if second >= came)
    gone = next(second for second in looks if second >= came + stayed)
    assert told == [
        (BEGAN, next(second for second in looks if second >= seen + 60)),
        (ENDED, next(second for second in looks if second >= gone + 30)),
    ]

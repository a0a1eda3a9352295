"""What stage one tells stage two arrives as it was sent, whatever it says."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.domain.episode import ChangeKind, EpisodeChange, Evidence
from citybrain.domain.geometry import Box
from citybrain.errors import Unreadable
from pipeline.changes import read_change, write_change

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
spans = st.floats(0, 1e7)
instants = st.integers(0, 10**12).map(lambda ms: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms))
"""As finely as the wire has them."""


@st.composite
def boxes(draw, digits=None):
    near = st.floats(0, 1) if digits is None else st.floats(0, 1).map(lambda value: round(value, digits))
    (x1, x2), (y1, y2) = sorted([draw(near), draw(near)]), sorted([draw(near), draw(near)])
    return Box(x1, y1, x2, y2)


pictures = st.builds(
    Evidence,
    ref=words,
    camera=words,
    captured_at=instants,
    role=words,
    box=st.none() | boxes(4),
    until_at=st.none() | instants,
)
SAID = {
    "kind": st.sampled_from(ChangeKind),
    **dict.fromkeys(("scene", "camera", "zone", "place", "locality", "label", "reason"), words),
    **dict.fromkeys(("confidence", "observed_s", "assumed_s", "unseen_s"), spans),
    "began_at": instants,
    "at": instants,
    "box": st.none() | boxes(),
    "shared_place": st.none() | words,
    "ground": st.none() | st.tuples(st.floats(-180, 180), st.floats(-90, 90)),
    "evidence": st.lists(pictures, max_size=3).map(tuple),
    "stamps": st.dictionaries(words, instants, max_size=3),
    "model": st.none() | words,
}


@given(st.builds(EpisodeChange, **SAID), st.integers(0, 40))
def test_a_change_arrives_as_it_was_sent(change, n):
    assert read_change(write_change(change, n=n)) == (change, n)


def test_everything_that_a_change_can_say_is_tried():
    assert SAID.keys() == {each.name for each in fields(EpisodeChange)}


AT = datetime(2026, 1, 1, tzinfo=UTC)
GONE = EpisodeChange(
    ChangeKind.SEEN_GONE, "s", "gd-1", "kerb", "gd-1/kerb", "camera:gd-1", AT, AT, "", 0.0, None, 0.0, 0.0, 0.0
)


@pytest.mark.parametrize(
    ("was", "damaged"),
    [
        (b"", b""),
        (b'{"v":1,', b'{"v":2,'),
        (b'"seen_gone"', b'"born"'),
        (b'"stamps":{}', b'"stamps":[]'),
        (b'"box":null', b'"box":[0.1,0.2]'),
        (b'"ground":null', b'"ground":[1.0]'),
        (b'"confidence":0.0', b'"confidence":"much"'),
        (b'"n":0,', b""),
    ],
)
def test_what_is_no_change_is_unreadable(was, damaged):
    whole = write_change(GONE, n=0)
    raw = whole.replace(was, damaged) if was else b"["
    assert raw != whole
    with pytest.raises(Unreadable):
        read_change(raw)

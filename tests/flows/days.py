"""Days in a street, drawn by hypothesis: who stands where and when, what the camera could not see, how it was looked at."""

from __future__ import annotations

from hypothesis import strategies as st

from citybrain.domain.detection import Usable
from citybrain.domain.geometry import Box
from tests.flows.street import FIRE, IN_FRONT_OF_A, A, B, C, Street, Thing, camera, city, scene

LENGTH = 420.0
SCENES = [
    scene(hold="60s", max_gap="20s", clear_after="30s"),
    scene(FIRE),
    scene(
        FIRE,
        id="smoke_alone",
        when={"labels": ["smoke"]},
        hold="10s",
        max_gap="8s",
        clear_after="20s",
        inhibited_by=["fire_risk"],
    ),
]
CAMERAS = [camera("gd-1", place="corner"), camera("gd-2", place="corner"), camera("gd-3", grid_cell="530111001001003")]
TOWN = city(SCENES, CAMERAS)
"""A city of three scenes whose times are short, and three cameras, of which two see one place."""

moments = st.integers(0, int(LENGTH)).map(float)
places = st.sampled_from([A, B, C, IN_FRONT_OF_A, Box(0.18, 0.51, 0.33, 0.66)])


@st.composite
def things(draw):
    since = draw(moments)
    return Thing(
        draw(places),
        since,
        since + draw(st.integers(1, 300)),
        draw(st.sampled_from(["car", "truck", "fire", "smoke", "person"])),
        draw(st.integers(1, 4)),
    )


@st.composite
def streets(draw):
    blind = draw(st.lists(st.tuples(moments, st.integers(1, 90), st.sampled_from(list(Usable)[1:])), max_size=2))
    return Street(
        draw(st.lists(things(), min_size=1, max_size=5)),
        [(since, since + seconds, how) for since, seconds, how in blind],
        missed=draw(st.sampled_from([0, 0.1, 0.3])),
        seed=draw(st.integers(1, 99)),
        camera=draw(st.sampled_from([each.id for each in CAMERAS])),
        evidence=draw(st.booleans()),
        restarts=draw(st.lists(moments, max_size=1)),
    )


@st.composite
def days(draw):
    """The looks of one to three cameras, in the order in which they happened."""
    looks = []
    for street in draw(st.lists(streets(), min_size=1, max_size=3, unique_by=lambda each: each.camera)):
        looks += street.looks(every=draw(st.sampled_from([2.013, 3.1, 5.037])), until=LENGTH)
    return sorted(looks, key=lambda look: (look.captured_at, look.camera))

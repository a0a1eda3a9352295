"""The clip of an episode: seconds before and seconds after, one for all that begins meanwhile, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from citybrain.bus.local import LocalBus
from citybrain.clock import ManualClock
from citybrain.domain.command import Filmed
from citybrain.domain.episode import EvidenceKind
from citybrain.errors import Transient, Unreadable
from citybrain.evidence.files import FileEvidence
from citybrain.ports import Footage
from citybrain.wire import COMMANDS, dumps, read_command
from ingest import clips
from ingest.clips import AFTER, BEFORE, GRACE_S, LONGEST, Clips, following
from ingest.worker_port import Began
from tests.unit.ingest.footage import EIGHT, footage

SECOND = timedelta(seconds=1)
CONFIRMED = EIGHT + 20.3 * SECOND
LONG = footage(seconds=70.0)


@dataclass
class Camera:
    """A source that keeps six seconds; by each question a second has gone by. `lost_at` it is gone, and all it kept."""

    clock: ManualClock
    sent: Footage = LONG
    lost_at: datetime | None = None
    forgets: Callable[[datetime], bool] = lambda _: False
    asked: list[datetime] = field(default_factory=list)

    def frames(self):
        raise NotImplementedError

    def closer(self, after):
        raise NotImplementedError

    def footage(self, since: datetime) -> Footage | None:
        now = self.clock.now()
        if self.asked:
            self.clock.advance(SECOND)
        self.asked.append(since)
        if self.lost_at and now >= self.lost_at:
            return None
        oldest = now - 6 * SECOND
        there = [each for each in self.sent.units if each.captured_at <= now and not self.forgets(each.captured_at)]
        keys = [n for n, each in enumerate(there) if each.keyframe and each.captured_at >= oldest - SECOND / 2]
        first = max((n for n in keys if there[n].captured_at <= since), default=keys[0] if keys else len(there))
        return replace(self.sent, units=tuple(there[first:])) if there[first:] else None


class Filming:
    """Clips of a city in a folder; a clip is its instants as text, for what an MP4 is has its own tests."""

    def __init__(self, folder) -> None:
        self.clock = ManualClock(CONFIRMED + 0.8 * SECOND)
        self.evidence, self.bus = FileEvidence(folder / "evidence"), LocalBus(folder / "citybrain.db")
        self.camera = Camera(self.clock)
        self.fails: Exception | None = None
        self.clips = Clips(evidence=self.evidence, bus=self.bus, clock=self.clock, remux=self.remux, poll_s=0)

    async def remux(self, footage: Footage) -> bytes:
        if self.fails:
            raise self.fails
        return dumps([(each.captured_at - EIGHT).total_seconds() for each in footage.units])

    def begins(self, at=CONFIRMED, *, scene="fire_risk", camera="gd-1"):
        began = Began(scene, "yard", f"{camera}/yard", "cell:1", at - 3 * SECOND, at)
        self.clips.begin(camera, began, self.camera)
        return began

    async def told(self) -> list[Filmed]:
        await self.clips.settle()
        found = [read_command(each.value) for each in self.bus.read((COMMANDS,), after=0)]
        filmed = [each for each in found if isinstance(each, Filmed)]
        assert filmed == found
        return filmed

    def seconds(self, told: Filmed) -> list[float]:
        return [float(each) for each in self.evidence.get(told.clip.ref).decode().strip("[]").split(",")]


@pytest.fixture
async def filming(tmp_path):
    made = Filming(tmp_path)
    yield made
    await made.clips.close()
    made.bus.close()


async def test_a_clip_begins_at_a_keyframe_before_the_fire_was_confirmed_and_ends_some_seconds_after(filming):
    began = filming.begins()
    (told,) = await filming.told()
    seconds = filming.seconds(told)
    assert seconds == pytest.approx([15.0 + n / 10 for n in range(104)])
    assert any(unit.keyframe and unit.captured_at == told.clip.captured_at for unit in LONG.units)
    assert told.clip.captured_at <= CONFIRMED - BEFORE
    assert told.clip.until_at == EIGHT + 25.3 * SECOND == CONFIRMED + AFTER
    assert told.clip.kind is EvidenceKind.CLIP
    assert (told.scene, told.place, told.locality) == ("fire_risk", "gd-1/yard", "cell:1")
    assert (told.began_at, told.confirmed_at) == (began.began_at, began.confirmed_at)
    assert filming.clips.figures() == {"in_work": 0, "made": 1, "failed": 0, "refused": 0, "bytes": 521}


async def test_the_seconds_before_are_taken_at_once_for_they_would_be_gone(filming):
    filming.begins()
    assert filming.camera.asked == [CONFIRMED - BEFORE]


async def test_episodes_that_begin_meanwhile_share_a_clip_which_becomes_longer(filming):
    filming.begins()
    filming.begins(CONFIRMED + 3 * SECOND, scene="waterlogging")
    fire, water = await filming.told()
    assert fire.clip == water.clip
    assert fire.id != water.id
    assert fire.clip.until_at == CONFIRMED + 3 * SECOND + AFTER


async def test_a_clip_does_not_grow_for_ever(filming):
    for second in range(0, 60, 4):
        filming.begins(CONFIRMED + second * SECOND)
    told = await filming.told()
    assert {each.clip for each in told} == {told[0].clip}
    assert told[0].clip.until_at == EIGHT + 15 * SECOND + LONGEST


async def test_cameras_have_clips_of_their_own(filming):
    filming.begins()
    filming.begins(camera="gd-2")
    one, two = await filming.told()
    assert {one.clip.camera, two.clip.camera} == {"gd-1", "gd-2"}


async def test_what_begins_after_a_clip_is_done_has_the_next_one(filming):
    filming.begins()
    await filming.told()
    filming.begins(CONFIRMED + 30 * SECOND)
    first, second = await filming.told()
    assert first.clip.ref != second.clip.ref


async def test_a_camera_that_is_lost_in_the_middle_gives_what_there_is(filming):
    filming.camera.lost_at = CONFIRMED + 3 * SECOND
    filming.begins()
    (told,) = await filming.told()
    assert CONFIRMED + 2 * SECOND < told.clip.until_at < CONFIRMED + 3 * SECOND
    assert filming.clock.now() <= CONFIRMED + AFTER + (GRACE_S + 3) * SECOND


async def test_a_camera_of_which_nothing_is_kept_gives_no_clip(filming):
    filming.camera.lost_at = EIGHT
    filming.begins()
    assert await filming.told() == []
    assert filming.clips.figures()["failed"] == 1


async def test_after_a_gap_the_clip_goes_on_with_the_next_keyframe(filming):
    asked = filming.camera.asked
    gone = CONFIRMED + 0.9 * SECOND
    filming.camera.forgets = lambda at: len(asked) > 1 and at < gone  # the memory for kept groups was needed elsewhere
    filming.begins()
    (told,) = await filming.told()
    seconds = filming.seconds(told)
    assert seconds[:62] == pytest.approx([15.0 + n / 10 for n in range(62)])
    assert seconds[62] == pytest.approx(21.5), "a keyframe: there is one each half second"
    assert told.clip.until_at == CONFIRMED + AFTER


async def test_a_camera_whose_clock_is_set_gives_what_was_before(filming, monkeypatch):
    later = [replace(each, captured_at=each.captured_at + timedelta(hours=1)) for each in LONG.units[220:]]
    kept = [LONG.units[150:211], (*LONG.units[150:220], *later)]
    monkeypatch.setattr(filming.camera, "footage", lambda since: replace(LONG, units=kept.pop(0)))
    filming.begins()
    (told,) = await filming.told()
    assert told.clip.until_at == LONG.units[219].captured_at


@pytest.mark.parametrize("error", [Unreadable("no H.264"), Transient("the disk is full"), OSError("no process")])
async def test_a_clip_that_cannot_be_made_costs_only_itself(filming, error, caplog):
    filming.fails = error
    filming.begins()
    assert await filming.told() == []
    assert filming.clips.figures() == {"in_work": 0, "made": 0, "failed": 1, "refused": 0, "bytes": 0}
    assert str(error) in caplog.text
    filming.fails = None
    filming.begins(CONFIRMED + 20 * SECOND)
    assert len(await filming.told()) == 1


async def test_a_clip_is_bounded_and_what_fits_is_kept(filming, monkeypatch):
    size = sum(len(each.data) for each in LONG.units if 15 <= (each.captured_at - EIGHT).total_seconds() < 18)
    monkeypatch.setattr(clips, "MOST_BYTES", size)
    filming.begins()
    (told,) = await filming.told()
    assert told.clip.until_at == EIGHT + 17.9 * SECOND


@pytest.mark.parametrize("bound", ["MOST_IN_WORK", "MOST_BYTES_IN_WORK"])
async def test_over_the_bounds_of_all_clips_there_is_none_and_that_is_counted(filming, monkeypatch, bound):
    monkeypatch.setattr(clips, bound, 1 if bound == "MOST_IN_WORK" else len(LONG.units[0].data))
    filming.begins()
    filming.begins(camera="gd-2")
    if bound == "MOST_IN_WORK":
        assert filming.clips.figures()["refused"] == 1
        assert len(await filming.told()) == 1
    else:
        assert sum(len(each.units) for each in filming.clips._in_work.values()) <= 1


async def test_clips_in_work_are_given_up_at_the_end(filming):
    filming.begins()
    await filming.clips.close()
    assert filming.clips.figures()["in_work"] == 0
    assert filming.bus.read((COMMANDS,), after=0) == []


def test_what_follows_is_found_by_the_unit_itself_whatever_the_order_of_instants():
    coded = footage(b_frames=2).units
    taken = list(coded[:30])
    assert following(taken, coded[20:]) == coded[30:]
    assert following([], coded) == coded
    assert following(list(coded[:10]), coded[30:]) == coded[30:]
    assert following(list(coded), coded[:5]) == ()

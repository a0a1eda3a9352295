"""What is kept of a camera: its current group, some seconds before it, and never more than the bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from citybrain.domain.frame import Frame
from citybrain.ports import Unit
from ingest.kept import Group, Kept, KeptMemory

START = datetime(2026, 11, 21, 8, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def key(seconds: float, data: bytes = b"K") -> Frame:
    return Frame("a", "h264", (data,), at(seconds), at(seconds))


def picture(seconds: float, data: bytes = b"p") -> Unit:
    return Unit(data, at(seconds), keyframe=False)


def group(kept: Kept, begins: float, count: int = 4, step: float = 0.5, size: int = 1) -> Frame:
    frame = kept.begin(key(begins, b"K" * size))
    for index in range(1, count):
        kept.add_unit(picture(begins + index * step, b"p" * size))
    return frame


def test_a_closer_look_begins_at_the_keyframe_and_goes_on_from_where_it_was():
    kept = Kept(KeptMemory())
    assert kept.closer(None, received_at=at(0)) is None
    first = kept.begin(key(0))
    kept.add_unit(picture(0.5, b"1"))
    look = kept.closer(None, received_at=at(0.6))
    assert look is not None
    assert (look.group, look.since, look.packets) == (first.group, 0, (b"K", b"1"))
    assert (look.captured_at, look.received_at) == (at(0.5), at(0.6))
    assert kept.closer((look.group, 2), received_at=at(0.7)) is None
    kept.add_unit(picture(1.0, b"2"))
    kept.add_unit(picture(1.5, b"3"))
    look = kept.closer((look.group, 2), received_at=at(1.6))
    assert look is not None
    assert (look.since, look.packets, look.captured_at) == (2, (b"2", b"3"), at(1.5))


def test_in_another_group_a_closer_look_begins_at_its_keyframe():
    kept = Kept(KeptMemory())
    before = group(kept, 0)
    group(kept, 2, count=2)
    look = kept.closer((before.group, 3), received_at=at(3))
    assert look is not None
    assert (look.group, look.since, look.packets) == (before.group + 1, 0, (b"K", b"p"))


def test_pictures_coded_out_of_order_are_timed_by_the_last_one_shown():
    kept = Kept(KeptMemory())
    kept.begin(key(0))
    for seconds in (1.5, 0.5, 1.0):
        kept.add_unit(picture(seconds))
    look = kept.closer(None, received_at=at(2))
    assert look is not None
    assert look.captured_at == at(1.5)


def test_after_a_loss_nothing_is_looked_at_closer_until_the_next_keyframe():
    kept = Kept(KeptMemory())
    kept.begin(key(0))
    kept.add_unit(picture(0.5))
    kept.lose()
    kept.add_unit(picture(1.0))
    assert kept.closer(None, received_at=at(1)) is None
    kept.begin(key(2))
    look = kept.closer(None, received_at=at(2))
    assert look is not None
    assert look.packets == (b"K",)
    footage = kept.footage(at(0))
    assert footage is not None
    assert [unit.captured_at for unit in footage.units] == [at(0), at(0.5), at(2)]


def test_footage_begins_with_the_last_keyframe_before_and_ends_now():
    kept = Kept(KeptMemory())
    assert kept.footage(at(0)) is None
    for begins in (0, 2, 4, 6):
        group(kept, begins)
    for since, first in ((-9, 0), (0, 0), (1.9, 0), (2, 2), (5, 4), (99, 6)):
        footage = kept.footage(at(since), extradata=b"sets")
        assert footage is not None
        assert footage.units[0] == Unit(b"K", at(first), keyframe=True)
        assert footage.units[-1].captured_at == at(7.5)
        assert (footage.codec, footage.extradata) == ("h264", b"sets")


def test_groups_are_kept_as_long_as_six_seconds_back_need_them():
    memory = KeptMemory()
    kept = Kept(memory)
    for begins in range(0, 40, 2):
        group(kept, begins)
    footage = kept.footage(at(0))
    assert footage is not None
    assert footage.units[0].captured_at == at(32)  # the newest keyframe is at 38, and 32 is six seconds before
    assert memory.figures() == {"bytes": 16, "cut": 0, "short": 0}


def test_one_long_group_is_kept_whole_behind_a_new_one():
    kept = Kept(KeptMemory())
    group(kept, 0, count=40)
    kept.begin(key(20))
    footage = kept.footage(at(15))
    assert footage is not None
    assert footage.units[0].captured_at == at(0)


def test_the_oldest_group_of_all_cameras_goes_first_when_older_ones_take_too_much():
    memory = KeptMemory(history_bytes=1000, each=(0, 0))
    one, other = Kept(memory), Kept(memory)
    for begins in range(4):
        group(one, begins, size=100)
        group(other, begins + 0.5, size=100)
    # 400 bytes a group: two older ones fit, and they are the newest two, one of each camera.
    assert memory.figures() == {"bytes": 1600, "cut": 0, "short": 4}
    for kept, begun_s in ((one, 2.0), (other, 2.5)):
        footage = kept.footage(at(-1))
        assert footage is not None
        assert footage.units[0].captured_at == at(begun_s)


def test_many_cameras_may_keep_more_together_than_a_few():
    memory = KeptMemory(history_bytes=0, each=(1 << 20, 400))
    kept = [Kept(memory) for _ in range(10)]
    for begins in (0, 2):
        for each in kept:
            group(each, begins, size=100)
    assert memory.figures() == {"bytes": 8000, "cut": 0, "short": 0}
    for each in kept[1:]:
        each.close()
    for begins in (4, 6):
        group(kept[0], begins, size=100)
    assert memory.figures()["bytes"] == 800


def test_a_current_group_over_the_bound_is_cut_and_says_so():
    memory = KeptMemory(all_bytes=1000, each=(0, 0))
    kept = Kept(memory)
    group(kept, 0, count=20, size=100)
    assert memory.figures() == {"bytes": 1000, "cut": 1, "short": 0}
    assert kept.closer(None, received_at=at(9)) is None
    group(kept, 20, count=3, size=100)
    assert kept.closer(None, received_at=at(22)) is not None
    assert memory.figures()["short"] == 1  # the group that was cut made room for the new one


def test_one_camera_cannot_take_more_than_its_own_bound():
    memory = KeptMemory(camera_bytes=500)
    loud, quiet = Kept(memory), Kept(memory)
    group(quiet, 0, size=10)
    group(loud, 0, count=20, size=100)
    assert memory.figures() == {"bytes": 540, "cut": 1, "short": 0}
    assert quiet.closer(None, received_at=at(9)) is not None


def test_a_keyframe_that_finds_no_room_is_a_look_all_the_same():
    memory = KeptMemory(camera_bytes=10)
    kept = Kept(memory)
    assert kept.begin(key(0, b"K" * 11)).group == 1
    assert kept.closer(None, received_at=at(0)) is None
    kept.add_unit(picture(1))
    assert memory.figures() == {"bytes": 0, "cut": 1, "short": 0}


def test_what_a_camera_kept_is_given_up_when_it_is_left():
    memory = KeptMemory()
    kept = Kept(memory)
    for begins in (0, 2, 4):
        group(kept, begins)
    kept.close()
    kept.close()
    kept.begin(key(6))  # a thread of the source may be a moment behind
    assert memory.figures()["bytes"] == 0
    assert kept.footage(at(0)) is None


def test_what_came_is_taken_apart_when_somebody_asks_and_only_once():
    asked: list[bytes] = []

    def take_apart(group: Group) -> None:
        whole = b"".join(group.raw)
        asked.append(whole)
        while b"." in whole:
            data, _, whole = whole.partition(b".")
            group.units.append(Unit(data, group.key.captured_at + timedelta(seconds=len(group.units)), keyframe=False))
        group.raw = [whole] if whole else []

    kept = Kept(KeptMemory(), take_apart=take_apart)
    kept.begin(key(0))
    for raw in (b"one.t", b"wo.th"):
        kept.add(raw)
    assert asked == []
    look = kept.closer(None, received_at=at(9))
    assert look is not None
    assert look.packets == (b"K", b"one", b"two")
    kept.add(b"ree.")
    look = kept.closer((look.group, 3), received_at=at(9))
    assert look is not None
    assert look.packets == (b"three",)
    assert asked == [b"one.two.th", b"three."]

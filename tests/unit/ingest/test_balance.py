"""Workers with uneven work: cameras change hands, a few at a time, and none is forgotten on the way."""

import pytest

from ingest.balance import AT_ONCE, UNEVEN, balance
from ingest.sampler import Sampler

EVERY = 2.0


def worker(costs, *, rounds=10, attended=()):
    """A sampler whose cameras gave a keyframe each two seconds, and were looked at, each at its own cost."""
    sampler = Sampler()
    for camera in costs:
        sampler.add(camera, every=EVERY, patience=EVERY)
    for turn in range(rounds):
        now = turn * EVERY
        for camera in costs:
            sampler.offer(camera, now)
        for camera in sampler.take(now, len(costs)):
            sampler.looked(camera, now + costs[camera], costs[camera])
    for camera in attended:
        sampler.attend(camera, rounds * EVERY, every=0.25, until=rounds * EVERY + 15)
    return sampler


def shares(samplers, now):
    return [sampler.load(now).share for sampler in samplers]


NOW = 10 * EVERY


def test_the_busier_worker_gives_cameras_away_until_both_have_as_much():
    busy = worker({f"junction-{n}": 0.060 for n in range(30)})
    idle = worker({f"lane-{n}": 0.025 for n in range(30)})
    samplers = [busy, idle]
    before = shares(samplers, NOW)
    moved = []
    while moves := balance(samplers, NOW):
        assert len(moves) <= max(1, round(30 * AT_ONCE)), "a few at a time"
        moved += moves
    after = shares(samplers, NOW)
    assert before[0] > 2 * before[1]
    assert abs(after[0] - after[1]) <= UNEVEN * max(after)
    assert sum(after) == pytest.approx(sum(before), rel=0.05)
    assert {move.worker for move in moved} == {1}
    assert all(move.camera.startswith("junction") for move in moved)
    assert (len(busy), len(idle)) == (30 - len(moved), 30 + len(moved))


def test_one_camera_too_heavy_to_make_it_better_stays():
    samplers = [worker({"junction": 1.5}), worker({"lane": 0.9})]
    assert balance(samplers, NOW) == []


def test_workers_that_have_time_left_keep_their_cameras():
    samplers = [worker({f"junction-{n}": 0.060 for n in range(10)}), worker({"lane": 0.025})]
    assert balance(samplers, NOW) == []


def test_a_camera_with_an_open_question_stays_with_the_worker_that_follows_it():
    costs = {f"junction-{n}": 0.080 for n in range(20)}
    samplers = [worker(costs, attended=costs), worker({"lane": 0.025})]
    assert balance(samplers, NOW) == []


def test_a_camera_that_is_being_looked_at_stays_until_the_look_is_done():
    costs = {f"junction-{n}": 0.080 for n in range(20)}
    busy = worker(costs)
    for camera in costs:
        busy.offer(camera, NOW)
    out = busy.take(NOW, 19)
    assert {move.camera for move in balance([busy, Sampler()], NOW)} == set(costs) - set(out)


def test_who_changes_hands_keeps_its_place_in_time():
    busy, idle = worker({"one": 0.060, "two": 0.060}), Sampler()
    busy.offer("one", NOW - 1)
    due, seen = busy.next_due(), busy.staleness("one", NOW)
    busy.hand_over("one", idle)
    assert busy.next_due() is None
    assert idle.next_due() == due
    assert idle.staleness("one", NOW) == seen
    assert idle.take(NOW, 4) == ["one"]
    assert busy.take(NOW, 4) == []
    assert idle.load(NOW).demand == pytest.approx(0.060 / EVERY)

"""Cameras shared out over processes that come, die and go: nobody is unseen for long, and what stays is not touched."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sharing import LINGER_S, SETTLE_S, SETTLED_S, Part, Share, Sharer, shared_out

# -- who gets what --------------------------------------------------------------------------------------------------------

some_sharers = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.builds(
        Sharer,
        workers=st.integers(1, 16),
        has=st.frozensets(st.integers(0, 70)),
        generation=st.integers(-1, 5),
    ),
    min_size=1,
)


@given(st.integers(0, 64), some_sharers)
def test_each_partition_goes_to_one_process(count: int, sharers: dict[str, Sharer]) -> None:
    given_out = shared_out(range(count), sharers)
    assert sorted(each for mine in given_out.values() for each in mine) == list(range(count))
    assert given_out.keys() == sharers.keys()


@given(st.integers(1, 64), st.integers(1, 9))
def test_processes_alike_get_as_many_as_each_other(count: int, processes: int) -> None:
    sizes = [len(mine) for mine in shared_out(range(count), {str(n): Sharer(4) for n in range(processes)}).values()]
    assert max(sizes) - min(sizes) <= 1


def test_who_has_more_workers_gets_more() -> None:
    given_out = shared_out(range(64), {"large": Sharer(24), "small": Sharer(8)})
    assert {name: len(mine) for name, mine in given_out.items()} == {"large": 48, "small": 16}


@given(st.integers(1, 64), some_sharers)
def test_shared_out_again_nothing_moves(count: int, sharers: dict[str, Sharer]) -> None:
    before = shared_out(range(count), sharers)
    again = {name: Sharer(each.workers, frozenset(before[name]), 9) for name, each in sharers.items()}
    assert shared_out(range(count), again) == before


@given(st.integers(1, 64), st.integers(1, 8))
def test_a_new_process_takes_its_part_and_nothing_else_moves(count: int, processes: int) -> None:
    before = shared_out(range(count), {str(n): Sharer(4) for n in range(processes)})
    sharers = {name: Sharer(4, frozenset(mine), 1) for name, mine in before.items()}
    after = shared_out(range(count), {**sharers, "new": Sharer(4)})
    assert len(after["new"]) == count // (processes + 1)
    assert all(set(after[name]) <= set(mine) for name, mine in before.items())


@given(st.integers(1, 64), st.integers(2, 8))
def test_what_a_dead_process_had_is_spread_and_nothing_else_moves(count: int, processes: int) -> None:
    before = shared_out(range(count), {str(n): Sharer(4) for n in range(processes)})
    left = {name: Sharer(4, frozenset(mine), 1) for name, mine in before.items() if name != "0"}
    after = shared_out(range(count), left)
    assert all(set(after[name]) >= set(before[name]) for name in left)
    assert max(map(len, after.values())) - min(map(len, after.values())) <= 1


def test_who_was_away_does_not_take_back_what_others_have_by_now() -> None:
    sharers = {"away": Sharer(1, frozenset(range(4)), 3), "here": Sharer(1, frozenset(range(4)), 4)}
    assert shared_out(range(4), sharers) == {"away": [2, 3], "here": [0, 1]}


# -- one process's part ---------------------------------------------------------------------------------------------------


def holding(*partitions: int, now_s: float = 0.0) -> Share:
    """A process that looks at what was said of its partitions: two cameras in each."""
    share = Share()
    share.assigned(partitions, generation=1, now_s=now_s)
    for each in partitions:
        share.heard(each, 0, f"a{each}", b"1", now_s=now_s)
        share.heard(each, 1, f"b{each}", b"1", now_s=now_s)
        share.caught_up(each, now_s=now_s)
    share.part(now_s + SETTLE_S)
    return share


def test_an_assignment_is_acted_on_when_it_has_stood_for_a_moment_and_was_read() -> None:
    share = Share()
    assert share.assigned([3], generation=1, now_s=0.0) == {3: 0}
    share.heard(3, 0, "a", b"1", now_s=0.1)
    assert share.part(SETTLE_S) == Part(1, {}, {})
    share.heard(3, 1, "b", b"1", now_s=0.6)
    share.heard(3, 2, "a", None, now_s=0.6)
    assert share.part(5.0) is None
    share.caught_up(3, now_s=5.0)
    assert share.part(5.0) == Part(1, {"b": b"1"}, {})
    assert share.next_s() is None


def test_processes_that_come_one_after_the_other_are_waited_for_but_not_for_ever() -> None:
    share = holding(0, 1)
    at_s, acted = 10.0, []
    for generation in range(2, 12):
        share.assigned([0], generation=generation, now_s=at_s)
        if share.part(at_s + 0.3) is not None:
            acted.append(at_s + 0.3)
        at_s += 0.4
    assert acted
    assert acted[0] <= 10.0 + SETTLED_S + 0.4


def test_a_camera_that_another_was_given_is_left_later_and_told_of_no_more() -> None:
    share = holding(0, 1)
    share.assigned([0], generation=2, now_s=10.0)
    assert share.part(10.0) is None
    assert share.part(10.0 + SETTLE_S) == Part(2, {"a0": b"1", "b0": b"1"}, {"a1": b"1", "b1": b"1"})
    until_s = 10.0 + SETTLE_S + LINGER_S + 2 / 100
    assert share.next_s() == until_s
    assert share.part(until_s - 0.01) is None
    assert share.part(until_s) == Part(2, {"a0": b"1", "b0": b"1"}, {})


def test_a_camera_that_comes_back_within_the_moment_was_never_left() -> None:
    share = holding(0, 1)
    share.assigned([0], generation=2, now_s=10.0)
    share.part(10.5)
    assert share.assigned([0, 1], generation=3, now_s=11.0) == {0: 2, 1: 2}  # it is read on from where it was left
    part = share.part(11.5)
    assert part is not None
    assert (sorted(part.cameras), part.leaving) == (["a0", "a1", "b0", "b1"], {})


def test_a_round_that_changes_nothing_for_us_touches_nothing() -> None:
    share = holding(0, 1)
    assert share.assigned([0, 1], generation=2, now_s=10.0) == {0: 2, 1: 2}
    part = share.part(10.5)
    assert part is not None
    assert (sorted(part.cameras), part.leaving) == (["a0", "a1", "b0", "b1"], {})


def test_changes_of_the_topic_are_gathered_for_a_moment() -> None:
    share = holding(0)
    share.heard(0, 2, "c0", b"1", now_s=10.0)
    share.heard(0, 3, "a0", b"2", now_s=10.4)
    assert share.part(10.4) is None
    share.heard(0, 4, "b0", None, now_s=10.45)
    assert share.part(10.5) == Part(1, {"a0": b"2", "c0": b"1"}, {})


def test_what_is_said_of_partitions_of_others_is_nothing_to_us() -> None:
    share = holding(0)
    share.heard(1, 0, "x", b"1", now_s=10.0)
    share.caught_up(1, now_s=10.0)
    assert share.next_s() is None


def test_a_topic_that_was_made_anew_is_believed() -> None:
    share = holding(0)
    share.heard(0, 0, "new", b"1", now_s=10.0)
    assert share.part(10.5) == Part(1, {"new": b"1"}, {})


def test_what_a_process_left_behind_is_not_waited_for() -> None:
    share = holding(0)
    share.assigned([0, 1], generation=2, now_s=10.0)
    share.heard(1, 0, "a1", b"1", now_s=10.1)
    share.caught_up(1, now_s=10.1)
    part = share.part(10.1)
    assert part is not None
    assert sorted(part.cameras) == ["a0", "a1", "b0"]


def test_a_process_that_gets_nothing_stands_by() -> None:
    share = Share()
    share.assigned([], generation=1, now_s=0.0)
    assert share.part(SETTLE_S) == Part(1, {}, {})


# -- many of them, in simulated time --------------------------------------------------------------------------------------

PARTITIONS, CAMERAS = 12, 60
STEP_S, HEARTBEAT_S, SESSION_S = 0.1, 1.0, 6.0
OPENING_S = 1.5  # from the decision to look until there is a first picture
DELAY_S = 0.3  # at most, from the coordinator to a process, and for reading a partition
TAKEN_OVER_S = 10.0
"""What is promised of a process's death while everything else is at peace."""


@dataclass
class Process:
    share: Share
    generation: int = 0
    beats_s: float = 0.0
    mail: list[tuple[float, int, list[int]]] = field(default_factory=list)
    reads: list[tuple[float, int]] = field(default_factory=list)
    since_s: dict[str, float] = field(default_factory=dict)
    own: frozenset[str] = frozenset()

    def sees(self, now_s: float) -> set[str]:
        return {camera for camera, since_s in self.since_s.items() if now_s - since_s >= OPENING_S}


class City:
    """Processes on one topic, and a coordinator as Kafka's is: it notices deaths by silence, and a round waits for everybody."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.now_s, self.generation = 0.0, 0
        self.processes: dict[str, Process] = {}
        self.members: dict[str, float] = {}  # when each was last heard of
        self.joined: set[str] | None = None  # who has joined the round that is going on
        self.unseen_s = dict.fromkeys((f"c{n}" for n in range(CAMERAS)), 0.0)
        self.told_twice_s = dict.fromkeys(self.unseen_s, 0.0)
        self.longest_unseen_s = self.longest_twice_s = 0.0
        self.most_lookers = 0

    def start(self, name: str) -> None:
        self.processes[name] = Process(Share(), beats_s=self.now_s)

    def kill(self, name: str) -> None:
        del self.processes[name]

    def leave(self, name: str) -> None:
        del self.processes[name]
        self.members.pop(name, None)
        self.joined = set() if self.joined is None else self.joined - {name}

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            self.coordinate()
            for process in self.processes.values():
                self.step(process)
            self.watch()

    def coordinate(self) -> None:
        for name, process in self.processes.items():
            if self.now_s >= process.beats_s:
                process.beats_s = self.now_s + HEARTBEAT_S
                if name not in self.members:
                    self.joined = self.joined or set()
                self.members[name] = self.now_s
                if self.joined is not None:
                    self.joined.add(name)
        for name in [name for name, heard_s in self.members.items() if self.now_s - heard_s > SESSION_S]:
            del self.members[name]
            self.joined = set() if self.joined is None else self.joined
        if self.joined is None or not self.joined >= self.members.keys():
            return
        self.joined = None
        self.generation += 1
        sharers = {
            name: Sharer(4, self.processes[name].share.mine, self.processes[name].share.generation)
            for name in self.members
            if name in self.processes
        }
        for name, mine in shared_out(range(PARTITIONS), sharers).items():
            at_s = self.now_s + self.draw.uniform(0, DELAY_S)
            self.processes[name].mail.append((at_s, self.generation, mine))

    def step(self, process: Process) -> None:
        share = process.share
        for at_s, generation, mine in [each for each in process.mail if each[0] <= self.now_s]:
            process.mail.remove((at_s, generation, mine))
            places = share.assigned(mine, generation=generation, now_s=self.now_s)
            process.reads = [(self.now_s + self.draw.uniform(0, DELAY_S), each) for each in places]
        for at_s, partition in [each for each in process.reads if each[0] <= self.now_s]:
            process.reads.remove((at_s, partition))
            for place in range(CAMERAS // PARTITIONS):
                camera = f"c{partition + place * PARTITIONS}"
                if partition in share.mine and place >= share._partitions[partition].place:
                    share.heard(partition, place, camera, b"1", now_s=self.now_s)
            share.caught_up(partition, now_s=self.now_s)
        part = share.part(self.now_s)
        if part is not None:
            process.own = frozenset(part.cameras)
            wanted = {*part.cameras, *part.leaving}
            process.since_s = {camera: process.since_s.get(camera, self.now_s) for camera in wanted}

    def watch(self) -> None:
        seen = [process.sees(self.now_s) for process in self.processes.values()]
        for camera in self.unseen_s:
            lookers = sum(camera in each for each in seen)
            owners = sum(camera in process.own for process in self.processes.values())
            self.unseen_s[camera] = 0.0 if lookers else self.unseen_s[camera] + STEP_S
            self.told_twice_s[camera] = self.told_twice_s[camera] + STEP_S if owners > 1 else 0.0
            self.most_lookers = max(self.most_lookers, lookers)
        self.longest_unseen_s = max(self.longest_unseen_s, *self.unseen_s.values())
        self.longest_twice_s = max(self.longest_twice_s, *self.told_twice_s.values())

    def at_peace(self, processes: int) -> None:
        """So many processes, everything seen, and nothing measured yet."""
        for number in range(processes):
            self.start(f"p{number}")
        self.run(20)
        assert not any(self.unseen_s.values())
        self.longest_unseen_s = self.longest_twice_s = 0.0
        self.most_lookers = 0


@pytest.mark.parametrize("seed", range(20))
def test_a_dead_process_s_cameras_are_seen_again_within_ten_seconds(seed: int) -> None:
    city = City(seed)
    city.at_peace(2 + seed % 3)
    city.run(city.draw.uniform(0, 2))
    stays = {name: dict(process.since_s) for name, process in city.processes.items() if name != "p0"}
    city.kill("p0")
    city.run(15)
    assert SESSION_S - HEARTBEAT_S < city.longest_unseen_s <= TAKEN_OVER_S
    for name, since_s in stays.items():  # nothing that another has was touched
        assert since_s.items() <= city.processes[name].since_s.items()


@pytest.mark.parametrize("seed", range(20))
def test_who_leaves_politely_is_followed_at_once(seed: int) -> None:
    city = City(seed)
    city.at_peace(3)
    city.leave("p0")
    city.run(15)
    assert city.longest_unseen_s <= HEARTBEAT_S + 2 * DELAY_S + SETTLE_S + OPENING_S + 2 * STEP_S


@pytest.mark.parametrize("seed", range(20))
def test_a_new_process_relieves_the_others_and_no_camera_goes_unseen_or_is_stopped_that_stays(seed: int) -> None:
    city = City(seed)
    city.at_peace(1 + seed % 4)
    before = {name: dict(process.since_s) for name, process in city.processes.items()}
    city.start("new")
    city.run(15)
    assert city.longest_unseen_s == 0.0
    assert city.most_lookers == 2
    assert city.longest_twice_s <= SETTLE_S + 2 * DELAY_S
    assert len(city.processes["new"].own) >= CAMERAS // (len(before) + 1) - CAMERAS // PARTITIONS
    for name, since_s in before.items():
        after = city.processes[name].since_s
        assert after.items() <= since_s.items()
        assert frozenset(after) == city.processes[name].own


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_however_they_come_and_die_nobody_is_unseen_for_long_and_in_the_end_each_has_one_owner(seed: int) -> None:
    """A process that dies while a round waits for it holds it up until it is missed: two sessions, and what comes after."""
    city = City(seed)
    city.at_peace(3)
    names = (f"q{n}" for n in range(100))
    for _ in range(12):
        deed = city.draw.choice(("start", "kill", "leave", "nothing"))
        if deed == "start" and len(city.processes) < 7:
            city.start(next(names))
        elif deed in ("kill", "leave") and len(city.processes) > 2:
            getattr(city, deed)(city.draw.choice(sorted(city.processes)))
        city.run(city.draw.uniform(0, 6))
    city.run(25)
    assert city.longest_unseen_s <= 2 * SESSION_S + TAKEN_OVER_S
    owners = [camera for process in city.processes.values() for camera in process.own]
    assert sorted(owners) == sorted(city.unseen_s)
    assert all(frozenset(process.since_s) == process.own for process in city.processes.values())

"""A configuration that changes under a running role: adopted whole once it stands still, refused whole when it is faulty."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from citybrain.clock import ManualClock
from citybrain.errors import ConfigError
from citybrain.hot.sqlite import SqliteHot
from citybrain.watching import Watching, adopted_by, revisions_of
from citybrain.wire import loads

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
MORE = "  - {id: gd-0099, name: more, url: 'rtsp://10.0.0.99/sub', detector: city}\n"


class Role:
    """A role that watches a copy of the good folder."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "config"
        shutil.copytree("tests/configs/folders/good", self.config)
        self.cameras = self.config / "cameras.yaml"
        self.good = self.cameras.read_text()
        self.clock, self.hot = ManualClock(START), SqliteHot(folder / "hot.db")
        self.accepted = folder / "accepted.pickle"
        self.watching = self.started()

    def started(self) -> Watching:
        return Watching(self.config, role="pipeline", clock=self.clock, hot=self.hot, accepted=self.accepted)

    def look(self) -> list[str] | None:
        self.clock.advance(timedelta(seconds=2))
        found = self.watching.look()
        return None if found is None else [each.id for each in found.cameras]

    def looks(self, times: int = 3) -> list[list[str]]:
        return [found for _ in range(times) if (found := self.look()) is not None]

    def said(self) -> dict:
        self.clock.advance(timedelta(seconds=6))
        self.watching.look()
        return dict(loads(self.hot.get("configuration/pipeline/0") or b""))


@pytest.fixture
def role(tmp_path):
    made = Role(tmp_path)
    yield made
    made.hot.close()


def test_a_folder_that_nobody_touches_is_read_once(role):
    assert role.looks() == []
    assert role.said()["refused_since"] is None


def test_an_added_camera_is_adopted_once(role):
    role.cameras.write_text(role.good + MORE)
    (adopted,) = role.looks()
    assert "gd-0099" in adopted
    assert role.looks() == []
    assert role.said()["revision"] == role.watching.current.revision


def test_a_file_that_is_being_written_is_left_alone_until_it_stands_still(role):
    for length in range(len(role.good), len(role.good) + len(MORE) + 1, 9):
        role.cameras.write_text((role.good + MORE)[:length])
        assert role.look() is None
    role.cameras.write_text(role.good + MORE)
    assert len(role.looks()) == 1
    assert role.watching.standing.refused_since is None, "half of it was never judged"


def test_a_faulty_change_is_refused_with_its_faults_and_the_old_one_stays_in_force(role):
    before = role.watching.current
    role.cameras.write_text(role.good + MORE.replace("url:", "urk:"))
    assert role.looks() == []
    assert role.watching.current is before
    said = role.said()
    assert said["refused_since"] == "2026-11-21T08:00:04.000Z"
    assert said["fault_count"] == len(said["faults"]) == 2
    assert "urk: is not a known key" in "\n".join(said["faults"])
    role.cameras.write_text(role.good + "  - nonsense\n")
    assert role.looks() == []
    assert role.said()["refused_since"] == "2026-11-21T08:00:04.000Z", "it has been refused all the while"
    role.cameras.write_text(role.good)
    assert role.looks() == []
    assert role.said()["refused_since"] is None


def test_a_password_that_changes_beside_the_cameras_is_a_change(role):
    (role.config / "cameras").mkdir()
    (role.config / "cameras/west.yaml").write_text("cameras:\n" + MORE.replace("//10", "//${U_1}:${P_1}@10"))
    variables = role.config / "cameras/west.env"
    variables.touch(mode=0o600)
    variables.write_text("U_1=admin\nP_1=one\n")
    assert len(role.looks()) == 1
    revision = role.watching.current.revision
    variables.write_text("U_1=admin\nP_1=two\n")
    assert len(role.looks()) == 1
    assert role.watching.current.revision == revision
    assert role.watching.current.cameras[-1].url.get_secret_value() == "rtsp://admin:two@10.0.0.99/sub"


def test_a_folder_that_is_gone_for_a_while_changes_nothing(role):
    role.config.rename(role.config.with_name("away"))
    assert role.looks() == []
    assert "there is no such folder" in role.said()["faults"][0]
    role.config.with_name("away").rename(role.config)
    assert role.looks() == []
    assert role.said()["refused_since"] is None


def test_a_role_that_dies_while_the_folder_is_faulty_comes_back_by_what_was_in_force(role, monkeypatch):
    role.cameras.write_text(role.good + MORE)
    role.looks()
    role.cameras.write_text("cameras: [\n")
    with pytest.raises(ConfigError):
        role.started()  # a person started it
    monkeypatch.setenv("CITYBRAIN_PARENT", "1")
    again = role.started()
    assert [each.id for each in again.current.cameras][-1] == "gd-0099"
    assert again.standing.refused_since is not None
    assert role.accepted.stat().st_mode & 0o777 == 0o600


def test_what_was_in_force_elsewhere_is_in_force_nowhere_else(role, monkeypatch):
    monkeypatch.setenv("CITYBRAIN_PARENT", "1")
    role.cameras.write_text("cameras: [\n")
    role.accepted.write_bytes(b"what an older version left")
    with pytest.raises(ConfigError):
        role.started()


async def test_a_role_waits_for_another_one_no_longer_than_it_may(role):
    revision = role.watching.current.revision
    assert revisions_of("pipeline", hot=role.hot) == {revision}
    assert await adopted_by("pipeline", revision, hot=role.hot, at_most=timedelta(seconds=5))
    assert not await adopted_by("pipeline", "another", hot=role.hot, at_most=timedelta())
    assert revisions_of("nobody", hot=role.hot) == set()


async def test_while_nobody_can_say_it_is_waited_for_no_longer_than_a_change_takes_to_settle(tmp_path, monkeypatch):
    monkeypatch.setattr("citybrain.watching._SETTLES_S", 0.0)
    (tmp_path / "no folder").write_text("")
    hot = SqliteHot(tmp_path / "no folder" / "hot.db")
    async with asyncio.timeout(20):
        assert not await adopted_by("pipeline", "another", hot=hot, at_most=timedelta(hours=1))

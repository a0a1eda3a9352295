"""What the API says and does without Redis and without its evidence storage: real ones, killed, hung, and back."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from citybrain.clock import SystemClock
from citybrain.domain.episode import Evidence, EvidenceKind
from citybrain.evidence.bucket import Address, Bucket
from citybrain.evidence.checking import check
from citybrain.evidence.regions import Masking
from citybrain.evidence.s3 import S3Evidence
from citybrain.evidence.signer import Signer
from citybrain.evidence.spool import Spool
from citybrain.evidence.stored_seals import StoredSeals
from citybrain.hot.redis import RedisHot
from tests.object_storage import CREDENTIALS
from tests.redis_server import RedisServer, skip_without_redis
from tests.services.api_city import City, case, event, serving
from tests.services.wall_page import Wall
from tests.waiting import until

NOT_MASKED = Masking(on=False)


# -- Redis ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def redis_server(tmp_path):
    skip_without_redis()
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def city(tmp_path, redis_server):
    made = City(tmp_path)
    made.hot.close()
    made.hot = RedisHot(redis_server.url, first_pause=timedelta(milliseconds=50))
    yield made
    made.close()


@pytest.mark.parametrize("goes", ["kill", "freeze"])
def test_without_redis_the_api_is_ready_shows_and_acts_and_says_what_is_missing(city, redis_server, goes):
    city.beat("pipeline")
    city.beat("ingest")
    city.hot.put("picture/gd-0001", b"\xff\xd8 a street \xff\xd9")
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=20) as http:
        city.file(case(1))
        until(lambda: len(http.get("/v1/cases").json()["items"]) == 1)
        assert http.get("/readyz").json() == {"ready": True, "degraded": []}
        assert http.get("/v1/cameras/gd-0001/snapshot.jpg").status_code == 200

        getattr(redis_server, goes)()
        until(lambda: http.get("/readyz").json()["degraded"])
        ready = http.get("/readyz")
        assert (ready.status_code, [each["what"] for each in ready.json()["degraded"]]) == (200, ["hot"])
        assert [each["what"] for each in http.get("/v1/stats").json()["degraded"]] == ["hot"]
        assert "citybrain_hot_away 1.0" in http.get("/metrics").text
        assert "127.0.0.1" not in ready.text
        city.file(case(2))
        until(lambda: len(http.get("/v1/cases").json()["items"]) == 2)
        with city.obeying():
            acted = http.post(f"/v1/cases/{case(1).id}/actions", json={"action": "confirm"})
        assert (acted.status_code, acted.json()["applied"]) == (200, True)
        assert http.get("/v1/cameras").status_code == 200
        # The one read last is served a moment longer.
        until(lambda: http.get("/v1/cameras/gd-0001/snapshot.jpg").status_code == 404)
        refused = http.post("/v1/cameras/gd-0001/view")
        assert (refused.status_code, refused.json()["type"]) == (503, "/docs#hot-away")

        if goes == "kill":
            redis_server.start()
        else:
            redis_server.thaw()
        until(lambda: not http.get("/readyz").json().get("degraded"))
        if goes == "freeze":  # it has the signs of life that were told before: the next ones come
            city.beat("pipeline")
            city.beat("ingest")
        # Whoever began anew has nobody's signs of life: that is no silence.
        assert http.get("/readyz").json() == {"ready": True, "degraded": []}
        assert "citybrain_hot_away 0.0" in http.get("/metrics").text
        assert http.post("/v1/cameras/gd-0001/view").status_code == 202


def test_a_pipeline_that_falls_silent_makes_unready_with_redis_there(city):
    city.beat("pipeline", at=city.clock.now() - timedelta(minutes=1))
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=20) as http:
        assert http.get("/readyz").json()["reasons"] == ["pipeline is silent"]


def test_the_wall_says_in_both_languages_what_is_missing_and_that_cases_go_on(city, redis_server, browser):
    city.beat()
    with serving(city.app()) as url:
        wall = Wall(browser, url).opened()
        city.file(case(1))
        redis_server.kill()
        wall.until("document.querySelector('[data-figure=without_hot]')?.innerText.includes('cases go on')", within=60)
        assert wall.text("[data-figure=without_hot] dt") == "live pictures"
        wall.press("l")
        wall.until("document.querySelector('[data-figure=without_hot]')?.innerText.includes('案件照常')")
        redis_server.start()
        wall.until("!document.querySelector('[data-figure=without_hot]')", within=60)
        wall.press("l")
        browser.get("about:blank")  # or its streams would outlive the server


# -- evidence storage -------------------------------------------------------------------------------------------------


@pytest.fixture
def machines(tmp_path, storage, monkeypatch):
    """Opens the evidence as a machine of its own does, with its own spool; at the end all are closed."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    address = Address.read(storage.url.replace("?", f"/{tmp_path.name}?"))
    with contextlib.ExitStack() as opened:

        def open_one(name: str) -> S3Evidence:
            made = S3Evidence(Bucket(address), Spool(tmp_path / name / "spool"), left_behind=timedelta(seconds=0.1))
            opened.callback(made.close)
            return made

        yield open_one


def test_the_api_shows_and_exports_what_lies_in_the_storage_and_says_when_it_does_not_answer(
    tmp_path, storage, machines
):
    worker, api = machines("worker"), machines("api")
    city, now = City(tmp_path), SystemClock().now()
    city.beat()
    city.evidence = api
    signer = Signer.open(tmp_path / "evidence.key")
    picture = worker.put("gd-0001", now, b"\xff\xd8 a street corner \xff\xd9")
    clip = worker.put("gd-0001", now, b"\0\0\0\x20ftypisom" + bytes(range(256)) * 40, EvidenceKind.CLIP)
    assert worker.settle(within=timedelta(seconds=60))
    shown = (
        Evidence(picture, "gd-0001", now, "confirming"),
        Evidence(clip, "gd-0001", now, "around", until_at=now + timedelta(seconds=2)),
    )
    told = event(replace(case(1), evidence=shown))
    sealing = StoredSeals(worker.bucket, signer, worker)
    assert all(worker.keep(each.ref) and sealing.seal(told, each) for each in shown)
    city.tell(told)
    seals = StoredSeals(api.bucket, signer, api).of
    app = city.app(signer=signer, seals=seals, masking=NOT_MASKED)
    with serving(app) as url, httpx.Client(base_url=url, timeout=30) as http:
        until(lambda: len(http.get("/v1/cases").json()["items"]) == 1)
        assert http.get(f"/v1/evidence/{picture}").content == b"\xff\xd8 a street corner \xff\xd9"
        part = http.get(f"/v1/evidence/{clip}", headers={"range": "bytes=4-11"})
        assert (part.status_code, part.content) == (206, b"ftypisom")
        assert http.get(f"/v1/evidence/{picture[:-20]}0123456789abcdef.jpg").status_code in (404, 503)

        exported = http.get(f"/v1/cases/{told.case.id}/evidence.zip")
        (tmp_path / "case.zip").write_bytes(exported.content)
        found = check(tmp_path / "case.zip", key=signer.public)
        assert found.faults == []
        with zipfile.ZipFile(io.BytesIO(exported.content)) as bundle:
            sealed = [json.loads(bundle.read(f"seals/00{n}.json"))["ref"] for n in (1, 2)]
        assert sealed == [picture, clip]

        storage.kill()
        answer = http.get(f"/v1/evidence/{picture}")
        assert (answer.status_code, answer.json()["type"]) == (503, "/docs#evidence-away")
        assert "127.0.0.1" not in answer.text
        assert http.get(f"/v1/cases/{told.case.id}/evidence.zip").status_code == 503
        ready = http.get("/readyz")
        assert (ready.status_code, [each["what"] for each in ready.json()["degraded"]]) == (200, ["evidence"])
        assert "citybrain_evidence_away 1.0" in http.get("/metrics").text
        assert len(http.get("/v1/cases").json()["items"]) == 1

        storage.start()
        until(lambda: not http.get("/readyz").json()["degraded"])
        assert http.get(f"/v1/evidence/{picture}").status_code == 200
        assert http.get(f"/v1/cases/{told.case.id}/evidence.zip").status_code == 200
    city.close()


def test_a_photograph_may_be_named_on_another_replica_once_it_has_come(tmp_path, storage, machines):
    here, there = machines("here"), machines("there")
    city, now = City(tmp_path), SystemClock().now()
    city.beat()
    city.evidence = there
    act = {"action": "handle", "evidence": []}
    with serving(city.app()) as url, httpx.Client(base_url=url, timeout=30) as http:
        city.file(case(1))
        until(lambda: len(http.get("/v1/cases").json()["items"]) == 1)
        storage.freeze()
        act["evidence"] = [here.put("field", now, b"\xff\xd8 a photograph \xff\xd9")]
        storage.thaw()
        until(lambda: there.away_since() is None and here.away_since() is None)
        with city.obeying():
            until(lambda: http.post(f"/v1/cases/{case(1).id}/actions", json=act).status_code == 200)
    city.close()

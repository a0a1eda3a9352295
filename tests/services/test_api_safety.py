"""Who did what is noted, nobody asks too often, and faces, plates and originals are shown to whom they may be."""

from __future__ import annotations

import contextlib
import io
import sqlite3
from datetime import timedelta

import cv2
import httpx
import numpy as np
import pytest

from citybrain.clock import ManualClock
from citybrain.database import Database
from citybrain.domain.episode import Evidence, EvidenceKind
from citybrain.domain.geometry import Box
from citybrain.evidence import checking, jpeg
from citybrain.evidence.regions import Masking, Seen
from citybrain.evidence.seals import Seals, seals_of
from citybrain.evidence.signer import Signer
from events_api.audit import AuditTrail
from events_api.limits import Limited, Limits, Rate
from events_api.security import Role
from tests.services.api_city import START, City, case, event, serving
from tests.unit.ingest.clips import make_clip

ACT = f"/v1/cases/{case(1).id}/actions"
HEAD = (slice(100, 120), slice(205, 235))  # rows and columns of the person's head in `street`


@pytest.fixture
def city(tmp_path):
    made = City(tmp_path)
    made.beat()
    yield made
    made.close()


def street() -> bytes:
    """A picture of noise with a person in it, as a worker stores it: large enough to see what is left of a face."""
    noise = np.random.default_rng(1).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    done, image = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    return jpeg.telling(image.tobytes(), [Seen("person", Box(0.32, 0.28, 0.37, 0.6)), Seen("water", Box(0, 0, 1, 1))])


def pixels(image: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return found


class Street:
    """A city with keys, one case with a picture and a clip of it, sealed; and a client for each role."""

    def __init__(self, city: City, tmp_path, url: str, http: httpx.Client, tokens: dict[Role, str]) -> None:
        self.city, self.folder, self.url, self.http, self.tokens = city, tmp_path, url, http, tokens
        self.picture, self.clip = (each.ref for each in city.cases[case(1).id].evidence)

    def get(self, path: str, role: Role = Role.OPERATOR, **more) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.tokens[role]}"} | more.pop("headers", {})
        return self.http.get(path, headers=headers, **more)

    def post(self, path: str, role: Role = Role.OPERATOR, **more) -> httpx.Response:
        return self.http.post(path, headers={"authorization": f"Bearer {self.tokens[role]}"}, **more)

    def trail(self, what: str = "") -> list[tuple[str, str, str, str, dict[str, str]]]:
        items = self.get(f"/v1/audit?what={what}", Role.ENGINEER).json()["items"]
        return [(each["actor"], each["what"], each["on"], each["outcome"], each["more"]) for each in items]


@pytest.fixture
def signer(tmp_path):
    return Signer.open(tmp_path / "evidence.key")


@pytest.fixture
def living(city, tmp_path, signer):
    """Makes the street, with what the application is to be given besides."""
    with contextlib.ExitStack() as stack:

        def make(**more) -> Street:
            tokens: dict[Role, str] = {
                role: city.keys.add(f"{role}-desk", role) for role in Role if role is not Role.FIELD
            }
            clip = make_clip(tmp_path / "clip.mp4", seconds=2, fps=10, width=320, height=192).read_bytes()
            picture = city.evidence.put("gd-0001", START, street())
            film = city.evidence.put("gd-0001", START, clip, EvidenceKind.CLIP)
            shown = (
                Evidence(picture, "gd-0001", START, "confirming", Box(0.25, 0.4, 0.5, 0.7)),
                Evidence(film, "gd-0001", START, "around", until_at=START + timedelta(seconds=2)),
            )
            connection = sqlite3.connect(tmp_path / "citybrain.db", isolation_level=None, check_same_thread=False)
            stack.callback(connection.close)
            seals = Seals(connection, signer, city.evidence)
            told = event(case(1, evidence=shown))
            for each in shown:
                seals.seal(told, each)
            city.tell(told)
            known = {"signer": signer, "seals": lambda id: seals_of(connection, id), "masking": Masking()}
            url = stack.enter_context(serving(city.app(**known | more)))
            http = stack.enter_context(httpx.Client(base_url=url, timeout=30))
            while city.store.cursor() == 0:
                city.pipeline.wait(timedelta(milliseconds=20))
            return Street(city, tmp_path, url, http, tokens)

        yield make


# -- masked and not -------------------------------------------------------------------------------------------------------


def test_a_picture_is_shown_with_its_faces_masked_and_is_stored_as_it_was(living):
    street = living()
    original = street.city.evidence.get(street.picture)
    for role in (Role.VIEWER, Role.OPERATOR, Role.ENGINEER, Role.PLATFORM):
        answer = street.get(f"/v1/evidence/{street.picture}", role)
        assert (answer.status_code, answer.headers["masked"]) == (200, "true")
        before, after = pixels(original), pixels(answer.content)
        assert after[HEAD].std() < before[HEAD].std() / 4, "of noise pixelated little is left"
        elsewhere = (slice(200, 340), slice(400, 600))
        assert abs(after[elsewhere].std() - before[elsewhere].std()) < before[elsewhere].std() / 4
    assert street.city.evidence.get(street.picture) == original
    assert street.trail("evidence") == []


def test_an_operator_sees_the_original_for_a_reason_which_is_noted_with_name_and_reference(living):
    street = living()
    answer = street.get(f"/v1/evidence/{street.picture}?unmasked=1&reason=plate+for+the+police")
    assert answer.content == street.city.evidence.get(street.picture)
    assert (answer.headers["masked"], answer.headers["cache-control"]) == ("false", "no-store")
    assert street.trail("evidence") == [
        ("operator-desk", "evidence.unmasked", street.picture, "done", {"reason": "plate for the police"})
    ]


@pytest.mark.parametrize(
    ("role", "query", "status", "kind"),
    [
        (Role.VIEWER, "unmasked=1&reason=curious", 403, "role-too-small"),
        (Role.PLATFORM, "unmasked=1&reason=curious", 403, "role-too-small"),
        (Role.OPERATOR, "unmasked=1", 422, "invalid-request"),
        (Role.OPERATOR, "unmasked=1&reason=%20%20", 422, "invalid-request"),
    ],
)
def test_nobody_sees_an_original_without_role_and_reason(living, role, query, status, kind):
    street = living()
    for path in (f"/v1/evidence/{street.picture}", f"/v1/cases/{case(1).id}/evidence.zip"):
        answer = street.get(f"{path}?{query}", role)
        assert answer.status_code in (status, 403)
        if not (role is Role.VIEWER and path.endswith(".zip")):
            assert (answer.status_code, answer.json()["type"]) == (status, f"/docs#{kind}")


def test_a_page_of_another_site_asks_for_no_original_and_no_export(living):
    street = living()
    for path in (f"/v1/evidence/{street.picture}?unmasked=1&reason=x", f"/v1/cases/{case(1).id}/evidence.zip"):
        answer = street.get(path, headers={"sec-fetch-site": "cross-site"})
        assert (answer.status_code, answer.json()["type"]) == (403, "/docs#foreign-origin")


def test_a_clip_is_shown_coarse_and_its_original_is_one_look_in_however_many_parts(living):
    import av

    street = living()
    masked = street.get(f"/v1/evidence/{street.clip}", Role.VIEWER)
    assert (masked.headers["masked"], masked.headers["content-type"]) == ("true", "video/mp4")
    with av.open(io.BytesIO(masked.content), "r") as shown:
        video = shown.streams.video[0]
        assert (video.width, video.codec_context.name) == (160, "h264")
        assert sum(1 for _ in shown.decode(video)) == 20
    original = street.city.evidence.get(street.clip)
    for part in ("bytes=0-99", "bytes=100-199", "bytes=200-"):
        answer = street.get(f"/v1/evidence/{street.clip}?unmasked=1&reason=who+was+it", headers={"range": part})
        assert answer.status_code == 206
        assert answer.content in original
    assert len(street.trail("evidence.unmasked")) == 1


def test_what_cannot_be_masked_is_not_shown_but_to_who_may_see_originals(living):
    street = living()
    ref = street.city.evidence.put("gd-0001", START, b"\xff\xd8\xff no picture")
    answer = street.get(f"/v1/evidence/{ref}", Role.VIEWER)
    assert (answer.status_code, answer.json()["type"]) == (403, "/docs#not-maskable")
    assert street.get(f"/v1/evidence/{ref}?unmasked=1&reason=x").status_code == 200


def test_a_photograph_in_which_no_detector_looked_is_searched(living):
    """Noise holds no face: what matters is that it was decoded, searched and encoded anew."""
    street = living()
    done, plain = cv2.imencode(".jpg", np.full((96, 128, 3), 127, np.uint8))
    ref = street.city.evidence.put("field", START, plain.tobytes())
    answer = street.get(f"/v1/evidence/{ref}", Role.VIEWER)
    assert done
    assert answer.headers["masked"] == "true"
    assert pixels(answer.content).shape == (96, 128, 3)


def test_where_nothing_is_masked_everybody_sees_originals_for_ever(living):
    street = living(masking=Masking(on=False))
    answer = street.get(f"/v1/evidence/{street.picture}", Role.VIEWER)
    assert answer.content == street.city.evidence.get(street.picture)
    assert "immutable" in answer.headers["cache-control"]


def test_a_masked_picture_has_another_etag_than_its_original(living):
    street = living()
    masked = street.get(f"/v1/evidence/{street.picture}")
    original = street.get(f"/v1/evidence/{street.picture}?unmasked=1&reason=x")
    assert masked.headers["etag"] != original.headers["etag"]
    assert masked.headers["etag"] == street.get(f"/v1/evidence/{street.picture}").headers["etag"]


# -- exported -------------------------------------------------------------------------------------------------------------


def test_an_export_is_masked_signed_and_sound(living, signer, tmp_path):
    street = living()
    answer = street.get(f"/v1/cases/{case(1).id}/evidence.zip", Role.PLATFORM)
    assert answer.headers["content-type"] == "application/zip"
    bundle = tmp_path / "case.zip"
    bundle.write_bytes(answer.content)
    found = checking.check(bundle, key=signer.public)
    assert found.faults == []
    assert len([each for each in found.notices if "is a masked copy; its original has SHA-256" in each]) == 2
    assert street.city.evidence.get(street.picture) not in answer.content
    assert street.trail("evidence") == [("platform-desk", "evidence.exported", case(1).id, "done", {})]


def test_an_export_of_originals_holds_what_was_sealed_and_is_noted_as_such(living, signer, tmp_path):
    street = living()
    answer = street.get(f"/v1/cases/{case(1).id}/evidence.zip?unmasked=1&reason=court")
    bundle = tmp_path / "case.zip"
    bundle.write_bytes(answer.content)
    found = checking.check(bundle, key=signer.public)
    assert (found.faults, found.notices) == ([], [])
    assert street.trail("evidence")[0][4] == {"reason": "court", "unmasked": "yes"}


def test_an_export_tells_what_is_gone_and_of_no_case_there_is_none(living, signer, tmp_path):
    street = living()
    (street.folder / "evidence" / "recent" / street.clip).unlink()
    bundle = tmp_path / "case.zip"
    bundle.write_bytes(street.get(f"/v1/cases/{case(1).id}/evidence.zip").content)
    found = checking.check(bundle, key=signer.public)
    assert found.faults == []
    assert any("no longer kept" in each for each in found.notices)
    assert street.get("/v1/cases/none/evidence.zip").json()["type"] == "/docs#no-such-case"


# -- the audit trail ------------------------------------------------------------------------------------------------------


def test_what_people_do_is_noted_with_name_address_reason_and_outcome(living):
    street = living()
    street.http.post("/v1/session", json={"key": "cb_wrong"})
    street.http.post("/v1/session", json={"key": street.tokens[Role.OPERATOR]})
    street.http.delete("/v1/session?everywhere=true")
    with street.city.obeying():
        street.post(ACT, json={"action": "reject", "reason": "glare"})
    street.post("/v1/cameras/gd-0001/view", Role.ENGINEER)
    street.post("/v1/cameras/gd-0001/view", Role.VIEWER)
    street.get("/v1/cases", headers={"authorization": "Bearer cb_wrong"})
    done = [(actor, what, on, outcome) for actor, what, on, outcome, _ in street.trail()]
    assert done == [
        ("", "access", "key", "refused"),
        ("viewer-desk", "access", "POST /v1/cameras/gd-0001/view", "refused"),
        ("engineer-desk", "camera.view-accepted", "gd-0001", "done"),
        ("operator-desk", "case.action", case(1).id, "done"),
        ("operator-desk", "logout", "everywhere", "done"),
        ("operator-desk", "login", "session", "done"),
        ("", "login", "session", "refused"),
    ]
    [action] = street.get("/v1/audit?what=case.", Role.ENGINEER).json()["items"]
    assert action["address"] == "127.0.0.1"
    assert action["more"]["action"] == "reject"
    assert action["more"]["reason"] == "glare"
    whole = street.get("/v1/audit", Role.ENGINEER).text
    assert "cb_wrong" not in whole
    assert all(token not in whole for token in street.tokens.values())


def test_the_trail_is_read_by_page(living):
    street = living()
    for n in range(5):
        street.get(f"/v1/evidence/{street.picture}?unmasked=1&reason={n}")
    first = street.get("/v1/audit?limit=3&what=evidence.unmasked", Role.ENGINEER).json()
    assert [each["more"]["reason"] for each in first["items"]] == ["4", "3", "2"]
    second = street.get(f"/v1/audit?limit=3&what=evidence.unmasked&before={first['next']}", Role.ENGINEER).json()
    assert [each["more"]["reason"] for each in second["items"]] == ["1", "0"]
    assert second["next"] is None


def test_what_cannot_be_noted_is_not_done(living, tmp_path):
    database = Database.file(tmp_path / "audit.db")
    street = living(trail=AuditTrail(database, clock=ManualClock(START)))
    with database.writing() as db:
        db.exec_driver_sql("DROP TABLE audit_entries")
    answers = [
        street.post(ACT, json={"action": "confirm"}),
        street.get(f"/v1/evidence/{street.picture}?unmasked=1&reason=x"),
        street.get(f"/v1/cases/{case(1).id}/evidence.zip"),
        street.http.post("/v1/session", json={"key": street.tokens[Role.OPERATOR]}),
    ]
    assert [each.json()["type"] for each in answers] == ["/docs#audit-unavailable"] * 4
    assert street.city.commands() == []
    assert street.get("/v1/cases").status_code == 200, "what needs no note goes on"


# -- how often ------------------------------------------------------------------------------------------------------------


def test_who_tries_keys_is_soon_told_to_wait_and_others_are_not_disturbed(living):
    clock = ManualClock(START)
    street = living(limits=Limits(clock, dict.fromkeys(Limited, Rate(3, 0.1))))
    for _ in range(3):
        assert street.http.post("/v1/session", json={"key": "cb_wrong"}).status_code == 401
    answer = street.http.post("/v1/session", json={"key": street.tokens[Role.OPERATOR]})
    assert (answer.status_code, answer.json()["type"], answer.headers["retry-after"]) == (
        429,
        "/docs#too-many-requests",
        "10",
    )
    assert street.get("/v1/cases", headers={"authorization": "Bearer cb_wrong"}).status_code == 429
    assert street.get("/v1/cases").status_code == 200, "a right key needs no token"
    clock.advance(timedelta(seconds=10))
    assert street.http.post("/v1/session", json={"key": street.tokens[Role.OPERATOR]}).status_code == 200
    assert street.http.post("/v1/session", json={"key": street.tokens[Role.OPERATOR]}).status_code == 200
    assert 'citybrain_requests_limited_total{kind="login"} 2.0' in street.get("/metrics").text


@pytest.mark.parametrize("kind", [Limited.ACTION, Limited.EXPORT, Limited.UNMASK])
def test_actions_exports_and_originals_are_limited_for_each_key(living, kind):
    street = living(limits=Limits(ManualClock(START), dict.fromkeys(Limited, Rate(50, 1)) | {kind: Rate(1, 0.5)}))

    def ask(role: Role) -> int:
        if kind is Limited.ACTION:
            return street.post(ACT, role, json={"action": "burn"}).status_code
        if kind is Limited.EXPORT:
            return street.get(f"/v1/cases/{case(1).id}/evidence.zip", role).status_code
        return street.get(f"/v1/evidence/{street.picture}?unmasked=1&reason=x", role).status_code

    first = ask(Role.OPERATOR)
    assert first in (200, 422)
    if kind is not Limited.ACTION:  # what is not understood is no action yet
        assert ask(Role.OPERATOR) == 429
        assert ask(Role.ENGINEER) == 200


# -- sessions -------------------------------------------------------------------------------------------------------------


def test_a_session_behind_a_proxy_that_speaks_tls_is_for_tls_alone(living):
    street = living()
    answer = street.http.post(
        "/v1/session", json={"key": street.tokens[Role.VIEWER]}, headers={"x-forwarded-proto": "https"}
    )
    flags = {each.strip().partition("=")[0].lower() for each in answer.headers["set-cookie"].split(";")}
    assert {"httponly", "samesite", "secure", "max-age"} <= flags


def test_logging_out_everywhere_ends_the_sessions_of_that_key_and_no_other(living):
    street = living()

    def session(role: Role) -> dict[str, str]:
        answer = httpx.post(f"{street.url}/v1/session", json={"key": street.tokens[role]}, timeout=60)
        return {"cookie": f"citybrain_session={answer.cookies['citybrain_session']}"}

    lost, mine, others = session(Role.OPERATOR), session(Role.OPERATOR), session(Role.VIEWER)
    assert httpx.delete(f"{street.url}/v1/session?everywhere=1", headers=mine, timeout=60).status_code == 200
    statuses = [
        httpx.get(f"{street.url}/v1/cases", headers=each, timeout=60).status_code for each in (lost, mine, others)
    ]
    assert statuses == [401, 401, 200]


def test_a_page_of_another_site_can_neither_log_in_nor_out(living):
    street = living()
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    street.http.post("/v1/session", json={"key": street.tokens[Role.VIEWER]})
    for answer in (
        street.http.post("/v1/session", json={"key": street.tokens[Role.OPERATOR]}, headers=foreign),
        street.http.delete("/v1/session?everywhere=1", headers=foreign),
    ):
        assert (answer.status_code, answer.json()["type"]) == (403, "/docs#foreign-origin")
    assert street.http.get("/v1/session").json()["name"] == "viewer-desk"

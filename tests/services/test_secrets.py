"""Secrets are planted everywhere in a running city in which everything fails: none appears where people or machines read."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from bench.ports import free_port
from citybrain.demo.simulator import Simulator
from citybrain.signing import new_secret
from tests.services.test_changes import SCENE
from tests.unit.ingest.clips import make_clip

CAMERA, WRONG, GONE, TOKEN, HTTP, MQTT, DISPATCH, DESK_TOKEN, HOOK, HOOK_TOKEN = (
    f"planted-{n}-Zq7&x" for n in range(1, 11)
)
"""With a character that a URL writes in another way."""
SUBSCRIPTION = new_secret()


def cli(*words: str, env: dict[str, str]) -> tuple[int, str]:
    """A command's exit status, and all it says."""
    done = subprocess.run(
        [sys.executable, "-m", "citybrain", *words], env=env, capture_output=True, text=True, timeout=90, check=False
    )
    return done.returncode, done.stdout + done.stderr


def spellings(secret: str) -> set[bytes]:
    """How a secret may lie in what is searched: as it is, as URLs, JSON and basic authentication write it."""
    basic = {base64.b64encode(f"{user}:{secret}".encode()) for user in ("admin", "root", "user", "desk", "hook")}
    plain = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], secret.removeprefix("whsec_")}
    return {each.encode() for each in plain} | basic | {base64.b64encode(secret.encode())}


def rows(path: Path) -> Iterator[bytes]:
    """Everything that a database holds, table by table."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{table}"'):
                yield f"{table}: ".encode() + b" | ".join(
                    each if isinstance(each, bytes) else str(each).encode() for each in row
                )
    db.close()


class Searched:
    """Texts by where they were found, and the secrets that are sought in them."""

    def __init__(self) -> None:
        self.secrets: dict[str, set[bytes]] = {}
        self.found: list[tuple[str, str, bytes]] = []
        self.places = 0

    def plant(self, name: str, secret: str) -> None:
        self.secrets[name] = spellings(secret)

    def read(self, place: str, content: str | bytes, *, but: tuple[str, ...] = ()) -> None:
        raw = content.encode() if isinstance(content, str) else content
        self.places += 1
        for name, each in self.secrets.items():
            for spelt in each:
                if name not in but and (at := raw.find(spelt)) >= 0:
                    self.found.append((name, place, raw[max(0, at - 60) : at + 60]))


def configure(folder: Path, *, rtsp: int, closed: int) -> Path:
    config = folder / "config"
    for name in ("scenes", "detectors", "cameras"):
        (config / name).mkdir(parents=True)
    (config / "scenes/burning.yaml").write_text(SCENE)
    (config / "detectors/city.yaml").write_text("backend: scripted\noptions: {min_share: 0.002}\n")
    variables = {"CAMERA": CAMERA, "WRONG": WRONG, "GONE": GONE, "TOKEN": TOKEN, "HTTP": HTTP}
    (config / "cameras/town.env").touch(mode=0o600)
    (config / "cameras/town.env").write_text("".join(f"{name}='{value}'\n" for name, value in variables.items()))
    urls = {
        "good": f"rtsp://admin:${{CAMERA}}@127.0.0.1:{rtsp}/street",
        "wrong": f"rtsp://admin:${{WRONG}}@127.0.0.1:{rtsp}/street",
        "gone": f"rtsp://root:${{GONE}}@127.0.0.1:{closed}/live?token=${{TOKEN}}",
        "http": f"http://user:${{HTTP}}@127.0.0.1:{closed}/live.m3u8?auth=${{TOKEN}}",
    }
    lines = "".join(f"  - {{id: {id}, name: {id}, look_every: 500ms, url: '{url}'}}\n" for id, url in urls.items())
    (config / "cameras/town.yaml").write_text("cameras:\n" + lines)
    (config / "sensors.env").touch(mode=0o600)
    (config / "sensors.env").write_text(f"MQTT_PASSWORD='{MQTT}'\n")
    (config / "sensors.yaml").write_text(
        f"broker: 'mqtt://user:${{MQTT_PASSWORD}}@127.0.0.1:{closed}'\n"
        "sensors:\n  - {id: s-1, name: s, kind: smoke, topic: city/s-1, alarm_at: 1, scene: burning,"
        " location: {lon: 102.7, lat: 25.0}}\n"
    )
    return config


def ask_everything(http: httpx.Client, searched: Searched, tokens: dict[str, str]) -> None:
    """Every page and answer, right and wrong, of every role; what was asked with a secret answers without it."""
    case = http.get("/v1/cases", headers={"authorization": f"Bearer {tokens['engineer']}"}).json()["items"][0]
    refs = [each["ref"] for each in case["evidence"]]
    described = http.get("/openapi.json").json()["paths"]
    for role, token in tokens.items():
        headers = {"authorization": f"Bearer {token}"}
        for path, verbs in described.items():
            if "get" not in verbs or path.endswith(("/stream", "/live")):
                continue
            id = "wrong" if "cameras" in path else case["id"]
            filled = path.replace("{id}", id).replace("{ref}", refs[0]).replace("{event}", "x")
            answer = http.get(filled, headers=headers)
            searched.read(f"{role} GET {filled} {answer.status_code}", answer.content + str(answer.headers).encode())
    engineer = {"authorization": f"Bearer {tokens['engineer']}"}
    for verb, path, more in (
        ("POST", "/v1/session", {"json": {"key": tokens["operator"] + "x"}}),
        ("POST", "/v1/session", {"json": {"key": tokens["operator"], "extra": CAMERA}}),
        ("POST", "/v1/session", {"content": f'{{"key": "{tokens["operator"]}", "'.encode()}),
        ("GET", f"/v1/cases?token={quote(tokens['viewer'])}", {"headers": engineer}),
        ("GET", "/v1/cases", {"headers": {"authorization": f"Bearer {tokens['viewer']}x"}}),
        ("GET", "/v1/cases", {"headers": {"authorization": f"Basic {tokens['viewer']}"}}),
        ("POST", f"/v1/cases/{case['id']}/actions", {"json": {"action": tokens["viewer"]}, "headers": engineer}),
        ("POST", "/v1/subscriptions", {"json": {"name": "x", "url": f"http://u:{HOOK}@[::1"}, "headers": engineer}),
        ("POST", "/v1/dispatch/callbacks", {"json": {}, "headers": {"webhook-signature": tokens["viewer"]}}),
        ("DELETE", f"/v1/session?x={quote(tokens['viewer'])}", {}),
    ):
        answer = http.request(verb, path, **more)
        told = answer.content + str(answer.headers).encode()
        # What an asker wrote into an address or a field is theirs, and may come back to them: nothing else may.
        searched.read(f"{verb} {path} {answer.status_code}", told, but=("viewer", "operator"))


async def test_no_secret_appears_in_any_log_page_error_export_or_database(tmp_path):
    searched, data = Searched(), tmp_path / "data"
    footage = tmp_path / "footage"
    footage.mkdir()
    make_clip(footage / "street.mp4", seconds=3, group=5)
    port, nobody = free_port(), free_port()
    env = os.environ | {"PYTHONPATH": str(Path.cwd()), "CITYBRAIN_LOG": "debug"}
    for name, secret in {
        "camera": CAMERA,
        "wrong password": WRONG,
        "camera gone": GONE,
        "token": TOKEN,
        "HTTP camera": HTTP,
        "MQTT": MQTT,
        "dispatch URL": DISPATCH,
        "dispatch URL's token": DESK_TOKEN,
        "webhook URL": HOOK,
        "webhook URL's token": HOOK_TOKEN,
        "subscription": SUBSCRIPTION,
    }.items():
        searched.plant(name, secret)
    tokens = {}
    for role in ("viewer", "operator", "engineer", "platform"):
        status, said = await asyncio.to_thread(cli, "keys", "add", role, "--role", role, "--data", str(data), env=env)
        assert status == 0, said
        tokens[role] = said.strip().splitlines()[-1]
        searched.plant(role, tokens[role])
    async with Simulator(footage, users={"admin": CAMERA}) as simulator:
        config = configure(tmp_path, rtsp=simulator.port, closed=nobody)
        with (tmp_path / "log").open("wb") as log:
            up = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "citybrain", "up", "--config", config, "--data", data, "--port", str(port)),
                *("--workers", "1", "--webhooks-to", "loopback", "--dispatch"),
                f"http://desk:{quote(DISPATCH, safe='')}@127.0.0.1:{nobody}/?token={quote(DESK_TOKEN, safe='')}",
                env=env,
                stderr=log,
                stdout=log,
            )
            try:
                await asyncio.to_thread(live_in, f"http://127.0.0.1:{port}", nobody, searched, tokens, tmp_path)
            finally:
                up.send_signal(signal.SIGTERM)
                status = await asyncio.wait_for(up.wait(), 90)
        assert status == 0
        for words in (
            ("cameras", "list", "--config", str(config)),
            ("cameras", "list", "--json", "--config", str(config)),
            ("cameras", "probe", "--json", "--config", str(config)),
            ("check", "--config", str(config)),
            ("keys", "list", "--data", str(data)),
            ("keys", "public", "--data", str(data)),
            ("audit", "verify", "--data", str(data)),
        ):
            _, said = await asyncio.to_thread(cli, *words, env=env)
            searched.read(" ".join(words[:2]), said)
        (config / "cameras/town.yaml").write_text(
            (config / "cameras/town.yaml").read_text().replace("look_every", "nonsense")
        )
        _, said = await asyncio.to_thread(cli, "check", "--config", str(config), env=env)
        assert "nonsense" in said
        searched.read("check of a faulty folder", said)
    written = (tmp_path / "log").read_bytes()
    assert b"DEBUG" in written, "everything that is ever logged was logged"
    assert b"wrong password" in written
    searched.read("log", written)
    in_data(data, searched)
    assert searched.places > 100
    assert searched.found == []


def live_in(url: str, nobody: int, searched: Searched, tokens: dict[str, str], folder: Path) -> None:
    """Wait for a case, then do what people and platforms do, and read all that they would."""
    headers = {"authorization": f"Bearer {tokens['engineer']}"}
    with httpx.Client(base_url=url, timeout=30) as http:
        made = None
        for _ in range(600):
            with suppress(httpx.HTTPError):
                if made is None:
                    hook = f"http://127.0.0.1:{nobody}/?key={quote(HOOK_TOKEN, safe='')}"
                    asked = {"name": "platform", "url": hook, "secret": SUBSCRIPTION, "after": "0"}
                    made = http.post("/v1/subscriptions", json=asked, headers=headers)
                    assert made.status_code == 201, made.text
                    searched.read("subscription made", made.content, but=("subscription",))
                if http.get("/v1/cases", headers=headers).json()["items"]:
                    break
            time.sleep(0.2)
        else:
            raise AssertionError("no case was filed")
        begun = httpx.post(f"{url}/v1/session", json={"key": tokens["operator"]}, timeout=30)
        session = begun.cookies["citybrain_session"]
        searched.plant("session", session)
        for name in ("evidence.key", "dispatch.secret"):
            secret = (folder / "data" / name).read_text().strip()
            searched.plant(name, secret.splitlines()[1] if "KEY" in secret else secret)
        ask_everything(http, searched, tokens)
        case = http.get("/v1/cases", headers=headers).json()["items"][0]["id"]
        acting = {"cookie": f"citybrain_session={session}"}
        http.post(f"/v1/cases/{case}/actions", json={"action": "confirm", "note": "seen"}, headers=acting)
        bundle = folder / "case.zip"
        bundle.write_bytes(http.get(f"/v1/cases/{case}/evidence.zip?unmasked=1&reason=x", headers=acting).content)
        with zipfile.ZipFile(bundle) as opened:
            for name in opened.namelist():
                searched.read(f"export: {name}", opened.read(name))
        with suppress(WebSocketException, TimeoutError):
            where = f"ws{url.removeprefix('http')}/v1/events/ws?after=0"
            with connect(where, additional_headers=headers) as events:
                while True:
                    searched.read("WebSocket", events.recv(1))
        with suppress(WebSocketException), connect(f"{where}&key={quote(tokens['viewer'])}x") as events:
            events.send(json.dumps({"key": tokens["viewer"] + "x"}))
            events.recv(5)
        for path in ("/metrics", "/v1/audit?limit=1000", "/v1/subscriptions", "/v1/cameras", "/v1/sensors"):
            searched.read(f"in the end: {path}", http.get(path, headers=headers).content)


def in_data(data: Path, searched: Searched) -> None:
    """Each file of the data folder, but for what it is kept in; and that is its owner's alone."""
    kept_in = {
        "accepted.pickle": ("camera", "wrong password", "camera gone", "token", "HTTP camera", "MQTT"),
        "subscriptions.db": ("subscription", "webhook URL", "webhook URL's token"),
        "evidence.key": ("evidence.key",),
        "dispatch.secret": ("dispatch.secret",),
    }
    for path in sorted(each for each in data.rglob("*") if each.is_file()):
        holds = kept_in.get(path.name.removesuffix("-wal"), ())
        searched.read(path.name, path.read_bytes(), but=holds)
        if path.suffix == ".db":
            for row in rows(path):
                searched.read(f"{path.name} {row[:30]!r}", row, but=holds)
        if holds or path.name in {"keys.json", "sessions.json", "audit.db"}:
            assert path.stat().st_mode & 0o077 == 0, f"{path.name} is read by others"

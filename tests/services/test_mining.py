"""From an operator's key press to what the next model learns: a real pipeline files, the API rejects, the set is mined."""

from __future__ import annotations

import csv
import json
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from citybrain.cli import run
from citybrain.clock import SystemClock
from citybrain.database import Database
from citybrain.domain.geometry import Box
from citybrain.evidence import jpeg
from citybrain.evidence.files import FileEvidence
from citybrain.evidence.regions import Masking, Seen
from citybrain.wire import DETECTIONS, write_detections
from events_api.audit import AuditTrail, Sought
from events_api.routes import cases as cases_routes
from events_api.security import Role
from pipeline.flow import Pipeline
from pipeline.runners.embedded import Embedded
from tests.flows.street import FIRE, Street, Thing, camera, city, scene
from tests.services.api_city import City, serving
from tests.unit.detectors.drawing import tiny_models
from tests.waiting import until

SCRIPTS = Path(__file__).parents[2] / "models" / "scripts"
CLASSES = ["fire", "car", "stall"]
MIDDLE = Box(0.28, 0.28, 0.72, 0.72)
TRAIN, TEST = "gd-1", "gd-19"
TOWN = city([scene(FIRE)], [camera(TRAIN), camera(TEST)])


def street(seed: int) -> bytes:
    """A JPEG in which the model sees a fire and a car, both in its middle; it says so itself, as ingest has it say."""
    coarse = np.random.default_rng(seed).integers(-60, 60, (6, 8, 1))
    colour = np.clip(np.array([0, 160, 200]) + coarse, 0, 255).astype(np.uint8)  # blue, green, red
    done, made = cv2.imencode(".jpg", cv2.resize(colour, (320, 240), interpolation=cv2.INTER_NEAREST))
    assert done
    return jpeg.telling(made.tobytes(), [Seen("fire", MIDDLE), Seen("car", MIDDLE)])


class Town:
    """A data folder with its pipeline and its API; two cameras that saw something burn."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self.models = tiny_models(folder / "models", shapes=((64, 96), (96, 96)), finished=True, classes=CLASSES)
        self.city = City(self.data)
        self.city.trail = AuditTrail(Database.file(self.data / "audit.db"), clock=SystemClock())
        self.embedded = Embedded(
            self.data / "citybrain.db",
            Pipeline(TOWN),
            clock=SystemClock(),
            notifiers={},
            evidence=FileEvidence(self.data / "evidence"),
        )
        for seed, (where, begins) in enumerate(((TRAIN, 5), (TEST, 9))):
            self.burns(where, begins, seed)

    def burns(self, where: str, begins: float, seed: int) -> None:
        """Something is seen for ten seconds, each look with its picture."""
        things = [Thing(MIDDLE, begins, begins + 10, "fire")]
        for look in Street(things, camera=where, missed=0, seed=seed).looks(until=begins + 60, since=begins - 2):
            ref = self.city.evidence.put(where, look.captured_at, street(seed)) if look.detections else None
            self.city.bus.publish(DETECTIONS, where, write_detections(replace(look, evidence=ref)))

    @contextmanager
    def served(self):
        """The API over it, with masks, and its pipeline at work."""
        over = threading.Event()

        def work() -> None:
            while not over.wait(0.02):
                while self.embedded.catch_up():
                    pass

        thread = threading.Thread(target=work, name="pipeline")
        thread.start()
        try:
            with serving(self.city.app(masking=Masking())) as url:
                yield url
        finally:
            over.set()
            thread.join()

    def cases(self, http: httpx.Client) -> dict[str, str]:
        """Case by camera, once both are filed."""

        def both() -> list[dict[str, Any]] | None:
            items = http.get("/v1/cases").raise_for_status().json()["items"]
            return items if len(items) == 2 else None

        return {item["cameras"][0]: item["id"] for item in until(both, within_s=60)}

    def mined(self, out: Path, *words: str) -> int:
        return run(
            ["models", "mine", *words, "--out", str(out), "--registry", str(self.models), "--model", "tiny", "--json"]
        )

    def close(self) -> None:
        self.embedded.close()
        self.city.close()


@pytest.fixture
def town(tmp_path, monkeypatch):
    monkeypatch.setattr(cases_routes, "EFFECT_WITHIN", timedelta(minutes=1))  # a busy machine's pipeline takes its time
    made = Town(tmp_path)
    yield made
    made.close()


def act(http: httpx.Client, case: str, action: str, reason: str = "", note: str = "") -> None:
    asked = {"action": action, "reason": reason, "note": note}
    answer = http.post(f"/v1/cases/{case}/actions", json=asked, headers={"x-operator": "li.na"})
    assert answer.status_code == 200, answer.text


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def scripts():
    """The scripts that read a training set."""
    for folder in (SCRIPTS, SCRIPTS / "dataset"):
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
    return import_module("manifest"), import_module("boxes"), import_module("train")


def test_what_an_operator_rejected_is_read_by_training_as_background(town, tmp_path, capsys):
    out = tmp_path / "set"
    with town.served() as url, httpx.Client(base_url=url, timeout=20) as http:
        cases = town.cases(http)
        act(http, cases[TRAIN], "reject", "not_there", "steam, says Zhang Wei")
        capsys.readouterr()
        assert town.mined(out, "--data", str(town.data)) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["cases"], told["negatives"], told["added"]) == (1, 1, {"train": 1})
        before = files(out)

        act(http, cases[TEST], "reject", "permitted")
        assert town.mined(out, "--data", str(town.data)) == 0
        assert json.loads(capsys.readouterr().out)["passed_over"] == {"not about the picture": 1}
        assert files(out) == before

        act(http, cases[TEST], "undo")
        act(http, cases[TEST], "reject", "wrong_kind")
        assert town.mined(out, "--data", str(town.data)) == 0
        assert json.loads(capsys.readouterr().out)["added"] == {"test": 1}
        assert {name: files(out)[name] for name in before if "provenance" not in name and name != "mined.csv"} == {
            name: content for name, content in before.items() if "provenance" not in name and name != "mined.csv"
        }

    manifest, boxes, train = scripts()
    entries = manifest.read([out / "mined.csv"])
    assert [(entry.split, entry.source) for entry in entries] == [
        ("train", "mined-fire_risk"),
        ("test", "mined-fire_risk"),
    ]
    for entry in entries:
        assert [box.label for box in boxes.read(entry.labels)] == [CLASSES.index("car")], "the fire was rejected"
    pictures = train.Pictures([out / "mined.csv"], {"mined-fire_risk": 3.0})
    picture, labels = pictures.drawer(np.random.default_rng(1))()
    assert (len(pictures), picture.shape, labels.shape) == (1, (240, 320, 3), (1, 5))

    with (out / "mined/provenance.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["case"] for row in rows} == set(cases.values())
    assert {row["reason"] for row in rows} == {"not_there", "wrong_kind"}
    everything = b"".join(files(out).values())
    assert b"li.na" not in everything
    assert b"Zhang" not in everything
    noted = town.city.trail.entries(Sought(what="evidence.unmasked"), limit=99)
    assert {(each.on, each.role, each.more["reason"]) for each in noted} == {
        (row["ref"], "console", "mined for training") for row in rows
    }


def test_by_the_api_the_set_is_the_same_and_whoever_sees_masked_pictures_mines_nothing(town, tmp_path, capsys):
    operator, viewer = (
        town.city.keys.add(name, role) for name, role in (("mining", Role.OPERATOR), ("wall", Role.VIEWER))
    )
    with town.served() as url:
        headers = {"authorization": f"Bearer {operator}"}
        with httpx.Client(base_url=url, timeout=20, headers=headers) as http:
            cases = town.cases(http)
            act(http, cases[TRAIN], "reject", "not_there")
            shown = http.get(f"/v1/cases/{cases[TRAIN]}").json()["evidence"][0]["ref"]
            assert http.get(f"/v1/evidence/{shown}").headers["masked"] == "true"
        capsys.readouterr()
        assert town.mined(tmp_path / "masked", "--api", url, "--key", viewer) == 2
        refused = capsys.readouterr().err
        assert "to see originals needs the role operator" in refused
        assert "masked, and nothing is learnt from that" in refused
        assert list((tmp_path / "masked").rglob("*.jpg")) == []
        assert town.mined(tmp_path / "none", "--api", url) == 1
        assert "key-needed" in capsys.readouterr().err
        assert town.mined(tmp_path / "api", "--api", url, "--key", operator) == 0
        assert json.loads(capsys.readouterr().out)["held"] == 1
    assert town.mined(tmp_path / "folder", "--data", str(town.data)) == 0
    assert files(tmp_path / "api") == files(tmp_path / "folder")
    assert ("mining", shown) in {
        (each.actor, each.on) for each in town.city.trail.entries(Sought(what="evidence.unmasked"), limit=99)
    }


def test_a_rejection_that_was_undone_takes_its_picture_out_again(town, tmp_path, capsys):
    out = tmp_path / "set"
    with town.served() as url, httpx.Client(base_url=url, timeout=20) as http:
        case = town.cases(http)[TRAIN]
        act(http, case, "reject", "not_there")
        assert town.mined(out, "--api", url) == 0
        act(http, case, "undo")
        capsys.readouterr()
        assert town.mined(out, "--api", url) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["taken_back"], told["held"]) == (1, 0)
    assert list(out.rglob("*.jpg")) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "nowhere"], "holds no citybrain.db"),
        (["--data", ".", "--confidence", "4"], "between 0 and 1"),
        (["--data", ".", "--model", "huge"], "there is no 'huge'"),
    ],
)
def test_what_cannot_be_mined_is_wrong_usage(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["models", "mine", *words, "--out", "set"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("set").exists()

"""What becomes of a rejected case: a negative, or nothing; what else is in the picture keeps its label."""

import csv
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from citybrain.domain.camera import Text
from citybrain.domain.case import Case, CaseState
from citybrain.domain.detection import Detection
from citybrain.domain.episode import Evidence
from citybrain.domain.geometry import Box
from citybrain.errors import Fault, Unreadable, UsageError
from citybrain.evaluation.labelled import read_table
from citybrain.mining.labelled_set import LabelledSet
from citybrain.mining.likeness import held_out, perceptual_hash
from citybrain.mining.mine import Wanted, mine
from citybrain.mining.reasons import KNOWN, Says, meant, says
from detectors.stills import Bgr

ROOT = Path(__file__).parents[3]
CLASSES = ("person", "car", "truck", "fire", "smoke", "stall")
START = datetime(2026, 11, 21, 8, tzinfo=UTC)
HERE, THERE = Box(0.1, 0.1, 0.4, 0.5), Box(0.6, 0.5, 0.9, 0.9)
TRAIN, TEST = "gd-2", "gd-19"


def picture(seed: int, *, size=(90, 160)) -> bytes:
    """A street like no other."""
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 16, 3), dtype=np.uint8)
    done, jpeg = cv2.imencode(".png", cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_NEAREST))
    assert done
    return jpeg.tobytes()


def case(n: int, *, label="fire", scene="fire_risk", reason="not_there", camera=TRAIN, box: Box | None = HERE, **more):
    """The n-th rejected case, of one look a minute after the one before."""
    at = START + n * timedelta(minutes=1)
    ref = f"{camera}/20261121/{at:%H%M%S}.000Z-{n:016x}.jpg"
    known = {
        "id": f"case-{n}",
        "scene": scene,
        "code": "1",
        "title": Text("案", "case"),
        "severity": "normal",
        "state": CaseState.REJECTED,
        "cameras": (camera,),
        "zone": "view",
        "place": camera,
        "locality": camera,
        "began_at": at - timedelta(seconds=10),
        "confirmed_at": at,
        "filed_at": at + timedelta(seconds=1),
        "closed_at": at + timedelta(seconds=30),
        "label": label,
        "confidence": 0.7,
        "observed_s": 1.0,
        "assumed_s": 0.0,
        "unseen_s": 0.0,
        "reason": reason,
        "note": "Zhang Wei said so",
        "actor": "li.na",
        "evidence": (Evidence(ref, camera, at, "confirming", box),),
    }
    return Case(**(known | more))


class Town:
    """A city as its rejections know it."""

    def __init__(self, *cases: Case, pictures: dict[str, bytes] | None = None) -> None:
        self.cases = {each.id: each for each in cases}
        self.asked: list[str] = []
        refs = [each.ref for known in cases for each in known.evidence]
        self.pictures = {ref: picture(int(ref[-20:-4], 16)) for ref in refs} | (pictures or {})

    def rejected(self, *, since):
        return [
            each
            for each in self.cases.values()
            if each.state is CaseState.REJECTED and (since is None or each.filed_at >= since)
        ]

    def is_taken_back(self, case):
        return case in self.cases and self.cases[case].state is not CaseState.REJECTED

    def original(self, ref):
        self.asked.append(ref)
        return self.pictures[ref]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


class Sees:
    """A model that sees the same in every picture."""

    def __init__(self, *seen: tuple[str, Box]) -> None:
        self.name, self.confidence, self.classes = "city-n@1", 0.4, CLASSES
        self._seen = tuple(Detection(label, 0.8, box) for label, box in seen)

    def label(self, picture: Bgr) -> tuple[Detection, ...]:
        assert picture.ndim == 3
        return self._seen


def mined(town, out, sees=None, **wanted):
    return mine(town, sees or Sees(), out, Wanted(**wanted))


def table(out) -> list[dict[str, str]]:
    with (out / "mined.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def provenance(out) -> list[dict[str, str]]:
    with (out / "mined/provenance.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def labels(out) -> list[str]:
    """The classes that are labelled in the only picture."""
    (row,) = table(out)
    text = (out / row["picture"]).with_suffix(".txt").read_text()
    return [CLASSES[int(line.split()[0])] for line in text.splitlines()]


# -- which rejections -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "label", "said"),
    [
        ("not_there", "fire", Says.NEGATIVE),
        ("not_there", "car", Says.NEGATIVE),
        ("wrong_kind", "stall", Says.NEGATIVE),
        ("wrong_kind", "car", Says.THERE_BY_RIGHT),
        ("permitted", "stall", Says.NOT_OF_THE_PICTURE),
        ("duplicate", "fire", Says.NOT_OF_THE_PICTURE),
        ("bad_picture", "fire", Says.CANNOT_BE_TOLD),
        ("other", "fire", Says.UNKNOWN),
        ("rejected by the dispatch system", "fire", Says.UNKNOWN),
        ("", "fire", Says.UNKNOWN),
    ],
)
def test_a_reason_says_something_of_the_picture_or_nothing(reason, label, said):
    assert says(reason, label) is said
    believed = Says.NEGATIVE if said is Says.UNKNOWN else said
    assert says(reason, label, any_reason=True) is believed


def test_every_reason_that_the_wall_offers_is_known():
    offered = re.search(r"REASONS = (\[.*?\])", (ROOT / "events_api/wall/dialogs.js").read_text())
    assert offered is not None
    assert set(json.loads(offered[1])) == KNOWN | {"other"}


def test_who_denies_one_class_denies_those_that_scenes_ask_for_with_it():
    assert meant("fire", CLASSES) == {"fire", "smoke"}
    assert meant("truck", CLASSES) == {"car", "bus", "truck"}
    assert meant("stall", CLASSES) == {"stall"}
    assert meant("what the model does not know", CLASSES) == set(CLASSES)


def test_what_is_passed_over_is_counted_by_why(tmp_path):
    reasons = ["not_there", "permitted", "duplicate", "bad_picture", "glare"]
    town = Town(*(case(n, reason=reason) for n, reason in enumerate(reasons)))
    report = mined(town, tmp_path)
    assert (report.cases, report.negatives, len(table(tmp_path))) == (5, 1, 1)
    assert report.passed_over == {
        "not about the picture": 2,
        "cannot be told from the picture": 1,
        "unknown reason": 1,
    }
    assert mined(town, tmp_path, any_reason=True).negatives == 2
    assert [row["reason"] for row in provenance(tmp_path)] == ["not_there", "other"]


def test_only_what_was_asked_for_is_taken_up(tmp_path):
    town = Town(case(1), case(2, scene="street_stall", label="stall"), case(3))
    report = mined(town, tmp_path, scene="fire_risk", since=START + timedelta(minutes=2))
    assert [row["case"] for row in provenance(tmp_path)] == ["case-3"]
    assert report.by_scene == {"fire_risk": 1}


def test_only_pictures_that_the_case_was_filed_by_are_looked_at(tmp_path):
    shown = case(1).evidence[0]
    others = [
        replace(shown, ref=shown.ref.replace("0001.jpg", f"000{n}.jpg"), role=role)
        for n, role in enumerate(("clear", "after", "field", "report"), 2)
    ]
    clip = replace(shown, ref=shown.ref.replace(".jpg", ".mp4"), role="around", until_at=shown.captured_at)
    town = Town(case(1, evidence=(*others, clip, shown)), case(2, evidence=(clip,)))
    report = mined(town, tmp_path)
    assert town.asked == [shown.ref]
    assert report.passed_over == {"no picture of a camera": 1}


# -- what is labelled -----------------------------------------------------------------------------------------------------


def test_what_was_rejected_is_background_and_everything_else_is_labelled(tmp_path):
    near = Box(0.12, 0.12, 0.42, 0.52)
    mined(Town(case(1)), tmp_path, Sees(("fire", near), ("person", HERE), ("car", THERE)))
    assert labels(tmp_path) == ["person", "car"]
    (row,) = provenance(tmp_path)
    assert (row["box"], row["things"], row["unjudged"], row["labelled_by"]) == (
        "0.1000 0.1000 0.4000 0.5000",
        "2",
        "0",
        "city-n@1",
    )


def test_what_a_scene_asks_for_with_it_goes_too_where_it_was_rejected_and_stays_elsewhere(tmp_path):
    report = mined(Town(case(1)), tmp_path, Sees(("smoke", HERE), ("smoke", THERE)))
    assert labels(tmp_path) == ["smoke"]
    assert report.unjudged == 1, "nobody has said that the other smoke is one"


@pytest.mark.parametrize("seen", [Box(0.15, 0.2, 0.25, 0.3), Box(0.05, 0.05, 0.6, 0.7)])
def test_a_box_within_what_was_rejected_or_around_it_is_the_same_thing(tmp_path, seen):
    mined(Town(case(1)), tmp_path, Sees(("fire", seen)))
    assert labels(tmp_path) == []


def test_without_a_box_nothing_of_the_kind_is_in_the_picture(tmp_path):
    mined(Town(case(1, box=None)), tmp_path, Sees(("fire", THERE), ("car", HERE)))
    assert labels(tmp_path) == ["car"]


def test_what_another_case_of_that_time_was_rejected_for_is_no_label_either(tmp_path):
    stall = case(2, scene="street_stall", label="stall", box=THERE, camera=TRAIN)
    stall = replace(stall, began_at=START, closed_at=START + timedelta(hours=1))
    sees = Sees(("fire", HERE), ("stall", THERE), ("person", THERE))
    mined(Town(case(1), stall), tmp_path / "both", sees, scene="fire_risk")
    assert labels(tmp_path / "both") == ["person"]
    over = replace(stall, closed_at=START + timedelta(seconds=10))
    mined(Town(case(1), over), tmp_path / "over", sees, scene="fire_risk")
    assert labels(tmp_path / "over") == ["stall", "person"]
    elsewhere = case(2, scene="street_stall", label="stall", box=THERE, camera=TEST, began_at=START)
    mined(Town(case(1), elsewhere), tmp_path / "elsewhere", sees, scene="fire_risk")
    assert labels(tmp_path / "elsewhere") == ["stall", "person"]


def test_a_wide_picture_is_made_as_small_as_training_takes_it(tmp_path):
    wide = case(1)
    mined(Town(wide, pictures={wide.evidence[0].ref: picture(1, size=(720, 1280))}), tmp_path)
    (row,) = table(tmp_path)
    made = cv2.imread(str(tmp_path / row["picture"]))
    assert made is not None
    assert made.shape == (450, 800, 3)


# -- which pictures -------------------------------------------------------------------------------------------------------


def test_a_camera_is_on_one_side_of_the_split_for_ever(tmp_path):
    assert (held_out(TRAIN, share=0.2), held_out(TEST, share=0.2)) == (False, True)
    report = mined(Town(*(case(n, camera=TEST if n % 2 else TRAIN) for n in range(6))), tmp_path)
    assert report.added == {"train": 3, "test": 3}
    assert {(row["split"], row["camera"]) for row in provenance(tmp_path)} == {("train", TRAIN), ("test", TEST)}


def test_as_good_as_the_same_picture_is_noted_and_left_out(tmp_path):
    same, other_place, other_camera = (case(n) for n in (2, 3, 4))
    other_place = case(3, box=THERE)
    other_camera = case(4, camera=TEST)
    town = Town(case(1), same, other_place, other_camera)
    noise = np.random.default_rng(5).integers(0, 6, (90, 160, 3), dtype=np.uint8)
    first = cv2.imdecode(np.frombuffer(picture(1), np.uint8), cv2.IMREAD_COLOR)
    assert first is not None
    again = cv2.imencode(".png", cv2.add(first, noise))[1].tobytes()
    town.pictures = {ref: again if n else picture(1) for n, ref in enumerate(town.pictures)}
    report = mined(town, tmp_path)
    assert (report.duplicates, sum(report.added.values()), report.held) == (1, 3, 3)
    assert [row["fate"] for row in provenance(tmp_path)] == ["kept", "duplicate", "kept", "kept"]
    assert len(list((tmp_path / "mined").glob("*.jpg"))) == len(table(tmp_path)) == 3


def test_a_picture_that_is_gone_or_altered_is_counted_and_may_come_back(tmp_path):
    town = Town(case(1), case(2), case(3))
    gone, altered, _ = (each.evidence[0].ref for each in town.cases.values())

    class Poor(Town):
        def original(self, ref):
            if ref == altered:
                raise Unreadable("it no longer fits its hash")
            if ref == gone:
                raise KeyError(ref)
            return super().original(ref)

    report = mined(Poor(*town.cases.values()), tmp_path)
    assert (report.gone, report.unreadable, report.held) == (1, 1, 1)
    assert mined(town, tmp_path).held == 3


def test_what_is_no_picture_is_counted(tmp_path):
    town = Town(case(1))
    town.pictures = dict.fromkeys(town.pictures, b"<html>")
    assert mined(town, tmp_path).unreadable == 1


# -- again and again ------------------------------------------------------------------------------------------------------


def test_a_second_run_adds_what_is_new_and_looks_at_nothing_twice(tmp_path):
    town = Town(case(1), case(2))
    mined(town, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    town.asked.clear()
    report = mined(town, tmp_path)
    assert (report.known, sum(report.added.values()), town.asked) == (2, 0, [])
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    more = Town(*town.cases.values(), case(3))
    assert mined(more, tmp_path).held == 3
    assert more.asked == [case(3).evidence[0].ref]


def test_a_limit_leaves_the_rest_for_another_run(tmp_path):
    town = Town(*(case(n) for n in range(5)))
    report = mined(town, tmp_path, limit=2)
    assert (sum(report.added.values()), report.left) == (2, 3)
    assert [row["case"] for row in provenance(tmp_path)] == ["case-0", "case-1"], "oldest first"
    assert mined(town, tmp_path, limit=9).held == 5


def test_a_rejection_that_was_taken_back_takes_its_picture_along(tmp_path):
    town = Town(case(1), case(2), case(3))
    mined(town, tmp_path)
    town.cases["case-1"] = replace(town.cases["case-1"], state=CaseState.FILED)
    town.cases["case-2"] = replace(town.cases["case-2"], reason="permitted")
    report = mined(town, tmp_path)
    assert (report.taken_back, report.held) == (2, 1)
    assert {row["fate"] for row in provenance(tmp_path)} == {"taken back", "kept"}
    assert [path.suffix for path in sorted((tmp_path / "mined").glob("mined-*"))] == [".jpg", ".txt"]
    assert mined(town, tmp_path).taken_back == 0


def test_another_citys_pictures_stay(tmp_path):
    mined(Town(case(1)), tmp_path)
    assert mined(Town(case(2)), tmp_path).held == 2


def test_a_picture_that_somebody_took_out_stays_out(tmp_path):
    town = Town(case(1), case(2))
    mined(town, tmp_path)
    (tmp_path / table(tmp_path)[0]["picture"]).unlink()
    assert mined(town, tmp_path).held == 1
    assert [row["picture"] for row in table(tmp_path)] == [provenance(tmp_path)[1]["picture"]]


def test_what_was_denied_is_all_that_the_picture_is_judged_by(tmp_path):
    mined(Town(case(1), case(2, label="stall", box=THERE)), tmp_path, Sees(("car", THERE)))
    assert [row["labelled"] for row in table(tmp_path)] == ["fire smoke", "stall"]
    faults: list[Fault] = []
    pictures = read_table(tmp_path / "mined.csv", CLASSES, split="train", faults=faults)
    assert [each.truth.judged for each in pictures] == [{"fire", "smoke"}, {"stall"}]
    assert faults == []


def test_a_run_that_was_killed_is_gone_on_with(tmp_path):
    town = Town(case(1), case(2))
    mined(town, tmp_path)
    path = tmp_path / "mined/provenance.csv"
    path.write_text(path.read_text()[:-40])
    (tmp_path / "mined.csv").unlink()
    report = mined(town, tmp_path)
    assert (sum(report.added.values()), report.known, report.held) == (1, 1, 2)
    assert len(table(tmp_path)) == 2


@pytest.mark.parametrize("holds", ["mined.csv", "mined/provenance.csv"])
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path, holds):
    (tmp_path / "mined").mkdir()
    (tmp_path / holds).write_text("split,source,picture\ntrain,fire,photographs/a.jpg\n")
    with pytest.raises(UsageError, match="name another folder"):
        LabelledSet(tmp_path, CLASSES)
    assert (tmp_path / holds).read_text().startswith("split,source,picture\ntrain,fire")


def test_nobody_is_named_in_the_set(tmp_path):
    mined(Town(case(1), case(2, reason="Zhang Wei says that it is steam")), tmp_path, any_reason=True)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.suffix in (".csv", ".txt"))
    assert b"li.na" not in written
    assert b"Zhang" not in written
    assert b"case-1" in written
    assert TRAIN.encode() in written


def test_a_hash_is_the_same_for_a_brighter_copy():
    shown = cv2.imdecode(np.frombuffer(picture(1), np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert (perceptual_hash(shown) ^ perceptual_hash(cv2.convertScaleAbs(shown, alpha=0.9, beta=9))).bit_count() <= 5

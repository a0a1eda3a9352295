"""A registered model is what it says, or it is told which form of it is not, where, what was expected and what came."""

import json
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import cv2
import pytest
import yaml

from citybrain.cli import run
from detectors.cards import PARTS, classes_of
from detectors.findings import Finding
from detectors.proof import Outcome, prove
from detectors.registry import list_models
from tests.unit.detectors.drawing import GREY, RED, canvas, sha256, tiny_models, tiny_onnx

WHOLE, WINDOW = (64, 96), (32, 48)
THING = [0.31, 0.31, 0.69, 0.69]
CARD = """# tiny

Means of colours. MIT. This card is for version 1.

| index | class | what is meant |
| --- | --- | --- |
| 0–1 | `red green` | as they are |
| 2 | `blue` | blue |

What it must find stands in [tiny.findings.yaml](tiny.findings.yaml).

## Data

Drawn, licence MIT. Splits: by drawing.

## Figures on drawings

1.00 (95 % interval 0.9–1.0).

## Where it fails

Everywhere else.

## Again

    `draw`
"""


class Shipped:
    """A folder of models in which all is well, until a test changes that."""

    def __init__(self, folder: Path, **changes) -> None:
        self.folder = folder
        changes = {"licence": "MIT", "findings": "cards/tiny.findings.yaml"} | changes
        # The whole answers its middle half; the window a larger part, as it shows a smaller part of the picture.
        tiny_models(folder, shapes=(WHOLE, WINDOW), shares={WINDOW: 0.76}, **changes)
        (folder / "cards").mkdir()
        (folder / "cards/tiny.md").write_text(CARD)
        (folder / "pictures").mkdir()
        cv2.imwrite(str(folder / "pictures/red.png"), canvas(96, 64, RED)[..., ::-1])
        cv2.imwrite(str(folder / "pictures/grey.png"), canvas(96, 64, GREY)[..., ::-1])
        self.state()

    def state(self, *, label="red", confidence=0.8, box=THING, without=None, version=1, picture="pictures/red.png"):
        """Write down what it must find."""
        found = {"label": label, "box": box, "confidence": confidence}
        pictures = [{"picture": picture, "finds": [found], "without": without or {"green": 0.3, "blue": 0.3}}]
        told = {"model": "tiny", "version": version, "pictures": pictures}
        (self.folder / "cards/tiny.findings.yaml").write_text(yaml.safe_dump(told))

    def register(self, **changed) -> None:
        """Change the entry."""
        path = self.folder / "registry.yaml"
        registry = yaml.safe_load(path.read_text())
        registry["models"]["tiny"] |= changed
        path.write_text(yaml.safe_dump(registry))

    def checks(self):
        (model,) = list_models(self.folder)
        return list(prove(model))

    def wrong(self):
        return [each for each in self.checks() if each.outcome is Outcome.FAILED]

    def not_run(self):
        return {(each.form, each.shape): each.got for each in self.checks() if each.outcome is Outcome.NOT_RUN}


@pytest.fixture
def shipped(tmp_path):
    return Shipped(tmp_path)


def test_what_is_as_it_says_is_proved_form_by_form_and_what_cannot_be_run_is_no_proof(shipped):
    checks = shipped.checks()
    assert Counter(each.outcome for each in checks) == {Outcome.OK: 4 + 1 + 2 * 2 + 1, Outcome.NOT_RUN: 4}
    found = {(each.form, each.shape) for each in checks if each.what == "finds red in red.png"}
    assert found == {("openvino", "64x96"), ("openvino", "32x48")}
    assert set(shipped.not_run()) == {(form, "") for form in ("openvino_int8", "onnx", "pytorch", "tensorrt")}
    assert "export.py --tensorrt" in shipped.not_run()["tensorrt", ""]


def test_every_precision_is_asked(shipped):
    files = yaml.safe_load((shipped.folder / "registry.yaml").read_text())["models"]["tiny"]["files"]
    shipped.register(files=files | {"openvino_int8": files["openvino"]})
    forms = {each.form for each in shipped.checks() if each.outcome is Outcome.OK and each.what.startswith("finds red")}
    assert forms == {"openvino", "openvino_int8"}


@pytest.mark.skipif(find_spec("onnx") is None, reason="onnx is not installed (make install-ultralytics)")
def test_the_onnx_file_is_asked_too(shipped):
    path = tiny_onnx(shipped.folder / "weights/tiny.onnx")
    files = yaml.safe_load((shipped.folder / "registry.yaml").read_text())["models"]["tiny"]["files"]
    shipped.register(files=files | {"onnx": {"path": "weights/tiny.onnx", "sha256": sha256(path), "opset": 18}})
    assert shipped.wrong() == []
    assert "onnx" in {each.form for each in shipped.checks() if each.what == "finds red in red.png"}
    other = tiny_onnx(shipped.folder / "weights/tiny.onnx", names=("rot", "gruen", "blau"))
    shipped.register(files=files | {"onnx": {"path": "weights/tiny.onnx", "sha256": sha256(other), "opset": 18}})
    (wrong,) = shipped.wrong()
    assert (wrong.form, wrong.what) == ("onnx", "loads and runs")
    assert "the model answers rot, gruen, blau" in wrong.got


# -- files ----------------------------------------------------------------------------------------------------------------


def test_an_altered_byte_is_told_and_nothing_is_run_from_that_file(shipped):
    weights = shipped.folder / "weights/tiny-32x48.bin"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    (wrong,) = shipped.wrong()
    assert wrong.what == "weights/tiny-32x48.bin is the registered file"
    assert wrong.expected.startswith("sha256 ")
    assert wrong.got == f"{sha256(weights)[:12]}…"
    assert wrong.remedy == "Restore it, or register the new one."
    assert shipped.not_run()["openvino", "32x48"] == "its files are not the registered ones"
    assert "loads and runs" in {each.what for each in shipped.checks() if each.shape == "64x96"}


def test_a_missing_file_is_told(shipped):
    (shipped.folder / "weights/tiny-64x96.xml").unlink()
    (wrong,) = shipped.wrong()
    assert "tiny-64x96.xml" in wrong.expected
    assert wrong.got == "No such file or directory"


def test_a_registered_file_that_is_no_graph_does_not_load(shipped):
    path = shipped.folder / "weights/tiny-64x96.xml"
    path.write_text("<html>404 not found</html>")
    files = yaml.safe_load((shipped.folder / "registry.yaml").read_text())["models"]["tiny"]["files"]
    files["openvino"]["64x96"]["sha256"]["xml"] = sha256(path)
    shipped.register(files=files)
    (wrong,) = shipped.wrong()
    assert (wrong.form, wrong.shape, wrong.what) == ("openvino", "64x96", "loads and runs")
    assert "cannot read the graph" in wrong.got
    assert wrong.remedy == "export it again."


# -- what it finds --------------------------------------------------------------------------------------------------------


def test_a_graph_that_finds_nothing_is_wrong_in_every_shape(shipped):
    shipped.register(input={"format": "rgb", "scale": 255_000})
    wrong = {each.shape: each for each in shipped.wrong()}
    assert {each.what for each in wrong.values()} == {"finds red in red.png"}
    assert set(wrong) == {"64x96", "32x48"}
    first = wrong["64x96"]
    assert first.expected == "red of at least 0.80 at [0.31, 0.31, 0.69, 0.69]"
    assert first.got == "nothing there, and no red elsewhere"
    assert "models/README.md" in first.remedy


def test_another_class_there_is_named(shipped):
    shipped.register(classes=["green", "red", "blue"])
    (shipped.folder / "cards/tiny.md").write_text(CARD.replace("`red green`", "`green red`"))
    wrong = shipped.wrong()
    assert {each.got for each in wrong if each.what == "finds red in red.png"} == {"green of 1.00 there"}
    assert {each.got.partition(" at")[0] for each in wrong if each.what == "finds no green in red.png"} == {
        "green of 1.00"
    }


@pytest.mark.parametrize(
    ("stated", "got"),
    [
        ({"box": [0.0, 0.0, 0.2, 0.2]}, "red of 1.00 at [0.25, 0.25, 0.75, 0.75]"),
        ({"label": "blue", "without": {"green": 0.5}}, "red of 1.00 there"),
    ],
)
def test_a_thing_elsewhere_or_of_another_kind_is_not_found(shipped, stated, got):
    shipped.state(**stated)
    assert got in {each.got for each in shipped.wrong() if each.shape == "64x96"}


def test_what_is_not_there_and_found_all_the_same_is_wrong(shipped):
    shipped.state(without={"red": 0.9})
    (wrong,) = shipped.wrong()
    assert (wrong.shape, wrong.what, wrong.expected) == ("64x96", "finds no red in red.png", "none from 0.90 on")
    assert wrong.got == "red of 1.00 at [0.25, 0.25, 0.75, 0.75]"


def test_a_thing_too_large_for_a_window_is_not_asked_of_it_and_that_is_said(shipped):
    shipped.state(box=[0.25, 0.25, 0.75, 0.75])
    assert shipped.wrong() == []
    assert shipped.not_run()["openvino", "32x48"] == "no finding is small enough for it; state one"


def test_findings_of_another_version_or_class_or_without_their_picture_are_wrong(shipped):
    shipped.state(version=2)
    assert [(each.form, each.what, each.got) for each in shipped.wrong()] == [("findings", "version", "tiny version 2")]
    shipped.state(without={"violet": 0.5})
    assert [(each.what, each.got) for each in shipped.wrong()] == [("label", "violet")]
    shipped.state(picture="pictures/lost.png")
    (wrong,) = shipped.wrong()
    assert (wrong.what, wrong.got) == ("picture", "No such file or directory")
    assert shipped.not_run()["openvino", "64x96"] == "no picture to find it in"
    (shipped.folder / "cards/tiny.findings.yaml").unlink()
    (wrong,) = shipped.wrong()
    assert (wrong.form, wrong.got) == ("findings", "there is no such file.")


def test_a_model_without_findings_is_not_called_sound(shipped):
    shipped.register(findings=None)
    assert shipped.wrong() == []
    assert shipped.not_run()["findings", ""] == "the registry states none for this model"


def test_a_box_in_a_part_of_the_picture_is_the_same_thing_there():
    found = Finding(label="red", box=(0.4, 0.5, 0.6, 0.75), confidence=0.5)
    from citybrain.domain.geometry import Box

    assert found.within(Box(0.2, 0.5, 0.6, 1.0)).box == pytest.approx((0.5, 0.0, 1.0, 0.5))


# -- the card -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "becomes", "what", "got"),
    [
        ("version 1", "version 3", "version", "version 3"),
        ("This card is for version 1.", "", "version", "none"),
        ("`red green`", "`green red`", "classes", "green red blue"),
        ("| 2 | `blue` | blue |\n", "", "classes", "red green"),
        (". MIT. ", ". ", "licence", None),
        ("[tiny.findings.yaml](tiny.findings.yaml)", "a file", "findings", "it does not name it"),
        ("## Where it fails\n\nEverywhere else.\n", "", "sections", "there is none"),
        ("95 % interval ", "", "sections", "it does not say"),
        ("Splits: by drawing.", "", "sections", "it does not say"),
        ("    `draw`\n", "", "sections", "it does not say"),
    ],
)
def test_a_card_that_does_not_say_what_it_must_is_wrong(shipped, was, becomes, what, got):
    text = CARD.replace("Drawn, licence MIT", "Drawn, licence of the drawer") if what == "licence" else CARD
    assert was in text
    (shipped.folder / "cards/tiny.md").write_text(text.replace(was, becomes))
    (wrong,) = shipped.wrong()
    assert (wrong.form, wrong.what) == ("card", what)
    assert got in (None, wrong.got)
    assert wrong.remedy


def test_a_card_that_is_missing_is_told_and_the_rest_is_proved_all_the_same(shipped):
    (shipped.folder / "cards/tiny.md").unlink()
    (wrong,) = shipped.wrong()
    assert wrong.form == "card"
    assert len([each for each in shipped.checks() if each.outcome is Outcome.OK]) == 4 + 2 * 2 + 1


def test_the_classes_of_a_card_are_the_words_in_code_of_its_first_table():
    assert classes_of(CARD) == ("red", "green", "blue")
    assert classes_of("# nothing\n\n## Data\n\n| a | `b` |\n") == ()
    assert {part.heading for part in PARTS} == {"Data", "Figures", "Where it fails", "Again"}


# -- the command ----------------------------------------------------------------------------------------------------------


def test_the_command_tells_every_check_and_its_status_says_whether_all_is_well(shipped, capsys):
    assert run(["models", "verify", "--registry", str(shipped.folder)]) == 0
    told = capsys.readouterr()
    assert "is the registered file, and 3 more" in told.out
    assert "ok       tiny@1 openvino 64x96: loads and runs, and 2 more" in told.out
    assert "not run  tiny@1 tensorrt" in told.out
    assert told.err.splitlines()[-1] == "10 ok, 0 wrong, 4 not run"
    shipped.state(confidence=0.9, label="blue", without={"green": 0.5})
    assert run(["models", "verify", "tiny", "--registry", str(shipped.folder)]) == 1
    told = capsys.readouterr()
    assert "WRONG    tiny@1 openvino 64x96: finds blue in red.png: expected blue of at least 0.90" in told.err
    assert "WRONG" not in told.out


def test_as_json_each_check_has_its_fields(shipped, capsys):
    assert run(["models", "verify", "--registry", str(shipped.folder), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["outcome"] for line in lines} == {"ok", "not run"}
    assert set(lines[0]) == {"model", "form", "shape", "what", "outcome", "expected", "got", "remedy"}


def test_a_name_that_the_registry_has_not_is_wrong_usage(shipped, capsys):
    assert run(["models", "verify", "timy", "--registry", str(shipped.folder)]) == 2
    assert "there is no 'timy'; the registry has tiny@1" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["models"], ["models", "list"]])
@pytest.mark.parametrize("json_first", [True, False])
def test_the_registry_is_listed_with_or_without_the_word(words, json_first, capsys):
    assert run(words) == 0
    assert capsys.readouterr().out.startswith("city-n@")
    assert run([words[0], "--json", *words[1:]] if json_first else [*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["classes"][2] == "car"

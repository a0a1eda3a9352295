"""A set of clips through the whole pipeline with a scripted detector: what is counted, told and drawn."""

import json
from xml.etree import ElementTree

import pytest

from citybrain.errors import UsageError
from citybrain.evaluation import scene_report, timelines
from citybrain.evaluation.scenes import evaluate
from tests.unit.evaluation.scene_set import CAMERAS, TRUTH, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(tmp_path_factory.mktemp("set") / "small")


@pytest.fixture(scope="module")
def found(folder):
    return evaluate(folder)


def row(found, clip):
    return next(each for each in found.rows if each.playing.clip == clip)


def test_each_event_is_found_and_its_delay_told(found):
    (fire,) = row(found, "yard").count.found
    (car,) = row(found, "kerb").count.found
    assert (fire.told.began_s, fire.to_confirmed_s, fire.to_filed_s) == (10, 3, 3)
    assert (car.told.scene, car.told.zone, car.to_confirmed_s) == ("standing", "kerb", 4)
    assert found.holds


def test_a_case_where_nothing_happens_is_false_and_an_event_without_one_missed(tmp_path):
    truth = TRUTH.replace("[{scene: burning, from: 10}]", "[]").replace(
        "street:\n    events: []", "street:\n    events: [{scene: burning, from: 1}]"
    )
    found = evaluate(written(tmp_path / "set", truth=truth))
    assert [each.told.scene for each in row(found, "yard").count.false] == ["burning"]
    assert [each.scene for each in row(found, "street").count.missed] == ["burning"]
    assert not found.holds
    assert "missed" in scene_report.as_text(found)
    assert "does not hold" in scene_report.as_text(found)


def test_what_comes_later_than_its_scene_allows_does_not_hold(tmp_path):
    found = evaluate(written(tmp_path / "set", truth=TRUTH.replace("burning: 10s", "burning: 2s")))
    assert (found.late, found.holds) == (1, False)


def test_a_clip_is_judged_by_the_scenes_it_names_and_by_the_sets_own_beside_them(tmp_path):
    truth = TRUTH.replace("stills: {each: 10s}", "stills: {each: 10s}\n    judged_by: shipped")
    fire = row(evaluate(written(tmp_path / "set", truth=truth), only=["yard"]), "yard")
    assert [each.to_confirmed_s for each in fire.count.found] == [6]
    assert [each.to_confirmed_s for each in fire.besides.found] == [3]


def test_what_the_sets_scenes_say_otherwise_is_told(found):
    told = {(each.scene, each.key, each.own, each.shipped) for each in found.differences}
    assert told == {("burning", "hold", "3 s", "6 s"), ("standing", "hold", "4 s", "8 s")}


def test_ordinary_footage_gives_camera_hours(found, folder):
    assert row(found, "street").playing.looks == 30
    assert found.ordinary.hours == pytest.approx(30 / 3600)
    assert found.ordinary.false_an_hour.high == pytest.approx(3.68888 * 120, rel=1e-4)
    longer = evaluate(folder, only=["street"], hours=0.02)
    assert row(longer, "street").playing.looks == 72
    with pytest.raises(UsageError, match="none of these clips is ordinary"):
        evaluate(folder, only=["kerb"], hours=1)


def test_what_could_not_be_judged_by_is_no_camera_hour(tmp_path):
    """A still that nothing disturbs is a camera that froze."""
    truth = TRUTH.replace("    disturbances: &grain {noise: {seed: 1, strength: 0.3}}\n", "").replace(
        "*grain", "{noise: {seed: 1, strength: 0.3}}"
    )
    yard = row(
        evaluate(written(tmp_path / "set", truth=truth.replace("each: 10s", "each: 40s")), only=["yard"]), "yard"
    )
    assert yard.playing.usable < yard.playing.looks == 80
    assert yard.playing.seen_h == yard.playing.usable / 3600


def test_the_same_set_tells_the_same(found, folder):
    assert evaluate(folder) == found


def test_several_processes_tell_what_one_tells(found, folder):
    told = []
    assert evaluate(folder, workers=2, say=lambda clip, share: told.append((clip, share))) == found
    assert sorted(clip for clip, share in told if share == 1.0) == ["kerb", "street", "yard"]


def test_progress_reaches_the_end_once_for_each_clip(folder):
    told = []
    evaluate(folder, say=lambda clip, share: told.append((clip, share)))
    assert [clip for clip, share in told if share == 1.0] == ["yard", "kerb", "street"]
    shares = [share for clip, share in told if clip == "street"]
    assert shares == sorted(set(shares))
    assert len(shares) > 5


def test_an_unknown_clip_is_named_with_the_nearest_known(folder):
    with pytest.raises(UsageError, match=r"--only yad: .* Did you mean 'yard'"):
        evaluate(folder, only=["yad"])


def test_another_configuration_lends_its_detectors_and_scenes(folder, tmp_path):
    other = tmp_path / "city"
    (other / "detectors").mkdir(parents=True)
    (other / "detectors" / "city.yaml").write_text("backend: scripted\noptions: {colours: {red: car, green: fire}}\n")
    (other / "scenes").symlink_to(folder / "live")
    found = evaluate(folder, config=other, only=["yard", "kerb"])
    assert [each.scene for each in row(found, "yard").count.missed] == ["burning"]
    assert [each.told.scene for each in row(found, "kerb").count.false] == ["burning"]


def test_clips_that_are_not_part_of_a_set_are_asked_for(tmp_path):
    folder = written(tmp_path / "set", cameras=CAMERAS.replace("file:kerb.mp4", "file:${CLIPS}/kerb.mp4"))
    with pytest.raises(UsageError, match="--clips DIR"):
        evaluate(folder)
    with pytest.raises(UsageError, match="no such folder"):
        evaluate(folder, clips=tmp_path / "nowhere")
    assert evaluate(folder, clips=folder, only=["kerb"]).holds


def test_the_report_says_the_same_in_each_form(found):
    fields = json.loads(json.dumps(scene_report.as_json(found)))
    assert fields["sums"]["set"] | {"to_filed_s": None, "to_confirmed_s": None, "false_an_hour": None} == {
        "clips": 2,
        "hours": round(32 / 3600, 4),
        "events": 2,
        "found": 2,
        "missed": 0,
        "false": 0,
        "twice": 0,
        "false_an_hour": None,
        "to_filed_s": None,
        "to_confirmed_s": None,
    }
    assert fields["sums"]["set"]["to_filed_s"] == {"p50": 3.0, "p95": 4.0, "max": 4.0}
    assert fields["clips"][0]["cases"][0]["fate"] == "found"
    assert fields["holds"] is True
    text, page = scene_report.as_text(found), scene_report.as_markdown(found)
    for told in (text, page):
        assert "burning" in told
        assert "hold 3 s (shipped: 6 s)" in told
        assert told.endswith("holds")
    assert "| yard | set | 20 | 20 | 100% | 1 | 1 | 0 | 0 | 0 | 3.0 |" in page


def test_each_clip_is_drawn_in_both_languages(found, tmp_path):
    paths = timelines.draw(found, tmp_path / "plots")
    assert [each.name for each in paths] == ["yard.svg", "kerb.svg", "street.svg", "index.html"]
    for path in paths[:-1]:
        ElementTree.fromstring(path.read_text(encoding="utf-8"))
    yard = paths[0].read_text(encoding="utf-8")
    for word in ("烟火", "burning", "+3.0 s", "可用 usable"):
        assert word in yard
    page = paths[-1].read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert not set(_addresses(page)) - {"http://www.w3.org/2000/svg"}, "it needs nothing from elsewhere"


def test_a_missed_event_and_a_false_case_are_drawn_as_such(tmp_path):
    truth = TRUTH.replace("scene: burning, from: 10", "scene: burning, from: 1, to: 3")
    found = evaluate(written(tmp_path / "set", truth=truth), only=["yard"])
    drawing = timelines.timeline(found.rows[0], found.titles)
    assert "漏报 · missed" in drawing
    assert "误报 · false" in drawing


def _addresses(text):
    return [word.split('"')[0] for word in text.split('="') if word.startswith("http")]

"""truth.yaml: every fault is told with file, key and remedy."""

import pytest

from citybrain.errors import ConfigError
from citybrain.evaluation.truth import load
from tests.unit.evaluation.scene_set import CAMERAS, TRUTH, written

FIRE = "[{scene: burning, from: 10}]"
FAULTS = [
    (("scene: burning, from: 10", "scene: burnin, from: 10"), "clips.yard.events[0].scene", "Did you mean 'burning'?"),
    (("zone: kerb", "zone: kreb"), "clips.kerb.events[0].zone", "Did you mean 'kerb'?"),
    (("from: 0, to: 12", "from: 12, to: 12"), "clips.kerb.events[0].to", "Leave `to` out where it lasts to the end."),
    (("scene: burning, from: 10", "scene: burning"), "clips.yard.events[0].from", "Add `from`."),
    (("  yard:", "  yrad:"), "clips.yrad", "Did you mean 'yard'?"),
    (("    events: []\n", ""), "clips.street.events", "Add `events`."),
    (("within: {burning", "within: {brning"), "within.brning", "Did you mean 'burning'?"),
    (("shipped: live\n", ""), "clips.street.judged_by", "Name their folder under `shipped`."),
    (("judged_by: shipped", "judged_by: shiped"), "clips.street.judged_by", "Did you mean 'shipped'?"),
    (("looped: {lasts: 30s}", "stills: {each: 5s}"), "clips.street.stills", "`stills` is for a folder"),
    (("lasts: 30s", "lasts: 30s, parts: [[4, 2]]"), "clips.street.looped.parts[0]", "Write [from, to]."),
    (("stills: {each: 10s}", "looped: {lasts: 9s}"), "clips.yard", "Say for how long each is shown"),
    (
        ("stills: {each: 10s}", "stills: {each: 10s}\n    looped: {lasts: 9s, parts: [[0, 1]]}"),
        "clips.yard.looped.parts",
        "",
    ),
    (("stills: {each: 10s}", "stills: {each: 10s, files: '*.bmp'}"), "clips.yard.stills.files", "a pattern for names"),
    (("{noise: {seed: 1,", "{nose: {seed: 1,"), "clips.yard.disturbances.nose", "Did you mean 'noise'?"),
    (("strength: 0.3", "strength: 3"), "clips.yard.disturbances.noise.strength", ""),
    (("lasts: 30s", "lasts: 30"), "clips.street.looped.lasts", ""),
]


@pytest.mark.parametrize(("change", "key", "remedy"), FAULTS, ids=[key for _, key, _ in FAULTS])
def test_a_fault_is_told_with_file_key_and_remedy(tmp_path, change, key, remedy):
    assert change[0] in TRUTH
    folder = written(tmp_path / "set", truth=TRUTH.replace(*change))
    with pytest.raises(ConfigError) as raised:
        load(folder)
    told = [each for each in raised.value.faults if each.key == key]
    assert told, raised.value
    assert told[0].file == str(folder / "truth.yaml")
    assert remedy in told[0].remedy


def test_all_faults_are_told_at_once(tmp_path):
    truth = TRUTH.replace("scene: burning, from: 10", "scene: burnin, from: 10").replace("zone: kerb", "zone: kreb")
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path / "set", truth=truth))
    assert {each.key for each in raised.value.faults} == {"clips.yard.events[0].scene", "clips.kerb.events[0].zone"}


def test_a_camera_of_which_truth_says_nothing_is_a_fault(tmp_path):
    cameras = CAMERAS + "  - {id: other, name: other, url: 'file:street.mp4'}\n"
    with pytest.raises(ConfigError, match=r"says nothing of camera 'other'\. Say what happens in it"):
        load(written(tmp_path / "set", cameras=cameras))


def test_a_camera_that_reads_no_file_is_a_fault(tmp_path):
    cameras = CAMERAS.replace("file:street.mp4", "rtsp://127.0.0.1/street")
    with pytest.raises(ConfigError, match="reads no file"):
        load(written(tmp_path / "set", cameras=cameras))


def test_a_set_without_truth_is_a_fault(tmp_path):
    folder = written(tmp_path / "set")
    (folder / "truth.yaml").unlink()
    with pytest.raises(ConfigError, match=r"truth\.yaml: there is no such file"):
        load(folder)


def test_shipped_scenes_that_are_faulty_are_told(tmp_path):
    folder = written(tmp_path / "set")
    scene = folder / "live" / "burning.yaml"
    scene.write_text(scene.read_text().replace("labels: [fire]", "labels: [fier]"))
    with pytest.raises(ConfigError, match=r"live/burning\.yaml: when\.labels: 'fier' is not a label"):
        load(folder)


def test_a_set_that_is_right_is_read(tmp_path):
    found = load(written(tmp_path / "set"))
    assert found.judge_of("street").scenes["burning"].file.hold.total_seconds() == 6
    assert found.judge_of("yard").scenes["burning"].file.hold.total_seconds() == 3
    assert found.truth.clips["street"].ordinary
    assert not found.truth.clips["kerb"].ordinary

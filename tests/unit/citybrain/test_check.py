"""`citybrain check` names file, key, expectation and remedy of every fault at once, and says nothing of a good folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from citybrain import cli

ROOT = Path(__file__).parents[3]
CONFIGS = ROOT / "tests" / "configs"
DURATION = "expected a duration such as 90s, 10m or 1h30m, got"
STANDING = "scenes/standing.yaml"
FAULTS = {
    "scenes/a_list": f"{STANDING}: expected keys with their values. Write `key: value`",
    "scenes/bare_number": f"{STANDING}: hold: {DURATION} 300.",
    "scenes/code_in_no_table": f"{STANDING}: case.code: '05-06' is in no table of codes/. Did you mean '05-05'?",
    "scenes/confidence_out_of_range": f"{STANDING}: when.min_confidence: input should be less than or equal to 1, got 45.",
    "scenes/deadline_of_nothing": f"{STANDING}: case.deadline: expected a duration longer than nothing, such as 10m, got '0s'.",
    "scenes/duplicate_key": f"{STANDING}: line 8, column 1: key 'hold' stands here twice. Keep one.",
    "scenes/edge_the_wrong_way_round": f"{STANDING}: when: fewer_than must not exceed at_least, got 3 and 2.",
    "scenes/empty": f"{STANDING}: is empty. See docs/",
    "scenes/id_is_not_the_files_name": f"{STANDING}: id: 'parking' is not the file's name. Rename one to 'standing'.",
    "scenes/inhibited_by_itself": f"{STANDING}: inhibited_by: 'standing' is no other scene. Known: burning.",
    "scenes/inhibited_by_no_scene": f"{STANDING}: inhibited_by: 'burnin' is no other scene. Did you mean 'burning'?",
    "scenes/label_no_detector_gives": f"{STANDING}: when.labels: 'truk' is not a label of any detector. Did you mean 'truck'?",
    "scenes/max_gap_shorter_than_two_looks": f"{STANDING}: max_gap: 1s is too short for camera 'gd-0001', which is looked at"
    " every 1s. Give at least 2s, or look more often.",
    "scenes/missing_key": f"{STANDING}: hold: is missing. Add `hold`.",
    "scenes/no_labels": f"{STANDING}: when.labels: expected at least 1, got 0.",
    "scenes/no_max_gap": f"{STANDING}: max_gap: must be longer than nothing. Give at least twice the look interval.",
    "scenes/not_yaml": f"{STANDING}: line 3, column 7: did not find expected ',' or '}}'. Check the indentation and quotes",
    "scenes/one_language": f"{STANDING}: title: expected both languages, {{zh: …, en: …}}, got {{'zh': '停放'}}.",
    "scenes/one_test_only": f"{STANDING}: tests: expected at least 2, got 1.",
    "scenes/attention_over_before_the_hold": f"{STANDING}: attention: 4m is over before a hold of 5m is. Give more than 5m,"
    " or 0s for never.",
    "scenes/patience_of_a_moment": f"{STANDING}: patience: must be at least 500ms, got 100ms. No camera is looked at more",
    "scenes/patience_that_no_hold_survives": f"{STANDING}: patience: 50s is too long for a max_gap of 1m30s: no hold survives"
    " it. Give at most 45s, half of max_gap, or a longer max_gap.",
    "scenes/test_that_expects_nonsense": f"{STANDING}: tests: test 'a car that stays is a case': expected `begins 10m` or"
    " `ends 25m`, got 'starts 5m'. See docs/",
    "scenes/test_that_fails": f"{STANDING}: tests[0]: 'a car that stays is a case' expected [begins 4m, ends 14m],"
    " got [begins 5m, ends 14m]. Correct the scene or the expectation.",
    "scenes/test_with_a_word_unknown": f"{STANDING}: tests: test 'a car that only stops for a moment is none': cannot read"
    " 'car@nowhere'; places are a, b, c, d, over-a, out. See docs/",
    "scenes/test_without_a_count": f"{STANDING}: tests: test 'a car that only stops for a moment is none': looks must be"
    " pairs such as `car x12`, got 'car x4 none'. See docs/",
    "scenes/unknown_key": f"{STANDING}: holdd: is not a known key. Did you mean 'hold'?",
    "scenes/unknown_rule": f"{STANDING}: rule: pipeline.rules has no 'dwel'; it has count, coverage, dwell, presence.",
    "scenes/unknown_rule_option": f"{STANDING}: when.min_share: is not a known key. Did you mean 'min_inside'?",
    "scenes/unknown_severity": f"{STANDING}: case.severity: expected 'low', 'normal', 'high' or 'critical', got 'urgent'.",
    "scenes/unknown_status": f"{STANDING}: status: expected 'draft', 'trial' or 'live', got 'alive'. Did you mean 'live'?",
    "scenes/unknown_unit": f"{STANDING}: hold: {DURATION} '5 minutes'.",
    "scenes/unknown_zone_kind": f"{STANDING}: zone_kind: expected 'no_parking', 'roadway', 'pavement' or 'any', got 'kerb'.",
    "codes/code_is_a_number": "codes/street.yaml: categories[1].code: input should be a valid string, got 505.",
    "codes/code_of_another_form": "codes/street.yaml: categories[1].code: string should match pattern",
    "codes/duplicate_code": "codes/street.yaml: categories: code '05-05' stands here twice. Keep one.",
    "codes/one_language": "codes/street.yaml: categories[0].subcategory: expected both languages, {zh: …, en: …}, got 'Fire'.",
    "codes/version_missing": "codes/street.yaml: version: is missing. Add `version`.",
    "codes/unknown_clock": "codes/street.yaml: categories[1].allowed.clock: expected 'always' or 'working_hours', got"
    " 'working'. Did you mean 'working_hours'?",
    "codes/working_hours_without_a_calendar": "codes/street.yaml: categories[1].allowed.clock: 'working_hours' needs a calendar,"
    " and there is none. Add calendar.yaml.",
    "calendar/day_in_two_holidays": "calendar.yaml: 2026-01-03 stands in two holidays.",
    "calendar/day_made_up_twice": "calendar.yaml: 2026-01-04 stands in two working days.",
    "calendar/holiday_in_one_language": "calendar.yaml: holidays[0].name: expected both languages, {zh: …, en: …}, got '元旦'.",
    "calendar/holiday_of_a_year": "calendar.yaml: holidays[0]: expected a holiday of at most 92 days.",
    "calendar/holiday_that_ends_before_it_begins": "calendar.yaml: holidays[0]: until must not be earlier than since.",
    "calendar/holiday_that_is_worked": "calendar.yaml: 2026-01-03 stands as a holiday and as a working day.",
    "calendar/hours_past_midnight": "calendar.yaml: hours.monday: expected a span that ends later on the same day, got"
    " '22:00-06:00'.",
    "calendar/hours_that_overlap": "calendar.yaml: hours.monday: expected spans in order that do not overlap, got 08:30-12:00,"
    " 11:00-18:00.",
    "calendar/hours_without_minutes": "calendar.yaml: hours.monday[0]: string should match pattern",
    "calendar/made_up_like_a_day_off": "calendar.yaml: 2026-01-04 is worked like a sunday, which has no hours.",
    "calendar/no_hours": "calendar.yaml: hours: expected at least 1, got 0.",
    "calendar/no_such_date": "calendar.yaml: working_days[0].date: input should be a valid date",
    "calendar/no_working_hour": "calendar.yaml: expected a working hour on some weekday, or no such file",
    "calendar/unknown_key": "calendar.yaml: holiday: is not a known key. Did you mean 'holidays'?",
    "calendar/unknown_weekday": "calendar.yaml: hours.mondey: expected 'monday', 'tuesday',",
    "areas/camera_in_no_area": "cameras.yaml: grid_cell: '530111001001003' of camera 'gd-0001' lies in no area of areas.yaml."
    " Correct the cell, or add its area.",
    "areas/child_outside_its_parent": "areas.yaml: areas[0].areas[0].code: '530112001' is not '530111' and something more. Move",
    "areas/child_with_its_parents_code": "areas.yaml: areas[0].areas[0].code: '530111' stands here twice. Keep one.",
    "areas/code_is_a_number": "areas.yaml: areas[0].code: input should be a valid string, got 530111.",
    "areas/code_of_letters": "areas.yaml: areas[0].code: string should match pattern",
    "areas/duplicate_code": "areas.yaml: areas[0].areas[1].code: '530111001' stands here twice. Keep one.",
    "areas/escalate_every_of_nothing": "areas.yaml: escalate_every: expected a duration longer than nothing,",
    "areas/no_areas": "areas.yaml: areas: expected at least one district, or no such file.",
    "areas/one_in_the_other_beside_it": "areas.yaml: areas[0].areas[1].code: '530111001001' and '530111001' stand side by side,"
    " and one lies in the other. Put the longer one into",
    "areas/one_language": "areas.yaml: areas[0].name: expected both languages, {zh: …, en: …}, got {'zh': '官渡区'}.",
    "areas/six_levels": f"areas.yaml: {'.'.join(['areas[0]'] * 6)}: '530111001001003' is a level too deep. There are 5: district,",
    "areas/unit_for_no_scene": "areas.yaml: areas[0].units.standin: there is no scene 'standin'. Did you mean 'standing'?",
    "areas/unknown_key": "areas.yaml: areas[0].in_charg: is not a known key. Did you mean 'in_charge'?",
    "routes/holiday_without_a_calendar": "routes.yaml: routes[0].days: 'holiday' needs a calendar, and there is none. Add",
    "routes/unknown_day": "routes.yaml: routes[0].days[0]: expected 'working', 'off', 'holiday', 'monday',",
    "routes/working_hours_without_a_calendar": "routes.yaml: routes[0].clock: 'working_hours' needs a calendar, and there is none.",
    "routes/deadline_of_nothing": "routes.yaml: routes[0].deadline: expected a duration longer than nothing, such as 10m,"
    " got '0s'.",
    "routes/hours_without_minutes": "routes.yaml: routes[0].hours: string should match pattern",
    "routes/silence_that_ends_before_it_begins": "routes.yaml: silences[0]: until must be later than since.",
    "routes/silence_without_author": "routes.yaml: silences[0].author: is missing. Add `author`.",
    "routes/silence_without_offset": "routes.yaml: silences[0].since: expected an instant with its offset, such as"
    " 2026-11-21T00:00:00Z, got '2026-11-21T00:00:00'.",
    "routes/unknown_camera": "routes.yaml: silences[0].camera: there is no camera 'gd-0002'. Did you mean 'gd-0001'?",
    "routes/unknown_key": "routes.yaml: routes[0].unt: is not a known key. Did you mean 'unit'?",
    "routes/unknown_scene": "routes.yaml: routes[0].scene: there is no scene 'standin'. Did you mean 'standing'?",
    "routes/unknown_timezone": "routes.yaml: timezone: expected an IANA time zone such as Asia/Shanghai, got 'Asia/Kunming'.",
    "sensors/broker_of_another_protocol": "sensors.yaml: broker: is no address of an MQTT broker. Give mqtt://HOST:1883"
    " or mqtts://HOST:8883, with",
    "sensors/broker_without_host": "sensors.yaml: broker: is no address of an MQTT broker.",
    "sensors/certificate_not_there": "sensors.yaml: ca: there is no file 'authority.pem'. Name a PEM file beside"
    " sensors.yaml.",
    "sensors/duplicate_sensor": "sensors.yaml: sensors[1].id: 'wl-001' is the id of another sensor too. Ids are"
    " given once.",
    "sensors/no_sensors": "sensors.yaml: sensors: names no sensor. Add one, or remove the file.",
    "sensors/path_with_a_blank": "sensors.yaml: sensors[0].value: expected keys with dots between them, such as"
    " data.level or readings.0.value, got 'data level'.",
    "sensors/threshold_is_text": "sensors.yaml: sensors[0].alarm_at: input should be a valid number, unable to"
    " parse string as a number, got 'high'.",
    "sensors/topic_of_everything": "sensors.yaml: sensors[0].topic: expected names between slashes, or + for any"
    " one name; # and $… are refused, got 'city/#'.",
    "sensors/unknown_key": "sensors.yaml: sensors[0].scne: is not a known key. Did you mean 'scene'?",
    "sensors/unknown_kind": "sensors.yaml: sensors[0].kind: expected 'smoke', 'water_level' or 'any', got"
    " 'water'. Did you mean 'water_level'?",
    "sensors/unknown_scene": "sensors.yaml: sensors[0].scene: there is no scene 'standin'. Did you mean 'standing'?",
    "sensors/unset_variable": "sensors.yaml: broker: *** is not set. Set MQTT_PASSWORD_NOBODY_SET in the"
    " environment, or in sensors.env beside it.",
    "sensors/without_a_place": "sensors.yaml: sensors[0]: says not where it is: give its location, or its"
    " grid_cell at least.",
    "folders/camera_of_no_detector": "cameras.yaml: detector: camera 'gd-0001' names 'citty', and there is no"
    " detectors/citty.yaml. Did you mean 'city'?",
    "folders/camera_of_which_detector": "cameras.yaml: detector: camera 'gd-0001' names none, and there are several."
    " Name one of city, night.",
}
FOLLOWS = {
    "scenes/max_gap_shorter_than_two_looks": f"{STANDING}: tests[0]",
    "routes/unknown_key": "routes.yaml: routes[0].unit: is missing",
}
"""What else such a mistake makes wrong."""


@pytest.fixture
def folder(tmp_path):
    """The good folder, over which a faulty one can be laid."""

    def laid(*over: str) -> Path:
        target = tmp_path / "city"
        for each in ("folders/good", *over):
            shutil.copytree(CONFIGS / each, target, dirs_exist_ok=True)
        return target

    return laid


def check(target, capsys):
    status = cli.run(["check", "--config", str(target)])
    said = capsys.readouterr()
    return status, [line.removeprefix(f"{target}/") for line in said.err.splitlines()], said.out


def test_a_good_folder_is_found_good(folder, capsys):
    status, faults, said = check(folder(), capsys)
    assert (status, faults) == (0, [])
    assert said == "1 cameras, 1 detectors, 2 scenes with 4 tests\n"


def test_every_fixture_is_tried():
    kinds = [CONFIGS / kind for kind in ("scenes", "codes", "calendar", "areas", "routes", "sensors", "folders")]
    fixtures = {f"{kind.name}/{each.name}" for kind in kinds for each in kind.iterdir()}
    assert fixtures - {"folders/good", "folders/many_faults"} == set(FAULTS)


@pytest.mark.parametrize("fixture", FAULTS)
def test_a_fault_names_file_key_expectation_and_remedy(folder, capsys, fixture):
    status, faults, _ = check(folder(fixture), capsys)
    assert status == 2
    expected = FAULTS[fixture]
    told = [line for line in faults if line.startswith(expected)]
    assert len(told) == 1, faults
    others = [line for line in faults if line not in told]
    assert all(line.startswith(FOLLOWS.get(fixture, "nothing")) for line in others), others


def test_all_faults_are_told_at_once_and_none_that_only_follows_from_another(folder, capsys):
    status, faults, _ = check(folder("folders/many_faults"), capsys)
    assert status == 2
    assert [line.split(": ")[:2] for line in faults] == [
        ["cameras.yaml", "cameras[0].zones[0].kind"],
        ["codes/street.yaml", "version"],
        ["detectors/city.yaml", "backend"],
        ["routes.yaml", "routes[0].hours"],
        ["scenes/standing.yaml", "hold"],
    ]


def test_a_folder_that_is_not_there_says_so(tmp_path, capsys):
    status, faults, _ = check(tmp_path / "nowhere", capsys)
    assert status == 2
    assert len(faults) == 1
    assert "there is no such folder. Name one with --config" in faults[0]


def test_an_empty_folder_says_what_it_lacks(tmp_path, capsys):
    status, faults, _ = check(tmp_path, capsys)
    assert status == 2
    assert {line.split(":")[0].removeprefix(f"{tmp_path}/") for line in faults} == {
        "cameras.yaml",
        "detectors",
        "scenes",
    }


def test_the_command_itself_exits_with_2_and_speaks_on_stderr(folder):
    ended = subprocess.run(
        [sys.executable, "-m", "citybrain", "check", "--config", str(folder("scenes/unknown_key"))],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "holdd: is not a known key. Did you mean 'hold'?" in ended.stderr
    assert "Traceback" not in ended.stderr

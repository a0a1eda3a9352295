"""YAML read into frozen models: durations, keys said twice, names misspelt, variables, and nothing guessed away."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citybrain.configuration import (
    LONGEST,
    Bilingual,
    Duration,
    Section,
    did_you_mean,
    duration,
    duration_text,
    expand,
    parse,
    read,
)
from citybrain.domain.camera import Text
from citybrain.errors import ConfigError, Fault, UnknownPlugin


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172_800), ("250ms", 0.25), ("0s", 0)],
)
def test_a_duration_is_a_number_with_its_unit(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "wrong", ["", "10", 10, 10.5, "10 m", "m", "-5m", "5 minutes", "1h-30m", "m10", True, None, [], "9e9d"]
)
def test_what_is_no_duration_says_what_was_expected_and_found(wrong):
    with pytest.raises(ValueError, match=r"expected a duration such as 90s, 10m or 1h30m, got"):
        duration(wrong)


def test_a_duration_longer_than_any_city_plans_is_refused():
    with pytest.raises(ValueError, match="ten years"):
        duration("999999999999d")


@given(st.integers(0, int(LONGEST.total_seconds() * 1000)).map(lambda ms: timedelta(milliseconds=ms)))
def test_a_duration_is_read_as_it_was_written(span):
    assert duration(duration_text(span)) == span


class Inner(Section):
    share: float = 0.5


class Model(Section):
    name: Bilingual
    every: Duration = timedelta(seconds=1)
    inner: Inner = Inner()
    several: tuple[Inner, ...] = ()


def faults_of(value) -> list[str]:
    faults: list[Fault] = []
    found = parse(Model, value, file="x.yaml", faults=faults)
    assert (found is None) is bool(faults)
    return [str(fault) for fault in faults]


NAME = {"zh": "名", "en": "name"}


def test_a_good_value_becomes_a_frozen_model():
    model = parse(Model, {"name": NAME, "every": "2s"}, file="x.yaml", faults=[])
    assert model is not None
    assert (model.name, model.every) == (Text("名", "name"), timedelta(seconds=2))
    with pytest.raises(ValueError, match="frozen"):
        model.every = timedelta()  # type: ignore[misc]


def test_every_fault_is_told_with_its_key_and_the_nearest_right_one():
    value = {"nam": NAME, "every": 2, "inner": {"shar": 1}, "several": [{"share": 1}, {"share": "much"}]}
    assert faults_of(value) == [
        "x.yaml: name: is missing. Add `name`.",
        "x.yaml: every: expected a duration such as 90s, 10m or 1h30m, got 2.",
        "x.yaml: inner.shar: is not a known key. Did you mean 'share'?",
        "x.yaml: several[1].share: input should be a valid number, unable to parse string as a number, got 'much'.",
        "x.yaml: nam: is not a known key. Did you mean 'name'?",
    ]


@pytest.mark.parametrize("value", [[], "text", 7, None])
def test_what_is_no_mapping_is_told_so(value):
    assert faults_of(value) == ["x.yaml: expected keys with their values. Write `key: value`, one to a line."]


@pytest.mark.parametrize(
    ("names", "remedy"), [({"dwell", "count"}, "Did you mean 'dwell'?"), (set(), "None is known.")]
)
def test_a_misspelt_name_is_answered_with_the_nearest(names, remedy):
    assert did_you_mean("dwel", names) == remedy
    assert did_you_mean("zzz", {"dwell", "count"}) == "Known: count, dwell."


def yaml_faults(tmp_path: Path, text: str | bytes):
    faults: list[Fault] = []
    path = tmp_path / "x.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    value = read(path, faults=faults)
    return value, [str(fault).removeprefix(f"{path}: ") for fault in faults]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: 1\nb: {c: 1, c: 2}\n", "line 2, column 11: key 'c' stands here twice. Keep one."),
        ("a: [1\n", "line 2, column 1: "),
        ("a: {{x: 1}: 2}\n", "line 1, column 5: a key must be a word."),
        ("? [a]\n: 1\n", "line 1, column 3: a key must be a word."),
        ("a: 2026-13-45\n", "holds a value that cannot be read (month must be in 1..12). Put quotes around text."),
        ("a: !!python/object:os.system x\n", "line 1, column 4: could not determine a constructor"),
        ("a: &a [*a]\n", "line 1, column 4: contains itself. Write it out."),
        ("", "is empty."),
        ("# nothing\n", "is empty."),
        (b"a: \xff\n", "cannot be read (UnicodeDecodeError). It must be a UTF-8 text file."),
        ("{" * 20_000, "holds a value that cannot be read"),
        ("a:\n " + "- " * 20_000, "holds a value that cannot be read"),
        ("a: {<<: [{x: 1}, {y: 2}], x: 3, x: 4}\n", "line 1, column 33: key 'x' stands here twice. Keep one."),
    ],
)
def test_a_file_that_cannot_be_read_is_one_fault_with_its_place(tmp_path, text, fault):
    value, faults = yaml_faults(tmp_path, text)
    assert value is None
    assert len(faults) == 1
    assert faults[0].startswith(fault)


def test_a_file_that_is_not_there_is_a_fault(tmp_path):
    faults: list[Fault] = []
    assert read(tmp_path / "none.yaml", faults=faults) is None
    assert faults[0].message == "there is no such file."
    assert read(tmp_path, faults=faults) is None
    assert "cannot be read (IsADirectoryError)" in faults[1].message


def test_merged_keys_of_an_anchor_are_no_repetition(tmp_path):
    value, faults = yaml_faults(tmp_path, "base: &b {x: 1}\none:\n  <<: *b\n  x: 2\n")
    assert faults == []
    assert value["one"] == {"x": 2}


def test_variables_come_from_the_environment_and_those_unset_are_named():
    environment = {"USER": "li", "PASS": "p@ss"}
    assert expand("${USER}:${PASS}", environment=environment) == ("li:p@ss", [])
    assert expand("${USER}-${NOBODY}", environment=environment) == ("li-", ["NOBODY"])
    assert expand("${NOBODY:-guest}", environment=environment) == ("guest", [])
    assert expand("${PASS}@x", environment=environment, quote=str.upper) == ("P@SS@x", [])
    assert expand("$USER ${}", environment=environment) == ("$USER ${}", [])


def test_faults_are_told_once_each_and_in_order():
    one, other = Fault("b.yaml", "k", "is wrong."), Fault("a.yaml", "", "is empty.", "Fill it.")
    assert str(ConfigError([one, other, one])) == "a.yaml: is empty. Fill it.\nb.yaml: k: is wrong."
    assert UnknownPlugin("pipeline.rules", "presense", ["presence", "dwell"]).message == (
        "pipeline.rules has no 'presense'; it has dwell, presence"
    )


def test_what_is_merged_gives_way_to_the_mappings_own_keys_and_an_alias_is_one_value(tmp_path):
    text = "base: &base {x: 1, y: [1]}\nown: {<<: *base, x: 2}\nsame: *base\n"
    value, faults = yaml_faults(tmp_path, text)
    assert faults == []
    assert value["own"] == {"x": 2, "y": [1]}
    assert value["same"] is value["base"]


def test_aliases_of_aliases_take_no_more_room_than_they_are_written_with(tmp_path):
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    value, faults = yaml_faults(tmp_path, "l0: &l0 [x]\n" + levels)
    assert faults == []
    assert value["l11"][0] is value["l10"]

"""What `citybrain evaluate scenes` prints and ends with."""

import json

import pytest

from citybrain.cli import run
from tests.unit.evaluation.scene_set import TRUTH, written


@pytest.fixture
def command(tmp_path, capsys):
    """The command's exit status, and what it said on stdout and on stderr."""

    def ran(*words: str, truth: str = TRUTH) -> tuple[int, str, str]:
        folder = tmp_path / "set"
        if not folder.exists():
            written(folder, truth=truth)
        status = run(["evaluate", "scenes", "--set", str(folder), "--workers", "1", *words])
        return status, *capsys.readouterr()

    return ran


def test_figures_go_to_stdout_and_progress_to_stderr(command):
    status, told, said = command()
    assert status == 0
    assert told.rstrip().endswith("holds")
    for clip in ("yard", "kerb", "street"):
        assert f"citybrain: {clip} 100%" in said
        assert clip in told


def test_json_is_one_object(command):
    status, told, _ = command("--json", "--only", "yard")
    assert (status, [each["clip"] for each in json.loads(told)["clips"]]) == (0, ["yard"])


def test_what_does_not_hold_ends_with_one(command):
    status, told, _ = command("--markdown", truth=TRUTH.replace("[{scene: burning, from: 10}]", "[]"))
    assert status == 1
    assert "yard: burning at 13 s false (fire 0." in told


def test_plots_are_written_where_they_are_wanted(command, tmp_path):
    _, _, said = command("--only", "yard", "--plots", str(tmp_path / "shown"))
    assert (tmp_path / "shown" / "index.html").is_file()
    assert "yard.svg" in said


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--only", "yrad"), "Did you mean 'yard'?"),
        (("--hours", "0"), "--hours 0: expected more than none"),
        (("--clips", "/nowhere/at/all"), "there is no such folder"),
    ],
)
def test_wrong_words_end_with_two_and_a_remedy(command, words, complaint):
    status, told, said = command(*words)
    assert (status, told) == (2, "")
    assert complaint in said


def test_a_faulty_set_ends_with_two_and_each_fault_on_a_line(command):
    status, _, said = command(
        truth=TRUTH.replace("zone: kerb", "zone: kreb").replace("within: {burning", "within: {brning")
    )
    assert status == 2
    assert "truth.yaml: clips.kerb.events[0].zone" in said
    assert "truth.yaml: within.brning" in said

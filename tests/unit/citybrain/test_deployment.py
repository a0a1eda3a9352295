"""Where the parts of a city lie: by option, by variable, or all in one folder."""

from pathlib import Path

import pytest

from citybrain.clock import SystemClock
from citybrain.commands import up
from citybrain.deployment import VARIABLES, Deployment
from citybrain.errors import UsageError
from citybrain.evidence.signer import Signer
from citybrain.signing import new_secret

BUS = "kafka://broker:9092/city"


def test_an_option_comes_before_the_variable_and_nothing_is_one_machine():
    told = Deployment.told(Path("/data"), environment={"CITYBRAIN_BUS": "kafka://other:9092"}, bus=BUS, hot=None)
    assert (told.bus, told.database, told.hot, told.evidence) == (BUS, None, None, None)
    assert Deployment.told(Path("/data"), environment={"CITYBRAIN_BUS": BUS}).bus == BUS


def test_child_processes_find_the_same_parts():
    environment: dict[str, str] = {}
    Deployment.told(Path("/data"), environment={}, bus=BUS, evidence="s3://bucket").export(environment)
    assert environment == {"CITYBRAIN_BUS": BUS, "CITYBRAIN_EVIDENCE": "s3://bucket"}
    assert Deployment.told(Path("/data"), environment=environment).evidence == "s3://bucket"


@pytest.mark.parametrize("variable", VARIABLES.values())
def test_up_keeps_everything_in_its_folder_and_refuses_to_be_told_otherwise(tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, "somewhere://else")
    with pytest.raises(UsageError, match=f"unset {variable}"):
        up(tmp_path, tmp_path / "data", host="127.0.0.1", port=1, dispatch=None, workers=None, clock=SystemClock())
    assert not (tmp_path / "data").exists()


def test_machines_that_are_given_the_same_key_sign_alike(tmp_path):
    shared = tmp_path / "secrets" / "evidence.key"
    shared.parent.mkdir()
    public = Signer.open(shared).public
    for machine in ("one", "two"):
        city = Deployment.told(tmp_path / machine, environment={})
        assert city.signer({"CITYBRAIN_EVIDENCE_KEY_FILE": str(shared)}).public.fingerprint == public.fingerprint
        assert not (tmp_path / machine).exists()


def test_a_key_that_was_named_and_is_not_there_is_not_made(tmp_path):
    named = tmp_path / "evidence.key"
    with pytest.raises(UsageError, match="there is no file"):
        Deployment.told(tmp_path, environment={}).signer({"CITYBRAIN_EVIDENCE_KEY_FILE": str(named)})
    assert not named.exists()


def test_without_a_name_the_data_folder_has_its_own(tmp_path):
    city = Deployment.told(tmp_path, environment={})
    assert city.signer({}).public.fingerprint == city.data.signer().public.fingerprint
    assert city.dispatch_secret({}) == city.data.dispatch_secret()


def test_the_dispatch_secret_comes_from_a_variable_or_from_a_file(tmp_path):
    city, said, written = Deployment.told(tmp_path / "data", environment={}), new_secret(), new_secret()
    (tmp_path / "dispatch").write_text(f"{written}\n")
    file = {"CITYBRAIN_DISPATCH_SECRET_FILE": str(tmp_path / "dispatch")}
    assert city.dispatch_secret({"CITYBRAIN_DISPATCH_SECRET": said}) == said
    assert city.dispatch_secret(file) == written
    assert city.dispatch_secret({"CITYBRAIN_DISPATCH_SECRET": said, **file}) == said


@pytest.mark.parametrize(
    "environment",
    [
        {"CITYBRAIN_DISPATCH_SECRET": "hunter2"},
        {"CITYBRAIN_DISPATCH_SECRET_FILE": "/nowhere/at/all"},
    ],
)
def test_what_is_no_secret_is_refused_without_being_quoted(tmp_path, environment):
    with pytest.raises(UsageError, match="CITYBRAIN_DISPATCH_SECRET") as refused:
        Deployment.told(tmp_path, environment={}).dispatch_secret(environment)
    assert "hunter2" not in str(refused.value)


def test_an_empty_variable_is_none(tmp_path):
    city = Deployment.told(tmp_path, environment={"CITYBRAIN_HOT": "", "CITYBRAIN_BUS": ""})
    assert (city.hot, city.bus) == (None, None)

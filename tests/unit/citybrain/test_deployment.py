"""Where the parts of a city lie: by option, by variable, or all in one folder."""

from pathlib import Path

import pytest

from citybrain.clock import SystemClock
from citybrain.commands import up
from citybrain.deployment import VARIABLES, Deployment
from citybrain.errors import UsageError

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

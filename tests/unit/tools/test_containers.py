"""The image and the Compose file: valid, closed to the outside, and told in full by their page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from tests.unit.tools.checkout import ROOT, tracked

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return loaded


def test_the_compose_file_is_valid(compose: dict[str, Any]) -> None:
    schema = json.loads(
        files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text("utf-8")
    )
    jsonschema.validate(compose, schema)
    with pytest.raises(jsonschema.ValidationError):  # the schema does refuse what it does not know
        jsonschema.validate({"services": {"citybrain": {"imaeg": "x"}}}, schema)


def test_docker_itself_reads_the_compose_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed")
    command = [docker, "compose", "--file", str(COMPOSE), "--profile", "*", "config", "--quiet"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr


def test_no_port_is_open_beyond_this_machine(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:"), name
        if service.get("network_mode") == "host":
            assert "--host" not in service["command"], f"{name} shares the host's network and must stay on its loopback"


def test_every_service_is_bounded_watched_and_unprivileged(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert set(service["deploy"]["resources"]["limits"]) >= {"cpus", "memory"}, name
        assert "/healthz" in service["healthcheck"]["test"][-1], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1] not in ("root", "0")


def test_no_secret_lies_in_the_compose_file(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert "environment" not in service, f"{name}: secrets come from citybrain.env"
    ignored = subprocess.run(["git", "check-ignore", "--quiet", "citybrain.env"], cwd=ROOT, check=False)
    assert ignored.returncode == 0


def test_what_the_image_copies_is_there_and_reaches_the_builder() -> None:
    let_through = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE))
    for sources in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            assert source in let_through, source
            assert tracked(source), f"{source} is not in the repository"


def test_the_image_holds_every_package_that_is_installed() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.MULTILINE))
    packages = {path.parent.name for path in tracked("*/__init__.py") if path.parent.parent == ROOT}
    assert packages <= copied


def test_every_variable_of_the_compose_file_is_documented() -> None:
    page = (ROOT / "docs/how-to/docker.md").read_text(encoding="utf-8")
    for variable, default in re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE.read_text(encoding="utf-8")):
        assert f"| `{variable}` | `{default}` |" in page, variable

"""The whole city's Compose file: closed, bounded, without a default password, and every command one of ours."""

from __future__ import annotations

import ipaddress
import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml

from citybrain.bus.address import KafkaAddress
from citybrain.cli import _parser
from citybrain.database import Database
from citybrain.deployment import VARIABLES, Deployment
from citybrain.evidence.s3 import S3Evidence
from citybrain.hot.redis import RedisHot
from tests.unit.tools.checkout import ROOT, tracked
from tests.unit.tools.compose import Missing, load, variables

CITY = ROOT / "docker-compose.city.yml"
SERVICES = ROOT / "configs/services"
OURS = "citybrain:local"
ASKED = variables(CITY)
NEEDED = {name: said for name, (how, said) in ASKED.items() if how == ":?"}
FILLED = {name: f"a1b2c3-{name.lower()}" for name in NEEDED} | {"CITYBRAIN_DISPATCH": "https://desk.example.org/cases"}


@pytest.fixture(scope="module")
def city() -> dict[str, Any]:
    return load(CITY, FILLED)


def ours(city: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in city["services"].items() if service["image"] == OURS}


def test_the_citys_compose_file_is_valid() -> None:
    schema = json.loads(
        files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text("utf-8")
    )
    jsonschema.validate(yaml.safe_load(CITY.read_text(encoding="utf-8")), schema)


def test_one_machine_needs_no_variable_and_plain_commands_mean_it() -> None:
    assert not [name for name, (how, _) in variables(ROOT / "docker-compose.yml").items() if how == ":?"]
    assert set(load(ROOT / "docker-compose.yml", {})["services"]) == {"citybrain", "demo"}


@pytest.mark.parametrize("name", NEEDED)
def test_the_city_does_not_start_without_each_password(name: str) -> None:
    for without in ({**FILLED, name: ""}, {key: value for key, value in FILLED.items() if key != name}):
        with pytest.raises(Missing, match=rf"{name}: write {name} into \.env"):
            load(CITY, without)


def test_what_must_be_set_is_in_the_example_and_empty_there() -> None:
    example = dict(re.findall(r"^(\w+)=(.*)$", (SERVICES / "example.env").read_text(encoding="utf-8"), re.MULTILINE))
    assert example.pop("COMPOSE_FILE") == CITY.name
    assert {name for name, value in example.items() if not value} == set(NEEDED)
    assert set(example) <= set(ASKED)


def test_no_password_stands_in_the_file_and_none_has_a_default() -> None:
    for name, (how, _) in ASKED.items():
        assert how == ":?" or not re.search("PASSWORD|SECRET|KEY$", name), name
    for service in yaml.safe_load(CITY.read_text(encoding="utf-8"))["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|_PASS$", name) and not isinstance(value, bool):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", str(value)), name


def test_only_the_wall_and_grafana_are_reachable_and_from_this_machine_alone(city: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in city["services"].items() if "ports" in service}
    assert set(published) == {"door", "grafana"}
    for name, ports in published.items():
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports), name
    for name, service in city["services"].items():
        assert not service.keys() & {"network_mode", "privileged", "pid", "ipc", "devices"}, name
        for volume in service.get("volumes", []):
            assert "docker.sock" not in str(volume), name


def test_servers_that_keep_something_are_on_inside_networks_only(city: dict[str, Any]) -> None:
    inside = {name for name, network in city["networks"].items() if network and network.get("internal")}
    assert inside == {"state", "figures"}
    for name in ("kafka", "redis", "postgres", "storage", "kafka-exporter", "prometheus"):
        assert set(city["services"][name]["networks"]) <= inside, name
    for name in ("door", "grafana", "relay"):
        assert "state" not in city["services"][name]["networks"], name


def test_the_api_believes_the_door_and_nobody_else(city: dict[str, Any]) -> None:
    believed = city["services"]["api"]["environment"]["FORWARDED_ALLOW_IPS"].split(",")
    subnet = city["networks"]["wall"]["ipam"]["config"][0]["subnet"]
    assert believed == ["127.0.0.1", subnet]
    assert ipaddress.ip_network(subnet).is_private
    assert {name for name, each in city["services"].items() if "wall" in each["networks"]} == {"door", "api", "grafana"}


def test_every_service_is_bounded_watched_and_confined(city: dict[str, Any]) -> None:
    for name, service in city["services"].items():
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["logging"]["options"]["max-size"], name
        once = service["restart"] == "no"
        assert service["healthcheck"].get("disable", False) is once, name
        assert once or service["healthcheck"]["test"], name


def test_every_image_of_others_is_pinned_to_a_version(city: dict[str, Any]) -> None:
    for name, service in city["services"].items():
        if service["image"] != OURS:
            _, _, tag = service["image"].rpartition(":")
            assert re.search(r"\d+\.\d+", tag), f"{name}: {service['image']}"


def test_every_command_of_ours_is_one_that_the_command_line_knows(city: dict[str, Any]) -> None:
    told = set()
    for name, service in ours(city).items():
        if "entrypoint" in service:
            compile(service["command"][0], name, "exec")
            continue
        told.add(_parser().parse_args(service["command"]).command)
        test = service["healthcheck"].get("test", [])
        if test[:2] == ["CMD", "citybrain"]:
            _parser().parse_args(test[2:])
    assert told == {"topics", "cameras", "ingest", "pipeline", "sensors", "api"}


def test_every_role_finds_all_that_is_shared(city: dict[str, Any], tmp_path: Path) -> None:
    told = Deployment.told(tmp_path, environment={})
    for name, service in ours(city).items():
        environment = service["environment"]
        told = Deployment.told(tmp_path, environment=environment)
        assert set(VARIABLES.values()) <= environment.keys(), name
        assert KafkaAddress.parse(str(told.bus)).brokers == ("kafka:9092",)
        for address in (told.database, told.hot):
            assert urlsplit(str(address)).hostname in city["services"], name
    assert isinstance(told.open_hot(), RedisHot)
    assert isinstance(told.open_evidence(), S3Evidence)
    Database.open(str(told.database)).close()


def test_the_passwords_that_roles_use_are_those_that_servers_ask_for(city: dict[str, Any]) -> None:
    role, services = city["services"]["ingest"]["environment"], city["services"]
    assert urlsplit(role["CITYBRAIN_DATABASE"]).password == services["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert urlsplit(role["CITYBRAIN_HOT"]).password == services["redis"]["environment"]["REDIS_PASSWORD"]
    assert role["AWS_SECRET_ACCESS_KEY"] == services["storage"]["environment"]["STORAGE_SECRET"]
    assert role["RELAY_PASSWORD"] == services["relay"]["environment"]["MTX_AUTHINTERNALUSERS_0_PASS"]


def test_what_is_mounted_is_in_the_repository_or_declared(city: dict[str, Any]) -> None:
    there = {str(path.relative_to(ROOT)) for path in tracked("configs/*")}
    for name, service in city["services"].items():
        for volume in service.get("volumes", []):
            source = volume.get("source")
            if volume["type"] == "bind":
                relative = source.removeprefix("./")
                assert any(each == relative or each.startswith(f"{relative}/") for each in there), f"{name}: {source}"
                assert volume["read_only"] is True, name
            elif source is not None:
                assert source in city["volumes"], f"{name}: {source}"
        for secret in service.get("secrets", []):
            assert secret in city["secrets"], f"{name}: {secret}"


def test_services_wait_for_and_reach_what_there_is(city: dict[str, Any]) -> None:
    services = city["services"]
    for name, service in services.items():
        assert set(service["networks"]) <= set(city["networks"]), name
        for other, how in service.get("depends_on", {}).items():
            once = services[other]["restart"] == "no"
            assert (how["condition"] == "service_completed_successfully") is once, f"{name} waits for {other}"
            assert set(service["networks"]) & set(services[other]["networks"]), f"{name} does not reach {other}"


@pytest.mark.parametrize("name", [".env", "citybrain.env", "secrets/prometheus.key"])
def test_secrets_stay_out_of_the_repository(name: str) -> None:
    assert subprocess.run(["git", "check-ignore", "--quiet", name], cwd=ROOT, check=False).returncode == 0

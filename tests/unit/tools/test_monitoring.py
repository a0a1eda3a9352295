"""What Prometheus asks, what wakes people and what Grafana shows: names that exist, rules that do what they say."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.tools.checkout import ROOT
from tests.unit.tools.compose import load, variables

SERVICES = ROOT / "configs/services"
PROMETHEUS = yaml.safe_load((SERVICES / "prometheus.yml").read_text(encoding="utf-8"))
ALERTS = [
    rule
    for group in yaml.safe_load((SERVICES / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
TESTS = yaml.safe_load((SERVICES / "alerts.test.yml").read_text(encoding="utf-8"))["tests"]
DASHBOARD = json.loads((SERVICES / "grafana/dashboards/city.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]

OF_OTHERS = {
    # Prometheus' own
    "up",
    "ALERTS",
    # danielqsj/kafka-exporter
    "kafka_brokers",
    "kafka_consumergroup_current_offset",
    "kafka_consumergroup_lag",
    "kafka_topic_partition_current_offset",
    "kafka_topic_partition_under_replicated_partition",
    # HAProxy: tests/services/test_door.py asks a real one
    "haproxy_backend_active_servers",
    "haproxy_frontend_http_requests_total",
    "haproxy_frontend_http_responses_total",
    # mediamtx
    "paths",
    "paths_bytes_received",
}


def metrics_of(query: str) -> set[str]:
    """The metrics that a query names; of a pattern over names, the pattern."""
    patterns = set(re.findall(r'__name__=~"([^"]+)"', query))
    for noise in (
        r'"[^"]*"',
        r"\{[^}]*\}",
        r"\[[^\]]*\]",
        r"\b(?:by|without|on|ignoring)\s*\([^)]*\)",
        r"\boffset \w+",
    ):
        query = re.sub(noise, "", query)
    words = set(re.findall(r"(?<![\w.])([A-Za-z_]\w*)\b(?!\s*\()", query))
    return patterns | words - {"and", "or", "unless", "bool"}


def exported() -> set[str]:
    """What /metrics gives, as docs/operations.md tells it: tests/unit/tools/test_documents.py holds that page to the code."""
    told = (
        (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("## What to watch")[2].partition("\n## ")[0]
    )
    names: set[str] = set()
    for row in told.splitlines():
        here = re.findall(r"`(citybrain_[\w<>]+)`", row)
        names |= {*here, *(here[-1].rpartition("_")[0] + last for last in re.findall(r"`(_[\w<>]+)`", row) if here)}
    return names | set(re.findall(r"`(citybrain_[\w<>]+)`", told))


def is_exported(name: str, known: set[str]) -> bool:
    stem = re.sub(r"_(?:bucket|count|sum)$", "", name)
    spelled = re.sub(r"^citybrain_pipeline_scenes_\.\+_", "citybrain_pipeline_scenes_<scene>_", name)
    return bool({name, stem, spelled} & known)


def test_the_metrics_of_a_query_are_found() -> None:
    assert metrics_of('max by (le) (rate(a_bucket{le="10.0"}[5m])) / on () b or vector(0) > 3') == {"a_bucket", "b"}
    assert metrics_of('sum({__name__=~"x_.+"}) - increase(y_total[1h]) offset 5m') == {"x_.+", "y_total"}


@pytest.mark.parametrize(("where", "query"), [*QUERIES, *((rule["alert"], rule["expr"]) for rule in ALERTS)])
def test_every_query_names_metrics_that_are_exported(where: str, query: str) -> None:
    known = exported()
    assert len(known) > 80
    named = metrics_of(query)
    assert named
    for name in named - OF_OTHERS:
        assert is_exported(name, known), f"{where}: {name}"


def test_the_dashboard_is_laid_out_without_overlap_and_asks_our_prometheus() -> None:
    taken: set[tuple[int, int]] = set()
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
        assert re.search(r"[\u4e00-\u9fff].*· [A-Z]", panel["title"]), f"{panel['title']}: in both languages"
    (source,) = yaml.safe_load((SERVICES / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert {panel["datasource"]["uid"] for panel in PANELS} == {source["uid"]}
    assert source["url"] == "http://prometheus:9090"


def test_prometheus_asks_services_that_it_can_reach_and_every_one_that_tells() -> None:
    needed = {name: "x" for name, (how, _) in variables(ROOT / "docker-compose.city.yml").items() if how == ":?"}
    services: dict[str, Any] = load(ROOT / "docker-compose.city.yml", needed)["services"]
    asked = set()
    for job in PROMETHEUS["scrape_configs"]:
        targets = [target for each in job.get("static_configs", []) for target in each["targets"]]
        targets += [f"{name}:{each['port']}" for each in job.get("dns_sd_configs", []) for name in each["names"]]
        for target in targets:
            host = target.partition(":")[0]
            if host != "localhost":
                assert "figures" in services[host]["networks"], target
                asked.add(host)
    assert asked == {name for name, each in services.items() if "figures" in each["networks"]} - {
        "prometheus",
        "grafana",
    }
    for mounted in services["prometheus"]["volumes"]:
        if mounted["target"].endswith("alerts.yml"):
            assert PROMETHEUS["rule_files"] == [mounted["target"]]
    assert f"/run/secrets/{services['prometheus']['secrets'][0]}" in (SERVICES / "prometheus.yml").read_text()


def test_every_alert_says_how_bad_it_is_and_where_to_look_and_is_tested_both_ways() -> None:
    fires: set[str] = set()
    quiet: set[str] = set()
    for test in TESTS:
        for each in test.get("alert_rule_test", []):
            (fires if each.get("exp_alerts") else quiet).add(each["alertname"])
        for each in test.get("promql_expr_test", []):
            fires |= set(re.findall(r'alertname="(\w+)", alertstate="firing"', each["expr"]))
    for rule in ALERTS:
        assert rule["labels"]["severity"] in ("page", "warn"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "look_at"}, rule["alert"]
    assert fires == quiet == {rule["alert"] for rule in ALERTS}


def test_every_alert_is_told() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    for rule in ALERTS:
        assert f"`{rule['alert']}`" in page, rule["alert"]


def test_the_rules_do_what_they_say(program: Any) -> None:
    told = subprocess.run(
        [program("promtool"), "test", "rules", SERVICES / "alerts.test.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_prometheus_reads_its_configuration(program: Any, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch()
    text = (SERVICES / "prometheus.yml").read_text(encoding="utf-8")
    text = text.replace("/etc/prometheus/alerts.yml", str(SERVICES / "alerts.yml"))
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/prometheus_key", str(key)))
    told = subprocess.run(
        [program("promtool"), "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_prometheus_reads_every_query_of_the_dashboard(program: Any, tmp_path: Path) -> None:
    rules = [{"record": f"panel:{n}", "expr": query} for n, (_, query) in enumerate(QUERIES)]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    told = subprocess.run(
        [program("promtool"), "check", "rules", tmp_path / "panels.yml"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"SUCCESS: {len(QUERIES)} rules" in told.stdout

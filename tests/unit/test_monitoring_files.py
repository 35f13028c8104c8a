"""Rules and dashboard under docker/ are sound, and speak of metrics that a worker exports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import promql_parser
import pytest
import yaml
from prometheus_client.metrics_core import Metric

from monitor.config.file import load_config
from monitor.metrics.endpoint import Endpoint
from monitor.metrics.instruments import Instruments
from tests.promtool import promtool

DOCKER = Path(__file__).resolve().parents[2] / "docker"
RULES = DOCKER / "prometheus" / "alerts.yml"
DASHBOARD: dict[str, Any] = json.loads((DOCKER / "grafana/dashboards/drift-monitor.json").read_text())
ALERTING = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Where a query stands, and the query with Grafana's own variables filled in."""
    for rule in ALERTING:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$monitor", ".+")
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            (series,) = re.findall(r"label_values\((.*), \w+\)", variable["query"]["query"])
            yield f"variable {variable['name']}", series


def selectors(node: object) -> Iterator[promql_parser.VectorSelector]:
    """Return every selection of series within a query."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for part in ("lhs", "rhs", "expr", "vector_selector", "param"):
        child = getattr(node, part, None)
        if child is not None and not isinstance(child, (str, float)):
            yield from selectors(child)
    for argument in getattr(node, "args", None) or ():
        yield from selectors(argument)


@pytest.fixture(scope="module")
def families() -> dict[str, tuple[Metric, list[str]]]:
    """Return all metrics that a worker exports, with the names of their labels."""
    config = load_config(DOCKER / "monitor.yaml")
    assert config.worker.http is not None
    instruments = Instruments()
    instruments.expect("digits", "inference-events")
    instruments.took("decode", 0.1)
    instruments.scored("digits", np.zeros(1, np.float32), threshold=0.5)
    # Neither server is there: what a scrape tells of them is then empty, but has its names.
    Endpoint(config.worker.http, config, instruments, lambda: ["digits"])
    found = {}
    for family in instruments.registry.collect():
        labels = {label: None for sample in family.samples for label in sample.labels if label != "le"}
        found[family.name] = (family, list(getattr(family, "_labelnames", labels)))
    return found


@pytest.fixture(scope="module")
def exported(families) -> dict[str, set[str]]:
    """Names of all samples that a worker exports, with their labels and those that Prometheus adds."""
    endings = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}
    return {
        name + ending: {*labels, "le", "instance", "job"}
        for name, (family, labels) in families.items()
        for ending in endings.get(family.type, ("",))
    }


def test_the_page_tells_every_metric(families) -> None:
    page = (DOCKER.parent / "docs" / "operating.md").read_text()
    for name, (family, labels) in families.items():
        if not name.startswith("process_"):
            shown = name + ("_total" if family.type == "counter" else "")
            named = ", ".join(f"`{label}`" for label in labels)
            assert f"| `{shown}` | {family.type} | {named} | {family.documentation} |" in page
    told = set(re.findall(r"^\| `(drift_monitor_\w+)`", page, flags=re.MULTILINE))
    assert {name.removesuffix("_total") for name in told} <= families.keys()


@pytest.mark.parametrize(("where", "query"), list(queries()))
def test_a_query_is_about_metrics_that_a_worker_exports(where, query, exported) -> None:
    found = list(selectors(promql_parser.parse(query)))
    assert found, f"{where} asks for nothing"
    for selector in found:
        assert selector.name in exported
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= exported[selector.name], f"{selector.name} has no label {asked}"


def test_prometheus_accepts_its_config_and_rules() -> None:
    promtool("check", "config", DOCKER / "prometheus" / "prometheus.yml")
    said = promtool("check", "rules", RULES)
    assert f"{len(ALERTING)} rules found" in said


def test_the_rules_fire_when_they_should(tmp_path) -> None:
    cases = Path(__file__).resolve().parents[1] / "data" / "prometheus_rules_test.yml"
    (tmp_path / "test.yml").write_text(cases.read_text().replace("RULES", str(RULES)))
    promtool("test", "rules", tmp_path / "test.yml")


def test_the_dashboard_is_where_grafana_looks_and_asks_what_is_provisioned() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    mounts = dict(mount.split(":")[:2] for mount in services["grafana"]["volumes"])
    dashboards = mounts["./grafana/dashboards"]
    (provider,) = yaml.safe_load((DOCKER / "grafana/provisioning/dashboards/drift-monitor.yaml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == dashboards
    (source,) = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/prometheus.yaml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    assert {panel["datasource"]["type"] for panel in PANELS} == {source["type"]}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_prometheus_scrapes_the_port_that_the_worker_opens() -> None:
    (job,) = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    http = load_config(DOCKER / "monitor.yaml").worker.http
    assert http is not None
    assert (job["dns_sd_configs"][0]["port"], http.host) == (http.port, "0.0.0.0")
    assert job["job_name"] == "drift-monitor", "a dashboard panel asks for this job"

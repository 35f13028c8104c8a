"""The compose file and the Kubernetes manifests match their schemas, the config and each other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from monitor.config.file import load_config

REPO = Path(__file__).resolve().parents[2]
KUBERNETES = REPO / "docker" / "kubernetes"
KUBERNETES_VERSION = "1.31"
CUSTOM = json.loads((REPO / "tests" / "data" / "keda_and_operator_schemas.json").read_text())
"""The parts that the manifests use of the definitions that KEDA and the Prometheus operator install."""
KUSTOMIZATION = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())


def manifests() -> list[dict[str, Any]]:
    return [
        manifest
        for file in KUSTOMIZATION["resources"]
        for manifest in yaml.safe_load_all((KUBERNETES / file).read_text())
    ]


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (m for m in manifests() if (m["kind"], m["metadata"]["name"]) == (kind, name))
    return found


def deployments() -> list[dict[str, Any]]:
    return [manifest for manifest in manifests() if manifest["kind"] == "Deployment"]


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return only


def test_compose_file_matches_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, REPO / "docker" / "compose.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("manifest", manifests(), ids=lambda m: f"{m['kind']}-{m['metadata']['name']}")
def test_a_manifest_matches_its_schema(manifest) -> None:
    if manifest["kind"] in CUSTOM:
        jsonschema.validate(manifest, CUSTOM[manifest["kind"]])
    else:
        kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)


def test_every_manifest_is_applied() -> None:
    files = {path.name for path in KUBERNETES.iterdir()} - {"kustomization.yaml", "monitor.yaml"}
    assert set(KUSTOMIZATION["resources"]) == files


def test_selectors_find_the_workers() -> None:
    worker = named("Deployment", "drift-monitor-worker")
    labels = worker["spec"]["template"]["metadata"]["labels"]
    for manifest in (
        worker,
        named("PodDisruptionBudget", "drift-monitor-worker"),
        named("PodMonitor", "drift-monitor"),
    ):
        assert manifest["spec"]["selector"]["matchLabels"].items() <= labels.items()
    target = named("ScaledObject", "drift-monitor-worker")["spec"]["scaleTargetRef"]
    assert target["name"] == worker["metadata"]["name"]


@pytest.mark.parametrize("deployment", deployments(), ids=lambda m: m["metadata"]["name"])
def test_a_pod_needs_no_privileges(deployment) -> None:
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 10001, "the user of the image"
    assert "--uid 10001" in (REPO / "docker" / "Dockerfile").read_text()
    assert container(deployment)["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounted = {mount["name"] for mount in container(deployment)["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_config_secrets_ports_and_scaler_agree(monkeypatch) -> None:
    secret_keys = set()
    for deployment in deployments():
        for variable in container(deployment)["env"]:
            monkeypatch.setenv(variable["name"], "given")
            secret_keys.add(variable["valueFrom"]["secretKeyRef"]["key"])
    config = load_config(KUBERNETES / "monitor.yaml")
    asked = named("TriggerAuthentication", "drift-monitor-kafka")["spec"]["secretTargetRef"]
    assert {reference["key"] for reference in asked} <= secret_keys

    worker = container(named("Deployment", "drift-monitor-worker"))
    assert config.worker.http is not None
    assert (config.worker.http.host, config.worker.http.port) == (
        "0.0.0.0",
        worker["ports"][0]["containerPort"],
    )
    probes = {worker[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe")}
    assert (probes, worker["readinessProbe"]["httpGet"]["path"]) == ({"/healthz"}, "/readyz")
    paths = [mount["mountPath"] for mount in worker["volumeMounts"]]
    assert all(any(str(m.detector).startswith(path) for path in paths) for m in config.monitors)

    (trigger,) = named("ScaledObject", "drift-monitor-worker")["spec"]["triggers"]
    kafka = config.kafka.properties
    assert trigger["metadata"]["bootstrapServers"] == kafka["bootstrap.servers"]
    assert trigger["metadata"]["consumerGroup"] == kafka["group.id"]
    assert {trigger["metadata"]["topic"]} == {monitor.input.topic for monitor in config.monitors}

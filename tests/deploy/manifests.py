"""Deployment files as data: where they are, how a kustomization is put together, which variables they set."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = sorted((ROOT / "docker" / "compose").glob("*.yaml"))
MANIFESTS = ROOT / "cluster" / "manifests"
KUBERAY = MANIFESTS / "kuberay"
OVERLAYS = sorted((KUBERAY / "overlays").iterdir())
# Read by other programs: Ray, the S3 client, MinIO, Redis and the gateway's own configuration.
FOREIGN = {
    "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD", "USER",
    "PASSWORD", "PROJECT_MEMORY", "SESSION_MEMORY", "PYTHON_EXPERT", "GATEWAY_HOST", "GATEWAY_PORT",
}  # fmt: skip
_KUSTOMIZATION = {"apiVersion", "kind", "resources", "patches"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rendered(folder: Path) -> list[dict[str, Any]]:
    """What ``kubectl kustomize`` gives, for resources and JSON patches; anything else in the file is an error."""
    plan = load(folder / "kustomization.yaml")
    assert set(plan) <= _KUSTOMIZATION, set(plan) - _KUSTOMIZATION
    assert (plan["apiVersion"], plan["kind"]) == ("kustomize.config.k8s.io/v1beta1", "Kustomization")
    found: list[dict[str, Any]] = []
    for resource in plan["resources"]:
        path = (folder / resource).resolve()
        found += rendered(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    for patch in plan.get("patches", ()):
        found = [_patched(one, patch) for one in found]
    return found


def _patched(resource: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    assert set(patch) == {"target", "patch"}
    wanted = patch["target"]
    if (resource["kind"], resource["metadata"]["name"]) != (wanted["kind"], wanted["name"]):
        return resource
    made: dict[str, Any] = jsonpatch.apply_patch(resource, yaml.safe_load(patch["patch"]))
    return made


def pod_templates(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every pod template in a resource, however deep."""
    if isinstance(resource.get("template"), dict) and "spec" in resource["template"]:
        yield resource["template"]
    for value in resource.values():
        for below in value if isinstance(value, list) else [value]:
            if isinstance(below, dict):
                yield from pod_templates(below)


def compose_variables(path: Path) -> set[str]:
    """Variables that the services of a compose file get, and those that the file itself takes."""
    text = path.read_text(encoding="utf-8")
    services = load(path)["services"].values()
    given = {name for service in services for name in service.get("environment", {})}
    return given | set(re.findall(r"(?<!\$)\$\{([A-Z_]+)[:}-]", text))

"""Files for Kubernetes and for Ray's autoscaler fit their schemas; a misspelt field would fail."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deployments.settings import Settings, names_of
from tests.deploy.manifests import FOREIGN, KUBERAY, MANIFESTS, OVERLAYS, load, pod_templates, rendered
from tests.deploy.rayservice import RAY_SERVICE

VERSION = "1.34"
AUTOSCALER = sorted((MANIFESTS / "autoscaler").glob("*.yaml"))
NAMES = {name.upper() for field in Settings.model_fields for name in names_of(field)}


def check(resource: dict[str, Any]) -> None:
    """Raise when the resource, or a pod in it, has a field that does not exist or a value that does not fit."""
    if resource["kind"] == "RayService":
        jsonschema.validate(resource, RAY_SERVICE)
    else:
        kubernetes_validate.validate(resource, VERSION, strict=True)
    for template in pod_templates(resource):
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "x"}, "template": template}
        kubernetes_validate.validate(pod, VERSION, strict=True)


@pytest.mark.parametrize("folder", [KUBERAY / "base", *OVERLAYS], ids=lambda path: path.name)
def test_a_kustomization_fits_the_schemas(folder: Path) -> None:
    resources = rendered(folder)
    assert {one["kind"] for one in resources} == {"RayService", "Service", "StatefulSet", "PodDisruptionBudget"}
    for resource in resources:
        check(resource)


def test_the_secrets_example_fits_and_has_every_key_that_is_asked_for() -> None:
    secret = load(KUBERAY / "base" / "secret.example.yaml")
    check(secret)
    text = json.dumps(rendered(KUBERAY / "base"))
    asked = {part.split('"')[0] for part in text.split('"name": "neural-memory", "key": "')[1:]}
    assert asked
    assert asked <= set(secret["stringData"])


@pytest.mark.parametrize(
    "path",
    [
        ("spec", "rayClusterConfig", "gcsFaultTolerance"),
        ("spec", "rayClusterConfig", "headGroupSpec", "template", "spec", "containers", 0, "livenesProbe"),
        ("spec", "rayClusterConfig", "headGroupSpec", "template", "spec", "containers", 0, "env", 0, "values"),
    ],
)
def test_a_misspelt_field_fails(path: tuple[Any, ...]) -> None:
    service = copy.deepcopy(next(one for one in rendered(KUBERAY / "base") if one["kind"] == "RayService"))
    place: Any = service
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = "x"
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        check(service)


def test_overlays_change_what_they_say() -> None:
    gpus = {}
    for folder in OVERLAYS:
        service = next(one for one in rendered(folder) if one["kind"] == "RayService")
        worker = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
        gpus[folder.name] = worker["resources"]["limits"].get("nvidia.com/gpu")
    assert gpus == {"cpu": None, "gpu": "1", "dgx": "8"}


@pytest.mark.filterwarnings("ignore")  # Ray's own, while its schema is imported
def test_what_serve_is_told_fits_ray() -> None:
    from ray.serve.schema import ServeDeploySchema

    service = next(one for one in rendered(KUBERAY / "base") if one["kind"] == "RayService")
    told = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    assert told.applications[0].import_path == "deployments.app:application"


@pytest.mark.parametrize("folder", [KUBERAY / "base", *OVERLAYS], ids=lambda path: path.name)
def test_pods_get_only_variables_that_exist(folder: Path) -> None:
    pods = [template for resource in rendered(folder) for template in pod_templates(resource)]
    given = {entry["name"] for pod in pods for one in pod["spec"]["containers"] for entry in one.get("env", ())}
    assert given
    assert given - NAMES - FOREIGN == set()


@pytest.mark.parametrize("path", AUTOSCALER, ids=lambda path: path.stem)
def test_an_autoscaler_file_fits_rays_schema(path: Path) -> None:
    schema = json.loads((files("ray.autoscaler") / "ray-schema.json").read_text(encoding="utf-8"))
    found = load(path)
    jsonschema.validate(found, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**found, "worker_nodes_max": 3}, schema)


@pytest.mark.parametrize("path", AUTOSCALER, ids=lambda path: path.stem)
def test_autoscaler_files_set_only_variables_that_exist(path: Path) -> None:
    found = load(path)
    words = " ".join([*found["head_start_ray_commands"], *found["worker_start_ray_commands"]]).split()
    given = {word.partition("=")[0] for word in words if "=" in word and word.split("=")[0].isupper()}
    assert given >= {"MEMORY_STORAGE_PATH"}
    assert given - NAMES == set()

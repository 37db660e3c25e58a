"""Compose files fit the Compose Specification, set only variables that exist, and are what their names say."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deployments.settings import Settings, names_of
from tests.deploy.manifests import COMPOSE, FOREIGN, ROOT, compose_variables, load

NAMES = {name.upper() for field in Settings.model_fields for name in names_of(field)}
ASKED = {"REDIS_PASSWORD", "MINIO_USER", "MINIO_PASSWORD"}  # what a person sets for a compose file alone


@pytest.fixture(scope="module")
def schema() -> Any:
    place = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    return json.loads(place.read_text(encoding="utf-8"))


def test_all_of_them_are_there() -> None:
    assert [path.stem for path in COMPOSE] == ["dev", "gpu", "ha", "hf", "multi", "s3", "single"]


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.stem)
def test_a_compose_file_fits_the_specification(path: Path, schema: Any) -> None:
    jsonschema.validate(load(path), schema)


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.stem)
def test_a_misspelt_field_fails(path: Path, schema: Any) -> None:
    found = load(path)
    for service in found["services"].values():
        service["enviroment"] = {}
    with pytest.raises(jsonschema.ValidationError, match="enviroment"):
        jsonschema.validate(found, schema)


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.stem)
def test_a_compose_file_sets_only_variables_that_exist(path: Path) -> None:
    assert compose_variables(path) - NAMES - FOREIGN - ASKED == set()


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.stem)
def test_what_a_compose_file_names_is_there(path: Path) -> None:
    found = load(path)
    targets = {line.split(" AS ")[1].strip() for line in dockerfile() if line.startswith("FROM") and " AS " in line}
    for service in found["services"].values():
        build = service.get("build", {})
        assert not build or (path.parent / build["context"] / build["dockerfile"]).is_file()
        assert build.get("target", "base") in targets
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in found.get("volumes", {}) or (path.parent / source).exists()


@pytest.mark.parametrize(
    ("file", "port"), [("single", 8765), ("multi", 8760), ("gpu", 8765), ("hf", 7860), ("s3", 8765), ("ha", 8765)]
)
def test_a_compose_file_is_reached_on_its_port_from_this_machine_only(file: str, port: int) -> None:
    found = load(ROOT / "docker" / "compose" / f"{file}.yaml")
    published = [entry for service in found["services"].values() for entry in service.get("ports", ())]
    assert published == [f"127.0.0.1:{port}:{port}"]


def test_the_three_memories_have_three_tempers() -> None:
    services = load(ROOT / "docker" / "compose" / "multi.yaml")["services"]
    rates = {name: float(service["environment"].get("LEARNING_RATE", "nan")) for name, service in services.items()}
    assert rates["session-memory"] > rates["project-memory"] > rates["python-expert"] == 0
    assert services["project-memory"]["volumes"]
    assert "volumes" not in services["session-memory"]


def test_the_dockerfile_has_every_target_and_no_tools_in_the_last_layers() -> None:
    stages: dict[str, list[str]] = {}
    for line in dockerfile():
        if line.startswith("FROM"):
            name = line.split(" AS ")[1].strip() if " AS " in line else "default"
            stages[name] = []
        elif stages:
            stages[name].append(line)
    assert set(stages) >= {"base", "slim", "cuda", "hf", "dev", "expert"}
    runtime = stages["runtime"]
    assert "USER memory" in runtime
    assert 'VOLUME ["/app/weights", "/app/checkpoints"]' in runtime
    assert any(line.startswith("HEALTHCHECK") for line in runtime)
    for target in ("base", "slim", "cuda", "hf", "expert"):
        assert not [line for line in stages[target] if line.startswith("RUN")]


def test_the_space_brings_every_document_that_its_persona_reads() -> None:
    persona = load(ROOT / "deployments" / "demo" / "persona.yaml")
    lines = dockerfile()
    stage = lines[lines.index("FROM runtime AS hf") :]
    copied = [line.split()[2:] for line in stage[: stage.index("")] if line.startswith("COPY --chown")]
    brought = set()
    for *sources, place in copied:
        for source in sources:
            found = [ROOT / source] if "*" not in source else list(ROOT.glob(source))
            files = [file for one in found for file in ([one] if one.is_file() else one.iterdir())]
            brought |= {f"{place.rstrip('/')}/{file.name}" for file in files}
    assert {f"/app/demo/{name}" for name in ("persona.yaml", *persona["documents"])} <= brought


def test_the_images_set_only_variables_that_exist() -> None:
    lines = " ".join(line.removeprefix("ENV ").strip(" \\") for line in continued("ENV "))
    given = {word.partition("=")[0] for word in lines.split()}
    known = NAMES | {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "RAY_USAGE_STATS_ENABLED"}
    assert {name for name in given - known if not name.startswith(("PIP_", "NVIDIA_"))} == set()


def dockerfile() -> list[str]:
    return (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8").splitlines()


def continued(keyword: str) -> list[str]:
    """The lines of all instructions of a kind, with those that continue them."""
    found, is_inside = [], False
    for line in dockerfile():
        if line.startswith(keyword) or is_inside:
            found.append(line)
            is_inside = line.endswith("\\")
    return found

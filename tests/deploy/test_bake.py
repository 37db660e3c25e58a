"""The file for ``docker buildx bake`` parses, has only fields that bake knows, and names what the Dockerfile has."""

from __future__ import annotations

import re
from typing import Any

import hcl2
import jsonschema
import pytest

from tests.deploy.manifests import ROOT
from tests.deploy.test_compose import dockerfile

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_MAP = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
_FLAG = {"type": "boolean"}


def _blocks(**fields: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": False, "properties": fields},
    }


# The fields of bake's reference, strict: one that is not there is refused.
BAKE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "variable": _blocks(default={}, type={}, description=_TEXT, validation={}),
        "group": _blocks(name=_TEXT, description=_TEXT, targets=_TEXTS),
        "target": _blocks(
            **dict.fromkeys(("name", "description", "context", "dockerfile", "target", "call", "network"), _TEXT),
            **{"dockerfile-inline": _TEXT, "shm-size": _TEXT, "no-cache": _FLAG, "pull": _FLAG, "matrix": {}},
            **dict.fromkeys(("args", "labels", "contexts", "extra-hosts"), _MAP),
            **dict.fromkeys(("inherits", "platforms", "tags", "annotations", "entitlements", "ulimits"), _TEXTS),
            **{key: {} for key in ("attest", "cache-from", "cache-to", "output", "secret", "ssh", "no-cache-filter")},
        ),
    },
}


def plain(found: Any) -> Any:
    """What the parser gives without its marks; a literal without its quotes, an expression in ``${}``."""
    if isinstance(found, dict):
        return {name.strip('"'): plain(value) for name, value in found.items() if not name.startswith("__")}
    if isinstance(found, list):
        return [plain(value) for value in found]
    if isinstance(found, str):
        return found[1:-1] if found.startswith('"') else f"${{{found}}}"
    return found


def bake(text: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Kind to name to fields."""
    return {
        kind: {name: fields for block in blocks for name, fields in plain(block).items()}
        for kind, blocks in hcl2.loads(text).items()
        if not kind.startswith("__")
    }


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "docker" / "bake.hcl").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def targets(text: str) -> dict[str, dict[str, Any]]:
    """Every target with what it inherits."""
    found = bake(text)["target"]
    whole = {}
    for name, fields in found.items():
        parents = [found[parent] for parent in fields.get("inherits", ())]
        args = {key: value for one in (*parents, fields) for key, value in one.get("args", {}).items()}
        whole[name] = {key: value for one in (*parents, fields) for key, value in one.items()} | {"args": args}
    return whole


def test_it_fits_the_reference(text: str) -> None:
    jsonschema.validate(bake(text), BAKE)


@pytest.mark.parametrize(
    ("right", "wrong"), [("platforms  =", "platform  ="), ('group "default"', 'groups "default"'), ("tags  ", "tag   ")]
)
def test_a_misspelt_field_fails(text: str, right: str, wrong: str) -> None:
    assert right in text
    with pytest.raises(jsonschema.ValidationError, match=wrong.split(maxsplit=1)[0]):
        jsonschema.validate(bake(text.replace(right, wrong)), BAKE)


def test_every_variable_that_it_reads_is_declared(text: str) -> None:
    read = set(re.findall(r"\$\{(\w+)\}", str(bake(text)["target"])))
    assert read == set(bake(text)["variable"])


def test_its_targets_and_arguments_are_the_dockerfiles(targets: dict[str, dict[str, Any]]) -> None:
    lines = dockerfile()
    stages = {line.split(" AS ")[1].strip() for line in lines if line.startswith("FROM") and " AS " in line}
    arguments = {line.removeprefix("ARG ").partition("=")[0].strip() for line in lines if line.startswith("ARG ")}
    for name, fields in targets.items():
        assert name.startswith("_") or fields["target"] in stages
        assert set(fields["args"]) <= arguments
        assert (ROOT / fields["context"] / fields["dockerfile"]).is_file()


def test_it_builds_every_image_for_both_processors(text: str, targets: dict[str, dict[str, Any]]) -> None:
    assert bake(text)["group"]["default"]["targets"] == ["base", "slim", "cuda", "hf"]
    for name in ("base", "slim", "cuda", "hf", "expert"):
        assert targets[name]["platforms"] == ["linux/amd64", "linux/arm64"]
    tags = [tag for fields in targets.values() for tag in fields.get("tags", ())]
    assert len(set(tags)) == len(tags)

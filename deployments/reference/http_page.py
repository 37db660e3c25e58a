"""Routes, parameters, bodies and answers, from the OpenAPI document."""

from __future__ import annotations

from typing import Any, Final

from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import Internal
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend

_BODY_BYTES: Final = 4 << 20
_FAILURES: Final = 400


def openapi() -> dict[str, Any]:
    """The document of a service; nothing is started."""
    encoders, encoder = LocalEncoderPool(), EncoderId("hash")
    backend = LocalBackend("memory://reference", encoders)

    async def nobody(name: MemoryName) -> int:
        raise Internal(f"Nothing runs here, so nobody holds {name}.")

    services = Services(
        backend=backend,
        encoders=encoders,
        encoder=encoder,
        readiness=Readiness(backend=backend, encoders=encoders, encoder=encoder),
        max_body_bytes=_BODY_BYTES,
        owner_pid=nobody,
    )
    document: dict[str, Any] = build_api(services).openapi()
    encoders.close()
    return document


def http_page() -> str:
    """Routes by their group, in the document's order."""
    document = openapi()
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation.get("tags", ["other"])[0], []).append(_operation(path, method, operation))
    schemas = document["components"]["schemas"]
    parts = [f"## {group}\n\n" + "\n".join(found) for group, found in groups.items()]
    parts.append("## Bodies and answers\n\n" + "\n".join(_schema(name, schemas[name]) for name in sorted(schemas)))
    return "\n".join(parts)


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    lines = [f"### {method.upper()} {path}\n", str(operation.get("description", "")).strip() + "\n"]
    for parameter in operation.get("parameters", ()):
        said = parameter.get("description", "")
        lines.append(f"- {parameter['in']} `{parameter['name']}`: {_kind(parameter['schema'])}. {said}".rstrip())
    content = operation.get("requestBody", {}).get("content", {})
    lines += [f"- body ({media}): {_kind(found.get('schema', {}))}" for media, found in content.items()]
    answers = operation["responses"].items()
    lines += [_answer(status, answer) for status, answer in answers if int(status) < _FAILURES]
    lines.append(f"- failures: {', '.join(status for status, _ in answers if int(status) >= _FAILURES)}")
    return "\n".join(lines) + "\n"


def _answer(status: str, answer: dict[str, Any]) -> str:
    shapes = {_kind(found.get("schema", {})) for found in answer.get("content", {}).values()}
    return f"- {status}: {', '.join(sorted(shapes)) or answer.get('description', '')}"


def _schema(name: str, schema: dict[str, Any]) -> str:
    lines = [f"### {name}\n", _one_line(schema.get("description", "")) + "\n"]
    if "enum" in schema:
        lines.append(f"One of {', '.join(f'`{value}`' for value in schema['enum'])}.\n")
    properties = schema.get("properties", {})
    if properties:
        lines += ["| field | type | meaning |", "|---|---|---|"]
    for field, found in properties.items():
        needed = " (required)" if field in schema.get("required", ()) else ""
        lines.append(f"| `{field}`{needed} | {_kind(found)} | {_one_line(found.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def _kind(schema: dict[str, Any]) -> str:
    """A short name of a schema; other schemas of the document are links."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    return str(schema.get("type", "anything"))


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

"""JSON schemas of arguments and answers, without what costs a model's context and tells it nothing."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, TypeAdapter

_DEPTH_MAX: Final = 1
_DROPPED: Final = frozenset({"title", "$defs"})
_NULL: Final = {"type": "null"}


def input_schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """What a tool takes: nulls are left out, since an argument is left out instead."""
    raw = arguments.model_json_schema()
    raw.pop("description", None)
    schema = _compact(raw, raw.get("$defs", {}), depth=0, keeps_null=False)
    assert isinstance(schema, dict)
    return schema


def output_schema(answer: Any) -> dict[str, Any]:
    """What a tool answers: its fields and their types. What lies deeper is only named by its type."""
    raw = TypeAdapter(answer).json_schema(mode="serialization")
    schema = _compact(raw, raw.get("$defs", {}), depth=0, keeps_null=True)
    assert isinstance(schema, dict)
    schema.pop("additionalProperties", None)
    return schema


def _compact(node: Any, definitions: dict[str, Any], *, depth: int, keeps_null: bool) -> Any:
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]]
    if "anyOf" in node:
        return _one_of_many(node, definitions, depth=depth, keeps_null=keeps_null)
    kept = {key: value for key, value in node.items() if key not in _DROPPED and value is not None}
    if keeps_null:
        kept.pop("description", None)
        kept.pop("default", None)
        kept.pop("required", None)
    if "properties" in kept:
        if depth >= _DEPTH_MAX:
            return {"type": "object"}
        kept["properties"] = {
            name: _compact(inner, definitions, depth=depth + 1, keeps_null=keeps_null)
            for name, inner in kept["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(kept.get(key), dict):
            kept[key] = _compact(kept[key], definitions, depth=depth, keeps_null=keeps_null)
    return kept


def _one_of_many(node: dict[str, Any], definitions: dict[str, Any], *, depth: int, keeps_null: bool) -> dict[str, Any]:
    options = [option for option in node["anyOf"] if keeps_null or option != _NULL]
    compacted = [_compact(option, definitions, depth=depth, keeps_null=keeps_null) for option in options]
    said = {key: node[key] for key in ("description",) if key in node and not keeps_null}
    if len(compacted) == 1:
        return {**compacted[0], **said}
    if all(set(option) == {"type"} for option in compacted):
        return {"type": [option["type"] for option in compacted], **said}
    if len(compacted) == 2 and compacted[1] == _NULL and isinstance(compacted[0].get("type"), str):
        return {**compacted[0], "type": [compacted[0]["type"], "null"], **said}
    return {"anyOf": compacted, **said}

"""JSON schemas of arguments and answers, without what costs a model's context and tells it nothing."""

from __future__ import annotations

import types
from dataclasses import fields, is_dataclass
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

_NULL: Final = {"type": "null"}
_PLAIN: Final = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def input_schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """What a tool takes: titles and nulls are left out, since an argument is left out instead."""
    raw = arguments.model_json_schema()
    properties = {name: _argument(inner) for name, inner in raw["properties"].items()}
    return {
        "type": "object",
        "properties": properties,
        **({"required": raw["required"]} if "required" in raw else {}),
        "additionalProperties": False,
    }


def output_schema(answer: Any) -> dict[str, Any]:
    """What a tool answers: the fields of a dataclass and their types. What lies deeper is only named by its type.

    Made from the annotations alone: pydantic would take a third of a second for all tools, before any is listed.
    """
    hints = get_type_hints(answer)
    return {"type": "object", "properties": {field.name: _kind(hints[field.name]) for field in fields(answer)}}


def _argument(node: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in node.items() if key != "title" and not (key == "default" and value is None)}
    options = kept.pop("anyOf", None)
    if isinstance(kept.get("additionalProperties"), dict):
        kept["additionalProperties"] = _argument(kept["additionalProperties"])
    if options is None:
        return kept
    return {**_one_of([_argument(option) for option in options if option != _NULL]), **kept}


def _one_of(options: list[dict[str, Any]]) -> dict[str, Any]:
    if len(options) == 1:
        return options[0]
    if all(set(option) == {"type"} for option in options):
        return {"type": [option["type"] for option in options]}
    if len(options) == 2 and options[1] == _NULL and isinstance(options[0].get("type"), str):
        return {**options[0], "type": [options[0]["type"], "null"]}
    return {"anyOf": options}


def _kind(hint: Any) -> dict[str, Any]:
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return _one_of([_kind(option) for option in inner])
    if origin is Literal:
        return {"type": "string", "enum": list(inner)}
    if origin in {tuple, list}:
        return {"type": "array", "items": _kind(inner[0])}
    assert origin is dict or is_dataclass(hint), hint
    return {"type": "object"}

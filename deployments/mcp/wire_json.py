"""Results as plain JSON values."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from pydantic import TypeAdapter


def to_plain(value: Any) -> dict[str, Any]:
    """A result dataclass as a JSON object."""
    kind: Any = type(value)
    plain: dict[str, Any] = _adapter(kind).dump_python(value, mode="json")
    return plain


def to_json(value: Any) -> str:
    """The same as text; other scripts stay readable."""
    return json.dumps(to_plain(value), ensure_ascii=False)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)

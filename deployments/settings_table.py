"""All settings as rows: what each is called, where its value comes from, what it means."""

from __future__ import annotations

from typing import Any, Final

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from deployments.settings import Settings, names_of, source_of

MASK: Final = "********"
_HOME: Final = "~/.neural-memory/volume"


def setting_rows(settings: Settings) -> list[dict[str, Any]]:
    """One row per setting: variable, value, source, default, meaning, other names. Secrets are masked."""
    return [
        {
            "variable": name.upper(),
            "value": _shown(getattr(settings, name)),
            "source": source_of(name, settings),
            "default": _default(name),
            "meaning": field.description or "",
            "also": sorted(other.upper() for other in names_of(name) - {name}),
        }
        for name, field in Settings.model_fields.items()
    ]


def settings_page() -> str:
    """The page of the documentation, in Markdown."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for row in setting_rows(Settings.model_construct()):
        names = " or ".join(f"`{name}`" for name in (row["variable"], *row["also"]))
        default = f"`{row['default']}`" if row["default"] not in {None, ""} else "not set"
        lines.append(f"| {names} | {default} | {row['meaning']} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return MASK
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _default(name: str) -> Any:
    default = Settings.model_fields[name].default
    return _HOME if default is PydanticUndefined else _shown(default)

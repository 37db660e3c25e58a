"""Adds one server to a client's JSON file and keeps everything else in it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memory_core.errors import InvalidInput, Unavailable


@dataclass(frozen=True, slots=True)
class Written:
    """What happened to a file. ``backup``: its former content, None when there was none or nothing changed."""

    path: Path
    is_changed: bool
    backup: Path | None


def add_entry(path: Path, section: str, name: str, entry: dict[str, Any]) -> Written:
    """Write ``entry`` under ``section`` and ``name``; InvalidInput when the file is no JSON that can be kept whole."""
    path = path.resolve()
    former = _read(path)
    merged = _merged(former, path, section, name, entry)
    if merged == former:
        return Written(path, is_changed=False, backup=None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        backup = _back_up(path) if path.exists() else None
        _replace(path, json.dumps(merged, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise Unavailable(
            f"The file {path} cannot be written ({error.strerror}).", hint="Check its rights, or use --print."
        ) from None
    return Written(path, is_changed=True, backup=backup)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _not_ours_to_change(path) from error
    if not text.strip():
        return {}
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise _not_ours_to_change(path) from None
    if not isinstance(content, dict):
        raise _not_ours_to_change(path)
    return content


def _merged(former: dict[str, Any], path: Path, section: str, name: str, entry: dict[str, Any]) -> dict[str, Any]:
    servers = former.get(section, {})
    if not isinstance(servers, dict):
        raise _not_ours_to_change(path)
    return {**former, section: {**servers, name: entry}}


def _back_up(path: Path) -> Path:
    when = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    backup = path.with_name(f"{path.name}.{when}.bak")
    shutil.copy2(path, backup)
    return backup


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as sink:
            sink.write(text)
            sink.flush()
            os.fsync(sink.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _not_ours_to_change(path: Path) -> InvalidInput:
    return InvalidInput(
        f"{path} is not plain JSON with the expected layout (comments?), so it was left alone.",
        code="CONFIG_NOT_UNDERSTOOD",
        hint="Run again with --print and paste the entry yourself.",
    )

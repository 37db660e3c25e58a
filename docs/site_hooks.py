"""Adds the pages that the code writes itself to the site while it is built."""

from __future__ import annotations

from typing import Any

from mkdocs.structure.files import File

from deployments.reference.pages import KEPT, pages


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to the site."""
    for name, text in pages().items():
        if name not in KEPT:
            files.append(File.generated(config, f"reference/{name}", content=text))
    return files

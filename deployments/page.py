"""The composition root of the page: what it is told at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from deployments.persona import load_persona
from deployments.settings import Settings
from deployments.ui.pages import mount_ui

_FRAMES: Final = "'self'"
_FRAMES_IN_SPACE: Final = "'self' https://huggingface.co https://*.hf.space"


def mount_page(api: FastAPI, settings: Settings) -> None:
    """Serve the page beside the API."""
    mount_ui(api, page_config(settings), _FRAMES_IN_SPACE if settings.hf_space else _FRAMES)


def page_config(settings: Settings) -> dict[str, Any]:
    """For everybody to read. Keys are in it only where the operator gives them to all visitors."""
    config: dict[str, Any] = {
        "provider": settings.model_provider,
        "model": settings.model_name,
        "memory": settings.mcp_memory,
    }
    for name, key in (("api_key", settings.page_key), ("chat_key", settings.page_chat_key)):
        if key is not None:
            config[name] = key.get_secret_value()
    if settings.persona:
        persona = load_persona(Path(settings.persona))
        told = persona.model_dump(include={"name", "role", "memory", "greeting", "questions"})
        config["persona"] = {**told, "system": persona.system}
    return config

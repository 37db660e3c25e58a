"""Settings of the service. The only module that reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from memory_core.durability import Durability
from memory_core.errors import InvalidInput

MIB = 1024 * 1024
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Auth = Literal["auto", "keys", "open"]


def home_folder() -> Path:
    """Where this project keeps what belongs to the user: volumes, run files, logs."""
    return Path.home() / ".neural-memory"


def default_storage_url() -> str:
    """The local volume used when nothing else is said."""
    return (home_folder() / "volume").as_uri()


class Settings(BaseSettings):
    """Every field can be set by the environment variable of the same name in capitals.

    memory_storage_path: where memories live, a local path or a storage URL (``file:///data``, ``memory://test``).
    encoder: the encoder of memories that name none. more_encoders: others that name a place (``hf:...``,
    ``static:...``) and may be used, with commas between. call_deadline_s: how long a call waits for a memory that
    restarts. mcp_tools: which tools MCP clients see. mcp_memory: the memory that /mcp works on. allowed_hosts: names,
    beside those of this machine, under which MCP clients and browsers may reach the service, with commas between.
    ingress_replicas: processes that answer requests; they hold nothing.
    auth: ``keys`` asks every caller for a key, ``open`` nobody, ``auto`` everybody unless only this machine can reach
    the service. neural_memory_api_key: the key that commands on this machine send.
    memory_durability: ``sync``, ``group`` or ``group(MS)``, see ``memory_core.durability``. shared_hosts: processes
    that hold the memories without one of their own. idle_ttl_s: after so long without a call a memory leaves RAM.
    resident_bytes_max: of the states in one such process; above it the memory that was called longest ago leaves.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    memory_storage_path: str = Field(default_factory=default_storage_url)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    encoder: str = "minilm"
    more_encoders: str = ""
    mcp_tools: Literal["core", "full"] = "core"
    mcp_memory: str = "default"
    allowed_hosts: str = ""
    log_level: LogLevel = "INFO"
    max_body_bytes: int = Field(default=4 * MIB, ge=1024)
    ingress_replicas: int = Field(default=1, ge=1)
    max_import_bytes: int = Field(default=1024 * MIB, ge=1024)
    call_deadline_s: float = Field(default=60.0, gt=0)
    memory_durability: str = "group"
    auth: Auth = "auto"
    neural_memory_api_key: SecretStr | None = None
    shared_hosts: int = Field(default=2, ge=1, le=4096)
    idle_ttl_s: float = Field(default=600.0, gt=0)
    resident_bytes_max: int = Field(default=4096 * MIB, ge=MIB)

    @field_validator("memory_storage_path")
    @classmethod
    def _as_url(cls, raw: str) -> str:
        return raw if "://" in raw else Path(raw).expanduser().absolute().as_uri()

    @field_validator("memory_durability")
    @classmethod
    def _as_durability(cls, raw: str) -> str:
        try:
            Durability.parse(raw)
        except InvalidInput as error:
            raise ValueError(f"{error.message} {error.hint}") from error
        return raw

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, raw: object) -> object:
        return raw.upper() if isinstance(raw, str) else raw

    @property
    def storage_url(self) -> str:
        """The volume as a URL."""
        return self.memory_storage_path

    @property
    def served_encoders(self) -> tuple[str, ...]:
        """Encoders that name a place and may be used."""
        return tuple(name.strip() for name in self.more_encoders.split(",") if name.strip())

    @property
    def served_hosts(self) -> tuple[str, ...]:
        """Names beside those of this machine under which the service is reached."""
        return tuple(host.strip() for host in self.allowed_hosts.split(",") if host.strip())

    @property
    def mcp_url(self) -> str:
        """Where an MCP client on this machine connects."""
        return f"{self.base_url}/mcp"

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach the service."""
        return self.host in LOOPBACK_HOSTS

    @property
    def needs_keys(self) -> bool:
        """True when every caller must show a key."""
        return self.auth == "keys" or (self.auth == "auto" and not self.is_loopback)

    @property
    def api_key(self) -> str | None:
        """The key to send; None for none."""
        return None if self.neural_memory_api_key is None else self.neural_memory_api_key.get_secret_value()

    @property
    def base_url(self) -> str:
        """Where a client on this machine reaches the service."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

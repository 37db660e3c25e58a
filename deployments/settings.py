"""Settings of the service. The only module that reads the environment, beside ``mcp_tier``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cluster.redis_place import RedisPlace
from memory_core.config import Variant
from memory_core.durability import Durability
from memory_core.errors import InvalidInput
from memory_core.ids import parse_memory_name
from memory_core.lifecycle.rhythm import CheckpointRhythm
from memory_core.placement_spec import PlacementSpec
from memory_core.storage.object_store import SINGLE_WRITER
from memory_core.storage.signing import parse_signer

MIB = 1024 * 1024
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

_TRUE: Final = frozenset({"1", "true", "yes", "on"})

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Auth = Literal["auto", "keys", "open"]
ModelProvider = Literal["openai", "ollama", "none"]


def cluster_address() -> str | None:
    """The Ray cluster that this process was told to work on, as ``ray job submit`` tells its drivers."""
    return os.environ.get("RAY_ADDRESS") or None


def home_folder() -> Path:
    """Where this project keeps what belongs to the user: volumes, run files, logs."""
    return Path.home() / ".neural-memory"


def default_storage_url() -> str:
    """The local volume used when nothing else is said."""
    return (home_folder() / "volume").as_uri()


class Settings(BaseSettings):
    """Every field can be set by the environment variable of the same name in capitals, or of its other names."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    memory_storage_path: str = Field(
        default_factory=default_storage_url,
        description="Where memories live: a folder or a storage URL such as `s3://bucket/volume`.",
    )
    single_writer: bool = Field(
        default=False,
        description="You promise that nothing else ever writes to the volume; opens storage without an atomic create.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on. Beyond this machine callers need keys.")
    port: int = Field(
        default=8000,
        ge=1,
        le=65535,
        validation_alias=AliasChoices("port", "mcp_port"),
        description="HTTP and MCP port.",
    )
    encoder: str = Field(default="minilm", description="Encoder of memories that name none.")
    more_encoders: str = Field(
        default="", description="Others that name a place (`hf:...`, `static:...`) and may be used, with commas."
    )
    embedding_dim: int | None = Field(
        default=None,
        ge=8,
        description="Numbers in a key. The service is not ready when its encoder gives another size.",
    )
    memory_dim: int | None = Field(
        default=None,
        ge=64,
        le=2048,
        multiple_of=16,
        description="Size of new memories that name none, d: d*d/16 rows and d*d/8 units. The default is that of 512.",
    )
    ttt_variant: Variant | None = Field(default=None, description="Fast weights of new memories that name none.")
    learning_rate: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of the computed step that new memories take, 1 if not set. 0: nobody may change anything.",
    )
    device: str = Field(default="cpu", description="Device of new memories that name none: cpu, cuda or gpu:0.25.")
    domain: str | None = Field(
        default=None, description="The memory that a pre-trained image is about; /mcp works on it."
    )
    pretrained: bool = Field(
        default=False, description="Load the `.nmem` files of PRETRAINED_PATH that are not there yet."
    )
    pretrained_path: Path = Field(default=Path("/app/pretrained"), description="Folder of memory files to start with.")
    archive_path: Path = Field(default=Path(), description="Folder that `export` writes to when no file is named.")
    mcp_tools: Literal["core", "full"] = Field(default="core", description="Which tools MCP clients see.")
    mcp_memory: str = Field(default="default", description="The memory that /mcp works on.")
    allowed_hosts: str = Field(
        default="",
        description="Names, beside those of this machine, under which MCP clients and browsers reach it, with commas.",
    )
    log_level: LogLevel = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR.")
    env: Literal["production", "development"] = Field(
        default="production", description="In development LOG_LEVEL starts from DEBUG."
    )
    hf_space: bool = Field(
        default=False, description="Runs in a hosted space: PORT starts from 7860, HOST from 0.0.0.0."
    )
    max_body_bytes: int = Field(default=4 * MIB, ge=1024, description="Largest request body.")
    max_import_bytes: int = Field(default=1024 * MIB, ge=1024, description="Largest memory file that is imported.")
    trusted_signers: str = Field(
        default="", description="Public keys, with commas, one of which must have signed a memory file to import it."
    )
    ingress_replicas: int = Field(default=1, ge=1, description="Processes that answer requests; they hold nothing.")
    encoder_replicas_max: int = Field(
        default=1, ge=1, description="Encoder processes at most; another one starts while requests queue up."
    )
    encoder_gpus: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of a GPU that each encoder process takes. 0: it computes on the CPU.",
    )
    encoder_queue: int = Field(
        default=512, ge=1, description="Requests of one ingress that may wait for encoders; what is above gets 429."
    )
    call_deadline_s: float = Field(
        default=60.0, gt=0, description="Seconds that a call waits for a memory that restarts."
    )
    memory_durability: str = Field(
        default="group", description="`sync`, `group` or `group(MS)`: what shares a sync, where a memory does not say."
    )
    checkpoint_every_observations: int = Field(
        default=10_000, ge=0, description="After so many that no version holds, one is published by itself. 0: never."
    )
    checkpoint_every_s: float = Field(
        default=86_400.0, ge=0, description="The same when something has waited for so many seconds. 0: never."
    )
    checkpoint_every_bytes: int = Field(
        default=0, ge=0, description="The same after so many bytes of journal. 0: never."
    )
    auth: Auth = Field(
        default="auto",
        description="`keys` asks every caller, `open` nobody, `auto` all when others than here can call.",
    )
    public_url: str = Field(
        default="", description="URL under which clients know this service, and for which their tokens are."
    )
    oauth_issuer: str = Field(default="", description="Whose OAuth access tokens are taken beside keys.")
    oauth_jwks_url: str = Field(default="", description="Where that issuer publishes its keys, an https URL.")
    oauth_audience: str = Field(default="", description="Another audience whose tokens are taken.")
    oauth_tenant_claim: str = Field(
        default="tenant", description="Claim that names a token's tenant. Empty: all belong to the default one."
    )
    oauth_memories_claim: str = Field(
        default="", description="Claim with the names, such as `team-*`, that a token is for. Empty: all."
    )
    neural_memory_api_key: SecretStr | None = Field(
        default=None, description="Key that commands here send, and that a service which asks for keys admits."
    )
    trace_exporter: Literal["none", "console", "otlp"] = Field(
        default="none", description="Where OpenTelemetry spans of requests go."
    )
    shared_hosts: int = Field(
        default=2, ge=1, le=4096, description="Processes that hold the memories without one of their own."
    )
    idle_ttl_s: float = Field(default=600.0, gt=0, description="After so long without a call a memory leaves RAM.")
    resident_bytes_max: int = Field(
        default=4096 * MIB, ge=MIB, description="States in one such process; above it the longest idle one leaves."
    )
    ray_port: int | None = Field(
        default=None, ge=1, le=65535, description="Port where other machines join: `ray start --address=HERE:PORT`."
    )
    job_sources: str = Field(
        default="",
        description="Prefixes of URLs that jobs of callers may read, such as `s3://bucket/corpus/`, with commas. "
        "Nothing by default.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="`redis://[user:password@]host:port` in which Ray's head keeps its tables and sessions are kept.",
    )
    model_provider: ModelProvider = Field(
        default="none",
        description="Who answers in conversations: `openai` (any server of that protocol), `ollama`, or `none`.",
    )
    model_name: str = Field(default="gpt-4o-mini", description="The language model asked for.")
    model_timeout_s: float = Field(default=60.0, gt=0, description="Seconds that a language model may be silent.")
    openai_api_key: SecretStr | None = Field(default=None, description="Key of the language model's server.")
    openai_base_url: str = Field(default="", description="Another server than OpenAI's, such as `http://host:8001/v1`.")
    ollama_base_url: str = Field(default="http://127.0.0.1:11434", description="Where Ollama listens.")
    session_ttl_s: float = Field(default=3600.0, gt=0, description="After so long without a turn a session is deleted.")
    persona: str = Field(default="", description="File of the persona that the page's chat introduces.")
    page_key: SecretStr | None = Field(
        default=None, description="Key that the page gives to everybody who opens it: for demonstrations."
    )
    page_chat_key: SecretStr | None = Field(default=None, description="The same for its chat, if it is another key.")
    chat_surprise_gate: float = Field(
        default=0.1, ge=0.0, le=1.0, description="What a user says is learned from this surprise on."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_presets(cls, chosen: dict[str, Any]) -> dict[str, Any]:
        given = {key.lower() for key in chosen}
        presets = {field: value for field, (_, value) in _presets(chosen).items() if not given & names_of(field)}
        return {**presets, **chosen}

    @field_validator("device")
    @classmethod
    def _as_device(cls, raw: str) -> str:
        device = "gpu" + raw[len("cuda") :] if raw.startswith("cuda") else raw
        try:
            return PlacementSpec(device=device).device
        except InvalidInput as error:
            raise ValueError(f"{error.message} {error.hint}") from error

    @field_validator("redis_url")
    @classmethod
    def _as_redis(cls, raw: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(raw.get_secret_value()) if raw else None
        if parts is not None and (parts.scheme not in {"redis", "rediss"} or not parts.hostname):
            raise ValueError("It must look like redis://host:6379.")
        return raw

    @field_validator("domain")
    @classmethod
    def _as_name(cls, raw: str | None) -> str | None:
        try:
            return None if raw is None else parse_memory_name(raw)
        except InvalidInput as error:
            raise ValueError(error.message) from error

    @model_validator(mode="after")
    def _whole_oauth(self) -> Settings:
        local = ("http://127.0.0.1", "http://localhost")
        if self.oauth_issuer and not self.oauth_jwks_url.startswith(("https://", *local)):
            raise ValueError("OAUTH_ISSUER needs OAUTH_JWKS_URL, an https URL.")
        if self.oauth_issuer and self.auth == "open":
            raise ValueError("AUTH=open and OAUTH_ISSUER exclude each other.")
        return self

    @field_validator("trusted_signers")
    @classmethod
    def _as_signers(cls, raw: str) -> str:
        try:
            return ",".join(parse_signer(key) for key in raw.split(",") if key.strip())
        except InvalidInput as error:
            raise ValueError(f"{error.message} {error.hint}") from error

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
    def memory_defaults(self) -> dict[str, Any]:
        """Settings of new memories that name none."""
        found: dict[str, Any] = {"variant": self.ttt_variant, "learning_rate": self.learning_rate}
        if self.memory_dim is not None:
            found |= {"rows": self.memory_dim**2 // 16, "units": self.memory_dim**2 // 8}
        if self.device != "cpu":
            found["placement"] = {"device": self.device}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def redis(self) -> RedisPlace | None:
        """Where Ray's head keeps its tables; None for nowhere but its RAM."""
        if self.redis_url is None:
            return None
        parts = urlsplit(self.redis_url.get_secret_value())
        scheme = "rediss://" if parts.scheme == "rediss" else ""
        return RedisPlace(
            address=f"{scheme}{parts.hostname}:{parts.port or 6379}",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )

    @property
    def is_read_only(self) -> bool:
        """True when nobody may change a memory."""
        return self.learning_rate == 0

    @property
    def storage_url(self) -> str:
        """The volume as a URL, with the promise of a single writer if it was made."""
        return f"{self.memory_storage_path}?{SINGLE_WRITER}" if self.single_writer else self.memory_storage_path

    @property
    def rhythm(self) -> CheckpointRhythm:
        """When a version is published by itself."""
        return CheckpointRhythm(
            every_observations=self.checkpoint_every_observations or None,
            every_bytes=self.checkpoint_every_bytes or None,
            every_s=self.checkpoint_every_s or None,
        )

    @property
    def signers(self) -> frozenset[str]:
        """Public keys whose memory files may be imported; empty for all files."""
        return frozenset(key for key in self.trusted_signers.split(",") if key)

    @property
    def served_encoders(self) -> tuple[str, ...]:
        """Encoders that name a place and may be used."""
        return tuple(name.strip() for name in self.more_encoders.split(",") if name.strip())

    @property
    def readable_sources(self) -> tuple[str, ...]:
        """Prefixes of the URLs that jobs may read."""
        return tuple(prefix.strip() for prefix in self.job_sources.split(",") if prefix.strip())

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
        return self.auth == "keys" or bool(self.oauth_issuer) or (self.auth == "auto" and not self.is_loopback)

    @property
    def resource_url(self) -> str:
        """Under which URL clients know this service."""
        return (self.public_url or self.base_url).rstrip("/")

    @property
    def api_key(self) -> str | None:
        """The key to send; None for none."""
        return None if self.neural_memory_api_key is None else self.neural_memory_api_key.get_secret_value()

    @property
    def base_url(self) -> str:
        """Where a client on this machine reaches the service."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104
        return f"http://{host}:{self.port}"


_HOSTED: Final[dict[str, Any]] = {"port": 7860, "host": "0.0.0.0"}  # noqa: S104  callers need keys there


def names_of(field: str) -> set[str]:
    """The names under which a field is set, in small letters."""
    alias = Settings.model_fields[field].validation_alias
    return {field, *map(str, alias.choices)} if isinstance(alias, AliasChoices) else {field}


def source_of(field: str, settings: Settings) -> str:
    """The variable that a field's value came from, or ``default``."""
    variables = {name.upper() for name in os.environ}
    for name in (field, *sorted(names_of(field) - {field})):
        if name.upper() in variables:
            return name.upper()
    preset = _presets(settings.model_dump()).get(field)
    return preset[0] if preset else "default"


def _presets(chosen: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """Defaults that another setting decides: by field, the variable that decides and the value."""
    found: dict[str, tuple[str, Any]] = {}
    if str(chosen.get("hf_space", "")).lower() in _TRUE:
        found |= {field: ("HF_SPACE", value) for field, value in _HOSTED.items()}
    if chosen.get("env") == "development":
        found["log_level"] = ("ENV", "DEBUG")
    if chosen.get("domain"):
        found["mcp_memory"] = ("DOMAIN", chosen["domain"])
    return found

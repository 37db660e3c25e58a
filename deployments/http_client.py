"""A MemoryBackend that speaks HTTP to a running service, for the command line, the benchmarks and the demo."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from cluster.placement_report import PlacementReport
from deployments.error_map import error_from_answer
from deployments.http_jobs import RemoteJobs
from deployments.http_quarantine import RemoteQuarantine
from deployments.http_storage import PATIENCE, RemoteStorage, connection_errors, json_or_none
from memory_core.config import MemoryConfig
from memory_core.errors import InvalidInput, NeuralMemoryError, Unavailable
from memory_core.family_results import (
    CompareResult,
    FamilyObserveResult,
    FanOutResult,
    ForkFamily,
    Probe,
    PromoteResult,
)
from memory_core.ids import EncoderId, MemoryName, Seq, Tag
from memory_core.insight_results import (
    Activity,
    AttentionMap,
    DiffResult,
    ExplainResult,
    MergeResult,
    PatternMap,
    PredictResult,
)
from memory_core.progress import OnProgress
from memory_core.results import (
    CheckpointInfo,
    CheckpointPage,
    ConsolidateResult,
    ForgetReceipt,
    ForgetSelection,
    ForkResult,
    InferOptions,
    InferResult,
    MemoryInfo,
    MemoryPage,
    MemoryStats,
    Observation,
    ObserveOptions,
    ObserveResult,
    ReencodeResult,
    RestoreResult,
    RollbackResult,
    SurpriseResult,
)
from memory_core.terms import MemoryTerms, TermsChange, Versions

TIMEOUT_DEFAULT_S: Final = 120.0
_CONNECT_TIMEOUT_S: Final = 5.0
_ATTEMPTS_MAX: Final = 4
_PAUSE_MAX_S: Final = 5.0
_REPEATABLE: Final = frozenset(
    {
        "observe",
        "infer",
        "surprise",
        "forget",
        "restore",
        "rollback",
        "attention",
        "predict-next",
        "merge",
        "compare",
        "promote",
    }
)

_Answer = TypeVar("_Answer")


class RemoteBackend(RemoteStorage, RemoteJobs, RemoteQuarantine):
    """The service at ``base_url``. Repeats calls that are safe to repeat when the service asks for patience.

    ``transport`` replaces the network, for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_s: float = TIMEOUT_DEFAULT_S,
        api_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S)
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._client = httpx.AsyncClient(
            base_url=self.base_url, timeout=timeout, headers=headers, transport=transport, trust_env=False
        )

    @property
    def http(self) -> httpx.AsyncClient:
        """The connections, for what streams."""
        return self._client

    async def create(self, name: MemoryName, config: MemoryConfig, terms: MemoryTerms | None = None) -> MemoryInfo:
        """See MemoryBackend."""
        wanted = terms or MemoryTerms()
        said = {"description": wanted.description, "read_only": wanted.is_read_only, "ttl_s": wanted.ttl_s or 0.0}
        return await self.create_chosen(name, {"class": wanted.kind, **said, **config.to_dict()})

    async def create_chosen(self, name: MemoryName, chosen: dict[str, Any]) -> MemoryInfo:
        """Create with some settings chosen; the service decides the rest."""
        return await self._ask(MemoryInfo, "POST", "/v1/memories", {"name": name, **chosen})

    async def list_memories(self, *, limit: int = 100, cursor: str | None = None) -> MemoryPage:
        """See MemoryBackend."""
        return await self._ask(MemoryPage, "GET", "/v1/memories", params=_present(limit=limit, cursor=cursor))

    async def stats(self, name: MemoryName, *, detailed: bool = False) -> MemoryStats:
        """See MemoryBackend."""
        return await self._ask(MemoryStats, "GET", _path(name), params={"detailed": detailed} if detailed else {})

    async def change(self, name: MemoryName, change: TermsChange, *, only_if: Versions | None = None) -> MemoryTerms:
        """See MemoryBackend."""
        body = _present(description=change.description, read_only=change.is_read_only, ttl_s=change.ttl_s)
        if change.ttl_s == 0:
            body["ttl_s"] = None
        return await self._ask(MemoryTerms, "PATCH", _path(name), body, headers=_if_match(only_if))

    async def delete(self, name: MemoryName, *, only_if: Versions | None = None) -> None:
        """See MemoryBackend."""
        await self._send("DELETE", _path(name), headers=_if_match(only_if))

    async def observe(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> ObserveResult:
        """See MemoryBackend. Without a request id one is made up, so that a repeated call cannot learn twice."""
        body, headers = _told(observations, options)
        return await self._ask(ObserveResult, "POST", _path(name, "observe"), body, headers=headers)

    async def infer(self, name: MemoryName, prompt: str, options: InferOptions) -> InferResult:
        """See MemoryBackend."""
        body = _present(prompt=prompt, **asdict(options))
        return await self._ask(InferResult, "POST", _path(name, "infer"), body)

    async def surprise(
        self, name: MemoryName, texts: Sequence[str], *, domain: str | None = None
    ) -> tuple[SurpriseResult, ...]:
        """See MemoryBackend."""
        answer = await self._send("POST", _path(name, "surprise"), _present(texts=list(texts), domain=domain))
        return _parse(tuple[SurpriseResult, ...], _json_object(answer).get("results"))

    async def explain(self, name: MemoryName, *, top_k: int = 10, domain: str | None = None) -> ExplainResult:
        """See MemoryBackend."""
        params = _present(top_k=top_k, domain=domain)
        return await self._ask(ExplainResult, "GET", _path(name, "explain"), params=params)

    async def attention_map(self, name: MemoryName, query: str, *, top_k: int = 5) -> AttentionMap:
        """See MemoryBackend."""
        return await self._ask(AttentionMap, "POST", _path(name, "attention"), {"query": query, "top_k": top_k})

    async def pattern_map(self, name: MemoryName, *, limit: int = 300) -> PatternMap:
        """See MemoryBackend."""
        return await self._ask(PatternMap, "GET", _path(name, "pattern-map"), params={"limit": limit})

    async def activity(self, name: MemoryName, *, limit: int = 200) -> Activity:
        """See MemoryBackend."""
        return await self._ask(Activity, "GET", _path(name, "activity"), params={"limit": limit})

    async def predict_next(
        self, name: MemoryName, *, text: str | None = None, session: str | None = None, top_k: int = 5
    ) -> PredictResult:
        """See MemoryBackend."""
        body = _present(text=text, session=session, top_k=top_k)
        return await self._ask(PredictResult, "POST", _path(name, "predict-next"), body)

    async def diff(
        self,
        name: MemoryName,
        other: MemoryName,
        *,
        tag: Tag | None = None,
        other_tag: Tag | None = None,
        limit: int = 20,
    ) -> DiffResult:
        """See MemoryBackend."""
        params = _present(other=other, tag=tag, other_tag=other_tag, limit=limit)
        return await self._ask(DiffResult, "GET", _path(name, "diff"), params=params)

    async def merge(self, name: MemoryName, other: MemoryName, *, tag: Tag | None = None) -> MergeResult:
        """See MemoryBackend."""
        return await self._ask(MergeResult, "POST", _path(name, "merge"), _present(other=other, tag=tag))

    async def consolidate(
        self, name: MemoryName, *, steps: int = 1, ewc_lambda: float = 0.0, on_progress: OnProgress | None = None
    ) -> ConsolidateResult:
        """See MemoryBackend. The service tells its progress meanwhile, so that no long silence ends the call."""
        body = {"steps": steps, "ewc_lambda": ewc_lambda}
        with connection_errors(self.base_url):
            headers = {"Accept": "text/event-stream"}
            async with self._client.stream("POST", _path(name, "consolidate"), json=body, headers=headers) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise error_from_answer(answer.status_code, json_or_none(answer))
                async for event, data in _events(answer):
                    if event == "result":
                        return _parse(ConsolidateResult, data)
                    if event == "error":
                        raise error_from_answer(httpx.codes.INTERNAL_SERVER_ERROR, data)
                    if event == "progress" and on_progress is not None:
                        on_progress(data["fraction"], data["phase"])
        raise Unavailable("The answer ended early; nothing may have changed.", hint="Look at the memory, try again.")

    async def forget(
        self,
        name: MemoryName,
        selection: ForgetSelection,
        *,
        is_dry_run: bool = False,
        only_if: Versions | None = None,
    ) -> ForgetReceipt:
        """See MemoryBackend."""
        body = _present(**asdict(selection), dry_run=is_dry_run)
        return await self._ask(ForgetReceipt, "POST", _path(name, "forget"), body, headers=_if_match(only_if))

    async def re_encode(self, name: MemoryName, encoder: EncoderId, new_name: MemoryName) -> ReencodeResult:
        """See MemoryBackend."""
        body = {"encoder": encoder, "new_name": new_name}
        return await self._ask(ReencodeResult, "POST", _path(name, "re-encode"), body, **PATIENCE)

    async def checkpoint(
        self, name: MemoryName, tag: Tag, description: str = "", *, include_momentum: bool = True
    ) -> CheckpointInfo:
        """See MemoryBackend."""
        body = {"tag": tag, "description": description, "include_momentum": include_momentum}
        return await self._ask(CheckpointInfo, "POST", _path(name, "checkpoints"), body)

    async def list_checkpoints(
        self, name: MemoryName, *, prefix: str = "", limit: int = 100, cursor: str | None = None
    ) -> CheckpointPage:
        """See MemoryBackend."""
        params = _present(prefix=prefix, limit=limit, cursor=cursor)
        return await self._ask(CheckpointPage, "GET", _path(name, "checkpoints"), params=params)

    async def restore(
        self, name: MemoryName, tag: Tag, *, restore_momentum: bool = True, only_if: Versions | None = None
    ) -> RestoreResult:
        """See MemoryBackend."""
        body = {"tag": tag, "restore_momentum": restore_momentum}
        return await self._ask(RestoreResult, "POST", _path(name, "restore"), body, headers=_if_match(only_if))

    async def rollback(self, name: MemoryName, seq: Seq, *, only_if: Versions | None = None) -> RollbackResult:
        """See MemoryBackend."""
        body, headers = {"to_seq": seq}, _if_match(only_if)
        return await self._ask(RollbackResult, "POST", _path(name, "rollback"), body, headers=headers)

    async def fork(self, name: MemoryName, tag: Tag, new_name: MemoryName) -> ForkResult:
        """See MemoryBackend."""
        return await self._ask(ForkResult, "POST", _path(name, "fork"), {"tag": tag, "name": new_name})

    async def fork_many(self, name: MemoryName, tag: Tag, new_name: MemoryName, count: int) -> FanOutResult:
        """See FamilyBackend."""
        body = {"tag": tag, "name": new_name, "count": count}
        return await self._ask(FanOutResult, "POST", _path(name, "forks"), body)

    async def family(self, name: MemoryName) -> ForkFamily:
        """See FamilyBackend."""
        return await self._ask(ForkFamily, "GET", _path(name, "forks"))

    async def observe_all(
        self, name: MemoryName, observations: Sequence[Observation], options: ObserveOptions
    ) -> FamilyObserveResult:
        """See FamilyBackend."""
        body, headers = _told(observations, options)
        return await self._ask(FamilyObserveResult, "POST", _path(name, "forks/observe"), body, headers=headers)

    async def compare(self, name: MemoryName, probes: Sequence[Probe]) -> CompareResult:
        """See FamilyBackend."""
        body = {"probes": [_present(**asdict(probe)) for probe in probes]}
        return await self._ask(CompareResult, "POST", _path(name, "forks/compare"), body)

    async def promote(self, fork: MemoryName, tag: Tag) -> PromoteResult:
        """See FamilyBackend."""
        return await self._ask(PromoteResult, "POST", _path(fork, "promote"), {"tag": tag})

    async def owner_pid(self, name: MemoryName) -> int:
        """The process that holds a memory now, on the service's machine."""
        return int(_json_object(await self._send("GET", _path(name, "owner")))["pid"])

    async def placement(self, name: MemoryName) -> PlacementReport:
        """Where a memory lives and why, without waking it."""
        return await self._ask(PlacementReport, "GET", _path(name, "placement"))

    async def is_ready(self) -> bool:
        """True when the service answers and says it can work; False while it starts or when nothing listens."""
        try:
            answer = await self._client.get("/ready")
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _ask(self, kind: type[_Answer], method: str, path: str, body: object = None, **extra: Any) -> _Answer:
        return _parse(kind, _json_object(await self._send(method, path, body, **extra)))

    async def _send(self, method: str, path: str, body: object = None, **extra: Any) -> httpx.Response:
        for attempt in range(1, _ATTEMPTS_MAX):
            try:
                return await self._send_once(method, path, body, **extra)
            except NeuralMemoryError as error:
                if not error.retryable or error.retry_after_s is None or not _is_repeatable(method, path):
                    raise
                await asyncio.sleep(min(error.retry_after_s * attempt, _PAUSE_MAX_S))
        return await self._send_once(method, path, body, **extra)

    async def _send_once(self, method: str, path: str, body: object, **extra: Any) -> httpx.Response:
        try:
            with connection_errors(self.base_url):
                answer = await self._client.request(method, path, json=body, **extra)
        except (UnicodeEncodeError, httpx.InvalidURL, ValueError):
            raise InvalidInput("The request cannot be written as JSON in UTF-8.", hint="Send valid text.") from None
        if answer.is_success:
            return answer
        raise error_from_answer(answer.status_code, json_or_none(answer))


def _told(observations: Sequence[Observation], options: ObserveOptions) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of a request to learn."""
    body: dict[str, Any] = {"observations": [_present(**asdict(one)) for one in observations]}
    if options.learning_rate is not None:
        body["learning_rate"] = options.learning_rate
    return body, {"Idempotency-Key": options.request_id or uuid.uuid4().hex}


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, Any]]:
    """Server-sent events as (kind, data)."""
    kind = ""
    async for line in answer.aiter_lines():
        field_name, _, value = line.partition(": ")
        if field_name == "event":
            kind = value
        elif field_name == "data":
            yield kind, json.loads(value)


def _is_repeatable(method: str, path: str) -> bool:
    # What creates something new can have happened although its answer was lost; observe carries its own key.
    return method == "GET" or path.rpartition("/")[2] in _REPEATABLE


def _if_match(only_if: Versions | None) -> dict[str, str]:
    return {} if only_if is None else {"If-Match": ", ".join(f'"{version}"' for version in only_if)}


def _path(name: MemoryName, action: str = "") -> str:
    return f"/v1/memories/{quote(name, safe='')}" + (f"/{action}" if action else "")


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _json_object(answer: httpx.Response) -> dict[str, Any]:
    body = json_or_none(answer)
    if not isinstance(body, dict):
        raise Unavailable(f"{answer.url} is not a Neural Memory service.", hint="Check --url.")
    return body


def _parse(kind: type[_Answer], raw: object) -> _Answer:
    try:
        key: Any = kind
        parsed: _Answer = _adapter(key).validate_python(raw)
    except ValidationError:
        raise Unavailable(
            "The service answered in a form this version does not know.", hint="Use the same version on both sides."
        ) from None
    return parsed


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)

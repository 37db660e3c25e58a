"""What the tools do: check the arguments as every door does, call the backend, return its value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from typing import Any, Final

from deployments.mcp import arguments as takes
from deployments.mcp.answers import InferAnswer
from deployments.mcp.attention_picture import attention_png
from deployments.mcp.caller import Caller
from deployments.mcp.observing import observe
from deployments.mcp.reporting import Report, reported
from deployments.text_rules import check_description, check_label, check_text
from memory_core.ids import PatternId, parse_memory_name, parse_tag
from memory_core.insight_results import AttentionMap, ExplainResult, PredictResult
from memory_core.results import (
    CheckpointInfo,
    CheckpointPage,
    ConsolidateResult,
    ForgetReceipt,
    ForgetSelection,
    ForkResult,
    InferOptions,
    MemoryInfo,
    MemoryPage,
    MemoryStats,
    RestoreResult,
    SurpriseResult,
)


@dataclass(frozen=True, slots=True)
class WithPicture:
    """An answer that comes with a PNG."""

    answer: Any
    png: bytes


async def _observe(caller: Caller, sent: takes.ObserveArguments, report: Report) -> Any:
    return await observe(caller, sent, report)


async def _infer(caller: Caller, sent: takes.InferArguments, _: Report) -> InferAnswer:
    name = caller.named(sent.memory)
    check_text(sent.prompt, "prompt")
    check_label(sent.domain, "domain")
    check_label(sent.occurred_from, "occurred_from")
    check_label(sent.occurred_to, "occurred_to")
    options = InferOptions(
        temperature=sent.temperature,
        max_tokens=sent.max_tokens,
        domain=sent.domain,
        occurred_from=sent.occurred_from,
        occurred_to=sent.occurred_to,
    )
    found = await caller.backend.infer(name, sent.prompt, options)
    attention = await caller.backend.attention_map(name, sent.prompt) if sent.return_attention else None
    return InferAnswer(**{field.name: getattr(found, field.name) for field in fields(found)}, attention=attention)


async def _surprise(caller: Caller, sent: takes.SurpriseArguments, _: Report) -> SurpriseResult:
    check_text(sent.input, "input")
    check_label(sent.domain, "domain")
    (result,) = await caller.backend.surprise(caller.named(sent.memory), [sent.input], domain=sent.domain)
    return result


async def _consolidate(caller: Caller, sent: takes.ConsolidateArguments, report: Report) -> ConsolidateResult:
    name = caller.named(sent.memory)
    return await reported(
        lambda on_progress: caller.backend.consolidate(
            name, steps=sent.steps, ewc_lambda=sent.ewc_lambda, on_progress=on_progress
        ),
        report,
    )


async def _checkpoint(caller: Caller, sent: takes.CheckpointArguments, _: Report) -> CheckpointInfo:
    name, tag, description = caller.named(sent.memory), parse_tag(sent.tag), sent.description or ""
    check_description(description)
    return await caller.backend.checkpoint(name, tag, description, include_momentum=sent.include_momentum)


async def _restore(caller: Caller, sent: takes.RestoreArguments, _: Report) -> RestoreResult:
    name, tag = caller.named(sent.memory), parse_tag(sent.tag)
    return await caller.backend.restore(name, tag, restore_momentum=sent.restore_momentum)


async def _fork(caller: Caller, sent: takes.ForkArguments, _: Report) -> ForkResult:
    name, tag = caller.named(sent.memory), parse_tag(sent.source_tag)
    new_name = parse_memory_name(sent.new_tag)
    check_description(sent.description or "")
    forked = await caller.backend.fork(name, tag, new_name)
    if sent.description:
        # A description belongs to a version: the first one of the fork, under the tag that was asked for.
        await caller.backend.checkpoint(new_name, parse_tag(sent.new_tag), sent.description)
    return forked


async def _list_checkpoints(caller: Caller, sent: takes.ListCheckpointsArguments, _: Report) -> CheckpointPage:
    name = caller.named(sent.memory)
    return await caller.backend.list_checkpoints(name, prefix=sent.prefix, limit=sent.limit, cursor=sent.cursor)


async def _stats(caller: Caller, sent: takes.StatsArguments, _: Report) -> MemoryStats:
    return await caller.backend.stats(caller.named(sent.memory), detailed=sent.detailed)


async def _attention_map(caller: Caller, sent: takes.AttentionMapArguments, _: Report) -> AttentionMap | WithPicture:
    check_text(sent.query, "query")
    found = await caller.backend.attention_map(caller.named(sent.memory), sent.query, top_k=sent.top_k)
    return WithPicture(found, attention_png(found)) if sent.image else found


async def _explain(caller: Caller, sent: takes.ExplainArguments, _: Report) -> ExplainResult:
    check_label(sent.domain, "domain")
    return await caller.backend.explain(caller.named(sent.memory), top_k=sent.top_k, domain=sent.domain)


async def _list_memories(caller: Caller, sent: takes.ListMemoriesArguments, _: Report) -> MemoryPage:
    return await caller.backend.list_memories(limit=sent.limit, cursor=sent.cursor)


async def _create_memory(caller: Caller, sent: takes.CreateMemoryArguments, _: Report) -> MemoryInfo:
    chosen = {"class": sent.kind, **sent.model_dump(exclude_none=True, exclude={"name", "kind", "standby"})}
    if sent.standby:
        chosen["placement"] = {"standby": True}
    check_label(sent.encoder, "encoder")
    check_description(sent.description or "")
    return await caller.create_chosen(parse_memory_name(sent.name), chosen)


async def _forget(caller: Caller, sent: takes.ForgetArguments, _: Report) -> ForgetReceipt:
    if sent.subject is not None:
        check_text(sent.subject, "subject")
    check_label(sent.occurred_from, "occurred_from")
    check_label(sent.occurred_to, "occurred_to")
    selection = ForgetSelection(
        subject=sent.subject,
        patterns=tuple(map(PatternId, sent.patterns)),
        seq_from=sent.seq_from,
        seq_to=sent.seq_to,
        occurred_from=sent.occurred_from,
        occurred_to=sent.occurred_to,
    )
    return await caller.backend.forget(caller.named(sent.memory), selection, is_dry_run=sent.dry_run)


async def _predict_next(caller: Caller, sent: takes.PredictNextArguments, _: Report) -> PredictResult:
    if sent.text is not None:
        check_text(sent.text, "text")
    check_label(sent.session, "session")
    name = caller.named(sent.memory)
    return await caller.backend.predict_next(name, text=sent.text, session=sent.session, top_k=sent.top_k)


Handler = Callable[[Caller, Any, Report], Awaitable[Any]]

HANDLERS: Final[dict[str, Handler]] = {
    "observe": _observe,
    "infer": _infer,
    "surprise": _surprise,
    "consolidate": _consolidate,
    "checkpoint": _checkpoint,
    "restore": _restore,
    "fork": _fork,
    "list_checkpoints": _list_checkpoints,
    "stats": _stats,
    "attention_map": _attention_map,
    "explain": _explain,
    "list_memories": _list_memories,
    "create_memory": _create_memory,
    "forget": _forget,
    "predict_next": _predict_next,
}

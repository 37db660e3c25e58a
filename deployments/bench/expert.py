"""How well an expert answers questions that people wrote, and how large its file is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from deployments.bench.report import Report, conditions
from deployments.whole_files import file_pieces
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import InvalidInput
from memory_core.experts.examination import Question, is_hit
from memory_core.ids import MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.storage.ram_store import RamStore

_MIB = 1 << 20


def run_expert(file: Path, questions: Path) -> Report:
    """Load the file into RAM and ask."""
    asked = read_questions(questions)
    hits = asyncio.run(_ask(file, asked))
    missed = [question.text for question, is_right in zip(asked, hits, strict=True) if not is_right]
    figures = {"hit@5": sum(hits) / len(hits), "size_mib": file.stat().st_size / _MIB}
    return Report(bench="expert", figures=figures, conditions=conditions(n=len(asked), missed=missed))


def read_questions(file: Path) -> list[Question]:
    """Lines of {question, expected}; InvalidInput for others."""
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = [Question(text=row["question"], expected=tuple(row["expected"])) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{file} has no questions that can be read.", hint="See examples/.") from error
    if not found:
        raise InvalidInput(f"{file} has no questions.", hint="See examples/.")
    return found


async def _ask(file: Path, questions: list[Question]) -> list[bool]:
    encoders, name = LocalEncoderPool(), MemoryName("expert")
    backend = LocalBackend(RamStore("bench-expert"), encoders)
    try:
        await backend.import_memory(name, file_pieces(file))
        return [await is_hit(backend, name, question) for question in questions]
    finally:
        await backend.close()
        encoders.close()

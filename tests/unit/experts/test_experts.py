"""Experts: what documentations say, a sealed file with its card, and the examination."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from deployments.bench.expert import read_questions
from deployments.expert_sources import expert_source
from deployments.whole_files import file_pieces, write_whole
from memory_core.encoding.registry import LocalEncoderPool
from memory_core.errors import InvalidInput, NotFound, ReadOnly
from memory_core.experts.build import Expert, Source, build_expert
from memory_core.experts.card import card_of
from memory_core.experts.chunk import Chunk, distinct, first_paragraph, second_sentence
from memory_core.experts.docstrings import standard_library
from memory_core.experts.examination import generated_questions
from memory_core.experts.typescript import type_definitions, typescript_package
from memory_core.ids import EncoderId, MemoryName
from memory_core.local_backend import LocalBackend
from memory_core.results import InferOptions, Observation, ObserveOptions
from memory_core.storage.ram_store import RamStore

HASH = EncoderId("hash")
DECLARATIONS = """
interface Unrelated {
    /** @deprecated */ old?: string;
}
interface Array<T> {
    /**
     * Calls a defined callback function on each element of an array, and returns an array that contains the results.
     * @param callbackfn A function that accepts up to three arguments.
     */
    map<U>(callbackfn: (value: T) => U): U[];
    nested: { a: { b: string } };
    /**
     * Adds all the elements of an array into a string, separated by the specified separator string.
     */
    join(separator?: string): string;
}
/** Converts a string to an integer. */
declare function parseInt(string: string, radix?: number): number;
"""


def test_the_standard_library_is_told_by_the_names_that_are_written() -> None:
    chunks = {chunk.name: chunk for chunk in distinct(standard_library())}
    assert chunks["shutil.copytree"].text.startswith("shutil.copytree(src, dst, symlinks, ignore,")
    assert "Recursively copy a directory tree" in chunks["shutil.copytree"].text
    assert chunks["os.path.join"].name == "os.path.join"
    assert {"os.getcwd", "str.split", "sorted", "math.gcd", "collections.Counter.most_common"} <= set(chunks)
    assert not any("._" in name or name.startswith(("test.", "_")) for name in chunks)
    asked, made_from = generated_questions(list(chunks.values()))
    assert (len(asked), made_from) == (200, "sentences that were not taught")
    assert not any(question.text in chunks[question.expected[0]].text for question in asked)


def test_type_definitions_belong_to_what_they_declare(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "typescript"
    (package / "lib").mkdir(parents=True)
    (package / "package.json").write_text('{"version": "5.9.1"}')
    (package / "lib" / "lib.es5.d.ts").write_text(DECLARATIONS)
    assert typescript_package(tmp_path / "src" / "deep") == package
    chunks = {chunk.name: chunk for chunk in type_definitions(package)}
    assert set(chunks) == {"Array.map", "Array.join", "parseInt"}
    assert chunks["Array.map"].text.startswith("Array.map<U>(callbackfn: (value: T) => U): U[]: Calls a defined")
    assert chunks["Array.map"].held_out == "A function that accepts up to three arguments."
    source = expert_source(["typescript"], name=None, licence=None, start=tmp_path)
    assert (source.name, source.version, len(source.chunks)) == ("code-typescript", "5.9.1", 3)
    with pytest.raises(NotFound):
        typescript_package(Path("/proc"))


def test_first_paragraphs_are_taught_and_the_next_sentence_is_kept_back() -> None:
    told = "Return a list.\n    Of things.\n\n    It raises an error when there is nothing to list. More.\n"
    assert first_paragraph(told) == "Return a list. Of things."
    assert second_sentence(told) == "It raises an error when there is nothing to list."
    assert second_sentence("Only one paragraph here.") == ""
    assert second_sentence("One.\n\n>>> list(range(3)) prints all of it at once") == ""


@pytest.fixture(scope="module")
def expert() -> Expert:
    facts = [
        Chunk(name=f"shop.sell{number}", text=f"shop.sell{number}(): Sell thing {number}.") for number in range(80)
    ]
    source = Source(name="shop", source="a shop", version="1", licence="MIT", domain="code:shop", chunks=tuple(facts))
    encoders = LocalEncoderPool()
    taught: list[int] = []
    built = asyncio.run(build_expert(source, encoders, HASH, taught.append))
    encoders.close()
    assert sum(taught) == 80
    return built


def test_an_expert_is_a_read_only_memory_with_a_card(expert: Expert, tmp_path: Path) -> None:
    file = tmp_path / "shop.nmem"
    size_bytes = asyncio.run(write_whole(expert.archive(), file))
    assert size_bytes == expert.size_bytes == file.stat().st_size
    card = card_of(expert.head)
    assert (card.name, card.licence, card.chunks, card.questions) == ("shop", "MIT", 80, 80)
    assert card.questions_from == "half of the words of a passage"
    assert 0.5 < card.recall <= 1.0

    async def loaded() -> None:
        encoders = LocalEncoderPool()
        backend = LocalBackend(RamStore("load-expert"), encoders)
        name = MemoryName("mine")
        try:
            await backend.import_memory(name, file_pieces(file))
            answer = await backend.infer(name, "sell thing 7", InferOptions())
            assert any("sell7()" in exemplar.text for match in answer.patterns for exemplar in match.exemplars)
            with pytest.raises(ReadOnly):
                await backend.observe(name, [Observation(text="More.")], ObserveOptions())
        finally:
            await backend.close()
            encoders.close()

    asyncio.run(loaded())


def test_files_become_an_expert_that_must_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Leave\nForty days a year.\n\nSickness is told by nine.\n")
    source = expert_source([str(tmp_path / "*.md")], name="handbook", licence="internal", start=tmp_path)
    assert [chunk.text for chunk in source.chunks] == ["# Leave\nForty days a year.", "Sickness is told by nine."]
    with pytest.raises(InvalidInput):
        expert_source([str(tmp_path / "*.md")], name=None, licence=None, start=tmp_path)


def test_questions_are_drawn_alike_and_read_from_files(tmp_path: Path) -> None:
    chunks = [
        Chunk(name=f"n{row}", text=f"n{row}: text", held_out="A sentence of six words here.") for row in range(300)
    ]
    asked, made_from = generated_questions(chunks)
    assert (len(asked), made_from) == (200, "sentences that were not taught")
    assert generated_questions(chunks)[0] == asked
    assert len(read_questions(Path("examples/python_questions.jsonl"))) == 20
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "x"}))
    with pytest.raises(InvalidInput):
        read_questions(tmp_path / "q.jsonl")

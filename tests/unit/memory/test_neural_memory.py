"""The facade of a notebook."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import memory_core
from memory_core import NeuralMemory
from memory_core.errors import Conflict, CorruptData, InvalidInput, LearningFailed, NotFound, ReadOnly

SMALL: dict[str, Any] = {"encoder": "hash", "units": 64, "rows": 256, "heads": 4, "active_rows": 16}
TALK = ["Ann: I moved to Lisbon in April.", "Ben: Which quarter do you live in?", "Ann: Alfama, near the castle."]


@pytest.fixture
def memory() -> NeuralMemory:
    memory = NeuralMemory.create(**SMALL)
    memory.observe(TALK, session="talk", domain="life")
    return memory


def test_the_example_in_its_documentation_runs() -> None:
    import memory_core.memory

    result = doctest.testmod(memory_core.memory)
    assert (result.failed, result.attempted > 5) == (0, True)


def test_the_page_about_the_library_runs_without_ray(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "library.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    program += "\nimport sys\nassert 'ray' not in sys.modules and 'fastapi' not in sys.modules\n"
    environment = {**os.environ, "PYTHONPATH": str(Path(memory_core.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert "Ann: In winter it leaves at noon." in done.stdout


def test_importing_the_package_loads_no_torch() -> None:
    program = "import sys, memory_core; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nonsense"):
        memory_core.Nonsense  # noqa: B018


def test_everything_a_memory_can_do_is_there(memory: NeuralMemory) -> None:
    assert memory.infer("Where did Ann move?", pattern_limit=1, domain="life").patterns[0].exemplars[0].text == TALK[0]
    assert memory.surprise(TALK[0]).recommendation == "skip"
    assert memory.predict_next("Which quarter do you live in?").continuations[0].exemplar.text == TALK[2]
    assert memory.predict_next(session="talk").based_on == "session"
    assert "Alfama" in {word for pattern in memory.explain(domain="life").patterns for word in pattern.words}
    assert memory.attention_map("castle", top_k=1).rows[0].exemplar.text == TALK[2]
    assert memory.consolidate().patterns_merged == 0
    assert memory.stats().pattern_count == 3
    assert memory.stats(detailed=True).capacity.replay_recall.value == 1.0
    assert memory.stats().capacity is None
    assert repr(memory) == "NeuralMemory(hash, sparse, 3 observations, 3/64)"


def test_answers_can_be_kept_to_a_range_of_time(memory: NeuralMemory) -> None:
    memory.observe("The ferry costs nine euros.", occurred_at="2025-03-01T10:00:00Z")
    memory.observe("The ferry costs ten euros.", occurred_at="2026-03-01T10:00:00Z")

    def answered(**options: str) -> set[str]:
        found = memory.infer("What does the ferry cost?", **options)
        return {item.text for match in found.patterns for item in match.exemplars}

    assert answered(occurred_to="2025-03-01") == {"The ferry costs nine euros."}
    assert answered(occurred_from="2025-12-31") == {"The ferry costs ten euros."}
    assert TALK[0] in answered()
    with pytest.raises(InvalidInput, match="time range"):
        answered(occurred_from="soon")


def test_a_forgotten_subject_leaves_with_a_measured_receipt(memory: NeuralMemory) -> None:
    told = memory.forget("Lisbon", is_dry_run=True)
    assert [item.text for item in told.exemplars] == [TALK[0]]
    assert memory.stats().pattern_count == 3
    receipt = memory.forget("Lisbon")
    assert (receipt.exemplars_removed, receipt.recall_before, receipt.recall_after) == (1, 1.0, 0.0)
    assert receipt.surprise_after > receipt.surprise_before
    assert memory.stats().pattern_count == 2


def test_a_saved_memory_goes_on_bit_by_bit(memory: NeuralMemory, tmp_path: Path) -> None:
    memory.save(tmp_path / "talk.memory")
    loaded = NeuralMemory.load(tmp_path / "talk.memory")
    assert loaded.config == memory.config
    for one in (memory, loaded):
        one.observe("Ben: Do the trams wake you up?", session="talk", metadata={"year": 2026})
    assert loaded.state.weight_hash() == memory.state.weight_hash()
    assert [file.name for file in tmp_path.iterdir()] == ["talk.memory"]


def test_saving_again_replaces_the_file(memory: NeuralMemory, tmp_path: Path) -> None:
    memory.save(tmp_path / "m")
    memory.observe("Herons wait for fish.")
    memory.save(tmp_path / "m")
    assert len(NeuralMemory.load(tmp_path / "m")) == 4


def test_a_fork_lives_its_own_life_and_can_be_merged_back_once(memory: NeuralMemory) -> None:
    fork = memory.fork()
    fork.observe("Herons wait for fish.")
    assert (len(memory), len(fork)) == (3, 4)
    assert memory.diff(fork).only_there_count == 1
    assert len(memory.merge(fork)) == 1
    assert memory.merge(fork) == ()
    assert memory.diff(fork).only_there_count == 0


def test_files_that_are_no_memory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        NeuralMemory.load(tmp_path / "none")
    (tmp_path / "text").write_text("not a memory")
    save_file({"a": torch.zeros(1)}, tmp_path / "tensors")
    for name in ("text", "tensors"):
        with pytest.raises(CorruptData):
            NeuralMemory.load(tmp_path / name)


def test_a_file_cut_short_is_refused(memory: NeuralMemory, tmp_path: Path) -> None:
    memory.save(tmp_path / "m")
    whole = (tmp_path / "m").read_bytes()
    (tmp_path / "m").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CorruptData):
        NeuralMemory.load(tmp_path / "m")


def test_a_folder_that_does_not_exist_is_named(memory: NeuralMemory, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="missing"):
        memory.save(tmp_path / "missing" / "m")


@pytest.mark.parametrize("variant", ["sparse", "linear", "mlp", "titans"])
@pytest.mark.parametrize("failure", [LearningFailed("a step", hint="none"), KeyboardInterrupt()])
def test_an_observation_that_breaks_half_way_leaves_the_memory_as_it_was(
    variant: str, failure: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = NeuralMemory.create(**SMALL, variant=variant)
    memory.observe(TALK, session="talk")
    before, network = memory.state.clone(), type(memory.state.network)
    learn, calls = network.update, iter(range(9))

    def breaks(self: Any, *arguments: Any) -> Any:
        if next(calls) == 1:
            raise failure
        return learn(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(network, "update", breaks)
        with pytest.raises(type(failure)):
            memory.observe([f"Depot {number} keeps part {number * 37}." for number in range(300)], session="talk")
    assert memory.state.weight_hash() == before.weight_hash()
    assert memory.state.to_parts().header == before.to_parts().header
    assert memory.infer("Which quarter does Ann live in?") == NeuralMemory(before, memory._encoder).infer(
        "Which quarter does Ann live in?"
    )
    memory.observe("Ben: Do the trams wake you up?", session="talk")
    assert len(memory) == 4


def test_mistakes_are_typed_errors(memory: NeuralMemory) -> None:
    with pytest.raises(InvalidInput):
        NeuralMemory.create(encoder="hash", colour="red")
    with pytest.raises(InvalidInput):
        NeuralMemory.create(encoder="magic")
    with pytest.raises(ReadOnly):
        NeuralMemory.create(**SMALL, learning_rate=0.0).observe("a")
    memory.state.config = memory.config.with_changes(encoder_fingerprint="another")
    with pytest.raises(Conflict):
        memory.fork()

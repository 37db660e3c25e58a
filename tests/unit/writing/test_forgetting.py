"""Forgetting in storage: what files hold afterwards, what a crash leaves, who else keeps the text."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory_core import engine
from memory_core.errors import Conflict, InvalidInput, NeuralMemoryError, Unavailable
from memory_core.ids import MemoryName, RequestId, Tag
from memory_core.lifecycle import effects as do
from memory_core.lifecycle.effects import Effect
from memory_core.results import ForgetReceipt, ForgetSelection, InferOptions, ObserveOptions
from memory_core.storage.local_store import LocalStore
from memory_core.storage.object_store import ObjectStore
from memory_core.testing.small_memory import encode_observations, encode_texts, small_config
from memory_core.volume import Volume
from memory_core.writer import MemoryWriter, WriterSettings

NAME, OTHER = MemoryName("m"), MemoryName("other")
SECRET = "Ana Petrovic keeps her passport in the blue drawer."
REST = ("Herons wait for fish.", "The lease ends in June.", "Copper conducts heat well.")
ANA = ForgetSelection(subject="Ana Petrovic")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "volume"


@pytest.fixture
def store(folder: Path) -> ObjectStore:
    store = LocalStore(folder)
    for name in (NAME, OTHER):
        Volume(store).create(name, small_config())
    return store


@pytest.fixture
def open_writer(store: ObjectStore) -> Iterator[Callable[..., MemoryWriter]]:
    opened: list[MemoryWriter] = []

    def open_it(name: MemoryName = NAME, on_effect: Callable[[Effect], None] | None = None) -> MemoryWriter:
        opened.append(MemoryWriter.open(store, name, WriterSettings(on_effect=on_effect)))
        return opened[-1]

    yield open_it
    for writer in opened:
        writer.close(must_fold=False)


def learn(writer: MemoryWriter, *texts: str, request_id: str | None = None) -> None:
    writer.observe(encode_observations(*texts), ObserveOptions(request_id=request_id and RequestId(request_id)))


def forget(writer: MemoryWriter, selection: ForgetSelection = ANA, *, is_dry_run: bool = False) -> ForgetReceipt:
    return writer.forget(selection, encode_texts(writer.texts_to_forget(selection)), is_dry_run=is_dry_run)


def files_with(folder: Path, text: str) -> list[str]:
    """Files that hold the text, also as it stands inside JSON inside a tensor of bytes."""
    needles = {text.encode(), json.dumps(text)[1:-1].encode()}
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(
        str(path.relative_to(folder)) for path in files if any(needle in path.read_bytes() for needle in needles)
    )


def recalled(writer: MemoryWriter) -> set[str]:
    answer = writer.infer(encode_texts([SECRET])[0], InferOptions(pattern_limit=50))
    return {item.text for match in answer.patterns for item in match.exemplars}


def test_no_file_of_the_memory_holds_the_text_afterwards(
    open_writer: Callable[..., MemoryWriter], folder: Path
) -> None:
    writer = open_writer()
    learn(writer, REST[0], SECRET)
    writer.close()
    writer = open_writer()
    learn(writer, SECRET, *REST[1:], request_id="r")
    assert len(files_with(folder, SECRET)) >= 2
    receipt = forget(writer)
    assert files_with(folder, SECRET) == []
    assert (receipt.exemplars_removed, receipt.recall_before, receipt.recall_after) == (1, 1.0, 0.0)
    assert (receipt.checkpoints_holding, receipt.forks_holding) == ((), ())
    assert recalled(writer) == set(REST)
    assert recalled(open_writer()) == set(REST)


def test_published_versions_and_their_forks_keep_it_and_are_named(
    open_writer: Callable[..., MemoryWriter], store: ObjectStore, folder: Path
) -> None:
    writer = open_writer()
    writer.checkpoint(Tag("before"))
    learn(writer, SECRET, *REST)
    writer.checkpoint(Tag("with-it"))
    Volume(store).fork(NAME, Tag("with-it"), MemoryName("child"))
    Volume(store).fork(NAME, Tag("before"), MemoryName("innocent"))
    receipt = forget(writer)
    assert (receipt.checkpoints_holding, receipt.forks_holding) == (("with-it",), ("child",))
    assert all(path.startswith("blobs/") for path in files_with(folder, SECRET))
    assert SECRET in recalled(open_writer(MemoryName("child")))
    writer.checkpoint(Tag("after"))
    assert forget(writer).checkpoints_holding == ("with-it",)


def test_another_memory_keeps_its_own(open_writer: Callable[..., MemoryWriter], folder: Path) -> None:
    learn(open_writer(OTHER), SECRET)
    writer = open_writer()
    learn(writer, SECRET, *REST)
    forget(writer)
    uid = json.loads((folder / "names" / OTHER).read_text())
    assert all(json.dumps(uid).find(path.split("/")[1]) >= 0 for path in files_with(folder, SECRET))
    assert recalled(open_writer(OTHER)) == {SECRET}


def test_a_dry_run_lists_what_would_go_and_changes_nothing(open_writer: Callable[..., MemoryWriter]) -> None:
    writer = open_writer()
    learn(writer, SECRET, *REST)
    before = writer.stats().weight_hash
    receipt = forget(writer, is_dry_run=True)
    assert [item.text for item in receipt.exemplars] == [SECRET]
    assert receipt.is_dry_run
    assert (receipt.recall_after, writer.stats().weight_hash) == (0.0, before)


def test_a_late_repetition_of_the_forgotten_request_is_refused(open_writer: Callable[..., MemoryWriter]) -> None:
    writer = open_writer()
    learn(writer, SECRET, request_id="r")
    learn(writer, *REST, request_id="s")
    forget(writer)
    with pytest.raises(Conflict):
        learn(open_writer(), SECRET, request_id="r")
    learn(open_writer(), *REST, request_id="s")


@pytest.mark.parametrize(
    "effect", [do.ComputeForgetting, do.PublishHead, do.VerifyEpoch, do.AdoptState, do.PurgeStorage]
)
def test_a_crash_leaves_the_old_or_the_new_memory_and_a_repetition_completes_it(
    open_writer: Callable[..., MemoryWriter], folder: Path, effect: type[Effect]
) -> None:
    is_armed: list[bool] = []

    def break_down(now: Effect) -> None:
        if is_armed and isinstance(now, effect):
            raise Unavailable("The disk is gone.")

    writer = open_writer(on_effect=break_down)
    learn(writer, SECRET, *REST)
    writer.checkpoint(Tag("v"))
    learn(writer, "Saturn would float.")
    is_armed.append(True)
    with pytest.raises(NeuralMemoryError):
        forget(writer)
    after = open_writer()
    known = recalled(after) & {SECRET, *REST}
    assert known == ({SECRET, *REST} if effect in {do.ComputeForgetting, do.PublishHead} else set(REST))
    forget(after)
    assert all(path.startswith("blobs/") for path in files_with(folder, SECRET))
    assert recalled(after) == {*REST, "Saturn would float."}


def test_blobs_that_only_an_older_head_named_go_too(open_writer: Callable[..., MemoryWriter], folder: Path) -> None:
    writer = open_writer()
    learn(writer, SECRET, *REST)
    writer.checkpoint(Tag("v"))
    for path in folder.rglob("checkpoints/v.json"):
        path.unlink()
    forget(writer)
    assert files_with(folder, SECRET) == []


def test_learning_goes_on_and_survives(open_writer: Callable[..., MemoryWriter]) -> None:
    writer = open_writer()
    learn(writer, SECRET, *REST)
    forget(writer)
    learn(writer, "Saturn would float.")
    before = writer.stats()
    after = open_writer().stats()
    assert (after.weight_hash, after.seq, after.observation_count) == (before.weight_hash, 5, 5)


def test_a_selection_without_sense_is_refused_and_the_writer_lives_on(open_writer: Callable[..., MemoryWriter]) -> None:
    writer = open_writer()
    for call in (writer.texts_to_forget, writer.forget):
        with pytest.raises(InvalidInput):
            call(ForgetSelection())
    assert writer.is_usable
    assert engine.capacity_used(writer._memory.state) == 0.0

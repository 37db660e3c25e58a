"""The command line refuses what cannot be taught before anything is written, and shows jobs of a volume."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli.batch_commands import batch_app
from deployments.job_bar import said
from memory_core.errors import NeuralMemoryError
from memory_core.jobs.plan import JobId
from memory_core.jobs.record import JobShelf
from memory_core.storage.open_store import open_store
from tests.unit.jobs.conftest import SENTENCES, Corpus


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "volume"
    monkeypatch.setenv("MEMORY_STORAGE_PATH", str(folder))
    monkeypatch.setenv("ENCODER", "hash")
    return folder


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"id,body\n1,x\n", "FIELD_MISSING"),
        ("a.txt", b"\x89PNG\r\n\0\0\0", "SOURCE_NOT_TEXT"),
        ("a.md", None, "SOURCE_NOT_FOUND"),
        ("a.bin", b"x", "SOURCE_FORMAT"),
        ("a.jsonl", b"no json\n", "SOURCE_NOT_READABLE"),
        ("a.parquet", b"PAR1", "SOURCE_NOT_READABLE"),
        ("a.csv", b"", "INVALID_INPUT"),
    ],
)
def test_what_cannot_be_taught_leaves_no_job_and_no_memory(
    volume: Path, tmp_path: Path, name: str, content: bytes | None, code: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    arguments = ["observe", str(tmp_path / name), "--memory", "team", "--create", "--local"]
    result = CliRunner().invoke(batch_app, arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, NeuralMemoryError)
    assert result.exception.code == code
    assert result.exception.hint
    store = open_store(volume.as_uri())
    assert store.list_objects("jobs/") == store.list_objects("names/") == []


def test_jobs_of_a_volume_are_shown_and_cancelled(volume: Path, corpus: Corpus) -> None:
    corpus.write("a.jsonl", [{"text": text} for text in SENTENCES])
    JobShelf(open_store(volume.as_uri())).accept(corpus.plan(job_id=JobId("job-1")))
    shown = CliRunner().invoke(batch_app, ["list", "--local"])
    assert "job-1  pending" in shown.output
    cancelled = CliRunner().invoke(batch_app, ["cancel", "job-1", "--local", "--json"])
    assert json.loads(cancelled.output)["status"] == "cancelled"
    status = CliRunner().invoke(batch_app, ["status", "job-1", "--local"])
    assert "job-1 cancelled: 0 items" in status.output


def test_the_bar_says_what_people_ask(volume: Path, corpus: Corpus) -> None:
    corpus.write("a.jsonl", [{"text": text} for text in SENTENCES])
    shelf = JobShelf(open_store(volume.as_uri()))
    shelf.accept(corpus.plan())
    assert said(shelf.info(JobId("job"))) == "0 items  0 obs/s  surprise 0.00"

"""The command line against a fake service: what it prints, what it sends, how it fails."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster.placement_report import PlacementReport
from deployments.cli import connection, main
from deployments.cli.app import app
from deployments.health import Readiness
from deployments.http.api import build_api
from deployments.http.services import Services
from deployments.http_client import RemoteBackend
from memory_core.errors import InvalidInput, NeuralMemoryError
from memory_core.ids import EncoderId, MemoryName
from tests.unit.deployments.fake_backend import FakeBackend, FakeEncoderPool

Run = Callable[..., Result]


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    backend, pool = FakeBackend(), FakeEncoderPool()
    hash_ = EncoderId("hash")

    async def owner_pid(_: MemoryName) -> int:
        return 1

    async def placement(name: MemoryName) -> PlacementReport:
        return PlacementReport(
            memory=name, status="pending: needs 1 GPU", host="memory:v:u", is_shared=False, reasons=("It needs 1 GPU.",)
        )

    services = Services(
        backend=backend,
        encoders=pool,
        encoder=hash_,
        readiness=Readiness(backend=backend, encoders=pool, encoder=hash_),
        max_body_bytes=1024 * 1024,
        owner_pid=owner_pid,
        placement=placement,
    )

    def connect(*, url: str | None, is_local: bool) -> RemoteBackend:
        assert not is_local
        return RemoteBackend(url or "http://test", transport=httpx.ASGITransport(app=build_api(services)))

    monkeypatch.setattr(connection, "connect", connect)
    return backend


@pytest.fixture
def run(backend: FakeBackend) -> Run:
    def invoke(*arguments: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, arguments, input=stdin)

    assert invoke("create", "notes").exit_code == 0
    return invoke


def printed_json(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    parsed = json.loads(result.stdout)
    assert isinstance(parsed, dict)
    return parsed


def test_a_text_is_learned_and_recalled(run: Run) -> None:
    assert "Learned 1 observations" in run("observe", "notes", "cats sleep all day").stdout
    assert "cats sleep all day" in run("infer", "notes", "what do cats do").stdout
    assert "surprise 0.000: skip" in run("surprise", "notes", "cats sleep all day").stdout


def test_every_line_or_paragraph_of_a_file_is_an_observation(run: Run, backend: FakeBackend, tmp_path: Path) -> None:
    file = tmp_path / "facts.txt"
    file.write_text("one\n  two\n\nthree\nfour\n", encoding="utf-8")
    assert printed_json(run("observe", "notes", "--file", str(file), "--json"))["observations"] == 4
    assert printed_json(run("observe", "notes", "-f", str(file), "--split", "paragraph", "--json"))["observations"] == 2
    assert backend.memories[MemoryName("notes")].texts[:4] == ["one", "two", "three", "four"]
    assert backend.memories[MemoryName("notes")].texts[4:] == ["one\n  two", "three\nfour"]


def test_standard_input_is_read_when_the_text_is_a_dash(run: Run, backend: FakeBackend) -> None:
    assert run("observe", "notes", "-", "--batch", "2", stdin="a\nb\nc\n").exit_code == 0
    assert backend.memories[MemoryName("notes")].texts == ["a", "b", "c"]


def test_json_output_is_one_object_with_the_rate(run: Run) -> None:
    summary = printed_json(run("observe", "notes", "fact", "--json"))
    assert summary["obs_per_s"] > 0
    assert (summary["observations"], summary["surprise_mean"], len(summary["outcomes"])) == (1, 1.0, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("stats", "notes"),
        ("stats", "notes", "--detailed"),
        ("infer", "notes", "fact"),
        ("surprise", "notes", "fact"),
        ("consolidate", "notes"),
        ("explain", "notes"),
        ("attention", "notes", "fact"),
        ("predict-next", "notes", "fact"),
        ("diff", "notes", "--other-tag", "v0"),
        ("merge", "notes", "notes", "--tag", "v0"),
        ("checkpoint", "notes", "v1"),
        ("checkpoints", "notes"),
        ("restore", "notes", "v0"),
        ("fork", "notes", "v0", "copy"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_every_command_prints_for_people_and_for_programs(run: Run, arguments: tuple[str, ...]) -> None:
    run("observe", "notes", "fact")
    run("checkpoint", "notes", "v0")
    assert isinstance(printed_json(run(*arguments, "--json")), dict)
    if arguments[0] in {"checkpoint", "fork"}:
        arguments = (*arguments[:-1], "other")
    assert run(*arguments).exit_code == 0


def test_forks_are_made_taught_compared_and_promoted(run: Run, backend: FakeBackend) -> None:
    run("checkpoint", "notes", "v0")
    assert printed_json(run("fork", "notes", "v0", "try", "--count", "2", "--json"))["forks"] == ["try-1", "try-2"]
    assert run("family", "notes").output.split() == ["try-1", "try-2"]
    assert len(printed_json(run("observe-all", "notes", "both", "--json"))["answers"]) == 2
    run("observe", "try-2", "a fact")
    ranked = printed_json(run("compare", "notes", "-", "--json", stdin="a fact?\ta fact\n"))["forks"]
    assert [(one["memory"], one["recall"]) for one in ranked] == [("try-2", 1.0), ("try-1", 0.0)]
    for command in (("observe-all", "notes", "more"), ("compare", "notes", "a fact"), ("promote", "try-2", "v1")):
        assert run(*command).exit_code == 0
    assert backend.memories[MemoryName("notes")].texts == backend.memories[MemoryName("try-2")].texts


def test_consolidate_passes_its_settings_on(run: Run, backend: FakeBackend) -> None:
    run("observe", "notes", "fact")
    assert run("consolidate", "notes", "--steps", "3", "--ewc-lambda", "0.5").exit_code == 0
    assert backend.consolidations == [(3, 0.5)]


def test_deleting_asks_first(run: Run, backend: FakeBackend) -> None:
    assert run("delete", "notes", stdin="n\n").exit_code == 1
    assert MemoryName("notes") in backend.memories
    assert run("delete", "notes", "--yes").exit_code == 0
    assert backend.memories == {}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("observe", "notes", " "), "INVALID_INPUT"),
        (("observe", "notes", "a\x00"), "INVALID_INPUT"),
        (("observe", "notes", "\udcff"), "INVALID_INPUT"),
        (("observe", "notes", "x" * 300_000), "TOO_LARGE"),
        (("observe", "notes"), "INVALID_INPUT"),
        (("observe", "notes", "a", "--file", "b"), "INVALID_INPUT"),
        (("observe", "notes", "--file", "/does/not/exist"), "FILE_NOT_FOUND"),
        (("observe", "../etc", "a"), "INVALID_INPUT"),
        (("observe", "nobody", "a"), "MEMORY_NOT_FOUND"),
        (("create", "notes"), "CONFLICT"),
        (("create", "n" * 300), "INVALID_INPUT"),
        (("restore", "notes", "never"), "CHECKPOINT_NOT_FOUND"),
        (("diff", "notes", "--tag", "never"), "CHECKPOINT_NOT_FOUND"),
        (("merge", "notes", "nobody"), "MEMORY_NOT_FOUND"),
        (("attention", "notes", " "), "INVALID_INPUT"),
        (("predict-next", "notes"), "INVALID_INPUT"),
        (("serve", "--log-level", "LOUD"), "INVALID_INPUT"),
    ],
)
def test_a_mistake_is_a_typed_error_with_a_next_step(run: Run, arguments: tuple[str, ...], code: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, NeuralMemoryError)
    assert (result.exception.code, bool(result.exception.hint)) == (code, True)


def test_input_that_is_not_utf8_is_refused_by_its_place(run: Run, backend: FakeBackend) -> None:
    result = run("observe", "notes", "-", stdin=b"fine\n\xff\n")
    assert "byte 5" in str(result.exception)
    assert backend.memories[MemoryName("notes")].texts == []


def test_an_error_is_two_lines_on_stderr_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["neural-memory", "stats", "a/b"])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (1, "")
    assert captured.err.startswith("error INVALID_INPUT: ")
    assert len(captured.err.strip().splitlines()) == 2


def test_nothing_listening_says_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from deployments.ports import free_port

    result = CliRunner().invoke(app, ["list", "--url", f"http://127.0.0.1:{free_port()}"])
    assert "neural-memory serve" in str(result.exception)


def test_stopping_what_does_not_run_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["stop", "--port", "18999"])
    assert isinstance(result.exception, NeuralMemoryError)
    assert result.exception.code == "NOT_RUNNING"


def test_a_taken_port_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import socket

    monkeypatch.setenv("HOME", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(app, ["serve", "--port", str(taken.getsockname()[1])])
        demo = CliRunner().invoke(app, ["demo", "--port", str(taken.getsockname()[1])])
    for refused in (result, demo):
        assert isinstance(refused.exception, NeuralMemoryError)
        assert refused.exception.code == "PORT_TAKEN"


def test_help_loads_neither_torch_nor_ray_nor_a_web_framework() -> None:
    heavy = "{'torch', 'ray', 'fastapi', 'httpx', 'pydantic_settings', 'transformers'}"
    program = f"import sys, deployments.cli.app; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_client_of_a_service_loads_neither_ray_nor_numpy() -> None:
    program = "import sys, deployments.http_client; print({'torch', 'ray', 'numpy', 'fastapi'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_local_work_needs_no_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEMORY_STORAGE_PATH", str(tmp_path))
    monkeypatch.setenv("ENCODER", "hash")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    runner = CliRunner()
    assert runner.invoke(app, ["create", "notes", "--local", "--units", "64"]).exit_code == 0
    assert runner.invoke(app, ["observe", "notes", "cats sleep all day", "--local"]).exit_code == 0
    answer = runner.invoke(app, ["infer", "notes", "cats sleep all day", "--local", "--json"])
    assert json.loads(answer.stdout)["response"] == "cats sleep all day"


def test_forgetting_asks_first_and_tells_what_went_and_who_keeps_it(run: Run, backend: FakeBackend) -> None:
    run("observe", "notes", "ana pays rent")
    run("checkpoint", "notes", "v1")
    memory = backend.memories[MemoryName("notes")]
    assert run("forget", "notes", "ana", stdin="n\n").exit_code != 0
    assert "ana pays rent" in run("forget", "notes", "ana", "--dry-run").stdout
    assert memory.texts == ["ana pays rent"]
    printed = run("forget", "notes", "ana", "--yes").stdout
    assert "Forgot 1 exemplars" in printed
    assert "recall of it    1.00 -> 0.00" in printed
    assert "checkpoints v1" in printed
    assert memory.texts == []


def test_a_memory_is_told_anew_under_a_name_that_says_the_encoder(run: Run, backend: FakeBackend) -> None:
    run("observe", "notes", "ana pays rent")
    assert "notes-hash learned 1 exemplars" in run("re-encode", "notes", "--encoder", "hash").stdout
    assert printed_json(run("re-encode", "notes", "--encoder", "hash", "--to", "anew", "--json"))["memory"] == "anew"


def test_only_an_encoder_over_word_pieces_can_be_distilled(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["encoder", "distill", "--from", "hash", "--out", str(tmp_path / "made")])
    assert isinstance(result.exception, NeuralMemoryError)
    assert "no word pieces" in str(result.exception)
    assert not (tmp_path / "made").exists()


def test_placement_says_where_and_why(run: Run) -> None:
    shown = run("placement", "notes")
    assert shown.exit_code == 0
    assert "pending: needs 1 GPU" in shown.output
    assert "It needs 1 GPU." in shown.output
    assert json.loads(run("placement", "notes", "--json").output)["is_shared"] is False


def test_create_refuses_a_placement_without_sense(run: Run) -> None:
    assert run("create", "fresh", "--isolation", "dedicated", "--pinned").exit_code == 0
    refused = run("create", "other", "--device", "gpu:7.5")
    assert (refused.exit_code, isinstance(refused.exception, InvalidInput)) == (1, True)

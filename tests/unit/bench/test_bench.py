"""The benchmarks measure what they say, on data made here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.bench import retention, speed
from deployments.bench.baselines import BASELINES, WordRows
from deployments.bench.changed_facts import changed_facts
from deployments.bench.cli import bench_app
from deployments.bench.corpus import standard_library_sentences
from deployments.bench.data import load_rows
from deployments.bench.report import auroc, calibration_error
from memory_core.errors import InvalidInput
from memory_core.results import CHANNELS

ROWS = (
    {"id": "a1", "memory": "a", "text": "Ann: The lighthouse opens in May.", "session": "a/s1"},
    {"id": "a2", "memory": "a", "text": "Ben: The ferry costs nine euros.", "session": "a/s1"},
    {"id": "b1", "memory": "b", "text": "Otters hold hands while they sleep.", "time": "now"},
)
QUESTIONS = (
    {"question": "When does the lighthouse open?", "evidence_ids": ["a1"], "category": "x", "memory": "a"},
    {"question": "What does the ferry cost?", "evidence_ids": ["a2"], "category": "x", "memory": "a"},
    {"question": "Who holds hands in their sleep?", "evidence_ids": ["b1"], "category": "x", "memory": "b"},
    {"question": "Never said?", "evidence_ids": ["b1"], "category": "adversarial", "memory": "b"},
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENCODER", "hash")
    (tmp_path / "observations.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    (tmp_path / "queries.jsonl").write_text("\n".join(map(json.dumps, QUESTIONS)))
    return tmp_path


def run_json(*arguments: str) -> dict[str, dict[str, float]]:
    result = CliRunner().invoke(bench_app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.strip().splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.parametrize(("extra", "memories"), [((), 2), (("--pool",), 1)])
def test_recall_reports_every_figure_and_its_conditions(folder: Path, extra: tuple[str, ...], memories: int) -> None:
    report = run_json("recall", "--data", str(folder), *extra)
    names = {"recall@1", "recall@5", "recall@10", "obs_per_s", "infer_ms_p50", "infer_ms_p95"}
    assert names <= report["figures"].keys()
    assert report["figures"]["recall@1"] == 1.0
    assert report["conditions"]["n"] == {"observations": 3, "questions": 3, "memories": memories}
    assert report["conditions"]["encoder"] == "hash"


def test_a_comparison_leaves_each_channel_out_and_asks_what_a_store_would_recall(folder: Path) -> None:
    figures = run_json("recall", "--data", str(folder), "--compare")["figures"]
    names = {name.removeprefix("recall@10_") for name in figures if name.startswith("recall@10_")}
    assert names == {*BASELINES, *(f"{kind}_{channel}" for channel in CHANNELS for kind in ("without", "only"))}
    assert figures["recall@10_cosine"] == figures["recall@1_bm25"] == 1.0


def test_questions_about_what_was_never_said_show_whether_confidence_knows(folder: Path) -> None:
    report = run_json("recall", "--data", str(folder), "--sleep")
    figures = report["figures"]
    assert report["conditions"]["consolidated"]
    assert figures["confidence_never_said"] < figures["confidence_answerable"]
    assert figures["auroc_answerable_never_said"] == 1.0
    assert 0.0 <= figures["calibration_error_all"] <= 1.0


def test_retention_asks_the_first_again_and_draws_the_curve_beyond_the_budget(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MULTIPLES", (1.0, 4.0))
    figures = run_json("retention", "--observations", "200", "--plot", str(folder / "curve.png"))["figures"]
    assert figures["first100_recall@1"] == figures["oldest_tenth_recall"] == 1.0
    assert figures["recall_at_4x"] > 0.3
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_bm25_prefers_rare_words_and_short_texts() -> None:
    rows = WordRows(["a red boat", "a red house by the long and winding river", "green boats", "a red dog"])
    scores = rows.scores("The red boat?")
    assert scores.argmax() == 0
    assert scores[2] > scores[3] > scores[1] > 0


def test_prediction_reports_hits_beside_what_a_store_would_hit(folder: Path) -> None:
    report = run_json("predict", "--data", str(folder))
    assert report["figures"].keys() == {"hit@1", "hit@10", "hit@10_cosine", "hit@10_cosine_order"}
    assert report["figures"]["hit@10"] == report["figures"]["hit@1"] == 1.0
    assert report["conditions"]["n"] == {"observations": 3, "asked": 1, "memories": 2}


def test_surprise_reports_means_and_how_well_labels_are_told_apart(folder: Path) -> None:
    probes = [
        {"text": ROWS[1]["text"], "label": "exact"},
        {"text": "A ferry ride is nine euros.", "label": "paraphrase"},
        {"text": "Glaciers carve fjords.", "label": "novel_in"},
    ]
    data = folder / "probes.json"
    data.write_text(json.dumps({"name": "t", "stored": [row["text"] for row in ROWS], "probes": probes}))
    figures = run_json("surprise", "--data", str(data))["figures"]
    assert figures["mean_exact"] < 0.05 < figures["mean_novel_in"]
    assert figures["auroc_paraphrase_novel_in"] == 1.0
    assert figures["gap_changed_exact"] > 0


def test_data_that_does_not_fit_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "observations.jsonl").write_text(json.dumps(ROWS[0]) + '\n{"id": 3}')
    with pytest.raises(InvalidInput, match="line 2"):
        load_rows(tmp_path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_rows(tmp_path / "nowhere")


def test_auroc_counts_ties_half() -> None:
    assert auroc([0.1, 0.2], [0.3, 0.4]) == 1.0
    assert auroc([0.5], [0.5]) == 0.5
    assert auroc([0.3, 0.4], [0.1]) == 0.0


def test_calibration_error_is_the_distance_of_confidence_and_truth() -> None:
    assert calibration_error([(0.95, True), (0.95, False)]) == pytest.approx(0.45)
    assert calibration_error([(1.0, True), (0.0, False)]) == 0.0


def test_changed_facts_differ_from_their_sentence_in_one_place() -> None:
    sentence = "On Tuesday the office in Oslo was open for 12 hours."
    changed = changed_facts([sentence, "We met Anna there."])
    assert "On Tuesday the office in Oslo was not open for 12 hours." in changed
    assert len(changed) == 5
    assert sentence not in changed
    assert changed == changed_facts([sentence, "We met Anna there."])


def test_the_standard_library_gives_real_sentences() -> None:
    sentences = standard_library_sentences(50)
    assert len(set(sentences)) == 50
    assert all(": " in sentence and sentence.endswith(".") for sentence in sentences)


def test_speed_is_measured_in_a_filled_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "CHUNK", 50)
    monkeypatch.setattr(speed, "CALLS", 5)
    ran = CliRunner().invoke(bench_app, ["speed", "--patterns", "100", "--encoder", "hash", "--json"])
    assert ran.exit_code == 0, ran.output
    figures = json.loads(ran.stdout.splitlines()[-1])["figures"]
    assert figures["patterns"] >= 100
    assert min(figures[name] for name in ("observe_ms_p50", "infer_ms_p50", "chunk_obs_per_s", "cosine_ms_p50")) > 0

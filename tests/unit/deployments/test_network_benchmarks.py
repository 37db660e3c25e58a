"""The network benchmarks: their figures have the promised names, and N95 is read off the curve."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from deployments.bench import throughput
from deployments.bench.capacity import NAMES, run_capacity
from deployments.bench.capacity_curve import Curve
from deployments.bench.exact_table import ExactTable
from deployments.bench.pairs import PairStream


def curve(*points: tuple[int, float]) -> Curve:
    return Curve("any", 1.0, 1.0, pairs=[n for n, _ in points], recalls=[recall for _, recall in points])


def test_n95_lies_between_the_sizes_around_95_percent() -> None:
    assert curve((100, 1.0), (200, 0.97), (400, 0.93), (800, 0.5)).n95() == pytest.approx(200 * 2**0.5)


def test_n95_of_a_network_that_never_falls_is_the_last_size_measured() -> None:
    assert curve((100, 1.0), (200, 0.99)).n95() == 200


def test_n95_of_a_network_that_starts_below_is_zero() -> None:
    assert curve((100, 0.9), (200, 0.4)).n95() == 0


def test_a_curve_has_a_row_per_size() -> None:
    measured = Curve("linear", 1.0, 1.0, pairs=[8], recalls=[0.5], oldest=[0.25], newest=[1.0])
    assert measured.rows() == [
        {"network": "linear", "pairs": 8, "recall@1": 0.5, "oldest_tenth": 0.25, "newest_tenth": 1.0}
    ]


def test_capacity_measures_every_network_and_draws_them(tmp_path: Path) -> None:
    told: list[int] = []
    plot = tmp_path / "plots" / "capacity.png"
    figures, conditions, rows = run_capacity(NAMES, 128, key_dim=32, plot=plot, advance=told.append)
    for name in ("linear", "mlp", "titans", "sparse", "table"):
        assert {f"n95_{name}", f"ms_write_{name}", f"pairs_per_mb_{name}"} <= figures.keys()
    assert figures["chunk_speedup_sparse"] > 0
    assert {row["network"] for row in rows} == set(NAMES)
    assert all(0 <= row["recall@1"] <= 1 for row in rows)
    assert sum(told) == 128 * len(NAMES)
    assert conditions["n"]["pairs_max"] == 128
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_the_exact_table_recalls_everything_until_it_is_full_and_then_loses_the_oldest() -> None:
    stream = PairStream(200, 16, 1, torch.device("cpu"))
    table = ExactTable(16, torch.device("cpu"), capacity=100)
    weights, _, _ = table.update(table.initial(), stream.keys_ND, stream.values(slice(0, 200)), 1.0)
    answers_ND = table.read(weights, stream.keys_ND)
    assert stream.recall(answers_ND[100:], torch.arange(100, 200)) == 1.0
    assert stream.recall(answers_ND[:100], torch.arange(100)) < 0.1


@pytest.mark.filterwarnings("ignore")
def test_cores_measures_the_package_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("titans_pytorch")
    from deployments.bench import cores

    monkeypatch.setattr(cores, "SIZES", (32, 64))
    monkeypatch.setattr(cores, "TIMED_ROUNDS", 1)
    figures, conditions, rows = cores.run_cores(key_dim=16)
    assert figures["ours_over_titans_pytorch_speed"] > 0
    assert {"ours_recall@1_64", "titans_pytorch_recall@1_64"} <= figures.keys()
    assert [row["core"] for row in rows] == [cores.OURS, cores.THEIRS, cores.THEIR_DEFAULT]
    assert conditions["titans_pytorch_setting"]["learning_rate"] in cores.LEARNING_RATES


def test_throughput_measures_every_variant_on_the_devices_present() -> None:
    figures, conditions, rows = throughput.run_throughput(dims=(16,), devices=("cpu",))
    assert [row["variant"] for row in rows] == list(throughput.VARIANTS)
    assert all(row["learned_per_s"] > 0 and row["read_per_s"] > 0 for row in rows)
    assert "learned_per_s_titans_16_cpu" in figures
    assert conditions["gpu"] == "none measured"

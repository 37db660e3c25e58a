"""How full a memory says it is."""

from __future__ import annotations

import pytest

from memory_core import engine
from memory_core.config import MemoryConfig
from memory_core.consolidation.capacity import measured_capacity, wilson_interval
from memory_core.ids import EncoderId, Seq
from memory_core.state import MemoryState
from memory_core.testing.small_memory import small_config, tiny_config, tiny_observations


def filled(config: MemoryConfig, count: int) -> MemoryState:
    state = MemoryState.create(config)
    if count:
        engine.observe(state, tiny_observations(*(f"fact {n}" for n in range(count))), first_seq=Seq(1))
    return state


def test_an_empty_memory_is_empty_by_every_measure() -> None:
    report = engine.measure_capacity(filled(tiny_config(), 0))
    assert (report.capacity_used, report.null_response, report.units_used, report.pairs) == (0.0, 0.0, 0.0, 0)
    assert report.effective_dimension == 0.0


def test_a_memory_that_reads_everything_back_is_as_full_as_its_units() -> None:
    state = filled(tiny_config(), 16)
    report = engine.measure_capacity(state)
    assert report.replay_recall.value == report.replay_recall_oldest.value == 1.0
    assert report.units_used == 0.25
    assert report.capacity_used == pytest.approx(engine.capacity_used(state))
    assert 1.0 < report.effective_dimension <= 16.0
    assert report.null_response > 0.0


def test_fast_weights_that_lost_what_was_written_make_a_memory_full() -> None:
    state = filled(tiny_config(units=256), 64)
    state.fast_weights = state.network.initial()
    report = engine.measure_capacity(state)
    assert report.replay_recall.high < 0.5
    assert report.capacity_used == 1.0
    assert engine.capacity_used(state) < 1.0


def test_pairs_count_against_what_the_weights_were_measured_to_hold() -> None:
    small = small_config(units=4096)
    assert measured_capacity(small) == round(3.66 * 256)
    measured = {"linear": 4572, "mlp": 3016, "titans": 6929, "sparse": 59933}
    for variant, pairs in measured.items():
        standard = MemoryConfig(encoder=EncoderId("e"), encoder_fingerprint="f", key_dim=384, variant=variant)
        assert measured_capacity(standard) == pytest.approx(pairs, rel=0.01)
    linear = tiny_config(variant="linear", units=4096)
    assert engine.capacity_used(filled(linear, 60)) == pytest.approx(60 / measured_capacity(linear))


@pytest.mark.parametrize(("hits", "trials"), [(0, 1), (1, 1), (0, 0), (128, 256), (256, 256)])
def test_an_interval_holds_its_value_and_stays_a_share(hits: int, trials: int) -> None:
    share = wilson_interval(hits, trials)
    assert 0.0 <= share.low <= share.value <= share.high <= 1.0
    assert share.sample == trials


def test_a_larger_sample_is_surer() -> None:
    small, large = wilson_interval(8, 10), wilson_interval(800, 1000)
    assert large.high - large.low < small.high - small.low

"""Keys in eight bits: what is found with them is what is found without."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from memory_core import engine, kernels
from memory_core.ids import MemoryName, Seq
from memory_core.patterns import unit_table
from memory_core.patterns.key_screen import KeyScreen
from memory_core.patterns.unit_table import UnitTable
from memory_core.results import InferOptions, ObserveOutcome
from memory_core.state import MemoryState
from memory_core.testing.small_memory import encode_observations, encode_texts, small_config

NAME = MemoryName("m")
PLACES = ("Oslo", "Lima", "Quito", "Delft", "Cairo", "Turin", "Osaka")
TEXTS = [
    f"The {what} of {place} opens {when}."
    for what in ("museum", "harbour", "library", "old market", "town hall")
    for place in PLACES
    for when in ("at nine", "in spring", "on Tuesday")
]

pytestmark = pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")


def unit_keys(count: int, key_dim: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, key_dim, generator=generator) ** 3, dim=1)


@pytest.mark.parametrize("key_dim", [64, 384])
@pytest.mark.parametrize("queries", [1, 3])
def test_no_score_is_off_by_more_than_is_said(key_dim: int, queries: int) -> None:
    assert kernels.compiled is not None
    keys_UD, screen = unit_keys(900, key_dim, 1), KeyScreen(kernels.compiled, 900, key_dim)
    # Queries of any length; some are keys, whose score is the largest there is.
    queries_QD = torch.cat([3.0 * keys_UD[7:8], unit_keys(queries - 1, key_dim, 2)])
    for used in (500, 900):
        scores_Qu = screen.scores(queries_QD, keys_UD[:used])
        off = np.abs(scores_Qu - (queries_QD @ keys_UD[:used].T).numpy()).max()
        assert 0.0 < off <= screen.error(queries_QD) < 0.3


def test_a_key_that_is_replaced_or_loaded_counts_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit_table, "WORTH_UNITS", 8)
    units, keys_ND = UnitTable(64, 64, torch.device("cpu")), unit_keys(50, 64, 3)
    for slot in range(40):
        units.own(range(slot, slot + 1), keys_ND[slot : slot + 1], [1])

    def nearest(table: UnitTable, key: int) -> int:
        screen = table.screen_for(1)
        assert screen is not None
        return int(screen.scores(keys_ND[key : key + 1], table.keys_uD).argmax())

    assert nearest(units, 11) == 11
    units.release(11)
    units.own(range(11, 12), keys_ND[45:46], [1])
    assert nearest(units, 45) == 11
    units.load(keys_ND[10:50].clone(), np.arange(40, dtype=np.int32))
    assert nearest(units, 11) == 1


def learned(*, worth_units: int, monkeypatch: pytest.MonkeyPatch) -> tuple[MemoryState, list[ObserveOutcome]]:
    monkeypatch.setattr(unit_table, "WORTH_UNITS", worth_units)
    state = MemoryState.create(small_config())
    outcomes = []
    for number, text in enumerate(TEXTS, start=1):
        batch = encode_observations(text, session=f"s{number % 3}")
        outcomes += engine.observe(state, batch, first_seq=Seq(number))[1]
    return state, outcomes


def test_one_at_a_time_the_same_is_learned_and_answered_with_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, expected = learned(worth_units=1 << 30, monkeypatch=monkeypatch)
    screened, outcomes = learned(worth_units=8, monkeypatch=monkeypatch)
    assert plain.bank.units.screen_for(1) is None and screened.bank.units.screen_for(1) is not None
    np.testing.assert_allclose([o.surprise for o in outcomes], [o.surprise for o in expected], atol=1e-5)
    assert [o.patterns_activated for o in outcomes] == [o.patterns_activated for o in expected]
    np.testing.assert_allclose(screened.bank.column("crowding_U"), plain.bank.column("crowding_U"), atol=1e-5)
    for query in encode_texts(["When does the library of Quito open?", "The old market of Lima opens in winter."]):
        found, wanted = (engine.infer(state, NAME, query, InferOptions()) for state in (screened, plain))
        assert [match.pattern for match in found.patterns] == [match.pattern for match in wanted.patterns]
        assert found.confidence == pytest.approx(wanted.confidence, abs=0.01)
        scores = [engine.surprise(state, NAME, query).score for state in (screened, plain)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_a_state_that_was_stored_goes_on_bit_by_bit_while_patterns_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit_table, "WORTH_UNITS", 8)
    config = small_config(units=24)
    state = MemoryState.create(config)
    for number, text in enumerate(TEXTS, start=1):
        if number == 60:
            again = MemoryState.from_parts(config, state.to_parts())
        batch = encode_observations(text)
        engine.observe(state, batch, first_seq=Seq(number))
        if number >= 60:
            engine.observe(again, batch, first_seq=Seq(number))
    assert again.weight_hash() == state.weight_hash()


def test_the_codes_count_as_ram_of_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config(units=64)
    plain = MemoryState.create(config)
    monkeypatch.setattr(unit_table, "WORTH_UNITS", 8)
    screened = MemoryState.create(config)
    assert screened.allocated_bytes - plain.allocated_bytes == 64 * (config.key_dim + 4)

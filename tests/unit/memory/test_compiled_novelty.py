"""What is near and how novel it is: the compiled loops beside the plain forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core import engine, kernels
from memory_core.ids import MemoryName, Seq
from memory_core.kernels import CANDIDATES, Kernels
from memory_core.patterns import unit_table
from memory_core.patterns.comparing import means
from memory_core.patterns.near import NearFew, near_few
from memory_core.patterns.unit_table import UnitTable
from memory_core.results import ObserveOutcome
from memory_core.state import MemoryState
from memory_core.testing.small_memory import encode_observations, encode_texts, small_config

PLACES = ("Oslo", "Lima", "Quito", "Delft", "Cairo", "Turin", "Osaka")
TEXTS = [
    f"The {what} of {place} opens {when}."
    for what in ("museum", "harbour", "library", "old market")
    for place in PLACES
    for when in ("at nine", "in spring", "on Tuesday")
]
LONG = " ".join(f"{word} and nothing else is what it says here." for word in PLACES * 3)

pytestmark = pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")


def loops() -> Kernels:
    assert kernels.compiled is not None
    return kernels.compiled


def learned(texts: list[str], *, size: int, units: int) -> tuple[MemoryState, list[ObserveOutcome]]:
    state, outcomes = MemoryState.create(small_config(units=units)), []
    for start in range(0, len(texts), size):
        batch = encode_observations(*texts[start : start + size], session=f"s{start % 3}")
        outcomes += engine.observe(state, batch, first_seq=Seq(start + 1))[1]
    return state, outcomes


@pytest.mark.parametrize(("size", "units"), [(1, 400), (7, 400), (84, 400), (1, 40), (9, 40)])
def test_the_same_is_learned_with_and_without(monkeypatch: pytest.MonkeyPatch, size: int, units: int) -> None:
    # Some come again, alone and within one batch; one is long, and one has many different words.
    texts = [*TEXTS[:40], *TEXTS[10:20], *TEXTS[:3], LONG, " ".join(f"word{n}" for n in range(90)), *TEXTS[40:], LONG]
    state, outcomes = learned(texts, size=size, units=units)
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "compiled", None)
        plain, expected = learned(texts, size=size, units=units)
    np.testing.assert_allclose([o.surprise for o in outcomes], [o.surprise for o in expected], atol=1e-5)
    assert [o.patterns_activated for o in outcomes] == [o.patterns_activated for o in expected]
    np.testing.assert_allclose(state.bank.column("crowding_U"), plain.bank.column("crowding_U"), atol=1e-5)
    for query in encode_texts([TEXTS[5], "The library of Quito opens in winter.", LONG]):
        found, wanted = (engine.surprise(memory, MemoryName("m"), query) for memory in (state, plain))
        assert (found.nearest_pattern, found.recommendation) == (wanted.nearest_pattern, wanted.recommendation)
        assert found.score == pytest.approx(wanted.score, abs=1e-5)


@pytest.fixture
def screening() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unit_table, "WORTH_UNITS", 8)
        yield


def table_of(sizes: list[int], key_dim: int, is_in_order: bool, seed: int) -> UnitTable:
    generator = torch.Generator().manual_seed(seed)
    units = UnitTable(sum(sizes) + 8, key_dim, torch.device("cpu"))
    keys_SD = torch.nn.functional.normalize(torch.randn(sum(sizes) + 3, key_dim, generator=generator), dim=1)
    units.own(range(len(sizes)), keys_SD[:-3], sizes)
    if not is_in_order:
        units.release(1)
        units.own(range(1, 2), keys_SD[-3:], [3])
    return units


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 3), min_size=12, max_size=300),
    asked=st.lists(st.integers(1, 3), min_size=1, max_size=9),
    crowding=st.sampled_from([-1.0, 0.0, 0.3, 0.9]),
    is_in_order=st.booleans(),
    seed=st.integers(0, 99),
)
@pytest.mark.usefixtures("screening")
def test_what_is_near_is_what_all_scores_say(
    sizes: list[int], asked: list[int], crowding: float, is_in_order: bool, seed: int
) -> None:
    units = table_of(sizes, 40, is_in_order, seed)
    keys_SD = torch.nn.functional.normalize(torch.randn(sum(asked), 40, generator=torch.Generator().manual_seed(seed)))
    crowding_n = np.full(len(sizes), crowding, dtype=np.float32)
    near = near_few(loops(), units, keys_SD, asked, crowding_n)
    cosine_Pn = means(units.best_per_pattern(units.scores(keys_SD)), asked)
    expected_PC = np.sort(cosine_Pn, axis=1)[:, ::-1][:, :CANDIDATES]
    np.testing.assert_allclose(near.cosine_PC[:, : expected_PC.shape[1]], expected_PC, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(cosine_Pn, near.slots_PC, axis=1), near.cosine_PC, atol=1e-5)
    assert (near.slots_PC >= 0).sum() == expected_PC.size
    exceeding = set(zip(near.passage_E.tolist(), near.slot_E.tolist(), strict=True))
    assert len(exceeding) == len(near.passage_E) and (np.diff(near.passage_E) >= 0).all()
    wanted = {(int(row), int(slot)) for row, slot in zip(*np.nonzero(cosine_Pn > crowding), strict=True)}
    # Only rounding may tell them apart.
    assert all(abs(cosine_Pn[entry] - crowding) < 1e-5 for entry in exceeding ^ wanted)
    np.testing.assert_allclose(near.cosine_E, cosine_Pn[near.passage_E, near.slot_E], atol=1e-5)


def near_arrays(passages: int = 1, patterns: int = 2) -> list[Any]:
    return list(NearFew.empty(passages, 4, np.zeros(patterns, dtype=np.float32)))


def floats(*shape: int) -> np.ndarray:
    return np.zeros(shape, dtype=np.float32)


def alone(**changed: Any) -> list[Any]:
    given: dict[str, Any] = {
        "queries": floats(1, 4), "codes": np.zeros((3, 4), np.int8), "scale": floats(3), "keys": floats(3, 4),
        "starts": np.array([0, 1, 3]), "order": None, "error": 0.1, "near": near_arrays(),
    }  # fmt: skip
    given |= changed
    return [*list(given.values())[:-1], *given["near"]]


def judged(**changed: Any) -> list[Any]:
    near = NearFew.empty(1, 0, np.zeros(2, dtype=np.float32))
    near.slots_PC[0, 0], near.cosine_PC[0, 0] = 1, 0.5
    given: dict[str, Any] = {
        **near._asdict(), "among": None, "segments_P": np.ones(1, np.int32), "segments_U": np.ones(4, np.int32),
        "index_UW": np.zeros((4, 8), np.int32), "frequency_V": np.ones(9, np.int32), "is_content_V": np.ones(9, bool),
        "slot_count": 2, "said_P1": np.array([0, 2]), "said_E": np.array([0, 1]), "kept_P1": np.array([0, 2]),
        "kept_E": np.array([0, 1]), "index_L": np.array([3, 0]), "is_content_L": np.ones(2, bool),
        "recruits_P": np.ones(1, bool), "score_P": np.zeros(1), "nearest_P": np.zeros(1, np.int64),
        "similarity_P": np.zeros(1), "crowding_P": floats(1),
    }  # fmt: skip
    return list((given | changed).values())


def test_what_the_refusals_start_from_is_taken() -> None:
    assert loops().near_alone(*alone()) == 0
    given = judged()
    loops().judge_passages(*given)
    assert (given[21].tolist(), given[22].tolist(), given[-1].tolist()) == ([1], [0.5], [0.5])


@pytest.mark.parametrize(
    "changed",
    [
        {"starts": np.array([0, 1, 4])},
        {"starts": np.array([0, 2, 2])},
        {"order": np.array([0, 1, 3])},
        {"order": np.array([0, 1])},
        {"scale": floats(2)},
        {"queries": floats(0, 4)},
        {"near": near_arrays(patterns=1)},
        {"near": [near_arrays()[0][:, :4], *near_arrays()[1:]]},
    ],
)
def test_a_search_whose_arrays_do_not_fit_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fit|order|outside|contiguous"):
        loops().near_alone(*alone(**changed))


@pytest.mark.parametrize(
    ("starts", "queries", "first", "found"),
    [([0, 1, 4], [0, 1], 0, 0), ([0, 1, 2], [0, 1], 0, 0), ([0, 1, 3], [0, 2], 0, 0), ([0, 1, 3], [0, 1], 1, 0),
     ([0, 1, 3], [0, 1], -1, 0), ([0, 1, 3], [0, 1], 0, -1), ([0, 1, 3], [0, 0], 0, 0)],
)  # fmt: skip
def test_scores_that_do_not_fit_are_refused(starts: list[int], queries: list[int], first: int, found: int) -> None:
    given = (floats(1, 3), np.array(starts), np.array(queries), first, found, *near_arrays())
    with pytest.raises(ValueError, match=r"fit|order|fill|nothing"):
        loops().near_among(*given)


@pytest.mark.parametrize(
    "changed",
    [
        {"slots_PC": np.full((1, CANDIDATES), 2)},
        {"slots_PC": np.full((1, CANDIDATES), -2)},
        {"passage_E": np.array([0]), "slot_E": np.array([2]), "cosine_E": floats(1)},
        {"segments_U": np.ones(1, np.int32)},
        {"is_content_V": np.ones(8, bool)},
        {"said_E": np.array([0, 2])},
        {"said_P1": np.array([0, 1])},
        {"kept_P1": np.array([1, 2])},
        {"index_L": np.array([9, 0])},
        {"recruits_P": np.ones(2, bool)},
        {"crowding_P": floats(2)},
        {"among": floats(2, 2)},
        {"slot_count": -2},
    ],
)
def test_passages_that_do_not_fit_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fit|outside|none of"):
        loops().judge_passages(*judged(**changed))

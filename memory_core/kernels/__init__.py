"""Loops of the core that are compiled from C: what NumPy and PyTorch would spend on calls and on memory read twice.

``compiled`` is the module, or None where there was no compiler when this package was installed. Everything works
without it, only slower: each caller has a plain form, which CUDA and other number types run too and tests compare with.
The loops take and fill contiguous NumPy arrays of the types below, and raise ValueError where their sizes do not fit.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

CANDIDATES: Final = 8
"""Patterns that a passage is compared with."""
CHOSEN_MAX: Final = 256
"""More rows a head than this are chosen by the plain form."""


class Kernels(Protocol):
    """What the compiled module offers; shapes as in the callers named."""

    def scan_codes(self, queries_QD: Floats, codes_UD: NDArray[np.int8], scale_U: Floats, scores_QU: Floats) -> None:
        """Products of queries with keys in eight bits (``patterns.key_screen``)."""

    def code_keys(self, keys_ND: Floats, codes_ND: NDArray[np.int8], scale_N: Floats) -> None:
        """Keys in eight bits and what a step of them is worth (``patterns.key_screen``)."""

    def best_of_runs(self, scores_Qu: Floats, starts_n1: Ints, best_Qn: Floats) -> None:
        """Highest score of each run of units (``patterns.unit_table``)."""

    def highest_of_rows(self, scores_PX: Floats, columns_PK: Ints) -> None:
        """Columns of the highest scores of each row, ascending (``patterns.highest``)."""

    def near_alone(
        self,
        queries_QD: Floats,
        codes_uD: NDArray[np.int8],
        scale_u: Floats,
        keys_uD: Floats,
        starts_n1: Ints,
        order_w: Ints | None,
        error: float,
        *near: NDArray[Any],
    ) -> int:
        """What one passage is near to (``patterns.near``); ``near`` is filled, and how many entries of its lists."""

    def near_among(
        self, scores_Qt: Floats, starts_p1: Ints, queries_P1: Ints, first_slot: int, found: int, *near: NDArray[Any]
    ) -> int:
        """The same for passages and a run of patterns, given their products; goes on from ``found`` entries."""

    def judge_passages(self, *given: NDArray[Any] | int | None) -> None:
        """Novelty of passages, each judged at its turn; ``CompiledComparison`` names what is given."""

    def score_slots(
        self,
        queries_QD: Floats,
        keys_uD: Floats,
        order_w: Ints | None,
        starts_n1: Ints,
        slots_k: Ints,
        best_Qk: Floats,
    ) -> None:
        """Highest product of each query with a key of each of some slots (``patterns.unit_table``)."""

    def standardise(self, scores_n: Floats, standard_n: Floats) -> tuple[float, float]:
        """Scores of zero mean and unit deviation; the mean and the deviation that they had (``patterns.channels``)."""

    def mark_number(self, numbers_n: NDArray[np.int32], number: int, named_n: Floats) -> None:
        """1 wherever the number stands (``patterns.speakers``)."""

    def score_postings(
        self,
        posted_E: Ints,
        lengths_W: Ints,
        rarity_W: Floats,
        length_U: NDArray[np.int32],
        damp: float,
        damp_by_length: float,
        slot_E: Ints,
        score_E: Floats,
    ) -> None:
        """Slots of postings, and their scores by BM25 (``patterns.word_table``)."""

    def add_by_slot(self, slot_E: Ints, score_E: Floats, total_n: Floats) -> None:
        """Of every slot the sum of its scores (``patterns.word_table``)."""

    def lend(
        self,
        strongest_k: Ints,
        links_2UL: NDArray[np.int32],
        counts_2UL: Floats,
        fading_S2: Floats,
        lengths_W: Ints,
        slot_E: Ints,
        score_E: Floats,
        precision_n: Floats,
        words_n: Floats,
        context_n: Floats,
    ) -> None:
        """What neighbours lend to words and context of the strongest patterns and those beside them
        (``patterns.channels``)."""

    def choose_rows(self, scores_NH2S: Floats, rows_NHP: Ints, activations_NHP: Floats) -> None:
        """Rows of an address and their activations, of unit norm a key (``networks.product_keys``)."""

    def step_pairs(
        self,
        table_RV: Floats,
        variance_R: Floats,
        rows_NK: Ints,
        activations_NK: Floats,
        values_NV: Floats,
        losses_N: Floats,
        norms_N: Floats,
        step_size: float,
    ) -> int:
        """Learn pairs one after the other; how many, fewer than all when a number is not finite
        (``networks.sparse``)."""

    def read_pairs(self, table_RV: Floats, rows_NK: Ints, activations_NK: Floats, answers_NV: Floats) -> None:
        """What the fast weights answer (``networks.sparse``)."""

    def value_codes(self, pattern_ids_N: Ints, seed: int, codes_NV: Floats) -> None:
        """Codes of patterns (``networks.codes``)."""

    def code_matches(self, pattern_ids_N: Ints, seed: int, value_V: Floats, matches_N: Floats) -> None:
        """Products of a value with codes (``networks.codes``)."""

    def silu_and_slope(self, z_NO: Floats, offset: float, active_NO: Floats, slope_NO: Floats) -> None:
        """The activation of Titans less an offset, and its derivative (``networks.layers``)."""

    def squared_lengths(self, rows_NI: Floats, squares_N: Floats) -> None:
        """Squared Euclidean length of each row (``networks.layers``)."""


def _load() -> Kernels | None:
    try:
        return cast(Kernels, import_module("memory_core.kernels._compiled"))
    except ImportError:
        return None


compiled: Kernels | None = _load()

"""How full a memory is, measured instead of guessed from gradients.

A. Replay recall: share of a uniform sample of units whose key reads back its pattern's code from the fast weights,
   overall and for the oldest tenth. The sample is drawn anew from the units that are in use: a pattern that was
   replaced is no longer counted here, it shows in C.
B. Null response: energy that 512 fixed random keys, which were never written, read from the weights, relative to a
   code's. 0 when nothing was learned; at a constant step size the load is -ln(1 - u).
C. Share of the units in use.
D. Effective dimension of recent keys, 1 / mean over pairs of (k_i . k_j)^2: a low value says that the keys are too
   alike, not that the memory is full.

``capacity_used`` = max(1 - A rescaled, distinct pairs / measured capacity, C). A is rescaled so that a recall of
0.95, which defines the measured capacities (N95), means full; its upper bound is used, so that a small sample cannot
call a memory full.
Shapes: R units of the sample, N keys, D key_dim.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch

from memory_core.config import MemoryConfig
from memory_core.consolidation.replay import reads_back
from memory_core.ids import Seq
from memory_core.results import CapacityReport, MeasuredShare, RetentionPoint
from memory_core.state import MemoryState

SAMPLE: Final = 256
NULL_KEYS: Final = 512
RECENT_KEYS: Final = 512
OLDEST_SHARE: Final = 0.1
AGES: Final = 8
SAMPLE_PER_AGE: Final = 64
FULL_RECALL: Final = 0.95
_Z95: Final = 1.96
_SEED: Final = 20_250_101

# N95 of ``bench capacity`` in docs/benchmarks.md, on independent keys at D = 384: pairs a row (sparse), or pairs a key
# dimension by the rule of ``linear`` or the variant.
PAIRS_PER_ROW: Final = 3.66
PAIRS_PER_DIM: Final = {"recursive": 11.9, "delta": 11.2, "ttt": 6.0, "mlp": 7.9, "titans": 18.0}


def measured_capacity(config: MemoryConfig) -> int:
    """Pairs that fast weights of this size held at 95% recall when it was measured; other keys may hold fewer."""
    if config.variant == "sparse":
        return max(1, round(PAIRS_PER_ROW * config.rows))
    rule = config.linear_rule if config.variant == "linear" else config.variant
    return max(1, round(PAIRS_PER_DIM[rule] * config.key_dim))


def capacity_used(state: MemoryState) -> float:
    """Units and pairs against their limits, in [0, 1]; cheap, so every observe can say it."""
    pairs = state.config.units - state.bank.units.free_count
    return min(1.0, max(pairs / state.config.units, pairs / measured_capacity(state.config)))


def measure_capacity(state: MemoryState) -> CapacityReport:
    """Everything above, measured now; changes nothing. Takes about as long as 1024 reads and their codes."""
    units = state.bank.units
    owned_u = units.owned()
    age_u = state.bank.columns["born_seq_U"][units.owner_u[owned_u]]
    by_age_u = owned_u[np.argsort(age_u, kind="stable")]
    oldest = by_age_u[: math.ceil(OLDEST_SHARE * len(owned_u))]
    recall, recall_oldest = _replay_recall(state, owned_u), _replay_recall(state, oldest)
    recall_load = min(1.0, max(0.0, (1.0 - recall.high) / (1.0 - FULL_RECALL)))
    return CapacityReport(
        capacity_used=max(capacity_used(state), recall_load),
        replay_recall=recall,
        replay_recall_oldest=recall_oldest,
        null_response=_null_response(state),
        units_used=len(owned_u) / state.config.units,
        pairs=len(owned_u),
        pairs_capacity=measured_capacity(state.config),
        effective_dimension=_effective_dimension(state, owned_u[np.argsort(-age_u, kind="stable")]),
        retention_curve=_retention_curve(state, by_age_u),
    )


def wilson_interval(hits: int, trials: int) -> MeasuredShare:
    """A share with its 95% confidence interval (Wilson 1927), which stays inside [0, 1] for small samples."""
    if not trials:
        return MeasuredShare(value=1.0, low=0.0, high=1.0, sample=0)
    share, z2 = hits / trials, _Z95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return MeasuredShare(
        value=share, low=max(0.0, min(share, centre - half)), high=min(1.0, max(share, centre + half)), sample=trials
    )


def _retention_curve(state: MemoryState, by_age_u: np.ndarray) -> tuple[RetentionPoint, ...]:
    """Recall of up to AGES groups of units that were learned one after the other, oldest first."""
    points = []
    born_U, owner_U = state.bank.columns["born_seq_U"], state.bank.units.owner_u
    for group in np.array_split(by_age_u, min(AGES, len(by_age_u))) if len(by_age_u) else ():
        first, last = (Seq(int(born_U[owner_U[unit]])) for unit in (group[0], group[-1]))
        points.append(RetentionPoint(seq_from=first, seq_to=last, recall=_replay_recall(state, group, SAMPLE_PER_AGE)))
    return tuple(points)


def _replay_recall(state: MemoryState, units_u: np.ndarray, sample: int = SAMPLE) -> MeasuredShare:
    chosen_R = _uniform_sample(units_u, sample)
    if not len(chosen_R):
        return wilson_interval(0, 0)
    return wilson_interval(int(reads_back(state, chosen_R).sum()), len(chosen_R))


def _uniform_sample(units_u: np.ndarray, count: int) -> np.ndarray:
    """The same ``count`` of the same units, each as likely as any other, ascending."""
    if len(units_u) <= count:
        return np.sort(units_u)
    return np.sort(np.random.default_rng(_SEED).choice(units_u, count, replace=False))


def _null_response(state: MemoryState) -> float:
    generator = torch.Generator().manual_seed(_SEED)
    keys_ND = torch.randn(NULL_KEYS, state.config.key_dim, generator=generator).to(state.device)
    answers_NV = state.network.read(state.fast_weights, torch.nn.functional.normalize(keys_ND, dim=-1))
    return float(answers_NV.float().square().sum(-1).mean())


def _effective_dimension(state: MemoryState, newest_u: np.ndarray) -> float:
    """At most D; 0 when there are fewer than two keys."""
    chosen_N = newest_u[:RECENT_KEYS]
    if len(chosen_N) < 2:
        return 0.0
    keys_ND = state.address_keys(state.bank.units.keys_uD[torch.from_numpy(chosen_N)])
    gram_NN = (keys_ND @ keys_ND.T).square()
    pairs = len(chosen_N) * (len(chosen_N) - 1)
    return 1.0 / max(float((gram_NN.sum() - gram_NN.diagonal().sum()) / pairs), 1.0 / state.config.key_dim)

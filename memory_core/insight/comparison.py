"""diff: how one state differs from another, and merge: what another state could teach this one.

Pattern ids mean nothing across states that lived apart, so patterns are the same when one carries the other's first
exemplar (text and domain). Shapes: S units of a pattern, D key_dim.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import torch

from memory_core.config import MemoryConfig
from memory_core.errors import Conflict, InvalidInput
from memory_core.ids import PatternId
from memory_core.insight_results import DiffResult, PatternChange, StateAddress
from memory_core.patterns.channels import score_patterns
from memory_core.patterns.passages import CHARACTERS_MAX
from memory_core.results import EncodedObservation, EncodedText, Exemplar, Observation
from memory_core.state import MemoryState

LIMIT_MAX: Final = 1000
RECALL_SAMPLE: Final = 128

Said = tuple[str, str | None]
"""What tells exemplars apart: text and domain."""


def require_same_encoder(config: MemoryConfig, other: MemoryConfig) -> None:
    """Conflict (ENCODER_MISMATCH) when the keys of two memories cannot be compared."""
    if (config.encoder_fingerprint, config.key_dim) != (other.encoder_fingerprint, other.key_dim):
        raise Conflict(
            f"The memories were made with different encoders ({config.encoder} and {other.encoder}, or two versions).",
            code="ENCODER_MISMATCH",
            hint="Observe the texts of one again in a memory made with the other's encoder.",
        )


def said_in(state: MemoryState) -> dict[Said, int]:
    """The slot that carries each exemplar (the first, when several do)."""
    found: dict[Said, int] = {}
    for slot, exemplars in enumerate(state.bank.exemplars):
        for exemplar in exemplars:
            found.setdefault((exemplar.text, exemplar.domain), slot)
    return found


def diff(
    here: MemoryState, there: MemoryState, addresses: tuple[StateAddress, StateAddress], limit: int = 20
) -> DiffResult:
    """Patterns only in one state, patterns whose texts changed, and how far recall of this state's texts moved.

    ``limit`` (0 to 1000): entries of each list. Raises InvalidInput, and Conflict for different encoders.
    """
    if not 0 <= limit <= LIMIT_MAX:
        raise InvalidInput(f"limit={limit} is not between 0 and {LIMIT_MAX}.", hint="Ask for fewer entries.")
    require_same_encoder(here.config, there.config)
    pairs, only_here = _paired(here, said_in(there))
    _, only_there = _paired(there, said_in(here))
    changed = [change for slot, home in pairs if (change := _change(here, there, slot, home)) is not None]
    recall_here, recall_there = _recalls(here, there)
    return DiffResult(
        memory=addresses[0].memory,
        tag=addresses[0].tag,
        other=addresses[1].memory,
        other_tag=addresses[1].tag,
        only_here_count=len(only_here),
        only_there_count=len(only_there),
        changed_count=len(changed),
        shared_count=len(pairs),
        only_here=tuple(here.bank.exemplars[slot][0] for slot in only_here[:limit]),
        only_there=tuple(there.bank.exemplars[slot][0] for slot in only_there[:limit]),
        changed=tuple(changed[:limit]),
        recall_here=recall_here,
        recall_there=recall_there,
        recall_moved=recall_there - recall_here,
    )


def merge_observations(state: MemoryState, other: MemoryState) -> tuple[list[EncodedObservation], int]:
    """The other state's exemplars that this one does not carry, oldest first, and how many it does carry.

    Each goes with its own domain, session, time and metadata and with the keys of its pattern, so no encoder is
    needed. Raises Conflict for different encoders.
    """
    require_same_encoder(state.config, other.config)
    known, seen = said_in(state), said_in(other)
    new = sorted((item for item in seen.items() if item[0] not in known), key=lambda item: _seq(other, *item))
    observations = [_observation(other, slot, _exemplar(other, said, slot)) for said, slot in new]
    return observations, len(seen) - len(observations)


def _paired(state: MemoryState, known: dict[Said, int]) -> tuple[list[tuple[int, int]], list[int]]:
    """(slot, the other state's slot) of patterns that both have, and the slots of those that only this one has."""
    pairs, alone = [], []
    for slot, exemplars in enumerate(state.bank.exemplars):
        home = known.get((exemplars[0].text, exemplars[0].domain))
        if home is None:
            alone.append(slot)
        else:
            pairs.append((slot, home))
    return pairs, alone


def _change(here: MemoryState, there: MemoryState, slot: int, home: int) -> PatternChange | None:
    before = dict.fromkeys(exemplar.text for exemplar in here.bank.exemplars[slot])
    after = dict.fromkeys(exemplar.text for exemplar in there.bank.exemplars[home])
    if before.keys() == after.keys():
        return None
    return PatternChange(
        pattern=PatternId(here.bank.pattern_id(slot)),
        other_pattern=PatternId(there.bank.pattern_id(home)),
        texts_added=tuple(text for text in after if text not in before),
        texts_removed=tuple(text for text in before if text not in after),
    )


def _recalls(here: MemoryState, there: MemoryState) -> tuple[float, float]:
    """Share of an even sample of patterns of ``here`` whose text each state finds first, asked with its own words."""
    if not here.pattern_count:
        return 1.0, 1.0
    slots = np.unique(np.linspace(0, here.pattern_count - 1, RECALL_SAMPLE).astype(np.int64)).tolist()
    hits = np.array([[_finds(state, here, slot) for state in (here, there)] for slot in slots], dtype=np.float64)
    recall_here, recall_there = hits.mean(0).tolist()
    return recall_here, recall_there


def _finds(state: MemoryState, source: MemoryState, slot: int) -> bool:
    if not state.pattern_count:
        return False
    keys_SD = source.bank.units.keys_uD[source.bank.units.units_of(slot)].to(state.device)
    words = [word for word in source.words.word_UW[slot].tolist() if word]
    best = int(score_patterns(state, keys_SD, words).total_n.argmax())
    text = source.bank.exemplars[slot][0].text
    return any(exemplar.text == text for exemplar in state.bank.exemplars[best])


def _exemplar(state: MemoryState, said: Said, slot: int) -> Exemplar:
    return next(item for item in state.bank.exemplars[slot] if (item.text, item.domain) == said)


def _seq(state: MemoryState, said: Said, slot: int) -> tuple[int, int]:
    return _exemplar(state, said, slot).seq, slot


def _observation(state: MemoryState, slot: int, exemplar: Exemplar) -> EncodedObservation:
    keys_SD = state.bank.units.keys_uD[state.bank.units.units_of(slot)].cpu()
    spans = _even_spans(exemplar.text, len(keys_SD) if len(exemplar.text) <= CHARACTERS_MAX else 1)
    pooled_SD = torch.stack([part.mean(0) for part in torch.tensor_split(keys_SD, len(spans))])
    keys = np.ascontiguousarray(torch.nn.functional.normalize(pooled_SD, dim=-1).numpy(), dtype=np.float32)
    told = Observation(
        text=exemplar.text,
        domain=exemplar.domain,
        session=exemplar.session,
        occurred_at=exemplar.occurred_at,
        metadata=exemplar.metadata,
    )
    return EncodedObservation(observation=told, encoded=EncodedText(text=exemplar.text, spans=spans, keys_SD=keys))


def _even_spans(text: str, count: int) -> tuple[tuple[int, int], ...]:
    """At most ``count`` parts of a text that together are all of it: keys remember their order, not their offsets."""
    cuts: Sequence[int] = sorted({round(part * len(text) / count) for part in range(count + 1)})
    return tuple(pairwise(cuts))

"""bench predict: does the memory expect the turn that really came next?

Protocol. Whole conversations are observed, in order, with their sessions. Then, for each turn t that has a next turn
in its session and at least four words, the query is the second half of t's words; what may be predicted is every
pattern of the memory. It is a hit when turn t+1 is among the first ten. A store without transitions gets the same
query, the same encoder and the same candidates, and answers with the nearest turns by cosine (the mean over the
query's sentences of the best sentence of a turn): ``hit@10_cosine``. A store that also keeps the order of its rows
could follow each of its five nearest turns by the turn after it: ``hit@10_cosine_order``. The next turn itself was
observed: this measures what is remembered of the order of things, not foresight.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from deployments.bench.baselines import NearestRows
from deployments.bench.data import Row
from deployments.bench.progress import Progress
from memory_core.backend import MemoryBackend
from memory_core.encoding.encoder import Encoder
from memory_core.ids import MemoryName

RANK: Final = 10
WORDS_MIN: Final = 4


@dataclass(slots=True)
class PredictionTally:
    """Hits over all memories of a run, by figure name."""

    hits: dict[str, list[bool]] = field(default_factory=lambda: defaultdict(list))

    @property
    def asked(self) -> int:
        """How many turns were asked about."""
        return len(self.hits["hit@10"])

    def figures(self) -> dict[str, float]:
        """Share of hits by name."""
        return {name: sum(found) / max(1, len(found)) for name, found in self.hits.items()}


async def predict_turns(
    backend: MemoryBackend,
    name: MemoryName,
    rows: Sequence[Row],
    encoder: Encoder,
    tally: PredictionTally,
    progress: Progress,
) -> None:
    """Ask about every turn of one memory that was observed before."""
    asked = [position for position in range(len(rows) - 1) if _is_asked(rows[position], rows[position + 1])]
    queries = [second_half(rows[position].text) for position in asked]
    nearest = NearestRows(encoder.encode([row.text for row in rows]))
    for position, query, keys in zip(asked, queries, encoder.encode(queries), strict=True):
        answer = await backend.predict_next(name, text=query, top_k=RANK)
        texts = [one.exemplar.text for one in answer.continuations]
        # A long turn is several patterns, which share its position.
        seqs = [one.exemplar.seq for one in answer.continuations]
        wanted, seq = rows[position + 1].text, position + 2
        tally.hits["hit@10"].append(wanted in texts or seq in seqs)
        tally.hits["hit@1"].append(texts[:1] == [wanted] or seqs[:1] == [seq])
        ranked = np.argsort(-nearest.scores(keys), kind="stable")[:RANK].tolist()
        tally.hits["hit@10_cosine"].append(position + 1 in ranked)
        tally.hits["hit@10_cosine_order"].append(position + 1 in [row + step for row in ranked[:5] for step in (0, 1)])
        progress.advance(1)


def second_half(text: str) -> str:
    """The second half of a text's words, the middle one included."""
    words = text.split()
    return " ".join(words[len(words) // 2 :])


def _is_asked(row: Row, following: Row) -> bool:
    return row.session is not None and row.session == following.session and len(row.text.split()) >= WORDS_MIN

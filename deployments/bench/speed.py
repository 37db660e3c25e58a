"""bench speed: what observe and infer of the core cost when a memory is well filled, the encoder left out.

Observations are sentences of the documentation inside this Python and its packages, a session for each thing that is
documented, encoded beforehand. Processor time on one thread: other work on the machine distorts it least.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Final

import torch

from deployments.bench.clock import seconds
from deployments.bench.progress import Progress
from memory_core import engine
from memory_core.config import MemoryConfig
from memory_core.encoding.encoder import Encoder
from memory_core.ids import MemoryName, Seq
from memory_core.results import EncodedObservation, InferOptions, Observation
from memory_core.state import MemoryState

CHUNK: Final = 1_000
CALLS: Final = 200
_CPU: Final = torch.device("cpu")
_NAME: Final = MemoryName("speed")


def needed_sentences(patterns: int) -> int:
    """How many sentences a run with so many patterns uses: near-duplicates become no pattern of their own."""
    return patterns + patterns // 8 + 2 * CHUNK + 2 * CALLS


def speed_figures(
    encoder: Encoder, config: MemoryConfig, sentences: Sequence[str], patterns: int, progress: Progress
) -> dict[str, float]:
    """Median milliseconds of one observe and one infer, and observations a second of a chunk of 1,000."""
    told = _encoded(encoder, sentences, progress)
    learner = _Learner(config)
    chunk, singles, asked = told[:CHUNK], told[CHUNK : CHUNK + CALLS], told[CHUNK + CALLS : CHUNK + 2 * CALLS]
    fresh_s = seconds(lambda: _Learner(config).observe(chunk), _CPU)
    rest = told[CHUNK + 2 * CALLS :]
    while learner.state.pattern_count < patterns and rest:
        learner.observe(rest[:CHUNK])
        rest = rest[CHUNK:]
    filled = learner.state.pattern_count
    gc.collect()  # else a collection of all that this bench itself holds falls into one chunk or another
    keys_uD, key_1D = learner.state.bank.units.keys_uD, torch.from_numpy(asked[0].encoded.keys_SD[:1])
    return {
        "patterns": float(filled),
        "chunk_obs_per_s": CHUNK / seconds(lambda: learner.observe(chunk), _CPU),
        "chunk_obs_per_s_fresh": CHUNK / fresh_s,
        "observe_ms_p50": _median_ms([partial(learner.observe, [one]) for one in singles]),
        "infer_ms_p50": _median_ms([partial(learner.infer, one) for one in asked]),
        "cosine_ms_p50": _median_ms([lambda: key_1D @ keys_uD.T] * CALLS),
    }


class _Learner:
    """A state and how far it is."""

    def __init__(self, config: MemoryConfig) -> None:
        self.state = MemoryState.create(config)
        self._seq = 1

    def observe(self, batch: Sequence[EncodedObservation]) -> None:
        self.state, _ = engine.observe(self.state, batch, first_seq=Seq(self._seq))
        self._seq += len(batch)

    def infer(self, asked: EncodedObservation) -> None:
        engine.infer(self.state, _NAME, asked.encoded, InferOptions())


def _encoded(encoder: Encoder, sentences: Sequence[str], progress: Progress) -> list[EncodedObservation]:
    found = []
    for start in range(0, len(sentences), CHUNK):
        for encoded in encoder.encode(sentences[start : start + CHUNK]):
            told = Observation(text=encoded.text, session=encoded.text.partition(":")[0])
            found.append(EncodedObservation(observation=told, encoded=encoded))
            progress.advance(1)
    return found


def _median_ms(calls: Sequence[Callable[[], object]]) -> float:
    return 1e3 * median(seconds(call, _CPU) for call in calls)

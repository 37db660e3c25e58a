"""What a store would recall with the same encoder: cosine, BM25, and their z-scores added.

Cosine takes the best sentence of a text, as this memory's units do, averaged over the sentences of the question. BM25
(Robertson and Zaragoza 2009, k1 = 1.2, b = 0.75) counts stemmed words without function words.
Shapes: R rows of a memory, S segments.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from deployments.bench.data import Question, Row
from deployments.bench.recall import RANKS, RecallTally
from memory_core.encoding.encoder import Encoder
from memory_core.encoding.words import analyze
from memory_core.results import EncodedText

BASELINES: Final = ("cosine", "bm25", "z_sum")
_K1: Final = 1.2
_B: Final = 0.75
_LANGUAGE: Final = "english"


class NearestRows:
    """Rows by cosine with the best sentence of each."""

    def __init__(self, encoded: Sequence[EncodedText]) -> None:
        self._keys_SD = np.concatenate([text.keys_SD for text in encoded])
        self._starts_R = np.cumsum([0, *(len(text.keys_SD) for text in encoded[:-1])])

    def scores(self, query: EncodedText) -> np.ndarray:
        """Mean over the query's sentences of the best cosine, shape (R,)."""
        best_SR: np.ndarray = np.maximum.reduceat(query.keys_SD @ self._keys_SD.T, self._starts_R, axis=1)
        mean_R: np.ndarray = best_SR.mean(0)
        return mean_R


class WordRows:
    """Rows by BM25."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [_words(text) for text in texts]
        lengths_R = np.array([sum(count.values()) for count in counts], dtype=np.float64)
        self._norms_R = _K1 * (1 - _B + _B * lengths_R / max(1.0, lengths_R.mean()))
        self._postings: dict[str, list[tuple[int, int]]] = {}
        for row, count in enumerate(counts):
            for word, times in count.items():
                self._postings.setdefault(word, []).append((row, times))

    def scores(self, query: str) -> np.ndarray:
        """BM25 of every row, shape (R,)."""
        total, scores_R = len(self._norms_R), np.zeros(len(self._norms_R))
        for word in _words(query):
            found = self._postings.get(word, [])
            rarity = math.log(1 + (total - len(found) + 0.5) / (len(found) + 0.5))
            for row, times in found:
                scores_R[row] += rarity * times * (_K1 + 1) / (times + self._norms_R[row])
        return scores_R


def ask_baselines(
    rows: Sequence[Row], questions: Sequence[Question], encoder: Encoder, tallies: dict[str, RecallTally]
) -> None:
    """Count the evidence that each baseline finds for the questions of one memory."""
    nearest, wordy = NearestRows(encoder.encode([row.text for row in rows])), WordRows([row.text for row in rows])
    asked = encoder.encode([question.question for question in questions])
    for question, encoded in zip(questions, asked, strict=True):
        cosine_R, bm25_R = nearest.scores(encoded), wordy.scores(question.question)
        evidence = set(question.evidence_ids)
        for name, scores_R in zip(BASELINES, (cosine_R, bm25_R, _z(cosine_R) + _z(bm25_R)), strict=True):
            ranked = [rows[row].id for row in np.argsort(-scores_R, kind="stable")[: max(RANKS)]]
            for rank in RANKS:
                tallies[name].hits[rank].append(len(evidence & set(ranked[:rank])) / len(evidence))


def _words(text: str) -> Counter[str]:
    return Counter(word.stem for word in analyze(text, _LANGUAGE) if not word.is_function_word)


def _z(scores_R: np.ndarray) -> np.ndarray:
    standard_R: np.ndarray = (scores_R - scores_R.mean()) / max(float(scores_R.std()), 1e-12)
    return standard_R

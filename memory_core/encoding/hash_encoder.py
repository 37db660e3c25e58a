"""Encoder ``hash``: keys without any model, by signed feature hashing. For tests and starts without downloads.

Texts are near when they share words: it knows no synonyms. Deterministic on every machine.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np

from memory_core.encoding.segments import Span, cut_segments, speaker_end
from memory_core.encoding.words import Word, analyze
from memory_core.ids import EncoderId
from memory_core.results import EncodedText, Keys

HASH: Final = EncoderId("hash")
KEY_DIM: Final = 384
_SETTINGS: Final = "hash/2"
_PROBE: Final = "What did the runner's team announce generously, after winning 12 championships?"
_STEM_WEIGHT: Final = 1.0
_PAIR_WEIGHT: Final = 0.5
_TRIGRAM_WEIGHT: Final = 0.3
_FUNCTION_WORD_SHARE: Final = 0.25
_EMPTY_FEATURE: Final = "e:"
_PIECE: Final = re.compile(r"\w{1,16}|[^\w\s]")


class HashEncoder:
    """384-dimensional keys from stems, pairs of neighbouring stems and character trigrams. Thread-safe."""

    @property
    def encoder_id(self) -> EncoderId:
        """``hash``."""
        return HASH

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the settings and of a probe's stems, so that a changed stemmer shows."""
        stems = [word.stem for word in analyze(_PROBE, "english")]
        return hashlib.sha256(" ".join([_SETTINGS, *stems]).encode()).hexdigest()

    @property
    def key_dim(self) -> int:
        """384."""
        return KEY_DIM

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Segments and their keys; a text without words still gets a unit key."""
        return [_encode_text(text) for text in texts]


def _encode_text(text: str) -> EncodedText:
    pieces: list[Span] = [match.span() for match in _PIECE.finditer(text)]
    spans = tuple((segment.start, segment.end) for segment in cut_segments(text, pieces))
    speaker = text[: speaker_end(text)]
    keys = [
        _key(text[start:end] if text.startswith(speaker, start) else speaker + text[start:end]) for start, end in spans
    ]
    return EncodedText(text=text, spans=spans, keys_SD=np.stack(keys))


def _key(text: str) -> Keys:
    key_D = np.zeros(KEY_DIM, dtype=np.float64)
    for feature, weight in _features(analyze(text, "english")).items():
        index, sign = _slot(feature)
        key_D[index] += sign * weight
    if not key_D.any():
        # No words at all, or the one text in many whose features cancel.
        index, sign = _slot(_EMPTY_FEATURE)
        key_D[index] = sign
    return (key_D / np.linalg.norm(key_D)).astype(np.float32)


def _features(words: Sequence[Word]) -> dict[str, float]:
    features: defaultdict[str, float] = defaultdict(float)
    for word in words:
        share = _FUNCTION_WORD_SHARE if word.is_function_word else 1.0
        features[f"s:{word.stem}"] += _STEM_WEIGHT * share
        for trigram in _trigrams(word.stem):
            features[trigram] += _TRIGRAM_WEIGHT * share
    for first, second in pairwise(words):
        features[f"p:{first.stem} {second.stem}"] += _PAIR_WEIGHT
    return features


def _trigrams(stem: str) -> Iterator[str]:
    padded = f"^{stem}$"
    return (f"t:{padded[start : start + 3]}" for start in range(len(padded) - 2))


@lru_cache(maxsize=1 << 16)
def _slot(feature: str) -> tuple[int, float]:
    digest = hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    return (number >> 1) % KEY_DIM, 1.0 if number & 1 else -1.0

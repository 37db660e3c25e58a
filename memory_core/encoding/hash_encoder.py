"""Encoder ``hash``: keys without any model, by signed feature hashing. For tests and starts without downloads.

Texts are near when they share words: it knows no synonyms. Deterministic on every machine.
Shapes: S segments, D key_dim, F features of a word or text.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_core.encoding.segments import Span, cut_segments, speaker_end
from memory_core.encoding.words import analyze, fold_words, stem_word
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
    words = [_features(word) for word in fold_words(text)]
    pairs = [_slot(f"p:{first.stem} {second.stem}") for first, second in pairwise(words)]
    index_F = np.concatenate([*(word.index_F for word in words), [index for index, _ in pairs]]).astype(np.intp)
    weight_F = np.concatenate([*(word.weight_F for word in words), [_PAIR_WEIGHT * sign for _, sign in pairs]])
    key_D = np.bincount(index_F, weight_F, minlength=KEY_DIM)
    if not key_D.any():
        # No words at all, or the one text in many whose features cancel.
        index, sign = _slot(_EMPTY_FEATURE)
        key_D[index] = sign
    unit_D: Keys = (key_D / math.sqrt(np.dot(key_D, key_D))).astype(np.float32)
    return unit_D


class _Features(NamedTuple):
    """A word's stem, and where it and its trigrams go, with which weight."""

    stem: str
    index_F: NDArray[np.intp]
    weight_F: NDArray[np.float64]


@lru_cache(maxsize=1 << 15)
def _features(folded: str) -> _Features:
    stem, is_function_word = stem_word(folded, "english")
    share = _FUNCTION_WORD_SHARE if is_function_word else 1.0
    padded = f"^{stem}$"
    features = [(f"s:{stem}", _STEM_WEIGHT)]
    features += [(f"t:{padded[start : start + 3]}", _TRIGRAM_WEIGHT) for start in range(len(padded) - 2)]
    slots = [(*_slot(feature), weight * share) for feature, weight in features]
    return _Features(
        stem, np.array([index for index, _, _ in slots]), np.array([sign * weight for _, sign, weight in slots])
    )


@lru_cache(maxsize=1 << 16)
def _slot(feature: str) -> tuple[int, float]:
    digest = hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "little")
    return (number >> 1) % KEY_DIM, 1.0 if number & 1 else -1.0

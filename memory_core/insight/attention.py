"""attention_map: which words of a query lead to which patterns, and by which channels.

Shapes: n patterns in use, k patterns shown.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from memory_core.encoding.words import Word, analyze
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, PatternId
from memory_core.insight_results import AttentionMap, AttentionRow, AttentionToken
from memory_core.patterns.channels import score_patterns
from memory_core.patterns.unit_table import pool_keys
from memory_core.patterns.word_table import WordId, is_content, word_id
from memory_core.recall import QUERY_SEGMENTS_MAX
from memory_core.results import EncodedText
from memory_core.state import MemoryState, to_keys

TOP_K_MAX = 100


def attention_map(state: MemoryState, memory: MemoryName, query: EncodedText, top_k: int = 5) -> AttentionMap:
    """The ``top_k`` (1 to 100) patterns a query attends to most; InvalidInput outside that range."""
    if not 1 <= top_k <= TOP_K_MAX:
        raise InvalidInput(f"top_k={top_k} is not between 1 and {TOP_K_MAX}.", hint="Ask for fewer patterns.")
    words = analyze(query.text, state.config.language)
    tokens = tuple(
        AttentionToken(word=query.text[word.start : word.end], start=word.start, end=word.end) for word in words
    )
    if not state.pattern_count:
        return AttentionMap(memory=memory, tokens=tokens, rows=())
    return AttentionMap(memory=memory, tokens=tokens, rows=_rows(state, query, words, top_k))


def _rows(state: MemoryState, query: EncodedText, words: tuple[Word, ...], top_k: int) -> tuple[AttentionRow, ...]:
    ids = [word_id(word.stem, word.is_function_word) for word in words]
    scores = score_patterns(state, pool_keys(to_keys(state, query.keys_SD), QUERY_SEGMENTS_MAX), ids)
    weight_n = np.exp(scores.total_n - scores.total_n.max())
    weight_n /= weight_n.sum()
    shown_k = np.argsort(-scores.total_n, kind="stable")[:top_k]
    by_word = _word_weights(state, ids, shown_k)
    return tuple(
        AttentionRow(
            pattern=PatternId(state.bank.pattern_id(slot)),
            weight=float(weight_n[slot]),
            channels={name: float(part_n[slot]) for name, part_n in scores.parts.items()},
            word_weights=tuple(float(by_word[number][row]) for number in ids),
            exemplar=state.bank.exemplars[slot][0],
        )
        for row, slot in enumerate(shown_k.tolist())
    )


def _word_weights(state: MemoryState, ids: list[WordId], shown_k: np.ndarray) -> dict[WordId, np.ndarray]:
    """For each word the weight (k,) with which one place of it leads to the patterns shown."""
    counted = {number for number in ids if is_content(number)} or set(ids)
    places = Counter(ids)
    found: dict[WordId, np.ndarray] = {}
    for number in places:
        weight_n = state.words.scored([number] if number in counted else []).total(state.pattern_count)
        found[number] = weight_n[shown_k] / places[number]
    return found

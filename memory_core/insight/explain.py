"""explain: what the patterns of a memory stand for, strongest first.

A pattern is described by its most characteristic words: those whose count in its exemplars times their learned
rarity is highest, in the form in which they were written most often.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from memory_core.encoding.words import analyze
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, PatternId, Seq
from memory_core.insight_results import ExplainResult, PatternExplanation
from memory_core.patterns.relevance import overlap, rarities
from memory_core.patterns.word_table import WordId, is_content, word_id
from memory_core.results import Exemplar
from memory_core.state import MemoryState

WORDS_SHOWN: Final = 6
TOP_K_MAX: Final = 1000


def explain(state: MemoryState, memory: MemoryName, top_k: int = 10, domain: str | None = None) -> ExplainResult:
    """The ``top_k`` (1 to 1000) strongest patterns, of one domain or of all; InvalidInput outside that range."""
    if not 1 <= top_k <= TOP_K_MAX:
        raise InvalidInput(f"top_k={top_k} is not between 1 and {TOP_K_MAX}.", hint="Ask for fewer patterns.")
    slots = _slots_of_domain(state, domain)
    strength_k = state.bank.strengths()[slots]
    strongest = np.argsort(-strength_k, kind="stable")[:top_k]
    patterns = tuple(_explain_slot(state, int(slots[row]), float(strength_k[row]), domain) for row in strongest)
    return ExplainResult(memory=memory, pattern_count=len(slots), patterns=patterns)


def _slots_of_domain(state: MemoryState, domain: str | None) -> np.ndarray:
    if domain is None:
        return np.arange(state.pattern_count)
    fits = [any(exemplar.domain == domain for exemplar in exemplars) for exemplars in state.bank.exemplars]
    return np.flatnonzero(fits)


def _explain_slot(state: MemoryState, slot: int, strength: float, domain: str | None) -> PatternExplanation:
    bank = state.bank
    exemplars = bank.exemplars[slot]
    shown = tuple(exemplar for exemplar in exemplars if domain is None or exemplar.domain == domain)
    words = characteristic_words(state, [exemplar.text for exemplar in shown])
    return PatternExplanation(
        pattern=PatternId(bank.pattern_id(slot)),
        description=", ".join(words),
        words=words,
        exemplar=_medoid(state, shown),
        examples=shown,
        strength=strength,
        learned_at_seq=Seq(int(bank.columns["born_seq_U"][slot])),
        learned_at=exemplars[0].occurred_at,
        activation_count=int(bank.columns["uses_U"][slot]),
    )


def characteristic_words(state: MemoryState, texts: Sequence[str], count: int = WORDS_SHOWN) -> tuple[str, ...]:
    """At most ``count`` words of some texts, most characteristic first; content words when there are any."""
    forms: dict[WordId, Counter[str]] = defaultdict(Counter)
    for text in texts:
        for word in analyze(text, state.config.language):
            forms[word_id(word.stem, word.is_function_word)][text[word.start : word.end]] += 1
    chosen = [number for number in forms if is_content(number)] or list(forms)
    chosen.sort(key=lambda number: -state.words.rarity(number) * forms[number].total())
    shown: list[str] = []
    for number in chosen:
        form = forms[number].most_common(1)[0][0]
        # Scripts without spaces give single characters beside pairs: the one says nothing that the other does not.
        if not any(form in other or other in form for other in shown if not form.isascii()):
            shown.append(form)
    return tuple(shown[:count])


def _medoid(state: MemoryState, exemplars: Sequence[Exemplar]) -> Exemplar:
    """The exemplar that shares most of its words with the others; the earliest of equals."""
    words = [rarities(state.words, exemplar.text, state.config.language) for exemplar in exemplars]
    likeness = [sum(overlap(own, other) for other in words) for own in words]
    return exemplars[max(range(len(exemplars)), key=lambda position: (likeness[position], -position))]

"""The words of slots and the slots of words, learned one by one and together."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.encoding.words import analyze
from memory_core.patterns.word_table import WORDS_PER_SLOT, WordTable, word_ids, words_of_text

UNITS = 24
EXAMPLES = settings(max_examples=30)
WORDS = st.one_of(st.integers(2, 60), st.integers(2, 2000), st.just(2**62 + 1))
TEXTS = st.lists(st.one_of(st.lists(WORDS, max_size=12), st.lists(WORDS, min_size=60, max_size=140)), max_size=20)
MANY_OF_ONE = [[7] * 300 + [8]]
MORE_THAN_A_SLOT_KEEPS = [[*range(2, 100), 3, 5, 5]]


def table_of(texts: list[list[int]]) -> WordTable:
    table = WordTable(UNITS)
    for slot, words in enumerate(texts):
        table.learn(slot, words)
    return table


def assert_equal(table: WordTable, other: WordTable) -> None:
    for name in ("word_UW", "count_UW", "length_U"):
        np.testing.assert_array_equal(getattr(table, name), getattr(other, name))
    assert table.slot_count == other.slot_count
    words = sorted({*table.word_UW.ravel().tolist(), *other.word_UW.ravel().tolist()} - {0})
    assert [table.rarity(word) for word in words] == [other.rarity(word) for word in words]
    for one in (table, other):
        indices = [one.index_of(word) for word in words]
        assert one.frequency_V[indices].tolist() == [int((table.word_UW == word).sum()) for word in words]
        assert one.is_content_V[indices].tolist() == [bool(word & 1) for word in words]
        index_of = np.vectorize(one.index_of, otypes=[np.int64])
        np.testing.assert_array_equal(one.index_UW, index_of(one.word_UW))
    np.testing.assert_array_equal(table.scored(words).total(UNITS), other.scored(words).total(UNITS))


@EXAMPLES
@given(TEXTS, TEXTS)
def test_learning_many_is_as_learning_one_after_the_other(known: list[list[int]], more: list[list[int]]) -> None:
    known, more = known[: UNITS // 2], more[: UNITS // 2]
    table = table_of(known)
    table.learn_many(range(len(known), len(known) + len(more)), more)
    assert_equal(table, table_of([*known, *more]))


@EXAMPLES
@given(TEXTS)
def test_long_texts_and_frequent_words_are_bounded_in_either_way(texts: list[list[int]]) -> None:
    texts = [*texts, *MANY_OF_ONE, *MORE_THAN_A_SLOT_KEEPS]
    table = WordTable(UNITS)
    table.learn_many(range(len(texts)), texts)
    assert_equal(table, table_of(texts))
    assert table.count_UW.max() == 255
    assert len(table.words_of(len(texts) - 1)) == WORDS_PER_SLOT


@EXAMPLES
@given(TEXTS.filter(bool), TEXTS)
def test_slots_that_get_other_words_lose_their_own(texts: list[list[int]], others: list[list[int]]) -> None:
    others = others[: len(texts)]
    table = table_of(texts)
    table.learn_many(range(len(others)), others)
    assert_equal(table, table_of([*others, *texts[len(others) :]]))


@EXAMPLES
@given(TEXTS)
def test_a_table_that_was_stored_is_the_same_again(texts: list[list[int]]) -> None:
    table, again = table_of(texts), WordTable(UNITS)
    n_patterns = len(texts)
    again.load(table.word_UW[:n_patterns], table.count_UW[:n_patterns], table.length_U[:n_patterns])
    assert_equal(again, table)


@given(st.text("aB3 '’_-é\n.sdtmlvre") | st.text(), st.sampled_from(["english", "none", "french"]))
def test_words_of_a_text_are_those_of_its_analysis(text: str, language: str) -> None:
    assert words_of_text(text, language) == word_ids(analyze(text, language))

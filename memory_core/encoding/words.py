"""Words of a text, stemmed: the features of the word channel.

Letters and digits of any script make words; hyphens, underscores and apostrophes split them. Scripts written
without spaces give single characters and pairs of neighbours, since nothing short of a dictionary finds their words.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

import Stemmer

from memory_core.encoding.function_words import ENGLISH_FUNCTION_WORDS
from memory_core.errors import InvalidInput

NO_STEMMER: Final = "none"
_ENGLISH: Final = frozenset({"english", "porter"})
# Thai, Lao, Myanmar, Hangul jamo, Khmer, kana, Han, Hangul syllables, half-width kana: base characters.
_UNSPACED: Final = (
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u1000-\u102a\u1100-\u11ff"
    "\u1780-\u17b3\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_CLITIC: Final = r"(?:['’](?:s|t|d|m|ll|re|ve)(?![^\W_]))?"
_SPACED_WORD: Final = re.compile(rf"([^\W_]+){_CLITIC}", re.IGNORECASE)
_ASCII_WORD: Final = re.compile(rf"([^\W_]+){_CLITIC}", re.IGNORECASE | re.ASCII)
# What ASCII folds to: letters and digits in lower case, white space for all else.
_ASCII_FOLDED: Final = "".join(chr(code).lower() if chr(code).isalnum() else " " for code in range(128))
_FOLDING: Final = _ASCII_FOLDED.encode().ljust(256)

Span = tuple[int, int]


class Word(NamedTuple):
    """A stemmed, case-folded word and its (start, end) character span in the text it came from."""

    stem: str
    start: int
    end: int
    is_function_word: bool = False


@cache
def available_languages() -> tuple[str, ...]:
    """Names ``analyze`` accepts: the Snowball stemmers, and ``none``."""
    return (NO_STEMMER, *Stemmer.algorithms())


def check_language(language: str) -> str:
    """The language itself when a stemmer exists for it (or it is ``none``); else raises InvalidInput."""
    if language not in available_languages():
        raise InvalidInput(
            f"There is no stemmer for the language {ascii(language)[:64]}.",
            hint=f"Use one of {', '.join(available_languages())}.",
        )
    return language


def analyze(text: str, language: str) -> tuple[Word, ...]:
    """The words of ``text`` in order; spans of neighbours overlap only in scripts written without spaces.

    English function words are flagged, not dropped. Raises InvalidInput for an unknown language.
    """
    check_language(language)
    spans = list(_spans(text))
    folded = [_fold(text[start:end]) for start, end in spans]
    stems = _stem(folded, language)
    function_words = _function_words(language)
    return tuple(
        Word(stem, start, end, word in function_words)
        for stem, word, (start, end) in zip(stems, folded, spans, strict=True)
    )


def fold_words(text: str) -> list[str]:
    """The words of ``text`` in order, case-folded and not stemmed: what ``stem_word`` makes the words' stems of."""
    if not text.isascii():
        return [_fold(text[start:end]) for start, end in _spans(text)]
    if "'" in text:
        return _ASCII_WORD.findall(text.lower())
    return text.encode().translate(_FOLDING).decode().split()


def stem_word(folded: str, language: str) -> tuple[str, bool]:
    """The stem of one folded word, and whether it is a function word: what ``analyze`` says of it."""
    stem = folded if language == NO_STEMMER else _stemmer(language).stemWord(folded) or folded
    return stem, folded in _function_words(language)


def _function_words(language: str) -> frozenset[str]:
    return ENGLISH_FUNCTION_WORDS if language in _ENGLISH else frozenset()


def _stem(words: list[str], language: str) -> list[str]:
    if language == NO_STEMMER:
        return words
    # A stemmer may leave nothing of a word; the word itself is then the better feature.
    return [stem or word for stem, word in zip(_stemmer(language).stemWords(words), words, strict=True)]


def _stemmer(language: str) -> Stemmer.Stemmer:
    # Stemmers keep buffers and a cache inside and are not safe to share between threads.
    stemmers = _local.stemmers
    if language not in stemmers:
        stemmers[language] = Stemmer.Stemmer(check_language(language))
    return stemmers[language]


class _Stemmers(threading.local):
    def __init__(self) -> None:
        self.stemmers: dict[str, Stemmer.Stemmer] = {}


_local = _Stemmers()


def _fold(word: str) -> str:
    if word.isascii():
        return word.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())


def _spans(text: str) -> Iterator[Span]:
    if text.isascii():
        return (match.span(1) for match in _ASCII_WORD.finditer(text))
    if not _needs_script_rules().search(text):
        return (match.span(1) for match in _SPACED_WORD.finditer(text))
    return _spans_by_script(text)


def _spans_by_script(text: str) -> Iterator[Span]:
    for match in _script_word().finditer(text):
        if match.lastgroup == "word":
            yield match.span("word")
        else:
            yield from _characters_and_pairs(text, *match.span())


def _characters_and_pairs(text: str, start: int, end: int) -> Iterator[Span]:
    before: Span | None = None
    for match in _unspaced_character().finditer(text, start, end):
        if before:
            yield before[0], match.end()
        yield match.span()
        before = match.span()


@cache
def _needs_script_rules() -> re.Pattern[str]:
    return re.compile(rf"[{_UNSPACED}{_marks()}]")


@cache
def _script_word() -> re.Pattern[str]:
    unspaced, marks = f"[{_UNSPACED}]", f"[{_marks()}]"
    letter = rf"[^\W_{_UNSPACED}]"
    return re.compile(
        rf"(?P<run>(?:{unspaced}{marks}*)+)|(?P<word>{letter}+(?:{marks}+{letter}*)*){_CLITIC}", re.IGNORECASE
    )


@cache
def _unspaced_character() -> re.Pattern[str]:
    return re.compile(rf"[{_UNSPACED}][{_marks()}]*")


@cache
def _marks() -> str:
    """A character class of the combining marks, such as vowel signs, which ``\\w`` does not count as word characters.

    Built on the first text that needs it. Only the basic plane: a regular expression searches that in constant time.
    """
    marks = [chr(point) for point in range(0x300, 0xFFFF) if unicodedata.category(chr(point))[0] == "M"]
    return "".join([*marks, "\u200c\u200d"])  # with the joiners inside Persian and Indic words

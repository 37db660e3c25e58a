"""Cut a text into the segments that get a key each: its sentences, without losing a character.

Works on the (start, end) offsets of an encoder's word pieces, so one tokenisation serves both the cutting and
the encoding. Characters that belong to no piece (control characters, say) travel with the segment before them.
Linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

Span = tuple[int, int]

PIECES_MAX: Final = 128
PIECES_MIN: Final = 5
_LOOK_BACK: Final = 4
_LOOK_AHEAD: Final = 16
_SENTENCE_END = re.compile(r"""(?:[.!?…‽।۔؟]["'”’»)\]]*\s+|[。！？｡．]["'”’」』）]*\s*|\n\s*)\Z""")
# Bounded, since it is asked once per segment: a megabyte of letters must not be read a thousand times.
_SPEAKER = re.compile(r"[^\W\d_][\w.'’-]{0,40}(?: [\w.'’-]{1,40}){0,3}: (?=\S)")


class Segment(NamedTuple):
    """Characters ``start:end`` of the text and pieces ``first_piece:end_piece`` of its tokenisation."""

    start: int
    end: int
    first_piece: int
    end_piece: int


def cut_segments(text: str, pieces: Sequence[Span], pieces_max: int = PIECES_MAX) -> tuple[Segment, ...]:
    """Sentences of at most ``pieces_max`` pieces, at least one segment even for an empty text.

    ``pieces``: character offsets of the word pieces in order; pieces of one character may share its offsets.
    A sentence of fewer than 5 pieces stays with the next one (the last with the one before). A longer one than fits
    is cut at the last white space that fits, else between two pieces. White space around a segment is left out.
    """
    sentences = [0, *_sentence_cuts(text, pieces), len(pieces)]
    cuts = [0]
    for first, end in pairwise(sentences):
        cuts += [*_cuts(text, pieces, (first, end), pieces_max), end]
    chars = [0, *(pieces[cut][0] for cut in cuts[1:-1]), len(text)]
    return tuple(Segment(*_trim(text, chars[i], chars[i + 1]), cuts[i], cuts[i + 1]) for i in range(len(cuts) - 1))


def speaker_end(text: str) -> int:
    """Where the speaker's name of a dialogue turn ends ("Ann: Hi!" gives 5), 0 without one.

    Every sentence of a turn is encoded with its speaker: who said it is half of what a question asks for.
    """
    match = _SPEAKER.match(text)
    return match.end() if match else 0


def _sentence_cuts(text: str, pieces: Sequence[Span]) -> list[int]:
    cuts = [0]
    for cut in range(PIECES_MIN, len(pieces)):
        if cut - cuts[-1] >= PIECES_MIN and _starts_sentence(text, pieces[cut - 1], pieces[cut]):
            cuts.append(cut)
    if len(cuts) > 1 and len(pieces) - cuts[-1] < PIECES_MIN:
        cuts.pop()
    return cuts[1:]


def _starts_sentence(text: str, before: Span, after: Span) -> bool:
    # A lower-case letter after a full stop is an abbreviation far more often than a new sentence.
    return before[1] <= after[0] and not text[after[0]].islower() and _ends_sentence(text, before, after)


def _cuts(text: str, pieces: Sequence[Span], sentence: Span, pieces_max: int) -> Iterator[int]:
    first, end = sentence
    while end - first > pieces_max:
        first = _next_cut(text, pieces, first, first + pieces_max)
        yield first


def _next_cut(text: str, pieces: Sequence[Span], first: int, last: int) -> int:
    """The piece index in (first, last] to cut before: the latest of the best kind there is."""
    for is_good_cut in _KINDS_BEST_FIRST:
        for cut in range(last, first, -1):
            if is_good_cut(text, pieces[cut - 1], pieces[cut]):
                return cut
    return last


def _ends_sentence(text: str, before: Span, after: Span) -> bool:
    if before[1] == after[0] and text[before[1] - 1 : before[1]].isalnum():
        return False  # inside a word, as most borders between pieces are
    return _SENTENCE_END.search(text[max(before[1] - _LOOK_BACK, 0) : _near(before, after)]) is not None


def _has_space(text: str, before: Span, after: Span) -> bool:
    return any(map(str.isspace, text[before[1] : _near(before, after)]))


def _is_between_characters(text: str, before: Span, after: Span) -> bool:
    return before[1] <= after[0]


def _near(before: Span, after: Span) -> int:
    # A gap can be a megabyte of spaces: look at its beginning only, so that cutting stays linear.
    return min(after[0], before[1] + _LOOK_AHEAD)


def _trim(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    if not part or part.isspace():
        return start, end
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())


_KINDS_BEST_FIRST: Final[tuple[Callable[[str, Span, Span], bool], ...]] = (
    _ends_sentence,
    _has_space,
    _is_between_characters,
)

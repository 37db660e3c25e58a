"""Passages: neighbouring segments of one observation that become one pattern.

A short observation is one passage. A long one is cut where its segments allow, so that a pattern's text stays
readable and its number of units bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

Span = tuple[int, int]

SEGMENTS_MAX: Final = 8
CHARACTERS_MAX: Final = 800


def group_passages(spans: Sequence[Span]) -> list[range]:
    """Ranges of segment numbers; each has at most 8 segments and, unless one alone is longer, 800 characters."""
    passages: list[range] = []
    first = 0
    for number in range(1, len(spans) + 1):
        is_end = number == len(spans)
        if is_end or number - first == SEGMENTS_MAX or spans[number][1] - spans[first][0] > CHARACTERS_MAX:
            passages.append(range(first, number))
            first = number
    return passages

"""A long context is learned in parts, so that its progress can be reported and a broken call continued."""

from __future__ import annotations

import re
from typing import Final

PART_LENGTH: Final = 8_000
_BREAKS: Final = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?。！？])\s+"), re.compile(r"\s+"))


def parts_of(context: str, length_max: int = PART_LENGTH) -> list[str]:
    """Cut between paragraphs, else lines, sentences, words, else anywhere; no part is blank or over ``length_max``."""
    parts: list[str] = []
    rest = context
    while len(rest) > length_max:
        end = _last_break(rest, length_max)
        parts.append(rest[:end])
        rest = rest[end:]
    parts.append(rest)
    if len(parts) == 1:
        return parts
    return [part.strip() for part in parts if part.strip()]


def _last_break(text: str, length_max: int) -> int:
    for pattern in _BREAKS:
        # A part of less than half the length would leave many small ones.
        ends = [found.end() for found in pattern.finditer(text, 0, length_max) if found.end() >= length_max // 2]
        if ends:
            return ends[-1]
    return length_max

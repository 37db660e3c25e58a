"""Changed facts: real sentences in which one number, name, weekday, month or negation was exchanged."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Final

_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NUMBER: Final = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_NAME: Final = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}")
_VERB: Final = re.compile(r"\b(?:is|are|was|were|will|can|has|have|had)\b")


def changed_facts(sentences: Sequence[str], seed: int = 0) -> list[str]:
    """One changed copy for each kind of change a sentence allows, in order; the same for the same seed."""
    chooser = random.Random(seed)
    names = sorted({name for sentence in sentences for name in _NAME.findall(sentence)})
    changes: tuple[Callable[[str], str | None], ...] = (
        lambda sentence: _other_number(sentence, chooser),
        lambda sentence: _other_of(sentence, _WEEKDAYS, chooser) or _other_of(sentence, _MONTHS, chooser),
        lambda sentence: _other_name(sentence, names, chooser),
        _negated,
    )
    return [changed for sentence in sentences for change in changes if (changed := change(sentence))]


def _other_number(sentence: str, chooser: random.Random) -> str | None:
    found = _NUMBER.search(sentence)
    if found is None:
        return None
    digits = (str((int(c) + chooser.randint(1, 9)) % 10) if c.isdigit() else c for c in found.group())
    return sentence[: found.start()] + "".join(digits) + sentence[found.end() :]


def _other_of(sentence: str, words: Sequence[str], chooser: random.Random) -> str | None:
    for word in words:
        if re.search(rf"\b{word}\b", sentence):
            return re.sub(rf"\b{word}\b", chooser.choice([other for other in words if other != word]), sentence)
    return None


def _other_name(sentence: str, names: Sequence[str], chooser: random.Random) -> str | None:
    found = _NAME.search(sentence)
    others = [name for name in names if found is not None and name != found.group()]
    if found is None or not others:
        return None
    return sentence[: found.start()] + chooser.choice(others) + sentence[found.end() :]


def _negated(sentence: str) -> str | None:
    if " not " in sentence:
        return sentence.replace(" not ", " ", 1)
    found = _VERB.search(sentence)
    return None if found is None else f"{sentence[: found.end()]} not{sentence[found.end() :]}"

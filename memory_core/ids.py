"""The names of things, as types. A bare ``str`` becomes an id only through its parser."""

from __future__ import annotations

import re
from typing import Final, NewType

from memory_core.errors import InvalidInput

MemoryName = NewType("MemoryName", str)
Tag = NewType("Tag", str)
RequestId = NewType("RequestId", str)
BlobId = NewType("BlobId", str)
EncoderId = NewType("EncoderId", str)
PatternId = NewType("PatternId", int)
Seq = NewType("Seq", int)
Epoch = NewType("Epoch", int)

NAME_LENGTH_MAX: Final = 128
TAG_LENGTH_MAX: Final = 128
PERIODIC_PREFIX: Final = "auto-"
"""Tags of versions that were published without anybody asking."""
REQUEST_ID_LENGTH_MAX: Final = 255

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_NAME_RULE = "letters, digits, '.', '_' and '-', starting and ending with a letter or digit, without '..'"


def _parse_path_part(raw: object, what: str, length_max: int) -> str:
    if not isinstance(raw, str):
        raise InvalidInput(f"The {what} must be a string, not {type(raw).__name__}.", hint=f"Send {_NAME_RULE}.")
    if not 1 <= len(raw) <= length_max:
        raise InvalidInput(
            f"The {what} has {len(raw)} characters; 1 to {length_max} are allowed.", hint=f"Choose a {what} in range."
        )
    if not _NAME.fullmatch(raw) or ".." in raw:
        raise InvalidInput(
            f"The {what} {ascii(raw[:64])} has characters that are not allowed.", hint=f"Use {_NAME_RULE}."
        )
    return raw


def parse_memory_name(raw: object) -> MemoryName:
    """Check a memory name; raises InvalidInput. Names are part of storage keys, so the alphabet is narrow."""
    return MemoryName(_parse_path_part(raw, "memory name", NAME_LENGTH_MAX))


def shown_name(stored: str) -> str:
    """A stored name without what a door put before it to keep tenants apart: all up to the last ``~``.

    No name that is asked for has that character. What leaves a volume, such as an archive, tells the rest only.
    """
    return stored.rpartition("~")[2]


def parse_tag(raw: object) -> Tag:
    """Check a checkpoint tag such as ``v1.0`` or ``pre-experiment``; raises InvalidInput."""
    return Tag(_parse_path_part(raw, "tag", TAG_LENGTH_MAX))


def parse_request_id(raw: object) -> RequestId:
    """Check an idempotency key: 1 to 255 printable ASCII characters; raises InvalidInput."""
    if not isinstance(raw, str) or not 1 <= len(raw) <= REQUEST_ID_LENGTH_MAX or not _PRINTABLE.fullmatch(raw):
        raise InvalidInput(
            "The idempotency key must be 1 to 255 printable ASCII characters without spaces.",
            hint="Send a fresh UUID per logical request.",
        )
    return RequestId(raw)

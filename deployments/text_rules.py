"""What a text, a batch and metadata may look like before anything is learned or encoded from them.

Every door (HTTP, command line) applies these rules, so that the same input gets the same answer. Messages name the
offending part by its place and never repeat its text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from memory_core.errors import InvalidInput, TooLarge
from memory_core.results import MetadataValue, Observation

TEXT_LENGTH_MAX: Final = 256 * 1024
BATCH_MAX: Final = 1024
LABEL_LENGTH_MAX: Final = 256
METADATA_ENTRIES_MAX: Final = 32
METADATA_BYTES_MAX: Final = 16 * 1024
_INT64_MAX: Final = 2**63 - 1


def check_text(text: str, what: str) -> None:
    """Raise InvalidInput or TooLarge unless ``text`` can be learned from; ``what`` names it in the message."""
    _check_characters(text, what)
    if not text.strip():
        raise InvalidInput(f"The {what} is empty or only white space.", hint="Send at least one word.")


def check_observations(observations: Sequence[Observation]) -> None:
    """Check a whole request before any of it is learned, so that it is refused as a whole."""
    check_batch_size(len(observations), "observations")
    for position, observation in enumerate(observations):
        check_observation(observation, f"observation {position}" if len(observations) > 1 else "observation")


def check_batch_size(count: int, what: str) -> None:
    """Raise unless 1 to BATCH_MAX things were sent."""
    if count < 1:
        raise InvalidInput(f"The list of {what} is empty.", hint="Send at least one.")
    if count > BATCH_MAX:
        raise TooLarge(
            f"{count} {what} were sent in one request; at most {BATCH_MAX} are allowed.",
            hint="Split them over requests.",
        )


def check_observation(observation: Observation, what: str) -> None:
    """Raise unless the text and everything that travels with it is acceptable."""
    check_text(observation.text, f"text of the {what}")
    for label in ("domain", "session", "occurred_at"):
        check_label(getattr(observation, label), f"{label} of the {what}")
    check_metadata(observation.metadata, f"metadata of the {what}")


def check_label(label: str | None, what: str) -> None:
    """Labels are short strings that are compared, not learned; None is fine."""
    if label is None:
        return
    if not 1 <= len(label) <= LABEL_LENGTH_MAX:
        raise InvalidInput(
            f"The {what} has {len(label)} characters; 1 to {LABEL_LENGTH_MAX} are allowed.",
            hint="Shorten it or omit it.",
        )
    _check_characters(label, what)


def check_description(description: str) -> None:
    """Raise unless a checkpoint's description (possibly empty) can be stored."""
    _check_characters(description, "description")


def check_metadata(metadata: Mapping[str, MetadataValue], what: str) -> None:
    """At most METADATA_ENTRIES_MAX plain values, METADATA_BYTES_MAX together."""
    if len(metadata) > METADATA_ENTRIES_MAX:
        raise InvalidInput(
            f"The {what} has {len(metadata)} entries; at most {METADATA_ENTRIES_MAX} are allowed.",
            hint="Keep large records elsewhere and send their id.",
        )
    size_bytes = sum(_entry_bytes(key, value, what) for key, value in metadata.items())
    if size_bytes > METADATA_BYTES_MAX:
        raise TooLarge(
            f"The {what} takes {size_bytes} bytes; at most {METADATA_BYTES_MAX} are allowed.",
            hint="Keep large records elsewhere and send their id.",
        )


def _entry_bytes(key: str, value: MetadataValue, what: str) -> int:
    check_label(key, f"key in the {what}")
    if isinstance(value, str):
        _check_characters(value, f"value in the {what}")
        return len(key) + len(value.encode())
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"A value in the {what} is not a finite number.", hint="Send a finite number or null.")
    if isinstance(value, int) and abs(value) > _INT64_MAX:
        raise InvalidInput(f"A value in the {what} does not fit in 64 bits.", hint="Send it as a string.")
    if value is not None and not isinstance(value, int | float):
        raise InvalidInput(f"A value in the {what} is a {type(value).__name__}.", hint="Send plain values only.")
    return len(key) + 8


def _check_characters(text: str, what: str) -> None:
    if not isinstance(text, str):
        raise InvalidInput(f"The {what} must be a string, not {type(text).__name__}.", hint="Send text.")
    if "\x00" in text:
        raise InvalidInput(
            f"The {what} has a NUL character at position {text.index(chr(0))}.", hint="Send text, not binary data."
        )
    if len(text) > TEXT_LENGTH_MAX:
        raise TooLarge(
            f"The {what} has {len(text)} characters; at most {TEXT_LENGTH_MAX} are allowed.",
            hint="Cut it into paragraphs and send them as observations.",
        )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"The {what} has a lone surrogate at position {error.start}, which is not a character.",
            hint="Decode the text as UTF-8 before sending it.",
        ) from None

"""What an observe request must be before it may take a position in the journal, and how two are told apart."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memory_core.config import MemoryConfig
from memory_core.errors import Conflict, InvalidInput, ReadOnly, TooLarge
from memory_core.ids import RequestId, Seq
from memory_core.request_limits import (
    FIELD_LENGTH_MAX,
    METADATA_BYTES_MAX,
    OBSERVATIONS_MAX,
    REQUEST_LENGTH_MAX,
    TEXT_LENGTH_MAX,
)
from memory_core.results import EncodedObservation, ObserveOptions
from memory_core.storage.documents import canonical_json
from memory_core.storage.records import JournalRecord, observation_to_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveRequest:
    """A checked request. ``digest`` is of what is learned (texts, fields, learning rate), not of the keys."""

    observations: tuple[EncodedObservation, ...]
    request_id: RequestId | None
    learning_rate: float | None
    digest: str

    def to_record(self, first_seq: Seq) -> JournalRecord:
        """The journal record at a position."""
        return JournalRecord(
            first_seq=first_seq,
            request_id=self.request_id,
            learning_rate=self.learning_rate,
            observations=self.observations,
        )


def accept_observe(
    config: MemoryConfig, observations: Sequence[EncodedObservation], options: ObserveOptions
) -> ObserveRequest:
    """Check a request against the memory; raises ReadOnly, InvalidInput or TooLarge."""
    if config.is_read_only or options.learning_rate == 0.0:
        raise ReadOnly(
            "This memory does not learn: its learning rate is 0.",
            hint="Use infer and surprise, or send a learning rate above 0 to a memory that learns.",
        )
    rate = options.learning_rate
    if rate is not None and not (isinstance(rate, int | float) and 0.0 < rate <= 1.0):
        raise InvalidInput("The learning rate must be between 0 and 1.", hint="Leave it out for the memory's own.")
    _check_counts(observations)
    for position, item in enumerate(observations):
        _check_fields(item, position)
        _check_keys(item, position, config.key_dim)
    return ObserveRequest(
        observations=tuple(observations),
        request_id=options.request_id,
        learning_rate=rate,
        digest=content_digest(observations, rate),
    )


def content_digest(observations: Sequence[EncodedObservation], learning_rate: float | None) -> str:
    """Hash of what a request asks for. Keys are left out: the same text may be encoded with other rounding."""
    content = [observation_to_dict(item.observation) for item in observations]
    return hashlib.sha256(canonical_json([content, learning_rate])).hexdigest()


def idempotency_mismatch(request_id: RequestId) -> Conflict:
    """The error of an id that came with other content before."""
    return Conflict(
        "This idempotency key was used for another request.",
        code="IDEMPOTENCY_MISMATCH",
        hint="Send a fresh key with new content.",
        request_id=request_id,
    )


def _check_counts(observations: Sequence[EncodedObservation]) -> None:
    if not observations:
        raise InvalidInput("There is nothing to observe.", hint="Send at least one observation.")
    if len(observations) > OBSERVATIONS_MAX:
        raise TooLarge(
            f"The request has {len(observations)} observations; {OBSERVATIONS_MAX} are allowed.", hint="Split it."
        )
    length = sum(len(item.observation.text) for item in observations)
    if length > REQUEST_LENGTH_MAX:
        raise TooLarge(f"The request has {length} characters; {REQUEST_LENGTH_MAX} are allowed.", hint="Split it.")


def _check_fields(item: EncodedObservation, position: int) -> None:
    observation = item.observation
    if len(observation.text) > TEXT_LENGTH_MAX:
        raise TooLarge(
            f"Observation {position} has {len(observation.text)} characters; {TEXT_LENGTH_MAX} are allowed.",
            hint="Split the text.",
        )
    for name in ("domain", "session", "occurred_at"):
        if len(getattr(observation, name) or "") > FIELD_LENGTH_MAX:
            raise TooLarge(
                f"The {name} of observation {position} is over {FIELD_LENGTH_MAX} characters.", hint="Cut it."
            )
    if any(isinstance(value, float) and not math.isfinite(value) for value in observation.metadata.values()):
        raise InvalidInput(f"The metadata of observation {position} has a number that is not finite.", hint="Drop it.")
    if observation.metadata and len(canonical_json(observation.metadata)) > METADATA_BYTES_MAX:
        raise TooLarge(f"The metadata of observation {position} is over {METADATA_BYTES_MAX} bytes.", hint="Cut it.")


def _check_keys(item: EncodedObservation, position: int, key_dim: int) -> None:
    keys_SD = item.encoded.keys_SD
    is_fitting = keys_SD.dtype == np.float32 and keys_SD.ndim == 2 and keys_SD.shape[1] == key_dim
    if not is_fitting or not len(item.encoded.spans) == len(keys_SD) > 0:
        raise InvalidInput(
            f"The keys of observation {position} have shape {keys_SD.shape} and type {keys_SD.dtype} for "
            f"{len(item.encoded.spans)} segments; the memory takes float32 of size {key_dim}.",
            hint="Encode with the memory's encoder.",
        )
    if item.encoded.text != item.observation.text:
        raise InvalidInput(f"Observation {position} was encoded from another text.", hint="Encode it again.")
    if not np.isfinite(keys_SD).all():
        raise InvalidInput(f"The keys of observation {position} are not finite.", hint="Encode the text again.")

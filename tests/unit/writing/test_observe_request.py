"""What may take a position in the journal."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from memory_core.errors import InvalidInput, NeuralMemoryError, ReadOnly, TooLarge
from memory_core.ids import RequestId
from memory_core.observe_request import accept_observe
from memory_core.results import EncodedObservation, ObserveOptions
from memory_core.testing.small_memory import tiny_config, tiny_observations

SECRET = "the password is hunter2"


def accept(observations: list[EncodedObservation], **options: Any) -> Any:
    return accept_observe(tiny_config(), observations, ObserveOptions(**options))


def with_keys(keys_SD: Any, spans: tuple[tuple[int, int], ...] = ((0, 3),)) -> list[EncodedObservation]:
    (item,) = tiny_observations(SECRET)
    return [replace(item, encoded=replace(item.encoded, keys_SD=keys_SD, spans=spans))]


BAD: dict[str, tuple[list[EncodedObservation], dict[str, Any], type[NeuralMemoryError]]] = {
    "nothing": ([], {}, InvalidInput),
    "too many": (tiny_observations(*["x"] * 1025), {}, TooLarge),
    "a long text": (tiny_observations("x" * 262_145), {}, TooLarge),
    "much text together": (tiny_observations(*["x" * 262_144] * 17), {}, TooLarge),
    "a long domain": (tiny_observations(SECRET, domain="d" * 1_025), {}, TooLarge),
    "a long session": (tiny_observations(SECRET, session="d" * 1_025), {}, TooLarge),
    "large metadata": (tiny_observations(SECRET, metadata={"a": "b" * 16_384}), {}, TooLarge),
    "metadata that JSON has no word for": (tiny_observations(SECRET, metadata={"a": float("nan")}), {}, InvalidInput),
    "keys of another size": (with_keys(np.ones((1, 8), np.float32)), {}, InvalidInput),
    "keys of another type": (with_keys(np.ones((1, 16))), {}, InvalidInput),
    "flat keys": (with_keys(np.ones(16, np.float32)), {}, InvalidInput),
    "no keys": (with_keys(np.ones((0, 16), np.float32), ()), {}, InvalidInput),
    "fewer keys than segments": (with_keys(np.ones((1, 16), np.float32), ((0, 1), (1, 2))), {}, InvalidInput),
    "a key that is not finite": (with_keys(np.full((1, 16), np.inf, np.float32)), {}, InvalidInput),
    "a negative learning rate": (tiny_observations(SECRET), {"learning_rate": -0.1}, InvalidInput),
    "a learning rate that is no number": (tiny_observations(SECRET), {"learning_rate": float("nan")}, InvalidInput),
    "a learning rate of zero": (tiny_observations(SECRET), {"learning_rate": 0.0}, ReadOnly),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_learned_is_refused_without_quoting_it(name: str) -> None:
    observations, options, error = BAD[name]
    with pytest.raises(error) as raised:
        accept(observations, **options)
    assert SECRET not in f"{raised.value} {raised.value.context}"
    assert raised.value.hint


def test_a_text_that_was_encoded_as_another_is_refused() -> None:
    (item,) = tiny_observations(SECRET)
    with pytest.raises(InvalidInput):
        accept([replace(item, observation=replace(item.observation, text="other"))])


def test_a_read_only_memory_learns_nothing_at_any_rate() -> None:
    with pytest.raises(ReadOnly):
        accept_observe(tiny_config(learning_rate=0.0), tiny_observations("x"), ObserveOptions(learning_rate=0.5))


def test_the_digest_follows_the_content_and_not_the_keys() -> None:
    first = accept(tiny_observations("x"), request_id=RequestId("a"))
    (item,) = tiny_observations("x")
    rounded = replace(item, encoded=replace(item.encoded, keys_SD=item.encoded.keys_SD * np.float32(1.0001)))
    assert accept([rounded]).digest == first.digest
    for other in (
        accept(tiny_observations("y")),
        accept(tiny_observations("x", domain="d")),
        accept(tiny_observations("x"), learning_rate=0.5),
        accept(tiny_observations("x", "x")),
    ):
        assert other.digest != first.digest

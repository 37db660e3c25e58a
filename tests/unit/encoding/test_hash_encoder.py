"""The encoder without a model."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from memory_core.encoding.hash_encoder import HashEncoder
from memory_core.results import Keys


def key(text: str) -> Keys:
    return HashEncoder().encode([text])[0].keys_SD[0]


def test_keys_are_unit_norm_float32_of_384_dimensions() -> None:
    got = key("The gearbox rotates every Tuesday.")
    assert got.shape == (384,)
    assert got.dtype == np.float32
    assert np.linalg.norm(got) == pytest.approx(1.0, abs=1e-6)


def test_the_same_text_gives_the_same_key_on_every_machine() -> None:
    quantised = np.round(key("The gearbox rotates every Tuesday.") * 1000).astype("<i4")
    assert hashlib.sha256(quantised.tobytes()).hexdigest()[:16] == "3528b70f8a715c09"


@pytest.mark.parametrize("text", ["", " ", "?!", "\x00", "\ud800", "🎉🎉"])
def test_a_text_without_words_still_has_a_unit_key(text: str) -> None:
    assert np.linalg.norm(key(text)) == pytest.approx(1.0)


def test_inflections_are_nearer_than_other_subjects() -> None:
    asked = key("When does the gearbox rotate?")
    assert asked @ key("The gearbox is rotating daily.") > asked @ key("Anna painted a red horse.") + 0.3


def test_word_order_changes_the_key() -> None:
    assert key("Anna hired Ben today") @ key("Ben hired Anna today") < 0.999


def test_every_sentence_of_a_dialogue_turn_carries_its_speaker() -> None:
    turn = HashEncoder().encode(["Ann: I paint horses every single day. My studio is in Bremen."])[0]
    np.testing.assert_array_equal(turn.keys_SD[1], key("Ann: My studio is in Bremen."))


def test_a_long_text_has_a_key_for_each_segment() -> None:
    encoded = HashEncoder().encode(["one two three four. " * 100])[0]
    assert len(encoded.spans) == len(encoded.keys_SD) == 4

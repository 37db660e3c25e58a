"""What may be observed is decided before anything is encoded, and no message repeats the text."""

from __future__ import annotations

import pytest

from deployments import text_rules
from deployments.text_rules import check_description, check_metadata, check_observation, check_observations, check_text
from memory_core.errors import InvalidInput, NeuralMemoryError, TooLarge
from memory_core.results import MetadataValue, Observation

BAD_TEXTS = [
    ("", InvalidInput, "empty"),
    (" \n\t\u2003", InvalidInput, "empty"),
    ("secret \x00", InvalidInput, "NUL character at position 7"),
    ("secret \ud800", InvalidInput, "lone surrogate at position 7"),
    ("x" * (text_rules.TEXT_LENGTH_MAX + 1), TooLarge, "262145 characters"),
    ("x" * 10_000_000, TooLarge, "10000000 characters"),
]


@pytest.mark.parametrize(
    ("text", "kind", "cause"), BAD_TEXTS, ids=["empty", "blank", "nul", "surrogate", "long", "10mb"]
)
def test_a_bad_text_is_refused_with_its_cause_and_the_next_step(
    text: str, kind: type[NeuralMemoryError], cause: str
) -> None:
    with pytest.raises(kind) as raised:
        check_text(text, "text")
    assert cause in raised.value.message
    assert raised.value.hint
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("text", ["a", "naïve 日本語 🜁", "\u202eright to left", "x" * text_rules.TEXT_LENGTH_MAX])
def test_any_other_text_is_fine(text: str) -> None:
    check_text(text, "text")


def test_a_bad_observation_in_a_batch_is_named_by_its_place() -> None:
    with pytest.raises(InvalidInput, match="observation 1"):
        check_observations([Observation(text="fine"), Observation(text=" ")])


@pytest.mark.parametrize(("count", "kind"), [(0, InvalidInput), (text_rules.BATCH_MAX + 1, TooLarge)])
def test_a_batch_has_bounds(count: int, kind: type[NeuralMemoryError]) -> None:
    with pytest.raises(kind):
        check_observations([Observation(text="word")] * count)


@pytest.mark.parametrize("label", ["domain", "session", "occurred_at"])
@pytest.mark.parametrize("value", ["", "x" * 257, "a\x00", "\ud800"])
def test_labels_are_short_clean_strings(label: str, value: str) -> None:
    fields = {label: value}
    with pytest.raises(InvalidInput):
        check_observation(Observation(text="word", **fields), "observation")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "metadata",
    [
        {"": 1},
        {"k" * 257: 1},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": 2**63},
        {"a": "\ud800"},
        {"\x00": 1},
        {str(n): n for n in range(33)},
        {"nested": {"deep": 1}},
    ],
)
def test_metadata_is_a_small_flat_map_of_plain_values(metadata: dict[str, MetadataValue]) -> None:
    with pytest.raises(InvalidInput):
        check_metadata(metadata, "metadata")


def test_metadata_over_its_size_is_too_large() -> None:
    with pytest.raises(TooLarge):
        check_metadata({"a": "x" * 20_000}, "metadata")


def test_plain_metadata_is_fine() -> None:
    check_metadata({"page": 3, "score": 0.5, "is_new": True, "author": None, "title": "A title"}, "metadata")


def test_a_description_may_be_empty_but_not_broken() -> None:
    check_description("")
    with pytest.raises(InvalidInput):
        check_description("\ud800")


def test_the_limits_fit_those_of_the_core() -> None:
    from memory_core import request_limits

    assert text_rules.TEXT_LENGTH_MAX <= request_limits.TEXT_LENGTH_MAX
    assert text_rules.BATCH_MAX <= request_limits.OBSERVATIONS_MAX
    assert text_rules.LABEL_LENGTH_MAX <= request_limits.FIELD_LENGTH_MAX
    assert text_rules.METADATA_BYTES_MAX <= request_limits.METADATA_BYTES_MAX

"""Every error has one HTTP answer, and comes back from it as what it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployments.error_map import HTTP_STATUS, error_body, error_from_answer, http_status, retry_after_s
from memory_core import errors
from memory_core.errors import NeuralMemoryError


def all_kinds(kind: type[NeuralMemoryError] = NeuralMemoryError) -> Iterator[type[NeuralMemoryError]]:
    for child in kind.__subclasses__():
        yield child
        yield from all_kinds(child)


KINDS = sorted({kind for kind in all_kinds() if kind.__module__ == errors.__name__}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_class_is_mapped_by_name(kind: type[NeuralMemoryError]) -> None:
    assert kind in HTTP_STATUS


def test_an_error_class_that_nobody_mapped_answers_as_its_parent() -> None:
    class Missing(errors.NotFound):
        pass

    assert http_status(Missing("gone")) == 404


def test_the_bare_base_is_an_internal_error() -> None:
    assert http_status(NeuralMemoryError("?")) == 500


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_way_over_http(kind: type[NeuralMemoryError]) -> None:
    sent = kind("what happened", hint="what to do")
    received = error_from_answer(http_status(sent), error_body(sent, "request-1"))
    assert (type(received), received.code, received.message, received.hint) == (
        kind,
        sent.code,
        sent.message,
        sent.hint,
    )


def test_a_specialised_code_keeps_the_class_of_its_status() -> None:
    sent = errors.NotFound("gone", code="CHECKPOINT_NOT_FOUND")
    received = error_from_answer(404, error_body(sent, "r"))
    assert (type(received), received.code) == (errors.NotFound, "CHECKPOINT_NOT_FOUND")


def test_only_errors_that_can_pass_say_when_to_retry() -> None:
    assert retry_after_s(errors.Overloaded("busy", retry_after_s=3.0)) == 3.0
    assert retry_after_s(errors.Unavailable("away")) == 1.0
    assert retry_after_s(errors.InvalidInput("never")) is None
    assert "retry_after_s" not in error_body(errors.InvalidInput("never"), "r")["error"]


@pytest.mark.parametrize(
    ("status", "kind"), [(502, errors.Unavailable), (418, errors.Internal), (500, errors.Unavailable)]
)
def test_a_foreign_answer_becomes_an_error_by_its_status(status: int, kind: type[NeuralMemoryError]) -> None:
    for body in (None, "text", {"detail": "other shape"}):
        found = error_from_answer(status, body)
        assert type(found) is kind
        assert (found.retry_after_s is not None) == found.retryable

"""One error tree, cut by what the caller does next.

Every error carries a machine-readable ``code``, whether a retry can help, a ``hint`` with the next step,
and a ``context`` of plain values. Errors cross process borders (Ray pickles them), so they rebuild from
their fields alone. Messages never contain the text of an observation.
"""

from __future__ import annotations

from typing import Any, ClassVar

ContextValue = str | int | float | bool | None


class NeuralMemoryError(Exception):
    """Base of everything this project raises on purpose."""

    default_code: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        retry_after_s: float | None = None,
        **context: ContextValue,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.retry_after_s = retry_after_s
        self.context: dict[str, ContextValue] = dict(context)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.code, self.hint, self.retry_after_s, self.context))

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


def _rebuild(
    kind: type[NeuralMemoryError],
    message: str,
    code: str,
    hint: str,
    retry_after_s: float | None,
    context: dict[str, ContextValue],
) -> NeuralMemoryError:
    return kind(message, code=code, hint=hint, retry_after_s=retry_after_s, **context)


class NotFound(NeuralMemoryError):
    """The named thing does not exist (MEMORY_NOT_FOUND, CHECKPOINT_NOT_FOUND)."""

    default_code = "NOT_FOUND"


class Conflict(NeuralMemoryError):
    """The thing exists already, or another change came first."""

    default_code = "CONFLICT"


class Fenced(NeuralMemoryError):
    """A newer writer owns this memory; the caller retries and reaches that one."""

    default_code = "FENCED"
    retryable = True


class InvalidInput(NeuralMemoryError):
    """The request can never succeed as written."""

    default_code = "INVALID_INPUT"


class TooLarge(NeuralMemoryError):
    """The request is over a size limit."""

    default_code = "TOO_LARGE"


class Unauthenticated(NeuralMemoryError):
    """No valid credentials came with the request."""

    default_code = "UNAUTHENTICATED"


class Forbidden(NeuralMemoryError):
    """The credentials do not allow this."""

    default_code = "FORBIDDEN"


class Overloaded(NeuralMemoryError):
    """Too much work is queued; retry after ``retry_after_s``."""

    default_code = "OVERLOADED"
    retryable = True


class Unavailable(NeuralMemoryError):
    """The owner or its storage cannot be reached right now."""

    default_code = "UNAVAILABLE"
    retryable = True


class DeadlineExceeded(Unavailable):
    """The caller's time is over; what was asked may still happen."""

    default_code = "DEADLINE_EXCEEDED"


class PreconditionFailed(Conflict):
    """The thing changed since the caller looked."""

    default_code = "PRECONDITION_FAILED"


class ReadOnly(NeuralMemoryError):
    """The memory does not learn (learning rate 0)."""

    default_code = "READ_ONLY"


class Saturated(Conflict):
    """No unit is free and the memory's policy is to refuse instead of replacing the weakest."""

    default_code = "MEMORY_SATURATED"


class LearningFailed(NeuralMemoryError):
    """The update produced NaN or infinity; the state was kept as it was."""

    default_code = "LEARNING_FAILED"


class CorruptData(NeuralMemoryError):
    """Stored bytes do not match their checksum or format; nothing of them was served."""

    default_code = "STATE_CORRUPTED"


class Internal(NeuralMemoryError):
    """A promise of this project was broken: a bug worth reporting."""

    default_code = "INTERNAL"

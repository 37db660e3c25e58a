"""The one place that says which HTTP answer an error gives, and which error an HTTP answer was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from memory_core import errors

RETRY_AFTER_DEFAULT_S: Final = 1.0
CHALLENGE: Final = "challenge"
_SERVER_ERRORS_FROM: Final = 500

HTTP_STATUS: Final[dict[type[errors.NeuralMemoryError], int]] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Fenced: 503,
    errors.InvalidInput: 422,
    errors.TooLarge: 413,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.Overloaded: 429,
    errors.Unavailable: 503,
    errors.DeadlineExceeded: 504,
    errors.PreconditionFailed: 412,
    errors.ReadOnly: 409,
    errors.Saturated: 409,
    errors.LearningFailed: 500,
    errors.CorruptData: 500,
    errors.Internal: 500,
}

_KIND_BY_CODE: Final = {kind.default_code: kind for kind in HTTP_STATUS}
_KIND_BY_STATUS: Final[dict[int, type[errors.NeuralMemoryError]]] = {
    400: errors.InvalidInput,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.InvalidInput,
    409: errors.Conflict,
    412: errors.PreconditionFailed,
    413: errors.TooLarge,
    422: errors.InvalidInput,
    429: errors.Overloaded,
    502: errors.Unavailable,
    503: errors.Unavailable,
    504: errors.DeadlineExceeded,
}


def http_status(error: errors.NeuralMemoryError) -> int:
    """The status for an error: that of its nearest mapped class, 500 for the bare base."""
    return next((HTTP_STATUS[kind] for kind in type(error).__mro__ if kind in HTTP_STATUS), 500)


def retry_after_s(error: errors.NeuralMemoryError) -> float | None:
    """Seconds after which a retry makes sense; None when the same request can never succeed."""
    if error.retry_after_s is not None:
        return error.retry_after_s
    return RETRY_AFTER_DEFAULT_S if error.retryable else None


def error_headers(error: errors.NeuralMemoryError) -> dict[str, str]:
    """What HTTP says about an error beside its body."""
    headers = _challenge(error)
    wait_s = retry_after_s(error)
    return headers if wait_s is None else {**headers, "Retry-After": str(math.ceil(wait_s))}


def _challenge(error: errors.NeuralMemoryError) -> dict[str, str]:
    if isinstance(error, errors.Unauthenticated):
        return {"WWW-Authenticate": str(error.context.get(CHALLENGE, "Bearer"))}
    scope = error.context.get("scope")
    if isinstance(error, errors.Forbidden) and scope is not None:
        return {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
    return {}


def error_content(error: errors.NeuralMemoryError) -> dict[str, Any]:
    """What every door says of an error: ``{code, message, hint, retry_after_s?}``."""
    content: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    wait_s = retry_after_s(error)
    if wait_s is not None:
        content["retry_after_s"] = wait_s
    return content


def error_body(error: errors.NeuralMemoryError, request_id: str) -> dict[str, Any]:
    """The body of every error answer: ``{"error": {code, message, hint, request_id, retry_after_s?}}``."""
    return {"error": {**error_content(error), "request_id": request_id}}


def error_from_answer(status: int, body: object) -> errors.NeuralMemoryError:
    """Rebuild the error that a service answered with; a foreign body becomes Unavailable or Internal by its status.

    The service says what went wrong in it with a body. A 5xx without one is of a front whose process behind it went.
    """
    inner = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(inner, Mapping):
        message = f"The server answered {status} without an error body."
        if status >= _SERVER_ERRORS_FROM:
            hint = "Try again; if it stays so, check the URL."
            return errors.Unavailable(message, hint=hint, retry_after_s=RETRY_AFTER_DEFAULT_S)
        inner = {"message": message, "hint": "Check the URL."}
    code = str(inner.get("code") or "")
    kind = _KIND_BY_CODE.get(code) or _KIND_BY_STATUS.get(status, errors.Internal)
    return kind(
        str(inner.get("message", "")),
        code=code or None,
        hint=str(inner.get("hint", "")),
        retry_after_s=inner.get("retry_after_s"),
    )

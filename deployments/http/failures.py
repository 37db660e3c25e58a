"""Error answers: every failure of a route, the framework or a body check gets the one error shape."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from deployments.error_map import error_body, error_headers, http_status
from deployments.http.answers import ErrorAnswer
from memory_core.errors import InvalidInput, NeuralMemoryError, NotFound

_PLACE_LENGTH_MAX: Final = 160
_DESCRIPTIONS: Final = {
    400: "The body is not JSON.",
    401: "No valid key came with the request.",
    403: "The key does not allow this.",
    404: "No such memory or checkpoint.",
    409: "It exists already, or the memory does not allow this.",
    412: "The memory changed since its ETag was read.",
    413: "The body, a text or the batch is over its limit.",
    422: "The request can never succeed as written.",
    429: "Too much work is queued, or the key is over its rate or quota; retry after `retry_after_s`.",
    500: "A stored state is damaged, or a bug.",
    503: "The memory or its storage cannot be reached right now; retry after `retry_after_s`.",
    504: "Not answered within `X-Request-Timeout`; it may still be carried out.",
}
_ALWAYS: Final = (400, 401, 403, 413, 422, 429, 500, 503, 504)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a route that can give these error statuses, beside those that any request can get."""
    given = sorted({*statuses, *_ALWAYS})
    return {status: {"model": ErrorAnswer, "description": _DESCRIPTIONS[status]} for status in given}


def install_error_answers(app: FastAPI) -> None:
    """Make ``app`` answer every error in the one shape."""
    app.add_exception_handler(NeuralMemoryError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_framework_error)


def error_answer(
    request: Request, error: NeuralMemoryError, status: int | None = None, headers: dict[str, str] | None = None
) -> Response:
    """The answer for ``error``; ``status`` overrides the mapped one."""
    sent = {**error_headers(error), **(headers or {})}
    request_id = str(getattr(request.state, "request_id", ""))
    return JSONResponse(error_body(error, request_id), status_code=status or http_status(error), headers=sent)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, NeuralMemoryError)
    return error_answer(request, error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return error_answer(request, _not_json(), 400)
    if first["loc"] == ("body",) and first["type"] in {"model_attributes_type", "missing"}:
        return error_answer(request, _not_an_object())
    place = ".".join(ascii(part)[1:-1] if isinstance(part, str) else str(part) for part in first["loc"])
    more = len(error.errors()) - 1
    others = f" ({more} more problem{'s' if more > 1 else ''})" if more else ""
    problem = InvalidInput(
        f"{place[:_PLACE_LENGTH_MAX]}: {first['msg']}{others}.", hint="See /docs for the fields of this request."
    )
    return error_answer(request, problem)


async def _on_framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 400:
        return error_answer(request, _not_json(), 400)
    if error.status_code == 404:
        unknown = NotFound("No such path.", code="PATH_NOT_FOUND", hint="See /docs for the paths of this service.")
        return error_answer(request, unknown, headers=headers)
    if error.status_code == 405:
        refused = InvalidInput(
            "This path does not take that method.",
            code="METHOD_NOT_ALLOWED",
            hint=f"Use {headers.get('Allow', 'another')}.",
        )
        return error_answer(request, refused, 405, headers)
    return error_answer(request, InvalidInput(str(error.detail)), error.status_code, headers)


def _not_an_object() -> InvalidInput:
    return InvalidInput(
        "The body is not a JSON object, or its content-type does not say JSON.",
        hint="Send a JSON object with content-type application/json; see /docs for its fields.",
    )


def _not_json() -> InvalidInput:
    return InvalidInput(
        "The body is not valid JSON in UTF-8.", hint="Send a JSON object with content-type application/json."
    )

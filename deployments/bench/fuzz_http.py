"""Generated requests against the HTTP door: every answer has a status that its document names, and none is 5xx."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from deployments.bench.fuzz_target import MEMORY

_ROUNDS_MAX: Final = 20
_TIMEOUT_S: Final = 60.0
_REFUSED_BY_SERVER: Final = 400  # what the HTTP server below the application says of a request that is no HTTP


@dataclass(slots=True)
class Found:
    """``server_errors`` and ``undocumented``: how often which operation gave which status."""

    cases: int = 0
    server_errors: Counter[str] = field(default_factory=Counter)
    undocumented: Counter[str] = field(default_factory=Counter)


def fuzz_http(base_url: str, cases: int, seed_number: int = 0) -> Found:
    """Send about ``cases`` valid and broken requests to all operations of the service; half of them to MEMORY."""
    schemathesis.serializer.alias("application/x-ndjson", "text/plain")
    schema = schemathesis.openapi.from_url(f"{base_url}/openapi.json")
    found_operations: list[Any] = list(schema.get_all_operations())
    operations = [result.ok() for result in found_operations]  # a document that is no OpenAPI raises here
    found = Found()
    with requests.Session() as session:
        for number in range(_ROUNDS_MAX):
            for operation in operations:
                left = cases - found.cases
                if left <= 0:
                    return found
                share = min(left, max(2, (cases // len(operations)) // (number + 1)))
                _fuzz(operation, base_url, session, share, seed_number + number, found)
    return found


def _fuzz(
    operation: Any,
    base_url: str,
    session: requests.Session,
    cases: int,
    seed_number: int,
    found: Found,
) -> None:
    documented = {str(status) for status in operation.definition.raw["responses"]}
    valid = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    broken = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @seed(seed_number)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(valid, broken), is_known=st.booleans())
    def send(case: Case[Any], is_known: bool) -> None:
        if is_known and "name" in (case.path_parameters or {}) and operation.method != "delete":
            case.path_parameters["name"] = MEMORY
        found.cases += 1
        try:
            status = case.call(base_url=base_url, session=session, timeout=_TIMEOUT_S).status_code
        except (requests.exceptions.InvalidHeader, UnicodeEncodeError):
            return  # cannot be written as HTTP at all
        except requests.exceptions.RequestException as error:
            found.server_errors[f"{operation.label} {type(error).__name__}"] += 1
            return
        if status >= 500:
            found.server_errors[f"{operation.label} {status}"] += 1
        if str(status) not in documented and status not in _framework_statuses(case):
            found.undocumented[f"{operation.label} {status}"] += 1

    if _is_possible(valid) or _is_possible(broken):
        send()


def _framework_statuses(case: Case[Any]) -> set[int]:
    """A generated path or method can miss the operation; then the answer is that of no operation."""
    strange = {404, 405} if case.path_parameters or case.method.upper() != case.operation.method.upper() else set()
    return {_REFUSED_BY_SERVER, *strange}


def _is_possible(strategy: st.SearchStrategy[Any]) -> bool:
    return not strategy.is_empty

"""Generated requests against the HTTP door: every answer has a status that its document names, and none is 5xx."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from deployments.bench.asgi_session import asgi_session
from deployments.bench.fuzz_target import MEMORY, build_target, prepare

_ROUNDS_MAX: Final = 20
_TIMEOUT_S: Final = 60.0
_REFUSED_BY_SERVER: Final = 400  # what the HTTP server below the application says of a request that is no HTTP
_IN_PROCESS: Final = "http://127.0.0.1:8000"


@dataclass(slots=True)
class Found:
    """``answers``: how often which status was given. ``server_errors``, ``undocumented``: by which operation."""

    cases: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    server_errors: Counter[str] = field(default_factory=Counter)
    undocumented: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Found) -> Found:
        return Found(
            self.cases + other.cases,
            self.answers + other.answers,
            self.server_errors + other.server_errors,
            self.undocumented + other.undocumented,
        )


def fuzz_http_service(base_url: str, cases: int, seed_number: int = 0) -> Found:
    """Send about ``cases`` valid and broken requests to all operations of a service; half of them to MEMORY."""
    with requests.Session() as session:
        return _Fuzz(base_url, session).run(cases, seed_number)


def fuzz_http_application(cases: int, seed_number: int = 0) -> Found:
    """The same, to an application of its own in this thread."""
    with (
        tempfile.TemporaryDirectory(prefix="nm-fuzz-") as folder,
        asgi_session(build_target(Path(folder) / "volume"), _IN_PROCESS) as session,
    ):
        prepare(_IN_PROCESS, session)
        return _Fuzz(_IN_PROCESS, session).run(cases, seed_number)


class _Fuzz:
    def __init__(self, base_url: str, session: requests.Session) -> None:
        schemathesis.serializer.alias("application/x-ndjson", "text/plain")
        document = session.get(f"{base_url}/openapi.json", timeout=_TIMEOUT_S).json()
        every: list[Any] = list(schemathesis.openapi.from_dict(document).get_all_operations())
        self._operations = [result.ok() for result in every]  # a document that is no OpenAPI raises here
        self._base_url = base_url
        self._session = session
        self._found = Found()

    def run(self, cases: int, seed_number: int) -> Found:
        for number in range(_ROUNDS_MAX):
            for operation in self._operations:
                left = cases - self._found.cases
                if left <= 0:
                    return self._found
                share = min(left, max(2, (cases // len(self._operations)) // (number + 1)))
                self._generate(operation, share, seed_number + number)
        return self._found

    def _generate(self, operation: Any, cases: int, seed_number: int) -> None:
        """Hypothesis may draw less than asked for, when an operation has few different requests."""
        valid = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        broken = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
        if valid.is_empty and broken.is_empty:
            return

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
            self._send(operation, case)

        run: Callable[[], None] = send
        run()

    def _send(self, operation: Any, case: Case[Any]) -> None:
        try:
            answer = case.call(base_url=self._base_url, session=self._session, timeout=_TIMEOUT_S)
        except (requests.exceptions.InvalidHeader, UnicodeEncodeError):
            return  # cannot be written as HTTP at all, so it is no case
        except Exception as error:  # whatever the application lets out would be a connection that breaks
            self._found.cases += 1
            self._found.server_errors[f"{operation.label} {type(error).__name__}"] += 1
            return
        self._found.cases += 1
        self._judge(operation, case, answer.status_code)

    def _judge(self, operation: Any, case: Case[Any], status: int) -> None:
        self._found.answers[str(status)] += 1
        if status >= 500:
            self._found.server_errors[f"{operation.label} {status}"] += 1
        documented = operation.definition.raw["responses"]
        if str(status) not in documented and status not in _framework_statuses(case):
            self._found.undocumented[f"{operation.label} {status}"] += 1


def _framework_statuses(case: Case[Any]) -> set[int]:
    """A generated path or method can miss the operation; then the answer is that of no operation."""
    strange = {404, 405} if case.path_parameters or case.method.upper() != case.operation.method.upper() else set()
    return {_REFUSED_BY_SERVER, *strange}

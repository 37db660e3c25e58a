"""Errors by class: code, status, whether a repetition can help."""

from __future__ import annotations

from deployments.error_map import HTTP_STATUS


def error_page() -> str:
    """A table in the order of the error tree."""
    lines = ["| code | status | repeat it? | meaning |", "|---|---|---|---|"]
    for kind, status in HTTP_STATUS.items():
        meaning = (kind.__doc__ or "").strip().splitlines()[0]
        again = "yes, after `retry_after_s`" if kind.retryable else "no"
        lines.append(f"| `{kind.default_code}` | {status} | {again} | {meaning} |")
    return "\n".join(lines) + "\n"

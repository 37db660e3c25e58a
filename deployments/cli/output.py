"""How results and errors look on a terminal."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from memory_core.errors import NeuralMemoryError
from memory_core.results import InferResult

out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)
_EXEMPLAR_LENGTH: Final = 100


def print_error(error: NeuralMemoryError) -> None:
    """One line that says what happened, one with the next step."""
    err.print(Text(f"error {error.code}: {error.message}", style="bold red"), soft_wrap=True)
    if error.hint:
        err.print(Text(f"  {error.hint}"), soft_wrap=True)


def print_json(value: object) -> None:
    """One JSON object on stdout."""
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    out.out(json.dumps(plain, ensure_ascii=False))


def print_fields(value: Any) -> None:
    """A dataclass as two columns."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, entry in asdict(value).items():
        table.add_row(Text(key, style="cyan"), Text(_plain(entry)))
    out.print(table)


def print_rows(rows: list[dict[str, Any]], columns: tuple[str, ...], empty: str) -> None:
    """A list as a table; ``empty`` is printed when there is nothing."""
    if not rows:
        out.print(Text(empty))
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(Text(_plain(row[column])) for column in columns))
    out.print(table)


def print_answer(answer: InferResult) -> None:
    """A response with its confidence and the patterns it was made from."""
    if answer.mode == "not_learned":
        out.print(Text(f"Not learned (confidence {answer.confidence:.2f}).", style="yellow"))
    else:
        out.print(Text(answer.response, style="bold"))
        out.print(Text(f"confidence {answer.confidence:.2f}", style="green"))
    for match in answer.patterns:
        out.print(Text(f"  pattern {match.pattern}  weight {match.weight:.2f}  {_first_exemplar(match.exemplars)}"))


def shortened(text: str) -> str:
    """A text on one line of at most 100 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _EXEMPLAR_LENGTH else line[: _EXEMPLAR_LENGTH - 1] + "…"


def _first_exemplar(exemplars: tuple[Any, ...]) -> str:
    if not exemplars:
        return ""
    return shortened(str(exemplars[0].text))


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict) and set(value) == {"value", "low", "high", "sample"}:
        return f"{value['value']:.4g} ({value['low']:.4g} to {value['high']:.4g}, of {value['sample']})"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)

"""Lines of a file, whatever the file is: bounded memory for a line of any length, and a word on what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

LINE_BYTES_MAX: Final = 2 << 20
_PIECE_BYTES: Final = 1 << 18
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Line:
    """``text`` without its end; None when there is a ``problem``. number: from 1. end: bytes up to here."""

    number: int
    text: str | None
    end: int
    problem: str | None = None


def capped_lines(file: IO[bytes], cap: int = LINE_BYTES_MAX) -> Iterator[Line]:
    """Every line; one of more than ``cap`` bytes is passed over piece by piece and becomes a problem."""
    number = end = skipped = 0
    rest = b""
    while piece := file.read(_PIECE_BYTES):
        *whole, rest = (rest + piece).split(b"\n")
        for raw in whole:
            number, end = number + 1, end + skipped + len(raw) + 1
            yield _too_long(number, end, cap) if skipped or len(raw) > cap else _decoded(number, raw, end)
            skipped = 0
        if skipped or len(rest) > cap:
            skipped, rest = skipped + len(rest), b""
    if skipped or rest:
        number, end = number + 1, end + skipped + len(rest)
        yield _too_long(number, end, cap) if skipped else _decoded(number, rest, end)


def _decoded(number: int, raw: bytes, end: int) -> Line:
    if number == 1:
        raw = raw.removeprefix(_BOM)
    try:
        return Line(number, raw.removesuffix(b"\r").decode(), end)
    except UnicodeDecodeError as error:
        return Line(number, None, end, f"the line is not UTF-8: byte {error.start} does not fit")


def _too_long(number: int, end: int, cap: int) -> Line:
    return Line(number, None, end, f"the line is over {cap} bytes")

"""Observations from an argument, a file or standard input."""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

from memory_core.errors import InvalidInput, NotFound

STDIN: Final = "-"


class Split(StrEnum):
    """What one observation is in a file."""

    LINE = "line"
    PARAGRAPH = "paragraph"
    WHOLE = "whole"


def read_texts(text: str | None, file: Path | None, split: Split) -> list[str]:
    """The observations; InvalidInput when there is none or more than one source."""
    if (text is None) == (file is None):
        raise InvalidInput("Give either a text or --file.", hint="Use - as the text to read standard input.")
    if text is not None and text != STDIN:
        return [text]
    texts = split_texts(_decoded(_read_bytes(file)), split)
    if not texts:
        raise InvalidInput("There is nothing to observe in it.", hint="Send at least one line of text.")
    return texts


def split_texts(content: str, split: Split) -> list[str]:
    """Cut into observations; blank ones are left out."""
    if split is Split.WHOLE:
        pieces = [content]
    elif split is Split.LINE:
        pieces = content.splitlines()
    else:
        pieces = re.split(r"\n\s*\n", content)
    return [piece.strip() for piece in pieces if piece.strip()]


def _read_bytes(file: Path | None) -> bytes:
    if file is None or str(file) == STDIN:
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"There is no file {ascii(str(file))}.", code="FILE_NOT_FOUND", hint="Check the path.") from None
    except OSError as error:
        raise InvalidInput(
            f"The file cannot be read ({error.strerror}).", hint="Check the path and its rights."
        ) from None


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"The input is not UTF-8: byte {error.start} does not fit.",
            hint="Convert it first, for example with iconv.",
        ) from None

"""An attention map as a picture: words of the query across, patterns down, darker where a word leads to a pattern."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

from memory_core.insight_results import AttentionMap

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_CELL_PX: Final = (72, 34)
_MARGIN_PX: Final = 8
_LABEL_PX: Final = 300
_HEAD_PX: Final = 28
_WORDS_MAX: Final = 40
_LABEL_LENGTH: Final = 44
_WORD_LENGTH: Final = 11
_INK: Final = (20, 24, 40)
_PAPER: Final = (255, 255, 255)
_DARKEST: Final = (24, 78, 160)


def attention_png(found: AttentionMap) -> bytes:
    """The map as a PNG; at most the first 40 words of the query."""
    from PIL import Image, ImageDraw

    tokens = found.tokens[:_WORDS_MAX]
    width = 2 * _MARGIN_PX + _LABEL_PX + max(1, len(tokens)) * _CELL_PX[0]
    height = 2 * _MARGIN_PX + _HEAD_PX + max(1, len(found.rows)) * _CELL_PX[1]
    picture = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    for column, token in enumerate(tokens):
        _write(draw, (_left(column) + 4, _MARGIN_PX + 6), _cut(token.word, _WORD_LENGTH))
    strongest = max((weight for row in found.rows for weight in row.word_weights), default=0.0)
    for place, row in enumerate(found.rows):
        top = _MARGIN_PX + _HEAD_PX + place * _CELL_PX[1]
        label = f"{row.weight:4.0%}  {' '.join(row.exemplar.text.split())}"
        _write(draw, (_MARGIN_PX, top + 9), _cut(label, _LABEL_LENGTH))
        for column, weight in enumerate(row.word_weights[: len(tokens)]):
            _cell(draw, (_left(column), top), weight / strongest if strongest else 0.0)
    sink = io.BytesIO()
    picture.save(sink, format="PNG", optimize=True)
    return sink.getvalue()


def _left(column: int) -> int:
    return _MARGIN_PX + _LABEL_PX + column * _CELL_PX[0]


def _cell(draw: ImageDraw, corner: tuple[int, int], share: float) -> None:
    left, top = corner
    color = tuple(round(paper + (dark - paper) * share) for paper, dark in zip(_PAPER, _DARKEST, strict=True))
    draw.rectangle((left, top, left + _CELL_PX[0] - 2, top + _CELL_PX[1] - 2), fill=color, outline=(225, 228, 236))


def _write(draw: ImageDraw, place: tuple[int, int], text: str) -> None:
    draw.text(place, text, fill=_INK)


def _cut(text: str, length_max: int) -> str:
    return text if len(text) <= length_max else text[: length_max - 1] + "…"

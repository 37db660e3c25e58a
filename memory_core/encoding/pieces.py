"""What encoders over word pieces share: cutting a text along its pieces, batches of similar length, putting keys back.

Shapes: N rows (segments of all texts), S segments of one text, D key_dim.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final

import numpy as np

from memory_core.encoding.segments import PIECES_MAX, Segment, Span, cut_segments, speaker_end
from memory_core.results import EncodedText, Keys

Row = list[int]
_SPEAKER_PIECES_MAX: Final = 16
_LONE_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def clean(texts: Sequence[str]) -> list[str]:
    """Texts as tokenisers take them: a lone surrogate becomes the replacement character, which is as long."""
    return [_LONE_SURROGATES.sub("\ufffd", text) for text in texts]


class PieceText:
    """A text's segments and their piece ids. Tokenisers copy whole lists at every access: take each once."""

    def __init__(self, text: str, ids: Row, offsets: Sequence[Span], pieces_max: int = PIECES_MAX) -> None:
        """``ids``, ``offsets``: the pieces of the whole text, without special ones, and where they stand in it."""
        self.text = text
        self._ids, self._pieces_max = ids, pieces_max
        self.segments: tuple[Segment, ...] = cut_segments(text, offsets, pieces_max)
        end = speaker_end(text)
        self._speaker = [
            piece for piece, (_, stop) in zip(ids, offsets[:_SPEAKER_PIECES_MAX], strict=False) if stop <= end
        ]

    def rows(self) -> Iterator[Row]:
        """Piece ids of each segment, those after the first behind the speaker's."""
        for segment in self.segments:
            own = self._ids[segment.first_piece : segment.end_piece]
            yield [*self._speaker, *own][: self._pieces_max] if segment.first_piece else own


def encode_pieces(texts: Sequence[PieceText], embed: Callable[[list[Row]], Keys]) -> list[EncodedText]:
    """Keys of every segment in one call of ``embed``, which takes N rows of piece ids and gives (N, D)."""
    keys_ND = embed([row for one in texts for row in one.rows()])
    ends = list(accumulate(len(one.segments) for one in texts))
    return [
        EncodedText(
            text=one.text,
            spans=tuple((segment.start, segment.end) for segment in one.segments),
            keys_SD=keys_ND[end - len(one.segments) : end].copy(),
        )
        for one, end in zip(texts, ends, strict=True)
    ]


def batches_by_length(lengths: Sequence[int], padded_max: int) -> Iterator[list[int]]:
    """Indices of rows of similar length; a batch's padded size is at most ``padded_max``, or it is one row."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > padded_max:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def pad(rows: Sequence[Row], padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Piece ids (int64) of rows side by side, and a mask that is False on padding; both (rows, longest row)."""
    lengths = np.array([len(row) for row in rows])
    ids_BT = np.full((len(rows), int(lengths.max(initial=0))), padding, dtype=np.int64)
    for padded, row in zip(ids_BT, rows, strict=True):
        padded[: len(row)] = row
    return ids_BT, np.arange(ids_BT.shape[1]) < lengths[:, None]

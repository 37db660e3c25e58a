"""Encoder ``static``: one vector per word piece, learned from another encoder, added up. No model runs.

``neural-memory encoder distill`` makes the vectors (see ``distill``). A key costs the cutting of its text and a sum;
what it loses is word order and context. Shapes: V pieces of the vocabulary, N rows, P pieces of all rows, D key_dim.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from memory_core.encoding.load_once import LoadOnce
from memory_core.encoding.pieces import PieceText, Row, clean, encode_pieces
from memory_core.encoding.segments import PIECES_MAX, PIECES_MIN
from memory_core.errors import CorruptData, InvalidInput
from memory_core.ids import EncoderId
from memory_core.results import EncodedText, Keys

if TYPE_CHECKING:
    from tokenizers import Tokenizer

STATIC: Final = EncoderId("static")
VECTORS_FILE: Final = "static.safetensors"
TOKENIZER_FILE: Final = "tokenizer.json"
VECTORS: Final = "vectors_VD"
# Raise the version when a change moves keys: cutting, weighting, pooling.
_SETTINGS: Final = f"static/1 pieces={PIECES_MIN}..{PIECES_MAX} sentences-with-speaker summed unit-norm"


@dataclass(frozen=True, slots=True)
class _Loaded:
    tokenizer: Tokenizer
    vectors_VD: Keys
    fingerprint: str


class StaticEncoder:
    """Cheap to construct; loads on first use, once. Safe to share between threads."""

    def __init__(self, folder: str = "") -> None:
        """``folder``: what ``encoder distill`` wrote; the default one when empty. InvalidInput when there is none."""
        self._place = folder
        self._folder = Path(folder).expanduser() if folder else default_folder()
        if not (self._folder / VECTORS_FILE).is_file():
            raise InvalidInput(
                f"The encoder static was not made yet in {ascii(str(self._folder))}.",
                hint=f"Run neural-memory encoder distill --from minilm{f' --out {folder}' if folder else ''}"
                " (about a minute).",
            )
        self._vectors = LoadOnce(lambda: _load(self._folder))

    @property
    def encoder_id(self) -> EncoderId:
        """``static``, or ``static:`` and the folder."""
        return EncoderId(f"{STATIC}:{self._place}") if self._place else STATIC

    @property
    def fingerprint(self) -> str:
        """SHA-256 over vectors, tokeniser and settings."""
        return self._vectors.get().fingerprint

    @property
    def key_dim(self) -> int:
        """Size of the vectors, 256 unless they were made otherwise."""
        return int(self._vectors.get().vectors_VD.shape[1])

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Segments and their keys; a segment without any known piece still gets a unit key."""
        encodings = self._vectors.get().tokenizer.encode_batch(clean(texts), add_special_tokens=False)
        cut = [PieceText(text, one.ids, one.offsets) for text, one in zip(texts, encodings, strict=True)]
        return encode_pieces(cut, self.embed_rows)

    def embed_rows(self, rows: Sequence[Row]) -> Keys:
        """Unit-norm keys (N, D) of rows of piece ids."""
        import torch

        vectors_VD = torch.from_numpy(self._vectors.get().vectors_VD)
        pieces_P = torch.tensor([piece for row in rows for piece in row], dtype=torch.int64)
        starts_N = torch.tensor([0, *accumulate(map(len, rows))][:-1], dtype=torch.int64)
        sums_ND: Keys = torch.nn.functional.embedding_bag(pieces_P, vectors_VD, starts_N, mode="sum").numpy()
        norms_N = np.linalg.norm(sums_ND, axis=1)
        sums_ND[norms_N == 0.0, 0] = norms_N[norms_N == 0.0] = 1.0
        keys_ND: Keys = sums_ND / norms_N[:, None]
        return keys_ND


def default_folder() -> Path:
    """Where ``static`` lies when no folder is named."""
    return Path.home() / ".neural-memory" / "encoders" / "static"


def _load(folder: Path) -> _Loaded:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        packed, tokenizer = (folder / VECTORS_FILE).read_bytes(), (folder / TOKENIZER_FILE).read_bytes()
        vectors_VD = load(packed)[VECTORS].astype(np.float32)
        opened = _open_tokenizer(tokenizer)
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise CorruptData(
            f"The encoder static in {ascii(str(folder))} cannot be read ({type(error).__name__}).",
            hint="Make it again: neural-memory encoder distill --from minilm.",
        ) from error
    if vectors_VD.ndim != 2 or opened.get_vocab_size() > len(vectors_VD) or not np.isfinite(vectors_VD).all():
        raise CorruptData(
            f"The vectors and the tokeniser of the encoder static in {ascii(str(folder))} do not fit each other.",
            hint="Make it again: neural-memory encoder distill --from minilm.",
        )
    hashes = [hashlib.sha256(data).hexdigest() for data in (packed, tokenizer)]
    return _Loaded(opened, vectors_VD, hashlib.sha256(" ".join([*hashes, _SETTINGS]).encode()).hexdigest())


def _open_tokenizer(data: bytes) -> Tokenizer:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise InvalidInput(
            "The encoder static needs the tokenizers package.", hint="Run pip install 'neural-memory[minilm]'."
        ) from error
    try:
        return Tokenizer.from_str(data.decode())
    except Exception as error:  # the library raises the bare class
        raise ValueError("not a tokeniser") from error

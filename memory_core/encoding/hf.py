"""Encoders ``hf:<id or folder>``: any sentence encoder that the transformers package can load.

Mean pooling over the pieces, unit norm. Weights must be safetensors; code that comes with a model is never run. A model
that wants a prompt before its texts ("query: ") gets none, so its keys are somewhat weaker than it promises.
Shapes: N rows, B rows of a batch, T pieces, D key_dim.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from memory_core.encoding.load_once import LoadOnce
from memory_core.encoding.pieces import PieceText, Row, batches_by_length, clean, encode_pieces, pad
from memory_core.encoding.segments import PIECES_MAX, PIECES_MIN
from memory_core.errors import InvalidInput, NeuralMemoryError
from memory_core.ids import EncoderId
from memory_core.results import EncodedText, Keys

PREFIX: Final = "hf:"
PADDED_PIECES_PER_BATCH: Final = 512
_FILES: Final = ("*.json", "*.safetensors", "*.txt", "*.model")
# Raise the version when a change moves keys: cutting, pooling, special pieces.
_SETTINGS: Final = f"hf/1 pieces={PIECES_MIN}..{PIECES_MAX} sentences-with-speaker mean-pooled unit-norm"
_PROBE: Final = "a"


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model ready to use. first, last: special pieces around a row."""

    folder: Path
    tokenizer: Any
    model: Any
    first: Row
    last: Row
    pieces_max: int


class HfEncoder:
    """Cheap to construct; loads on first use, once. Safe to share between threads."""

    def __init__(self, source: str, device: str = "cpu") -> None:
        """``source``: a folder, or an id on the Hugging Face hub. ``device``: torch's name of it."""
        self._source = source
        self._model = LoadOnce(lambda: _load(source, device))

    @property
    def encoder_id(self) -> EncoderId:
        """``hf:`` and the source."""
        return EncoderId(f"{PREFIX}{self._source}")

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over configuration, tokeniser and weights, and how they are used; where they lie plays no role."""
        digest = hashlib.sha256(_SETTINGS.encode())
        folder = self._model.get().folder
        weights = sorted(path.name for path in folder.glob("*.safetensors"))
        for name in ("config.json", "tokenizer.json", *weights):
            if (folder / name).is_file():
                with (folder / name).open("rb") as file:
                    digest.update(f"{name}:{hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
        return digest.hexdigest()

    @property
    def key_dim(self) -> int:
        """The model's hidden size."""
        return int(self._model.get().model.config.hidden_size)

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Segments and their keys; InvalidInput when the model cannot be had here."""
        loaded = self._model.get()
        pieces = loaded.tokenizer(clean(texts), add_special_tokens=False, return_offsets_mapping=True)
        cut = [
            PieceText(text, ids, offsets, loaded.pieces_max)
            for text, ids, offsets in zip(texts, pieces["input_ids"], pieces["offset_mapping"], strict=True)
        ]
        return encode_pieces(cut, self.embed_rows)

    def embed_rows(self, rows: Sequence[Row]) -> Keys:
        """Unit-norm keys (N, D) of rows of piece ids without special ones."""
        loaded = self._model.get()
        whole = [[*loaded.first, *row, *loaded.last] for row in rows]
        keys_ND = np.empty((len(rows), self.key_dim), dtype=np.float32)
        for batch in batches_by_length([len(row) for row in whole], PADDED_PIECES_PER_BATCH):
            padding = loaded.tokenizer.pad_token_id or 0
            keys_ND[batch] = _pooled(loaded.model, *pad([whole[index] for index in batch], padding))
        return keys_ND

    def tokenizer_json(self) -> str:
        """The tokeniser in the format of the ``tokenizers`` library."""
        text: str = self._model.get().tokenizer.backend_tokenizer.to_str()
        return text


def _load(source: str, device: str) -> _Loaded:
    try:
        import transformers
    except ImportError as error:
        raise InvalidInput(
            "Encoders hf: need the transformers package.", hint="Run pip install 'neural-memory[hf]'."
        ) from error
    try:
        folder = _folder(source)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, dtype="float32").eval().to(device)
    except NeuralMemoryError:
        raise
    except Exception as error:  # the loaders raise whatever their libraries do
        raise _unavailable(source, type(error).__name__) from error
    return _prepared(source, folder, tokenizer, model)


def _prepared(source: str, folder: Path, tokenizer: Any, model: Any) -> _Loaded:
    if not tokenizer.is_fast or not hasattr(model.config, "hidden_size"):
        raise _unavailable(source, "it is no text encoder with piece offsets")
    bare: Row = tokenizer(_PROBE, add_special_tokens=False)["input_ids"]
    dressed: Row = tokenizer(_PROBE)["input_ids"]
    at = next(start for start in range(len(dressed)) if dressed[start : start + len(bare)] == bare)
    first, last = dressed[:at], dressed[at + len(bare) :]
    longest = getattr(model.config, "max_position_embeddings", None) or PIECES_MAX + len(dressed)
    # Roberta's positions start behind its padding index, so a few fewer than promised can be used.
    room = int(longest) - len(first) - len(last) - (getattr(model.config, "pad_token_id", 0) or 0) - 1
    return _Loaded(folder, tokenizer, model, first, last, max(1, min(PIECES_MAX, room)))


def _folder(source: str) -> Path:
    """The folder of a model: given, downloaded before, or downloaded now."""
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.is_absolute() or source.startswith((".", "~")):
        raise _unavailable(source, "there is no such folder")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=list(_FILES), local_files_only=True))
    except OSError:
        return Path(snapshot_download(source, allow_patterns=list(_FILES)))


def _pooled(model: Any, ids_BT: np.ndarray, mask_BT: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        ids, mask = torch.from_numpy(ids_BT).to(model.device), torch.from_numpy(mask_BT).to(model.device)
        states_BTD = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        mean_BD = (states_BTD * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        pooled_BD: np.ndarray = torch.nn.functional.normalize(mean_BD.float(), dim=1).cpu().numpy()
        return pooled_BD


def _unavailable(source: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"The encoder {ascii(PREFIX + source)[:200]} cannot be loaded here ({why}).",
        hint="Give the folder of a sentence encoder with safetensors weights, or an id that this machine can download.",
    )

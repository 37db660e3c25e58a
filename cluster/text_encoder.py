"""One process of a job's pool of encoders. Ray-free."""

from __future__ import annotations

import pyarrow as pa

from cluster.blocks import with_encoded
from memory_core.encoding.encoder import EncoderInfo
from memory_core.encoding.registry import open_encoder
from memory_core.errors import Conflict


class TextEncoder:
    """Adds keys to tables of texts. Conflict (ENCODER_MISMATCH) when this node has another version of the encoder.

    ``device``: torch's name of where it computes. Several threads may call it at once.
    """

    def __init__(self, wanted: EncoderInfo, device: str = "cpu") -> None:
        import torch

        # As many callers as cores: more threads would only wait for one another.
        torch.set_num_threads(1)
        self._encoder = open_encoder(wanted.encoder_id, device)
        if self._encoder.fingerprint != wanted.fingerprint:
            raise Conflict(
                f"This node has another version of the encoder {wanted.encoder_id}.",
                code="ENCODER_MISMATCH",
                hint="Install the same version on every node.",
            )

    def __call__(self, table: pa.Table) -> pa.Table:
        """Texts of rows with a problem get none."""
        texts, problems = table["text"].to_pylist(), table["problem"].to_pylist()
        encoded = iter(
            self._encoder.encode([text for text, problem in zip(texts, problems, strict=True) if problem is None])
        )
        return with_encoded(table, [next(encoded) if problem is None else None for problem in problems])

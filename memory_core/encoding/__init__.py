"""Text to keys: cutting, words and encoders. Importing this imports no model library."""

from memory_core.encoding.encoder import Encoder, EncoderInfo, EncoderPool
from memory_core.encoding.registry import LocalEncoderPool, available_encoders, open_encoder

__all__ = ["Encoder", "EncoderInfo", "EncoderPool", "LocalEncoderPool", "available_encoders", "open_encoder"]

"""What one observe may hold. Texts in characters."""

from __future__ import annotations

from typing import Final

OBSERVATIONS_MAX: Final = 1_024
TEXT_LENGTH_MAX: Final = 262_144
REQUEST_LENGTH_MAX: Final = 4_194_304
FIELD_LENGTH_MAX: Final = 1_024
METADATA_BYTES_MAX: Final = 16_384

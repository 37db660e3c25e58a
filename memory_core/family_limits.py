"""How many forks and probes one request may have; free of everything heavy, since doors check them."""

from __future__ import annotations

from typing import Final

FORKS_MAX: Final = 1024
PROBES_MAX: Final = 1000

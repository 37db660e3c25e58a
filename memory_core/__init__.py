"""A memory that learns: the core, without any service around it.

>>> from memory_core import NeuralMemory  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memory_core.memory import NeuralMemory

__version__ = "0.1.0"
__all__ = ["NeuralMemory", "__version__"]


def __getattr__(name: str) -> Any:
    """Import torch only when a memory is wanted: every command and actor imports this package first."""
    if name == "NeuralMemory":
        from memory_core.memory import NeuralMemory

        return NeuralMemory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Something that is costly to load, loaded when it is first wanted and never twice, by whichever thread comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_Loaded = TypeVar("_Loaded")


class LoadOnce(Generic[_Loaded]):
    """Holds what ``load`` gave; a load that fails is tried again by the next call."""

    def __init__(self, load: Callable[[], _Loaded]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._held: tuple[_Loaded] | None = None

    def get(self) -> _Loaded:
        """What was loaded; raises what loading raises."""
        if self._held is None:
            with self._lock:
                if self._held is None:
                    self._held = (self._load(),)
        return self._held[0]

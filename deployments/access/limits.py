"""Rates by token bucket, kept per key in one process."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from memory_core.errors import NeuralMemoryError, Overloaded

DAY_S: Final = 86_400.0
_KEYS_MAX: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class Rates:
    """One bucket per name: ``burst`` tokens, refilled by ``per_s``. Use from one event loop.

    ``sharers``: how many processes share a key's requests evenly, and so its rate.
    """

    def __init__(
        self, clock_s: Callable[[], float] = time.monotonic, *, sharers: Callable[[], int] = lambda: 1
    ) -> None:
        self._clock_s = clock_s
        self._sharers = sharers
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, name: str, amount: float, *, burst: float, per_s: float) -> None:
        """Take tokens; Overloaded (RATE_LIMITED) with the wait when the bucket is too empty.

        More than ``burst`` at once passes a full bucket and leaves it in debt: a batch delays what follows.
        """
        sharers = self._sharers()
        burst, per_s = burst / sharers, per_s / sharers
        bucket = self._bucket(name, burst)
        now_s = self._clock_s()
        bucket.tokens = min(burst, bucket.tokens + (now_s - bucket.at_s) * per_s)
        bucket.at_s = now_s
        missing = min(amount, burst) - bucket.tokens
        if missing > 0:
            raise rate_limited(missing / per_s)
        bucket.tokens -= amount

    def _bucket(self, name: str, burst: float) -> _Bucket:
        bucket = self._buckets.setdefault(name, _Bucket(burst, self._clock_s()))
        self._buckets.move_to_end(name)
        if len(self._buckets) > _KEYS_MAX:
            self._buckets.popitem(last=False)
        return bucket


def rate_limited(wait_s: float) -> NeuralMemoryError:
    """The answer to a key that asks too much for now."""
    return Overloaded(
        "This key is over its rate.",
        code="RATE_LIMITED",
        hint="Wait, or send fewer at once.",
        retry_after_s=float(max(1, math.ceil(wait_s))),
    )

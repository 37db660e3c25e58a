"""What crosses to an actor and back: one string of bytes each way. Ray-free.

Ray serialises every argument by itself, with a pickler that must take functions too and is therefore written in
Python. What we send are values; packed together by the standard library they cost a fraction of it.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any, Final

_PROTOCOL: Final = 5


def pack_call(arguments: tuple[Any, ...], options: Mapping[str, Any]) -> bytes:
    """Arguments for ``Packed.packed``."""
    return pickle.dumps((arguments, options), protocol=_PROTOCOL)


def unpack_answer(answer: bytes) -> Any:
    """What ``Packed.packed`` answered."""
    return pickle.loads(answer)  # noqa: S301  # as Ray itself does, between processes of one cluster


class Packed:
    """An actor whose methods are called through one. They raise what they raise."""

    async def packed(self, method: str, call: bytes) -> bytes:
        """Call a method with what ``pack_call`` made; ``unpack_answer`` reads what it gives."""
        arguments, options = pickle.loads(call)  # noqa: S301  # as above
        return pickle.dumps(await getattr(self, method)(*arguments, **options), protocol=_PROTOCOL)

"""Encoders by their id, and the pool that runs them in threads of this process. Models load on first use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from memory_core.encoding.encoder import Encoder, EncoderInfo
from memory_core.errors import InvalidInput
from memory_core.ids import EncoderId
from memory_core.results import EncodedText

Result = TypeVar("Result")


def _open_minilm(device: str) -> Encoder:
    from memory_core.encoding.minilm import MiniLmEncoder

    return MiniLmEncoder(device=device)


def _open_hash(_device: str) -> Encoder:
    from memory_core.encoding.hash_encoder import HashEncoder

    return HashEncoder()


def _open_static(_device: str, folder: str = "") -> Encoder:
    from memory_core.encoding.static import StaticEncoder

    return StaticEncoder(folder)


def _open_hf(device: str, source: str) -> Encoder:
    from memory_core.encoding.hf import HfEncoder

    return HfEncoder(source, device)


_OPENERS: Final[dict[str, Callable[[str], Encoder]]] = {
    "minilm": _open_minilm,
    "hash": _open_hash,
    "static": _open_static,
}
_FROM_PLACE: Final[dict[str, Callable[[str, str], Encoder]]] = {"static": _open_static, "hf": _open_hf}


def available_encoders() -> tuple[str, ...]:
    """Ids ``open_encoder`` knows beside those that name a place; an extra may have to be installed for one."""
    return tuple(_OPENERS)


def open_encoder(encoder_id: str, device: str = "cpu") -> Encoder:
    """A new encoder that loads its model on first use: by its name, or as ``static:<folder>``, ``hf:<id or folder>``.

    ``device``: torch's name of where the model computes; ``hash`` and ``static`` compute nothing that would gain by it.
    Raises InvalidInput for an unknown id, and when what the encoder needs is not installed.
    """
    if encoder_id in _OPENERS:
        return _OPENERS[encoder_id](device)
    kind, _, place = encoder_id.partition(":")
    if place and kind in _FROM_PLACE:
        return _FROM_PLACE[kind](device, place)
    choices = (*available_encoders(), "static:FOLDER", "hf:FOLDER or hf:ID")
    raise InvalidInput(f"Unknown encoder {ascii(encoder_id)[:64]}.", hint=f"Use one of {', '.join(choices)}.")


def open_only(*places: str, device: str = "cpu") -> Callable[[str], Encoder]:
    """An ``open_encoder`` for a service: callers may not make it fetch a model, or look at a folder, of their own."""

    def opener(encoder_id: str) -> Encoder:
        if encoder_id in _OPENERS or encoder_id in places:
            return open_encoder(encoder_id, device)
        served = ", ".join(dict.fromkeys([*available_encoders(), *places]))
        raise InvalidInput(
            f"The encoder {ascii(encoder_id)[:64]} is not served here.",
            hint=f"Use one of {served}; the operator can add others (ENCODER, MORE_ENCODERS).",
        )

    return opener


class LocalEncoderPool:
    """EncoderPool in this process: one worker thread per encoder, started on its first use."""

    def __init__(self, opener: Callable[[str], Encoder] = open_encoder) -> None:
        """``opener``: how an encoder is made from its id."""
        self._opener = opener
        self._encoders: dict[str, Encoder] = {}
        self._workers: dict[str, ThreadPoolExecutor] = {}

    async def describe(self, encoder: EncoderId) -> EncoderInfo:
        """The encoder's identity; raises InvalidInput when it cannot be had here."""
        return await self._run(encoder, _describe)

    async def encode(self, encoder: EncoderId, texts: Sequence[str]) -> list[EncodedText]:
        """Keys of each text, in order; requests to one encoder run one after another."""
        return await self._run(encoder, lambda opened: opened.encode(texts))

    def close(self) -> None:
        """Stop the threads after the work they are doing; the pool starts new ones when used again."""
        workers, self._workers = self._workers, {}
        for worker in workers.values():
            worker.shutdown(wait=True, cancel_futures=True)

    async def _run(self, encoder_id: EncoderId, work: Callable[[Encoder], Result]) -> Result:
        opened = self._open(encoder_id)
        worker = self._workers.get(encoder_id)
        if worker is None:
            worker = self._workers[encoder_id] = ThreadPoolExecutor(1, thread_name_prefix=f"encoder-{encoder_id}")
        return await asyncio.get_running_loop().run_in_executor(worker, work, opened)

    def _open(self, encoder_id: EncoderId) -> Encoder:
        # On the event loop's thread: opening is cheap, and needs no lock there.
        if encoder_id not in self._encoders:
            self._encoders[encoder_id] = self._opener(encoder_id)
        return self._encoders[encoder_id]


def _describe(encoder: Encoder) -> EncoderInfo:
    return EncoderInfo(encoder_id=encoder.encoder_id, fingerprint=encoder.fingerprint, key_dim=encoder.key_dim)

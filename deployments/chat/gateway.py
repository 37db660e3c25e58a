"""The gateway to language models: any server that speaks the OpenAI protocol, through its own client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from deployments.chat.prompt import ModelMessage

if TYPE_CHECKING:
    from deployments.settings import Settings

_OLLAMA_KEY: Final = "ollama"  # it asks for none, the client does
_NO_KEY: Final = "none"


class ModelFailed(Exception):
    """The model gave no whole answer. ``note``: why, in words for the person who asked."""

    def __init__(self, note: str) -> None:
        super().__init__(note)
        self.note = note


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """model: the caller's choice, else the configured one. options: of the OpenAI protocol, passed on."""

    messages: Sequence[ModelMessage]
    model: str | None
    options: Mapping[str, Any]


class Gateway(Protocol):
    """A language model."""

    @property
    def model(self) -> str:
        """Its name, when the caller names none."""
        ...

    def pieces(self, request: ModelRequest) -> AsyncIterator[str]:
        """The answer in pieces as it is made; raises ModelFailed, also in the middle."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...


class OpenAIGateway:
    """An OpenAI-compatible server at ``base_url`` (None: OpenAI's own).

    ``timeout_s`` bounds the wait for each piece of an answer.
    """

    def __init__(self, model: str, *, api_key: str, base_url: str | None, timeout_s: float) -> None:
        from openai import AsyncOpenAI

        self._model = model
        self._timeout_s = timeout_s
        self._client = AsyncOpenAI(api_key=api_key, base_url=base_url, timeout=timeout_s, max_retries=0)

    @property
    def model(self) -> str:
        """See Gateway."""
        return self._model

    async def pieces(self, request: ModelRequest) -> AsyncIterator[str]:
        """See Gateway."""
        import openai

        is_empty = True
        try:
            async with aclosing(self._received(request)) as received:
                async for piece in received:
                    is_empty = False
                    yield piece
        except (openai.APITimeoutError, TimeoutError):
            raise ModelFailed(f"The language model did not answer within {self._timeout_s:g} s.") from None
        except openai.RateLimitError:
            raise ModelFailed("The language model is over its rate limit (429).") from None
        except openai.APIStatusError as error:
            raise ModelFailed(f"The language model refused the request ({error.status_code}).") from None
        except openai.APIConnectionError:
            raise ModelFailed("The language model cannot be reached.") from None
        except Exception as error:
            # A server may send anything at all; what it sent can hold the text of the conversation.
            raise ModelFailed(f"The language model's answer broke off ({type(error).__name__}).") from None
        if is_empty:
            raise ModelFailed("The language model gave an empty answer.")

    async def _received(self, request: ModelRequest) -> AsyncGenerator[str, None]:
        create: Any = self._client.chat.completions.create
        async with asyncio.timeout(self._timeout_s):
            stream = await create(
                model=request.model or self._model, messages=list(request.messages), stream=True, **request.options
            )
        async with stream:
            chunks = aiter(stream)
            while True:
                async with asyncio.timeout(self._timeout_s):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                for choice in chunk.choices:
                    if choice.delta.content:
                        yield choice.delta.content

    async def close(self) -> None:
        """See Gateway."""
        await self._client.close()


def open_gateway(settings: Settings) -> Gateway | None:
    """The model of the settings; None where answers are made from memory alone."""
    if settings.model_provider == "none":
        return None
    secret = settings.openai_api_key
    base_url, key = settings.openai_base_url or None, secret.get_secret_value() if secret else _NO_KEY
    if settings.model_provider == "ollama":
        base_url, key = settings.ollama_base_url.rstrip("/") + "/v1", _OLLAMA_KEY
    return OpenAIGateway(settings.model_name, api_key=key, base_url=base_url, timeout_s=settings.model_timeout_s)

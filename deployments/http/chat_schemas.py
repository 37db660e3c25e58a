"""Bodies of the routes for conversations. Those of OpenAI's protocol ignore fields that they do not know."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deployments.chat.conversation import Turn, TurnReport
from deployments.chat.prompt import ModelMessage
from deployments.chat.router import MEMORIES_MAX, Route, Routing
from deployments.chat.transcripts import Message, Session
from deployments.http.schemas import Body, Label
from memory_core.errors import InvalidInput
from memory_core.ids import MemoryName, parse_memory_name
from memory_core.results import InferOptions

_PASSED_ON: Final = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed")
_MESSAGES_MAX: Final = 256


class TextPart(BaseModel):
    """A part of a message."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """A message of the OpenAI protocol; only texts."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def to_message(self) -> ModelMessage:
        """The core's value."""
        content = self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)
        return ModelMessage(role=self.role, content=content)


class ChatRequest(BaseModel):
    """As OpenAI's chat completions, and which memories stand behind the answer."""

    model_config = ConfigDict(
        extra="ignore",
        hide_input_in_errors=True,
        json_schema_extra={
            "examples": [{"messages": [{"role": "user", "content": "When do we release?"}], "memory": "default"}]
        },
    )

    messages: list[ChatMessage] = Field(min_length=1, max_length=_MESSAGES_MAX)
    model: str | None = Field(default=None, max_length=256, description="Passed on; the configured model if left out.")
    stream: bool = False
    n: int | None = None
    tools: list[Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    memory: str | list[str] | None = Field(default=None, description="The long-term memories that may be asked.")
    session: str | None = Field(default=None, max_length=64, description="A session of yours: POST /v1/sessions.")
    route: Route = Field(default="all", description="Which of several memories to ask.")
    domain: Label | None = None
    pattern_limit: int = Field(default=6, ge=1, le=50)
    learn: bool = Field(default=True, description="Learn what the user said, if it is new.")
    learn_answer: bool = Field(default=False, description="Learn the answer too.")

    @model_validator(mode="after")
    def _can_be_answered(self) -> ChatRequest:
        if self.messages[-1].role != "user":
            raise ValueError("the last message must be the user's")
        if self.tools or (self.n or 1) != 1:
            raise ValueError("tools and n above 1 are not supported")
        return self

    def to_turn(self) -> Turn:
        """The core's value; InvalidInput for a name that cannot be one."""
        named = [self.memory] if isinstance(self.memory, str) else self.memory or []
        options = InferOptions(pattern_limit=self.pattern_limit, domain=self.domain)
        chosen = {name: value for name in _PASSED_ON if (value := getattr(self, name)) is not None}
        return Turn(
            messages=tuple(message.to_message() for message in self.messages),
            memories=parse_names(named),
            session_id=self.session,
            routing=Routing(route=self.route, options=options),
            must_learn=self.learn,
            must_learn_answer=self.learn_answer,
            model=self.model or None,
            options=chosen,
        )


class AnswerMessage(BaseModel):
    """What was answered."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """There is one."""

    index: Literal[0] = 0
    message: AnswerMessage
    finish_reason: Literal["stop"] = "stop"


class ChatCompletion(BaseModel):
    """As OpenAI's. ``neural_memory``: what stands behind the answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    neural_memory: TurnReport


class OpenSessionRequest(Body):
    """How long a session may be silent."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"ttl_s": 3600}]}
    )

    ttl_s: float | None = Field(default=None, allow_inf_nan=False, description="Seconds without a turn.")


class PromoteRequest(Body):
    """The long-term memory that shall learn what the session knows."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"memory": "team"}]}
    )

    memory: str


class SessionAnswer(BaseModel):
    """A session. expires_at_s: seconds since 1970."""

    id: str
    created_at: str
    ttl_s: float
    expires_at_s: float
    messages: list[Message] | None = None

    @classmethod
    def of(cls, session: Session, messages: tuple[Message, ...] | None = None) -> SessionAnswer:
        """From the core's value."""
        return cls(
            id=session.session_id,
            created_at=session.created_at,
            ttl_s=session.ttl_s,
            expires_at_s=session.expires_at_s,
            messages=None if messages is None else list(messages),
        )


class SessionList(BaseModel):
    """The sessions of the key, oldest first."""

    sessions: list[SessionAnswer]


class RoutedRequest(Body):
    """A question to several memories; without ``memories`` to all that the key sees, if they are few."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"prompt": "When do we release?", "memories": ["team", "product"]}]},
    )

    prompt: str
    memories: Annotated[list[str], Field(min_length=1, max_length=MEMORIES_MAX)] | None = None
    route: Route = "surprise"
    ask: int = Field(default=1, ge=1, le=MEMORIES_MAX, description="By surprise: how many memories to ask.")
    domain: Label | None = None
    pattern_limit: int = Field(default=5, ge=1, le=50)

    def to_routing(self) -> Routing:
        """The core's value."""
        options = InferOptions(pattern_limit=self.pattern_limit, domain=self.domain)
        return Routing(route=self.route, ask=self.ask, options=options)


def parse_names(names: list[str]) -> tuple[MemoryName, ...]:
    """Names of memories; InvalidInput for what cannot be one, or too many."""
    if len(names) > MEMORIES_MAX:
        raise InvalidInput(f"{len(names)} memories were named; {MEMORIES_MAX} can be asked.", hint="Choose some.")
    return tuple(map(parse_memory_name, names))

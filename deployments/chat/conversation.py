"""One turn of a conversation: recall, learn what the user said if it is new, and answer.

The model's words are learned only when asked for, so that a memory does not feed on its own answers. Without a model,
or when it fails, the answer is made of what was recalled, with a note.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from deployments.access.principal import caller
from deployments.chat.gateway import Gateway, ModelFailed, ModelRequest
from deployments.chat.prompt import ModelMessage, citations, cited, render
from deployments.chat.router import Recalled, RoutedAnswer, Routing, ask_memories, merged
from deployments.chat.sessions import Sessions, stored_name
from deployments.chat.transcripts import Message, Role, Session
from memory_core.backend import MemoryBackend
from memory_core.errors import Forbidden, ReadOnly, Saturated
from memory_core.ids import MemoryName
from memory_core.results import InferOptions, Observation, ObserveOptions

SESSION_NAME: Final = MemoryName("session")
EXTRACTIVE_MODEL: Final = "memory"
NOTHING_KNOWN: Final = "Nothing that I learned answers this."
LEARNED: Final = "That is new to me. I have learned it."
_HISTORY_MAX: Final = 20
_CITED_WITHOUT_MODEL: Final = 3
_BETWEEN_SENTENCES: Final = re.compile(r"(?<=[.!?…。？！])\s+|\n+")
_QUESTION: Final = re.compile(r"[?？؟][!?.…\"'”’)\]]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is asked. messages: as the caller sent them, the last one from the user; memories: the long-term ones."""

    messages: tuple[ModelMessage, ...]
    memories: tuple[MemoryName, ...] = ()
    session_id: str | None = None
    routing: Routing = field(default_factory=Routing)
    must_learn: bool = True
    must_learn_answer: bool = False
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """What the user said last."""
        return self.messages[-1]["content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What became of someone's words. reason: why they were learned or not; memory: where, None for nowhere."""

    role: Role
    memory: str | None
    surprise: float | None
    learned: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnReport:
    """What stands behind an answer. note: for the user, when a model failed; citations: ids the answer names."""

    session_id: str | None
    memory: MemoryName | None
    confidence: float
    patterns: tuple[Recalled, ...]
    citations: tuple[str, ...]
    learned: tuple[Learned, ...]
    note: str | None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where words are learned: a backend, the name there, and the name that callers see."""

    backend: MemoryBackend
    name: MemoryName
    shown: str


class Reply:
    """An answer on its way: read ``pieces`` to the end, then ``report``."""

    def __init__(self, chat: Chat, turn: Turn, session: Session | None, recalled: RoutedAnswer) -> None:
        self._chat = chat
        self._turn = turn
        self._session = session
        self._recalled = recalled
        self._learned: list[Learned] = []
        self._note: str | None = None
        self._said: list[str] = []

    @property
    def model(self) -> str:
        """Who answers."""
        gateway = self._chat.gateway
        return EXTRACTIVE_MODEL if gateway is None else self._turn.model or gateway.model

    async def learn_question(self) -> None:
        """Learn what the user said, before anything is answered."""
        if self._turn.must_learn:
            self._learned.append(await self._chat.learn("user", self._turn, self._session, self._turn.question))

    async def pieces(self) -> AsyncIterator[str]:
        """The answer in pieces. Never fails because of a model."""
        async for piece in self._answer():
            self._said.append(piece)
            yield piece
        await self._remember()

    def report(self) -> TurnReport:
        """What stands behind the answer, once it is whole."""
        recalled = self._recalled
        return TurnReport(
            session_id=self._turn.session_id,
            memory=recalled.memory,
            confidence=recalled.confidence,
            patterns=recalled.patterns,
            citations=cited("".join(self._said), recalled.patterns),
            learned=tuple(self._learned),
            note=self._note,
        )

    async def _answer(self) -> AsyncIterator[str]:
        gateway = self._chat.gateway
        if gateway is None:
            is_new = any(one.learned for one in self._learned)
            yield LEARNED if is_new and not self._recalled.response else extract(self._recalled)
            return
        request = ModelRequest(
            messages=render(await self._chat.history(self._turn, self._session), self._recalled.patterns),
            model=self._turn.model,
            options=self._turn.options,
        )
        said: list[str] = []
        try:
            async for piece in gateway.pieces(request):
                said.append(piece)
                yield piece
        except ModelFailed as failure:
            self._note = failure.note
            lead = "\n\n" if said else ""
            yield f"{lead}{failure.note} This is what the memory recalls:\n\n{extract(self._recalled)}"
            return
        if self._recalled.response and not cited("".join(said), self._recalled.patterns):
            yield f"\n\nRecalled: {citations(self._recalled.patterns[:_CITED_WITHOUT_MODEL])}"

    async def _remember(self) -> None:
        answer = "".join(self._said)
        if self._turn.must_learn_answer and self._note is None:
            self._learned.append(await self._chat.learn("assistant", self._turn, self._session, answer))
        if self._session is not None:
            now = _now()
            await self._chat.sessions.say(
                self._session,
                Message(role="user", content=self._turn.question, at=now),
                Message(role="assistant", content=answer, at=now),
            )


class Chat:
    """Conversations over ``backend``, which checks what the caller may do; ``inner`` knows stored names."""

    def __init__(
        self,
        backend: MemoryBackend,
        inner: MemoryBackend,
        sessions: Sessions,
        gateway: Gateway | None,
        surprise_gate: float,
    ) -> None:
        self.sessions = sessions
        self.gateway = gateway
        self._backend = backend
        self._inner = inner
        self._surprise_gate = surprise_gate

    async def begin(self, turn: Turn) -> Reply:
        """Recall and learn. Raises what memories and sessions raise; from here on nothing fails."""
        caller().require("infer")
        session = None if turn.session_id is None else await self.sessions.find(turn.session_id)
        reply = Reply(self, turn, session, await self._recall(turn, session))
        await reply.learn_question()
        return reply

    async def history(self, turn: Turn, session: Session | None) -> list[ModelMessage]:
        """The caller's messages; of a session also what was said before, unless the caller tells it."""
        told = list(turn.messages)
        if session is None or sum(one["role"] != "system" for one in told) > 1:
            return told
        before = (await self.sessions.messages(session))[-_HISTORY_MAX:]
        return [*told[:-1], *(ModelMessage(role=one.role, content=one.content) for one in before), told[-1]]

    async def learn(self, role: Role, turn: Turn, session: Session | None, text: str) -> Learned:
        """Learn words, unless they ask, are known, or there is nowhere to learn them."""
        text = statements(text)
        if not text:
            return _not_learned(role, None, "only a question")
        place = self._place(turn, session)
        if place is None:
            return _not_learned(role, None, "no session and no memory to learn it")
        try:
            if session is None:
                caller().require("observe")
            (measured,) = await place.backend.surprise(place.name, [text])
            if measured.score < self._surprise_gate:
                return replace(_not_learned(role, place.shown, "known already"), surprise=measured.score)
            said = Observation(
                text=text, session=turn.session_id, occurred_at=_now(), metadata={"source": "chat", "role": role}
            )
            await place.backend.observe(place.name, [said], ObserveOptions())
        except (Forbidden, ReadOnly, Saturated) as error:
            return _not_learned(role, place.shown, error.message)
        return Learned(role=role, memory=place.shown, surprise=measured.score, learned=True, reason="new")

    async def close(self) -> None:
        """Release connections."""
        await self.sessions.close()
        if self.gateway is not None:
            await self.gateway.close()

    async def _recall(self, turn: Turn, session: Session | None) -> RoutedAnswer:
        limit, asked = turn.routing.options.pattern_limit, questions(turn.question)
        found = RoutedAnswer(memory=None, response="", confidence=0.0, candidates=(), patterns=())
        if turn.memories:
            found = await ask_memories(self._backend, turn.memories, asked, turn.routing)
        if session is None:
            return found
        options = InferOptions(pattern_limit=limit)
        own = await self._inner.infer(stored_name(session), asked, options)
        return _joined(found, merged([replace(own, memory=SESSION_NAME)], (), limit), limit)

    def _place(self, turn: Turn, session: Session | None) -> _Place | None:
        if session is not None:
            return _Place(self._inner, stored_name(session), SESSION_NAME)
        return _Place(self._backend, turn.memories[0], turn.memories[0]) if turn.memories else None


def extract(recalled: RoutedAnswer) -> str:
    """An answer made of what was recalled, with its citations."""
    if not recalled.response:
        return NOTHING_KNOWN
    used = [one for one in recalled.patterns if one.exemplars[0].text in recalled.response]
    return f"{recalled.response} {citations((used or recalled.patterns)[:_CITED_WITHOUT_MODEL])}"


def statements(text: str) -> str:
    """The sentences of a text that do not ask: a question says nothing that is worth keeping."""
    return " ".join(sentence for sentence in _sentences(text) if not _QUESTION.search(sentence))


def questions(text: str) -> str:
    """The sentences of a text that ask; all of it when none does."""
    return " ".join(sentence for sentence in _sentences(text) if _QUESTION.search(sentence)) or text


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in _BETWEEN_SENTENCES.split(text) if sentence.strip()]


def _joined(one: RoutedAnswer, other: RoutedAnswer, pattern_limit: int) -> RoutedAnswer:
    best = max(one, other, key=lambda answer: answer.confidence)
    patterns: Sequence[Recalled] = sorted([*one.patterns, *other.patterns], key=lambda match: -match.weight)
    return replace(best, candidates=one.candidates, patterns=tuple(patterns[:pattern_limit]))


def _not_learned(role: Role, memory: str | None, reason: str) -> Learned:
    return Learned(role=role, memory=memory, surprise=None, learned=False, reason=reason)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

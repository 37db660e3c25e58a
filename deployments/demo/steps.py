"""The steps of the demonstration, each against a running service over HTTP."""

from __future__ import annotations

import os
import signal
import time
from typing import Final

from deployments.demo.screen import Screen
from deployments.demo.sentences import docstring_sentences
from deployments.http_client import RemoteBackend
from deployments.progress import progress_bar
from memory_core.errors import Conflict
from memory_core.ids import MemoryName, Tag
from memory_core.results import InferOptions, InferResult, Observation, ObserveOptions

MEMORY: Final = MemoryName("python-expert")
FORK: Final = MemoryName("python-expert-fork")
TAG: Final = Tag("demo")
SENTENCES: Final = 500
BATCH: Final = 20
QUESTIONS: Final = (
    "How do I make sure a file gets closed?",
    "How do I run a shell command and get its output?",
    "How do I pick something at random from a list?",
    "How can I write my data as JSON text?",
    "How do I know how much room is left on the disk?",
)
NEW_SENTENCE: Final = "The bakery at the corner sells warm rye bread with walnuts every Thursday morning."
FORK_FACT: Final = "Our team deploys on Tuesdays because the release train leaves the station at noon."
FORK_QUESTION: Final = "On which day do we deploy?"
_PATTERNS_SHOWN: Final = 3


async def teach(service: RemoteBackend, screen: Screen) -> None:
    """Step 2: real text goes in."""
    await _create(service)
    sentences = docstring_sentences(SENTENCES)
    screen.line(f"e.g.  {sentences[0]}")
    before = await service.stats(MEMORY)
    started_s = time.perf_counter()
    with progress_bar(screen.console) as progress:
        task = progress.add_task("  observing", total=len(sentences))
        for start in range(0, len(sentences), BATCH):
            part = [Observation(text=text, domain="python") for text in sentences[start : start + BATCH]]
            await service.observe(MEMORY, part, ObserveOptions())
            progress.update(task, advance=len(part))
    rate = len(sentences) / (time.perf_counter() - started_s)
    after = await service.stats(MEMORY)
    screen.line(f"{len(sentences)} sentences learned at {rate:.0f} observations/s, one after the other.")
    screen.line(f"{after.pattern_count} patterns of {after.units} are in use ({after.capacity_used:.1%}).")
    screen.claim(
        after.parameter_count == before.parameter_count,
        f"The memory did not grow: {after.parameter_count:,} parameters before and after.",
    )
    screen.claim(
        not any(question in text for question in QUESTIONS for text in sentences), "No question below is in it."
    )


async def _create(service: RemoteBackend) -> None:
    try:
        await service.create_chosen(MEMORY, {})
    except Conflict:
        # The volume was fresh: only a first try whose answer was lost can have made it.
        if (await service.stats(MEMORY)).observation_count:
            raise


async def learn_one(service: RemoteBackend, screen: Screen) -> None:
    """Step 3: one new sentence, three times."""
    screen.quote("sentence", NEW_SENTENCE)
    before = await service.stats(MEMORY)
    surprises = []
    for count in ("first", "second", "third"):
        result = await service.observe(MEMORY, [Observation(text=NEW_SENTENCE)], ObserveOptions())
        surprises.append(result.outcomes[0].surprise)
        bar = "#" * round(40 * surprises[-1])
        screen.line(f"surprise at the {count:<6} observation  {surprises[-1]:.3f}  {bar}")
    after = await service.stats(MEMORY)
    screen.line(f"weights before {before.weight_hash[:16]}   after {after.weight_hash[:16]}")
    screen.claim(surprises[2] < surprises[0] / 2, "Surprise fell by more than half: it was learned, not just stored.")
    screen.claim(after.weight_hash != before.weight_hash, "The weights changed.")
    screen.claim(after.parameter_count == before.parameter_count, "Their number did not.")


async def ask(service: RemoteBackend, screen: Screen) -> None:
    """Step 4: five questions in other words than the text."""
    for question in QUESTIONS:
        answer = await service.infer(MEMORY, question, InferOptions(pattern_limit=_PATTERNS_SHOWN))
        screen.console.print()
        show_answer(screen, question, answer)


def show_answer(screen: Screen, question: str, answer: InferResult) -> None:
    """A question, its answer, and what the answer was made from."""
    screen.quote("question", question)
    screen.quote("answer", answer.response or "(not learned)")
    used = ", ".join(f"{match.pattern} ({match.weight:.0%})" for match in answer.patterns)
    screen.quote("confidence", f"{answer.confidence:.2f}   patterns used: {used or 'none'}")


async def crash(service: RemoteBackend, screen: Screen) -> None:
    """Step 5: checkpoint, kill -9, ask again."""
    info = await service.checkpoint(MEMORY, TAG, "Made by the demonstration")
    screen.line(f"checkpoint {info.tag}: {info.observation_count} observations, weights {info.weight_hash[:16]}")
    question = QUESTIONS[0]
    before, stats_before = await service.infer(MEMORY, question, InferOptions()), await service.stats(MEMORY)
    pid = await service.owner_pid(MEMORY)
    os.kill(pid, signal.SIGKILL)
    screen.line(f"kill -9 {pid}: the process that holds the memory is gone, without any warning to it.")
    started_s = time.perf_counter()
    after = await service.infer(MEMORY, question, InferOptions())
    back_s = time.perf_counter() - started_s
    stats_after = await service.stats(MEMORY)
    new_pid = await service.owner_pid(MEMORY)
    screen.line(f"The next question was answered after {back_s:.1f} s, by process {new_pid}.")
    screen.claim(new_pid != pid, "Another process answers now.")
    screen.claim(after == before, "The same question gives exactly the same answer.")
    screen.claim(
        (stats_after.weight_hash, stats_after.observation_count)
        == (stats_before.weight_hash, stats_before.observation_count),
        f"Nothing was lost: {stats_after.observation_count} observations, the same weights.",
    )


async def fork(service: RemoteBackend, screen: Screen) -> None:
    """Step 6: a copy that goes its own way."""
    made = await service.fork(MEMORY, TAG, FORK)
    screen.line(f"{made.memory} starts from {made.parent} at {made.parent_tag}.")
    await service.observe(FORK, [Observation(text=FORK_FACT)], ObserveOptions())
    screen.quote("taught it", FORK_FACT)
    forked = await service.infer(FORK, FORK_QUESTION, InferOptions(pattern_limit=_PATTERNS_SHOWN))
    parent = await service.infer(MEMORY, FORK_QUESTION, InferOptions(pattern_limit=_PATTERNS_SHOWN))
    (fork_surprise,) = await service.surprise(FORK, [FORK_FACT])
    (parent_surprise,) = await service.surprise(MEMORY, [FORK_FACT])
    screen.quote("question", FORK_QUESTION)
    screen.quote("fork", forked.response or "(not learned)")
    screen.quote("parent", parent.response or "(not learned)")
    screen.line(f"surprise at that sentence: fork {fork_surprise.score:.2f}, parent {parent_surprise.score:.2f}")
    screen.claim(FORK_FACT in forked.response, "The fork knows it.")
    screen.claim(
        not any(FORK_FACT in exemplar.text for match in parent.patterns for exemplar in match.exemplars)
        and parent_surprise.score > 2 * fork_surprise.score,
        "The parent does not.",
    )

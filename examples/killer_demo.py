"""Four proofs in two minutes that this memory learns: python examples/killer_demo.py

No service, no GPU, no network. Every number is measured while you watch; the exit code is 0 when all four hold.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

from deployments.local import LocalConnection, open_local
from deployments.settings import Settings
from memory_core.ids import MemoryName
from memory_core.results import InferOptions, Observation, ObserveOptions

MEMORY = MemoryName("demo")
FACT = "The lighthouse of Cape Varna flashes twice every eleven seconds."
SAME_IN_OTHER_WORDS = "Cape Varna's lighthouse gives two flashes each eleven seconds."
SOMETHING_ELSE = "Photosynthesis turns sunlight, water and air into sugar."
QUESTION = "How often does the lighthouse at Cape Varna flash?"
THINGS = "kettle anchor violin glacier compass orchard lantern saddle harbour quilt".split()
DEEDS = "was painted|stands|was sold|is kept|broke|was found|is repaired|rests|was drawn|is weighed".split("|")
PLACES = "in Oslo|near the mill|at dawn|under the stairs|by the river|on a Tuesday|behind the barn".split("|")
DETAILS = "for a penny|after the flood|with great care|without a word|in the end".split("|")
BATCH = 64


class Show:
    """Prints for a person and remembers which proofs did not hold."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.started_s = time.monotonic()

    def proof(self, number: int, title: str, words: str) -> None:
        print(f"\n{number}/4  {title}  ({time.monotonic() - self.started_s:.0f} s)\n     {words}")

    def line(self, text: str) -> None:
        print(f"       {text}")

    def claim(self, holds: bool, words: str) -> None:
        print(f"  {'YES' if holds else 'NO '}  {words}")
        if not holds:
            self.failed.append(words)


async def it_learns(memory: LocalConnection, show: Show) -> None:
    show.proof(1, "It learns", "One sentence, three times. Surprise: 1 is never seen, 0 is known.")
    show.line(FACT)
    before = (await memory.stats(MEMORY)).weight_hash
    surprises = []
    for time_ in ("first", "second", "third"):
        (outcome,) = (await memory.observe(MEMORY, [Observation(text=FACT)], ObserveOptions())).outcomes
        surprises.append(outcome.surprise)
        show.line(f"{time_:<6} time: surprise {outcome.surprise:.3f} {'#' * round(40 * outcome.surprise)}")
    after = (await memory.stats(MEMORY)).weight_hash
    show.line(f"weights before {before}, after {after}")
    show.claim(before != after and surprises[2] < surprises[0] / 2, "The weights changed, and the surprise is gone.")


async def it_understands(memory: LocalConnection, show: Show) -> None:
    show.proof(2, "It recognises what it never read", "The same in other words, something else, and a question.")
    same, other = await memory.surprise(MEMORY, [SAME_IN_OTHER_WORDS, SOMETHING_ELSE])
    show.line(f"surprise {same.score:.3f}  {SAME_IN_OTHER_WORDS}")
    show.line(f"surprise {other.score:.3f}  {SOMETHING_ELSE}")
    answer = await memory.infer(MEMORY, QUESTION, InferOptions())
    show.line(f"question  {QUESTION}")
    show.line(f"answer    {answer.response or '(nothing)'}")
    show.claim(same.score < other.score, "Other words for what it knows surprise it less than something new.")
    show.claim(FACT in answer.response, "It answers a question that it never saw.")


async def it_does_not_grow(memory: LocalConnection, show: Show, count: int) -> None:
    show.proof(3, "It does not grow", f"{count:,} more observations. A vector store would have {count:,} more rows.")
    before = await memory.stats(MEMORY)
    texts = [f"The {' '.join(parts)}." for parts in product(THINGS, DEEDS, PLACES, DETAILS)][:count]
    for first in range(0, len(texts), BATCH):
        batch = [Observation(text=text) for text in texts[first : first + BATCH]]
        await memory.observe(MEMORY, batch, ObserveOptions())
    after = await memory.stats(MEMORY)
    show.line(f"{before.parameter_count:,} parameters before, {after.parameter_count:,} after")
    (again,) = await memory.surprise(MEMORY, [FACT])
    show.line(f"surprise at the first sentence now: {again.score:.3f}")
    show.claim(before.parameter_count == after.parameter_count, "Not one parameter more.")
    show.claim(again.score < 0.1, "It still knows what it learned first.")


async def it_survives(folder: Path, encoder: str, known: tuple[str, int], show: Show) -> None:
    show.proof(4, "It survives", "Another process learns one thing more and is killed at once (kill -9).")
    child = subprocess.Popen(
        [sys.executable, __file__, "--victim", str(folder), "--encoder", encoder], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    learned = child.stdout.readline().strip()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    show.line(f"process {child.pid} learned something (weights {learned}) and was killed")
    memory = open_local(settings(folder, encoder))
    try:
        stats = await memory.stats(MEMORY)
        answer = await memory.infer(MEMORY, "What turns sunlight into sugar?", InferOptions())
        show.line(f"weights now {stats.weight_hash}, {stats.observation_count:,} observations")
        show.line(f"answer    {answer.response or '(nothing)'}")
        show.claim(stats.weight_hash == learned != known[0], "The same weights, bit by bit.")
        show.claim(stats.observation_count == known[1] + 1, "Nothing was lost, and nothing was learned twice.")
    finally:
        await memory.close()


async def victim(folder: Path, encoder: str) -> None:
    """Learn one thing, say so, and wait to be killed."""
    memory = open_local(settings(folder, encoder))
    await memory.observe(MEMORY, [Observation(text=SOMETHING_ELSE)], ObserveOptions())
    print((await memory.stats(MEMORY)).weight_hash, flush=True)
    await asyncio.Event().wait()


def settings(folder: Path, encoder: str) -> Settings:
    return Settings.model_validate({"memory_storage_path": str(folder), "encoder": encoder})


async def run(folder: Path, encoder: str, count: int) -> int:
    show = Show()
    print("A memory that learns: four proofs.")
    memory = open_local(settings(folder, encoder))
    try:
        await memory.create_chosen(MEMORY, {})
        await it_learns(memory, show)
        await it_understands(memory, show)
        await it_does_not_grow(memory, show, count)
        stats = await memory.stats(MEMORY)
    finally:
        await memory.close()
    await it_survives(folder, encoder, (stats.weight_hash, stats.observation_count), show)
    verdict = "All four hold." if not show.failed else f"Did not hold: {'; '.join(show.failed)}"
    print(f"\n{verdict} {time.monotonic() - show.started_s:.0f} seconds.")
    return 1 if show.failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Four proofs that this memory learns.")
    parser.add_argument("--encoder", default="minilm", help="minilm (default), static or hash")
    parser.add_argument("--observations", type=int, default=1000, help="for the third proof")
    parser.add_argument("--victim", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.victim is not None:
        asyncio.run(victim(chosen.victim, chosen.encoder))
    folder = Path(tempfile.mkdtemp(prefix="killer-demo-"))
    try:
        return asyncio.run(run(folder, chosen.encoder, chosen.observations))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

"""Keep from a pile of texts what a memory does not know yet: a novelty filter for training data.

    python examples/novelty_filter.py

Needs Ray Data: pip install 'neural-memory[jobs]'. Makes a volume in a temporary folder and a Ray cluster of its own.
"""

import asyncio
import tempfile
from pathlib import Path

import ray

from deployments.local import open_local
from deployments.settings import Settings
from memory_core.ids import MemoryName
from neural_memory import jobs

KNOWN = [
    "The ferry to the island leaves at noon.",
    "Glass is made of sand, soda and lime.",
    "The library closes at eight in the evening.",
]
PILE = [
    "The ferry to the island leaves at noon.",
    "Bees tell one another the way to flowers by dancing.",
    "Glass is made of sand, soda and lime.",
    "A neutron star weighs more than the sun and is as wide as a town.",
]


async def make_memory(volume: str) -> None:
    """An empty memory; hash is an encoder without a model."""
    memories = open_local(Settings(memory_storage_path=volume))
    await memories.create_chosen(MemoryName("known"), {"encoder": "hash"})
    await memories.close()


def main() -> None:
    """Teach what is known, then measure the pile against it."""
    with tempfile.TemporaryDirectory() as folder:
        volume = (Path(folder) / "volume").as_uri()
        asyncio.run(make_memory(volume))
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
        known = ray.data.from_items([{"text": text} for text in KNOWN])
        known.write_datasink(jobs.memory_sink("known", volume=volume))
        pile = ray.data.from_items([{"text": text} for text in PILE])
        scored = jobs.with_surprise(pile, "known", volume=volume).take_all()
        for row in sorted(scored, key=lambda row: row["surprise"]):
            print(f"{row['surprise']:.2f}  {'skip' if row['surprise'] < 0.5 else 'keep'}  {row['text']}")
        ray.shutdown()


if __name__ == "__main__":
    main()

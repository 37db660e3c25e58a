"""Our Titans memory beside the package titans-pytorch: the same pairs, the same chunks, the same widths.

Three questions: does surprise fall when the same sequence comes again, how long do 32 tokens take, and how many pairs
are recalled afterwards. The package gets the best of several step sizes, with and without momentum, chosen by its own
recall; ours runs as a memory runs by default. Times are taken in turns, since they share a machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from deployments.bench.capacity import config_of
from deployments.bench.clock import seconds
from deployments.bench.pairs import PairStream
from deployments.bench.report import conditions
from deployments.bench.titans_pytorch_core import TitansPytorchCore
from memory_core.networks.variants import open_network

CHUNK: Final = 32
SIZES: Final = (256, 512, 1024, 2048)
CALLS: Final = 8
TIMED_ROUNDS: Final = 31
CALLS_PER_TURN: Final = 5
LEARNING_RATES: Final = (0.03, 0.1, 0.3)
OURS: Final = "ours"
THEIRS: Final = "titans-pytorch"
THEIR_DEFAULT: Final = "titans-pytorch, default batch_size"


class Core(Protocol):
    """A memory that learns pairs: state in, state out; None is the state that has learned nothing."""

    def learn(self, state: Any, keys_ND: Tensor, values_ND: Tensor) -> tuple[Any, float]:
        """Learn a chunk; returns the mean loss before it."""
        ...

    def read(self, state: Any, keys_ND: Tensor) -> Tensor:
        """Answers to the keys."""
        ...


class OurCore:
    """The ``titans`` variant in its default settings."""

    def __init__(self, stream: PairStream) -> None:
        self._network = open_network(config_of("titans", stream), stream.keys_ND.device)

    def learn(self, state: Any, keys_ND: Tensor, values_ND: Tensor) -> tuple[Any, float]:
        """See Core."""
        weights = state if state is not None else self._network.initial()
        weights, losses_N, _ = self._network.update(weights, keys_ND, values_ND, 1.0)
        return weights, float(losses_N.mean())

    def read(self, state: Any, keys_ND: Tensor) -> Tensor:
        """See Core."""
        return self._network.read(state, keys_ND)


@dataclass(frozen=True, slots=True)
class Setting:
    """One of the package's settings that was tried."""

    learning_rate: float
    has_momentum: bool


def run_cores(
    key_dim: int = 384, advance: Callable[[int], None] = lambda _: None
) -> tuple[dict[str, float], dict[str, Any], list[dict[str, Any]]]:
    """Figures, conditions and table rows; ``advance`` is told the pairs learned."""
    stream = PairStream(max(SIZES), key_dim, 7, torch.device("cpu"))
    best, theirs_recall = _best_setting(stream, advance)
    ours_recall = _recalls(OurCore(stream), stream, advance)
    theirs = _theirs(stream, best)
    ours_ms, theirs_ms, ratio = _times(OurCore(stream), theirs, stream)
    figures = {
        "ours_over_titans_pytorch_speed": ratio,
        "ours_ms_32_tokens": ours_ms,
        "titans_pytorch_ms_32_tokens": theirs_ms,
    }
    for size, ours, other in zip(SIZES, ours_recall, theirs_recall, strict=True):
        figures |= {f"ours_recall@1_{size}": ours, f"titans_pytorch_recall@1_{size}": other}
    repeated = {OURS: OurCore(stream), THEIRS: theirs, THEIR_DEFAULT: _theirs(stream, best, is_default_batch=True)}
    rows = [_surprises(name, core, stream) for name, core in repeated.items()]
    figures |= {f"surprise_left_{name}": rows[at][f"call {CALLS}"] for at, name in enumerate(("ours", "theirs"))}
    told = conditions(
        key_dim=key_dim,
        chunk=CHUNK,
        threads=torch.get_num_threads(),
        clock="processor time",
        titans_pytorch=_version(),
        titans_pytorch_setting={"learning_rate": best.learning_rate, "momentum": best.has_momentum},
        n={"pairs": max(SIZES), "settings_tried": len(LEARNING_RATES) * 2},
    )
    return figures, told, rows


def _best_setting(stream: PairStream, advance: Callable[[int], None]) -> tuple[Setting, list[float]]:
    """The setting with the highest mean recall."""
    settings = [Setting(rate, has_momentum) for rate, has_momentum in product(LEARNING_RATES, (False, True))]
    tried = [(setting, _recalls(_theirs(stream, setting), stream, advance)) for setting in settings]
    return max(tried, key=lambda pair: sum(pair[1]))


def _theirs(stream: PairStream, setting: Setting, *, is_default_batch: bool = False) -> Core:
    return TitansPytorchCore(
        stream.keys_ND.shape[1],
        CHUNK,
        learning_rate=setting.learning_rate,
        has_momentum=setting.has_momentum,
        is_default_batch=is_default_batch,
    )


def _recalls(core: Core, stream: PairStream, advance: Callable[[int], None]) -> list[float]:
    """Recall of everything learned so far, at each size."""
    state, recalls = None, []
    for start in range(0, max(SIZES), CHUNK):
        part = slice(start, start + CHUNK)
        state, _ = core.learn(state, stream.keys_ND[part], stream.values(part))
        advance(CHUNK)
        if part.stop in SIZES:
            recalls.append(stream.recall(core.read(state, stream.keys_ND[: part.stop]), torch.arange(part.stop)))
    return recalls


def _times(ours: Core, theirs: Core, stream: PairStream) -> tuple[float, float, float]:
    """Median milliseconds of one chunk on a state that has learned before, and the median ratio of a turn of each."""
    part, device = slice(0, CHUNK), stream.keys_ND.device
    keys_ND, values_ND = stream.keys_ND[part], stream.values(part)
    ours_state, _ = ours.learn(None, keys_ND, values_ND)
    theirs_state, _ = theirs.learn(None, keys_ND, values_ND)
    times: list[tuple[float, float]] = []
    for _ in range(TIMED_ROUNDS):
        # Several calls a turn: a memory that learns a stream finds its weights in the cache.
        ours_s = seconds(lambda: [ours.learn(ours_state, keys_ND, values_ND) for _ in range(CALLS_PER_TURN)], device)
        theirs_s = seconds(
            lambda: [theirs.learn(theirs_state, keys_ND, values_ND) for _ in range(CALLS_PER_TURN)], device
        )
        times.append((ours_s, theirs_s))
    ours_ms, theirs_ms = (median(column) / CALLS_PER_TURN * 1000 for column in zip(*times, strict=True))
    return ours_ms, theirs_ms, median(theirs_s / ours_s for ours_s, theirs_s in times)


def _surprises(name: str, core: Core, stream: PairStream) -> dict[str, Any]:
    """Loss of one sequence as it comes again, relative to its first time."""
    part, state, losses = slice(0, CHUNK), None, []
    for _ in range(CALLS):
        state, loss = core.learn(state, stream.keys_ND[part], stream.values(part))
        losses.append(loss)
    return {"core": name} | {f"call {at + 1}": loss / losses[0] for at, loss in enumerate(losses)}


def _version() -> str:
    from importlib.metadata import version

    return version("titans-pytorch")

"""MemoryState: everything a memory is, in one value.

Operations that learn donate their input state and return the next one; nothing hides state elsewhere, so checkpoint,
restore, fork and replay are the same trivial thing. ``to_parts`` and ``from_parts`` are exact inverses, bit by bit.
Shapes: U units, D key_dim, n patterns in use, C channels.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from memory_core.config import MemoryConfig
from memory_core.errors import CorruptData, InvalidInput
from memory_core.networks.codes import value_codes
from memory_core.networks.momentum import without_momentum
from memory_core.networks.network import FastWeights, Network
from memory_core.networks.variants import open_network
from memory_core.patterns.bank import COLUMNS, PatternBank
from memory_core.patterns.exemplars import pack_exemplars, unpack_exemplars
from memory_core.patterns.precision import Precision, unit_rows
from memory_core.patterns.speakers import Speakers
from memory_core.patterns.transitions import TABLES, Transitions
from memory_core.patterns.word_table import WordTable
from memory_core.results import CHANNELS, Exemplar

PRECISION_TENSORS: Final = ("sum_D", "second_DD", "mean_D", "precision_DD")
WEIGHT_HASH_LENGTH: Final = 16
# Pattern counts at which the mean that centres addresses is measured anew; after the last one it stays.
ADDRESS_FREEZE_AT: Final = frozenset({16, 64, 256, 1024})


@dataclass(frozen=True, slots=True)
class StateParts:
    """A state taken apart: named groups of contiguous CPU tensors, and JSON-safe counters."""

    blobs: dict[str, dict[str, torch.Tensor]]
    header: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StateCopy:
    """A state as it was: tensors and texts, without what is derived from them."""

    config: MemoryConfig
    device: str
    parts: StateParts
    exemplars: tuple[tuple[Exemplar, ...], ...]

    def state(self) -> MemoryState:
        """The state, with everything derived made again."""
        state = MemoryState.create(self.config, self.device)
        state._load(self.parts, list(self.exemplars))
        return state


class MemoryState:
    """Fast weights, patterns, words, transitions, precision and counters of one memory."""

    def __init__(self, config: MemoryConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.network: Network = open_network(config, device)
        self.fast_weights: FastWeights = self.network.initial()
        self.bank = PatternBank(config, device)
        self.words = WordTable(config.units)
        self.speakers = Speakers(config.units, config.language)
        self.transitions = Transitions(config.units)
        self.precision = Precision(config.key_dim, device)
        self.address_mean_D = torch.zeros(config.key_dim, device=device)
        self.channel_weights_C = np.ones(len(CHANNELS))
        self.observation_count = 0
        self.surprise_recent = 1.0

    @classmethod
    def create(cls, config: MemoryConfig, device: str = "cpu") -> MemoryState:
        """A memory that has learned nothing."""
        return cls(config, torch.device(device))

    @property
    def pattern_count(self) -> int:
        """n, units in use."""
        return self.bank.count

    @property
    def parameter_count(self) -> int:
        """Numbers fixed at creation: fast weights, pattern keys and precision. Never changes."""
        fast = sum(tensor.numel() for tensor in self.fast_weights.values())
        return fast + self.bank.units.keys_UD.numel() + self.precision.precision_DD.numel()

    @property
    def size_bytes(self) -> int:
        """Bytes of all tensors that a checkpoint of this state holds."""
        blobs = self._tensors().values()
        return sum(tensor.numel() * tensor.element_size() for blob in blobs for tensor in blob.values())

    @property
    def allocated_bytes(self) -> int:
        """Bytes of all buffers, in use or not: what the state can come to occupy in RAM, exemplar texts aside."""
        parts = (self.bank, self.bank.units, self.words, self.transitions, self.precision)
        derived = [self.bank.units.screen] if self.bank.units.screen else []
        buffers = [buffer for part in (*parts, *derived) for buffer in vars(part).values()]
        buffers += [*self.fast_weights.values(), *self.bank.columns.values()]
        owned = (buffer for buffer in buffers if not isinstance(buffer, np.ndarray) or buffer.base is None)
        return sum(buffer.nbytes for buffer in owned if isinstance(buffer, np.ndarray | torch.Tensor))

    def codes(self) -> torch.Tensor:
        """Value codes of the patterns in use, shape (n, D)."""
        ids_n = self.bank.column("pattern_id_U")
        return value_codes(ids_n, self.config.key_dim, self.config.seed).to(self.device)

    def similarity(self, keys_SD: torch.Tensor) -> np.ndarray:
        """Cosine of each key with its nearest unit of every pattern, shape (S, n)."""
        units = self.bank.units
        return units.best_per_pattern(units.scores(keys_SD))

    def address_keys(self, keys_ND: torch.Tensor) -> torch.Tensor:
        """Keys as the fast weights see them: centred by a mean that is frozen early, unit norm."""
        return unit_rows(keys_ND - self.address_mean_D)

    def weight_hash(self) -> str:
        """Sixteen hex digits over every learned tensor."""
        digest = hashlib.sha256()
        for _, tensors in sorted(self._tensors().items()):
            for name, tensor in sorted(tensors.items()):
                digest.update(f"{name}:{tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return digest.hexdigest()[:WEIGHT_HASH_LENGTH]

    def to_parts(self) -> StateParts:
        """An independent copy, ready to be stored."""
        return StateParts(blobs=_copied(self._tensors()), header=self._header())

    @classmethod
    def from_parts(cls, config: MemoryConfig, parts: StateParts, device: str = "cpu") -> MemoryState:
        """Rebuild; CorruptData when a tensor or counter is missing or has the wrong shape."""
        state = cls.create(config, device)
        try:
            packed = parts.blobs["exemplars"]["json_lines"]
            state._load(parts, unpack_exemplars(packed, int(parts.header["pattern_count"])))
        except (KeyError, IndexError, ValueError, RuntimeError, TypeError) as error:
            raise CorruptData(
                f"A checkpoint does not fit its memory's settings ({type(error).__name__}).",
                hint="Restore another checkpoint.",
            ) from error
        return state

    def clone(self) -> MemoryState:
        """An independent copy."""
        return self.copied().state()

    def copied(self) -> StateCopy:
        """What an independent copy is made of: quick to take, slower to turn into a state."""
        parts = StateParts(blobs=_copied(self._numeric_tensors()), header=self._header())
        return StateCopy(self.config, str(self.device), parts, tuple(self.bank.exemplars))

    def become(self, other: MemoryState) -> None:
        """Take over all that another state is made of; that one is given up."""
        vars(self).update(vars(other))

    def drop_momentum(self) -> None:
        """Forget what the step rule gathered; see ``networks.momentum``."""
        self.fast_weights = without_momentum(self.network, self.fast_weights)

    def _tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        return self._numeric_tensors() | {"exemplars": {"json_lines": pack_exemplars(self.bank.exemplars)}}

    def _numeric_tensors(self) -> dict[str, dict[str, torch.Tensor]]:
        n_patterns = self.bank.count
        words, links = self.words, self.transitions
        patterns = {name: torch.from_numpy(self.bank.column(name)) for name in COLUMNS}
        patterns |= {
            "keys_uD": self.bank.units.keys_uD,
            "owner_u": torch.from_numpy(self.bank.units.owner_u),
            "word_nW": torch.from_numpy(words.word_UW[:n_patterns]),
            "word_count_nW": torch.from_numpy(words.count_UW[:n_patterns]),
            "word_length_n": torch.from_numpy(words.length_U[:n_patterns]),
        }
        patterns |= {name: torch.from_numpy(getattr(links, name)[:n_patterns]) for name in TABLES}
        precision = {name: getattr(self.precision, name) for name in PRECISION_TENSORS}
        return {
            "fast_weights": {**self.fast_weights, "address_mean_D": self.address_mean_D},
            "patterns": patterns,
            "precision": precision,
            "channels": {"channel_weights_C": torch.from_numpy(self.channel_weights_C)},
        }

    def _header(self) -> dict[str, Any]:
        return {
            "observation_count": self.observation_count,
            "surprise_recent": self.surprise_recent,
            "pattern_count": self.bank.count,
            "next_pattern_id": self.bank.next_pattern_id,
            "precision_count": self.precision.count,
            "precision_refreshed_at": self.precision.refreshed_at,
            "session_tails": dict(self.transitions.tails),
        }

    def _load(self, parts: StateParts, exemplars: list[tuple[Exemplar, ...]]) -> None:
        header, blobs = parts.header, parts.blobs
        n_patterns = int(header["pattern_count"])
        self.observation_count = int(header["observation_count"])
        self.surprise_recent = float(header["surprise_recent"])
        self._load_fast_weights(blobs["fast_weights"])
        self._load_bank(blobs["patterns"], n_patterns, int(header["next_pattern_id"]))
        self.bank.exemplars = exemplars
        for slot, texts in enumerate(self.bank.exemplars):
            self.speakers.learn(slot, texts[0].text)
        patterns = {name: tensor.numpy() for name, tensor in blobs["patterns"].items()}
        self.words.load(patterns["word_nW"], patterns["word_count_nW"], patterns["word_length_n"])
        self.transitions.load(patterns, header["session_tails"])
        self.precision.count = int(header["precision_count"])
        self.precision.refreshed_at = int(header["precision_refreshed_at"])
        for name in PRECISION_TENSORS:
            _copy_into(getattr(self.precision, name), blobs["precision"][name])
        _copy_into(torch.from_numpy(self.channel_weights_C), blobs["channels"]["channel_weights_C"])

    def _load_fast_weights(self, tensors: dict[str, torch.Tensor]) -> None:
        for name, tensor in self.fast_weights.items():
            _copy_into(tensor, tensors[name])
        _copy_into(self.address_mean_D, tensors["address_mean_D"])

    def _load_bank(self, tensors: dict[str, torch.Tensor], n_patterns: int, next_pattern_id: int) -> None:
        self.bank.count, self.bank.next_pattern_id = n_patterns, next_pattern_id
        self.bank.units.load(tensors["keys_uD"], tensors["owner_u"].numpy())
        for name in COLUMNS:
            column = self.bank.column(name)
            np.copyto(column, tensors[name].numpy(), casting="no")


def to_keys(state: MemoryState, *texts: np.ndarray) -> torch.Tensor:
    """The keys of texts, one at least, on the state's device; InvalidInput when their size is not the memory's."""
    key_dim = state.config.key_dim
    for keys_SD in texts:
        if keys_SD.ndim != 2 or keys_SD.shape[1] != key_dim or not len(keys_SD):
            raise InvalidInput(
                f"Keys of shape {keys_SD.shape} do not fit a memory with key_dim={key_dim}.",
                hint="Encode with the encoder the memory was created with.",
            )
    together_SD = texts[0] if len(texts) == 1 else np.concatenate(texts)
    return torch.from_numpy(np.ascontiguousarray(together_SD, dtype=np.float32)).to(state.device)


def _copied(blobs: dict[str, dict[str, torch.Tensor]]) -> dict[str, dict[str, torch.Tensor]]:
    return {
        group: {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
        for group, tensors in blobs.items()
    }


def _copy_into(target: torch.Tensor, source: torch.Tensor) -> None:
    if target.shape != source.shape or target.dtype != source.dtype:
        raise ValueError(f"shape {tuple(source.shape)} does not fit {tuple(target.shape)}")
    target.copy_(source)

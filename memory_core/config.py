"""What a memory is made with. Fixed at creation: nothing of it grows afterwards."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Literal, get_args

from memory_core.durability import Durability
from memory_core.errors import InvalidInput
from memory_core.ids import EncoderId
from memory_core.placement_spec import PlacementSpec

Variant = Literal["sparse", "linear", "mlp", "titans"]
FastDtype = Literal["float32", "bfloat16"]
GateKind = Literal["constant", "annealed", "surprise", "learned"]
LinearRule = Literal["delta", "recursive", "ttt"]
SaturationPolicy = Literal["replace", "refuse"]
VARIANTS: Final[tuple[str, ...]] = get_args(Variant)
CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "variant": VARIANTS,
    "dtype": get_args(FastDtype),
    "gates": get_args(GateKind),
    "linear_rule": get_args(LinearRule),
    "saturation": get_args(SaturationPolicy),
}

UNITS_MAX: Final = 1 << 20
KEY_DIM_MAX: Final = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """The spec of one memory, stored in each of its manifests.

    encoder, encoder_fingerprint: which encoder made the keys, and the hash of its weights and settings.
    units: hidden units, one key each (a pattern owns one per sentence): the budget.
    key_dim: size of the encoder's keys, D.
    rows, heads, active_rows: fast-weight rows, product-key heads and rows touched by one write (``sparse``).
    dtype: of the fast weights.
    gates: how the step size theta follows the stream (``linear``, ``mlp``, ``titans``; see networks.gates). ``learned``
    ones are functions of the input whose parameters ``consolidate`` learns.
    linear_rule: ``recursive`` least squares, ``delta`` at half the bytes, or TTT-Linear. depth: layers of ``titans``.
    momentum_decay eta, forget_gate alpha: 0 by default, since both were measured to cost what was learned earlier.
    learning_rate: multiplies the step size theta; 0 makes the memory read-only.
    surprise_gate: observations whose surprise is below it only strengthen their pattern.
    language: stemmer for the word channel. seed: of the codebooks, the slow weights. placement: where it wants to live.
    durability: ``sync``, ``group`` or ``group(MS)``; None: as whoever holds the memory is set.
    """

    encoder: EncoderId
    encoder_fingerprint: str
    key_dim: int
    variant: Variant = "sparse"
    units: int = 32768
    rows: int = 16384
    heads: int = 16
    active_rows: int = 128
    dtype: FastDtype = "float32"
    gates: GateKind = "annealed"
    linear_rule: LinearRule = "recursive"
    depth: int = 2
    momentum_decay: float = 0.0
    forget_gate: float = 0.0
    learning_rate: float = 1.0
    surprise_gate: float = 0.02
    saturation: SaturationPolicy = "replace"
    exemplars_per_pattern: int = 4
    language: str = "english"
    seed: int = 0
    placement: PlacementSpec = field(default_factory=PlacementSpec)
    durability: str | None = None

    def __post_init__(self) -> None:
        _require_range("units", self.units, 1, UNITS_MAX)
        _require_range("key_dim", self.key_dim, 8, KEY_DIM_MAX)
        _require_range("exemplars_per_pattern", self.exemplars_per_pattern, 1, 64)
        _require_range("learning_rate", self.learning_rate, 0.0, 1.0)
        _require_range("surprise_gate", self.surprise_gate, 0.0, 1.0)
        _require_range("seed", self.seed, 0, 2**31 - 1)
        _require_range("depth", self.depth, 1, 4)
        _require_range("momentum_decay", self.momentum_decay, 0.0, 0.999)
        _require_range("forget_gate", self.forget_gate, 0.0, 1.0)
        for name, choices in CHOICES.items():
            _require_one_of(name, getattr(self, name), choices)
        if self.durability is not None:
            Durability.parse(self.durability)
        _require_supported_gates(self)
        _require_square_heads(self.rows, self.heads, self.active_rows)

    @property
    def is_read_only(self) -> bool:
        """True when the memory answers but never learns."""
        return self.learning_rate == 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> MemoryConfig:
        """Rebuild from ``to_dict``; an unknown field raises InvalidInput (a newer format, or a typo)."""
        unknown = set(raw) - {field.name for field in fields(cls)}
        if unknown:
            raise InvalidInput(
                f"Unknown memory settings: {', '.join(sorted(map(ascii, unknown)))}.",
                hint="Remove them, or upgrade if a newer version wrote this.",
            )
        return cls(**{**raw, "placement": PlacementSpec.from_dict(raw.get("placement") or {})})

    def with_changes(self, **changes: Any) -> MemoryConfig:
        """A copy with some settings replaced, checked again."""
        return replace(self, **changes)


def _require_range(name: str, value: float, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidInput(f"{name} must be between {low} and {high}.", hint=f"Choose {name} in that range.")


def _require_one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidInput(f"Unknown {name} {ascii(value)}.", hint=f"Use one of {', '.join(choices)}.")


def _require_supported_gates(config: MemoryConfig) -> None:
    """A setting that a variant would ignore is refused: it would promise what does not happen."""
    is_exact = config.variant == "sparse" or (config.variant == "linear" and config.linear_rule != "ttt")
    if is_exact and (config.momentum_decay or config.gates in {"surprise", "learned"}):
        raise InvalidInput(
            "Momentum, surprise and learned gates are not defined for sparse, delta and recursive updates.",
            hint="Use mlp, titans or linear with linear_rule=ttt, or leave them out.",
        )
    is_kalman = config.variant == "sparse" or (config.variant == "linear" and config.linear_rule == "recursive")
    if is_kalman and config.forget_gate:
        raise InvalidInput(
            "forget_gate is not defined where a learned variance sets the step.", hint="Leave it 0, or use titans."
        )


def _require_square_heads(rows: int, heads: int, active_rows: int) -> None:
    _require_range("heads", heads, 1, 256)
    _require_range("rows", rows, heads, 1 << 22)
    per_head = rows // heads
    side = int(per_head**0.5 + 0.5)
    if rows % heads or side * side != per_head:
        raise InvalidInput(
            f"rows={rows} and heads={heads} give {rows / heads:g} rows a head, which is not a square number.",
            hint="Product keys need rows = heads * n * n, for example 16384 rows with 16 heads.",
        )
    if active_rows % heads or not heads <= active_rows <= rows:
        raise InvalidInput(
            f"active_rows={active_rows} must be a multiple of heads={heads}, at most rows={rows}.",
            hint="For example 128 active rows with 16 heads.",
        )

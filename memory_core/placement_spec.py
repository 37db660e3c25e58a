"""Where a memory wants to live: said at its creation, stored with it, read by the cluster only."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args

from memory_core.errors import InvalidInput

Isolation = Literal["shared", "dedicated"]
Strategy = Literal["pack", "spread"]
ISOLATIONS: Final[tuple[str, ...]] = get_args(Isolation)
STRATEGIES: Final[tuple[str, ...]] = get_args(Strategy)
_DEVICE: Final = re.compile(r"cpu|gpu(?::(\d+(?:\.\d+)?))?")
_LABEL: Final = re.compile(r"[A-Za-z0-9_.\-/]{1,63}=[A-Za-z0-9_.\-]{1,63}")
_LABELS_MAX: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementSpec:
    """isolation: beside others in a host process, or in a process of its own.

    device: ``cpu``, ``gpu`` or a part of one, ``gpu:0.25``; whole GPUs above one. accelerator: a type as Ray names it
    (``H200``). labels: ``key=value`` that its node must have. strategy: of processes of its own: on few or on many
    nodes. is_pinned: stays in RAM when idle. ram_mib: reserved for it, where it has a process of its own. standby: a
    process on another node follows it, and takes it over when its own is lost.
    """

    isolation: Isolation = "shared"
    device: str = "cpu"
    accelerator: str | None = None
    labels: tuple[str, ...] = ()
    strategy: Strategy = "pack"
    is_pinned: bool = False
    ram_mib: int = 0
    standby: bool = False

    def __post_init__(self) -> None:
        _require("isolation", self.isolation in ISOLATIONS, f"Use one of {', '.join(ISOLATIONS)}.")
        _require("strategy", self.strategy in STRATEGIES, f"Use one of {', '.join(STRATEGIES)}.")
        _require("device", _is_device(self.device), "Use cpu, gpu, or a part of one such as gpu:0.25.")
        _require("labels", _are_labels(self.labels), f"Use at most {_LABELS_MAX} of the form key=value.")
        _require("is_pinned", isinstance(self.is_pinned, bool), "Use true or false.")
        _require("standby", isinstance(self.standby, bool), "Use true or false.")
        _require("ram_mib", type(self.ram_mib) is int and 0 <= self.ram_mib <= 1 << 24, "Give mebibytes.")
        accelerator_fits = self.accelerator is None or (isinstance(self.accelerator, str) and self.gpus > 0)
        _require("accelerator", accelerator_fits, "A type of accelerator needs device gpu.")

    @property
    def gpus(self) -> float:
        """GPUs, or the part of one, that it needs."""
        found = _DEVICE.fullmatch(self.device)
        return 0.0 if found is None or self.device == "cpu" else float(found[1] or 1)

    @property
    def is_alone(self) -> bool:
        """True when it needs a process of its own: it asked for one, or for what only its own process can have."""
        return self.isolation == "dedicated" or self.gpus > 0 or bool(self.labels)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> PlacementSpec:
        """Rebuild from JSON; an unknown field raises InvalidInput."""
        unknown = set(raw) - {field.name for field in fields(cls)}
        if unknown:
            raise InvalidInput(f"Unknown placement settings: {', '.join(sorted(map(ascii, unknown)))}.")
        return cls(**{**raw, "labels": tuple(raw.get("labels") or ())})


def _is_device(device: object) -> bool:
    found = _DEVICE.fullmatch(device) if isinstance(device, str) else None
    if found is None:
        return False
    gpus = float(found[1] or 1)
    return gpus > 0 and (gpus < 1 or gpus.is_integer())


def _are_labels(labels: object) -> bool:
    return (
        isinstance(labels, tuple)
        and len(labels) <= _LABELS_MAX
        and all(isinstance(label, str) and _LABEL.fullmatch(label) for label in labels)
    )


def _require(setting: str, is_met: bool, hint: str) -> None:
    if not is_met:
        raise InvalidInput(f"The placement setting {setting} does not fit.", hint=hint)

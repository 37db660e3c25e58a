"""How a consolidation shall be done. No torch here: what only asks for one needs none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from memory_core.errors import InvalidInput

STEPS_MAX: Final = 100
EWC_LAMBDA_MAX: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolidationPlan:
    """steps: rounds of rehearsal, 1 to 100. ewc_lambda: how strongly the weights are held where they were, 0: freely.

    Raises InvalidInput for what is out of range.
    """

    steps: int = 1
    ewc_lambda: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= STEPS_MAX:
            raise InvalidInput(f"steps={self.steps} is not between 1 and {STEPS_MAX}.", hint="Use 1 for a quick pass.")
        if not 0.0 <= self.ewc_lambda <= EWC_LAMBDA_MAX:
            raise InvalidInput(
                f"ewc_lambda={self.ewc_lambda:g} is not between 0 and {EWC_LAMBDA_MAX:g}.",
                hint="Use 0 to rehearse freely, about 0.01 to hold old weights.",
            )

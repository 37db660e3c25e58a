"""A whole memory on every device and with every variant: learning, sleep, blending and forgetting."""

from __future__ import annotations

import numpy as np
import pytest

from memory_core import engine
from memory_core.config import VARIANTS
from memory_core.ids import MemoryName, Seq
from memory_core.results import ForgetSelection, InferOptions
from memory_core.state import MemoryState
from memory_core.testing.small_memory import encode_observations, encode_texts, small_config
from tests.unit.networks.pairs import DEVICES

NAME = MemoryName("m")
FACTS = [f"Depot {number} keeps {part} on shelf {number * 11}." for number, part in enumerate("abcdefghijklmnop" * 2)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_memory_lives_on_every_device(variant: str, dtype: str, device: str) -> None:
    gates = {"gates": "learned", "momentum_decay": 0.5} if variant in {"mlp", "titans"} else {}
    config = small_config(variant=variant, dtype=dtype, units=24, surprise_gate=0.0, **gates)
    state = MemoryState.create(config, device)
    for start in range(0, len(FACTS), 8):
        batch = encode_observations(*FACTS[start : start + 8], session="s")
        state, _ = engine.observe(state, batch, first_seq=Seq(start + 1))
    assert state.bank.blends().any()
    assert all(tensor.device.type == device for tensor in state.fast_weights.values())
    state, _ = engine.consolidate(state, NAME, engine.ConsolidationPlan(ewc_lambda=0.01))
    questions = encode_texts(FACTS)
    answers = [engine.infer(state, NAME, one, InferOptions(pattern_limit=1)) for one in questions]
    assert np.mean([one.patterns[0].exemplars[0].text == fact for one, fact in zip(answers, FACTS, strict=True)]) > 0.7
    assert engine.surprise(state, NAME, questions[0]).score < 0.5
    assert engine.predict_next(state, NAME, text=questions[3]).continuations
    assert engine.measure_capacity(state).pairs == len(state.bank.units.owned())
    restored = MemoryState.from_parts(config, state.to_parts(), device)
    assert restored.weight_hash() == state.clone().weight_hash() == state.weight_hash()
    selection = ForgetSelection(seq_from=Seq(1), seq_to=Seq(4))
    encoded = encode_texts(engine.cut(state, selection).texts_to_encode)
    state, receipt = engine.forget(state, NAME, selection, encoded)
    assert (receipt.exemplars_removed, receipt.recall_after) == (4, 0.0)
    assert all(tensor.device.type == device for tensor in state.fast_weights.values())

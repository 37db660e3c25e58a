"""The default encoder, against an independent straightforward computation."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from memory_core.encoding import minilm
from memory_core.encoding.minilm import MiniLmEncoder, installed_model_dir
from memory_core.errors import CorruptData
from memory_core.results import Keys

pytestmark = pytest.mark.minilm

SENTENCES = [
    "The gearbox rotates every Tuesday.",
    "hi",
    "",
    "Überraschung: naïve café 日本語 한국어 हिन्दी \u0645\u0631\u062d\u0628\u0627 🎉",
    f"A word of one hundred letters: {'abcdefghij' * 10}",
    "She said [SEP] and left, " * 4,
    "One observation can be rather long, with clauses, numbers such as 7038413, and names like Melanie; " * 3,
]
ODD_TEXTS = ["", " ", "\x00", "a\x00b", "\ud800", "x \udfff y", "\ufffd", "\u202e\u200b", "e\u0301" * 300, "\ufffe"]


@pytest.fixture(scope="module")
def encoder() -> MiniLmEncoder:
    return MiniLmEncoder(precision="float32")


def key(encoder: MiniLmEncoder, text: str) -> Keys:
    return encoder.encode([text])[0].keys_SD[0]


def reference_key(text: str) -> Keys:
    """One text, unbatched, by the model library itself."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(installed_model_dir())(text, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(installed_model_dir())(**tokens).last_hidden_state[0]
    mean: Keys = hidden.mean(0).numpy()
    return mean / np.linalg.norm(mean)


@pytest.mark.parametrize("text", SENTENCES)
def test_keys_equal_the_reference_computation(encoder: MiniLmEncoder, text: str) -> None:
    np.testing.assert_allclose(key(encoder, text), reference_key(text), atol=2e-6)


def test_a_key_does_not_depend_on_the_batch(encoder: MiniLmEncoder) -> None:
    texts = SENTENCES * 5
    together = encoder.encode(texts)
    for text, encoded in zip(texts[: len(SENTENCES)], together, strict=False):
        np.testing.assert_allclose(encoded.keys_SD, encoder.encode([text])[0].keys_SD, atol=1e-5)


def test_keys_are_unit_norm_float32(encoder: MiniLmEncoder) -> None:
    keys = np.concatenate([encoded.keys_SD for encoded in encoder.encode(SENTENCES)])
    assert keys.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1.0, atol=1e-5)


def test_paraphrases_are_nearer_than_other_subjects(encoder: MiniLmEncoder) -> None:
    asked = key(encoder, "How do I reset my password?")
    assert asked @ key(encoder, "Steps to recover a forgotten login credential") > 0.5
    assert asked @ key(encoder, "Bananas ripen faster in a paper bag") < 0.2


def test_bfloat16_keys_stay_near_the_float32_ones(encoder: MiniLmEncoder) -> None:
    fast = MiniLmEncoder(precision="bfloat16")
    for text in SENTENCES:
        assert key(fast, text) @ key(encoder, text) > 0.999


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_text_is_encoded_and_kept_unchanged(encoder: MiniLmEncoder, text: str) -> None:
    encoded = encoder.encode([text])[0]
    assert encoded.text == text
    assert np.isfinite(encoded.keys_SD).all()


def test_a_long_text_is_cut_and_each_segment_has_a_key(encoder: MiniLmEncoder) -> None:
    text = "The gearbox of unit seven rotates every Tuesday at noon. " * 30
    encoded = encoder.encode([text])[0]
    assert len(encoded.spans) == len(encoded.keys_SD) > 1
    assert all(text[start:end].endswith("noon.") for start, end in encoded.spans)


def test_a_segment_has_the_key_its_text_has_alone(encoder: MiniLmEncoder) -> None:
    text = "The gearbox of unit seven rotates every Tuesday at noon. " * 30
    encoded = encoder.encode([text])[0]
    start, end = encoded.spans[1]
    np.testing.assert_allclose(encoded.keys_SD[1], key(encoder, text[start:end]), atol=1e-5)


def test_every_sentence_of_a_dialogue_turn_carries_its_speaker(encoder: MiniLmEncoder) -> None:
    turn = encoder.encode(["Ann: I paint horses every single day. My studio is in Bremen."])[0]
    np.testing.assert_allclose(turn.keys_SD[1], key(encoder, "Ann: My studio is in Bremen."), atol=1e-5)


def test_different_long_words_have_different_keys(encoder: MiniLmEncoder) -> None:
    assert key(encoder, "abcdefgh" * 20) @ key(encoder, "zyxwvuts" * 20) < 0.99


def test_cutting_and_tokenising_stay_linear_in_the_length_of_a_text(
    encoder: MiniLmEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minilm, "_embed", lambda model, rows: np.zeros((len(rows), minilm.KEY_DIM), np.float32))

    def seconds(text: str) -> float:
        start = time.process_time()
        encoder.encode([text])
        return time.process_time() - start

    # Eight times the text: linear is about 8, quadratic 64.
    for text in ("xqzj" * 4_000, "The gearbox rotates again. " * 600):
        assert seconds(text * 8) < 24 * max(seconds(text), 0.01)


def test_no_texts_give_no_keys(encoder: MiniLmEncoder) -> None:
    assert encoder.encode([]) == []


def test_threads_that_start_together_load_the_model_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[int] = []
    load = MiniLmEncoder._load
    monkeypatch.setattr(MiniLmEncoder, "_load", lambda self: (loads.append(1), load(self))[1])
    encoder, barrier = MiniLmEncoder(), threading.Barrier(3)

    def encode(_: int) -> None:
        barrier.wait()
        encoder.encode(["hi"])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(encode, range(3)))
    assert loads == [1]


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes((installed_model_dir() / name).read_bytes())
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x00" if file.read(1) else b"\x01")
    with pytest.raises(CorruptData, match=r"model\.safetensors") as caught:
        MiniLmEncoder(tmp_path).encode(["hi"])
    assert "pip install" in caught.value.hint


def test_missing_model_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptData, match=r"tokenizer\.json"):
        MiniLmEncoder(tmp_path).encode(["hi"])


def test_the_fingerprint_is_known_without_loading(tmp_path: Path) -> None:
    assert MiniLmEncoder(tmp_path).fingerprint == MiniLmEncoder().fingerprint


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("flags : sse2 avx512_bf16 x", "bfloat16"),
        ("flags : amx_bf16", "bfloat16"),
        ("flags : avx512f", "float32"),
        ("", "float32"),
    ],
)
def test_bfloat16_is_chosen_only_where_the_processor_has_it(flags: str, precision: str) -> None:
    assert minilm.fastest_precision(flags) == precision

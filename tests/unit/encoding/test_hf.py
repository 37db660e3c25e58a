"""Encoders from the transformers library, with a tiny model made here: random weights, a small vocabulary."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from memory_core.encoding import open_encoder
from memory_core.encoding.hf import HfEncoder
from memory_core.errors import InvalidInput

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WORDS = "the a cat sat on mat herons wait for fish ann : . , ! copper conducts heat well and june ends lease".split()


def make_model(folder: Path, positions: int = 64, seed: int = 0) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import BertProcessing

    letters = [chr(code) for code in range(97, 123)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *letters[1:], *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(WordPiece({piece: number for number, piece in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=positions,
    )
    transformers.BertModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> HfEncoder:
    return HfEncoder(str(folder))


def test_keys_have_unit_norm_and_the_models_size(encoder: HfEncoder) -> None:
    (encoded,) = encoder.encode(["The cat sat on the mat."])
    assert encoded.keys_SD.dtype == np.float32
    assert encoded.keys_SD.shape == (1, encoder.key_dim) == (1, 32)
    np.testing.assert_allclose(np.linalg.norm(encoded.keys_SD, axis=1), 1.0, rtol=1e-5)


def test_a_key_is_the_mean_of_the_models_states(encoder: HfEncoder, folder: Path) -> None:
    text = "Herons wait for fish."
    model = transformers.AutoModel.from_pretrained(folder).eval()
    inputs = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.inference_mode():
        mean_D = model(**inputs).last_hidden_state[0].mean(0)
    expected_D = (mean_D / mean_D.norm()).numpy()
    np.testing.assert_allclose(encoder.encode([text])[0].keys_SD[0], expected_D, atol=1e-5)


def test_a_key_does_not_depend_on_its_batch(encoder: HfEncoder) -> None:
    texts = ["A cat.", "Copper conducts heat well and the lease ends.", ""]
    together = encoder.encode(texts)
    for text, encoded in zip(texts, together, strict=True):
        np.testing.assert_allclose(encoder.encode([text])[0].keys_SD, encoded.keys_SD, atol=1e-5)


def test_texts_are_cut_into_sentences_that_lose_nothing(encoder: HfEncoder) -> None:
    text = "Copper conducts heat very well. Herons wait for a fish. " + "cat " * 200
    (encoded,) = encoder.encode([text])
    assert len(encoded.spans) > 4
    assert "".join(text[start:end] for start, end in encoded.spans).replace(" ", "") == text.replace(" ", "")


def test_a_model_with_few_positions_gets_segments_that_fit(tmp_path: Path) -> None:
    encoder = HfEncoder(str(make_model(tmp_path, positions=12)))
    assert len(encoder.encode(["cat " * 40])[0].spans) >= 4


def test_any_script_survives(encoder: HfEncoder) -> None:
    text = "Кошка 猫 \ud800 👩‍👩‍👧"
    assert encoder.encode([text])[0].text == text


def test_the_fingerprint_is_of_the_files_and_not_of_their_place(folder: Path, tmp_path: Path) -> None:
    moved = make_model(tmp_path / "moved")
    other = make_model(tmp_path / "other", seed=1)
    known = HfEncoder(str(folder)).fingerprint
    assert len(known) == 64
    assert HfEncoder(str(moved)).fingerprint == known
    assert HfEncoder(str(other)).fingerprint != known
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-3}))
    assert HfEncoder(str(moved)).fingerprint != known


def test_it_is_opened_by_its_id(folder: Path) -> None:
    assert open_encoder(f"hf:{folder}").encoder_id == f"hf:{folder}"


@pytest.mark.parametrize("source", ["/no/such/folder", "~/no-such-folder-here", "./nowhere"])
def test_a_model_that_is_not_there_is_refused_with_the_next_step(source: str) -> None:
    with pytest.raises(InvalidInput, match="safetensors weights"):
        HfEncoder(source).encode(["x"])


def test_an_id_that_cannot_be_downloaded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def offline(*_: object, **__: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(InvalidInput, match="can download"):
        HfEncoder("someone/some-model").encode(["x"])


def test_weights_that_could_run_code_are_not_loaded(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InvalidInput):
        HfEncoder(str(folder)).encode(["x"])


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InvalidInput, match=r"neural-memory\[hf\]"):
        HfEncoder(str(folder)).encode(["x"])

"""Static encoders: distilled from a teacher, then a sum of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from memory_core.encoding import open_encoder
from memory_core.encoding.distill import distill, principal_components, rank_weights
from memory_core.encoding.registry import open_only
from memory_core.encoding.static import STATIC, StaticEncoder
from memory_core.errors import CorruptData, InvalidInput, Unavailable
from memory_core.results import Keys

tokenizers = pytest.importorskip("tokenizers")

WORDS = [
    "[UNK]",
    *"the a cat sat on mat herons wait for fish ann : . , ! copper conducts heat well lease ends in".split(),
]


class Lecturer:
    """A teacher with a random key for each piece."""

    def embed_rows(self, rows: Sequence[list[int]]) -> Keys:
        random = np.random.default_rng(0).standard_normal((len(WORDS), 16)).astype(np.float32)
        keys_ND = np.stack([random[row].sum(0) for row in rows])
        scaled: Keys = keys_ND / np.linalg.norm(keys_ND, axis=1, keepdims=True)
        return scaled

    def tokenizer_json(self) -> str:
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from tokenizers.normalizers import Lowercase
        from tokenizers.pre_tokenizers import BertPreTokenizer

        vocabulary = {word: number for number, word in enumerate(WORDS)}
        tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), BertPreTokenizer()
        return str(tokenizer.to_str())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    told: list[tuple[int, int]] = []
    assert distill(Lecturer(), tmp_path / "static", lambda done, total: told.append((done, total)), 8) == len(WORDS)
    assert told[-1] == (len(WORDS), len(WORDS))
    return tmp_path / "static"


def test_a_key_is_the_unit_sum_of_its_pieces_vectors(folder: Path) -> None:
    encoder = StaticEncoder(str(folder))
    cat, mat, both = (item.keys_SD[0] for item in encoder.encode(["cat", "mat", "Cat mat"]))
    keys = Lecturer().embed_rows([[number] for number in range(len(WORDS))])
    vectors = principal_components(keys, 8) * rank_weights(WORDS)[:, None]
    sum_D = vectors[WORDS.index("cat")] + vectors[WORDS.index("mat")]
    np.testing.assert_allclose(both, sum_D / np.linalg.norm(sum_D), atol=2e-3)
    assert not np.allclose(cat, mat)
    assert encoder.key_dim == 8


def test_every_segment_has_a_unit_key_also_one_without_pieces(folder: Path) -> None:
    texts = ["", "   ", "Copper conducts the heat well. Herons wait for a fish.", "猫 \ud800", "\n"]
    for text, encoded in zip(texts, StaticEncoder(str(folder)).encode(texts), strict=True):
        assert encoded.text == text
        assert len(encoded.spans) == len(encoded.keys_SD) >= 1
        np.testing.assert_allclose(np.linalg.norm(encoded.keys_SD, axis=1), 1.0, rtol=1e-5)


def test_a_key_does_not_depend_on_its_batch(folder: Path) -> None:
    encoder = StaticEncoder(str(folder))
    texts = ["", "A cat.", "Ann: The lease ends. Herons wait for a fish."]
    for text, encoded in zip(texts, encoder.encode(texts), strict=True):
        assert np.array_equal(encoder.encode([text])[0].keys_SD, encoded.keys_SD)


def test_rare_words_weigh_more_and_letters_nearly_nothing() -> None:
    comma, letter, digit, kanji, the, cat, herons = rank_weights([",", "a", "7", "猫", "the", "##cat", "herons"])
    assert comma == letter == the < cat < herons < digit == kanji
    assert comma > 0.0


def test_components_come_largest_first_and_without_their_mean() -> None:
    spread = np.arange(16, 0, -1)
    keys = np.random.default_rng(1).standard_normal((200, 16)).astype(np.float32) * spread + 5.0
    components = principal_components(keys, 8)
    assert (np.diff(components.std(0)) < 0).all()
    assert np.abs(components.mean(0)).max() < 1e-4


def test_the_same_teacher_gives_the_same_fingerprint_and_another_size_another(folder: Path, tmp_path: Path) -> None:
    for name, dim in (("again", 8), ("smaller", 4)):
        distill(Lecturer(), tmp_path / name, lambda *_: None, dim)
    known = StaticEncoder(str(folder)).fingerprint
    assert StaticEncoder(str(tmp_path / "again")).fingerprint == known
    assert StaticEncoder(str(tmp_path / "smaller")).fingerprint != known


def test_it_is_opened_by_name_from_its_default_place_or_by_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InvalidInput, match="encoder distill --from minilm"):
        open_encoder("static")
    assert open_encoder(f"static:{folder}").encoder_id == f"static:{folder}"
    distill(Lecturer(), tmp_path / ".neural-memory" / "encoders" / "static", lambda *_: None, 8)
    assert open_encoder("static").encoder_id == STATIC


@pytest.mark.parametrize("name", ["static.safetensors", "tokenizer.json"])
def test_a_damaged_file_is_named_with_the_way_to_make_it_again(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"{}")
    with pytest.raises(CorruptData, match="distill"):
        StaticEncoder(str(folder)).encode(["x"])


def test_a_teacher_with_smaller_keys_and_a_folder_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--dim"):
        distill(Lecturer(), tmp_path, lambda *_: None, 17)
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="--out"):
        distill(Lecturer(), tmp_path / "file" / "inner", lambda *_: None, 8)


def test_a_service_opens_only_the_places_its_operator_named(folder: Path) -> None:
    opener = open_only(f"static:{folder}")
    assert opener(f"static:{folder}").key_dim == 8
    assert opener("hash").encoder_id == "hash"
    for encoder_id in ("hf:someone/model", "static:/etc", "gpt"):
        with pytest.raises(InvalidInput, match="not served here"):
            opener(encoder_id)

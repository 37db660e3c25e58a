"""Words and stems."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from memory_core.encoding.words import analyze, available_languages
from memory_core.errors import InvalidInput


def stems(text: str, language: str = "english") -> list[str]:
    return [word.stem for word in analyze(text, language)]


def test_inflected_words_share_a_stem() -> None:
    assert stems("rotates rotating Rotated") == ["rotat"] * 3


def test_spans_point_at_the_words_in_the_text() -> None:
    text = "The secret-keeper ROTATES it."
    assert [text[w.start : w.end] for w in analyze(text, "english")] == ["The", "secret", "keeper", "ROTATES", "it"]


def test_numbers_are_kept_whole() -> None:
    assert stems("ticket 7038413") == ["ticket", "7038413"]


def test_hyphens_and_underscores_split_words() -> None:
    assert stems("Anne-Marie snake_case") == ["ann", "mari", "snake", "case"]


@pytest.mark.parametrize("text", ["it's", "it’s", "IT'S", "it'll", "it'd"])
def test_an_english_clitic_is_dropped(text: str) -> None:
    assert stems(text) == ["it"]


def test_a_possessive_names_its_owner() -> None:
    assert stems("Melanie's dog") == stems("Melanie dog")


def test_an_apostrophe_that_starts_no_clitic_splits() -> None:
    assert stems("l'amour O'Brien", "none") == ["l", "amour", "o", "brien"]


def test_english_function_words_are_flagged_and_kept() -> None:
    flagged = [
        word.stem for word in analyze("When did Anna who does it paint what?", "english") if word.is_function_word
    ]
    assert flagged == ["when", "did", "who", "doe", "it", "what"]


def test_other_languages_flag_no_function_words() -> None:
    assert not any(word.is_function_word for word in analyze("die Frau war in what", "german"))


def test_composed_and_decomposed_accents_are_one_word() -> None:
    assert stems("cafe\u0301 résumé") == stems("café re\u0301sume\u0301")


def test_case_folding_knows_more_than_ascii() -> None:
    assert stems("STRASSE ΣΊΣΥΦΟΣ", "none") == stems("straße σίσυφος", "none")


def test_full_width_letters_and_digits_are_folded() -> None:
    assert stems("\uff21\uff22\uff11\uff12", "none") == ["ab12"]


def test_vowel_signs_do_not_split_hindi_words() -> None:
    assert stems("हिन्दी में", "none") == ["हिन्दी", "में"]


def test_text_without_spaces_gives_characters_and_pairs() -> None:
    assert stems("東京都 AI", "none") == ["東", "東京", "京", "京都", "都", "ai"]


def test_a_pair_spans_both_characters() -> None:
    assert [(w.start, w.end) for w in analyze("東京", "none")] == [(0, 1), (0, 2), (1, 2)]


def test_russian_is_stemmed_in_its_own_language() -> None:
    assert stems("книги книгами", "russian")[0] == stems("книги книгами", "russian")[1]


def test_no_stemmer_leaves_words_as_they_are() -> None:
    assert stems("Rotating wheels", "none") == ["rotating", "wheels"]


def test_a_text_without_words_has_none() -> None:
    assert analyze("", "english") == ()
    assert analyze("?! \x00 \ud800 🎉", "english") == ()


def test_an_unknown_language_is_refused_with_the_choices() -> None:
    with pytest.raises(InvalidInput, match="english") as caught:
        analyze("x", "klingon")
    assert "none" in caught.value.hint


def test_an_unknown_language_is_refused_even_without_words() -> None:
    with pytest.raises(InvalidInput):
        analyze("", "klingon")


def test_at_least_fifteen_languages_have_a_stemmer() -> None:
    assert len(available_languages()) > 15


def test_threads_get_the_same_stems() -> None:
    text = "running quickly through generous fields " * 200
    with ThreadPoolExecutor(4) as pool:
        assert set(map(tuple, pool.map(stems, [text] * 8))) == {tuple(stems(text))}

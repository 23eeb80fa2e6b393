"""Words of reports as numbers."""

from __future__ import annotations

from vlcore_medical.tasks.report_words import END, PAD, START, UNKNOWN, ReportWords, frequent_words, plain_words


def test_plain_words_are_lower_case_and_keep_full_stops_and_hyphens() -> None:
    found = plain_words("No X-ray change, right/left.  XXXX_1")
    assert found == ["no", "x-ray", "change", "right", "left", ".", "xxxx", "1"]


def test_texts_come_back_and_rare_words_are_unknown() -> None:
    words = ReportWords(frequent_words(["clear lungs .", "clear heart ."], least=2))
    assert words.words[4:] == [".", "clear"]
    numbers = words.encode(["Clear lungs.", "clear"], longest=10)
    clear, stop = words.words.index("clear"), words.words.index(".")
    assert numbers.tolist() == [[START, clear, UNKNOWN, stop, END], [START, clear, END, PAD, PAD]]
    assert words.decode(numbers[0].tolist()) == "clear <unknown> ."
    assert words.decode([clear, END, clear]) == "clear"


def test_a_text_that_is_too_long_is_cut_and_does_not_end() -> None:
    words = ReportWords(list("abcd"))
    assert words.encode(["a b c d"], longest=3).tolist()[0] == [START, 4, 5]
    assert words.encode([], longest=3).numel() == 0

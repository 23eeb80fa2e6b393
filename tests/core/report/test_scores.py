"""Scores as rows, tiles and sentences."""

from __future__ import annotations

import pytest

from vlcore.report.scores import classification_rows, headline, in_words, number, per_cent, score_table, span


def test_numbers_have_one_decimal():
    assert number(72.349) == "72.3"
    assert number(1234.5) == "1,234.5"
    assert number(None) == "n/a"
    assert per_cent(100) == "100.0\u00a0%"
    assert span([1.0, 2.25]) == "1.0\u00a0to\u00a02.2"
    assert span(None) == ""


def test_every_row_has_both_variants_with_floor_and_chance(result):
    table = score_table(result["retrieval"])
    assert table.variants == ("Standard", "Duplicate-tolerant")
    assert table.floors == ("closed-form floor",)
    assert [row.name for row in table.rows] == ["R@1", "R@5", "R@10", "median rank"] * 2 + ["mean recall"]
    for row in table.rows:
        for variant, cell in zip(("standard", "duplicate_tolerant"), row.cells, strict=True):
            assert cell.chance != "n/a" and cell.floors[0] != "n/a"
            assert bool(cell.interval) == (row.name != "median rank")
            assert result["retrieval"][variant]
    last = table.rows[-1].cells[0]
    assert last.score == f"{result['retrieval']['standard']['mean_recall']:.1f}"


def test_a_variant_that_is_missing_has_no_column(result):
    table = score_table({"standard": {**result["retrieval"]["standard"], "floor": {}, "interval": None}})
    assert table.variants == ("Standard",) and table.floors == ()
    assert table.rows[0].cells[0].interval == ""


def test_headline_names_score_interval_floor_and_chance(result):
    tiles = headline(result)
    assert [tile.label for tile in tiles] == [
        "Mean recall",
        "Closed-form floor",
        "Chance",
        "Duplicate-tolerant",
        "Zero-shot accuracy",
    ]
    assert "95\u00a0% interval" in tiles[0].note
    assert tiles[-1].value == "81.2\u00a0%" and "50.0" in tiles[-1].note


@pytest.mark.parametrize("part", ["retrieval", "zero_shot"])
def test_two_sentences(result, part):
    words = in_words({**result, part: None})
    assert words.endswith(".") and words.count(". ") == 1


def test_no_scores_no_words():
    assert in_words({}) == "" and headline({}) == []


def test_classification_rows_line_up_with_their_header(result):
    header, rows = classification_rows(result["zero_shot"])
    assert header == ["measure", "score", "95\u00a0% interval", "chance", "majority"]
    assert rows[0] == ["accuracy", "81.2", "70.0\u00a0to\u00a092.0", "50.0", "50.0"]
    assert all(len(row) == len(header) for row in rows)

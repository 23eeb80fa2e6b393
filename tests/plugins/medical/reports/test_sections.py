"""Sections of reports in the layouts of MIMIC-CXR and of Open-i, with their traps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlcore_medical.reports.sections import Sections, split_sections

MIMIC = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ with new onset ascites  // eval for infection

 TECHNIQUE:  Chest PA and lateral

 COMPARISON:  None.

 FINDINGS:

 There is no focal consolidation, pleural effusion or pneumothorax.  Bilateral
 nodular opacities that most likely represent nipple shadows.
 LUNGS: clear.

 IMPRESSION:

 No acute cardiopulmonary process.
"""


def test_a_whole_report() -> None:
    sections = split_sections(MIMIC)
    assert sections == Sections(
        examination="CHEST (PA AND LAT)",
        indication="___ with new onset ascites // eval for infection",
        technique="Chest PA and lateral",
        comparison="None.",
        findings="There is no focal consolidation, pleural effusion or pneumothorax. Bilateral nodular opacities that "
        "most likely represent nipple shadows. LUNGS: clear.",
        impression="No acute cardiopulmonary process.",
    )
    assert sections.statement() == f"{sections.findings}\n\n{sections.impression}"


@pytest.mark.parametrize("heading", ["IMPRESSON", "IMPRESION", "IMPRESSIONS", "CONCLUSION", "IMRPESSION"])
def test_typos_and_other_names_of_the_impression(heading: str) -> None:
    assert split_sections(f" FINDINGS:  Clear.\n\n {heading}:  Normal.\n").impression == "Normal."


def test_typos_of_the_findings() -> None:
    assert split_sections(" FINDNGS:  Clear.\n IMPRESSION: Normal.").findings == "Clear."


def test_several_headings_in_one_line() -> None:
    text = "Comparison: None. Indication: Chest pain. Findings: Clear lungs. Impression: Normal."
    expected = Sections(comparison="None.", indication="Chest pain.", findings="Clear lungs.", impression="Normal.")
    assert split_sections(text) == expected
    without_stops = "COMPARISON: None INDICATION: Chest pain FINDINGS: Clear lungs IMPRESSION: Normal"
    assert split_sections(without_stops) == Sections("Chest pain", "None", findings="Clear lungs", impression="Normal")


def test_headings_of_two_words_are_not_taken_apart() -> None:
    assert split_sections("CLINICAL HISTORY: cough\nREASON FOR EXAM: fever\nFINDINGS: Clear.").indication == "fever"


@pytest.mark.parametrize("heading", ["FINDINGS AND IMPRESSION", "FINDINGS/IMPRESSION", "Findings & Impression"])
def test_merged_headings_fill_both_and_are_stated_once(heading: str) -> None:
    sections = split_sections(f" {heading}: Clear lungs.\n")
    assert sections.findings == sections.impression == sections.statement() == "Clear lungs."


def test_of_two_findings_the_last_with_words_counts() -> None:
    assert split_sections("FINDINGS: one\nFINDINGS: two\nFINDINGS:\nIMPRESSION: x").findings == "two"


def test_addenda_stand_above_a_line_of_underscores() -> None:
    line = "_" * 78
    text = f" ADDENDUM  The nodule is\n stable.\n\n {line}\n                 FINAL REPORT\n IMPRESSION: A nodule ___.\n"
    sections = split_sections(text)
    assert sections.addenda == ("The nodule is stable.",)
    assert sections.impression == "A nodule ___."


def test_without_findings_and_impression_the_last_paragraph_states() -> None:
    text = " FINAL REPORT\n HISTORY:  Cough.\n\n COMPARISON:  ___.\n\n PA and lateral views. The lungs are clear.\n"
    sections = split_sections(text)
    assert (sections.comparison, sections.last_paragraph) == ("___.", "PA and lateral views. The lungs are clear.")
    assert sections.statement() == sections.last_paragraph


def test_text_under_comparison_is_stated_where_nothing_else_is() -> None:
    assert split_sections("COMPARISON: ___. The lungs are clear.").statement() == "___. The lungs are clear."


def test_text_without_headings_and_no_text() -> None:
    assert split_sections("The lungs are clear.").statement() == "The lungs are clear."
    assert split_sections("  \n ") == Sections()
    assert split_sections("").statement() == ""


def test_words_with_a_colon_are_no_headings() -> None:
    text = "FINDINGS: The impression of a mass: unlikely. Lines and tubes: none. HEART: normal.\nIMPRESSION: Normal."
    assert split_sections(text).findings.endswith("HEART: normal.")


def test_real_reports_written_in_one_text_come_apart_again(data_root: Path) -> None:
    lines = (data_root / "medical" / "iu_reports" / "reports.jsonl").read_text(encoding="utf-8").splitlines()
    names = ("comparison", "indication", "findings", "impression")
    wrong = 0
    for row in map(json.loads, lines):
        text = "\n\n".join(f" {name.upper()}: {row[name]}" for name in names if row[name].strip())
        sections = split_sections(text)
        wrong += any(getattr(sections, name) != " ".join(row[name].split()) for name in names if row[name].strip())
    # Reports with a heading inside a section are divided there, as they should be.
    assert wrong / len(lines) < 0.02

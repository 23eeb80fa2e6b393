"""The label rules: what a sentence states, denies and leaves open."""

from __future__ import annotations

import pytest

from vlcore_medical.reports.findings import CHEXPERT, CHEXPERT_5, NO_FINDING, find, label_names, mesh_labels
from vlcore_medical.reports.vocabulary import vocabulary

STATUS = [
    ("There is a small left pleural effusion.", "Pleural Effusion", "positive"),
    ("The heart is mildly enlarged.", "Cardiomegaly", "positive"),
    ("Old healed rib fractures.", "Fracture", "positive"),
    # A change is denied, not the finding.
    ("No change in the right pleural effusion.", "Pleural Effusion", "positive"),
    ("Effusion, not significantly changed.", "Pleural Effusion", "positive"),
    ("No significant interval change in the left effusion or atelectasis.", "Atelectasis", "positive"),
    ("There is a nodular density at the base, not identified on the lateral view.", "Lung Lesion", "positive"),
    # Negation before, through lists, to the end of its clause.
    ("No pneumothorax, effusion or consolidation.", "Consolidation", "negative"),
    ("Neither effusion nor pneumothorax.", "Pneumothorax", "negative"),
    ("Cardiomegaly without edema.", "Edema", "negative"),
    ("Cardiomegaly without edema.", "Cardiomegaly", "positive"),
    ("No effusion but mild edema.", "Edema", "positive"),
    ("No pneumothorax, there is a small effusion.", "Pleural Effusion", "positive"),
    ("No pneumothorax, stable cardiomegaly.", "Cardiomegaly", "positive"),
    ("There is no pneumothorax and stable cardiomegaly.", "Cardiomegaly", "positive"),
    ("Stable cardiomegaly with no effusion.", "Pleural Effusion", "negative"),
    ("Interval resolution of the left effusion.", "Pleural Effusion", "negative"),
    ("No opacity to suggest pneumonia.", "Pneumonia", "negative"),
    ("Unchanged effusion; no pneumothorax.", "Pleural Effusion", "positive"),
    # Negation after.
    ("Pneumothorax is not seen.", "Pneumothorax", "negative"),
    ("Pneumothorax, effusion and consolidation are not seen.", "Pneumothorax", "negative"),
    ("There is cardiomegaly, effusion is not seen.", "Cardiomegaly", "positive"),
    ("The effusion has resolved.", "Pleural Effusion", "negative"),
    ("Resolved pneumothorax.", "Pneumothorax", "negative"),
    ("Effusion resolved.", "Pleural Effusion", "negative"),
    ("Pneumonia is ruled out.", "Pneumonia", "negative"),
    ("Heart size is normal.", "Cardiomegaly", "negative"),
    ("The heart is not enlarged.", "Cardiomegaly", "negative"),
    # Left open.
    ("Rule out pneumonia.", "Pneumonia", "uncertain"),
    ("Pneumonia cannot be excluded.", "Pneumonia", "uncertain"),
    ("Cannot exclude a small pneumothorax.", "Pneumothorax", "uncertain"),
    ("Pneumothorax not excluded.", "Pneumothorax", "uncertain"),
    ("Opacity which may represent atelectasis.", "Atelectasis", "uncertain"),
    ("Opacity which may represent atelectasis.", "Lung Opacity", "positive"),
    ("Atelectasis versus pneumonia.", "Atelectasis", "uncertain"),
    ("Atelectasis versus pneumonia.", "Pneumonia", "uncertain"),
    ("Opacity concerning for pneumonia.", "Pneumonia", "uncertain"),
    ("No effusion, possible atelectasis.", "Atelectasis", "uncertain"),
    # The past, and other meanings of the words.
    ("History of pneumonia.", "Pneumonia", "not mentioned"),
    ("Small pericardial effusion.", "Pleural Effusion", "not mentioned"),
    ("Subcutaneous emphysema.", "Emphysema", "not mentioned"),
    ("Sequela of old granulomatous infection.", "Pneumonia", "not mentioned"),
    ("Disc herniation.", "Hernia", "not mentioned"),
]


@pytest.mark.parametrize(("text", "label", "status"), STATUS)
def test_the_status_of_a_finding(text: str, label: str, status: str) -> None:
    assert find(text).status[label] == status


def test_negation_does_not_leave_its_sentence() -> None:
    found = find("1. No evidence of pneumothorax. 2. Old rib fractures.No edema.\n\nSmall nodule of 1.5 cm.")
    assert {mention.label: mention.status for mention in found.mentions} == {
        "Pneumothorax": "negative",
        "Fracture": "positive",
        "Edema": "negative",
        "Lung Lesion": "positive",
    }


def test_a_wrapped_line_does_not_end_a_sentence() -> None:
    assert find("There is no pneumothorax,\n pleural effusion or focal\n consolidation.").positive() == {NO_FINDING}


def test_stating_comes_before_leaving_open_before_denying() -> None:
    assert find("No edema. Possible edema. Mild edema.").status["Edema"] == "positive"
    assert find("No edema. Possible edema.").status["Edema"] == "uncertain"


def test_evidence_is_the_first_sentence_that_gives_the_status() -> None:
    found = find("No edema. Mild\n edema at the bases. Edema again.")
    assert found.evidence("Edema") == "Mild edema at the bases."
    assert found.evidence("Hernia") == ""


def test_no_finding() -> None:
    assert find("Lungs are clear. No effusion. PICC line in place.").status[NO_FINDING] == "positive"
    assert find("Possible effusion.").status[NO_FINDING] == "not mentioned"
    assert find(" \n").status[NO_FINDING] == "not mentioned"


def test_labels_are_named_once_and_hold_those_of_chexpert() -> None:
    names = label_names()
    assert len(set(names)) == len(names) == 22
    assert set(CHEXPERT) < set(names)
    assert len(CHEXPERT) == 13
    assert set(CHEXPERT_5) < set(CHEXPERT)
    assert vocabulary().version == 1


def test_mesh_majors_stand_for_labels_by_heading_or_by_a_qualifier() -> None:
    assert mesh_labels(["Cardiomegaly/mild", "Thickening/pleura/left"]) == {"Cardiomegaly", "Pleural Other"}
    assert mesh_labels(["Fractures, Bone/ribs", "Opacity/lung/round"]) == {"Fracture", "Lung Opacity", "Lung Lesion"}
    assert mesh_labels(["Hydropneumothorax"]) == {"Pneumothorax", "Pleural Effusion"}
    assert mesh_labels(["normal", "Cardiac Shadow/borderline", "Thickening/heart"]) == set()

"""Triplets as sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlcore_surgical.triplets import NO_ACTION, NO_TARGET, NO_VERB, THIRD_PERSON, Triplet, sentence


@pytest.mark.parametrize(
    ("triplet", "clause"),
    [
        (Triplet("grasper", "retract", "gallbladder"), "the grasper retracts the gallbladder"),
        (Triplet("scissors", "cut", "cystic_duct"), "the scissors cut the cystic duct"),
        (
            Triplet("irrigator", "irrigate", "abdominal_wall_cavity"),
            "the irrigator irrigates the abdominal wall cavity",
        ),
        (Triplet("bipolar", "coagulate", "liver"), "the bipolar forceps coagulate the liver"),
        (Triplet("scissors", NO_VERB, NO_TARGET), "the scissors are idle"),
        (Triplet("hook", NO_VERB, NO_TARGET), "the hook is idle"),
        (Triplet("hook", "dissect", NO_TARGET), "the hook dissects"),
    ],
)
def test_a_triplet_is_an_english_clause(triplet: Triplet, clause: str) -> None:
    assert triplet.clause() == clause


def test_a_sentence_names_each_action_once_in_order() -> None:
    grasp, retract = Triplet("grasper", "grasp", "liver"), Triplet("grasper", "retract", "gut")
    clip = Triplet("clipper", "clip", "cystic_artery")
    assert sentence([]) == NO_ACTION
    assert sentence([grasp]) == "the grasper grasps the liver"
    assert sentence([retract, grasp, retract]) == "the grasper retracts the gut and the grasper grasps the liver"
    assert sentence([grasp, retract, clip]) == (
        "the grasper grasps the liver, the grasper retracts the gut and the clipper clips the cystic artery"
    )


def test_every_verb_and_instrument_of_the_data_set_is_known(data_root: Path) -> None:
    categories = json.loads((data_root / "surgical" / "cholect50" / "categories.json").read_text())
    assert set(categories["verb"].values()) == {*THIRD_PERSON, NO_VERB}
    clauses = [Triplet(*triplet.split(",")).clause() for triplet in categories["triplet"].values()]
    assert len(set(clauses)) == len(clauses) == 100
    assert not [clause for clause in clauses if "_" in clause or "null" in clause]

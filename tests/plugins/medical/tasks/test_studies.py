"""Studies of several images, and the ones before them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vlcore.data.record import ImageRef, Record, Text
from vlcore.errors import ConfigurationError
from vlcore_medical.tasks.studies import group_studies, join_images, single_images
from vlcore_medical.tasks.train_reports import report_of


def image(name: str, split: str = "train", **meta: str) -> Record:
    texts = (Text("Chest pain.", kind="indication"), Text("Clear.", kind="findings")) if name != "lateral" else ()
    return Record(name, ImageRef(Path(f"{name}.png")), texts, "patient", split, meta=meta)


def test_images_of_a_study_are_together_and_know_the_one_before() -> None:
    records = [
        image("new", study="s2", prior_study="s1"),
        image("old", study="s1", prior_study="s0"),
        image("lateral", study="s2", prior_study="s1"),
        image("alone"),
        image("s1"),  # an id that is another study's name
        image("open-i", report="r1"),
    ]
    studies = group_studies(records, prior=True)
    assert [[one.id for one in study.images] for study in studies] == [
        ["new", "lateral"],
        ["old"],
        ["alone"],
        ["s1"],
        ["open-i"],
    ]
    assert [[one.id for one in study.prior] for study in studies] == [["old"], [], [], [], []]
    assert not any(study.prior for study in group_studies(records))
    assert len(single_images(records)) == 6


def test_a_study_on_both_sides_of_a_split_is_refused() -> None:
    records = [image("a", study="s1"), image("b", "test", study="s1")]
    with pytest.raises(ConfigurationError, match="images of study s1 are on different sides of the split: a, b"):
        group_studies(records)


def test_the_report_is_that_of_the_first_image_that_has_one() -> None:
    study = group_studies([image("lateral", study="s"), image("frontal", study="s")])[0]
    assert report_of(study, ["findings", "indication"]) == "Clear. Chest pain."
    assert report_of(study, ()) == "Chest pain. Clear."
    assert report_of(study, ["impression"]) == ""


def test_tokens_lie_one_image_after_the_other_and_prior_ones_are_marked() -> None:
    torch.manual_seed(0)
    images = [torch.randn(2, 4, 3), torch.randn(1, 4, 3)]
    prior = [torch.randn(1, 4, 3), torch.randn(0, 4, 3)]
    memory = join_images(images, None)
    assert memory.features.shape == (2, 8, 3)
    assert memory.mask.sum(dim=1).tolist() == [8, 4]
    assert torch.equal(memory.features[0], images[0].reshape(8, 3))
    assert torch.equal(memory.features[1, :4], images[1][0]) and not memory.features[1, 4:].any()
    memory = join_images(images, prior)
    assert memory.features.shape == (2, 12, 4)
    assert memory.mask.sum(dim=1).tolist() == [12, 4]
    assert memory.features[0, :, 3].tolist() == [0.0] * 8 + [1.0] * 4
    assert torch.equal(memory.features[0, 8:, :3], prior[0][0])
    assert not memory.features[1, :, 3].any()

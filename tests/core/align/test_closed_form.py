"""Choice of the closed form on held-out parts, and the temperature that goes with it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from vlcore.align.candidates import held_out_recall
from vlcore.align.closed_form import UNTUNED, choose_closed_form, closed_form_heads, tries
from vlcore.align.features import PairedFeatures, group_folds
from vlcore.align.temperature import fit_logit_scale
from vlcore.errors import ConfigurationError


def planted(images: int = 120, captions: int = 2, noise: float = 0.3, seed: int = 0) -> PairedFeatures:
    """Two views of one hidden vector per image."""
    random = np.random.default_rng(seed)
    hidden = random.normal(size=(images, 12))
    owner = np.repeat(np.arange(images), captions)
    image = hidden @ random.normal(size=(12, 40)) + noise * random.normal(size=(images, 40))
    text = hidden[owner] @ random.normal(size=(12, 24)) + noise * random.normal(size=(len(owner), 24))
    return PairedFeatures(
        image.astype(np.float32), text.astype(np.float32), owner, np.arange(len(owner)), [str(i) for i in range(images)]
    )


def test_a_planted_map_is_found_on_images_that_were_held_out() -> None:
    features = planted()
    folds = group_folds(features.groups, 3, seed=0)
    calls: list[int] = []
    settings, candidate = choose_closed_form(features, folds, calls.append)
    assert sum(calls) == tries(folds)
    assert len(candidate.scores) == 3
    assert candidate.mean > 90
    heads = closed_form_heads(features.subset(folds[0].kept), settings)
    assert held_out_recall(heads, features.subset(folds[0].held_out)) == pytest.approx(candidate.scores[0])


def test_chosen_settings_are_no_worse_than_the_untuned_on_the_same_parts() -> None:
    features = planted(noise=4.0)
    folds = group_folds(features.groups, 3, seed=1)
    _, candidate = choose_closed_form(features, folds)
    untuned = [
        held_out_recall(closed_form_heads(features.subset(fold.kept), UNTUNED), features.subset(fold.held_out))
        for fold in folds
    ]
    assert candidate.mean >= np.mean(untuned)


def test_folds_hold_every_image_out_once_and_keep_groups_whole() -> None:
    groups = [f"patient-{index // 3}" for index in range(60)]
    folds = group_folds(groups, 4, seed=0)
    assert sorted(np.concatenate([fold.held_out for fold in folds]).tolist()) == list(range(60))
    for fold in folds:
        assert not {groups[i] for i in fold.kept} & {groups[i] for i in fold.held_out}
    assert [fold.held_out.tolist() for fold in folds] == [f.held_out.tolist() for f in group_folds(groups, 4, seed=0)]


def test_fewer_groups_than_folds_is_an_error_that_names_both() -> None:
    with pytest.raises(ConfigurationError, match="2 groups and 4 parts"):
        group_folds(["a", "a", "b"], 4, seed=0)


def test_subset_keeps_texts_with_their_images() -> None:
    features = planted(images=10)
    part = features.subset(np.array([7, 2]))
    assert part.image_of_text.tolist() == [1, 1, 0, 0]  # texts stay in file order: those of image 2 first
    np.testing.assert_array_equal(part.image[1], features.image[2])
    np.testing.assert_array_equal(part.text[:2], features.text[4:6])
    assert part.groups == ["7", "2"]


def test_temperature_minimises_the_held_out_likelihood() -> None:
    features = planted(noise=2.0)
    heads = closed_form_heads(features, UNTUNED)
    held_out = planted(noise=2.0, seed=0).subset(np.arange(40))
    found = fit_logit_scale(heads, held_out)
    image, text = (
        torch.nn.functional.normalize(head(side), dim=-1) for head, side in zip(heads, held_out.tensors, strict=True)
    )
    cosines, right = (text @ image.T).detach().double(), torch.from_numpy(held_out.image_of_text)
    losses = {
        scale: float(torch.nn.functional.cross_entropy(scale * cosines, right))
        for scale in (1.0, *np.geomspace(1, 100, 200), found)
    }
    assert losses[found] <= min(losses.values()) + 1e-5
    assert 1 <= found <= 100 and math.isfinite(found)

"""A balanced choice from a pool."""

from __future__ import annotations

import numpy as np
import pytest

from vlcore.data import curation
from vlcore.data.curation import curate
from vlcore.errors import ConfigurationError


def pool(count=400, concepts=12, seed=0):
    random = np.random.default_rng(seed)
    prototypes = random.normal(size=(concepts, 16))
    # A few concepts have most of the items, the last one none.
    weights = np.r_[1 / np.arange(1, concepts), 0]
    kind = random.choice(concepts, size=count, p=weights / weights.sum())
    features = prototypes[kind] + 0.8 * random.normal(size=(count, 16))
    return [(side / np.linalg.norm(side, axis=1, keepdims=True)).astype(np.float32) for side in (features, prototypes)]


@pytest.mark.parametrize("per_concept", [1, 5, 1000])
def test_at_most_so_many_of_each_nothing_twice_and_every_concept_that_is_there(per_concept):
    features, prototypes = pool()
    found = curate(features, prototypes, per_concept)
    assert len(set(found.chosen.tolist())) == len(found.chosen)
    nearest = (features @ prototypes.T).argmax(1)
    assert np.array_equal(found.concept, nearest[found.chosen])
    assert np.array_equal(found.counts, np.minimum(np.bincount(nearest, minlength=12), per_concept))
    similarity = (features @ prototypes.T).max(1)
    for concept in range(12):
        inside = similarity[found.chosen[found.concept == concept]]
        outside = similarity[np.setdiff1d(np.flatnonzero(nearest == concept), found.chosen)]
        assert not len(outside) or inside.min() >= outside.max()


def test_of_the_same_thing_the_most_similar_is_taken():
    features, prototypes = pool()
    keys = [f"scene {row % 40}" for row in range(len(features))]
    found = curate(features, prototypes, 1000, keys)
    assert len(found.chosen) == 40 and found.duplicates == 360
    similarity = (features @ prototypes.T).max(1)
    for row in found.chosen:
        same = [other for other in range(len(features)) if keys[other] == keys[row]]
        assert similarity[row] == similarity[same].max()


def test_the_size_of_blocks_changes_nothing(monkeypatch):
    features, prototypes = pool()
    before = curate(features, prototypes, 4)
    monkeypatch.setattr(curation, "ROWS_AT_ONCE", 7)
    after = curate(features, prototypes, 4)
    assert np.array_equal(before.chosen, after.chosen) and np.array_equal(before.concept, after.concept)


def test_bad_arguments_are_told():
    features, prototypes = pool(10)
    with pytest.raises(ConfigurationError, match="per_concept=0"):
        curate(features, prototypes, 0)
    with pytest.raises(ConfigurationError, match="per_concept=3 of 0 concepts"):
        curate(features, prototypes[:0], 3)
    with pytest.raises(ConfigurationError, match="2 keys for 10 items"):
        curate(features, prototypes, 3, ["a", "b"])
    with pytest.raises(ConfigurationError, match=r"prototypes \[12, 5\]: give"):
        curate(features, prototypes[:, :5], 3)
    with pytest.raises(ConfigurationError, match="Similarities of item 4 are NaN"):
        curate(np.where(np.arange(10)[:, None] == 4, np.nan, features), prototypes, 3)
    with pytest.raises(ConfigurationError, match="Prototypes hold NaN"):
        curate(features, np.where(np.arange(12)[:, None] == 7, np.nan, prototypes), 3)


def test_many_concepts_make_blocks_smaller(monkeypatch):
    features, prototypes = pool()
    before = curate(features, prototypes, 4)
    monkeypatch.setattr(curation, "SCORES_AT_ONCE", 30)
    assert np.array_equal(curate(features, prototypes, 4).chosen, before.chosen)

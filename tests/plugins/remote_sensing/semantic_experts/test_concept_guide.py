"""Images that move towards their concepts, against one image at a time."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from random_towers import plain_model

from vlcore.retrieval.zero_shot import label_embeddings
from vlcore_remote_sensing.prompts import AERIAL
from vlcore_remote_sensing.semantic_experts.concept_embeddings import embed_concepts
from vlcore_remote_sensing.semantic_experts.concept_guide import ConceptGuide, GuideSettings, move_towards_concepts
from vlcore_remote_sensing.semantic_experts.knowledge_base import KnowledgeBase


@pytest.fixture
def vectors():
    rows = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_images_move_as_one_by_one(vectors):
    images, concepts = vectors[:9], vectors[9:]
    moved = move_towards_concepts(images, concepts, GuideSettings(3, 0.2, 1.5))
    for image, found in zip(images, moved, strict=True):
        best = sorted(concepts, key=lambda concept: -float(concept @ image))[:3]
        weights = [math.exp(float(concept @ image) / 0.2) for concept in best]
        total = image + 1.5 * sum(weight * concept for weight, concept in zip(weights, best, strict=True)) / sum(
            weights
        )
        np.testing.assert_allclose(found, total / np.linalg.norm(total), atol=1e-6)


def test_without_strength_images_stay_and_few_concepts_are_enough(vectors):
    np.testing.assert_allclose(
        move_towards_concepts(vectors, vectors[:3], GuideSettings(strength=0)), vectors, atol=1e-6
    )
    assert move_towards_concepts(vectors, vectors[:1], GuideSettings(concepts=8)).shape == vectors.shape


def test_one_more_row_moves_images_that_fit_it_best(vectors):
    # The new concept is an image's own vector: no other row fits it better.
    settings = GuideSettings(4, 0.05, 2.0)
    before = move_towards_concepts(vectors, vectors[:6], settings)
    after = move_towards_concepts(vectors, vectors[[*range(6), 13]], settings)
    assert np.argmax(after @ vectors[13]) == 13
    assert after[13] @ vectors[13] > before[13] @ vectors[13]


def test_a_query_that_is_a_label_is_its_row_and_others_are_the_models(base):
    model = plain_model()
    park = dataclasses.replace(base.get("scene/park"), labels={"en": "park", "de": "Grünanlage"})
    table = base.without(["scene/park"]).with_concept(park)
    guide = ConceptGuide(model, table, settings=GuideSettings(definition_share=0.5))
    found = guide.queries(["a harbour", " PARK", "grünanlage", "ship", "a harbour"])
    row = embed_concepts(model, KnowledgeBase((park,)), definition_share=0.5)[0]
    harbour, ship = label_embeddings(model, ["a harbour", "ship"], AERIAL)
    # "ship" is an object, and the guide uses scenes.
    np.testing.assert_allclose(found, [harbour, row, row, ship, harbour], atol=1e-6)
    assert guide.vectors.shape == (6, 8)
    assert guide.queries(["park"]).shape == (1, 8)


def test_a_guide_moves_images_by_its_settings(base, vectors):
    settings = GuideSettings(2, 0.3, 0.7, 0.1)
    guide = ConceptGuide(plain_model(), base, "object", settings)
    expected = move_towards_concepts(vectors, guide.vectors, settings)
    np.testing.assert_array_equal(guide.images(vectors), expected)
    assert len(guide.vectors) == 3

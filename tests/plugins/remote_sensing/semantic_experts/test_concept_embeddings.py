"""Concepts as vectors, and when they are embedded again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from random_towers import plain_model

from vlcore.retrieval.prompts import PromptSet
from vlcore_remote_sensing.semantic_experts.concept_embeddings import embed_concepts
from vlcore_remote_sensing.semantic_experts.knowledge_base import KnowledgeBase

PROMPTS = PromptSet("two", ("{}", "a {} from above"))


class Counted:
    """A model that counts the texts it embeds."""

    def __init__(self, model):
        self.model, self.texts = model, []
        self.embed = model.embed_texts
        model.embed_texts = self._embed

    def _embed(self, texts):
        self.texts += texts
        return self.embed(texts)


def test_a_vector_is_the_mean_of_labels_and_the_definition(base):
    model = plain_model()
    car = dataclasses.replace(base.concepts[0], labels={"en": "car", "de": "Auto", "fr": "voiture"})
    (vector,) = embed_concepts(
        model, KnowledgeBase((car,)), languages=("en", "de", "it"), definition_share=0.3, prompts=PROMPTS
    )
    labels = [unit(model.embed_texts([word, f"a {word} from above"]).mean(0)) for word in ("car", "Auto")]
    expected = unit(0.7 * unit(np.mean(labels, 0)) + 0.3 * model.embed_texts(["looks like a car"])[0])
    np.testing.assert_allclose(vector, expected, atol=1e-6)


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_only_new_and_changed_rows_are_embedded(base, tmp_path):
    counted = Counted(plain_model())
    first = embed_concepts(counted.model, base, cache=tmp_path)
    assert counted.texts
    counted.texts.clear()
    np.testing.assert_array_equal(embed_concepts(counted.model, base, cache=tmp_path), first)
    assert counted.texts == []
    park = dataclasses.replace(base.get("scene/park"), definition="benches under trees")
    solar = dataclasses.replace(park, id="scene/solar", labels={"en": "solar farm"}, definition="dark panels")
    changed = base.without(["scene/park"]).with_concept(park).with_concept(solar)
    vectors = embed_concepts(counted.model, changed, cache=tmp_path)
    assert len(counted.texts) == 10  # four prompts and a definition each
    others = [place for place, concept in enumerate(base.concepts) if concept.id != "scene/park"]
    np.testing.assert_array_equal(vectors[:-2], first[others])


@pytest.mark.parametrize("change", [{"languages": ("de",)}, {"definition_share": 0.9}, {"prompts": PROMPTS}])
def test_other_settings_and_other_weights_have_their_own_vectors(base, tmp_path, change):
    counted = Counted(plain_model())
    embed_concepts(counted.model, base, cache=tmp_path)
    counted.texts.clear()
    embed_concepts(counted.model, base, cache=tmp_path, **change)
    assert counted.texts
    counted.texts.clear()
    counted.model.fingerprint = "other weights"
    embed_concepts(counted.model, base, cache=tmp_path, **change)
    assert counted.texts

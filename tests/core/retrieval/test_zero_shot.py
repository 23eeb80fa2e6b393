from __future__ import annotations

import numpy as np
import pytest

from vlcore.errors import ConfigurationError
from vlcore.retrieval.prompts import PromptSet
from vlcore.retrieval.zero_shot import label_embeddings, label_probabilities


def test_ensemble_is_the_normalised_mean_of_unit_vectors(colour_model):
    prompts = PromptSet("two", ("{}", "green or {}"))
    found = label_embeddings(colour_model, ["red", "dark_blue"], prompts)
    for row, sentences in zip(found, (["red", "green or red"], ["dark blue", "green or dark blue"]), strict=True):
        mean = colour_model.embed_texts(sentences).astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-6)


def test_probabilities_are_a_softmax():
    random = np.random.default_rng(0)
    images, labels = random.normal(size=(4, 6)).astype(np.float32), random.normal(size=(3, 6)).astype(np.float32)
    logit = 100 * images.astype(np.float64) @ labels.T
    expected = np.exp(logit - logit.max(1, keepdims=True))
    found = label_probabilities(images, labels, 100)
    np.testing.assert_allclose(found, expected / expected.sum(1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_images_are_named_by_colour(colour_model):
    red, blue = (np.full((20, 30, 3), colour, np.uint8) for colour in ((220, 30, 30), (40, 60, 220)))
    result = colour_model.zero_shot([blue, red], ["red", "blue"])
    assert result.best() == ["blue", "red"] and result.probability.shape == (2, 2)


@pytest.mark.parametrize("labels", [[], [""], ["a", "a"]])
def test_bad_labels(colour_model, labels):
    with pytest.raises(ConfigurationError, match="Labels"):
        label_embeddings(colour_model, labels, "plain")

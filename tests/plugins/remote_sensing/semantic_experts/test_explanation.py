"""Concepts of a tile with their weights, as a table and as a picture."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from random_towers import plain_model
from test_expert_model import trained

from vlcore.errors import ConfigurationError
from vlcore.retrieval.model import Model
from vlcore_remote_sensing.semantic_experts.expert_model import with_experts
from vlcore_remote_sensing.semantic_experts.explanation import NULL, draw_explanation, explain, write_explanation


@pytest.fixture
def model(base):
    return Model(trained(with_experts(plain_model(), base)), "trained", device="cpu")


@pytest.fixture
def tiles(images):
    return list(images.permute(0, 2, 3, 1).numpy())


def test_weights_are_the_heads_and_sum_to_one(model, tiles, images):
    weights = explain(model, tiles, batch_size=3)
    head = model.network.image_head
    with torch.no_grad():
        output = head.enrich(model.network.image_features(images))
    assert {weight.tile for weight in weights} == set(range(7))
    for tile in range(7):
        own = [weight for weight in weights if weight.tile == tile]
        assert sum(weight.weight for weight in own) == pytest.approx(1, abs=1e-5)
        assert [weight.weight for weight in own] == sorted((weight.weight for weight in own), reverse=True)
        # Three objects, no region, four of six scenes, and three times nothing.
        assert len(own) == 3 + 0 + 4 + 3
        for place, level in enumerate(("object", "region", "scene")):
            (null,) = (weight for weight in own if weight.name == NULL and weight.level == level)
            expected = output.gate[tile, place] * output.levels[place].weight[tile, 0]
            assert null.weight == pytest.approx(float(expected), abs=1e-5)
        nearest = head.of_level("scene")[int(output.levels[2].rows[tile, 0])]
        (found,) = (weight for weight in own if weight.concept_id == nearest.id)
        expected = output.gate[tile, 2] * output.levels[2].weight[tile, 1]
        assert found.weight == pytest.approx(float(expected), abs=1e-5)


def test_before_training_the_scenes_are_those_nearest_to_the_tile(base, tiles):
    plain = plain_model()
    model = Model(with_experts(plain, base), "untrained", device="cpu")
    scenes = [weight for weight in explain(model, tiles[:1]) if weight.level == "scene" and weight.concept_id]
    vectors = model.network.image_head.concepts_scene.numpy()
    cosines = vectors @ plain.embed_images(tiles[:1])[0]
    names = [concept.name for concept in model.network.image_head.of_level("scene")]
    assert {weight.name for weight in scenes} == {names[place] for place in np.argsort(-cosines)[:4]}


def test_table_and_picture(model, tiles, tmp_path):
    weights = explain(model, tiles[:2])
    write_explanation(tmp_path / "why.csv", weights)
    with (tmp_path / "why.csv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == len(weights)
    assert (rows[0]["tile"], rows[0]["concept_id"], rows[0]["name"]) == ("0", weights[0].concept_id, weights[0].name)
    assert float(rows[0]["weight"]) == weights[0].weight
    figure = draw_explanation(tiles[0], [weight for weight in weights if weight.tile == 0], most=5)
    figure.savefig(tmp_path / "why.png")
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == [one.name for one in weights[:5]]
    assert (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigurationError, match="shows one tile"):
        draw_explanation(tiles[0], weights)


def test_a_plain_model_has_nothing_to_explain(tiles):
    with pytest.raises(ConfigurationError, match="without semantic experts"):
        explain(plain_model(), tiles)

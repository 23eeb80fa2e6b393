"""Experts on an aligned model: exactly the plain model before training, and saved and loaded as any other."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch
import yaml
from random_towers import plain_model
from torch.nn import functional as F

import vlcore
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.heads.linear import LinearHead
from vlcore.hub import safe_loading
from vlcore.hub.model_card import ModelCard
from vlcore.hub.model_directory import save_model_directory
from vlcore.retrieval.model import Model
from vlcore_remote_sensing.semantic_experts.concept import LEVELS
from vlcore_remote_sensing.semantic_experts.expert_head import ConceptName, SemanticExpertHead
from vlcore_remote_sensing.semantic_experts.expert_model import with_experts, with_knowledge_base
from vlcore_remote_sensing.semantic_experts.level_encoder import Layout


@pytest.fixture
def allowed(monkeypatch):
    """The random text tower is of the tests; nothing outside would be loaded."""
    known = safe_loading.allowed_packages()
    monkeypatch.setattr(safe_loading, "allowed_packages", lambda: {*known, "random_towers"})


def trained(network):
    """Experts as if trained: random, and switched in by their scale."""
    torch.manual_seed(5)
    for name, parameter in network.image_head.named_parameters():
        if not name.startswith("plain."):
            torch.nn.init.normal_(parameter, std=0.3)
    return network


@pytest.mark.parametrize("size", [1, 7])
def test_before_training_every_bit_is_the_plain_models(plain, base, images, size):
    network = with_experts(plain, base)
    model = Model(network, "experts", device="cpu")
    tokens = network.text_encoder.tokenizer(["a port", "a park in the snow"])
    with torch.no_grad():
        ours, theirs = (one.encode_images(images[:size]) for one in (network, plain.network))
        assert ours.dtype == torch.float32 and torch.equal(ours, theirs)
        texts = [one.encode_texts(tokens.input_ids, tokens.attention_mask) for one in (network, plain.network)]
        assert torch.equal(*texts)
    assert (model.embed_pixels(images[:size]) == plain.embed_pixels(images[:size])).all()
    assert (model.embed_texts(["a port"]) == plain.embed_texts(["a port"])).all()


@pytest.mark.parametrize("size", [1, 7])
def test_experts_switched_off_give_the_plain_model_back(plain, base, images, size):
    network = trained(with_experts(plain, base))
    with torch.no_grad():
        changed = network.encode_images(images[:size])
        network.image_head.active = False
        assert torch.equal(network.encode_images(images[:size]), plain.network.encode_images(images[:size]))
        assert not torch.allclose(changed, network.encode_images(images[:size]), atol=1e-3)


def test_a_forward_pass_is_what_a_slow_one_is(base, images):
    model = plain_model()
    network = trained(with_experts(model, base)).double()
    head = network.image_head
    with torch.no_grad():
        row = network.image_features(images)
        pooled, levels = head.layout.split(row)
        expected = torch.stack([slow(head, p[None], [level[i] for level in levels]) for i, p in enumerate(pooled)])
        torch.testing.assert_close(head(row), expected)


def slow(head, pooled, levels):
    """One image, concept by concept, head by head."""
    plain = head.plain(pooled)[0]
    embedding = plain / plain.norm()
    gate = torch.softmax(head.gate.weight @ embedding + head.gate.bias, 0)
    total = torch.zeros_like(plain)
    for share, level, expert, tokens in zip(gate, LEVELS, head.experts, levels, strict=True):
        queries = [embedding + expert.projection(expert.norm(token)) for token in tokens]
        middle = sum(queries) / len(queries)
        concepts = list(head.get_buffer(f"concepts_{level}"))
        best = sorted(concepts, key=lambda concept: -float(concept @ middle))[: expert.concepts]
        keys = torch.stack([expert.null[0, 0], *best])
        size, heads = len(plain), head.attention_heads
        wq, wk, wv = expert.attention.in_proj_weight.chunk(3)
        bq, bk, bv = expert.attention.in_proj_bias.chunk(3)
        states = []
        for query in queries:
            attended = []
            for part in torch.arange(size).chunk(heads):
                logit = (keys @ wk.T + bk)[:, part] @ (wq @ query + bq)[part] / len(part) ** 0.5
                attended.append(torch.softmax(logit, 0) @ (keys @ wv.T + bv)[:, part])
            states.append(expert.expert(query + expert.attention.out_proj(torch.cat(attended))))
        total += share * sum(states) / len(states)
    return plain + plain.norm() * head.scale * total


def test_a_level_without_concepts_attends_to_the_null_concept(base, images):
    network = trained(with_experts(plain_model(), base))
    with torch.no_grad():
        output = network.image_head.enrich(network.image_features(images))
    assert [level.rows.shape[1] for level in output.levels] == [3, 0, 4]
    torch.testing.assert_close(output.levels[1].weight, torch.ones(7, 1))
    for level in output.levels:
        torch.testing.assert_close(level.weight.sum(1), torch.ones(7))
    torch.testing.assert_close(output.gate.sum(1), torch.ones(7))


def test_only_experts_learn_and_the_first_step_moves_their_scale(base, images):
    network = with_experts(plain_model(), base).train()
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert learning and all(
        name in ("logit_scale",) or (name.startswith("image_head.") and ".plain." not in name) for name in learning
    )
    assert not network.image_head.plain.training
    network.encode_images(images).square().sum(0).mul(torch.arange(8)).sum().backward()
    assert float(network.image_head.scale.grad.abs().max()) > 0
    assert all(p.grad is None for name, p in network.named_parameters() if name not in learning)


def test_one_more_row_moves_images_without_training(base, images):
    network = trained(with_experts(plain_model(), base))
    row = dataclasses.replace(base.get("scene/park"), id="scene/solar", labels={"en": "solar farm"})
    more = with_knowledge_base(Model(network, "trained", device="cpu"), base.with_concept(row))
    with torch.no_grad():
        before, after = network.encode_images(images), more.encode_images(images)
        same = with_knowledge_base(Model(network, "trained", device="cpu"), base).encode_images(images)
    assert torch.equal(same, before)
    assert not torch.equal(after, before)
    assert len(network.image_head.concepts) == 9
    assert more.image_head.of_level("scene")[-1] == ConceptName("scene/solar", "scene", "solar farm")


def test_a_model_directory_holds_it_all(plain, base, images, tmp_path, allowed):
    network = trained(with_experts(plain, base))
    save_model_directory(tmp_path / "model", network, ModelCard("experts"))
    loaded = vlcore.load(tmp_path / "model", device="cpu")
    assert isinstance(loaded.network.image_head, SemanticExpertHead)
    assert loaded.network.image_head.concepts == network.image_head.concepts
    with torch.no_grad():
        assert torch.equal(loaded.network.encode_images(images), network.encode_images(images))
    again = with_knowledge_base(loaded, base)
    with torch.no_grad():
        torch.testing.assert_close(again.encode_images(images), network.encode_images(images))


def test_a_plain_head_from_elsewhere_is_not_loaded(base, tmp_path, allowed):
    config = with_experts(plain_model(), base).image_head.config()
    config["plain"] = {"class_path": "os.path.join", "arguments": {}}
    with pytest.raises(ModelDirectoryError, match=r"inside image_head: the class 'os\.path\.join' is not from vlcore"):
        SemanticExpertHead.from_config(config)
    assert yaml.safe_dump(config)


def test_what_does_not_fit_is_told(base):
    model = plain_model()
    network = with_experts(model, base)
    with pytest.raises(ConfigurationError, match="experts already"):
        with_experts(Model(network, "experts", device="cpu"), base)
    with pytest.raises(ConfigurationError, match="is a ResidualMLPHead without semantic experts"):
        with_knowledge_base(model, base)
    with pytest.raises(ConfigurationError, match="attention_heads=3: the embedding has 8 numbers"):
        with_experts(model, base, attention_heads=3)
    layout = Layout(6, (2, 2, 2), 4)
    with pytest.raises(ConfigurationError, match="takes 5 numbers and the tower pools 6"):
        SemanticExpertHead(LinearHead(5, 8), layout)
    message = re.escape("1 concepts have vectors [2, 8]")
    with pytest.raises(ConfigurationError, match=message):
        network.image_head.set_concepts([ConceptName("a", "scene", "a")], F.normalize(torch.ones(2, 8)))

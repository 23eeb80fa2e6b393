from __future__ import annotations

import json
import math

import pytest
import torch
import transformers

from vlcore.encoders import build_dual_encoder, build_image_encoder, build_text_encoder
from vlcore.encoders.transformers_dual import TransformersDualImageEncoder, TransformersDualTextEncoder
from vlcore.errors import ConfigurationError, ModelDirectoryError

PAIRS = ["clip", "siglip"]


def reference(folder):
    model = transformers.AutoModel.from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", PAIRS)
def test_image_features_equal_those_of_transformers(folders, name, images):
    towers = build_dual_encoder(f"transformers/{folders[name]}")
    model, _ = reference(folders[name])
    batch = images((32, 32))
    processor = transformers.AutoImageProcessor.from_pretrained(folders[name])
    pixels = processor(images=list(batch), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = model.get_image_features(pixel_values=pixels).pooler_output
        found = towers.image(batch)
    torch.testing.assert_close(found.pooled, expected, atol=1e-5, rtol=1e-5)
    assert found.pooled.shape == (3, towers.image.width)
    assert found.tokens is not None


def test_clip_texts_at_their_own_length_equal_full_padding(folders, texts):
    towers = build_dual_encoder(f"transformers/{folders['clip']}")
    model, tokenizer = reference(folders["clip"])
    full = tokenizer(texts, padding="max_length", max_length=24, return_tensors="pt")
    batch = towers.text.tokenizer(texts)
    assert batch.input_ids.shape[1] < full["input_ids"].shape[1]
    with torch.no_grad():
        expected = model.get_text_features(**{key: full[key] for key in ("input_ids", "attention_mask")}).pooler_output
        found = towers.text(batch.input_ids, batch.attention_mask)
        pooled = towers.text.pool(batch.input_ids, batch.attention_mask)
    torch.testing.assert_close(found.pooled, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)


def test_siglip_attends_to_padding_as_it_was_trained(folders, texts):
    text = build_text_encoder(f"transformers/{folders['siglip']}")
    model, tokenizer = reference(folders["siglip"])
    full = tokenizer(texts, padding="max_length", max_length=16, truncation=True, return_tensors="pt")["input_ids"]
    batch = text.tokenizer(texts)
    with torch.no_grad():
        expected = model.get_text_features(input_ids=full).pooler_output
        trimmed = model.get_text_features(input_ids=batch.input_ids).pooler_output
        found = text.pool(batch.input_ids, batch.attention_mask)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    # The trap: without the padding the features are others.
    assert (trimmed - expected).abs().max() > 1e-3


@pytest.mark.parametrize("name", PAIRS)
def test_foreign_padding_does_not_matter(folders, name, texts):
    text = build_text_encoder(f"transformers/{folders[name]}")
    batch = text.tokenizer(texts)
    foreign = batch.input_ids.masked_fill(batch.attention_mask == 0, 3)
    with torch.no_grad():
        for encode in (
            lambda ids: text(ids, batch.attention_mask).pooled,
            lambda ids: text.pool(ids, batch.attention_mask),
        ):
            torch.testing.assert_close(encode(foreign), encode(batch.input_ids))


@pytest.mark.parametrize("name", PAIRS)
def test_single_towers_equal_those_of_the_pair(folders, name):
    towers = build_dual_encoder(f"transformers/{folders[name]}")
    assert build_image_encoder(f"transformers/{folders[name]}").fingerprint() == towers.image.fingerprint()
    assert build_text_encoder(f"transformers/{folders[name]}").fingerprint() == towers.text.fingerprint()
    # Each tower carries its own half of the weights only.
    assert not any("text" in key for key in towers.image.state_dict())
    assert not any("vision" in key or "visual" in key for key in towers.text.state_dict())


def test_temperature_and_bias_are_taken_over(folders):
    clip = build_dual_encoder(f"transformers/{folders['clip']}")
    siglip = build_dual_encoder(f"transformers/{folders['siglip']}")
    model, _ = reference(folders["siglip"])
    assert clip.logit_bias is None
    assert clip.logit_scale == pytest.approx(math.exp(2.6592))
    assert siglip.logit_scale == pytest.approx(math.exp(float(model.logit_scale.detach())))
    assert siglip.logit_bias == pytest.approx(float(model.logit_bias.detach()))


def test_licence_is_read_from_the_card(folders):
    assert build_dual_encoder(f"transformers/{folders['clip']}").image.licence == "mit"
    assert build_dual_encoder(f"transformers/{folders['siglip']}").image.licence == "unknown"


@pytest.mark.parametrize("name", PAIRS)
def test_rebuilt_from_plain_values(folders, name, texts, images, tmp_path):
    towers = build_dual_encoder(f"transformers/{folders[name]}")
    towers.text.tokenizer.save(tmp_path)
    image = TransformersDualImageEncoder.from_config(
        json.loads(json.dumps(towers.image.config())), towers.image.preprocess
    )
    text = TransformersDualTextEncoder.from_config(json.loads(json.dumps(towers.text.config())), tmp_path)
    image.load_state_dict(towers.image.state_dict())
    text.load_state_dict(towers.text.state_dict())
    assert image.fingerprint() == towers.image.fingerprint()
    assert text.fingerprint() == towers.text.fingerprint()
    batch, pixels = towers.text.tokenizer(texts), images((32, 32))
    with torch.no_grad():
        torch.testing.assert_close(image.eval()(pixels).pooled, towers.image(pixels).pooled)
        torch.testing.assert_close(
            text.eval()(batch.input_ids, batch.attention_mask).pooled,
            towers.text(batch.input_ids, batch.attention_mask).pooled,
        )
    assert str(folders[name]) not in json.dumps(towers.text.config())


def test_last_blocks_learn(folders, texts):
    text = build_text_encoder(f"transformers/{folders['clip']}", trainable=1)
    names = {name for name, parameter in text.named_parameters() if parameter.requires_grad}
    assert len(text.blocks()) == 3
    assert {name.split("layers.")[1][0] for name in names if "layers." in name} == {"2"}
    assert any("text_projection" in name for name in names)
    assert any("final_layer_norm" in name for name in names)
    batch = text.tokenizer(texts)
    text.train()(batch.input_ids, batch.attention_mask).pooled.sum().backward()
    assert text.get_parameter("network.text_projection.weight").grad is not None


def test_gradients_flow_through_pool(folders, texts):
    text = build_text_encoder(f"transformers/{folders['clip']}", trainable="all")
    batch = text.tokenizer(texts)
    text.pool(batch.input_ids, batch.attention_mask).sum().backward()
    assert text.get_parameter("network.text_model.embeddings.token_embedding.weight").grad.abs().sum() > 0


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json"])
def test_incomplete_folder_names_the_missing_file(copy_of, missing):
    folder = copy_of("clip")
    (folder / missing).unlink()
    with pytest.raises(ModelDirectoryError, match=missing):
        build_dual_encoder(f"transformers/{folder}")


def test_another_models_end_token_is_refused(copy_of):
    folder = copy_of("clip")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 5
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelDirectoryError, match=r"ends texts with id 22.*pools at id 5"):
        build_dual_encoder(f"transformers/{folder}")


def test_legacy_end_token_pools_at_the_highest_id(copy_of, texts):
    folder = copy_of("clip")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 2
    (folder / "config.json").write_text(json.dumps(config))
    legacy = build_text_encoder(f"transformers/{folder}")
    model, tokenizer = reference(folder)
    full = tokenizer(texts, padding=True, return_tensors="pt")
    batch = legacy.tokenizer(texts)
    with torch.no_grad():
        expected = model.get_text_features(
            input_ids=full["input_ids"], attention_mask=full["attention_mask"]
        ).pooler_output
        torch.testing.assert_close(legacy.pool(batch.input_ids, batch.attention_mask), expected, atol=1e-5, rtol=1e-5)


def test_a_model_with_one_tower_is_no_pair(folders):
    with pytest.raises(ConfigurationError, match="not an image and a text tower"):
        build_dual_encoder(f"transformers/{folders['bert']}")


def test_towers_work_offline_with_sockets_blocked(folders, no_network, texts, images):
    towers = build_dual_encoder(f"transformers/{folders['clip']}")
    batch = towers.text.tokenizer(texts)
    with torch.no_grad():
        assert towers.image(images((32, 32))).pooled.shape == (3, 20)
        assert towers.text(batch.input_ids, batch.attention_mask).pooled.shape == (5, 20)

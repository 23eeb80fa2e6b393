from __future__ import annotations

import json

import pytest
import torch
import transformers

from vlcore.encoders import build_image_encoder
from vlcore.encoders.transformers_image import TransformersImageEncoder
from vlcore.errors import ConfigurationError, ModelDirectoryError

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
SQUARE = {"height": 32, "width": 32}


def dinov2(folder):
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=16
    )
    transformers.Dinov2Model(config).save_pretrained(folder)
    crop = {"size": {"shortest_edge": 36}, "crop_size": SQUARE}
    transformers.BitImageProcessor(**crop).save_pretrained(folder)
    return lambda output: output.pooler_output


def convnext(folder):
    config = transformers.ConvNextConfig(hidden_sizes=[8, 12, 16, 24], depths=[1, 1, 1, 1])
    transformers.ConvNextForImageClassification(config).save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 32}).save_pretrained(folder)
    return lambda output: output.pooler_output


def resnet(folder):
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    transformers.ResNetModel(config).save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 32}).save_pretrained(folder)
    return lambda output: output.pooler_output.flatten(1)


def swin(folder):
    config = transformers.SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[2, 2], window_size=4
    )
    transformers.SwinModel(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size=SQUARE).save_pretrained(folder)
    return lambda output: output.pooler_output


def siglip(folder):
    config = transformers.SiglipVisionConfig(**SMALL, image_size=32, patch_size=16)
    transformers.SiglipVisionModel(config).save_pretrained(folder)
    transformers.SiglipImageProcessor(size=SQUARE).save_pretrained(folder)
    return lambda output: output.pooler_output


@pytest.mark.parametrize("make", [dinov2, convnext, resnet, swin, siglip])
def test_pooled_features_equal_those_of_transformers(make, tmp_path, images):
    torch.manual_seed(0)
    pooled = make(tmp_path)
    encoder = build_image_encoder(f"transformers/{tmp_path}")
    model = transformers.AutoModel.from_pretrained(tmp_path).eval()
    batch = images((32, 32))
    with torch.no_grad():
        expected = pooled(model(pixel_values=encoder.normalise(batch)))
        found = encoder(batch)
    torch.testing.assert_close(found.pooled, expected, atol=1e-5, rtol=1e-5)
    assert found.tokens.ndim == 3
    assert found.pooled.shape == (3, encoder.width)
    encoder.set_trainable(1)
    assert not encoder.frozen
    rebuilt = TransformersImageEncoder.from_config(json.loads(json.dumps(encoder.config())), encoder.preprocess)
    rebuilt.load_state_dict(encoder.state_dict())
    assert rebuilt.fingerprint() == encoder.fingerprint()


def test_vit_reads_the_first_token_not_an_untrained_pooler(folders, images):
    encoder = build_image_encoder(f"transformers/{folders['vit']}")
    model = transformers.ViTForImageClassification.from_pretrained(folders["vit"]).eval()
    batch = images((32, 32))
    with torch.no_grad():
        expected = model.vit(pixel_values=encoder.normalise(batch)).last_hidden_state[:, 0]
        torch.testing.assert_close(encoder(batch).pooled, expected, atol=1e-5, rtol=1e-5)
    assert not any("pooler" in key or "classifier" in key for key in encoder.state_dict())
    assert len(encoder.blocks()) == 3


def test_clip_image_half_keeps_its_projection(folders, tmp_path, images):
    whole = transformers.CLIPModel.from_pretrained(folders["clip"])
    config = whole.config.vision_config
    config.projection_dim = 20
    half = transformers.CLIPVisionModelWithProjection(config)
    half.vision_model.load_state_dict(whole.vision_model.state_dict())
    half.visual_projection.load_state_dict(whole.visual_projection.state_dict())
    half.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text((folders["clip"] / "preprocessor_config.json").read_text())
    batch = images((32, 32))
    first, second = (build_image_encoder(f"transformers/{folder}") for folder in (tmp_path, folders["clip"]))
    with torch.no_grad():
        torch.testing.assert_close(first(batch).pooled, second(batch).pooled, atol=1e-5, rtol=1e-5)
    rebuilt = TransformersImageEncoder.from_config(json.loads(json.dumps(first.config())), first.preprocess)
    rebuilt.load_state_dict(first.state_dict())
    assert rebuilt.width == 20


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_incomplete_folder_names_the_missing_file(copy_of, missing):
    folder = copy_of("vit")
    (folder / missing).unlink()
    with pytest.raises(ModelDirectoryError, match=missing):
        build_image_encoder(f"transformers/{folder}")


def test_preprocessing_of_another_size_is_refused(copy_of):
    folder = copy_of("vit")
    transformers.ViTImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    with pytest.raises(ModelDirectoryError, match=r"cannot read images of the size \(64, 64\)"):
        build_image_encoder(f"transformers/{folder}")


def test_a_text_model_is_no_image_tower(copy_of, folders):
    folder = copy_of("bert")
    (folder / "preprocessor_config.json").write_text((folders["vit"] / "preprocessor_config.json").read_text())
    with pytest.raises(ConfigurationError, match="reads no images"):
        build_image_encoder(f"transformers/{folder}")


def test_missing_layer_is_named(copy_of):
    folder = copy_of("vit")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    with pytest.raises(ModelDirectoryError, match=r"missing .*3"):
        build_image_encoder(f"transformers/{folder}")

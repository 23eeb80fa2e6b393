from __future__ import annotations

import json

import pytest
import timm
import torch

from vlcore.encoders import build_image_encoder
from vlcore.encoders.timm import TimmEncoder, build_image, preprocess_of
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.types import ImagePreprocess

DATA = {
    "input_size": (3, 32, 32),
    "interpolation": "bicubic",
    "mean": (0.5, 0.4, 0.3),
    "std": (0.2, 0.2, 0.2),
    "crop_pct": 0.875,
    "crop_mode": "center",
}
PREPROCESS = ImagePreprocess((32, 32), "shortest", 36)


def test_features_equal_those_of_timm(folders, images):
    encoder = build_image_encoder(f"timm/{folders['timm']}")
    reference = timm.create_model(f"local-dir:{folders['timm']}", pretrained=True, num_classes=0).eval()
    batch = images(encoder.preprocess.size)
    mean, std = (
        torch.tensor(v).view(3, 1, 1) for v in (reference.pretrained_cfg["mean"], reference.pretrained_cfg["std"])
    )
    with torch.no_grad():
        expected = reference((batch / 255 - mean) / std)
        found = encoder(batch)
    torch.testing.assert_close(found.pooled, expected, atol=1e-5, rtol=1e-5)
    assert found.tokens.shape[2] == encoder.width == 96


def test_average_and_maximum(folders, images):
    plain, both = (build_image(str(folders["timm"]), pooling=pooling) for pooling in ("native", "avgmax"))
    batch = images(plain.preprocess.size)
    with torch.no_grad():
        map_ = plain.network.forward_features(plain.normalise(batch))
        found = both(batch).pooled
    torch.testing.assert_close(found, torch.cat([map_.mean((2, 3)), map_.amax((2, 3))], dim=1))
    assert both.width == 2 * plain.width
    assert both.fingerprint() != plain.fingerprint()


@pytest.mark.parametrize(
    ("architecture", "blocks"),
    [
        ("test_vit", 6),
        ("test_resnet", 4),
        ("test_convnext", 4),
        ("test_efficientnet", 5),
        ("test_byobnet", 4),
        ("test_mambaout", 4),
        ("regnety_002", 4),
        ("mobilenetv3_small_100", 6),
    ],
)
def test_blocks_are_the_stages_or_layers(architecture, blocks):
    size = timm.get_pretrained_cfg(architecture).input_size[1]
    encoder = TimmEncoder(architecture, ImagePreprocess((size, size), "shortest", size))
    assert len(encoder.blocks()) == blocks
    encoder.set_trainable(1)
    learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    last = {
        f"{n}.{k}" for n, m in encoder.named_modules() if m is encoder.blocks()[-1] for k, _ in m.named_parameters()
    }
    assert last and last <= learning
    first = {id(parameter) for parameter in encoder.blocks()[0].parameters()}
    assert not any(parameter.requires_grad for parameter in encoder.parameters() if id(parameter) in first)
    with torch.no_grad():
        output = encoder.eval()(torch.zeros(1, 3, size, size, dtype=torch.uint8))
    assert output.pooled.shape == (1, encoder.width)
    assert output.tokens.ndim == 3


@pytest.mark.parametrize("architecture", ["test_vit", "test_resnet"])
def test_rebuilt_from_plain_values(architecture):
    size = timm.get_pretrained_cfg(architecture).input_size[1]
    first = TimmEncoder(architecture, ImagePreprocess((size, size), "shortest", size))
    again = TimmEncoder.from_config(json.loads(json.dumps(first.config())), first.preprocess)
    assert again.fingerprint() != first.fingerprint()
    again.load_state_dict(first.state_dict())
    assert again.fingerprint() == first.fingerprint()


def test_no_feature_map_to_pool():
    with pytest.raises(ConfigurationError, match="no feature maps"):
        TimmEncoder("test_vit", ImagePreprocess((160, 160)), pooling="avgmax")


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_incomplete_folder_names_the_missing_file(copy_of, missing):
    folder = copy_of("timm")
    (folder / missing).unlink()
    with pytest.raises(ModelDirectoryError, match=missing):
        build_image_encoder(f"timm/{folder}")


@pytest.mark.parametrize("key", ["mean", "std", "input_size", "interpolation", "crop_pct"])
def test_incomplete_preprocessing_is_an_error_not_a_default(copy_of, key):
    folder = copy_of("timm")
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"].pop(key)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelDirectoryError, match=f"lacks {key}"):
        build_image_encoder(f"timm/{folder}")


def test_weights_of_another_architecture_are_named(copy_of):
    folder = copy_of("timm")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architecture": "test_convnext"}))
    with pytest.raises(ModelDirectoryError, match=r"missing head\.norm\.bias.*unexpected bn1\.bias"):
        build_image_encoder(f"timm/{folder}")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ("shortest", 36, 0)),
        ({"crop_pct": 1.0}, ("shortest", 32, 0)),
        ({"crop_pct": 0.95}, ("shortest", 33, 0)),
        ({"crop_pct": 1.0, "crop_mode": "squash"}, ("squash", 32, 0)),
        ({"crop_pct": 1.0, "crop_mode": "border", "mean": (0.5, 0.5, 0.5)}, ("pad", 32, 128)),
    ],
)
def test_preprocessing_is_mapped(change, expected):
    found = preprocess_of(DATA | change, "here")
    assert (found.resize, found.resize_to, found.fill) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"interpolation": "lanczos"}, "lanczos"),
        ({"crop_mode": "squash"}, "crop_mode 'squash' with crop_pct 0.875"),
        ({"crop_mode": "border", "crop_pct": 1.0}, "coloured border"),
        ({"input_size": (1, 32, 32), "mean": (0.5,), "std": (0.2,)}, "read RGB"),
        ({"input_size": (3, 32, 64)}, "not square"),
    ],
)
def test_preprocessing_without_an_equal_is_an_error(change, message):
    with pytest.raises(ModelDirectoryError, match=message):
        preprocess_of(DATA | change, "here")


def test_unknown_name_offers_near_ones():
    with pytest.raises(ConfigurationError, match="resnet50"):
        build_image_encoder("timm/resnet5")


def test_weights_that_cannot_be_fetched(no_network):
    with pytest.raises(ConfigurationError, match="cannot be fetched"):
        build_image_encoder("timm/test_vit")


def test_named_model_takes_its_own_preprocessing(monkeypatch):
    """What the hub would deliver is stood in for by random weights; name, tag and preprocessing must follow."""
    create, made = timm.create_model, []

    def deliver(name, pretrained=False, **options):
        model = create(name, pretrained=False, **options)
        if pretrained:
            made.append(model)
        return model

    monkeypatch.setattr(timm, "create_model", deliver)
    encoder = build_image_encoder("timm/test_vit")
    assert encoder.config()["architecture"] == "test_vit.r160_in1k"
    assert encoder.preprocess.size == (160, 160)
    assert encoder.source == "timm/test_vit"
    assert encoder.licence == "apache-2.0"
    assert torch.equal(encoder.network.pos_embed, made[0].pos_embed)


def test_works_offline_with_sockets_blocked(folders, no_network, images):
    encoder = build_image_encoder(f"timm/{folders['timm']}")
    with torch.no_grad():
        assert encoder(images(encoder.preprocess.size)).pooled.isfinite().all()

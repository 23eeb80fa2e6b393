from __future__ import annotations

import json

import pytest
import torch
import torchvision

from vlcore.encoders import build_image_encoder
from vlcore.encoders.torchvision import TorchvisionEncoder
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.types import ImagePreprocess


@pytest.fixture
def weights(monkeypatch):
    """Stands in for the download: random weights of ResNet-18, as torchvision's own enum would deliver them."""
    torch.manual_seed(0)
    state = torchvision.models.resnet18(weights=None).state_dict()
    asked = []

    def deliver(self, **options):
        asked.append(options)
        return dict(state)

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", deliver)
    return state, asked


def test_features_and_preprocessing(weights, images):
    state, asked = weights
    encoder = build_image_encoder("torchvision/resnet18")
    assert encoder.width == 512
    assert (encoder.preprocess.size, encoder.preprocess.resize_to) == ((224, 224), 256)
    assert encoder.preprocess.interpolation == "bilinear"
    assert encoder.preprocess.mean == (0.485, 0.456, 0.406)
    assert asked == [{"progress": False, "check_hash": True, "weights_only": True}]
    reference = torchvision.models.resnet18(weights=None)
    reference.load_state_dict(state)
    reference.eval()
    batch = images((224, 224))
    with torch.no_grad():
        pooled = encoder(batch).pooled
        logits = reference(encoder.normalise(batch))
    torch.testing.assert_close(pooled @ state["fc.weight"].T + state["fc.bias"], logits, atol=1e-4, rtol=1e-4)


def test_foreign_weights_are_refused(weights):
    weights[0]["layer9.weight"] = torch.zeros(1)
    with pytest.raises(ModelDirectoryError, match=r"unexpected layer9\.weight"):
        build_image_encoder("torchvision/resnet18")


@pytest.mark.parametrize(
    ("architecture", "width", "blocks"),
    [("resnet18", 512, 4), ("mobilenet_v3_small", 1024, 13), ("vit_b_32", 768, 12)],
)
def test_towers_lose_their_classifier(architecture, width, blocks):
    encoder = TorchvisionEncoder(architecture, ImagePreprocess((224, 224), "shortest", 256)).eval()
    assert encoder.width == width
    assert len(encoder.blocks()) == blocks
    with torch.no_grad():
        assert encoder(torch.zeros(1, 3, 224, 224, dtype=torch.uint8)).pooled.shape == (1, width)


def test_rebuilt_from_plain_values():
    encoder = TorchvisionEncoder("resnet18", ImagePreprocess((224, 224), "shortest", 256))
    again = TorchvisionEncoder.from_config(json.loads(json.dumps(encoder.config())), encoder.preprocess)
    again.load_state_dict(encoder.state_dict())
    assert again.fingerprint() == encoder.fingerprint()


@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet")
def test_unknown_and_unsupported_names():
    with pytest.raises(ConfigurationError, match="no such classification model"):
        build_image_encoder("torchvision/resnet19")
    with pytest.raises(ConfigurationError, match="auxiliary classifiers"):
        TorchvisionEncoder("googlenet", ImagePreprocess((224, 224)))
    with pytest.raises(ConfigurationError, match="no linear layer"):
        TorchvisionEncoder("squeezenet1_0", ImagePreprocess((224, 224)))


def test_weights_that_cannot_be_fetched(no_network, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"Put the file resnet18-[0-9a-f]+\.pth into"):
        build_image_encoder("torchvision/resnet18")

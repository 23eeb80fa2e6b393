"""The fast way through an image tower gives the tower's own features and leaves it as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vlcore.encoders.inference import ImageInference, folded
from vlcore.encoders.timm import TimmEncoder
from vlcore.types import ImagePreprocess


def tower(architecture: str) -> TimmEncoder:
    """A tower whose batch norms do something."""
    torch.manual_seed(0)
    encoder = TimmEncoder(architecture, ImagePreprocess((64, 64))).eval()
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return encoder


def norms(module: nn.Module) -> int:
    """Number of batch norms."""
    return sum(isinstance(child, nn.BatchNorm2d) for child in module.modules())


IMAGES = torch.randint(0, 256, (19, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


# A residual, a pre-activation and a densely connected network put their norms in different places.
@pytest.mark.parametrize("architecture", ["test_resnet", "resnetv2_18", "test_efficientnet", "densenet121"])
def test_features_are_the_towers_own(architecture: str) -> None:
    encoder = tower(architecture)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    with torch.inference_mode():
        expected = encoder(IMAGES).pooled
    torch.testing.assert_close(ImageInference(encoder)(IMAGES), expected, rtol=1e-3, atol=1e-3)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_batch_norms_disappear_into_convolutions() -> None:
    encoder = tower("test_efficientnet")
    assert norms(encoder) > 0
    assert norms(folded(encoder)) == 0


def test_a_tower_where_folding_would_be_wrong_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tower("test_resnet")

    def spoil(module: nn.Module) -> None:
        with torch.no_grad():
            next(module.parameters()).mul_(2)

    monkeypatch.setattr("vlcore.encoders.inference._fold", spoil)
    assert folded(encoder) is encoder


def test_a_tower_without_batch_norms_is_not_copied() -> None:
    encoder = tower("test_vit")
    assert folded(encoder) is encoder


def test_rows_do_not_depend_on_the_batch_they_came_in() -> None:
    run = ImageInference(tower("test_resnet"))
    torch.testing.assert_close(run(IMAGES), torch.cat([run(image[None]) for image in IMAGES]), rtol=1e-4, atol=1e-5)

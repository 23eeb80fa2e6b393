from __future__ import annotations

import pytest
import torch
from torch import nn

from vlcore.encoders.base import ImageEncoder
from vlcore.errors import ConfigurationError
from vlcore.types import EncoderOutput, ImagePreprocess


class Tower(ImageEncoder):
    """Three blocks of a convolution, a batch norm and dropout, then a projection."""

    def __init__(self, width=4):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5)) for _ in range(3)
        )
        self.projection = nn.Linear(4, width)
        self.preprocess = ImagePreprocess((8, 8), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
        self.width = width

    @classmethod
    def from_config(cls, config, preprocess):
        return cls(**config)

    def encode(self, pixels):
        maps = self.stem(pixels)
        for layer in self.layers:
            maps = layer(maps)
        return EncoderOutput(None, self.projection(maps.mean((2, 3))))

    def blocks(self):
        return list(self.layers)

    def after_blocks(self):
        return [self.projection]

    def config(self):
        return {"width": self.width}


@pytest.fixture
def tower():
    torch.manual_seed(0)
    return Tower()


def pictures(count=2):
    return torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8)


def learning(tower):
    return {name for name, parameter in tower.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(("trainable", "blocks"), [("none", 0), (0, 0), (1, 1), (2, 2), (3, 3)])
def test_last_blocks_learn_with_what_follows(tower, trainable, blocks):
    tower.set_trainable(trainable)
    expected = {
        name
        for name, _ in tower.named_parameters()
        if any(name.startswith(f"layers.{i}.") for i in range(3 - blocks, 3))
    }
    if blocks:
        expected |= {"projection.weight", "projection.bias"}
    assert learning(tower) == expected
    assert tower.frozen == (blocks == 0)


def test_all_learn(tower):
    tower.set_trainable("none")
    tower.set_trainable("all")
    assert learning(tower) == {name for name, _ in tower.named_parameters()}
    assert all(module.training for module in tower.train().modules())


@pytest.mark.parametrize("wrong", [4, -1, "some", True])
def test_wrong_part_is_refused(tower, wrong):
    with pytest.raises(ConfigurationError, match="trainable="):
        tower.set_trainable(wrong)


def test_frozen_statistics_stand_still(tower):
    tower.set_trainable(1)
    tower.train()
    before = [layer[1].running_mean.clone() for layer in tower.layers]
    tower(pictures())
    moved = [not torch.equal(layer[1].running_mean, old) for layer, old in zip(tower.layers, before, strict=True)]
    assert moved == [False, False, True]
    # Dropout has no parameters, yet belongs to its block.
    assert [layer[2].training for layer in tower.layers] == [False, False, True]
    assert not any(module.training for module in tower.eval().modules())


def test_frozen_tower_is_deterministic_in_training(tower):
    tower.set_trainable("none")
    tower.train()
    batch = pictures()
    assert torch.equal(tower(batch).pooled, tower(batch).pooled)


def test_normalise_equals_the_definition(tower):
    batch = pictures()
    mean, std = (torch.tensor(v, dtype=torch.float64).view(3, 1, 1) for v in ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7)))
    torch.testing.assert_close(tower.normalise(batch).double(), (batch.double() / 255 - mean) / std, atol=1e-6, rtol=0)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 9, 8, dtype=torch.uint8)])
def test_images_of_another_type_or_size_are_refused(tower, wrong):
    with pytest.raises(ConfigurationError, match=r"takes images \[B, 3, 8, 8\] uint8"):
        tower(wrong)


def test_fingerprint_sees_weights_preprocessing_and_architecture(tower):
    first = tower.fingerprint()
    assert first == tower.fingerprint()
    assert len(first) == 64
    tower.source = "elsewhere/other"
    tower.set_trainable(1)
    assert tower.fingerprint() == first
    tower.preprocess = ImagePreprocess((8, 8), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.71))
    changed = tower.fingerprint()
    assert changed != first
    with torch.no_grad():
        tower.stem.weight[0, 0] += 1e-3
    assert tower.fingerprint() != changed
    assert Tower(5).fingerprint() != Tower(4).fingerprint()

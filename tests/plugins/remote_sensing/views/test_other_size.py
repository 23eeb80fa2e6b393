"""Towers on smaller images: interpolated positions, gradients, and what cannot be done."""

from __future__ import annotations

import copy

import pytest
import torch

from small_clip import save_clip, save_open_clip
from vlcore.encoders import build_dual_encoder
from vlcore.encoders.timm import TimmEncoder
from vlcore.errors import ConfigurationError
from vlcore.types import ImagePreprocess
from vlcore_remote_sensing.views.other_size import check_size, pooled_features, resized_positions


@pytest.fixture(scope="module")
def open_clip_tower(tmp_path_factory):
    pytest.importorskip("open_clip", reason='needs pip install "vlcore[open_clip]"')
    return build_dual_encoder(f"open_clip/{save_open_clip(tmp_path_factory.mktemp('clip') / 'open_clip')}").image


@pytest.fixture(scope="module")
def transformers_tower(tmp_path_factory):
    return build_dual_encoder(f"transformers/{save_clip(tmp_path_factory.mktemp('clip') / 'transformers')}").image


def images(*size):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=generator)


def test_positions_keep_the_class_token_and_a_plane_stays_a_plane():
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    table = torch.cat([torch.tensor([[9.0, 9.0]]), torch.stack([rows, columns], -1).view(-1, 2)])
    smaller = resized_positions(table, (8, 8), (4, 4))
    assert torch.equal(smaller[0], table[0])
    middle = smaller[1:].view(4, 4, 2)[1:3, 1:3]
    assert torch.allclose(middle[..., 0], torch.tensor([[2.5, 2.5], [4.5, 4.5]]), atol=0.05)
    assert torch.allclose(middle[..., 1], torch.tensor([[2.5, 4.5], [2.5, 4.5]]), atol=0.05)
    assert torch.allclose(resized_positions(table, (8, 8), (8, 8)), table, atol=1e-6)


@pytest.mark.parametrize("tower", ["open_clip_tower", "transformers_tower"])
def test_the_own_size_is_the_towers_own_way(tower, request):
    encoder = request.getfixturevalue(tower)
    with torch.no_grad():
        assert torch.equal(pooled_features(encoder, images(32, 32)), encoder(images(32, 32)).pooled)


def test_an_open_clip_tower_gets_the_positions_of_a_smaller_grid(open_clip_tower):
    smaller = copy.deepcopy(open_clip_tower)
    network = smaller.network
    table = resized_positions(network.positional_embedding.detach(), (4, 4), (2, 2))
    network.positional_embedding = torch.nn.Parameter(table)
    smaller.preprocess = ImagePreprocess(
        size=(16, 16), mean=open_clip_tower.preprocess.mean, std=open_clip_tower.preprocess.std
    )
    with torch.no_grad():
        assert torch.allclose(pooled_features(open_clip_tower, images(16, 16)), smaller(images(16, 16)).pooled)
    assert open_clip_tower.network.positional_embedding.shape == (17, 32)
    assert open_clip_tower.preprocess.size == (32, 32)


def test_a_transformers_tower_interpolates_by_itself(transformers_tower):
    network = transformers_tower.network
    pixels = transformers_tower.normalise(images(16, 16))
    with torch.no_grad():
        states = network.vision_model(pixel_values=pixels, interpolate_pos_encoding=True)
        expected = network.visual_projection(states.pooler_output)
        assert torch.allclose(pooled_features(transformers_tower, images(16, 16)), expected, atol=1e-6)


@pytest.mark.parametrize("tower", ["open_clip_tower", "transformers_tower"])
def test_gradients_reach_the_towers_own_positions(tower, request):
    encoder = copy.deepcopy(request.getfixturevalue(tower))
    encoder.set_trainable("all")
    pooled_features(encoder, images(16, 16)).square().sum().backward()
    name = next(name for name, _ in encoder.named_parameters() if "position" in name)
    gradient = dict(encoder.named_parameters())[name].grad
    assert gradient is not None and gradient[1:].abs().sum() > 0


def test_a_convolutional_tower_takes_any_size():
    torch.manual_seed(0)
    encoder = TimmEncoder("test_resnet", ImagePreprocess(size=(64, 64))).eval()
    with torch.no_grad():
        expected = encoder._pool(encoder.network.forward_features(encoder.normalise(images(48, 48))))
        assert torch.allclose(pooled_features(encoder, images(48, 48)), expected, atol=1e-6)
    check_size(encoder, (40, 40))


def test_a_tower_that_cannot_is_told_before_training():
    encoder = TimmEncoder("vit_tiny_patch16_224", ImagePreprocess(size=(224, 224)))
    encoder.train()
    with pytest.raises(ConfigurationError, match=r"vit_tiny_patch16_224 cannot take views of 96 x 96 .*local_views=0"):
        check_size(encoder, (96, 96))
    assert encoder.training
    check_size(encoder, (224, 224))

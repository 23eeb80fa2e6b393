"""Taps of a tower's blocks, against the blocks called by hand."""

from __future__ import annotations

import pytest
import torch
from random_towers import image_tower

from vlcore.encoders.inference import ImageInference
from vlcore.errors import ConfigurationError
from vlcore_remote_sensing.semantic_experts.level_encoder import GRID, LevelEncoder


@pytest.mark.parametrize(("kind", "taps"), [("vit", (2, 4, 6)), ("convolutional", (2, 5, 7))])
def test_levels_are_the_blocks_outputs_averaged_over_a_grid(kind, taps, images):
    tower = image_tower(kind)
    encoder = LevelEncoder(tower, taps).eval()
    with torch.no_grad():
        row = encoder(images).pooled
        pooled, levels = encoder.layout.split(row)
        assert torch.equal(pooled, tower(images).pooled)
        states = blocks_by_hand(tower, kind, tower.normalise(images))
    assert row.shape == (7, encoder.width)
    for tap, level in zip(taps, levels, strict=True):
        torch.testing.assert_close(level, slow_cells(states[tap - 1]))


def blocks_by_hand(tower, kind, pixels):
    """Outputs of all blocks as maps [B, W, H, W']."""
    network, states = tower.network, []
    if kind == "vit":
        state = network.norm_pre(network.patch_drop(network._pos_embed(network.patch_embed(pixels))))
        for block in network.blocks:
            state = block(state)
            side = int((state.shape[1] - 1) ** 0.5)
            states.append(state[:, 1:].reshape(len(state), side, side, -1).permute(0, 3, 1, 2))
        return states
    state = network.bn1(network.conv_stem(pixels))
    for block in network.blocks:
        state = block(state)
        states.append(state)
    return states


def slow_cells(maps):
    batch, width, height, _ = maps.shape
    out = torch.zeros(batch, GRID * GRID, width)
    for place in range(GRID * GRID):
        row, column = divmod(place, GRID)
        # Cells of an odd map overlap in the middle.
        low, high = [i * height // GRID for i in (row, column)], [-(-(i + 1) * height // GRID) for i in (row, column)]
        out[:, place] = maps[:, :, low[0] : high[0], low[1] : high[1]].mean((2, 3))
    return out


def test_no_hook_stays_and_a_failing_tower_leaves_none(images):
    tower = image_tower("vit")
    encoder = LevelEncoder(tower, (1, 2, 3))
    encoder(images)
    tower.network.norm = None  # the forward pass fails behind the blocks
    with pytest.raises(TypeError):
        encoder(images)
    assert not any(block._forward_hooks for block in tower.blocks())


def test_folded_copies_give_their_own_levels(images):
    encoder = LevelEncoder(image_tower("convolutional"), (2, 5, 7)).eval()
    folded = ImageInference(encoder)
    assert folded.encoder is not encoder
    with torch.no_grad():
        torch.testing.assert_close(folded(images), encoder(images).pooled, rtol=1e-3, atol=1e-4)


def test_it_freezes_describes_and_rebuilds_itself_as_a_tower():
    encoder = LevelEncoder(image_tower("vit"), (2, 4, 6))
    encoder.set_trainable("none")
    assert encoder.frozen and not any(parameter.requires_grad for parameter in encoder.parameters())
    again = LevelEncoder.from_config(encoder.config(), encoder.preprocess)
    assert again.layout == encoder.layout
    assert again.fingerprint() != encoder.fingerprint()
    again.load_state_dict(encoder.state_dict())
    assert again.fingerprint() == encoder.fingerprint()


@pytest.mark.parametrize("taps", [(2, 4, 7), (0, 2, 4), (2, 2, 4), (4, 2, 6), (2, 4)])
def test_wrong_taps_are_told(taps):
    with pytest.raises(ConfigurationError, match="6 blocks; choose 3 of them, counted from 1 and rising, for object"):
        LevelEncoder(image_tower("vit"), taps)


def test_blocks_without_places_are_told():
    tower = image_tower("vit")
    tower.network.blocks[2].register_forward_hook(lambda module, arguments, output: output[:, :2])
    with pytest.raises(ConfigurationError, match=r"Block 3 of timm/.* gives \[1, 2, 16\] for 1 images"):
        LevelEncoder(tower, (1, 3, 6))

"""M3AE's parts: sizes of the release, what sees what, and settings that do not fit."""

from __future__ import annotations

import pytest
import torch

from vlcore.encoders.base import Encoder
from vlcore.errors import ConfigurationError
from vlcore_medical.m3ae.defects import RELEASED, chosen_defects
from vlcore_medical.m3ae.image_encoder import ClipImageEncoder
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.network import PRETRAINING, M3AENetwork
from vlcore_medical.m3ae.pixel_decoder import sine_positions
from vlcore_medical.m3ae.shape import SIZES, M3AEShape


def tiny(**sizes):
    return M3AEShape(30, positions=32, **{**SIZES["tiny"], "dropout": 0.0, **sizes})


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    built = M3AEModel(ClipImageEncoder.of(tiny()), tokenizer, M3AENetwork(tiny(), PRETRAINING))
    for parameter in built.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return built.double().eval()


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_released_configuration_has_the_released_number_of_parameters():
    shape = M3AEShape(50265, image_layers=11)
    with torch.device("meta"):
        tower, network = ClipImageEncoder.of(shape), M3AENetwork(shape, PRETRAINING)
    assert parameters(tower) == pytest.approx(78.8e6, abs=5e4)
    stream = network.stream
    text = parameters(stream.text_embedding) + parameters(stream.text_tower)
    # RoBERTa's own pooler and the two positions behind its padding are not there.
    assert text == pytest.approx(124.6e6 - 768 * 769 - 2 * 768, abs=5e4)
    assert parameters(stream) - text == pytest.approx(115.8e6, abs=5e4)
    assert parameters(network.masked_language) + parameters(network.words) == pytest.approx(39.2e6, abs=5e4)
    # The released decoder counts its fixed positions among its parameters.
    decoder = network.masked_image
    assert parameters(decoder) + decoder.position.numel() == pytest.approx(7.8e6, abs=5e4)


def test_padding_changes_no_state(model):
    ids = torch.randint(5, 28, (2, 7))
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    stream = model.network.stream
    with torch.no_grad():
        image = stream.read_image(model.encode_images(images))
        whole = stream.fuse(stream.read_text(ids, mask), image)
        alone = stream.fuse(stream.read_text(ids[1:, :4], mask[1:, :4]), image.take(torch.tensor([1])))
    assert torch.allclose(whole.text[1, :4], alone.text[0], atol=1e-10)
    assert torch.allclose(whole.pair[1], alone.pair[0], atol=1e-10)


def test_hidden_patches_leave_no_trace_and_kept_ones_keep_their_places(model):
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    kept = torch.tensor([[0, 5, 9, 15], [2, 3, 4, 8]])
    changed = images.clone()
    changed[0, :, :16, 16:32] = 0  # patch 1
    with torch.no_grad():
        states = model.read_kept(images, kept).tokens
        assert torch.equal(model.read_kept(changed, kept).tokens, states)
        changed[0, :, :16, :16] = 0  # patch 0
        assert not torch.allclose(model.read_kept(changed, kept).tokens[0], states[0])
        # In another order the same patches give the same states, in that order.
        turned = model.read_kept(images, kept.flip(1)).tokens
        assert torch.allclose(turned[:, 1:].flip(1), states[:, 1:], atol=1e-10)
        everything = torch.arange(16).expand(2, -1)
        assert torch.allclose(
            model.read_kept(images, everything).tokens,
            model.network.stream.read_image(model.encode_images(images)).tokens,
            atol=1e-10,
        )


def test_both_sides_of_a_layer_read_what_came_into_it(model):
    stream = model.network.stream
    ids, mask = torch.randint(5, 28, (2, 5)), torch.ones(2, 5, dtype=torch.long)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        text, image = stream.read_text(ids, mask), stream.read_image(model.encode_images(images))
        words, patches = stream.co_attend(text, image, 1)
        swapped = stream.image_fusion[0](image.tokens, image.mask, text.tokens, text.mask)
        late = stream.image_fusion[0](image.tokens, image.mask, words, text.mask)
    assert torch.equal(patches, swapped) and not torch.allclose(patches, late)


def test_decoder_positions_are_those_of_mae():
    """Entry by entry: columns first, then rows, sines before cosines, none for the whole image."""
    table = sine_positions(3, 8)
    assert table[0].tolist() == [0.0] * 8
    for row in range(3):
        for column in range(3):
            angles = [place / 10000 ** (2 * number / 4) for place in (column, row) for number in range(2)]
            angles = torch.tensor(angles, dtype=torch.float64)
            parts = [angles[:2].sin(), angles[:2].cos(), angles[2:].sin(), angles[2:].cos()]
            assert torch.allclose(table[1 + 3 * row + column], torch.cat(parts).float())


def test_a_frozen_towers_tokens_can_be_cached(model):
    tower = model.image_encoder
    assert isinstance(tower, Encoder)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    output = tower(images)
    assert output.pooled.shape == (2, tower.width)
    assert torch.equal(tower.unflatten(output.pooled).features, output.tokens)
    tower.set_trainable(1)
    learning = {name for name, one in tower.named_parameters() if one.requires_grad}
    assert learning and all(name.startswith(("layers.1.", "output_norm.")) for name in learning)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"image_size": 60}, "image_size=60: choose a multiple of patch=16"),
        ({"pixel_layer": 3}, "pixel_layer=3: there are fusion_layers=2"),
        ({"decoder_width": 30}, "decoder_width=30: choose a multiple of 4"),
    ],
)
def test_sizes_that_do_not_fit_are_told(sizes, message):
    with pytest.raises(ConfigurationError, match=message):
        tiny(**sizes)


def test_parts_that_do_not_fit_are_told(tokenizer):
    with pytest.raises(ConfigurationError, match=r"gives 17 tokens of 64 numbers; the network reads 5 of 64"):
        M3AEModel(ClipImageEncoder.of(tiny()), tokenizer, M3AENetwork(tiny(image_size=32), ()))
    short = M3AEShape(20, positions=32, **SIZES["tiny"])
    with pytest.raises(ConfigurationError, match="the network reads ids below 20 and 32 tokens"):
        M3AEModel(ClipImageEncoder.of(short), tokenizer, M3AENetwork(short, ()))
    with pytest.raises(ConfigurationError, match="with 0 answers"):
        M3AENetwork(tiny(), ["answers"])
    with pytest.raises(ConfigurationError, match="has no head 'matching'; it has masked_image"):
        M3AENetwork(tiny(), ["masked_image"]).require("matching")


def test_defects_by_name():
    assert chosen_defects("released") == RELEASED and len(RELEASED) == 4
    assert chosen_defects([]) == frozenset()
    assert chosen_defects(["matching_negatives"]) == {"matching_negatives"}
    with pytest.raises(ConfigurationError, match="there is no 'typo'; there are decayed_image_norms"):
        chosen_defects(["typo"])

"""The dual encoder over two small towers: shapes, norms, freezing, cached features, temperature."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from vlcore.encoders.base import DualTowers, ImageEncoder, TextEncoder
from vlcore.errors import ConfigurationError
from vlcore.heads.identity import IdentityHead
from vlcore.heads.linear import LinearHead
from vlcore.heads.residual_mlp import ResidualMLPHead
from vlcore.models.dual_encoder import DualEncoder
from vlcore.types import EncoderOutput, ImagePreprocess, PairBatch


class Pixels(ImageEncoder):
    def __init__(self, width=6):
        super().__init__()
        self.width, self.source, self.licence = width, "test/pixels", "MIT"
        self.preprocess = ImagePreprocess(size=(8, 8), resize_to=8)
        self.layers = nn.ModuleList([nn.Conv2d(3, width, 4, stride=4), nn.Conv2d(width, width, 1)])
        self.dropout = nn.Dropout(0.5)
        self.set_trainable("none")

    def blocks(self):
        return list(self.layers)

    def config(self):
        return {"width": self.width}

    @classmethod
    def from_config(cls, config, preprocess):
        return cls(**config)

    def encode(self, pixels):
        for layer in self.layers:
            pixels = layer(pixels)
        return EncoderOutput(None, self.dropout(pixels.mean((2, 3))))


class Words(TextEncoder):
    def __init__(self, width=5):
        super().__init__()
        self.width, self.source, self.licence, self.context_length = width, "test/words", "MIT", 8
        self.embedding = nn.Embedding(20, width)
        self.set_trainable("none")

    def blocks(self):
        return [self.embedding]

    def config(self):
        return {"width": self.width}

    @classmethod
    def from_config(cls, config, tokenizer_folder):
        return cls(**config)

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[..., None]
        return EncoderOutput(None, (self.embedding(input_ids) * mask).sum(1) / mask.sum(1))


def model(**options):
    torch.manual_seed(0)
    return DualEncoder(Pixels(), Words(), LinearHead(6, 4), LinearHead(5, 4), **options)


def batch(pairs=3):
    generator = torch.Generator().manual_seed(1)
    return PairBatch(
        image_index=torch.arange(pairs),
        text_key=torch.arange(pairs),
        images=torch.randint(0, 256, (pairs, 3, 8, 8), generator=generator, dtype=torch.uint8),
        input_ids=torch.randint(0, 20, (pairs, 4), generator=generator),
        attention_mask=torch.ones(pairs, 4, dtype=torch.long),
    )


def test_embeddings_have_unit_norm_and_the_heads_size():
    network, pairs = model(), batch()
    output = network(pairs)
    assert network.embedding_size == 4
    for side in (output.image, output.text):
        assert side.shape == (3, 4) and side.dtype == torch.float32
        torch.testing.assert_close(side.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(output.image, network.encode_images(pairs.images))
    torch.testing.assert_close(output.text, network.encode_texts(pairs.input_ids, pairs.attention_mask))
    assert float(output.logit_scale.detach()) == pytest.approx(1 / 0.07, rel=1e-6)
    assert output.logit_bias is None


def test_cached_features_give_the_same_output_without_touching_the_towers():
    network, pairs = model(), batch()
    expected = network(pairs)
    cached = replace(
        pairs,
        image_features=network.image_features(pairs.images),
        text_features=network.text_features(pairs.input_ids, pairs.attention_mask),
        images=None,
        input_ids=None,
        attention_mask=None,
    )
    network.image_encoder.forward = network.text_encoder.forward = None
    found = network(cached)
    torch.testing.assert_close(found.image, expected.image, rtol=0, atol=0)
    torch.testing.assert_close(found.text, expected.text, rtol=0, atol=0)


def test_cached_features_of_a_learning_tower_are_refused():
    network, pairs = model(), batch()
    network.image_encoder.set_trainable(1)
    with pytest.raises(ConfigurationError, match=r"test/pixels learns \(trainable=1\)"):
        network(replace(pairs, image_features=torch.randn(3, 6)))
    network.text_encoder.set_trainable("all")
    with pytest.raises(ConfigurationError, match="cached text features"):
        network(replace(pairs, text_features=torch.randn(3, 5)))


@pytest.mark.parametrize("missing", [{"images": None}, {"input_ids": None}, {"attention_mask": None}])
def test_a_side_without_input_is_named(missing):
    with pytest.raises(ConfigurationError, match=f"neither {'images' if 'images' in missing else 'input_ids'}"):
        model()(replace(batch(), **missing))


def test_frozen_towers_build_no_graph_and_heads_learn():
    network = model().train()
    assert not network.image_features(batch().images).requires_grad
    output = network(batch())
    (output.image * output.text).sum().mul(output.logit_scale).backward()
    learned = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert learned == {
        "logit_scale",
        *(f"{side}_head.projection.{part}" for side in ("image", "text") for part in ("weight", "bias")),
    }


def test_the_last_blocks_learn_when_asked_and_the_first_do_not():
    network = model().train()
    network.image_encoder.set_trainable(1)
    output = network(batch())
    (output.image * output.text).sum().backward()
    first, last = network.image_encoder.layers
    assert first.weight.grad is None
    assert last.weight.grad.abs().sum() > 0
    assert network.text_encoder.embedding.weight.grad is None


def test_a_frozen_tower_is_deterministic_in_training():
    network = model().train()
    images = batch().images
    assert torch.equal(network.image_features(images), network.image_features(images))


def test_embedding_works_without_gradients():
    network = model().eval()
    network.image_encoder.set_trainable("all")
    with torch.inference_mode():
        assert not network.encode_images(batch().images).requires_grad
    assert network.encode_images(batch().images).requires_grad


def test_temperature_is_stored_as_logarithm_and_clamped_at_100():
    network = model(logit_scale=50.0)
    assert float(network.logit_scale.detach()) == pytest.approx(math.log(50))
    with torch.no_grad():
        network.logit_scale.fill_(7.0)
    network.clamp_temperature()
    assert float(network.logit_scale.detach()) == pytest.approx(math.log(100), rel=1e-6)
    with torch.no_grad():
        network.logit_scale.fill_(1.0)
    network.clamp_temperature()
    assert float(network.logit_scale.detach()) == 1.0


def test_a_ready_scale_above_100_is_kept():
    network = model(logit_scale=117.3, logit_bias=-12.9)
    network.clamp_temperature()
    assert network.config() == {"logit_scale": pytest.approx(117.3), "logit_bias": pytest.approx(-12.9)}


def test_config_rebuilds_the_temperature():
    network = model(logit_scale=20.0, logit_bias=-10.0)
    assert model(**network.config()).config() == network.config()
    assert set(network.state_dict()) >= {"logit_scale", "logit_bias"}
    assert "logit_bias" not in model().state_dict()


def test_ready_towers_keep_their_space_and_temperature():
    torch.manual_seed(0)
    image, text = Pixels(5), Words(5)
    network = DualEncoder.from_towers(DualTowers(image, text, logit_scale=100.0, logit_bias=None))
    pairs = batch()
    expected = torch.nn.functional.normalize(image(pairs.images).pooled, dim=1)
    torch.testing.assert_close(network.encode_images(pairs.images), expected)
    assert isinstance(network.text_head, IdentityHead)
    assert network.config()["logit_scale"] == pytest.approx(100)


@pytest.mark.parametrize("training", [False, True])
def test_embeddings_are_float32_of_unit_norm_under_autocast(training):
    network, pairs = model().train(training), batch()
    expected = network(pairs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = network(pairs)
    for side, exact in ((found.image, expected.image), (found.text, expected.text)):
        assert side.dtype == torch.float32
        torch.testing.assert_close(side.norm(dim=1), torch.ones(3), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(side, exact, rtol=0.1, atol=0.05)


def test_projections_keep_full_precision_in_use_and_follow_autocast_in_training():
    network, features = model().eval(), torch.randn(3, 6)
    exact = network.project_images(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(network.project_images(features), exact)
        assert network.train().image_head.projection(features).dtype == torch.bfloat16
        assert not torch.equal(network.project_images(features), exact)


def test_half_precision_towers_meet_full_precision_heads_and_the_reverse():
    network, pairs = model().eval(), batch()
    expected = network.encode_images(pairs.images)
    network.image_encoder.to(torch.bfloat16)
    found = network.encode_images(pairs.images)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0.05)
    network.text_head.to(torch.bfloat16)
    assert network.encode_texts(pairs.input_ids, pairs.attention_mask).dtype == torch.float32


def test_wrong_parts_are_named():
    with pytest.raises(ConfigurationError, match=r"image head takes 7 .* test/pixels gives 6"):
        DualEncoder(Pixels(), Words(), LinearHead(7, 4), LinearHead(5, 4))
    with pytest.raises(ConfigurationError, match="text head takes 6"):
        DualEncoder(Pixels(), Words(), LinearHead(6, 4), LinearHead(6, 4))
    with pytest.raises(ConfigurationError, match="same out_features"):
        DualEncoder(Pixels(), Words(), LinearHead(6, 4), ResidualMLPHead(5, 8))
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match="logit_scale"):
            model(logit_scale=scale)

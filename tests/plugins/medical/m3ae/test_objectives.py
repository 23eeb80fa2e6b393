"""What M3AE hides and guesses, against slow references in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from vlcore.errors import ConfigurationError
from vlcore.objectives.text_masking import IGNORED, TextMasking
from vlcore.types import PairBatch
from vlcore_medical.m3ae.image_encoder import ClipImageEncoder
from vlcore_medical.m3ae.masked_image_modeling import masked_image_loss, patch_targets
from vlcore_medical.m3ae.masking_choice import build_masking
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.negative_images import draw_images
from vlcore_medical.m3ae.network import PRETRAINING, M3AENetwork
from vlcore_medical.m3ae.padded_masking import PaddedMasking
from vlcore_medical.m3ae.patch_masking import check_share, hide_patches
from vlcore_medical.m3ae.shape import SIZES, M3AEShape
from vlcore_medical.m3ae.step import Hiding, M3AEStep


def slow_targets(pixels, patch, normalise):
    """Patch by patch, pixel by pixel."""
    rows = []
    for image in pixels.double():
        patches = []
        for top in range(0, image.shape[1], patch):
            for left in range(0, image.shape[2], patch):
                values = [
                    float(image[channel, top + y, left + x])
                    for y in range(patch)
                    for x in range(patch)
                    for channel in range(3)
                ]
                if normalise:
                    mean = sum(values) / len(values)
                    variance = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
                    values = [(value - mean) / math.sqrt(variance + 1e-6) for value in values]
                patches.append(values)
        rows.append(patches)
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("normalise", [True, False])
def test_targets_and_loss_are_those_of_a_slow_reference(normalise):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(2, 3, 12, 12, generator=generator)
    expected = slow_targets(pixels, 4, normalise)
    targets = patch_targets(pixels, 4, normalise)
    assert torch.allclose(targets.double(), expected, atol=1e-5)
    predicted = torch.randn(expected.shape, generator=generator)
    hidden = hide_patches(2, 9, 0.75).hidden
    total, count = 0.0, 0
    for image in range(2):
        for number in range(9):
            if hidden[image, number]:
                total += float(((predicted[image, number].double() - expected[image, number]) ** 2).mean())
                count += 1
    assert float(masked_image_loss(predicted, targets, hidden)) == pytest.approx(total / count, rel=1e-5)


def test_seen_patches_add_nothing_to_the_loss():
    predicted, targets = torch.randn(1, 4, 12), torch.randn(1, 4, 12)
    hidden = torch.tensor([[False, True, True, False]])
    predicted.requires_grad_()
    masked_image_loss(predicted, targets, hidden).backward()
    assert (predicted.grad.abs().sum(-1) > 0).tolist() == hidden.tolist()


def test_flat_patches_have_finite_targets():
    assert torch.isfinite(patch_targets(torch.full((1, 3, 8, 8), 0.3), 4)).all()


@pytest.mark.parametrize(
    ("patches", "share", "kept"), [(324, 0.75, 81), (4, 0.75, 1), (4, 0.99, 1), (4, 0.01, 3), (2, 0.5, 1), (9, 0.75, 2)]
)
def test_of_every_image_patches_are_kept_and_at_least_one_is_hidden(patches, share, kept):
    torch.manual_seed(0)
    drawn = hide_patches(50, patches, share)
    assert drawn.kept.shape == (50, kept)
    assert (drawn.hidden.sum(1) == patches - kept).all()
    assert not drawn.hidden.gather(1, drawn.kept).any()
    assert (drawn.kept.diff(dim=1) > 0).all()


def test_patches_are_hidden_alike_often():
    torch.manual_seed(0)
    shares = hide_patches(4000, 16, 0.75).hidden.double().mean(0)
    assert torch.allclose(shares, torch.full_like(shares, 0.75), atol=0.03)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_share_that_hides_nothing_or_all_is_told(share):
    with pytest.raises(ConfigurationError, match="choose a share above 0 and below 1"):
        check_share(share)


def positives():
    image = torch.tensor([0, 0, 1, 2, 3, 4])
    text = torch.tensor([7, 8, 7, 9, 5, 6])
    return (image[:, None] == image) | (text[:, None] == text)


def test_half_of_the_texts_get_an_image_that_is_not_theirs_all_alike_often():
    torch.manual_seed(0)
    mine, seen = positives(), torch.zeros(6, 6)
    for _ in range(3000):
        drawn = draw_images(mine)
        assert drawn.matches.sum() == 3
        assert torch.equal(drawn.image[drawn.matches], torch.arange(6)[drawn.matches])
        wrong = (~drawn.matches).nonzero().flatten()
        assert not mine[drawn.image[wrong], wrong].any()
        seen[drawn.image[wrong], wrong] += 1
    for text in range(6):
        allowed = ~mine[:, text]
        shares = seen[allowed, text] / seen[:, text].sum()
        assert torch.allclose(shares, torch.full_like(shares, 1 / int(allowed.sum())), atol=0.05)


def test_the_released_draw_may_hit_the_texts_own_image():
    torch.manual_seed(0)
    hits = 0
    for _ in range(600):
        drawn = draw_images(positives(), may_match=True)
        wrong = (~drawn.matches).nonzero().flatten()
        hits += int((drawn.image[wrong] == wrong).sum())
    assert hits / 1800 == pytest.approx(1 / 6, abs=0.03)


def test_a_text_that_belongs_to_every_image_keeps_its_own():
    drawn = draw_images(torch.ones(4, 4, dtype=torch.bool))
    assert drawn.matches.all() and drawn.image.tolist() == [0, 1, 2, 3]
    assert draw_images(torch.ones(1, 1, dtype=torch.bool)).matches.tolist() == [True]


@pytest.mark.parametrize(("words", "without"), [(8, 0.235), (20, 0.016)])
def test_the_released_masking_leaves_short_texts_without_a_hidden_word(words, without):
    """Shares as measured from the release's rule: texts of 8 and 20 tokens besides start and end."""
    torch.manual_seed(0)
    masking = PaddedMasking(40, 4, (0, 1, 2, 3, 4), 64)
    ids = torch.randint(5, 40, (20000, words + 2))
    ids[:, 0], ids[:, -1] = 0, 2
    masked = masking(ids, torch.ones_like(ids))
    hidden = masked.labels != IGNORED
    expected = math.comb(64 - words, 10) / math.comb(64, 10)
    assert float((~hidden.any(1)).float().mean()) == pytest.approx(expected, abs=0.01)
    assert expected == pytest.approx(without, abs=0.001)
    assert float(hidden[:, 1:-1].float().mean()) == pytest.approx(10 / 64, abs=0.005)
    assert not hidden[:, [0, -1]].any()


class Chosen(TextMasking):
    """Hides the third piece of every text behind the mask."""

    def choose(self, input_ids, maskable):
        chosen = torch.zeros_like(maskable)
        chosen[:, 2] = True
        return chosen


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    shape = M3AEShape(30, positions=32, **{**SIZES["tiny"], "dropout": 0.0})
    built = M3AEModel(ClipImageEncoder.of(shape), tokenizer, M3AENetwork(shape, PRETRAINING))
    for parameter in built.parameters():
        if parameter.ndim == 2:
            nn.init.normal_(parameter, std=0.2)
    return built.double().eval()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 28, (4, 7), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=generator)
    return PairBatch(torch.arange(4), torch.arange(4), images, ids, mask)


def test_every_term_is_its_definition_and_hides_one_side_alone(model, batch):
    masking = Chosen(30, 4, (0, 1, 2, 3, 4))
    hiding = Hiding(masking)
    network, stream, shape = model.network, model.network.stream, model.network.m3ae_shape
    with torch.no_grad():
        torch.manual_seed(3)
        found = float(M3AEStep(model, batch, hiding).masked_language())
        torch.manual_seed(3)
        masked = masking(batch.input_ids, batch.attention_mask)
        image = stream.read_image(model.encode_images(batch.images))
        fused = stream.fuse(stream.read_text(masked.input_ids, batch.attention_mask), image)
        logits = network.guess_words(fused.text[:, 2])
        losses = [-float(logits[row].log_softmax(-1)[batch.input_ids[row, 2]]) for row in range(4)]
        assert found == pytest.approx(sum(losses) / 4, rel=1e-5)

        torch.manual_seed(4)
        found = float(M3AEStep(model, batch, hiding).masked_image())
        torch.manual_seed(4)
        kept, hidden = hide_patches(4, shape.patches, 0.75)
        assert kept.shape == (4, 4)
        text = stream.read_text(batch.input_ids, batch.attention_mask)
        guessed = network.guess_pixels(text, model.read_kept(batch.images, kept), kept)
        targets = slow_targets(model.image_encoder.normalise(batch.images), shape.patch, True)
        error = ((guessed - targets) ** 2).mean(-1)
        assert found == pytest.approx(float(error[hidden].mean()), rel=1e-5)

        torch.manual_seed(5)
        found = float(M3AEStep(model, batch, hiding).matching())
        torch.manual_seed(5)
        drawn = draw_images(torch.eye(4, dtype=torch.bool))
        logits = network.match(text, image.take(drawn.image))
        losses = [-float(logits[row].log_softmax(-1)[int(drawn.matches[row])]) for row in range(4)]
        assert found == pytest.approx(sum(losses) / 4, rel=1e-5)


def test_pixels_are_guessed_from_the_layer_that_the_shape_names(model, batch):
    """What lies behind it changes nothing, what lies before it does."""
    stream = model.network.stream
    kept, _ = hide_patches(4, 16, 0.75)
    with torch.no_grad():
        text = stream.read_text(batch.input_ids, batch.attention_mask)
        image = model.read_kept(batch.images, kept)
        before = model.network.guess_pixels(text, image, kept)
        nn.init.normal_(stream.image_fusion[1].expand.weight)
        assert torch.equal(model.network.guess_pixels(text, image, kept), before)
        nn.init.normal_(stream.image_fusion[0].expand.weight)
        assert not torch.allclose(model.network.guess_pixels(text, image, kept), before)


def test_cached_features_are_refused(model, batch):
    batch.images = None
    with pytest.raises(ConfigurationError, match="the batch has cached features in their place"):
        M3AEStep(model, batch, Hiding(Chosen(30, 4, ())))


def test_whole_words_over_padding_are_refused(model):
    with pytest.raises(ConfigurationError, match="leave text_masking out beside the defect"):
        build_masking("whole_word", model, over_padding=True)
    assert isinstance(build_masking(None, model, over_padding=True), PaddedMasking)
    assert type(build_masking(None, model)).__name__ == "WholeWordMasking"

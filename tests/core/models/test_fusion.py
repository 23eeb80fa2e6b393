"""Fusion encoders: which token can see which, and where weights come from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vlcore.errors import ConfigurationError
from vlcore.models.fusion.attention import Attention
from vlcore.models.fusion.network import STREAMS, FusionNetwork
from vlcore.models.fusion.shape import FusionShape
from vlcore.models.fusion.split_stream import SplitStream
from vlcore.models.fusion.stream import FusionStream, States
from vlcore.models.fusion.visual_embedding import VisualEmbedding, box_coordinates
from vlcore.models.momentum import MomentumModel
from vlcore.types import VisualTokens

SHAPE = FusionShape(vocabulary=30, width=16, layers=4, heads=4, intermediate=32, positions=20, dropout=0.0)
REGIONS = 6


def built(name: str) -> FusionStream:
    torch.manual_seed(0)
    stream = STREAMS[name](5, SHAPE).double().eval()
    # BERT's small initial weights make all tokens alike; larger ones show what depends on what.
    for parameter in stream.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.4)
    return stream


def inputs(batch: int = 3, words: int = 7) -> tuple[Tensor, Tensor, VisualTokens]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 30, (batch, words), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, 5:] = 0
    seen = torch.ones(batch, REGIONS, dtype=torch.bool)
    seen[1, 4:] = False
    corner = torch.rand(batch, REGIONS, 2, generator=generator, dtype=torch.float64) / 2
    boxes = torch.cat([corner, corner + 0.4], dim=-1)
    features = torch.randn(batch, REGIONS, 5, generator=generator, dtype=torch.float64)
    return ids, mask, VisualTokens(features * seen[..., None], seen, boxes * seen[..., None])


@pytest.mark.parametrize("name", STREAMS)
def test_padding_changes_no_state(name):
    stream = built(name)
    ids, mask, visual = inputs()
    whole = stream.fuse(stream.read_text(ids, mask), stream.read_image(visual))
    for row in range(len(ids)):
        words, regions = int(mask[row].sum()), int(visual.mask[row].sum())
        alone = VisualTokens(*(part[row : row + 1, :regions] for part in visual[:3] if part is not None))
        single = stream.fuse(
            stream.read_text(ids[row : row + 1, :words], mask[row : row + 1, :words]), stream.read_image(alone)
        )
        assert torch.allclose(single.text[0], whole.text[row, :words], atol=1e-10)
        assert torch.allclose(single.image[0], whole.image[row, :regions], atol=1e-10)
        assert torch.allclose(single.pair[0], whole.pair[row], atol=1e-10)


@pytest.mark.parametrize("name", STREAMS)
def test_the_order_of_regions_says_nothing_and_that_of_words_does(name):
    stream = built(name)
    ids, mask, visual = inputs()
    before = stream.fuse(stream.read_text(ids, mask), stream.read_image(visual)).pair
    order = torch.tensor([3, 0, 2, 1, 5, 4])
    shuffled = VisualTokens(visual.features[:, order], visual.mask[:, order], visual.boxes[:, order])
    assert torch.allclose(
        stream.fuse(stream.read_text(ids, mask), stream.read_image(shuffled)).pair, before, atol=1e-10
    )
    swapped = ids[:, [0, 2, 1, 3, 4, 5, 6]]
    assert not torch.allclose(stream.fuse(stream.read_text(swapped, mask), stream.read_image(visual)).pair, before)


@pytest.mark.parametrize("name", STREAMS)
def test_the_pair_depends_on_both_sides_and_on_places(name):
    stream = built(name)
    ids, mask, visual = inputs()
    base = stream.fuse(stream.read_text(ids, mask), stream.read_image(visual)).pair
    changes = {
        "words": (ids + 1) % 30,
        "features": visual._replace(features=visual.features + visual.mask[..., None]),
        "places": visual._replace(boxes=visual.boxes / 2),
        "no places": visual._replace(boxes=None),
    }
    for what, change in changes.items():
        text = stream.read_text(change if what == "words" else ids, mask)
        image = stream.read_image(visual if what == "words" else change)
        assert not torch.allclose(stream.fuse(text, image).pair, base, atol=1e-6), what


@pytest.mark.parametrize("name", STREAMS)
def test_an_image_without_regions_still_has_a_state(name):
    stream = built(name)
    ids, mask, visual = inputs()
    empty = VisualTokens(torch.zeros_like(visual.features), torch.zeros_like(visual.mask), visual.boxes)
    output = stream.fuse(stream.read_text(ids, mask), stream.read_image(empty))
    assert torch.isfinite(output.pair).all() and torch.isfinite(output.text).all()


def jacobian_is_zero(stream: SplitStream, of_image: bool, extracted: bool) -> bool:
    """Whether the states of one side do not depend on the other's, behind the split or before it."""
    ids, mask, visual = inputs()
    text, image = stream.read_text(ids, mask), stream.read_image(visual)
    if extracted:
        words = text.tokens.shape[1]
        shared = stream.interact(text, image).detach()
        sides = [shared[:, :words].requires_grad_(), shared[:, words:].requires_grad_()]
        output = stream.extract(States(sides[0], text.mask), States(sides[1], image.mask))
    else:
        sides = [text.tokens.detach().requires_grad_(), image.tokens.detach().requires_grad_()]
        output = stream.fuse(States(sides[0], text.mask), States(sides[1], image.mask))
    seen, other = (output.image, sides[0]) if of_image else (output.text, sides[1])
    (gradient,) = torch.autograd.grad((seen**2).sum(), other, allow_unused=True)
    return gradient is None or float(gradient.abs().sum()) == 0


@pytest.mark.parametrize("of_image", [True, False])
def test_behind_the_split_no_side_sees_the_other_and_before_it_does(of_image):
    stream = built("split_stream")
    assert jacobian_is_zero(stream, of_image, extracted=True)
    assert not jacobian_is_zero(stream, of_image, extracted=False)


def test_in_the_cross_stream_images_never_see_words():
    stream = built("cross_stream")
    ids, mask, visual = inputs()
    output = stream.fuse(stream.read_text(ids, mask), stream.read_image(visual))
    other = stream.fuse(stream.read_text((ids + 3) % 30, mask), stream.read_image(visual))
    assert torch.equal(output.image, other.image)
    assert not torch.allclose(output.text, other.text)


def test_hidden_regions_lose_their_feature_and_keep_their_place():
    torch.manual_seed(0)
    embedding = VisualEmbedding(5, SHAPE).double().eval()
    torch.nn.init.normal_(embedding.masked)
    _, _, visual = inputs()
    hidden = torch.zeros_like(visual.mask)
    hidden[:, 1] = True
    states, mask = embedding(visual, hidden)
    changed = visual.features.clone()
    changed[:, 1] += 9
    again, _ = embedding(visual._replace(features=changed), hidden)
    assert torch.equal(states, again) and mask.shape == (3, REGIONS + 1)
    moved = visual.boxes.clone()
    moved[:, 1] /= 2
    assert not torch.allclose(embedding(visual._replace(boxes=moved), hidden)[0][:, 2], states[:, 2])


def test_places_are_corners_size_and_area_and_the_whole_image_comes_first():
    _, _, visual = inputs()
    found = box_coordinates(visual)
    assert found.shape == (3, REGIONS + 1, 7)
    assert found[:, 0].tolist() == [[0, 0, 1, 1, 1, 1, 1]] * 3
    left, top, right, bottom = visual.boxes[2, 3].tolist()
    expected = [left, top, right, bottom, right - left, bottom - top, (right - left) * (bottom - top)]
    assert found[2, 4].tolist() == pytest.approx(expected)


def test_attention_is_torchs():
    torch.manual_seed(0)
    ours = Attention(16, 4, 0.0).double()
    theirs = torch.nn.MultiheadAttention(16, 4, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    states, memory = torch.randn(2, 5, 16, dtype=torch.float64), torch.randn(2, 7, 16, dtype=torch.float64)
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 4:] = False
    expected, _ = theirs(states, memory, memory, key_padding_mask=~mask)
    assert torch.allclose(ours(states, memory, mask), expected, atol=1e-12)


def test_the_momentum_model_is_the_closed_form_after_k_steps_and_gets_no_gradient():
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2).double()
    start = model.weight.detach().clone()
    teacher = MomentumModel(model, 0.9)
    steps = []
    for _ in range(5):
        with torch.no_grad():
            model.weight.add_(torch.randn_like(model.weight))
        steps.append(model.weight.detach().clone())
        teacher.update(model)
    expected = 0.9**5 * start + sum(0.1 * 0.9 ** (4 - step) * weight for step, weight in enumerate(steps))
    assert torch.allclose(teacher.model.weight, expected, atol=1e-12)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert not teacher.train().model.training


def test_a_network_is_rebuilt_from_its_configuration():
    network = FusionNetwork("split_stream", 5, SHAPE, embedding_size=8, region_classes=3)
    again = FusionNetwork.from_config(network.config())
    again.load_state_dict(network.state_dict())
    assert again.config() == network.config()


def test_the_temperature_stays_within_its_bounds():
    network = FusionNetwork("cross_stream", 5, SHAPE, embedding_size=8)
    for value, expected in ((50.0, 1000.0), (-50.0, 2.0)):
        with torch.no_grad():
            network.logit_scale.fill_(value)
        network.clamp_temperature()
        assert float(network.logit_scale.exp()) == pytest.approx(expected, rel=1e-4)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigurationError, match="width=10 cannot be divided among heads=4"):
        FusionShape(vocabulary=5, width=10, heads=4)
    with pytest.raises(ConfigurationError, match="layers=1"):
        FusionShape(vocabulary=5, layers=1)

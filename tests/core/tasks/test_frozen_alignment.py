"""SAIL and VLAP as options of the alignment task."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_towers import small_data, small_task, small_trainer

from small_bert import save_tower
from vlcore.data.batch_order import PairOrder
from vlcore.data.pairs import PairTable
from vlcore.errors import ConfigurationError
from vlcore.objectives.assignment_prediction import word_prior
from vlcore.objectives.siglip import SigLIP
from vlcore.tasks.alignment import AlignmentTask


def test_a_second_caption_is_sails_second_block_of_positives():
    """SAIL: logits of B images with B captions and with B second captions, side by side, mean over B x 2B."""
    torch.manual_seed(0)
    image, first, second = torch.nn.functional.normalize(torch.randn(3, 4, 6, dtype=torch.float64), dim=-1)
    scale, bias = 20.0, -10.0
    label = 2 * torch.eye(4, dtype=torch.float64) - 1
    blocks = [torch.nn.functional.logsigmoid(label * (scale * image @ text.T + bias)) for text in (first, second)]
    sail = -torch.cat(blocks, dim=1).mean()
    # The batch as vlcore reads it: every image twice, once with each caption.
    ours = SigLIP()(
        image.repeat_interleave(2, 0),
        torch.stack([first, second], dim=1).flatten(0, 1),
        scale,
        bias,
        image_index=torch.arange(4).repeat_interleave(2),
        text_key=torch.arange(8),
    )
    # Every image stands in two rows, and vlcore sums over the 8 texts where SAIL takes the mean.
    assert float(ours) / 8 == pytest.approx(float(sail), rel=1e-9)


def test_the_same_caption_twice_is_the_loss_of_one():
    torch.manual_seed(0)
    image, text = torch.nn.functional.normalize(torch.randn(2, 4, 6, dtype=torch.float64), dim=-1)
    index = torch.arange(4)
    once = SigLIP()(image, text, 20.0, -10.0, image_index=index, text_key=index)
    twice = index.repeat_interleave(2)
    double = SigLIP()(image[twice], text[twice], 20.0, -10.0, image_index=twice, text_key=twice)
    assert float(double) / 2 == pytest.approx(float(once), rel=1e-9)


def test_a_planted_linear_map_is_recovered_in_seconds(tmp_path, tiny_manifest):
    """Two frozen spaces that a linear map connects: SAIL's heads, loss and optimiser find it."""
    from vlcore.align.features import PairedFeatures
    from vlcore.heads.star_mlp import StarMLPHead
    from vlcore.metrics.retrieval import retrieval_ranks
    from vlcore.metrics.retrieval_scores import recall_at
    from vlcore.tasks.optimisation import build_lion

    torch.manual_seed(0)
    image = torch.randn(2100, 16)
    text = image @ torch.randn(16, 12) + 0.01 * torch.randn(2100, 12)
    heads = torch.nn.ModuleList([StarMLPHead(16, 32, expansion=4), StarMLPHead(12, 32, expansion=4)])
    scale, bias = torch.tensor(20.0), torch.tensor(-10.0)

    def embed(rows):
        sides = zip(heads, (image, text), strict=True)
        return [torch.nn.functional.normalize(head(side[rows]), dim=-1) for head, side in sides]

    optimizer = build_lion(heads, 1e-3, 1e-4, (0.9, 0.99))
    for step in range(500):
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = 1e-3 * (1 - step / 500)
        rows = torch.randperm(2000)[:250]
        sides = embed(rows)
        optimizer.zero_grad()
        SigLIP()(*sides, scale, bias).backward()
        optimizer.step()
    with torch.no_grad():
        held_out = embed(slice(2000, 2100))
    index = np.arange(100)
    relevance = PairedFeatures(
        image[2000:].numpy(), text[2000:].numpy(), index, index, [str(i) for i in index]
    ).relevance
    assert recall_at(retrieval_ranks(*held_out, relevance).image_to_text.rank, 1) > 95


def test_lion_takes_steps_of_its_learning_rate_and_only_heads_learn(tiny_manifest, tmp_path):
    task = small_task(optimizer="lion", learning_rate=0.01, betas=(0.9, 0.99), schedule="constant", warmup=0)
    before = {name: value.detach().clone() for name, value in task.named_parameters()}
    small_trainer(tmp_path, max_steps=1).fit(task, datamodule=small_data(tiny_manifest, captions="two"))
    moved = {name: (value - before[name]).abs() for name, value in task.named_parameters()}
    assert float(moved["model.image_head.projection.weight"].max()) == pytest.approx(0.01, rel=1e-3)
    assert all(not float(change.max()) for name, change in moved.items() if "encoder" in name)
    states = [state for state in task.optimizers().state.values() if state]
    assert len(states) == sum(parameter.requires_grad for parameter in task.parameters())


@pytest.fixture
def vlap(tmp_path):
    bert = save_tower(tmp_path / "bert", "bert")

    def make(**options):
        torch.manual_seed(0)
        settings = {
            "image_encoder": "small/colours",
            "text_encoder": f"transformers/{bert}",
            "image_head": "linear",
            "text_head": "identity",
            "embedding_size": 24,
            "objective": "assignment_prediction",
            "learning_rate": 0.02,
            "schedule": "constant",
            "warmup": 0,
        }
        return AlignmentTask(**{**settings, **options})

    return make


def test_vlap_learns_with_words_that_stand_still(vlap, tiny_manifest, tmp_path):
    task = vlap()
    words = task.objective.words.clone()
    data = small_data(tiny_manifest, val_split="train")
    losses = []
    for epochs in (1, 60):
        trainer = small_trainer(tmp_path, max_epochs=epochs, limit_val_batches=0)
        trainer.fit(task, datamodule=data)
        losses.append(float(trainer.callback_metrics["train/loss"]))
    assert losses[1] < 0.9 * losses[0]
    assert torch.equal(task.objective.words, words)
    assert float(task.model.logit_scale.detach().exp()) == pytest.approx(100, rel=1e-4)
    # The words of the training captions have the prior.
    tokens = task.model.text_encoder.tokenizer(data.training_texts())
    counts = torch.bincount(tokens.input_ids[tokens.attention_mask.bool()], minlength=len(words))
    assert torch.allclose(task.objective.prior.double(), word_prior(counts), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding_size": 8, "text_head": "linear"}, "word embeddings of 24 numbers and the embedding has 8"),
        ({"text_encoder": "small/words", "embedding_size": 5}, "has no word embeddings"),
    ],
)
def test_vlap_without_words_is_refused(vlap, options, message):
    with pytest.raises(ConfigurationError, match=message):
        vlap(**options)


def test_two_captions_of_pairs_reach_the_task(tiny_manifest, tmp_path):
    table = PairTable(["a", "b"], [], ["1", "2", "3", "4"], np.array([0, 0, 1, 1]), np.arange(4))
    (batch,) = PairOrder(table, 4, "two", shuffle=True).batches(0)
    assert sorted(batch.tolist()) == [0, 1, 2, 3]

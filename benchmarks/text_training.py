"""Training a ViT-B/32 text tower on short captions: vlcore's trimmed batches against open_clip's, padded to 77."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import data_root, interleaved, ratio, save, timed
from benchmarks.text_embedding import MODEL, save_open_clip

BATCH = 64


def _captions(count: int) -> list[str]:
    """Real captions of 10 to 20 tokens, start and end included."""
    from open_clip import get_tokenizer

    lines = (data_root() / "general" / "flickr8k" / "captions.jsonl").read_text().splitlines()
    texts = [text for line in lines for text in json.loads(line)["captions"]["en"]]
    lengths = (get_tokenizer(MODEL)(texts) != 0).sum(dim=1)
    return [text for text, length in zip(texts, lengths.tolist(), strict=True) if 10 <= length <= 20][:count]


def _model() -> Any:
    import open_clip

    torch.manual_seed(0)
    return open_clip.create_model(MODEL, pretrained=None)


def _images(count: int, width: int) -> Tensor:
    """Stand-ins for the other side: the text tower is measured."""
    generator = torch.Generator().manual_seed(1)
    return torch.nn.functional.normalize(torch.randn(count, width, generator=generator), dim=1)


def open_clip_epoch(count: int) -> dict[str, Any]:
    """open_clip: tokenizer, `encode_text` and `ClipLoss`, forward and backward; its pixels are not touched."""
    import open_clip

    model, tokenizer, objective = _model().train(), open_clip.get_tokenizer(MODEL), open_clip.ClipLoss()
    texts, images = _captions(count), _images(count, 512)

    def epoch() -> list[float]:
        losses = []
        for start in range(0, count, BATCH):
            rows = slice(start, start + BATCH)
            text = model.encode_text(tokenizer(texts[rows]), normalize=True)
            loss = objective(images[rows], text, torch.tensor(20.0))
            loss.backward()
            losses.append(float(loss))
        return losses

    losses, seconds = timed(epoch)
    gradient = model.transformer.resblocks[0].mlp.c_fc.weight.grad
    return {"seconds": seconds, "losses": losses, "gradient": gradient[::97, ::61].flatten().tolist()}


def vlcore_epoch(count: int) -> dict[str, Any]:
    """vlcore: the same weights, its tokeniser, trimmed batches and tiled loss."""
    from vlcore.encoders import build_text_encoder
    from vlcore.objectives.info_nce import InfoNCE

    texts, images, objective = _captions(count), _images(count, 512), InfoNCE()
    with tempfile.TemporaryDirectory() as name:
        save_open_clip(_model(), Path(name))
        encoder: Any = build_text_encoder(f"open_clip/{name}", trainable="all")
    encoder.train()

    def epoch() -> list[float]:
        losses = []
        for start in range(0, count, BATCH):
            rows = slice(start, start + BATCH)
            tokens = encoder.tokenizer(texts[rows])
            text = torch.nn.functional.normalize(encoder.pool(tokens.input_ids, tokens.attention_mask), dim=1)
            loss = objective(images[rows], text, torch.tensor(20.0))
            loss.backward()
            losses.append(float(loss))
        return losses

    losses, seconds = timed(epoch)
    named = dict(encoder.named_parameters())
    (key,) = [key for key in named if key.endswith("resblocks.0.mlp.c_fc.weight")]
    return {"seconds": seconds, "losses": losses, "gradient": named[key].grad[::97, ::61].flatten().tolist()}


def main(repeats: int = 1, count: int = 3200) -> None:
    """Compare losses and gradients first, then time one epoch of `count` captions."""
    cases = {
        "open_clip": "benchmarks.text_training:open_clip_epoch",
        "vlcore": "benchmarks.text_training:vlcore_epoch",
    }
    runs = interleaved(cases, repeats, count=count)
    peer, ours = runs["open_clip"][0], runs["vlcore"][0]
    expected, found = torch.tensor(peer["gradient"]), torch.tensor(ours["gradient"])
    equality = {
        "largest_loss_difference": max(abs(a - b) for a, b in zip(peer["losses"], ours["losses"], strict=True)),
        "gradient_relative_error": float((found - expected).norm() / expected.norm()),
    }
    for side in runs.values():
        for run in side:
            del run["gradient"]
    speed = ratio(runs, "open_clip", "vlcore")
    print(f"  {equality}; {speed['median']:.1f} x faster")
    save("text_training", {"captions": count, "batch": BATCH, "equality": equality, "speedup": speed, "runs": runs})

"""Embedding 80 prompts x 1000 class names with one CLIP text tower: vlcore against open_clip's `encode_text`.

The repeats are disjoint shares of the classes: together they embed all 80,000 prompts once on either side.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import ratio, run_case, save, timed

MODEL = "ViT-B-32"
BATCH = 80


def _prompts(share: int, shares: int) -> list[str]:
    """One of `shares` equal parts of the 1000 x 80 ImageNet prompts, class after class as open_clip encodes them."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES

    return [template(name) for name in IMAGENET_CLASSNAMES[share::shares] for template in OPENAI_IMAGENET_TEMPLATES]


def _model() -> Any:
    """The same random weights in every process."""
    import open_clip

    torch.manual_seed(0)
    return open_clip.create_model(MODEL, pretrained=None).eval()


@torch.inference_mode()
def open_clip_text(share: int, shares: int) -> dict[str, Any]:
    """open_clip: its tokenizer and `encode_text`, one batch of 80 prompts per class as its zero-shot builder does."""
    import open_clip

    model, tokenizer, prompts = _model(), open_clip.get_tokenizer(MODEL), _prompts(share, shares)
    model.encode_text(tokenizer(prompts[:BATCH]))
    parts, seconds = timed(
        lambda: [
            model.encode_text(tokenizer(prompts[start : start + BATCH])) for start in range(0, len(prompts), BATCH)
        ]
    )
    return _answer(torch.cat(parts), seconds)


def vlcore_text(share: int, shares: int) -> dict[str, Any]:
    """vlcore: the same weights read from a directory that open_clip's own saving wrote."""
    from vlcore.encoders import build_text_encoder
    from vlcore.encoders.batching import encode_texts

    prompts = _prompts(share, shares)
    with tempfile.TemporaryDirectory() as name:
        save_open_clip(_model(), Path(name))
        encoder = build_text_encoder(f"open_clip/{name}")
    encode_texts(encoder, prompts[:BATCH])
    encoded, seconds = timed(lambda: encode_texts(encoder, prompts))
    return _answer(torch.as_tensor(encoded.rows), seconds)


def save_open_clip(model: Any, folder: Path) -> None:
    """Write an open_clip model directory: config, preprocessing and weights."""
    import json

    import open_clip
    from safetensors.torch import save_file

    config = {
        "model_cfg": open_clip.get_model_config(MODEL),
        "preprocess_cfg": {
            "size": [224, 224],
            "mode": "RGB",
            "mean": list(open_clip.OPENAI_DATASET_MEAN),
            "std": list(open_clip.OPENAI_DATASET_STD),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
            "fill_color": 0,
        },
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )


def _answer(features: torch.Tensor, seconds: float) -> dict[str, Any]:
    features = torch.nn.functional.normalize(features.float(), dim=1)
    return {"seconds": seconds, "texts": len(features), "sample": features[::37, ::5].flatten().tolist()}


def main(shares: int = 8) -> None:
    """Compare every 37th embedding of a share first, then speed; an interrupted run leaves the shares that it did."""
    runs: dict[str, list[dict[str, Any]]] = {"open_clip": [], "vlcore": []}
    difference = 0.0
    for share in range(shares):
        samples = []
        for name, of_side in runs.items():
            run = run_case(f"benchmarks.text_embedding:{name}_text", share=share, shares=shares)
            samples.append(torch.tensor(run.pop("sample")))
            of_side.append(run)
            print(f"  {share + 1}/{shares} {name}: {run['seconds']:.2f} s", flush=True)
        difference = max(difference, float((samples[0] - samples[1]).abs().max()))
        speed = ratio(runs, "open_clip", "vlcore")
        texts = sum(run["texts"] for run in runs["vlcore"])
        save("text_embedding", {"texts": texts, "max_difference": difference, "speedup": speed, "runs": runs})
    print(f"  {texts} prompts: largest difference {difference:.1e}; {speed['median']:.1f} x faster")

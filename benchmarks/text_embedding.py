"""Embedding 80 prompts x 1000 class names with one CLIP text tower: vlcore against open_clip's `encode_text`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness import interleaved, ratio, save, timed

MODEL = "ViT-B-32"
BATCH = 80


def _prompts(share: int) -> list[str]:
    """Every `share`-th class of the 1000 x 80 ImageNet prompts, class after class as open_clip encodes them."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES, OPENAI_IMAGENET_TEMPLATES

    return [template(name) for name in IMAGENET_CLASSNAMES[::share] for template in OPENAI_IMAGENET_TEMPLATES]


def _model() -> Any:
    """The same random weights in every process."""
    import open_clip

    torch.manual_seed(0)
    return open_clip.create_model(MODEL, pretrained=None).eval()


@torch.inference_mode()
def open_clip_text(share: int) -> dict[str, Any]:
    """open_clip: its tokenizer and `encode_text`, one batch of 80 prompts per class as its zero-shot builder does."""
    import open_clip

    model, tokenizer, prompts = _model(), open_clip.get_tokenizer(MODEL), _prompts(share)
    model.encode_text(tokenizer(prompts[:BATCH]))
    parts, seconds = timed(
        lambda: [
            model.encode_text(tokenizer(prompts[start : start + BATCH])) for start in range(0, len(prompts), BATCH)
        ]
    )
    return _answer(torch.cat(parts), seconds)


def vlcore_text(share: int) -> dict[str, Any]:
    """vlcore: the same weights read from a directory that open_clip's own saving wrote."""
    from vlcore.encoders import build_text_encoder
    from vlcore.encoders.batching import encode_texts

    prompts = _prompts(share)
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


def main(repeats: int = 5, share: int = 250) -> None:
    """Compare every 37th embedding first, then speed, on every `share`th class."""
    cases = {"open_clip": "benchmarks.text_embedding:open_clip_text", "vlcore": "benchmarks.text_embedding:vlcore_text"}
    runs = interleaved(cases, repeats, share=share)
    samples = {name: torch.tensor(side[0]["sample"]) for name, side in runs.items()}
    difference = float((samples["open_clip"] - samples["vlcore"]).abs().max())
    for side in runs.values():
        for run in side:
            del run["sample"]
    speed = ratio(runs, "open_clip", "vlcore")
    print(f"  largest difference {difference:.1e}; {speed['median']:.1f} x faster")
    save("text_embedding", {"classes_share": share, "max_difference": difference, "speedup": speed, "runs": runs})

"""Random CLIPs, saved as open_clip and as transformers save them: 16 patches of 8 pixels, 24 numbers per embedding."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WIDTH = 24
PIECES = [
    *("?", "a", "square", ".", "everything", "here", "is", "red", "green", "blue", "yellow", "purple", "white"),
    *("<s>", "</s>"),
]


def save_open_clip(folder: Path) -> Path:
    """A CLIP of open_clip; its tokeniser is the one that open_clip brings."""
    import open_clip
    from safetensors.torch import save_file

    model = {
        "embed_dim": WIDTH,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    preprocess = {"size": 32, "mode": "RGB", "mean": [0.48, 0.45, 0.40], "std": [0.26, 0.26, 0.27]}
    preprocess |= {"interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}
    folder.mkdir(parents=True)
    config = folder / "open_clip_config.json"
    config.write_text(json.dumps({"model_cfg": model, "preprocess_cfg": preprocess}))
    listed = folder / "small_clip.json"
    listed.write_text(json.dumps(model))
    open_clip.add_model_config(listed)
    network = _spread(open_clip.create_model("small_clip"))
    listed.unlink()
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder


def save_clip(folder: Path) -> Path:
    """A CLIP of transformers with a tokeniser of few words."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    end = len(PIECES) - 1
    ends = {"bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end}
    config = transformers.CLIPConfig(
        text_config={**sizes, **ends, "vocab_size": len(PIECES), "max_position_embeddings": 24},
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
        projection_dim=WIDTH,
    )
    _spread(transformers.CLIPModel(config)).save_pretrained(folder)
    numbers = {piece: number for number, piece in enumerate(PIECES)}
    backend = Tokenizer(models.WordLevel(numbers, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(piece, numbers[piece]) for piece in ("<s>", "</s>")]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "?"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=24, **names).save_pretrained(folder)
    sides = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    transformers.CLIPImageProcessor(**sides).save_pretrained(folder)
    return folder


def _spread(network: torch.nn.Module) -> torch.nn.Module:
    """Weights large enough that nothing vanishes in a comparison."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return network

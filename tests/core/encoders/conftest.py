"""Tiny random models of every source, saved as their own libraries save them."""

from __future__ import annotations

import json
import shutil
import socket

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = [
    "a",
    "photo",
    "of",
    "the",
    "red",
    "green",
    "blue",
    "small",
    "large",
    "cat",
    "dog",
    "tree",
    "house",
    "river",
    "road",
    "plane",
    "ship",
    "sky",
    "sea",
    "field",
]


def word_tokenizer(kind):
    """A word-level tokeniser in the manner of `clip` (start, end), `siglip` (end) or `bert` (two ends)."""
    import transformers

    if kind == "clip":
        # As in CLIP, the end token has the highest id.
        names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "?"}
        vocabulary = ["?", *WORDS, "<s>", "</s>"]
        template = "<s> $A </s>"
    elif kind == "siglip":
        names = {"eos_token": "</s>", "pad_token": "</s>", "unk_token": "?"}
        vocabulary = ["?", "</s>", *WORDS]
        template = "$A </s>"
    else:
        names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "?"}
        vocabulary = ["[PAD]", "?", "[CLS]", "[SEP]", *WORDS]
        template = "[CLS] $A [SEP]"
    numbers = {word: number for number, word in enumerate(vocabulary)}
    backend = Tokenizer(models.WordLevel(numbers, unk_token="?"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single=template,
        special_tokens=[(token, numbers[token]) for token in template.split() if token != "$A"],
    )
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=64, **names)


SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48}


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Folder of each tiny model by name; read-only, copy before changing."""
    root = tmp_path_factory.mktemp("towers")
    torch.manual_seed(0)
    for make in (_clip, _siglip, _bert, _vit, _timm, _open_clip, _open_clip_siglip):
        folder = root / make.__name__.lstrip("_")
        folder.mkdir()
        make(folder)
    return {folder.name: folder for folder in root.iterdir()}


@pytest.fixture
def copy_of(folders, tmp_path):
    """A copy of a tiny model's folder that a test may damage."""
    return lambda name: shutil.copytree(folders[name], tmp_path / name)


@pytest.fixture
def no_network(monkeypatch):
    """Any use of a socket is an error."""

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def texts():
    return [
        "a small red house",
        "the sea",
        "a photo of a large green tree the river of the sky",
        "cat",
        "a photo of a dog",
    ]


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    return lambda size: torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8, generator=generator)


def randomise(module):
    """Weights large enough that nothing vanishes in a comparison; biases too."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return module


def _clip(folder):
    import transformers

    text = {**SMALL, "vocab_size": len(WORDS) + 3, "max_position_embeddings": 24}
    end = len(WORDS) + 2
    config = transformers.CLIPConfig(
        text_config={**text, "bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end},
        vision_config={**SMALL, "image_size": 32, "patch_size": 16},
        projection_dim=20,
    )
    randomise(transformers.CLIPModel(config)).save_pretrained(folder)
    word_tokenizer("clip").save_pretrained(folder)
    transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder
    )
    (folder / "README.md").write_text("---\nlicense: mit\ntags: [x]\n---\n# Tiny\n")


def _siglip(folder):
    import transformers

    text = {**SMALL, "vocab_size": len(WORDS) + 2, "max_position_embeddings": 16, "projection_size": 32}
    config = transformers.SiglipConfig(
        text_config={**text, "pad_token_id": 1, "eos_token_id": 1, "bos_token_id": 1},
        vision_config={**SMALL, "image_size": 32, "patch_size": 16},
    )
    randomise(transformers.SiglipModel(config)).save_pretrained(folder)
    word_tokenizer("siglip").save_pretrained(folder)
    transformers.SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def _bert(folder):
    import transformers

    config = transformers.BertConfig(**SMALL, vocab_size=len(WORDS) + 4, max_position_embeddings=24)
    randomise(transformers.BertModel(config)).save_pretrained(folder)
    word_tokenizer("bert").save_pretrained(folder)


def _vit(folder):
    import transformers

    config = transformers.ViTConfig(**SMALL, image_size=32, patch_size=16)
    # With a classifier, as most releases: it is left out; and without a pooler, as those are.
    randomise(transformers.ViTForImageClassification(config)).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def _timm(folder):
    import timm
    from timm.models import save_for_hf

    model = randomise(timm.create_model("test_resnet", pretrained=False, num_classes=7))
    save_for_hf(model, folder, safe_serialization=True)


def open_clip_config(**text):
    return {
        "model_cfg": {
            "embed_dim": 24,
            "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
            "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 3, **text},
        },
        "preprocess_cfg": {
            "size": 32,
            "mode": "RGB",
            "mean": [0.48, 0.45, 0.40],
            "std": [0.26, 0.26, 0.27],
            "interpolation": "bicubic",
            "resize_mode": "shortest",
            "fill_color": 0,
        },
    }


def save_open_clip(folder, config):
    import open_clip
    from safetensors.torch import save_file

    name = f"tiny_{folder.name}"
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    model_file = folder / f"{name}.json"
    model_file.write_text(json.dumps(config["model_cfg"]))
    open_clip.add_model_config(model_file)
    model = randomise(open_clip.create_model(name))
    model_file.unlink()
    save_file(
        {key: value.contiguous() for key, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )


def _open_clip(folder):
    pytest.importorskip("open_clip")
    save_open_clip(folder, open_clip_config())


def _open_clip_siglip(folder):
    pytest.importorskip("open_clip")
    text = {
        "context_length": 16,
        "vocab_size": len(WORDS) + 2,
        "hf_tokenizer_name": "tiny/siglip",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "no_causal_mask": True,
        "pool_type": "last",
        "proj_bias": True,
    }
    config = open_clip_config(**text)
    config["model_cfg"] |= {"custom_text": True, "init_logit_bias": -10.0}
    config["preprocess_cfg"] |= {"resize_mode": "squash"}
    save_open_clip(folder, config)
    word_tokenizer("siglip").save_pretrained(folder)

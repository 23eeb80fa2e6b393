"""Towers that learn colours in milliseconds and count how often they are asked; registered as `small/…`."""

from __future__ import annotations

import json

import torch
from lightning.pytorch import Trainer
from torch import nn

from vlcore.data.datamodule import ManifestDataModule
from vlcore.encoders.base import ImageEncoder, TextEncoder, TextTokenizer
from vlcore.plugins import registries
from vlcore.tasks.alignment import AlignmentTask
from vlcore.types import EncoderOutput, ImagePreprocess, TokenBatch

PREPROCESS = ImagePreprocess(size=(8, 8), resize="squash")
WORDS = [
    "a",
    "square",
    ".",
    "everything",
    "here",
    "is",
    "red",
    "green",
    "blue",
    "yellow",
    "purple",
    "white",
    "the",
    "same",
    "words",
    "for",
    "all",
    "of",
    "them",
]


class WordTokenizer(TextTokenizer):
    context_length = 6

    def __call__(self, texts):
        rows = [[WORDS.index(word) + 1 if word in WORDS else 0 for word in text.split()] for text in texts]
        length = min(6, max(map(len, rows)))
        ids = torch.zeros(len(rows), length, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, words in enumerate(rows):
            ids[row, : len(words)] = torch.tensor(words[:length])
            mask[row, : len(words)] = 1
        return TokenBatch(ids, mask, torch.tensor([len(words) > 6 for words in rows]))

    def save(self, folder):
        (folder / "words.json").write_text(json.dumps(WORDS))

    def identity(self):
        return " ".join(WORDS)


class SmallImageEncoder(ImageEncoder):
    calls = 0

    def __init__(self, width=6, preprocess=PREPROCESS):
        super().__init__()
        self.width, self.preprocess = width, preprocess
        self.source, self.licence = "small/colours", "CC0"
        self.first = nn.Linear(12, 8)
        self.second = nn.Linear(8, width)

    def blocks(self):
        return [self.first, self.second]

    def config(self):
        return {"width": self.width}

    @classmethod
    def from_config(cls, config, preprocess):
        return cls(config["width"], preprocess)

    def encode(self, pixels):
        type(self).calls += 1
        pooled = nn.functional.adaptive_avg_pool2d(pixels, 2).flatten(1)
        return EncoderOutput(None, self.second(torch.tanh(self.first(pooled))))


class SmallTextEncoder(TextEncoder):
    calls = 0

    def __init__(self, width=5):
        super().__init__()
        self.width, self.tokenizer, self.context_length = width, WordTokenizer(), 6
        self.source, self.licence = "small/words", "CC0"
        self.embedding = nn.Embedding(len(WORDS) + 1, 8)
        self.output = nn.Linear(8, width)

    def blocks(self):
        return [self.embedding, self.output]

    def config(self):
        return {"width": self.width}

    @classmethod
    def from_config(cls, config, tokenizer_folder):
        return cls(config["width"])

    def forward(self, input_ids, attention_mask):
        type(self).calls += 1
        mask = attention_mask[..., None]
        return EncoderOutput(None, self.output((self.embedding(input_ids) * mask).sum(1) / mask.sum(1)))


def build_image(argument, trainable="none", seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = SmallImageEncoder()
    encoder.set_trainable(trainable)
    return encoder.eval()


def build_text(argument, trainable="none"):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        encoder = SmallTextEncoder()
    encoder.set_trainable(trainable)
    return encoder.eval()


def register():
    """Make the towers known as `small/colours`, `small/other_colours` and `small/words`, once per process."""
    found = registries()
    if "small/colours" not in found.image_encoders:
        found.image_encoders.register("small/colours", build_image)
        found.image_encoders.register("small/other_colours", lambda argument, trainable: build_image("", trainable, 7))
        found.text_encoders.register("small/words", build_text)


def small_task(**options):
    torch.manual_seed(0)
    settings = {
        "image_encoder": "small/colours",
        "text_encoder": "small/words",
        "image_head": "linear",
        "text_head": "linear",
        "embedding_size": 4,
        "learning_rate": 0.05,
        "weight_decay": 0.0,
    }
    return AlignmentTask(**{**settings, **options})


def small_data(manifest, **options):
    settings = {"val_split": "test", "batch_size": 8, "cache_dir": str(manifest.parent / "cache"), "num_workers": 0}
    return ManifestDataModule(str(manifest), **{**settings, **options})


def small_trainer(folder, **options):
    settings = {
        "accelerator": "cpu",
        "max_epochs": 2,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
    }
    return Trainer(**{**settings, **options})

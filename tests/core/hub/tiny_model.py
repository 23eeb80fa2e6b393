"""A dual encoder small enough to be saved hundreds of times; its module is allow-listed by the tests."""

from __future__ import annotations

import json
from abc import abstractmethod

import torch
from torch import nn

from vlcore.encoders.base import ImageEncoder, TextEncoder, TextTokenizer
from vlcore.heads.base import Head
from vlcore.heads.linear import LinearHead
from vlcore.heads.residual_mlp import ResidualMLPHead
from vlcore.heads.task import TaskHead
from vlcore.models.dual_encoder import DualEncoder
from vlcore.types import EncoderOutput, ImagePreprocess, TokenBatch

PREPROCESS = ImagePreprocess(size=(8, 8), resize="squash", resize_to=9, mean=(0.4, 0.5, 0.6))


class LetterTokenizer(TextTokenizer):
    context_length = 8

    def __init__(self, alphabet):
        self.alphabet = alphabet

    def __call__(self, texts):
        rows = [[self.alphabet.find(letter) + 1 for letter in text][:8] or [0] for text in texts]
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        return TokenBatch(ids, (ids > 0).long(), torch.tensor([len(text) > 8 for text in texts]))

    def save(self, folder):
        (folder / "vocabulary").mkdir()
        (folder / "vocabulary" / "letters.json").write_text(json.dumps(self.alphabet))
        (folder / "kind.txt").write_text("letters")

    @classmethod
    def load(cls, folder):
        return cls(json.loads((folder / "vocabulary" / "letters.json").read_text()))

    def identity(self):
        return self.alphabet


class TinyImageEncoder(ImageEncoder):
    def __init__(self, width, preprocess):
        super().__init__()
        self.width, self.preprocess = width, preprocess
        self.source, self.licence = "test/pixels", "Apache-2.0"
        self.layer = nn.Conv2d(3, width, 4)
        self.norm = nn.BatchNorm2d(width)  # has an integer buffer of no dimension
        self.set_trainable("none")

    def blocks(self):
        return [self.layer]

    def config(self):
        return {"width": self.width}

    @classmethod
    def from_config(cls, config, preprocess):
        return cls(config["width"], preprocess)

    def encode(self, pixels):
        return EncoderOutput(None, self.norm(self.layer(pixels)).mean((2, 3)))


class TinyTextEncoder(TextEncoder):
    def __init__(self, width, tokenizer):
        super().__init__()
        self.width, self.tokenizer, self.context_length = width, tokenizer, 8
        self.source, self.licence = "test/letters", "MIT"
        self.embedding = nn.Embedding(30, width)
        self.output = nn.Linear(width, 30, bias=False)
        self.output.weight = self.embedding.weight  # tied: the state dict holds one tensor twice
        self.set_trainable("none")

    def blocks(self):
        return [self.embedding]

    def config(self):
        return {"width": self.width}

    @classmethod
    def from_config(cls, config, tokenizer_folder):
        return cls(config["width"], LetterTokenizer.load(tokenizer_folder))

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[..., None]
        return EncoderOutput(None, (self.embedding(input_ids) * mask).sum(1) / mask.sum(1))


class TinyTaskHead(TaskHead):
    """Names a class, from what it knows of the towers that it is given."""

    def __init__(self, widths, names):
        super().__init__()
        self.widths, self.names = widths, names
        self.layer = nn.Linear(sum(widths), len(names))

    def config(self):
        return {"widths": self.widths, "names": self.names}

    def forward(self, *features):
        return self.layer(torch.cat(features, dim=1))


class NotATower(nn.Module):
    """A module of the wrong kind."""


class AbstractHead(Head):
    @abstractmethod
    def something(self): ...


def tiny_model(seed=0, alphabet="abcdefghijklmnopqrstuvwxyz ", **options):
    torch.manual_seed(seed)
    model = DualEncoder(
        TinyImageEncoder(6, PREPROCESS),
        TinyTextEncoder(5, LetterTokenizer(alphabet)),
        ResidualMLPHead(6, 4, hidden_features=7, dropout=0.2),
        LinearHead(5, 4, bias=False),
        **options,
    )
    model.image_head.set_statistics(torch.rand(6), torch.rand(6) + 0.5)
    model.image_encoder.norm.num_batches_tracked += 3
    return model.eval()


def embeddings(model):
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (4, 3, 8, 8), generator=generator, dtype=torch.uint8)
    tokens = model.text_encoder.tokenizer(["a cat", "dogs in snow", "q"])
    with torch.no_grad():
        return model.encode_images(images), model.encode_texts(tokens.input_ids, tokens.attention_mask)

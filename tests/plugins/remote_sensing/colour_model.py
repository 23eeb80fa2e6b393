"""A model that knows colours and nothing else, so that a right map can be told from a wrong one."""

from __future__ import annotations

import torch
from torch import nn

from vlcore.encoders.base import ImageEncoder, TextEncoder, TextTokenizer
from vlcore.heads.identity import IdentityHead
from vlcore.models.dual_encoder import DualEncoder
from vlcore.retrieval.model import Model
from vlcore.types import EncoderOutput, ImagePreprocess, TokenBatch

COLOURS = {
    "red": (1.0, -1.0, -1.0),
    "green": (-1.0, 1.0, -1.0),
    "blue": (-1.0, -1.0, 1.0),
    "white": (1.0, 1.0, 1.0),
    "black": (-1.0, -1.0, -1.0),
}
SIDE = 32


class WordTokenizer(TextTokenizer):
    context_length = 4
    words = ("", "[UNK]", *COLOURS)

    def __call__(self, texts):
        rows = [
            [self.words.index(word) if word in self.words else 1 for word in text.split()][:4] or [0] for text in texts
        ]
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        return TokenBatch(ids, (ids > 0).long(), torch.tensor([len(text.split()) > 4 for text in texts]))

    def pieces(self):
        return {word: number for number, word in enumerate(self.words)}

    def save(self, folder):
        raise NotImplementedError

    def identity(self):
        return "words"


class ColourImageEncoder(ImageEncoder):
    """Tokens are the mean colours of 4 x 4 cells, -1..1; pooled is their mean."""

    def __init__(self):
        super().__init__()
        self.width, self.source, self.licence = 3, "test/colours", "MIT"
        self.preprocess = ImagePreprocess(size=(SIDE, SIDE), resize="squash", resize_to=SIDE)
        self.gain = nn.Parameter(torch.ones(1))
        self.set_trainable("none")

    def blocks(self):
        return [self.gain]

    def config(self):
        return {}

    @classmethod
    def from_config(cls, config, preprocess):
        return cls()

    def encode(self, pixels):
        cells = torch.nn.functional.avg_pool2d(pixels * self.gain, SIDE // 4)  # [B, 3, 4, 4]
        tokens = cells.flatten(2).transpose(1, 2) + 1e-6  # no direction belongs to a grey of exactly the middle
        return EncoderOutput(tokens, tokens.mean(1))


class ColourTextEncoder(TextEncoder):
    def __init__(self):
        super().__init__()
        self.width, self.source, self.licence, self.context_length = 3, "test/words", "MIT", 4
        self.tokenizer = WordTokenizer()
        table = torch.tensor([(0.0, 0.0, 0.0), (0.0, 0.0, 0.0), *COLOURS.values()])
        self.table = nn.Embedding.from_pretrained(table)
        self.set_trainable("none")

    def blocks(self):
        return [self.table]

    def config(self):
        return {}

    @classmethod
    def from_config(cls, config, tokenizer_folder):
        return cls()

    def forward(self, input_ids, attention_mask):
        return EncoderOutput(None, self.table(input_ids).sum(1))


def colour_model():
    """Aligned towers that tell colours apart: a window's cosine with "red" is 1 if it is red all over."""
    network = DualEncoder(ColourImageEncoder(), ColourTextEncoder(), IdentityHead(3), IdentityHead(3))
    return Model(network, "colours", device="cpu")

"""Random towers with an aligned model of them; small enough for every test."""

from __future__ import annotations

import json

import torch
from torch import nn

from vlcore.encoders.base import TextEncoder, TextTokenizer
from vlcore.encoders.timm import TimmEncoder
from vlcore.heads.linear import LinearHead
from vlcore.heads.residual_mlp import ResidualMLPHead
from vlcore.models.dual_encoder import DualEncoder
from vlcore.retrieval.model import Model
from vlcore.types import EncoderOutput, ImagePreprocess, TokenBatch

SIZE = 32
TOWERS = {
    "vit": {"patch_size": 8, "img_size": SIZE, "embed_dim": 16, "depth": 6, "num_heads": 2},
    "convolutional": {},
}


def image_tower(kind):
    torch.manual_seed(0)
    name = "vit_tiny_patch16_224" if kind == "vit" else "tf_efficientnet_lite0"
    return TimmEncoder(name, ImagePreprocess((SIZE, SIZE), "squash", SIZE), "native", TOWERS[kind]).eval()


class ByteTokenizer(TextTokenizer):
    context_length, largest_id = 64, 255

    def __call__(self, texts):
        rows = [list(text.encode())[:64] or [0] for text in texts]
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        return TokenBatch(ids, (ids > 0).long(), torch.tensor([len(text.encode()) > 64 for text in texts]))

    def save(self, folder):
        (folder / "bytes.json").write_text(json.dumps({}))

    def identity(self):
        return "bytes"


class ByteEncoder(TextEncoder):
    def __init__(self):
        super().__init__()
        self.width, self.tokenizer, self.context_length = 12, ByteTokenizer(), 64
        self.embedding = nn.Embedding(256, 12)
        self.set_trainable("none")

    def blocks(self):
        return [self.embedding]

    def config(self):
        return {}

    @classmethod
    def from_config(cls, config, tokenizer_folder):
        return cls()

    def forward(self, input_ids, attention_mask):
        mask = attention_mask[..., None]
        return EncoderOutput(None, (self.embedding(input_ids) * mask).sum(1) / mask.sum(1))


def plain_model(kind="convolutional"):
    tower = image_tower(kind)
    torch.manual_seed(1)
    heads = ResidualMLPHead(tower.width, 8, hidden_features=16, dropout=0.5), LinearHead(12, 8)
    heads[0].set_statistics(torch.rand(tower.width), torch.rand(tower.width) + 0.5)
    heads[1].set_statistics(torch.rand(12), torch.rand(12) + 0.5)
    tower.set_trainable("none")
    return Model(DualEncoder(tower, ByteEncoder(), *heads), f"{kind} plain", device="cpu")

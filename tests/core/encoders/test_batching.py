from __future__ import annotations

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

from vlcore.encoders import batching
from vlcore.encoders.base import TextEncoder
from vlcore.encoders.batching import encode_texts
from vlcore.encoders.tokenizer import FastTokenizer, TokenizerSettings
from vlcore.errors import ConfigurationError
from vlcore.types import EncoderOutput


class SumTower(TextEncoder):
    """Sums the embeddings of a text's tokens, and remembers what it was given."""

    def __init__(self):
        super().__init__()
        words = {"?": 0, **{f"w{index}": index for index in range(1, 20)}}
        backend = Tokenizer(models.WordLevel(words, unk_token="?"))
        backend.pre_tokenizer = pre_tokenizers.Whitespace()
        self.tokenizer = FastTokenizer(backend, TokenizerSettings(context_length=8, pad_id=0))
        self.table = nn.Embedding(20, 3)
        self.dropout = nn.Dropout(0.9)
        self.width = 3
        self.shapes = []

    @classmethod
    def from_config(cls, config, tokenizer_folder):
        return cls()

    def forward(self, input_ids, attention_mask):
        self.shapes.append(tuple(input_ids.shape))
        states = self.dropout(self.table(input_ids)) * attention_mask[..., None]
        return EncoderOutput(states, states.sum(dim=1))

    def blocks(self):
        return [self.table]

    def config(self):
        return {}


@pytest.fixture
def tower():
    torch.manual_seed(0)
    return SumTower().train()


def make_texts(count, seed=0):
    random = np.random.default_rng(seed)
    return [" ".join(f"w{word}" for word in random.integers(1, 20, random.integers(1, 11))) for _ in range(count)]


def expected(tower, texts):
    table = tower.table.weight.detach().double().numpy()
    return np.stack([table[[int(word[1:]) for word in text.split()][:8]].sum(axis=0) for text in texts])


@pytest.mark.parametrize("by_prefix", [False, True])
def test_rows_are_in_the_order_of_the_input(tower, by_prefix, monkeypatch):
    monkeypatch.setattr(SumTower, "shares_prefixes", by_prefix)
    monkeypatch.setattr(batching, "WINDOW", 17)
    texts = make_texts(60)
    texts += texts[:30]
    seen = []
    found = encode_texts(tower, texts, token_budget=40, progress=seen.append)
    np.testing.assert_allclose(found.rows, expected(tower, texts), atol=1e-5)
    assert found.rows.dtype == np.float32
    assert found.truncated == sum(len(text.split()) > 8 for text in texts)
    assert sum(seen) == len(texts)
    assert all(count * length <= 40 for count, length in tower.shapes)


def test_short_texts_do_not_pay_for_long_ones(tower):
    encode_texts(tower, ["w1", "w1 w2 w3 w4 w5 w6 w7 w8", "w2", "w3"], token_budget=8)
    assert tower.shapes == [(3, 1), (1, 8)]


def test_equal_texts_are_encoded_once(tower):
    found = encode_texts(tower, ["w1 w2"] * 50)
    assert tower.shapes == [(1, 2)]
    assert found.rows.shape == (50, 3)
    assert found.truncated == 0


def test_a_text_may_exceed_the_budget(tower):
    texts = make_texts(5)
    np.testing.assert_allclose(encode_texts(tower, texts, token_budget=1).rows, expected(tower, texts), atol=1e-5)


def test_mode_is_restored_and_no_graph_is_built(tower):
    encode_texts(tower, ["w1"])
    assert tower.training
    tower.eval()
    encode_texts(tower, ["w1"])
    assert not tower.training
    assert tower.table.weight.grad is None


def test_no_texts(tower):
    assert encode_texts(tower, []).rows.shape == (0, 3)


def test_a_single_text_is_refused(tower):
    with pytest.raises(ConfigurationError, match="list of texts"):
        encode_texts(tower, "w1")
    with pytest.raises(ConfigurationError, match="token_budget=0"):
        encode_texts(tower, ["w1"], token_budget=0)

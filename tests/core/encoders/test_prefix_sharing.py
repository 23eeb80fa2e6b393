from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from vlcore.encoders.prefix_sharing import CausalBlock, encode_ends, prefix_tree


class Layer(nn.Module):
    """A pre-norm transformer layer, written out plainly in float64."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.merge = (nn.Linear(width, width) for _ in range(4))
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, states):
        """One text `[L, D]`, token by token."""
        normed = self.norm1(states)
        query, key, value = (
            part(normed).view(len(states), self.heads, -1) for part in (self.query, self.key, self.value)
        )
        rows = []
        for position in range(len(states)):
            heads = []
            for head in range(self.heads):
                scores = key[: position + 1, head] @ query[position, head] / math.sqrt(query.shape[2])
                heads.append(scores.softmax(dim=0) @ value[: position + 1, head])
            rows.append(torch.cat(heads))
        states = states + self.merge(torch.stack(rows))
        return states + self.mlp(self.norm2(states))

    def parts(self):
        return CausalBlock(self.heads, self.norm1, self.query, self.key, self.value, self.merge, self.norm2, self.mlp)


TEXTS = [[1, 2, 3, 9], [1, 2, 9], [1, 2, 3, 4, 5, 9], [1, 2, 3, 9], [9], [1, 2, 3, 4, 9], [7, 2, 3, 9]]


def padded(texts, pad):
    longest = max(map(len, texts)) + 2
    return torch.tensor([text + [pad] * (longest - len(text)) for text in texts])


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("order", ["given", "sorted"])
def test_end_states_equal_a_plain_transformer(layers, order):
    torch.manual_seed(0)
    texts = sorted(TEXTS) if order == "sorted" else TEXTS
    words, places = nn.Embedding(10, 8).double(), nn.Embedding(8, 8).double()
    network = nn.ModuleList(Layer(8, 2) for _ in range(layers)).double()
    expected = []
    for text in texts:
        states = words(torch.tensor(text)) + places(torch.arange(len(text)))
        for layer in network:
            states = layer(states)
        expected.append(states[-1])
    ids = padded(texts, pad=9)
    ends = torch.tensor([len(text) - 1 for text in texts])
    found = encode_ends(ids, ends, lambda t, p: words(t) + places(p), [layer.parts() for layer in network])
    torch.testing.assert_close(found, torch.stack(expected))


def test_gradients_equal_a_plain_transformer():
    torch.manual_seed(0)
    words, layer = nn.Embedding(10, 8).double(), Layer(8, 2).double()
    torch.stack([layer(words(torch.tensor(text)))[-1] for text in TEXTS]).square().sum().backward()
    expected = [parameter.grad.clone() for parameter in [*words.parameters(), *layer.parameters()]]
    words.zero_grad(), layer.zero_grad()
    ends = torch.tensor([len(text) - 1 for text in TEXTS])
    encode_ends(padded(TEXTS, 0), ends, lambda t, p: words(t), [layer.parts()]).square().sum().backward()
    found = [parameter.grad for parameter in [*words.parameters(), *layer.parameters()]]
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_sorted_texts_share_every_common_beginning():
    texts = sorted(TEXTS)
    tree = prefix_tree(padded(texts, 9), torch.tensor([len(text) for text in texts]))
    prefixes = {tuple(text[:stop]) for text in texts for stop in range(1, len(text) + 1)}
    assert len(tree.tokens) == len(prefixes)
    for row, text in enumerate(texts):
        path = tree.paths[row, : len(text)]
        assert tree.tokens[path].tolist() == text
        assert tree.depths[path].tolist() == list(range(len(text)))

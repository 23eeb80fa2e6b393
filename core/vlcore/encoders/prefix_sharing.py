"""Causal text towers that compute every distinct beginning of a batch's texts once.

In a causal tower the state of a token depends on the tokens before it alone. So texts that begin alike, such as
prompts of one template, share those states exactly, and tokens behind the end token need not exist. The texts of a
batch form a tree of prefixes: linear layers run on its nodes, attention on the paths. The last layer runs for the end
tokens only, because nothing else of it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class CausalBlock(NamedTuple):
    """One pre-norm transformer layer in parts, each a function of single tokens `[T, D]`.

    Attributes:
        heads: number of attention heads.
        norm_attention: normalisation before attention.
        query: to queries, likewise `key` and `value`.
        key: to keys.
        value: to values.
        merge: projection (and scaling) of the attended values.
        norm_mlp: normalisation before the perceptron.
        mlp: the perceptron (and scaling).
    """

    heads: int
    norm_attention: Callable[[Tensor], Tensor]
    query: Callable[[Tensor], Tensor]
    key: Callable[[Tensor], Tensor]
    value: Callable[[Tensor], Tensor]
    merge: Callable[[Tensor], Tensor]
    norm_mlp: Callable[[Tensor], Tensor]
    mlp: Callable[[Tensor], Tensor]


class PrefixTree(NamedTuple):
    """The distinct prefixes of a batch of texts.

    Attributes:
        tokens: `[T]` id at each node.
        depths: `[T]` position of each node in its texts.
        owners: `[T]` flat position `b * L + l` of the text and token that first has the node.
        paths: `[B, L]` node of each token; behind the end token any node.
    """

    tokens: Tensor
    depths: Tensor
    owners: Tensor
    paths: Tensor


def prefix_tree(ids: Tensor, lengths: Tensor) -> PrefixTree:
    """Find the distinct prefixes; a text shares nodes with the one before it, so sort the texts for most effect.

    Args:
        ids: `[B, L]`.
        lengths: `[B]` tokens of each text, its end token included.
    """
    count, longest = ids.shape
    differs = torch.ones_like(ids, dtype=torch.bool)
    differs[1:] = ids[1:] != ids[:-1]
    real = torch.arange(longest, device=ids.device) < lengths[:, None]
    # Once two texts differ, all that follows differs.
    new = (differs.cumsum(dim=1) > 0) & real  # [B, L]
    owners = new.flatten().nonzero().squeeze(1)  # [T]
    numbers = torch.full((count * longest,), -1, dtype=torch.long, device=ids.device)
    numbers[owners] = torch.arange(len(owners), device=ids.device)
    # A token that is not new has the node of the nearest text above; numbers grow downwards, so a running maximum.
    paths = numbers.view(count, longest).cummax(dim=0).values.clamp(min=0)
    return PrefixTree(ids.flatten()[owners], owners % longest, owners, paths)


def encode_ends(
    ids: Tensor,
    ends: Tensor,
    embed: Callable[[Tensor, Tensor], Tensor],
    blocks: Sequence[CausalBlock],
) -> Tensor:
    """Run a causal transformer and return the state of each text's end token.

    Args:
        ids: `[B, L]`.
        ends: `[B]` position of the end token.
        embed: token ids `[T]` and positions `[T]` to states `[T, D]`.
        blocks: layers, at least one.

    Returns:
        `[B, D]`, before the final normalisation.
    """
    longest = int(ends.max()) + 1
    ids = ids[:, :longest]
    tree = prefix_tree(ids, ends + 1)
    states = embed(tree.tokens, tree.depths)  # [T, D]
    for block in blocks[:-1]:
        normed = block.norm_attention(states)
        attended = _attend(block, normed, tree)
        states = states + block.merge(attended)
        states = states + block.mlp(block.norm_mlp(states))
    last = blocks[-1]
    final = tree.paths.gather(1, ends[:, None]).squeeze(1)  # [B]
    normed = last.norm_attention(states)
    attended = _attend_ends(last, normed, tree, final, ends)
    states = states[final] + last.merge(attended)  # [B, D]
    return states + last.mlp(last.norm_mlp(states))


def _attend(block: CausalBlock, normed: Tensor, tree: PrefixTree) -> Tensor:
    """Causal attention along every path, `[T, D]`."""
    query, key, value = (_paths(part(normed), tree, block.heads) for part in (block.query, block.key, block.value))
    attended = F.scaled_dot_product_attention(query, key, value, is_causal=True)  # [B, heads, L, D/heads]
    count, heads, longest, size = attended.shape
    flat = attended.transpose(1, 2).reshape(count * longest, heads * size)
    return flat[tree.owners]


def _attend_ends(block: CausalBlock, normed: Tensor, tree: PrefixTree, final: Tensor, ends: Tensor) -> Tensor:
    """Attention of the end tokens alone, `[B, D]`."""
    key, value = (_paths(part(normed), tree, block.heads) for part in (block.key, block.value))
    count, heads, longest, size = key.shape
    query = block.query(normed[final]).view(count, heads, 1, size)
    seen = torch.arange(longest, device=ends.device) <= ends[:, None]  # [B, L]
    attended = F.scaled_dot_product_attention(query, key, value, attn_mask=seen[:, None, None, :])
    return attended.reshape(count, heads * size)


def _paths(states: Tensor, tree: PrefixTree, heads: int) -> Tensor:
    """States `[T, D]` laid out along the texts, `[B, heads, L, D/heads]`."""
    count, longest = tree.paths.shape
    laid = states.index_select(0, tree.paths.flatten())
    return laid.view(count, longest, heads, -1).transpose(1, 2)

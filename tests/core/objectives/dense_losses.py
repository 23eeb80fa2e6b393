"""The losses written out over all combinations, in plain autograd: slow, N x N, and independent of the package."""

from __future__ import annotations

import torch


def positive_mask(pairs, image_index=None, text_key=None):
    """`[N, N]` bool."""
    mask = torch.eye(pairs, dtype=torch.bool)
    for key in (image_index, text_key):
        if key is not None:
            mask = mask | (key[:, None] == key[None, :])
    return mask


def info_nce(image, text, scale, bias, image_index=None, text_key=None):
    logits = scale * image @ text.T
    target = positive_mask(len(image), image_index, text_key).to(logits.dtype)
    target = target / target.sum(1, keepdim=True)
    rows = -(target * logits.log_softmax(1)).sum(1).mean()
    return (rows - (target * logits.T.log_softmax(1)).sum(1).mean()) / 2


def siglip(image, text, scale, bias, image_index=None, text_key=None):
    logits = scale * image @ text.T + bias
    label = torch.where(positive_mask(len(image), image_index, text_key), 1, -1)
    return torch.nn.functional.softplus(-label * logits, threshold=1e9).sum() / len(image)


def mil_nce(image, text, scale, bias, image_index=None, text_key=None):
    logits = scale * image @ text.T
    mask = positive_mask(len(image), image_index, text_key)
    views = torch.ones(len(image)) if image_index is None else (image_index[:, None] == image_index).sum(1)
    foreign = (logits - views.to(logits.dtype).log()[:, None]).masked_fill(mask, -torch.inf)
    losses = []
    for i in range(len(image)):
        everything = torch.cat([logits[i], foreign[:, mask[i]].flatten()])
        losses.append(everything.logsumexp(0) - logits[i, mask[i]].logsumexp(0))
    return torch.stack(losses).mean()

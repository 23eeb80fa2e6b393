"""Batches, keys and gradients for the tests of the losses."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from vlcore.objectives.info_nce import InfoNCE
from vlcore.objectives.mil_nce import MILNCE
from vlcore.objectives.siglip import SigLIP

LOSSES = {"info_nce": InfoNCE, "siglip": SigLIP, "mil_nce": MILNCE}
ALL = pytest.mark.parametrize("name", LOSSES)
SCALE = torch.tensor(9.0, dtype=torch.float64)
BIAS = torch.tensor(-3.0, dtype=torch.float64)
# Not transitive: pairs 0 and 1 share the image, 1 and 4 the words, 0 and 4 neither. Keys may be any numbers.
IMAGE_INDEX = torch.tensor([7, 7, -1, 10**12, 3, 7, 4])
TEXT_KEY = torch.tensor([5, 6, 8, 8, 6, -(2**62), 9])
KEYS = {"image_index": IMAGE_INDEX, "text_key": TEXT_KEY}
TWINS = torch.tensor([0, 0, 1, 2])


def batch(pairs=7, size=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    image, text = (torch.randn(pairs, size, generator=generator, dtype=torch.float64) for _ in range(2))
    return normalize(image, dim=1).to(dtype), normalize(text, dim=1).to(dtype)


def random_keys(pairs, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image_index = torch.randint(0, pairs // 2 + 1, (pairs,), generator=generator) * 1_000_003 - 7
    return {"image_index": image_index, "text_key": torch.randint(0, pairs, (pairs,), generator=generator)}


def value_and_gradients(function, inputs, **keys):
    inputs = [value.detach().clone().requires_grad_() for value in inputs]
    value = function(*inputs, **keys)
    gradients = torch.autograd.grad(value, inputs, materialize_grads=True)
    return value.detach(), gradients
